//! Bytes to rows and refusals, without a clock, a file or a thread: what a journal replays, this decodes again, alike.
//!
//! A reader cuts its bytes at record borders ([`frame`]), or at the borders of row groups, into [`Chunk`]s; a
//! [`Decoder`] turns each into batches of the core. Every record becomes one entry, a row or a refusal with its bytes;
//! only blank lines are no events.

use slackwater_core::builder::RowBuilder;
use slackwater_core::codec::{CodecError, Reader, put_varint};
use slackwater_core::input::{Batch, Position};
use slackwater_core::limits;
use slackwater_core::plan::{Guards, Source};
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::quarantine::Quarantined;
use slackwater_core::schema::Schema;
use std::sync::{Arc, Weak};
use thiserror::Error;

pub mod csv;
pub mod frame;
mod json;
pub mod parquet;
mod plain;
pub mod spelling;
mod text;

/// What the bytes of a source are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// RFC 4180, with a header line first.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// Version of the format's decoder. It rises with every change of what some bytes decode to: a row of a higher
    /// version outranks one of a lower.
    pub const fn decoder_version(self) -> u32 {
        match self {
            Format::Json | Format::Csv | Format::Parquet => 1,
        }
    }
}

/// What the beginning or the end of a file says about the events in it.
#[derive(Clone, Debug)]
pub enum Header {
    /// The first record of a CSV file.
    Csv(Arc<csv::Header>),
    /// The footer of a Parquet file, and which of its row groups a chunk is.
    Parquet(Arc<parquet::Layout>, usize),
}

impl Header {
    /// Appends what [`Header::decode`] makes an equal header of.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Header::Csv(header) => {
                out.push(1);
                header.encode(out);
            }
            Header::Parquet(layout, group) => {
                let (footer, size) = layout.footer();
                out.push(2);
                put_varint(out, *group as u64);
                put_varint(out, size);
                out.extend_from_slice(footer);
            }
        }
    }

    /// Reads a header back, for a source of the same schema and format.
    ///
    /// # Errors
    /// When the bytes are not those of such a header.
    pub fn decode(bytes: &[u8], schema: &Schema) -> Result<Header, CodecError> {
        let mut reader = Reader::new(bytes);
        match reader.byte()? {
            1 => {
                let header = csv::Header::decode(&mut reader, schema.fields().len())?;
                reader.finish()?;
                Ok(Header::Csv(Arc::new(header)))
            }
            2 => {
                let (group, size) = (reader.number()?, reader.varint()?);
                let layout = match size.checked_sub(reader.rest().len() as u64 + parquet::TAIL_BYTES as u64) {
                    Some(_) => parquet::Layout::read(reader.rest(), size, schema).ok(),
                    None => None,
                };
                match layout.filter(|layout| group < layout.groups()) {
                    Some(layout) => Ok(Header::Parquet(Arc::new(layout), group)),
                    None => reader.fail("the footer of a Parquet file"),
                }
            }
            _ => reader.fail("a known header"),
        }
    }
}

/// A file that cannot be read to its end, found while its events were decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{part}: the Parquet data is damaged or cut off at row {row} (counted from 0), or behind it: {cause}; fetch the file \
     again, or check it with another reader"
)]
pub struct Damaged {
    /// Name of the file.
    pub part: Arc<str>,
    /// Rows that were decoded before.
    pub row: u64,
    /// What was found.
    pub cause: String,
}

/// Whole records of one file or partition, in order, or one row group of it. The last record may lack its line end.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Index of the source in the plan.
    pub source: u16,
    /// Name of the file or partition.
    pub part: Arc<str>,
    /// Offset of the first byte in it, after decompression; of a row group, the number of its first row.
    pub offset: u64,
    /// Line of the first record, counted from 1; 0 for a row group.
    pub line: u64,
    /// The records; of a row group, the columns that are read, as they lie in the file, one behind the other.
    pub bytes: Vec<u8>,
    /// What the file says of its columns; none for JSON.
    pub header: Option<Header>,
    /// When it was first seen, in nanoseconds since the epoch, if that is recorded. An event's own arrival counts where it
    /// is earlier.
    pub arrival: Option<i64>,
}

