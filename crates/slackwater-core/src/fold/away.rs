//! What memory lets go: windows that sealed long ago. Their facts are in the archive and their rows in the store, so when
//! one of them is touched again both are asked for, and it is as if it had never left.
//!
//! Where a key's past begins is one time for each pipeline, its **horizon**: a row is put away when its window ended by
//! then, a slice when the last of its windows did. So a window that is not put away has all its slices here.

use super::cell::{Cell, RowView};
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

/// A row that may have been made final before it was put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pipeline: u16,
    group: u32,
    id: RowId,
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
    span: Window,
    pub whole: bool,
}

impl Fold {
    /// Lets sealed windows go, the oldest first, when there are more than `most` in all: about half of those that are
    /// sealed. What they hold must be in archive and store by then, and nothing may be stale. Gives how many slices went.
    pub fn put_away(&mut self, plan: &Plan, most: usize) -> usize {
        assert!(
            self.needs(Whole::AndPast).is_empty() && self.wants.is_empty(),
            "what is asked for is given before anything leaves"
        );
        let before = self.windows();
        if before <= most.max(self.full_at) {
            return 0;
        }
        let mut ends: Vec<i128> = Vec::new();
        for (pipeline, settled, group) in self.sliced(plan) {
            let Panes::Slices { cells, .. } = &group.panes else { continue };
            let rule = rule(pipeline).expect("slices belong to windows over time");
            let ends_of = cells.values().map(|cell| rule.last_end(self.cells[*cell as usize].span));
            ends.extend(ends_of.take_while(|end| settled.covers(*end)));
        }
        if !ends.is_empty() {
            let middle = ends.len() / 2;
            let until = *ends.select_nth_unstable(middle).1;
            self.let_go(plan, until);
        }
        let left = self.windows();
        // Where all of it is open, looking again at every tick would find nothing.
        self.full_at = if left < before { 0 } else { left + left / 4 };
        before - left
    }

    fn sliced<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a Pipeline, Settled, &'a Group)> {
        self.groups.iter().filter_map(|group| {
            let pipeline = &plan.pipelines[usize::from(group.pipeline)];
            let settled = self.settled[usize::from(group.pipeline)];
            (rule(pipeline).is_some() && matches!(settled, Settled::Until(_))).then_some((pipeline, settled, group))
        })
    }

    /// Lets go what ended by a time and is settled.
    fn let_go(&mut self, plan: &Plan, until: i128) {
        for (number, horizon) in self.horizons.iter_mut().enumerate() {
            if let (Some(_), Settled::Until(watermark)) = (rule(&plan.pipelines[number]), self.settled[number]) {
                *horizon = until.min(watermark.into()).max(*horizon);
            }
        }
        let mut gone: Vec<u32> = Vec::new();
        for group in &mut self.groups {
            let horizon = self.horizons[usize::from(group.pipeline)];
            let Some(rule) = rule(&plan.pipelines[usize::from(group.pipeline)]) else { continue };
            let Panes::Slices { cells, .. } = &group.panes else { continue };
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

    /// Whether the slice of a fact is put away. Whatever that fact touches of the past is asked for: the windows over its
    /// slice with all their slices, and their rows.
    #[cold]
    pub(super) fn is_away(&mut self, rule: &WindowRule, group: u32, slice: Window) -> bool {
        if planted::is(Bug::AwayIsEmpty) {
            return false;
        }
        let entry = &mut self.groups[group as usize];
        let horizon = self.horizons[usize::from(entry.pipeline)];
        let Panes::Slices { cells, .. } = &entry.panes else { unreachable!("slices") };
        let away = rule.last_end(slice) <= horizon && !cells.contains_key(&slice.start);
        let Some(first) = rule.windows(slice).next() else { return false };
        let span = Window { start: first.start, end: rule.last_end(slice).min(horizon) };
        let covers = |back: &&Back| back.span.start <= span.start && span.end <= back.span.end;
        if let Some(back) = entry.back.iter().find(covers) {
            return away && !back.whole;
        }
        entry.back.push(Back { span, whole: false });
        self.stale.push(Place::Past(group, span));
        let ended = rule.windows(slice).take_while(|window| window.end <= horizon);
        let ids = ended.map(|window| (window.start, 0)).filter(|id| !entry.rows.contains_key(id));
        let pipeline = entry.pipeline;
        self.wants.extend(ids.map(|id| Wanted { pipeline, group, id }));
        away
    }

    /// The nulls that arithmetic makes of a fact whose slice is put away: its states see it when it is back.
    #[cold]
    pub(super) fn faults_of(&mut self, pipeline: &Pipeline, row: Row<'_>, place: (&str, u64)) -> Faults {
        let mut view = RowView::new(row, place, &mut self.tie);
        Cell::new(pipeline, 0, Window { start: 0, end: 0 }).update(pipeline, Sign::Plus, &mut view);
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

    /// What makes a row that is asked for the one that it is, as [`Final::put_id`] has it.
    pub fn id_of(&self, wanted: &Wanted) -> Vec<u8> {
        let mut id = self.groups[wanted.group as usize].key.to_vec();
        id.extend_from_slice(&super::kept::ordered(wanted.id.0));
        id
    }

    /// Takes back the newest generation of a row that was asked for.
    pub fn bring(&mut self, wanted: &Wanted, row: &Final) {
        let Final { generation, removed, window, digest, .. } = *row;
        let complete = row.bar.is_none_or(|bar| bar.complete);
        let sealed = Sealed { generation, removed, window, complete, digest };
        self.groups[wanted.group as usize].rows.entry(wanted.id).or_insert(sealed);
    }
}

fn rule(pipeline: &Pipeline) -> Option<&WindowRule> {
    match &pipeline.windowing {
        Windowing::Aligned(rule) => Some(rule),
        _ => None,
    }
}

/// Stretches of the past that are folded again, by group.
pub(super) type Pasts = BTreeMap<u32, Vec<Window>>;

impl Group {
    /// Notes that a stretch of the past is here.
    pub(super) fn is_back(&mut self, span: Window) {
        self.back.iter_mut().filter(|back| back.span == span).for_each(|back| back.whole = true);
    }
}
