//! Identity: for each event, whether it is new, a duplicate, superseded, in conflict, or refused.
//!
//! The judge is pure. It is asked about one event and told what is known of its identity; it answers with a verdict,
//! from which follow the ±facts for the fold and what the index must know next. Where that index lies is not its
//! business.

mod origins;
mod vet;

pub use origins::{Origin, Origins};
pub use vet::vet;

use crate::codec::{CodecError, Reader, put_option, put_varint};
use crate::cutoff::Cutoff;
use crate::input::{Batch, Decoded, Entry, Event, Head};
use crate::plan::Plan;
use crate::planted::{self, Bug};
use crate::poison::{Reason, Refusal};
use crate::row::{Op, digest};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// What the index knows of an identity: the rank of its winner, and where to find the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Version of the winner.
    pub version: u64,
    /// Version of the decoder that made it.
    pub decoder: u32,
    /// Content or retraction.
    pub op: Op,
    /// Its content digest.
    pub digest: u128,
    /// Where the caller finds the rest: content, position.
    pub place: u32,
}

/// Why a winner was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A higher version with content.
    Correction,
    /// A retraction, at the same version or a higher one.
    Retraction,
    /// The same version decoded by a newer decoder.
    Decoder,
    /// Another content of the same version, with the smaller digest.
    Conflict,
}

/// What the judge says of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first of its identity.
    New,
    /// It outranks the winner that was known.
    Replaces(Change),
    /// The winner again.
    Duplicate,
    /// Of a lower rank than the winner.
    Superseded,
    /// Another content of the winner's version, with the larger digest.
    ConflictLost,
    /// It would change something before the cutoff of its source.
    BeyondRetention,
    /// Refused.
    Refused(Refusal),
}

/// Events by what became of them. `received` is the sum of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(align(128))]
pub struct Counts {
    /// Events taken in.
    pub received: u64,
    /// Identities that have a winner, retractions included.
    pub facts: u64,
    /// The winner again.
    pub duplicates: u64,
    /// Outranked, before or after the winner came.
    pub superseded: u64,
    /// Losers between contents of one version.
    pub conflicts: u64,
    /// What would have changed something before a cutoff.
    pub beyond_retention: u64,
    /// Refused, by reason code.
    pub quarantined: BTreeMap<u8, u64>,
    /// How many of those are to stay in quarantine for good.
    pub discarded: u64,
}

impl Counts {
    /// Refused events, whatever the reason.
    pub fn refused(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Refused events that wait for somebody to look at them.
    pub fn open(&self) -> u64 {
        self.refused() - self.discarded
    }

    /// The conservation identity.
    pub fn balances(&self) -> bool {
        let judged = self.facts + self.duplicates + self.superseded + self.conflicts + self.beyond_retention;
        self.received == judged + self.refused()
    }

    /// Adds what another shard counted.
    pub fn merge(&mut self, other: &Counts) {
        self.received += other.received;
        self.facts += other.facts;
        self.duplicates += other.duplicates;
        self.superseded += other.superseded;
        self.conflicts += other.conflicts;
        self.beyond_retention += other.beyond_retention;
        self.discarded += other.discarded;
        for (reason, count) in &other.quarantined {
            *self.quarantined.entry(*reason).or_default() += count;
        }
    }

    /// What was counted since `before` was taken of it.
    pub fn since(&self, before: &Counts) -> Counts {
        let reasons = self.quarantined.iter().map(|(reason, count)| {
            let known = before.quarantined.get(reason).copied().unwrap_or_default();
            (*reason, count - known)
        });
        Counts {
            received: self.received - before.received,
            facts: self.facts - before.facts,
            duplicates: self.duplicates - before.duplicates,
            superseded: self.superseded - before.superseded,
            conflicts: self.conflicts - before.conflicts,
            beyond_retention: self.beyond_retention - before.beyond_retention,
            discarded: self.discarded - before.discarded,
            quarantined: reasons.filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Counts { received, facts, duplicates, superseded, conflicts, beyond_retention, quarantined, discarded } =
            self;
        for count in [received, facts, duplicates, superseded, conflicts, beyond_retention, discarded] {
            put_varint(out, *count);
        }
        put_varint(out, quarantined.len() as u64);
        for (reason, count) in quarantined {
            out.push(*reason);
            put_varint(out, *count);
        }
    }

    /// Reads back what [`Counts::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Counts, CodecError> {
        let mut counts = Counts {
            received: reader.varint()?,
            facts: reader.varint()?,
            duplicates: reader.varint()?,
            superseded: reader.varint()?,
            conflicts: reader.varint()?,
            beyond_retention: reader.varint()?,
            discarded: reader.varint()?,
            quarantined: BTreeMap::new(),
        };
        for _ in 0..reader.varint()? {
            let reason = reader.byte()?;
            let count = reader.varint()?;
            let ascending = counts.quarantined.last_key_value().is_none_or(|(last, _)| *last < reason);
            if Reason::from_u8(reason).is_none() || !ascending || count == 0 {
                return reader.fail("reasons in order, each with a count");
            }
            counts.quarantined.insert(reason, count);
        }
        Ok(counts)
    }
}

/// The state of one judge shard: counters, and how far each origin has come.
///
/// Shards stand side by side, and each is written by a thread of its own: no two may share a line of cache.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub struct Judge {
    counts: Vec<Counts>,
    /// By source.
    origins: Vec<Origins>,
    /// By source, the earliest event time of a content that was ever accepted.
    earliest: Vec<Option<i64>>,
}

