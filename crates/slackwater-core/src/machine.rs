//! The core as one machine: judge and fold shards side by side, driven one input at a time.
//!
//! It is the reference for every other driver. Threads, a journal or a simulator call the same parts in another
//! arrangement, and the results must be the same bits.

use crate::codec::{CodecError, Reader};
use crate::cutoff::Cutoffs;
use crate::delta::{Deltas, Router};
use crate::fold::{Final, Fold, Whole};
use crate::hold::{Holds, Note, Unseen};
use crate::input::{Batch, Decision, Decoded, Entry, Event, Input, Tick};
use crate::judge::{Change, Counts, Judge, Known, Verdict};
use crate::memory::{Fact, Memory, Past};
use crate::plan::{LatePolicy, Plan};
use crate::planted::{self, Bug};
use crate::quarantine::{Quarantined, Why};
use crate::row::{IdentityBytes, Op, Row};
use crate::watermark::Watermarks;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What one input brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Refused events, losers of conflicts, and what lies before a cutoff.
    pub quarantined: Vec<Quarantined>,
    /// Rows that became or changed as final.
    pub finals: Vec<Final>,
    /// What became of facts that were held, or are now.
    pub notes: Vec<Note>,
    /// Spans that were folded again from their facts.
    pub refolded: usize,
}

/// The core's state.
#[derive(Debug)]
pub struct Machine {
    judges: Vec<Judge>,
    folds: Vec<Fold>,
    watermarks: Watermarks,
    holds: Holds,
    cutoffs: Cutoffs,
}

impl Machine {
    /// A machine of so many judge shards and fold shards, each at least one.
    pub fn new(plan: &Plan, judges: usize, folds: usize) -> Self {
        Machine {
            judges: (0..judges.max(1)).map(|_| Judge::new(plan)).collect(),
            folds: (0..folds.max(1)).map(|_| Fold::new(plan)).collect(),
            watermarks: Watermarks::new(plan),
            holds: Holds::default(),
            cutoffs: Cutoffs::default(),
        }
    }

    /// Takes one input. `found` answers what the input needs, one memory per judge shard.
    pub fn step(&mut self, plan: &Plan, input: &Input, found: &mut [Memory]) -> Effects {
        let mut effects = Effects::default();
        match input {
            Input::Events(batch) => {
                let batch = Arc::new(batch.clone());
                let shards = self.judges.len() as u64;
                for (shard, (judge, memory)) in self.judges.iter_mut().zip(found).enumerate() {
                    let shard = Shard { number: shard as u64, of: shards, folds: self.folds.len() };
                    let judged = judge_batch(plan, judge, (memory, &[]), &batch, shard, (&self.holds, &self.cutoffs));
                    for (fold, deltas) in self.folds.iter_mut().zip(&judged.deltas) {
                        fold.apply(plan, deltas);
                    }
                    effects.quarantined.extend(judged.quarantined);
                }
                effects.quarantined.sort_by_key(|event| event.position);
                if planted::is(Bug::WatermarkByBatch) {
                    self.watermarks.tick(plan, &Tick::at(i64::MIN), &self.seen(plan));
                }
            }
            Input::Decision(Decision::Release(release)) => self.holds.decide(release),
            Input::Decision(Decision::Cutoff(source, cutoff)) => self.cutoffs.decide(*source, *cutoff),
            Input::Decision(Decision::Discard(source, discard)) => {
                self.judges[0].discard(*source, discard.numbers.len() as u64);
            }
            Input::Decision(decision) => self.watermarks.decide(decision),
            Input::Told(_) => {}
            Input::Tick(tick) => {
                let settled = self.watermarks.tick(plan, tick, &self.reached(plan));
                for fold in &mut self.folds {
                    fold.raise(plan, &settled);
                    fold.let_in(plan, &self.holds);
                    effects.refolded += settle_stale(plan, fold, found);
                    let changes = found.iter().flat_map(|memory| memory.changes());
                    effects.finals.extend(fold.tick(plan, &settled, changes, &self.holds));
                }
                effects.notes = self.holds.renew(&mut self.folds);
                found.iter_mut().for_each(Memory::mark);
                effects.finals.sort_unstable_by(Final::order);
            }
        }
        effects
    }

    /// The first time after a tick at `at` at which another one could bring rows though nothing comes; none where only
    /// events can.
    pub fn next_move(&self, plan: &Plan, at: i64) -> Option<i64> {
        let mut dues: Vec<Option<i128>> = alloc::vec![None; plan.pipelines.len()];
        for fold in &self.folds {
            for (known, due) in dues.iter_mut().zip(fold.dues()) {
                *known = known.iter().copied().chain(due).min();
            }
        }
        self.watermarks.next_move(plan, at, &self.reached(plan), &dues)
    }

    /// How far origins have come in all judge shards, without what was counted.
    fn reached(&self, plan: &Plan) -> Judge {
        let mut reached = Judge::new(plan);
        self.judges.iter().for_each(|judge| reached.merge_reach(judge));
        reached
    }

