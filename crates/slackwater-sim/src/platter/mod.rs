//! A disk in memory that keeps apart what a power cut leaves for certain and what it may leave.
//!
//! It promises what POSIX promises and no more. Every write that was not synced may be kept, lost, or torn between
//! sectors; a file's length may have grown without its bytes; every name that was made, changed or removed since its folder
//! was synced may be as before. After a sync that failed, what was to be synced still reads back and may be lost
//! for ever, whatever later syncs say.

mod image;
mod inode;
mod trouble;

pub use image::Images;
pub use trouble::{Trouble, Verb};

use inode::Content;
use slackwater_store::disk::{Disk, File};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The disk. A clone is the same disk; [`Platter::copy`] is another one.
#[derive(Clone, Debug, Default)]
pub struct Platter(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    contents: Vec<Content>,
    /// Names as they read now.
    names: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
    /// Names as they are after a crash if nothing pending is kept.
    durable: Names,
    /// Changes of names since their folders were synced, in order.
    pending: Vec<Renaming>,
    trouble: Vec<Trouble>,
    /// Verbs so far that change the disk.
    trace: Vec<(Verb, String)>,
    crashed: bool,
    capacity: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    names: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

/// A change of names in one folder.
#[derive(Clone, Debug)]
enum Renaming {
    Create(String, usize),
    Remove(String),
    Rename(String, String, usize),
    Folder(String),
}

impl Renaming {
    fn touches(&self) -> Vec<&str> {
        match self {
            Renaming::Create(name, _) | Renaming::Remove(name) | Renaming::Folder(name) => vec![name],
            Renaming::Rename(from, to, _) => vec![from, to],
        }
    }

    fn apply(&self, to: &mut Names) {
        match self {
            Renaming::Create(name, content) => drop(to.names.insert(name.clone(), *content)),
            Renaming::Remove(name) => drop(to.names.remove(name)),
            Renaming::Rename(old, new, content) => {
                to.names.remove(old);
                to.names.insert(new.clone(), *content);
            }
            Renaming::Folder(name) => drop(to.folders.insert(name.clone())),
        }
    }
}

/// The folder of a name.
fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no {name}"))
}

impl Platter {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk of its own in the same state.
    pub fn copy(&self) -> Platter {
        Platter::of(self.state().clone())
    }

    /// What another process finds after this one was killed: all as it reads, nothing more durable than before.
    pub fn restarted(&self) -> Platter {
        let State { contents, names, folders, durable, pending, .. } = &*self.state();
        let (contents, names, folders) = (contents.clone(), names.clone(), folders.clone());
        let (durable, pending) = (durable.clone(), pending.clone());
        Platter::of(State { contents, names, folders, durable, pending, ..State::default() })
    }

    fn of(state: State) -> Platter {
        Platter(Arc::new(Mutex::new(state)))
    }

    /// The verbs so far that change the disk, and what they were about.
    pub fn trace(&self) -> Vec<(Verb, String)> {
        self.state().trace.clone()
    }

    /// How many such verbs there were.
    pub fn changes(&self) -> usize {
        self.state().trace.len()
    }

    /// Whether its power is cut.
    pub fn is_dark(&self) -> bool {
        self.state().crashed
    }

    /// How many of the troubles it was put in are still to come.
    pub fn troubles(&self) -> usize {
        self.state().trouble.len()
    }

