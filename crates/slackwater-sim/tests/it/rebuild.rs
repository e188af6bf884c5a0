//! Derived state is a view: what was thrown away comes back equal, and what is given again changes nothing.

use slackwater_sim::adversary::Size;
use slackwater_sim::voyage::leg::{Harbour, Stop, sail};
use slackwater_sim::voyage::logbook::{Logbook, told};
use slackwater_sim::voyage::script::{Given, Part, Script};
use slackwater_sim::{effort, trial};
use slackwater_store::KeepRaw;
use slackwater_store::journal::Limits;

/// Full figure of worlds.
const WORLDS: usize = 300;
const SIZE: Size = Size { sources: 2, pipelines: 2, events: 150, positions: false };

/// A world whose journal becomes record almost at once.
fn script(seed: u64) -> Script {
    let mut script = Script::draw(seed, SIZE);
    script.settings.keep_raw = KeepRaw::Forever;
    script.settings.checkpoints = 1;
    script.settings.journal = Limits { segment_bytes: 200, ..script.settings.journal };
    script
}

/// Every run of a script, one process each.
fn sailed(script: &Script) -> Result<Harbour, String> {
    let mut harbour = Harbour::new();
    for run in 0..script.runs.len() {
        sail(script, &harbour, &script.settings, run).map_err(|stop| told(&stop))?;
        harbour.disk = harbour.disk.restarted();
    }
    Ok(harbour)
}

fn each(test: &str, check: impl Fn(u64) -> Result<usize, String>) {
    let seeds = effort::seeds(test, WORLDS);
    let mut done = 0;
    for seed in &seeds {
        done += trial::guarded(*seed, "it", test, || check(*seed)).unwrap_or_else(|text| panic!("{text}"));
    }
    effort::print(&format!("{test} seeds={} done={done} mismatch=0", seeds.len()));
    assert!(effort::asked_seed().is_some() || done > seeds.len() / 2, "{done} of {} say something", seeds.len());
}

#[test]
fn without_store_checkpoints_index_and_archive_everything_comes_back_equal() {
    each("without_store_checkpoints_index_and_archive_everything_comes_back_equal", |seed| {
        let script = script(seed);
        let logbook = Logbook::write(&script)?;
        let run = script.runs.len() - 1;
        let mut records = 0;
        for folders in [&["checkpoint/"][..], &["checkpoint/", "index/", "archive/"]] {
            let harbour = sailed(&script)?;
            let before = harbour.ledger.committed();
            records = harbour.disk.files().keys().filter(|name| name.starts_with("record/")).count();
            for name in harbour.disk.files().keys() {
                if folders.iter().any(|folder| name.starts_with(folder)) {
                    harbour.disk.put(name, None);
                }
            }
            harbour.ledger.empty();
            let seen = sail(&script, &harbour, &script.settings, run).map_err(|stop: Stop| told(&stop))?;
            let after = harbour.ledger.committed();
            logbook.check_after(&after, run, &seen)?;
            if after.rows != before.rows || after.aside != before.aside {
                return Err("rows, generations, causes or verdicts are not what they were".to_string());
            }
        }
        Ok(usize::from(records > 0))
    });
}

#[test]
fn a_whole_file_under_another_name_changes_no_row() {
    each("a_whole_file_under_another_name_changes_no_row", |seed| {
        let mut script = script(seed);
        let harbour = sailed(&script)?;
        let before = harbour.ledger.committed();
        let again: Vec<Part> =
            script.parts.iter().map(|part| Part { name: format!("again_{}", part.name), ..part.clone() }).collect();
        let known = script.parts.len();
        let given = |(number, part): (usize, &Part)| Given { part: known + number, len: part.events.len() };
        script.runs.push(again.iter().enumerate().map(given).collect());
        script.parts.extend(again);
        let run = script.runs.len() - 1;
        sail(&script, &harbour, &script.settings, run).map_err(|stop| told(&stop))?;
        let after = harbour.ledger.committed();
        let facts = |committed: &slackwater_sim::ledger::Committed| -> u64 {
            committed.head.iter().flat_map(|head| &head.counts).map(|counts| counts.facts).sum()
        };
        match after.rows == before.rows && facts(&after) == facts(&before) {
            true => Ok(usize::from(!after.rows.is_empty())),
            false => Err(format!("{} rows, {} before", after.rows.len(), before.rows.len())),
        }
    });
}
