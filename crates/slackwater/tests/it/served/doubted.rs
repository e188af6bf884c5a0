//! A service whose numbers are doubted while it goes on: verified and explained beside it.

use super::{place, poster, ready, start};
use crate::durable::trades;
use crate::program::{Place, lines};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Posts hostile trades, many of them late, until it is stopped.
fn pour(port: u16, stop: &AtomicBool) {
    for from in (0..).step_by(150) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (status, said) = poster::post((port, port), &from.to_string(), &trades(from, 200)).expect("an answer");
        assert_eq!(status, 200, "{said}");
        std::thread::sleep(Duration::from_millis(10));
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

/// Explains the newest row that a checkpoint has.
fn explained(place: &Place) {
    let ran = place.run(&["query", "--data", "data", "minutes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for row in lines(&ran.out).iter().rev() {
        let text = |name: &str| row[name].as_str().expect("a text").to_string();
        let key = format!("symbol={}", text("symbol"));
        let ran = place.run(&["explain", "--data", "data", "minutes", &text("window_start"), "--key", &key]);
        if ran.code == 0 {
            assert!(ran.out.contains("the same bits"), "{ran:?}");
            return;
        }
        assert!(ran.code == 6 && ran.err.contains("from the next checkpoint on"), "{ran:?}");
    }
    panic!("a checkpoint has rows, and none of them was explained");
}

#[test]
fn a_service_is_verified_and_explained_while_it_goes_on() {
    let (place, port) = place();
    // So that what a checkpoint names stays a while.
    place.write("c.toml", place.read("c.toml").replace("150ms", "500ms"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pouring = scope.spawn(|| pour(port, &stop));
        let _ended = AtTheEnd(&stop);
        let (mut rows, mut looks) = (0, 0);
        while looks < 5 {
            assert!(!pouring.is_finished(), "the service takes events in meanwhile");
            if let Some(told) = verified(&place)
                && told["rows"].as_u64() > Some(rows)
            {
                rows = told["rows"].as_u64().expect("a count");
                looks += 1;
                explained(&place);
                assert_eq!(place.run(&["checkpoint", "list", "--data", "data"]).code, 0);
            }
        }
    });
}
