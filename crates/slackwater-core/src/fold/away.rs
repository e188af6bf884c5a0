//! What memory lets go where there are too many windows: those that sealed long ago, and those that lie far ahead of the
//! watermark. Their facts are in the archive and their rows in the store, so when one is needed both are asked for, and it
//! is as if it had never left.
//!
//! Where the past begins is one time for each pipeline, its **horizon**: a row is put away when its window ended by then, a
//! slice when the last of its windows did. So a window that is not put away has all its slices here. It comes back when a
//! fact touches it. Where the future begins is its **ceiling**: slices that start there or later are put off. They come back
//! when the watermark does, and show no rows before. Sessions leave by the same horizon, as [`super::departed`] says.

use super::cell::{Cell, RowView};
use super::departed::leaves_at;
use super::group::{Group, Panes, RowId, Sealed};
use super::{Final, Fold, Place, Settled, Whole};
use crate::aggregate::Sign;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Plan, Windowing};
use crate::planted::{self, Bug};
use crate::row::Row;
use crate::table::Table;
use crate::window::{Window, WindowRule};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Rows of a key that may have been made final before they were put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub(super) pipeline: u16,
    pub(super) group: u32,
    /// The first of them, and the start of the last.
    pub(super) id: RowId,
    pub(super) last: i128,
}

impl Wanted {
    /// Index of the pipeline.
    pub fn pipeline(&self) -> u16 {
        self.pipeline
    }
}

/// A stretch of a key's past that is here again, or will be when its facts were seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back {
    pub end: i128,
    pub whole: bool,
}

