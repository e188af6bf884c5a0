//! The shipped binary, killed again and again while four senders send through a link that breaks: what was acknowledged is
//! there once, and what was final moves only with a generation.

use super::link::Link;
use super::{place, poster, ready, rows, start};
use crate::durable::{CONFIG, trades};
use crate::program::Place;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Lines of one delivery.
const BATCH: usize = 500;

/// Every generation of every row that was ever seen, and its digest.
type Told = BTreeMap<(String, u64), String>;

/// Sends every batch until it is acknowledged, some of them again; gives how many events were acknowledged.
fn send(link: &Link, host: u16, batches: &[String], next: &AtomicUsize) -> u64 {
    let mut acknowledged = 0;
    loop {
        let number = next.fetch_add(1, Ordering::AcqRel);
        let Some(batch) = batches.get(number) else { return acknowledged };
        let again = usize::from(number.is_multiple_of(10));
        for time in 0..=again {
            loop {
                match poster::post((link.port, host), &format!("batch-{number}"), batch) {
                    Ok((200, body)) => {
                        let told: Value = serde_json::from_str(&body).expect("JSON");
                        let received = told["received"].as_u64().expect("a count");
                        assert_eq!(received, batch.lines().count() as u64, "{body}");
                        acknowledged += if time == 0 { received } else { 0 };
                        break;
                    }
                    Ok((429 | 500 | 503, _)) | Err(_) => std::thread::sleep(Duration::from_millis(5)),
                    Ok((status, body)) => panic!("{status}: {body}"),
                }
            }
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
            let name = ["pipeline", "symbol", "bar"].map(|part| row[part].to_string()).join(" ");
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

#[test]
fn acknowledged_events_survive_kills_and_broken_links() {
    let full = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    let (kills, count) = if full { (200, 950_000) } else { (20, 95_000) };
    let events = trades(0, count);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let batches: Vec<String> = lines.chunks(BATCH).map(|chunk| chunk.concat()).collect();
    let (place, port) = place();
    let (link, next, done) = (Link::to(port), AtomicUsize::new(0), AtomicBool::new(false));
    let (mut child, mut killed, mut told, mut changed) = (start(&place), 0, Told::new(), 0);
    let acknowledged = Mutex::new(0);
    std::thread::scope(|scope| {
        let (link, next, done, batches, acknowledged) = (&link, &next, &done, &batches, &acknowledged);
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(move || send(link, port, batches, next))).collect();
        scope.spawn(move || {
            let sum: u64 = senders.into_iter().map(|sender| sender.join().expect("no panic")).sum();
            *acknowledged.lock().expect("no panic") = sum;
            done.store(true, Ordering::Release);
        });
        while killed < kills || !done.load(Ordering::Acquire) {
            assert!(ready(&mut child, port), "it starts again");
            // A while that is no multiple of anything.
            std::thread::sleep(Duration::from_millis(40 + (killed * 7_919) % 400));
            if killed < kills {
                child.kill().expect("a child");
                child.wait().expect("a child");
                killed += 1;
                if killed % 5 == 0 {
                    changed += unchanged(&place, &mut told);
                }
                child = start(&place);
            }
        }
    });
    assert!(ready(&mut child, port));
    let acknowledged = acknowledged.into_inner().expect("no panic");
    let (received, status) = published(port, acknowledged);
    let shown: BTreeSet<String> = ["minutes", "visits", "bars"]
        .iter()
        .flat_map(|pipeline| rows(port, pipeline, "all"))
        .map(|row| row["digest"].as_str().expect("a digest").to_string())
        .collect();
    child.kill().expect("a child");
    child.wait().expect("a child");
    changed += unchanged(&place, &mut told);
    let config = CONFIG.replace("kind = \"files\"", "kind = \"http\"");
    let expected = crate::live::folded(&config, &events);
    let truth: BTreeSet<String> = expected.iter().map(|row| crate::live::hex(&row.digest)).collect();
    let mismatch = shown.symmetric_difference(&truth).count();
    println!(
        "e2e kills={killed} links={} events_acked={acknowledged} lost={} double={} finals={} mismatch={mismatch} \
         unversioned_change={changed}",
        link.broken(),
        acknowledged.saturating_sub(received),
        received.saturating_sub(acknowledged),
        told.len(),
    );
    assert_eq!((acknowledged, received), (lines.len() as u64, lines.len() as u64), "{status}");
    assert_eq!((mismatch, changed), (0, 0));
    assert!(told.len() > 100 && link.broken() > 5);
}
