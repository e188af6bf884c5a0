//! Chunks of events as entries of the journal, and back: what was taken in once can be taken in again, alike.

use super::Feed;
use super::receipts::Named;
use crate::decode::{Chunk, Format, Header};
use slackwater_core::codec::{CodecError, Reader, put_varint};
use slackwater_core::plan::Plan;
use slackwater_core::planted::{Bug, is};
use slackwater_store::Fault;
use slackwater_store::entry::{Entry, Packed, Pressed, Raw, Received};
use slackwater_store::journal::Entries;
use slackwater_store::store::Offset;
use std::iter::Peekable;

/// How far each file or partition was taken in, and the digest of all inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub offsets: Vec<Offset>,
    pub input: [u8; 32],
}

impl Taken {
    /// What is known of a file or partition.
    pub fn of(&self, source: u16, part: &str) -> Option<&Offset> {
        self.offsets.iter().find(|offset| offset.source == source && offset.part == part)
    }

    /// Adds a named delivery: it is whole, so how far it was taken in is no question.
    pub fn deliver(&mut self, named: &Named) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.input).update(&named.source.to_le_bytes()).update(named.name.as_bytes());
        hasher.update(&named.digest.to_le_bytes());
        self.input = *hasher.finalize().as_bytes();
    }

    /// Adds a chunk. One that stands elsewhere than where its file was left begins its file anew.
    pub fn add(&mut self, chunk: &Chunk, links: &Links) {
        self.pass((chunk.source, &chunk.part), (chunk.offset, chunk.line), &Gist { links: *links, end: chunk.end() });
    }

    /// Passes over a chunk that stood at an offset and on a line.
    pub fn pass(&mut self, (source, part): (u16, &str), (offset, line): (u64, u64), gist: &Gist) {
        let Gist { links, end } = gist;
        let found = self.offsets.iter().position(|known| known.source == source && known.part == *part);
        let at = found.unwrap_or_else(|| {
            self.offsets.push(Offset { source, part: part.to_string(), ..Offset::default() });
            self.offsets.len() - 1
        });
        let known = &mut self.offsets[at];
        if offset < known.offset {
            known.digest = 0;
        }
        known.digest = links.behind(known.digest);
        (known.offset, known.line, known.ended) = (*end, line + links.lines, false);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.input).update(&source.to_le_bytes()).update(&offset.to_le_bytes());
        hasher.update(&known.digest.to_le_bytes());
        self.input = *hasher.finalize().as_bytes();
    }

    /// Notes that the end of a file was reached.
    pub fn end(&mut self, source: u16, part: &str) {
        let known = self.offsets.iter_mut().find(|offset| offset.source == source && offset.part == part);
        known.into_iter().for_each(|offset| offset.ended = true);
    }
}

/// The lines of some bytes, each a link of the digest of their file.
///
/// That is the digest before, times an odd number, plus xxh3-128 of what follows, line by line: a file that has grown is cut
/// into other chunks than those in which it was taken in. So what links add can be told before it is known behind what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// How many line ends there are.
    pub lines: u64,
    factor: u128,
    sum: u128,
}

impl Links {
    /// Those of a chunk's bytes. Line 0 is a row group, which is always cut alike.
    pub fn of(line: u64, bytes: &[u8]) -> Links {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        let mut links = Links { lines: 0, factor: 1, sum: 0 };
        let mut link = |bytes: &[u8]| {
            links.factor = links.factor.wrapping_mul(ODD);
            links.sum = links.sum.wrapping_mul(ODD).wrapping_add(xxhash_rust::xxh3::xxh3_128(bytes));
        };
        let (mut start, mut lines) = (0, 0);
        for end in memchr::memchr_iter(b'\n', bytes).map(|at| at + 1) {
            if line > 0 {
                link(&bytes[start..end]);
            }
            (start, lines) = (end, lines + 1);
        }
        if line == 0 {
            link(bytes);
        } else if start < bytes.len() {
            link(&bytes[start..]);
        }
        links.lines = lines;
        links
    }

    /// The digest behind them.
    pub fn behind(&self, before: u128) -> u128 {
        before.wrapping_mul(self.factor).wrapping_add(self.sum)
    }
}

/// What must be known of a chunk where its bytes are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gist {
    links: Links,
    /// Where it ended.
    end: u64,
}