impl Fold {
    /// Lets windows over time and sessions go when there are more slices and sessions than `most`: half of those that are
    /// sealed, or as many as are too many, the oldest first; and if that is not enough, what lies farthest ahead of the
    /// watermark is put off. What they hold must be in archive and store by then, and nothing may be stale. Gives how many
    /// went.
    pub fn put_away(&mut self, plan: &Plan, most: usize) -> usize {
        assert!(
            self.needs(Whole::AndPast).is_empty() && self.wants.is_empty(),
            "what is asked for is given before anything leaves"
        );
        let before = self.slices();
        if before <= most.max(self.full_at) {
            return 0;
        }
        let (mut ends, mut starts) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let Settled::Until(watermark) = self.settled[usize::from(group.pipeline)] else { continue };
            let watermark = i128::from(watermark);
            let span = |cell: &u32| self.cells[*cell as usize].span;
            match (&group.panes, &plan.pipelines[usize::from(group.pipeline)].windowing) {
                (Panes::Slices { cells, .. }, Windowing::Aligned(rule)) => {
                    let spans = cells.values().map(span);
                    ends.extend(spans.clone().map(|span| rule.last_end(span)).take_while(|end| *end <= watermark));
                    starts.extend(spans.rev().map(|span| span.start).take_while(|start| *start > watermark));
                }
                (Panes::Sessions(cells), Windowing::Session { gap }) => {
                    let leaves = cells.values().map(|cell| leaves_at(span(cell).end, *gap));
                    ends.extend(leaves.take_while(|end| *end <= watermark));
                }
                _ => {}
            }
        }
        if !ends.is_empty() {
            let leave = (ends.len() / 2).max(before - most).min(ends.len() - 1);
            let until = *ends.select_nth_unstable(leave).1;
            self.let_go(plan, until);
        }
        let over = self.slices().saturating_sub(most);
        if over > 0 && !starts.is_empty() {
            // Somewhat more than is too much, or the next fact would be too much again.
            let kept = starts.len().saturating_sub(over + most / 4).min(starts.len() - 1);
            let from = *starts.select_nth_unstable(kept).1;
            self.hold_off(plan, from);
        }
        let left = self.slices();
        // Where nothing may leave, looking again at every tick would be in vain.
        self.full_at = if left < before { 0 } else { left + left / 4 };
        before - left
    }

    /// How many slices and sessions are here. Nothing else can leave, so nothing else counts.
    fn slices(&self) -> usize {
        self.cells.len() - self.free.len()
    }

    /// Lets go what ended by a time and is settled.
    fn let_go(&mut self, plan: &Plan, until: i128) {
        for (number, edges) in self.edges.iter_mut().enumerate() {
            let leaves = !matches!(plan.pipelines[number].windowing, Windowing::Bars(_));
            if let (true, Settled::Until(watermark)) = (leaves, self.settled[number]) {
                edges.horizon = until.min(watermark.into()).max(edges.horizon);
            }
        }
        let mut gone: Vec<u32> = Vec::new();
        for group in &mut self.groups {
            let horizon = self.edges[usize::from(group.pipeline)].horizon;
            let windowing = &plan.pipelines[usize::from(group.pipeline)].windowing;
            if let Windowing::Session { gap } = windowing {
                group.depart(&self.cells, *gap, horizon, &mut gone);
            }
            let (Panes::Slices { cells, .. }, Windowing::Aligned(rule)) = (&group.panes, windowing) else { continue };
            let ended = |cell: &&u32| rule.last_end(self.cells[**cell as usize].span) <= horizon;
            gone.extend(cells.values().take_while(ended));
            while group.rows.first_key_value().is_some_and(|(_, row)| row.window.end <= horizon) {
                group.rows.pop_first();
            }
            group.back.clear();
        }
        gone.into_iter().for_each(|cell| self.release(cell));
        self.drop_empty();
    }

    /// Puts off what starts at a time or later.
    fn hold_off(&mut self, plan: &Plan, from: i128) {
        for (number, edges) in self.edges.iter_mut().enumerate() {
            if let (Some(_), Settled::Until(watermark)) = (rule(&plan.pipelines[number]), self.settled[number])
                && from < edges.ceiling
            {
                // Pipelines have watermarks of their own, and what one of them has sealed is no future.
                edges.reach = (from - i128::from(watermark)).max(1);
                edges.ceiling = edges.ceiling.min(edges.reach + i128::from(watermark));
            }
        }
        for group in 0..self.groups.len() as u32 {
            let entry = &self.groups[group as usize];
            let Panes::Slices { cells, .. } = &entry.panes else { continue };
            let ceiling = self.edges[usize::from(entry.pipeline)].ceiling;
            let gone: Vec<(i128, u32)> = cells.range(ceiling..).map(|(start, cell)| (*start, *cell)).collect();
            for (start, cell) in gone {
                self.release(cell);
                self.put_off(group, start);
                self.touch(group);
            }
        }
    }

    /// From which time on the windows of a pipeline are put off, if any are.
    pub fn put_off_from(&self, pipeline: u16) -> Option<i128> {
        Some(self.edges[usize::from(pipeline)].ceiling).filter(|ceiling| *ceiling < i128::MAX)
    }

    /// How many keys of a pipeline have facts in what is put off.
    pub fn keys_put_off(&self, pipeline: u16) -> usize {
        self.groups.iter().filter(|group| group.pipeline == pipeline && group.far).count()
    }

    /// Notes that a key has a fact in a slice that is put off.
    pub(super) fn put_off(&mut self, group: u32, start: i128) {
        let entry = &mut self.groups[group as usize];
        entry.far = true;
        let edges = &mut self.edges[usize::from(entry.pipeline)];
        edges.farthest = edges.farthest.max(start);
    }

    /// Draws ceilings anew that a watermark comes to: what was put off up to there is asked for.
    pub fn raise(&mut self, plan: &Plan, settled: &[Settled]) {
        for (number, now) in settled.iter().enumerate() {
            let edges = &mut self.edges[number];
            let until = match now {
                Settled::Nothing => continue,
                Settled::Until(watermark) => i128::from(*watermark),
                Settled::All => i128::MAX,
            };
            if until <= edges.ceiling || edges.ceiling == i128::MAX {
                continue;
            }
            let (from, to) = (edges.ceiling, until.saturating_add(edges.reach));
            // A slice comes back with all its facts.
            let last = i64::try_from(to).ok().and_then(|to| rule(&plan.pipelines[number])?.slice(to));
            let to = last.map_or(to, |slice| slice.end);
            let whole = to > edges.farthest;
            edges.ceiling = if whole { i128::MAX } else { to };
            self.stale.push(Place::Ahead(number as u16, Window { start: from, end: to }));
        }
    }

    /// Behind the folding again of what was put off: keys that have no more of it.
    pub(super) fn came_near(&mut self, pipeline: u16) {
        let edges = &mut self.edges[usize::from(pipeline)];
        if edges.ceiling < i128::MAX {
            return;
        }
        edges.farthest = i128::MIN;
        self.groups.iter_mut().filter(|group| group.pipeline == pipeline).for_each(|group| group.far = false);
    }

    /// Forgets keys of which nothing is here. One that changed stays until that is written down: an older chunk has it as it
    /// was before.
    fn drop_empty(&mut self) {
        let stays = |group: &Group| !group.is_empty() || group.changed || group.touched;
        if self.groups.iter().filter(|group| !stays(group)).count() * 2 <= self.groups.len() {
            return;
        }
        let mut table = Table::default();
        let (mut kept, mut numbers) = (Vec::new(), Vec::new());
        for group in core::mem::take(&mut self.groups) {
            if !stays(&group) {
                numbers.push(None);
                continue;
            }
            let number = kept.len() as u32;
            table.insert(Pipeline::hash_of_key(group.pipeline, &group.key), number);
            numbers.push(Some(number));
            kept.push(group);
        }
        let now = |group: &u32| numbers[*group as usize];
        (self.groups, self.table) = (kept, table);
        for cells in self.groups.iter().map(|group| &group.panes) {
            let (slices, sessions) = match cells {
                Panes::Slices { cells, .. } => (Some(cells.values()), None),
                Panes::Sessions(cells) => (None, Some(cells.values())),
                Panes::Bars(_) => (None, None),
            };
            for cell in slices.into_iter().flatten().chain(sessions.into_iter().flatten()) {
                let group = &mut self.cells[*cell as usize].group;
                *group = now(group).expect("a key with a window stays");
            }
        }
        for groups in self.agenda.values_mut() {
            *groups = groups.iter().filter_map(now).collect();
        }
        self.agenda.retain(|_, groups| !groups.is_empty());
        self.touched = self.touched.iter().filter_map(now).collect();
        for group in self.parked.values_mut() {
            *group = now(group).expect("a key that holds facts stays");
        }
    }

    /// Reaches for the slice of a fact below the horizon; true where it is put away. Whatever that fact touches of the past
    /// is asked for: the windows over its slice with all their slices, and their rows.
    #[cold]
    pub(super) fn reach_back(&mut self, rule: &WindowRule, group: u32, slice: Window) -> bool {
        if planted::is(Bug::AwayIsEmpty) {
            return false;
        }
        let entry = &mut self.groups[group as usize];
        let horizon = self.edges[usize::from(entry.pipeline)].horizon;
        let Panes::Slices { cells, .. } = &entry.panes else { unreachable!("slices") };
        let away = rule.last_end(slice) <= horizon && !cells.contains_key(&slice.start);
        let Some(first) = rule.windows(slice).next() else { return false };
        let span = Window { start: first.start, end: rule.last_end(slice).min(horizon) };
        // Stretches of hops overlap: one that is covered by an earlier one is asked for again, which changes nothing.
        if let Some((_, back)) = entry.back.range(..=span.start).next_back().filter(|(_, back)| span.end <= back.end) {
            return away && !back.whole;
        }
        entry.back.insert(span.start, Back { end: span.end, whole: false });
        self.stale.push(Place::Past(group, span));
        let ended = rule.windows(slice).take_while(|window| window.end <= horizon);
        let ids = ended.map(|window| (window.start, 0)).filter(|id| !entry.rows.contains_key(id));
        let pipeline = entry.pipeline;
        self.wants.extend(ids.map(|id| Wanted { pipeline, group, id, last: id.0 }));
        away
    }

    /// The nulls that arithmetic makes of a fact whose slice is put away: its states see it when it is back.
    #[cold]
    pub(super) fn faults_of(&mut self, pipeline: &Pipeline, group: u32, row: Row<'_>, place: (&str, u64)) -> Faults {
        let recipe = &self.recipes[usize::from(self.groups[group as usize].pipeline)];
        let mut view = RowView::new(row, place, &mut self.tie);
        let mut nowhere = Cell::new(pipeline, group, Window { start: 0, end: 0 });
        nowhere.update((&pipeline.states, recipe), Sign::Plus, &mut view);
        view.faults
    }

    /// The rows that [`Fold::bring`] must be given before the next tick, if they were made final.
    pub fn take_wants(&mut self, whole: Whole) -> Vec<Wanted> {
        if whole == Whole::Here {
            return Vec::new();
        }
        let mut wants = core::mem::take(&mut self.wants);
        wants.sort_unstable();
        wants.dedup();
        wants
    }

    /// Between which two the rows that are asked for are, both included, as [`Final::put_id`] has them.
    pub fn ids_of(&self, wanted: &Wanted) -> (Vec<u8>, Vec<u8>) {
        let id = |start: i128| {
            let mut id = self.groups[wanted.group as usize].key.to_vec();
            id.extend_from_slice(&super::kept::ordered(start));
            id
        };
        (id(wanted.id.0), id(wanted.last))
    }

    /// Takes back the newest generation of a row that was asked for.
    pub fn bring(&mut self, wanted: &Wanted, row: &Final) {
        let Final { generation, removed, window, digest, .. } = *row;
        let complete = row.bar.is_none_or(|bar| bar.complete);
        let sealed = Sealed { generation, removed, window, complete, digest };
        self.groups[wanted.group as usize].rows.entry((window.start, 0)).or_insert(sealed);
    }
}

