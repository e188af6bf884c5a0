//! The log of winning contents: one record behind the other, in chunks that stay where they are.
//!
//! A record is a header, the content, and zeros up to a multiple of eight bytes. What the records of one batch share stands
//! once, in their run. The header, little-endian: number of the run (4 bytes), length of the content (3), flags (1), how far
//! behind the run's offset and line it stood (4 and 4); then, where a flag says so, arrival (8) and version (8).

use super::{Fact, Past, Winner};
use crate::input::Position;
use crate::judge::Known;
use crate::limits::FACT_CHUNK;
use crate::row::{Op, digest};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Records start at multiples of this, so that 32 bits address 32 GiB.
pub(super) const UNIT: usize = 8;
/// Bytes of a header, and of what it may have more.
const HEAD: usize = 16;
const MORE: usize = 16;
/// Where the flags are.
const FLAGS: usize = 7;
/// Bytes that the first chunk begins with: most logs are short.
const FIRST: usize = 1 << 13;

/// It is the winner of its identity.
const LIVE: u8 = 1;
const RETRACTED: u8 = 2;
const ARRIVAL: u8 = 4;
/// It stood in quarantine.
const STOOD: u8 = 8;
/// It has an arrival or a version.
const LONG: u8 = 16;

/// Records of contents, and what they share.
#[derive(Debug, Default)]
pub(super) struct Log {
    chunks: Vec<Chunk>,
    runs: Vec<Run>,
    parts: Vec<Arc<str>>,
    /// Each part's place in that list.
    places: BTreeMap<Arc<str>, u32>,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Smallest and largest event time of the contents within.
    times: (i64, i64),
}

/// What records that were made of one batch share.
#[derive(Clone, Copy, Debug)]
struct Run {
    source: u16,
    decoder: u32,
    part: u32,
    /// From where their positions are counted.
    from: Position,
}

/// A record, read back.
pub(super) struct Record<'a> {
    pub live: bool,
    /// Without the digest of its content.
    pub winner: Winner<'a>,
}

/// A record, to be written.
pub(super) struct Draft<'a> {
    pub op: Op,
    pub live: bool,
    pub stood: bool,
    pub source: u16,
    pub decoder: u32,
    pub version: u64,
    pub part: &'a Arc<str>,
    pub position: Position,
    pub arrival: Option<i64>,
    pub content: &'a [u8],
}

impl<'a> Draft<'a> {
    /// What is kept elsewhere, to be replaced at once.
    pub fn of_past(source: u16, past: &'a Past) -> Self {
        let Past { known: Known { op, decoder, version, .. }, part, position, arrival, .. } = past;
        let (op, decoder, version, position, arrival) = (*op, *decoder, *version, *position, *arrival);
        let content = past.content.as_deref().unwrap_or_default();
        // It is not alive here: what it was is told only by what replaces it.
        Draft { op, live: false, stood: false, source, decoder, version, part, position, arrival, content }
    }
}

impl Log {
    /// Adds a record, and gives its place. `time` is that of a content that counts.
    #[inline]
    pub fn append(&mut self, draft: &Draft<'_>, time: Option<i64>) -> u32 {
        let content = draft.content;
        let room = HEAD + MORE + content.len() + UNIT;
        assert!(room <= FACT_CHUNK, "an event's content fits in a chunk of the fact log");
        if self.chunks.last().is_none_or(|chunk| chunk.bytes.len() + room > FACT_CHUNK) {
            let capacity = if self.chunks.is_empty() { FIRST } else { FACT_CHUNK };
            self.chunks.push(Chunk { bytes: Vec::with_capacity(capacity), times: (i64::MAX, i64::MIN) });
        }
        let (run, from) = self.run(draft);
        let number = self.chunks.len() - 1;
        let Chunk { bytes: out, times } = &mut self.chunks[number];
        let at = out.len();
        let long = draft.arrival.is_some() || draft.version > 0;
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(draft.live, LIVE)
            | flag(draft.op == Op::Retract, RETRACTED)
            | flag(draft.arrival.is_some(), ARRIVAL)
            | flag(draft.stood, STOOD)
            | flag(long, LONG);
        let behind = (draft.position.offset - from.offset) | (draft.position.line - from.line) << 32;
        let shape = u64::from(run) | (content.len() as u64) << 32 | u64::from(flags) << 56;
        out.extend_from_slice(&pair(shape, behind));
        if long {
            out.extend_from_slice(&pair(draft.arrival.unwrap_or_default() as u64, draft.version));
        }
        out.extend_from_slice(content);
        let end = out.len().next_multiple_of(UNIT);
        out.extend_from_slice(&[0; UNIT]);
        out.truncate(end);
        if let Some(time) = time {
            *times = (times.0.min(time), times.1.max(time));
        }
        place_of(number, at)
    }

    /// The run that a record belongs to: the last one, or a new one behind it.
    #[inline]
    fn run(&mut self, draft: &Draft<'_>) -> (u32, Position) {
        if let Some(Run { source, decoder, part, from }) = self.runs.last()
            && (*source, *decoder) == (draft.source, draft.decoder)
            && Arc::ptr_eq(&self.parts[*part as usize], draft.part)
            && is_near(from.offset, draft.position.offset)
            && is_near(from.line, draft.position.line)
        {
            return (self.runs.len() as u32 - 1, *from);
        }
        let run =
            Run { source: draft.source, decoder: draft.decoder, part: self.part(draft.part), from: draft.position };
        self.runs.push(run);
        (u32::try_from(self.runs.len() - 1).expect("a run has a record, and so a place"), run.from)
    }

