//! Time: what seals, what holds a watermark, and what moves none.

use super::{bare, config, open, push, quick, stopped};
use crate::durable::CONFIG;
use crate::program::Place;
use slackwater::decode::{Chunk, Decoder};
use slackwater::face::api::live::Live;
use slackwater::runtime::board::News;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::instance::Settings;
use slackwater_core::delta::Cause;
use slackwater_core::fold::{Final, Settled};
use slackwater_core::input::{Input, Tick};
use slackwater_core::machine::Machine;
use slackwater_core::memory::Memory;
use slackwater_store::store::Ask;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A source with two origins, one-second windows.
const ORIGINS: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
lag = "0s"
idle_after = "IDLE"
max_future = "5m"
[source.trades.fields]
id = "u64"
venue = "string"
ts = "timestamp_ms"
[pipeline.seconds]
sql = "SELECT count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 second')"
"#;

fn event(id: u64, venue: &str, ms: i64) -> String {
    format!("{{\"id\":{id},\"venue\":\"{venue}\",\"ts\":{ms}}}\n")
}

fn now_ms() -> i64 {
    Clock::start().now() / 1_000_000
}

/// Waits for the next commit that brings finals.
fn next_finals(told: &Receiver<Arc<News>>) -> Vec<Final> {
    next_commit(told).1
}

/// The same, with the time of its tick.
fn next_commit(told: &Receiver<Arc<News>>) -> (i64, Vec<Final>) {
    loop {
        if let News::Committed { finals, at, .. } = &*told.recv().expect("news")
            && !finals.is_empty()
        {
            return (*at, finals.clone());
        }
    }
}

#[test]
fn a_quiet_service_closes_its_last_window_with_no_further_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(&ORIGINS.replace("IDLE", "50ms"), folder.path());
    let start = now_ms();
    push(&live, &[event(1, "X", start), event(2, "Y", start + 1)].concat(), 2);
    let (at, finals) = next_commit(&told);
    assert_eq!((finals[0].generation, finals[0].cause), (1, Cause::Seal));
    assert!(i128::from(at) >= finals[0].window.end, "no window is sealed before it is over");
    stopped(&live);
}

#[test]
fn an_origin_that_lags_holds_the_watermark_until_it_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(&ORIGINS.replace("IDLE", "1h"), folder.path());
    let old = now_ms() - 100_000;
    push(&live, &[event(1, "X", old), event(2, "Y", old)].concat(), 2);
    push(&live, &event(3, "X", old + 50_000), 1);
    // Ticks come and go, and Y holds them all.
    let mut ticks = 0;
    while ticks < 5 {
        if let News::Committed { finals, settled, .. } = &*told.recv().expect("news") {
            assert!(finals.is_empty() && settled[0] <= Settled::Until(old * 1_000_000));
            ticks += 1;
        }
        push(&live, &event(3, "X", old + 50_000), 1);
    }
    push(&live, &event(4, "Y", old + 2_000), 1);
    let finals = next_finals(&told);
    assert_eq!(finals.len(), 1);
    assert_eq!(finals[0].values[0], slackwater_core::value::Value::I64(2).to_scalar());
    stopped(&live);
}

/// An origin that hands in what somebody else saw long ago, and said so.
#[test]
fn who_is_heard_now_is_not_idle_however_old_what_it_hands_in_is() {
    let text = ORIGINS.replace("IDLE", "1s").replace("origin = ", "arrival = \"seen\"\norigin = ");
    let text = text.replace("ts = \"timestamp_ms\"", "ts = \"timestamp_ms\"\nseen = \"timestamp_ms\"");
    let config = config(&text);
    let (second, now) = (1_000_000_000, 1_000_000_000_000);
    let mut decoder = Decoder::new(&config.plan.sources[0], config.sources[0].format);
    let mut taken_in = |at: i64, id: u64, ms: i64| {
        let bytes = format!("{{\"id\":{id},\"venue\":\"X\",\"ts\":{ms},\"seen\":{ms}}}\n").into_bytes();
        let chunk = Chunk { source: 0, part: "p".into(), offset: 0, line: 1, bytes, header: None, arrival: Some(at) };
        Input::Events(decoder.decode(&chunk))
    };
    let (mut machine, mut memories) = (Machine::new(&config.plan, 1, 1), [Memory::new()]);
    let mut sealed = |input: &Input| machine.step(&config.plan, input, &mut memories).finals.len();
    let tick = |at: i64| Input::Tick(Tick { at, caught_up: vec![0] });
    // All that there was is read at every tick, and something more comes all the time.
    for beat in 0..20 {
        let at = now + beat * second / 2;
        assert_eq!(sealed(&taken_in(at, beat as u64, 5_000 + beat)), 0);
        assert_eq!(sealed(&tick(at + second / 4)), 0, "at beat {beat}");
    }
    // Its silence counts from when it was heard last.
    let last = now + 19 * second / 2;
    assert_eq!(sealed(&tick(last + second - 1)), 0);
    assert_eq!(sealed(&tick(last + second)), 1);
}