fn rule(pipeline: &Pipeline) -> Option<&WindowRule> {
    match &pipeline.windowing {
        Windowing::Aligned(rule) => Some(rule),
        _ => None,
    }
}

/// Stretches of the past that are folded again, by group: in order, and apart from each other.
#[derive(Default)]
pub(super) struct Pasts(BTreeMap<u32, Vec<Window>>);

impl Pasts {
    /// Adds a stretch that begins no earlier than those before it.
    pub fn push(&mut self, group: u32, span: Window) {
        let spans = self.0.entry(group).or_default();
        match spans.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => spans.push(span),
        }
    }

    /// Whether a slice lies in one of them. A stretch is made of whole slices.
    pub fn have(&self, group: u32, slice: Window) -> bool {
        let Some(spans) = self.0.get(&group) else { return false };
        let behind = spans.get(spans.partition_point(|span| span.end < slice.end));
        behind.is_some_and(|span| span.start <= slice.start)
    }
}

impl Group {
    /// Notes that a stretch of the past is here.
    pub(super) fn came_back(&mut self, span: Window) {
        if let Panes::Sessions(_) = self.panes {
            self.departed.remove(&(span.start as i64));
            self.back.remove(&span.start);
            return;
        }
        let back = self.back.get_mut(&span.start).filter(|back| back.end == span.end);
        back.into_iter().for_each(|back| back.whole = true);
    }
}