    /// What all judge shards counted and saw together.
    pub fn seen(&self, plan: &Plan) -> Judge {
        let mut seen = Judge::new(plan);
        self.judges.iter().for_each(|judge| seen.merge(judge));
        seen
    }

    /// What was held at the last tick.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// The fold shards.
    pub fn folds(&self) -> &[Fold] {
        &self.folds
    }

    /// The fold shards, to write their state down.
    pub fn folds_mut(&mut self) -> &mut [Fold] {
        &mut self.folds
    }

    /// The canonical bytes of the state. Stale windows are folded again first. Where a source holds what is late this is
    /// the state of a tick: what came since is not told from what was there.
    pub fn encode(&mut self, plan: &Plan, found: &[Memory]) -> Vec<u8> {
        let mut out = Vec::new();
        self.watermarks.encode(&mut out);
        self.cutoffs.encode(&mut out);
        self.judges.iter().for_each(|judge| judge.encode(&mut out));
        for fold in &mut self.folds {
            settle_stale(plan, fold, found);
            fold.encode(&mut out);
        }
        out
    }

    /// Reads back what [`Machine::encode`] wrote under the same plan and with as many shards.
    pub fn decode(plan: &Plan, judges: usize, folds: usize, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let (watermarks, cutoffs) = (Watermarks::decode(plan, &mut reader)?, Cutoffs::decode(&mut reader)?);
        let judges = (0..judges.max(1)).map(|_| Judge::decode(plan, &mut reader)).collect::<Result<_, _>>()?;
        let folds: Vec<Fold> = (0..folds.max(1)).map(|_| Fold::decode(plan, &mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        let holds = Holds::of(&folds);
        Ok(Machine { judges, folds, watermarks, holds, cutoffs })
    }
}

/// Which judge shard judges, of how many, and for how many fold shards.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    /// Its number, from 0.
    pub number: u64,
    /// How many judge shards there are.
    pub of: u64,
    /// How many fold shards there are.
    pub folds: usize,
}

/// What a judge shard made of a batch.
#[derive(Debug)]
pub struct Judged {
    /// ±facts, by fold shard.
    pub deltas: Vec<Deltas>,
    /// Refused events, losers of conflicts, and what lies before a cutoff, in the order of the batch.
    pub quarantined: Vec<Quarantined>,
    /// The shard's events of the batch by what became of them.
    pub tally: Counts,
}

/// How many events' look-ups are brought near at once: enough to overlap, few enough to stay near.
const AHEAD: usize = 128;

/// Judges a shard's part of a batch, event by event: asks the memory, judges, keeps the winner, sends ±facts. `past` are
/// winners that are kept elsewhere, by the number of the event that asks for them, in order.
pub fn judge_batch(
    plan: &Plan,
    judge: &mut Judge,
    (memory, mut past): (&mut Memory, &[(u32, Past)]),
    batch: &Arc<Batch>,
    shard: Shard,
    (holds, cutoffs): (&Holds, &Cutoffs),
) -> Judged {
    let schema = &plan.sources[usize::from(batch.source)].schema;
    let cutoff = cutoffs.of(batch.source);
    let mut router = Router::new(batch, shard.folds);
    let mut quarantined = Vec::new();
    if shard.number == 0 {
        judge.take_back(batch);
    }
    let before = judge.counts()[usize::from(batch.source)].clone();
    for (number, entry) in batch.entries().iter().enumerate() {
        if number % AHEAD == 0 {
            let next = number..batch.entries().len().min(number + AHEAD);
            memory.prepare(judge.needs(&batch.entries()[next], shard.number, shard.of));
        }
        let head = match &entry.decoded {
            Decoded::Row(head) if crate::judge::shard_of(head.identity, shard.of) == shard.number => head,
            // What has no identity belongs to the first shard.
            Decoded::Refused(refusal) if shard.number == 0 => {
                judge.refuse(batch.source, *refusal);
                quarantined.push(set_aside(batch, entry, Why::Refused(*refusal)));
                continue;
            }
            _ => continue,
        };
        let event = Event::new(schema, batch, entry, head);
        let found = memory.look_up(batch, &event);
        let known = memory.known(&found);
        let kept = take_past(&mut past, number);
        let cutoff = cutoff.map(|cutoff| (cutoff, known_time(plan, batch.source, memory, known.as_ref(), kept)));
        // What came since is newer than what is kept.
        let verdict = judge.step(batch, &event, known.or(kept.map(|kept| kept.known)).as_ref(), cutoff);
        match verdict {
            Verdict::New | Verdict::Replaces(_) => {
                let had =
                    known.map_or(kept.is_some(), |known| memory.had(known.place) || planted::is(Bug::HeldByLastEvent));
                let adopted = kept.filter(|_| known.is_none()).map(|kept| memory.adopt(batch.source, kept));
                if let Some(known) = known.or(adopted) {
                    let old = memory.fact(known.place);
                    if known.op == Op::Assert {
                        router.minus(plan, &old);
                    }
                    if verdict == Verdict::Replaces(Change::Conflict) {
                        quarantined.push(lost(&old));
                    }
                }
                if head.op == Op::Assert {
                    router.plus(plan, batch, entry, unseen(plan, batch, entry, had, holds));
                }
                memory.put(batch, entry, head, &found, adopted);
            }
            Verdict::Duplicate if planted::is(Bug::DuplicateCounted) && head.op == Op::Assert => {
                router.plus(plan, batch, entry, Unseen::Nowhere);
            }
            Verdict::ConflictLost => quarantined.push(set_aside(batch, entry, Why::Conflict)),
            Verdict::BeyondRetention => quarantined.push(set_aside(batch, entry, Why::BeyondRetention)),
            _ => {}
        }
    }
    let tally = judge.counts()[usize::from(batch.source)].since(&before);
    Judged { deltas: router.finish(), quarantined, tally }
}

/// The winner that is kept elsewhere for the event with this number, if there is one.
#[inline]
fn take_past<'a>(past: &mut &'a [(u32, Past)], number: usize) -> Option<&'a Past> {
    let ((_, kept), rest) = past.split_first().filter(|((asked, _), _)| *asked as usize == number)?;
    *past = rest;
    Some(kept)
}

