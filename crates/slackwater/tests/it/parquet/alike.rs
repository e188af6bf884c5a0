//! The same events as NDJSON, CSV and Parquet: the same rows, digests and verdicts.

use super::{config, file, plain};
use crate::program::Place;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::Arc;

/// One event, each of whose fields may be null.
#[derive(Clone, Debug)]
struct Event {
    id: Option<u64>,
    time: Option<i64>,
    price: Option<i128>,
    x: Option<f64>,
    n: Option<i64>,
    on: Option<bool>,
    text: Option<String>,
}

fn source(format: &str) -> String {
    format!(
        r#"
[source.trades]
kind = "files"
format = "{format}"
identity = "id"
event_time = "ts"
require = ["n < 1000 OR n IS NULL"]
[source.trades.fields]
id = "u64"
ts = "timestamp_ns"
price = "decimal(20,3)?"
x = "float64?"
n = "i64?"
on = "bool?"
note = "string?"
absent = "string?"
[pipeline.all]
sql = '''
SELECT note, absent, on, min(price) AS low, sum(price) AS volume, sum(x) AS xs, max(n) AS most, count(*) AS events,
       first(price) AS open
FROM trades GROUP BY note, absent, on, tumble(ts, INTERVAL '1 hour')
'''
"#
    )
    .replace("on,", "\"on\",")
    .replace("AS \"on\"", "AS on")
}

fn json(events: &[Event]) -> String {
    let mut out = String::new();
    for event in events {
        let mut fields = Vec::new();
        fields.extend(event.id.map(|id| format!("\"id\":{id}")));
        fields.extend(event.time.map(|time| format!("\"ts\":{time}")));
        fields.extend(event.price.map(|price| format!("\"price\":{price}e-3")));
        fields.extend(event.x.map(|x| format!("\"x\":\"{x:?}\"")));
        fields.extend(event.n.map(|n| format!("\"n\":{n}")));
        fields.extend(event.on.map(|on| format!("\"on\":{on}")));
        fields.extend(event.text.as_ref().map(|text| format!("\"note\":{}", serde_json::json!(text))));
        writeln!(out, "{{{}}}", fields.join(",")).expect("memory");
    }
    out
}

fn csv(events: &[Event]) -> String {
    let mut out = String::from("id,ts,price,x,n,on,note\n");
    let cell = |value: Option<String>| value.unwrap_or_default();
    for event in events {
        let cells = [
            cell(event.id.map(|id| id.to_string())),
            cell(event.time.map(|time| time.to_string())),
            cell(event.price.map(|price| format!("{price}e-3"))),
            cell(event.x.map(|x| format!("{x:?}"))),
            cell(event.n.map(|n| n.to_string())),
            cell(event.on.map(|on| on.to_string())),
            cell(event.text.as_ref().map(|text| format!("\"{}\"", text.replace('"', "\"\"")))),
        ];
        writeln!(out, "{}", cells.join(",")).expect("memory");
    }
    out
}

fn columns(events: &[Event]) -> Vec<(&'static str, ArrayRef)> {
    let prices = Decimal128Array::from_iter(events.iter().map(|event| event.price));
    vec![
        ("note", Arc::new(StringArray::from_iter(events.iter().map(|event| event.text.as_deref())))),
        ("id", Arc::new(UInt64Array::from_iter(events.iter().map(|event| event.id)))),
        ("other", Arc::new(Int64Array::from_iter_values(0..events.len() as i64))),
        (
            "ts",
            Arc::new(TimestampNanosecondArray::from_iter(events.iter().map(|event| event.time)).with_timezone("UTC")),
        ),
        ("price", Arc::new(prices.with_precision_and_scale(22, 3).expect("digits"))),
        ("x", Arc::new(Float64Array::from_iter(events.iter().map(|event| event.x)))),
        ("n", Arc::new(Int64Array::from_iter(events.iter().map(|event| event.n)))),
        ("on", Arc::new(BooleanArray::from_iter(events.iter().map(|event| event.on)))),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let time = prop_oneof![8 => 0..7_200_000_000_000i64, 1 => any::<i64>()];
    let price = prop_oneof![8 => -10i128.pow(8)..10i128.pow(8), 1 => -10i128.pow(21)..10i128.pow(21)];
    let x = prop_oneof![any::<f64>(), Just(f64::NAN), Just(-0.0), Just(f64::INFINITY), -1e3..1e3];
    let n = prop_oneof![any::<i64>(), -2_000..2_000i64];
    let text = "[a-c\"',é\\\\]{1,3}";
    let fields = (
        proptest::option::weighted(0.95, 0..60u64),
        proptest::option::weighted(0.95, time),
        proptest::option::of(price),
        proptest::option::of(x),
        proptest::option::of(n),
        proptest::option::of(any::<bool>()),
        proptest::option::of(text),
    );
    let event = fields.prop_map(|(id, time, price, x, n, on, text)| Event { id, time, price, x, n, on, text });
    proptest::collection::vec(event, 0..120)
}

/// What a fold leaves: the lines of the output, and why what was set aside was.
fn outcome(place: &Place, name: &str, threads: &str) -> Vec<String> {
    let folded = place.fold(&[&format!("trades={name}")], &["--threads", threads]);
    let why = |event: &serde_json::Value| {
        format!("{} {} {} {}", event["reason"], event["field"], event["guard"], event["content"])
    };
    // Which of two conflicting events was read in one batch with which others is no part of the promise.
    let mut refused: Vec<String> = folded.refused.iter().map(why).collect();
    refused.sort();
    folded.bytes.lines().map(String::from).chain(refused).collect()
}

fn same(found: &[String], expected: &[String]) -> Result<(), TestCaseError> {
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found, expected);
    }
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_events_give_the_same_bytes_and_verdicts_in_all_three_formats(events in events(), rows in 1..50usize) {
        let place = Place::new();
        place.write("e.ndjson", json(&events));
        place.write("e.csv", csv(&events));
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows))
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(3)
            .set_writer_version(if rows % 2 == 0 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
            .set_dictionary_enabled(rows % 3 != 0);
        place.write("e.parquet", file(&columns(&events), properties));
        place.write("c.toml", source("json"));
        let expected = outcome(&place, "e.ndjson", "1");
        place.write("c.toml", source("csv"));
        same(&outcome(&place, "e.csv", "1"), &expected)?;
        place.write("c.toml", source("parquet"));
        same(&outcome(&place, "e.parquet", "1"), &expected)?;
        same(&outcome(&place, "e.parquet", "2"), &expected)?;
    }
}

