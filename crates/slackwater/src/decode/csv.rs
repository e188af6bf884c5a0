//! One CSV record to the fields of a row, by the header of its file (RFC 4180).
//!
//! An empty cell, quoted or not, is null. What follows a closing quote in its cell, and a quote that is never closed,
//! make the record malformed; nothing is guessed.

use super::frame::{self, Quotes};
use super::spelling::nearest;
use super::text::set_number;
use memchr::memchr;
use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::codec::{CodecError, Reader, put_varint};
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::schema::Schema;
use slackwater_core::value::Type;
use thiserror::Error;

/// Which declared field each column of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    columns: Vec<Option<usize>>,
}

/// Why a file's first line is not the header of a source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Nothing there.
    #[error("there is no header: a CSV file begins with a line that names its columns")]
    Empty,
    /// No CSV record.
    #[error("the header is not a CSV record: a quote is not closed, or text follows a closed one, or it is not UTF-8")]
    Malformed,
    /// Lines that end with nothing but a carriage return.
    #[error(
        "a name in the header has a carriage return in it: end lines with a line feed, as `tr '\\r' '\\n'` makes them"
    )]
    CarriageReturn,
    /// Longer than an event may be.
    #[error("the header is longer than {} bytes: is this a CSV file?", slackwater_core::limits::EVENT_BYTES)]
    TooLarge,
    /// A declared field with two columns.
    #[error("the header names the declared field `{0}` twice, so it is not clear which column holds it: rename one")]
    Twice(String),
    /// A required field without a column.
    #[error("{}", missing(.field, .columns, .nearest.as_deref()))]
    Missing {
        /// The field.
        field: String,
        /// The columns that there are.
        columns: Vec<String>,
        /// The one that is spelled most alike.
        nearest: Option<String>,
    },
}

fn missing(field: &str, columns: &[String], nearest: Option<&str>) -> String {
    let hint = match nearest {
        Some(column) => format!("did you mean `{column}`? Name the field as the file does"),
        None => format!("name the field as the file does, or declare `{field}` with a `?` if it may be absent"),
    };
    format!(
        "the header has no column `{field}`, which is a required field; its columns are {}; {hint}",
        columns.join(", ")
    )
}

impl Header {
    /// Reads the header from a file's first record, without its line end.
    ///
    /// # Errors
    /// When the columns cannot hold the events of `schema`.
    pub fn parse(record: &[u8], schema: &Schema) -> Result<Header, HeaderError> {
        let mut names = Vec::new();
        let cells = Cells::default().each(record, |_, text| names.push(String::from_utf8(text.to_vec())));
        let names: Vec<String> = match (cells, names.into_iter().collect()) {
            (Ok(_), Ok(names)) => names,
            _ => return Err(HeaderError::Malformed),
        };
        // All lines of such a file would be its header.
        if names.iter().any(|name| name.contains('\r')) {
            return Err(HeaderError::CarriageReturn);
        }
        let columns: Vec<_> = names.iter().map(|name| schema.index(name)).collect();
        for (index, field) in schema.fields().iter().enumerate() {
            match columns.iter().filter(|column| **column == Some(index)).count() {
                0 if !field.nullable => {
                    let undeclared = names.iter().zip(&columns).filter(|(_, column)| column.is_none());
                    let nearest = nearest(&field.name, undeclared.map(|(name, _)| name.as_str())).map(String::from);
                    return Err(HeaderError::Missing { field: field.name.clone(), columns: names, nearest });
                }
                0 | 1 => {}
                _ => return Err(HeaderError::Twice(field.name.clone())),
            }
        }
        Ok(Header { columns })
    }

    /// Appends the canonical encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.columns.len() as u64);
        self.columns.iter().for_each(|field| put_varint(out, field.map_or(0, |field| field as u64 + 1)));
    }

    /// Reads back what [`Header::encode`] wrote, for a source of as many fields.
    pub(super) fn decode(reader: &mut Reader<'_>, fields: usize) -> Result<Header, CodecError> {
        let mut columns = Vec::new();
        for _ in 0..reader.varint()? {
            let field = reader.number::<usize>()?.checked_sub(1);
            if field.is_some_and(|field| field >= fields || columns.contains(&Some(field))) {
                return reader.fail("a field of the source, once");
            }
            columns.push(field);
        }
        Ok(Header { columns })
    }
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Records {
    /// By field.
    targets: Vec<Target>,
    cells: Cells,
}

impl Records {
    pub(super) fn new(schema: &Schema) -> Self {
        Records { targets: Target::all(schema), cells: Cells::default() }
    }

    /// Puts the cells of a record into `row`. `record` is UTF-8.
    pub(super) fn event(&mut self, record: &[u8], header: &Header, row: &mut RowBuilder<'_>) -> Result<(), Refusal> {
        let (cells, targets) = (&mut self.cells, &self.targets);
        let cells = cells.each(record, |place, text| {
            if let Some(Some(field)) = header.columns.get(place) {
                set(row, &targets[*field], text);
            }
        });
        match cells {
            Ok(count) if count == header.columns.len() => Ok(()),
            Ok(_) => Err(Refusal::event(Reason::Ragged)),
            Err(reason) => Err(Refusal::event(reason)),
        }
    }
}

fn set(row: &mut RowBuilder<'_>, target: &Target, text: &[u8]) {
    if !row.see(target) {
        return;
    }
    match (target.ty, text) {
        (_, []) => row.null(target),
        (Type::Text, _) => row.set_text(target, text),
        (Type::Bool, b"true") => row.set_bool(target, true),
        (Type::Bool, b"false") => row.set_bool(target, false),
        (Type::Bool, _) => row.refuse(target, Reason::WrongType),
        _ => set_number(row, target, text),
    }
}

/// Hands out the texts of a record's cells, in order.
#[derive(Debug, Default)]
struct Cells {
    /// A text in which quotes stood twice, with each once.
    undoubled: Vec<u8>,
}

impl Cells {
    /// Gives each cell's place in the record and its text to `take`; malformed where a cell's quotes are broken.
    #[inline]
    fn each(&mut self, record: &[u8], mut take: impl FnMut(usize, &[u8])) -> Result<usize, Reason> {
        let (mut at, mut count) = (0, 0);
        loop {
            let cell = frame::cell(record, at);
            match cell.quotes {
                Quotes::Plain => take(count, cell.text),
                Quotes::Doubled => take(count, self.undouble(cell.text)),
                Quotes::Broken => return Err(Reason::Malformed),
            }
            count += 1;
            if cell.end == record.len() {
                return Ok(count);
            }
            at = cell.end + 1;
        }
    }

    #[cold]
    fn undouble(&mut self, mut text: &[u8]) -> &[u8] {
        self.undoubled.clear();
        while let Some(quote) = memchr(b'"', text) {
            self.undoubled.extend_from_slice(&text[..=quote]);
            text = &text[quote + 2..];
        }
        self.undoubled.extend_from_slice(text);
        &self.undoubled
    }
}
