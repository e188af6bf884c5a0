//! Neither the order of events nor how often each comes changes a bit.

use super::{Drawn, Run, cases, law};
use proptest::prelude::*;

/// Fold state before the end, rows after it, and how many facts there are.
fn outcome(drawn: &Drawn, order: &[usize], batch: usize) -> (Vec<u8>, Vec<u8>, u64) {
    let mut run = Run::new(drawn.plan(), 1, 1);
    run.events(drawn.batches(order, batch));
    let facts = run.machine.seen(drawn.plan()).counts().iter().map(|counts| counts.facts).sum();
    (run.fold_bytes(), run.finish(), facts)
}

#[test]
fn any_permutation_gives_the_same_bytes() {
    law("any_permutation_gives_the_same_bytes", cases(30), |case| {
        let mut drawn = case.draw();
        let one = outcome(&drawn, &drawn.in_order(), 1_000);
        let mut order = drawn.in_order();
        drawn.rng.shuffle(&mut order);
        let batch = 1 + drawn.rng.below(10);
        prop_assert_eq!(one, outcome(&drawn, &order, batch));
        Ok(())
    });
}

#[test]
fn any_multiplicity_of_any_event_is_once() {
    law("any_multiplicity_of_any_event_is_once", cases(20), |case| {
        let mut drawn = case.draw();
        let one = outcome(&drawn, &drawn.in_order(), 1_000);
        let mut order = Vec::new();
        for event in drawn.in_order() {
            (0..=drawn.rng.below(3)).for_each(|_| order.push(event));
        }
        drawn.rng.shuffle(&mut order);
        prop_assert_eq!(one, outcome(&drawn, &order, 7));
        Ok(())
    });
}
