//! What is done when a segment is needed no more for recovery: it becomes record, and goes.

use crate::disk::Disk;
use crate::entry::Entry;
use crate::fault::Fault;
use crate::journal::Journal;
use crate::journal::frame::Seal;
use crate::journal::reading::Reader;
use crate::journal::scan::{Found, Scan};
use crate::journal::segment::{Begun, FOLDER, Segment, name, read};
use crate::record::{self, KeepRaw, Span};

impl Journal {
    /// Moves every segment whose entries are all at or before `behind`, the oldest kept checkpoint, into the record.
    /// The last segment always stays.
    ///
    /// # Errors
    /// [`Fault::is_full`] where there is no room for the record: the segments that remain are as they were. After every
    /// other error the journal can not be used any more, and opening it ends what was begun.
    pub fn retire(&mut self, behind: u64, keep: KeepRaw) -> Result<(), Fault> {
        self.alive()?;
        let mut gone = 0;
        let result = loop {
            match self.segments.get(1) {
                Some(next) if next.first - 1 <= behind => {}
                _ => break Ok(()),
            }
            match self.retire_first(keep) {
                Ok(()) => gone += 1,
                Err(fault) => break Err(fault),
            }
        };
        if gone > 0
            && let Err(cause) = self.disk.sync_folder(FOLDER)
        {
            return Err(self.stop(Fault::disk(FOLDER, "sync", cause)));
        }
        result
    }

    fn retire_first(&mut self, keep: KeepRaw) -> Result<(), Fault> {
        let (segment, next) = (self.segments[0].clone(), self.segments[1].clone());
        let span = Span { first: segment.first, last: next.first - 1, before: segment.chain, after: next.chain };
        let (disk, seal) = (self.disk.clone(), self.seal);
        let mut entries = || {
            let mut reader = Reader::open(&*disk, seal, &segment, span.first, span.last)?;
            Ok(std::iter::from_fn(move || reader.next().transpose()))
        };
        match record::write(&*self.disk, &self.instance, span, keep, &mut entries) {
            Ok(head) => self.record.push(head),
            // Without room for it nothing was synced that matters, and its unfinished file is gone.
            Err(fault) if fault.is_full() && record::discard(&*self.disk, span.first) => return Err(fault),
            Err(fault) => return Err(self.stop(fault)),
        }
        if let Err(cause) = self.disk.remove(&segment.name()) {
            return Err(self.stop(Fault::disk(&segment.name(), "remove", cause)));
        }
        self.segments.remove(0);
        Ok(())
    }
}

/// Compares a segment that was left behind with the record that took its place.
pub fn compare(disk: &dyn Disk, instance: &[u8; 16], record: &[record::Head], first: u64) -> Result<(), Fault> {
    let name = name(first);
    let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
    let Begun::Whole(segment) = read(&*file, instance, first)? else {
        return Err(Fault::damaged(&name, 0, "a segment without a header, though its record is there"));
    };
    let Some(head) = record.iter().find(|head| head.first == first && head.before == segment.chain) else {
        return Err(Fault::damaged(&name, 32, "the record has these entries, and not as one segment"));
    };
    let seal = Seal::new(instance);
    let last = last_of(file, &segment, seal)?;
    if last != (head.last, head.after) {
        return Err(Fault::damaged(&name, 0, format!("it ends with entry {}, its record with {}", last.0, head.last)));
    }
    let mut left = Reader::open(disk, seal, &segment, first, head.last)?;
    let mut kept = record::Reader::open(disk, instance, head, first)?;
    while let Some((sequence, entry)) = left.next()? {
        if kept.next()? != Some((sequence, reduced(entry, head.keep))) {
            return Err(Fault::damaged(&name, 0, format!("entry {sequence} is not the one in its record")));
        }
    }
    // What follows in the record would be more than its header says; asking lets it check its blocks.
    kept.next().map(drop)
}

/// An entry as the record keeps it.
pub fn reduced(entry: Entry, keep: KeepRaw) -> Entry {
    match keep {
        KeepRaw::Forever => entry,
        KeepRaw::None => entry.without_bytes(),
    }
}

/// The last entry of a segment that must be whole, and its chain.
fn last_of(file: Box<dyn crate::disk::File>, segment: &Segment, seal: Seal) -> Result<(u64, u32), Fault> {
    let mut scan = Scan::new(file, segment, seal);
    loop {
        match scan.next()? {
            Found::Frame(..) => {}
            Found::End => return Ok((scan.sequence() - 1, scan.chain())),
            Found::Bad(bad) => return Err(bad.damage(&segment.name(), None)),
        }
    }
}
