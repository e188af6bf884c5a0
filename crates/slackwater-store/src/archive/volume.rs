//! What names a segment, and reading it: nothing is unpacked before it was held against its digest.

use super::change::Changes;
use super::column;
use super::footers::{Footer, Footers};
use super::shelf::Shelf;
use crate::disk::{Disk, File};
use crate::fault::Fault;
use arrow_array::RecordBatch;
use bytes::buf::Reader as BytesReader;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use slackwater_core::codec::{CodecError, Reader, put_signed, put_varint};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Key and value that say how the file is to be read.
pub(super) const FORMAT_KEY: &str = "slackwater.format";
pub(super) const FORMAT: u32 = 1;
/// Key of the digests of the column chunks.
pub(super) const CHUNKS_KEY: &str = "slackwater.chunks";
/// What a Parquet file begins with, and ends with behind the length of its footer.
const MAGIC: [u8; 4] = *b"PAR1";
const TAIL_BYTES: u64 = 8;
/// Bytes of a file with nothing in it.
const LEAST_BYTES: u64 = MAGIC.len() as u64 + TAIL_BYTES;
/// Most bytes of a footer: that of some ten thousand row groups.
const FOOTER_BYTES: u64 = 256 << 20;
/// Most bytes of a column chunk.
const CHUNK_BYTES: u64 = 1 << 31;
/// Rows that are unpacked at once.
const BATCH_ROWS: usize = 1 << 12;

/// Name of the file of a segment.
pub(super) fn name(number: u64) -> String {
    format!("{}/{number}.parquet", super::FOLDER)
}

/// Names a segment, says what is in it, and by its digests which bytes it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number; its file is named by it.
    pub number: u64,
    /// Index of its source.
    pub source: u16,
    /// Its bucket: event times divided by the length of one, rounded down.
    pub bucket: i64,
    /// How many changes it has.
    pub rows: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Smallest and largest event time in nanoseconds since the epoch.
    pub times: (i64, i64),
    /// Smallest and largest tick.
    pub ticks: (u64, u64),
    /// BLAKE3 of its rows: its identity, whatever wrote it.
    pub rows_digest: [u8; 32],
    /// BLAKE3 of its footer, which has the digests of all else.
    pub file_digest: [u8; 32],
}

impl Segment {
    /// Its file.
    pub fn name(&self) -> String {
        name(self.number)
    }

    pub(super) fn empty(number: u64, source: u16, bucket: i64) -> Segment {
        let (times, ticks, none) = ((i64::MAX, i64::MIN), (u64::MAX, 0), [0; 32]);
        Segment { number, source, bucket, rows: 0, bytes: 0, times, ticks, rows_digest: none, file_digest: none }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
        put_varint(out, self.source.into());
        put_signed(out, self.bucket);
        put_varint(out, self.rows);
        put_varint(out, self.bytes);
        put_signed(out, self.times.0);
        put_signed(out, self.times.1);
        put_varint(out, self.ticks.0);
        put_varint(out, self.ticks.1);
        out.extend_from_slice(&self.rows_digest);
        out.extend_from_slice(&self.file_digest);
    }

    /// Reads back what [`Segment::encode`] wrote.
    ///
    /// # Errors
    /// Where the bytes are no such encoding.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Segment, CodecError> {
        Ok(Segment {
            number: reader.varint()?,
            source: reader.number()?,
            bucket: reader.signed()?,
            rows: reader.varint()?,
            bytes: reader.varint()?,
            times: (reader.signed()?, reader.signed()?),
            ticks: (reader.varint()?, reader.varint()?),
            rows_digest: reader.array()?,
            file_digest: reader.array()?,
        })
    }
}

/// A segment that is open.
pub(super) struct Volume<'d> {
    pub shelf: &'d Shelf,
    name: String,
    source: u16,
    file: Box<dyn File>,
    footer: Footer,
}

impl<'d> Volume<'d> {
    /// Opens a segment by its digest.
    pub fn open(disk: &dyn Disk, shelf: &'d Shelf, segment: &Segment) -> Result<Volume<'d>, Fault> {
        Volume::open_as(disk, &name(segment.number), shelf, segment)
    }

    /// Opens a segment; its footer is read once as long as it is among those that are kept.
    pub fn open_again(
        disk: &dyn Disk,
        shelf: &'d Shelf,
        segment: &Segment,
        footers: &Footers,
    ) -> Result<Volume<'d>, Fault> {
        if let Some(footer) = footers.of(segment) {
            let name = name(segment.number);
            let (file, _) = file_of(disk, &name, segment)?;
            return Ok(Volume { shelf, name, source: segment.source, file, footer });
        }
        let volume = Volume::open(disk, shelf, segment)?;
        footers.keep(segment, &volume.footer);
        Ok(volume)
    }

