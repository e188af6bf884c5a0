//! Final rows computed once more from archived facts: a slow check of what was committed, by the same core.

use slackwater_core::fold::{Final, Settled};
use slackwater_core::hold::Holds;
use slackwater_core::input::{Batch, Input};
use slackwater_core::machine::{Machine, settle_stale};
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_store::archive::Change;

/// How to feed the facts. No choice here changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Feeding {
    /// Facts to the core at once.
    pub batch: usize,
    /// Shards of each kind.
    pub shards: usize,
}

/// Facts that are folded again, in the order in which they are given.
#[derive(Debug)]
pub struct Recomputation<'p> {
    plan: &'p Plan,
    machine: Machine,
    memories: Vec<Memory>,
    batch: Option<Batch>,
    most: usize,
}

impl<'p> Recomputation<'p> {
    /// Of no facts yet.
    pub fn new(plan: &'p Plan, feeding: Feeding) -> Self {
        let shards = feeding.shards.max(1);
        let (machine, memories) = (Machine::new(plan, shards, shards), (0..shards).map(|_| Memory::new()).collect());
        Recomputation { plan, machine, memories, batch: None, most: feeding.batch.max(1) }
    }

    /// Takes a fact. Each identity has one at most.
    pub fn push(&mut self, fact: &Change<'_>) {
        let fits = |batch: &Batch| {
            let same = batch.source == fact.source && batch.decoder == fact.decoder && *batch.part == *fact.part;
            same && batch.entries().len() < self.most
        };
        let full = self.batch.take_if(|batch| !fits(batch));
        let part = full.as_ref().map(|full| full.part.clone()).filter(|part| **part == *fact.part);
        if let Some(full) = full {
            self.machine.step(self.plan, &Input::Events(full), &mut self.memories);
        }
        let part = || part.unwrap_or_else(|| fact.part.into());
        let batch = self.batch.get_or_insert_with(|| Batch::new(fact.source, fact.decoder, part()));
        let schema = &self.plan.sources[usize::from(fact.source)].schema;
        batch.push_content(schema, fact.content, fact.position, fact.arrival);
    }

    /// The rows that are final once so much is settled, by pipeline.
    pub fn finish(mut self, settled: &[Settled]) -> Vec<Final> {
        if let Some(last) = self.batch {
            self.machine.step(self.plan, &Input::Events(last), &mut self.memories);
        }
        let mut finals = Vec::new();
        for fold in self.machine.folds_mut() {
            settle_stale(self.plan, fold, &self.memories);
            let changes = self.memories.iter().flat_map(|memory| memory.changes());
            finals.extend(fold.tick(self.plan, settled, changes, &Holds::default()));
        }
        finals.sort_unstable_by(Final::order);
        finals
    }
}
