//! A running instance that keeps facts for a time only.

use super::{assert_alike, config, folded, open, push, quick, stopped};
use crate::durable::retained::{STEP, keeping, trade};
use crate::durable::trades_every;
use slackwater::face::api::live::Live;
use slackwater_core::cutoff::Cutoff;
use std::time::Duration;

/// Waits until the source is cut off, and gives where.
fn cut_off(live: &Live) -> Cutoff {
    loop {
        if let Some(cutoff) = live.board().standing().sources[0].cutoff {
            return cutoff;
        }
        live.push("trades", None, b"nonsense\n".to_vec()).expect("taken in");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_running_instance_is_cut_off_and_stays_so_across_a_restart() {
    let (text, events) = (keeping("keep_facts = \"3d\""), trades_every(STEP, 0, 3_000));
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(&text, folder.path());
    push(&live, &events, 6_000);
    let cutoff = cut_off(&live);
    assert!(cutoff.facts <= cutoff.events && cutoff.lets_go());
    // New and too old; a correction of what is gone; and the first of all again.
    let beyond = trade(20_000, 0, 1.0, 7) + &trade(1, 9, 1.0, 8);
    let counts = push(&live, &beyond, 10).remove(0).counts;
    assert_eq!((counts.received, counts.beyond_retention, counts.facts), (2, 2, 0));
    assert!(counts.balances());
    let again = push(&live, &trades_every(STEP, 0, 1), 10).remove(0).counts;
    assert_eq!((again.duplicates, again.beyond_retention), (again.received, 0));
    stopped(&live);
    let live = Live::open(config(&text), folder.path(), quick()).expect("opened");
    assert!(live.board().standing().sources[0].cutoff.is_some_and(|now| now.events >= cutoff.events));
    let counts = push(&live, &beyond, 10).remove(0).counts;
    assert_eq!((counts.beyond_retention, counts.facts), (2, 0));
    let counts = live.board().standing().sources[0].counts.clone();
    assert!(counts.balances());
    assert_alike(&stopped(&live), &folded(&text, &events), "what is set aside is in no row");
}
