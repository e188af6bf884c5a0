//! Rows that are put together by column are those that are put together one by one.

use super::file;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use slackwater::decode::parquet::{Layout, TAIL_BYTES, footer_bytes};
use slackwater::decode::{Chunk, Decoder, Format, Header};
use slackwater_core::input::Batch;
use slackwater_core::limits;
use slackwater_core::plan::{Guards, Source};
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema, Unit};
use slackwater_core::value::Type;
use std::sync::Arc;

fn source(nullable: bool) -> Source {
    let field = |name: &str, ty, nullable| Field { name: name.into(), ty, unit: Unit::Nanos, nullable };
    let fields = vec![
        field("id", Type::U64, false),
        field("ts", Type::Timestamp, false),
        field("venue", Type::Text, false),
        field("price", Type::Decimal { precision: 9, scale: 4 }, nullable),
        field("x", Type::Float64, nullable),
        field("n", Type::I64, nullable),
        field("on", Type::Bool, nullable),
        field("note", Type::Text, nullable),
    ];
    let roles = Roles {
        identity: IdentityRule::Fields(vec![0]),
        event_time: 1,
        origin: Some(2),
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    };
    Source::new("trades", Schema::new(fields, roles).expect("a sound schema"))
}

/// The batches of a file under guards.
fn decoded(file: &[u8], source: &Source, guards: Guards) -> Vec<Batch> {
    let (front, tail) = file.split_last_chunk::<TAIL_BYTES>().expect("a file");
    let footer = &front[front.len() - footer_bytes(*tail, file.len() as u64).expect("a footer")..];
    let layout = Arc::new(Layout::read(footer, file.len() as u64, &source.schema).expect("columns that fit"));
    let mut decoder = Decoder::under(source, Arc::new(guards), Format::Parquet);
    let (mut batches, mut offset) = (Vec::new(), 0);
    for group in 0..layout.groups() {
        let bytes = layout.ranges(group).flat_map(|range| &file[range.start as usize..range.end as usize]).copied();
        let (bytes, header) = (bytes.collect(), Some(Header::Parquet(layout.clone(), group)));
        let chunk = Chunk { source: 0, part: "file".into(), offset, line: 0, bytes, header, arrival: Some(7) };
        offset = chunk.end();
        decoder.begin(chunk);
        while decoder.is_busy() {
            batches.push(decoder.next_batch().expect("a sound file"));
        }
    }
    batches
}

/// The batches of a file, which are the same where something is demanded of each row.
fn alike(file: &[u8], source: &Source) -> Vec<Batch> {
    let batches = decoded(file, source, Guards::default());
    let mut one_by_one = decoded(file, source, Guards { min_time: Some(i64::MIN), ..Guards::default() });
    one_by_one.iter_mut().for_each(|batch| batch.guards = Arc::default());
    assert!(batches == one_by_one, "{batches:?}\n{one_by_one:?}");
    batches
}

type Event = (Option<u64>, Option<i64>, Option<i128>, Option<f64>, Option<i64>, Option<bool>, Option<String>);

fn events(nulls: f64) -> impl Strategy<Value = Vec<Event>> {
    let some = 1.0 - nulls;
    let time = prop_oneof![20 => 0..7_200_000_000i64, 1 => any::<i64>()];
    let price = prop_oneof![20 => -100_000..100_000i128, 1 => -10i128.pow(8)..10i128.pow(8)];
    let x =
        prop_oneof![20 => any::<f64>().prop_filter("finite", |x| x.is_finite()), 1 => Just(-0.0), 1 => Just(f64::NAN)];
    let text = prop_oneof![20 => "[a-z]{0,20}", 2 => "[a-cé]{1,14}", 1 => Just(String::from("a\0b"))];
    let event = (
        proptest::option::weighted(some, any::<u64>()),
        proptest::option::weighted(some, time),
        proptest::option::weighted(some, price),
        proptest::option::weighted(some, x),
        proptest::option::weighted(some, any::<i64>()),
        proptest::option::weighted(some, any::<bool>()),
        proptest::option::weighted(some, text),
    );
    proptest::collection::vec(event, 0..150)
}

fn columns(events: &[Event]) -> Vec<(&'static str, ArrayRef)> {
    let prices = Decimal128Array::from_iter(events.iter().map(|event| event.2));
    let venue = |event: &Event| event.0.map(|id| format!("V{}", "x".repeat(id as usize % 14)));
    vec![
        ("id", Arc::new(UInt64Array::from_iter(events.iter().map(|event| event.0)))),
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter(events.iter().map(|event| event.1)).with_timezone("UTC"))),
        ("venue", Arc::new(StringArray::from_iter(events.iter().map(venue)))),
        ("price", Arc::new(prices.with_precision_and_scale(10, 3).expect("digits"))),
        ("x", Arc::new(Float64Array::from_iter(events.iter().map(|event| event.3)))),
        ("n", Arc::new(Int64Array::from_iter(events.iter().map(|event| event.4)))),
        ("on", Arc::new(BooleanArray::from_iter(events.iter().map(|event| event.5)))),
        ("note", Arc::new(StringArray::from_iter(events.iter().map(|event| event.6.as_deref())))),
    ]
}

proptest! {
    #[test]
    fn by_column_or_one_by_one_rows_are_the_same(
        events in prop_oneof![events(1e-6), events(0.01), events(0.3)],
        nullable: bool,
    ) {
        let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(70));
        let batches = alike(&file(&columns(&events), properties()), &source(nullable));
        prop_assert_eq!(batches.iter().map(|batch| batch.entries().len()).sum::<usize>(), events.len());
    }
}

#[test]
fn long_texts_end_a_batch_after_the_same_row() {
    let sizes = [1, limits::EVENT_BYTES / 2, limits::EVENT_BYTES - 1, limits::EVENT_BYTES, 100_000];
    let event = |row: usize| {
        let note = "y".repeat(if row % 7 == 3 { sizes[row % 5] } else { sizes[4] });
        (Some(row as u64), Some(1), Some(1), Some(0.5), Some(1), Some(true), Some(note))
    };
    let events: Vec<Event> = (0..300).map(event).collect();
    let batches = alike(&file(&columns(&events), WriterProperties::builder()), &source(false));
    assert!(batches.len() > 5 && batches.iter().all(|batch| batch.content_len() < 5 << 20));
}
