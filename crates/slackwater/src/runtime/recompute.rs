//! Final rows computed once more from archived facts: a slow check of what was committed, by the same core.

use slackwater_core::fold::{Final, Settled};
use slackwater_core::hold::Holds;
use slackwater_core::input::{Batch, Input};
use slackwater_core::machine::{Machine, settle_stale};
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_store::archive::OwnedChange;

/// How to feed the facts. No choice here changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Feeding {
    /// Facts to the core at once.
    pub batch: usize,
    /// Shards of each kind.
    pub shards: usize,
}

/// Folds facts in the order in which they are given, and gives the rows that are final once so much is settled, by pipeline.
pub fn recompute<'a>(
    plan: &Plan,
    facts: impl Iterator<Item = &'a OwnedChange>,
    settled: &[Settled],
    feeding: Feeding,
) -> Vec<Final> {
    let shards = feeding.shards.max(1);
    let mut machine = Machine::new(plan, shards, shards);
    let mut memories: Vec<Memory> = (0..shards).map(|_| Memory::new()).collect();
    let mut batch: Option<Batch> = None;
    for fact in facts {
        let fits = |batch: &Batch| {
            let same = batch.source == fact.source && batch.decoder == fact.decoder && batch.part == fact.part;
            same && batch.entries().len() < feeding.batch.max(1)
        };
        if let Some(full) = batch.take_if(|batch| !fits(batch)) {
            machine.step(plan, &Input::Events(full), &mut memories);
        }
        let batch = batch.get_or_insert_with(|| Batch::new(fact.source, fact.decoder, fact.part.clone()));
        let schema = &plan.sources[usize::from(fact.source)].schema;
        batch.push_content(schema, &fact.content, fact.position, fact.arrival);
    }
    if let Some(last) = batch {
        machine.step(plan, &Input::Events(last), &mut memories);
    }
    let mut finals = Vec::new();
    for fold in machine.folds_mut() {
        settle_stale(plan, fold, &memories);
        let changes = memories.iter().flat_map(|memory| memory.changes());
        finals.extend(fold.tick(plan, settled, changes, &Holds::default()));
    }
    finals.sort_unstable_by(Final::order);
    finals
}
