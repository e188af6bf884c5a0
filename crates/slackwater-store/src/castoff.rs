//! What was set aside, beside the record: events in quarantine as they came there, kept for ever.
//!
//! Where event bytes are left out of the record nothing else tells them, but for the store, which is a view. They lie in
//! parcels, one behind the other, each named by the number of its first event; a parcel is written before the bytes go.

use crate::Fault;
use crate::disk::{Disk, UNFINISHED};
use crate::parcel::{self, Label};
use slackwater_core::codec::{Reader, put_varint};
use slackwater_core::quarantine::Quarantined;
use std::collections::VecDeque;
use std::sync::Arc;

/// The folder of the parcels.
pub const FOLDER: &str = "aside";
/// Bytes of events from which on a parcel is ended.
const PARCEL: usize = 8 << 20;
const MOST_BYTES: u64 = 1 << 30;

/// The events that were set aside.
#[derive(Clone, Debug)]
pub struct Castoffs {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    /// By parcel, the number of its first event; and that behind the last one.
    firsts: Vec<u64>,
    behind: u64,
}

impl Castoffs {
    /// Opens them. What was left unfinished is removed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, instance: [u8; 16]) -> Result<Castoffs, Fault> {
        let fail = |verb| move |cause| Fault::disk(FOLDER, verb, cause);
        let mut firsts = Vec::new();
        for name in disk.list(FOLDER).map_err(fail("list"))? {
            if name.ends_with(UNFINISHED) {
                disk.remove(&format!("{FOLDER}/{name}")).map_err(fail("clean"))?;
            }
            firsts.extend(name.strip_suffix(".parcel").and_then(|digits| digits.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        let mut castoffs = Castoffs { disk, instance, firsts, behind: 0 };
        if let Some(last) = castoffs.firsts.last() {
            // One that cannot be read is written anew, if the store has what is in it, and missed when it is needed.
            match castoffs.parcel(*last) {
                Ok(events) => castoffs.behind = last + events.len() as u64,
                Err(fault @ Fault::Disk { .. }) => return Err(fault),
                Err(_) => castoffs.behind = *last,
            }
        }
        Ok(castoffs)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.behind
    }

    /// Adds events behind the last one. They are durable afterwards.
    ///
    /// # Errors
    /// What the disk says.
    pub fn add(&mut self, events: &mut VecDeque<Quarantined>) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let made = self.disk.make_folder(FOLDER).and_then(|()| self.disk.sync_folder(""));
        made.map_err(|cause| Fault::disk(FOLDER, "make", cause))?;
        while !events.is_empty() {
            let (first, mut count, mut content) = (self.behind, 0, Vec::new());
            while content.len() < PARCEL
                && let Some(event) = events.pop_front()
            {
                event.encode(&mut content);
                count += 1;
            }
            let mut whole = Vec::with_capacity(content.len() + 10);
            put_varint(&mut whole, count);
            whole.extend_from_slice(&content);
            parcel::write(&*self.disk, &name(first), self.label(first), &whole)?;
            if self.firsts.last() != Some(&first) {
                self.firsts.push(first);
            }
            self.behind = first + count;
        }
        Ok(())
    }

    /// Reads all of them, and that none is missing.
    ///
    /// # Errors
    /// What the disk says, or where a parcel is damaged or missing.
    pub fn scrub(&self) -> Result<u64, Fault> {
        let mut next = 0;
        for first in &self.firsts {
            if *first != next {
                return Err(Fault::damaged(&name(next), 0, "it is missing"));
            }
            next += self.parcel(*first)?.len() as u64;
        }
        Ok(next)
    }

    /// Some events from a number on, at least one.
    ///
    /// # Errors
    /// What the disk says, or where a parcel is damaged or missing.
    pub fn from(&self, number: u64) -> Result<VecDeque<Quarantined>, Fault> {
        let missing = || Fault::damaged(&name(number), 0, "it is missing");
        let at = self.firsts.partition_point(|first| *first <= number).checked_sub(1).ok_or_else(missing)?;
        let mut events = VecDeque::from(self.parcel(self.firsts[at])?);
        events.drain(..events.len().min((number - self.firsts[at]) as usize));
        if events.is_empty() { Err(missing()) } else { Ok(events) }
    }

    fn parcel(&self, first: u64) -> Result<Vec<Quarantined>, Fault> {
        let name = name(first);
        let (content, _) = parcel::read(&*self.disk, &name, self.label(first), MOST_BYTES)?;
        let mut reader = Reader::new(&content);
        let read = || {
            let count = reader.varint()?;
            let events = (0..count).map(|_| Quarantined::decode(&mut reader)).collect::<Result<Vec<_>, _>>()?;
            reader.finish().map(|()| events)
        };
        read().map_err(|error| Fault::damaged(&name, error.at as u64, error.to_string()))
    }

    fn label(&self, first: u64) -> Label {
        Label { kind: *b"asid", instance: self.instance, number: first }
    }
}

fn name(first: u64) -> String {
    format!("{FOLDER}/{first:020}.parcel")
}
