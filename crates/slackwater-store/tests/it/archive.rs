//! The archive says what a list of all changes would say, at every tick, and never anything else when damaged.

use crate::made::{Made, Random};
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};
use slackwater_core::codec::Reader;
use slackwater_core::input::Position;
use slackwater_core::row::{IdentityBytes, Row, digest, put_content};
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema, Unit};
use slackwater_core::value::{Type, Value};
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, Ask, Change, Changes, OwnedChange, Segment, Shelf};
use slackwater_store::disk::Disk;
use std::collections::BTreeSet;
use std::sync::Arc;

const BUCKET: i64 = 1_000;

fn field(name: &str, ty: Type, nullable: bool) -> Field {
    Field { name: name.to_string(), ty, unit: Unit::Nanos, nullable }
}

fn decimal(precision: u8, scale: u8) -> Type {
    Type::Decimal { precision, scale }
}

/// A source with every type, with and without nulls, an origin, an arrival that is no content, and names that are taken.
fn rich() -> Shelf {
    let fields = vec![
        field("id", Type::U64, false),
        field("venue", Type::Text, false),
        field("ts", Type::Timestamp, false),
        field("seen", Type::Timestamp, true),
        field("price", decimal(18, 4), true),
        field("wide", decimal(38, 10), true),
        field("narrow", decimal(9, 2), false),
        field("ratio", Type::Float64, true),
        field("change", Type::I64, true),
        field("live", Type::Bool, true),
        field("note", Type::Text, true),
        field("_Tick", Type::U64, true),
        field("until", Type::Timestamp, true),
    ];
    let roles = Roles {
        identity: IdentityRule::Fields(vec![0]),
        event_time: 2,
        origin: Some(1),
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: Some(3),
    };
    Shelf { schema: Schema::new(fields, roles).expect("a schema"), sort: vec![10, 7] }
}

/// A source whose events are known by where they stood, sorted by time alone.
fn plain() -> Shelf {
    let fields = vec![field("ts", Type::Timestamp, false), field("x", decimal(38, 0), false)];
    let roles = Roles {
        identity: IdentityRule::Position,
        event_time: 0,
        origin: None,
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    };
    Shelf { schema: Schema::new(fields, roles).expect("a schema"), sort: vec![] }
}

fn shelves() -> Vec<Shelf> {
    vec![rich(), plain()]
}

/// A content of a source: of an identity, at a time, else by chance.
fn content(source: u16, id: u64, time: i64, seed: u64) -> Vec<u8> {
    let shelf = &shelves()[usize::from(source)];
    let mut random = Random(seed);
    let drawn: Vec<u64> = (0..20).map(|_| random.draw()).collect();
    let big = i128::from(drawn[0] as i64) * 4_611_686_018_427_387_904;
    let value = |field: usize| {
        let declared = &shelf.schema.fields()[field];
        let draw = drawn[field];
        if declared.nullable && draw.is_multiple_of(5) {
            return Value::Null;
        }
        match declared.ty {
            Type::U64 if field == 0 => Value::U64(id),
            Type::Timestamp if field == shelf.schema.roles().event_time => Value::Time(time),
            Type::Text if field == 1 => Value::Text([b"b".as_slice(), b"bourse"][(id % 2) as usize]),
            Type::U64 => Value::U64([0, draw, u64::MAX][(draw % 3) as usize]),
            Type::I64 => Value::I64([i64::MIN, draw as i64, -1][(draw % 3) as usize]),
            Type::Timestamp => Value::Time([i64::MIN, draw as i64, i64::MAX][(draw % 3) as usize]),
            Type::Bool => Value::Bool(draw.is_multiple_of(2)),
            Type::Float64 => {
                Value::F64([0.0, f64::from_bits(1), -1.5e300, f64::MAX, (draw >> 40) as f64 / 7.0][(draw % 5) as usize])
            }
            Type::Decimal { precision, .. } => {
                let most = 10i128.pow(precision.into()) - 1;
                Value::Decimal([most, -most, 0, big % most][(draw % 4) as usize])
            }
            Type::Text => Value::Text(["".as_bytes(), "é中\u{1f30a}".as_bytes(), b"a", b"ab"][(draw % 4) as usize]),
            Type::Array(_) => unreachable!("no field is an array"),
        }
    };
    let mut out = Vec::new();
    assert!(put_content(&shelf.schema, value, &mut out));
    assert!(Row::check(&shelf.schema, &out), "content as the core has it");
    out
}

