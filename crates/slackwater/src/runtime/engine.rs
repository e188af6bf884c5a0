//! Finite inputs through the core to the end.
//!
//! Reader, decoders, judge shards and fold shards run side by side until the feeds end; then comes the recorded end of
//! input, and one tick that seals every row.

use super::Feed;
use super::gauge::Gauge;
use super::ingest::{Decode, Inlet, READ_AHEAD};
use super::link::{BOUND, Receiver, Sender, link};
use super::part::{Housed, drive};
use super::shard::{Aside, Folding, Judging, Recall, Told};
use crate::decode::{Chunk, Damaged, Decoder, Format};
use slackwater_core::cutoff::Cutoffs;
use slackwater_core::fold::{Final, Fold};
use slackwater_core::hold::Holds;
use slackwater_core::input::{Decision, Tick};
use slackwater_core::judge::Judge;
use slackwater_core::machine::{Shard, settle_stale};
use slackwater_core::memory::Memory;
use slackwater_core::plan::{Guards, Plan};
use slackwater_core::quarantine::Quarantined;
use slackwater_core::watermark::Watermarks;
use slackwater_store::crew;
use std::sync::Arc;

/// Shards beyond this cost more in looking than they save in judging.
const MOST_SHARDS: usize = 16;

/// How to arrange the work. No choice here changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Arrangement {
    /// Threads that drive the parts.
    pub threads: usize,
    /// Judge shards, and as many fold shards.
    pub shards: usize,
}

impl Arrangement {
    /// One shard of each kind per thread, up to a number: every judge shard looks at every event.
    pub fn of_threads(threads: usize) -> Self {
        Arrangement { threads, shards: threads.min(MOST_SHARDS) }
    }
}

/// What a fold gave.
#[derive(Debug)]
pub struct Folded {
    /// The final rows, in output order.
    pub finals: Vec<Final>,
    /// What was counted and seen.
    pub seen: Judge,
    /// Nulls that arithmetic made: divisions by zero, and casts that did not fit.
    pub faults: i64,
    /// Windows that were folded again from their facts, because something was taken away from them.
    pub refolded: usize,
    /// Facts that are held, by source.
    pub held: Vec<u64>,
}

/// The state of judge shards and fold shards that stand side by side.
#[derive(Debug)]
pub struct Shards {
    /// The judge shards.
    pub judges: Vec<Judge>,
    /// What each of them knows.
    pub memories: Vec<Memory>,
    /// The fold shards.
    pub folds: Vec<Fold>,
    /// What they held at the last tick.
    pub holds: Holds,
    /// Where sources are cut off.
    pub cutoffs: Cutoffs,
}

impl Shards {
    /// So many shards of each kind, at least one, that have seen nothing.
    pub fn new(plan: &Plan, count: usize) -> Self {
        let each = || 0..count.max(1);
        Shards {
            judges: each().map(|_| Judge::new(plan)).collect(),
            memories: each().map(|_| Memory::new()).collect(),
            folds: each().map(|_| Fold::new(plan)).collect(),
            holds: Holds::default(),
            cutoffs: Cutoffs::default(),
        }
    }

    /// What all judge shards counted and saw together.
    pub fn seen(&self, plan: &Plan) -> Judge {
        let mut seen = Judge::new(plan);
        self.judges.iter().for_each(|judge| seen.merge(judge));
        seen
    }

