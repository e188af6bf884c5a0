//! Final rows of one pipeline as a Parquet file: the columns of the NDJSON output, in its order, with their types.
//!
//! The same rows give the same bytes: the writer, the packing and the size of row groups are fixed, and no column is
//! given a dictionary by what its values happen to be.

use super::output::{OutputError, OutputFile};
use super::render::hex;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use slackwater_core::fold::Final;
use slackwater_core::number::{I384, decimal};
use slackwater_core::plan::{Pipeline, Windowing};
use slackwater_core::value::{Type, Value, elements};
use std::sync::Arc;

/// What the files say that they are written by.
const CREATED_BY: &str = "slackwater";
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 17;
/// Rows that are turned into columns at once.
const BATCH_ROWS: usize = 1 << 13;
/// Level of zstd.
const LEVEL: i32 = 3;
/// Most digits of a decimal in 128 bits, and in 256. One with more is text.
const DIGITS: [u8; 2] = [38, 76];

/// Writes the rows of a pipeline into `out`, and finishes it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(pipeline: &Pipeline, rows: &[Final], out: OutputFile) -> Result<(), OutputError> {
    let name = out.name().to_string();
    let written = columns(pipeline, rows, out).map_err(|error| match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => OutputError::of(&name, *cause),
            Err(cause) => OutputError::of(&name, std::io::Error::other(cause)),
        },
        other => OutputError::of(&name, std::io::Error::other(other)),
    });
    written?.finish()
}

fn columns(pipeline: &Pipeline, rows: &[Final], out: OutputFile) -> Result<OutputFile, ParquetError> {
    let schema = schema(pipeline);
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    // The types of Parquet say all that those of Arrow do here.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
    for rows in rows.chunks(BATCH_ROWS) {
        writer.write(&RecordBatch::try_new(schema.clone(), arrays(pipeline, rows))?)?;
    }
    writer.into_inner()
}

/// The columns that every row has behind its key: its window, which bar it is where windows are bars, and what became of
/// it. Name, type, and whether it can be null.
const SPAN: [(&str, Type, bool); 2] = [("window_start", Type::Timestamp, true), ("window_end", Type::Timestamp, true)];
const BAR: [(&str, Type, bool); 3] =
    [("anchor", Type::Timestamp, true), ("bar", Type::U64, false), ("complete", Type::Bool, false)];
const FATE: [(&str, Type, bool); 4] = [
    ("tier", Type::Text, false),
    ("generation", Type::U64, false),
    ("cause", Type::Text, false),
    ("removed", Type::Bool, false),
];

fn schema(pipeline: &Pipeline) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let value = |name: &str, ty| Field::new(name, data_type(ty), true);
    let mut fields = vec![text("pipeline")];
    fields.extend(pipeline.key.iter().map(|column| value(&column.name, column.expr.ty)));
    let bar = if matches!(pipeline.windowing, Windowing::Bars(_)) { &BAR[..] } else { &[] };
    let frame = SPAN.iter().chain(bar).chain(&FATE);
    fields.extend(frame.map(|(name, ty, nullable)| Field::new(*name, data_type(*ty), *nullable)));
    fields.extend(pipeline.columns.iter().map(|column| value(&column.name, column.expr.ty)));
    fields.push(text("digest"));
    Arc::new(Schema::new(fields))
}

fn arrays(pipeline: &Pipeline, rows: &[Final]) -> Vec<ArrayRef> {
    let text =
        |of: &dyn Fn(&Final) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
    let mut arrays = vec![text(&|_| pipeline.name.clone())];
    for (place, column) in pipeline.key.iter().enumerate() {
        let values: Vec<Value<'_>> = rows.iter().map(|row| row.key[place].value()).collect();
        arrays.push(array(column.expr.ty, &values));
    }
    arrays.push(bounds(rows, |row| row.window.start));
    arrays.push(bounds(rows, |row| row.window.end));
    if matches!(pipeline.windowing, Windowing::Bars(_)) {
        let bars = || rows.iter().filter_map(|row| row.bar);
        let anchors = bars().map(|bar| bar.anchor.and_then(|anchor| i64::try_from(anchor).ok()));
        arrays.push(times(anchors));
        arrays.push(Arc::new(UInt64Array::from_iter_values(bars().map(|bar| bar.ordinal))));
        arrays.push(Arc::new(BooleanArray::from_iter(bars().map(|bar| Some(bar.complete)))));
    }
    arrays.push(text(&|_| String::from("final")));
    arrays.push(Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.generation))));
    arrays.push(text(&|row| row.cause.code().to_string()));
    arrays.push(Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.removed)))));
    for (place, column) in pipeline.columns.iter().enumerate() {
        // A row that was removed has no values.
        let values: Vec<Value<'_>> =
            rows.iter().map(|row| row.values.get(place).map_or(Value::Null, |value| value.value())).collect();
        arrays.push(array(column.expr.ty, &values));
    }
    arrays.push(text(&|row| hex(&row.digest)));
    arrays
}

