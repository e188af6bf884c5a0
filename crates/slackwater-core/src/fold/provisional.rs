//! Rows that still move: what each window that is not sealed holds now.

use super::cell::{accumulators, merge};
use super::cutter::Cutter;
use super::group::{Group, Panes, RowId};
use super::period::Period;
use super::{Bar, Cell, Final, Fold, Settled, emit, sessions, slices};
use crate::aggregate::{Accumulator, Recipe};
use crate::delta::Cause;
use crate::plan::{Bars, Pipeline, Plan, Windowing};
use crate::window::{Anchor, Window, WindowRule};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The rows of one key that still move.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// Canonical bytes of the key.
    pub key: Vec<u8>,
    /// All of them, by window; their generation is 0, for they have none yet.
    pub rows: Vec<Final>,
}

/// One key whose open rows are asked for.
struct Look<'a> {
    pipeline: &'a Pipeline,
    recipe: &'a Recipe,
    group: &'a Group,
    cells: &'a [Cell],
    settled: Settled,
    ceiling: i128,
    rows: Vec<Final>,
}

impl Fold {
    /// The open rows of every key that changed since this was last asked. Stale spans must have been folded again.
    pub fn open_rows(&mut self, plan: &Plan) -> Vec<Open> {
        let touched = core::mem::take(&mut self.touched);
        let look = |number: u32| {
            let group = &mut self.groups[number as usize];
            group.touched = false;
            if let Panes::Bars(periods) = &mut group.panes {
                periods.values_mut().for_each(Period::settle);
            }
            let (group, index) = (&*group, usize::from(group.pipeline));
            let (pipeline, recipe) = (&plan.pipelines[index], &self.recipes[index]);
            let settled = self.settled[index];
            let ceiling = self.edges[index].ceiling;
            let mut look = Look { pipeline, recipe, group, cells: &self.cells, settled, ceiling, rows: Vec::new() };
            look.run(plan);
            Open { pipeline: group.pipeline, key: group.key.to_vec(), rows: look.rows }
        };
        touched.into_iter().map(look).collect()
    }
}

impl Look<'_> {
    fn run(&mut self, plan: &Plan) {
        match (&self.group.panes, &self.pipeline.windowing) {
            (Panes::Slices { .. }, Windowing::Aligned(rule)) => self.slices(rule),
            (Panes::Sessions(sessions), Windowing::Session { gap }) => {
                let span = |cell: &u32| self.cells[*cell as usize].span;
                let open = sessions.values().rev();
                let open = open.take_while(|cell| !self.settled.covers(sessions::due(span(cell), *gap)));
                for cell in open.copied().collect::<Vec<_>>() {
                    let cell = &self.cells[cell as usize];
                    if self.group.is_in_part(cell.span, *gap) {
                        continue;
                    }
                    self.show((cell.span.start, 0), (sessions::window(cell.span, *gap), None), &cell.states);
                }
            }
            (Panes::Bars(periods), Windowing::Bars(bars)) => {
                let schema = &plan.sources[usize::from(self.pipeline.source)].schema;
                let cutter = Cutter { pipeline: self.pipeline, recipe: self.recipe, bars, schema };
                for (anchor, period) in periods {
                    self.bars(*anchor, period, (bars, &cutter));
                }
            }
            _ => unreachable!("panes are those of the pipeline"),
        }
        self.rows.sort_by(Final::order);
    }

    fn slices(&mut self, rule: &WindowRule) {
        let (Panes::Slices { cells: mine, .. }, cells) = (&self.group.panes, self.cells) else { return };
        let slices = slices::open(rule, mine, |cell| cells[cell as usize].span, self.settled);
        let windows = slices.flat_map(|slice| rule.windows(slice));
        let open: BTreeSet<(i128, i128)> = windows
            .filter(|window| !self.settled.covers(window.end) && rule.last_slice(*window).start < self.ceiling)
            .map(|window| (window.start, window.end))
            .collect();
        for (start, end) in open {
            let parts: Vec<&Cell> = mine.range(start..end).map(|(_, cell)| &cells[*cell as usize]).collect();
            let shown = ((start, 0), (Window { start, end }, None));
            match parts[..] {
                [one] => self.show(shown.0, shown.1, &one.states),
                _ => {
                    let mut states = accumulators(&self.pipeline.states);
                    parts.iter().for_each(|part| merge(&self.pipeline.states, &mut states, &part.states));
                    self.show(shown.0, shown.1, &states);
                }
            }
        }
    }

    /// What is not certain yet is cut as if nothing more came.
    fn bars(&mut self, anchor: i128, period: &Period, (bars, cutter): (&Bars, &Cutter<'_>)) {
        let (mut carry, mut closed) = (period.at.carry.clone(), Vec::new());
        period.facts[period.at.cut..].iter().for_each(|fact| cutter.step(&mut carry, fact, &mut closed));
        let unfinished = carry.unfinished().filter(|_| !self.settled.covers(period.end));
        for bar in closed.into_iter().chain(unfinished) {
            let (window, complete) = bar.extent();
            let named = matches!(bars.anchor, Anchor::Daily(_)).then_some(anchor);
            let number = Bar { anchor: named, ordinal: bar.ordinal, complete };
            self.show((anchor, bar.ordinal), (window, Some(number)), &bar.states);
        }
    }

    fn show(&mut self, id: RowId, (window, bar): (Window, Option<Bar>), states: &[Accumulator]) {
        if self.group.rows.get(&id).is_some_and(|row| !row.removed) {
            return;
        }
        // Nulls that are made here are counted when the row seals.
        let Some(values) = emit::values(self.pipeline, &self.group.key, states, &mut 0) else { return };
        let key = emit::decode_key(self.pipeline, &self.group.key);
        let digest = emit::digest(self.pipeline, &self.group.key, (window, bar), false, &values);
        let (pipeline, generation) = (self.group.pipeline, 0);
        let row = Final { pipeline, key, window, bar, generation, cause: Cause::Seal, removed: false, values, digest };
        self.rows.push(row);
    }
}
