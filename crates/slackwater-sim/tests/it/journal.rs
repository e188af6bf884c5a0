//! The journal on a disk that loses what it may lose: nothing acknowledged is lost, nothing is invented, and no damage is
//! taken for an answer.

use slackwater_sim::effort;
use slackwater_sim::kept::{
    Act, Figures, INSTANCE, Known, LIMITS, Met, check, cut_everywhere, entry, fail_every_sync, meets, perform,
    recovers, workloads,
};
use slackwater_sim::platter::{Platter, Trouble, Verb};
use slackwater_sim::rng::Rng;
use slackwater_store::entry::{Entry, Packed};
use slackwater_store::journal::{Journal, Limits};
use slackwater_store::{Fault, KeepRaw};
use std::collections::BTreeMap;
use std::sync::Arc;

const ACTS: [Act; 4] = [Act::Small, Act::Large, Act::Sync, Act::Retire];
const KEEPS: [KeepRaw; 2] = [KeepRaw::Forever, KeepRaw::None];
/// Images of the power cuts, at least.
const IMAGES: usize = 300_000;
/// Worlds drawn by chance.
const WORLDS: usize = 3_000;
/// Two records, two segments that are closed, and one that grows.
const SOME: [Act; 14] = {
    use Act::{Large, Retire, Small, Sync};
    [Small, Sync, Large, Sync, Small, Small, Sync, Retire, Large, Sync, Small, Sync, Small, Sync]
};

/// The last entry of these.
const LAST: u64 = 7;
/// Bytes of the header of a file of the record.
const RECORD_HEAD: usize = 128;

fn well<T>(outcome: Result<T, String>) -> T {
    outcome.unwrap_or_else(|text| panic!("{text}"))
}

#[test]
fn after_every_power_cut_a_journal_holds_all_that_was_acknowledged_and_nothing_else() {
    let mut figures = Figures::default();
    let mut tried = 0;
    let all: Vec<Vec<Act>> = (1..=6).flat_map(|len| workloads(&ACTS, len)).collect();
    let step = all.len() / effort::share(all.len());
    for (number, acts) in all.iter().step_by(step).chain([&SOME.to_vec()]).enumerate() {
        well(cut_everywhere(acts, KEEPS[number % 2], &mut figures));
        tried += 1;
    }
    let Figures { images, recovered, unopenable } = figures;
    let wrong = images - recovered - unopenable;
    effort::print(&format!(
        "journal crash_images={images} workloads={tried} recovered={recovered} wrong={wrong} unopenable={unopenable}"
    ));
    assert_eq!((wrong, unopenable), (0, 0));
    assert!(images >= effort::share(IMAGES), "{images} images are too few to say anything");
}

#[test]
fn a_power_cut_while_a_journal_recovers_loses_nothing() {
    let mut figures = Figures::default();
    for at in 0.. {
        let disk = Platter::new();
        disk.trouble(Trouble::Crash(at));
        let known = perform(&disk, &SOME, KeepRaw::Forever);
        for seed in 0..effort::share(40) as u64 {
            let first = disk.image(seed);
            for again in 0.. {
                let second = first.copy();
                second.trouble(Trouble::Crash(again));
                let ended = Journal::open(Arc::new(second.clone()), INSTANCE, LIMITS, known.acked).is_ok();
                let place = || format!("cut at change {at}, image {seed}, and at change {again} of recovery");
                if known.made {
                    well(figures.count(recovers(&second.image(seed), &known, seed), place));
                    well(figures.count(recovers(&second.restarted(), &known, seed), place));
                }
                if ended || !known.made {
                    break;
                }
            }
        }
        if !known.failed {
            break;
        }
    }
    effort::print(&format!("journal recoveries_cut={} wrong=0", figures.images));
    assert!(figures.images >= effort::share(5_000), "{} are too few to say anything", figures.images);
}

#[test]
fn after_a_sync_that_failed_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut figures = Figures::default();
    for acts in workloads(&[Act::Small, Act::Large, Act::Retire], 3) {
        let synced: Vec<Act> = acts.iter().flat_map(|act| [*act, Act::Sync]).collect();
        for keep in KEEPS {
            well(fail_every_sync(&synced, keep, &mut figures));
        }
    }
    effort::print(&format!("journal syncs_failed images={} wrong=0", figures.images));
}

