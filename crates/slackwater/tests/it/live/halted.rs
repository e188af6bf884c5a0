//! A source whose policy is to halt takes nothing in after a refused event, until it is resumed.

use super::{config, quick, stopped};
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::{Live, PushError};
use slackwater::runtime::desk::Declined;

#[test]
fn a_refused_event_halts_its_source_until_it_is_resumed_also_across_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = CONFIG.replace("kind = \"files\"", "kind = \"files\"\npoison = \"halt\"");
    let open = || Live::open(config(&text), folder.path(), quick()).expect("opened");
    let live = open();
    let poison = |live: &Live| live.push("trades", Some("poison"), b"nonsense\n".to_vec());
    let poisoned = poison(&live).expect("taken in");
    assert_eq!((poisoned.counts.refused(), poisoned.repeated), (1, false));
    let again = poison(&live).expect("answered as before");
    assert_eq!((again.counts, again.repeated), (poisoned.counts, true));
    let event = || trades(1, 1).into_bytes();
    let halted = |live: &Live| matches!(live.push("trades", None, event()), Err(PushError::Declined(Declined::Halted)));
    assert!(halted(&live));
    stopped(&live);
    let live = open();
    assert!(halted(&live), "a restart resumes nothing");
    live.resume(0).expect("resumed");
    assert_eq!(live.push("trades", None, event()).expect("taken in").counts.facts, 1);
    stopped(&live);
}