fn many(count: u64) -> Vec<Event> {
    let event = |id: u64| Event {
        id: Some(id),
        time: Some(id as i64 * 1_000_003_000),
        price: (!id.is_multiple_of(7)).then_some(i128::from(id * 7_919 % 100_000)),
        x: (!id.is_multiple_of(5)).then_some(id as f64 / 8.0),
        n: Some(id as i64 % 1_003),
        on: Some(id.is_multiple_of(2)),
        text: (!id.is_multiple_of(3)).then(|| format!("symbol {}", id % 11)),
    };
    (0..count).map(event).collect()
}

#[test]
fn however_a_file_is_written_its_events_are_the_same() {
    let place = Place::with(&source("json"));
    let events = many(20_000);
    place.write("e.ndjson", json(&events));
    let expected = outcome(&place, "e.ndjson", "1");
    place.write("c.toml", source("parquet"));
    let packings = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ];
    for (packing, rows) in packings.into_iter().zip([1_000, 4_096, 5_000, 1 << 20]) {
        let properties = WriterProperties::builder().set_compression(packing).set_max_row_group_row_count(Some(rows));
        place.write("e.parquet", file(&columns(&events), properties));
        for threads in ["1", "2", "3"] {
            assert_eq!(outcome(&place, "e.parquet", threads), expected, "{packing:?}, {threads} threads");
        }
    }
}

#[test]
fn the_position_of_an_event_is_its_row_in_the_file() {
    let place = Place::with(&config("parquet", "u64"));
    let ones: ArrayRef = Arc::new(Int64Array::from(vec![1; 1_000]));
    let mut values = vec![5; 1_000];
    (values[0], values[799]) = (-1, -1);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(64));
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    place.write("e.parquet", file(&[("ts", ones), ("v", values)], properties));
    let folded = place.fold(&["trades=e.parquet"], &[]);
    assert_eq!((folded.rows.len(), &folded.rows[0]["n"]), (1, &998.into()), "events alike in all else are not one");
    let offsets: Vec<_> = folded.refused.iter().map(|event| event["offset"].as_u64()).collect();
    assert_eq!(offsets, [Some(0), Some(799)]);
    let folded = place.fold(&["trades=e.parquet", "trades=e.parquet"], &[]);
    assert_eq!((&folded.rows[0]["n"], &folded.summary["duplicates"]), (&998.into(), &998.into()));
}

#[test]
fn a_refused_row_is_kept_as_an_object_that_is_refused_alike() {
    let place = Place::with(&source("parquet"));
    let mut events = many(3);
    events[0].price = Some(10i128.pow(21));
    events[1].x = Some(f64::NAN);
    (events[2].text, events[2].n) = (Some(String::from("a\"b\\\n\u{1}é")), Some(5_000));
    place.write("e.parquet", plain(&columns(&events)));
    let refused = place.fold(&["trades=e.parquet"], &[]).refused;
    let raw: Vec<&str> = refused.iter().map(|event| event["raw"].as_str().expect("an object")).collect();
    assert_eq!(
        raw[0],
        r#"{"id":0,"ts":"1970-01-01T00:00:00Z","price":"1000000000000000000.000","x":null,"n":0,"on":true,"note":null}"#
    );
    place.write("again.ndjson", raw.join("\n"));
    place.write("c.toml", source("json"));
    let again = place.fold(&["trades=again.ndjson"], &[]).refused;
    for (event, again) in refused.iter().zip(&again) {
        assert_eq!((&event["reason"], &event["field"]), (&again["reason"], &again["field"]), "{event}");
    }
    assert_eq!(again.len(), 3);
}
