//! What the journal keeps: event bytes as received, and every other input with what came of it.

use crate::fault::Fault;
use crate::record::KeepRaw;
use slackwater_core::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use slackwater_core::input::Tick;
use std::cell::RefCell;
use std::io::Read as _;
use std::sync::Arc;
use zstd::zstd_safe::{DCtx, ResetDirective};

/// Most bytes of events, or of a step's input and outcome together, in one entry.
pub const MOST_BYTES: usize = 256 << 20;
/// Zstandard level for what is written while events wait for it.
const FAST: i32 = 1;
/// Windows above 8 MiB are never written, so none is made room for.
const WINDOW_LOG: u32 = 23;
/// Event bytes of an entry from which on they stay in the record as they were compressed for the journal: so many are
/// compressed well on their own, and fewer are together with others.
const ALONE: u64 = 32 << 10;

thread_local! {
    /// What compressing and decompressing need, made once for each thread: making it takes as long as some ten thousand
    /// bytes.
    static PACKER: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// One input of the instance, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Event bytes as received: whole records of one file or partition.
    Events(Received),
    /// An input of the core other than events.
    Step {
        /// Its canonical encoding.
        input: Vec<u8>,
        /// What came of it, for recovery to compare with what it computes again.
        outcome: Vec<u8>,
    },
}

/// Event bytes as received, and where they stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Index of the source in the plan.
    pub source: u16,
    /// Version of the decoder.
    pub decoder: u32,
    /// Name of the file or partition.
    pub part: Arc<str>,
    /// Offset of the first byte in it, after decompression.
    pub offset: u64,
    /// Line on which they begin.
    pub line: u64,
    /// When they were first seen, if that is recorded, in nanoseconds since the epoch.
    pub arrival: Option<i64>,
    /// Of a delivery that may be sent again, the xxh3-128 of its bytes as they were sent; `part` is its name.
    pub delivered: Option<u128>,
    /// What the decoder must know besides the bytes.
    pub header: Vec<u8>,
    /// What the owner must know of the bytes where they are left out.
    pub gist: Vec<u8>,
    /// The bytes themselves.
    pub bytes: Raw,
}

/// Event bytes, or the fact that they are not kept any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// The bytes.
    Kept(Vec<u8>),
    /// They were left out of the record, as the source's `keep_raw` asks.
    Dropped {
        /// How many there were.
        len: u64,
    },
}

/// Where an encoding stands: in the journal event bytes are compressed on their own, in the record few of them are
/// compressed together with others, and all may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Journal,
    Record,
}

/// Kinds of entries; neither is zero, nor becomes zero by one flipped bit.
pub(crate) const EVENTS: u8 = 0xe5;
pub(crate) const STEP: u8 = 0x5a;
/// In the record only: an entry that was damaged in the journal when it became record. It has no bytes.
pub(crate) const LOST: u8 = 0x3c;

const DROPPED: u8 = 0;
const PLAIN: u8 = 1;
const ZSTD: u8 = 2;

impl Entry {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Entry::Events(_) => EVENTS,
            Entry::Step { .. } => STEP,
        }
    }

    /// The entry as the record keeps it where event bytes are left out.
    pub(crate) fn without_bytes(self) -> Entry {
        match self {
            Entry::Events(Received {
                bytes: Raw::Kept(bytes),
                source,
                decoder,
                part,
                offset,
                line,
                arrival,
                delivered,
                header,
                gist,
            }) => {
                let bytes = Raw::Dropped { len: bytes.len() as u64 };
                Entry::Events(Received { source, decoder, part, offset, line, arrival, delivered, header, gist, bytes })
            }
            other => other,
        }
    }

    /// Appends the encoding for the journal, without the kind.
    ///
    /// # Errors
    /// What is too long, or was dropped.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Entry::Events(received) => received.encode(out),
            Entry::Step { input, outcome } => {
                within(input.len() + outcome.len())?;
                put_bytes(out, input);
                put_bytes(out, outcome);
                Ok(())
            }
        }
    }

    /// Reads the encoding of an entry of a kind; nothing may follow it.
    pub(crate) fn decode(kind: u8, form: Form, bytes: &[u8]) -> Result<Entry, CodecError> {
        let mut reader = Reader::new(bytes);
        let entry = match kind {
            EVENTS => Entry::Events(Received::decode(form, &mut reader)?),
            STEP => Entry::Step { input: reader.bytes()?.to_vec(), outcome: reader.bytes()?.to_vec() },
            _ => return reader.fail("a known kind of entry"),
        };
        reader.finish()?;
        Ok(entry)
    }
}

