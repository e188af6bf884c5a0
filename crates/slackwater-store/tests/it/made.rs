//! A disk in memory that can be looked into, damaged, and told to refuse; and numbers drawn from a seed.

use slackwater_store::disk::{Disk, File};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// splitmix64: small, well known, the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Made {
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    reads: AtomicU64,
    /// Changes that are still done.
    left: AtomicU64,
}

impl Default for Made {
    fn default() -> Made {
        let counts = Counts { reads: AtomicU64::new(0), left: AtomicU64::new(u64::MAX) };
        Made { files: Arc::default(), counts: Arc::new(counts) }
    }
}

impl Made {
    /// How many reads there were.
    pub fn reads(&self) -> u64 {
        self.counts.reads.load(Ordering::Relaxed)
    }

    /// Refuses every change after so many more.
    pub fn refuse_after(&self, changes: u64) {
        self.counts.left.store(changes, Ordering::Relaxed);
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        lock(&self.find(name).expect("a file")).clone()
    }

    /// Puts other bytes in the place of a file's.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        lock(&self.files).insert(name.to_string(), Arc::new(Mutex::new(bytes)));
    }

    fn find(&self, name: &str) -> io::Result<Bytes> {
        lock(&self.files).get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Counts {
    fn change(&self) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| io::ErrorKind::StorageFull.into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for Made {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.counts.change()?;
        let mut files = lock(&self.files);
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Bytes::default();
        files.insert(name.to_string(), bytes.clone());
        Ok(Box::new(Opened { bytes, counts: self.counts.clone() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Opened { bytes: self.find(name)?, counts: self.counts.clone() }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = |name: &String| name.strip_prefix(folder)?.strip_prefix('/').map(String::from);
        Ok(lock(&self.files).keys().filter_map(inside).collect())
    }

    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.counts.change()?;
        let mut files = lock(&self.files);
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_string(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.files).remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, _: &str) -> io::Result<()> {
        self.counts.change()
    }
}

#[derive(Debug)]
struct Opened {
    bytes: Bytes,
    counts: Arc<Counts>,
}

impl File for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.bytes).len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let bytes = lock(&self.bytes);
        let found = bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, at: u64, written: &[u8]) -> io::Result<()> {
        self.counts.change()?;
        let mut bytes = lock(&self.bytes);
        let end = at as usize + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[at as usize..end].copy_from_slice(written);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.counts.change()?;
        lock(&self.bytes).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.counts.change()
    }
}
