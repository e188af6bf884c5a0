//! The rows of one row group, a few thousand at a time.

use super::cells::Cells;
use super::{Layout, raw};
use crate::decode::Damaged;
use arrow_array::RecordBatch;
use bytes::buf::Reader as BytesReader;
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::columns::Columns;
use slackwater_core::input::{Batch, Position};
use slackwater_core::limits;
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::schema::Schema;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Most rows that are unpacked at once.
const MOST_ROWS: usize = 4096;
/// Fewest, however large they are.
const LEAST_ROWS: usize = 64;
/// Bytes that the unpacked rows may have, by what the footer says of their size.
const UNPACKED_BYTES: u64 = 1 << 20;
/// A batch that has more content than this is given out; long texts of a dictionary are small until they are rows.
const BATCH_BYTES: usize = 4 << 20;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is within a call into the Parquet library, whose panics are caught: they are damage of a file,
/// and said as that.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Calls into the Parquet library. It checks most of what a file says, and panics over some of the rest.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    match outcome {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(String::from("its parts contradict each other")),
    }
}

/// The bytes of a row group's columns, as a file that has nothing else.
struct Pieces {
    bytes: Bytes,
    /// Offset in the file and in `bytes`, and length.
    pieces: Vec<(u64, usize, usize)>,
}

impl Pieces {
    /// What there is of the file from `start` to the end of the column that lies there.
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let piece = self
            .pieces
            .iter()
            .find(|(offset, _, length)| start.checked_sub(*offset).is_some_and(|skipped| skipped < *length as u64));
        let Some((offset, at, length)) = piece else {
            return Err(ParquetError::EOF(format!("a page at {start} lies outside its column")));
        };
        let skipped = (start - offset) as usize;
        Ok(self.bytes.slice(at + skipped..at + length))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|(offset, _, length)| offset + *length as u64).max().unwrap_or(0)
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

/// Reads the rows of one row group after the other.
#[derive(Default)]
pub(in crate::decode) struct Reader {
    group: Option<Group>,
}

/// A row group that is being read.
struct Group {
    layout: Arc<Layout>,
    part: Arc<str>,
    rows: ParquetRecordBatchReader,
    /// Rows unpacked, and how many of them were given out.
    unpacked: RecordBatch,
    given: usize,
    /// Rows of the group that were not given out.
    left: u64,
    /// Where the next row stands in the file.
    next: u64,
    /// The object that stands for a refused row.
    raw: Vec<u8>,
}

impl Reader {
    /// Begins a row group of a file: `bytes` are its columns one behind the other, `first` is its first row.
    pub fn begin(
        &mut self,
        part: &Arc<str>,
        layout: &Arc<Layout>,
        group: usize,
        first: u64,
        bytes: Vec<u8>,
    ) -> Result<(), Damaged> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for range in layout.ranges(group) {
            let length = (range.end - range.start) as usize;
            pieces.push((range.start, at, length));
            at += length;
        }
        assert_eq!(at, bytes.len(), "a chunk has the bytes of its columns");
        let left = layout.rows(group);
        let pieces = Pieces { bytes: bytes.into(), pieces };
        let rows = guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(pieces, layout.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(layout.mask.clone())
                .with_batch_size(rows_at_once(layout, group))
                .build()
        });
        let rows = rows.map_err(|cause| Damaged { part: part.clone(), row: first, cause })?;
        let unpacked = RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
        let (layout, part) = (layout.clone(), part.clone());
        self.group = Some(Group { layout, part, rows, unpacked, given: 0, left, next: first, raw: Vec::new() });
        Ok(())
    }

    /// Whether rows of the group are left.
    pub fn has_more(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.left > 0)
    }

    /// Adds the next rows to `batch`.
    pub fn next(&mut self, row: &mut RowBuilder<'_>, batch: &mut Batch) -> Result<(), Damaged> {
        let group = self.group.as_mut().expect("a row group was begun");
        if let Err(cause) = group.unpack() {
            let (part, row) = (group.part.clone(), group.next);
            self.group = None;
            return Err(Damaged { part, row, cause });
        }
        group.give(row, batch).map_err(|cause| Damaged { part: group.part.clone(), row: group.next, cause })?;
        if group.left == 0 {
            self.group = None;
        }
        Ok(())
    }
}

impl Group {
    /// Unpacks rows if none are left of those before.
    fn unpack(&mut self) -> Result<(), String> {
        if self.given < self.unpacked.num_rows() {
            return Ok(());
        }
        let rows = &mut self.rows;
        let next = guarded(|| Ok(rows.next().transpose()?))?;
        match next {
            Some(unpacked) if unpacked.num_rows() > 0 && unpacked.num_rows() as u64 <= self.left => {
                (self.unpacked, self.given) = (unpacked, 0);
                Ok(())
            }
            Some(_) => Err(String::from("a row group has more rows than the footer says")),
            None => Err(format!("{} rows are missing from a row group", self.left)),
        }
    }

