//! A passage: an instance that runs, is handed deliveries, ticks when it likes, and is stopped by whatever befalls it.
//!
//! Who sends keeps on sending what was not answered, and now and then what was. What is committed in the end must be what a
//! calm voyage with the same events commits, whatever was sealed too early on the way.

use super::leg::{Harbour, Stop, open, readmit, release, sail};
use super::logbook::told;
use super::mishap::{AtSea, Figures};
use super::script::{Script, plain};
use crate::adversary::Size;
use crate::ledger::{Committed, Ledger};
use crate::rng::Rng;
use slackwater::runtime::clock::{Clock, Stopwatch};
use slackwater::runtime::deliver::Begun;
use slackwater::runtime::desk::{Declined, Delivery, Receipt};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::keeping::{Keeping, Written};
use slackwater_core::fold::Final;
use slackwater_core::input::Decision;
use slackwater_core::judge::Counts;
use slackwater_core::plan::{Guards, Knobs, Source};
use slackwater_core::schema::IdentityRule;
use slackwater_store::journal::Limits;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Later than any event, so that its arrival is its own where it has one.
const BEGUN: i64 = 8_000_000_000_000_000_000;
/// The clock of the machine may be so much later when it starts again.
const YEAR: i64 = 31_557_600_000_000_000;
/// Mishaps at most; the attempt behind them must succeed.
const MISHAPS: usize = 5;

/// A delivery, and what it was answered.
struct Sent {
    delivery: Delivery,
    answer: Option<Counts>,
}

/// Makes the passage of a seed; none where its world has events that are known by their places, for deliveries have other
/// places than files. Where events are held against their arrival, which files do not have, it need not end as a calm voyage.
///
/// # Errors
/// What is not as it must be.
pub fn passage(seed: u64, size: Size) -> Result<Option<Figures>, String> {
    let script = Script::draw(seed, size);
    let sources = &script.trial.compiled.config.plan.sources;
    if sources.iter().any(|source| source.schema.roles().identity == IdentityRule::Position) {
        return Ok(None);
    }
    // What has no arrival of its own is not too far ahead of any on a calm voyage.
    let alike = sources.iter().all(|source| source.guards.max_future.is_none());
    let calm = Harbour::new();
    let mut seen = None;
    for run in 0..script.runs.len() {
        seen = Some(sail(&script, &calm, &plain(), run).map_err(|stop| told(&stop))?);
    }
    let mut rng = Rng::new(seed ^ 0x9a55);
    let (mut sent, time) = (pack(&script, &mut rng), &*Box::leak(Box::new(AtomicI64::new(0))));
    let (mut harbour, mut figures, mut left) = (Harbour::new(), Figures::default(), rng.below(MISHAPS + 1));
    figures.note("events", script.events());
    // A journal of one segment never has room again, and what is judged again takes as much as what came.
    let most_bytes = *rng.pick(&[80_000, 1 << 50]);
    let most_bytes = if script.settings.journal.segment_bytes < most_bytes { most_bytes } else { 1 << 50 };
    let mut before = Committed::default();
    loop {
        let kind = rng.below(AtSea::KINDS);
        let mishap = (left > 0).then(|| AtSea::draw(kind, 40, &mut rng));
        mishap.into_iter().for_each(|mishap| mishap.prepare(&harbour.disk, &harbour.ledger));
        let journal = Limits { most_bytes, reserve_bytes: 8_000, ..script.settings.journal };
        let windows = *rng.pick(&[0, 6, usize::MAX]);
        let settings = Settings { shards: 1 + rng.below(3), windows, journal, ..script.settings.clone() };
        let clock = Clock::driven(BEGUN, time);
        let outcome = open(&script, &harbour, &settings, clock, |instance, _| {
            let (sent, rng, figures) = (&mut sent, &mut rng, &mut figures);
            let mut crossing = Crossing { script: &script, sent, time, rng, figures, keeping: None };
            crossing.make(instance, sources)
        });
        let came = mishap.and_then(|mishap| mishap.came(&harbour.disk, &harbour.ledger, outcome.is_err()));
        harbour.ledger.trouble(None);
        came.into_iter().for_each(|name| figures.note(name, 1));
        nothing_moved(&before, &harbour.ledger)?;
        before = harbour.ledger.committed();
        match outcome {
            Ok(()) => break,
            Err(Stop::Fault(_)) if came.is_some() => {}
            Err(stop) => return Err(format!("{}\n  after {mishap:?}, {left} left, {settings:?}", told(&stop))),
        }
        harbour.disk = match harbour.disk.is_dark() || rng.chance(40) {
            true => {
                figures.note("crashes", 1);
                harbour.disk.image(rng.bits())
            }
            false => harbour.disk.restarted(),
        };
        if rng.chance(20) {
            time.fetch_add(YEAR, Ordering::AcqRel);
        }
        left = left.saturating_sub(1);
    }
    if !alike {
        figures.note("by_arrival", 1);
        return Ok(Some(figures));
    }
    let calm_counts = seen.ok_or("there was no run")?.counts;
    ends_alike(&before, (&calm.ledger.committed(), &calm_counts))?;
    Ok(Some(figures))
}

