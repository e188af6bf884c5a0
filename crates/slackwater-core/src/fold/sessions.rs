//! Sessions: runs of a key's facts without a pause that is longer than the gap. They meet and merge as facts come.

use super::cell::{Cell, merge};
use super::group::{RowId, Sealed};
use super::settled::{Notes, Settled};
use crate::delta::Cause;
use crate::plan::Pipeline;
use crate::planted::{self, Bug};
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The cells by the time of their first fact.
pub(super) type Sessions = BTreeMap<i64, u32>;

/// The window of a session whose first and last facts have these times.
pub(super) fn window(span: Window, gap: i64) -> Window {
    Window { start: span.start, end: span.end + i128::from(gap) }
}

/// Where a session is settled: its end itself may still bring a fact that belongs to it.
pub(super) fn due(span: Window, gap: i64) -> i128 {
    window(span, gap).end + 1
}

/// The session that a fact of this time is in, if it is in one.
pub(super) fn holding(sessions: &Sessions, cells: &[Cell], time: i64) -> Option<u32> {
    let (_, cell) = sessions.range(..=time).next_back()?;
    (cells[*cell as usize].span.end >= time.into()).then_some(*cell)
}

/// The session that a fact of this time joins, after those that it brings together have been merged. Cells that are no
/// longer used are given to `free`.
pub(super) fn joined(
    sessions: &mut Sessions,
    cells: &mut [Cell],
    (pipeline, gap): (&Pipeline, i64),
    time: i64,
    free: &mut Vec<u32>,
) -> Option<u32> {
    let at = i128::from(time);
    let near = |from: i128, to: i128| to - from <= i128::from(gap);
    let before = sessions.range(..=time).next_back().map(|(start, cell)| (*start, *cell));
    let before = before.filter(|(_, cell)| near(cells[*cell as usize].span.end, at));
    let after = sessions.range(time..).find(|(start, _)| **start > time).map(|(start, cell)| (*start, *cell));
    let after = after.filter(|(start, _)| near(at, (*start).into()) && !planted::is(Bug::SessionByArrival));
    let stay = match (before, after) {
        (None, None) => return None,
        (Some((_, cell)), None) => cell,
        (None, Some((start, cell))) => {
            sessions.remove(&start);
            sessions.insert(time, cell);
            cell
        }
        (Some((_, stay)), Some((start, gone))) => {
            sessions.remove(&start);
            let other =
                core::mem::replace(&mut cells[gone as usize], Cell::new(pipeline, 0, Window { start: 0, end: 0 }));
            free.push(gone);
            let cell = &mut cells[stay as usize];
            merge(&pipeline.states, &mut cell.states, &other.states);
            cell.rows += other.rows;
            cell.stale |= other.stale;
            cell.span.end = cell.span.end.max(other.span.end);
            stay
        }
    };
    let span = &mut cells[stay as usize].span;
    *span = Window { start: span.start.min(at), end: span.end.max(at) };
    Some(stay)
}

/// A row to be looked at: the cell that makes it now, if one does.
#[derive(Debug)]
pub(super) struct Touched {
    pub id: RowId,
    pub cell: Option<u32>,
    /// Whether what was settled before this tick covered it already.
    pub before: bool,
    pub cause: Option<Cause>,
}

/// The sessions that seal between two ticks, and the rows that changes touch: those that begin in a session, as it was
/// sealed or as it is now, that holds the change.
pub(super) fn touched(
    (sessions, cells, gap): (&Sessions, &[Cell], i64),
    rows: &BTreeMap<RowId, Sealed>,
    (before, now): (Settled, Settled),
    notes: Notes<'_>,
) -> Vec<Touched> {
    let span = |cell: u32| cells[cell as usize].span;
    let mut starts: BTreeMap<i128, Option<Cause>> = BTreeMap::new();
    let late = sessions.values().rev().take_while(|cell| !before.covers(due(span(**cell), gap)));
    starts.extend(late.filter(|cell| now.covers(due(span(**cell), gap))).map(|cell| (span(*cell).start, None)));
    for (time, cause) in notes {
        // A fact that is gone may have tied a session to what came behind it: it lay at most a gap behind the last one.
        let cell = sessions.range(..=*time).next_back().map(|(_, cell)| window(span(*cell), gap));
        let cell = cell.filter(|session| session.end >= (*time).into());
        let mut earlier = rows.range(..=((*time).into(), u64::MAX)).rev();
        let row = earlier.find(|(_, row)| !row.removed).map(|(_, row)| row.window);
        let row = row.filter(|row| row.end >= (*time).into());
        // And what it tied may never have been a row: then nothing but the fact's own time says where that begins now.
        let tied = Window { start: (*time).into(), end: i128::from(*time) + i128::from(gap) };
        for Window { start, end } in cell.into_iter().chain(row).chain([tied]) {
            let last = end.min(i64::MAX.into()) as i64;
            let news = sessions.range(start as i64..=last).map(|(start, _)| i128::from(*start));
            for start in rows.range((start, 0)..=(end, 0)).map(|(id, _)| id.0).chain(news) {
                let known = starts.entry(start).or_default();
                *known = Some(known.map_or(*cause, |known| known.min(*cause)));
            }
        }
    }
    let look = |(start, cause): (i128, Option<Cause>)| {
        let cell = sessions.get(&(start as i64)).copied().filter(|cell| now.covers(due(span(*cell), gap)));
        let before = cell.is_some_and(|cell| before.covers(due(span(cell), gap)));
        Touched { id: (start, 0), cell, before, cause }
    };
    starts.into_iter().map(look).collect()
}
