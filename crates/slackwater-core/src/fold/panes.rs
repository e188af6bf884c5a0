//! How a fact gets into the slice, the session or the period that it belongs to, and out of it.

use super::cell::{Cell, RowView};
use super::edges::Edges;
use super::group::Panes;
use super::period::{Held, Period};
use super::{Fold, Place, sessions, slices};
use crate::aggregate::Sign;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Windowing};
use crate::row::Row;
use crate::window::{Anchor, Window, WindowRule};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where the slice of a fact is.
enum Slot {
    Cell(u32),
    /// No window covers the fact.
    Nowhere,
    /// It is put away and asked for, or put off.
    Away,
}

impl Fold {
    /// Adds a fact to its group, or takes it away. Gives the nulls that arithmetic made of it.
    #[inline]
    pub(super) fn fold_in(
        &mut self,
        pipeline: &Pipeline,
        group: u32,
        sign: Sign,
        row: Row<'_>,
        place: (&str, u64),
    ) -> Faults {
        let time = row.event_time();
        let cell = match (&pipeline.windowing, sign) {
            (Windowing::Aligned(rule), _) => match self.slice(pipeline, rule, group, time) {
                Slot::Cell(cell) => cell,
                Slot::Nowhere => return 0,
                Slot::Away => return self.faults_of(pipeline, group, row, place),
            },
            (Windowing::Session { gap }, _) if self.reach_session(*gap, group, sign, time) => {
                return self.faults_of(pipeline, group, row, place);
            }
            (Windowing::Session { gap }, Sign::Plus) => self.join(pipeline, *gap, group, time),
            (Windowing::Session { .. }, Sign::Minus) => {
                let Panes::Sessions(sessions) = &self.groups[group as usize].panes else { unreachable!("sessions") };
                sessions::holding(sessions, &self.cells, time).expect("a fact that is taken away is in a session")
            }
            (Windowing::Bars(bars), _) => {
                self.hold(&bars.anchor, group, sign, row, place);
                return 0;
            }
        };
        let recipe = &self.recipes[usize::from(self.groups[group as usize].pipeline)];
        let mut view = RowView::new(row, place, &mut self.tie);
        let mut sound = self.cells[cell as usize].update((&pipeline.states, recipe), sign, &mut view);
        let faults = view.faults;
        // Whatever a session loses may have held it together, or been its edge.
        sound &= sign == Sign::Plus || matches!(pipeline.windowing, Windowing::Aligned(_));
        self.check(cell, sound);
        faults
    }

    /// A cell without facts is let go; one that may have lost what it held is to be folded again.
    fn check(&mut self, number: u32, sound: bool) {
        let cell = &mut self.cells[number as usize];
        assert!(cell.rows >= 0, "no more facts are taken away than were added");
        if cell.rows == 0 {
            self.release(number);
        } else if !sound && !cell.stale {
            cell.stale = true;
            self.stale.push(Place::Cell(number));
        }
    }

    pub(super) fn release(&mut self, number: u32) {
        let cell = &mut self.cells[number as usize];
        cell.stale = false;
        cell.states = Box::default();
        let start = cell.span.start;
        match &mut self.groups[cell.group as usize].panes {
            Panes::Slices { cells, last } => {
                cells.remove(&start);
                *last = None;
            }
            Panes::Sessions(cells) => {
                cells.remove(&(start as i64));
            }
            Panes::Bars(_) => unreachable!("bars have no cells"),
        }
        self.free.push(number);
    }

    fn new_cell(&mut self, pipeline: &Pipeline, group: u32, span: Window) -> u32 {
        let cell = Cell::new(pipeline, group, span);
        match self.free.pop() {
            Some(at) => {
                self.cells[at as usize] = cell;
                at
            }
            None => {
                self.cells.push(cell);
                self.cells.len() as u32 - 1
            }
        }
    }