impl Received {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match &self.bytes {
            Raw::Kept(bytes) => self.encode_with(&Pressed::new(bytes)?, out),
            Raw::Dropped { .. } => {
                Err(Fault::Refused("event bytes that were dropped cannot be journaled again".to_string()))
            }
        }
    }

    fn encode_with(&self, pressed: &Pressed, out: &mut Vec<u8>) -> Result<(), Fault> {
        within(pressed.len + self.part.len() + self.header.len() + self.gist.len())?;
        put_varint(out, self.source.into());
        put_varint(out, self.decoder.into());
        put_bytes(out, self.part.as_bytes());
        put_varint(out, self.offset);
        put_varint(out, self.line);
        put_option(out, self.arrival);
        out.push(u8::from(self.delivered.is_some()));
        self.delivered.iter().for_each(|digest| out.extend_from_slice(&digest.to_le_bytes()));
        put_bytes(out, &self.header);
        put_bytes(out, &self.gist);
        out.push(ZSTD);
        put_varint(out, pressed.len as u64);
        out.extend_from_slice(&pressed.packed);
        Ok(())
    }

    /// What stands before the event bytes; those are yet to be read.
    fn decode_head(reader: &mut Reader<'_>) -> Result<Received, CodecError> {
        let source = reader.number()?;
        let decoder = reader.number()?;
        let part = Arc::from(reader.text()?);
        let (offset, line, arrival) = (reader.varint()?, reader.varint()?, reader.option()?);
        let delivered = if reader.flag()? { Some(u128::from_le_bytes(reader.array()?)) } else { None };
        let (header, gist) = (reader.bytes()?.to_vec(), reader.bytes()?.to_vec());
        let bytes = Raw::Dropped { len: 0 };
        Ok(Received { source, decoder, part, offset, line, arrival, delivered, header, gist, bytes })
    }

    fn decode(form: Form, reader: &mut Reader<'_>) -> Result<Received, CodecError> {
        let head = Received::decode_head(reader)?;
        let how = reader.byte()?;
        let len = reader.varint()?;
        let bytes = match (how, form) {
            (DROPPED, Form::Record) => Raw::Dropped { len },
            (PLAIN, Form::Record) if reader.rest().len() as u64 == len => Raw::Kept(reader.rest().to_vec()),
            (ZSTD, _) => match inflate(reader.rest(), len) {
                Some(bytes) => Raw::Kept(bytes),
                None => return reader.fail("compressed bytes of the stated length"),
            },
            _ => return reader.fail("event bytes in a form that belongs here"),
        };
        reader.skip(reader.rest().len())?;
        Ok(Received { bytes, ..head })
    }
}

/// The encoding for the record of an entry that the journal has, and the length of its event bytes, if it has any.
///
/// # Errors
/// Bytes that are no encoding of an entry.
pub(crate) fn for_record(kind: u8, journaled: Vec<u8>, keep: KeepRaw) -> Result<(Vec<u8>, u64), CodecError> {
    if kind != EVENTS {
        return Ok((journaled, 0));
    }
    let mut reader = Reader::new(&journaled);
    Received::decode_head(&mut reader)?;
    let place = reader.position();
    if reader.byte()? != ZSTD {
        return reader.fail("event bytes as the journal has them");
    }
    let len = reader.varint()?;
    let bytes = match keep {
        KeepRaw::Forever if len >= ALONE => return Ok((journaled, len)),
        KeepRaw::Forever => match inflate(reader.rest(), len) {
            Some(bytes) => bytes,
            None => return reader.fail("compressed bytes of the stated length"),
        },
        KeepRaw::None => Vec::new(),
    };
    let mut out = journaled[..place].to_vec();
    out.push(if keep == KeepRaw::None { DROPPED } else { PLAIN });
    put_varint(&mut out, len);
    out.extend_from_slice(&bytes);
    Ok((out, len))
}

