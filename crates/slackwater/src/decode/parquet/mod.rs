//! Parquet row groups to the fields of rows: which column holds which declared field, read once from a file's footer.
//!
//! Columns are read by their physical type, and what their annotation says of it is applied here, value by value: so
//! one event is refused for one value, as in other formats. A column whose type can hold no value of its field, or only
//! inexact ones, does not fit at all, and the file is not begun.

mod cells;
mod group;
mod raw;

pub(super) use group::Reader;
pub use group::is_guarded;

use super::spelling::nearest;
use cells::Kind;
use group::guarded;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaDataOptions, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::{SchemaDescriptor, Type as ColumnType};
use slackwater_core::schema::{Field, Schema};
use slackwater_core::value::Type;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// Bytes at the end of a file that say how long its footer is.
pub const TAIL_BYTES: usize = 8;
/// The tail, and the mark at the beginning.
const LEAST_BYTES: u64 = TAIL_BYTES as u64 + 4;

/// Why the columns of a file cannot hold the events of a source, or where the file is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Bytes that no writer of Parquet makes.
    #[error(
        "the Parquet footer is damaged or cut off: {0}; fetch the file again, and check that it is a Parquet file at all"
    )]
    Damaged(String),
    /// Encrypted.
    #[error("the file is encrypted, which is not read; decrypt it first")]
    Encrypted,
    /// A declared field with two columns.
    #[error("the file has two columns `{0}`, so it is not clear which holds the declared field: rename one")]
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
    /// A column that cannot hold its field.
    #[error("the column `{field}` is {column}, and the field is declared {declared}; {help}")]
    Unfit {
        /// Name of the column and of the field.
        field: String,
        /// What the column is.
        column: String,
        /// Type of the field.
        declared: Type,
        /// What to do.
        help: &'static str,
    },
}

fn missing(field: &str, columns: &[String], nearest: Option<&str>) -> String {
    let hint = match nearest {
        Some(column) => format!("did you mean `{column}`? Name the field as the file does"),
        None => format!("name the field as the file does, or declare `{field}` with a `?` if it may be absent"),
    };
    format!("there is no column `{field}`, which is a required field; the columns are {}; {hint}", columns.join(", "))
}

impl From<ParquetError> for LayoutError {
    fn from(error: ParquetError) -> Self {
        LayoutError::Damaged(error.to_string())
    }
}

/// Bytes of the footer that stands before a file's last [`TAIL_BYTES`].
///
/// # Errors
/// When these are no end of a Parquet file of `size` bytes.
pub fn footer_bytes(tail: [u8; TAIL_BYTES], size: u64) -> Result<usize, LayoutError> {
    let tail = FooterTail::try_new(&tail)?;
    if tail.is_encrypted_footer() {
        return Err(LayoutError::Encrypted);
    }
    match tail.metadata_length() {
        length if size >= LEAST_BYTES && length as u64 <= size - LEAST_BYTES => Ok(length),
        length => Err(LayoutError::Damaged(format!("it claims {length} bytes of a file of {size}"))),
    }
}

/// Where the columns of the declared fields are in a file, and how to read them.
#[derive(Debug)]
pub struct Layout {
    /// The footer that all is read from, and the size of the file that it claims to describe.
    footer: Vec<u8>,
    size: u64,
    metadata: ArrowReaderMetadata,
    /// The columns that are read, in the order of the file.
    leaves: Vec<usize>,
    mask: ProjectionMask,
    /// By declared field; none where there is no such column, and every value is null.
    columns: Vec<Option<Column>>,
}

/// The column of a declared field.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// Which of the columns that are read it is.
    place: usize,
    kind: Kind,
}

impl Layout {
    /// Reads the footer of a file of `size` bytes.
    ///
    /// # Errors
    /// When it is damaged, or the columns cannot hold the events of `schema`.
    pub fn read(footer: &[u8], size: u64, schema: &Schema) -> Result<Layout, LayoutError> {
        guarded(|| Ok(Self::try_read(footer, size, schema))).unwrap_or_else(|cause| Err(LayoutError::Damaged(cause)))
    }

