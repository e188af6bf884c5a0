//! A file, or standard input, as chunks of whole records.

use super::Packing;
use super::input::InputError;
use crate::decode::csv::{self, HeaderError};
use crate::decode::{Chunk, Format, Header, frame};
use flate2::bufread::MultiGzDecoder;
use slackwater_core::limits;
use slackwater_core::schema::Schema;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a chunk has, about: enough to keep a decoder busy, few enough to stay in its cache.
const CHUNK_BYTES: usize = 1 << 17;
/// Compressed bytes read at a time.
const PACKED_BYTES: usize = 1 << 16;

/// Bytes cut into chunks of whole records.
pub(super) struct Records {
    source: u16,
    format: Format,
    part: Arc<str>,
    packing: Packing,
    content: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
    total: Option<u64>,
    chunk_bytes: usize,
    header: Option<Header>,
    /// Bytes read and not given out; they begin at a record's border, at `offset` and `line`.
    pending: Vec<u8>,
    offset: u64,
    line: u64,
    ended: bool,
}

impl Records {
    /// Reads records of a format from bytes of `total` length on disk, if that is known, under a name.
    ///
    /// # Errors
    /// When the beginning cannot be read, or the columns of a CSV file cannot hold the events of `schema`.
    pub fn new(
        (source, format): (u16, Format),
        name: &str,
        schema: &Schema,
        (packing, total): (Packing, Option<u64>),
        raw: impl Read + Send + 'static,
        chunk_bytes: Option<usize>,
    ) -> Result<Self, InputError> {
        let read = Arc::new(AtomicU64::new(0));
        let content = unpack(packing, Box::new(raw), &read).map_err(|cause| InputError::Read {
            path: name.to_string(),
            offset: 0,
            cause,
        })?;
        let mut records = Records {
            source,
            format,
            part: Arc::from(name),
            packing,
            content,
            read,
            total,
            chunk_bytes: chunk_bytes.unwrap_or(CHUNK_BYTES).max(1),
            header: None,
            pending: Vec::new(),
            offset: 0,
            line: 1,
            ended: false,
        };
        records.begin(schema)?;
        Ok(records)
    }

    /// Bytes of the file read so far, as they lie on disk.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the file on disk; unknown for a stream.
    pub fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    /// The next chunk; none at the end.
    ///
    /// Of a record that fills the buffer without an end, the chunk holds one byte more than an event may have: the
    /// decoder refuses it, and the rest up to the next line end is passed over.
    ///
    /// # Errors
    /// When reading or unpacking fails. What was given out before stands.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, InputError> {
        self.fill(self.chunk_bytes)?;
        self.fill_record()?;
        if self.ended {
            let bytes = std::mem::take(&mut self.pending);
            return Ok(if bytes.is_empty() { None } else { Some(self.give(bytes)) });
        }
        match frame::boundary(self.format, &self.pending) {
            Some(end) => {
                let rest = self.pending.split_off(end);
                let bytes = std::mem::replace(&mut self.pending, rest);
                Ok(Some(self.give(bytes)))
            }
            None => self.cut_short().map(Some),
        }
    }

    /// Skips what stands before the first record, and reads the header of a CSV file.
    fn begin(&mut self, schema: &Schema) -> Result<(), InputError> {
        self.fill(self.chunk_bytes.max(3))?;
        self.pass(frame::byte_order_mark(&self.pending));
        if self.format == Format::Json {
            return Ok(());
        }
        let path = self.part.clone();
        let fail = |cause| InputError::Header { path: path.to_string(), cause };
        loop {
            self.fill_record()?;
            let record = frame::first(self.format, &self.pending);
            if record.is_too_large() {
                return Err(fail(HeaderError::TooLarge));
            }
            let size = record.size;
            if size == 0 {
                return Err(fail(HeaderError::Empty));
            }
            if !record.is_blank(self.format) {
                let header = csv::Header::parse(record.body, schema).map_err(fail)?;
                self.header = Some(Header::Csv(Arc::new(header)));
                self.pass(size);
                return Ok(());
            }
            self.pass(size);
        }
    }

    /// Reads until a whole record is pending, or more than an event may have, or the end.
    fn fill_record(&mut self) -> Result<(), InputError> {
        while !self.ended
            && self.pending.len() <= limits::EVENT_BYTES
            && frame::boundary(self.format, &self.pending).is_none()
        {
            self.fill(self.chunk_bytes.max(2 * self.pending.len()))?;
        }
        Ok(())
    }

    /// Reads until `goal` bytes are pending, or the end.
    fn fill(&mut self, goal: usize) -> Result<(), InputError> {
        let wanted = goal.saturating_sub(self.pending.len());
        if self.ended || wanted == 0 {
            return Ok(());
        }
        let pending = self.pending.len();
        self.pending.reserve_exact(wanted);
        let outcome = (&mut self.content).take(wanted as u64).read_to_end(&mut self.pending);
        self.ended = self.pending.len() < goal;
        if self.packing == Packing::Plain {
            self.read.fetch_add((self.pending.len() - pending) as u64, Ordering::Relaxed);
        }
        match outcome {
            // An empty file is nothing that a packer makes, and zstd would take it for no content.
            Ok(_) if self.packing != Packing::Plain && self.bytes_read() == 0 => {
                Err(self.failed(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty")))
            }
            Ok(_) => Ok(()),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    fn failed(&self, cause: io::Error) -> InputError {
        let (path, offset) = (self.part.to_string(), self.offset + self.pending.len() as u64);
        let (format, check) = match self.packing {
            // What the system refuses has a number; what a decompressor finds has none.
            _ if cause.raw_os_error().is_some() => return InputError::Read { path, offset, cause },
            Packing::Plain => return InputError::Read { path, offset, cause },
            Packing::Gzip => ("gzip", "gzip -t"),
            Packing::Zstd => ("zstd", "zstd -t"),
        };
        InputError::Damaged { path, format, check, offset, cause }
    }

    /// Gives out `bytes`, which stood before what is pending now.
    fn give(&mut self, bytes: Vec<u8>) -> Chunk {
        let (offset, line) = (self.offset, self.line);
        self.offset += bytes.len() as u64;
        self.line += frame::count_lines(&bytes);
        Chunk {
            source: self.source,
            part: self.part.clone(),
            offset,
            line,
            bytes,
            header: self.header.clone(),
            arrival: None,
        }
    }

    /// Passes over pending bytes.
    fn pass(&mut self, count: usize) {
        self.offset += count as u64;
        self.line += frame::count_lines(&self.pending[..count]);
        self.pending.drain(..count);
    }

    /// Gives out the beginning of a record that is too large, and passes over its rest.
    fn cut_short(&mut self) -> Result<Chunk, InputError> {
        let kept = limits::EVENT_BYTES + 1;
        let rest = self.pending.split_off(kept);
        let bytes = std::mem::replace(&mut self.pending, rest);
        let chunk = self.give(bytes);
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.pending) {
                self.pass(end + 1);
                return Ok(chunk);
            }
            self.pass(self.pending.len());
            if self.ended {
                return Ok(chunk);
            }
            self.fill(self.chunk_bytes)?;
        }
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("part", &self.part).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// The content of `raw`, of which `read` counts what is read, where that is not what comes out of it.
fn unpack(packing: Packing, raw: Box<dyn Read + Send>, read: &Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    let packed = |raw| BufReader::with_capacity(PACKED_BYTES, Counted { inner: raw, read: read.clone() });
    Ok(match packing {
        Packing::Plain => raw,
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed(raw))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed(raw))?),
    })
}

/// Counts what is read through it. Whoever reads through it has its buffer filled with zeros first.
struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
