//! What is done when a segment is needed no more for recovery: it becomes record, and goes.

use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::entry::{Entry, Form, LOST, for_record};
use crate::fault::Fault;
use crate::journal::Journal;
use crate::journal::file::{Begun, FOLDER, Segment, aside, name, read};
use crate::journal::frame::Seal;
use crate::journal::reading::Reader;
use crate::journal::scan::{Found, Scan};
use crate::record::{self, KeepRaw, Kept, Span};
use std::io;
use std::sync::Arc;

/// A segment that is about to become record. Writing that may take long, and needs nothing of the journal.
#[derive(Debug)]
pub struct Retiring {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    seal: Seal,
    segment: Segment,
    span: Span,
}

/// A segment whose record is durable.
#[derive(Debug)]
pub struct Retired(record::Head);

impl Retiring {
    /// Writes the record, on any thread. Its outcome belongs into [`Journal::end_retiring`], whatever it is.
    ///
    /// # Errors
    /// [`Fault::is_full`] where there is no room, and nothing is left of it; damage of the segment; or what the disk says.
    pub fn write(self, keep: KeepRaw) -> Result<Retired, Fault> {
        let Retiring { disk, instance, seal, segment, span } = self;
        let mut entries = || {
            let mut reader = Reader::open(&*disk, seal, &segment, span.first, span.last)?;
            let make = move |kind, journaled| {
                let (bytes, events) = for_record(kind, journaled, keep)?;
                Ok(Kept { kind, bytes, events })
            };
            // The checkpoint behind it does without what is damaged, and the record says that it is not there.
            let or_lost = |(sequence, kept): (u64, Option<Kept>)| (sequence, kept.unwrap_or_else(Kept::lost));
            Ok(std::iter::from_fn(move || Some(reader.next_left(make).transpose()?.map(or_lost))))
        };
        match record::write(&*disk, &instance, (span, keep), &mut entries) {
            Ok(head) => Ok(Retired(head)),
            Err(fault) if fault.is_full() && !record::discard(&*disk, span.first) => {
                Err(Fault::Refused(format!("{fault}, and what was begun cannot be removed")))
            }
            Err(fault) => Err(fault),
        }
    }
}

impl Journal {
    /// Moves every segment whose entries are all at or before `behind`, the oldest kept checkpoint, into the record.
    /// The last segment always stays.
    ///
    /// # Errors
    /// [`Fault::is_full`] where there is no room for the record: the segments that remain are as they were. After every
    /// other error the journal can not be used any more, and opening it ends what was begun.
    pub fn retire(&mut self, behind: u64, keep: KeepRaw) -> Result<(), Fault> {
        while let Some(retiring) = self.begin_retiring(behind)? {
            self.end_retiring(retiring.write(keep))?;
        }
        Ok(())
    }

    /// The first segment, if all its entries are at or before `behind`, for its record to be written while the journal goes
    /// on. One at a time: the next one is given when this one has come back.
    ///
    /// # Errors
    /// A journal that has stopped.
    pub fn begin_retiring(&self, behind: u64) -> Result<Option<Retiring>, Fault> {
        self.alive()?;
        let (segment, next) = match &self.segments[..] {
            [first, next, ..] if next.first - 1 <= behind => (first.clone(), next),
            _ => return Ok(None),
        };
        let span = Span { first: segment.first, last: next.first - 1, before: segment.chain, after: next.chain };
        let (disk, instance, seal) = (self.disk.clone(), self.instance, self.seal);
        Ok(Some(Retiring { disk, instance, seal, segment, span }))
    }

    /// Lets the segment go whose record is written.
    ///
    /// # Errors
    /// What went wrong with writing it, as [`Journal::retire`] has it; or with removing the segment.
    pub fn end_retiring(&mut self, outcome: Result<Retired, Fault>) -> Result<(), Fault> {
        self.alive()?;
        let head = match outcome {
            Ok(Retired(head)) => head,
            Err(fault) if fault.is_full() => return Err(fault),
            Err(fault) => return Err(self.stop(fault)),
        };
        let name = self.segments[0].name();
        if head.first != self.segments[0].first {
            return Err(self.stop(Fault::Refused(format!("{name} is not the segment whose record was written"))));
        }
        crash::point(CrashPoint::RecordWritten)?;
        let gone = let_go(&*self.disk, &head);
        self.record.push(head);
        self.segments.remove(0);
        self.gaps.retain(|gap| name != gap.name());
        if let Err(cause) = gone {
            return Err(self.stop(Fault::disk(&name, "remove", cause)));
        }
        crash::point(CrashPoint::SegmentRemoved)?;
        if let Err(cause) = self.disk.sync_folder(FOLDER) {
            return Err(self.stop(Fault::disk(&name, "remove", cause)));
        }
        Ok(())
    }
}

