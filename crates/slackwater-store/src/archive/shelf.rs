//! How the facts of one source are sorted, and which columns they have.

use super::change::Change;
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use slackwater_core::row::{IdentityBytes, Row, put_ordered};
use slackwater_core::schema::Schema;
use slackwater_core::value::{Type, Value};
use std::sync::Arc;

/// Names of the columns behind the content, without their underscores.
pub(super) const RESERVED: [&str; 8] = ["tick", "sign", "version", "decoder", "arrival", "part", "offset", "line"];
/// Bytes of tick and sign at the end of a sort key.
const WHEN_BYTES: usize = 9;

/// A source's schema, and what its facts are sorted by.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Its schema.
    pub schema: Schema,
    /// Fields that its facts are sorted by before their time, by index: the keys that are asked for most.
    pub sort: Vec<usize>,
}

impl Shelf {
    /// The fields that are content, by index.
    pub(super) fn fields(&self) -> impl Iterator<Item = usize> {
        (0..self.schema.fields().len()).filter(|field| self.schema.is_content(*field))
    }

    /// The column of a content field.
    pub(super) fn column_of(&self, field: usize) -> usize {
        self.fields().take_while(|other| *other < field).count()
    }

    /// The columns of its segments.
    pub(super) fn columns(&self) -> SchemaRef {
        let declared = self.fields().map(|field| &self.schema.fields()[field]);
        let mut columns: Vec<Field> =
            declared.map(|field| Field::new(&field.name, data_type(field.ty), field.nullable)).collect();
        let mut mark = String::from("_");
        let clashes = |mark: &str| {
            columns.iter().any(|column| {
                let rest = column.name().strip_prefix(mark);
                rest.is_some_and(|rest| RESERVED.iter().any(|name| name.eq_ignore_ascii_case(rest)))
            })
        };
        while clashes(&mark) {
            mark.push('_');
        }
        let types = [
            DataType::UInt64,
            DataType::Int8,
            DataType::UInt64,
            DataType::UInt32,
            data_type(Type::Timestamp),
            DataType::Utf8,
            DataType::UInt64,
            DataType::UInt64,
        ];
        columns.extend(
            RESERVED.iter().zip(types).map(|(name, ty)| Field::new(format!("{mark}{name}"), ty, *name == "arrival")),
        );
        Arc::new(arrow_schema::Schema::new(columns))
    }

    /// Appends a sort key: byte order is the order of rows in a segment.
    pub(super) fn put_key(&self, change: &Change<'_>, ids: &mut IdentityBytes, out: &mut Vec<u8>) {
        let row = Row::new(&self.schema, change.content);
        self.sort.iter().for_each(|field| put_nullable(row.get(*field), out));
        put_ordered(Value::Time(row.event_time()), out);
        out.extend_from_slice(ids.of(row, change.source, (change.part, change.position.offset)));
        out.extend_from_slice(&change.tick.to_be_bytes());
        out.push(u8::from(change.plus));
    }
}

/// What a sort key has before tick and sign: rows of one identity and event time share it.
pub(super) fn who(key: &[u8]) -> &[u8] {
    &key[..key.len() - WHEN_BYTES]
}

/// Appends a value so that byte order is value order, nulls first.
fn put_nullable(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::F64(value) => {
            let bits = value.to_bits();
            let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
            out.push(1);
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        value => {
            out.push(1);
            put_ordered(value, out);
        }
    }
}

/// How the values of a declared type are stored. No field is an array, so none is stored.
fn data_type(ty: Type) -> DataType {
    match ty {
        Type::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
        Type::Float64 => DataType::Float64,
        Type::U64 => DataType::UInt64,
        Type::I64 => DataType::Int64,
        Type::Bool => DataType::Boolean,
        Type::Text => DataType::Utf8,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Type::Array(_) => DataType::Null,
    }
}
