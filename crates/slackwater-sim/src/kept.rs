//! What a journal promises, tried: small workloads, a power cut after each of their steps, and every disk that it may leave.
//!
//! What is read back must be a prefix of what was appended that holds all that was acknowledged, and the journal must
//! go on from there.

use crate::platter::{Platter, Trouble, Verb};
use crate::rng::Rng;
use slackwater_store::disk::Disk;
use slackwater_store::entry::{Entry, Packed, Raw, Received};
use slackwater_store::journal::{Journal, Limits};
use slackwater_store::{Fault, KeepRaw};
use std::sync::Arc;

/// The instance whose journal is tried.
pub const INSTANCE: [u8; 16] = *b"a tried instance";
/// Segments so short that most groups begin one.
pub const LIMITS: Limits = Limits { segment_bytes: 700, most_bytes: 64 << 20, reserve_bytes: 1 << 10 };

/// One call on a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Appends a step that lies in one sector, or two.
    Small,
    /// Appends events over several sectors.
    Large,
    /// Appends events that are written before a sync asks for it.
    Huge,
    /// Syncs.
    Sync,
    /// Retires all that is durable.
    Retire,
}

/// Every workload of so many acts out of these.
pub fn workloads(acts: &[Act], len: usize) -> Vec<Vec<Act>> {
    let mut all = vec![Vec::new()];
    for _ in 0..len {
        all = all.iter().flat_map(|begun| acts.iter().map(move |act| [begun.as_slice(), &[*act]].concat())).collect();
    }
    all
}

/// The entry that a journal gets under a number.
pub fn entry(sequence: u64, act: Act) -> Entry {
    let mut rng = Rng::new(sequence);
    let mut bytes = |len: usize| (0..len).map(|_| rng.bits() as u8).collect::<Vec<u8>>();
    let len = match act {
        Act::Large => 1_300,
        Act::Huge => 1_100_000,
        // Zeros as in a sector that was never written.
        _ => return Entry::Step { input: bytes(24), outcome: vec![0; 600 * (sequence as usize % 2)] },
    };
    Entry::Events(Received {
        source: 3,
        decoder: 1,
        part: Arc::from("trades.ndjson"),
        offset: sequence * 4_096,
        line: sequence,
        arrival: sequence.is_multiple_of(2).then_some(-7),
        delivered: sequence.is_multiple_of(3).then_some(u128::from(sequence) << 70),
        header: b"a,b".to_vec(),
        gist: sequence.to_le_bytes().to_vec(),
        bytes: Raw::Kept(bytes(len)),
    })
}

/// What is known of a journal by those who used it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The entries that were appended and not withdrawn, from 1 on.
    pub entries: Vec<Entry>,
    /// The last one that a sync acknowledged.
    pub acked: u64,
    /// Whether the journal was ever made.
    pub made: bool,
    /// Up to where event bytes may have been left out.
    pub dropped: u64,
    /// Whether a call failed for another reason than want of room.
    pub failed: bool,
}

/// Does all acts, or those before the first that fails for another reason than want of room.
pub fn perform(disk: &Platter, acts: &[Act], keep: KeepRaw) -> Known {
    let mut known = Known::default();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut journal = match Journal::create(disk, INSTANCE, LIMITS) {
        Ok(journal) => journal,
        Err(_) => return Known { failed: true, ..known },
    };
    known.made = true;
    for act in acts {
        let outcome = match act {
            Act::Sync => journal.sync().map(|acked| known.acked = acked),
            Act::Retire => {
                known.dropped = if keep == KeepRaw::None { known.acked } else { 0 };
                journal.retire(known.acked, keep)
            }
            append => {
                let entry = entry(journal.last() + 1, *append);
                known.entries.push(entry.clone());
                Packed::new(&entry).and_then(|packed| journal.append(&packed)).map(drop)
            }
        };
        match outcome {
            Ok(()) => {}
            Err(fault) if fault.is_full() => known.entries.truncate(journal.last() as usize),
            Err(_) => {
                known.failed = true;
                let refused = journal.sync().is_err()
                    && journal.retire(known.acked, keep).is_err()
                    && journal.read(1).is_err()
                    && Packed::new(&entry(1, Act::Small)).and_then(|packed| journal.append(&packed)).is_err();
                assert!(refused, "a journal that failed does nothing any more");
                break;
            }
        }
    }
    known
}

/// Opens a journal and reads all of it; gives the number of its entries.
///
/// # Errors
/// What it is that breaks the promise.
pub fn check(disk: &Platter, known: &Known, committed: u64) -> Result<(Journal, u64), String> {
    let journal = Journal::open(Arc::new(disk.clone()), INSTANCE, LIMITS, committed)
        .map_err(|fault| format!("unopenable: {fault}"))?;
    let mut read = 0;
    for found in journal.read(1).map_err(|fault| fault.to_string())? {
        let (sequence, entry) = found.map_err(|fault| format!("unreadable: {fault}"))?;
        read += 1;
        if sequence != read {
            return Err(format!("entry {sequence} is read where {read} belongs"));
        }
        match known.entries.get(read as usize - 1) {
            None => return Err(format!("entry {sequence} was invented")),
            Some(appended) if *appended == entry => {}
            Some(appended) if sequence <= known.dropped && without_bytes(appended) == entry => {}
            Some(_) => return Err(format!("entry {sequence} is not the one that was appended")),
        }
    }
    if read != journal.last() || read != journal.synced() {
        return Err(format!("{read} entries are read, and the last is {}", journal.last()));
    }
    if read < known.acked {
        return Err(format!("{read} entries are left, and {} were acknowledged", known.acked));
    }
    Ok((journal, read))
}