#[test]
fn a_lag_that_is_changed_counts_from_the_next_tick_on_and_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = ORIGINS.replace("IDLE", "1h").replace("lag = \"0s\"", "lag = \"1h\"");
    let (live, told) = open(&slow, folder.path());
    let old = now_ms() - 100_000;
    push(&live, &[event(1, "X", old), event(2, "X", old + 50_000)].concat(), 1);
    let knobs = |text: &str| config(text).plan.sources.into_iter().map(|source| source.knobs).collect::<Vec<_>>();
    let guards = || live.plan().sources.iter().map(|source| source.guards.clone()).collect::<Vec<_>>();
    live.tune(Vec::new(), Vec::new()).expect_err("of no source");
    live.tune(knobs(&ORIGINS.replace("IDLE", "1h")), guards()).expect("recorded");
    let finals = next_finals(&told);
    assert_eq!((finals.len(), finals[0].generation, finals[0].cause), (1, 1, Cause::Seal));
    // With the longer lag again nothing new seals, and nothing that is sealed opens.
    live.tune(knobs(&slow), guards()).expect("recorded");
    push(&live, &event(3, "X", old + 90_000), 1);
    live.stop();
    live.wait().expect("a clean stop");
    let without_store = |name: &str| std::fs::remove_file(folder.path().join(name)).expect("removed");
    let before = live.query(0, &Ask::default()).expect("rows");
    ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"]
        .into_iter()
        .filter(|name| folder.path().join(name).exists())
        .for_each(without_store);
    std::fs::remove_dir_all(folder.path().join("checkpoint")).expect("removed");
    let (again, _told) = open(&slow, folder.path());
    let after = stopped(&again);
    assert_eq!(before.iter().filter(|row| row.generation > 0).count(), 1);
    super::assert_alike(&after, &before, "from the journal alone");
}

#[test]
fn a_clock_that_runs_ahead_moves_no_watermark_past_the_present() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(&ORIGINS.replace("IDLE", "1h"), folder.path());
    let ahead = now_ms() + 299_000;
    let receipts = push(&live, &[event(1, "X", ahead), event(2, "X", ahead + 60_000)].concat(), 2);
    assert_eq!((receipts[0].counts.facts, receipts[0].counts.refused()), (1, 1), "one is too far ahead of its arrival");
    loop {
        if let News::Committed { settled, at, .. } = &*told.recv().expect("news") {
            assert!(settled[0] <= Settled::Until(*at));
            break;
        }
    }
    stopped(&live);
}

#[test]
fn a_late_fact_makes_a_generation_and_touches_nothing_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(&ORIGINS.replace("IDLE", "1h"), folder.path());
    let old = (now_ms() - 100_000) / 1_000 * 1_000;
    push(&live, &event(1, "X", old), 1);
    push(&live, &event(2, "X", old + 5_000), 1);
    let first = next_finals(&told);
    push(&live, &event(3, "X", old + 1), 1);
    let second = next_finals(&told);
    assert_eq!((first[0].generation, second[0].generation, second[0].cause), (1, 2, Cause::Late));
    assert_eq!(first[0].window, second[0].window);
    stopped(&live);
}

#[test]
fn a_directory_of_finite_inputs_is_refused() {
    let place = Place::with(CONFIG);
    place.write("in.ndjson", crate::durable::trades(0, 10));
    let args = ["fold", "-c", "c.toml", "--input", "trades=in.ndjson", "--out", "out.ndjson", "--data", "data"];
    let ran = place.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let live = Live::open(config(CONFIG), &place.path("data"), quick());
    assert!(live.expect_err("refused").to_string().contains("filled by `fold`"));
}

#[test]
fn who_stops_in_a_silence_leaves_a_checkpoint_of_the_last_tick() {
    let by_wall_clock = ORIGINS.replace("idle_after = \"IDLE\"", "watermark = \"wall_clock\"");
    for text in [by_wall_clock, ORIGINS.replace("IDLE", "50ms")] {
        let folder = tempfile::tempdir().expect("a folder");
        let (live, told) = open(&text, folder.path());
        push(&live, &event(1, "X", now_ms() + 100), 1);
        next_commit(&told);
        // Ticks are left out, and a checkpoint is due again.
        std::thread::sleep(std::time::Duration::from_millis(300));
        stopped(&live);
        let replayed =
            bare(&text, folder.path(), (Settings::of_threads(1), Clock::start()), |_, reopened| reopened.replayed);
        assert_eq!(replayed, 0, "{text}");
    }
}

#[test]
fn the_directory_of_a_service_is_not_folded_into() {
    let place = Place::with(CONFIG);
    let live = Live::open(config(CONFIG), &place.path("data"), quick()).expect("opened");
    push(&live, &crate::durable::trades(0, 10), 10);
    let rows = stopped(&live);
    place.write("in.ndjson", crate::durable::trades(10, 10));
    let args = ["fold", "-c", "c.toml", "--input", "trades=in.ndjson", "--out", "out.ndjson", "--data", "data"];
    // A file of this configuration is another kind of source, and no other plan.
    let ran = place.run(&args);
    assert!(ran.code != 0 && ran.err.contains("that of a service"), "{}", ran.err);
    let again = Live::open(config(CONFIG), &place.path("data"), quick()).expect("the service goes on");
    super::assert_alike(&stopped(&again), &rows, "nothing has changed");
}

#[test]
fn an_old_generation_is_not_the_newest_where_a_bar_has_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let bars = "SELECT count(*) AS trades FROM trades GROUP BY tick_bar(2)";
    let text = ORIGINS.replace("IDLE", "1h");
    let text = text.replace("SELECT count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 second')", bars);
    let (live, told) = open(&text, folder.path());
    let old = (now_ms() - 100_000) / 1_000 * 1_000;
    push(&live, &[event(1, "X", old + 1_000), event(2, "X", old + 2_000), event(3, "X", old + 9_000)].concat(), 3);
    let first = next_finals(&told);
    push(&live, &event(4, "X", old + 500), 1);
    let second = next_finals(&told);
    assert!(first[0].window.start > second[0].window.start, "the late fact is the first of the bar now");
    let from = Ask { from: Some(first[0].window.start), ..Ask::default() };
    let kept = live.query(0, &from).expect("rows");
    assert!(kept.iter().all(|row| row.bar.expect("a bar").ordinal > 0), "{kept:?}");
    stopped(&live);
}