/// A change of an identity, by chance in all but its content.
fn change(source: u16, tick: u64, plus: bool, id: u64, content: &[u8]) -> Change<'_> {
    let mut random = Random(digest(content) as u64 ^ 1);
    let arrival = (random.below(3) > 0).then(|| random.draw() as i64);
    let part = ["trades/1", "trades/2", ""][(id % 3) as usize];
    let position = Position { offset: id * 3, line: random.below(1 << 20) };
    let (version, decoder) = (random.below(3), 1 + random.below(2) as u32);
    Change { source, tick, plus, version, decoder, arrival, part, position, content }
}

fn identity(source: u16, change: &Change<'_>) -> Vec<u8> {
    let shelf = &shelves()[usize::from(source)];
    let row = Row::new(&shelf.schema, change.content);
    IdentityBytes::default().of(row, source, (change.part, change.position.offset)).to_vec()
}

fn time(source: u16, content: &[u8]) -> i64 {
    Row::new(&shelves()[usize::from(source)].schema, content).event_time()
}

fn open(disk: &Arc<dyn Disk>, segments: Vec<Segment>, next: u64) -> Archive {
    Archive::open(disk.clone(), shelves(), segments, next, BUCKET).expect("opened")
}

fn reopened(archive: &Archive, disk: &Arc<dyn Disk>) -> Archive {
    let mut bytes = Vec::new();
    archive.segments().iter().for_each(|segment| segment.encode(&mut bytes));
    let mut reader = Reader::new(&bytes);
    let segments: Vec<Segment> =
        archive.segments().iter().map(|_| Segment::decode(&mut reader).expect("an encoding")).collect();
    reader.finish().expect("nothing behind it");
    assert_eq!(segments, archive.segments());
    open(disk, segments, archive.next())
}

/// What the changes up to a tick sum to, told slowly.
fn net(all: &Changes, source: u16, as_of: u64, from: i128, to: i128) -> Vec<Vec<u8>> {
    let mut live: Vec<Vec<u8>> = Vec::new();
    let inside = |change: &Change<'_>| {
        let time = i128::from(time(source, change.content));
        change.source == source && change.tick <= as_of && from <= time && time < to
    };
    for change in all.iter().filter(inside) {
        let mark = [identity(source, &change).as_slice(), change.content].concat();
        if change.plus {
            live.push(mark);
        } else {
            let at = live.iter().position(|other| *other == mark).expect("it was there");
            live.remove(at);
        }
    }
    live.sort();
    live
}

fn facts(archive: &Archive, source: u16, as_of: Option<u64>, from: i128, to: i128) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    archive
        .facts(source, from, to, as_of, &mut |change| {
            found.push([identity(source, change).as_slice(), change.content].concat());
        })
        .expect("facts");
    found.sort();
    found
}

/// A history of so many ticks: identities come, are corrected, moved in time, taken away and brought back.
fn history(seed: u64, ticks: u64, ids: u64) -> Vec<Changes> {
    let mut random = Random(seed);
    let mut live: std::collections::BTreeMap<(u16, u64), Vec<u8>> = std::collections::BTreeMap::new();
    (1..=ticks)
        .map(|tick| {
            let mut changes = Changes::new();
            let touched: BTreeSet<(u16, u64)> =
                (0..random.below(12)).map(|_| (random.below(2) as u16, random.below(ids))).collect();
            for (source, id) in touched {
                let old = live.remove(&(source, id));
                let fate = random.below(4);
                let new = (old.is_none() || fate > 0).then(|| {
                    let time = random.below(3 * BUCKET as u64) as i64 - 1_500;
                    // Few seeds, so that a content comes back as it was.
                    content(source, id, time / 500 * 500, random.below(3))
                });
                if old != new {
                    if let Some(old) = &old {
                        changes.push(&change(source, tick, false, id, old));
                    }
                    if let Some(new) = &new {
                        changes.push(&change(source, tick, true, id, new));
                    }
                }
                live.extend(new.map(|new| ((source, id), new)));
            }
            changes
        })
        .collect()
}