impl Judge {
    /// A judge that has seen nothing.
    pub fn new(plan: &Plan) -> Self {
        let sources = plan.sources.len();
        Judge {
            counts: vec![Counts::default(); sources],
            origins: vec![Origins::default(); sources],
            earliest: vec![None; sources],
        }
    }

    /// What must be known before [`Judge::step`] can judge these events: the identities of those that are rows and
    /// belong to this shard of so many.
    pub fn needs<'a>(&self, events: &'a [Entry], shard: u64, shards: u64) -> impl Iterator<Item = &'a Head> {
        events.iter().filter_map(move |entry| match &entry.decoded {
            Decoded::Row(head) if shard_of(head.identity, shards) == shard => Some(head),
            _ => None,
        })
    }

    /// Takes note of an event that was refused.
    pub fn refuse(&mut self, source: u16, refusal: Refusal) {
        self.count(usize::from(source), Verdict::Refused(refusal));
    }

    /// Judges a row of a batch, given what is known of its identity, and counts it. `cutoff` is the one in force for its
    /// source, with the event time of the content that is known of its identity.
    #[inline]
    pub fn step(
        &mut self,
        batch: &Batch,
        event: &Event<'_>,
        known: Option<&Known>,
        cutoff: Option<(Cutoff, Option<i64>)>,
    ) -> Verdict {
        let Event { entry, head, row, origin } = *event;
        let verdict = match (weigh(head, batch.decoder, || digest(row.content()), known), cutoff) {
            (Verdict::New | Verdict::Replaces(_), Some((cutoff, old))) if cutoff.is_before(head, old) => {
                Verdict::BeyondRetention
            }
            (verdict, _) => verdict,
        };
        let source = usize::from(batch.source);
        self.count(source, verdict);
        let accepted = matches!(verdict, Verdict::New | Verdict::Replaces(_)) && head.op == Op::Assert;
        // Whoever hands in what somebody else saw long ago is heard now.
        let heard = batch.heard.or(entry.arrival);
        if !accepted && heard.is_none() {
            return verdict;
        }
        let origin = self.origins[source].entry(origin);
        heard.into_iter().for_each(|at| origin.hear(at));
        if accepted {
            // A fast clock cannot run ahead of the present: the frontier follows the earlier of event time and arrival.
            let present = entry.arrival.filter(|_| !planted::is(Bug::SkewedOrigin));
            origin.advance(present.map_or(head.time, |arrival| arrival.min(head.time)));
            entry.arrival.into_iter().for_each(|arrival| origin.lateness.record(head.time, arrival));
            let earliest = &mut self.earliest[source];
            *earliest = Some(earliest.map_or(head.time, |known| known.min(head.time)));
        }
        verdict
    }

    fn count(&mut self, source: usize, verdict: Verdict) {
        let counts = &mut self.counts[source];
        counts.received += 1;
        match verdict {
            Verdict::New => counts.facts += 1,
            Verdict::Duplicate => counts.duplicates += 1,
            Verdict::Superseded | Verdict::Replaces(Change::Correction | Change::Retraction | Change::Decoder) => {
                counts.superseded += 1;
            }
            Verdict::ConflictLost | Verdict::Replaces(Change::Conflict) => counts.conflicts += 1,
            Verdict::BeyondRetention => counts.beyond_retention += 1,
            Verdict::Refused(refusal) => *counts.quarantined.entry(refusal.reason as u8).or_default() += 1,
        }
    }

    /// Takes back the counts of events that stood in quarantine and are judged again. What is refused is counted in the first
    /// shard, so this is its business.
    pub(crate) fn take_back(&mut self, batch: &Batch) {
        let counts = &mut self.counts[usize::from(batch.source)];
        for refusal in &batch.stood {
            let reason = refusal.reason as u8;
            let known = counts.quarantined.get_mut(&reason).expect("what is judged again was counted");
            *known -= 1;
            if *known == 0 {
                counts.quarantined.remove(&reason);
            }
            counts.received -= u64::from(!planted::is(Bug::ReleasedCountedTwice));
        }
    }

    /// Counts events of a source in quarantine that are to stay there. It is the business of the first shard.
    pub fn discard(&mut self, source: u16, events: u64) {
        self.counts[usize::from(source)].discarded += events;
    }

    /// Counters by source.
    pub fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// How far each origin of a source has come.
    pub fn origins(&self, source: usize) -> &Origins {
        &self.origins[source]
    }

    /// The earliest event time of a content of a source that was ever accepted.
    pub fn earliest(&self, source: usize) -> Option<i64> {
        self.earliest[source]
    }

    /// Takes over what another shard counted and saw.
    pub fn merge(&mut self, other: &Judge) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.origins.iter_mut().zip(&other.origins) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.earliest.iter_mut().zip(&other.earliest) {
            *mine = mine.iter().chain(theirs).min().copied();
        }
    }

    /// What it counted in all, and what it saw of origins since `before` was taken of it: [`Judge::go_on`] makes this of that.
    pub fn since(&self, before: &Judge) -> Judge {
        let origins = self.origins.iter().zip(&before.origins).map(|(now, before)| now.since(before));
        Judge { counts: self.counts.clone(), origins: origins.collect(), earliest: self.earliest.clone() }
    }

    /// The same in parts of so many origins at most, by name: the first has what was counted, the others nothing of it.
    pub fn split(self, most: usize) -> Vec<Judge> {
        let sources = self.origins.len();
        let nobody = || vec![Origins::default(); sources];
        let mut parts = vec![Judge { counts: self.counts, origins: nobody(), earliest: self.earliest }];
        let mut left = most;
        for (source, origins) in self.origins.into_iter().enumerate() {
            for origin in origins.into_sorted() {
                if left == 0 {
                    let (counts, earliest) = (vec![Counts::default(); sources], vec![None; sources]);
                    parts.push(Judge { counts, origins: nobody(), earliest });
                    left = most;
                }
                left -= 1;
                parts.last_mut().expect("there is a first").origins[source].put(origin);
            }
        }
        parts
    }

    /// Goes on to what was counted and seen by then; parts behind the first are merged.
    pub fn go_on(&mut self, since: &Judge) {
        self.counts.clone_from(&since.counts);
        self.earliest.clone_from(&since.earliest);
        for (mine, theirs) in self.origins.iter_mut().zip(&since.origins) {
            mine.merge(theirs);
        }
    }

    /// Counts what [`Judge::take_back`] will take back, where nothing was counted of it.
    pub(crate) fn stand(&mut self, batch: &Batch) {
        let counts = &mut self.counts[usize::from(batch.source)];
        for refusal in &batch.stood {
            counts.received += 1;
            *counts.quarantined.entry(refusal.reason as u8).or_default() += 1;
        }
    }

    /// Takes over how far another shard's origins have come: all that watermarks ask for, at every tick.
    pub(crate) fn merge_reach(&mut self, other: &Judge) {
        for (mine, theirs) in self.origins.iter_mut().zip(&other.origins) {
            mine.merge_reach(theirs);
        }
    }

    /// Appends the canonical state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for ((counts, origins), earliest) in self.counts.iter().zip(&self.origins).zip(&self.earliest) {
            counts.encode(out);
            origins.encode(out);
            put_option(out, *earliest);
        }
    }

    /// Reads back what [`Judge::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut judge = Judge::new(plan);
        for source in 0..plan.sources.len() {
            judge.counts[source] = Counts::decode(reader)?;
            judge.origins[source] = Origins::decode(reader)?;
            judge.earliest[source] = reader.option()?;
        }
        Ok(judge)
    }
}

