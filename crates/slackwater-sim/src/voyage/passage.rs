//! A passage: an instance that runs, is handed deliveries, ticks when it likes, and is stopped by whatever befalls it.
//!
//! Who sends keeps on sending what was not answered, and now and then what was. What is committed in the end must be what a
//! calm voyage with the same events commits, whatever was sealed too early on the way.

use super::cutoffs::{self, Cuts};
use super::leg::{Harbour, Stop, open, readmit, release, sail};
use super::logbook::told;
use super::mishap::{AtSea, Figures};
use super::script::{Given, Script, plain};
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
/// Bytes of the journal that only steps may use, at the least.
const RESERVE: u64 = 8_000;
/// Bytes of a journal in which there is little room.
const LITTLE: u64 = 80_000;
/// Bytes of a journal that has room for everything.
const NO_BOUND: u64 = 1 << 50;
/// About so many changes of the disk an attempt makes at most until something befalls it; where sources are cut off, in some.
const CHANGES: usize = 40;
const LATER: usize = 160;

/// A delivery, and what it was answered.
pub struct Sent {
    /// The delivery.
    pub delivery: Delivery,
    /// The file that it is a piece of, and where that begins.
    pub stood: (String, u64),
    answer: Option<Counts>,
}

/// Makes the passage of a seed; none where its world has events that are known by their places, for deliveries have other
/// places than files. Where events are held against their arrival, which files do not have, it need not end as a calm voyage.
///
/// # Errors
/// What is not as it must be.
pub fn passage(seed: u64, size: Size) -> Result<Option<Figures>, String> {
    let script = Script::draw(seed, size);
    if stands_by_places(&script) {
        return Ok(None);
    }
    let calm = Harbour::new();
    let mut seen = None;
    for run in 0..script.runs.len() {
        seen = Some(sail(&script, &calm, &plain(), run).map_err(|stop| told(&stop))?);
    }
    let mut voyage = Passage::pack(&script, seed, None);
    voyage.make()?;
    let Passage { mut figures, before, .. } = voyage;
    if !is_alike(&script) {
        figures.note("by_arrival", 1);
        return Ok(Some(figures));
    }
    let calm_counts = seen.ok_or("there was no run")?.counts;
    ends_alike(&before, (&calm.ledger.committed(), &calm_counts))?;
    Ok(Some(figures))
}

/// Makes the passage of a seed on which sources are cut off; none where [`passage`] makes none.
///
/// # Errors
/// What is not as it must be.
pub fn passage_cut_off(seed: u64, size: Size) -> Result<Option<Figures>, String> {
    let mut script = Script::draw(seed, size);
    script.cut_off(seed);
    if stands_by_places(&script) {
        return Ok(None);
    }
    let mut voyage = Passage::pack(&script, seed, Some(Cuts::none(&script)));
    voyage.make()?;
    let Passage { mut figures, before, harbour, sent, cuts, .. } = voyage;
    cutoffs::note(&before, &mut figures);
    cuts.map_or(Ok(()), |cuts| cuts.kept_enough(&script.trial.compiled.config.plan, &before))?;
    cutoffs::come_back(&script, &harbour, &before)?;
    match is_alike(&script) {
        true => cutoffs::against_the_oracle(&script, &before, &sent)?,
        false => figures.note("by_arrival", 1),
    }
    Ok(Some(figures))
}

/// Whether events are known by their places.
fn stands_by_places(script: &Script) -> bool {
    let sources = &script.trial.compiled.config.plan.sources;
    sources.iter().any(|source| source.schema.roles().identity == IdentityRule::Position)
}

/// Whether what has no arrival of its own is not too far ahead of any, as on a calm voyage.
fn is_alike(script: &Script) -> bool {
    script.trial.compiled.config.plan.sources.iter().all(|source| source.guards.max_future.is_none())
}

/// A passage from its first attempt to the last.
struct Passage<'s> {
    script: &'s Script,
    rng: Rng,
    sent: Vec<Sent>,
    time: &'static AtomicI64,
    harbour: Harbour,
    figures: Figures,
    /// Where sources are cut off, if they are.
    cuts: Option<Cuts>,
    /// What was committed after the last attempt.
    before: Arc<Committed>,
}

impl<'s> Passage<'s> {
    fn pack(script: &'s Script, seed: u64, cuts: Option<Cuts>) -> Self {
        let mut rng = Rng::new(seed ^ 0x9a55);
        let (sent, time) = (pack(script, &mut rng), &*Box::leak(Box::new(AtomicI64::new(0))));
        let (harbour, before) = (Harbour::new(), Arc::default());
        let mut figures = Figures::default();
        figures.note("events", script.events());
        Passage { script, rng, sent, time, harbour, figures, cuts, before }
    }

