//! The answers to what the core needs, kept in memory: the identity index, and the log of winning contents.
//!
//! One belongs to each judge shard. It is a caller of the core: whoever keeps the index and the facts on disk answers
//! the same questions, and nothing else changes.

mod log;

use log::{Draft, Log, Record, UNIT, digested};

use crate::delta::Cause;
use crate::dense::{Dense, Seat};
use crate::input::{Batch, Decoded, Entry, Event, Head, Position};
use crate::judge::{Known, shard_of};
use crate::plan::Plan;
use crate::row::{IdentityBytes, Op, Row};
use crate::table::Table;
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Identities and facts of one judge shard.
///
/// Shards stand side by side, and each is written by a thread of its own: no two may share a line of cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Memory {
    /// Places by identity; numeric ids that lie close together have an index of their own.
    index: Table,
    dense: Dense,
    log: Log,
    /// Where the log ended at the last tick, and for winners since then the winner before it, if there was one.
    ticked: u32,
    /// Bytes of winners since then, about, of which not all is in a content that counts: retractions, and what stood in
    /// quarantine.
    bare: usize,
    replaced: BTreeMap<u32, u32>,
    /// Stretches of the log that were left where they are, in order: the changes up to a tick each.
    left: Vec<Left>,
    scratch: (IdentityBytes, IdentityBytes),
}

/// A stretch of the log in which every change is a content that counts and replaces none.
#[derive(Clone, Copy, Debug)]
struct Left {
    from: u32,
    to: u32,
    tick: u64,
}

/// What a look-up found, and where its answer stands.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    place: Option<u32>,
    seat: Seat,
}

/// A winning content with where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// Index of its source.
    pub source: u16,
    /// Its content.
    pub content: &'a [u8],
    /// File or partition, and position.
    pub part: &'a Arc<str>,
    /// Where it stood.
    pub position: Position,
    /// When it was first seen, if that is recorded.
    pub arrival: Option<i64>,
}

/// The winner of an identity that is kept elsewhere, brought back because an event asks for it.
#[derive(Clone, Debug)]
pub struct Past {
    /// Its rank. The place means nothing.
    pub known: Known,
    /// Event time of its content; of a retraction it means nothing.
    pub time: i64,
    /// File or partition, and position; those of its content.
    pub part: Arc<str>,
    /// Where it stood.
    pub position: Position,
    /// When it was first seen, if that is recorded.
    pub arrival: Option<i64>,
    /// Its content; none of a retraction, and where the event that asks cannot replace it.
    pub content: Option<Vec<u8>>,
}

/// A winner: its rank, and its content with where it came from. The content of a retraction is its identity alone.
#[derive(Clone, Copy, Debug)]
pub struct Winner<'a> {
    /// Its rank.
    pub known: Known,
    /// Its content.
    pub fact: Fact<'a>,
    /// Whether it was let out of quarantine.
    pub stood: bool,
}

impl<'a> Winner<'a> {
    fn content(&self) -> Option<Fact<'a>> {
        (self.known.op == Op::Assert).then_some(self.fact)
    }
}

/// What became of an identity between two ticks. The digests of both winners are left out: nobody asks for them here.
#[derive(Clone, Copy, Debug)]
pub struct Net<'a> {
    /// Its winner at the tick before, if it had one.
    pub before: Option<Winner<'a>>,
    /// Its winner now.
    pub after: Winner<'a>,
    /// Why.
    pub cause: Cause,
}

impl<'a> Net<'a> {
    fn new(before: Option<Winner<'a>>, after: Winner<'a>) -> Self {
        let rank = |winner: &Winner<'a>| (winner.known.version, winner.known.decoder);
        let cause = match &before {
            None if after.stood => Cause::Release,
            None => Cause::Late,
            Some(_) if after.known.op == Op::Retract => Cause::Retraction,
            Some(before) if rank(before).0 < rank(&after).0 => Cause::Correction,
            Some(before) if rank(before) < rank(&after) => Cause::Decoder,
            Some(_) => Cause::Conflict,
        };
        Net { before, after, cause }
    }

    /// The content that it took away and the one that it brought; nothing where both are the same.
    pub fn sides(&self) -> (Option<Fact<'a>>, Option<Fact<'a>>) {
        match (self.before.and_then(|before| before.content()), self.after.content()) {
            (Some(before), Some(after)) if before.content == after.content => (None, None),
            sides => sides,
        }
    }
}

impl Memory {
    /// Nothing known yet.
    pub fn new() -> Self {
        Memory::default()
    }