    fn try_read(footer: &[u8], size: u64, schema: &Schema) -> Result<Layout, LayoutError> {
        let written = ParquetMetaDataReader::decode_schema(footer)?;
        let found = columns(&written, schema)?;
        let mut leaves: Vec<usize> = found.iter().flatten().map(|(leaf, _)| *leaf).collect();
        leaves.sort_unstable();
        let column = |(leaf, kind)| {
            let place = leaves.iter().position(|read| *read == leaf).expect("every column of a field is read");
            Column { place, kind }
        };
        let columns = found.into_iter().map(|found| found.map(column)).collect();
        let plain = Arc::new(SchemaDescriptor::new(Arc::new(unannotated(&written)?)));
        let options = ParquetMetaDataOptions::new().with_schema(plain.clone());
        let metadata = ParquetMetaDataReader::decode_metadata_with_options(footer, Some(&options))?;
        for (number, group) in metadata.row_groups().iter().enumerate() {
            check(group, &leaves, size - footer.len() as u64 - TAIL_BYTES as u64)
                .map_err(|cause| LayoutError::Damaged(format!("row group {number}: {cause}")))?;
        }
        let rows = metadata.row_groups().iter().try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()));
        if rows.is_none() {
            return Err(LayoutError::Damaged(String::from("it claims more rows than can be counted")));
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::new(views(&plain)?));
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)?;
        let mask = ProjectionMask::leaves(&plain, leaves.iter().copied());
        Ok(Layout { footer: footer.to_vec(), size, metadata, leaves, mask, columns })
    }

    /// The footer, and the size of its file: what [`Layout::read`] was given.
    pub fn footer(&self) -> (&[u8], u64) {
        (&self.footer, self.size)
    }

    /// How many row groups the file has.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Rows of a row group.
    pub fn rows(&self, group: usize) -> u64 {
        self.group(group).num_rows() as u64
    }

    /// Where the columns of a row group lie that are to be read, as offsets in the file.
    pub fn ranges(&self, group: usize) -> impl Iterator<Item = Range<u64>> {
        let group = self.group(group);
        self.leaves.iter().map(|leaf| {
            let (start, length) = group.column(*leaf).byte_range();
            start..start + length
        })
    }

    fn group(&self, group: usize) -> &RowGroupMetaData {
        self.metadata.metadata().row_group(group)
    }
}

/// What a footer claims of a row group is held against the `end` of the file's content, for memory is taken by it.
fn check(group: &RowGroupMetaData, leaves: &[usize], end: u64) -> Result<(), String> {
    let mut sum = 0;
    for leaf in leaves {
        let column = group.columns().get(*leaf).ok_or("it lacks a column")?;
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let (start, length) = (u64::try_from(start), u64::try_from(column.compressed_size()));
        let (Ok(start), Ok(length)) = (start, length) else { return Err(String::from("a place in it is negative")) };
        sum = length.checked_add(sum).filter(|sum| *sum <= end).ok_or("it is larger than the file")?;
        if start.checked_add(length).is_none_or(|stop| stop > end) {
            return Err(String::from("it reaches beyond the end of the file"));
        }
        if group.num_rows() < 0 || column.num_values() != group.num_rows() {
            return Err(format!("a column has {} values for {} rows", column.num_values(), group.num_rows()));
        }
    }
    Ok(())
}

/// The leaf and the kind of each declared field's column.
fn columns(written: &SchemaDescriptor, schema: &Schema) -> Result<Vec<Option<(usize, Kind)>>, LayoutError> {
    let roots = written.root_schema().get_fields();
    let names = || roots.iter().map(|root| root.name());
    let mut found = Vec::new();
    for field in schema.fields() {
        let mut same = (0..roots.len()).filter(|root| roots[*root].name() == field.name);
        let Some(root) = same.next() else {
            if !field.nullable {
                let nearest = nearest(&field.name, names().filter(|name| schema.index(name).is_none()));
                let (nearest, columns) = (nearest.map(String::from), names().map(String::from).collect());
                return Err(LayoutError::Missing { field: field.name.clone(), columns, nearest });
            }
            found.push(None);
            continue;
        };
        if same.next().is_some() {
            return Err(LayoutError::Twice(field.name.clone()));
        }
        let kind = fit(&roots[root], field)?;
        let leaf = (0..written.num_columns()).find(|leaf| written.get_column_root_idx(*leaf) == root);
        let leaf = leaf.ok_or_else(|| LayoutError::Damaged(format!("`{}` has no values", field.name)))?;
        found.push(Some((leaf, kind)));
    }
    Ok(found)
}

/// What the values of a column are, if a field can be read from them.
fn fit(column: &ColumnType, field: &Field) -> Result<Kind, LayoutError> {
    let kind = kind(column);
    let exact = matches!(field.ty, Type::Decimal { .. } | Type::U64 | Type::I64 | Type::Timestamp);
    let help = match (field.ty, kind) {
        (Type::Text, Some(kind @ Kind::Text)) | (Type::Bool, Some(kind @ Kind::Bool)) => return Ok(kind),
        (Type::Float64, Some(kind @ Kind::Float)) | (Type::Timestamp, Some(kind @ Kind::Time { .. })) => {
            return Ok(kind);
        }
        (Type::Text | Type::Bool, Some(_)) => "declare it as what it is, or cast it where the file is made",
        (_, Some(kind @ (Kind::Signed | Kind::Unsigned | Kind::Decimal { .. } | Kind::Text))) => return Ok(kind),
        (_, Some(Kind::Float)) if exact => {
            "a float does not hold exact values: cast it where the file is made, to DECIMAL for a decimal field, or \
             declare the field float64"
        }
        (_, Some(_)) => "cast it where the file is made, or declare the field as what the column holds",
        (_, None) if column.is_group() => "a field is one value of a row: flatten it where the file is made",
        (Type::Text, None) => "only text that is marked as such is read: cast it to text where the file is made",
        (Type::Timestamp, None) => "cast it to a TIMESTAMP of milli-, micro- or nanoseconds where the file is made",
        (_, None) => "cast it to the declared type where the file is made",
    };
    let (field, declared) = (field.name.clone(), field.ty);
    Err(LayoutError::Unfit { field, column: describe(column), declared, help })
}

