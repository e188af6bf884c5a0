//! A Parquet file as chunks of one row group each.

use super::input::InputError;
use crate::decode::parquet::{Layout, LayoutError, TAIL_BYTES, footer_bytes};
use crate::decode::{Chunk, Header};
use slackwater_core::schema::Schema;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A Parquet file, of which only the columns of declared fields are read.
pub(super) struct RowGroups {
    source: u16,
    part: Arc<str>,
    file: File,
    layout: Arc<Layout>,
    /// The next row group.
    group: usize,
    /// The number of its first row in the file.
    row: u64,
    read: u64,
    total: u64,
}

impl RowGroups {
    /// Reads the footer of a file of `size` bytes.
    ///
    /// # Errors
    /// When it cannot be read, or the columns cannot hold the events of `schema`.
    pub fn new(source: u16, name: &str, schema: &Schema, file: File, size: u64) -> Result<Self, InputError> {
        let fail = |cause| InputError::Layout { path: name.to_string(), cause };
        let failed = |offset, cause| InputError::Read { path: name.to_string(), offset, cause };
        let Some(tail_at) = size.checked_sub(TAIL_BYTES as u64) else {
            return Err(fail(LayoutError::Damaged(format!("the file has {size} bytes"))));
        };
        let mut tail = [0; TAIL_BYTES];
        file.read_exact_at(&mut tail, tail_at).map_err(|cause| failed(tail_at, cause))?;
        let length = footer_bytes(tail, size).map_err(fail)?;
        let footer_at = tail_at - length as u64;
        let mut footer = vec![0; length];
        file.read_exact_at(&mut footer, footer_at).map_err(|cause| failed(footer_at, cause))?;
        let layout = Layout::read(&footer, size, schema).map_err(fail)?;
        let read = size - footer_at;
        let columns = (0..layout.groups()).flat_map(|group| layout.ranges(group));
        let total = columns.fold(read, |sum, range| sum.saturating_add(range.end - range.start));
        Ok(RowGroups { source, part: Arc::from(name), file, layout: Arc::new(layout), group: 0, row: 0, read, total })
    }

    /// Bytes of the file read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Bytes that will have been read at the end.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// The next row group that has rows; none at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, InputError> {
        while self.group < self.layout.groups() && self.layout.rows(self.group) == 0 {
            self.group += 1;
        }
        if self.group == self.layout.groups() {
            return Ok(None);
        }
        let length = self.layout.ranges(self.group).map(|range| range.end - range.start).sum::<u64>();
        let mut bytes = vec![0; length as usize];
        let mut at = 0;
        for range in self.layout.ranges(self.group) {
            let column = &mut bytes[at..at + (range.end - range.start) as usize];
            self.file.read_exact_at(column, range.start).map_err(|cause| self.failed(range.start, cause))?;
            at += column.len();
        }
        self.read += length;
        let header = Some(Header::Parquet(self.layout.clone(), self.group));
        let chunk = Chunk {
            source: self.source,
            part: self.part.clone(),
            offset: self.row,
            line: 0,
            bytes,
            header,
            arrival: None,
        };
        self.row += self.layout.rows(self.group);
        self.group += 1;
        Ok(Some(chunk))
    }

    fn failed(&self, offset: u64, cause: io::Error) -> InputError {
        InputError::Read { path: self.part.to_string(), offset, cause }
    }
}

impl std::fmt::Debug for RowGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowGroups").field("part", &self.part).field("group", &self.group).finish_non_exhaustive()
    }
}
