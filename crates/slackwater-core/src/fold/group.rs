//! One key of one pipeline: what it accumulates, and which of its rows were made final.

use super::away::Back;
use super::departed::Departed;
use super::period::Period;
use crate::hold::Parked;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Windowing};
use crate::window::Window;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// A row of a key: its window's start, and for bars their anchor and number.
pub(super) type RowId = (i128, u64);

/// One key of one pipeline.
#[derive(Debug)]
pub(super) struct Group {
    pub pipeline: u16,
    /// Canonical bytes of the key columns.
    pub key: Box<[u8]>,
    pub panes: Panes,
    /// Rows that were made final and are not put away, removed ones included.
    pub rows: BTreeMap<RowId, Sealed>,
    /// Sessions that were put away.
    pub departed: Departed,
    /// Facts that are held, by identity: no pane has them.
    pub parked: BTreeMap<Box<[u8]>, Parked>,
    /// Whether it has facts beyond the ceiling.
    pub far: bool,
    /// Stretches of its past that are here again, or asked for, by their start; of sessions only what is asked for.
    pub back: BTreeMap<i128, Back>,
    /// The watermark at which something may seal next, if anything may: where the group stands in the agenda.
    pub due: Option<i128>,
    /// Whether it changed since it was last written down for a checkpoint.
    pub changed: bool,
    /// Whether it changed since its open rows were last asked for.
    pub touched: bool,
}

/// What a key accumulates.
#[derive(Debug)]
pub(super) enum Panes {
    /// Cells by the start of their slice, and the one that was asked for last: most facts come in about the order of
    /// their time.
    Slices { cells: BTreeMap<i128, u32>, last: Option<(Window, u32)> },
    /// Cells by the time of their first fact.
    Sessions(BTreeMap<i64, u32>),
    /// Periods by their anchor.
    Bars(BTreeMap<i128, Period>),
}

/// What was last made final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub generation: u64,
    pub removed: bool,
    pub window: Window,
    pub complete: bool,
    pub digest: [u8; 32],
}

impl Group {
    pub fn new(pipeline: u16, key: &[u8], compiled: &Pipeline) -> Self {
        let panes = match compiled.windowing {
            Windowing::Aligned(_) => Panes::Slices { cells: BTreeMap::new(), last: None },
            Windowing::Session { .. } => Panes::Sessions(BTreeMap::new()),
            Windowing::Bars(_) => Panes::Bars(BTreeMap::new()),
        };
        Group {
            pipeline,
            key: key.into(),
            panes,
            rows: BTreeMap::new(),
            departed: BTreeMap::new(),
            parked: BTreeMap::new(),
            far: false,
            back: BTreeMap::new(),
            due: None,
            changed: false,
            touched: false,
        }
    }

    /// Whether nothing is left of it: keys whose facts are all gone leave no trace, unless a row was made final.
    pub fn is_empty(&self) -> bool {
        let bare = match &self.panes {
            Panes::Slices { cells, .. } => cells.is_empty(),
            Panes::Sessions(cells) => cells.is_empty(),
            Panes::Bars(periods) => periods.is_empty(),
        };
        bare && self.rows.is_empty() && self.departed.is_empty() && self.parked.is_empty() && !self.far
    }

    /// Nulls that arithmetic made of the facts of its bars.
    pub fn faults(&self) -> Faults {
        match &self.panes {
            Panes::Bars(periods) => periods.values().map(|period| period.at.carry.faults).sum(),
            _ => 0,
        }
    }

    /// How many periods of bars it has.
    pub fn periods(&self) -> usize {
        match &self.panes {
            Panes::Bars(periods) => periods.len(),
            _ => 0,
        }
    }
}