impl Gist {
    fn encode(&self) -> Vec<u8> {
        let Gist { links: Links { lines, factor, sum }, end } = self;
        let mut out = Vec::with_capacity(48);
        put_varint(&mut out, *end);
        put_varint(&mut out, *lines);
        out.extend_from_slice(&factor.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads it back.
    pub fn decode(bytes: &[u8]) -> Result<Gist, CodecError> {
        let mut reader = Reader::new(bytes);
        let (end, lines) = (reader.varint()?, reader.varint()?);
        let (factor, sum) = (u128::from_le_bytes(reader.array()?), u128::from_le_bytes(reader.array()?));
        reader.finish()?;
        Ok(Gist { links: Links { lines, factor, sum }, end })
    }
}

fn chain(before: u128, line: u64, bytes: &[u8]) -> u128 {
    Links::of(line, bytes).behind(before)
}

fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What follows from the bytes of a chunk alone, and so can be made before it is its turn.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub links: Links,
    pressed: Option<Pressed>,
}

impl Ahead {
    /// Makes it, on any thread.
    pub fn of(line: u64, bytes: &[u8]) -> Ahead {
        // What cannot be compressed is refused when it is to be journaled.
        Ahead { links: Links::of(line, bytes), pressed: Pressed::new(bytes).ok() }
    }

    /// Bytes that it takes.
    pub fn weight(&self) -> usize {
        self.pressed.as_ref().map_or(0, Pressed::weight)
    }
}

/// The entry of a chunk, under the digest of the delivery that it is, if it is a named one.
pub(super) fn entry(
    formats: &[Format],
    chunk: &Chunk,
    ahead: &Ahead,
    delivered: Option<u128>,
) -> Result<Packed, Fault> {
    let Chunk { source, part, offset, line, header, arrival, .. } = chunk;
    let mut encoded = Vec::new();
    header.iter().for_each(|known| known.encode(&mut encoded));
    let received = Received {
        source: *source,
        decoder: formats[usize::from(*source)].decoder_version(),
        part: part.clone(),
        offset: *offset,
        line: *line,
        arrival: *arrival,
        delivered,
        header: encoded,
        // Of a named delivery its digest says all.
        gist: match delivered {
            Some(_) => Vec::new(),
            None => Gist { links: ahead.links, end: chunk.end() }.encode(),
        },
        bytes: Raw::Dropped { len: chunk.bytes.len() as u64 },
    };
    match &ahead.pressed {
        Some(pressed) => Packed::of_pressed(&received, pressed),
        None => Packed::of_pressed(&received, &Pressed::new(&chunk.bytes)?),
    }
}

/// The events of the journal up to the next step, or up to an entry.
pub(super) struct Replaying<'a> {
    pub plan: &'a Plan,
    pub formats: &'a [Format],
    pub entries: &'a mut Peekable<Entries>,
    pub taken: &'a mut Taken,
    /// The last entry to take.
    pub until: u64,
    pub bytes_left: u64,
    /// Whether an entry was taken: it does not pause before.
    pub begun: bool,
    /// The latest arrival.
    pub recorded: &'a mut Option<i64>,
    /// Of each chunk that was given, the name of the delivery that it was, if it was one.
    pub named: &'a mut Vec<Option<Named>>,
}

impl Feed for Replaying<'_> {
    type Error = Fault;

    fn next(&mut self) -> Result<Option<Chunk>, Fault> {
        if self.begun && self.bytes_left == 0 {
            return Ok(None);
        }
        self.begun = true;
        let until = self.until;
        let events = |next: &Result<(u64, Entry), Fault>| match next {
            Ok((sequence, Entry::Events(_))) => *sequence <= until,
            Ok((_, Entry::Step { .. })) => false,
            Err(_) => true,
        };
        match self.entries.next_if(events).transpose()? {
            Some((sequence, Entry::Events(received))) => self.chunk(sequence, received).map(Some),
            _ => Ok(None),
        }
    }

    fn read(&self) -> u64 {
        0
    }
}

