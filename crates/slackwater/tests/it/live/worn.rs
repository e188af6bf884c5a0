//! A running instance over a journal that is damaged where a checkpoint covers it.

use super::{assert_alike, config, folded, open, push, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::Live;
use std::fs;
use std::path::{Path, PathBuf};

/// A byte of the first frame: behind the header of the segment.
const WORN: usize = 64 + 10;

fn segments(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder.join("journal")).expect("a journal");
    let mut found: Vec<PathBuf> = found.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

#[test]
fn a_running_instance_goes_on_over_damage_that_nothing_needs_and_says_so() {
    let (text, first, more) = (CONFIG, trades(0, 2_000), trades(2_000, 500));
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(text, folder.path());
    push(&live, &first, 300);
    assert_eq!(live.board().standing().damaged, 0);
    stopped(&live);
    let journal = segments(folder.path()).remove(0);
    let mut bytes = fs::read(&journal).expect("a segment");
    bytes[WORN] ^= 1;
    fs::write(&journal, &bytes).expect("damaged");
    let live = Live::open(config(text), folder.path(), quick()).expect("opened");
    assert_eq!(live.board().standing().damaged, 1);
    push(&live, &more, 300);
    stopped(&live);
    assert_eq!(fs::read(&journal).expect("a segment"), bytes, "it is never written to");
    let live = Live::open(config(text), folder.path(), quick()).expect("opened");
    assert_eq!(live.board().standing().damaged, 1);
    assert_alike(&stopped(&live), &folded(text, &(first + &more)), "nothing is lost");
}
