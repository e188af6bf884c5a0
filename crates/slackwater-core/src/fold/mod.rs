//! Windows: takes ±facts into accumulators, and at ticks gives the rows that sealed or changed.
//!
//! The fold is pure. What cannot be subtracted or undone is folded again: before a tick, [`Fold::needs`] names the spans
//! whose facts it must see, and [`Fold::refold`] takes them.

mod away;
mod backward;
mod cell;
mod cutter;
mod departed;
mod edges;
mod emit;
mod group;
mod kept;
mod panes;
mod parked;
mod period;
mod provisional;
mod refold;
mod sessions;
mod settled;
mod slices;
mod state;
mod tick;

pub use away::Wanted;
pub use provisional::Open;
pub use refold::{Sought, Stale, Whole};
pub use settled::Settled;
pub use state::Which;

use cell::Cell;
use edges::Edges;
use group::Group;

use crate::aggregate::{Recipe, Sign};
use crate::delta::{Cause, Delta, Deltas};
use crate::hold::Place as Held;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Plan};
use crate::row::Row;
use crate::table::Table;
use crate::value::Scalar;
use crate::window::Window;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

/// A final row: what a window holds for a key, as of one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Final {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// The group-by columns.
    pub key: Vec<Scalar>,
    /// The window; of a bar the times of its first and of its last fact.
    pub window: Window,
    /// Which bar it is, where windows are bars.
    pub bar: Option<Bar>,
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

/// Which bar of its key a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bar {
    /// Nanoseconds since the epoch at which bars began anew; none where they never do.
    pub anchor: Option<i128>,
    /// Its number since then, from 0.
    pub ordinal: u64,
    /// Whether it was closed by its rule; else the next anchor, or the end of input, ended it.
    pub complete: bool,
}

/// Where a stale span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Cell(u32),
    Period(u32, i128),
    /// A stretch of a group's past that was put away.
    Past(u32, Window),
    /// A stretch of a pipeline's future that was put off.
    Ahead(u16, Window),
}