    /// Troubles a verb to come.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble.push(trouble);
    }

    /// Bounds the bytes of all files together; none: there is room.
    pub fn bound(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// All files, as they read.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let bytes = |content: usize| state.contents[content].cached.to_vec();
        state.names.iter().map(|(name, content)| (name.clone(), bytes(*content))).collect()
    }

    /// Puts a file on the disk as somebody else would who damages it: durable at once. None removes it.
    pub fn put(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable.names.remove(name);
        state.pending.retain(|pending| !pending.touches().contains(&name));
        if let Some(bytes) = bytes {
            let content = state.contents.len();
            state.contents.push(Content::durable(Arc::new(bytes)));
            state.names.insert(name.to_string(), content);
            state.durable.names.insert(name.to_string(), content);
        }
    }

    /// Flips one bit of a file.
    pub fn flip(&self, name: &str, bit: usize) {
        let mut bytes = self.files().remove(name).expect("a file to damage");
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.put(name, Some(bytes));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere with the lock in hand is told there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn content(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| missing(name))
    }

    fn change(&mut self, renaming: Renaming) {
        let mut now = Names { names: std::mem::take(&mut self.names), folders: std::mem::take(&mut self.folders) };
        renaming.apply(&mut now);
        (self.names, self.folders) = (now.names, now.folders);
        self.pending.push(renaming);
    }

    /// Bytes of room that are left.
    fn room(&self) -> u64 {
        let used: usize = self.names.values().map(|content| self.contents[*content].cached.len()).sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used as u64))
    }
}

impl Disk for Platter {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        state.act(Verb::Create, name)?;
        let folder = parent(name);
        if !folder.is_empty() && !state.folders.contains(folder) {
            return Err(missing(folder));
        }
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = state.contents.len();
        state.contents.push(Content::default());
        state.change(Renaming::Create(name.to_string(), content));
        Ok(Box::new(Open { platter: self.clone(), name: name.to_string(), content }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = self.state();
        state.check()?;
        let content = state.content(name)?;
        Ok(Box::new(Open { platter: self.clone(), name: name.to_string(), content }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check()?;
        let inside = state.names.keys().filter(|name| parent(name) == folder);
        Ok(inside.map(|name| name.rsplit('/').next().unwrap_or(name).to_string()).collect())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.act(Verb::MakeFolder, folder)?;
        if !state.folders.contains(folder) {
            state.change(Renaming::Folder(folder.to_string()));
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.act(Verb::Rename, from)?;
        let content = state.content(from)?;
        state.change(Renaming::Rename(from.to_string(), to.to_string(), content));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.act(Verb::Remove, name)?;
        state.content(name)?;
        state.change(Renaming::Remove(name.to_string()));
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.act(Verb::SyncFolder, folder)?;
        if !folder.is_empty() && !state.folders.contains(folder) {
            return Err(missing(folder));
        }
        let pending = std::mem::take(&mut state.pending);
        for renaming in pending {
            if renaming.touches().iter().all(|name| parent(name) == folder) {
                renaming.apply(&mut state.durable);
            } else {
                state.pending.push(renaming);
            }
        }
        Ok(())
    }
}

/// A file that is open: it stays there under any name, or none.
#[derive(Debug)]
struct Open {
    platter: Platter,
    name: String,
    content: usize,
}

impl File for Open {
    fn len(&self) -> io::Result<u64> {
        let state = self.platter.state();
        state.check()?;
        Ok(state.contents[self.content].cached.len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut state = self.platter.state();
        state.look()?;
        let bytes = state.contents[self.content].cached.get(at as usize..at as usize + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.platter.state();
        let outcome = state.act(Verb::Write, &self.name);
        if let Err(cause) = outcome {
            // What fails has written something before it did.
            if !state.crashed {
                state.contents[self.content].write(at as usize, &bytes[..bytes.len() / 2]);
            }
            return Err(cause);
        }
        let len = state.contents[self.content].cached.len() as u64;
        let growth = (at + bytes.len() as u64).saturating_sub(len);
        let room = state.room();
        if growth > room {
            let fits = (len + room).saturating_sub(at) as usize;
            state.contents[self.content].write(at as usize, &bytes[..fits]);
            return Err(trouble::full());
        }
        state.contents[self.content].write(at as usize, bytes);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.platter.state();
        state.act(Verb::Truncate, &self.name)?;
        state.contents[self.content].truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.platter.state();
        let outcome = state.act(Verb::Sync, &self.name);
        let crashed = state.crashed;
        let content = &mut state.contents[self.content];
        match outcome {
            Ok(()) => content.sync(),
            Err(_) if crashed => {}
            Err(_) => content.fail_to_sync(),
        }
        outcome
    }
}
