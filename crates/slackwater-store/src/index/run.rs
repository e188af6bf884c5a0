//! A run that is kept: opened by its digest, read block by block.

use super::block::Block;
use super::fence::Fences;
use crate::disk::{Disk, File};
use crate::fault::Fault;
use slackwater_core::codec::{CodecError, Reader, put_varint};

/// Begins and ends a run.
pub(super) const MAGIC: [u8; 8] = *b"slackidx";
pub(super) const FORMAT: u32 = 1;
pub(super) const HEAD_BYTES: u64 = 20;
pub(super) const TAIL_BYTES: u64 = 112;
/// Most bytes of a fence page's payload.
pub(super) const PAGE_BYTES: u32 = 1 << 20;
/// Length and CRC before a page's payload.
pub(super) const PAGE_HEAD: u64 = 8;
/// Most bytes of a block.
const BLOCK_BYTES: u32 = 4 << 20;
/// Bytes that are read and hashed at once.
const PIECE: usize = 1 << 18;

/// Names a run, and says by its digest which bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Its number; its file is named by it.
    pub number: u64,
    /// How many identities it has.
    pub entries: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// BLAKE3 of its tail, which has the digests of all else.
    pub digest: [u8; 32],
}

impl RunInfo {
    /// Its file.
    pub fn name(&self) -> String {
        name(self.number)
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        [self.number, self.entries, self.bytes].into_iter().for_each(|number| put_varint(out, number));
        out.extend_from_slice(&self.digest);
    }

    /// Reads back what [`RunInfo::encode`] wrote.
    ///
    /// # Errors
    /// Where the bytes are no such encoding.
    pub fn decode(reader: &mut Reader<'_>) -> Result<RunInfo, CodecError> {
        let (number, entries, bytes) = (reader.varint()?, reader.varint()?, reader.varint()?);
        Ok(RunInfo { number, entries, bytes, digest: reader.array()? })
    }
}

/// Name of the file of a run.
pub(super) fn name(number: u64) -> String {
    format!("{}/{number}.run", super::FOLDER)
}

/// What stands at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub number: u64,
    pub entries: u64,
    pub blocks: u64,
    pub fences_at: u64,
    pub blocks_digest: [u8; 32],
    pub fences_digest: [u8; 32],
}

impl Tail {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TAIL_BYTES as usize);
        for number in [self.number, self.entries, self.blocks, self.fences_at] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.blocks_digest);
        out.extend_from_slice(&self.fences_digest);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out.extend_from_slice(&MAGIC);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Tail, CodecError> {
        let mut reader = Reader::new(bytes);
        let mut number = || reader.array().map(u64::from_le_bytes);
        let (run, entries, blocks, fences_at) = (number()?, number()?, number()?, number()?);
        let (blocks_digest, fences_digest) = (reader.array()?, reader.array()?);
        let tail = Tail { number: run, entries, blocks, fences_at, blocks_digest, fences_digest };
        if tail.encode() == bytes { Ok(tail) } else { reader.fail("a tail") }
    }
}

/// The head of a run's file.
pub(super) fn head(number: u64) -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..].copy_from_slice(&number.to_le_bytes());
    head
}

/// A run that is open, with its fences in memory.
#[derive(Debug)]
pub(super) struct Run {
    pub info: RunInfo,
    pub name: String,
    pub fences: Fences,
    file: Box<dyn File>,
    tail: Tail,
}