fn assert_same(archive: &Archive, all: &Changes, ticks: u64) {
    let always = (i128::MIN, i128::MAX);
    for source in [0, 1] {
        for tick in 0..=ticks {
            let found = facts(archive, source, Some(tick), always.0, always.1);
            assert_eq!(found, net(all, source, tick, always.0, always.1), "source {source} at tick {tick}");
        }
        for (from, to) in [(-1_000, 0), (-500, 1_001), (0, 500), (3, 4), (i128::from(i64::MAX), i128::MAX)] {
            assert_eq!(facts(archive, source, None, from, to), net(all, source, u64::MAX, from, to));
        }
        let spans = archive.spans().into_iter().filter(|(.., of)| *of == source);
        let mut apart: Vec<Vec<u8>> = spans.flat_map(|(from, to, _)| facts(archive, source, None, from, to)).collect();
        apart.sort();
        assert_eq!(apart, net(all, source, u64::MAX, always.0, always.1), "span by span");
        let mut given: Vec<(u64, bool, OwnedChange)> = Vec::new();
        archive
            .changes(source, &mut |change| given.push((change.tick, change.plus, (*change).into())))
            .expect("changes");
        assert!(given.is_sorted_by_key(|(tick, plus, _)| (*tick, *plus)), "in the order of ticks");
        let sorted = |mut list: Vec<(u64, bool, OwnedChange)>| {
            list.sort_by(|a, b| (a.0, a.1, &a.2.content, &a.2.part).cmp(&(b.0, b.1, &b.2.content, &b.2.part)));
            list
        };
        let told = all.iter().filter(|change| change.source == source);
        assert_eq!(sorted(given), sorted(told.map(|change| (change.tick, change.plus, change.into())).collect()));
    }
    let asks: Vec<Ask> = all.iter().map(|change| ask(&change)).collect();
    for (ask, found) in asks.iter().zip(archive.contents(&asks).expect("contents")) {
        let same = |change: &Change<'_>| change.plus && digest(change.content) == ask.digest;
        let told = all.iter().filter(|change| same(change) && identity(ask.source, change) == ask.identity);
        assert_eq!(found, told.max_by_key(|change| change.tick).map(OwnedChange::from));
    }
    let foreign = asks.iter().map(|ask| Ask { digest: ask.digest ^ 1, ..ask.clone() }).collect::<Vec<_>>();
    assert!(archive.contents(&foreign).expect("contents").iter().all(Option::is_none));
}

fn ask(change: &Change<'_>) -> Ask {
    let source = change.source;
    let identity = identity(source, change);
    Ask { source, time: time(source, change.content), identity, digest: digest(change.content) }
}

#[test]
fn an_archive_says_what_a_list_of_changes_would_say() {
    // A case writes and reads many files, so that few of them try much.
    let mut runner = TestRunner::new(Config { cases: 12, ..Config::default() });
    let says = |(seed, ticks, at_once)| {
        says_what_a_list_would_say(seed, ticks, at_once);
        Ok(())
    };
    runner.run(&(any::<u64>(), 1..25u64, 1..5usize), says).expect("the same facts");
}

fn says_what_a_list_would_say(seed: u64, ticks: u64, at_once: usize) {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut archive = open(&disk, Vec::new(), 1);
    let mut all = Changes::new();
    for some in history(seed, ticks, 6).chunks(at_once) {
        let mut written = Changes::new();
        some.iter().flat_map(Changes::iter).for_each(|change| {
            written.push(&change);
            all.push(&change);
        });
        archive.write(&written, 1).expect("written");
    }
    assert_same(&archive, &all, ticks);
    archive.scrub().expect("whole");
    let (before, next) = (archive.segments().to_vec(), archive.next());
    while archive.compact().expect("compacted") {}
    assert!(archive.segments().len() <= 2 * 3 * 21);
    assert_same(&reopened(&archive, &disk), &all, ticks);
    archive.scrub().expect("whole");
    archive.forget(&before.iter().map(|segment| segment.number).collect()).expect("forgotten");
    assert_same(&open(&disk, before, next), &all, ticks);
    archive.forget(&BTreeSet::new()).expect("forgotten");
    assert_same(&archive, &all, ticks);
    assert_eq!(disk.list("archive").expect("a folder").len(), archive.segments().len());
}

