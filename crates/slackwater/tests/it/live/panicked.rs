//! A panic in the middle of its work: everybody is told, and what was answered is there when it is opened again.

use super::{assert_alike, config, folded, push, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::decode::Chunk;
use slackwater::face::api::live::{Live, PushError};
use slackwater::runtime::desk::Declined;
use slackwater::runtime::service::Tail;
use slackwater_store::store::Offset;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What panics when it is told to.
struct Brittle(Arc<AtomicBool>);

impl Tail for Brittle {
    fn source(&self) -> u16 {
        0
    }

    fn next(&mut self, _: &dyn Fn() -> Vec<Offset>) -> Option<Chunk> {
        assert!(!self.0.load(Ordering::Acquire), "told to");
        None
    }

    fn wrong(&self) -> Option<String> {
        None
    }

    fn is_caught_up(&self) -> bool {
        true
    }

    fn rewind(&mut self) {}
}

#[test]
fn a_panic_is_told_to_everybody_and_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let (events, brittle) = (trades(0, 300), Arc::new(AtomicBool::new(false)));
    let mut options = quick();
    options.tails = vec![Box::new(Brittle(brittle.clone()))];
    let live = Live::open(config(CONFIG), folder.path(), options).expect("opened");
    push(&live, &events, 50);
    brittle.store(true, Ordering::Release);
    // The first of these may be answered before it happens; none waits for ever.
    let more = trades(300, 1);
    let told = std::iter::repeat_with(|| live.push("trades", None, more.clone().into_bytes())).find_map(Result::err);
    assert!(matches!(told, Some(PushError::Declined(Declined::Failed(_)))), "{told:?}");
    assert!(live.push("trades", None, more.clone().into_bytes()).is_err());
    assert!(live.resume(0).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| live.wait())).is_err(), "who waits for it learns why");
    let again = Live::open(config(CONFIG), folder.path(), quick()).expect("opened again");
    push(&again, &more, 1);
    assert_alike(&stopped(&again), &folded(CONFIG, &(events + &more)), "after a panic");
}