impl Replaying<'_> {
    fn chunk(&mut self, sequence: u64, received: Received) -> Result<Chunk, Fault> {
        let Received { source, decoder, part, offset, line, arrival, delivered, header, bytes, .. } = received;
        let arrival = if is(Bug::VerdictByClock) { Some(0) } else { arrival };
        let place = format!("entry {sequence} of the journal ({part}, byte {offset})");
        let Raw::Kept(bytes) = bytes else {
            let text = format!(
                "{place}: its event bytes were not kept, and nothing before it says so; put back the record of this directory"
            );
            return Err(Fault::Refused(text));
        };
        let (Some(known), Some(format)) =
            (self.plan.sources.get(usize::from(source)), self.formats.get(usize::from(source)))
        else {
            return Err(Fault::Refused(format!(
                "{place}: it belongs to a source that the configuration does not have"
            )));
        };
        if decoder != format.decoder_version() {
            return Err(Fault::Refused(format!(
                "{place}: it was decoded by version {decoder} of the decoder, and this program has version {}; use the \
                 program that wrote it",
                format.decoder_version()
            )));
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
        let header = match header.is_empty() {
            true => None,
            false => Some(
                Header::decode(&header, &known.schema)
                    .map_err(|error| Fault::Refused(format!("{place}: its header does not fit the source: {error}")))?,
            ),
        };
        let chunk = Chunk { source, part, offset, line, bytes, header, arrival };
        let named = delivered.map(|digest| Named { source, name: chunk.part.clone(), digest });
        match &named {
            Some(named) => self.taken.deliver(named),
            None => self.taken.add(&chunk, &Links::of(line, &chunk.bytes)),
        }
        self.named.push(named);
        *self.recorded = arrival.max(*self.recorded);
        Ok(chunk)
    }
}

/// Which of some places a feed was taken in to before, for its bytes up to there are those that were; of several the furthest.
pub fn known_in<F: Feed>(mut feed: F, known: &[Offset]) -> Option<usize> {
    let mut order: Vec<usize> = (0..known.len()).filter(|at| known[*at].offset > 0).collect();
    order.sort_by_key(|at| known[*at].offset);
    let (mut digest, mut found, mut left) = (0, None, order.into_iter().peekable());
    while left.peek().is_some()
        && let Ok(Some(chunk)) = feed.next()
    {
        let mut from = 0;
        while let Some(at) = left.next_if(|at| known[*at].offset <= chunk.end()) {
            let Some(to) = known[at].offset.checked_sub(chunk.offset).map(|to| to as usize) else { continue };
            let piece = &chunk.bytes[from..to];
            if piece.is_empty() || piece.ends_with(b"\n") || to == chunk.bytes.len() {
                (digest, from) = (chain(digest, chunk.line, piece), to);
                found = if digest == known[at].digest { Some(at) } else { found };
            }
        }
        digest = chain(digest, chunk.line, &chunk.bytes[from..]);
    }
    found
}

/// A feed that goes on where its file was left.
#[derive(Debug)]
pub struct Resumed<F> {
    feed: F,
    /// What was read beyond that place while it was looked for.
    first: Option<Chunk>,
}

impl<F: Feed> Resumed<F> {
    /// A feed from its beginning.
    pub fn from_start(feed: F) -> Self {
        Resumed { feed, first: None }
    }

    /// Passes over what was taken in before. None if the feed's beginning is not what it was: it is another file then,
    /// or was changed, and must be read from its start.
    pub fn behind(mut feed: F, known: &Offset) -> Result<Option<Self>, F::Error> {
        let mut digest = 0;
        let mut ends_line = true;
        while let Some(mut chunk) = feed.next()? {
            let (start, end) = (chunk.offset, chunk.end());
            if start >= known.offset {
                // A last line that had no end was taken for a whole one; what stands behind it now belongs to it.
                let sound = digest == known.digest && (ends_line || start > known.offset);
                return Ok(sound.then_some(Resumed { feed, first: Some(chunk) }));
            }
            if end > known.offset {
                if chunk.line == 0 {
                    return Ok(None);
                }
                let rest = chunk.bytes.split_off((known.offset - start) as usize);
                let sound = chain(digest, chunk.line, &chunk.bytes) == known.digest && chunk.bytes.ends_with(b"\n");
                let line = chunk.line + lines(&chunk.bytes);
                let first = Chunk { offset: known.offset, line, bytes: rest, ..chunk };
                return Ok(sound.then_some(Resumed { feed, first: Some(first) }));
            }
            digest = chain(digest, chunk.line, &chunk.bytes);
            ends_line = chunk.line == 0 || chunk.bytes.ends_with(b"\n");
        }
        Ok((digest == known.digest).then_some(Resumed { feed, first: None }))
    }
}

impl<F: Feed> Feed for Resumed<F> {
    type Error = F::Error;

    fn next(&mut self) -> Result<Option<Chunk>, F::Error> {
        match self.first.take() {
            Some(chunk) => Ok(Some(chunk)),
            None => self.feed.next(),
        }
    }

    fn read(&self) -> u64 {
        self.feed.read()
    }
}
