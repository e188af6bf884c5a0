//! The answers to what the core needs, kept in memory: the identity index, and the log of winning contents.
//!
//! One belongs to each judge shard. It is a caller of the core: whoever keeps the index and the facts on disk answers
//! the same questions, and nothing else changes.

use crate::codec::Reader;
use crate::delta::Cause;
use crate::dense::{Dense, Seat};
use crate::input::{Batch, Decoded, Entry, Head, Position};
use crate::judge::{Known, shard_of};
use crate::limits::FACT_CHUNK;
use crate::plan::Plan;
use crate::row::{IdentityBytes, Op, Row, digest};
use crate::table::Table;
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Records start at multiples of this, so that 32 bits address 32 GiB.
const UNIT: usize = 8;
const LIVE: u8 = 1;
const RETRACTED: u8 = 2;
const ARRIVAL: u8 = 4;
/// It stood in quarantine.
const STOOD: u8 = 8;

/// Identities and facts of one judge shard.
///
/// Shards stand side by side, and each is written by a thread of its own: no two may share a line of cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Memory {
    /// Places by identity; numeric ids that lie close together have an index of their own.
    index: Table,
    dense: Dense,
    chunks: Vec<Chunk>,
    parts: Vec<Arc<str>>,
    /// Each part's place in that list.
    places: BTreeMap<Arc<str>, u32>,
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

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Smallest and largest event time of the contents within.
    times: (i64, i64),
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
    /// The winner, if there is one.
    pub known: Option<Known>,
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
    /// With its digest, which is of the content and so need not be kept beside it.
    fn digested(self) -> Self {
        Winner { known: Known { digest: digest(self.fact.content), ..self.known }, ..self }
    }

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

/// Flags, an arrival, and seven varints at most.
const HEADER_BYTES: usize = 1 + 8 + 7 * 10;

/// The head of a record, put together before it is copied at once.
struct Header {
    bytes: [u8; HEADER_BYTES],
    len: usize,
}

impl Header {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(&[(value as u8 & 0x7f) | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }
}

/// A record, read back.
struct Record<'a> {
    live: bool,
    winner: Winner<'a>,
}

