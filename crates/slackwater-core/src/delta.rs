//! ±facts: what the judge sends to the fold.
//!
//! They commute, so nothing depends on how judge and fold are sharded or on what arrives first. Contents are not
//! copied: a delta names bytes of the batch that brought them, or of the old contents carried beside it.

use crate::aggregate::Sign;
use crate::hold::Unseen;
use crate::input::{Batch, Entry};
use crate::judge::Change;
use crate::memory::Fact;
use crate::plan::Plan;
use crate::plan::expr::{Faults, Node};
use crate::row::Row;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// Why a row exists, or why it changed: the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A changed formula.
    Logic,
    /// A newer decoder.
    Decoder,
    /// A newer reference version.
    Reference,
    /// A fact removed.
    Retraction,
    /// A fact replaced by a higher version.
    Correction,
    /// A fact replaced by another content of its version.
    Conflict,
    /// A held fact released.
    Release,
    /// History brought in.
    Backfill,
    /// A gap filled.
    GapFill,
    /// A fact that came after its window was sealed.
    Late,
    /// The window was complete.
    Seal,
}

impl Cause {
    /// Every cause, in their order.
    pub const ALL: [Cause; 11] = [
        Cause::Logic,
        Cause::Decoder,
        Cause::Reference,
        Cause::Retraction,
        Cause::Correction,
        Cause::Conflict,
        Cause::Release,
        Cause::Backfill,
        Cause::GapFill,
        Cause::Late,
        Cause::Seal,
    ];

    /// The word that outputs use.
    pub fn code(self) -> &'static str {
        match self {
            Cause::Logic => "logic",
            Cause::Decoder => "decoder",
            Cause::Reference => "reference",
            Cause::Retraction => "retraction",
            Cause::Correction => "correction",
            Cause::Conflict => "conflict",
            Cause::Release => "release",
            Cause::Backfill => "backfill",
            Cause::GapFill => "gap_fill",
            Cause::Late => "late",
            Cause::Seal => "seal",
        }
    }
}

impl From<Change> for Cause {
    fn from(change: Change) -> Cause {
        match change {
            Change::Correction => Cause::Correction,
            Change::Retraction => Cause::Retraction,
            Change::Decoder => Cause::Decoder,
            Change::Conflict => Cause::Conflict,
        }
    }
}

/// One fact, added to one pipeline or taken from it.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Added or taken away.
    pub sign: Sign,
    /// Index of the pipeline.
    pub pipeline: u16,
    /// Hash of pipeline and key.
    pub hash: u64,
    /// Whether its identity counted for nothing in the pipeline at the last tick, and the source holds what is late.
    pub unseen: bool,
    /// Whether that is because it was held.
    pub held: bool,
    /// Whether the content is in [`Deltas::old`] rather than in the batch.
    old: bool,
    content: Range<u32>,
    /// Index into [`Deltas::parts`], and offset there.
    place: (u32, u64),
    key: Range<u32>,
}

/// The ±facts of one batch for one fold shard.
#[derive(Clone, Debug)]
pub struct Deltas {
    batch: Arc<Batch>,
    old: Vec<u8>,
    keys: Vec<u8>,
    parts: Vec<Arc<str>>,
    /// In the order in which the judge gave them.
    pub list: Vec<Delta>,
}

impl Deltas {
    /// None yet.
    pub fn new(batch: Arc<Batch>) -> Self {
        let parts = alloc::vec![batch.part.clone()];
        Deltas { batch, old: Vec::new(), keys: Vec::new(), parts, list: Vec::new() }
    }

