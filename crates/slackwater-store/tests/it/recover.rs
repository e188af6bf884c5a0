//! The verdict over what was found on a disk, without any disk.

use slackwater_store::checkpoint::Manifest;
use slackwater_store::recover::{Found, Verdict, verdict};
use slackwater_store::store::Head;

/// Whether a store whose last commit is at an entry is made anew, where event bytes up to another are gone, ticks stand at
/// these entries, and the newest checkpoint is at the last one of them.
fn is_made_anew(committed: u64, reduced: u64, ticks: &[u64], checkpoint: Option<u64>) -> bool {
    let head = |journal| Head { commit: 1, checkpoint: 1, journal, ..Head::default() };
    let manifests =
        checkpoint.map(|at| Manifest { head: head(at), ticked: at, ..Manifest::default() }).into_iter().collect();
    let (store_damage, damaged, last) = (None, Vec::new(), 9);
    let found = Found { head: Some(head(committed)), store_damage, manifests, damaged, last, reduced };
    let ticked = |from, to| Ok(ticks.iter().any(|tick| (from..=to).contains(tick)));
    match verdict(found, &|| None, &|_| Ok(None), &ticked).expect("nothing contradicts itself") {
        Verdict::Resume { from, rebuild, notes } => {
            assert_eq!(from.is_some(), checkpoint.is_some_and(|at| at <= committed) && !rebuild);
            assert_eq!(notes.iter().any(|note| note.contains("it is made anew")), rebuild, "{notes:?}");
            rebuild
        }
        Verdict::Begin => panic!("something was kept"),
    }
}

#[test]
fn a_store_is_made_anew_where_what_it_has_cannot_be_told_again() {
    assert!(!is_made_anew(5, 0, &[], None), "all event bytes are there");
    assert!(is_made_anew(2, 3, &[2], None), "it is older than what is kept of events");
    assert!(is_made_anew(5, 3, &[], None), "no tick before its commit was ever told");
    assert!(is_made_anew(5, 3, &[2, 6], None), "it is from between two ticks, and bytes behind the first are gone");
    assert!(!is_made_anew(5, 3, &[5], None), "it is at a tick, which can be told");
    assert!(!is_made_anew(5, 3, &[3], None), "all bytes behind the tick before it are there");
    assert!(!is_made_anew(5, 3, &[2, 4], None), "all bytes behind the tick before it are there");
    assert!(!is_made_anew(5, 3, &[5], Some(5)), "a checkpoint has its state");
}
