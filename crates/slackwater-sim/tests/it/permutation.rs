//! Order, threads, batches and shards change nothing.

use slackwater_sim::adversary::Size;
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use slackwater_sim::trial::{Arranged, Outcome, Trial, guarded};
use slackwater_sim::world::Windows;
use std::collections::BTreeMap;

const TEST: &str = "any_order_in_any_arrangement_gives_one_root";
/// Full figure of orders.
const ORDERS: usize = 1_000;
/// Worlds that share the orders: enough for every kind of window.
const WORLDS: usize = 20;

#[test]
fn any_order_in_any_arrangement_gives_one_root() {
    let all = Arranged::all();
    let orders = effort::share(ORDERS);
    let mut folded = 0;
    let mut kinds: BTreeMap<&str, usize> = Windows::KINDS.map(|kind| (kind, 0)).into();
    for world in 0..WORLDS {
        let seed = effort::asked_seed().unwrap_or(1_000 + world as u64);
        let size = Size { sources: 2, pipelines: 3, events: 400, positions: false };
        let trial = Trial::draw(seed, size);
        let mut rng = Rng::new(seed);
        for pipeline in &trial.world.stage.pipelines {
            *kinds.get_mut(pipeline.windows.kind()).expect("a known kind") += 1;
        }
        let mut first: Option<Outcome> = None;
        for number in world * orders / WORLDS..(world + 1) * orders / WORLDS {
            let mut order = trial.order();
            rng.shuffle(&mut order);
            for arranged in &all {
                let outcome = guarded(seed, "it", TEST, || {
                    let outcome = trial.check(&order, *arranged)?;
                    let first = first.get_or_insert(outcome.clone());
                    let same = format!("order {number}, {arranged:?}: {outcome:?}, and {first:?} before");
                    if outcome == *first { Ok(outcome) } else { Err(same) }
                });
                outcome.unwrap_or_else(|text| panic!("{text}"));
                folded += 1;
            }
        }
    }
    assert_eq!((all.len(), folded), (18, orders * 18), "every order ran in every arrangement");
    let counted: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
    effort::print(&format!(
        "permutations orders={orders} arrangements={} runs={folded} roots=1 mismatch=0 {}",
        all.len(),
        counted.join(" ")
    ));
    if effort::asked_seed().is_none() {
        assert!(kinds.values().all(|count| *count > 0), "every kind of window was folded: {kinds:?}");
    }
}

#[test]
fn batches_of_thousands_give_the_same_root() {
    let size = Size { sources: 1, pipelines: 2, events: 9_000, positions: false };
    let seed = effort::asked_seed().unwrap_or(77);
    let trial = Trial::draw(seed, size);
    let mut rng = Rng::new(seed);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for arranged in Arranged::all().into_iter().filter(|arranged| arranged.batch > 1) {
        let mut order = trial.order();
        rng.shuffle(&mut order);
        let checked = guarded(seed, "it", "batches_of_thousands_give_the_same_root", || trial.check(&order, arranged));
        outcomes.push(checked.unwrap_or_else(|text| panic!("{text}")));
    }
    outcomes.dedup();
    assert_eq!(outcomes.len(), 1, "one outcome: {outcomes:?}");
}
