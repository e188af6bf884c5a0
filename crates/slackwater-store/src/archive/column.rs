//! Contents as columns, and back.

use super::change::{Change, Changes};
use super::shelf::{RESERVED, Shelf};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int8Type, Int64Type, TimestampNanosecondType, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int8Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;
use slackwater_core::input::Position;
use slackwater_core::row::{Row, put_content};
use slackwater_core::value::{Type, Value};
use std::sync::Arc;

/// Changes of one source as columns.
pub(super) fn arrays(shelf: &Shelf, changes: &[Change<'_>]) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut arrays = Vec::new();
    for field in shelf.fields() {
        arrays.push(content(shelf, field, changes)?);
    }
    let rows = || changes.iter();
    arrays.push(Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.tick))));
    arrays.push(Arc::new(Int8Array::from_iter_values(rows().map(|row| if row.plus { 1 } else { -1 }))));
    arrays.push(Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.version))));
    arrays.push(Arc::new(UInt32Array::from_iter_values(rows().map(|row| row.decoder))));
    let arrivals = rows().map(|row| row.arrival).collect::<TimestampNanosecondArray>();
    arrays.push(Arc::new(arrivals.with_timezone("UTC")));
    arrays.push(text(rows().map(|row| Value::Text(row.part.as_bytes())), changes.len())?);
    arrays.push(Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.position.offset))));
    arrays.push(Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.position.line))));
    Ok(arrays)
}

/// The column of a content field.
fn content(shelf: &Shelf, field: usize, changes: &[Change<'_>]) -> Result<ArrayRef, ArrowError> {
    let declared = &shelf.schema.fields()[field];
    let values = changes.iter().map(|change| Row::new(&shelf.schema, change.content).get(field));
    Ok(match declared.ty {
        Type::Decimal { precision, scale } => {
            let mantissas =
                values.map(|value| if let Value::Decimal(mantissa) = value { Some(mantissa) } else { None });
            let array: Decimal128Array = numbers(mantissas, declared.nullable);
            Arc::new(array.with_precision_and_scale(precision, scale as i8)?)
        }
        Type::Float64 => {
            let doubles = values.map(|value| if let Value::F64(double) = value { Some(double) } else { None });
            Arc::new(numbers::<Float64Type>(doubles, declared.nullable)) as ArrayRef
        }
        Type::U64 => {
            let whole = values.map(|value| if let Value::U64(whole) = value { Some(whole) } else { None });
            Arc::new(numbers::<UInt64Type>(whole, declared.nullable))
        }
        Type::I64 => {
            let whole = values.map(|value| if let Value::I64(whole) = value { Some(whole) } else { None });
            Arc::new(numbers::<Int64Type>(whole, declared.nullable))
        }
        Type::Timestamp => {
            let times = values.map(|value| if let Value::Time(nanos) = value { Some(nanos) } else { None });
            let array: TimestampNanosecondArray = numbers(times, declared.nullable);
            Arc::new(array.with_timezone("UTC"))
        }
        Type::Bool => Arc::new(values.map(|value| value.as_bool()).collect::<BooleanArray>()),
        Type::Text | Type::Array(_) => text(values, changes.len())?,
    })
}

fn numbers<T: ArrowPrimitiveType>(
    values: impl Iterator<Item = Option<T::Native>>,
    nullable: bool,
) -> PrimitiveArray<T> {
    if nullable {
        return values.collect();
    }
    PrimitiveArray::from_iter_values(values.map(|value| value.unwrap_or_default()))
}

fn text<'a>(values: impl Iterator<Item = Value<'a>>, count: usize) -> Result<ArrayRef, ArrowError> {
    let (mut bytes, mut lengths, mut there) = (Vec::new(), Vec::with_capacity(count), Vec::with_capacity(count));
    for value in values {
        let text = if let Value::Text(text) = value { text } else { &[] };
        bytes.extend_from_slice(text);
        lengths.push(text.len());
        there.push(!value.is_null());
    }
    let nulls = Some(NullBuffer::from(there)).filter(|nulls| nulls.null_count() > 0);
    Ok(Arc::new(StringArray::try_new(OffsetBuffer::from_lengths(lengths), Buffer::from_vec(bytes), nulls)?))
}

