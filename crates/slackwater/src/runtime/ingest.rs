//! The front of the house: chunks of bytes come in, decoded batches go to the judges.

use super::gauge::Gauge;
use super::link::{Received, Receiver, Sender};
use super::part::{Housed, Part, Progress, Stage};
use crate::decode::{Chunk, Damaged, Decoder};
use slackwater_core::input::Batch;
use std::collections::VecDeque;
use std::sync::Arc;

/// Something that gives chunks of events until it ends.
pub trait Feed: Send {
    /// Why it could not go on.
    type Error: Send;

    /// The next chunk; none at the end.
    fn next(&mut self) -> Result<Option<Chunk>, Self::Error>;

    /// Bytes read so far, as they stand where they come from.
    fn read(&self) -> u64;
}

/// Bytes that whoever takes chunks has before it at most: one or two, so that they are still near when it comes to them.
pub(super) const READ_AHEAD: usize = 1 << 17;

/// The parts before the decoders.
pub(super) struct Inlet<'a, E> {
    /// The one that reads.
    pub reading: Housed<'a, E>,
    /// What chunks go through from there, in this order.
    pub between: Vec<Stage<'a, E>>,
}

impl<'a, E: 'a> Inlet<'a, E> {
    /// Nothing but a reader before these decoders.
    pub fn of<F: Feed + 'a>(feeds: Vec<F>, out: Vec<Sender<Chunk>>, gauge: &'a Gauge) -> Self
    where
        E: From<F::Error>,
    {
        let reader = Reader { feeds: feeds.into(), read: 0, turn: 0, out, gauge };
        Inlet { reading: Box::new(reader), between: Vec::new() }
    }
}

/// Reads the feeds one behind the other and deals their chunks out to the decoders in turn.
struct Reader<'a, F> {
    feeds: VecDeque<F>,
    /// Bytes of the feeds that have ended.
    read: u64,
    turn: usize,
    out: Vec<Sender<Chunk>>,
    gauge: &'a Gauge,
}

impl<F: Feed, E: From<F::Error>> Part<E> for Reader<'_, F> {
    fn poll(&mut self) -> Result<Progress, E> {
        let Some(feed) = self.feeds.front_mut() else { return Ok(Progress::Done) };
        let out = &self.out[self.turn];
        if !out.has_room() {
            return Ok(Progress::Waiting);
        }
        match feed.next()? {
            Some(chunk) => {
                let bytes = chunk.bytes.capacity();
                out.send(chunk, bytes);
                self.turn = (self.turn + 1) % self.out.len();
                self.gauge.set_read(self.read + feed.read());
            }
            None => {
                self.read += feed.read();
                self.feeds.pop_front();
            }
        }
        Ok(Progress::Worked)
    }
}

/// A piece of a chunk, decoded.
#[derive(Clone)]
pub(super) struct Piece {
    pub batch: Arc<Batch>,
    /// Whether it ends its chunk.
    pub last: bool,
}

/// Decodes chunks, batch by batch. Every judge gets every batch and takes what is its own.
pub(super) struct Decode<'a> {
    /// By source.
    pub decoders: Vec<Decoder<'a>>,
    /// The source of the chunk that is being decoded.
    pub busy: Option<usize>,
    pub from: Receiver<Chunk>,
    pub out: Vec<Sender<Piece>>,
    pub gauge: &'a Gauge,
}

impl<E: From<Damaged>> Part<E> for Decode<'_> {
    fn poll(&mut self) -> Result<Progress, E> {
        if !self.out.iter().all(Sender::has_room) {
            return Ok(Progress::Waiting);
        }
        let source = match self.busy {
            Some(source) => source,
            None => match self.from.receive() {
                Received::Item(chunk) => {
                    let source = usize::from(chunk.source);
                    self.decoders[source].begin(chunk);
                    source
                }
                Received::Empty => return Ok(Progress::Waiting),
                Received::Closed => return Ok(Progress::Done),
            },
        };
        let decoder = &mut self.decoders[source];
        let batch = Arc::new(decoder.next_batch()?);
        self.busy = decoder.is_busy().then_some(source);
        self.gauge.add_events(batch.entries().len() as u64);
        let (weight, last) = (batch.weight(), self.busy.is_none());
        for out in &self.out {
            out.send(Piece { batch: batch.clone(), last }, weight);
        }
        Ok(Progress::Worked)
    }

    fn is_portable(&self) -> bool {
        true
    }
}