#[test]
fn every_content_comes_back_bit_for_bit() {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut archive = open(&disk, Vec::new(), 1);
    let mut all = Changes::new();
    for id in 0..6_000u64 {
        let source = (id % 2) as u16;
        let ends = [i64::MIN, i64::MAX, -1, 0, id as i64 * 1_000_003];
        let content = content(source, id, ends[(id % 5) as usize], id);
        all.push(&change(source, id * id, true, id, &content));
    }
    archive.write(&all, 1).expect("written");
    archive.scrub().expect("whole");
    for source in [0, 1] {
        assert_eq!(
            facts(&archive, source, None, i128::MIN, i128::MAX),
            net(&all, source, u64::MAX, i128::MIN, i128::MAX)
        );
    }
}

#[test]
fn the_same_rows_are_the_same_bytes_whatever_order_they_come_in() {
    let mut changes: Vec<Changes> = Vec::new();
    for reverse in [false, true] {
        let mut all = Changes::new();
        let mut ids: Vec<u64> = (0..500).collect();
        if reverse {
            ids.reverse();
        }
        for id in ids {
            let content = content(0, id, id as i64, id);
            all.push(&change(0, id % 7, true, id, &content));
        }
        changes.push(all);
    }
    let segments = changes.iter().map(|changes| {
        let disk: Arc<dyn Disk> = Arc::new(Made::default());
        let mut archive = open(&disk, Vec::new(), 1);
        archive.write(changes, 1).expect("written");
        archive.segments().to_vec()
    });
    let segments: Vec<Vec<Segment>> = segments.collect();
    assert_eq!(segments[0], segments[1]);
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let mut all = Changes::new();
    for id in 0..300_000u64 {
        // Contents that are alike up to their ends, among others that differ in every byte.
        let x = if id % 3 == 0 { i128::from(id % 1_000) } else { i128::from(id) * 0x9e37_79b9_7f4a_7c15 };
        let mut content = (id as i64 % 900).to_le_bytes().to_vec();
        content.extend_from_slice(&x.to_le_bytes());
        let position = Position { offset: id.wrapping_mul(0x9e37_79b9) % 1_000_003, line: 0 };
        let (source, tick, plus, version, decoder, arrival, part) = (1, 3, true, 0, 1, None, "part");
        all.push(&Change { source, tick, plus, version, decoder, arrival, part, position, content: &content });
    }
    let segments = [1, 2, 5].map(|threads| {
        let disk: Arc<dyn Disk> = Arc::new(Made::default());
        let mut archive = open(&disk, Vec::new(), 1);
        archive.write(&all, threads).expect("written");
        archive.scrub().expect("in order");
        assert!(!archive.compact().expect("nothing to do"), "a segment that is large enough stays as it is");
        archive.segments().to_vec()
    });
    assert_eq!(segments[0].len(), 1);
    assert!(segments.iter().all(|found| *found == segments[0]));
}

#[test]
fn rows_of_many_ticks_come_in_their_order_though_they_do_not_fit_in_memory() {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut archive = open(&disk, Vec::new(), 1);
    // More than are sorted at once, half of them of one tick.
    let count = 2_400_000u64;
    for first in (0..count).step_by(800_000) {
        let mut all = Changes::new();
        for id in first..first + 800_000 {
            let mut content = (id as i64 % 900).to_le_bytes().to_vec();
            content.extend_from_slice(&i128::from(id).to_le_bytes());
            let tick = if id % 2 == 0 { 77_777 } else { id * 7_919 % 100_000 };
            let position = Position { offset: id, line: 0 };
            all.push(&Change {
                source: 1,
                tick,
                plus: id % 3 > 0,
                version: 0,
                decoder: 1,
                arrival: None,
                part: "p",
                position,
                content: &content,
            });
        }
        archive.write(&all, 1).expect("written");
    }
    let (mut before, mut given) = ((0, false), 0u64);
    let mut sum = 0u64;
    let visit = &mut |change: &Change<'_>| {
        assert!(before <= (change.tick, change.plus));
        before = (change.tick, change.plus);
        given += 1;
        sum += change.position.offset;
    };
    archive.changes(1, visit).expect("changes");
    assert_eq!((given, sum), (count, count * (count - 1) / 2));
}

