//! Damage of what a checkpoint covers: it is passed over and told, kept out of what is needed, and never taken for whole.

use crate::memory::Memory;
use slackwater_store::entry::{Entry, Packed};
use slackwater_store::journal::{Journal, Known, Limits};
use slackwater_store::{Fault, KeepRaw};
use std::ops::Range;
use std::sync::Arc;

const INSTANCE: [u8; 16] = [7; 16];
const LIMITS: Limits = Limits { segment_bytes: 500, most_bytes: 1 << 30, reserve_bytes: 0 };
const HEAD: usize = 64;
const LAST: u64 = 9;

/// Bytes of a segment, and the last entry that needs them.
struct Place {
    name: String,
    bytes: Range<usize>,
    last: u64,
    /// Whether they are an entry, and no header.
    entry: bool,
}

fn step(number: u64) -> Entry {
    Entry::Step { input: vec![number as u8; 40 * (number as usize % 3) + 3], outcome: vec![1; number as usize] }
}

fn append(journal: &mut Journal, number: u64) {
    assert_eq!(journal.append(&Packed::new(&step(number)).expect("packed")).expect("room"), number);
    journal.sync().expect("synced");
}

/// A journal of some segments, and where everything stands in it.
fn laid() -> (Memory, Vec<Place>) {
    let memory = Memory::default();
    let mut journal = Journal::create(Arc::new(memory.clone()), INSTANCE, LIMITS).expect("a journal");
    let mut places: Vec<Place> = Vec::new();
    for number in 1..=LAST {
        append(&mut journal, number);
        let name = memory.names().into_iter().rfind(|name| name.starts_with("journal/")).expect("a segment");
        let end = memory.read(&name).len();
        let from = match places.iter().rev().find(|place| place.name == name) {
            Some(place) => place.bytes.end,
            None => {
                places.push(Place { name: name.clone(), bytes: 0..HEAD, last: 0, entry: false });
                HEAD
            }
        };
        places.push(Place { name: name.clone(), bytes: from..end, last: number, entry: true });
        // A header is needed for all entries of its segment.
        places.iter_mut().filter(|place| place.name == name && !place.entry).for_each(|head| head.last = number);
    }
    assert!(places.iter().filter(|place| !place.entry).count() >= 3, "some segments");
    (memory, places)
}

fn copy(memory: &Memory) -> Memory {
    let other = Memory::default();
    for name in memory.names() {
        drop(slackwater_store::disk::Disk::create(&other, &name).expect("a file"));
        other.write(&name, memory.read(&name));
    }
    other
}

fn open(memory: &Memory, committed: u64, covered: u64) -> Result<Journal, Fault> {
    Journal::open_behind(Arc::new(memory.clone()), INSTANCE, LIMITS, Known { committed, covered })
}

fn entries(journal: &Journal, from: u64) -> Result<Vec<(u64, Entry)>, Fault> {
    journal.read(from)?.collect()
}

fn right(from: u64, to: u64) -> Vec<(u64, Entry)> {
    (from..=to).map(|number| (number, step(number))).collect()
}

/// Uses a journal of which something covered is damaged: appends, makes record, and opens it again.
fn goes_on(memory: &Memory, place: &Place, covered: u64) {
    let mut journal = open(memory, LAST, covered).expect("covered");
    let whole = journal.is_whole_behind(0);
    assert_eq!(whole.is_err(), place.entry, "{whole:?}");
    assert!(whole.err().is_none_or(|fault| fault.to_string().contains(&place.name)));
    journal.is_whole_behind(covered).expect("nothing is needed of it");
    assert_eq!(journal.gaps().len(), 1);
    assert_eq!(journal.gaps()[0].name(), place.name);
    let damaged = memory.read(&place.name);
    for number in [LAST + 1, LAST + 2] {
        append(&mut journal, number);
    }
    assert_eq!(memory.read(&place.name), damaged, "a damaged segment is not written to");
    assert_eq!(entries(&journal, covered + 1).expect("behind it"), right(covered + 1, LAST + 2));
    drop(journal);
    let mut journal = open(memory, LAST + 2, covered).expect("as before");
    assert_eq!((journal.gaps().len(), journal.last()), (1, LAST + 2));
    journal.retire(covered, KeepRaw::Forever).expect("retired");
    let gone = !memory.names().contains(&place.name);
    assert_eq!(journal.lost().len(), usize::from(gone && place.entry), "the record says what it lacks");
    assert_eq!(journal.gaps().len(), usize::from(!gone));
    if gone && place.entry {
        assert_eq!(memory.read(&format!("{}.damaged", place.name)), damaged, "it is kept aside");
        let said = entries(&journal, 1).expect_err("an entry is missing").to_string();
        assert!(said.contains("record/") && said.contains(&format!("entry {} was damaged", place.last)), "{said}");
        let said = journal.is_whole_behind(0).expect_err("an entry is missing").to_string();
        assert!(said.contains("record/") && said.contains("entries"), "{said}");
        journal.is_whole_behind(place.last).expect("not behind it");
    }
    drop(journal);
    let journal = open(memory, LAST + 2, covered).expect("as before");
    assert_eq!(entries(&journal, covered + 1).expect("behind it"), right(covered + 1, LAST + 2));
}

