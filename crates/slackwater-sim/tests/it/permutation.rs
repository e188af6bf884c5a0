//! Order, threads, batches and shards change nothing.

use slackwater_sim::adversary::Size;
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use slackwater_sim::trial::{Arranged, Outcome, Trial, guarded};

const TEST: &str = "any_order_in_any_arrangement_gives_one_root";
/// Full figure of orders.
const ORDERS: usize = 1_000;
/// Orders of one world, before the next is drawn.
const ORDERS_OF_A_WORLD: usize = 50;

#[test]
fn any_order_in_any_arrangement_gives_one_root() {
    let all = Arranged::all();
    let orders = effort::share(ORDERS);
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
