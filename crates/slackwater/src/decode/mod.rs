//! Bytes to rows and refusals, without a clock, a file or a thread: what a journal replays, this decodes again, alike.
//!
//! A reader cuts its bytes at record borders ([`frame`]) into [`Chunk`]s; a [`Decoder`] turns each into a batch of the
//! core. Every record becomes one entry, a row or a refusal with its bytes; only blank lines are no events.

use slackwater_core::builder::RowBuilder;
use slackwater_core::input::{Batch, Position};
use slackwater_core::limits;
use slackwater_core::plan::Source;
use slackwater_core::poison::{Reason, Refusal};
use std::sync::Arc;

pub mod csv;
pub mod frame;
mod json;
pub mod spelling;
mod text;

/// What the bytes of a source are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// RFC 4180, with a header line first.
    Csv,
}

impl Format {
    /// Version of the format's decoder. It rises with every change of what some bytes decode to: a row of a higher
    /// version outranks one of a lower.
    pub const fn decoder_version(self) -> u32 {
        match self {
            Format::Json | Format::Csv => 1,
        }
    }
}

/// Whole records of one file or partition, in order. The last one may lack its line end.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Index of the source in the plan.
    pub source: u16,
    /// Name of the file or partition.
    pub part: Arc<str>,
    /// Offset of the first byte in it, after decompression.
    pub offset: u64,
    /// Line of the first record, counted from 1.
    pub line: u64,
    /// The records.
    pub bytes: Vec<u8>,
    /// The header of the file, for CSV.
    pub header: Option<Arc<csv::Header>>,
}

/// Decodes the chunks of one source. It keeps its buffers, and nothing else, from one chunk to the next.
#[derive(Debug)]
pub struct Decoder<'s> {
    row: RowBuilder<'s>,
    reader: Reader<'s>,
    /// Events and bytes of the batch before: the next will be about as large.
    room: (usize, usize),
}

#[derive(Debug)]
enum Reader<'s> {
    Json(json::Reader<'s>),
    Csv(csv::Reader),
}

impl<'s> Decoder<'s> {
    /// A decoder of the events of `source`. What the source demands of them is asked here too.
    pub fn new(source: &'s Source, format: Format) -> Self {
        let reader = match format {
            Format::Json => Reader::Json(json::Reader::new(&source.schema)),
            Format::Csv => Reader::Csv(csv::Reader::default()),
        };
        Decoder { row: RowBuilder::new(source), reader, room: (0, 0) }
    }

    /// The format.
    pub fn format(&self) -> Format {
        match self.reader {
            Reader::Json(_) => Format::Json,
            Reader::Csv(_) => Format::Csv,
        }
    }

    /// The events of a chunk.
    ///
    /// A refused event keeps its bytes without the line end; of one that is too large, the first
    /// [`limits::EVENT_BYTES`], which its position in the file makes good.
    ///
    /// # Panics
    /// When a CSV chunk has no header: the caller reads it from the file's first record.
    pub fn decode(&mut self, chunk: &Chunk) -> Batch {
        let format = self.format();
        let (events, bytes) = self.room;
        let version = format.decoder_version();
        let mut batch = Batch::with_capacity(chunk.source, version, chunk.part.clone(), events, bytes);
        // Of a chunk that is UTF-8 throughout, every record is.
        let utf8 = std::str::from_utf8(&chunk.bytes).is_ok();
        let (mut at, mut line) = (0, chunk.line);
        while at < chunk.bytes.len() {
            let record = frame::first(format, &chunk.bytes[at..]);
            let position = Position { offset: chunk.offset + at as u64, line };
            if record.is_too_large() {
                let kept = &record.body[..limits::EVENT_BYTES];
                batch.push_refused(position, Refusal::event(Reason::TooLarge), kept);
            } else if !record.is_blank(format) {
                match self.event(&record, utf8, chunk.header.as_deref()) {
                    Ok(()) => batch.push(&mut self.row, position, record.body),
                    Err(refusal) => batch.push_refused(position, refusal, record.body),
                }
            }
            at += record.size;
            line += record.lines(format);
        }
        let content = batch.entries().last().map_or(0, |last| batch.range(last).end as usize);
        self.room = (batch.entries().len(), content);
        batch
    }

    /// Puts the fields of one event into the builder, or says why the bytes are no event at all.
    #[inline]
    fn event(&mut self, record: &frame::Record<'_>, utf8: bool, header: Option<&csv::Header>) -> Result<(), Refusal> {
        if !utf8 && std::str::from_utf8(record.body).is_err() {
            return Err(Refusal::event(Reason::InvalidUtf8));
        }
        self.row.begin();
        match &mut self.reader {
            Reader::Json(reader) => reader.event(record.body, &mut self.row),
            Reader::Csv(reader) => {
                let header = header.expect("a CSV chunk carries the header of its file");
                reader.event(record.body, header, &mut self.row)
            }
        }
    }
}
