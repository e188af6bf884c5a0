//! How a journal begins: a new one, a new segment of it, and one that is found.

use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::fault::Fault;
use crate::journal::file::{FOLDER, HEAD, Segment, header, list, name};
use crate::journal::frame::Seal;
use crate::journal::retire::{compare, let_go};
use crate::journal::walk::{Known, Tail, Walked, walk};
use crate::journal::{Journal, Limits};
use crate::record;
use std::sync::Arc;

/// Why a segment could not be begun.
pub struct Failure {
    /// What went wrong.
    pub fault: Fault,
    /// Whether it is certain that nothing is left of it.
    pub undone: bool,
}

/// Makes the segment whose first entry is `first`, durable under its name.
pub fn segment(
    disk: &dyn Disk,
    instance: &[u8; 16],
    first: u64,
    chain: u32,
) -> Result<(Segment, Box<dyn File>), Failure> {
    let name = name(first);
    let failed = |verb, cause| Failure { fault: Fault::disk(&name, verb, cause), undone: false };
    let written = disk.create(&name).map_err(|cause| ("create", cause)).and_then(|file| {
        file.write_at(0, &header(instance, first, chain)).map_err(|cause| ("write", cause))?;
        Ok(file)
    });
    let file = match written {
        Ok(file) => file,
        Err((verb, cause)) => {
            let mut failure = failed(verb, cause);
            // Only a name that is durably gone cannot come back and stand in the way of what is written instead.
            let _ = disk.remove(&name);
            failure.undone = failure.fault.is_full()
                && disk.list(FOLDER).is_ok_and(|names| !names.iter().any(|found| name.ends_with(found.as_str())))
                && disk.sync_folder(FOLDER).is_ok();
            return Err(failure);
        }
    };
    let point = |point| crash::point(point).map_err(|fault| Failure { fault, undone: false });
    point(CrashPoint::SegmentMade)?;
    file.sync().map_err(|cause| failed("sync", cause))?;
    point(CrashPoint::SegmentSynced)?;
    disk.sync_folder(FOLDER).map_err(|cause| failed("sync the folder of", cause))?;
    point(CrashPoint::SegmentNamed)?;
    Ok((Segment { first, chain, bytes: HEAD as u64, worn: false }, file))
}

impl Journal {
    /// Begins the journal of an instance.
    ///
    /// # Errors
    /// If there is one already that was ever written to; or what the disk says.
    pub fn create(disk: Arc<dyn Disk>, instance: [u8; 16], limits: Limits) -> Result<Journal, Fault> {
        for folder in [FOLDER, record::FOLDER] {
            disk.make_folder(folder).map_err(|cause| Fault::disk(folder, "make", cause))?;
        }
        disk.sync_folder("").map_err(|cause| Fault::disk("the data directory", "sync", cause))?;
        let there = list(&*disk, FOLDER)?;
        let left = list(&*disk, record::FOLDER)?;
        for first in &there {
            let name = name(*first);
            let len = disk.open(&name).and_then(|file| file.len());
            let len = len.map_err(|cause| Fault::disk(&name, "read", cause))?;
            if there != [1] || !left.is_empty() || len > HEAD as u64 {
                return Err(Fault::Refused(format!("{name}: there is a journal here already")));
            }
            disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
        }
        if !left.is_empty() {
            return Err(Fault::Refused(format!("{}: there is a record here without its journal", record::FOLDER)));
        }
        let seal = Seal::new(&instance);
        let (segment, file) = segment(&*disk, &instance, 1, seal.start()).map_err(|failure| failure.fault)?;
        Ok(Journal::of(disk, instance, limits, Vec::new(), vec![segment], file, (0, seal.start())))
    }

    /// Opens the journal of an instance and reads all of it. `committed` is the last entry whose effects the store has
    /// committed: up to there nothing can be torn. All that is found is durable afterwards.
    ///
    /// # Errors
    /// [`Fault::Damaged`] with the entries concerned; [`Fault::Newer`]; or what the disk says.
    pub fn open(disk: Arc<dyn Disk>, instance: [u8; 16], limits: Limits, committed: u64) -> Result<Journal, Fault> {
        Journal::open_behind(disk, instance, limits, Known { committed, covered: 0 })
    }

    /// Opens it as [`Journal::open`] does, but passes over damage of entries that a checkpoint covers: [`Journal::gaps`] tells
    /// of it. Whoever goes on from before them must ask [`Journal::is_whole_behind`] first.
    ///
    /// # Errors
    /// As [`Journal::open`] has them.
    pub fn open_behind(
        disk: Arc<dyn Disk>,
        instance: [u8; 16],
        limits: Limits,
        known: Known,
    ) -> Result<Journal, Fault> {
        let seal = Seal::new(&instance);
        let record = record::open(&*disk, &instance, seal.start())?;
        let Walked { segments, tail, unused, left, gaps } = walk(&*disk, &instance, &record, known)?;
        for first in &left {
            compare(&*disk, &instance, &record, *first)?;
        }
        let mut segments = segments;
        make_durable(&*disk, &tail, &segments[segments.len() - 1], unused, (&left, &record))?;
        let active = segments.len() - 1;
        segments[active].bytes = tail.end;
        let mut journal = Journal::of(disk, instance, limits, record, segments, tail.file, tail.last);
        journal.gaps = gaps;
        Ok(journal)
    }

    fn of(
        disk: Arc<dyn Disk>,
        instance: [u8; 16],
        limits: Limits,
        record: Vec<record::Head>,
        segments: Vec<Segment>,
        file: Box<dyn File>,
        last: (u64, u32),
    ) -> Journal {
        let written = segments[segments.len() - 1].bytes;
        let seal = Seal::new(&instance);
        let (synced, buffer, syncing, stopped) = (last, Vec::new(), false, None);
        let file = Arc::from(file);
        Journal {
            disk,
            instance,
            seal,
            limits,
            record,
            segments,
            file,
            synced,
            last,
            written,
            buffer,
            syncing,
            stopped,
            more_reserve: 0,
            gaps: Vec::new(),
        }
    }
}

/// Cuts a torn tail away, removes what is superfluous, and makes sure that what is left stays.
fn make_durable(
    disk: &dyn Disk,
    tail: &Tail,
    segment: &Segment,
    unused: Option<u64>,
    (left, record): (&[u64], &[record::Head]),
) -> Result<(), Fault> {
    let name = segment.name();
    if let Some(first) = unused {
        let name = self::name(first);
        disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
    }
    let again = || {
        if tail.end < segment.bytes {
            tail.file.truncate(tail.end)?;
        }
        let mut bytes = vec![0; (tail.end - tail.doubtful) as usize];
        tail.file.read_at(tail.doubtful, &mut bytes)?;
        tail.file.write_at(tail.doubtful, &bytes)?;
        tail.file.sync()?;
        // A copy may lack a folder in which there was nothing.
        disk.make_folder(record::FOLDER)?;
        for folder in ["", record::FOLDER, FOLDER] {
            disk.sync_folder(folder)?;
        }
        Ok(())
    };
    again().map_err(|cause| Fault::disk(&name, "make durable what was found of", cause))?;
    // Only now is the record sure to stay, in which the rest is.
    for head in record.iter().filter(|head| left.contains(&head.first)) {
        let_go(disk, head).map_err(|cause| Fault::disk(&self::name(head.first), "remove", cause))?;
    }
    if !left.is_empty() {
        disk.sync_folder(FOLDER).map_err(|cause| Fault::disk(FOLDER, "sync", cause))?;
    }
    Ok(())
}
