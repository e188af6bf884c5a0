//! One file that is followed: read as far as it has whole records, and on from there.

use crate::decode::csv;
use crate::decode::{Chunk, Format, Header, frame};
use crate::runtime::clock::Stopwatch;
use slackwater_core::limits;
use slackwater_core::schema::Schema;
use slackwater_store::store::Offset;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

/// How long a file that is not found where it was must not have grown before it is done.
const REST: Duration = Duration::from_secs(5);

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// Bytes before the place that a file was read to by which it is seen whether it was begun anew.
const TRACE: usize = 256;

/// What a file is, whatever its name: device, number, and when it was made, where that is known, for a number is used again
/// once its file is gone.
pub(super) type Id = (u64, u64, (i64, u32));

/// What the files of a source have in common.
#[derive(Clone, Copy)]
pub(super) struct Of<'s> {
    pub source: u16,
    pub format: Format,
    pub schema: &'s Schema,
}

/// A file that is being read, or will be.
pub(super) struct Followed {
    pub part: Arc<str>,
    pub id: Id,
    pub file: File,
    /// Where the pending bytes begin.
    pub offset: u64,
    line: u64,
    pending: Vec<u8>,
    /// The last bytes before the place that it was read to.
    trace: Vec<u8>,
    header: Option<Header>,
    /// One that had its name before is still being read.
    pub waits: bool,
    /// Another has its name now, and waits.
    pub succeeded: bool,
    /// It has no name any more, or not the one that is followed.
    pub left: bool,
    /// It has no name any more.
    pub gone: bool,
    /// Its places are identities, so it is never read from its start again.
    lasts: bool,
    /// It stands where another stood whose places are identities, and is not read at all.
    barred: bool,
    /// What keeps it from being read.
    pub wrong: Option<String>,
    /// Whether to try that again.
    again: bool,
    /// How long it was when that was last seen.
    pub len: u64,
    /// When it was last found to be longer, or to have its name.
    pub alive: Stopwatch,
    /// The rest of a record that is too long is passed over.
    skipping: bool,
}

impl Followed {
    pub fn new(part: Arc<str>, id: Id, file: File, lasts: bool) -> Self {
        Followed {
            part,
            id,
            file,
            offset: 0,
            line: 1,
            pending: Vec::new(),
            trace: Vec::new(),
            header: None,
            waits: false,
            succeeded: false,
            left: false,
            gone: false,
            lasts,
            barred: false,
            wrong: None,
            again: true,
            len: 0,
            alive: Stopwatch::start(),
            skipping: false,
        }
    }

