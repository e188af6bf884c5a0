//! A running instance: takes deliveries in as they come, ticks, commits, and shows what it has.
//!
//! It is one state machine, polled by one thread; a simulator may poll it too. Where the disk has no room the instance is
//! let go and opened again from what is kept, until there is: then it goes on by itself.

use super::board::{Board, News, Times};
use super::clock::Stopwatch;
use super::desk::{Declined, Delivery, Desk, Waiting};
use super::gauge::Gauge;
use super::instance::Instance;
use crate::decode::Chunk;
use slackwater_core::hold::Release;
use slackwater_core::input::Decision;
use slackwater_core::plan::Knobs;
use slackwater_store::Fault;
use slackwater_store::store::Offset;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes of events that one round takes in at most, about.
const ROUND: usize = 8 << 20;

/// How long to wait before what failed for want of room is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often things are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one tick to the next.
    pub tick: Duration,
    /// From one publication of rows that move to the next.
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

    /// What came next, if anything did. `known` is how far each part was taken in before the last [`Tail::rewind`].
    ///
    /// # Errors
    /// What a person should know; it is asked again later.
    fn next(&mut self, known: &dyn Fn(&str) -> Option<Offset>) -> Result<Option<Chunk>, String>;

    /// Whether everything that was there when it was last asked has been given.
    fn is_caught_up(&self) -> bool;

    /// From here on it goes on from where each part was taken in: what it gave since may not have been.
    fn rewind(&mut self);
}

/// What an operator asks of a running instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take events of a source in again.
    Resume(u16),
    /// Let the watermarks follow these knobs, one of each source.
    Tune(Vec<Knobs>),
    /// Let in what is held.
    Release(Release),
}

/// Orders that wait for the instance; none once nobody carries them out any more.
pub struct Orders(Mutex<Option<VecDeque<(Order, Done)>>>);

/// What is to be done when an order was carried out, on so many things, or could not be.
pub type Done = Box<dyn FnOnce(Result<u64, String>) + Send>;

impl Default for Orders {
    fn default() -> Self {
        Orders(Mutex::new(Some(VecDeque::new())))
    }
}

impl Orders {
    fn waiting(&self) -> MutexGuard<'_, Option<VecDeque<(Order, Done)>>> {
        self.0.lock().expect("nothing panics while it holds the orders")
    }

    /// Gives an order. It is answered in any case.
    pub fn give(&self, order: Order, done: Done) {
        let mut waiting = self.waiting();
        match &mut *waiting {
            Some(orders) => orders.push_back((order, done)),
            None => {
                drop(waiting);
                done(Err("the instance has stopped".to_string()));
            }
        }
    }

    fn next(&self) -> Option<(Order, Done)> {
        self.waiting().as_mut()?.pop_front()
    }

    /// Refuses all that wait, and all that come.
    fn close(&self) {
        let left = self.waiting().take();
        left.into_iter().flatten().for_each(|(_, done)| done(Err("the instance has stopped".to_string())));
    }
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Orders")
    }
}

/// What a service shares with those who use it.
#[derive(Clone, Debug)]
pub struct Front {
    /// Where deliveries are handed in.
    pub desk: Arc<Desk>,
    /// Where it shows what it has.
    pub board: Arc<Board>,
    /// Where orders are given.
    pub orders: Arc<Orders>,
}

impl Front {
    /// Takes nothing more, and declines all that waits.
    fn end(&self, declined: Declined) {
        self.desk.close(declined.clone());
        self.orders.close();
        self.decline(&declined);
    }

    /// Declines all that waits; false where nothing did.
    fn decline(&self, declined: &Declined) -> bool {
        let waiting = self.desk.take(usize::MAX);
        let any = !waiting.is_empty();
        waiting.into_iter().for_each(|waiting| (waiting.answer)(Err(declined.clone())));
        any
    }
}

