//! The journal and the record behind it: what goes in comes out, within its bounds, from either.

use crate::memory::Memory;
use proptest::prelude::*;
use slackwater_store::disk::{Disk, Folder};
use slackwater_store::entry::{Entry, MOST_BYTES, Packed, Raw, Received};
use slackwater_store::journal::{Journal, Limits};
use slackwater_store::{Fault, KeepRaw};
use std::sync::Arc;

const INSTANCE: [u8; 16] = [7; 16];
const LIMITS: Limits = Limits { segment_bytes: 2_000, most_bytes: 1 << 30, reserve_bytes: 0 };

fn append(journal: &mut Journal, entry: &Entry) -> Result<u64, Fault> {
    journal.append(&Packed::new(entry)?)
}

fn events(bytes: &[u8]) -> Entry {
    Entry::Events(Received {
        source: 0,
        decoder: 1,
        part: Arc::from("a"),
        offset: 0,
        line: 1,
        arrival: None,
        delivered: None,
        header: Vec::new(),
        gist: Vec::new(),
        bytes: Raw::Kept(bytes.to_vec()),
    })
}

fn step(len: usize) -> Entry {
    Entry::Step { input: vec![1; len], outcome: Vec::new() }
}

fn read(journal: &Journal, from: u64) -> Vec<(u64, Entry)> {
    journal.read(from).expect("a place in it").collect::<Result<_, _>>().expect("entries")
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let zeros = (0_usize..900).prop_map(|len| vec![0; len]);
    let mixed = proptest::collection::vec(prop_oneof![4 => Just(0_u8), 1 => any::<u8>()], 0..900);
    prop_oneof![zeros, mixed, proptest::collection::vec(any::<u8>(), 0..900)]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let place = (any::<u16>(), any::<u32>(), ".{0,9}", any::<u64>(), any::<u64>(), any::<Option<i64>>());
    let received =
        (place, any::<Option<u128>>(), any_bytes(), any_bytes()).prop_map(|(place, delivered, header, bytes)| {
            let (source, decoder, part, offset, line, arrival) = place;
            let (part, gist, bytes) = (Arc::from(part), header.clone(), Raw::Kept(bytes));
            Entry::Events(Received { source, decoder, part, offset, line, arrival, delivered, header, gist, bytes })
        });
    let step = (any_bytes(), any_bytes()).prop_map(|(input, outcome)| Entry::Step { input, outcome });
    prop_oneof![received, step]
}

proptest! {
    #[test]
    fn what_is_appended_is_read_back_from_the_journal_and_from_the_record(
        entries in proptest::collection::vec((any_entry(), any::<bool>()), 1..12),
        forever in any::<bool>(),
        from in 1_u64..12,
    ) {
        let disk: Arc<dyn Disk> = Arc::new(Memory::default());
        let mut journal = Journal::create(disk.clone(), INSTANCE, LIMITS).expect("a journal");
        for (number, (entry, sync)) in entries.iter().enumerate() {
            prop_assert_eq!(append(&mut journal, entry).expect("appended"), number as u64 + 1);
            if *sync {
                prop_assert_eq!(journal.sync().expect("synced"), number as u64 + 1);
            }
        }
        let last = journal.sync().expect("synced");
        let all: Vec<(u64, Entry)> = (1..).zip(entries.into_iter().map(|(entry, _)| entry)).collect();
        prop_assert_eq!(&read(&journal, 1), &all);
        let from = from.min(last + 1);
        let keep = if forever { KeepRaw::Forever } else { KeepRaw::None };
        journal.retire(last, keep).expect("retired");
        let first = journal.first();
        let kept = |(sequence, entry): &(u64, Entry)| (*sequence, match entry.clone() {
            Entry::Events(received) if keep == KeepRaw::None && *sequence < first => {
                let Raw::Kept(bytes) = &received.bytes else { panic!("these were kept") };
                let len = bytes.len() as u64;
                Entry::Events(Received { bytes: Raw::Dropped { len }, ..received })
            }
            entry => entry,
        });
        let expected: Vec<(u64, Entry)> = all[from as usize - 1..].iter().map(kept).collect();
        prop_assert_eq!(&read(&journal, from), &expected);
        let bytes = journal.bytes();
        drop(journal);
        let journal = Journal::open(disk, INSTANCE, LIMITS, last).expect("opened");
        prop_assert_eq!((journal.first(), journal.last(), journal.synced(), journal.bytes()), (first, last, last, bytes));
        prop_assert_eq!(&read(&journal, from), &expected);
    }

    #[test]
    fn any_bytes_in_the_place_of_a_file_are_refused_without_a_panic(
        bytes in any_bytes(),
        at in 0_usize..3_000,
        which in 0_usize..4,
    ) {
        let memory = Memory::default();
        let mut journal = Journal::create(Arc::new(memory.clone()), INSTANCE, LIMITS).expect("a journal");
        for len in [900, 1_500, 900, 40] {
            append(&mut journal, &events(&vec![5; len])).expect("appended");
            append(&mut journal, &step(len)).expect("appended");
            journal.sync().expect("synced");
        }
        journal.retire(2, KeepRaw::Forever).expect("retired");
        let names = memory.names();
        let name = &names[which % names.len()];
        let mut file = memory.read(name);
        let (before, at) = (file.clone(), at % file.len());
        file.splice(at..(at + bytes.len()).min(before.len()), bytes);
        memory.write(name, file.clone());
        let found = Journal::open(Arc::new(memory), INSTANCE, LIMITS, 8).and_then(|journal| journal.read(1)?.try_for_each(|one| one.map(drop)));
        let unharmed = file == before || (file.starts_with(&before) && file[before.len()..].iter().all(|byte| *byte == 0));
        // One flipped bit of a record's header is told by its digest.
        let bits = |(a, b): (&u8, &u8)| (a ^ b).count_ones();
        let flipped = |to: usize| before.iter().zip(&file).take(to).map(bits).sum::<u32>();
        let told = name.starts_with("record/") && file.len() == before.len() && (flipped(128), flipped(file.len())) == (1, 1);
        prop_assert_eq!(found.is_ok(), unharmed || told, "{:?}", found);
    }
}

