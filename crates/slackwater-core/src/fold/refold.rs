//! Spans that are folded again from their facts: what lost something that it cannot subtract, or was changed before what
//! it keeps.

use super::cell::RowView;
use super::group::Panes;
use super::panes::held;
use super::{Fold, Place};
use crate::aggregate::Sign;
use crate::memory::Fact;
use crate::plan::{Pipeline, Plan, Windowing};
use crate::planted::{self, Bug};
use crate::row::Row;
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A span whose facts are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// The span: facts of these times, the end left out.
    pub window: Window,
    place: Place,
}

/// Work on the stale spans.
#[derive(Default)]
struct Again {
    /// Sessions by group and start, and where they end: their facts make new ones.
    broken: BTreeMap<(u32, i128), i128>,
    /// Facts that slices and sessions held, and that they were given back.
    held: i64,
    given: i64,
}

impl Fold {
    /// The spans whose facts [`Fold::refold`] must see before the next tick, sorted.
    pub fn needs(&self) -> Vec<Stale> {
        let name = |place: &Place| {
            let (group, window) = match place {
                Place::Cell(cell) => {
                    let cell = &self.cells[*cell as usize];
                    if !cell.stale {
                        return None;
                    }
                    // Of a session the last fact is meant too.
                    (cell.group, Window { start: cell.span.start, end: cell.span.end + 1 })
                }
                Place::Period(group, anchor) => {
                    let Panes::Bars(periods) = &self.groups[*group as usize].panes else { return None };
                    let period = periods.get(anchor)?;
                    (*group, Window { start: period.needs_from().map_or(*anchor, i128::from), end: period.end })
                }
            };
            Some(Stale { pipeline: self.groups[group as usize].pipeline, window, place: *place })
        };
        let mut needs: Vec<Stale> = self.stale.iter().filter_map(name).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The times between which the facts lie that [`Fold::refold`] must see, the end left out; none where it need not.
    pub fn needs_between(&self) -> Option<(i128, i128)> {
        let needs = self.needs();
        let start = needs.iter().map(|stale| stale.window.start).min()?;
        Some((start, needs.iter().map(|stale| stale.window.end).max()?))
    }

    /// Folds the stale spans again. `facts` are the winning contents, of any key and more spans if need be; what no stale
    /// span covers is passed over. Gives how many spans were folded again.
    pub fn refold<'a>(&mut self, plan: &Plan, facts: impl Iterator<Item = Fact<'a>>) -> usize {
        let needs = self.needs();
        self.stale.clear();
        let mut again = Again::default();
        needs.iter().for_each(|stale| self.clear(plan, stale, &mut again));
        for fact in facts {
            self.refold_fact(plan, &fact, &mut again);
        }
        assert_eq!(again.held, again.given, "spans folded again hold the facts that they held");
        for stale in &needs {
            match stale.place {
                Place::Cell(cell) => self.cells[cell as usize].stale = false,
                Place::Period(group, anchor) => {
                    if let Panes::Bars(periods) = &mut self.groups[group as usize].panes {
                        periods.get_mut(&anchor).expect("a stale period is there").stale = None;
                    }
                }
            }
        }
        needs.len()
    }

    /// Forgets what a stale span held.
    fn clear(&mut self, plan: &Plan, stale: &Stale, again: &mut Again) {
        let pipeline = &plan.pipelines[usize::from(stale.pipeline)];
        let number = match stale.place {
            Place::Period(group, anchor) => {
                self.touch(group);
                let Panes::Bars(periods) = &mut self.groups[group as usize].panes else { unreachable!("bars") };
                return periods.get_mut(&anchor).expect("a stale period is there").clear();
            }
            Place::Cell(number) => number,
        };
        self.touch(self.cells[number as usize].group);
        let cell = &mut self.cells[number as usize];
        again.held += cell.rows;
        if matches!(pipeline.windowing, Windowing::Session { .. }) {
            again.broken.insert((cell.group, cell.span.start), cell.span.end);
            self.release(number);
        } else {
            cell.clear(pipeline);
        }
    }

    fn refold_fact(&mut self, plan: &Plan, fact: &Fact<'_>, again: &mut Again) {
        let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
        for (number, pipeline) in plan.pipelines.iter().enumerate() {
            // What this fact once made null is counted already.
            if pipeline.source != fact.source || !pipeline.passes(row, &mut 0) {
                continue;
            }
            let mut key = core::mem::take(&mut self.key);
            let hash = pipeline.key_hash(number as u16, row, &mut key);
            let place = (&**fact.part, fact.position.offset);
            if let Some(group) = self.find(number as u16, hash, &key)
                && (!self.is_parked(group, row, fact.source, place) || planted::is(Bug::HeldIsRefolded))
            {
                self.refill(pipeline, group, row, place, again);
            }
            self.key = key;
        }
    }

    /// Gives a fact back to the stale span of its group that covers it, if one does.
    fn refill(&mut self, pipeline: &Pipeline, group: u32, row: Row<'_>, place: (&str, u64), again: &mut Again) {
        let time = row.event_time();
        let cell = match (&mut self.groups[group as usize].panes, &pipeline.windowing) {
            (Panes::Slices { cells, .. }, Windowing::Aligned(rule)) => {
                let cell = rule.slice(time).and_then(|slice| cells.get(&slice.start).copied());
                let Some(cell) = cell.filter(|cell| self.cells[*cell as usize].stale) else { return };
                cell
            }
            (Panes::Sessions(_), Windowing::Session { gap }) => {
                let broken = again.broken.range(..=(group, time.into())).next_back();
                if broken.is_none_or(|((of, _), last)| *of != group || *last < time.into()) {
                    return;
                }
                self.join(pipeline, *gap, group, time)
            }
            (Panes::Bars(periods), Windowing::Bars(bars)) => {
                let period = periods.get_mut(&bars.anchor.period(time).start).filter(|period| period.stale.is_some());
                if let Some(period) = period {
                    period.refill(held(row, place));
                }
                return;
            }
            _ => unreachable!("panes are those of the pipeline"),
        };
        again.given += 1;
        let mut view = RowView::new(row, place, &mut self.tie);
        self.cells[cell as usize].update(pipeline, Sign::Plus, &mut view);
    }
}