impl Chunk {
    /// The offset of what follows in its file, as [`Chunk::offset`] counts.
    pub fn end(&self) -> u64 {
        match &self.header {
            Some(Header::Parquet(layout, group)) => self.offset + layout.rows(*group),
            _ => self.offset + self.bytes.len() as u64,
        }
    }
}

/// Decodes the chunks of one source. It keeps its buffers, and nothing else, from one chunk to the next.
pub struct Decoder<'s> {
    row: RowBuilder<'s>,
    reader: Cells<'s>,
    /// Events and bytes of the batch before: the next will be about as large.
    room: (usize, usize),
    /// The header of the chunk before, and its encoding, which goes with what is refused.
    header: (Weak<csv::Header>, Arc<[u8]>),
    /// The chunk that was begun, if it is not finished.
    begun: Option<Chunk>,
}

enum Cells<'s> {
    Json(json::Reader<'s>),
    Csv(csv::Records),
    Parquet(parquet::Reader),
}

impl<'s> Decoder<'s> {
    /// A decoder of the events of `source`. What the source demands of them is asked here too.
    pub fn new(source: &'s Source, format: Format) -> Self {
        Decoder::under(source, source.guards.clone(), format)
    }

    /// A decoder of the events of `source` that asks other guards of them.
    pub fn under(source: &'s Source, guards: Arc<Guards>, format: Format) -> Self {
        let reader = match format {
            Format::Json => Cells::Json(json::Reader::new(&source.schema)),
            Format::Csv => Cells::Csv(csv::Records::new(&source.schema)),
            Format::Parquet => Cells::Parquet(parquet::Reader::default()),
        };
        let header = (Weak::new(), Arc::default());
        Decoder { row: RowBuilder::under(source, guards), reader, room: (0, 0), header, begun: None }
    }

    /// The format.
    pub fn format(&self) -> Format {
        match self.reader {
            Cells::Json(_) => Format::Json,
            Cells::Csv(_) => Format::Csv,
            Cells::Parquet(_) => Format::Parquet,
        }
    }

    /// Begins a chunk, whose events [`Decoder::next_batch`] gives. The chunk before must be finished.
    pub fn begin(&mut self, chunk: Chunk) {
        assert!(!self.is_busy(), "the chunk before is not finished");
        self.row.stamp(chunk.arrival);
        self.begun = Some(chunk);
    }

    /// Whether more batches will come of the chunk that was begun.
    pub fn is_busy(&self) -> bool {
        self.begun.is_some()
    }

    /// The next events of the chunk that was begun: all of them, or of a row group a few thousand.
    ///
    /// # Errors
    /// When a row group is damaged.
    ///
    /// # Panics
    /// When no chunk was begun, or it is finished.
    pub fn next_batch(&mut self) -> Result<Batch, Damaged> {
        let mut chunk = self.begun.take().expect("a chunk was begun");
        if !matches!(self.reader, Cells::Parquet(_)) {
            return Ok(self.decode(&chunk));
        }
        let mut batch = self.batch(&chunk);
        let Cells::Parquet(reader) = &mut self.reader else { unreachable!("just asked") };
        if !reader.has_more() {
            let Some(Header::Parquet(layout, group)) = &chunk.header else { panic!("a row group has its layout") };
            reader.begin(&chunk.part, layout, *group, chunk.offset, std::mem::take(&mut chunk.bytes))?;
        }
        reader.next(&mut self.row, &mut batch)?;
        if reader.has_more() {
            self.begun = Some(chunk);
        }
        self.room = room_of(&batch);
        Ok(batch)
    }

    /// An empty batch for events of a chunk.
    fn batch(&mut self, chunk: &Chunk) -> Batch {
        let ((events, bytes), decoder) = (self.room, self.format().decoder_version());
        let mut batch = Batch::with_capacity(chunk.source, decoder, chunk.part.clone(), events, bytes);
        batch.heard = chunk.arrival;
        batch.guards = self.row.guards().clone();
        // What stands for the bytes of a row of a row group needs no footer.
        if let Some(header @ Header::Csv(known)) = &chunk.header {
            if !std::ptr::eq(self.header.0.as_ptr(), Arc::as_ptr(known)) {
                let mut encoded = Vec::new();
                header.encode(&mut encoded);
                self.header = (Arc::downgrade(known), encoded.into());
            }
            batch.header = self.header.1.clone();
        }
        batch
    }