/// Takes in a shard's part of a batch of winners that were told, and not judged: what of each remains is what no other outranks.
/// Nothing is counted, and nothing set aside.
pub fn tell_batch(
    plan: &Plan,
    (memory, past): (&mut Memory, &[(u32, Past)]),
    batch: &Arc<Batch>,
    shard: Shard,
    holds: &Holds,
) -> Vec<Deltas> {
    let mut nobody = Judge::new(plan);
    if shard.number == 0 {
        nobody.stand(batch);
    }
    // What was accepted is not asked again whether it lies before a cutoff.
    judge_batch(plan, &mut nobody, (memory, past), batch, shard, (holds, &Cutoffs::default())).deltas
}

/// The event time of the content that is known of an identity, in memory or kept elsewhere.
#[cold]
fn known_time(plan: &Plan, source: u16, memory: &Memory, known: Option<&Known>, kept: Option<&Past>) -> Option<i64> {
    let schema = &plan.sources[usize::from(source)].schema;
    match known {
        Some(known) if known.op == Op::Assert => Some(Row::new(schema, memory.fact(known.place).content).event_time()),
        Some(_) => None,
        None => kept.filter(|kept| kept.known.op == Op::Assert).map(|kept| kept.time),
    }
}

/// Where the identity of an event counted for nothing at the last tick, if its source holds what is late.
#[inline]
fn unseen<'a>(plan: &Plan, batch: &Batch, entry: &Entry, had: bool, holds: &'a Holds) -> Unseen<'a> {
    let source = &plan.sources[usize::from(batch.source)];
    if source.late != LatePolicy::Hold {
        return Unseen::Nowhere;
    }
    if !had {
        // Who lets an event out of quarantine has decided that it is to count.
        return if batch.stood.is_empty() { Unseen::Everywhere } else { Unseen::Nowhere };
    }
    if holds.is_empty() {
        return Unseen::Nowhere;
    }
    let row = Row::new(&source.schema, batch.bytes(entry));
    holds.unseen(IdentityBytes::default().of(row, batch.source, (&batch.part, entry.position.offset)))
}

/// The loser of a conflict that had won until now.
fn lost(old: &Fact<'_>) -> Quarantined {
    Quarantined {
        source: old.source,
        part: old.part.clone(),
        position: old.position,
        arrival: old.arrival,
        header: Arc::default(),
        why: Why::Conflict,
        guard: None,
        bytes: old.content.to_vec(),
    }
}

fn set_aside(batch: &Batch, entry: &Entry, why: Why) -> Quarantined {
    // What was not refused is kept as its content, which needs no header.
    let (header, guard) = match why {
        Why::Conflict | Why::BeyondRetention => (Arc::default(), None),
        Why::Refused(refusal) => (batch.header.clone(), batch.guard_of(refusal).map(Arc::from)),
    };
    Quarantined {
        source: batch.source,
        part: batch.part.clone(),
        position: entry.position,
        arrival: entry.arrival,
        header,
        why,
        guard,
        bytes: batch.bytes(entry).to_vec(),
    }
}

/// Answers what a fold shard needs before a tick: the facts of its stale windows, out of every judge shard's memory.
pub fn settle_stale(plan: &Plan, fold: &mut Fold, found: &[Memory]) -> usize {
    let spans = fold.sought(Whole::AndPast).spans;
    if spans.is_empty() {
        return 0;
    }
    fold.refold(plan, Whole::AndPast, found.iter().flat_map(|memory| memory.facts(plan, &spans)))
}
