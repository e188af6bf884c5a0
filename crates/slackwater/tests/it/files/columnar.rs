//! Parquet out: what the NDJSON output has, typed, and the same bytes for the same rows.

use crate::program::Place;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;

const CONFIG: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
[source.trades.fields]
id = "u64"
ts = "timestamp_s"
symbol = "string?"
price = "decimal(38,4)?"
n = "i64?"
x = "float64?"
on = "bool?"
[pipeline.bars]
sql = '''
SELECT symbol, first(price) AS open, sum(price) AS volume, sum(price * price) AS squares, wavg(price, price) AS vwap,
       count(*) AS trades, min(n) AS least, max(id) AS top, sum(x) AS xs, max(ts) AS latest, first("on") AS state
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 hour')
'''
"#;

fn events(count: u64) -> String {
    let event = |id: u64| {
        let symbol = if id.is_multiple_of(3) { "null".into() } else { format!("\"S{}\"", id % 5) };
        let x = if id.is_multiple_of(3) { "1.7e308" } else { "0.1" };
        let on = id.is_multiple_of(2);
        format!(
            "{{\"id\":{id},\"ts\":{},\"symbol\":{symbol},\"price\":{}.25,\"n\":-{id},\"x\":{x},\"on\":{on}}}\n",
            id * 601,
            id * 7_919 % 1_000
        )
    };
    (0..count).map(event).collect()
}

fn read(place: &Place, name: &str) -> (Arc<ParquetMetaData>, Vec<RecordBatch>) {
    let file = File::open(place.path(name)).expect("the output");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let metadata = reader.metadata().clone();
    (metadata, reader.build().expect("a reader").map(|batch| batch.expect("sound rows")).collect())
}

/// A cell as the NDJSON output has it.
fn cell(array: &dyn Array, at: usize) -> Value {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(at).into(),
        DataType::Boolean => array.as_boolean().value(at).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(at).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(at).into(),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(at) {
            x if x.is_infinite() => "inf".into(),
            x => x.into(),
        },
        DataType::Decimal128(..) => {
            array.as_primitive::<arrow_array::types::Decimal128Type>().value_as_string(at).into()
        }
        DataType::Decimal256(..) => {
            array.as_primitive::<arrow_array::types::Decimal256Type>().value_as_string(at).into()
        }
        DataType::Timestamp(_, zone) => {
            assert_eq!(zone.as_deref(), Some("UTC"));
            let mut text = String::new();
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(at);
            slackwater_core::time::format_rfc3339(nanos, &mut text).expect("memory");
            text.into()
        }
        other => panic!("{other} is no column of the output"),
    }
}

/// A number of a line, read to its last bit.
fn double(line: &str, name: &str) -> Value {
    let value = line.split(&format!("\"{name}\":")).nth(1).and_then(|rest| rest.split(',').next()).expect("a value");
    value.parse::<f64>().map_or_else(|_| serde_json::from_str(value).expect("JSON"), Value::from)
}

fn fold(place: &Place, out: &str, more: &[&str]) -> String {
    let mut args = vec!["fold", "-c", "c.toml", "--input", "trades=e.ndjson", "--out", out];
    args.extend(more);
    let ran = place.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.err
}

#[test]
fn parquet_read_back_is_the_ndjson_output() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", events(2_000));
    fold(&place, "out.ndjson", &[]);
    fold(&place, "out.parquet", &["--threads", "2"]);
    let (metadata, batches) = read(&place, "out.parquet");
    assert_eq!(metadata.file_metadata().created_by(), Some("slackwater"));
    let types: Vec<String> = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" }))
        .collect();
    let time = "Timestamp(ns, \"UTC\")?";
    let expected = [
        "pipeline Utf8",
        "symbol Utf8?",
        &format!("window_start {time}"),
        &format!("window_end {time}"),
        "tier Utf8",
        "generation UInt64",
        "cause Utf8",
        "removed Boolean",
        "open Decimal128(38, 4)?",
        "volume Decimal256(58, 4)?",
        "squares Utf8?",
        "vwap Float64?",
        "trades Int64?",
        "least Int64?",
        "top UInt64?",
        "xs Float64?",
        &format!("latest {time}"),
        "state Boolean?",
        "digest Utf8",
    ];
    assert_eq!(types, expected);
    let text = place.read("out.ndjson");
    let lines = crate::program::lines(&text);
    let mut rows = 0;
    for batch in &batches {
        for at in 0..batch.num_rows() {
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                let expected = match field.name().as_str() {
                    "removed" => Value::Bool(false),
                    name @ ("vwap" | "xs") => double(text.lines().nth(rows).expect("a line"), name),
                    name => lines[rows][name].clone(),
                };
                assert_eq!(cell(array, at), expected, "{} of row {rows}", field.name());
            }
            rows += 1;
        }
    }
    assert!(rows == lines.len() && rows > 500, "{rows} rows");
    assert!(place.read("out.ndjson").contains("\"xs\":\"inf\""), "an infinity is among them");
}