/// How the values of a type are stored.
fn data_type(ty: Type) -> DataType {
    match ty {
        Type::Decimal { precision, scale } if precision <= DIGITS[0] => DataType::Decimal128(precision, scale as i8),
        Type::Decimal { precision, scale } if precision <= DIGITS[1] => DataType::Decimal256(precision, scale as i8),
        Type::Decimal { .. } | Type::Text => DataType::Utf8,
        Type::Float64 => DataType::Float64,
        Type::U64 => DataType::UInt64,
        Type::I64 => DataType::Int64,
        Type::Bool => DataType::Boolean,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Type::Array(element) => DataType::List(item(element.ty())),
    }
}

/// What an array holds: never null.
fn item(ty: Type) -> FieldRef {
    Arc::new(Field::new_list_field(data_type(ty), false))
}

/// One column, stored as [`data_type`] says of its type.
fn array(ty: Type, values: &[Value<'_>]) -> ArrayRef {
    let (all, values) = (values, values.iter());
    let fits = "a decimal has the digits of its type";
    match ty {
        Type::Decimal { precision, scale } if precision <= DIGITS[0] => {
            let array = Decimal128Array::from_iter(values.map(|value| value.as_i128()));
            Arc::new(array.with_precision_and_scale(precision, scale as i8).expect(fits))
        }
        Type::Decimal { precision, scale } if precision <= DIGITS[1] => {
            let array = Decimal256Array::from_iter(values.map(|value| value.as_wide().map(|wide| narrow(&wide))));
            Arc::new(array.with_precision_and_scale(precision, scale as i8).expect(fits))
        }
        Type::Decimal { scale, .. } => {
            let digits = |wide| {
                let mut text = String::new();
                decimal::write_wide(&mut text, &wide, scale).expect("a String takes any text");
                text
            };
            Arc::new(StringArray::from_iter(values.map(|value| value.as_wide().map(digits))))
        }
        Type::Float64 => Arc::new(Float64Array::from_iter(values.map(|value| match value {
            Value::F64(x) => Some(*x),
            _ => None,
        }))),
        Type::U64 => Arc::new(UInt64Array::from_iter(values.map(|value| match value {
            Value::U64(x) => Some(*x),
            _ => None,
        }))),
        Type::I64 => Arc::new(Int64Array::from_iter(values.map(|value| match value {
            Value::I64(x) => Some(*x),
            _ => None,
        }))),
        Type::Bool => Arc::new(BooleanArray::from_iter(values.map(|value| value.as_bool()))),
        Type::Text => Arc::new(StringArray::from_iter(values.map(|value| match value {
            Value::Text(text) => Some(String::from_utf8_lossy(text)),
            _ => None,
        }))),
        Type::Timestamp => times(values.map(|value| match value {
            Value::Time(nanos) => Some(*nanos),
            _ => None,
        })),
        Type::Array(element) => list(element.ty(), all),
    }
}

/// Arrays as one list of all their elements, and where each array ends.
fn list(ty: Type, arrays: &[Value<'_>]) -> ArrayRef {
    let each = arrays.iter().map(|array| match array {
        Value::Array(bytes) => elements(bytes).collect(),
        _ => Vec::new(),
    });
    let each: Vec<Vec<Value<'_>>> = each.collect();
    let offsets = OffsetBuffer::from_lengths(each.iter().map(Vec::len));
    let nulls = arrays.iter().map(|array| !array.is_null()).collect::<Vec<bool>>().into();
    let values = each.concat();
    Arc::new(ListArray::new(item(ty), offsets, array(ty, &values), Some(nulls)))
}

/// Bounds of windows. One outside 64-bit nanoseconds, as the last window's end may be, is null.
fn bounds(rows: &[Final], of: impl Fn(&Final) -> i128) -> ArrayRef {
    times(rows.iter().map(|row| i64::try_from(of(row)).ok()))
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

/// A decimal of at most 76 digits in 256 bits.
fn narrow(wide: &I384) -> i256 {
    let mut text = String::new();
    decimal::write_wide(&mut text, wide, 0).expect("a String takes any text");
    i256::from_string(&text).expect("76 digits fit in 256 bits")
}
