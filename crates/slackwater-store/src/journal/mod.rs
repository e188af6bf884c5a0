//! The ordered, synced input of an instance.
//!
//! One writer appends entries and syncs them in groups; nothing counts before it is synced. What is read back is a prefix
//! of what was appended that holds all that was synced, or a [`Fault`] that says which entries are concerned: a
//! torn tail is cut away, damage is never skipped. After a write or a sync that failed the journal refuses every
//! further call, for only reading it back can tell what the disk holds.

mod begin;
mod file;
mod frame;
mod reading;
mod retire;
mod scan;
mod survey;
mod syncing;
mod walk;

pub use reading::Entries;
pub use retire::{Retired, Retiring};
pub use survey::Survey;
pub use syncing::{Synced, Syncing};
pub use walk::{Gap, Known};

pub(crate) use file::{MOST_SEQUENCE, list};
pub(crate) use frame::{Seal, eight, four, stuff};

use crate::disk::{Disk, File};
use crate::entry::{Packed, STEP};
use crate::fault::Fault;
use crate::record;
use file::{FOLDER, Segment};
use frame::{Head, put, whole};
use std::io;
use std::sync::Arc;

/// Appended bytes that are handed to the disk before a sync asks for it.
const BUFFER: usize = 1 << 20;

/// How much room the journal may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after which a new segment is begun; only a group that is longer makes a longer segment.
    pub segment_bytes: u64,
    /// Bytes of all segments together. What is retired does not count.
    pub most_bytes: u64,
    /// Bytes of these that only steps may use, so that a clean stop always fits.
    pub reserve_bytes: u64,
}

/// The journal of one instance.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    seal: Seal,
    limits: Limits,
    /// What is left behind already, in order.
    record: Vec<record::Head>,
    /// Never empty; the last one grows, and its `bytes` are those that are durable.
    segments: Vec<Segment>,
    /// The last segment's file.
    file: Arc<dyn File>,
    /// The last entry that is durable, and its chain.
    synced: (u64, u32),
    /// The last entry, and its chain.
    last: (u64, u32),
    /// Length of the last segment with what is written and not yet synced.
    written: u64,
    /// Frames that are not written yet.
    buffer: Vec<u8>,
    /// Whether a sync is under way that has not come back.
    syncing: bool,
    /// Why it can be used no more.
    stopped: Option<String>,
    /// Bytes that events leave free besides the reserve.
    more_reserve: u64,
    /// Damage of its segments that was passed over.
    gaps: Vec<Gap>,
}

impl Journal {
    /// Takes an entry in behind the others, and gives its sequence number. It is not durable before [`Journal::sync`].
    ///
    /// # Errors
    /// [`Fault::is_full`] where it would take more room than there may be; nothing has changed then. Where the disk itself
    /// is full, all entries since the last sync are withdrawn, and the journal can be used as if they had never been
    /// appended. After every other error it can not be used any more.
    pub fn append(&mut self, packed: &Packed) -> Result<u64, Fault> {
        self.alive()?;
        self.make_sure_of_room(packed)?;
        let (last, chain) = self.last;
        let head =
            Head { len: packed.body.len() as u32, sequence: last + 1, durable: self.synced.0, kind: packed.kind };
        let chain = put(&mut self.buffer, &head, &packed.body, self.seal, chain);
        self.last = (last + 1, chain);
        if self.buffer.len() >= BUFFER {
            self.write()?;
        }
        Ok(last + 1)
    }

    /// Takes back everything that was appended since the last sync, as if it had never been.
    ///
    /// # Errors
    /// When what was written already cannot be cut away: the journal can not be used any more.
    pub fn withdraw(&mut self) -> Result<(), Fault> {
        self.alive()?;
        if self.written > self.active().bytes {
            self.cut_back()?;
        }
        self.forget_unsynced();
        Ok(())
    }

    /// Makes all that was appended durable, and gives the last sequence number.
    ///
    /// # Errors
    /// As [`Journal::append`] has them. A sync that failed is never tried again: the journal can not be used any more.
    pub fn sync(&mut self) -> Result<u64, Fault> {
        match self.begin_sync()? {
            Some(syncing) => self.end_sync(syncing.run()),
            None => Ok(self.synced.0),
        }
    }