    /// Attempts it until one succeeds.
    fn make(&mut self) -> Result<(), String> {
        let mut left = self.rng.below(MISHAPS + 1);
        let most_bytes = self.most_bytes();
        loop {
            let kind = self.rng.below(AtSea::KINDS);
            let later = self.cuts.is_some() && self.rng.chance(50);
            let changes = if later { LATER } else { CHANGES };
            let mishap = (left > 0).then(|| AtSea::draw(kind, changes, &mut self.rng));
            mishap.into_iter().for_each(|mishap| mishap.prepare(&self.harbour.disk, &self.harbour.ledger));
            let settings = self.settings(most_bytes);
            let outcome = self.attempt(&settings);
            let Harbour { disk, ledger } = &self.harbour;
            let came = mishap.and_then(|mishap| mishap.came(disk, ledger, outcome.is_err()));
            ledger.trouble(None);
            came.into_iter().for_each(|name| self.figures.note(name, 1));
            nothing_moved(&self.before, &self.harbour.ledger)?;
            self.before = self.harbour.ledger.committed();
            match outcome {
                Ok(()) => return Ok(()),
                Err(Stop::Fault(_)) if came.is_some() => {}
                Err(stop) => return Err(format!("{}\n  after {mishap:?}, {left} left, {settings:?}", told(&stop))),
            }
            self.land();
            left = left.saturating_sub(1);
        }
    }

    /// How much room the journal has.
    fn most_bytes(&mut self) -> u64 {
        let segment_bytes = self.script.settings.journal.segment_bytes;
        // Each delivery has room behind some checkpoints, but not all of them together.
        let enough = (4 * self.reserve() + self.largest()).saturating_add(segment_bytes);
        let bound = if self.cuts.is_some() { enough } else { enough.max(LITTLE) };
        let most_bytes = *self.rng.pick(&[bound, NO_BOUND]);
        // A journal of one segment never has room again, and what is judged again takes as much as what came.
        if segment_bytes < LITTLE { most_bytes } else { NO_BOUND }
    }

    /// Bytes of the largest delivery.
    fn largest(&self) -> u64 {
        self.sent.iter().map(|sent| sent.delivery.bytes.len() as u64).max().unwrap_or(0)
    }

    /// Bytes of the journal that only steps may use: there is room for what a tick tells of two deliveries.
    fn reserve(&self) -> u64 {
        RESERVE.max(2 * self.largest())
    }

    fn settings(&mut self, most_bytes: u64) -> Settings {
        let journal = Limits { most_bytes, reserve_bytes: self.reserve(), ..self.script.settings.journal };
        let windows = *self.rng.pick(&[0, 6, usize::MAX]);
        let shards = 1 + self.rng.below(3);
        let mut settings = Settings { shards, windows, journal, ..self.script.settings.clone() };
        if self.cuts.is_some() && self.rng.chance(30) {
            // What was decided stays, whatever is configured later.
            settings.keep_facts = self.script.keeps(&mut self.rng);
        }
        settings
    }

    fn attempt(&mut self, settings: &Settings) -> Result<(), Stop> {
        let Passage { script, rng, sent, time, harbour, figures, cuts, .. } = self;
        let sources = &script.trial.compiled.config.plan.sources;
        open(script, harbour, settings, Clock::driven(BEGUN, time), |instance, _| {
            if let Some(cuts) = cuts {
                cuts.opened(instance, figures)?;
            }
            let most_bytes = settings.journal.most_bytes;
            let mut crossing = Crossing { script, sent, time, rng, figures, keeping: None, most_bytes, cuts };
            crossing.make(instance, sources)
        })
    }

    /// The process is gone, and often the power too.
    fn land(&mut self) {
        self.harbour.disk = match self.harbour.disk.is_dark() || self.rng.chance(40) {
            true => {
                self.figures.note("crashes", 1);
                self.harbour.disk.image(self.rng.bits())
            }
            false => self.harbour.disk.restarted(),
        };
        if self.rng.chance(20) {
            self.time.fetch_add(YEAR, Ordering::AcqRel);
        }
    }
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
        let given = Given { part: number, len: part.events.len() };
        for (piece, chunk) in script.chunks(given).into_iter().enumerate() {
            let name = Some(Arc::from(format!("{}-{piece}", part.name)));
            let stood = (part.name.clone(), chunk.offset);
            let digest = xxhash_rust::xxh3::xxh3_128(&chunk.bytes);
            let (source, bytes, header) = (chunk.source, chunk.bytes, chunk.header);
            let delivery = Delivery::new(source, name, bytes, (header, digest));
            sent.push(Sent { delivery, stood, answer: None });
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
    /// Bytes that the journal may have.
    most_bytes: u64,
    cuts: &'a mut Option<Cuts>,
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
        self.beat(instance, (Vec::new(), true))?;
        self.cut_off(instance)?;
        instance.guard(&sources.iter().map(|source| source.guards.clone()).collect::<Vec<_>>())?;
        self.readmit(instance, sources.len())?;
        let held = release(instance, sources.len())?;
        self.figures.note("released", held as usize);
        if !instance.is_committed() {
            self.pass_time();
            self.beat(instance, (Vec::new(), true))?;
        }
        Ok(())
    }