#[test]
fn the_same_rows_give_the_same_parquet_file() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", events(3_000));
    fold(&place, "a.parquet", &["--threads", "1"]);
    let first = std::fs::read(place.path("a.parquet")).expect("the output");
    let mut lines: Vec<String> = events(3_000).lines().map(String::from).collect();
    lines.reverse();
    place.write("e.ndjson", lines.join("\n"));
    for threads in ["1", "2"] {
        fold(&place, "b.parquet", &["--threads", threads]);
        assert!(std::fs::read(place.path("b.parquet")).expect("the output") == first, "{threads} threads");
    }
}

#[test]
fn parquet_out_can_be_folded_again() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", events(500));
    fold(&place, "bars.parquet", &[]);
    place.write(
        "c.toml",
        "[source.bars]\nkind = \"files\"\nformat = \"parquet\"\nidentity = \"digest\"\nevent_time = \"window_start\"\n\
         [source.bars.fields]\ndigest = \"string\"\nwindow_start = \"timestamp_ns\"\nvolume = \"decimal(38,4)?\"\n\
         [pipeline.days]\nsql = '''SELECT sum(volume) AS volume FROM bars GROUP BY tumble(window_start, INTERVAL '30 days')'''\n",
    );
    let folded = place.fold(&["bars=bars.parquet"], &[]);
    let sum: u64 = (0..500u64).map(|id| id * 7_919 % 1_000 * 4 + 1).sum();
    assert_eq!(folded.rows[0]["volume"], format!("{}.{:02}00", sum / 4, sum % 4 * 25));
}

#[test]
fn a_window_that_ends_beyond_64_bits_has_no_end() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", format!("{{\"id\":1,\"ts\":{},\"price\":1}}\n", i64::MAX / 1_000_000_000));
    fold(&place, "out.parquet", &[]);
    let (_, batches) = read(&place, "out.parquet");
    let column = |name: &str| cell(batches[0].column_by_name(name).expect("a column"), 0);
    assert_eq!((column("window_start"), column("window_end")), ("2262-04-11T23:00:00Z".into(), Value::Null));
}

#[test]
fn no_rows_are_a_file_with_columns() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", "");
    fold(&place, "out.parquet", &[]);
    let (metadata, batches) = read(&place, "out.parquet");
    assert_eq!((metadata.file_metadata().num_rows(), batches.len()), (0, 0));
    assert_eq!(metadata.file_metadata().schema_descr().num_columns(), 19);
}

#[test]
fn a_parquet_output_holds_one_pipeline_and_no_refused_events() {
    let place = Place::with(&format!(
        "{CONFIG}[pipeline.more]\nsql = '''SELECT count(*) AS n FROM trades GROUP BY tumble(ts, INTERVAL '1 day')'''\n"
    ));
    place.write("e.ndjson", events(3));
    let refused = |args: &[&str]| {
        let ran = place.run(&[&["fold", "-c", "c.toml", "--input", "trades=e.ndjson"], args].concat());
        assert_eq!(ran.code, 2, "{}", ran.err);
        ran.err
    };
    assert!(
        refused(&["--out", "o.parquet"]).contains("so a Parquet file holds one; add --pipeline with one of bars, more")
    );
    assert!(refused(&["--out", "o.parquet.zst"]).contains("name it .ndjson or .csv"));
    assert!(refused(&["--out", "o.ndjson", "--quarantine", "q.parquet"]).contains("name it .ndjson"));
    fold(&place, "o.parquet", &["--pipeline", "more"]);
    assert_eq!(place.names(), ["c.toml", "e.ndjson", "o.parquet"]);
}

#[test]
fn a_parquet_output_that_cannot_be_written_is_an_error_of_the_output() {
    let place = Place::with(CONFIG);
    place.write("e.ndjson", events(100));
    std::os::unix::fs::symlink("/dev/full", place.path("full.parquet")).expect("a link");
    let ran = place.run(&["fold", "-c", "c.toml", "--input", "trades=e.ndjson", "--out", "full.parquet"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains("full.parquet: No space left"), "{}", ran.err);
}
