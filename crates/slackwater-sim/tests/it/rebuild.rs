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
fn script(seed: u64, keep: KeepRaw) -> Script {
    let mut script = Script::draw(seed, SIZE);
    (script.settings.keep_raw, script.settings.keep_for) = (keep, 0);
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

/// Throws away what these folders hold, and the store, and gives the last run again: everything must come back equal.
fn thrown_away(script: &Script, logbook: &Logbook, folders: &[&str]) -> Result<Harbour, String> {
    let run = script.runs.len() - 1;
    let harbour = sailed(script)?;
    let before = harbour.ledger.committed();
    for name in harbour.disk.files().keys() {
        if folders.iter().any(|folder| name.starts_with(folder)) {
            harbour.disk.put(name, None);
        }
    }
    harbour.ledger.empty();
    let seen = sail(script, &harbour, &script.settings, run).map_err(|stop: Stop| told(&stop))?;
    let after = harbour.ledger.committed();
    logbook.check_after(&after, run, &seen)?;
    if after.rows != before.rows || after.aside != before.aside || after.rulings != before.rulings {
        return Err("rows, generations, causes or verdicts are not what they were".to_string());
    }
    Ok(harbour)
}

#[test]
fn without_store_checkpoints_index_and_archive_everything_comes_back_equal() {
    each("without_store_checkpoints_index_and_archive_everything_comes_back_equal", |seed| {
        let script = script(seed, KeepRaw::Forever);
        let logbook = Logbook::write(&script)?;
        let mut records = 0;
        for folders in [&["checkpoint/"][..], &["checkpoint/", "index/", "archive/"]] {
            let harbour = thrown_away(&script, &logbook, folders)?;
            records = harbour.disk.files().keys().filter(|name| name.starts_with("record/")).count();
        }
        Ok(usize::from(records > 0))
    });
}

#[test]
fn without_event_bytes_archive_and_record_give_everything_back_equal() {
    each("without_event_bytes_archive_and_record_give_everything_back_equal", |seed| {
        let script = script(seed, KeepRaw::None);
        let logbook = Logbook::write(&script)?;
        let mut gone = 0;
        for folders in [&[][..], &["checkpoint/"], &["checkpoint/", "index/"]] {
            let harbour = thrown_away(&script, &logbook, folders)?;
            let files = harbour.disk.files();
            gone = files.iter().filter(|(name, bytes)| name.starts_with("record/") && bytes[12] == 1).count();
            // And once more, from what the rebuild left.
            harbour.ledger.empty();
            let run = script.runs.len() - 1;
            let seen = sail(&script, &harbour, &script.settings, run).map_err(|stop: Stop| told(&stop))?;
            logbook.check_after(&harbour.ledger.committed(), run, &seen)?;
        }
        Ok(usize::from(gone > 0))
    });
}

/// A world whose sources are cut off as soon as a run ends.
fn cut_off(seed: u64, keep: KeepRaw) -> Script {
    let mut script = script(seed, keep);
    script.settings.keep_facts = vec![Some(0); script.trial.world.stage.sources.len()];
    script
}

#[test]
fn with_event_bytes_sources_that_were_cut_off_come_back_equal() {
    each("with_event_bytes_sources_that_were_cut_off_come_back_equal", |seed| {
        let script = cut_off(seed, KeepRaw::Forever);
        let logbook = Logbook::write(&script)?;
        for folders in [&["checkpoint/"][..], &["checkpoint/", "index/", "archive/"]] {
            thrown_away(&script, &logbook, folders)?;
        }
        // Many worlds are over within a day.
        Ok(1)
    });
}

#[test]
fn where_event_bytes_are_gone_too_what_was_cut_off_is_missed_by_name() {
    let missed = std::cell::Cell::new(0);
    each("where_event_bytes_are_gone_too_what_was_cut_off_is_missed_by_name", |seed| {
        let script = cut_off(seed, KeepRaw::None);
        let logbook = Logbook::write(&script)?;
        let harbour = sailed(&script)?;
        let files = harbour.disk.files();
        let gone = files.iter().any(|(name, bytes)| name.starts_with("record/") && bytes[12] == 1);
        let is_cut = harbour.ledger.head().is_some_and(|head| head.cutoffs.iter().any(|(_, cutoff)| cutoff.lets_go()));
        match (thrown_away(&script, &logbook, &["checkpoint/"]), gone && is_cut) {
            (Err(why), true) if why.contains("the archive cannot tell them (the facts of source") => {
                missed.set(missed.get() + 1)
            }
            (Ok(_), false) => {}
            (Ok(_), true) => return Err("facts that are gone are told".to_string()),
            (Err(why), _) => return Err(why),
        }
        Ok(1)
    });
    assert!(effort::asked_seed().is_some() || missed.get() > effort::share(WORLDS) / 20, "{} are missed", missed.get());
}

#[test]
fn event_bytes_go_when_their_time_has_come_and_not_before() {
    each("event_bytes_go_when_their_time_has_come_and_not_before", |seed| {
        let mut script = script(seed, KeepRaw::None);
        let logbook = Logbook::write(&script)?;
        let mut gone = Vec::new();
        // A run is a second behind the one before it.
        for keep_for in [0, 1, 1_500_000_000, i64::MAX] {
            script.settings.keep_for = keep_for;
            let harbour = thrown_away(&script, &logbook, &["checkpoint/"])?;
            let files = harbour.disk.files();
            let record = files.iter().filter(|(name, _)| name.starts_with("record/"));
            let left_out: Vec<bool> = record.map(|(_, bytes)| bytes[12] == 1).collect();
            if !left_out.is_sorted_by(|before, after| before >= after) {
                return Err(format!("bytes of later files are gone, and of earlier ones not: {left_out:?}"));
            }
            gone.push(left_out.iter().filter(|gone| **gone).count());
        }
        if !gone.is_sorted_by(|shorter, longer| shorter >= longer) || gone[3] > 0 {
            return Err(format!("files without event bytes, the longer the fewer: {gone:?}"));
        }
        // The last run's are kept where bytes stay for a second and a half.
        Ok(usize::from(gone[0] > gone[2]))
    });
}

#[test]
fn a_whole_file_under_another_name_changes_no_row() {
    each("a_whole_file_under_another_name_changes_no_row", |seed| {
        let mut script = script(seed, KeepRaw::Forever);
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
