//! Writing a segment: sorted changes become row groups and a footer, are read back, and get their name.

use super::change::{Change, Changes};
use super::column;
use super::shelf::Shelf;
use super::volume::{self, Segment, Volume};
use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::fault::Fault;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use slackwater_core::row::Row;
use std::io;

/// What the files say that they are written by.
const CREATED_BY: &str = "slackwater";
/// Most rows of a row group.
const GROUP_ROWS: usize = 1 << 17;
/// Rows that are turned into columns at once.
const BATCH_ROWS: usize = 1 << 12;
/// Level of zstd.
const LEVEL: i32 = 3;

/// A segment that is being written.
pub(super) struct Press<'d> {
    disk: &'d dyn Disk,
    shelf: &'d Shelf,
    temporary: String,
    file: Box<dyn File>,
    /// Bytes in the file. What the writer holds follows them.
    written: u64,
    columns: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    /// Digests of the column chunks so far.
    chunks: Vec<blake3::Hash>,
    hasher: blake3::Hasher,
    segment: Segment,
    pending: Changes,
    scratch: Vec<u8>,
}

impl<'d> Press<'d> {
    /// Begins a segment, in the place of an unfinished one of this number.
    pub fn new(
        disk: &'d dyn Disk,
        shelf: &'d Shelf,
        number: u64,
        (source, bucket): (u16, i64),
    ) -> Result<Press<'d>, Fault> {
        let temporary = format!("{}.tmp", volume::name(number));
        match disk.remove(&temporary) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::disk(&temporary, "remove", cause));
            }
            _ => {}
        }
        let file = disk.create(&temporary).map_err(|cause| Fault::disk(&temporary, "create", cause))?;
        let columns = shelf.columns();
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&columns).map_err(|error| fault(&temporary, error))?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), columns.clone(), options);
        Ok(Press {
            disk,
            shelf,
            writer: writer.map_err(|error| fault(&temporary, error))?,
            temporary,
            file,
            written: 0,
            columns,
            chunks: Vec::new(),
            hasher: blake3::Hasher::new(),
            segment: Segment::empty(number, source, bucket),
            pending: Changes::new(),
            scratch: Vec::new(),
        })
    }

    /// Adds a change that comes after all before.
    pub fn push(&mut self, change: &Change<'_>) -> Result<(), Fault> {
        let time = Row::new(&self.shelf.schema, change.content).event_time();
        let Segment { rows, times, ticks, .. } = &mut self.segment;
        *rows += 1;
        *times = (times.0.min(time), times.1.max(time));
        *ticks = (ticks.0.min(change.tick), ticks.1.max(change.tick));
        change.encode(&mut self.scratch);
        self.pending.push(change);
        if self.pending.len() == BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.hasher.update(&self.scratch);
        self.scratch.clear();
        let batch = column::batch(self.shelf, &self.columns, &self.pending).map_err(ParquetError::from);
        batch.and_then(|batch| self.writer.write(&batch)).map_err(|error| fault(&self.temporary, error))?;
        self.pending.clear();
        if self.writer.in_progress_rows() >= GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<(), Fault> {
        if self.writer.in_progress_rows() == 0 {
            return Ok(());
        }
        let flushed = self.writer.flush().and_then(|()| Ok(self.writer.sync()?));
        flushed.map_err(|error| fault(&self.temporary, error))?;
        let (start, bytes) = (self.written, self.writer.inner());
        let group = self.writer.flushed_row_groups().last();
        for chunk in group.into_iter().flat_map(|group| group.columns()) {
            let (at, length) = chunk.byte_range();
            let piece = at.checked_sub(start).and_then(|at| bytes.get(at as usize..(at + length) as usize));
            let Some(piece) = piece else {
                return Err(Fault::damaged(&self.temporary, at, "a column lies outside its row group"));
            };
            self.chunks.push(blake3::hash(piece));
        }
        let bytes = std::mem::take(self.writer.inner_mut());
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let done = self.file.write_at(self.written, bytes);
        done.map_err(|cause| Fault::disk(&self.temporary, "write", cause))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Ends the segment: it is synced, read back, named, and the name is synced.
    pub fn finish(mut self) -> Result<Segment, Fault> {
        self.write()?;
        self.end_group()?;
        let digests = self.chunks.iter().map(|digest| digest.to_hex().to_string()).collect::<String>();
        self.writer.append_key_value_metadata(KeyValue::new(volume::FORMAT_KEY.into(), volume::FORMAT.to_string()));
        self.writer.append_key_value_metadata(KeyValue::new(volume::CHUNKS_KEY.into(), digests));
        let finished = self.writer.finish().and_then(|_| Ok(self.writer.sync()?));
        finished.map_err(|error| fault(&self.temporary, error))?;
        let footer = std::mem::take(self.writer.inner_mut());
        self.put(&footer)?;
        let Press { disk, shelf, temporary, file, written, hasher, mut segment, .. } = self;
        segment.rows_digest = *hasher.finalize().as_bytes();
        segment.file_digest = *blake3::hash(&footer).as_bytes();
        segment.bytes = written;
        crash::point(CrashPoint::FileWritten)?;
        file.sync().map_err(|cause| Fault::disk(&temporary, "sync", cause))?;
        crash::point(CrashPoint::FileSynced)?;
        Volume::open_as(disk, &temporary, shelf, &segment)?.check_chunks()?;
        crash::point(CrashPoint::FileVerified)?;
        let name = volume::name(segment.number);
        disk.rename(&temporary, &name).map_err(|cause| Fault::disk(&temporary, "rename", cause))?;
        crash::point(CrashPoint::FileRenamed)?;
        disk.sync_folder(super::FOLDER).map_err(|cause| Fault::disk(super::FOLDER, "sync", cause))?;
        Ok(segment)
    }
}

/// How each column is packed: by its type alone, so that the same rows give the same bytes.
fn properties(columns: &SchemaRef) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(None)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for column in columns.fields() {
        let path = ColumnPath::from(column.name().clone());
        builder = match column.data_type() {
            DataType::Utf8 => {
                let builder = builder.set_column_dictionary_enabled(path.clone(), true);
                builder.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
            }
            DataType::Float64 => builder.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
            // Wider ones are bytes, and not integers of Parquet.
            DataType::Decimal128(digits, _) if *digits > 18 => builder.set_column_encoding(path, Encoding::PLAIN),
            DataType::Boolean => builder.set_column_encoding(path, Encoding::PLAIN),
            _ => builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        };
    }
    Ok(builder.build())
}

/// What the Parquet writer, which writes to memory, could not do.
fn fault(name: &str, error: ParquetError) -> Fault {
    Fault::disk(name, "write", io::Error::other(error))
}