/// A record, to be written.
struct Draft<'a> {
    flags: u8,
    source: u16,
    decoder: u32,
    version: u64,
    part: u32,
    position: Position,
    arrival: Option<i64>,
    content: &'a [u8],
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

    /// What is known of the identity of a row.
    #[inline]
    pub fn look_up(&mut self, plan: &Plan, batch: &Batch, entry: &Entry, head: &Head) -> Found {
        let row = Row::new(&plan.sources[usize::from(batch.source)].schema, batch.bytes(entry));
        let seat = row.numeric_id().map_or(Seat::Nowhere, |id| self.dense.seat(batch.source, row.origin(), id));
        let known = match seat {
            Seat::Slot(page, slot) => {
                let place = self.dense.get(page, slot);
                place.map(|place| read(&self.chunks, &self.parts, place).winner.known)
            }
            Seat::Nowhere => self.find(plan, batch, entry, head),
        };
        Found { known, seat }
    }

    /// The events of a batch that a judge shard judges and whose identity has no winner here, by number.
    pub fn missing(&mut self, plan: &Plan, batch: &Batch, shard: u64, shards: u64) -> Vec<u32> {
        let mut missing = Vec::new();
        for (number, entry) in batch.entries().iter().enumerate() {
            if let Decoded::Row(head) = &entry.decoded
                && shard_of(head.identity, shards) == shard
                && self.look_up(plan, batch, entry, head).known.is_none()
            {
                missing.push(number as u32);
            }
        }
        missing
    }

    fn find(&mut self, plan: &Plan, batch: &Batch, entry: &Entry, head: &Head) -> Option<Known> {
        let Memory { index, chunks, parts, scratch: (mine, theirs), .. } = self;
        let mut found = None;
        let schema = &plan.sources[usize::from(batch.source)].schema;
        index.find(head.identity, |place| {
            let Winner { known, fact: Fact { source, content, part, position, .. }, .. } =
                read(chunks, parts, place).winner;
            if source != batch.source {
                return false;
            }
            let held = theirs.of(Row::new(schema, content), batch.source, (part, position.offset));
            let row = Row::new(schema, batch.bytes(entry));
            let same = held == mine.of(row, batch.source, (&batch.part, entry.position.offset));
            if same {
                found = Some(known);
            }
            same
        });
        found
    }

    /// Takes in a winner that is kept elsewhere, because an event replaces it, and gives it a place.
    pub fn adopt(&mut self, source: u16, past: &Past) -> Known {
        let Past { known, position, arrival, .. } = *past;
        let (Known { decoder, version, .. }, part) = (known, self.part(&past.part));
        // It is not alive here: what it was is told only by what replaces it.
        let flags = retracted(known.op);
        let content = past.content.as_deref().unwrap_or_default();
        assert!(known.op == Op::Retract || past.content.is_some(), "what is replaced is brought back whole");
        let place = self.append(&Draft { flags, source, decoder, version, part, position, arrival, content });
        Known { place, ..known }
    }

    /// Makes an event the winner of its identity, in the place of what [`Memory::look_up`] just found for it, or of what
    /// was adopted.
    pub fn put(&mut self, batch: &Batch, entry: &Entry, head: &Head, found: &Found, adopted: Option<Known>) {
        let (source, decoder, part) = (batch.source, batch.decoder, self.part(&batch.part));
        let Entry { position, arrival, .. } = *entry;
        let stood = if batch.stood.is_empty() { 0 } else { STOOD };
        let (flags, version, content) = (LIVE | stood | retracted(head.op), head.version, batch.bytes(entry));
        let place = self.append(&Draft { flags, source, decoder, version, part, position, arrival, content });
        if head.op == Op::Retract || stood != 0 {
            self.bare += content.len() + batch.part.len() + UNIT * UNIT;
        }
        if head.op == Op::Assert {
            let chunk = self.chunks.last_mut().expect("just appended to");
            chunk.times = (chunk.times.0.min(head.time), chunk.times.1.max(head.time));
        }
        match (found.seat, &found.known) {
            (Seat::Slot(page, slot), _) => self.dense.set(page, slot, place),
            (Seat::Nowhere, None) => self.index.insert(head.identity, place),
            (Seat::Nowhere, Some(old)) => self.index.replace(head.identity, old.place, place),
        }
        let mut before = adopted.map(|adopted| adopted.place);
        if let Some(old) = &found.known {
            let (chunk, at) = locate(old.place);
            self.chunks[chunk].bytes[at] &= !LIVE;
            before = if old.place < self.ticked { Some(old.place) } else { self.replaced.remove(&old.place) };
        }
        self.replaced.extend(before.map(|before| (place, before)));
    }

    /// Whether an identity whose winner stands at a place had one at the last tick.
    #[inline]
    pub fn had(&self, place: u32) -> bool {
        place < self.ticked || self.replaced.contains_key(&place)
    }

    /// The content at a place that [`Known`] named.
    pub fn fact(&self, place: u32) -> Fact<'_> {
        read(&self.chunks, &self.parts, place).winner.fact
    }

    /// What became of every identity with a new winner since the last tick.
    pub fn changes(&self) -> impl Iterator<Item = Net<'_>> {
        let (first, offset) = locate(self.ticked);
        let chunks = self.chunks.iter().enumerate().skip(first);
        let since = chunks
            .flat_map(move |(number, chunk)| self.records(number, chunk, if number == first { offset } else { 0 }));
        since.filter(|record| record.live).map(move |Record { winner, .. }| {
            let before = match self.replaced.is_empty() {
                true => None,
                false => self.replaced.get(&winner.known.place),
            };
            Net::new(before.map(|place| read(&self.chunks, &self.parts, *place).winner), winner)
        })
    }

    /// No event time that changes since the last tick touch is before this one.
    pub fn changes_from(&self) -> i64 {
        if !self.replaced.is_empty() {
            // What was replaced may be from any time.
            return i64::MIN;
        }
        self.chunks.iter().skip(locate(self.ticked).0).map(|chunk| chunk.times.0).min().unwrap_or(i64::MAX)
    }

    /// Whether every change since the last tick is a content that counts and replaces none.
    pub fn is_plain(&self) -> bool {
        self.bare == 0 && self.replaced.is_empty()
    }

    /// Bytes of winners since the last tick, about, that are retractions or stood in quarantine.
    pub fn bare(&self) -> usize {
        self.bare
    }

    /// From here on, changes are counted anew.
    pub fn mark(&mut self) {
        self.replaced.clear();
        self.bare = 0;
        self.ticked = self.chunks.last().map_or(0, |chunk| place_of(self.chunks.len() - 1, chunk.bytes.len()));
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
        let chunks = self.chunks.iter().enumerate();
        let records = chunks.flat_map(|(number, chunk)| self.records(number, chunk, 0));
        records.filter(|record| record.live).filter_map(move |Record { winner, .. }| {
            let place = winner.known.place;
            while left.next_if(|left| left.to <= place).is_some() {}
            left.peek().filter(|left| left.from <= place).map(|left| (left.tick, winner))
        })
    }

    /// Every winner, in the order in which they came.
    pub fn winners(&self) -> impl Iterator<Item = Winner<'_>> {
        let chunks = self.chunks.iter().enumerate();
        let records = chunks.flat_map(|(number, chunk)| self.records(number, chunk, 0));
        records.filter(|record| record.live).map(|record| record.winner.digested())
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
        Some(read(&self.chunks, &self.parts, place).winner)
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
            let Fact { source, content, part, position, .. } = read(&self.chunks, &self.parts, place).winner.fact;
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
        let near = self.chunks.iter().enumerate().filter(move |(_, chunk)| meets(chunk.times));
        near.flat_map(move |(number, chunk)| self.records(number, chunk, 0)).filter_map(move |record| {
            let fact = record.winner.content().filter(|_| record.live)?;
            let schema = &plan.sources[usize::from(fact.source)].schema;
            inside(Row::new(schema, fact.content).event_time()).then_some(fact)
        })
    }

    /// Records from a place on, without the digests of their contents.
    fn records<'a>(&'a self, number: usize, chunk: &'a Chunk, from: usize) -> impl Iterator<Item = Record<'a>> {
        let mut at = from;
        core::iter::from_fn(move || {
            if at >= chunk.bytes.len() {
                return None;
            }
            let (record, length) = read_at(&chunk.bytes[at..], &self.parts, place_of(number, at));
            at = (at + length).next_multiple_of(UNIT);
            Some(record)
        })
    }

    fn append(&mut self, draft: &Draft<'_>) -> u32 {
        let content = draft.content;
        let room = content.len() + HEADER_BYTES + UNIT;
        assert!(room <= FACT_CHUNK, "an event's content fits in a chunk of the fact log");
        if self.chunks.last().is_none_or(|chunk| chunk.bytes.len() + room > FACT_CHUNK) {
            self.chunks.push(Chunk { bytes: Vec::with_capacity(FACT_CHUNK), times: (i64::MAX, i64::MIN) });
        }
        let number = self.chunks.len() - 1;
        let out = &mut self.chunks[number].bytes;
        let at = out.len();
        let mut header = Header { bytes: [0; HEADER_BYTES], len: 0 };
        header.put(&[draft.flags | if draft.arrival.is_some() { ARRIVAL } else { 0 }]);
        if let Some(arrival) = draft.arrival {
            header.put(&arrival.to_le_bytes());
        }
        header.varint(draft.source.into());
        header.varint(draft.decoder.into());
        header.varint(draft.version);
        header.varint(draft.part.into());
        header.varint(draft.position.offset);
        header.varint(draft.position.line);
        header.varint(content.len() as u64);
        out.extend_from_slice(&header.bytes[..header.len]);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(UNIT), 0);
        place_of(number, at)
    }

    fn part(&mut self, name: &Arc<str>) -> u32 {
        if let Some(last) = self.parts.last()
            && Arc::ptr_eq(last, name)
        {
            return self.parts.len() as u32 - 1;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.parts.len() as u32;
        self.parts.push(name.clone());
        self.places.insert(name.clone(), place);
        place
    }
}

