//! A running instance: takes deliveries in as they come, ticks, commits, and shows what it has.
//!
//! It is one state machine, polled by one thread; a simulator may poll it too. Where the disk has no room the instance is
//! let go and opened again from what is kept, until there is: then it goes on by itself.

use super::board::{News, Times};
use super::clock::Stopwatch;
use super::deliver::{Begun, Coming, Group};
use super::desk::{Answer, Declined, Delivery, Waiting};
use super::gauge::Gauge;
use super::instance::Instance;
use super::keeping::Written;
use super::orders::{Front, Order};
use super::replay::Ahead;
use super::restraint::Reader;
use super::retrial::Dealt;
use super::syncer::{Syncer, Underway};
use crate::decode::Chunk;
use slackwater_core::input::{Decision, Tick};
use slackwater_core::plan::{Guards, Knobs};
use slackwater_store::Fault;
use slackwater_store::store::Offset;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of events that one round takes in at most, about.
const ROUND: usize = 8 << 20;

/// How long rows that were shown are not shown again though nothing else waits to be done.
const PROMPT: Duration = Duration::from_millis(10);

/// How long to wait before what failed for want of room is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long nothing more is said of a disk without room.
const SILENCE: Duration = Duration::from_secs(60);

/// How often things are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one tick to the next.
    pub tick: Duration,
    /// From one publication of rows that move to the next at most; where there is time for it they are shown sooner.
    pub publish: Duration,
    /// From one checkpoint to the next.
    pub checkpoint: Duration,
    /// Bytes of events between two checkpoints at most.
    pub bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            tick: Duration::from_secs(1),
            publish: Duration::from_millis(100),
            checkpoint: Duration::from_secs(10),
            bytes: 256 << 20,
        }
    }
}

/// Something that is read as it grows.
pub trait Tail: Send {
    /// Index of its source.
    fn source(&self) -> u16;

    /// What came next, if anything did. `known` is how far each part of the source was taken in before the last
    /// [`Tail::rewind`].
    fn next(&mut self, known: &dyn Fn() -> Vec<Offset>) -> Option<Chunk>;

    /// What keeps it from reading something that is there, for a person to know.
    fn wrong(&self) -> Option<String>;

    /// Whether everything that was there when it was last asked has been given.
    fn is_caught_up(&self) -> bool;

    /// From here on it goes on from where each part was taken in: what it gave since may not have been.
    fn rewind(&mut self);
}

/// Deliveries that are journaled, and what is to be done with their answers.
struct Round {
    group: Group,
    sources: Vec<u16>,
    answers: Vec<Answer>,
    /// Their sync, until it has come back.
    synced: Option<Underway>,
    watch: Stopwatch,
}

/// A running instance.
pub struct Service<'p, O> {
    /// Opens the instance, also after it was let go.
    open: O,
    instance: Option<Instance<'p>>,
    front: Front,
    pace: Pace,
    tails: Vec<Reader>,
    /// By source, whether a refused event halts it.
    halts: Vec<bool>,
    /// By source, what its watermark is to follow.
    knobs: Vec<Knobs>,
    /// By source, what its events are judged under.
    guards: Vec<Arc<Guards>>,
    gauge: Arc<Gauge>,
    times: Times,
    /// When it was last looked at whether a tick is due; never since the instance was opened.
    looked: Option<Stopwatch>,
    /// The tick that was due then and could bring nothing, and nothing has come since.
    left_out: Option<Tick>,
    published: Stopwatch,
    kept: Stopwatch,
    /// Whether something came since rows were last shown.
    moved: bool,
    /// Whether something was shown since it was last said how far it has come, and when that was.
    untold: bool,
    told: Stopwatch,
    /// How many windows are in memory, and how many ticks there had been when they were counted.
    windows: (usize, Option<u64>),
    /// Whether the journal had no room for what came: a checkpoint makes some.
    crowded: bool,
    /// What is journaled and not judged.
    begun: Option<Round>,
    syncer: Syncer,
    /// The checkpoint that is being written.
    keeping: Option<JoinHandle<Result<Written, Fault>>>,
    /// What keeps it from taking anything in, and since when it was last tried.
    trouble: Option<(String, Stopwatch)>,
    /// When it was last said that there is no room.
    lamented: Option<Stopwatch>,
}