#[test]
fn a_refused_write_changes_nothing() {
    let made = Made::default();
    let disk: Arc<dyn Disk> = Arc::new(made.clone());
    let mut archive = open(&disk, Vec::new(), 1);
    let mut all = Changes::new();
    for id in 0..100 {
        let content = content(0, id, id as i64 * 30, id);
        all.push(&change(0, 1, true, id, &content));
    }
    let mut refused = 0;
    loop {
        made.refuse_after(refused);
        match archive.write(&all, 1) {
            Ok(()) => break,
            Err(error) => assert!(error.is_full(), "{error}"),
        }
        assert_eq!((archive.segments().len(), archive.next()), (0, 1));
        refused += 1;
    }
    assert!(refused > 15, "{refused} changes of the disk");
    assert_eq!(facts(&archive, 0, None, i128::MIN, i128::MAX).len(), 100);
    assert_eq!(disk.list("archive").expect("a folder").len(), 3);
}

#[test]
fn contents_that_no_changes_make_are_refused() {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut archive = open(&disk, Vec::new(), 1);
    let content = content(0, 1, 1, 1);
    for tick in [1, 2] {
        let mut all = Changes::new();
        all.push(&change(0, tick, true, 1, &content));
        archive.write(&all, 1).expect("written");
    }
    assert_eq!(facts(&archive, 0, Some(1), i128::MIN, i128::MAX).len(), 1);
    let error = archive.facts(0, i128::MIN, i128::MAX, None, &mut |_| {}).expect_err("twice");
    assert!(matches!(error, Fault::Refused(_)), "{error}");
}

/// An archive of one small segment, and the facts in it.
fn small() -> (Made, Archive, Changes) {
    let made = Made::default();
    let disk: Arc<dyn Disk> = Arc::new(made.clone());
    let mut archive = open(&disk, Vec::new(), 1);
    let mut all = Changes::new();
    for id in 0..9 {
        let content = content(0, id, id as i64 * 7, id);
        all.push(&change(0, id, true, id, &content));
    }
    archive.write(&all, 1).expect("written");
    (made, archive, all)
}

/// What is asked of a segment that may be damaged: it refuses, or the answer is right.
fn right_or_refused(archive: &Archive, all: &Changes) -> (bool, bool) {
    let mut found = Vec::new();
    let told = archive.facts(0, i128::MIN, i128::MAX, None, &mut |change| found.push(change.content.to_vec()));
    if let Err(error) = &told {
        assert!(matches!(error, Fault::Damaged { .. }), "{error}");
    } else {
        let mut model: Vec<Vec<u8>> = all.iter().map(|change| change.content.to_vec()).collect();
        model.sort();
        found.sort();
        assert_eq!(found, model);
    }
    (told.is_err(), archive.scrub().is_err())
}

#[test]
fn every_flipped_bit_of_a_segment_is_found() {
    let (made, archive, all) = small();
    assert_eq!(right_or_refused(&archive, &all), (false, false));
    let whole = made.bytes("archive/1.parquet");
    assert!(whole.len() < 16 << 10, "{} bytes", whole.len());
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        made.put("archive/1.parquet", damaged);
        assert_eq!(right_or_refused(&archive, &all), (true, true), "bit {bit}");
    }
}

#[test]
fn every_shortened_segment_is_refused() {
    let (made, archive, all) = small();
    let whole = made.bytes("archive/1.parquet");
    for length in 0..whole.len() {
        made.put("archive/1.parquet", whole[..length].to_vec());
        assert_eq!(right_or_refused(&archive, &all), (true, true), "{length} bytes");
    }
}

#[test]
fn a_segment_is_a_parquet_file_with_the_declared_columns() {
    let (made, _, all) = small();
    let bytes = bytes::Bytes::from(made.bytes("archive/1.parquet"));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
    let columns = reader.schema().clone();
    let shown: Vec<String> =
        columns.fields().iter().map(|column| format!("{} {}", column.name(), column.data_type())).collect();
    assert_eq!(
        shown,
        [
            "id UInt64",
            "venue Utf8",
            "ts Timestamp(ns, \"UTC\")",
            "price Decimal128(18, 4)",
            "wide Decimal128(38, 10)",
            "narrow Decimal128(9, 2)",
            "ratio Float64",
            "change Int64",
            "live Boolean",
            "note Utf8",
            "_Tick UInt64",
            "until Timestamp(ns, \"UTC\")",
            "__tick UInt64",
            "__sign Int8",
            "__version UInt64",
            "__decoder UInt32",
            "__arrival Timestamp(ns, \"UTC\")",
            "__part Utf8",
            "__offset UInt64",
            "__line UInt64",
        ]
    );
    let rows: usize = reader.build().expect("rows").map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, all.len());
}
