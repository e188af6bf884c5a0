//! An instance that has room for a few windows only: what it shows does not depend on what lies in memory.

use super::{Live, assert_alike, config, folded, push, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::Options;
use slackwater::runtime::clock::Stopwatch;
use slackwater_core::fold::Final;
use slackwater_store::store::Ask;
use std::path::Path;
use std::time::Duration;

/// Nobody is waited for.
fn soon(text: &str) -> String {
    text.replace("[source.trades.fields]", "idle_after = \"500ms\"\n\n[source.trades.fields]")
}

fn open(text: &str, data: &Path, windows: usize) -> Live {
    Live::open(config(text), data, Options { windows, ..quick() }).expect("opened")
}

fn rows(live: &Live) -> Vec<Final> {
    let pipelines = 0..live.plan().pipelines.len() as u16;
    pipelines.flat_map(|pipeline| live.query(pipeline, &Ask::default()).expect("rows")).collect()
}

/// Waits until everything that came is sealed and shows. A bar that nothing closed never seals.
fn settled(live: &Live, expected: &[Final]) -> Vec<Final> {
    let patience = Stopwatch::start();
    loop {
        let rows = rows(live);
        let said = |row: &Final| expected.iter().any(|other| other.digest == row.digest);
        let done = rows.len() == expected.len()
            && rows.iter().all(|row| (row.generation > 0 || row.bar.is_some()) && said(row));
        if done || patience.elapsed() > Duration::from_secs(60) {
            return rows;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_it_shows_does_not_depend_on_how_much_lies_in_memory() {
    let text = soon(CONFIG);
    let (early, late) = (trades(0, 1_500), trades(1_500, 1_500));
    for windows in [0, 40] {
        let folder = tempfile::tempdir().expect("a folder");
        let live = open(&text, folder.path(), windows);
        push(&live, &early, 113);
        let expected = folded(&text, &early);
        assert_alike(&settled(&live, &expected), &expected, "the first half");
        // What sealed and left is touched again, before and behind a restart with other room.
        let middle = late.match_indices('\n').nth(700).expect("a line").0 + 1;
        push(&live, &late[..middle], 50);
        stopped(&live);
        let live = open(&text, folder.path(), 3);
        push(&live, &late[middle..], 50);
        let expected = folded(&text, &format!("{early}{late}"));
        assert_alike(&settled(&live, &expected), &expected, "everything");
        assert!(rows(&live).iter().any(|row| row.generation > 1), "sealed rows have changed");
        stopped(&live);
    }
}
