//! Where deliveries wait for the instance: a queue that is bounded in bytes, and refuses what it has no room for.
//!
//! Whoever hands something in gives with it what is to be done with the answer; the instance's thread does it, so it must
//! be short and never wait.

use super::clock::Stopwatch;
use super::replay::Ahead;
use crate::decode::csv::{self, HeaderError};
use crate::decode::{Format, Header, frame};
use slackwater_core::judge::Counts;
use slackwater_core::schema::Schema;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes of deliveries that wait at most.
const BOUND: usize = 64 << 20;

/// How long whoever was refused is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Events that were sent together, and are taken in together or not at all.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Index of the source in the plan.
    pub source: u16,
    /// The name under which the sender may send it again, if it has one: the same name with the same bytes is answered as
    /// before, and with other bytes refused.
    pub name: Option<Arc<str>>,
    /// The records, without the header.
    pub bytes: Vec<u8>,
    /// What the first line says of the columns; none for JSON.
    pub header: Option<Header>,
    /// xxh3-128 of all bytes as they were sent.
    pub digest: u128,
    /// What is made of its bytes by whoever hands it in, so that the instance's thread need not.
    pub(super) ahead: Ahead,
}

impl Delivery {
    /// A delivery of records without their header.
    pub fn new(
        source: u16,
        name: Option<Arc<str>>,
        bytes: Vec<u8>,
        (header, digest): (Option<Header>, u128),
    ) -> Delivery {
        let ahead = Ahead::of(1, &bytes);
        Delivery { source, name, bytes, header, digest, ahead }
    }

    /// A delivery of these bytes: records, for CSV behind a header.
    ///
    /// # Errors
    /// When the first line is no header of the source.
    ///
    /// # Panics
    /// When the format has no records.
    pub fn of_bytes(
        (source, schema, format): (u16, &Schema, Format),
        name: Option<Arc<str>>,
        mut bytes: Vec<u8>,
    ) -> Result<Delivery, HeaderError> {
        let digest = xxhash_rust::xxh3::xxh3_128(&bytes);
        let mut header = None;
        match format {
            Format::Json => drop(bytes.drain(..frame::byte_order_mark(&bytes))),
            Format::Csv => {
                let mut at = frame::byte_order_mark(&bytes);
                loop {
                    let record = frame::first(format, &bytes[at..]);
                    if record.is_too_large() {
                        return Err(HeaderError::TooLarge);
                    }
                    if record.size == 0 {
                        return Err(HeaderError::Empty);
                    }
                    at += record.size;
                    if !record.is_blank(format) {
                        header = Some(Header::Csv(Arc::new(csv::Header::parse(record.body, schema)?)));
                        break;
                    }
                }
                bytes.drain(..at);
            }
            Format::Parquet => panic!("a delivery is made of records"),
        }
        Ok(Delivery::new(source, name, bytes, (header, digest)))
    }

    fn weight(&self) -> usize {
        self.bytes.capacity() + self.ahead.weight() + size_of::<Delivery>()
    }
}

/// What became of a delivery. It is synced, and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its events by what became of them.
    pub counts: Counts,
    /// Whether it had been taken in before, under its name; then these are the counts of that time.
    pub repeated: bool,
}

/// Why a delivery was not taken in. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// Another delivery had this name.
    NameTaken,
    /// The source is halted until it is resumed.
    Halted,
    /// There is no room on the disk; there may be later.
    NoRoom(String),
    /// The instance is stopping.
    Stopping,
    /// The instance failed, and has stopped.
    Failed(String),
}

/// There is no room for a delivery now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// When it may be worth to try again.
    pub retry_after: Duration,
}

/// What is to be done with the answer to a delivery.
pub type Answer = Box<dyn FnOnce(Result<Receipt, Declined>) + Send>;

/// A delivery with what is to be done with its answer.
pub(super) struct Waiting {
    pub delivery: Delivery,
    pub answer: Answer,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// By source: whether one of its deliveries was refused for want of room since this was last asked.
    refused: Vec<bool>,
    closed: Option<Declined>,
    /// Something else than a delivery wants to be looked at.
    woken: bool,
    most: usize,
}