#[test]
fn a_journal_on_the_real_disk_is_opened_again() {
    let home = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(Folder::open(&home.path().join("data")).expect("a disk"));
    let mut journal = Journal::create(disk.clone(), INSTANCE, LIMITS).expect("a journal");
    for number in 0..40 {
        append(&mut journal, &step(number * 10)).expect("appended");
        journal.sync().expect("synced");
    }
    journal.retire(30, KeepRaw::Forever).expect("retired");
    assert!(journal.first() > 20 && journal.first() <= 31, "{}", journal.first());
    drop(journal);
    let journal = Journal::open(disk, INSTANCE, LIMITS, 40).expect("opened");
    assert_eq!(read(&journal, 1), (1..41).map(|n| (n, step((n as usize - 1) * 10))).collect::<Vec<_>>());
}

#[test]
fn events_are_refused_before_the_journal_is_longer_than_it_may_be_and_steps_use_the_reserve() {
    let memory = Memory::default();
    let limits = Limits { segment_bytes: 2_000, most_bytes: 8_000, reserve_bytes: 1_000 };
    let mut journal = Journal::create(Arc::new(memory.clone()), INSTANCE, limits).expect("a journal");
    // Bytes that do not compress.
    let noise: Vec<u8> = blake3::Hasher::new().finalize_xof_bytes(900);
    let fault = loop {
        match append(&mut journal, &events(&noise)) {
            Ok(_) => drop(journal.sync().expect("synced")),
            Err(fault) => break fault,
        }
    };
    assert!(fault.is_full(), "{fault}");
    let last = journal.last();
    while append(&mut journal, &step(100)).is_ok() {
        journal.sync().expect("synced");
    }
    let bytes: usize = memory.names().iter().map(|name| memory.read(name).len()).sum();
    assert!(journal.last() > last + 4 && (7_500..=8_000).contains(&bytes), "{} entries, {bytes} bytes", journal.last());
    assert_eq!(journal.bytes(), bytes as u64);
    journal.retire(last, KeepRaw::None).expect("retired");
    append(&mut journal, &events(&noise)).expect("there is room again");
    journal.sync().expect("synced");
}

trait Noise {
    fn finalize_xof_bytes(&self, len: usize) -> Vec<u8>;
}

impl Noise for blake3::Hasher {
    fn finalize_xof_bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.finalize_xof().fill(&mut bytes);
        bytes
    }
}

#[test]
fn an_entry_that_is_too_long_is_refused_before_it_is_appended() {
    let long = Packed::new(&step(MOST_BYTES + 1)).expect_err("too long");
    assert!(long.to_string().contains("longer than"), "{long}");
    let mut dropped = events(b"");
    if let Entry::Events(received) = &mut dropped {
        received.bytes = Raw::Dropped { len: 4 };
    }
    assert!(matches!(Packed::new(&dropped), Err(Fault::Refused(_))), "dropped bytes are no bytes");
    let mut journal = Journal::create(Arc::new(Memory::default()), INSTANCE, LIMITS).expect("a journal");
    append(&mut journal, &events(&vec![b'x'; MOST_BYTES / 2])).expect("appended");
    journal.sync().expect("synced");
    assert_eq!(read(&journal, 1).len(), 1);
}

