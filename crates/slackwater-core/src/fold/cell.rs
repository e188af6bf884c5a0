//! One window of one key, and the row view that its accumulators read.

use crate::aggregate::{Accumulator, Contribution, Sign, accumulate};
use crate::delta::Cause;
use crate::plan::expr::{Faults, Node};
use crate::plan::{Expr, Pipeline};
use crate::row::Row;
use crate::value::Value;
use crate::window::Window;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// One key of one pipeline.
#[derive(Debug)]
pub(super) struct Group {
    pub pipeline: u16,
    /// Canonical bytes of the key columns.
    pub key: Box<[u8]>,
    /// Cells by window start.
    pub windows: BTreeMap<i128, u32>,
    /// The cell that was asked for last: most facts come in about the order of their time.
    pub last: Option<(Window, u32)>,
}

impl Group {
    pub fn new(pipeline: u16, key: &[u8]) -> Self {
        Group { pipeline, key: key.into(), windows: BTreeMap::new(), last: None }
    }
}

/// What was last made final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub generation: u64,
    pub removed: bool,
    pub digest: [u8; 32],
}

/// One window of one key.
#[derive(Debug)]
pub(super) struct Cell {
    pub group: u32,
    pub window: Window,
    /// Facts within.
    pub rows: i64,
    pub states: Box<[Accumulator]>,
    /// Whether what was settled covered the window already when its first fact came.
    pub late: bool,
    /// Something was taken away that a state may have held.
    pub stale: bool,
    pub sealed: Option<Sealed>,
    /// Whether a sealed cell took or lost a fact since the last tick, and the first cause that applies.
    pub changed: bool,
    pub cause: Option<Cause>,
}

impl Cell {
    pub fn new(pipeline: &Pipeline, group: u32, window: Window, late: bool) -> Self {
        let states = pipeline.accumulators().into_boxed_slice();
        Cell { group, window, rows: 0, states, late, stale: false, sealed: None, changed: false, cause: None }
    }

    /// Forgets every fact, to be folded again.
    pub fn clear(&mut self, pipeline: &Pipeline) {
        self.rows = 0;
        self.states = pipeline.accumulators().into_boxed_slice();
    }

    /// Adds a row or takes it away. False if a state may have lost what it held.
    #[inline]
    pub fn update<'a>(&mut self, pipeline: &'a Pipeline, sign: Sign, row: &mut RowView<'a, '_>) -> bool {
        self.rows += sign.unit();
        let mut sound = true;
        for (state, accumulator) in pipeline.states.iter().zip(&mut self.states) {
            sound &= accumulate(state, accumulator, sign, row);
        }
        sound
    }
}

/// A row as accumulators see it. The tie is written only when event times are equal, or a row takes an end.
pub(super) struct RowView<'a, 's> {
    row: Row<'a>,
    place: (&'a str, u64),
    time: i64,
    tie: &'s mut Vec<u8>,
    tied: bool,
    pub faults: Faults,
}

impl<'a, 's> RowView<'a, 's> {
    #[inline]
    pub fn new(row: Row<'a>, place: (&'a str, u64), tie: &'s mut Vec<u8>) -> Self {
        RowView { row, place, time: row.event_time(), tie, tied: false, faults: 0 }
    }
}

impl<'a> Contribution<'a> for RowView<'a, '_> {
    #[inline]
    fn value(&mut self, expr: &'a Expr) -> Value<'a> {
        expr.eval(&self.row, &mut self.faults)
    }

    #[inline]
    fn number(&mut self, expr: &'a Expr) -> Option<i128> {
        match expr.node {
            Node::Input(field) => self.row.number(field),
            _ => self.value(expr).as_i128(),
        }
    }

    #[inline]
    fn time(&self) -> i64 {
        self.time
    }

    #[inline]
    fn tie(&mut self) -> &[u8] {
        if !self.tied {
            self.tied = true;
            self.tie.clear();
            self.row.put_order(self.place, self.tie);
        }
        self.tie
    }
}