/// What is counted, and what the newest rows say, is as on a calm voyage.
fn ends_alike(before: &Committed, (calm, calm_counts): (&Committed, &[Counts])) -> Result<(), String> {
    let counts = &before.head.as_ref().ok_or("nothing was committed")?.counts;
    for (mine, theirs) in counts.iter().zip(calm_counts) {
        if (mine.received, mine.facts, mine.refused()) != (theirs.received, theirs.facts, theirs.refused()) {
            return Err(format!("counted as {mine:?}, on a calm voyage as {theirs:?}"));
        }
    }
    let (mine, theirs) = (newest(before), newest(calm));
    if mine != theirs {
        let only = |of: &Committed, others: &BTreeSet<(u16, [u8; 32])>| {
            let rows = Final::newest(of.rows.values().map(|kept| kept.row.clone()).collect());
            rows.into_iter().find(|row| !others.contains(&(row.pipeline, row.digest)))
        };
        let (one, other) = (only(before, &theirs), only(calm, &mine));
        let (found, wanted) = (mine.len(), theirs.len());
        return Err(format!("{found} rows are not the {wanted} of a calm voyage:\n  {one:?}\n  calm {other:?}"));
    }
    Ok(())
}

/// The events of all files as deliveries with names, in some other order.
fn pack(script: &Script, rng: &mut Rng) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (number, part) in script.parts.iter().enumerate() {
        let given = super::script::Given { part: number, len: part.events.len() };
        for (piece, chunk) in script.chunks(given).into_iter().enumerate() {
            let name = Some(Arc::from(format!("{}-{piece}", part.name)));
            let digest = xxhash_rust::xxh3::xxh3_128(&chunk.bytes);
            let (source, bytes, header) = (chunk.source, chunk.bytes, chunk.header);
            sent.push(Sent { delivery: Delivery::new(source, name, bytes, (header, digest)), answer: None });
        }
    }
    for at in 1..sent.len() {
        let near = at.saturating_sub(rng.below(4));
        sent.swap(at, near);
    }
    sent
}

/// What an attempt needs.
struct Crossing<'a> {
    script: &'a Script,
    sent: &'a mut [Sent],
    time: &'static AtomicI64,
    rng: &'a mut Rng,
    figures: &'a mut Figures,
    /// A checkpoint that was begun and does not count yet.
    keeping: Option<Pending>,
}

/// A checkpoint that is written late, or was at once.
enum Pending {
    Begun(Box<Keeping>),
    Written(Box<Written>),
}