impl<'p, O: FnMut() -> Result<Instance<'p>, Fault>> Service<'p, O> {
    /// Opens the instance, and shows what it has.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn start(
        mut open: O,
        front: Front,
        pace: Pace,
        (tails, halts): (Vec<Box<dyn Tail>>, Vec<bool>),
        gauge: Arc<Gauge>,
    ) -> Result<Self, Fault> {
        let mut instance = open()?;
        let knobs: Vec<Knobs> = instance.plan.sources.iter().map(|source| source.knobs.clone()).collect();
        let guards: Vec<_> = instance.plan.sources.iter().map(|source| source.guards.clone()).collect();
        instance.tune(&knobs)?;
        instance.guard(&guards)?;
        let now = Stopwatch::start;
        let syncer = Syncer::start(instance.may_keep_aside().then(|| front.desk.clone()))?;
        let mut service = Service {
            open,
            instance: Some(instance),
            front,
            pace,
            tails: tails.into_iter().map(Reader::new).collect(),
            halts,
            knobs,
            guards,
            gauge,
            times: Times::default(),
            looked: None,
            left_out: None,
            published: now(),
            kept: now(),
            moved: true,
            untold: true,
            told: now(),
            windows: (0, None),
            crowded: false,
            begun: None,
            syncer,
            keeping: None,
            trouble: None,
            lamented: None,
        };
        service.publish()?;
        service.tell();
        Ok(service)
    }

    /// Works until the desk is closed and everything on it was taken in; then ticks a last time, with a checkpoint.
    ///
    /// # Errors
    /// What stopped it. What was committed stands, and what was answered is kept.
    pub fn run(mut self) -> Result<(), Fault> {
        let ended = loop {
            match self.poll() {
                Ok(true) => {}
                Ok(false) if self.begun.is_none() && self.front.desk.is_done() => break self.finish(),
                Ok(false) => self.front.desk.wait(self.pause(), self.begun.is_none()),
                Err(fault) => break Err(fault),
            }
        };
        if let (Err(fault), Some(Round { answers, synced, .. })) = (&ended, self.begun.take()) {
            drop(synced.map(Underway::wait));
            answers.into_iter().for_each(|answer| answer(Err(Declined::Failed(fault.to_string()))));
        }
        if let Err(fault) = &ended {
            self.front.end(Declined::Failed(fault.to_string()));
        }
        ended
    }

    /// Does one step; false where there is nothing to do now.
    ///
    /// # Errors
    /// What the instance cannot go on after.
    pub fn poll(&mut self) -> Result<bool, Fault> {
        if let Some((_, since)) = &self.trouble {
            if since.elapsed() < AGAIN {
                let (why, _) = self.trouble.as_ref().expect("just seen");
                let (declined, why) = (Declined::NoRoom(why.clone()), why.clone());
                while let Some((_, done)) = self.front.orders.next() {
                    done(Err(why.clone()));
                }
                return Ok(self.front.decline(&declined));
            }
            self.recover()?;
            return Ok(self.trouble.is_none());
        }
        let worked = self.take_in().and_then(|came| Ok(came | self.obey()? | self.pulse()? | self.show()?));
        match worked {
            Err(fault) if fault.is_full() => {
                self.get_into_trouble(fault.to_string());
                Ok(true)
            }
            worked => worked,
        }
    }

    /// What waits is journaled; what was journaled before is judged while the disk syncs that.
    fn take_in(&mut self) -> Result<bool, Fault> {
        let ready = self.end_sync(false)?;
        let begun = self.begin()?;
        let judged = ready.is_some();
        ready.map_or(Ok(()), |ready| self.judge(ready))?;
        let tailed = self.take_tails()?;
        self.moved |= judged || tailed;
        Ok(begun || judged || tailed)
    }

    /// Journals what waits, unless a sync is under way.
    fn begin(&mut self) -> Result<bool, Fault> {
        if self.begun.is_some() || self.front.desk.load().deliveries == 0 {
            return Ok(false);
        }
        self.make_up()?;
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let waiting = self.front.desk.take(ROUND);
        let (deliveries, answers): (Vec<Delivery>, Vec<_>) =
            waiting.into_iter().map(|Waiting { delivery, answer }| (delivery, answer)).unzip();
        let sources = deliveries.iter().map(|delivery| delivery.source).collect();
        match instance.begin(deliveries) {
            Ok(Begun::Journaled(group, syncing)) => {
                let watch = Stopwatch::start();
                let synced = syncing.map(|syncing| self.syncer.run(syncing)).transpose()?;
                self.begun = Some(Round { group, sources, answers, synced, watch });
                Ok(true)
            }
            Ok(Begun::Declined(told)) => {
                self.crowded = true;
                if let Some(Err(Declined::NoRoom(why))) = told.iter().find(|told| told.is_err()) {
                    self.lament(why);
                }
                answers.into_iter().zip(told).for_each(|(answer, told)| answer(told));
                Ok(true)
            }
            Err(fault) => {
                let failed = Declined::Failed(fault.to_string());
                answers.into_iter().for_each(|answer| answer(Err(failed.clone())));
                Err(fault)
            }
        }
    }

    /// The round whose sync has come back, if it has, or once it has.
    fn end_sync(&mut self, wait: bool) -> Result<Option<Round>, Fault> {
        let (Some(instance), Some(begun)) = (&mut self.instance, &mut self.begun) else { return Ok(None) };
        if let Some(synced) = begun.synced.take_if(|synced| wait || synced.has_come()) {
            let watch = begun.watch;
            let done = synced.wait().and_then(|synced| instance.end_sync(synced, watch));
            if let Err(fault) = done {
                let failed = Declined::Failed(fault.to_string());
                let answers = self.begun.take().into_iter().flat_map(|round| round.answers);
                answers.for_each(|answer| answer(Err(failed.clone())));
                return Err(fault);
            }
        }
        Ok(self.begun.take_if(|begun| begun.synced.is_none()))
    }

    /// Judges a round, and answers it.
    fn judge(&mut self, round: Round) -> Result<(), Fault> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        let Round { group, sources, answers, watch, .. } = round;
        match instance.judge(group, &self.gauge) {
            Ok(told) => {
                for (source, answer) in sources.iter().zip(&told) {
                    let refused =
                        answer.as_ref().is_ok_and(|receipt| !receipt.repeated && receipt.counts.refused() > 0);
                    self.halt_where(*source, refused)?;
                }
                answers.into_iter().zip(told).for_each(|(answer, told)| answer(told));
                self.times.round.add(watch.elapsed());
                Ok(())
            }
            Err(fault) => {
                let failed = Declined::Failed(fault.to_string());
                answers.into_iter().for_each(|answer| answer(Err(failed.clone())));
                Err(fault)
            }
        }
    }

    /// Judges what is journaled, so that something else can stand behind it.
    fn settle(&mut self) -> Result<(), Fault> {
        if let Some(round) = self.end_sync(true)? {
            self.judge(round)?;
            self.moved = true;
        }
        Ok(())
    }

    /// What grew.
    fn take_tails(&mut self) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let (mut coming, mut bytes) = (Vec::new(), 0);
        let (standing, now) = (self.front.board.standing(), instance.clock.now());
        for tail in &mut self.tails {
            let source = tail.source();
            let number = usize::from(source);
            let (of, restraint) = (instance.kind_of(number), &standing.sources[number].restraint);
            while bytes < ROUND
                && !instance.is_halted(source)
                && let Some(chunk) = tail.next(&|| instance.offsets(source), of, (restraint, now))
            {
                bytes += chunk.bytes.len();
                let ahead = Ahead::of(chunk.line, &chunk.bytes);
                coming.push(Coming { chunk, ahead, named: None });
            }
            if tail.is_wrong_anew() {
                self.untold = true;
            }
        }
        if coming.is_empty() {
            return Ok(false);
        }
        self.settle()?;
        self.make_up()?;
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let watch = Stopwatch::start();
        let sources: Vec<u16> = coming.iter().map(|coming| coming.chunk.source).collect();
        let tallies = instance.take_chunks(coming, &self.gauge)?;
        self.times.round.add(watch.elapsed());
        for (source, tally) in sources.iter().zip(&tallies) {
            self.halt_where(*source, tally.refused() > 0)?;
        }
        Ok(true)
    }

    /// Halts a source that a refused event halts, if there was one.
    fn halt_where(&mut self, source: u16, refused: bool) -> Result<(), Fault> {
        let halts = |instance: &Instance<'_>| self.halts[usize::from(source)] && !instance.is_halted(source);
        if !refused || !self.instance.as_ref().is_some_and(halts) {
            return Ok(());
        }
        // What was journaled meanwhile stands before the decision.
        self.settle()?;
        match &mut self.instance {
            Some(instance) if !instance.is_halted(source) => {
                let name = &instance.plan.sources[usize::from(source)].name;
                tracing::warn!(source = name, "an event was refused, and nothing is taken in until somebody resumes");
                instance.decide(Decision::Halt(source))
            }
            _ => Ok(()),
        }
    }

    /// Carries out orders.
    fn obey(&mut self) -> Result<bool, Fault> {
        let Some((order, done)) = self.front.orders.next() else { return Ok(false) };
        if let Err(fault) = self.settle().and_then(|()| self.make_up()) {
            done(Err(fault.to_string()));
            return Err(fault);
        }
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let obeyed = match order {
            Order::Resume(source) if instance.is_halted(source) => {
                instance.decide(Decision::Resume(source)).map(|()| Dealt::done(1))
            }
            Order::Resume(_) => Ok(Dealt::default()),
            Order::Tune(knobs, guards) => {
                if let Err(why) = instance.may_guard(&guards) {
                    done(Err(why));
                    return Ok(true);
                }
                let tuned = instance.guard(&guards).and_then(|()| instance.tune(&knobs));
                if tuned.is_ok() {
                    (self.knobs, self.guards) = (knobs, guards);
                }
                tuned.map(|()| Dealt::default())
            }
            Order::Release(release) => instance.release(release).map(Dealt::done),
            Order::Readmit(wanted) => match instance.readmit(&wanted) {
                Ok(Err(why)) => {
                    // It may be for want of room.
                    self.crowded = true;
                    done(Err(why));
                    return Ok(true);
                }
                readmitted => readmitted.map(Result::unwrap_or_default),
            },
            Order::Discard(wanted) => instance.discard(&wanted),
        };
        // What came out of quarantine moves rows.
        self.moved |= obeyed.as_ref().is_ok_and(|dealt| dealt.done > 0);
        done(obeyed.as_ref().map(Clone::clone).map_err(ToString::to_string));
        obeyed.map(|_| true)
    }

    /// Ticks, if it is time for it and could bring anything.
    fn pulse(&mut self) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let crowded = self.crowded || instance.bytes_since_checkpoint() >= self.pace.bytes;
        let unseen = self.looked.as_ref().map(Stopwatch::elapsed);
        if unseen.is_some_and(|unseen| unseen < self.pace.tick) && !crowded {
            return Ok(false);
        }
        self.looked = Some(Stopwatch::start());
        self.settle()?;
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let mut served = self.front.desk.served();
        let behind = self.tails.iter().filter(|tail| !tail.is_caught_up());
        behind.for_each(|tail| served[usize::from(tail.source())] = false);
        for (source, knobs) in (0..).zip(&self.knobs) {
            // Who finds nobody to talk to is not silent: most of the time that proves an origin idle it could be heard.
            let most = self.pace.tick * 2 + Duration::from_nanos(knobs.idle_after.unwrap_or_default() as u64) / 2;
            let heard = unseen.is_some_and(|unseen| unseen < most);
            served[usize::from(source)] &= heard && !instance.is_halted(source);
        }
        let caught_up: Vec<u16> = (0..).zip(served).filter_map(|(source, served)| served.then_some(source)).collect();
        let tick = instance.tick_now(caught_up);
        if !instance.is_due(&tick) {
            self.left_out = Some(tick);
            return Ok(false);
        }
        self.tick(tick, crowded)
    }

    /// Makes up for the tick that was left out, before anything follows it: what comes is late by that one, and not by the
    /// last one that is recorded.
    fn make_up(&mut self) -> Result<(), Fault> {
        let Some(instance) = &self.instance else { return Ok(()) };
        match self.left_out.take().filter(|tick| instance.is_moved_by(tick)) {
            Some(tick) => self.tick(tick, false).map(drop),
            None => Ok(()),
        }
    }

    fn tick(&mut self, tick: Tick, crowded: bool) -> Result<bool, Fault> {
        let ticked = self.beat(tick, crowded)?;
        if let Some(instance) = &mut self.instance {
            // It stands right behind the tick, and counts with what comes.
            instance.cut_off()?;
        }
        Ok(ticked)
    }

    fn beat(&mut self, tick: Tick, crowded: bool) -> Result<bool, Fault> {
        if self.left_out.as_ref().is_some_and(|left_out| left_out.caught_up != tick.caught_up) {
            // Who was idle by that one may not be by this.
            self.make_up()?;
        }
        self.left_out = None;
        // Where it presses, what comes waits until the checkpoint before is there.
        self.settle()?;
        let counts = self.end_keeping(crowded || self.crowded)?;
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let due = (crowded || self.kept.elapsed() >= self.pace.checkpoint) && self.keeping.is_none();
        let now = due && (self.crowded || !instance.may_keep_aside());
        let took = instance.pulse(tick, now, |head, finals| {
            let ((tick, at), settled) = (head.tick(), head.settled.clone());
            self.front.board.tell(News::Committed { tick, at, settled, finals });
        })?;
        let spent = if now { &mut self.times.checkpoint } else { &mut self.times.commit };
        spent.add(took);
        self.publish()?;
        self.tell();
        let Some(instance) = &mut self.instance else { return Ok(true) };
        if counts && !now {
            instance.forget()?;
        }
        if due {
            self.kept = Stopwatch::start();
            match now {
                true => self.crowded = false,
                false => self.begin_keeping()?,
            }
        }
        Ok(true)
    }

    /// Begins to write a checkpoint beside what goes on.
    fn begin_keeping(&mut self) -> Result<(), Fault> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        let thread = instance.begin_keeping()?.spawn();
        self.keeping = Some(thread.map_err(|cause| Fault::Refused(format!("no thread could be started: {cause}")))?);
        Ok(())
    }

    /// Takes the checkpoint that was written, if it is there, or once it is. Whether there was one: the next commit names it.
    fn end_keeping(&mut self, wait: bool) -> Result<bool, Fault> {
        let Some(thread) = self.keeping.take_if(|thread| wait || thread.is_finished()) else { return Ok(false) };
        let written = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.times.checkpoint.add(written.as_ref().map_or(Duration::ZERO, |written| written.took));
        match &mut self.instance {
            Some(instance) => instance.end_keeping(written).map(|()| true),
            None => Ok(false),
        }
    }

    /// Shows what moved, if it is time for it: soon where nothing waits, and else from time to time.
    fn show(&mut self) -> Result<bool, Fault> {
        let due = self.moved && self.published.elapsed() >= self.rest();
        if due {
            self.publish()?;
        }
        let told = self.untold && self.told.elapsed() >= self.pace.publish;
        if told {
            self.tell();
        }
        Ok(due || told)
    }

    /// How long what moved is not shown again.
    fn rest(&self) -> Duration {
        let waits = self.begun.is_some() || self.front.desk.load().deliveries > 0;
        if waits { self.pace.publish } else { PROMPT.min(self.pace.publish) }
    }

    /// Shows the rows that moved.
    fn publish(&mut self) -> Result<(), Fault> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        let open = instance.open_rows()?;
        self.front.board.post_rows(instance.head().ticks, open);
        (self.moved, self.untold, self.published) = (false, true, Stopwatch::start());
        Ok(())
    }

    /// Says how far it has come.
    fn tell(&mut self) {
        let Some(instance) = &mut self.instance else { return };
        let board = &self.front.board;
        let mut standing = instance.standing(self.front.desk.load());
        (standing.open, standing.times) = (board.open(), Times { sync: standing.times.sync, ..self.times });
        for tail in &self.tails {
            standing.sources[usize::from(tail.source())].wrong.extend(tail.wrong().map(String::from));
        }
        // They are many, and what is told more often than it ticks need not count them again.
        if self.windows.1 != Some(standing.ticks) {
            self.windows = (instance.windows().0, Some(standing.ticks));
        }
        standing.windows = self.windows.0;
        board.post_standing(standing);
        (self.untold, self.told) = (false, Stopwatch::start());
    }

    /// How long it can wait if nothing comes.
    fn pause(&self) -> Duration {
        let mut next =
            self.looked.as_ref().map_or(Duration::ZERO, |looked| self.pace.tick.saturating_sub(looked.elapsed()));
        if self.moved {
            next = next.min(self.rest().saturating_sub(self.published.elapsed()));
        }
        if self.untold {
            next = next.min(self.pace.publish.saturating_sub(self.told.elapsed()));
        }
        if !self.tails.is_empty() {
            next = next.min(self.pace.publish);
        }
        next.clamp(Duration::from_millis(1), AGAIN)
    }

    /// What is in memory may be ahead of what is kept: it is let go.
    fn get_into_trouble(&mut self, why: String) {
        // What was journaled will be taken in when the directory is opened again, but nobody can say so now.
        let unknown = Declined::Failed(format!("it is not known whether this was taken in: {why}"));
        if let Some(Round { answers, synced, .. }) = self.begun.take() {
            drop(synced.map(Underway::wait));
            answers.into_iter().for_each(|answer| answer(Err(unknown.clone())));
        }
        (self.instance, self.looked, self.left_out) = (None, None, None);
        // Nothing may be written any more when the directory is opened again. Whether it could be makes no difference.
        let _ = self.end_keeping(true);
        self.tails.iter_mut().for_each(|tail| tail.rewind());
        let mut standing = (*self.front.board.standing()).clone();
        standing.trouble = Some(why.clone());
        self.front.board.post_standing(standing);
        self.lament(&why);
        self.trouble = Some((why, Stopwatch::start()));
    }

    /// Says that there is no room, once in a while: it may be tried very often.
    fn lament(&mut self, why: &str) {
        if self.lamented.as_ref().is_none_or(|last| last.elapsed() >= SILENCE) {
            tracing::warn!(why, "no room on the disk: nothing more is taken in until there is");
            self.lamented = Some(Stopwatch::start());
        }
    }

    /// Opens the instance again.
    fn recover(&mut self) -> Result<(), Fault> {
        let opened = (self.open)().and_then(|mut instance| {
            instance.tune(&self.knobs)?;
            instance.guard(&self.guards)?;
            Ok(instance)
        });
        match opened {
            Ok(instance) => {
                (self.instance, self.trouble) = (Some(instance), None);
                self.front.board.clear();
                self.publish()?;
                self.tell();
                self.front.board.tell(News::Reopened);
                Ok(())
            }
            Err(fault) if fault.is_full() => {
                self.get_into_trouble(fault.to_string());
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// The last tick before a stop, with a checkpoint.
    fn finish(&mut self) -> Result<(), Fault> {
        self.make_up()?;
        let Some(instance) = &self.instance else { return Ok(()) };
        let tick = instance.tick_now(Vec::new());
        // The last checkpoint is there when this ends.
        self.crowded = true;
        self.beat(tick, true).map(drop)
    }
}

impl<O> Drop for Service<'_, O> {
    fn drop(&mut self) {
        // Also where it panicked: nobody waits for what nobody answers, and nothing is written any more. What comes of that
        // makes no difference, for nothing names it.
        self.front.end(Declined::Failed("the instance has stopped".to_string()));
        if let Some(thread) = self.keeping.take() {
            drop(thread.join());
        }
    }
}
