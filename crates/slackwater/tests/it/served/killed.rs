//! The shipped binary, killed again and again while four senders send through a link that breaks: what was acknowledged is
//! there once, and what was final moves only with a generation.

use super::link::Link;
use super::{Service, place_of, poster, ready, rows, start};
use crate::durable::{CONFIG, trades_every};
use crate::program::Place;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Lines of one delivery.
const BATCH: usize = 500;

/// Milliseconds of event time from one trade to the next: ten times the usual ones, and the windows are ten times as long. A
/// million trades then fill many days, at each of which bars begin anew: what comes late cuts one day's bars again.
const STEP: u64 = 4_000;

fn config() -> String {
    let days = [
        ("kind = \"files\"", "kind = \"http\""),
        ("INTERVAL '1 minute'", "INTERVAL '10 minutes'"),
        ("INTERVAL '20 seconds'", "INTERVAL '50 seconds'"),
        ("volume_bar(size, 500)", "volume_bar(size, 2000, 'split', 'day UTC')"),
    ];
    days.iter().fold(CONFIG.to_string(), |config, (usual, here)| {
        assert!(config.contains(usual));
        config.replace(usual, here)
    })
}

/// Every generation of every row that was ever seen, and its digest.
type Told = BTreeMap<(String, u64), String>;

/// What is sent: a share of it for each kill, so that kills meet a service at work from the first event to the last.
struct Course {
    batches: Vec<String>,
    next: AtomicUsize,
    /// How many deliveries may be sent by now.
    open: AtomicUsize,
    /// How many are being sent, and how many were acknowledged.
    underway: AtomicUsize,
    answered: AtomicUsize,
    acknowledged: AtomicU64,
}

impl Course {
    fn of(lines: &[&str]) -> Course {
        let mut batches: Vec<String> = lines.chunks(BATCH).map(|chunk| chunk.concat()).collect();
        // Out of order, and also over kills: much of it comes when its windows are sealed.
        for eight in batches.chunks_exact_mut(8) {
            [(0, 3), (1, 6), (2, 7), (4, 5)].iter().for_each(|(one, other)| eight.swap(*one, *other));
        }
        let none = AtomicUsize::default;
        let acknowledged = AtomicU64::default();
        Course { batches, next: none(), open: none(), underway: none(), answered: none(), acknowledged }
    }

