//! Spans that are folded again from their facts: what lost something that it cannot subtract, or was changed before what
//! it keeps.

use super::away::Pasts;
use super::cell::RowView;
use super::group::Panes;
use super::panes::held;
use super::{Fold, Place, departed};
use crate::aggregate::Sign;
use crate::memory::Fact;
use crate::plan::{Pipeline, Plan, Windowing};
use crate::planted::{self, Bug};
use crate::row::Row;
use crate::window::Window;
use alloc::collections::{BTreeMap, BTreeSet};
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

/// Which stale spans are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Those of what is here: what still moves can be told when they are folded again.
    Here,
    /// Also stretches that were put away or off, which a tick needs.
    AndPast,
}

impl Whole {
    fn has(self, place: &Place) -> bool {
        self == Whole::AndPast || !matches!(place, Place::Past(..) | Place::Ahead(..))
    }
}

/// Where facts are sought.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Spans of event time, apart from each other, in order.
    pub spans: Vec<Window>,
    /// Hashes of the keys that they are sought for.
    keys: BTreeSet<u64>,
}

impl Sought {
    /// Whether a row may belong to a key that facts are sought for.
    pub fn takes(&self, plan: &Plan, source: u16, row: Row<'_>, key: &mut Vec<u8>) -> bool {
        let mut mine = (0..).zip(&plan.pipelines).filter(|(_, pipeline)| pipeline.source == source);
        mine.any(|(number, pipeline)| self.keys.contains(&pipeline.key_hash(number, row, key)))
    }

    /// Joins spans that meet, or that too little lies between for it to be passed over.
    fn join(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|next, last| {
            let meet = next.start <= last.end;
            last.end = if meet { last.end.max(next.end) } else { last.end };
            meet
        });
        let mut between: Vec<i128> = self.spans.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
        if between.len() < MOST_SPANS {
            return;
        }
        let least = *between.select_nth_unstable_by(MOST_SPANS - 1, |a, b| b.cmp(a)).1;
        self.spans.dedup_by(|next, last| {
            let near = next.start - last.end <= least;
            last.end = if near { next.end } else { last.end };
            near
        });
    }
}

/// Spans that are read one by one.
const MOST_SPANS: usize = 64;

/// Work on the stale spans.
#[derive(Default)]
struct Again {
    /// Sessions by group and start, and where they end: their facts make new ones.
    broken: BTreeMap<(u32, i128), i128>,
    /// Stretches that were put away or off, and the slices that their facts made anew.
    pasts: Pasts,
    ahead: Vec<(u16, Window)>,
    made: BTreeSet<u32>,
    /// Facts that slices and sessions held, and that they were given back.
    held: i64,
    given: i64,
}

impl Again {
    /// Whether a slice lies in what was put away or off.
    fn comes_back(&self, pipeline: u16, group: u32, slice: Window) -> bool {
        let starts_in = |span: &Window| span.start <= slice.start && slice.start < span.end;
        self.pasts.have(group, slice) || self.ahead.iter().any(|(of, span)| *of == pipeline && starts_in(span))
    }
}

impl Fold {
    /// The spans whose facts [`Fold::refold`] must see, sorted.
    pub fn needs(&self, whole: Whole) -> Vec<Stale> {
        let name = |place: &Place| {
            let of = |group: u32| self.groups[group as usize].pipeline;
            let (pipeline, window) = match place {
                Place::Cell(cell) => {
                    let cell = &self.cells[*cell as usize];
                    if !cell.stale {
                        return None;
                    }
                    // Of a session the last fact is meant too.
                    (of(cell.group), Window { start: cell.span.start, end: cell.span.end + 1 })
                }
                Place::Period(group, anchor) => {
                    let Panes::Bars(periods) = &self.groups[*group as usize].panes else { return None };
                    let period = periods.get(anchor)?;
                    (of(*group), Window { start: period.needs_from().map_or(*anchor, i128::from), end: period.end })
                }
                Place::Past(group, span) => (of(*group), *span),
                Place::Ahead(pipeline, span) => (*pipeline, *span),
            };
            Some(Stale { pipeline, window, place: *place })
        };
        let mut needs: Vec<Stale> = self.stale.iter().filter(|place| whole.has(place)).filter_map(name).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Where the facts lie that [`Fold::refold`] must see.
    pub fn sought(&self, whole: Whole) -> Sought {
        let needs = self.needs(whole);
        let mut sought = Sought::default();
        for Stale { pipeline, window, place } in needs {
            sought.spans.push(window);
            let group = match place {
                Place::Cell(cell) => self.cells[cell as usize].group,
                Place::Period(group, _) | Place::Past(group, _) => group,
                Place::Ahead(..) => {
                    let far = self.groups.iter().filter(|group| group.pipeline == pipeline && group.far);
                    sought.keys.extend(far.map(|group| Pipeline::hash_of_key(pipeline, &group.key)));
                    continue;
                }
            };
            sought.keys.insert(Pipeline::hash_of_key(pipeline, &self.groups[group as usize].key));
        }
        sought.join();
        sought
    }

    /// Folds the stale spans again. `facts` are the winning contents, each once, of any key and more spans if need be; what
    /// no stale span covers is passed over. Gives how many spans were folded again.
    pub fn refold<'a>(&mut self, plan: &Plan, whole: Whole, facts: impl Iterator<Item = Fact<'a>>) -> usize {
        let needs = self.needs(whole);
        self.stale.retain(|place| !whole.has(place));
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
                Place::Past(group, span) => self.groups[group as usize].came_back(span),
                Place::Ahead(pipeline, _) => self.came_near(pipeline),
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
            Place::Past(group, span) => return again.pasts.push(group, span),
            Place::Ahead(pipeline, span) => return again.ahead.push((pipeline, span)),
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
        let (time, number) = (row.event_time(), self.groups[group as usize].pipeline);
        let cell = match (&mut self.groups[group as usize].panes, &pipeline.windowing) {
            (Panes::Slices { cells, .. }, Windowing::Aligned(rule)) => {
                let Some(slice) = rule.slice(time) else { return };
                match cells.get(&slice.start).copied() {
                    Some(cell) if self.cells[cell as usize].stale => {
                        again.given += 1;
                        cell
                    }
                    Some(cell) if again.made.contains(&cell) => cell,
                    None if again.comes_back(number, group, slice) => {
                        self.touch(group);
                        let cell = self.put_slice(pipeline, rule, group, slice);
                        again.made.insert(cell);
                        cell
                    }
                    _ => return,
                }
            }
            (Panes::Sessions(_), Windowing::Session { gap }) => {
                // What was put away is in no session that is here, though one may reach over it.
                if departed::holds(&self.groups[group as usize].departed, time) {
                    let at = Window { start: time.into(), end: i128::from(time) + 1 };
                    if !again.pasts.have(group, at) {
                        return;
                    }
                    self.touch(group);
                } else {
                    let broken = again.broken.range(..=(group, time.into())).next_back();
                    if broken.is_none_or(|((of, _), last)| *of != group || *last < time.into()) {
                        return;
                    }
                    again.given += 1;
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
        let mut view = RowView::new(row, place, &mut self.tie);
        let recipe = &self.recipes[usize::from(number)];
        self.cells[cell as usize].update((&pipeline.states, recipe), Sign::Plus, &mut view);
    }
}
