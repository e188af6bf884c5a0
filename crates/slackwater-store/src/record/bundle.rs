//! Blocks of the record: their bytes, and reading them back.

use super::{HEAD, Head, name};
use crate::disk::{Disk, File};
use crate::entry::{Entry, Form, LOST, inflate};
use crate::fault::Fault;
use crate::journal::{eight, four};
use slackwater_core::codec::{CodecError, Reader as Bytes};
use std::collections::VecDeque;

/// Bytes of a block's header.
pub const BLOCK_HEAD: usize = 64;
/// Most bytes of a block's entries.
const MOST_BLOCK: usize = 64 << 20;
const MAGIC: [u8; 4] = *b"SWbl";

/// The header of a block of compressed entries.
pub fn head(instance: &[u8; 16], first: u64, count: u32, plain: usize, packed: &[u8]) -> [u8; BLOCK_HEAD] {
    let mut out = [0; BLOCK_HEAD];
    out[..4].copy_from_slice(&MAGIC);
    out[4..8].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    out[8..12].copy_from_slice(&(plain as u32).to_le_bytes());
    out[12..16].copy_from_slice(&count.to_le_bytes());
    out[16..24].copy_from_slice(&first.to_le_bytes());
    let digest = of_block(instance, &out[..32], packed);
    out[32..].copy_from_slice(&digest);
    out
}

fn of_block(instance: &[u8; 16], head: &[u8], packed: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(instance).update(head).update(packed);
    *hasher.finalize().as_bytes()
}

/// The first 32 bytes. The caller has made sure that they are there.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[..32]);
    out
}

/// Entries of one file of the record, in order.
#[derive(Debug)]
pub struct Reader {
    file: Box<dyn File>,
    name: String,
    instance: [u8; 16],
    head: Head,
    /// The first entry that is wanted.
    from: u64,
    /// Where the next block begins, and with which entry.
    at: u64,
    sequence: u64,
    digests: blake3::Hasher,
    /// Entries that are read and not given yet: sequence, kind, encoding.
    ready: VecDeque<(u64, u8, Vec<u8>)>,
}

impl Reader {
    /// Opens the file of a header at an entry.
    pub fn open(disk: &dyn Disk, instance: &[u8; 16], head: &Head, from: u64) -> Result<Reader, Fault> {
        let name = name(head.first);
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        let found = Head::read(&*file, instance, head.first)?;
        if found != *head {
            return Err(Fault::damaged(&name, 0, "it is not the file that was there when the journal was opened"));
        }
        Ok(Reader::of(file, &name, instance, head, from))
    }

    /// Reads a file whose header is known.
    pub fn of(file: Box<dyn File>, name: &str, instance: &[u8; 16], head: &Head, from: u64) -> Reader {
        Reader {
            file,
            name: name.to_string(),
            instance: *instance,
            head: head.clone(),
            from,
            at: HEAD as u64,
            sequence: head.first,
            digests: blake3::Hasher::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next entry.
    pub fn next(&mut self) -> Result<Option<(u64, Entry)>, Fault> {
        let Some((sequence, kind, bytes)) = self.next_encoded()? else { return Ok(None) };
        if kind == LOST {
            let what = format!("entry {sequence} was damaged in the journal before it became record");
            return Err(Fault::damaged(&self.name, self.at, what));
        }
        match Entry::decode(kind, Form::Record, &bytes) {
            Ok(entry) => Ok(Some((sequence, entry))),
            Err(error) => {
                let what = format!("no entry in a block that is whole ({error}); entry {sequence} is concerned");
                Err(Fault::damaged(&self.name, self.at, what))
            }
        }
    }

    /// The next entry: its sequence, its kind and its encoding.
    pub fn next_encoded(&mut self) -> Result<Option<(u64, u8, Vec<u8>)>, Fault> {
        while self.ready.is_empty() {
            if self.at == self.head.len {
                return self.end();
            }
            self.read_block()?;
        }
        Ok(self.ready.pop_front())
    }

    /// Behind the last block: they must be all of them.
    fn end(&mut self) -> Result<Option<(u64, u8, Vec<u8>)>, Fault> {
        if self.sequence != self.head.last + 1 || self.digests.finalize().as_bytes() != &self.head.blocks {
            return Err(self.damaged("its blocks are not those that were written", self.head.last));
        }
        Ok(None)
    }

    fn read_block(&mut self) -> Result<(), Fault> {
        let rest = self.head.len - self.at;
        let mut head = [0; BLOCK_HEAD];
        if rest < BLOCK_HEAD as u64 {
            return Err(self.damaged("the file ends inside a block", self.head.last));
        }
        self.read(self.at, &mut head)?;
        let packed = u32::from_le_bytes(four(&head[4..])) as usize;
        let plain = u32::from_le_bytes(four(&head[8..])) as usize;
        let count = u32::from_le_bytes(four(&head[12..]));
        let first = u64::from_le_bytes(eight(&head[16..]));
        let fits = packed as u64 <= rest - BLOCK_HEAD as u64 && plain <= MOST_BLOCK;
        let behind = self.sequence + u64::from(count);
        if head[..4] != MAGIC || !fits || count == 0 || first != self.sequence || behind > self.head.last + 1 {
            return Err(self.damaged("no header of the block that belongs here", self.head.last));
        }
        if behind > self.from {
            let mut bytes = vec![0; packed];
            self.read(self.at + BLOCK_HEAD as u64, &mut bytes)?;
            if of_block(&self.instance, &head[..32], &bytes) != head[32..] {
                return Err(self.damaged("a block whose digest does not fit", behind - 1));
            }
            let entries = inflate(&bytes, plain as u64).map(|plain| self.entries(&plain, count));
            match entries {
                Some(Ok(entries)) => self.ready = entries,
                _ => return Err(self.damaged("no entries in a block that is whole", behind - 1)),
            }
        }
        self.digests.update(&head[32..]);
        self.at += (BLOCK_HEAD + packed) as u64;
        self.sequence = behind;
        Ok(())
    }

    fn entries(&self, plain: &[u8], count: u32) -> Result<VecDeque<(u64, u8, Vec<u8>)>, CodecError> {
        let mut reader = Bytes::new(plain);
        let mut entries = VecDeque::new();
        for number in 0..u64::from(count) {
            let encoding = reader.bytes()?;
            let Some((kind, encoding)) = encoding.split_first() else { return reader.fail("an entry") };
            let sequence = self.sequence + number;
            if sequence >= self.from {
                entries.push_back((sequence, *kind, encoding.to_vec()));
            }
        }
        reader.finish()?;
        Ok(entries)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.file.read_at(at, into).map_err(|cause| Fault::disk(&self.name, "read", cause))
    }

    /// Damage of the block that comes next, with entries up to `last`.
    fn damaged(&self, what: &str, last: u64) -> Fault {
        let what = format!("{what}; entries {} to {last} are concerned", self.sequence);
        Fault::damaged(&self.name, self.at, what)
    }
}
