//! Bytes to rows and refusals, through the public API.

mod borders;
mod csv;
mod json;
mod nulls;
mod numbers;
mod times;

use slackwater::decode::{Chunk, Decoder, Format, Header};
use slackwater_core::input::{Batch, Decoded};
use slackwater_core::plan::Source;
use slackwater_core::row::Row;
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema, Unit};
use slackwater_core::value::{Type, Value};
use std::sync::Arc;

/// A schema of `name:type` words; position is the identity, and `ts` the event time.
pub fn schema(fields: &str) -> Schema {
    let fields: Vec<Field> = fields.split_whitespace().map(field).collect();
    let event_time = fields.iter().position(|field| field.name == "ts").expect("a field ts");
    let roles = Roles {
        identity: IdentityRule::Position,
        event_time,
        origin: None,
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    };
    Schema::new(fields, roles).expect("a sound schema")
}

fn field(text: &str) -> Field {
    let (name, ty) = text.split_once(':').expect("name:type");
    let (ty, nullable) = ty.strip_suffix('?').map_or((ty, false), |plain| (plain, true));
    let (ty, unit) = match ty {
        "u64" => (Type::U64, Unit::Nanos),
        "i64" => (Type::I64, Unit::Nanos),
        "f64" => (Type::Float64, Unit::Nanos),
        "bool" => (Type::Bool, Unit::Nanos),
        "string" => (Type::Text, Unit::Nanos),
        "s" => (Type::Timestamp, Unit::Seconds),
        "ms" => (Type::Timestamp, Unit::Millis),
        "us" => (Type::Timestamp, Unit::Micros),
        "ns" => (Type::Timestamp, Unit::Nanos),
        decimal => {
            let (precision, scale) = decimal.strip_prefix('d').and_then(|d| d.split_once(',')).expect("d18,4");
            let (precision, scale) = (precision.parse().expect("digits"), scale.parse().expect("digits"));
            (Type::Decimal { precision, scale }, Unit::Nanos)
        }
    };
    Field { name: name.to_string(), ty, unit, nullable }
}

/// Decodes a text that is one chunk; a CSV text begins with its header.
pub fn decode(schema: &Schema, format: Format, text: impl AsRef<[u8]>) -> Batch {
    let mut bytes = text.as_ref();
    let (mut offset, mut line, mut header) = (0, 1, None);
    if format == Format::Csv {
        let end = bytes.iter().position(|byte| *byte == b'\n').expect("a header line");
        header = Some(Header::Csv(Arc::new(parsed(&bytes[..end], schema))));
        bytes = &bytes[end + 1..];
        (offset, line) = (end as u64 + 1, 2);
    }
    let chunk = Chunk { source: 3, part: "file".into(), offset, line, bytes: bytes.to_vec(), header, arrival: None };
    Decoder::new(&Source::new("events", schema.clone()), format).decode(&chunk)
}

fn parsed(record: &[u8], schema: &Schema) -> slackwater::decode::csv::Header {
    slackwater::decode::csv::Header::parse(record, schema).expect("a sound header")
}

/// Each entry as `a|b|c`, or as its reason and field.
pub fn show(schema: &Schema, batch: &Batch) -> Vec<String> {
    let entry = |entry| show_entry(schema, batch, entry);
    batch.entries().iter().map(entry).collect()
}

fn show_entry(schema: &Schema, batch: &Batch, entry: &slackwater_core::input::Entry) -> String {
    match entry.decoded {
        Decoded::Refused(refusal) => match refusal.field {
            Some(field) => format!("{} {}", refusal.reason.code(), schema.fields()[usize::from(field)].name),
            None => refusal.reason.code().to_string(),
        },
        Decoded::Row(_) => {
            let content = batch.bytes(entry);
            assert!(Row::check(schema, content), "a decoder makes only content that the core accepts");
            let row = Row::new(schema, content);
            let values = (0..schema.fields().len()).map(|field| show_value(row.get(field)));
            values.collect::<Vec<_>>().join("|")
        }
    }
}

fn show_value(value: Value<'_>) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::Bool(v) => v.to_string(),
        Value::I64(v) | Value::Time(v) => v.to_string(),
        Value::U64(v) => v.to_string(),
        Value::F64(v) => format!("{v:?}"),
        Value::Decimal(v) => v.to_string(),
        Value::Text(v) => String::from_utf8(v.to_vec()).expect("texts are UTF-8"),
        Value::Wide(_) | Value::Array(_) => panic!("no field is wide or an array"),
    }
}

/// What one JSON event decodes to: alone, and among its like, where its keys are known and bytes stand behind it.
pub fn json(schema: &Schema, event: impl AsRef<[u8]>) -> String {
    let event = event.as_ref();
    let alone = one(schema, &decode(schema, Format::Json, event));
    for line_end in ["\n", "\r\n"] {
        let among = decode(schema, Format::Json, [event; 3].join(line_end.as_bytes()));
        assert_eq!(show(schema, &among), [&*alone; 3], "{line_end:?}");
        let (last, size) = (&among.entries()[2], event.len() + line_end.len());
        assert_eq!((last.position.offset, last.position.line), (2 * size as u64, 3));
    }
    alone
}

/// What one CSV record decodes to, under a header of the schema's own names.
pub fn csv(schema: &Schema, record: &str) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name.as_str()).collect();
    one(schema, &decode(schema, Format::Csv, format!("{}\n{record}", names.join(","))))
}

fn one(schema: &Schema, batch: &Batch) -> String {
    let [entry] = &show(schema, batch)[..] else { panic!("not one event: {:?}", show(schema, batch)) };
    entry.clone()
}
