//! Writing a run: identities in order become blocks, fences and a tail, are read back, and get their name.

use super::block::{self, Block};
use super::entries::{Entries, Known};
use super::fence::{Fences, Line, filter};
use super::run::{self, PAGE_HEAD, Run, RunInfo, Tail};
use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::fault::Fault;
use std::io;

/// Bytes of a block that is looked into at random, and of one of dense numbers, of which whole stretches are asked for.
const SPARSE_BYTES: usize = 4 << 10;
const DENSE_BYTES: usize = 16 << 10;
/// Bytes that an identity takes in a block beside itself, about.
const ENTRY_BYTES: usize = 22;
/// A stretch of dense numbers that is at least so long is not mixed with what follows it.
const STRETCH: usize = 64;
/// A payload of fences is ended when it has so many bytes.
const PAGE_BYTES: usize = 64 << 10;
/// Bytes that are written and hashed at once.
const PIECE: usize = 1 << 18;

/// A run that is being written.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    disk: &'d dyn Disk,
    number: u64,
    temporary: String,
    file: Box<dyn File>,
    /// Bytes in the file, and bytes that follow them.
    written: u64,
    waiting: Vec<u8>,
    hasher: blake3::Hasher,
    fences: Fences,
    entries: u64,
    /// What the next block is made of.
    pending: Entries,
    /// Whether these are numbers with one prefix.
    numbers: bool,
    lines: Vec<Line>,
}