impl Run {
    /// Opens a run. Its tail and its fences are checked by digest; its blocks are when they are read, by what the fences
    /// say of them.
    pub fn open(disk: &dyn Disk, info: RunInfo) -> Result<Run, Fault> {
        let name = name(info.number);
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        let length = file.len().map_err(|cause| Fault::disk(&name, "measure", cause))?;
        if length != info.bytes || length < HEAD_BYTES + TAIL_BYTES {
            return Err(Fault::damaged(&name, length.min(info.bytes), format!("{length} bytes of {}", info.bytes)));
        }
        let mut start = [0; HEAD_BYTES as usize];
        file.read_at(0, &mut start).map_err(|cause| Fault::disk(&name, "read", cause))?;
        let format = start[8..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let mut bytes = [0; TAIL_BYTES as usize];
        file.read_at(length - TAIL_BYTES, &mut bytes).map_err(|cause| Fault::disk(&name, "read", cause))?;
        let tail = Tail::decode(&bytes).ok().filter(|tail| {
            let place = (HEAD_BYTES..=length - TAIL_BYTES).contains(&tail.fences_at);
            let named = tail.number == info.number && tail.entries == info.entries;
            place && named && blake3::hash(&bytes) == info.digest
        });
        // A run that is the one that was named here is of a format that is known here, whatever its head says.
        if tail.is_none() && start[..8] == MAGIC && format > FORMAT {
            return Err(Fault::Newer { name, found: format, known: FORMAT });
        }
        if start != head(info.number) {
            return Err(Fault::damaged(&name, 0, "this is not the head of this run"));
        }
        let Some(tail) = tail else {
            return Err(Fault::damaged(&name, length - TAIL_BYTES, "its tail is not the one that was written"));
        };
        let mut run = Run { info, name, fences: Fences::default(), file, tail };
        run.read_fences()?;
        Ok(run)
    }

    fn read_fences(&mut self) -> Result<(), Fault> {
        let (mut at, end) = (self.tail.fences_at, self.info.bytes - TAIL_BYTES);
        let (mut block_at, mut hasher, mut page) = (HEAD_BYTES, blake3::Hasher::new(), Vec::new());
        while at < end {
            let damaged = |what: &str| Fault::damaged(&self.name, at, what);
            let mut head = [0; PAGE_HEAD as usize];
            if end - at < PAGE_HEAD {
                return Err(damaged("a page of fences is cut off"));
            }
            self.read(at, &mut head)?;
            let (length, crc) = (half(&head, 0), half(&head, 4));
            if length == 0 || length > PAGE_BYTES || u64::from(length) > end - at - PAGE_HEAD {
                return Err(damaged("a page of fences has a length that cannot be"));
            }
            page.resize(length as usize, 0);
            self.read(at + PAGE_HEAD, &mut page)?;
            if crc32c::crc32c(&page) != crc {
                return Err(damaged("a page of fences is not what was written"));
            }
            hasher.update(&head);
            hasher.update(&page);
            block_at = self.fences.take(&page, block_at).map_err(|error| damaged(&error.to_string()))?;
            at += PAGE_HEAD + u64::from(length);
        }
        let fences = &self.fences;
        let entries: u64 = (0..fences.len()).map(|block| u64::from(fences.get(block).count)).sum();
        let short = (0..fences.len()).all(|block| fences.get(block).length <= BLOCK_BYTES);
        let told = (self.tail.fences_digest, self.tail.blocks, self.tail.entries, self.tail.fences_at);
        if (*hasher.finalize().as_bytes(), fences.len() as u64, entries, block_at) != told || !short {
            return Err(Fault::damaged(
                &self.name,
                self.tail.fences_at,
                "the fences are not the ones that were written",
            ));
        }
        Ok(())
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.file.read_at(at, into).map_err(|cause| Fault::disk(&self.name, "read", cause))
    }

    /// Reads a block.
    pub fn block(&self, block: usize) -> Result<Block, Fault> {
        let fence = self.fences.get(block);
        let mut bytes = Vec::with_capacity(fence.length as usize + 8);
        bytes.resize(fence.length as usize, 0);
        self.read(fence.at, &mut bytes)?;
        if crc32c::crc32c(&bytes) != fence.crc {
            return Err(Fault::damaged(&self.name, fence.at, "a block of identities is not what was written"));
        }
        match Block::read(bytes) {
            Ok(found) if found.count() == fence.count as usize => Ok(found),
            Ok(_) => Err(Fault::damaged(&self.name, fence.at, "a block has not the count that its fence says")),
            Err(error) => Err(Fault::damaged(&self.name, fence.at + error.at as u64, error.expected)),
        }
    }

    /// Reads the whole file and holds it against the digests, and against what a run must be.
    pub fn scrub(disk: &dyn Disk, info: RunInfo) -> Result<(), Fault> {
        Run::open(disk, info)?.check()
    }

    fn check(&self) -> Result<(), Fault> {
        let found = digest(&*self.file, 0..self.tail.fences_at, &self.name)?;
        if found != self.tail.blocks_digest {
            for block in 0..self.fences.len() {
                self.block(block)?;
            }
            return Err(Fault::damaged(&self.name, 0, "its blocks are not the ones that were written"));
        }
        let (mut before, mut identity) = (Vec::new(), Vec::new());
        for number in 0..self.fences.len() {
            let block = self.block(number)?;
            for at in 0..block.count() {
                block.identity(at, &mut identity);
                let first = at > 0 || identity == self.fences.first(number);
                if !first || (number + at > 0 && before >= identity) {
                    let place = self.fences.get(number).at;
                    return Err(Fault::damaged(&self.name, place, "identities are out of order"));
                }
                std::mem::swap(&mut before, &mut identity);
            }
            if before != self.fences.last(number) {
                let place = self.fences.get(number).at;
                return Err(Fault::damaged(&self.name, place, "a block ends elsewhere than its fence says"));
            }
        }
        Ok(())
    }
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// BLAKE3 of a range of a file.
pub(super) fn digest(file: &dyn File, range: std::ops::Range<u64>, name: &str) -> Result<[u8; 32], Fault> {
    let (mut hasher, mut at, mut piece) = (blake3::Hasher::new(), range.start, vec![0; PIECE]);
    while at < range.end {
        let length = (range.end - at).min(PIECE as u64) as usize;
        file.read_at(at, &mut piece[..length]).map_err(|cause| Fault::disk(name, "read", cause))?;
        hasher.update(&piece[..length]);
        at += length as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}