/// What the record keeps of an entry that it has when event bytes are left out.
///
/// # Errors
/// Bytes that are no encoding of an entry.
pub(crate) fn reduced(kind: u8, kept: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    if kind != EVENTS {
        return Ok(kept);
    }
    let mut reader = Reader::new(&kept);
    Received::decode_head(&mut reader)?;
    let place = reader.position();
    reader.byte()?;
    let len = reader.varint()?;
    let mut out = kept[..place].to_vec();
    out.push(DROPPED);
    put_varint(&mut out, len);
    Ok(out)
}

/// The latest time that an entry of the record tells: when its events were first seen, or the time of a tick.
///
/// # Errors
/// Bytes that are no encoding of an entry.
pub(crate) fn time_of(kind: u8, kept: &[u8]) -> Result<Option<i64>, CodecError> {
    let mut reader = Reader::new(kept);
    match kind {
        EVENTS => Ok(Received::decode_head(&mut reader)?.arrival),
        LOST => Ok(None),
        _ => Tick::time_in(reader.bytes()?),
    }
}

fn within(len: usize) -> Result<(), Fault> {
    if len <= MOST_BYTES {
        return Ok(());
    }
    Err(Fault::Refused(format!(
        "an entry of {len} bytes is longer than the {MOST_BYTES} that the journal takes at once"
    )))
}

/// Compresses at a level.
pub(crate) fn deflate(bytes: &[u8], level: i32) -> Result<Vec<u8>, Fault> {
    let packed = PACKER.with_borrow_mut(|packer| {
        let packer = match packer {
            Some(packer) => packer,
            None => packer.insert(zstd::bulk::Compressor::new(level)?),
        };
        packer.set_compression_level(level)?;
        packer.compress(bytes)
    });
    packed.map_err(|cause| Fault::Refused(format!("cannot compress: {cause}")))
}

/// Decompresses exactly one frame of exactly `len` bytes. Room is made as bytes come, whatever length is stated.
pub(crate) fn inflate(packed: &[u8], len: u64) -> Option<Vec<u8>> {
    let stated = usize::try_from(len).ok()?;
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = unpacker.get_or_insert_with(DCtx::create);
        // What an earlier frame left behind that was no frame.
        unpacker.reset(ResetDirective::SessionAndParameters).ok()?;
        let mut decoder = zstd::stream::read::Decoder::with_context(packed, unpacker).single_frame();
        decoder.window_log_max(WINDOW_LOG).ok()?;
        let mut bytes = Vec::with_capacity(stated.min(packed.len().saturating_mul(8)));
        decoder.by_ref().take(len.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        (bytes.len() == stated && decoder.finish().is_empty()).then_some(bytes)
    })
}

/// Event bytes that are compressed already, before it is known where they will stand.
#[derive(Clone, Debug)]
pub struct Pressed {
    /// How many there were.
    len: usize,
    packed: Vec<u8>,
}

impl Pressed {
    /// Compresses event bytes, on any thread.
    ///
    /// # Errors
    /// More than [`MOST_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Pressed, Fault> {
        within(bytes.len())?;
        Ok(Pressed { len: bytes.len(), packed: deflate(bytes, FAST)? })
    }

    /// Bytes that it takes.
    pub fn weight(&self) -> usize {
        self.packed.capacity()
    }
}

/// An entry that is encoded and compressed already, so that the journal's writer has only to write.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

impl Packed {
    /// Encodes and compresses an entry, on any thread.
    ///
    /// # Errors
    /// An entry of more than [`MOST_BYTES`], or one whose bytes were dropped.
    pub fn new(entry: &Entry) -> Result<Packed, Fault> {
        let mut plain = Vec::new();
        entry.encode(&mut plain)?;
        Ok(Packed { kind: entry.kind(), body: crate::journal::stuff(plain) })
    }

    /// The entry of events whose bytes, whatever `received` has of them, are these.
    ///
    /// # Errors
    /// An entry of more than [`MOST_BYTES`].
    pub fn of_pressed(received: &Received, pressed: &Pressed) -> Result<Packed, Fault> {
        let mut plain = Vec::with_capacity(pressed.packed.len() + received.header.len() + received.part.len() + 64);
        received.encode_with(pressed, &mut plain)?;
        Ok(Packed { kind: EVENTS, body: crate::journal::stuff(plain) })
    }

    /// Bytes that it takes on the disk, about.
    pub fn weight(&self) -> usize {
        self.body.len()
    }
}
