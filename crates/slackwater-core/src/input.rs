//! What the core takes in: batches of decoded events, ticks and decisions, each with one canonical encoding.
//!
//! Everything that can influence a result is an input. A journal keeps these bytes, live traffic makes them, replay
//! reads them back; the core cannot tell which.

use crate::builder::{Finished, RowBuilder};
use crate::codec::{CodecError, Reader, put_bytes, put_option, put_signed, put_varint};
use crate::columns::Columns;
use crate::cutoff::Cutoff;
use crate::hold::Release;
use crate::judge::vet;
use crate::plan::{Guards, Knobs};
use crate::poison::{Reason, Refusal};
use crate::quarantine::{Discard, Retrial};
use crate::row::{IdentityBytes, Op, Row};
use crate::schema::Schema;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// One input of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Events of one source, decoded or refused, in the order in which they were read.
    Events(Batch),
    /// The recorded pulse.
    Tick(Tick),
    /// Something that was decided, and so must be decided the same way again.
    Decision(Decision),
    /// What is told of events for the day when their bytes are gone. It moves nothing.
    Told(Vec<u8>),
}

/// The recorded pulse: watermarks move, windows seal and generations are cut only here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Recorded time of the tick, nanoseconds since the epoch.
    pub at: i64,
    /// The sources whose readers had taken in all that was there, by index, in order: what is silent now is not only
    /// unread.
    pub caught_up: Vec<u16>,
}

impl Tick {
    /// A tick at which no reader is known to have caught up.
    pub fn at(at: i64) -> Tick {
        Tick { at, caught_up: Vec::new() }
    }
}

/// What was decided outside the core and recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// No input will follow: the next tick seals every existing row, whatever its rule.
    EndOfInput,
    /// From the next tick on, the watermark of this source follows these knobs.
    Knobs(u16, Knobs),
    /// This source takes nothing more in, for one of its events was refused.
    Halt(u16),
    /// This source takes events in again.
    Resume(u16),
    /// The next tick lets in what is held.
    Release(Release),
    /// From here on the events of this source are judged under these guards.
    Guards(u16, Arc<Guards>),
    /// Events of this source that were refused are judged again. What they are decoded to is a batch whose events stood in
    /// quarantine.
    Retrial(u16, Retrial),
    /// Events of this source that are in quarantine stay there for good.
    Discard(u16, Discard),
    /// From here on this source is cut off there. It stands right behind a tick.
    Cutoff(u16, Cutoff),
}

/// Where an event stood: byte offset and line in its file or partition. Lines count from 1; 0 where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Offset of its first byte, after decompression.
    pub offset: u64,
    /// Line on which it begins.
    pub line: u64,
}

/// What became of one event in decoding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded {
    /// A row.
    Row(Head),
    /// Refused; the entry's bytes are the raw event.
    Refused(Refusal),
}

/// What the judge reads of a row. All of it follows from the content, the schema and the position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// Content or retraction.
    pub op: Op,
    /// Rank among events of one identity.
    pub version: u64,
    /// Event time in nanoseconds since the epoch.
    pub time: i64,
    /// Hash of (source, origin, id): spreads identities over shards and tables, and proves nothing.
    pub identity: u64,
}

/// One event of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it stood.
    pub position: Position,
    /// When it was first seen, if that is recorded, in nanoseconds since the epoch.
    pub arrival: Option<i64>,
    /// The origin's own number for it, if it has one.
    pub sequence: Option<u64>,
    /// Its row or its refusal.
    pub decoded: Decoded,
    start: u32,
    end: u32,
}

/// An event of a batch that is a row, with what is read of it more than once.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Where it stood, and when it came.
    pub entry: &'a Entry,
    /// What the judge reads of it.
    pub head: &'a Head,
    /// Its content.
    pub row: Row<'a>,
    /// Its origin's bytes, as [`Row::origin`] has them.
    pub origin: &'a [u8],
}

impl<'a> Event<'a> {
    /// The event of an entry of a batch, whose row has this head.
    #[inline]
    pub fn new(schema: &'a Schema, batch: &'a Batch, entry: &'a Entry, head: &'a Head) -> Self {
        let row = Row::new(schema, batch.bytes(entry));
        Event { entry, head, row, origin: row.origin() }
    }
}