    /// A tick with its commit; and if that is asked for, a checkpoint.
    fn beat(&mut self, instance: &mut Instance<'_>, (caught_up, checkpoint): (Vec<u16>, bool)) -> Result<(), Stop> {
        let mut finals = Vec::new();
        instance.pulse(instance.tick_now(caught_up), checkpoint, |_, told| finals = told)?;
        self.cuts.iter().try_for_each(|cuts| cuts.stand_behind(&self.script.trial.compiled.config.plan, &finals))
    }

    /// Cuts sources off, where they are.
    fn cut_off(&mut self, instance: &mut Instance<'_>) -> Result<(), Stop> {
        self.cuts.as_mut().map_or(Ok(()), |cuts| cuts.cut_off(instance, self.figures))
    }

    /// A checkpoint, behind which the journal has room again.
    fn make_room(&mut self, instance: &mut Instance<'_>) -> Result<(), Stop> {
        self.end_keeping(instance)?;
        self.beat(instance, (Vec::new(), true))?;
        self.cut_off(instance)
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
        let released = readmit(instance, sources, |instance| self.make_room(instance))?;
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
        self.beat(instance, (caught_up, checkpoint))?;
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
        self.cut_off(instance)
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
        let behind_a_cutoff = self.cuts.as_ref().is_some_and(|cuts| cuts.fresh);
        let had_room = match behind_a_cutoff && self.most_bytes < NO_BOUND && self.rng.chance(50) {
            true => self.send_too_much(instance)?,
            false => self.send_some(instance, most)?,
        };
        if had_room {
            return Ok(());
        }
        self.figures.note("declined", 1);
        if self.cuts.is_some() {
            self.figures.note("declined_behind_a_cutoff", usize::from(behind_a_cutoff));
            // What is small may still have room.
            if self.rng.chance(50) {
                self.send_some(instance, 1)?;
            }
        }
        self.make_room(instance)
    }

    /// One delivery for which the journal can never have room.
    fn send_too_much(&mut self, instance: &mut Instance<'_>) -> Result<bool, Stop> {
        let Delivery { source, header, .. } = self.sent[0].delivery.clone();
        // What is packed must not be smaller.
        let bytes = (0..self.most_bytes).map(|_| self.rng.bits() as u8).collect();
        let delivery = Delivery::new(source, Some("too much".into()), bytes, (header, 0));
        match &instance.deliver(vec![delivery], &Gauge::default())?[..] {
            [Err(Declined::NoRoom(_))] => Ok(false),
            told => Err(Stop::Wrong(format!("more than the journal may have, and {told:?}"))),
        }
    }

    /// So many deliveries at most that were not answered, and at times one that was; whether there was room for them.
    fn send_some(&mut self, instance: &mut Instance<'_>, most: usize) -> Result<bool, Stop> {
        let again = self.rng.chance(20);
        let open = |sent: &Sent| sent.answer.is_none();
        let mut chosen: Vec<usize> = (0..self.sent.len()).filter(|at| open(&self.sent[*at])).take(most).collect();
        if again {
            chosen.push(self.rng.below(self.sent.len()));
        }
        let deliveries = chosen.iter().map(|at| self.sent[*at].delivery.clone()).collect();
        let mut had_room = true;
        for (at, told) in chosen.into_iter().zip(self.hand(instance, deliveries)?) {
            match (told, &self.sent[at].answer) {
                (Ok(receipt), Some(before)) if !receipt.repeated || receipt.counts != *before => {
                    return Err(Stop::Wrong(format!("answered {before:?} first, and then {receipt:?}")));
                }
                (Ok(receipt), _) => {
                    self.figures.note("repeated", usize::from(receipt.repeated));
                    self.sent[at].answer = Some(receipt.counts);
                }
                (Err(Declined::NoRoom(_)), _) => had_room = false,
                (Err(declined), _) => return Err(Stop::Wrong(format!("declined: {declined:?}"))),
            }
        }
        if let (Some(cuts), true) = (&mut self.cuts, had_room) {
            cuts.fresh = false;
        }
        Ok(had_room)
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
    let heads = ledger.heads();
    let cutoffs = before.head.iter().chain(&heads).map(|head| &head.cutoffs);
    cutoffs::only_go_up(cutoffs)?;
    let unbalanced = |head: &&slackwater_store::store::Head| head.counts.iter().any(|counts| !counts.balances());
    match heads.iter().find(unbalanced) {
        Some(head) => Err(format!("commit {} does not account for every event: {:?}", head.commit, head.counts)),
        None => Ok(()),
    }
}

/// What the newest rows say.
fn newest(committed: &Committed) -> BTreeSet<(u16, [u8; 32])> {
    let rows = committed.rows.values().map(|kept| kept.row.clone()).collect();
    Final::newest(rows).into_iter().map(|row| (row.pipeline, row.digest)).collect()
}
