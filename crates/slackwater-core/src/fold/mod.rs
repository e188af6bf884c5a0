//! Windows: takes ±facts into accumulators, and at ticks gives the rows that sealed or changed.
//!
//! The fold is pure. What cannot subtract is folded again: before a tick, [`Fold::needs`] names the windows whose facts
//! it must see, and [`Fold::refold`] takes them.

mod cell;
mod emit;
mod state;

use cell::{Cell, Group, RowView};

use crate::aggregate::{self, Sign};
use crate::delta::{Cause, Delta, Deltas};
use crate::memory::Fact;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Plan};
use crate::row::Row;
use crate::table::Table;
use crate::value::Scalar;
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// How far the past is settled for a pipeline, at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Settled {
    /// Nothing yet.
    Nothing,
    /// No event earlier than this is expected.
    Until(i64),
    /// No input will follow.
    All,
}

impl Settled {
    fn covers(self, end: i128) -> bool {
        match self {
            Settled::Nothing => false,
            Settled::Until(watermark) => end <= i128::from(watermark),
            Settled::All => true,
        }
    }
}

/// A final row: what a window holds for a key, as of one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Final {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// The group-by columns.
    pub key: Vec<Scalar>,
    /// The window.
    pub window: Window,
    /// 1 for the sealed value, one more for every later change.
    pub generation: u64,
    /// Why this generation exists.
    pub cause: Cause,
    /// Whether the row ceased to exist; its values are then null.
    pub removed: bool,
    /// The selected columns.
    pub values: Vec<Scalar>,
    /// BLAKE3 of pipeline, key, window, flags and values.
    pub digest: [u8; 32],
}

/// A window whose facts are needed, because something was taken away that its accumulators cannot subtract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// The window.
    pub window: Window,
    cell: u32,
}

/// The state of one fold shard: every window of every key that it owns.
#[derive(Debug)]
pub struct Fold {
    table: Table,
    groups: Vec<Group>,
    cells: Vec<Cell>,
    free: Vec<u32>,
    /// Cells that were never sealed, by pipeline and window end.
    open: BTreeMap<(u16, i128), Vec<u32>>,
    /// Sealed cells that changed since the last tick.
    changed: Vec<u32>,
    stale: Vec<u32>,
    settled: Vec<Settled>,
    /// Nulls that arithmetic made, by pipeline.
    faults: Vec<Faults>,
    key: Vec<u8>,
    tie: Vec<u8>,
}

impl Fold {
    /// A fold that has seen nothing.
    pub fn new(plan: &Plan) -> Self {
        Fold {
            table: Table::default(),
            groups: Vec::new(),
            cells: Vec::new(),
            free: Vec::new(),
            open: BTreeMap::new(),
            changed: Vec::new(),
            stale: Vec::new(),
            settled: vec![Settled::Nothing; plan.pipelines.len()],
            faults: vec![0; plan.pipelines.len()],
            key: Vec::new(),
            tie: Vec::new(),
        }
    }

    /// Takes ±facts, in any order.
    pub fn apply(&mut self, plan: &Plan, deltas: &Deltas) {
        for delta in &deltas.list {
            self.take(plan, deltas, delta);
        }
    }

    fn take(&mut self, plan: &Plan, deltas: &Deltas, delta: &Delta) {
        let (content, place) = deltas.content(delta);
        let pipeline = &plan.pipelines[usize::from(delta.pipeline)];
        let row = Row::new(&plan.sources[usize::from(pipeline.source)].schema, content);
        let mut faults = 0;
        if pipeline.passes(row, &mut faults) {
            let cell = self.cell(pipeline, delta, deltas.key(delta), row.event_time());
            let mut view = RowView::new(row, place, &mut self.tie);
            let sound = self.cells[cell as usize].update(pipeline, delta.sign, &mut view);
            faults += view.faults;
            self.mark(cell, delta.cause, sound);
        }
        self.faults[usize::from(delta.pipeline)] += faults * delta.sign.unit();
    }

    /// The cell of a key and of the window that covers a time; made if it is not there.
    fn cell(&mut self, pipeline: &Pipeline, delta: &Delta, key: &[u8], time: i64) -> u32 {
        let found = self.table.find(delta.hash, |group| {
            let group = &self.groups[group as usize];
            group.pipeline == delta.pipeline && *group.key == *key
        });
        let number = found.unwrap_or_else(|| {
            let number = self.groups.len() as u32;
            self.groups.push(Group::new(delta.pipeline, key));
            self.table.insert(delta.hash, number);
            number
        });
        if let Some((last, cell)) = self.groups[number as usize].last
            && last.contains(time)
        {
            return cell;
        }
        let window = pipeline.window.assign(time);
        let cell = match self.groups[number as usize].windows.get(&window.start) {
            Some(cell) => *cell,
            None => self.new_cell(pipeline, delta.pipeline, number, window),
        };
        self.groups[number as usize].last = Some((window, cell));
        cell
    }

