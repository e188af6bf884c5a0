//! Windows that are laid over time whatever the facts: cells by slice, merged into windows when they seal.

use super::settled::{Notes, Settled};
use crate::delta::Cause;
use crate::window::{Window, WindowRule};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A window to be looked at.
#[derive(Debug)]
pub(super) struct Touched {
    pub window: Window,
    /// Whether what was settled before this tick covered it already.
    pub before: bool,
    pub cause: Option<Cause>,
}

/// The windows that seal between two ticks, and those that sealed before and have changes, in the order of their starts.
pub(super) fn touched(
    rule: &WindowRule,
    cells: &BTreeMap<i128, u32>,
    slice_of: impl Fn(u32) -> Window,
    (before, now): (Settled, Settled),
    notes: Notes<'_>,
) -> Vec<Touched> {
    let mut found: BTreeMap<i128, Touched> = BTreeMap::new();
    for slice in open(rule, cells, slice_of, before) {
        let sealing = |window: &Window| !before.covers(window.end) && now.covers(window.end);
        for window in rule.windows(slice).filter(sealing) {
            found.entry(window.start).or_insert(Touched { window, before: false, cause: None });
        }
    }
    for (time, cause) in notes {
        let Some(slice) = rule.slice(*time) else { continue };
        for window in rule.windows(slice).filter(|window| before.covers(window.end)) {
            let touched = found.entry(window.start).or_insert(Touched { window, before: true, cause: None });
            touched.cause = Some(touched.cause.map_or(*cause, |known| known.min(*cause)));
        }
    }
    found.into_values().collect()
}

/// The end of the first window that is not covered.
pub(super) fn next_due(
    rule: &WindowRule,
    cells: &BTreeMap<i128, u32>,
    slice_of: impl Fn(u32) -> Window,
    now: Settled,
) -> Option<i128> {
    // Ends come in the order of starts, so the earliest open slice has the first of them.
    open(rule, cells, slice_of, now).last().and_then(|slice| first_open(rule, slice, now))
}

/// The end of the first window over a slice that is not covered.
pub(super) fn first_open(rule: &WindowRule, slice: Window, now: Settled) -> Option<i128> {
    rule.windows(slice).map(|window| window.end).find(|end| !now.covers(*end))
}

/// The slices that have a window which is not covered, latest first.
pub(super) fn open(
    rule: &WindowRule,
    cells: &BTreeMap<i128, u32>,
    slice_of: impl Fn(u32) -> Window,
    now: Settled,
) -> impl Iterator<Item = Window> {
    let slices = cells.values().rev().map(move |cell| slice_of(*cell));
    slices.take_while(move |slice| !now.covers(rule.last_end(*slice)))
}
