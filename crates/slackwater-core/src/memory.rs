//! The answers to what the core needs, kept in memory: the identity index, and the log of winning contents.
//!
//! One belongs to each judge shard. It is a caller of the core: whoever keeps the index and the facts on disk answers
//! the same questions, and nothing else changes.

use crate::codec::Reader;
use crate::delta::Cause;
use crate::dense::{Dense, Seat};
use crate::input::{Batch, Entry, Head, Position};
use crate::judge::Known;
use crate::limits::FACT_CHUNK;
use crate::plan::Plan;
use crate::row::{IdentityBytes, Op, Row, digest};
use crate::table::Table;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Records start at multiples of this, so that 32 bits address 32 GiB.
const UNIT: usize = 8;
const LIVE: u8 = 1;
const RETRACTED: u8 = 2;

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
    /// Where the log ended at the last tick, and for winners since then the winner before it, if there was one.
    ticked: u32,
    replaced: BTreeMap<u32, u32>,
    scratch: (IdentityBytes, IdentityBytes),
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Smallest and largest event time of the contents within.
    times: (i64, i64),
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
}

/// What became of an identity between two ticks.
#[derive(Clone, Copy, Debug)]
pub struct Net<'a> {
    /// Its content at the tick before, and its content now; none where it had none, or is retracted.
    before: Option<Fact<'a>>,
    after: Option<Fact<'a>>,
    /// Why.
    pub cause: Cause,
}

impl<'a> Net<'a> {
    fn new(before: Option<&Record<'a>>, after: &Record<'a>) -> Self {
        let content = |record: &Record<'a>| (record.known.op == Op::Assert).then_some(record.fact);
        let rank = |record: &Record<'a>| (record.known.version, record.known.decoder);
        let cause = match before {
            None => Cause::Late,
            Some(_) if after.known.op == Op::Retract => Cause::Retraction,
            Some(before) if rank(before).0 < rank(after).0 => Cause::Correction,
            Some(before) if rank(before) < rank(after) => Cause::Decoder,
            Some(_) => Cause::Conflict,
        };
        Net { before: before.and_then(content), after: content(after), cause }
    }

    /// What it took away and what it brought; nothing where both are the same.
    pub fn sides(&self) -> impl Iterator<Item = Fact<'a>> {
        let same = self.before.zip(self.after).is_some_and(|(before, after)| before.content == after.content);
        self.before.into_iter().chain(self.after).filter(move |_| !same)
    }
}