impl Crossing<'_> {
    /// Sends until everything is answered, then ends the input.
    fn make(&mut self, instance: &mut Instance<'_>, sources: &[Source]) -> Result<(), Stop> {
        // With the end of all input the passage is over.
        if self.sent.iter().any(|sent| sent.answer.is_none()) {
            instance.tune(&self.knobs(sources))?;
            instance.guard(&self.guards(sources))?;
        }
        while self.sent.iter().any(|sent| sent.answer.is_none()) {
            self.pass_time();
            self.send(instance)?;
            if self.rng.chance(40) {
                self.pass_time();
                let caught_up = (0..sources.len() as u16).filter(|_| self.rng.chance(50)).collect();
                self.tick(instance, caught_up)?;
                self.figures.note("ticks", 1);
            }
            if self.rng.chance(10) {
                self.figures.note("released", release(instance, sources.len())? as usize);
            }
            if self.rng.chance(30) {
                self.figures.note("open_rows", instance.open_rows()?.len());
            }
            if self.rng.chance(5) {
                instance.tune(&self.knobs(sources))?;
                self.figures.note("tuned", 1);
            }
            if self.rng.chance(10) {
                instance.guard(&self.guards(sources))?;
                self.figures.note("guarded", 1);
            }
            if self.rng.chance(15) {
                self.readmit(instance, sources.len())?;
            }
        }
        self.pass_time();
        self.end_keeping(instance)?;
        instance.decide(Decision::EndOfInput)?;
        instance.pulse(Vec::new(), true, |_, _| {})?;
        instance.guard(&sources.iter().map(|source| source.guards.clone()).collect::<Vec<_>>())?;
        self.readmit(instance, sources.len())?;
        let held = release(instance, sources.len())?;
        self.figures.note("released", held as usize);
        if !instance.is_committed() {
            self.pass_time();
            instance.pulse(Vec::new(), true, |_, _| {})?;
        }
        Ok(())
    }

    /// The knobs of the sources, some of them turned: no newest row depends on them.
    fn knobs(&mut self, sources: &[Source]) -> Vec<Knobs> {
        let mut turned = |source: &Source| match self.rng.below(3) {
            0 => Knobs { lag: self.rng.within(0, 100_000_000_000), ..source.knobs.clone() },
            _ => source.knobs.clone(),
        };
        sources.iter().map(&mut turned).collect()
    }

    /// Judges again what is in quarantine, behind a checkpoint where the journal has no room for it.
    fn readmit(&mut self, instance: &mut Instance<'_>, sources: usize) -> Result<(), Stop> {
        let released = readmit(instance, sources, |instance| {
            self.end_keeping(instance)?;
            instance.pulse(Vec::new(), true, |_, _| {}).map(drop).map_err(Stop::Fault)
        })?;
        self.figures.note("readmitted", released as usize);
        Ok(())
    }

    /// What the sources demand, some of them more than in the end.
    fn guards(&mut self, sources: &[Source]) -> Vec<Arc<Guards>> {
        (0..sources.len()).map(|source| self.script.demands(self.rng, source)).collect()
    }

    /// A tick, at times with a checkpoint, or with one that goes on beside what comes.
    fn tick(&mut self, instance: &mut Instance<'_>, caught_up: Vec<u16>) -> Result<(), Stop> {
        let checkpoint = self.rng.chance(20);
        let counts = (checkpoint || self.rng.chance(40)) && self.end_keeping(instance)?;
        let before = instance.windows().1;
        instance.pulse(caught_up, checkpoint, |_, _| {})?;
        self.figures.note("put_away", (instance.windows().1 - before) as usize);
        if counts && !checkpoint {
            instance.forget()?;
        }
        if self.keeping.is_none() && self.rng.chance(50) {
            let keeping = instance.begin_keeping()?;
            self.keeping = Some(match self.rng.chance(50) {
                true => Pending::Begun(Box::new(keeping)),
                false => Pending::Written(Box::new(keeping.write()?)),
            });
            self.figures.note("checkpoints_beside", 1);
        }
        Ok(())
    }

    /// Takes the checkpoint that was begun, if one was.
    fn end_keeping(&mut self, instance: &mut Instance<'_>) -> Result<bool, Stop> {
        let Some(pending) = self.keeping.take() else { return Ok(false) };
        let written = match pending {
            Pending::Begun(keeping) => keeping.write(),
            Pending::Written(written) => Ok(*written),
        };
        instance.end_keeping(written)?;
        Ok(true)
    }

    /// Hands deliveries over together, or in two groups of which the second is journaled before the first is judged.
    fn hand(
        &mut self,
        instance: &mut Instance<'_>,
        mut deliveries: Vec<Delivery>,
    ) -> Result<Vec<Result<Receipt, Declined>>, Stop> {
        if deliveries.len() < 2 || self.rng.chance(50) {
            return Ok(instance.deliver(deliveries, &Gauge::default())?);
        }
        let second = deliveries.split_off(1 + self.rng.below(deliveries.len() - 1));
        self.figures.note("groups_apart", 1);
        let first = journal(instance, deliveries)?;
        let second = journal(instance, second)?;
        let mut told = judge(instance, first)?;
        told.extend(judge(instance, second)?);
        Ok(told)
    }

    fn pass_time(&mut self) {
        let step = *self.rng.pick(&[1, 1_000_000, 1_000_000_000, 60_000_000_000]);
        self.time.fetch_add(step, Ordering::AcqRel);
    }

    /// One round of deliveries that were not answered, and at times of one that was.
    fn send(&mut self, instance: &mut Instance<'_>) -> Result<(), Stop> {
        let most = 1 + self.rng.below(4);
        let again = self.rng.chance(20);
        let open = |sent: &Sent| sent.answer.is_none();
        let mut chosen: Vec<usize> = (0..self.sent.len()).filter(|at| open(&self.sent[*at])).take(most).collect();
        if again {
            chosen.push(self.rng.below(self.sent.len()));
        }
        let deliveries = chosen.iter().map(|at| self.sent[*at].delivery.clone()).collect();
        let mut declined = false;
        for (at, told) in chosen.into_iter().zip(self.hand(instance, deliveries)?) {
            match (told, &self.sent[at].answer) {
                (Ok(receipt), Some(before)) if !receipt.repeated || receipt.counts != *before => {
                    return Err(Stop::Wrong(format!("answered {before:?} first, and then {receipt:?}")));
                }
                (Ok(receipt), _) => {
                    self.figures.note("repeated", usize::from(receipt.repeated));
                    self.sent[at].answer = Some(receipt.counts);
                }
                (Err(Declined::NoRoom(_)), _) => declined = true,
                (Err(declined), _) => return Err(Stop::Wrong(format!("declined: {declined:?}"))),
            }
        }
        // Behind a checkpoint the journal has room again.
        if declined {
            self.figures.note("declined", 1);
            self.end_keeping(instance)?;
            instance.pulse(Vec::new(), true, |_, _| {})?;
        }
        Ok(())
    }
}

