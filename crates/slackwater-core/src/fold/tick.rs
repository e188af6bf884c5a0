//! What a tick does: watermarks move, and every row that may have sealed or changed is looked at.

use super::cell::{accumulators, merge};
use super::cutter::{Closed, Cutter};
use super::emit::{Candidate, settle};
use super::group::{Group, Panes};
use super::period;
use super::settled::Notes;
use super::{Bar, Cell, Final, Fold, Settled, Whole, sessions, slices};
use crate::aggregate::Recipe;
use crate::delta::Cause;
use crate::hold::Holds;
use crate::memory::{Fact, Net};
use crate::plan::expr::Faults;
use crate::plan::{Bars, Pipeline, Plan, Windowing};
use crate::row::{IdentityBytes, Row};
use crate::window::{Anchor, WindowRule};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// One group under visit: what it needs of the fold.
struct Visit<'a> {
    pipeline: &'a Pipeline,
    recipe: &'a Recipe,
    group: &'a mut Group,
    cells: &'a [Cell],
    /// What was settled before this tick, and what is now.
    moved: (Settled, Settled),
    notes: Notes<'a>,
    faults: &'a mut Faults,
    finals: &'a mut Vec<Final>,
}

impl Fold {
    /// Moves to what is settled now, by pipeline, and gives the rows that became or changed as final, in the order of
    /// pipeline, window and key. `changes` are the net changes of all identities since the last tick, and `holds` is what
    /// was held then. What the tick releases was let in, and stale spans were folded again.
    pub fn tick<'a>(
        &mut self,
        plan: &Plan,
        settled: &[Settled],
        changes: impl Iterator<Item = Net<'a>>,
        holds: &Holds,
    ) -> Vec<Final> {
        assert!(
            self.needs(Whole::AndPast).is_empty() && self.wants.is_empty(),
            "what is asked for is given before a tick"
        );
        // What is left over was let go in the meantime.
        self.stale.clear();
        let mut notes = self.notes(plan, changes, holds);
        for (group, time) in self.take_released() {
            notes.entry(group).or_default().push((time, Cause::Release));
        }
        let before = self.settled.clone();
        for (mine, now) in self.settled.iter_mut().zip(settled) {
            *mine = (*mine).max(*now);
        }
        let mut visits: BTreeSet<u32> = notes.keys().copied().collect();
        for pipeline in 0..plan.pipelines.len() as u16 {
            self.take_due(pipeline, &mut visits);
        }
        let mut finals = Vec::new();
        for number in visits {
            self.touch(number);
            let group = &mut self.groups[number as usize];
            let index = usize::from(group.pipeline);
            let visit = Visit {
                pipeline: &plan.pipelines[index],
                recipe: &self.recipes[index],
                group,
                cells: &self.cells,
                moved: (before[index], self.settled[index]),
                notes: notes.get(&number).map_or(&[], Vec::as_slice),
                faults: &mut self.faults[index],
                finals: &mut finals,
            };
            if let Some(due) = visit.run(plan) {
                self.schedule(number, due);
            }
        }
        finals.sort_unstable_by(Final::order);
        finals
    }

    /// Where net changes fall into what was settled, by group.
    fn notes<'a>(
        &mut self,
        plan: &Plan,
        changes: impl Iterator<Item = Net<'a>>,
        holds: &Holds,
    ) -> BTreeMap<u32, Vec<(i64, Cause)>> {
        let mut notes: BTreeMap<u32, Vec<(i64, Cause)>> = BTreeMap::new();
        if self.settled.iter().all(|settled| *settled == Settled::Nothing) {
            return notes;
        }
        let mut key = core::mem::take(&mut self.key);
        for change in changes {
            let (before, after) = change.sides();
            let sides = before.map(|fact| (fact, true)).into_iter().chain(after.map(|fact| (fact, false)));
            for (fact, old) in sides {
                let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
                for (number, pipeline) in plan.pipelines.iter().enumerate() {
                    let late = pipeline.source == fact.source && self.settled[number].passed(row.event_time());
                    if !late || !pipeline.passes(row, &mut 0) {
                        continue;
                    }
                    let hash = pipeline.key_hash(number as u16, row, &mut key);
                    if let Some(group) = self.find(number as u16, hash, &key)
                        && !self.is_hidden(group, row, &fact, old, holds)
                    {
                        notes.entry(group).or_default().push((row.event_time(), change.cause));
                    }
                }
            }
        }
        self.key = key;
        notes
    }

    /// Whether one side of a change was in no row, because it is held, or was when the last tick came.
    fn is_hidden(&self, group: u32, row: Row<'_>, fact: &Fact<'_>, old: bool, holds: &Holds) -> bool {
        let place = (&**fact.part, fact.position.offset);
        match old {
            true if holds.is_empty() => false,
            true => {
                let pipeline = self.groups[group as usize].pipeline;
                holds.unseen(IdentityBytes::default().of(row, fact.source, place)).holds(pipeline)
            }
            false => self.is_parked(group, row, fact.source, place),
        }
    }

    /// Takes the groups off the agenda for which something may seal now.
    fn take_due(&mut self, pipeline: u16, visits: &mut BTreeSet<u32>) {
        let settled = self.settled[usize::from(pipeline)];
        while let Some((at, _)) = self.agenda.range((pipeline, i128::MIN)..=(pipeline, i128::MAX)).next()
            && settled.covers(at.1)
        {
            let at = *at;
            for group in self.agenda.remove(&at).expect("just found") {
                let due = &mut self.groups[group as usize].due;
                if *due == Some(at.1) {
                    *due = None;
                    visits.insert(group);
                }
            }
        }
    }
}