    fn give(&mut self, row: &mut RowBuilder<'_>, batch: &mut Batch) -> Result<(), String> {
        let (layout, unpacked) = (self.layout.clone(), self.unpacked.clone());
        let cells = cells(&layout, &unpacked, row.schema())?;
        while self.given < unpacked.num_rows() && batch.content_len() < BATCH_BYTES {
            let rows = self.given..some(&cells, self.given, unpacked.num_rows());
            match columns(&cells, rows.clone(), row) {
                Some((columns, odd)) => self.give_columns(rows, &cells, (&columns, &odd), row, batch),
                None => {
                    while self.given < rows.end && batch.content_len() < BATCH_BYTES {
                        self.give_one(&cells, row, batch);
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives out rows by column, as many as go without a look at each; between them, one by one, those that need it.
    fn give_columns(
        &mut self,
        rows: Range<usize>,
        cells: &[Cells<'_>],
        (columns, odd): (&Columns<'_>, &[bool]),
        row: &mut RowBuilder<'_>,
        batch: &mut Batch,
    ) {
        let first = rows.start;
        while self.given < rows.end && batch.content_len() < BATCH_BYTES {
            let (start, mut end, mut content) = (self.given - first, self.given - first, batch.content_len());
            while end < odd.len() && !odd[end] && content < BATCH_BYTES {
                content += columns.content_len(end);
                end += 1;
            }
            if end == start {
                self.give_one(cells, row, batch);
                continue;
            }
            batch.push_columns(row, columns, start..end, Position { offset: self.next, line: 0 });
            self.gave(end - start);
        }
    }

    fn give_one(&mut self, cells: &[Cells<'_>], row: &mut RowBuilder<'_>, batch: &mut Batch) {
        let position = Position { offset: self.next, line: 0 };
        row.begin();
        let texts: usize = cells.iter().map(|cell| cell.set(self.given, row)).sum();
        let outcome = if texts > limits::EVENT_BYTES {
            Err(Refusal::event(Reason::TooLarge))
        } else {
            batch.try_push(row, position)
        };
        if let Err(refusal) = outcome {
            self.raw.clear();
            raw::write(row.schema(), cells, self.given, &mut self.raw);
            self.raw.truncate(limits::EVENT_BYTES);
            batch.push_refused(position, refusal, row.stamped(), &self.raw);
        }
        self.gave(1);
    }

    fn gave(&mut self, rows: usize) {
        self.given += rows;
        self.next += rows as u64;
        self.left -= rows as u64;
    }
}

/// The end of the rows from `first` on that are looked at together: their texts are no more than a batch has, for long
/// ones of a dictionary would be looked at again for every batch.
fn some(cells: &[Cells<'_>], first: usize, end: usize) -> usize {
    let texts = |rows: Range<usize>| cells.iter().map(|cell| cell.text_len(rows.clone())).sum::<usize>();
    if texts(first..end) < BATCH_BYTES {
        return end;
    }
    let mut sum = 0;
    let more = |at: &usize| {
        sum += texts(*at..*at + 1);
        sum < BATCH_BYTES
    };
    (first + 1 + (first..end).take_while(more).count()).min(end)
}

/// Rows by column, and which of them need a look at each value; none where all of them do.
fn columns<'a>(cells: &[Cells<'a>], rows: Range<usize>, row: &RowBuilder<'_>) -> Option<(Columns<'a>, Vec<bool>)> {
    if cells.len() < row.schema().fields().len() {
        return None;
    }
    let (mut columns, mut odd) = (Columns::new(row, rows.len())?, vec![false; rows.len()]);
    if !cells.iter().all(|cell| cell.give(rows.clone(), &mut odd, &mut columns)) {
        return None;
    }
    odd.iter_mut().enumerate().for_each(|(at, odd)| *odd |= columns.text_len(at) > limits::EVENT_BYTES);
    Some((columns, odd))
}

/// The unpacked columns, each as the values of its field.
fn cells<'a>(layout: &Layout, unpacked: &'a RecordBatch, schema: &Schema) -> Result<Vec<Cells<'a>>, String> {
    let mut cells = Vec::new();
    for (field, (declared, column)) in schema.fields().iter().zip(&layout.columns).enumerate() {
        let Some(column) = column else { continue };
        let array = unpacked.columns().get(column.place);
        let values = array.and_then(|array| Cells::new(Target::new(schema, field), column.kind, array));
        cells.push(values.ok_or_else(|| format!("the values of `{}` are not of its column's type", declared.name))?);
    }
    Ok(cells)
}

/// As many rows of a group as have about [`UNPACKED_BYTES`].
fn rows_at_once(layout: &Layout, group: usize) -> usize {
    let group = layout.group(group);
    let sizes = layout.leaves.iter().map(|leaf| u64::try_from(group.column(*leaf).uncompressed_size()).unwrap_or(0));
    let bytes = sizes.fold(0, u64::saturating_add);
    let per_row = bytes / (group.num_rows().max(1) as u64);
    (UNPACKED_BYTES / per_row.max(1)).clamp(LEAST_ROWS as u64, MOST_ROWS as u64) as usize
}