    /// The cell of the slice that holds a time, made if it is not there.
    #[inline]
    fn slice(&mut self, pipeline: &Pipeline, rule: &WindowRule, group: u32, time: i64) -> Slot {
        let entry = &mut self.groups[group as usize];
        let Edges { horizon, ceiling, .. } = self.edges[usize::from(entry.pipeline)];
        let Panes::Slices { cells, last } = &mut entry.panes else { unreachable!("slices") };
        if let Some((slice, cell)) = last
            && slice.contains(time)
            && slice.start >= horizon
        {
            return Slot::Cell(*cell);
        }
        let Some(slice) = rule.slice(time) else { return Slot::Nowhere };
        if slice.start >= ceiling {
            self.put_off(group, slice.start);
            return Slot::Away;
        }
        let known = cells.get(&slice.start).copied();
        if let Some(cell) = known {
            *last = Some((slice, cell));
        }
        if slice.start < horizon && self.reach_back(rule, group, slice) {
            return Slot::Away;
        }
        Slot::Cell(known.unwrap_or_else(|| self.put_slice(pipeline, rule, group, slice)))
    }

    pub(super) fn put_slice(&mut self, pipeline: &Pipeline, rule: &WindowRule, group: u32, slice: Window) -> u32 {
        let cell = self.new_cell(pipeline, group, slice);
        let Panes::Slices { cells, last } = &mut self.groups[group as usize].panes else { unreachable!("slices") };
        cells.insert(slice.start, cell);
        *last = Some((slice, cell));
        let settled = self.settled[usize::from(self.groups[group as usize].pipeline)];
        if let Some(end) = slices::first_open(rule, slice, settled) {
            self.schedule(group, end);
        }
        cell
    }

    /// The session that a fact of this time makes, extends or brings together.
    pub(super) fn join(&mut self, pipeline: &Pipeline, gap: i64, group: u32, time: i64) -> u32 {
        let Panes::Sessions(sessions) = &mut self.groups[group as usize].panes else { unreachable!("sessions") };
        let found = sessions::joined(sessions, &mut self.cells, (pipeline, gap), time, &mut self.free);
        let cell =
            found.unwrap_or_else(|| self.put_session(pipeline, group, Window { start: time.into(), end: time.into() }));
        if self.cells[cell as usize].stale {
            self.stale.push(Place::Cell(cell));
        }
        let settled = self.settled[usize::from(self.groups[group as usize].pipeline)];
        let due = sessions::due(self.cells[cell as usize].span, gap);
        if !settled.covers(due) {
            self.schedule(group, due);
        }
        cell
    }

    pub(super) fn put_session(&mut self, pipeline: &Pipeline, group: u32, span: Window) -> u32 {
        let cell = self.new_cell(pipeline, group, span);
        let Panes::Sessions(sessions) = &mut self.groups[group as usize].panes else { unreachable!("sessions") };
        sessions.insert(span.start as i64, cell);
        cell
    }

    /// Keeps a ±fact for the next tick to cut.
    fn hold(&mut self, anchor: &Anchor, group: u32, sign: Sign, row: Row<'_>, place: (&str, u64)) {
        let held = held(row, place);
        let (time, number) = (held.time, group);
        let group = &mut self.groups[group as usize];
        let Panes::Bars(periods) = &mut group.panes else { unreachable!("bars") };
        let span = anchor.period(time);
        let period = periods.entry(span.start).or_insert_with(|| Period::new(span.end));
        if !period.take(sign, held) {
            self.stale.push(Place::Period(number, span.start));
        }
        // At the next tick, if the fact is late: its period is cut again.
        self.schedule(number, i128::from(time) + 1);
    }
}

/// A fact as bars keep it.
pub(super) fn held(row: Row<'_>, place: (&str, u64)) -> Held {
    let mut tie = Vec::new();
    row.put_order(place, &mut tie);
    Held { time: row.event_time(), tie: tie.into(), content: row.content().into() }
}
