//! scratch
use slackwater_sim::adversary::{self, Size};
#[test]
fn dump() {
    let size = Size { sources: 2, pipelines: 3, events: 60, positions: true };
    let w = adversary::draw(slackwater_sim::effort::asked_seed().unwrap_or(1), size);
    println!("{}", adversary::config(&w.stage));
}
