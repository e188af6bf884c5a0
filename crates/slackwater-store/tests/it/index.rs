//! Identity runs say what a map would say, after any adds, merges and reopenings, and never anything else when damaged.

use crate::made::{Made, Random};
use proptest::prelude::*;
use slackwater_core::codec::{Reader, put_bytes, put_varint};
use slackwater_core::row::Op;
use slackwater_store::Fault;
use slackwater_store::disk::Disk;
use slackwater_store::index::{Entries, Index, Known, RunInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn known(seed: u64) -> Known {
    let mut random = Random(seed);
    let digest = u128::from(random.draw()) << 64 | u128::from(random.draw());
    let op = if random.below(8) == 0 { Op::Retract } else { Op::Assert };
    let time = match random.below(10) {
        0 => i64::MIN,
        1 => i64::MAX,
        _ => random.below(1 << 50) as i64 - (1 << 49),
    };
    let version = if random.below(16) == 0 { u64::MAX } else { random.below(3) };
    Known { version, decoder: random.below(3) as u32 * 1_431_655_765, op, digest, time, tick: random.below(1 << 40) }
}

/// The identity of a number, in one of several forms: dense, of several origins, random, and text of any length.
fn identity(form: u8, number: u64) -> Vec<u8> {
    let mut out = u16::from(form % 3).to_be_bytes().to_vec();
    match form % 5 {
        0 => out.extend_from_slice(&number.to_be_bytes()),
        1 => {
            out.extend_from_slice([b"bourse\0".as_slice(), b"venue\0"][(number % 2) as usize]);
            out.extend_from_slice(&(number / 2).to_be_bytes());
        }
        2 => {
            let mut random = Random(number);
            out.extend_from_slice(&random.draw().to_be_bytes());
            out.extend_from_slice(&random.draw().to_be_bytes());
        }
        3 => out.extend_from_slice(format!("{number:b}-é\0").as_bytes()),
        _ => out.truncate((number % 3) as usize),
    }
    out
}

#[derive(Clone, Debug)]
enum Step {
    /// Form, first number, how many, distance between two, and what is known of them.
    Add(u8, u64, u64, u64, u64),
    Reopen,
    Forget,
    Scrub,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let add = (0..5u8, 0..3_000u64, 1..400u64, prop_oneof![Just(1u64), 1..40u64], any::<u64>());
    let step = prop_oneof![
        8 => add.prop_map(|(form, first, count, apart, seed)| Step::Add(form, first, count, apart, seed)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Forget),
        1 => Just(Step::Scrub),
    ];
    proptest::collection::vec(step, 1..30)
}

fn reopened(index: &Index, disk: &Arc<dyn Disk>) -> Index {
    let mut bytes = Vec::new();
    let runs = index.runs();
    runs.iter().for_each(|info| info.encode(&mut bytes));
    let mut reader = Reader::new(&bytes);
    let read: Vec<RunInfo> = runs.iter().map(|_| RunInfo::decode(&mut reader).expect("an encoding")).collect();
    reader.finish().expect("nothing behind it");
    assert_eq!(read, runs);
    Index::open(disk.clone(), &read, index.next()).expect("opened again")
}

fn assert_same(index: &Index, model: &BTreeMap<Vec<u8>, Known>) {
    let mut asks: Vec<Vec<u8>> = model.keys().cloned().collect();
    for form in 0..5 {
        asks.extend((0..400).map(|number| identity(form, number * 11)));
    }
    // In an order of their own.
    let mut random = Random(asks.len() as u64);
    (1..asks.len()).for_each(|at| asks.swap(at, random.below(at as u64 + 1) as usize));
    let slices: Vec<&[u8]> = asks.iter().map(Vec::as_slice).collect();
    let found = index.look_up(&slices).expect("looked up");
    for (ask, found) in asks.iter().zip(found) {
        assert_eq!(found.as_ref(), model.get(ask), "{ask:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_index_says_what_a_map_would_say(steps in steps()) {
        let disk: Arc<dyn Disk> = Arc::new(Made::default());
        let mut index = Index::open(disk.clone(), &[], 1).expect("opened");
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(form, first, count, apart, seed) => {
                    let mut entries = Entries::new();
                    for number in 0..count {
                        let (id, known) = (identity(form, first + number * apart), known(seed.wrapping_add(number)));
                        entries.push(&id, known);
                        model.insert(id, known);
                    }
                    index.add(&entries).expect("added");
                }
                Step::Reopen => index = reopened(&index, &disk),
                Step::Forget => {
                    index.forget(&BTreeSet::new()).expect("forgotten");
                    prop_assert_eq!(disk.list("index").expect("a folder").len(), index.runs().len());
                }
                Step::Scrub => index.scrub().expect("whole"),
            }
        }
        assert_same(&index, &model);
        assert_same(&reopened(&index, &disk), &model);
        index.scrub().expect("whole");
    }
}