    /// Opens a segment that has this name.
    pub fn open_as(disk: &dyn Disk, name: &str, shelf: &'d Shelf, segment: &Segment) -> Result<Volume<'d>, Fault> {
        let (file, length) = file_of(disk, name, segment)?;
        let mut tail = [0; TAIL_BYTES as usize];
        read(&*file, name, length - TAIL_BYTES, &mut tail)?;
        let footer = FooterTail::try_new(&tail).ok().map(|tail| tail.metadata_length() as u64);
        let Some(footer) = footer.filter(|footer| *footer <= (length - LEAST_BYTES).min(FOOTER_BYTES)) else {
            return Err(Fault::damaged(name, length - TAIL_BYTES, "no footer of a Parquet file"));
        };
        let start = length - TAIL_BYTES - footer;
        let mut bytes = vec![0; (length - start) as usize];
        read(&*file, name, start, &mut bytes)?;
        if blake3::hash(&bytes) != segment.file_digest {
            return Err(Fault::damaged(name, start, "its footer is not the one that was written"));
        }
        let mut magic = [0; MAGIC.len()];
        read(&*file, name, 0, &mut magic)?;
        if magic != MAGIC {
            return Err(Fault::damaged(name, 0, "no Parquet file"));
        }
        let columns = shelf.columns();
        let metadata = guarded(|| {
            let metadata = ParquetMetaDataReader::decode_metadata(&bytes[..footer as usize])?;
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new().with_schema(columns.clone()))
        });
        let metadata = metadata.map_err(|what| Fault::damaged(name, start, what))?;
        let keys = metadata.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| keys?.iter().find(|pair| pair.key == key)?.value.as_deref();
        let format = value(FORMAT_KEY).and_then(|format| format.parse().ok()).unwrap_or(0);
        if format > FORMAT {
            return Err(Fault::Newer { name: name.to_string(), found: format, known: FORMAT });
        }
        let digests = value(CHUNKS_KEY).and_then(chunk_digests).unwrap_or_default().into();
        let footer = Footer { bytes: bytes.len(), metadata, digests };
        let volume = Volume { shelf, name: name.to_string(), source: segment.source, file, footer };
        let what = volume.check_layout(columns.fields().len(), segment.rows, start);
        what.map_err(|what| Fault::damaged(name, start, what)).map(|()| volume)
    }

    /// The chunks must fill the file up to the footer, each with its digest.
    fn check_layout(&self, columns: usize, rows: u64, end: u64) -> Result<(), &'static str> {
        let (mut at, mut chunks, mut sum) = (MAGIC.len() as u64, 0, 0u64);
        for group in self.footer.metadata.metadata().row_groups() {
            if group.columns().len() != columns {
                return Err("a row group has other columns");
            }
            let count = u64::try_from(group.num_rows()).map_err(|_| "a row group has a negative count of rows")?;
            sum = sum.checked_add(count).ok_or("it has more rows than can be counted")?;
            for chunk in group.columns() {
                let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
                let (start, length) = (u64::try_from(start), u64::try_from(chunk.compressed_size()));
                let (Ok(start), Ok(length)) = (start, length) else { return Err("a place in it is negative") };
                if start != at || length > (end - at).min(CHUNK_BYTES) || chunk.num_values() != group.num_rows() {
                    return Err("its column chunks do not lie one behind the other");
                }
                at += length;
                chunks += 1;
            }
        }
        if at != end || chunks != self.footer.digests.len() || sum != rows {
            return Err("its footer names other rows and chunks than it has");
        }
        Ok(())
    }

    /// How many row groups it has.
    pub fn groups(&self) -> usize {
        self.footer.metadata.metadata().num_row_groups()
    }

    fn group(&self, group: usize) -> &RowGroupMetaData {
        self.footer.metadata.metadata().row_group(group)
    }

    /// Rows of a row group.
    pub fn rows(&self, group: usize) -> usize {
        self.group(group).num_rows() as usize
    }

    /// Smallest and largest value of a column of times or ticks in a row group, where the file says so.
    pub fn span(&self, group: usize, column: usize) -> Option<(i64, i64)> {
        match self.group(group).column(column).statistics()? {
            Statistics::Int64(found) => Some((*found.min_opt()?, *found.max_opt()?)),
            _ => None,
        }
    }

    /// A column chunk, held against its digest.
    fn chunk(&self, group: usize, column: usize) -> Result<(u64, Bytes), Fault> {
        let row_group = self.group(group);
        let (start, length) = row_group.column(column).byte_range();
        let mut bytes = vec![0; length as usize];
        read(&*self.file, &self.name, start, &mut bytes)?;
        let number = group * row_group.columns().len() + column;
        if self.footer.digests.get(number) != Some(&blake3::hash(&bytes)) {
            return Err(Fault::damaged(&self.name, start, "a column is not what was written"));
        }
        Ok((start, bytes.into()))
    }

    /// Holds every byte against its digest.
    pub fn check_chunks(&self) -> Result<(), Fault> {
        for group in 0..self.groups() {
            for column in 0..self.group(group).columns().len() {
                self.chunk(group, column)?;
            }
        }
        Ok(())
    }

    /// Reads rows of a row group: all of them, or those selected; of all columns, or of one.
    pub fn read(&self, group: usize, column: Option<usize>, rows: Option<RowSelection>) -> Result<Batches<'_>, Fault> {
        let columns = column.map_or(0..self.group(group).columns().len(), |column| column..column + 1);
        let pieces = columns.clone().map(|column| self.chunk(group, column)).collect::<Result<Vec<_>, Fault>>()?;
        let mask = ProjectionMask::leaves(self.footer.metadata.metadata().file_metadata().schema_descr(), columns);
        let reader = guarded(|| {
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(Pieces(pieces), self.footer.metadata.clone())
                    .with_row_groups(vec![group])
                    .with_projection(mask)
                    .with_batch_size(BATCH_ROWS);
            match rows {
                Some(rows) => builder.with_row_selection(rows).build(),
                None => builder.build(),
            }
        });
        let at = self.place(group);
        let reader = reader.map_err(|what| Fault::damaged(&self.name, at, what))?;
        Ok(Batches { volume: self, at, reader })
    }

    fn place(&self, group: usize) -> u64 {
        self.group(group).column(0).byte_range().0
    }
}