/// The state of one fold shard: every window of every key that it owns.
///
/// Shards stand side by side, and each is written by a thread of its own: no two may share a line of cache.
#[derive(Debug)]
#[repr(align(128))]
pub struct Fold {
    table: Table,
    groups: Vec<Group>,
    cells: Vec<Cell>,
    free: Vec<u32>,
    /// Groups by pipeline and the watermark at which something of theirs may seal. A group is where its `due` says; what
    /// else names it is left over.
    agenda: BTreeMap<(u16, i128), Vec<u32>>,
    /// Groups that changed since their open rows were last asked for.
    touched: Vec<u32>,
    stale: Vec<Place>,
    /// By pipeline, where what is here begins and ends; and of how many windows on more may leave.
    edges: Vec<Edges>,
    full_at: usize,
    /// Rows that are asked for.
    wants: Vec<Wanted>,
    /// The groups of facts that are held, those that came or went since the last tick, and what the coming one released.
    parked: BTreeMap<Held, u32>,
    moved: BTreeSet<Held>,
    released: Vec<(u32, i64)>,
    settled: Vec<Settled>,
    /// How the states of each pipeline take a row.
    recipes: Vec<Recipe>,
    /// Nulls that arithmetic made, by pipeline, but for those of bars.
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
            agenda: BTreeMap::new(),
            touched: Vec::new(),
            stale: Vec::new(),
            edges: vec![Edges::default(); plan.pipelines.len()],
            full_at: 0,
            wants: Vec::new(),
            parked: BTreeMap::new(),
            moved: BTreeSet::new(),
            released: Vec::new(),
            settled: vec![Settled::Nothing; plan.pipelines.len()],
            recipes: plan.pipelines.iter().map(|pipeline| pipeline.recipe(plan)).collect(),
            faults: vec![0; plan.pipelines.len()],
            key: Vec::new(),
            tie: Vec::new(),
        }
    }

    /// Takes ±facts, in any order in which those of one identity stay as they came.
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
            let group = self.group(pipeline, delta, deltas.key(delta));
            self.touch(group);
            let aside = match delta.sign {
                Sign::Plus => self.park(plan, deltas, delta, group),
                Sign::Minus => self.unpark(pipeline, group, row, place),
            };
            if !aside {
                faults += self.fold_in(pipeline, group, delta.sign, row, place);
            }
        }
        self.faults[usize::from(delta.pipeline)] += faults * delta.sign.unit();
    }

    fn group(&mut self, pipeline: &Pipeline, delta: &Delta, key: &[u8]) -> u32 {
        self.find(delta.pipeline, delta.hash, key).unwrap_or_else(|| {
            let number = self.groups.len() as u32;
            self.groups.push(Group::new(delta.pipeline, key, pipeline));
            self.table.insert(delta.hash, number);
            number
        })
    }

    #[inline]
    fn find(&self, pipeline: u16, hash: u64, key: &[u8]) -> Option<u32> {
        self.table.find(hash, |group| {
            let group = &self.groups[group as usize];
            group.pipeline == pipeline && *group.key == *key
        })
    }

    /// Notes that a group changed.
    #[inline]
    fn touch(&mut self, group: u32) {
        let entry = &mut self.groups[group as usize];
        entry.changed = true;
        if !entry.touched {
            entry.touched = true;
            self.touched.push(group);
        }
    }

    /// Puts a group on the agenda, unless it stands there earlier.
    fn schedule(&mut self, group: u32, due: i128) {
        let entry = &mut self.groups[group as usize];
        if entry.due.is_none_or(|known| due < known) {
            entry.due = Some(due);
            self.agenda.entry((entry.pipeline, due)).or_default().push(group);
        }
    }

    /// By pipeline, the watermark at which something may seal next.
    pub fn dues(&self) -> Vec<Option<i128>> {
        let first = |pipeline| self.agenda.range((pipeline, i128::MIN)..=(pipeline, i128::MAX)).next();
        let due = |pipeline: u16| first(pipeline).map(|((_, due), _)| *due);
        let put_off = self.edges.iter().map(|edges| edges.due());
        (0..).zip(put_off).map(|(pipeline, put_off)| due(pipeline).into_iter().chain(put_off).min()).collect()
    }

    /// How many times a group stands where something may seal once so much is settled, by pipeline.
    pub fn count_due(&self, settled: &[Settled]) -> usize {
        let all = |pipeline| self.agenda.range((pipeline, i128::MIN)..=(pipeline, i128::MAX));
        let due = |(pipeline, settled): (u16, &Settled)| -> usize {
            all(pipeline).take_while(|((_, end), _)| settled.covers(*end)).map(|(_, groups)| groups.len()).sum()
        };
        (0..).zip(settled).map(due).sum()
    }

    /// Nulls that arithmetic made in the rows of each pipeline.
    pub fn faults(&self) -> Vec<Faults> {
        let mut faults = self.faults.clone();
        for group in &self.groups {
            faults[usize::from(group.pipeline)] += group.faults();
        }
        faults
    }

    /// How many slices, sessions and periods of all keys are held.
    pub fn windows(&self) -> usize {
        self.cells.len() - self.free.len() + self.groups.iter().map(Group::periods).sum::<usize>()
    }
}

impl Pipeline {
    fn recipe(&self, plan: &Plan) -> Recipe {
        Recipe::new(&self.states, &plan.sources[usize::from(self.source)].schema)
    }

    /// Whether a row of its source counts in it.
    pub fn takes(&self, row: Row<'_>) -> bool {
        self.passes(row, &mut 0)
    }

    /// Whether WHERE lets a row pass.
    #[inline]
    fn passes(&self, row: Row<'_>, faults: &mut Faults) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.eval(&row, faults).as_bool() == Some(true))
    }
}