    /// The content of a delta, and where it stood: file or partition, and offset.
    #[inline]
    pub fn content<'a>(&'a self, delta: &Delta) -> (&'a [u8], (&'a str, u64)) {
        let range = delta.content.clone();
        let content =
            if delta.old { &self.old[range.start as usize..range.end as usize] } else { self.batch.span(range) };
        (content, (&self.parts[delta.place.0 as usize], delta.place.1))
    }

    /// The event whose content a delta adds.
    pub fn entry(&self, delta: &Delta) -> Option<&Entry> {
        let entries = self.batch.entries();
        let at = entries.partition_point(|entry| self.batch.range(entry).start < delta.content.start);
        entries[at..].iter().find(|entry| !delta.old && self.batch.range(entry) == delta.content)
    }

    /// File or partition of the batch.
    pub fn part(&self) -> &Arc<str> {
        &self.batch.part
    }

    /// The canonical key of a delta.
    #[inline]
    pub fn key(&self, delta: &Delta) -> &[u8] {
        &self.keys[delta.key.start as usize..delta.key.end as usize]
    }

    /// Bytes that it holds in memory, about, the shared batch included.
    pub fn weight(&self) -> usize {
        self.batch.weight() + self.old.capacity() + self.keys.capacity() + self.list.capacity() * size_of::<Delta>()
    }

    fn hold(&mut self, fact: &Fact<'_>) -> (Range<u32>, (u32, u64)) {
        let start = self.old.len() as u32;
        self.old.extend_from_slice(fact.content);
        let part = self.parts.iter().position(|part| part == fact.part).unwrap_or_else(|| {
            self.parts.push(fact.part.clone());
            self.parts.len() - 1
        });
        (start..self.old.len() as u32, (part as u32, fact.position.offset))
    }
}

/// Sends each ±fact to the fold shard that owns its key, once for every pipeline over its source.
#[derive(Debug)]
pub struct Router {
    key: Vec<u8>,
    out: Vec<Deltas>,
}

impl Router {
    /// A router for one batch and this many fold shards.
    pub fn new(batch: &Arc<Batch>, shards: usize) -> Self {
        // About one fact an event, evenly spread, with keys of a few bytes: what is more, grows.
        let share = batch.entries().len() / shards.max(1) + 16;
        let deltas = || {
            let mut deltas = Deltas::new(batch.clone());
            deltas.list.reserve(share);
            deltas.keys.reserve(share * 8);
            deltas
        };
        Router { key: Vec::new(), out: (0..shards).map(|_| deltas()).collect() }
    }

    /// Adds the content of an event of the batch. `unseen` are the pipelines that may hold it.
    #[inline]
    pub fn plus(&mut self, plan: &Plan, batch: &Batch, entry: &Entry, unseen: Unseen<'_>) {
        let content = batch.bytes(entry);
        let place = (0, entry.position.offset);
        self.route(plan, batch.source, content, |_| (batch.range(entry), place), (Sign::Plus, unseen));
    }

    /// Takes an old content away.
    pub fn minus(&mut self, plan: &Plan, fact: &Fact<'_>) {
        self.route(plan, fact.source, fact.content, |out| out.hold(fact), (Sign::Minus, Unseen::Nowhere));
    }

    /// What to send to each fold shard.
    pub fn finish(self) -> Vec<Deltas> {
        self.out
    }

    #[inline]
    fn route(
        &mut self,
        plan: &Plan,
        source: u16,
        content: &[u8],
        mut hold: impl FnMut(&mut Deltas) -> (Range<u32>, (u32, u64)),
        (sign, unseen): (Sign, Unseen<'_>),
    ) {
        let row = Row::new(&plan.sources[usize::from(source)].schema, content);
        let shards = self.out.len() as u64;
        for (pipeline, compiled) in plan.pipelines.iter().enumerate() {
            if compiled.source != source {
                continue;
            }
            let pipeline = pipeline as u16;
            let hash = compiled.key_hash(pipeline, row, &mut self.key);
            let out = &mut self.out[crate::judge::shard_of(hash, shards) as usize];
            let (content, place) = hold(out);
            let start = out.keys.len() as u32;
            out.keys.extend_from_slice(&self.key);
            let key = start..out.keys.len() as u32;
            let (held, old) = (matches!(unseen, Unseen::In(_)), sign == Sign::Minus);
            let unseen = unseen.holds(pipeline);
            out.list.push(Delta { sign, pipeline, hash, unseen, held, old, content, place, key });
        }
    }
}

impl crate::plan::Pipeline {
    /// Writes the canonical key of a row to `key` and gives its hash, which spreads keys over shards and tables.
    #[inline]
    pub fn key_hash(&self, pipeline: u16, row: Row<'_>, key: &mut Vec<u8>) -> u64 {
        key.clear();
        let mut faults: Faults = 0;
        for column in &self.key {
            match column.expr.node {
                Node::Input(field) => row.encode(field, key),
                _ => column.expr.eval(&row, &mut faults).encode(key),
            }
        }
        Self::hash_of_key(pipeline, key)
    }

    /// The hash of a canonical key.
    #[inline]
    pub fn hash_of_key(pipeline: u16, key: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(key, u64::from(pipeline))
    }
}