/// Events of one source and one file or partition, decoded by one version of its decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Index of the source in the plan.
    pub source: u16,
    /// Version of the decoder; a higher one outranks a lower one.
    pub decoder: u32,
    /// Name of the file or partition.
    pub part: Arc<str>,
    /// When it was taken in, if that is recorded, in nanoseconds since the epoch. What an event says of its own arrival may be
    /// earlier: then somebody else saw it first.
    pub heard: Option<i64>,
    /// What the decoder knew besides the bytes of the events; nothing where it needs nothing.
    pub header: Arc<[u8]>,
    /// What the source demanded of them.
    pub guards: Arc<Guards>,
    /// Where they stood in quarantine until now, the reason of each; else nothing.
    pub stood: Vec<Refusal>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    pub fn new(source: u16, decoder: u32, part: Arc<str>) -> Self {
        Batch::with_capacity(source, decoder, part, 0, 0)
    }

    /// An empty batch with room for `events` events in `bytes` bytes of content.
    pub fn with_capacity(source: u16, decoder: u32, part: Arc<str>, events: usize, bytes: usize) -> Self {
        let (entries, bytes) = (Vec::with_capacity(events), Vec::with_capacity(bytes));
        let (header, guards, stood) = (Arc::default(), Arc::default(), Vec::new());
        Batch { source, decoder, part, heard: None, header, guards, stood, entries, bytes }
    }

    /// The events, in the order in which they were read.
    #[inline]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of an entry's row, or the raw bytes of a refused one.
    #[inline]
    pub fn bytes(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize..entry.end as usize]
    }

    /// An entry's range in the batch's bytes, for [`Batch::span`].
    #[inline]
    pub fn range(&self, entry: &Entry) -> Range<u32> {
        entry.start..entry.end
    }

    /// The bytes of a range that [`Batch::range`] gave.
    #[inline]
    pub fn span(&self, range: Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// Bytes that the batch holds in memory, about: for queues that are bounded in bytes.
    pub fn weight(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Bytes of all contents and refused events.
    #[inline]
    pub fn content_len(&self) -> usize {
        self.bytes.len()
    }

    /// Ends the event that `builder` holds: a row, or, with its raw bytes, its refusal.
    #[inline]
    pub fn push(&mut self, builder: &mut RowBuilder<'_>, position: Position, raw: &[u8]) {
        if let Err(refusal) = self.try_push(builder, position) {
            self.push_refused(position, refusal, builder.stamped(), raw);
        }
    }

    /// Ends the event that `builder` holds. What the source demands of its events is asked here, where their bytes are
    /// at hand.
    ///
    /// # Errors
    /// Why the event is refused; nothing was added then, and [`Batch::push_refused`] must follow.
    #[inline]
    pub fn try_push(&mut self, builder: &mut RowBuilder<'_>, position: Position) -> Result<(), Refusal> {
        let start = self.bytes.len();
        let source = builder.source();
        let finished = builder.finish(&mut self.bytes)?;
        if builder.asks() {
            let row = Row::new(&source.schema, &self.bytes[start..]);
            if let Err(refusal) = vet(source, builder.guards(), row, finished.op, finished.arrival) {
                self.bytes.truncate(start);
                return Err(refusal);
            }
        }
        let place = start..self.bytes.len();
        self.push_row(&source.schema, &mut builder.ids, place, position, finished);
        Ok(())
    }

    /// Adds the events of some rows, as [`Batch::push`] would one by one; the first stands at `position`, each other one
    /// behind the one before.
    pub fn push_columns(
        &mut self,
        builder: &mut RowBuilder<'_>,
        columns: &Columns<'_>,
        rows: Range<usize>,
        position: Position,
    ) {
        let (schema, finished) = (&builder.source().schema, Finished::of(builder.stamped()));
        assert_eq!(columns.fields(), schema.fields().len(), "every field has its values");
        self.entries.reserve(rows.len());
        self.bytes.reserve(rows.clone().map(|row| columns.content_len(row)).sum());
        for (offset, row) in (position.offset..).zip(rows) {
            let start = self.bytes.len();
            columns.append(row, &mut self.bytes);
            let place = start..self.bytes.len();
            self.push_row(schema, &mut builder.ids, place, Position { offset, ..position }, finished);
        }
    }

    /// Adds the event whose content stands there in the batch's bytes.
    #[inline]
    fn push_row(
        &mut self,
        schema: &Schema,
        ids: &mut IdentityBytes,
        place: Range<usize>,
        position: Position,
        finished: Finished,
    ) {
        let row = Row::new(schema, &self.bytes[place.clone()]);
        let Finished { op, arrival, sequence } = finished;
        let time = if op == Op::Retract { 0 } else { row.event_time() };
        let identity = ids.hash(row, self.source, (&self.part, position.offset));
        let head = Head { op, version: row.version(), time, identity };
        let (start, end) = (place.start as u32, within(place.end));
        self.entries.push(Entry { position, arrival, sequence, decoded: Decoded::Row(head), start, end });
    }

    /// Adds an event by the content of its row, as it was once made.
    ///
    /// # Panics
    /// When the bytes are not the content of a row of the schema, which [`Row::check`] tells.
    pub fn push_content(&mut self, schema: &Schema, content: &[u8], position: Position, arrival: Option<i64>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(content);
        let op = Row::new(schema, content).op().expect("the content of a row");
        let finished = Finished { op, arrival, sequence: None };
        let place = start..self.bytes.len();
        self.push_row(schema, &mut IdentityBytes::default(), place, position, finished);
    }

    /// Where the bytes end.
    fn end(&self) -> u32 {
        within(self.bytes.len())
    }

    /// Adds an event that is refused, with its raw bytes, and when it was first seen here.
    pub fn push_refused(&mut self, position: Position, refusal: Refusal, arrival: Option<i64>, raw: &[u8]) {
        let start = self.end();
        self.bytes.extend_from_slice(raw);
        let end = self.end();
        let decoded = Decoded::Refused(refusal);
        self.entries.push(Entry { position, arrival, sequence: None, decoded, start, end });
    }

    /// The guard that a refusal is about, as it was written.
    pub fn guard_of(&self, refusal: Refusal) -> Option<&str> {
        let index = refusal.field.filter(|_| refusal.reason == Reason::Require)?;
        self.guards.require.get(usize::from(index)).map(|guard| &*guard.text)
    }

    /// The events of `range`, as a batch of their own.
    pub fn slice(&self, range: Range<usize>) -> Batch {
        let mut part = Batch { heard: self.heard, ..Batch::new(self.source, self.decoder, self.part.clone()) };
        (part.header, part.guards) = (self.header.clone(), self.guards.clone());
        part.stood = self.stood.get(range.clone()).unwrap_or_default().to_vec();
        for entry in &self.entries[range] {
            part.push_from(self, entry);
        }
        part
    }

    /// Adds another batch's event. Both must be of one source, decoder and part.
    pub fn push_from(&mut self, other: &Batch, entry: &Entry) {
        assert!(
            (self.source, self.decoder, &self.part, self.heard)
                == (other.source, other.decoder, &other.part, other.heard),
            "events of two files, decoders or moments do not share a batch"
        );
        let start = self.end();
        self.bytes.extend_from_slice(other.bytes(entry));
        self.entries.push(Entry { start, end: self.end(), ..entry.clone() });
    }
}

/// A place in a batch's bytes. It is a piece of a file of a few hundred KiB, so 32 bits hold it by far.
#[inline]
fn within(place: usize) -> u32 {
    u32::try_from(place).expect("a batch holds less than 4 GiB")
}

impl Input {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Input::Events(batch) => {
                out.push(1);
                batch.encode(out);
            }
            Input::Tick(Tick { at, caught_up }) => {
                out.push(2);
                put_signed(out, *at);
                put_varint(out, caught_up.len() as u64);
                caught_up.iter().for_each(|source| put_varint(out, (*source).into()));
            }
            Input::Decision(decision) => {
                out.push(3);
                decision.encode(out);
            }
            Input::Told(bytes) => {
                out.push(4);
                put_bytes(out, bytes);
            }
        }
    }

    /// Reads one input back; `schemas` are the plan's, by source index. Nothing may follow it.
    pub fn decode(bytes: &[u8], schemas: &[&Schema]) -> Result<Input, CodecError> {
        let mut reader = Reader::new(bytes);
        let input = match reader.byte()? {
            1 => Input::Events(Batch::decode(&mut reader, schemas)?),
            2 => Input::Tick(Tick::decode(&mut reader, schemas.len())?),
            3 => Input::Decision(Decision::decode(&mut reader, schemas)?),
            4 => Input::Told(reader.bytes()?.to_vec()),
            _ => return reader.fail("a known input"),
        };
        reader.finish()?;
        Ok(input)
    }
}