/// One world by chance: acts, a trouble, and a power cut.
fn world(seed: u64) -> Result<(Known, bool), String> {
    let mut rng = Rng::new(seed);
    let acts: Vec<Act> = (0..4 + rng.below(16))
        .map(|_| match rng.below(40) {
            0 => Act::Huge,
            1..12 => Act::Small,
            12..22 => Act::Large,
            22..34 => Act::Sync,
            _ => Act::Retire,
        })
        .collect();
    let keep = *rng.pick(&KEEPS);
    let disk = Platter::new();
    let number = rng.below(40);
    match rng.below(6) {
        0 => disk.trouble(Trouble::Crash(number)),
        1 => disk.trouble(Trouble::Broken(number)),
        2 => disk.trouble(Trouble::Full(number)),
        3 => disk
            .trouble(Trouble::BrokenVerb(*rng.pick(&[Verb::Write, Verb::Sync, Verb::Read, Verb::Remove]), number / 6)),
        4 => disk.trouble(Trouble::FullVerb(*rng.pick(&[Verb::Write, Verb::Create, Verb::Rename]), number / 6)),
        _ => disk.bound(Some(1_000 + rng.below(6_000) as u64)),
    }
    let known = perform(&disk, &acts, keep);
    let place = |text: String| format!("{acts:?} {keep:?}: {text}");
    for _ in 0..8 {
        recovers(&disk.image(rng.bits()), &known, rng.bits()).map_err(place)?;
    }
    recovers(&disk.restarted(), &known, rng.bits()).map_err(place)?;
    let full = disk.files().values().map(Vec::len).sum::<usize>() > 1_000;
    Ok((known, full))
}

#[test]
fn whatever_goes_wrong_with_the_disk_a_journal_holds_what_it_acknowledged() {
    let (mut failed, mut acked) = (0, 0);
    for seed in effort::seeds("journal", WORLDS) {
        let test = "whatever_goes_wrong_with_the_disk_a_journal_holds_what_it_acknowledged";
        let (known, _) = world(seed).unwrap_or_else(|text| panic!("{text}\n{}", effort::again(seed, "it", test)));
        failed += usize::from(known.failed);
        acked += known.acked;
    }
    effort::print(&format!("journal worlds={} failed={failed} acked={acked} lost=0 invented=0", effort::share(WORLDS)));
    assert!(effort::asked_seed().is_some() || failed * 10 > effort::share(WORLDS), "{failed} failures are too few");
}

/// A disk with a record and a journal, and what is known of them.
fn some(keep: KeepRaw) -> (Platter, Known) {
    let disk = Platter::new();
    let known = perform(&disk, &SOME, keep);
    let disk = disk.image(0);
    assert_eq!(known.acked, LAST, "all was done");
    well(check(&disk, &known, LAST));
    let count = |folder: &str| disk.files().keys().filter(|name| name.starts_with(folder)).count();
    assert!(count("journal/") >= 3 && count("record/") >= 2, "{:?}", disk.files().keys());
    (disk, known)
}

#[test]
fn no_flipped_bit_gives_another_answer() {
    let (mut flips, mut masked) = (0, 0);
    for keep in KEEPS {
        let (disk, known) = some(keep);
        for (name, bytes) in disk.files() {
            for bit in 0..bytes.len() * 8 {
                let damaged = disk.copy();
                damaged.flip(&name, bit);
                let met = meets(&damaged, &known).unwrap_or_else(|text| panic!("{name}, bit {bit}: {text}"));
                flips += 1;
                masked += usize::from(met == Met::Masked);
                // The digest of a record's header tells which bit it was.
                let told = name.starts_with("record/") && bit < RECORD_HEAD * 8;
                assert_eq!(met == Met::Masked, told, "{name}, bit {bit}: every other bit means something");
            }
        }
    }
    effort::print(&format!(
        "journal flips={flips} silent_wrong=0 panics=0 masked={masked} detected={}",
        flips - masked
    ));
    assert!(flips > 50_000, "{flips} are too few to say anything");
}