    fn new_cell(&mut self, pipeline: &Pipeline, number: u16, group: u32, window: Window) -> u32 {
        let late = self.settled[usize::from(number)].covers(window.end);
        let cell = Cell::new(pipeline, group, window, late);
        let at = match self.free.pop() {
            Some(at) => {
                self.cells[at as usize] = cell;
                at
            }
            None => {
                self.cells.push(cell);
                self.cells.len() as u32 - 1
            }
        };
        self.groups[group as usize].windows.insert(window.start, at);
        self.open.entry((number, window.end)).or_default().push(at);
        at
    }

    fn mark(&mut self, number: u32, cause: Cause, sound: bool) {
        let cell = &mut self.cells[number as usize];
        if !sound && !cell.stale {
            cell.stale = true;
            self.stale.push(number);
        }
        cell.cause = Some(cell.cause.map_or(cause, |known| known.min(cause)));
        if cell.sealed.is_some() && !cell.changed {
            cell.changed = true;
            self.changed.push(number);
        }
    }

    /// The windows whose facts [`Fold::refold`] must see before the next tick, sorted.
    pub fn needs(&self) -> Vec<Stale> {
        let name = |number: &u32| {
            let cell = &self.cells[*number as usize];
            Stale { pipeline: self.groups[cell.group as usize].pipeline, window: cell.window, cell: *number }
        };
        let mut needs: Vec<Stale> = self.stale.iter().map(name).collect();
        needs.sort_unstable();
        needs
    }

    /// Folds the stale windows again. `facts` are the winning contents, of any key and more windows if need be; what
    /// no stale window covers is passed over. Gives how many windows were folded again.
    pub fn refold<'a>(&mut self, plan: &Plan, facts: impl Iterator<Item = Fact<'a>>) -> usize {
        let stale = core::mem::take(&mut self.stale);
        let before: Vec<i64> = stale.iter().map(|number| self.cells[*number as usize].rows).collect();
        for number in &stale {
            let group = self.cells[*number as usize].group as usize;
            let pipeline = &plan.pipelines[usize::from(self.groups[group].pipeline)];
            self.cells[*number as usize].clear(pipeline);
        }
        for fact in facts {
            self.refold_fact(plan, &fact);
        }
        for (number, rows) in stale.iter().zip(before) {
            let cell = &mut self.cells[*number as usize];
            assert_eq!(cell.rows, rows, "a window folded again holds the facts that it held");
            cell.stale = false;
        }
        stale.len()
    }

    fn refold_fact(&mut self, plan: &Plan, fact: &Fact<'_>) {
        let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
        for (number, pipeline) in plan.pipelines.iter().enumerate() {
            // What this fact once made null is counted already.
            if pipeline.source != fact.source || !pipeline.passes(row, &mut 0) {
                continue;
            }
            let hash = pipeline.key_hash(number as u16, row, &mut self.key);
            let start = pipeline.window.assign(row.event_time()).start;
            let group = self.table.find(hash, |group| {
                let group = &self.groups[group as usize];
                usize::from(group.pipeline) == number && *group.key == *self.key
            });
            let cell = group.and_then(|group| self.groups[group as usize].windows.get(&start).copied());
            let Some(cell) = cell.filter(|cell| self.cells[*cell as usize].stale) else { continue };
            let mut view = RowView::new(row, (fact.part, fact.position.offset), &mut self.tie);
            self.cells[cell as usize].update(pipeline, Sign::Plus, &mut view);
        }
    }

    /// Nulls that arithmetic made in the rows of each pipeline.
    pub fn faults(&self) -> &[Faults] {
        &self.faults
    }

    /// How many windows of all keys are held.
    pub fn windows(&self) -> usize {
        self.cells.len() - self.free.len()
    }
}

impl Pipeline {
    /// Whether WHERE lets a row pass.
    #[inline]
    fn passes(&self, row: Row<'_>, faults: &mut Faults) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.eval(&row, faults).as_bool() == Some(true))
    }

    fn accumulators(&self) -> Vec<aggregate::Accumulator> {
        self.states.iter().map(|state| aggregate::Accumulator::new(&state.kind)).collect()
    }
}
