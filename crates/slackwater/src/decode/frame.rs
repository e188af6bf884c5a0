//! Where records begin and end, so that a reader can cut its bytes into chunks and a decoder its chunks into records.
//!
//! The borders depend on the bytes alone, not on how they were cut. A JSON record is a line. A CSV record ends at a line
//! end outside quotes, and a quote opens only at the start of a cell. A record longer than
//! [`limits::EVENT_BYTES`] ends at the first line end behind that many bytes, quoted or not: a quote that is never
//! closed costs one refused record and does not swallow the file.

use super::Format;
use memchr::{memchr, memchr2, memrchr};
use slackwater_core::limits;

/// One record of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its bytes, without the line end.
    pub body: &'a [u8],
    /// Its bytes in the buffer, with the line end.
    pub size: usize,
}

impl Record<'_> {
    /// Whether it is larger than an event may be.
    #[inline]
    pub fn is_too_large(&self) -> bool {
        self.body.len() > limits::EVENT_BYTES
    }

    /// Whether nothing stands on its line, so that it is no event.
    #[inline]
    pub fn is_blank(&self, format: Format) -> bool {
        match format {
            Format::Json => self.body.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')),
            Format::Csv => self.body.is_empty(),
            Format::Parquet => no_records(),
        }
    }

    /// The lines it takes up.
    #[inline]
    pub fn lines(&self, format: Format) -> u64 {
        match format {
            Format::Json => 1,
            // Nearly every record is one line, and to look for an end is less than to count.
            Format::Csv => memchr(b'\n', self.body).map_or(1, |end| 2 + count_lines(&self.body[end + 1..])),
            Format::Parquet => no_records(),
        }
    }
}

/// The first record of a buffer that begins at a record's border. What no line end closes runs to the buffer's end.
#[inline]
pub fn first(format: Format, bytes: &[u8]) -> Record<'_> {
    let (end, size) = match record_end(format, bytes) {
        Some(end) => (end, end + 1),
        None => (bytes.len(), bytes.len()),
    };
    let body = &bytes[..end];
    let body = match body.strip_suffix(b"\r") {
        // What is too large by its carriage return alone stays so, wherever its bytes were cut.
        Some(stripped) if end <= limits::EVENT_BYTES => stripped,
        _ => body,
    };
    Record { body, size }
}

/// Where the last whole record of a buffer ends that begins at a record's border; `None` when not even one does.
///
/// When there is none in more than [`limits::EVENT_BYTES`] bytes, the record is too large and no line end follows
/// within the buffer behind that many bytes: the reader keeps one byte more than an event may have, so that the
/// decoder refuses it, and goes on behind the next line end.
pub fn boundary(format: Format, bytes: &[u8]) -> Option<usize> {
    if format == Format::Json || memchr(b'"', bytes).is_none() {
        return memrchr(b'\n', bytes).map(|end| end + 1);
    }
    let mut at = 0;
    while let Some(end) = record_end(format, &bytes[at..]) {
        at += end + 1;
    }
    (at > 0).then_some(at)
}

/// Bytes of the byte order mark that may stand before the first record of a file.
pub fn byte_order_mark(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.starts_with(MARK) { MARK.len() } else { 0 }
}

/// Line ends in a buffer.
pub fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Index of the line end that closes the first record.
#[inline]
fn record_end(format: Format, bytes: &[u8]) -> Option<usize> {
    match format {
        Format::Json => memchr(b'\n', bytes),
        Format::Csv => csv_end(bytes),
        Format::Parquet => no_records(),
    }
}

#[cold]
fn no_records() -> ! {
    panic!("a row group has no records: its file is not cut at them")
}

#[inline]
fn csv_end(bytes: &[u8]) -> Option<usize> {
    let end = memchr(b'\n', bytes)?;
    if memchr(b'"', &bytes[..end]).is_none() {
        return Some(end);
    }
    let most = limits::EVENT_BYTES;
    quoted_end(&bytes[..bytes.len().min(most + 1)]).or_else(|| {
        let rest = bytes.get(most + 1..)?;
        memchr(b'\n', rest).map(|end| most + 1 + end)
    })
}

fn quoted_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = cell(bytes, at).end;
        if *bytes.get(end)? == b'\n' {
            return Some(end);
        }
        at = end + 1;
    }
}

/// How a cell of a CSV record is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Not, or its text holds no quotes: the text is the value.
    Plain,
    /// Quotes in its text stand there twice.
    Doubled,
    /// Its quote is never closed, or something follows the closed one.
    Broken,
}

/// One cell of a CSV record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    /// Its text; between the quotes, where it has some.
    pub text: &'a [u8],
    /// How it is quoted.
    pub quotes: Quotes,
    /// Index behind it: of a comma, a line end outside quotes, or the end of the bytes.
    pub end: usize,
}

/// The cell that begins at `at`.
#[inline(always)]
pub(super) fn cell(bytes: &[u8], at: usize) -> Cell<'_> {
    if bytes.get(at) == Some(&b'"') {
        return quoted_cell(bytes, at + 1);
    }
    let end = cell_end(bytes, at);
    Cell { text: &bytes[at..end], quotes: Quotes::Plain, end }
}

fn quoted_cell(bytes: &[u8], start: usize) -> Cell<'_> {
    let (mut at, mut quotes) = (start, Quotes::Plain);
    while let Some(found) = memchr(b'"', &bytes[at..]) {
        let quote = at + found;
        if bytes.get(quote + 1) != Some(&b'"') {
            let end = cell_end(bytes, quote + 1);
            if end != quote + 1 {
                quotes = Quotes::Broken;
            }
            return Cell { text: &bytes[start..quote], quotes, end };
        }
        quotes = Quotes::Doubled;
        at = quote + 2;
    }
    Cell { text: &bytes[start..], quotes: Quotes::Broken, end: bytes.len() }
}

#[inline]
fn cell_end(bytes: &[u8], at: usize) -> usize {
    memchr2(b',', b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found)
}
