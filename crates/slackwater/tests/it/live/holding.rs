//! A running instance whose source holds what is late.

use super::{assert_alike, config, folded, open, push, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::Live;
use slackwater_core::delta::Cause;
use slackwater_core::fold::Final;
use slackwater_core::hold::Release;
use slackwater_store::store::Ask;
use std::path::Path;
use std::time::Duration;

const EVERYTHING: Release = Release { source: 0, pipeline: None, identity: None };

fn holding() -> String {
    CONFIG.replace("op = \"op\"\n", "op = \"op\"\nlate = \"hold\"\n")
}

fn history(live: &Live) -> Vec<Final> {
    let all = Ask { generations: true, ..Ask::default() };
    let rows = (0..3).flat_map(|pipeline| live.query(pipeline, &all).expect("rows"));
    rows.filter(|row| row.generation > 0).collect()
}

/// Waits until a tick has passed behind everything that came.
fn ticked(live: &Live) {
    let ticks = live.board().standing().ticks;
    live.push("trades", None, b"nonsense\n".to_vec()).expect("taken in");
    while live.board().standing().ticks <= ticks + 1 {
        live.push("trades", None, b"nonsense\n".to_vec()).expect("taken in");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn reopened(data: &Path) -> Live {
    Live::open(config(&holding()), data, quick()).expect("opened")
}

#[test]
fn a_running_instance_holds_what_is_late_until_it_is_released_also_across_a_restart() {
    let events = trades(0, 2_000);
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(&holding(), folder.path());
    // The second half first, so that most of the first is late.
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    push(&live, &second.concat(), 200);
    ticked(&live);
    let sealed = history(&live);
    push(&live, &first.concat(), 97);
    ticked(&live);
    let held = live.board().standing().sources[0].held;
    assert!(held > 500, "{held} are held");
    let late = |rows: &[Final]| rows.iter().filter(|row| row.cause == Cause::Late && row.generation > 1).count();
    assert!(sealed.iter().all(|row| history(&live).contains(row)), "what was sealed is as it was");
    assert_eq!(live.store().expect("a store").held(None).expect("held").len() as u64, 3 * held, "in every pipeline");
    stopped(&live);
    let live = reopened(folder.path());
    assert_eq!(live.board().standing().sources[0].held, held, "a restart releases nothing");
    assert_eq!(late(&history(&live)), 0, "nothing late has moved a sealed row");
    assert_eq!(live.release(EVERYTHING).expect("recorded"), 3 * held);
    stopped(&live);
    let live = reopened(folder.path());
    assert_eq!((live.board().standing().sources[0].held, live.release(EVERYTHING)), (0, Ok(0)));
    assert!(history(&live).iter().any(|row| row.cause == Cause::Release));
    let counts = live.board().standing().sources[0].counts.clone();
    assert!(counts.balances());
    let rows = stopped(&live);
    assert_alike(&rows, &folded(&holding(), &events), "after the release");
}