    /// Brings what these events need near, before they are judged one by one.
    pub fn prepare<'a>(&self, heads: impl Iterator<Item = &'a Head>) {
        core::hint::black_box(self.index.touch(heads.map(|head| head.identity)));
    }

    /// Where the winner of the identity of an event's row is, if there is one.
    #[inline]
    pub fn look_up(&mut self, batch: &Batch, event: &Event<'_>) -> Found {
        let id = event.row.numeric_id();
        let seat = id.map_or(Seat::Nowhere, |id| self.dense.seat(batch.source, event.origin, id));
        let place = match seat {
            Seat::Slot(page, slot) => self.dense.get(page, slot),
            Seat::Nowhere => self.find(batch, event),
        };
        Found { place, seat }
    }

    /// What is known of the winner that a look-up found.
    #[inline]
    pub fn known(&self, found: &Found) -> Option<Known> {
        found.place.map(|place| self.log.winner(place).known)
    }

    /// The events of a batch that a judge shard judges and whose identity has no winner here, by number.
    pub fn missing(&mut self, plan: &Plan, batch: &Batch, shard: u64, shards: u64) -> Vec<u32> {
        let schema = &plan.sources[usize::from(batch.source)].schema;
        let mut missing = Vec::new();
        for (number, entry) in batch.entries().iter().enumerate() {
            if let Decoded::Row(head) = &entry.decoded
                && shard_of(head.identity, shards) == shard
                && self.look_up(batch, &Event::new(schema, batch, entry, head)).place.is_none()
            {
                missing.push(number as u32);
            }
        }
        missing
    }

    fn find(&mut self, batch: &Batch, event: &Event<'_>) -> Option<u32> {
        let Event { entry, head, row, .. } = *event;
        let Memory { index, log, scratch: (mine, theirs), .. } = self;
        index.find(head.identity, |place| {
            let Fact { source, content, part, position, .. } = log.read(place).winner.fact;
            if source != batch.source {
                return false;
            }
            let held = theirs.of(Row::new(row.schema(), content), batch.source, (part, position.offset));
            held == mine.of(row, batch.source, (&batch.part, entry.position.offset))
        })
    }

    /// Takes in a winner that is kept elsewhere, because an event replaces it, and gives it a place.
    pub fn adopt(&mut self, source: u16, past: &Past) -> Known {
        assert!(past.known.op == Op::Retract || past.content.is_some(), "what is replaced is brought back whole");
        let place = self.log.append(&Draft::of_past(source, past), None);
        Known { place, ..past.known }
    }

    /// Makes an event the winner of its identity, in the place of what [`Memory::look_up`] just found for it, or of what
    /// was adopted.
    pub fn put(&mut self, batch: &Batch, entry: &Entry, head: &Head, found: &Found, adopted: Option<Known>) {
        let (source, decoder, part) = (batch.source, batch.decoder, &batch.part);
        let Entry { position, arrival, .. } = *entry;
        let Head { op, version, time, .. } = *head;
        let (stood, content) = (!batch.stood.is_empty(), batch.bytes(entry));
        let draft = Draft { op, live: true, stood, source, decoder, version, part, position, arrival, content };
        let place = self.log.append(&draft, (op == Op::Assert).then_some(time));
        let (weight, bare) = (content.len() + batch.part.len() + UNIT * UNIT, op == Op::Retract || stood);
        match (found.seat, found.place) {
            (Seat::Slot(page, slot), _) => self.dense.set(page, slot, place),
            (Seat::Nowhere, None) => self.index.insert(head.identity, place),
            (Seat::Nowhere, Some(old)) => self.index.replace(head.identity, old, place),
        }
        let mut before = adopted.map(|adopted| adopted.place);
        if let Some(old) = found.place {
            self.log.lose(old);
            before = if old < self.ticked { Some(old) } else { self.replaced.remove(&old) };
        }
        // What is replaced may have had the same content, and then the archive does not tell of it.
        if bare || before.is_some() {
            self.bare += weight;
        }
        if let Some(before) = before {
            self.replaced.insert(place, before);
        }
    }

    /// Whether an identity whose winner stands at a place had one at the last tick.
    #[inline]
    pub fn had(&self, place: u32) -> bool {
        place < self.ticked || self.replaced.contains_key(&place)
    }

    /// The content at a place that [`Known`] named.
    pub fn fact(&self, place: u32) -> Fact<'_> {
        self.log.read(place).winner.fact
    }

    /// What became of every identity with a new winner since the last tick.
    pub fn changes(&self) -> impl Iterator<Item = Net<'_>> {
        self.log.from(self.ticked).filter(|record| record.live).map(move |Record { winner, .. }| {
            let before = match self.replaced.is_empty() {
                true => None,
                false => self.replaced.get(&winner.known.place),
            };
            Net::new(before.map(|place| self.log.winner(*place)), winner)
        })
    }

    /// No event time that changes since the last tick touch is before this one.
    pub fn changes_from(&self) -> i64 {
        if !self.replaced.is_empty() {
            // What was replaced may be from any time.
            return i64::MIN;
        }
        self.log.earliest_from(self.ticked)
    }

    /// Whether every change since the last tick is a content that counts and replaces none.
    pub fn is_plain(&self) -> bool {
        self.bare == 0 && self.replaced.is_empty()
    }

    /// Bytes of winners since the last tick, about, that are retractions, stood in quarantine, or replace another.
    pub fn bare(&self) -> usize {
        self.bare
    }

    /// From here on, changes are counted anew.
    pub fn mark(&mut self) {
        self.replaced.clear();
        self.bare = 0;
        self.ticked = self.log.end();
    }

    /// From here on changes are counted anew, and those of this tick can be asked for later.
    ///
    /// # Panics
    /// When they are not plain.
    pub fn leave(&mut self, tick: u64) {
        assert!(self.is_plain(), "only what replaces nothing can be told from the log later");
        let from = self.ticked;
        self.mark();
        if from < self.ticked {
            self.left.push(Left { from, to: self.ticked, tick });
        }
    }

    /// The tick of the changes that were left, if a place is among them.
    pub fn left_at(&self, place: u32) -> Option<u64> {
        let left = self.left.get(self.left.partition_point(|left| left.to <= place))?;
        (left.from <= place).then_some(left.tick)
    }

    /// The winners among the changes that were left, with their ticks. Those that were replaced since are not there.
    pub fn left(&self) -> impl Iterator<Item = (u64, Winner<'_>)> {
        let mut left = self.left.iter().copied().peekable();
        self.log.from(0).filter(|record| record.live).filter_map(move |Record { winner, .. }| {
            let place = winner.known.place;
            while left.next_if(|left| left.to <= place).is_some() {}
            left.peek().filter(|left| left.from <= place).map(|left| (left.tick, winner))
        })
    }

    /// Every winner, in the order in which they came.
    pub fn winners(&self) -> impl Iterator<Item = Winner<'_>> {
        self.log.from(0).filter(|record| record.live).map(|record| digested(record.winner))
    }

    /// Whether the identity of a fact has a winner here.
    pub fn holds(&self, plan: &Plan, fact: &Fact<'_>) -> bool {
        let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
        self.place(plan, row, fact.source, (fact.part, fact.position.offset)).is_some()
    }

    /// The winner of the identity of a row, if there is one here. Nothing is changed by asking.
    pub fn winner(&self, plan: &Plan, batch: &Batch, entry: &Entry) -> Option<Winner<'_>> {
        let row = Row::new(&plan.sources[usize::from(batch.source)].schema, batch.bytes(entry));
        let place = self.place(plan, row, batch.source, (&batch.part, entry.position.offset))?;
        Some(self.log.winner(place))
    }

    /// Where the winner of the identity of a row stands.
    fn place(&self, plan: &Plan, row: Row<'_>, source: u16, at: (&str, u64)) -> Option<u32> {
        if let Some(id) = row.numeric_id()
            && let Seat::Slot(page, slot) = self.dense.find(source, row.origin(), id)
        {
            return self.dense.get(page, slot);
        }
        if self.index.is_empty() {
            return None;
        }
        let (mut mine, mut theirs) = (IdentityBytes::default(), IdentityBytes::default());
        let hash = mine.hash(row, source, at);
        let identity = mine.of(row, source, at);
        self.index.find(hash, |place| {
            let Fact { source, content, part, position, .. } = self.log.read(place).winner.fact;
            let schema = &plan.sources[usize::from(source)].schema;
            theirs.of(Row::new(schema, content), source, (part, position.offset)) == identity
        })
    }

    /// The winning contents whose event time lies in one of these spans, which are in order and apart from each other. In no
    /// order that means anything.
    pub fn facts<'a>(&'a self, plan: &'a Plan, spans: &'a [Window]) -> impl Iterator<Item = Fact<'a>> {
        // The first span that ends behind a time is the only one that may hold it.
        let from = |time: i64| spans.get(spans.partition_point(|span| span.end <= i128::from(time)));
        let inside = move |time: i64| from(time).is_some_and(|span| span.contains(time));
        let meets = move |(first, last): (i64, i64)| from(first).is_some_and(|span| span.start <= i128::from(last));
        self.log.within(meets).filter_map(move |record| {
            let fact = record.winner.content().filter(|_| record.live)?;
            let schema = &plan.sources[usize::from(fact.source)].schema;
            inside(Row::new(schema, fact.content).event_time()).then_some(fact)
        })
    }
}