#[test]
fn a_flipped_bit_of_what_is_covered_is_passed_over_and_of_what_is_not_refused() {
    let (memory, places) = laid();
    let (mut passed, mut refused) = (0, 0);
    for place in &places {
        for bit in (place.bytes.start * 8..place.bytes.end * 8).step_by(5) {
            let damaged = copy(&memory);
            let mut bytes = damaged.read(&place.name);
            bytes[bit / 8] ^= 1 << (bit % 8);
            damaged.write(&place.name, bytes);
            for covered in [0, place.last - 1, place.last, LAST] {
                let at = format!("bit {bit} of {}, covered up to {covered}", place.name);
                if covered < place.last {
                    let found = open(&copy(&damaged), LAST, covered).map(drop).expect_err(&at);
                    assert!(matches!(&found, Fault::Damaged { name, .. } if *name == place.name), "{at}: {found}");
                    refused += 1;
                } else {
                    goes_on(&copy(&damaged), place, covered);
                    passed += 1;
                }
            }
        }
    }
    println!("covered passed={passed} refused={refused}");
    assert!(passed > 1_000 && refused > 1_000);
}

#[test]
fn what_is_cut_off_missing_or_of_another_place_is_refused_though_it_is_covered() {
    let (memory, places) = laid();
    let names: Vec<&String> = places.iter().filter(|place| !place.entry).map(|place| &place.name).collect();
    let refused = |damaged: &Memory, at: &str| {
        let found = open(damaged, LAST, LAST).map(drop).expect_err(at);
        assert!(matches!(found, Fault::Damaged { .. }), "{at}: {found}");
    };
    for name in &names {
        for len in (0..memory.read(name).len()).step_by(8) {
            let damaged = copy(&memory);
            damaged.write(name, memory.read(name)[..len].to_vec());
            refused(&damaged, &format!("{name} cut to {len}"));
        }
        for other in names.iter().filter(|other| other != &name) {
            let damaged = copy(&memory);
            damaged.write(name, memory.read(other));
            refused(&damaged, &format!("{other} over {name}"));
        }
        let damaged = copy(&memory);
        slackwater_store::disk::Disk::remove(&damaged, name).expect("removed");
        refused(&damaged, &format!("{name} missing"));
        let damaged = copy(&memory);
        damaged.write(name, vec![0xa5; memory.read(name).len()]);
        refused(&damaged, &format!("anything in the place of {name}"));
    }
}

#[test]
fn a_torn_tail_behind_damage_that_is_covered_is_cut_away() {
    let (memory, places) = laid();
    let last = places.last().expect("an entry");
    let mut journal = open(&memory, LAST, 0).expect("whole");
    append(&mut journal, LAST + 1);
    drop(journal);
    let mut bytes = memory.read(&last.name);
    assert!(bytes.len() > last.bytes.end, "in the same segment");
    bytes[last.bytes.start + 40] ^= 4;
    bytes.truncate(bytes.len() - 6);
    memory.write(&last.name, bytes);
    let mut journal = open(&copy(&memory), LAST, LAST).expect("covered, and torn behind");
    assert_eq!((journal.last(), journal.gaps().len()), (LAST, 1));
    append(&mut journal, LAST + 1);
    assert_eq!(entries(&journal, LAST + 1).expect("again"), right(LAST + 1, LAST + 1));
    let refused = open(&memory, LAST, LAST - 1).map(drop).expect_err("not covered");
    assert!(refused.to_string().contains("are concerned"), "{refused}");
}

#[test]
fn a_flipped_bit_in_the_header_of_a_record_is_turned_back_and_told_and_two_are_refused() {
    const RECORD: usize = 128;
    let (memory, _) = laid();
    open(&memory, LAST, LAST).expect("whole").retire(LAST, KeepRaw::Forever).expect("retired");
    let records: Vec<String> = memory.names().into_iter().filter(|name| name.starts_with("record/")).collect();
    assert!(records.len() >= 2, "some files of the record");
    for (at, name) in records.iter().enumerate() {
        let whole = memory.read(name);
        let with = |bits: &[usize]| {
            let mut bytes = whole.clone();
            bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
            let other = copy(&memory);
            other.write(name, bytes);
            other
        };
        for bit in 0..RECORD * 8 {
            let worn = with(&[bit]);
            let journal = open(&worn, LAST, 0).expect("it is known which bit");
            journal.is_whole_behind(0).expect("nothing is lost");
            assert_eq!(entries(&journal, 1).expect("all of it"), right(1, LAST), "bit {bit} of {name}");
            let told: Vec<String> = journal.worn().map(|fault| fault.to_string()).collect();
            assert!(told.len() == 1 && told[0].contains(name), "{told:?}");
            let survey = Journal::survey(&worn, &INSTANCE, LAST).expect("read through");
            assert!(survey.worn.len() == 1 && survey.broken.is_empty(), "{survey:?}");
        }
        for other in [1, 100, 700] {
            let bits = [at, RECORD * 8 - other];
            let said = open(&with(&bits), LAST, LAST).expect_err("two bits are no accident of one").to_string();
            assert!(said.contains(name) && said.contains("no header of a record"), "{said}");
        }
    }
}