fn retracted(op: Op) -> u8 {
    if op == Op::Retract { RETRACTED } else { 0 }
}

fn place_of(chunk: usize, at: usize) -> u32 {
    let unit = (chunk * FACT_CHUNK + at) / UNIT;
    u32::try_from(unit).expect("one shard holds 32 GiB of facts in memory at most: use more shards")
}

fn locate(place: u32) -> (usize, usize) {
    let byte = place as usize * UNIT;
    (byte / FACT_CHUNK, byte % FACT_CHUNK)
}

fn read<'a>(chunks: &'a [Chunk], parts: &'a [Arc<str>], place: u32) -> Record<'a> {
    let (chunk, at) = locate(place);
    let Record { live, winner } = read_at(&chunks[chunk].bytes[at..], parts, place).0;
    Record { live, winner: winner.digested() }
}

/// The record at the start of `bytes`, but for the digest of its content, and its length without padding.
fn read_at<'a>(bytes: &'a [u8], parts: &'a [Arc<str>], place: u32) -> (Record<'a>, usize) {
    let mut reader = Reader::new(bytes);
    let mut parse = || {
        let flags = reader.byte()?;
        let arrival = if flags & ARRIVAL == 0 { None } else { Some(i64::from_le_bytes(reader.array()?)) };
        let source = reader.number()?;
        let decoder = reader.number()?;
        let version = reader.varint()?;
        let part = &parts[reader.number::<usize>()?];
        let position = Position { offset: reader.varint()?, line: reader.varint()? };
        let content = reader.bytes()?;
        let op = if flags & RETRACTED == 0 { Op::Assert } else { Op::Retract };
        let known = Known { version, decoder, op, digest: 0, place };
        let fact = Fact { source, content, part, position, arrival };
        Ok::<_, crate::codec::CodecError>(Record {
            live: flags & LIVE != 0,
            winner: Winner { known, fact, stood: flags & STOOD != 0 },
        })
    };
    let record = parse().expect("a record in memory is as it was written");
    (record, reader.position())
}