impl<'d> Draft<'d> {
    /// Begins a run, in the place of an unfinished one of this number.
    pub fn new(disk: &'d dyn Disk, number: u64) -> Result<Draft<'d>, Fault> {
        let temporary = format!("{}.tmp", run::name(number));
        match disk.remove(&temporary) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::disk(&temporary, "remove", cause));
            }
            _ => {}
        }
        let file = disk.create(&temporary).map_err(|cause| Fault::disk(&temporary, "create", cause))?;
        Ok(Draft {
            disk,
            number,
            temporary,
            file,
            written: 0,
            waiting: run::head(number).to_vec(),
            hasher: blake3::Hasher::new(),
            fences: Fences::default(),
            entries: 0,
            pending: Entries::new(),
            numbers: true,
            lines: Vec::new(),
        })
    }

    /// Adds an identity that comes after all before.
    pub fn push(&mut self, identity: &[u8], known: Known) -> Result<(), Fault> {
        if !self.pending.is_empty() {
            let numbers = self.numbers && block::alike(self.pending.identity(0), identity);
            let stretch = self.pending.len() >= STRETCH;
            if self.is_full() || (stretch && self.is_dense() && !(numbers && self.fits(identity))) {
                self.cut()?;
            } else {
                self.numbers = numbers;
            }
        }
        self.pending.push(identity, known);
        Ok(())
    }

    /// Whether so few numbers are missing that looking for one among them finds it: at most every second one.
    fn is_dense(&self) -> bool {
        let last = self.pending.len() - 1;
        self.numbers && self.fits(self.pending.identity(last))
    }

    fn fits(&self, identity: &[u8]) -> bool {
        let first = self.pending.identity(0);
        let span = block::number(identity).wrapping_sub(block::number(first));
        first.len() >= size_of::<u64>() && span / 2 <= self.pending.len() as u64
    }

    fn is_full(&self) -> bool {
        let count = self.pending.len();
        let own = if self.numbers { 0 } else { self.pending.identity_bytes() };
        let bytes = own + count * ENTRY_BYTES;
        count == block::MOST || bytes >= DENSE_BYTES || (bytes >= SPARSE_BYTES && !self.is_dense())
    }

    /// Ends the block.
    fn cut(&mut self) -> Result<(), Fault> {
        let count = self.pending.len();
        if count == 0 {
            return Ok(());
        }
        let start = self.waiting.len();
        block::encode(&self.pending, &mut self.waiting);
        self.lines.clear();
        if !self.is_dense() {
            filter(count, (0..count).map(|at| self.pending.identity(at)), &mut self.lines);
        }
        let (first, last) = (self.pending.identity(0), self.pending.identity(count - 1));
        let encoded = &self.waiting[start..];
        let place = (self.written + start as u64, encoded.len() as u32, crc32c::crc32c(encoded), count as u32);
        self.fences.push(place, first, last, &self.lines);
        self.entries += count as u64;
        self.pending.clear();
        self.numbers = true;
        self.write(PIECE)
    }

    /// Whether a block of another run may be taken over as it is, without leaving a small one before it.
    pub fn may_take(&self, count: usize) -> bool {
        let pending = self.pending.len();
        (pending == 0 || pending >= STRETCH) && count >= STRETCH
    }

    /// Takes over a block of another run, all of which comes after all before.
    pub fn take(&mut self, from: &Run, number: usize, block: &Block) -> Result<(), Fault> {
        self.cut()?;
        let (fences, fence) = (&from.fences, from.fences.get(number));
        let at = self.written + self.waiting.len() as u64;
        self.waiting.extend_from_slice(block.bytes());
        let place = (at, fence.length, fence.crc, fence.count);
        self.fences.push(place, fences.first(number), fences.last(number), fences.lines(number));
        self.entries += u64::from(fence.count);
        self.write(PIECE)
    }

    /// Writes what waits, if it is at least so much.
    fn write(&mut self, least: usize) -> Result<(), Fault> {
        if self.waiting.len() >= least {
            self.hasher.update(&self.waiting);
            let done = self.file.write_at(self.written, &self.waiting);
            done.map_err(|cause| Fault::disk(&self.temporary, "write", cause))?;
            self.written += self.waiting.len() as u64;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Ends what the hasher covers.
    fn seal(&mut self) -> Result<[u8; 32], Fault> {
        self.write(1)?;
        let digest = *self.hasher.finalize().as_bytes();
        self.hasher.reset();
        Ok(digest)
    }

    /// Ends the run: it is synced, read back, named, and the name is synced.
    pub fn finish(mut self) -> Result<Run, Fault> {
        self.cut()?;
        let blocks_digest = self.seal()?;
        let fences_at = self.written;
        let mut page = Vec::new();
        for block in 0..self.fences.len() {
            self.fences.put(block, &mut page);
            if page.len() >= PAGE_BYTES || block + 1 == self.fences.len() {
                self.waiting.extend_from_slice(&(page.len() as u32).to_le_bytes());
                self.waiting.extend_from_slice(&crc32c::crc32c(&page).to_le_bytes());
                self.waiting.append(&mut page);
                self.write(PIECE)?;
            }
        }
        let fences_digest = self.seal()?;
        let (number, blocks) = (self.number, self.fences.len() as u64);
        let tail = Tail { number, entries: self.entries, blocks, fences_at, blocks_digest, fences_digest }.encode();
        let digest = *blake3::hash(&tail).as_bytes();
        self.waiting = tail;
        self.write(1)?;
        let info = RunInfo { number, entries: self.entries, bytes: self.written, digest };
        self.settle(info, (fences_at, blocks_digest))
    }

    fn settle(self, info: RunInfo, (fences_at, blocks_digest): (u64, [u8; 32])) -> Result<Run, Fault> {
        let (disk, temporary, name) = (self.disk, &self.temporary, run::name(info.number));
        crash::point(CrashPoint::FileWritten)?;
        self.file.sync().map_err(|cause| Fault::disk(temporary, "sync", cause))?;
        crash::point(CrashPoint::FileSynced)?;
        if run::digest(&*self.file, 0..fences_at, temporary)? != blocks_digest {
            return Err(Fault::damaged(temporary, 0, "it reads back otherwise than it was written"));
        }
        crash::point(CrashPoint::FileVerified)?;
        disk.rename(temporary, &name).map_err(|cause| Fault::disk(temporary, "rename", cause))?;
        crash::point(CrashPoint::FileRenamed)?;
        disk.sync_folder(super::FOLDER).map_err(|cause| Fault::disk(super::FOLDER, "sync", cause))?;
        // Opening it checks the rest, before anything names it.
        Run::open(disk, info)
    }
}

const _: () = assert!(PAGE_BYTES + 2 * super::IDENTITY_BYTES + (1 << 16) < run::PAGE_BYTES as usize && PAGE_HEAD == 8);