/// The rows of a row group, some thousand at a time.
pub(super) struct Batches<'v> {
    volume: &'v Volume<'v>,
    at: u64,
    reader: ParquetRecordBatchReader,
}

impl Batches<'_> {
    /// The next rows as columns.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let reader = &mut self.reader;
        guarded(|| Ok(reader.next().transpose()?)).map_err(|what| self.damaged(what))
    }

    /// Appends the next rows, which are of all columns; false at the end.
    pub fn append(&mut self, out: &mut Changes) -> Result<bool, Fault> {
        let Some(batch) = self.next()? else { return Ok(false) };
        let Volume { shelf, source, .. } = self.volume;
        match column::changes(shelf, *source, &batch, out) {
            Some(()) => Ok(true),
            None => Err(self.damaged(String::from("a value is not one of its field"))),
        }
    }

    /// That these rows are not what they must be.
    pub fn damaged(&self, what: String) -> Fault {
        Fault::damaged(&self.volume.name, self.at, what)
    }
}

/// The column chunks that are read, by offset, as a file that has nothing else.
struct Pieces(Vec<(u64, Bytes)>);

impl Pieces {
    /// What there is from `start` to the end of the chunk that lies there.
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let inside = |piece: &&(u64, Bytes)| (piece.0..piece.0 + piece.1.len() as u64).contains(&start);
        let found = self.0.iter().find(inside);
        let outside = || ParquetError::EOF(format!("a page at {start} lies outside its column"));
        found.map(|(at, bytes)| bytes.slice((start - at) as usize..)).ok_or_else(outside)
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.0.iter().map(|(at, bytes)| at + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for Pieces {
    type T = BytesReader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let found = self.from(start)?;
        if length > found.len() {
            return Err(ParquetError::EOF(format!("a page at {start} claims {length} bytes of {}", found.len())));
        }
        Ok(found.slice(..length))
    }
}

/// Calls into the Parquet library. It checks most of what a file says, and panics over some of the rest.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(String::from("its parts contradict each other")),
    }
}

/// The file of a segment and its length, which must be the one that was written.
fn file_of(disk: &dyn Disk, name: &str, segment: &Segment) -> Result<(Box<dyn File>, u64), Fault> {
    let file = disk.open(name).map_err(|cause| Fault::disk(name, "open", cause))?;
    let length = file.len().map_err(|cause| Fault::disk(name, "measure", cause))?;
    if length != segment.bytes || length < LEAST_BYTES {
        return Err(Fault::damaged(name, length.min(segment.bytes), format!("{length} bytes of {}", segment.bytes)));
    }
    Ok((file, length))
}

fn read(file: &dyn File, name: &str, at: u64, into: &mut [u8]) -> Result<(), Fault> {
    file.read_at(at, into).map_err(|cause| Fault::disk(name, "read", cause))
}

fn chunk_digests(text: &str) -> Option<Vec<blake3::Hash>> {
    let (digests, []) = text.as_bytes().as_chunks::<64>() else { return None };
    digests.iter().map(|digest| blake3::Hash::from_hex(digest).ok()).collect()
}

/// The rows of a row group that are to be read, from ranges of them in order.
pub(super) fn selection(ranges: &[Range<usize>], rows: usize) -> RowSelection {
    RowSelection::from_consecutive_ranges(ranges.iter().cloned(), rows)
}