/// Which of `shards` judge shards owns an identity.
#[inline]
pub fn shard_of(identity: u64, shards: u64) -> u64 {
    // The high half of a product spreads evenly without dividing. Tables use the hash's own high bits, so these are
    // taken from a rotation.
    ((u128::from(identity.rotate_left(32)) * u128::from(shards)) >> 64) as u64
}

/// Ranks an event against the known winner: version, then decoder, then retraction over content, then, between
/// different contents of one version, the smaller digest. `digest` is that of the event's content, which is asked for only
/// where the rest is equal.
#[inline]
pub fn weigh(head: &Head, decoder: u32, digest: impl FnOnce() -> u128, known: Option<&Known>) -> Verdict {
    let Some(known) = known else { return Verdict::New };
    let rank = (head.version, decoder, head.op).cmp(&(known.version, known.decoder, known.op));
    match rank {
        Ordering::Less if planted::is(Bug::OlderVersionWins) => Verdict::Replaces(Change::Correction),
        Ordering::Less => Verdict::Superseded,
        Ordering::Greater if head.op == Op::Retract => Verdict::Replaces(Change::Retraction),
        Ordering::Greater if head.version == known.version => Verdict::Replaces(Change::Decoder),
        Ordering::Greater => Verdict::Replaces(Change::Correction),
        Ordering::Equal if head.op == Op::Retract => Verdict::Duplicate,
        Ordering::Equal => match digest().cmp(&known.digest) {
            Ordering::Equal => Verdict::Duplicate,
            Ordering::Less if !planted::is(Bug::ConflictByArrival) => Verdict::Replaces(Change::Conflict),
            _ => Verdict::ConflictLost,
        },
    }
}