impl Decision {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, source) = match self {
            Decision::EndOfInput => return out.push(1),
            Decision::Knobs(source, _) => (2, source),
            Decision::Halt(source) => (3, source),
            Decision::Resume(source) => (4, source),
            Decision::Release(release) => (5, &release.source),
            Decision::Guards(source, _) => (6, source),
            Decision::Retrial(source, _) => (7, source),
            Decision::Discard(source, _) => (8, source),
            Decision::Cutoff(source, _) => (9, source),
        };
        out.push(kind);
        put_varint(out, (*source).into());
        match self {
            Decision::Knobs(_, knobs) => knobs.encode(out),
            Decision::Release(release) => release.encode(out),
            Decision::Guards(_, guards) => guards.encode(out),
            Decision::Retrial(_, retrial) => retrial.encode(out),
            Decision::Discard(_, discard) => discard.encode(out),
            Decision::Cutoff(_, cutoff) => cutoff.encode(out),
            Decision::EndOfInput | Decision::Halt(_) | Decision::Resume(_) => {}
        }
    }

    fn decode(reader: &mut Reader<'_>, schemas: &[&Schema]) -> Result<Decision, CodecError> {
        let kind = reader.byte()?;
        if kind == 1 {
            return Ok(Decision::EndOfInput);
        }
        let source: u16 = reader.number()?;
        let Some(schema) = schemas.get(usize::from(source)) else { return reader.fail("a source of the plan") };
        match kind {
            2 => Ok(Decision::Knobs(source, Knobs::decode(reader)?)),
            3 => Ok(Decision::Halt(source)),
            4 => Ok(Decision::Resume(source)),
            5 => Ok(Decision::Release(Release::decode(reader, source)?)),
            6 => Ok(Decision::Guards(source, Arc::new(Guards::decode(reader, schema)?))),
            7 => Ok(Decision::Retrial(source, Retrial::decode(reader, source)?)),
            8 => Ok(Decision::Discard(source, Discard::decode(reader)?)),
            9 => Ok(Decision::Cutoff(source, Cutoff::decode(reader)?)),
            _ => reader.fail("a known decision"),
        }
    }
}

