//! What was recorded, taken in again at another time.

use super::{bare, open, push, stopped};
use crate::durable::retained::trade;
use crate::durable::{CONFIG, trades};
use slackwater::runtime::board::News;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::instance::Settings;
use slackwater_core::fold::Final;
use slackwater_core::value::Value;
use slackwater_store::store::{Ask, Kept};
use std::fs;

/// A year, in nanoseconds.
const YEAR: i64 = 365 * 86_400 * 1_000_000_000;

#[test]
fn a_journal_that_is_taken_in_again_a_year_later_gives_the_same_generations() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, told) = open(CONFIG, folder.path());
    let told = |wanted: &dyn Fn(&Final) -> bool| loop {
        match &*told.recv().expect("news") {
            News::Committed { finals, .. } if finals.iter().any(wanted) => break,
            _ => {}
        }
    };
    push(&live, &trades(0, 2_000), 97);
    // One more comes when its window is sealed for sure.
    told(&|row| row.pipeline == 0 && row.key[0] == Value::Text(b"ABC").to_scalar());
    push(&live, &trade(900_000, 0, 0.0, 5), 1);
    told(&|row| row.generation > 1);
    stopped(&live);
    let (pipelines, all) = (0..live.plan().pipelines.len() as u16, Ask { generations: true, ..Ask::default() });
    let shown = pipelines.clone().flat_map(|pipeline| live.query(pipeline, &all).expect("rows"));
    let shown: Vec<Final> = shown.filter(|row| row.generation > 0).collect();
    let counts = live.board().standing().sources[0].counts.clone();
    assert!(shown.iter().any(|row| row.generation > 1), "some rows were changed after they were sealed");
    // Nothing but the journal is left of it.
    for name in fs::read_dir(folder.path()).expect("a directory") {
        let name = name.expect("an entry").file_name().into_string().expect("a name");
        if name.starts_with("store.sqlite") {
            fs::remove_file(folder.path().join(name)).expect("removed");
        }
    }
    fs::remove_dir_all(folder.path().join("checkpoint")).expect("removed");
    let year_later = Clock::still(Clock::start().now() + YEAR);
    bare(CONFIG, folder.path(), (Settings::of_threads(2), year_later), |instance, opened| {
        assert!(opened.replayed > 0 && opened.checkpoint.is_none(), "all of it was taken in again");
        let mut again = Vec::new();
        for pipeline in pipelines {
            let mut take = |kept: Kept| {
                again.push(kept.row);
                Ok(())
            };
            instance.rows(pipeline, &all, &mut take).expect("rows");
        }
        again.sort_by(Final::order);
        assert_eq!(again, shown);
        assert_eq!(instance.seen().counts()[0], counts);
    });
}