fn without_bytes(entry: &Entry) -> Entry {
    match entry.clone() {
        Entry::Events(Received {
            bytes: Raw::Kept(bytes),
            source,
            decoder,
            part,
            offset,
            line,
            arrival,
            delivered,
            header,
            gist,
        }) => {
            let bytes = Raw::Dropped { len: bytes.len() as u64 };
            Entry::Events(Received { source, decoder, part, offset, line, arrival, delivered, header, gist, bytes })
        }
        other => other,
    }
}

/// What is found after a crash keeps the promise, goes on, and keeps it again after a further crash.
///
/// # Errors
/// What it is that breaks the promise.
pub fn recovers(disk: &Platter, known: &Known, seed: u64) -> Result<(), String> {
    if !known.made {
        // It was never said to be there, so it may be made anew.
        if disk.files().values().all(|bytes| bytes.len() <= 64) {
            return Journal::create(Arc::new(disk.clone()), INSTANCE, LIMITS).map(drop).map_err(|f| f.to_string());
        }
        return Err("a journal that was never made has entries".to_string());
    }
    let committed = if seed.is_multiple_of(2) { known.acked } else { 0 };
    let (mut journal, read) = check(disk, known, committed)?;
    let mut known = known.clone();
    known.entries.truncate(read as usize);
    let next = entry(read + 1, if seed.is_multiple_of(3) { Act::Large } else { Act::Small });
    known.entries.push(next.clone());
    let went_on = Packed::new(&next).and_then(|packed| journal.append(&packed)).and_then(|_| journal.sync());
    known.acked = went_on.map_err(|fault| format!("does not go on: {fault}"))?;
    if known.acked != read + 1 {
        return Err(format!("goes on with entry {}, not {}", known.acked, read + 1));
    }
    drop(journal);
    check(&disk.image(seed), &known, known.acked).map_err(|text| format!("after a further crash: {text}")).map(drop)
}

/// Figures of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Disks that were looked at.
    pub images: usize,
    /// Those on which all was well.
    pub recovered: usize,
    /// Those on which a journal could not be opened.
    pub unopenable: usize,
}

impl Figures {
    /// Counts one disk.
    ///
    /// # Errors
    /// What was found wrong with it, with where that was.
    pub fn count(&mut self, outcome: Result<(), String>, place: impl Fn() -> String) -> Result<(), String> {
        self.images += 1;
        self.recovered += usize::from(outcome.is_ok());
        outcome.map_err(|text| {
            self.unopenable += usize::from(text.contains("unopenable"));
            format!("{}: {text}", place())
        })
    }
}

/// Cuts the power before each change of a workload, and looks at every disk that this may leave.
///
/// # Errors
/// The first broken promise.
pub fn cut_everywhere(acts: &[Act], keep: KeepRaw, figures: &mut Figures) -> Result<(), String> {
    let whole = Platter::new();
    perform(&whole, acts, keep);
    for at in 0..=whole.changes() {
        let disk = Platter::new();
        disk.trouble(Trouble::Crash(at));
        let known = perform(&disk, acts, keep);
        for (number, image) in disk.images().enumerate() {
            let outcome = recovers(&image, &known, number as u64);
            figures.count(outcome, || format!("{acts:?} {keep:?}, power cut at change {at}, image {number}"))?;
        }
        let outcome = recovers(&disk.restarted(), &known, at as u64);
        figures.count(outcome, || format!("{acts:?} {keep:?}, killed at change {at}"))?;
    }
    Ok(())
}

/// Fails each sync of a workload in turn: nothing is acknowledged after it, and what was is found.
///
/// # Errors
/// The first broken promise.
pub fn fail_every_sync(acts: &[Act], keep: KeepRaw, figures: &mut Figures) -> Result<(), String> {
    for verb in [Verb::Sync, Verb::SyncFolder] {
        for number in 0.. {
            let disk = Platter::new();
            disk.trouble(Trouble::BrokenVerb(verb, number));
            let known = perform(&disk, acts, keep);
            if !known.failed && disk.trace().iter().filter(|(done, _)| *done == verb).count() <= number {
                break;
            }
            let place = || format!("{acts:?} {keep:?}, {verb:?} {number} fails");
            let mut images: Vec<Platter> = disk.images().collect();
            images.push(disk.restarted());
            for (seed, image) in images.iter().enumerate() {
                figures.count(recovers(image, &known, seed as u64), place)?;
            }
            if !known.failed {
                return Err(format!("{}, and the journal went on", place()));
            }
        }
    }
    Ok(())
}

/// What becomes of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It was named.
    Detected,
    /// It made no difference.
    Masked,
}

/// Reads a journal whose disk was damaged: damage is named, or all entries are as they were.
///
/// # Errors
/// A wrong answer.
pub fn meets(disk: &Platter, known: &Known) -> Result<Met, String> {
    match Journal::open(Arc::new(disk.clone()), INSTANCE, LIMITS, 0) {
        Err(Fault::Damaged { .. }) => return Ok(Met::Detected),
        Err(other) => return Err(format!("{other} is not what damage is called")),
        Ok(journal) => {
            for found in journal.read(1).map_err(|fault| fault.to_string())? {
                match found {
                    Err(Fault::Damaged { .. }) => return Ok(Met::Detected),
                    Err(other) => return Err(format!("{other} is not what damage is called")),
                    Ok(_) => {}
                }
            }
        }
    }
    let (_, read) = check(disk, known, 0)?;
    if read == known.entries.len() as u64 { Ok(Met::Masked) } else { Err(format!("only {read} entries are left")) }
}