impl Journal {
    /// Of the oldest file of the record that has its event bytes: its last entry, and, if it is asked for, the latest time that
    /// its entries tell, or those of the next file that tells one.
    ///
    /// # Errors
    /// A journal that has stopped, or a file that cannot be read.
    pub fn oldest_kept(&self, timed: bool) -> Result<Option<(u64, Option<i64>)>, Fault> {
        self.alive()?;
        let Some(at) = self.record.iter().position(|head| head.keep == KeepRaw::Forever) else { return Ok(None) };
        let mut time = None;
        for head in self.record[at..].iter().filter(|_| timed) {
            time = record::time_of(&*self.disk, &self.instance, head)?;
            if time.is_some() {
                break;
            }
        }
        Ok(Some((self.record[at].last, time)))
    }

    /// Leaves the event bytes out of the oldest file of the record that has them. Its other entries stay as they are.
    ///
    /// # Errors
    /// [`Fault::is_full`] where there is no room for what stays: the file is as it was. After every other error the journal
    /// can not be used any more.
    pub fn reduce(&mut self) -> Result<(), Fault> {
        self.alive()?;
        let Some(at) = self.record.iter().position(|head| head.keep == KeepRaw::Forever) else { return Ok(()) };
        match record::reduce(&*self.disk, &self.instance, &self.record[at]) {
            Ok(head) => {
                self.record[at] = head;
                crash::point(CrashPoint::RecordWritten)
            }
            Err(fault) if fault.is_full() => match self.disk.remove(&record::unfinished(self.record[at].first)) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(self.stop(fault)),
                _ => Err(fault),
            },
            Err(fault) => Err(self.stop(fault)),
        }
    }
}

/// Removes the segment whose record is there, or keeps it aside where that lacks something.
pub fn let_go(disk: &dyn Disk, head: &record::Head) -> io::Result<()> {
    let name = name(head.first);
    if head.lost { disk.rename(&name, &aside(head.first)) } else { disk.remove(&name) }
}

/// Compares a segment that was left behind with the record that took its place. What is damaged of it the record has, or
/// says that it is lost.
pub fn compare(disk: &dyn Disk, instance: &[u8; 16], record: &[record::Head], first: u64) -> Result<(), Fault> {
    let name = name(first);
    let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
    let head = record.iter().find(|head| head.first == first);
    let (segment, head) = match (read(&*file, instance, first)?, head) {
        (Begun::Whole(segment), Some(head)) if head.before == segment.chain => (segment, head),
        (Begun::Marred { bytes, .. }, Some(head)) => (Segment { first, chain: head.before, bytes, worn: true }, head),
        (Begun::Never, _) => {
            return Err(Fault::damaged(&name, 0, "a segment without a header, though its record is there"));
        }
        _ => return Err(Fault::damaged(&name, 32, "the record has these entries, and not as one segment")),
    };
    let seal = Seal::new(instance);
    let (last, ends) = last_of(file, &segment, seal, head.last)?;
    if last != head.last || !(ends.is_empty() || ends.contains(&head.after)) {
        return Err(Fault::damaged(&name, 0, format!("it ends with entry {last}, its record with {}", head.last)));
    }
    let mut left = Reader::open(disk, seal, &segment, first, head.last)?;
    let mut kept = record::Reader::open(disk, instance, head, first)?;
    let decode = |kind, plain: Vec<u8>| Entry::decode(kind, Form::Journal, &plain);
    while let Some((sequence, entry)) = left.next_left(decode)? {
        let found = kept.next_encoded()?.filter(|(found, ..)| *found == sequence);
        let same = match (found, entry) {
            (Some(_), None) => true,
            (Some((_, kind, bytes)), Some(entry)) if kind != LOST => {
                Entry::decode(kind, Form::Record, &bytes).ok() == Some(reduced(entry, head.keep))
            }
            _ => false,
        };
        if !same {
            return Err(Fault::damaged(&name, 0, format!("entry {sequence} is not the one in its record")));
        }
    }
    // What follows in the record would be more than its header says; asking lets it check its blocks.
    kept.next_encoded().map(drop)
}

/// An entry as the record keeps it.
fn reduced(entry: Entry, keep: KeepRaw) -> Entry {
    match keep {
        KeepRaw::Forever => entry,
        KeepRaw::None => entry.without_bytes(),
    }
}

/// The last entry of a segment, and the chains that it may have. Where damage hides what stands behind it, it is the one that
/// the record has.
fn last_of(file: Box<dyn File>, segment: &Segment, seal: Seal, last: u64) -> Result<(u64, Vec<u32>), Fault> {
    let mut scan = Scan::new(file, segment, seal);
    loop {
        match scan.next()? {
            Found::Frame(..) => {}
            Found::End => return Ok((scan.sequence() - 1, scan.ends())),
            Found::Bad(bad) => match scan.pass(&bad)? {
                true => {}
                false if bad.changed && bad.sequence <= last => return Ok((last, Vec::new())),
                false => return Err(bad.damage(&segment.name(), None)),
            },
        }
    }
}
