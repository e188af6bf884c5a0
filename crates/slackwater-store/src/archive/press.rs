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
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use slackwater_core::row::Row;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the files say that they are written by.
const CREATED_BY: &str = "slackwater";
/// Most rows of a row group. All but the last of a segment have so many.
pub(super) const GROUP_ROWS: usize = 1 << 17;
/// Rows that are turned into columns at once, so few that they stay near meanwhile.
const BATCH_ROWS: usize = 1 << 11;
/// Level of zstd.
const LEVEL: i32 = 3;
/// Rows below which columns are left as they are: what packing so few saves is less than what it takes.
const FEW_ROWS: u64 = 256;

/// A segment that is being written.
pub(super) struct Press<'d> {
    disk: &'d dyn Disk,
    shelf: &'d Shelf,
    temporary: String,
    file: Box<dyn File>,
    /// Bytes in the file. What the writer holds follows them.
    written: u64,
    columns: SchemaRef,
    writer: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    /// Digests of the column chunks so far.
    chunks: Vec<blake3::Hash>,
    hasher: RowsHasher,
    segment: Segment,
    pending: Changes,
}

impl<'d> Press<'d> {
    /// Begins a segment of so many rows, in the place of an unfinished one of this number.
    pub fn new(
        disk: &'d dyn Disk,
        shelf: &'d Shelf,
        number: u64,
        (source, bucket): (u16, i64),
        rows: u64,
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
            .with_properties(properties(&columns, rows).map_err(|error| fault(&temporary, error))?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), columns.clone(), options);
        let writer = writer.and_then(ArrowWriter::into_serialized_writer);
        let (writer, factory) = writer.map_err(|error| fault(&temporary, error))?;
        let (segment, chunks, hasher) = (Segment::empty(number, source, bucket), Vec::new(), RowsHasher::default());
        let pending = Changes::new();
        Ok(Press {
            disk,
            shelf,
            temporary,
            file,
            written: 0,
            columns,
            writer,
            factory,
            chunks,
            hasher,
            segment,
            pending,
        })
    }

    /// Adds a change that comes after all before.
    pub fn push(&mut self, change: &Change<'_>) -> Result<(), Fault> {
        self.pending.push(change);
        if self.pending.len() == GROUP_ROWS { self.end_pending() } else { Ok(()) }
    }

    fn end_pending(&mut self) -> Result<(), Fault> {
        let pending = std::mem::take(&mut self.pending);
        let places: Vec<u32> = (0..pending.len() as u32).collect();
        self.write(&pending, &places, 1)?;
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    /// Adds changes at these places, which come after all before, on so many threads. Nothing is added behind an
    /// incomplete row group.
    pub fn write(&mut self, changes: &Changes, places: &[u32], threads: usize) -> Result<(), Fault> {
        let groups: Vec<&[u32]> = places.chunks(GROUP_ROWS).collect();
        let threads = threads.min(groups.len());
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let (shelf, columns, factory) = (self.shelf, &self.columns, &self.factory);
        let first = self.writer.flushed_row_groups().len();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(places) = groups.get(number) else { break };
                let writers = factory.create_column_writers(first + number);
                let group = writers.and_then(|writers| Group::new(shelf, columns, writers, changes, places));
                done.lock().expect("nothing panics with this lock").push((number, group));
            }
        };
        std::thread::scope(|scope| {
            // If the machine gives no more threads, the ones that run do all the work.
            for _ in 1..threads {
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let mut done = done.into_inner().expect("nothing panics with this lock");
        done.sort_by_key(|(number, _)| *number);
        for (_, group) in done {
            let group = group.map_err(|error| fault(&self.temporary, error))?;
            self.put_group(group)?;
        }
        Ok(())
    }

    fn put_group(&mut self, group: Group) -> Result<(), Fault> {
        let Segment { rows, times, ticks, .. } = &mut self.segment;
        *rows += group.rows;
        *times = (times.0.min(group.times.0), times.1.max(group.times.1));
        *ticks = (ticks.0.min(group.ticks.0), ticks.1.max(group.ticks.1));
        self.hasher.end_group(&group.digest);
        let writer = &mut self.writer;
        let put = || {
            let mut row_group = writer.next_row_group()?;
            group.chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut row_group))?;
            row_group.close()?;
            Ok(writer.flush()?)
        };
        put().map_err(|error: ParquetError| fault(&self.temporary, error))?;
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
        self.end_pending()?;
        let digests = self.chunks.iter().map(|digest| digest.to_hex().to_string()).collect::<String>();
        self.writer.append_key_value_metadata(KeyValue::new(volume::FORMAT_KEY.into(), volume::FORMAT.to_string()));
        self.writer.append_key_value_metadata(KeyValue::new(volume::CHUNKS_KEY.into(), digests));
        let finished = self.writer.finish().and_then(|_| Ok(self.writer.flush()?));
        finished.map_err(|error| fault(&self.temporary, error))?;
        let footer = std::mem::take(self.writer.inner_mut());
        self.put(&footer)?;
        let Press { disk, shelf, temporary, file, written, hasher, mut segment, .. } = self;
        segment.rows_digest = hasher.finish();
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

/// A row group, encoded.
struct Group {
    rows: u64,
    times: (i64, i64),
    ticks: (u64, u64),
    digest: [u8; 32],
    chunks: Vec<ArrowColumnChunk>,
}

impl Group {
    fn new(
        shelf: &Shelf,
        columns: &SchemaRef,
        mut writers: Vec<ArrowColumnWriter>,
        changes: &Changes,
        places: &[u32],
    ) -> Result<Group, ParquetError> {
        let (mut times, mut ticks) = ((i64::MAX, i64::MIN), (u64::MAX, 0));
        let mut hasher = RowsHasher::default();
        for places in places.chunks(BATCH_ROWS) {
            changes.touch(places);
            let rows: Vec<Change<'_>> = places.iter().map(|place| changes.get(*place as usize)).collect();
            for row in &rows {
                let time = Row::new(&shelf.schema, row.content).event_time();
                times = (times.0.min(time), times.1.max(time));
                ticks = (ticks.0.min(row.tick), ticks.1.max(row.tick));
                hasher.push(row);
            }
            hasher.end_batch();
            let arrays = column::arrays(shelf, &rows)?;
            for ((field, array), writer) in columns.fields().iter().zip(&arrays).zip(&mut writers) {
                // No column is nested, so each has one leaf.
                compute_leaves(field, array)?.iter().try_for_each(|leaf| writer.write(leaf))?;
            }
        }
        let chunks = writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?;
        Ok(Group { rows: places.len() as u64, times, ticks, digest: hasher.of_group(), chunks })
    }
}

/// The digest of rows: over those of as many rows each as a row group has, so that each can be made on its own.
#[derive(Default)]
pub(super) struct RowsHasher {
    groups: blake3::Hasher,
    rows: blake3::Hasher,
    count: usize,
    batch: Vec<u8>,
}

impl RowsHasher {
    /// Takes the next row.
    pub fn push(&mut self, row: &Change<'_>) {
        row.encode(&mut self.batch);
        self.count += 1;
    }

    /// Hashes the rows that were taken, many at once.
    fn end_batch(&mut self) {
        self.rows.update(&self.batch);
        self.batch.clear();
    }

    /// The digest of the rows since the last group.
    fn of_group(&mut self) -> [u8; 32] {
        self.end_batch();
        let digest = *self.rows.finalize().as_bytes();
        self.rows.reset();
        self.count = 0;
        digest
    }

    /// Takes the digest of a group.
    fn end_group(&mut self, digest: &[u8; 32]) {
        self.groups.update(digest);
    }

    /// Takes the next row of all, whatever group it is in.
    pub fn push_any(&mut self, row: &Change<'_>) {
        self.push(row);
        if self.count == GROUP_ROWS {
            let digest = self.of_group();
            self.end_group(&digest);
        } else if self.count.is_multiple_of(BATCH_ROWS) {
            self.end_batch();
        }
    }

    /// The digest of all rows.
    pub fn finish(mut self) -> [u8; 32] {
        if self.count > 0 {
            let digest = self.of_group();
            self.end_group(&digest);
        }
        *self.groups.finalize().as_bytes()
    }
}

/// How each column is packed: by its type and the number of rows alone, so that the same rows give the same bytes.
fn properties(columns: &SchemaRef, rows: u64) -> Result<WriterProperties, ParquetError> {
    let packed = Compression::ZSTD(ZstdLevel::try_new(LEVEL)?);
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        .set_compression(if rows < FEW_ROWS { Compression::UNCOMPRESSED } else { packed })
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