    /// The next delivery, if there is one, once it may be sent.
    fn next(&self) -> Option<(usize, &String)> {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        let batch = self.batches.get(number)?;
        while number >= self.open.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(2));
        }
        Some((number, batch))
    }

    /// Sends deliveries until there are no more, each until it is acknowledged, some of them again.
    fn send(&self, link: &Link, host: u16) {
        while let Some((number, batch)) = self.next() {
            self.underway.fetch_add(1, Ordering::AcqRel);
            let received = deliver(link, host, &format!("batch-{number}"), batch);
            self.acknowledged.fetch_add(received, Ordering::AcqRel);
            if number.is_multiple_of(10) {
                deliver(link, host, &format!("batch-{number}"), batch);
            }
            self.underway.fetch_sub(1, Ordering::AcqRel);
            self.answered.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Sends a delivery until it is acknowledged; gives how many events were.
fn deliver(link: &Link, host: u16, name: &str, batch: &str) -> u64 {
    loop {
        match poster::post((link.port, host), name, batch) {
            Ok((200, body)) => {
                let told: Value = serde_json::from_str(&body).expect("JSON");
                let received = told["received"].as_u64().expect("a count");
                assert_eq!(received, batch.lines().count() as u64, "{body}");
                return received;
            }
            Ok((429 | 500 | 503, _)) | Err(_) => std::thread::sleep(Duration::from_millis(5)),
            Ok((status, body)) => panic!("{status}: {body}"),
        }
    }
}

/// Reads all generations of all rows, and holds those that were seen before against them.
fn unchanged(place: &Place, told: &mut Told) -> usize {
    let mut changed = 0;
    for pipeline in ["minutes", "visits", "bars"] {
        let ran = place.run(&["query", pipeline, "--data", "data", "--generations", "--json"]);
        // Before the first commit there is nothing to be read.
        if ran.code != 0 {
            assert!(told.is_empty(), "{}", ran.err);
            return 0;
        }
        for line in ran.out.lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let name = ["pipeline", "symbol", "anchor", "bar"].map(|part| row[part].to_string()).join(" ");
            let start = if row["bar"].is_null() { row["window_start"].to_string() } else { String::new() };
            let key = (format!("{name} {start}"), row["generation"].as_u64().expect("a generation"));
            let digest = row["digest"].as_str().expect("a digest").to_string();
            changed += usize::from(told.insert(key, digest.clone()).is_some_and(|known| known != digest));
        }
    }
    changed
}

/// The status, once it shows so many events; or, if it never does, the last one. What is shown is a little older than what was
/// answered last.
pub fn published(port: u16, events: u64) -> (u64, Value) {
    let mut tries = 0;
    loop {
        let (_, status) = poster::get(port, "/v1/status").expect("an answer");
        let status: Value = serde_json::from_str(&status).expect("JSON");
        let received = status["sources"][0]["counts"]["received"].as_u64().unwrap_or_default();
        tries += 1;
        if received >= events || tries > 1_000 {
            return (received, status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a run of kills met.
#[derive(Default)]
struct Met {
    kills: usize,
    /// How many of them while something was being sent.
    at_work: usize,
    /// Connections that broke.
    links: u64,
    /// Rows that changed without a generation.
    changed: usize,
}

/// Kills the service so many times while deliveries are sent, and waits until all are acknowledged.
fn kill_meanwhile(place: &Place, (child, port): (&mut Service, u16), course: &Course, kills: usize) -> (Met, Told) {
    let (link, mut met, mut told) = (Link::to(port), Met::default(), Told::new());
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| course.send(&link, port))));
        while met.kills < kills {
            assert!(ready(child, port), "it starts again");
            // Whiles that are no multiples of anything, and then more or less of what it is given now.
            std::thread::sleep(Duration::from_millis(met.kills as u64 * 7_919 % 200));
            let [before, share] = [met.kills, met.kills + 1].map(|kill| course.batches.len() * kill / kills);
            course.open.store(share, Ordering::Release);
            while course.answered.load(Ordering::Acquire) < before + met.kills * 7_919 % (share - before) {
                assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis([3, 1, 2, 40][met.kills % 4]));
            met.at_work += usize::from(course.underway.load(Ordering::Acquire) > 0);
            child.kill().expect("a child");
            child.wait().expect("a child");
            met.kills += 1;
            if met.kills.is_multiple_of(5) {
                met.changed += unchanged(place, &mut told);
            }
            *child = start(place);
        }
    });
    met.links = link.broken();
    (met, told)
}

#[test]
fn acknowledged_events_survive_kills_and_broken_links() {
    let full = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    let (kills, count) = if full { (200, 950_000) } else { (20, 95_000) };
    let events = trades_every(STEP, 0, count);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let course = Course::of(&lines);
    let (place, port) = place_of(&config());
    let mut child = start(&place);
    let (met, mut told) = kill_meanwhile(&place, (&mut child, port), &course, kills);
    assert!(ready(&mut child, port));
    let acknowledged = course.acknowledged.into_inner();
    let (received, status) = published(port, acknowledged);
    let shown: BTreeSet<String> = ["minutes", "visits", "bars"]
        .iter()
        .flat_map(|pipeline| rows(port, pipeline, "all"))
        .map(|row| row["digest"].as_str().expect("a digest").to_string())
        .collect();
    drop(child);
    let changed = met.changed + unchanged(&place, &mut told);
    let expected = crate::live::folded(&config(), &events);
    let truth: BTreeSet<String> = expected.iter().map(|row| crate::live::hex(&row.digest)).collect();
    let mismatch = shown.symmetric_difference(&truth).count();
    let generations = told.keys().filter(|(_, generation)| *generation > 1).count();
    println!(
        "e2e kills={} at_work={} links={} events_acked={acknowledged} lost={} double={} finals={} generations={generations} mismatch={mismatch} \
         unversioned_change={changed}",
        met.kills,
        met.at_work,
        met.links,
        acknowledged.saturating_sub(received),
        received.saturating_sub(acknowledged),
        told.len(),
    );
    assert_eq!((acknowledged, received), (lines.len() as u64, lines.len() as u64), "{status}");
    assert!(acknowledged >= kills as u64 * 5_000, "{acknowledged} events are too few for {kills} kills");
    assert_eq!((mismatch, changed), (0, 0));
    // What was not put to the test does not count as proven.
    assert_eq!(met.kills, kills);
    assert!(met.at_work * 2 >= kills, "{} of {kills} kills met it at work", met.at_work);
    assert!(met.links >= kills as u64, "only {} links broke", met.links);
    assert!(told.len() > kills * 50 && generations > kills, "{} rows, {generations} of them changed", told.len());
}