#[test]
fn another_format_is_refused_by_name() {
    let memory = Memory::default();
    let mut journal = Journal::create(Arc::new(memory.clone()), INSTANCE, LIMITS).expect("a journal");
    for _ in 0..3 {
        append(&mut journal, &step(1_500)).expect("appended");
        journal.sync().expect("synced");
    }
    journal.retire(1, KeepRaw::Forever).expect("retired");
    for name in memory.names() {
        let right = memory.read(&name);
        let known = right[8];
        for format in [known - 1, known + 1] {
            let mut other = right.clone();
            other[8] = format;
            if name.starts_with("journal") {
                let crc = crc32c::crc32c(&other[..60]).to_le_bytes();
                other[60..64].copy_from_slice(&crc);
            } else {
                let digest = *blake3::hash(&other[..96]).as_bytes();
                other[96..128].copy_from_slice(&digest);
            }
            memory.write(&name, other);
            let found = Journal::open(Arc::new(memory.clone()), INSTANCE, LIMITS, 0).map(drop).expect_err("a format");
            match found {
                Fault::Older { found, .. } => assert_eq!((found, format), ((known - 1).into(), known - 1), "{name}"),
                Fault::Newer { found, .. } => assert_eq!((found, format), ((known + 1).into(), known + 1), "{name}"),
                other => panic!("{name}: {other}"),
            }
        }
        memory.write(&name, right);
    }
}

#[test]
fn a_journal_is_never_begun_over_another_nor_opened_where_none_is() {
    let disk: Arc<dyn Disk> = Arc::new(Memory::default());
    let none = Journal::open(disk.clone(), INSTANCE, LIMITS, 0).expect_err("nothing there");
    assert!(matches!(none, Fault::Damaged { .. }), "{none}");
    drop(Journal::create(disk.clone(), INSTANCE, LIMITS).expect("a journal"));
    // Nothing was ever in it, so making it did perhaps not end.
    let mut journal = Journal::create(disk.clone(), [8; 16], LIMITS).expect("a journal");
    append(&mut journal, &step(1)).expect("appended");
    journal.sync().expect("synced");
    assert!(matches!(Journal::create(disk.clone(), [8; 16], LIMITS), Err(Fault::Refused(_))), "there is one");
    let stray = disk.create("journal/notes.txt");
    drop(stray.expect("a file"));
    let found = Journal::open(disk, [8; 16], LIMITS, 1).expect_err("a file that does not belong there");
    assert!(found.to_string().contains("journal/notes.txt"), "{found}");
}

#[test]
fn entries_that_are_not_synced_are_not_read_and_those_beyond_the_end_are_refused() {
    let mut journal = Journal::create(Arc::new(Memory::default()), INSTANCE, LIMITS).expect("a journal");
    append(&mut journal, &step(1)).expect("appended");
    assert_eq!((read(&journal, 1), journal.last(), journal.synced()), (vec![], 1, 0));
    journal.sync().expect("synced");
    assert_eq!((read(&journal, 0).len(), read(&journal, 2).len()), (1, 0));
    assert!(matches!(journal.read(3), Err(Fault::Refused(_))), "far beyond the end");
}

#[test]
fn a_record_of_trades_takes_at_most_thirty_bytes_an_event() {
    const TRADES: u64 = 200_000;
    let memory = Memory::default();
    let limits = Limits { segment_bytes: 3 << 20, ..LIMITS };
    let mut journal = Journal::create(Arc::new(memory.clone()), INSTANCE, limits).expect("a journal");
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut draw = |below: u64| {
        let mut bytes = [0; 8];
        noise.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    let mut text = String::new();
    let mut plain = 0;
    for number in 0..TRADES {
        let ts = 1_767_225_600_000_000 + number * 36_000;
        let (symbol, venue, price, size) = (draw(1_000).min(draw(1_000)), draw(4), draw(1_000), draw(5_000_000));
        text.push_str(&format!(
            "{{\"id\":{},\"symbol\":\"S{symbol:04}\",\"venue\":\"V{venue}\",\"ts\":{ts},\"price\":{}.{:04},\"size\":{}.{:04}}}\n",
            number / 4,
            100 + symbol,
            price,
            size / 10_000,
            size % 10_000
        ));
        if text.len() > 256 << 10 || number + 1 == TRADES {
            plain += text.len();
            append(&mut journal, &events(text.as_bytes())).expect("appended");
            journal.sync().expect("synced");
            text.clear();
        }
    }
    let bytes = journal.bytes() / TRADES;
    // A further group, which does not fit, ends the segment before.
    append(&mut journal, &step(3 << 20)).expect("appended");
    journal.sync().expect("synced");
    journal.retire(journal.last(), KeepRaw::Forever).expect("retired");
    let kept: usize =
        memory.names().iter().filter(|name| name.starts_with("record")).map(|n| memory.read(n).len()).sum();
    let each = kept as f64 / TRADES as f64;
    println!("record bytes_per_event={each:.1} journal={bytes} plain={}", plain as u64 / TRADES);
    assert!(kept > 0 && journal.first() == journal.last() && each <= 30.0, "{each} bytes an event");
}
