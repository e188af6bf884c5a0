//! What must hold: the same voyage on a calm sea, and what is compared with it.

use super::leg::{Harbour, Seen, Stop, sail};
use super::script::{Script, plain};
use crate::compare;
use crate::ledger::Committed;
use crate::oracle::{Row, Truth};
use slackwater::runtime::instance::Settings;
use slackwater_core::fold::Final;
use slackwater_core::judge::Counts;
use slackwater_core::quarantine::Why;
use slackwater_store::store::{Head, Offset};
use std::sync::Arc;

/// What was committed after each run of a voyage that nothing befell.
#[derive(Debug, Default)]
pub struct Logbook {
    /// After each run.
    pub runs: Vec<(Head, Seen)>,
    /// After the last one.
    pub last: Arc<Committed>,
    /// Changes that each run made to the disk.
    pub changes: Vec<usize>,
}

impl Logbook {
    /// Makes the voyage on a calm sea, and holds its end against the oracle.
    ///
    /// # Errors
    /// What is wrong without any mishap.
    pub fn write(script: &Script) -> Result<Logbook, String> {
        let mut harbour = Harbour::new();
        // Where sources are cut off is no matter of how all is kept: it decides what counts.
        let calm = Settings { keep_facts: script.settings.keep_facts.clone(), ..plain() };
        let mut logbook = Logbook { runs: Vec::new(), last: Arc::default(), changes: Vec::new() };
        for run in 0..script.runs.len() {
            let seen = sail(script, &harbour, &calm, run).map_err(|stop| format!("calm run {run}: {stop:?}"))?;
            logbook.changes.push(harbour.disk.changes());
            heads(script, &harbour.ledger.heads())?;
            let head = harbour.ledger.head().unwrap_or_default();
            logbook.runs.push((head, seen));
            harbour.disk = harbour.disk.restarted();
        }
        logbook.last = harbour.ledger.committed();
        logbook.against_the_oracle(script)?;
        Ok(logbook)
    }

    fn against_the_oracle(&self, script: &Script) -> Result<(), String> {
        let beyond = self.last.aside.iter().filter(|event| event.why == Why::BeyondRetention);
        let beyond = beyond.map(|event| (event.part.to_string(), event.position.offset)).collect();
        if let Some((_, seen)) = self.runs.last() {
            let open: u64 = seen.counts.iter().map(Counts::open).sum();
            if script.judges_again && open > 0 {
                return Err(format!("{open} events in quarantine are open, and all were discarded"));
            }
            against_the_truth(&self.last, &seen.counts, &script.truth_without(&beyond))?;
        }
        Ok(())
    }

