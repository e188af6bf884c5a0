//! What is added and retracted leaves nothing; what is retracted and added again is as it was.

use super::{Drawn, Run, law, pool};
use proptest::prelude::*;
use slackwater_sim::engine::spell;
use slackwater_sim::oracle::content::{Stood, identity};
use slackwater_sim::world::{Datum, Event, Ty};

/// The same identity, retracted at a version that no other event has.
fn retraction(drawn: &Drawn, event: &Event) -> Event {
    let source = &drawn.world.stage.sources[0];
    let (version, op) = (source.version.expect("a version"), source.op.expect("an op"));
    let mut event = Event { flaw: None, ..event.clone() };
    event.values[version] = match source.fields[version].ty {
        Ty::U64 => Datum::U64(u64::MAX),
        _ => Datum::Time(9_000_000_000_000_000_000),
    };
    event.values[op] = Datum::Text("retract".into());
    event
}

/// State of the fold before the end, and the rows behind it.
fn outcome(drawn: &Drawn, order: &[usize], batch: usize) -> (Vec<u8>, Vec<u8>) {
    let mut run = Run::new(drawn.plan(), 1, 1);
    run.events(drawn.batches(order, batch));
    (run.fold_bytes(), run.finish())
}

#[test]
fn what_is_retracted_leaves_no_trace() {
    let cases = (any::<prop::sample::Index>(), 1..=20usize, any::<u64>(), any::<u64>());
    law("what_is_retracted_leaves_no_trace", cases, |(stage, events, seed, other)| {
        let offering: Vec<usize> =
            (0..pool().len()).filter(|stage| pool()[*stage].stage.sources[0].op.is_some()).collect();
        let stage = offering[stage.index(offering.len())];
        let mut drawn = super::Case { stage, events, seed, other }.draw();
        let stood = Stood { part: String::new(), offset: 0 };
        let who =
            |drawn: &Drawn, event: &Event| format!("{:?}", identity(&drawn.world.stage.sources[0], event, &stood));
        let count = drawn.world.events.len();
        // Some identities go, with everything that was said of them.
        let mut gone = Vec::new();
        for event in &drawn.world.events {
            if drawn.rng.chance(35) {
                gone.push(who(&drawn, event));
            }
        }
        let leaves = |drawn: &Drawn, number: &usize| gone.contains(&who(drawn, &drawn.world.events[*number]));
        let (parting, staying): (Vec<usize>, Vec<usize>) = (0..count).partition(|number| leaves(&drawn, number));
        let retractions: Vec<Event> =
            parting.iter().map(|number| retraction(&drawn, &drawn.world.events[*number])).collect();
        drawn.world.events.extend(retractions);
        drawn.spelled = spell(&drawn.world);
        let mut order: Vec<usize> = (0..drawn.world.events.len()).collect();
        drawn.rng.shuffle(&mut order);
        let batch = 1 + drawn.rng.below(8);
        prop_assert_eq!(outcome(&drawn, &order, batch), outcome(&drawn, &staying, 8));
        Ok(())
    });
}
