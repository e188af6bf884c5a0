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

/// Sessions of trades, and one pipeline of minutes that lets some of their keys pass only.
const SESSIONS: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
version = "v"
op = "op"
idle_after = "500ms"
[source.trades.fields]
id = "u64"
v = "u64?"
op = "string?"
symbol = "string"
ts = "timestamp_s"
[pipeline.visits]
sql = "SELECT symbol, count(*) AS trades, max(id) AS newest FROM trades GROUP BY symbol, session(ts, INTERVAL '20 seconds') HAVING count(*) > 1"
"#;

#[test]
fn sealed_sessions_leave_memory_and_come_back_as_if_they_had_stayed() {
    let event = |id: u64, symbol: &str, at: u64, more: &str| {
        format!("{{\"id\":{id},\"symbol\":\"{symbol}\",\"ts\":{}{more}}}\n", 1_700_000_000 + at)
    };
    // Sessions of three facts, ten seconds from one to the next, and forty from one session to the next.
    let mut events = String::new();
    for session in 0..400 {
        (0..3).for_each(|n| {
            events.push_str(&event(session * 3 + n, ["A", "B"][(session % 2) as usize], session * 60 + n * 10, ""))
        });
    }
    let mut late = String::new();
    for session in (0..300u64).step_by(6) {
        let (at, id) = (session * 60, 10_000 + session * 10);
        // One that ties two of A together, one that is alone, one that carries a session of B on, and one that parts it.
        (1..5).for_each(|n| late.push_str(&event(id + n, "A", at + 20 + n * 19, "")));
        late.push_str(&event(id + 6, "A", at + 230, ""));
        late.push_str(&event(id + 7, "B", at + 95, ""));
        late.push_str(&event((session + 3) * 3 + 1, "B", at + 190, ",\"v\":1,\"op\":\"retract\""));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let live = open(SESSIONS, folder.path(), 20);
    push(&live, &events, 30);
    let expected = folded(SESSIONS, &events);
    assert_alike(&settled(&live, &expected), &expected, "sealed");
    // So many windows as are room for, and those that came since the last tick.
    let patience = Stopwatch::start();
    while live.board().standing().windows > 20 && patience.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(live.board().standing().windows <= 20, "{} windows are in memory", live.board().standing().windows);
    let middle = late.match_indices('\n').nth(170).expect("a line").0 + 1;
    push(&live, &late[..middle], 7);
    stopped(&live);
    let live = open(SESSIONS, folder.path(), 3);
    push(&live, &late[middle..], 7);
    let expected = folded(SESSIONS, &format!("{events}{late}"));
    assert_alike(&settled(&live, &expected), &expected, "after what was late");
    stopped(&live);
}
