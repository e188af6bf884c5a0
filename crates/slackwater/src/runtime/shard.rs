//! Judge and fold shards as parts, and what collects the events that were set aside.

use super::ingest::Piece;
use super::link::{Received, Receiver, Sender};
use super::part::{Part, Progress};
use slackwater_core::cutoff::Cutoffs;
use slackwater_core::delta::Deltas;
use slackwater_core::fold::Fold;
use slackwater_core::hold::Holds;
use slackwater_core::input::Batch;
use slackwater_core::judge::{Counts, Judge};
use slackwater_core::machine::{Shard, judge_batch};
use slackwater_core::memory::{Memory, Past};
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::Quarantined;

/// Knows the winners that the memories of judge shards have let go.
pub trait Recall<E>: Sync {
    /// The winners that these events of a batch ask for, where there are any, by number. `missing` is in order, and so
    /// is the answer. What an event replaces is brought back with its content.
    fn recall(&self, plan: &Plan, batch: &Batch, missing: &[u32]) -> Result<Vec<(u32, Past)>, E>;
}

/// What became of the events of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Those that were set aside, in the order in which they were read.
    pub aside: Vec<Quarantined>,
    /// All of them, counted.
    pub tally: Counts,
    /// Whether the batch ends its chunk.
    pub last: bool,
}

/// What became of the events of each chunk.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// Of those that are whole, in order.
    pub chunks: Vec<Counts>,
    begun: Counts,
}

impl Tallies {
    pub fn add(&mut self, told: &Told) {
        self.begun.merge(&told.tally);
        if told.last {
            self.chunks.push(std::mem::take(&mut self.begun));
        }
    }
}

/// One judge shard. It takes batches in the order of the chunks they were, whichever decoder they went through.
pub(super) struct Judging<'a, E> {
    pub plan: &'a Plan,
    pub shard: Shard,
    pub judge: &'a mut Judge,
    pub memory: &'a mut Memory,
    /// What is held, and where sources are cut off.
    pub standing: (&'a Holds, &'a Cutoffs),
    pub recall: Option<&'a dyn Recall<E>>,
    pub from: Vec<Receiver<Piece>>,
    pub turn: usize,
    pub out: Vec<Sender<Deltas>>,
    pub aside: Sender<Told>,
}

impl<E> Part<E> for Judging<'_, E> {
    fn poll(&mut self) -> Result<Progress, E> {
        if !self.out.iter().all(Sender::has_room) || !self.aside.has_room() {
            return Ok(Progress::Waiting);
        }
        let Piece { batch, last } = match self.from[self.turn].receive() {
            Received::Item(piece) => piece,
            Received::Empty => return Ok(Progress::Waiting),
            // Chunks are dealt out in turn: where the next one would be, there is none.
            Received::Closed => return Ok(Progress::Done),
        };
        if last {
            self.turn = (self.turn + 1) % self.from.len();
        }
        let past = match self.recall {
            Some(recall) => {
                let missing = self.memory.missing(self.plan, &batch, self.shard.number, self.shard.of);
                recall.recall(self.plan, &batch, &missing)?
            }
            None => Vec::new(),
        };
        let judged = judge_batch(self.plan, self.judge, (self.memory, &past), &batch, self.shard, self.standing);
        for (out, deltas) in self.out.iter().zip(judged.deltas) {
            let weight = deltas.weight();
            out.send(deltas, weight);
        }
        let weight = judged.quarantined.iter().map(|event| size_of_val(event) + event.bytes.len()).sum();
        self.aside.send(Told { aside: judged.quarantined, tally: judged.tally, last }, weight);
        Ok(Progress::Worked)
    }
}

/// One fold shard. ±facts commute, so it takes them from whichever judge has some.
pub(super) struct Folding<'a> {
    pub plan: &'a Plan,
    pub fold: &'a mut Fold,
    pub from: Vec<Receiver<Deltas>>,
}

impl<E> Part<E> for Folding<'_> {
    fn poll(&mut self) -> Result<Progress, E> {
        let mut closed = 0;
        for from in &self.from {
            match from.receive() {
                Received::Item(deltas) => {
                    self.fold.apply(self.plan, &deltas);
                    return Ok(Progress::Worked);
                }
                Received::Empty => {}
                Received::Closed => closed += 1,
            }
        }
        Ok(if closed == self.from.len() { Progress::Done } else { Progress::Waiting })
    }
}

/// Gathers what the judges say of each batch and passes it on in the order in which batches were read.
pub(super) struct Aside<S> {
    pub from: Vec<Receiver<Told>>,
    pub turn: usize,
    pub batch: Told,
    pub sink: S,
}

impl<E, S: FnMut(Told) -> Result<(), E> + Send> Part<E> for Aside<S> {
    fn poll(&mut self) -> Result<Progress, E> {
        match self.from[self.turn].receive() {
            Received::Item(told) => {
                self.batch.aside.extend(told.aside);
                self.batch.tally.merge(&told.tally);
                self.batch.last = told.last;
            }
            Received::Empty => return Ok(Progress::Waiting),
            Received::Closed => return Ok(Progress::Done),
        }
        self.turn = (self.turn + 1) % self.from.len();
        if self.turn == 0 {
            let mut whole = std::mem::take(&mut self.batch);
            whole.aside.sort_by(|a, b| (&a.part, a.position).cmp(&(&b.part, b.position)));
            (self.sink)(whole)?;
        }
        Ok(Progress::Worked)
    }
}