/// Journals and syncs deliveries.
fn journal(instance: &mut Instance<'_>, deliveries: Vec<Delivery>) -> Result<Begun, Stop> {
    let begun = instance.begin(deliveries)?;
    Ok(match begun {
        Begun::Journaled(group, Some(syncing)) => {
            instance.end_sync(syncing.run(), Stopwatch::start())?;
            Begun::Journaled(group, None)
        }
        begun => begun,
    })
}

/// Judges deliveries that are journaled.
fn judge(instance: &mut Instance<'_>, begun: Begun) -> Result<Vec<Result<Receipt, Declined>>, Stop> {
    match begun {
        Begun::Journaled(group, _) => Ok(instance.judge(group, &Gauge::default())?),
        Begun::Declined(told) => Ok(told),
    }
}

/// What was committed once is there as it was, and every commit accounts for every event.
fn nothing_moved(before: &Committed, ledger: &Ledger) -> Result<(), String> {
    let now = ledger.committed();
    if let Some((place, _)) = before.rows.iter().find(|(place, kept)| now.rows.get(*place) != Some(*kept)) {
        return Err(format!("a row that was committed is not what it was: {place:?}"));
    }
    let unbalanced = |head: &&slackwater_store::store::Head| head.counts.iter().any(|counts| !counts.balances());
    match ledger.heads().iter().find(unbalanced) {
        Some(head) => Err(format!("commit {} does not account for every event: {:?}", head.commit, head.counts)),
        None => Ok(()),
    }
}

/// What the newest rows say.
fn newest(committed: &Committed) -> BTreeSet<(u16, [u8; 32])> {
    let rows = committed.rows.values().map(|kept| kept.row.clone()).collect();
    Final::newest(rows).into_iter().map(|row| (row.pipeline, row.digest)).collect()
}
