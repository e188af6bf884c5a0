//! A running instance through its embedded interface: what it shows is what a fold of the same events gives.

mod answers;
mod cut_off;
mod followed;
mod halted;
mod holding;
mod killed;
mod later_on;
mod memory;
mod panicked;
mod time;
mod worn;

use crate::durable::{CONFIG, trades};
use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::face::api::live::{Live, Options, PushError};
use slackwater::face::config::{self, Config};
use slackwater::face::home;
use slackwater::runtime::board::News;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::desk::Receipt;
use slackwater::runtime::engine::{self, Arrangement};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Opening, Reopened};
use slackwater::runtime::service::Pace;
use slackwater_core::fold::Final;
use slackwater_store::store::Ask;
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A configuration of a service.
pub fn config(text: &str) -> Config {
    config::load(&text.replace(r#"kind = "files""#, r#"kind = "http""#), "test.toml").expect("a sound configuration")
}

/// Everything happens as often as it can.
pub fn quick() -> Options {
    let (tick, publish, checkpoint) = (Duration::from_millis(2), Duration::from_millis(1), Duration::from_millis(20));
    let pace = Pace { tick, publish, checkpoint, bytes: 1 << 20 };
    Options { threads: 2, pace, ..Options::default() }
}

/// A running instance, and its news.
pub fn open(text: &str, data: &Path) -> (Live, Receiver<Arc<News>>) {
    let live = Live::open(config(text), data, quick()).expect("opened");
    let (news, told) = mpsc::channel();
    live.subscribe(Box::new(move |new| drop(news.send(new.clone()))));
    (live, told)
}

/// The instance of a directory without the service around it, under another clock or other settings.
pub fn bare<T>(
    text: &str,
    data: &Path,
    (settings, clock): (Settings, Clock),
    work: impl FnOnce(&mut Instance<'_>, &Reopened) -> T,
) -> T {
    let config = config(text);
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    let plan = Arc::new(config.plan.clone());
    let opening = Opening {
        plan: &plan,
        formats: &formats,
        settings,
        disk: Arc::new(home::lock_soon(data).expect("nobody has it")),
        store: &mut |keep| home::open_store(data, &plan, keep),
        clock,
        name: [7; 16],
    };
    let (mut instance, opened) = Instance::open(opening, &Gauge::default()).expect("opened");
    work(&mut instance, &opened)
}

/// Events in batches of so many lines, pushed one after the other.
pub fn push(live: &Live, events: &str, lines: usize) -> Vec<Receipt> {
    let lines_of = |chunk: &[&str]| chunk.concat().into_bytes();
    let all: Vec<&str> = events.split_inclusive('\n').collect();
    all.chunks(lines).map(|chunk| live.push("trades", None, lines_of(chunk)).expect("taken in")).collect()
}

/// What a fold of the same events gives.
pub fn folded(text: &str, events: &str) -> Vec<Final> {
    let config = config(text);
    let format = config.sources[0].format;
    let schema = &config.plan.sources[0].schema;
    let feed =
        FileChunks::from_reader(0, format, "events", schema, Cursor::new(events.to_string()), 1 << 16).expect("a feed");
    let arrangement = Arrangement::of_threads(1);
    let quiet = |_: &[_]| Ok::<_, InputError>(());
    engine::fold(&config.plan, &[format], vec![feed], arrangement, &Gauge::default(), quiet).expect("folded").finals
}

/// Stops it, and gives everything that it had: finals, and what still moved.
pub fn stopped(live: &Live) -> Vec<Final> {
    live.stop();
    live.wait().expect("a clean stop");
    let pipelines = 0..live.plan().pipelines.len() as u16;
    pipelines.flat_map(|pipeline| live.query(pipeline, &Ask::default()).expect("rows")).collect()
}

/// Bytes as outputs write them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rows say the same, whatever their tiers are.
pub fn assert_alike(rows: &[Final], expected: &[Final], when: &str) {
    let said =
        |rows: &[Final]| -> BTreeSet<(u16, [u8; 32])> { rows.iter().map(|row| (row.pipeline, row.digest)).collect() };
    let (mine, theirs) = (said(rows), said(expected));
    let extra = rows.iter().find(|row| !theirs.contains(&(row.pipeline, row.digest)));
    let missing = expected.iter().find(|row| !mine.contains(&(row.pipeline, row.digest)));
    assert!(extra.is_none() && missing.is_none(), "{when}:\n{extra:?}\n{missing:?}");
    assert_eq!(rows.len(), expected.len(), "{when}: no row twice");
}

#[test]
fn what_it_shows_is_what_a_fold_of_the_same_events_gives() {
    let events = trades(0, 3_000);
    let expected = folded(CONFIG, &events);
    for lines in [1_000, 113, 7] {
        let folder = tempfile::tempdir().expect("a folder");
        let (live, _told) = open(CONFIG, folder.path());
        let receipts = push(&live, &events, lines);
        let received: u64 = receipts.iter().map(|receipt| receipt.counts.received).sum();
        assert_eq!(received, events.lines().count() as u64);
        assert!(receipts.iter().all(|receipt| receipt.counts.balances() && !receipt.repeated));
        let rows = stopped(&live);
        assert!(rows.iter().any(|row| row.generation == 0) && rows.iter().any(|row| row.generation > 0));
        assert_alike(&rows, &expected, &format!("in batches of {lines}"));
        let standing = live.board().standing();
        assert_eq!(standing.sources[0].counts.received, received);
        assert!(standing.sources[0].counts.balances());
    }
}

#[test]
fn news_are_told_in_order_and_miss_nothing() {
    let events = trades(0, 2_000);
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(CONFIG, folder.path());
    push(&live, &events, 97);
    stopped(&live);
    let mut heard = Vec::new();
    let mut last = 0;
    for news in told.try_iter() {
        if let News::Committed { tick, finals, .. } = &*news {
            assert!(*tick > last, "ticks in order");
            last = *tick;
            assert!(finals.is_sorted_by(|a, b| a.order(b).is_lt()), "rows in output order");
            heard.extend(finals.iter().cloned());
        }
    }
    let all = Ask { generations: true, ..Ask::default() };
    let kept = (0..3).flat_map(|pipeline| live.query(pipeline, &all).expect("rows"));
    let kept: Vec<Final> = kept.filter(|row| row.generation > 0).collect();
    assert!(!kept.is_empty());
    assert_alike(&heard, &kept, "all generations");
}

#[test]
fn an_unknown_source_and_a_stopped_instance_take_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, _told) = open(CONFIG, folder.path());
    assert!(matches!(live.push("quotes", None, Vec::new()), Err(PushError::NoSource(_))));
    live.stop();
    live.wait().expect("a clean stop");
    assert!(matches!(live.push("trades", None, b"{}".to_vec()), Err(PushError::Declined(_))));
    assert!(Live::open(config(CONFIG), folder.path(), quick()).is_ok(), "the lock is free again");
}
