//! A service that was not there for a while: whoever was silent meanwhile may only have found nobody to talk to.

use super::{Service, free_port, poster, ready, start};
use crate::program::Place;
use serde_json::Value;
use slackwater::runtime::clock::Clock;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// One-second windows, no lag, and an origin that is soon taken for idle.
const SECONDS: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
idle_after = "IDLE"
[source.trades.fields]
id = "u64"
ts = "timestamp_ms"
[pipeline.seconds]
sql = "SELECT count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 second')"
[service]
tick = "20ms"
publish = "10ms"
checkpoint = "200ms"
[server]
listen = "127.0.0.1:PORT"
"#;

fn place(idle: &str) -> (Place, u16) {
    let port = free_port();
    (Place::with(&SECONDS.replace("IDLE", idle).replace("PORT", &port.to_string())), port)
}

fn event(id: u64, ms: i64) -> String {
    format!("{{\"id\":{id},\"ts\":{ms}}}\n")
}

fn now_ms() -> i64 {
    Clock::start().now() / 1_000_000
}

/// Every generation of every final row: its number and how many events it holds.
fn finals(place: &Place) -> Vec<(u64, u64)> {
    let ran = place.run(&["query", "seconds", "--data", "data", "--generations", "--json"]);
    let rows = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let number = |row: &Value, name: &str| row[name].as_u64().expect("a number");
    rows.map(|row| (number(&row, "generation"), number(&row, "trades"))).collect()
}

/// Waits until so many events are in final rows.
fn sealed(place: &Place, events: u64) -> Vec<(u64, u64)> {
    loop {
        let rows = finals(place);
        if rows.iter().map(|(_, trades)| trades).sum::<u64>() >= events {
            return rows;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal.
pub fn stop(child: &mut Child, signal: &str) {
    let sent = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// A window that was over long ago, and that nothing but its silent origin holds open: whatever `away` does to the service for
/// longer than `idle_after`, what comes behind that is in time for it.
fn silent_while(away: impl FnOnce(&Place, Service) -> Service) {
    let (place, port) = place("5s");
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let old = (now_ms() - 100_000) / 1_000 * 1_000;
    assert_eq!(poster::post((port, port), "one", &event(1, old)).expect("an answer").0, 200);
    std::thread::sleep(Duration::from_millis(200));
    let mut child = away(&place, child);
    assert!(ready(&mut child, port));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(poster::post((port, port), "two", &event(2, old + 500)).expect("an answer").0, 200);
    assert_eq!(sealed(&place, 2), [(1, 2)]);
}

/// Longer than an origin may be silent.
const AWAY: Duration = Duration::from_millis(5_500);

#[test]
fn nobody_is_idle_because_the_service_was_killed() {
    silent_while(|place, mut child| {
        child.kill().expect("a child");
        child.wait().expect("a child");
        std::thread::sleep(AWAY);
        start(place)
    });
}

#[test]
fn nobody_is_idle_because_the_service_stood_still() {
    silent_while(|_, mut child| {
        stop(&mut child, "STOP");
        std::thread::sleep(AWAY);
        stop(&mut child, "CONT");
        child
    });
}

#[test]
fn a_deploy_under_a_steady_producer_loses_nothing_and_seals_nothing_early() {
    let full = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    let away = Duration::from_secs(if full { 60 } else { 7 });
    let (place, port) = place("5s");
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    std::thread::scope(|scope| {
        let (over, sent) = (&over, &sent);
        scope.spawn(move || {
            // What happens while nobody takes it in waits, and is sent in its order.
            let begun = now_ms();
            while !over.load(Ordering::Acquire) {
                let first = sent.load(Ordering::Acquire);
                let most = (now_ms() - begun) as u64 / 5;
                let batch: String =
                    (first..most.min(first + 1_000)).map(|id| event(id, begun + id as i64 * 5)).collect();
                let count = batch.lines().count() as u64;
                if count == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
                while !poster::post((port, port), &format!("from-{first}"), &batch).is_ok_and(|told| told.0 == 200) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                sent.store(first + count, Ordering::Release);
            }
        });
        std::thread::sleep(Duration::from_secs(2));
        stop(&mut child, "TERM");
        assert_eq!(child.wait().expect("a child").code(), Some(0));
        std::thread::sleep(away);
        child = start(&place);
        assert!(ready(&mut child, port));
        // It caught up, and went on for a while.
        std::thread::sleep(Duration::from_secs(3));
        over.store(true, Ordering::Release);
    });
    let sent = sent.into_inner();
    let rows = sealed(&place, sent);
    let early = rows.iter().filter(|(generation, _)| *generation > 1).count();
    let (received, status) = super::killed::published(port, sent);
    let facts = status["sources"][0]["counts"]["facts"].as_u64().expect("a count");
    println!(
        "deploy away_seconds={} events_acked={sent} lost={} double={} finals={} sealed_early={early}",
        away.as_secs(),
        sent.saturating_sub(facts),
        received.saturating_sub(sent),
        rows.len(),
    );
    assert_eq!(early, 0, "a row was final too early: {rows:?}");
    assert_eq!(rows.iter().map(|(_, trades)| trades).sum::<u64>(), sent);
    // One row for each second of the whole: what came while nobody was there is among it.
    assert!(rows.len() as u64 > away.as_secs() + 3, "{} rows", rows.len());
    assert_eq!((received, facts), (sent, sent), "{status}");
}