/// The desk of an instance, for any thread.
pub struct Desk {
    queue: Mutex<Queue>,
    came: Condvar,
    bound: usize,
}

/// How full the desk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Deliveries that wait.
    pub deliveries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The most bytes that ever waited.
    pub most: usize,
    /// Bytes that may wait.
    pub bound: usize,
}

impl Desk {
    /// A desk for so many sources.
    pub fn new(sources: usize) -> Self {
        Desk::bounded(sources, BOUND)
    }

    /// A desk at which so many bytes may wait.
    pub fn bounded(sources: usize, bound: usize) -> Self {
        let queue = Queue { refused: vec![false; sources], ..Queue::default() };
        Desk { queue: Mutex::new(queue), came: Condvar::new(), bound }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds the desk")
    }

    /// Hands a delivery in. Its answer is given when it is synced and judged, or declined.
    ///
    /// # Errors
    /// When there is no room for it. The answer is dropped.
    pub fn hand_in(&self, delivery: Delivery, answer: Answer) -> Result<(), Full> {
        let mut queue = self.queue();
        if let Some(declined) = queue.closed.clone() {
            drop(queue);
            answer(Err(declined));
            return Ok(());
        }
        // One alone always fits: what is larger than the desk would never get through.
        if queue.bytes > 0 && queue.bytes + delivery.weight() > self.bound {
            queue.refused[usize::from(delivery.source)] = true;
            return Err(Full { retry_after: RETRY_AFTER });
        }
        queue.bytes += delivery.weight();
        queue.most = queue.most.max(queue.bytes);
        queue.waiting.push_back(Waiting { delivery, answer });
        drop(queue);
        self.came.notify_one();
        Ok(())
    }

    /// Notes that a delivery of a source was sent away: whoever is told to come again is not silent.
    pub fn sent_away(&self, source: u16) {
        self.queue().refused[usize::from(source)] = true;
    }

    /// Wakes the instance's thread.
    pub fn wake(&self) {
        self.queue().woken = true;
        self.came.notify_one();
    }

    /// Takes no more deliveries: those that come are declined so, and those that wait are still taken in.
    pub fn close(&self, declined: Declined) {
        self.queue().closed.get_or_insert(declined);
        self.came.notify_one();
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        let queue = self.queue();
        Load { deliveries: queue.waiting.len(), bytes: queue.bytes, most: queue.most, bound: self.bound }
    }

    /// Takes what waits, in order, up to so many bytes; at least one, if there is one.
    pub(super) fn take(&self, most: usize) -> Vec<Waiting> {
        let mut queue = self.queue();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = queue.waiting.front()
            && (taken.is_empty() || bytes + next.delivery.weight() <= most)
        {
            bytes += next.delivery.weight();
            taken.extend(queue.waiting.pop_front());
        }
        queue.bytes -= bytes;
        taken
    }

    /// Waits until it is woken, or something comes that could be taken, or so long.
    pub(super) fn wait(&self, most: Duration, takes: bool) {
        let watch = Stopwatch::start();
        let mut queue = self.queue();
        while (queue.waiting.is_empty() || !takes) && !queue.woken {
            let Some(left) = most.checked_sub(watch.elapsed()).filter(|left| !left.is_zero()) else { break };
            queue = self.came.wait_timeout(queue, left).expect("nothing panics while it holds the desk").0;
        }
        queue.woken = false;
    }

    /// The sources of which nothing waits, and nothing was refused since this was last asked.
    pub(super) fn served(&self) -> Vec<bool> {
        let mut queue = self.queue();
        let mut served: Vec<bool> = queue.refused.iter_mut().map(|refused| !std::mem::take(refused)).collect();
        for waiting in &queue.waiting {
            served[usize::from(waiting.delivery.source)] = false;
        }
        served
    }

    /// Whether it is closed and empty.
    pub(super) fn is_done(&self) -> bool {
        let queue = self.queue();
        queue.closed.is_some() && queue.waiting.is_empty()
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("load", &self.load()).finish_non_exhaustive()
    }
}