    fn part(&mut self, name: &Arc<str>) -> u32 {
        if let Some(place) = self.places.get(name) {
            // The name as it comes now is told sooner.
            self.parts[*place as usize] = name.clone();
            return *place;
        }
        let place = self.parts.len() as u32;
        self.parts.push(name.clone());
        self.places.insert(name.clone(), place);
        place
    }

    /// The winner at a place, with its digest.
    pub fn winner(&self, place: u32) -> Winner<'_> {
        digested(self.read(place).winner)
    }

    /// The record at a place.
    pub fn read(&self, place: u32) -> Record<'_> {
        let (chunk, at) = locate(place);
        self.read_at(&self.chunks[chunk].bytes[at..], place).0
    }

    /// It is the winner of its identity no more.
    pub fn lose(&mut self, place: u32) {
        let (chunk, at) = locate(place);
        self.chunks[chunk].bytes[at + FLAGS] &= !LIVE;
    }

    /// Where the next record would be; 0 where there is none.
    pub fn end(&self) -> u32 {
        self.chunks.last().map_or(0, |chunk| place_of(self.chunks.len() - 1, chunk.bytes.len()))
    }

    /// No event time of a content from this place on is before this one.
    pub fn earliest_from(&self, place: u32) -> i64 {
        self.chunks.iter().skip(locate(place).0).map(|chunk| chunk.times.0).min().unwrap_or(i64::MAX)
    }

    /// Records from a place on, in the order in which they came.
    pub fn from(&self, place: u32) -> impl Iterator<Item = Record<'_>> {
        let (first, offset) = locate(place);
        let chunks = self.chunks.iter().enumerate().skip(first);
        chunks.flat_map(move |(number, chunk)| self.records(number, chunk, if number == first { offset } else { 0 }))
    }

    /// Records of the chunks whose first and last event time this holds of.
    pub fn within<'a>(&'a self, meets: impl Fn((i64, i64)) -> bool + 'a) -> impl Iterator<Item = Record<'a>> {
        let near = self.chunks.iter().enumerate().filter(move |(_, chunk)| meets(chunk.times));
        near.flat_map(move |(number, chunk)| self.records(number, chunk, 0))
    }

    fn records<'a>(&'a self, number: usize, chunk: &'a Chunk, from: usize) -> impl Iterator<Item = Record<'a>> {
        let mut at = from;
        core::iter::from_fn(move || {
            if at >= chunk.bytes.len() {
                return None;
            }
            let (record, length) = self.read_at(&chunk.bytes[at..], place_of(number, at));
            at = (at + length).next_multiple_of(UNIT);
            Some(record)
        })
    }

    /// The record at the start of `bytes`, and its length without padding.
    #[inline]
    fn read_at<'a>(&'a self, bytes: &'a [u8], place: u32) -> (Record<'a>, usize) {
        let word = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("a record is whole"));
        let (shape, behind) = (word(0), word(8));
        let (flags, length) = (bytes[FLAGS], (shape >> 32) as usize & 0x00ff_ffff);
        let Run { source, decoder, part, from } = self.runs[shape as u32 as usize];
        let (arrival, version, start) = match flags & LONG {
            0 => (None, 0, HEAD),
            _ => ((flags & ARRIVAL > 0).then(|| word(HEAD) as i64), word(HEAD + 8), HEAD + MORE),
        };
        let op = if flags & RETRACTED == 0 { Op::Assert } else { Op::Retract };
        let position = Position { offset: from.offset + u64::from(behind as u32), line: from.line + (behind >> 32) };
        let content = &bytes[start..start + length];
        let fact = Fact { source, content, part: &self.parts[part as usize], position, arrival };
        let known = Known { version, decoder, op, digest: 0, place };
        let winner = Winner { known, fact, stood: flags & STOOD > 0 };
        (Record { live: flags & LIVE > 0, winner }, start + length)
    }
}

/// With its digest, which is of the content and so need not be kept beside it.
pub(super) fn digested(winner: Winner<'_>) -> Winner<'_> {
    Winner { known: Known { digest: digest(winner.fact.content), ..winner.known }, ..winner }
}

/// Whether a place can be told by how far it is behind another.
#[inline]
fn is_near(from: u64, at: u64) -> bool {
    at.checked_sub(from).is_some_and(|behind| behind <= u64::from(u32::MAX))
}

#[inline]
fn pair(first: u64, second: u64) -> [u8; 16] {
    (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
}

fn place_of(chunk: usize, at: usize) -> u32 {
    let unit = (chunk * FACT_CHUNK + at) / UNIT;
    u32::try_from(unit).expect("one shard holds 32 GiB of facts in memory at most: use more shards")
}

fn locate(place: u32) -> (usize, usize) {
    let byte = place as usize * UNIT;
    (byte / FACT_CHUNK, byte % FACT_CHUNK)
}