/// Flags and seven varints at most.
const HEADER_BYTES: usize = 1 + 7 * 10;

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
    known: Known,
    fact: Fact<'a>,
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
                place.map(|place| read(&self.chunks, &self.parts, place).known)
            }
            Seat::Nowhere => self.find(plan, batch, entry, head),
        };
        Found { known, seat }
    }

    fn find(&mut self, plan: &Plan, batch: &Batch, entry: &Entry, head: &Head) -> Option<Known> {
        let Memory { index, chunks, parts, scratch: (mine, theirs), .. } = self;
        let mut found = None;
        let schema = &plan.sources[usize::from(batch.source)].schema;
        index.find(head.identity, |place| {
            let record = read(chunks, parts, place);
            if record.fact.source != batch.source {
                return false;
            }
            let Fact { content, part, position, .. } = record.fact;
            let held = theirs.of(Row::new(schema, content), batch.source, (part, position.offset));
            let row = Row::new(schema, batch.bytes(entry));
            let same = held == mine.of(row, batch.source, (&batch.part, entry.position.offset));
            if same {
                found = Some(record.known);
            }
            same
        });
        found
    }

    /// Makes an event the winner of its identity, in the place of what [`Memory::look_up`] just found for it.
    pub fn put(&mut self, batch: &Batch, entry: &Entry, head: &Head, found: &Found) {
        let place = self.append(batch, entry, head);
        match (found.seat, &found.known) {
            (Seat::Slot(page, slot), _) => self.dense.set(page, slot, place),
            (Seat::Nowhere, None) => self.index.insert(head.identity, place),
            (Seat::Nowhere, Some(old)) => self.index.replace(head.identity, old.place, place),
        }
        if let Some(old) = &found.known {
            let (chunk, at) = locate(old.place);
            self.chunks[chunk].bytes[at] &= !LIVE;
            let before = if old.place < self.ticked { Some(old.place) } else { self.replaced.remove(&old.place) };
            self.replaced.extend(before.map(|before| (place, before)));
        }
    }

    /// The content at a place that [`Known`] named.
    pub fn fact(&self, place: u32) -> Fact<'_> {
        read(&self.chunks, &self.parts, place).fact
    }

    /// What became of every identity with a new winner since the last tick.
    pub fn changes(&self) -> impl Iterator<Item = Net<'_>> {
        let (first, offset) = locate(self.ticked);
        let chunks = self.chunks.iter().enumerate().skip(first);
        let since = chunks
            .flat_map(move |(number, chunk)| self.records(number, chunk, if number == first { offset } else { 0 }));
        since.filter(|record| record.live).map(move |record| {
            let before = self.replaced.get(&record.known.place).map(|place| read(&self.chunks, &self.parts, *place));
            Net::new(before.as_ref(), &record)
        })
    }

    /// From here on, changes are counted anew.
    pub fn mark(&mut self) {
        self.replaced.clear();
        self.ticked = self.chunks.last().map_or(0, |chunk| place_of(self.chunks.len() - 1, chunk.bytes.len()));
    }

    /// The winning contents whose event time lies in `[from, to)`, in no order that means anything.
    pub fn facts<'a>(&'a self, plan: &'a Plan, from: i128, to: i128) -> impl Iterator<Item = Fact<'a>> {
        let inside = move |time: i64| from <= i128::from(time) && i128::from(time) < to;
        let near = self
            .chunks
            .iter()
            .enumerate()
            .filter(move |(_, chunk)| i128::from(chunk.times.1) >= from && i128::from(chunk.times.0) < to);
        near.flat_map(move |(number, chunk)| self.records(number, chunk, 0)).filter_map(move |record| {
            let schema = &plan.sources[usize::from(record.fact.source)].schema;
            let content = record.live && record.known.op == Op::Assert;
            (content && inside(Row::new(schema, record.fact.content).event_time())).then_some(record.fact)
        })
    }

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

    fn append(&mut self, batch: &Batch, entry: &Entry, head: &Head) -> u32 {
        let content = batch.bytes(entry);
        let part = self.part(&batch.part);
        let room = content.len() + HEADER_BYTES + UNIT;
        assert!(room <= FACT_CHUNK, "an event's content fits in a chunk of the fact log");
        if self.chunks.last().is_none_or(|chunk| chunk.bytes.len() + room > FACT_CHUNK) {
            self.chunks.push(Chunk { bytes: Vec::with_capacity(FACT_CHUNK), times: (i64::MAX, i64::MIN) });
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let at = chunk.bytes.len();
        let out = &mut chunk.bytes;
        let flags = LIVE | if head.op == Op::Retract { RETRACTED } else { 0 };
        let mut header = Header { bytes: [0; HEADER_BYTES], len: 0 };
        header.put(&[flags]);
        header.varint(batch.source.into());
        header.varint(batch.decoder.into());
        header.varint(head.version);
        header.varint(part.into());
        header.varint(entry.position.offset);
        header.varint(entry.position.line);
        header.varint(content.len() as u64);
        out.extend_from_slice(&header.bytes[..header.len]);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(UNIT), 0);
        if head.op == Op::Assert {
            chunk.times = (chunk.times.0.min(head.time), chunk.times.1.max(head.time));
        }
        place_of(number, at)
    }

    fn part(&mut self, name: &Arc<str>) -> u32 {
        if let Some(last) = self.parts.last()
            && Arc::ptr_eq(last, name)
        {
            return self.parts.len() as u32 - 1;
        }
        let found = self.parts.iter().position(|part| part == name);
        found.unwrap_or_else(|| {
            self.parts.push(name.clone());
            self.parts.len() - 1
        }) as u32
    }
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
    read_at(&chunks[chunk].bytes[at..], parts, place).0
}

/// The record at the start of `bytes`, and its length without padding.
fn read_at<'a>(bytes: &'a [u8], parts: &'a [Arc<str>], place: u32) -> (Record<'a>, usize) {
    let mut reader = Reader::new(bytes);
    let mut parse = || {
        let flags = reader.byte()?;
        let source = reader.number()?;
        let decoder = reader.number()?;
        let version = reader.varint()?;
        let part = &parts[reader.number::<usize>()?];
        let position = Position { offset: reader.varint()?, line: reader.varint()? };
        let content = reader.bytes()?;
        let op = if flags & RETRACTED == 0 { Op::Assert } else { Op::Retract };
        // The digest is of the content and so need not be kept beside it.
        let known = Known { version, decoder, op, digest: digest(content), place };
        Ok::<_, crate::codec::CodecError>(Record {
            live: flags & LIVE != 0,
            known,
            fact: Fact { source, content, part, position },
        })
    };
    let record = parse().expect("a record in memory is as it was written");
    (record, reader.position())
}