    /// The place that it was read to.
    fn end(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// Whether it is its turn, and it may be read.
    pub fn is_readable(&self) -> bool {
        !self.waits && !self.barred && self.again
    }

    /// Could not be read, and is not tried again until it is looked at.
    pub fn fails(&mut self, wrong: String) {
        (self.wrong, self.again) = (Some(wrong), false);
    }

    /// Looks how long it is now, and lets it be tried again.
    pub fn measure(&mut self) {
        self.again = true;
        match self.file.metadata() {
            Ok(known) if known.len() < self.end() => self.begin_anew(),
            Ok(known) => self.note(known.len()),
            Err(cause) => self.wrong = Some(format!("{}: {cause}", self.part)),
        }
    }

    /// Notes how long it is.
    fn note(&mut self, len: u64) {
        if len > self.len {
            self.alive = Stopwatch::start();
        }
        self.len = len;
    }

    /// Whether it has left its name, and has not grown for a while.
    pub fn is_still(&self) -> bool {
        self.left && self.alive.elapsed() >= REST
    }

    /// Whether nothing more will come of it.
    pub fn is_done(&self) -> bool {
        self.is_still() && (self.gone || self.succeeded)
    }

    /// It was written anew, from its beginning.
    fn begin_anew(&mut self) {
        match self.lasts {
            true => self.bar(),
            false => self.restart(),
        }
    }

    /// Reads no more of what has the name of something that was read.
    pub fn bar(&mut self) {
        self.barred = true;
        self.wrong = Some(format!(
            "{}: it was rotated or written anew, and with `identity = \"position\"` its events would be taken for those that \
             stood at their places before; give the source an `identity` of its fields",
            self.part
        ));
    }

    /// It is to be read from its start.
    pub fn restart(&mut self) {
        (self.offset, self.line, self.header, self.skipping, self.len) = (0, 1, None, false, 0);
        self.pending.clear();
        self.trace.clear();
    }

    /// The bytes before a place, by which it is seen later whether it was written anew; none where it has not so many.
    pub fn trace_before(&self, offset: u64) -> Option<Vec<u8>> {
        let before = offset.min(TRACE as u64);
        let mut trace = vec![0; before as usize];
        self.file.read_exact_at(&mut trace, offset - before).ok().map(|()| trace)
    }

    /// Goes on at a place that it was read to before.
    pub fn go_on_at(&mut self, known: &Offset, trace: Vec<u8>) {
        (self.offset, self.line, self.trace) = (known.offset, known.line, trace);
        self.pending.clear();
    }

    /// Reads on, or from the start where the file was begun anew. Gives how many bytes there were.
    fn fill(&mut self) -> Result<usize, String> {
        loop {
            if let Some(more) = self.extend()? {
                return Ok(more);
            }
            self.begin_anew();
            if let Some(wrong) = &self.wrong {
                return Err(wrong.clone());
            }
        }
    }

    /// Reads on, together with what was read last; none where that is not there any more.
    fn extend(&mut self) -> Result<Option<usize>, String> {
        let (end, len, trace) = (self.end(), self.pending.len(), self.trace.len());
        let at = end - trace as u64;
        self.pending.resize(len + trace + PIECE, 0);
        let read = loop {
            match self.file.read_at(&mut self.pending[len..], at) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.pending.truncate(len + *read.as_ref().unwrap_or(&0));
        let kept = self.pending[len..].starts_with(&self.trace);
        self.pending.drain(len..self.pending.len().min(len + trace));
        read.map_err(|cause| format!("{}: reading failed at byte {at}: {cause}", self.part))?;
        if !kept {
            return Ok(None);
        }
        let new = &self.pending[len..];
        self.trace.extend_from_slice(&new[new.len().saturating_sub(TRACE)..]);
        self.trace.drain(..self.trace.len().saturating_sub(TRACE));
        let more = new.len();
        self.note(self.len.max(self.end()));
        Ok(Some(more))
    }

    /// What is whole of it, if anything is.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub fn read_on(&mut self, Of { source, format, schema }: Of<'_>) -> Result<Option<Chunk>, String> {
        loop {
            let ended = self.fill()? == 0;
            if self.offset == 0 {
                self.pass(frame::byte_order_mark(&self.pending));
            }
            if self.skipping && !self.skip() {
                if ended {
                    return Ok(None);
                }
                continue;
            }
            if format == Format::Csv && self.header.is_none() && !self.begin(schema)? {
                if ended {
                    return Ok(None);
                }
                continue;
            }
            let whole = match frame::boundary(format, &self.pending) {
                Some(whole) => whole,
                None if self.pending.len() > limits::EVENT_BYTES => {
                    self.skipping = true;
                    limits::EVENT_BYTES + 1
                }
                // Nobody will end its last record.
                None if ended && self.is_done() && !self.pending.is_empty() => self.pending.len(),
                None if ended => return Ok(None),
                None => continue,
            };
            let rest = self.pending.split_off(whole);
            let bytes = std::mem::replace(&mut self.pending, rest);
            let (offset, line) = (self.offset, self.line);
            self.offset += bytes.len() as u64;
            self.line += frame::count_lines(&bytes);
            let (part, header) = (self.part.clone(), self.header.clone());
            return Ok(Some(Chunk { source, part, offset, line, bytes, header, arrival: None }));
        }
    }

    /// Passes over the rest of a record that is too long; false while its end is not there.
    fn skip(&mut self) -> bool {
        let end = memchr::memchr(b'\n', &self.pending).map(|end| end + 1);
        self.pass(end.unwrap_or(self.pending.len()));
        self.skipping = end.is_none();
        !self.skipping
    }

    /// Reads the header of a CSV file; false while it is not there.
    fn begin(&mut self, schema: &Schema) -> Result<bool, String> {
        if frame::boundary(Format::Csv, &self.pending).is_none() {
            return Ok(false);
        }
        let record = frame::first(Format::Csv, &self.pending);
        let (size, blank) = (record.size, record.is_blank(Format::Csv));
        if !blank {
            let parsed = csv::Header::parse(record.body, schema).map_err(|cause| format!("{}: {cause}", self.part));
            // It may be written anew with another.
            let header = parsed.inspect_err(|_| self.restart())?;
            self.header = Some(Header::Csv(Arc::new(header)));
        }
        self.pass(size);
        Ok(!blank)
    }

    fn pass(&mut self, count: usize) {
        self.offset += count as u64;
        self.line += frame::count_lines(&self.pending[..count]);
        self.pending.drain(..count);
    }
}
