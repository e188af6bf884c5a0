//! What goes wrong with a disk, and when.

use super::State;
use std::io;

/// What is done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A file is made.
    Create,
    /// Bytes are written.
    Write,
    /// A file is cut or lengthened.
    Truncate,
    /// A file is synced.
    Sync,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
    /// A folder is made.
    MakeFolder,
    /// A folder is synced.
    SyncFolder,
    /// Bytes are read.
    Read,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// From the n-th change on, counted from 0, there is no power.
    Crash(usize),
    /// The n-th change from now, counted from 0, fails as with a broken disk.
    Broken(usize),
    /// The n-th change from now, counted from 0, fails for want of room.
    Full(usize),
    /// So many times a verb succeeds, then it fails once as with a broken disk.
    BrokenVerb(Verb, usize),
    /// So many times a verb succeeds, then it fails once for want of room.
    FullVerb(Verb, usize),
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a disk says that is full.
pub fn full() -> io::Error {
    io::Error::from_raw_os_error(ENOSPC)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

impl Trouble {
    /// What this does to a verb that comes now: lets it pass, or fails it and is over.
    fn meet(&mut self, verb: Verb) -> Option<fn() -> io::Error> {
        let (count, error): (&mut usize, fn() -> io::Error) = match self {
            Trouble::Crash(_) => return None,
            Trouble::Broken(count) if verb != Verb::Read => (count, broken),
            Trouble::Full(count) if verb != Verb::Read => (count, full),
            Trouble::BrokenVerb(which, count) if *which == verb => (count, broken),
            Trouble::FullVerb(which, count) if *which == verb => (count, full),
            _ => return None,
        };
        match count.checked_sub(1) {
            Some(fewer) => {
                *count = fewer;
                None
            }
            None => Some(error),
        }
    }
}

impl State {
    /// Whether there is power.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the power is cut")) } else { Ok(()) }
    }

    /// Reading, which may fail.
    pub(super) fn look(&mut self) -> io::Result<()> {
        self.check()?;
        self.meet(Verb::Read)
    }

    /// A change is about to be made: notes it, or fails it.
    pub(super) fn act(&mut self, verb: Verb, name: &str) -> io::Result<()> {
        let number = self.trace.len();
        self.crashed |= self.trouble.iter().any(|trouble| matches!(trouble, Trouble::Crash(at) if *at <= number));
        self.check()?;
        self.trace.push((verb, name.to_string()));
        self.meet(verb)
    }

    fn meet(&mut self, verb: Verb) -> io::Result<()> {
        let mut failed = None;
        self.trouble.retain_mut(|trouble| match trouble.meet(verb) {
            Some(error) => {
                failed = Some(error());
                false
            }
            None => true,
        });
        failed.map_or(Ok(()), Err)
    }
}