    /// Sequence of the last entry; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last.0
    }

    /// Sequence of the last entry that is durable.
    pub fn synced(&self) -> u64 {
        self.synced.0
    }

    /// Sequence of the first entry that is in the journal itself; those before are in the record.
    pub fn first(&self) -> u64 {
        self.segments[0].first
    }

    /// Sequence of the last entry whose event bytes need not be there any more; 0 if all are.
    pub fn reduced(&self) -> u64 {
        let reduced = |head: &&record::Head| head.keep == record::KeepRaw::None;
        self.record.iter().rev().find(reduced).map_or(0, |head| head.last)
    }

    /// Bytes of all segments, with what is not written yet.
    pub fn bytes(&self) -> u64 {
        let closed: u64 = self.segments[..self.segments.len() - 1].iter().map(|segment| segment.bytes).sum();
        closed + self.written + self.buffer.len() as u64
    }

    /// Damage that was passed over when it was opened, and is still there.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The files of the record in which entries are missing, for they were damaged before they became record.
    pub fn lost(&self) -> Vec<String> {
        self.record.iter().filter(|head| head.lost).map(record::Head::name).collect()
    }

    /// Headers of the record of which a bit is flipped, and known: all is read as if it were not.
    pub fn worn(&self) -> impl Iterator<Item = Fault> {
        self.record.iter().filter_map(record::Head::fault)
    }

    /// Makes sure that every entry behind one can be read, as far as is known.
    ///
    /// # Errors
    /// [`Fault::Damaged`] with the first ones that cannot; or what the disk says.
    pub fn is_whole_behind(&self, entry: u64) -> Result<(), Fault> {
        for head in self.record.iter().filter(|head| head.lost && head.last > entry) {
            let lost = record::lost(&*self.disk, &self.instance, head)?;
            if let Some((first, last)) = lost.into_iter().find(|(_, last)| *last > entry) {
                let what = format!("entries {first} to {last} were damaged before they became record");
                return Err(Fault::damaged(&head.name(), 0, what));
            }
        }
        let missed = self.gaps.iter().find(|gap| gap.entries.is_some_and(|(_, last)| last > entry));
        missed.map_or(Ok(()), |gap| Err(gap.fault()))
    }

    fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn active_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn alive(&self) -> Result<(), Fault> {
        assert!(!self.syncing, "nothing is asked of a journal whose sync has not come back");
        match &self.stopped {
            None => Ok(()),
            Some(why) => Err(Fault::Refused(format!(
                "the journal stopped after a failure ({why}); start again, so that it is read back from the disk"
            ))),
        }
    }

    /// Refuses every further call.
    fn stop(&mut self, fault: Fault) -> Fault {
        self.stopped = Some(fault.to_string());
        fault
    }

    /// Bytes that events may still take.
    pub fn room(&self) -> u64 {
        self.limits
            .most_bytes
            .saturating_sub(self.limits.reserve_bytes + self.more_reserve)
            .saturating_sub(self.bytes())
    }

    /// From here on so many bytes more are kept free of events, for a step that must have room.
    pub fn keep_free(&mut self, bytes: u64) {
        self.more_reserve = bytes;
    }

    fn make_sure_of_room(&self, packed: &Packed) -> Result<(), Fault> {
        let reserve = if packed.kind == STEP { 0 } else { self.limits.reserve_bytes + self.more_reserve };
        let most = self.limits.most_bytes.saturating_sub(reserve);
        // A new segment may have to be begun for it.
        let needed = self.bytes() + (file::HEAD + whole(packed.body.len())) as u64;
        if needed <= most {
            return Ok(());
        }
        let why = format!("it may have {most} bytes and would have {needed}");
        Err(Fault::disk(FOLDER, "grow", io::Error::new(io::ErrorKind::StorageFull, why)))
    }

    /// Hands what is buffered to the disk.
    fn write(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Segment { first, bytes, worn, .. } = *self.active();
        let group_begins = self.written == bytes;
        let full = bytes + self.buffer.len() as u64 > self.limits.segment_bytes;
        if group_begins && self.synced.0 >= first && (full || worn) {
            self.begin_segment()?;
        }
        if let Err(cause) = self.file.write_at(self.written, &self.buffer) {
            let fault = Fault::disk(&self.active().name(), "write", cause);
            return Err(self.write_failed(fault));
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// After a failed write: where there was only no room, back to what is durable; else the end.
    fn write_failed(&mut self, fault: Fault) -> Fault {
        if !fault.is_full() {
            return self.stop(fault);
        }
        match self.cut_back() {
            Ok(()) => {
                self.forget_unsynced();
                fault
            }
            Err(fault) => fault,
        }
    }

    /// Cuts the last segment to what is durable.
    fn cut_back(&mut self) -> Result<(), Fault> {
        let bytes = self.active().bytes;
        self.file.truncate(bytes).and_then(|()| self.file.sync()).map_err(|cause| {
            let fault = Fault::disk(&self.active().name(), "restore", cause);
            self.stop(fault)
        })
    }

    /// Forgets what was appended since the last sync, and is in the file no more.
    fn forget_unsynced(&mut self) {
        self.buffer.clear();
        self.last = self.synced;
        self.written = self.active().bytes;
    }

    /// Closes the last segment, in which everything is durable, and begins the next.
    fn begin_segment(&mut self) -> Result<(), Fault> {
        let (last, chain) = self.synced;
        match begin::segment(&*self.disk, &self.instance, last + 1, chain) {
            Ok((segment, file)) => {
                self.written = segment.bytes;
                self.segments.push(segment);
                self.file = Arc::from(file);
                Ok(())
            }
            Err(begin::Failure { fault, undone: true }) => {
                self.forget_unsynced();
                Err(fault)
            }
            Err(begin::Failure { fault, undone: false }) => Err(self.stop(fault)),
        }
    }
}
