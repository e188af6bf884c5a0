//! A sync apart from the journal: any thread may wait for the disk, and the journal learns of it when it has come back.

use crate::crash::{self, CrashPoint};
use crate::disk::File;
use crate::fault::Fault;
use crate::journal::Journal;
use slackwater_core::planted::{Bug, is};
use std::io;
use std::sync::Arc;

/// A sync of all that was appended, to be run.
#[derive(Debug)]
pub struct Syncing(Arc<dyn File>);

/// A sync that has come back.
#[derive(Debug)]
#[must_use = "a journal whose sync has not come back can do nothing"]
pub struct Synced(io::Result<()>);

impl Syncing {
    /// Waits for the disk, on any thread. The outcome belongs into [`Journal::end_sync`], whatever it is.
    pub fn run(self) -> Synced {
        let mut done = self.0.sync();
        if done.is_err() && is(Bug::SyncRetried) {
            done = self.0.sync();
        }
        Synced(done)
    }
}

impl Journal {
    /// Hands to the disk what was appended, for it to be synced. None where all of it is durable. Until the sync has come
    /// back the journal must not be asked for anything but its lengths and numbers.
    ///
    /// # Errors
    /// As [`Journal::append`] has them.
    pub fn begin_sync(&mut self) -> Result<Option<Syncing>, Fault> {
        self.alive()?;
        self.write()?;
        if self.last.0 == self.synced.0 {
            return Ok(None);
        }
        crash::point(CrashPoint::EntriesAppended)?;
        self.syncing = true;
        Ok(Some(Syncing(self.file.clone())))
    }

    /// Notes that all that was appended is durable, and gives the last sequence number.
    ///
    /// # Errors
    /// A sync that failed. It is never tried again: the journal can not be used any more.
    pub fn end_sync(&mut self, synced: Synced) -> Result<u64, Fault> {
        self.syncing = false;
        self.alive()?;
        if let Synced(Err(cause)) = synced {
            let fault = Fault::disk(&self.active().name(), "sync", cause);
            return Err(self.stop(fault));
        }
        self.synced = self.last;
        let written = self.written;
        self.active_mut().bytes = written;
        crash::point(CrashPoint::EntriesSynced)?;
        Ok(self.synced.0)
    }
}
