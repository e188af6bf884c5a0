//! How a journal begins: a new one, a new segment of it, and one that is found.

use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::fault::Fault;
use crate::journal::file::{Begun, FOLDER, HEAD, Segment, header, list, name, read};
use crate::journal::frame::Seal;
use crate::journal::retire::compare;
use crate::journal::scan::{Bad, Found, Scan};
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
    Ok((Segment { first, chain, bytes: HEAD as u64 }, file))
}

/// What is found of the last segment.
struct Tail {
    file: Box<dyn File>,
    /// Its last right entry, with its chain, and where that ends.
    last: (u64, u32),
    end: u64,
    /// From where on nothing says that it is durable.
    doubtful: u64,
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
        let seal = Seal::new(&instance);
        let record = record::open(&*disk, &instance, seal.start())?;
        let (behind, chain) = record.last().map_or((0, seal.start()), |head| (head.last, head.after));
        let (left, firsts): (Vec<u64>, Vec<u64>) =
            list(&*disk, FOLDER)?.into_iter().partition(|first| *first <= behind);
        let (segments, unused) = headers(&*disk, &instance, &firsts)?;
        match segments.first() {
            Some(segment) if segment.first != behind + 1 => {
                let what = format!("entries {} to {} are missing before it", behind + 1, segment.first - 1);
                return Err(Fault::damaged(&segment.name(), 0, what));
            }
            Some(segment) if segment.chain != chain => {
                let what = format!("entry {behind} in the record is not the one that was before it");
                return Err(Fault::damaged(&segment.name(), 40, what));
            }
            Some(_) => {}
            None => {
                let what = format!("it is missing; entries from {} on are concerned", behind + 1);
                return Err(Fault::damaged(&name(behind + 1), 0, what));
            }
        }
        let tail = walk(&*disk, seal, &segments, unused, committed)?;
        for first in &left {
            compare(&*disk, &instance, &record, *first)?;
        }
        let mut segments = segments;
        make_durable(&*disk, &tail, &segments[segments.len() - 1], unused, &left)?;
        let active = segments.len() - 1;
        segments[active].bytes = tail.end;
        Ok(Journal::of(disk, instance, limits, record, segments, tail.file, tail.last))
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
        }
    }
}

/// The segments by their headers, and the first entry of one at the end that was never used.
fn headers(disk: &dyn Disk, instance: &[u8; 16], firsts: &[u64]) -> Result<(Vec<Segment>, Option<u64>), Fault> {
    let mut segments = Vec::new();
    for (number, first) in firsts.iter().enumerate() {
        let name = name(*first);
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        match read(&*file, instance, *first)? {
            Begun::Whole(segment) => segments.push(segment),
            Begun::Never if number > 0 && number == firsts.len() - 1 => return Ok((segments, Some(*first))),
            Begun::Never => {
                let what = format!("the segment is empty; entries from {first} on are concerned");
                return Err(Fault::damaged(&name, 0, what));
            }
        }
    }
    Ok((segments, None))
}

/// Reads all segments, each of which must reach up to the next.
fn walk(disk: &dyn Disk, seal: Seal, segments: &[Segment], unused: Option<u64>, committed: u64) -> Result<Tail, Fault> {
    let mut tail = None;
    for (number, segment) in segments.iter().enumerate() {
        let next = segments.get(number + 1);
        let end = next.map(|next| next.first).or(unused);
        let found = walk_one(disk, seal, segment, end, committed)?;
        if let Some(next) = next
            && next.chain != found.last.1
        {
            let what = format!("entry {} is not the one that was before it", found.last.0);
            return Err(Fault::damaged(&next.name(), 40, what));
        }
        tail = Some(found);
    }
    match tail {
        Some(tail) if tail.last.0 >= committed => Ok(tail),
        found => {
            let (last, at) = found.map_or((0, 0), |tail| (tail.last.0, tail.end));
            let name = segments.last().map_or(FOLDER.to_string(), Segment::name);
            let what =
                format!("it ends with entry {last}, and the store has committed entry {committed}: an older copy?");
            Err(Fault::damaged(&name, at, format!("{what}; entries {} to {committed} are concerned", last + 1)))
        }
    }
}

/// Reads one segment; `end` is the first entry of the next one, up to which this one must reach.
fn walk_one(disk: &dyn Disk, seal: Seal, segment: &Segment, end: Option<u64>, committed: u64) -> Result<Tail, Fault> {
    let name = segment.name();
    let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
    let mut scan = Scan::new(file, segment, seal);
    // Where each entry that no later header says to be durable begins.
    let mut doubtful = std::collections::VecDeque::new();
    let mut bad: Option<Bad> = None;
    while bad.is_none() {
        let at = scan.at();
        match scan.next()? {
            Found::Frame(head, _) => {
                doubtful.push_back((head.sequence, at));
                while doubtful.front().is_some_and(|(sequence, _)| *sequence <= head.durable) {
                    doubtful.pop_front();
                }
            }
            Found::End => break,
            Found::Bad(found) => bad = Some(found),
        }
    }
    let (reached, at) = (scan.sequence(), scan.at());
    if let Some(bad) = bad
        && (end.is_some() || !bad.torn || bad.sequence <= committed)
    {
        let committed = (bad.sequence <= committed).then_some(committed + 1);
        return Err(bad.damage(&name, end.or(committed)));
    }
    if let Some(end) = end
        && reached != end
    {
        let what = format!("it ends with entry {}, and the next segment begins with {end}", reached - 1);
        return Err(Fault::damaged(
            &name,
            at,
            format!("{what}; entries {reached} to {} are concerned", end.max(1) - 1),
        ));
    }
    let doubtful = match doubtful.front() {
        Some((_, at)) => *at,
        None => 0,
    };
    Ok(Tail { last: (reached - 1, scan.chain()), end: at, doubtful, file: scan.into_file() })
}

/// Cuts a torn tail away, removes what is superfluous, and makes sure that what is left stays.
fn make_durable(
    disk: &dyn Disk,
    tail: &Tail,
    segment: &Segment,
    unused: Option<u64>,
    left: &[u64],
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
        for folder in ["", record::FOLDER, FOLDER] {
            disk.sync_folder(folder)?;
        }
        Ok(())
    };
    again().map_err(|cause| Fault::disk(&name, "make durable what was found of", cause))?;
    // Only now is the record sure to stay, in which the rest is.
    for first in left {
        let name = self::name(*first);
        disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
    }
    if !left.is_empty() {
        disk.sync_folder(FOLDER).map_err(|cause| Fault::disk(FOLDER, "sync", cause))?;
    }
    Ok(())
}
