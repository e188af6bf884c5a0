//! Facts that are held: which they are, and how they come back.
//!
//! A fact is held when it counted for nothing in its pipeline at the last tick and reaches into what was sealed by then,
//! or was held at that tick and is still late.
//! That is decided by the rows of the last tick alone, and by no other fact that came since: of two late facts neither
//! says what becomes of the other, whatever the order in which shards take them.

use super::group::{Group, Panes};
use super::{Fold, Settled};
use crate::aggregate::Sign;
use crate::delta::{Delta, Deltas};
use crate::hold::{Holds, Parked, Place};
use crate::plan::{Bars, Pipeline, Plan, Windowing};
use crate::row::{IdentityBytes, Row};
use crate::window::Window;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl Fold {
    /// Holds a fact; true if it is to be held.
    #[inline]
    pub(super) fn park(&mut self, plan: &Plan, deltas: &Deltas, delta: &Delta, group: u32) -> bool {
        if !delta.unseen {
            return false;
        }
        let pipeline = &plan.pipelines[usize::from(delta.pipeline)];
        let (content, (part, offset)) = deltas.content(delta);
        let row = Row::new(&plan.sources[usize::from(pipeline.source)].schema, content);
        let settled = self.settled[usize::from(delta.pipeline)];
        let time = row.event_time();
        // What is held stays so as long as it is late, whatever a correction makes of it.
        let sealed = || self.groups[group as usize].is_sealed_for(&pipeline.windowing, settled, time);
        if !settled.passed(time) || !(delta.held || sealed()) {
            return false;
        }
        let identity: Box<[u8]> = IdentityBytes::default().of(row, pipeline.source, (part, offset)).into();
        let entry = deltas.entry(delta).expect("what is added is an event of the batch");
        let (position, arrival) = (entry.position, entry.arrival);
        let parked = Parked { content: content.into(), part: deltas.part().clone(), position, arrival };
        self.groups[group as usize].parked.insert(identity.clone(), parked);
        self.parked.insert((delta.pipeline, identity.clone()), group);
        self.moved.insert((delta.pipeline, identity));
        true
    }

    /// Takes back a content that was held; false if it was not.
    #[inline]
    pub(super) fn unpark(&mut self, pipeline: &Pipeline, group: u32, row: Row<'_>, place: (&str, u64)) -> bool {
        let parked = &mut self.groups[group as usize].parked;
        if parked.is_empty() {
            return false;
        }
        let mut bytes = IdentityBytes::default();
        let identity = bytes.of(row, pipeline.source, place);
        let Some(old) = parked.remove(identity) else { return false };
        assert!(*old.content == *row.content(), "what is held is the newest content of its identity");
        let place = (self.groups[group as usize].pipeline, identity.into());
        self.parked.remove(&place);
        self.moved.insert(place);
        true
    }

    /// Whether a fact is held in a group.
    #[inline]
    pub(super) fn is_parked(&self, group: u32, row: Row<'_>, source: u16, place: (&str, u64)) -> bool {
        let parked = &self.groups[group as usize].parked;
        !parked.is_empty() && parked.contains_key(IdentityBytes::default().of(row, source, place))
    }

    /// Lets in what the coming tick releases. Stale spans are folded again after it.
    pub fn let_in(&mut self, plan: &Plan, holds: &Holds) {
        for place in holds.released() {
            // It may have gone elsewhere since, or be another shard's.
            let Some(group) = self.parked.remove(place) else { continue };
            let parked = self.groups[group as usize].parked.remove(&place.1).expect("it stands in both");
            let pipeline = &plan.pipelines[usize::from(place.0)];
            let row = Row::new(&plan.sources[usize::from(pipeline.source)].schema, &parked.content);
            self.touch(group);
            let origin = (&*parked.part, parked.position.offset);
            self.faults[usize::from(place.0)] += self.fold_in(pipeline, group, Sign::Plus, row, origin);
            self.released.push((group, row.event_time()));
            self.moved.insert(place.clone());
        }
    }

    /// What is held.
    pub(crate) fn parked_places(&self) -> impl Iterator<Item = &Place> {
        self.parked.keys()
    }

    /// A fact that is held here.
    pub(crate) fn parked(&self, place: &Place) -> Option<&Parked> {
        let group = self.parked.get(place)?;
        self.groups[*group as usize].parked.get(&place.1)
    }

    /// What came to be held, or is no longer, since this was last asked.
    pub(crate) fn take_moved(&mut self) -> BTreeSet<Place> {
        core::mem::take(&mut self.moved)
    }

    /// The groups and times of what was released at this tick.
    pub(super) fn take_released(&mut self) -> Vec<(u32, i64)> {
        core::mem::take(&mut self.released)
    }
}

impl Pipeline {
    /// Of the windows of a fact that is alone the first; none of bars, whose extents are those of their facts.
    pub fn first_window(&self, time: i64) -> Option<Window> {
        match &self.windowing {
            Windowing::Aligned(rule) => rule.windows(rule.slice(time)?).next(),
            Windowing::Session { gap } => Some(Window { start: time.into(), end: i128::from(time) + i128::from(*gap) }),
            Windowing::Bars(_) => None,
        }
    }
}

impl Group {
    /// Whether a fact of a time that was passed reaches into what was sealed at the last tick.
    fn is_sealed_for(&self, windowing: &Windowing, settled: Settled, time: i64) -> bool {
        let at = i128::from(time);
        // The end of an input seals the rows that are there, and no others.
        let ended = settled == Settled::All;
        match windowing {
            Windowing::Aligned(rule) => {
                let Some(slice) = rule.slice(time) else { return false };
                let mut windows = rule.windows(slice);
                match ended {
                    true => windows.any(|window| self.rows.contains_key(&(window.start, 0))),
                    // The first of them ends first.
                    false => windows.next().is_some_and(|window| settled.covers(window.end)),
                }
            }
            Windowing::Session { gap } => {
                let gap = i128::from(*gap);
                let reached = || {
                    let mut earlier = self.rows.range(..=(at, u64::MAX)).rev();
                    earlier.find(|(_, row)| !row.removed).is_some_and(|(_, row)| row.window.end >= at)
                };
                let reaches = || {
                    let mut later = self.rows.range((at, 0)..=(at + gap, u64::MAX));
                    later.any(|(id, row)| !row.removed || id.0 == at)
                };
                match ended {
                    true => reached() || reaches(),
                    // By itself it would be sealed; or it would take a sealed one's end with it.
                    false => settled.covers(at + gap + 1) || reached(),
                }
            }
            Windowing::Bars(bars) => self.is_cut_at(bars, settled, time),
        }
    }

    /// Whether bars are sealed that a fact of this time would cut again, or that end behind it.
    fn is_cut_at(&self, bars: &Bars, settled: Settled, time: i64) -> bool {
        let span = bars.anchor.period(time);
        if settled != Settled::All && settled.covers(span.end) {
            return true;
        }
        let Panes::Bars(periods) = &self.panes else { unreachable!("panes are those of the pipeline") };
        let closed = periods.get(&span.start).and_then(|period| period.closed);
        if closed.is_some_and(|closed| time <= closed) {
            return true;
        }
        // A bar that the end of input ended goes on with the next fact; one that was removed comes back.
        let open = |row: &super::group::Sealed| settled == Settled::All && (row.removed || !row.complete);
        let mut rows = self.rows.range((span.start, 0)..=(span.start, u64::MAX));
        rows.any(|(_, row)| row.window.end >= i128::from(time) || open(row))
    }
}