    /// Takes in everything that the inlet gives until it ends. `tell` is told what became of each batch, in the
    /// order in which they were read; `recall` knows what the shards' memories have let go.
    pub(super) fn take<'a, E: From<Damaged> + Send>(
        &mut self,
        (plan, formats, guards): (&Plan, &[Format], &[Arc<Guards>]),
        inlet: impl FnOnce(Vec<Sender<Chunk>>) -> Inlet<'a, E>,
        threads: usize,
        gauge: &Gauge,
        recall: Option<&dyn Recall<E>>,
        tell: impl FnMut(Told) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let shards = self.judges.len();
        let (chunk_out, chunk_in) = grid(1, threads, READ_AHEAD);
        let (batch_out, batch_in) = grid(threads, shards, BOUND);
        let (delta_out, delta_in) = grid(shards, shards, BOUND);
        let (aside_out, aside_in) = grid(shards, 1, BOUND);
        let Inlet { reading, between: mut stages } = inlet(chunk_out.into_iter().flatten().collect());
        let all = || plan.sources.iter().zip(formats).zip(guards);
        let decoders =
            || all().map(|((source, format), guards)| Decoder::under(source, guards.clone(), *format)).collect();
        let decoding = chunk_in.into_iter().flatten().zip(batch_out).map(|(from, out)| -> Housed<'_, E> {
            Box::new(Decode { decoders: decoders(), busy: None, from, out, gauge })
        });
        stages.push(decoding.collect());
        let queues = batch_in.into_iter().zip(delta_out).zip(aside_out.into_iter().flatten());
        let (states, standing) = (self.judges.iter_mut().zip(&mut self.memories), (&self.holds, &self.cutoffs));
        let judging = queues.zip(states).enumerate().map(|(number, (((from, out), aside), (judge, memory)))| {
            let shard = Shard { number: number as u64, of: shards as u64, folds: shards };
            Box::new(Judging { plan, shard, judge, memory, standing, recall, from, turn: 0, out, aside })
                as Housed<'_, E>
        });
        stages.push(judging.collect());
        let folding = self.folds.iter_mut().zip(delta_in);
        stages.push(folding.map(|(fold, from)| Box::new(Folding { plan, fold, from }) as Housed<'_, E>).collect());
        let from = aside_in.into_iter().flatten().collect();
        stages.push(vec![Box::new(Aside { from, turn: 0, batch: Told::default(), sink: tell })]);
        // Asked first, so that no decoder waits for a reader whose thread is busy with what comes later.
        stages.push(vec![reading]);
        drive(stages, threads)
    }
}

/// Folds everything that the feeds give. `formats` are those of the plan's sources; `aside` takes refused events and
/// losers of conflicts, in the order in which they were read.
pub fn fold<F: Feed, E: From<F::Error> + From<Damaged> + Send>(
    plan: &Plan,
    formats: &[Format],
    feeds: Vec<F>,
    arrangement: Arrangement,
    gauge: &Gauge,
    mut aside: impl FnMut(&[Quarantined]) -> Result<(), E> + Send,
) -> Result<Folded, E> {
    let threads = arrangement.threads.max(1);
    let mut shards = Shards::new(plan, arrangement.shards);
    let guards: Vec<_> = plan.sources.iter().map(|source| source.guards.clone()).collect();
    let inlet = |out| Inlet::of(feeds, out, gauge);
    shards.take((plan, formats, &guards), inlet, threads, gauge, None, |told| aside(&told.aside))?;
    Ok(end(plan, shards, threads))
}

/// The sending ends of each writer, and the receiving ends of each reader.
type Grid<T> = (Vec<Vec<Sender<T>>>, Vec<Vec<Receiver<T>>>);

/// One queue from every writer to every reader: the sending ends by writer, the receiving ends by reader.
pub(super) fn grid<T>(writers: usize, readers: usize, bound: usize) -> Grid<T> {
    let mut receivers: Vec<Vec<Receiver<T>>> = (0..readers).map(|_| Vec::new()).collect();
    let mut senders = Vec::new();
    for _ in 0..writers {
        let mut out = Vec::new();
        for from in &mut receivers {
            let (sender, receiver) = link(bound);
            out.push(sender);
            from.push(receiver);
        }
        senders.push(out);
    }
    (senders, receivers)
}

/// The end of input, and the one tick that seals every row.
fn end(plan: &Plan, shards: Shards, threads: usize) -> Folded {
    let seen = shards.seen(plan);
    let Shards { memories, mut folds, .. } = shards;
    let mut watermarks = Watermarks::new(plan);
    watermarks.decide(&Decision::EndOfInput);
    // Nothing is measured against the time of this tick: the decision before it settles everything.
    let settled = watermarks.tick(plan, &Tick::at(i64::MAX), &seen);
    let per_thread = folds.len().div_ceil(threads);
    let seal = |folds: &mut [Fold]| {
        let mut sealed = (Vec::new(), 0);
        for fold in folds {
            sealed.1 += settle_stale(plan, fold, &memories);
            // Nothing was settled before, so no change of it is to be told.
            sealed.0.extend(fold.tick(plan, &settled, std::iter::empty(), &Holds::default()));
        }
        sealed
    };
    let sealed: Vec<(Vec<Final>, usize)> = crew::each(folds.chunks_mut(per_thread), seal);
    let (mut finals, mut count) = (Vec::new(), 0);
    for (rows, refolded) in sealed {
        finals.extend(rows);
        count += refolded;
    }
    // Each shard's rows are in order: runs, which this sort merges.
    finals.sort_by(Final::order);
    let faults = folds.iter().flat_map(Fold::faults).sum();
    // Nothing was settled before the end, so nothing was late.
    Folded { finals, seen, faults, refolded: count, held: vec![0; plan.sources.len()] }
}