impl Group {
    /// The watermark at which something may seal next.
    pub(super) fn next_due(&self, windowing: &Windowing, cells: &[Cell], settled: Settled) -> Option<i128> {
        let span = |cell: u32| cells[cell as usize].span;
        match (&self.panes, windowing) {
            (Panes::Slices { cells, .. }, Windowing::Aligned(rule)) => slices::next_due(rule, cells, span, settled),
            (Panes::Sessions(cells), Windowing::Session { gap }) => {
                let dues = cells.values().rev().map(|cell| sessions::due(span(*cell), *gap));
                dues.take_while(|due| !settled.covers(*due)).last()
            }
            (Panes::Bars(periods), Windowing::Bars(_)) => {
                // An open bar that ends at an anchor which is settled waits for nothing more.
                let waits = |due: &i128| *due == i128::MIN || !settled.covers(*due);
                periods.values().filter_map(|period| period.due()).filter(waits).min()
            }
            _ => unreachable!("panes are those of the pipeline"),
        }
    }
}

impl Visit<'_> {
    /// Looks at the group's rows; gives the watermark at which something may seal next.
    fn run(mut self, plan: &Plan) -> Option<i128> {
        let windowing = &self.pipeline.windowing;
        match windowing {
            Windowing::Aligned(rule) => self.slices(rule),
            Windowing::Session { gap } => self.sessions(*gap),
            Windowing::Bars(bars) => {
                let schema = &plan.sources[usize::from(self.pipeline.source)].schema;
                self.bars(bars, &Cutter { pipeline: self.pipeline, recipe: self.recipe, bars, schema });
            }
        }
        self.group.next_due(windowing, self.cells, self.moved.1)
    }

    fn slices(&mut self, rule: &WindowRule) {
        let cells = self.cells;
        let Panes::Slices { cells: mine, .. } = &self.group.panes else { unreachable!("slices") };
        let slice_of = |cell: u32| cells[cell as usize].span;
        let touched = slices::touched(rule, mine, slice_of, self.moved, self.notes);
        for slices::Touched { window, before, cause } in touched {
            let Panes::Slices { cells: mine, .. } = &self.group.panes else { unreachable!("slices") };
            let parts: Vec<u32> = mine.range(window.start..window.end).map(|(_, cell)| *cell).collect();
            let candidate = Candidate { id: (window.start, 0), window, bar: None, before, cause };
            match parts[..] {
                [] => self.show(candidate, None),
                [one] => self.show(candidate, Some(&cells[one as usize].states)),
                _ => {
                    let mut states = accumulators(&self.pipeline.states);
                    parts.iter().for_each(|part| {
                        merge(&self.pipeline.states, &mut states, &cells[*part as usize].states);
                    });
                    self.show(candidate, Some(&states));
                }
            }
        }
    }

    fn sessions(&mut self, gap: i64) {
        let cells = self.cells;
        let Panes::Sessions(mine) = &self.group.panes else { unreachable!("sessions") };
        let touched = sessions::touched((mine, cells, gap), &self.group.rows, self.moved, self.notes);
        for sessions::Touched { id, cell, before, cause } in touched {
            let cell = cell.map(|cell| &cells[cell as usize]);
            let known = self.group.rows.get(&id).map(|row| row.window);
            let Some(window) = cell.map(|cell| sessions::window(cell.span, gap)).or(known) else { continue };
            self.show(Candidate { id, window, bar: None, before, cause }, cell.map(|cell| &*cell.states));
        }
    }

    fn bars(&mut self, rule: &Bars, cutter: &Cutter<'_>) {
        let Panes::Bars(periods) = &mut self.group.panes else { unreachable!("bars") };
        let mut cut = Vec::new();
        for (anchor, period) in periods.iter_mut() {
            let ended = self.moved.1.covers(period.end) && !self.moved.0.covers(period.end);
            if period.pending.is_empty() && !ended && !period.due().is_some_and(|due| self.moved.1.covers(due)) {
                continue;
            }
            period.settle();
            let from = period.at.carry.ordinal;
            let closed = period.cut(cutter, self.moved.1);
            period.let_go();
            period.note_closed();
            cut.push((*anchor, from, closed, period.end));
        }
        periods.retain(|_, period| !period.is_empty());
        for (anchor, from, closed, end) in cut {
            let touched = period::touched(anchor, from, closed, &self.group.rows, (self.moved.0, end), self.notes);
            for touched in touched {
                self.bar(&rule.anchor, touched);
            }
        }
    }

    fn bar(&mut self, anchor: &Anchor, touched: period::Touched) {
        let period::Touched { id, bar, before, cause } = touched;
        let known = self.group.rows.get(&id).map(|row| (row.window, row.complete));
        let Some((window, complete)) = bar.as_ref().map(Closed::extent).or(known) else { return };
        let number = Bar { anchor: matches!(anchor, Anchor::Daily(_)).then_some(id.0), ordinal: id.1, complete };
        let candidate = Candidate { id, window, bar: Some(number), before, cause };
        self.show(candidate, bar.as_ref().map(|bar| &*bar.states));
    }

    fn show(&mut self, candidate: Candidate, states: Option<&[crate::aggregate::Accumulator]>) {
        // The end of an input seals what is there. What only a later one brings was not settled by it.
        let ended = self.moved.0 == Settled::All && !self.group.rows.contains_key(&candidate.id);
        let candidate = Candidate { before: candidate.before && !ended, ..candidate };
        self.finals.extend(settle(self.pipeline, self.group, candidate, states, self.faults));
    }
}