#[test]
fn no_truncation_gives_another_answer_and_none_before_what_is_committed_passes_for_a_torn_tail() {
    let (disk, known) = some(KeepRaw::Forever);
    let last = disk.files().into_keys().rfind(|name| name.starts_with("journal/")).expect("a segment");
    let (mut truncations, mut torn) = (0, 0);
    for (name, bytes) in disk.files() {
        for len in 0..bytes.len() {
            let damaged = disk.copy();
            damaged.put(&name, Some(bytes[..len].to_vec()));
            truncations += 1;
            match check(&damaged.copy(), &known_from(&known, 0), 0) {
                Err(text) => assert!(text.contains("damaged"), "{name}, {len} bytes: {text}"),
                Ok((_, read)) => {
                    assert!(name == last && read < LAST, "{name}, {len} bytes are not all");
                    torn += 1;
                }
            }
            let committed = check(&damaged, &known, LAST).map(|(_, read)| read);
            let text = committed.expect_err("what is committed is missing");
            assert!(text.contains("damaged"), "{name}, {len} bytes: {text}");
        }
    }
    effort::print(&format!("journal truncations={truncations} torn={torn} silent_wrong=0 panics=0"));
    assert!(torn > 100, "the last segment can be torn");
}

fn known_from(known: &Known, acked: u64) -> Known {
    Known { acked, ..known.clone() }
}

#[test]
fn files_that_are_missing_swapped_doubled_or_foreign_are_found() {
    let (disk, known) = some(KeepRaw::Forever);
    let foreign = Platter::new();
    let acts: Vec<Act> = SOME.iter().map(|act| if *act == Act::Small { Act::Large } else { *act }).collect();
    assert_eq!(perform(&foreign, &acts, KeepRaw::Forever).acked, LAST);
    let files: Vec<(String, Vec<u8>)> = disk.files().into_iter().collect();
    let mut tried = 0;
    let mut expect = |what: String, damaged: Platter| {
        tried += 1;
        let text = check(&damaged, &known, LAST).map(|(_, read)| read).expect_err(&what);
        assert!(text.contains("damaged"), "{what}: {text}");
    };
    for (name, bytes) in &files {
        let one = disk.copy();
        one.put(name, None);
        expect(format!("{name} is missing"), one);
        let one = disk.copy();
        one.put(name, Some(Vec::new()));
        expect(format!("{name} is empty"), one);
        let one = disk.copy();
        one.put(name, Some(vec![0; bytes.len()]));
        expect(format!("{name} is zeros"), one);
        for (other, theirs) in files.iter().filter(|(other, _)| other != name) {
            let one = disk.copy();
            one.put(name, Some(theirs.clone()));
            expect(format!("{name} is a copy of {other}"), one.copy());
            one.put(other, Some(bytes.clone()));
            expect(format!("{name} and {other} are swapped"), one);
        }
    }
    // Another history of the same instance: right in itself, and not what was before or after.
    let theirs: BTreeMap<String, Vec<u8>> = foreign.files();
    for (name, _) in files.iter().filter(|(name, bytes)| theirs.get(name).is_some_and(|other| other != bytes)) {
        let one = disk.copy();
        one.put(name, theirs.get(name).cloned());
        match check(&one, &known, LAST) {
            Ok((_, read)) => panic!("{name} of another history is taken: {read} entries"),
            Err(text) => assert!(text.contains("damaged"), "{name}: {text}"),
        }
    }
    let other = Journal::open(Arc::new(disk.clone()), *b"another instance", LIMITS, 0);
    assert!(other.expect_err("another instance").to_string().contains("damaged"), "a foreign journal");
    effort::print(&format!("journal files_displaced={tried} silent_wrong=0"));
}

