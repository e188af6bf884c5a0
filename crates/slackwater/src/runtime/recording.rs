//! Chunks that are journaled before they go on: read one by one, compressed side by side, and journaled in the order in which
//! they were read.

use super::Feed;
use super::clock::Stopwatch;
use super::engine::grid;
use super::gauge::Gauge;
use super::ingest::{Inlet, READ_AHEAD};
use super::link::{Received, Receiver, Sender};
use super::part::{Housed, Part, Progress};
use super::replay::{Ahead, Taken, entry};
use crate::decode::{Chunk, Damaged, Decoder, Format, Header};
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::journal::Journal;
use std::time::Duration;

/// A feed that is journaled, for a while: it pauses when its time or its bytes are used up, but never before its first
/// chunk, or nothing would ever come of it.
pub(super) struct Recording<'a, F> {
    pub feed: &'a mut F,
    pub plan: &'a Plan,
    pub formats: &'a [Format],
    pub journal: &'a mut Journal,
    pub taken: &'a mut Taken,
    /// Whether the feed ended; else it only paused.
    pub ended: &'a mut bool,
    pub watch: Stopwatch,
    pub every: Duration,
    pub bytes_left: u64,
    pub gauge: &'a Gauge,
}

impl<'a, F: Feed> Recording<'a, F> {
    /// Its parts, before these decoders.
    pub fn inlet<E>(self, out: Vec<Sender<Chunk>>) -> Inlet<'a, E>
    where
        E: From<F::Error> + From<Damaged> + From<Fault> + Send + 'a,
    {
        let Recording { feed, plan, formats, journal, taken, ended, watch, every, bytes_left, gauge } = self;
        let (read_out, read_in) = grid(1, out.len(), READ_AHEAD);
        let (pressed_out, pressed_in) = grid(out.len(), 1, READ_AHEAD);
        let pressing = read_in.into_iter().zip(pressed_out).flat_map(|(from, out)| from.into_iter().zip(out));
        let pressing = pressing.map(|(from, out)| Box::new(Press { plan, formats, from, out }) as Housed<'_, E>);
        let from = pressed_in.into_iter().flatten().collect();
        let journaling = Box::new(Journaling { formats, journal, taken, from, turn: 0, out });
        let paced = Paced { feed, ended, watch, every, bytes_left, begun: false };
        let Inlet { reading, .. } = Inlet::of(vec![paced], read_out.into_iter().flatten().collect(), gauge);
        Inlet { reading, between: vec![pressing.collect(), vec![journaling]] }
    }
}

/// A feed that pauses.
struct Paced<'a, F> {
    feed: &'a mut F,
    ended: &'a mut bool,
    watch: Stopwatch,
    every: Duration,
    bytes_left: u64,
    begun: bool,
}

impl<F: Feed> Feed for Paced<'_, F> {
    type Error = F::Error;

    fn next(&mut self) -> Result<Option<Chunk>, F::Error> {
        if self.begun && (self.bytes_left == 0 || self.watch.elapsed() >= self.every) {
            return Ok(None);
        }
        self.begun = true;
        let chunk = self.feed.next()?;
        match &chunk {
            Some(chunk) => self.bytes_left = self.bytes_left.saturating_sub(chunk.bytes.len() as u64),
            None => *self.ended = true,
        }
        Ok(chunk)
    }

    fn read(&self) -> u64 {
        self.feed.read()
    }
}

/// Makes chunks ready for the journal.
struct Press<'a> {
    plan: &'a Plan,
    formats: &'a [Format],
    from: Receiver<Chunk>,
    out: Sender<(Chunk, Ahead)>,
}

impl<E: From<Damaged>> Part<E> for Press<'_> {
    fn poll(&mut self) -> Result<Progress, E> {
        if !self.out.has_room() {
            return Ok(Progress::Waiting);
        }
        let chunk = match self.from.receive() {
            Received::Item(chunk) => chunk,
            Received::Empty => return Ok(Progress::Waiting),
            Received::Closed => return Ok(Progress::Done),
        };
        self.look_through(&chunk)?;
        let ahead = Ahead::of(chunk.line, &chunk.bytes);
        let weight = chunk.bytes.capacity() + ahead.weight();
        self.out.send((chunk, ahead), weight);
        Ok(Progress::Worked)
    }

    fn is_portable(&self) -> bool {
        true
    }
}

impl Press<'_> {
    /// Records are refused one by one, but a damaged row group stops everything, and would stop it again whenever it is
    /// taken in again: so it is decoded once before it is journaled.
    fn look_through(&self, chunk: &Chunk) -> Result<(), Damaged> {
        if !matches!(chunk.header, Some(Header::Parquet(..))) {
            return Ok(());
        }
        let source = usize::from(chunk.source);
        let mut decoder = Decoder::new(&self.plan.sources[source], self.formats[source]);
        decoder.begin(chunk.clone());
        while decoder.is_busy() {
            decoder.next_batch()?;
        }
        Ok(())
    }
}

/// Journals chunks in the order in which they were read, and only then deals them out to the decoders.
struct Journaling<'a> {
    formats: &'a [Format],
    journal: &'a mut Journal,
    taken: &'a mut Taken,
    from: Vec<Receiver<(Chunk, Ahead)>>,
    turn: usize,
    out: Vec<Sender<Chunk>>,
}

impl<E: From<Fault>> Part<E> for Journaling<'_> {
    fn poll(&mut self) -> Result<Progress, E> {
        let out = &self.out[self.turn];
        if !out.has_room() {
            return Ok(Progress::Waiting);
        }
        let (chunk, ahead) = match self.from[self.turn].receive() {
            Received::Item(pressed) => pressed,
            Received::Empty => return Ok(Progress::Waiting),
            // Chunks are dealt out in turn: where the next one would be, there is none.
            Received::Closed => return Ok(Progress::Done),
        };
        crash::point(CrashPoint::ChunkRead)?;
        self.journal.append(&entry(self.formats, &chunk, &ahead, None)?)?;
        self.taken.add(&chunk, &ahead.links);
        crash::point(CrashPoint::ChunkJournaled)?;
        let bytes = chunk.bytes.capacity();
        out.send(chunk, bytes);
        self.turn = (self.turn + 1) % self.out.len();
        Ok(Progress::Worked)
    }
}