/// What the values of a column are; none for what no field can hold.
fn kind(column: &ColumnType) -> Option<Kind> {
    let info = column.get_basic_info();
    if column.is_group() || (info.has_repetition() && info.repetition() == Repetition::REPEATED) {
        return None;
    }
    let scale = |scale: i32| u8::try_from(scale).ok().filter(|scale| *scale <= 76);
    let nanos = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    };
    let physical = column.get_physical_type();
    let integer = matches!(physical, Physical::INT32 | Physical::INT64);
    let number = integer || matches!(physical, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Decimal(decimal)), _) if number => Some(Kind::Decimal { scale: scale(decimal.scale)? }),
        (None, ConvertedType::DECIMAL) if number => Some(Kind::Decimal { scale: scale(column.get_scale())? }),
        (Some(LogicalType::Timestamp(time)), _) if integer => Some(Kind::Time { nanos: nanos(&time.unit) }),
        (None, ConvertedType::TIMESTAMP_MILLIS) if integer => Some(Kind::Time { nanos: 1_000_000 }),
        (None, ConvertedType::TIMESTAMP_MICROS) if integer => Some(Kind::Time { nanos: 1_000 }),
        (Some(LogicalType::Integer(number)), _) if integer => {
            Some(if number.is_signed { Kind::Signed } else { Kind::Unsigned })
        }
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64)
            if integer =>
        {
            Some(Kind::Unsigned)
        }
        (
            None,
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
        ) if integer => Some(Kind::Signed),
        (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
        | (None, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => {
            (physical == Physical::BYTE_ARRAY).then_some(Kind::Text)
        }
        (None, ConvertedType::NONE) => match physical {
            Physical::BOOLEAN => Some(Kind::Bool),
            Physical::FLOAT | Physical::DOUBLE => Some(Kind::Float),
            _ => None,
        },
        _ => None,
    }
}

/// A column's type in a few words.
fn describe(column: &ColumnType) -> String {
    if column.is_group() {
        return String::from("nested (a list, map or struct)");
    }
    let (info, physical) = (column.get_basic_info(), column.get_physical_type());
    if info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return format!("a list of {physical}");
    }
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Decimal(decimal)), _) => format!("DECIMAL({},{})", decimal.precision, decimal.scale),
        (Some(LogicalType::Timestamp(_)), _) => String::from("TIMESTAMP"),
        (Some(LogicalType::Integer(number)), _) => {
            format!("{}INT{}", if number.is_signed { "" } else { "U" }, number.bit_width)
        }
        (_, ConvertedType::NONE) if info.logical_type_ref().is_none() => physical.to_string(),
        (None, converted) => format!("{physical} ({converted})"),
        (Some(logical), _) => {
            let name = format!("{logical:?}");
            let word = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
            format!("{physical} ({})", word.to_uppercase())
        }
    }
}

/// The schema of a file without the annotations of integers, floats and texts. So their values come as they are
/// stored: unsigned ones with the sign of their bits, texts unchecked.
fn unannotated(written: &SchemaDescriptor) -> Result<ColumnType, ParquetError> {
    let root = written.root_schema();
    let mut fields = Vec::new();
    for column in root.get_fields() {
        let decimal = matches!(kind(column), Some(Kind::Decimal { .. }));
        let plain = !column.is_group() && (!decimal || is_integer(column));
        fields.push(if plain { Arc::new(bare(column)?) } else { column.clone() });
    }
    ColumnType::group_type_builder(root.name()).with_fields(fields).build()
}

fn is_integer(column: &ColumnType) -> bool {
    matches!(column.get_physical_type(), Physical::INT32 | Physical::INT64)
}

fn bare(column: &ColumnType) -> Result<ColumnType, ParquetError> {
    let length = match column {
        ColumnType::PrimitiveType { type_length, .. } => *type_length,
        ColumnType::GroupType { .. } => -1,
    };
    ColumnType::primitive_type_builder(column.name(), column.get_physical_type())
        .with_repetition(column.get_basic_info().repetition())
        .with_length(length)
        .build()
}

/// The columns as arrays; texts as views, which point into a page or its dictionary instead of repeating it.
fn views(plain: &SchemaDescriptor) -> Result<arrow_schema::Schema, ParquetError> {
    let schema = parquet_to_arrow_schema(plain, None)?;
    let view = |field: &Arc<arrow_schema::Field>| match field.data_type() {
        arrow_schema::DataType::Binary => {
            Arc::new(field.as_ref().clone().with_data_type(arrow_schema::DataType::BinaryView))
        }
        _ => field.clone(),
    };
    Ok(arrow_schema::Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>()))
}