    /// Holds what is committed at any time against this: every row, generation, cause and digest of the ticks that there
    /// were, none else, and of what was set aside a beginning. Nothing may be missing that was there after `acked` runs.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, committed: &Committed, acked: usize) -> Result<(), String> {
        let Some(head) = &committed.head else {
            let nothing = committed.rows.is_empty() && committed.aside.is_empty() && acked == 0;
            return if nothing { Ok(()) } else { Err("lost: there is no head any more".to_string()) };
        };
        let ticks = acked.checked_sub(1).map_or(0, |run| self.runs[run].0.ticks);
        if head.ticks < ticks {
            return Err(format!("lost: {} ticks are committed, and {ticks} were acknowledged", head.ticks));
        }
        let wanted = self.last.rows.iter().filter(|(_, kept)| kept.tick <= head.ticks);
        let mut found = committed.rows.iter();
        for wanted in wanted {
            match found.next() {
                Some(found) if found == wanted => {}
                other => return Err(format!("rows: {other:?}, and in a calm voyage {wanted:?}")),
            }
        }
        if let Some(more) = found.next() {
            return Err(format!("rows: {more:?} is not there in a calm voyage"));
        }
        let notes = self.last.notes.iter().filter(|noted| noted.tick <= head.ticks);
        if !notes.eq(&committed.notes) {
            return Err(format!("held: {:?}, and in a calm voyage {:?}", committed.notes, self.last.notes));
        }
        if !self.last.rulings.starts_with(&committed.rulings) {
            return Err(format!("rulings: {:?}, and in a calm voyage {:?}", committed.rulings, self.last.rulings));
        }
        if !self.last.aside.starts_with(&committed.aside) {
            let place = committed.aside.iter().zip(&self.last.aside).position(|(found, wanted)| found != wanted);
            return Err(format!(
                "set aside: they differ from {place:?} on, {} in a calm voyage: {:?} {:?}",
                self.last.aside.len(),
                place.map(|at| &committed.aside[at]),
                place.map(|at| &self.last.aside[at]),
            ));
        }
        Ok(())
    }

    /// Holds what is committed after a run against this, all of it.
    ///
    /// # Errors
    /// What differs.
    pub fn check_after(&self, committed: &Committed, run: usize, seen: &Seen) -> Result<(), String> {
        self.check(committed, run + 1)?;
        let ((wanted, calm), Some(head)) = (&self.runs[run], &committed.head) else {
            return Err("there is no head".to_string());
        };
        if seen != calm {
            return Err(format!("counts after run {run}:\n  {seen:?}\n  in a calm voyage {calm:?}"));
        }
        // That a file has ended is in no journal: what is made anew knows it of the files that are given again.
        let open =
            |head: &Head| head.offsets.iter().map(|at| Offset { ended: false, ..at.clone() }).collect::<Vec<_>>();
        let differences = [
            ("counts", head.counts != wanted.counts),
            ("settled", head.settled != wanted.settled),
            ("cutoffs", head.cutoffs != wanted.cutoffs),
            ("offsets", open(head) != open(wanted)),
            ("rows", head.rows != wanted.rows),
            ("held", head.notes != wanted.notes),
            ("set aside", head.quarantined != wanted.quarantined),
            ("rulings", head.rulings != wanted.rulings),
            ("ticks", (head.ticks, head.ticked) != (wanted.ticks, wanted.ticked)),
            ("input", head.input != wanted.input),
            ("output", head.output != wanted.output),
        ];
        if let Some((what, _)) = differences.iter().find(|(_, differs)| *differs) {
            return Err(format!("{what} after run {run}:\n  {head:?}\n  in a calm voyage {wanted:?}"));
        }
        Ok(())
    }
}

/// Holds counters, what was set aside and the newest rows against what must have come of everything.
///
/// # Errors
/// What differs.
pub fn against_the_truth(committed: &Committed, counts: &[Counts], truth: &Truth) -> Result<(), String> {
    compare::counts(counts, &truth.counts)?;
    let standing = committed.quarantine().into_iter().filter(|aside| !aside.is_released());
    compare::set_aside(counts, &standing.map(|aside| aside.event).collect::<Vec<_>>())?;
    let finals = Final::newest(committed.rows.values().map(|kept| kept.row.clone()).collect());
    let mut finals: Vec<&Final> = finals.iter().filter(|row| !row.removed).collect();
    finals.sort_by(|a, b| a.order(b));
    let found: Vec<Row> = finals.iter().map(|found| compare::row(found)).collect();
    match found.iter().zip(&truth.rows).position(|(found, wanted)| found != wanted) {
        Some(at) => Err(format!("row {at}:\n  engine {:?}\n  oracle {:?}", found[at], truth.rows[at])),
        None if found.len() != truth.rows.len() => {
            Err(format!("{} newest rows, {} of the oracle", found.len(), truth.rows.len()))
        }
        None => Ok(()),
    }
}

/// Whether every commit's counters balance and are those of the events up to its offsets.
///
/// # Errors
/// Where state and offset moved apart.
pub fn heads(script: &Script, heads: &[Head]) -> Result<(), String> {
    for head in heads {
        let mut received = vec![0; script.trial.world.stage.sources.len()];
        for offset in &head.offsets {
            let part = script.parts.iter().position(|part| part.name == offset.part).ok_or("an unknown file")?;
            let offsets = script.offsets(part);
            let events = offsets.binary_search(&offset.offset).map_err(|_| format!("{offset:?} is within an event"))?;
            received[usize::from(offset.source)] += events as u64;
        }
        let counted: Vec<u64> = head.counts.iter().map(|counts| counts.received).collect();
        // The first commits of an instance know of no source yet.
        if counted != received && !(counted.is_empty() && received.iter().all(|count| *count == 0)) {
            return Err(format!("state and offset moved apart: {received:?} events taken, {counted:?} counted"));
        }
        if !head.counts.iter().all(Counts::balances) {
            return Err(format!("counters that do not balance: {:?}", head.counts));
        }
    }
    Ok(())
}

/// The text of a stop.
pub fn told(stop: &Stop) -> String {
    match stop {
        Stop::Fault(fault) => fault.to_string(),
        Stop::Wrong(text) => format!("mismatch: {text}"),
    }
}