/// A column that is read, by the type of its field.
enum Cells<'a> {
    Decimal(&'a Decimal128Array),
    F64(&'a Float64Array),
    U64(&'a UInt64Array),
    I64(&'a Int64Array),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    Time(&'a TimestampNanosecondArray),
    /// No content.
    None,
}

impl<'a> Cells<'a> {
    fn new(ty: Type, array: &'a dyn Array) -> Option<Cells<'a>> {
        Some(match ty {
            Type::Decimal { .. } => Cells::Decimal(array.as_primitive_opt::<Decimal128Type>()?),
            Type::Float64 => Cells::F64(array.as_primitive_opt::<Float64Type>()?),
            Type::U64 => Cells::U64(array.as_primitive_opt::<UInt64Type>()?),
            Type::I64 => Cells::I64(array.as_primitive_opt::<Int64Type>()?),
            Type::Bool => Cells::Bool(array.as_boolean_opt()?),
            Type::Text => Cells::Text(array.as_string_opt()?),
            Type::Timestamp => Cells::Time(array.as_primitive_opt::<TimestampNanosecondType>()?),
            Type::Array(_) => return None,
        })
    }

    #[inline]
    fn value(&self, at: usize) -> Value<'a> {
        match self {
            Cells::Decimal(cells) if cells.is_valid(at) => Value::Decimal(cells.value(at)),
            Cells::F64(cells) if cells.is_valid(at) => Value::F64(cells.value(at)),
            Cells::U64(cells) if cells.is_valid(at) => Value::U64(cells.value(at)),
            Cells::I64(cells) if cells.is_valid(at) => Value::I64(cells.value(at)),
            Cells::Bool(cells) if cells.is_valid(at) => Value::Bool(cells.value(at)),
            Cells::Text(cells) if cells.is_valid(at) => Value::Text(cells.value(at).as_bytes()),
            Cells::Time(cells) if cells.is_valid(at) => Value::Time(cells.value(at)),
            _ => Value::Null,
        }
    }
}

/// Appends the rows of a batch; none where its columns are not those of the shelf.
pub(super) fn changes(shelf: &Shelf, source: u16, batch: &RecordBatch, out: &mut Changes) -> Option<()> {
    let mut cells = Vec::with_capacity(shelf.schema.fields().len());
    let mut column = 0;
    for (index, field) in shelf.schema.fields().iter().enumerate() {
        if shelf.schema.is_content(index) {
            cells.push(Cells::new(field.ty, batch.columns().get(column)?)?);
            column += 1;
        } else {
            cells.push(Cells::None);
        }
    }
    let [tick, sign, version, decoder, arrival, part, offset, line] = batch.columns().get(column..)? else {
        const { assert!(RESERVED.len() == 8) };
        return None;
    };
    let tick = tick.as_primitive_opt::<UInt64Type>()?;
    let sign = sign.as_primitive_opt::<Int8Type>()?;
    let version = version.as_primitive_opt::<UInt64Type>()?;
    let decoder = decoder.as_primitive_opt::<UInt32Type>()?;
    let arrival = arrival.as_primitive_opt::<TimestampNanosecondType>()?;
    let part = part.as_string_opt::<i32>()?;
    let offset = offset.as_primitive_opt::<UInt64Type>()?;
    let line = line.as_primitive_opt::<UInt64Type>()?;
    for at in 0..batch.num_rows() {
        let start = out.room().len();
        if !put_content(&shelf.schema, |field| cells[field].value(at), out.room()) {
            return None;
        }
        let change = Change {
            source,
            tick: tick.value(at),
            plus: sign.value(at) == 1,
            version: version.value(at),
            decoder: decoder.value(at),
            arrival: arrival.is_valid(at).then(|| arrival.value(at)),
            part: part.value(at),
            position: Position { offset: offset.value(at), line: line.value(at) },
            content: &[],
        };
        out.push_put(&change, start);
    }
    Some(())
}
