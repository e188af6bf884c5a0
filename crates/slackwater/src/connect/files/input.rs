//! A file, or standard input, as chunks of whole records.

use super::{Packing, STANDARD_STREAM};
use crate::decode::csv::{Header, HeaderError};
use crate::decode::{Chunk, Format, frame};
use crate::runtime::Feed;
use flate2::bufread::MultiGzDecoder;
use slackwater_core::limits;
use slackwater_core::schema::Schema;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// Bytes that a chunk has, about: enough to keep a decoder busy, few enough to stay in its cache.
pub const CHUNK_BYTES: usize = 1 << 17;
/// Compressed bytes read at a time.
const PACKED_BYTES: usize = 1 << 16;

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// Nothing there.
    #[error("{path}: there is no such file; check the path (relative ones start where the program was started)")]
    Missing {
        /// The file.
        path: String,
    },
    /// Not a file.
    #[error("{path}: this is a directory; name a file in it")]
    Directory {
        /// The directory.
        path: String,
    },
    /// Not allowed.
    #[error("{path}: permission denied; let this user read it")]
    Permission {
        /// The file.
        path: String,
    },
    /// A compressed file that ends too early, or holds what its format does not allow.
    #[error(
        "{path}: the {format} data is damaged or cut off after {offset} bytes of content: {cause}; \
         fetch the file again, or check it with `{check}`"
    )]
    Damaged {
        /// The file.
        path: String,
        /// gzip or zstd.
        format: &'static str,
        /// A command that finds the same.
        check: &'static str,
        /// Bytes of content before the damage, at least.
        offset: u64,
        /// What the decompressor said.
        cause: io::Error,
    },
    /// The system could not read it.
    #[error("{path}: reading failed at byte {offset}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Offset in the content.
        offset: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// A CSV file that cannot hold the source's events.
    #[error("{path}: {cause}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong with its first line.
        cause: HeaderError,
    },
}

/// A file cut into chunks of whole records.
pub struct FileChunks {
    source: u16,
    format: Format,
    part: Arc<str>,
    packing: Packing,
    content: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
    total: Option<u64>,
    chunk_bytes: usize,
    header: Option<Arc<Header>>,
    /// Bytes read and not given out; they begin at a record's border, at `offset` and `line`.
    pending: Vec<u8>,
    offset: u64,
    line: u64,
    ended: bool,
}

impl Feed for FileChunks {
    type Error = InputError;

    fn next(&mut self) -> Result<Option<Chunk>, InputError> {
        self.next_chunk()
    }

    fn read(&self) -> u64 {
        self.bytes_read()
    }
}

impl FileChunks {
    /// Opens a file of events of `schema`, or standard input for `-`, and reads the header of a CSV file.
    ///
    /// # Errors
    /// When the file cannot be opened or its beginning not be read, or its columns cannot hold the events.
    pub fn open(source: u16, format: Format, path: &Path, schema: &Schema) -> Result<Self, InputError> {
        let read = Arc::new(AtomicU64::new(0));
        let name = path.to_string_lossy();
        let standard = path.as_os_str() == STANDARD_STREAM;
        let (raw, total): (Box<dyn Read + Send>, _) = if standard {
            (Box::new(io::stdin()), None)
        } else {
            let (file, size) = open_file(path, &name)?;
            (Box::new(file), size)
        };
        let counted = Counted { inner: raw, read: read.clone() };
        let packing = if standard { Packing::Plain } else { Packing::of(path) };
        let content =
            unpack(packing, counted).map_err(|cause| InputError::Read { path: name.to_string(), offset: 0, cause })?;
        let mut chunks = Self::new(source, format, &name, content);
        (chunks.packing, chunks.read, chunks.total) = (packing, read, total);
        chunks.begin(schema)?;
        Ok(chunks)
    }

    /// The same of bytes from anywhere, under a name, in chunks of about `chunk_bytes`.
    ///
    /// # Errors
    /// Those of [`FileChunks::open`].
    pub fn from_reader(
        source: u16,
        format: Format,
        name: &str,
        schema: &Schema,
        content: impl Read + Send + 'static,
        chunk_bytes: usize,
    ) -> Result<Self, InputError> {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: content, read: read.clone() };
        let mut chunks = Self::new(source, format, name, Box::new(counted));
        (chunks.read, chunks.chunk_bytes) = (read, chunk_bytes.max(1));
        chunks.begin(schema)?;
        Ok(chunks)
    }

    fn new(source: u16, format: Format, name: &str, content: Box<dyn Read + Send>) -> Self {
        FileChunks {
            source,
            format,
            part: Arc::from(name),
            packing: Packing::Plain,
            content,
            read: Arc::default(),
            total: None,
            chunk_bytes: CHUNK_BYTES,
            header: None,
            pending: Vec::new(),
            offset: 0,
            line: 1,
            ended: false,
        }
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
                self.header = Some(Arc::new(Header::parse(record.body, schema).map_err(fail)?));
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
        self.pending.reserve_exact(wanted);
        let outcome = (&mut self.content).take(wanted as u64).read_to_end(&mut self.pending);
        self.ended = self.pending.len() < goal;
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
        Chunk { source: self.source, part: self.part.clone(), offset, line, bytes, header: self.header.clone() }
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

impl std::fmt::Debug for FileChunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileChunks").field("part", &self.part).field("offset", &self.offset).finish_non_exhaustive()
    }
}

fn open_file(path: &Path, name: &str) -> Result<(File, Option<u64>), InputError> {
    let fail = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => InputError::Missing { path: name.to_string() },
        io::ErrorKind::PermissionDenied => InputError::Permission { path: name.to_string() },
        _ => InputError::Read { path: name.to_string(), offset: 0, cause },
    };
    // A directory opens like a file on some systems, and a pipe waits for its writer: look first.
    let kind = fs::metadata(path).map_err(fail)?;
    if kind.is_dir() {
        return Err(InputError::Directory { path: name.to_string() });
    }
    let file = File::open(path).map_err(fail)?;
    Ok((file, kind.is_file().then_some(kind.len())))
}

fn unpack(packing: Packing, raw: Counted<Box<dyn Read + Send>>) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(raw),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_BYTES, raw))),
        Packing::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(PACKED_BYTES, raw))?)
        }
    })
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