/// A running instance.
pub struct Service<'p, O> {
    /// Opens the instance, also after it was let go.
    open: O,
    instance: Option<Instance<'p>>,
    front: Front,
    pace: Pace,
    tails: Vec<Box<dyn Tail>>,
    /// By source, whether a refused event halts it.
    halts: Vec<bool>,
    /// By source, what its watermark is to follow.
    knobs: Vec<Knobs>,
    gauge: Arc<Gauge>,
    times: Times,
    /// When it was last looked at whether a tick is due; never since the instance was opened.
    looked: Option<Stopwatch>,
    published: Stopwatch,
    kept: Stopwatch,
    /// Whether something came since rows were last shown.
    moved: bool,
    /// Whether the journal had no room for what came: a checkpoint makes some.
    crowded: bool,
    /// What keeps a file from being read on.
    stuck: Option<String>,
    /// What keeps it from taking anything in, and since when it was last tried.
    trouble: Option<(String, Stopwatch)>,
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
        instance.tune(&knobs)?;
        let now = Stopwatch::start;
        let mut service = Service {
            open,
            instance: Some(instance),
            front,
            pace,
            tails,
            halts,
            knobs,
            gauge,
            times: Times::default(),
            looked: None,
            published: now(),
            kept: now(),
            moved: true,
            crowded: false,
            stuck: None,
            trouble: None,
        };
        service.publish()?;
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
                Ok(false) if self.front.desk.is_done() => break self.finish(),
                Ok(false) => self.front.desk.wait(self.pause()),
                Err(fault) => break Err(fault),
            }
        };
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

    /// One round of what waits.
    fn take_in(&mut self) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let waiting = self.front.desk.take(ROUND);
        let watch = Stopwatch::start();
        let any = !waiting.is_empty();
        let (deliveries, answers): (Vec<Delivery>, Vec<_>) =
            waiting.into_iter().map(|Waiting { delivery, answer }| (delivery, answer)).unzip();
        let sources: Vec<u16> = deliveries.iter().map(|delivery| delivery.source).collect();
        match instance.deliver(deliveries, &self.gauge) {
            Ok(told) => {
                let no_room = |answer: &Result<_, Declined>| matches!(answer, Err(Declined::NoRoom(_)));
                self.crowded |= told.iter().any(no_room);
                for (source, answer) in sources.iter().zip(&told) {
                    let refused =
                        answer.as_ref().is_ok_and(|receipt| !receipt.repeated && receipt.counts.refused() > 0);
                    self.halt_where(*source, refused)?;
                }
                answers.into_iter().zip(told).for_each(|(answer, told)| answer(told));
            }
            Err(fault) => {
                let failed = Declined::Failed(fault.to_string());
                answers.into_iter().for_each(|answer| answer(Err(failed.clone())));
                return Err(fault);
            }
        }
        let came = any | self.take_tails()?;
        if came {
            self.times.round.add(watch.elapsed());
            self.moved = true;
        }
        Ok(came)
    }

    /// What grew.
    fn take_tails(&mut self) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        self.stuck = None;
        for tail in &mut self.tails {
            let source = tail.source();
            while bytes < ROUND && !instance.is_halted(source) {
                match tail.next(&|part| instance.offset(source, part).cloned()) {
                    Ok(Some(chunk)) => {
                        bytes += chunk.bytes.len();
                        chunks.push((chunk, None));
                    }
                    Ok(None) => break,
                    Err(why) => {
                        self.stuck = Some(why);
                        break;
                    }
                }
            }
        }
        let sources: Vec<u16> = chunks.iter().map(|(chunk, _): &(Chunk, _)| chunk.source).collect();
        let tallies = instance.take_chunks(chunks, &self.gauge)?;
        for (source, tally) in sources.iter().zip(&tallies) {
            self.halt_where(*source, tally.refused() > 0)?;
        }
        Ok(!sources.is_empty())
    }

    /// Halts a source that a refused event halts, if there was one.
    fn halt_where(&mut self, source: u16, refused: bool) -> Result<(), Fault> {
        match &mut self.instance {
            Some(instance) if refused && self.halts[usize::from(source)] && !instance.is_halted(source) => {
                instance.decide(Decision::Halt(source))
            }
            _ => Ok(()),
        }
    }

    /// Carries out orders.
    fn obey(&mut self) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let Some((order, done)) = self.front.orders.next() else { return Ok(false) };
        let obeyed = match order {
            Order::Resume(source) if instance.is_halted(source) => {
                instance.decide(Decision::Resume(source)).map(|()| 1)
            }
            Order::Resume(_) => Ok(0),
            Order::Tune(knobs) => {
                let tuned = instance.tune(&knobs);
                if tuned.is_ok() {
                    self.knobs = knobs;
                }
                tuned.map(|()| 0)
            }
            Order::Release(release) => instance.release(release),
        };
        done(obeyed.as_ref().map(|count| *count).map_err(ToString::to_string));
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
        if !instance.is_due(&caught_up) {
            return Ok(false);
        }
        self.beat(caught_up, crowded)
    }

    fn beat(&mut self, caught_up: Vec<u16>, crowded: bool) -> Result<bool, Fault> {
        let Some(instance) = &mut self.instance else { return Ok(false) };
        let checkpoint = crowded || self.kept.elapsed() >= self.pace.checkpoint;
        let pulse = instance.pulse(caught_up, checkpoint)?;
        let spent = if checkpoint { &mut self.times.checkpoint } else { &mut self.times.commit };
        spent.add(pulse.commit);
        if checkpoint {
            (self.kept, self.crowded) = (Stopwatch::start(), false);
        }
        let head = instance.head();
        let (tick, at) = head.tick();
        let settled = head.settled.clone();
        self.front.board.tell(News::Committed { tick, at, settled, finals: pulse.finals });
        self.publish()?;
        Ok(true)
    }

    /// Shows what moved, if it is time for it.
    fn show(&mut self) -> Result<bool, Fault> {
        if !self.moved || self.published.elapsed() < self.pace.publish {
            return Ok(false);
        }
        self.publish()?;
        Ok(true)
    }

    fn publish(&mut self) -> Result<(), Fault> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        let board = &self.front.board;
        let open = instance.open_rows()?;
        board.post_rows(instance.head().ticks, open);
        let mut standing = instance.standing(self.front.desk.load());
        (standing.open, standing.times) = (board.open(), Times { sync: standing.times.sync, ..self.times });
        standing.trouble.clone_from(&self.stuck);
        board.post_standing(standing);
        (self.moved, self.published) = (false, Stopwatch::start());
        Ok(())
    }

    /// How long it can wait if nothing comes.
    fn pause(&self) -> Duration {
        let mut next =
            self.looked.as_ref().map_or(Duration::ZERO, |looked| self.pace.tick.saturating_sub(looked.elapsed()));
        if self.moved {
            next = next.min(self.pace.publish.saturating_sub(self.published.elapsed()));
        }
        if !self.tails.is_empty() {
            next = next.min(self.pace.publish);
        }
        next.clamp(Duration::from_millis(1), AGAIN)
    }

    /// What is in memory may be ahead of what is kept: it is let go.
    fn get_into_trouble(&mut self, why: String) {
        (self.instance, self.looked) = (None, None);
        self.tails.iter_mut().for_each(|tail| tail.rewind());
        let mut standing = (*self.front.board.standing()).clone();
        standing.trouble = Some(why.clone());
        self.front.board.post_standing(standing);
        self.trouble = Some((why, Stopwatch::start()));
    }

    /// Opens the instance again.
    fn recover(&mut self) -> Result<(), Fault> {
        let opened = (self.open)().and_then(|mut instance| instance.tune(&self.knobs).map(|()| instance));
        match opened {
            Ok(instance) => {
                (self.instance, self.trouble) = (Some(instance), None);
                self.front.board.clear();
                self.publish()?;
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
        if self.instance.is_none() {
            return Ok(());
        }
        self.beat(Vec::new(), true).map(drop)
    }
}

impl<O> Drop for Service<'_, O> {
    fn drop(&mut self) {
        // Also where it panicked: nobody waits for what nobody answers.
        self.front.end(Declined::Failed("the instance has stopped".to_string()));
    }
}
