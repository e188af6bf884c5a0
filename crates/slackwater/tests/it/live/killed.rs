//! What is there after a stop at any time: all that was answered, once.

use super::{assert_alike, folded, open, push, stopped};
use crate::durable::{CONFIG, trades};

#[test]
fn an_instance_that_is_stopped_again_and_again_ends_as_one_that_never_was() {
    let events = trades(0, 2_400);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let folder = tempfile::tempdir().expect("a folder");
    for piece in lines.chunks(lines.len() / 6 + 1) {
        let (live, _told) = open(CONFIG, folder.path());
        push(&live, &piece.concat(), 61);
        stopped(&live);
    }
    let (live, _told) = open(CONFIG, folder.path());
    // And all of it once more.
    let receipts = push(&live, &events, 500);
    assert_eq!(receipts.iter().map(|receipt| receipt.counts.facts).sum::<u64>(), 0);
    assert_alike(&stopped(&live), &folded(CONFIG, &events), "stopped again and again");
}