#[test]
fn runs_stay_few_and_what_was_merged_stays_until_it_is_forgotten() {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut index = Index::open(disk.clone(), &[], 1).expect("opened");
    let (mut model, mut earlier) = (BTreeMap::new(), None);
    for round in 0..600u64 {
        let mut entries = Entries::new();
        for number in 0..20 {
            let (id, known) = (identity((round % 3) as u8, round * 20 + number), known(round * 20 + number));
            entries.push(&id, known);
            model.insert(id, known);
        }
        index.add(&entries).expect("added");
        if round == 300 {
            earlier = Some((index.runs(), index.next(), model.clone()));
        }
    }
    assert!(index.runs().len() < 8 * 5, "{} runs", index.runs().len());
    let (runs, next, before) = earlier.expect("a checkpoint");
    let kept: BTreeSet<u64> = runs.iter().map(|run| run.number).collect();
    index.forget(&kept).expect("forgotten");
    assert_same(&index, &model);
    assert_same(&Index::open(disk.clone(), &runs, next).expect("the earlier one"), &before);
    index.forget(&BTreeSet::new()).expect("forgotten");
    assert_same(&index, &model);
    Index::open(disk, &runs, next).map(drop).expect_err("its runs are gone");
}

#[test]
fn new_numbers_of_a_growing_source_read_nothing() {
    let made = Made::default();
    let disk: Arc<dyn Disk> = Arc::new(made.clone());
    let mut index = Index::open(disk, &[], 1).expect("opened");
    let batch = |round: u64| (round * 500..(round + 1) * 500).map(|number| identity(1, number)).collect::<Vec<_>>();
    for round in 0..40 {
        let ids = batch(round);
        let before = made.reads();
        let found = index.look_up(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("looked up");
        assert!(found.iter().all(Option::is_none));
        assert_eq!(made.reads(), before, "in round {round}");
        let mut entries = Entries::new();
        ids.iter().for_each(|id| entries.push(id, known(round)));
        index.add(&entries).expect("added");
    }
}

#[test]
fn an_unfinished_run_does_not_hinder_the_next_one() {
    let made = Made::default();
    let disk: Arc<dyn Disk> = Arc::new(made.clone());
    let mut index = Index::open(disk.clone(), &[], 1).expect("opened");
    let mut entries = Entries::new();
    (0..5_000).for_each(|number| entries.push(&identity(2, number), known(number)));
    for refused in 0..6 {
        made.refuse_after(refused);
        let error = index.add(&entries).expect_err("the disk refused");
        assert!(matches!(error, Fault::Disk { .. }), "{error}");
        assert_eq!((index.runs().len(), index.next()), (0, 1));
    }
    made.refuse_after(u64::MAX);
    index.add(&entries).expect("added");
    assert_eq!(index.runs()[0].entries, 5_000);
    assert_eq!(disk.list("index").expect("a folder"), ["1.run"]);
}

/// An index of one small run with blocks of every shape, and what it holds.
fn small() -> (Made, Vec<RunInfo>, BTreeMap<Vec<u8>, Known>) {
    let made = Made::default();
    let mut index = Index::open(Arc::new(made.clone()), &[], 1).expect("opened");
    let (mut entries, mut model) = (Entries::new(), BTreeMap::new());
    for (form, count) in [(0, 70), (1, 10), (2, 8), (3, 8), (4, 3)] {
        for number in 0..count {
            let (id, known) = (identity(form, number), known(number));
            entries.push(&id, known);
            model.insert(id, known);
        }
    }
    index.add(&entries).expect("added");
    (made, index.runs(), model)
}

/// What is asked of a run that may be damaged: either it refuses, or every answer is right.
fn right_or_refused(made: &Made, runs: &[RunInfo], model: &BTreeMap<Vec<u8>, Known>) -> (bool, bool) {
    let index = match Index::open(Arc::new(made.clone()), runs, 2) {
        Ok(index) => index,
        Err(error) => {
            assert!(matches!(error, Fault::Damaged { .. } | Fault::Newer { .. }), "{error}");
            return (true, true);
        }
    };
    let mut refused = false;
    for (id, known) in model {
        match index.look_up(&[id]) {
            Ok(found) => assert_eq!(found, [Some(*known)]),
            Err(error) => {
                assert!(matches!(error, Fault::Damaged { .. }), "{error}");
                refused = true;
            }
        }
    }
    (refused, index.scrub().is_err())
}

#[test]
fn every_flipped_bit_of_a_run_is_found() {
    let (made, runs, model) = small();
    assert_eq!(right_or_refused(&made, &runs, &model), (false, false));
    let whole = made.bytes("index/1.run");
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        made.put("index/1.run", damaged);
        let (_, scrubbed) = right_or_refused(&made, &runs, &model);
        assert!(scrubbed, "bit {bit} was not noticed");
    }
}

#[test]
fn every_shortened_run_is_refused() {
    let (made, runs, model) = small();
    let whole = made.bytes("index/1.run");
    for length in 0..whole.len() {
        made.put("index/1.run", whole[..length].to_vec());
        assert_eq!(right_or_refused(&made, &runs, &model), (true, true), "{length} bytes");
    }
    let mut longer = whole.clone();
    longer.push(0);
    made.put("index/1.run", longer);
    assert_eq!(right_or_refused(&made, &runs, &model), (true, true));
}

