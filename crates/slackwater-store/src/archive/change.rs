//! Changes of facts: a content that was added or taken away at a tick, many in one buffer.

use slackwater_core::codec::{put_bytes, put_option, put_varint};
use slackwater_core::input::Position;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A content that was added to the facts or taken from them.
///
/// What takes a content away has the part and the position of what added it: where they are the identity, the two would
/// not be known for the same otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Index of its source.
    pub source: u16,
    /// The tick at which it became visible.
    pub tick: u64,
    /// Whether it was added; else it was taken away.
    pub plus: bool,
    /// Rank of the event among those of its identity.
    pub version: u64,
    /// Version of the decoder that made the content.
    pub decoder: u32,
    /// When the event was first seen, in nanoseconds since the epoch, if that is recorded.
    pub arrival: Option<i64>,
    /// File or partition in which the event stood.
    pub part: &'a str,
    /// Where it stood there.
    pub position: Position,
    /// The content, as the source's schema lays it out.
    pub content: &'a [u8],
}

impl Change<'_> {
    /// Appends what the digest of rows is made over.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.tick);
        out.push(u8::from(self.plus));
        put_varint(out, self.version);
        put_varint(out, self.decoder.into());
        put_option(out, self.arrival);
        put_bytes(out, self.part.as_bytes());
        put_varint(out, self.position.offset);
        put_varint(out, self.position.line);
        put_bytes(out, self.content);
    }
}

#[derive(Clone, Debug)]
struct Row {
    source: u16,
    plus: bool,
    decoder: u32,
    part: u32,
    tick: u64,
    version: u64,
    arrival: Option<i64>,
    position: Position,
    start: usize,
    length: u32,
}

/// Changes, with their contents one behind the other in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    rows: Vec<Row>,
    bytes: Vec<u8>,
    parts: Vec<Arc<str>>,
    by_name: BTreeMap<Arc<str>, u32>,
}

impl Changes {
    /// None yet.
    pub fn new() -> Changes {
        Changes::default()
    }

    /// Adds one.
    pub fn push(&mut self, change: &Change<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(change.content);
        self.push_put(change, start);
    }

    /// Adds one whose content was just appended to [`Changes::room`], where that ended at `start`.
    pub(super) fn push_put(&mut self, change: &Change<'_>, start: usize) {
        let Change { source, tick, plus, version, decoder, arrival, part, position, .. } = *change;
        let part = self.part(part);
        let length = (self.bytes.len() - start) as u32;
        self.rows.push(Row { source, plus, decoder, part, tick, version, arrival, position, start, length });
    }

    /// Where a content is put before it is pushed.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn part(&mut self, name: &str) -> u32 {
        if let Some(last) = self.rows.last()
            && &*self.parts[last.part as usize] == name
        {
            return last.part;
        }
        if let Some(part) = self.by_name.get(name) {
            return *part;
        }
        let (name, part) = (Arc::<str>::from(name), self.parts.len() as u32);
        self.parts.push(name.clone());
        self.by_name.insert(name, part);
        part
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all away and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        self.parts.clear();
        self.by_name.clear();
    }

    /// The change at a place.
    #[inline]
    pub fn get(&self, at: usize) -> Change<'_> {
        let row = &self.rows[at];
        Change {
            source: row.source,
            tick: row.tick,
            plus: row.plus,
            version: row.version,
            decoder: row.decoder,
            arrival: row.arrival,
            part: &self.parts[row.part as usize],
            position: row.position,
            content: self.content(row),
        }
    }

    #[inline]
    fn content(&self, row: &Row) -> &[u8] {
        &self.bytes[row.start..row.start + row.length as usize]
    }

    /// Brings the changes at these places near, all at once, before they are gone through one by one.
    pub(super) fn touch(&self, places: &[u32]) {
        let rows = places.iter().map(|place| &self.rows[*place as usize]);
        let starts: usize = rows.clone().map(|row| row.start).fold(0, usize::wrapping_add);
        let firsts: usize = rows.map(|row| self.content(row).first().map_or(0, |byte| usize::from(*byte))).sum();
        std::hint::black_box(starts ^ firsts);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// A change with a content of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedChange {
    /// Index of its source.
    pub source: u16,
    /// The tick at which it became visible.
    pub tick: u64,
    /// Rank of the event among those of its identity.
    pub version: u64,
    /// Version of the decoder that made the content.
    pub decoder: u32,
    /// When the event was first seen, in nanoseconds since the epoch, if that is recorded.
    pub arrival: Option<i64>,
    /// File or partition in which the event stood.
    pub part: Arc<str>,
    /// Where it stood there.
    pub position: Position,
    /// The content.
    pub content: Vec<u8>,
}

impl From<Change<'_>> for OwnedChange {
    fn from(change: Change<'_>) -> OwnedChange {
        let Change { source, tick, version, decoder, arrival, part, position, content, .. } = change;
        OwnedChange { source, tick, version, decoder, arrival, part: part.into(), position, content: content.to_vec() }
    }
}
