//! Rows put together column by column, where no value of theirs needs a second look.
//!
//! It is the short way of a column store to what a [`RowBuilder`] makes: the same bytes, for rows that have a value in
//! every field and an op in none.

use crate::builder::{RowBuilder, Target};
use alloc::vec;
use alloc::vec::Vec;

/// Rows of one source, by column.
#[derive(Debug)]
pub struct Columns<'a> {
    /// The fixed parts of their contents, one behind the other, and bytes of one.
    fixed: Vec<u8>,
    width: usize,
    /// By text, and by row.
    texts: Vec<Vec<&'a [u8]>>,
    /// Bytes of each row's texts.
    sizes: Vec<usize>,
    /// Fields that have their values, from the first one on.
    fields: usize,
}

impl<'a> Columns<'a> {
    /// So many rows for a builder, if all that it does with its events is to put them together. Every field of the source
    /// must be given its values, in declared order.
    pub fn new(builder: &RowBuilder<'_>, rows: usize) -> Option<Columns<'a>> {
        let width = builder.schema().fixed_len();
        let empty =
            || Columns { fixed: vec![0; rows * width], width, texts: Vec::new(), sizes: vec![0; rows], fields: 0 };
        builder.only_joins().then(empty)
    }

    /// The values of the next field, as content has them: little-endian.
    #[inline]
    pub fn put<const N: usize>(&mut self, target: &Target, values: impl Iterator<Item = [u8; N]>) {
        for (row, value) in self.fixed.chunks_exact_mut(self.width).zip(values) {
            target.put(row, value);
        }
        self.is_put(target);
    }

    /// The values of the next field, which is a text: each is UTF-8 without a NUL.
    pub fn put_texts(&mut self, target: &Target, texts: Vec<&'a [u8]>) {
        let rows = self.fixed.chunks_exact_mut(self.width).zip(&mut self.sizes);
        for ((row, size), text) in rows.zip(&texts) {
            *size += text.len();
            target.put(row, (*size as u32).to_le_bytes());
        }
        self.texts.push(texts);
        self.is_put(target);
    }

    fn is_put(&mut self, target: &Target) {
        assert_eq!(target.field, self.fields, "the fields come in declared order");
        self.fields += 1;
    }

    /// Bytes of a row's texts.
    #[inline]
    pub fn text_len(&self, row: usize) -> usize {
        self.sizes[row]
    }

    /// Bytes of a row's content.
    #[inline]
    pub fn content_len(&self, row: usize) -> usize {
        self.width + self.sizes[row]
    }

    /// How many fields have their values.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// Appends the content of a row.
    #[inline]
    pub(crate) fn append(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fixed[row * self.width..][..self.width]);
        for texts in &self.texts {
            out.extend_from_slice(texts[row]);
        }
    }
}