#[test]
fn a_block_that_stands_in_the_place_of_another_is_not_believed() {
    let made = Made::default();
    let mut index = Index::open(Arc::new(made.clone()), &[], 1).expect("opened");
    for round in [0u64, 1] {
        let mut entries = Entries::new();
        (0..70).for_each(|number| entries.push(&identity(0, number), known(number + round * 1_000)));
        index.add(&entries).expect("added");
    }
    let runs = index.runs();
    made.put("index/2.run", made.bytes("index/1.run"));
    let error = Index::open(Arc::new(made), &runs, 3).map(drop).expect_err("an older run under the newer one's name");
    assert!(matches!(error, Fault::Damaged { .. }), "{error}");
}

#[test]
fn a_run_of_a_later_format_is_refused_by_name() {
    let (made, runs, _) = small();
    let mut bytes = made.bytes("index/1.run");
    bytes[8] = 2;
    // Its tail is another one too, as that of another format would be.
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    made.put("index/1.run", bytes);
    let error = Index::open(Arc::new(made), &runs, 2).map(drop).expect_err("newer");
    assert!(matches!(error, Fault::Newer { found: 2, known: 1, .. }), "{error}");
}

/// A run whose fence pages are these bytes, and that has all digests right: made by someone, not by damage.
fn forged(pages: &[u8], entries: u64, blocks: u64) -> (Made, RunInfo) {
    let mut bytes = b"slackidx".to_vec();
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&1u64.to_le_bytes());
    bytes.extend_from_slice(&[7; 100]);
    let (fences_at, digest) = (bytes.len() as u64, blake3::hash(&bytes));
    bytes.extend_from_slice(pages);
    let start = bytes.len();
    for number in [1, entries, blocks, fences_at] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(blake3::hash(pages).as_bytes());
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes[start..]).to_le_bytes());
    bytes.extend_from_slice(b"slackidx");
    let digest = *blake3::hash(&bytes[start..]).as_bytes();
    let made = Made::default();
    let info = RunInfo { number: 1, entries, bytes: bytes.len() as u64, digest };
    made.put("index/1.run", bytes);
    (made, info)
}

#[test]
fn lengths_that_cannot_be_are_refused_before_anything_is_made_of_them() {
    let page = |payload: &[u8]| {
        let head = [(payload.len() as u32).to_le_bytes(), crc32c::crc32c(payload).to_le_bytes()].concat();
        [&head, payload].concat()
    };
    let fence = |length: u64, first: &[u8], last: &[u8], lines: u64| {
        let mut out = Vec::new();
        [length, 0, 3].into_iter().for_each(|number| put_varint(&mut out, number));
        put_bytes(&mut out, first);
        put_bytes(&mut out, last);
        put_varint(&mut out, lines);
        out
    };
    let mut long = Vec::new();
    [100, 0, 3, u64::MAX >> 1].into_iter().for_each(|number| put_varint(&mut long, number));
    let pages = [
        [u32::MAX.to_le_bytes(), [0; 4]].concat(),
        [0u32.to_le_bytes(), [0; 4]].concat(),
        vec![1, 2, 3],
        page(&long),
        page(&fence(100, b"a", b"b", u64::MAX)),
        page(&fence(u64::from(u32::MAX), b"a", b"b", 0)),
        page(&fence(u64::MAX, b"a", b"b", 0)),
        page(&fence(99, b"a", b"b", 0)),
        page(&fence(100, b"b", b"a", 0)),
    ];
    for pages in pages {
        let (made, info) = forged(&pages, 3, 1);
        let error = Index::open(Arc::new(made), &[info], 2).map(drop).expect_err("refused");
        assert!(matches!(error, Fault::Damaged { .. }), "{error}");
    }
    // With nothing wrong but the block itself, that is refused when it is read.
    let mut fine = Vec::new();
    [100, u64::from(crc32c::crc32c(&[7; 100])), 3].into_iter().for_each(|number| put_varint(&mut fine, number));
    put_bytes(&mut fine, b"a");
    put_bytes(&mut fine, b"b");
    put_varint(&mut fine, 0);
    let (made, info) = forged(&page(&fine), 3, 1);
    let index = Index::open(Arc::new(made), &[info], 2).expect("its fences are in order");
    assert!(matches!(index.look_up(&[b"a"]), Err(Fault::Damaged { .. })));
    assert!(matches!(index.scrub(), Err(Fault::Damaged { .. })));
}

#[test]
fn several_threads_look_up_at_once() {
    let disk: Arc<dyn Disk> = Arc::new(Made::default());
    let mut index = Index::open(disk, &[], 1).expect("opened");
    for round in 0..5u64 {
        let mut entries = Entries::new();
        (0..2_000).for_each(|number| entries.push(&identity(2, round * 2_000 + number), known(number)));
        index.add(&entries).expect("added");
    }
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let index = &index;
            scope.spawn(move || {
                for number in (thread..10_000).step_by(4) {
                    let id = identity(2, number);
                    assert_eq!(index.look_up(&[&id]).expect("looked up"), [Some(known(number % 2_000))]);
                }
            });
        }
    });
}
