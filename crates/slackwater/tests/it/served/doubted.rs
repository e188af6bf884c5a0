//! A service whose numbers are doubted while it goes on: verified and explained beside it.

use super::{place_of, poster, ready, start};
use crate::durable::retained::{STEP, keeping};
use crate::durable::trades_every;
use crate::program::{Place, lines};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Posts hostile trades, so many milliseconds one after the other and many of them late, until it is stopped.
fn pour(port: u16, step: u64, stop: &AtomicBool) {
    for from in (0..).step_by(150) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let events = trades_every(step, from, 200);
        let (status, said) = poster::post((port, port), &from.to_string(), &events).expect("an answer");
        assert_eq!(status, 200, "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops those who pour, however a test ends.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Verifies what the last checkpoint has; nothing where there is none yet.
fn verified(place: &Place) -> Option<Value> {
    let ran = place.run(&["verify", "--data", "data", "--permute", "1", "--json"]);
    if ran.code == 6 && ran.err.contains("nothing was committed") {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = lines(&ran.out).remove(0);
    assert!(told["differ"].as_array().is_some_and(Vec::is_empty), "{told}");
    Some(told)
}

/// Explains one of the newest rows that a checkpoint has, if there is one that did not change since.
fn explained(place: &Place) -> bool {
    let ran = place.run(&["query", "--data", "data", "minutes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = lines(&ran.out);
    // Of those that it does not have yet there may be many.
    for row in rows.iter().rev().step_by(rows.len() / 10 + 1) {
        let text = |name: &str| row[name].as_str().expect("a text").to_string();
        let key = format!("symbol={}", text("symbol"));
        let ran = place.run(&["explain", "--data", "data", "minutes", &text("window_start"), "--key", &key]);
        if ran.code == 0 {
            // Days pass in a moment here.
            assert!(ran.out.contains("the same bits") || ran.err.contains("were let go of"), "{ran:?}");
            return true;
        }
        assert!(ran.code == 6 && ran.err.contains("from the next checkpoint on"), "{ran:?}");
    }
    false
}

/// Verifies and explains again and again what a service has whose source has these lines, while it takes in trades.
fn doubt(lines: &str, step: u64) {
    let (place, port) = place_of(&keeping(lines).replace("kind = \"files\"", "kind = \"http\""));
    // So that what a checkpoint names stays a while.
    place.write("c.toml", place.read("c.toml").replace("150ms", "500ms"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pouring = scope.spawn(|| pour(port, step, &stop));
        let _ended = AtTheEnd(&stop);
        let (mut rows, mut looks) = (0, 0);
        while looks < 4 {
            assert!(!pouring.is_finished(), "the service takes events in meanwhile");
            let Some(told) = verified(&place) else { continue };
            let count = |name: &str| told[name].as_u64().expect("a count");
            if count("rows") + count("gone") > rows {
                rows = count("rows") + count("gone");
                looks += 1;
                assert!((0..50).any(|_| explained(&place)), "checkpoints have rows that do not change");
                assert_eq!(place.run(&["checkpoint", "list", "--data", "data"]).code, 0);
            }
        }
    });
}

#[test]
fn a_service_is_verified_and_explained_while_it_goes_on() {
    doubt("", 400);
}

#[test]
fn so_is_one_that_holds_what_is_late() {
    doubt("late = \"hold\"\nlag = \"4s\"", 400);
}

#[test]
fn so_is_one_that_lets_go_of_facts() {
    doubt("keep_facts = \"3d\"", STEP);
}