impl Tick {
    /// The time of the tick that an encoded input is, if it is one.
    ///
    /// # Errors
    /// Bytes that are no input.
    pub fn time_in(input: &[u8]) -> Result<Option<i64>, CodecError> {
        let mut reader = Reader::new(input);
        if reader.byte()? == 2 { reader.signed().map(Some) } else { Ok(None) }
    }

    fn decode(reader: &mut Reader<'_>, sources: usize) -> Result<Tick, CodecError> {
        let mut tick = Tick::at(reader.signed()?);
        for _ in 0..reader.varint()? {
            let source: u16 = reader.number()?;
            if usize::from(source) >= sources || tick.caught_up.last().is_some_and(|last| *last >= source) {
                return reader.fail("sources of the plan, in order");
            }
            tick.caught_up.push(source);
        }
        Ok(tick)
    }
}

impl Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.source));
        put_varint(out, u64::from(self.decoder));
        put_bytes(out, self.part.as_bytes());
        put_option(out, self.heard);
        put_bytes(out, &self.header);
        self.guards.encode(out);
        put_varint(out, self.entries.len() as u64);
        out.push(u8::from(!self.stood.is_empty()));
        self.stood.iter().for_each(|refusal| refusal.encode(out));
        for entry in &self.entries {
            put_varint(out, entry.position.offset);
            put_varint(out, entry.position.line);
            put_option(out, entry.arrival);
            // As a rank, so that the whole of u64 has an encoding.
            put_option(out, entry.sequence.map(|s| s as i64));
            match &entry.decoded {
                Decoded::Row(head) => out.push(head.op as u8),
                Decoded::Refused(refusal) => {
                    out.push(2);
                    refusal.encode(out);
                }
            }
            put_bytes(out, self.bytes(entry));
        }
    }

    fn decode(reader: &mut Reader<'_>, schemas: &[&Schema]) -> Result<Batch, CodecError> {
        let source = reader.number::<u16>()?;
        let Some(schema) = schemas.get(usize::from(source)) else { return reader.fail("a source of the plan") };
        let decoder = reader.number::<u32>()?;
        let part = Arc::from(String::from(reader.text()?));
        let mut batch = Batch { heard: reader.option()?, ..Batch::new(source, decoder, part) };
        batch.header = reader.bytes()?.into();
        batch.guards = Arc::new(Guards::decode(reader, schema)?);
        let mut ids = IdentityBytes::default();
        let count = reader.varint()?;
        if reader.flag()? {
            for _ in 0..count {
                batch.stood.push(Refusal::decode(reader)?);
            }
        }
        for _ in 0..count {
            batch.decode_entry(reader, schema, &mut ids)?;
        }
        Ok(batch)
    }

    fn decode_entry(
        &mut self,
        reader: &mut Reader<'_>,
        schema: &Schema,
        ids: &mut IdentityBytes,
    ) -> Result<(), CodecError> {
        let position = Position { offset: reader.varint()?, line: reader.varint()? };
        let arrival = reader.option()?;
        let sequence = reader.option()?.map(|s| s as u64);
        let op = match reader.byte()? {
            0 => Op::Assert,
            1 => Op::Retract,
            2 => {
                let refusal = Refusal::decode(reader)?;
                let raw = reader.bytes()?;
                self.push_refused(position, refusal, arrival, raw);
                self.entries.last_mut().expect("just pushed").sequence = sequence;
                return Ok(());
            }
            _ => return reader.fail("a row or a refusal"),
        };
        let content = reader.bytes()?;
        if !Row::check(schema, content) || Row::new(schema, content).op() != Some(op) {
            return reader.fail("content of the source's schema");
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(content);
        let place = start..self.bytes.len();
        self.push_row(schema, ids, place, position, Finished { op, arrival, sequence });
        Ok(())
    }
}