    /// The events of a chunk of records.
    ///
    /// A refused event keeps its bytes without the line end; of one that is too large, the first
    /// [`limits::EVENT_BYTES`], which its position in the file makes good.
    ///
    /// # Panics
    /// When a CSV chunk has no header: the caller reads it from the file's first record. When it is a row group.
    pub fn decode(&mut self, chunk: &Chunk) -> Batch {
        let format = self.format();
        self.row.stamp(chunk.arrival);
        let mut batch = self.batch(chunk);
        // Of a chunk that is UTF-8 throughout, every record is.
        let utf8 = std::str::from_utf8(&chunk.bytes).is_ok();
        let (mut at, mut line) = (0, chunk.line);
        while at < chunk.bytes.len() {
            let bytes = &chunk.bytes[at..];
            let position = Position { offset: chunk.offset + at as u64, line };
            // A line of JSON that looks like an event is read at once, and its end found so.
            let (record, read) = match &mut self.reader {
                Cells::Json(reader) if utf8 && bytes[0] == b'{' => {
                    self.row.begin();
                    let (record, read) = reader.line(bytes, &mut self.row);
                    (record, Some(read))
                }
                _ => (frame::first(format, bytes), None),
            };
            if record.is_too_large() {
                let kept = &record.body[..limits::EVENT_BYTES];
                batch.push_refused(position, Refusal::event(Reason::TooLarge), chunk.arrival, kept);
            } else if let Some(read) = read {
                self.give(&mut batch, read, record.body, position);
            } else if !record.is_blank(format) {
                self.put(&mut batch, record.body, position, utf8, chunk.header.as_ref());
            }
            at += record.size;
            line += record.lines(format);
        }
        self.room = room_of(&batch);
        batch
    }

    /// One record becomes one entry.
    #[inline]
    fn put(&mut self, batch: &mut Batch, record: &[u8], position: Position, utf8: bool, header: Option<&Header>) {
        let read = self.event(record, utf8, header);
        self.give(batch, read, record, position);
    }

    /// The same of one that has been read.
    #[inline]
    fn give(&mut self, batch: &mut Batch, read: Result<(), Refusal>, record: &[u8], position: Position) {
        match read {
            Ok(()) => batch.push(&mut self.row, position, record),
            Err(refusal) => batch.push_refused(position, refusal, self.row.stamped(), record),
        }
    }

    /// Puts the fields of one event into the builder, or says why the bytes are no event at all.
    #[inline]
    fn event(&mut self, record: &[u8], utf8: bool, header: Option<&Header>) -> Result<(), Refusal> {
        if !utf8 && std::str::from_utf8(record).is_err() {
            return Err(Refusal::event(Reason::InvalidUtf8));
        }
        self.row.begin();
        match &mut self.reader {
            Cells::Json(reader) => reader.event(record, &mut self.row),
            Cells::Csv(reader) => {
                let Some(Header::Csv(header)) = header else { panic!("a CSV chunk carries the header of its file") };
                reader.event(record, header, &mut self.row)
            }
            Cells::Parquet(_) => panic!("a row group has no records"),
        }
    }
}

/// Decodes an event again that was refused, as what it is now: a batch of this one, which stood in quarantine. What stands
/// for the bytes of a Parquet row is JSON.
///
/// # Errors
/// When its header is none of the source's format.
pub fn again(source: &Source, guards: &Arc<Guards>, format: Format, event: &Quarantined) -> Result<Batch, CodecError> {
    let header = match event.header.is_empty() {
        true => None,
        false => Some(Header::decode(&event.header, &source.schema)?),
    };
    let written = if format == Format::Parquet { Format::Json } else { format };
    if (written == Format::Csv) != matches!(header, Some(Header::Csv(_))) {
        return Reader::new(&event.header).fail("the header of an event of the source's format");
    }
    let mut decoder = Decoder::under(source, guards.clone(), written);
    let mut batch = Batch::new(event.source, format.decoder_version(), event.part.clone());
    (batch.header, batch.guards) = (event.header.clone(), guards.clone());
    batch.stood.extend(event.why.refusal());
    decoder.row.stamp(event.arrival);
    decoder.put(&mut batch, &event.bytes, event.position, false, header.as_ref());
    Ok(batch)
}

/// Events and bytes of a batch.
fn room_of(batch: &Batch) -> (usize, usize) {
    (batch.entries().len(), batch.content_len())
}
