//! Final rows computed once more from archived facts: a slow check of what was committed, by the same core.

use slackwater_core::fold::Final;
use slackwater_core::input::{Batch, Decision, Input, Tick};
use slackwater_core::machine::Machine;
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

/// Folds facts to the end of input, in the order in which they are given.
pub fn recompute<'a>(plan: &Plan, facts: impl Iterator<Item = &'a OwnedChange>, feeding: Feeding) -> Vec<Final> {
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
    machine.step(plan, &Input::Decision(Decision::EndOfInput), &mut memories);
    machine.step(plan, &Input::Tick(Tick::at(i64::MAX)), &mut memories).finals
}
