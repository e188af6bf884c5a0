//! Order, threads, batches and shards change nothing.

use slackwater_sim::adversary::Size;
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use slackwater_sim::trial::{Arranged, Outcome, Trial, guarded};
use std::collections::BTreeMap;

const TEST: &str = "any_order_in_any_arrangement_gives_one_root";
/// Full figure of orders.
const ORDERS: usize = 1_000;
/// Orders that run in every arrangement.
const IN_FULL: usize = 30;
/// Orders of one world, before the next is drawn.
const ORDERS_OF_A_WORLD: usize = 50;

#[test]
fn any_order_in_any_arrangement_gives_one_root() {
    let all = Arranged::all();
    let (orders, in_full) = (effort::share(ORDERS), effort::share(IN_FULL));
    let mut runs: BTreeMap<usize, usize> = BTreeMap::new();
    let mut folded = 0;
    for world in 0..orders.div_ceil(ORDERS_OF_A_WORLD) {
        let seed = effort::asked_seed().unwrap_or(1_000 + world as u64);
        let size = Size { sources: 2, pipelines: 3, events: 400, positions: false };
        let trial = Trial::draw(seed, size);
        let mut rng = Rng::new(seed);
        let mut first: Option<Outcome> = None;
        for number in world * ORDERS_OF_A_WORLD..orders.min((world + 1) * ORDERS_OF_A_WORLD) {
            let mut order = trial.order();
            rng.shuffle(&mut order);
            // Those that run in every arrangement are spread over the worlds.
            let full = number % orders.div_ceil(in_full) == 0;
            let one = number % all.len();
            for (place, arranged) in all.iter().enumerate().filter(|(place, _)| full || *place == one) {
                let outcome = guarded(seed, "it", TEST, || {
                    let outcome = trial.check(&order, *arranged)?;
                    let first = first.get_or_insert(outcome.clone());
                    let same = format!("order {number}, {arranged:?}: {outcome:?}, and {first:?} before");
                    if outcome == *first { Ok(outcome) } else { Err(same) }
                });
                outcome.unwrap_or_else(|text| panic!("{text}"));
                *runs.entry(place).or_default() += 1;
                folded += 1;
            }
        }
    }
    let least = runs.values().min().copied().unwrap_or(0);
    assert!(
        runs.len() == all.len() && least >= effort::share(ORDERS / 20),
        "every arrangement runs many orders: {runs:?}"
    );
    effort::print(&format!("permutations orders={orders} arrangements={} runs={folded} roots=1 mismatch=0", all.len()));
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