#[test]
fn a_sector_of_zeros_is_a_torn_tail_only_in_the_last_group_and_damage_before() {
    let disk = Platter::new();
    let long = Limits { segment_bytes: 1 << 20, ..LIMITS };
    let mut journal = Journal::create(Arc::new(disk.clone()), INSTANCE, long).expect("a journal");
    let mut known = Known { made: true, ..Known::default() };
    let mut ends = Vec::new();
    for group in 0..3 {
        for act in [Act::Large, Act::Small, Act::Large] {
            known.entries.push(entry(journal.last() + 1, act));
            let packed = Packed::new(&known.entries[known.entries.len() - 1]).expect("packed");
            journal.append(&packed).expect("appended");
        }
        assert_eq!(journal.sync().expect("synced"), group * 3 + 3);
        ends.push(journal.bytes() as usize);
    }
    let (name, bytes) = disk.files().pop_last().expect("a segment");
    assert_eq!(bytes.len(), ends[2], "all lies in one segment");
    let (mut torn, mut damage) = (0, 0);
    for from in (0..bytes.len()).step_by(512) {
        let mut zeroed = bytes.clone();
        zeroed[from..bytes.len().min(from + 512)].fill(0);
        let damaged = disk.image(0);
        damaged.put(&name, Some(zeroed));
        match check(&damaged, &known, 0) {
            Ok((_, read)) => {
                assert!(from >= ends[1] && (6..9).contains(&read), "sector at {from}: {read} entries");
                torn += 1;
            }
            Err(text) => {
                assert!(from < ends[1] && text.contains("damaged"), "sector at {from}: {text}");
                damage += 1;
            }
        }
    }
    assert!(torn > 3 && damage > 6, "{torn} torn, {damage} damaged");
}

#[test]
fn zeros_that_were_written_are_never_taken_for_a_sector_that_was_not() {
    let mut rng = Rng::new(7);
    let (mut flips, mut lengths) = (0, 0);
    for len in (0..2_200).step_by(if effort::share(10) == 10 { 3 } else { 31 }) {
        let disk = Platter::new();
        let mut journal = Journal::create(Arc::new(disk.clone()), INSTANCE, LIMITS).expect("a journal");
        // The first step moves the second to another place in its sectors.
        for (input, outcome) in [(1 + rng.below(600), 0), (len, rng.below(700))] {
            let entry = Entry::Step { input: vec![0; input], outcome: vec![0; outcome] };
            let packed = Packed::new(&entry).expect("packed");
            journal.append(&packed).expect("appended");
        }
        journal.sync().expect("synced");
        let disk = disk.image(0);
        let (name, bytes) = disk.files().pop_last().expect("a segment");
        lengths += 1;
        for _ in 0..60 {
            let damaged = disk.copy();
            let bit = rng.below(bytes.len() * 8);
            damaged.flip(&name, bit);
            let found = Journal::open(Arc::new(damaged), INSTANCE, LIMITS, 0).expect_err("a flipped bit");
            assert!(matches!(found, Fault::Damaged { .. }), "{len} zeros, bit {bit}: {found}");
            flips += 1;
        }
    }
    effort::print(&format!("journal zeros lengths={lengths} flips={flips} silent_wrong=0"));
}

#[test]
fn a_segment_for_which_there_was_no_room_does_not_come_back_after_a_power_cut() {
    let step = |len: usize| Packed::new(&Entry::Step { input: vec![1; len], outcome: Vec::new() }).expect("packed");
    for number in 0..3 {
        let disk = Platter::new();
        let mut journal = Journal::create(Arc::new(disk.clone()), INSTANCE, LIMITS).expect("a journal");
        journal.append(&step(100)).and_then(|_| journal.sync()).expect("synced");
        disk.trouble(match number {
            0 => Trouble::FullVerb(Verb::Create, 0),
            _ => Trouble::FullVerb(Verb::Write, number - 1),
        });
        let fault = journal.append(&step(2_000)).and_then(|_| journal.sync()).expect_err("no room");
        assert!(fault.is_full() && journal.last() == 1, "{fault}");
        // It fits in the segment that is there.
        journal.append(&step(100)).and_then(|_| journal.sync()).expect("synced");
        for image in disk.images() {
            let journal = Journal::open(Arc::new(image), INSTANCE, LIMITS, 2);
            assert_eq!(journal.expect("opened").last(), 2, "the {number}. change had no room");
        }
        journal.append(&step(2_000)).and_then(|_| journal.sync()).expect("there is room again");
    }
}
