//! What the journal leaves behind for good: closed segments, in compressed blocks, under strong digests.
//!
//! A file is written once, under a name that says that it is unfinished, read back and compared before it gets its own
//! name, and never changed. Where event bytes are left out, everything else about them stays.

mod bundle;

pub(crate) use bundle::Reader;

use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, File};
use crate::entry::{self, LOST, deflate};
use crate::fault::Fault;
use crate::journal::{MOST_SEQUENCE, Seal, eight, four, list};
use bundle::BLOCK_HEAD;
use slackwater_core::codec::{CodecError, put_varint};
use slackwater_core::planted::{Bug, is};

/// The folder of the record.
pub const FOLDER: &str = "record";
/// Bytes of a file's header.
const HEAD: usize = 128;
/// Bytes of entries, or of the events that they stand for, that a block has.
const BLOCK: u64 = 1 << 20;
/// Zstandard level of blocks. What is compressed already passes at the speed of copying; of trades that are not, level
/// 12 would save another 8% and take 18 times as long, beside live traffic.
const LEVEL: i32 = 1;
/// The format that is written, and the newest that is read.
const FORMAT: u32 = 3;
const MAGIC: [u8; 8] = *b"SWRECORD";

/// Whether event bytes stay when they leave the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum KeepRaw {
    /// They stay for good.
    Forever = 0,
    /// Only how many there were stays, and where they came from.
    None = 1,
}

/// The entries of one segment, and the chain before and after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: u64,
    pub last: u64,
    pub before: u32,
    pub after: u32,
}

/// An entry as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub kind: u8,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// Event bytes that it stands for.
    pub events: u64,
}

impl Kept {
    /// An entry that cannot be read any more.
    pub fn lost() -> Kept {
        Kept { kind: LOST, bytes: Vec::new(), events: 0 }
    }
}

/// In a header's word on event bytes: entries are missing.
const SOME_LOST: u32 = 2;

/// What the header of a file of the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub first: u64,
    pub last: u64,
    pub before: u32,
    pub after: u32,
    pub keep: KeepRaw,
    /// Whether entries are missing, for they were damaged before they became record.
    pub lost: bool,
    /// Whether a bit of it is flipped: its digest tells which.
    pub worn: bool,
    /// Length of the file.
    len: u64,
    /// Digest of the digests of all blocks.
    blocks: [u8; 32],
}

impl Head {
    /// The file.
    pub fn name(&self) -> String {
        name(self.first)
    }

    fn encode(&self, instance: &[u8; 16]) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let kept = self.keep as u32 + if self.lost { SOME_LOST } else { 0 };
        out[12..16].copy_from_slice(&kept.to_le_bytes());
        out[16..32].copy_from_slice(instance);
        out[32..40].copy_from_slice(&self.first.to_le_bytes());
        out[40..48].copy_from_slice(&self.last.to_le_bytes());
        out[48..52].copy_from_slice(&self.before.to_le_bytes());
        out[52..56].copy_from_slice(&self.after.to_le_bytes());
        out[56..64].copy_from_slice(&self.len.to_le_bytes());
        out[64..96].copy_from_slice(&self.blocks);
        let digest = blake3::hash(&out[..96]);
        out[96..].copy_from_slice(digest.as_bytes());
        out
    }

    fn read(file: &dyn File, instance: &[u8; 16], first: u64) -> Result<Head, Fault> {
        let name = name(first);
        let len = file.len().map_err(|cause| Fault::disk(&name, "read", cause))?;
        let mut bytes = [0; HEAD];
        let there = len.min(HEAD as u64) as usize;
        file.read_at(0, &mut bytes[..there]).map_err(|cause| Fault::disk(&name, "read", cause))?;
        let Some((bytes, worn)) = turned_back(bytes) else {
            let what = format!("no header of a record; entries from {first} on are concerned");
            return Err(Fault::damaged(&name, 0, what));
        };
        let format = u32::from_le_bytes(four(&bytes[8..]));
        if format > FORMAT {
            return Err(Fault::Newer { name, found: format, known: FORMAT });
        }
        if format < FORMAT {
            return Err(Fault::Older { name, found: format, known: FORMAT });
        }
        if &bytes[16..32] != instance {
            return Err(Fault::damaged(&name, 16, "it belongs to another instance"));
        }
        let kept = u32::from_le_bytes(four(&bytes[12..]));
        let keep = match kept & !SOME_LOST {
            0 => KeepRaw::Forever,
            1 => KeepRaw::None,
            other => return Err(Fault::damaged(&name, 12, format!("{other} says nothing of event bytes"))),
        };
        let head = Head {
            first: u64::from_le_bytes(eight(&bytes[32..])),
            last: u64::from_le_bytes(eight(&bytes[40..])),
            before: u32::from_le_bytes(four(&bytes[48..])),
            after: u32::from_le_bytes(four(&bytes[52..])),
            keep,
            lost: kept & SOME_LOST > 0,
            worn,
            len: u64::from_le_bytes(eight(&bytes[56..])),
            blocks: bundle::digest(&bytes[64..96]),
        };
        if head.first != first || !(first..MOST_SEQUENCE).contains(&head.last) || bytes != head.encode(instance) {
            let what = format!("it is the record of entries {} to {}", head.first, head.last);
            return Err(Fault::damaged(&name, 32, what));
        }
        if head.len != len {
            let what = format!("it has {len} bytes and had {}", head.len);
            let what = format!("{what}; entries {first} to {} are concerned", head.last);
            return Err(Fault::damaged(&name, len.min(head.len), what));
        }
        Ok(head)
    }

    /// What is wrong with it, where a bit is flipped.
    pub fn fault(&self) -> Option<Fault> {
        let what = "a bit of its header is flipped; its digest tells which, and it is read as if it were not";
        self.worn.then(|| Fault::damaged(&self.name(), 0, what))
    }
}

/// A header as it was written, with at most one bit turned back, and whether one was: no other header has its digest.
fn turned_back(found: [u8; HEAD]) -> Option<([u8; HEAD], bool)> {
    let is_whole = |bytes: &[u8; HEAD]| bytes[..8] == MAGIC && bytes[96..] == *blake3::hash(&bytes[..96]).as_bytes();
    if is_whole(&found) {
        return Some((found, false));
    }
    let with = |bit: usize| {
        let mut bytes = found;
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    (0..HEAD * 8).map(with).find(is_whole).map(|bytes| (bytes, true))
}

fn name(first: u64) -> String {
    format!("{FOLDER}/{first:020}")
}

pub(crate) fn unfinished(first: u64) -> String {
    format!("{FOLDER}/{first:020}.tmp")
}

/// The headers of the record of an instance, as [`open`] gives them.
pub(crate) fn heads(disk: &dyn Disk, instance: &[u8; 16]) -> Result<Vec<Head>, Fault> {
    open(disk, instance, Seal::new(instance).start())
}

/// Reads all of a file of the record: what is damaged of it, or missing.
pub(crate) fn scrub(disk: &dyn Disk, instance: &[u8; 16], head: &Head) -> Option<Fault> {
    match lost(disk, instance, head) {
        Ok(rows) => {
            let missing: Vec<String> = rows.iter().map(|(first, last)| format!("{first} to {last}")).collect();
            let what = format!("entries {} were damaged before they became record", missing.join(", "));
            (!rows.is_empty()).then(|| Fault::damaged(&head.name(), 0, what))
        }
        Err(fault) => Some(fault),
    }
}

/// The headers of the record, which follow each other from the first entry on; `chain` is the one before that.
pub(crate) fn open(disk: &dyn Disk, instance: &[u8; 16], chain: u32) -> Result<Vec<Head>, Fault> {
    let mut heads: Vec<Head> = Vec::new();
    for first in list(disk, FOLDER)? {
        let name = name(first);
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        let head = Head::read(&*file, instance, first)?;
        let (behind, before) = heads.last().map_or((0, chain), |head| (head.last, head.after));
        if first != behind + 1 {
            let what = format!("entries {} to {} are missing before it", behind + 1, first - 1);
            return Err(Fault::damaged(&name, 32, what));
        }
        if head.before != before {
            return Err(Fault::damaged(&name, 48, format!("entry {behind} is not the one that was before it")));
        }
        heads.push(head);
    }
    Ok(heads)
}

/// The latest time that a file of the record tells of its entries; none where they tell no time.
pub(crate) fn time_of(disk: &dyn Disk, instance: &[u8; 16], head: &Head) -> Result<Option<i64>, Fault> {
    let (mut reader, mut latest) = (Reader::open(disk, instance, head, head.first)?, None);
    while let Some((sequence, kind, bytes)) = reader.next_encoded()? {
        latest = latest.max(entry::time_of(kind, &bytes).map_err(|error| no_entry(head, sequence, &error))?);
    }
    Ok(latest)
}

/// The entries that are missing of a file of the record: of each row of them, the first and the last.
pub(crate) fn lost(disk: &dyn Disk, instance: &[u8; 16], head: &Head) -> Result<Vec<(u64, u64)>, Fault> {
    let (mut reader, mut rows) = (Reader::open(disk, instance, head, head.first)?, Vec::<(u64, u64)>::new());
    while let Some((sequence, kind, _)) = reader.next_encoded()? {
        match rows.last_mut() {
            _ if kind != LOST => {}
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => rows.push((sequence, sequence)),
        }
    }
    Ok(rows)
}

/// Writes a file of the record anew without event bytes, in the place of the one that has them.
pub(crate) fn reduce(disk: &dyn Disk, instance: &[u8; 16], head: &Head) -> Result<Head, Fault> {
    let mut entries = || {
        let mut reader = Reader::open(disk, instance, head, head.first)?;
        let next = move || {
            let Some((sequence, kind, bytes)) = reader.next_encoded()? else { return Ok(None) };
            let bytes = entry::reduced(kind, bytes).map_err(|error| no_entry(head, sequence, &error))?;
            Ok(Some((sequence, Kept { kind, bytes, events: 0 })))
        };
        let mut next = next;
        Ok(std::iter::from_fn(move || next().transpose()))
    };
    let span = Span { first: head.first, last: head.last, before: head.before, after: head.after };
    write(disk, instance, (span, KeepRaw::None), &mut entries)
}

fn no_entry(head: &Head, sequence: u64, error: &CodecError) -> Fault {
    Fault::damaged(&name(head.first), 0, format!("entry {sequence} is none ({error})"))
}

/// Removes what was begun of a file, and says whether that was all there was of it.
pub(crate) fn discard(disk: &dyn Disk, first: u64) -> bool {
    match disk.remove(&unfinished(first)) {
        Ok(()) => true,
        Err(cause) => cause.kind() == std::io::ErrorKind::NotFound && disk.open(&name(first)).is_err(),
    }
}

/// Writes the entries of a span, which `entries` gives anew whenever it is asked; they are durable afterwards.
pub(crate) fn write<I>(
    disk: &dyn Disk,
    instance: &[u8; 16],
    (span, keep): (Span, KeepRaw),
    entries: &mut dyn FnMut() -> Result<I, Fault>,
) -> Result<Head, Fault>
where
    I: Iterator<Item = Result<(u64, Kept), Fault>>,
{
    let unfinished = unfinished(span.first);
    let failed = |verb: &'static str| {
        let name = unfinished.clone();
        move |cause| Fault::disk(&name, verb, cause)
    };
    let file = disk.create(&unfinished).map_err(failed("create"))?;
    let mut writer = Writer::new(&*file, &unfinished, instance, span.first);
    let mut lost = false;
    for entry in entries()? {
        let (_, entry) = entry?;
        lost |= entry.kind == LOST;
        writer.add(&entry)?;
    }
    let (len, blocks) = writer.finish()?;
    let Span { first, last, before, after } = span;
    let head = Head { first, last, before, after, keep, lost, worn: false, len, blocks };
    file.write_at(0, &head.encode(instance)).map_err(failed("write"))?;
    crash::point(CrashPoint::FileWritten)?;
    file.sync().map_err(failed("sync"))?;
    crash::point(CrashPoint::FileSynced)?;
    let file = disk.open(&unfinished).map_err(failed("read back"))?;
    if Head::read(&*file, instance, first)? != head {
        return Err(Fault::damaged(&unfinished, 0, "it does not read back as it was written"));
    }
    let mut back = Reader::of(file, &unfinished, instance, &head, first);
    for entry in entries()? {
        let (sequence, entry) = entry?;
        let right = back.next_encoded()?.is_some_and(|(found, kind, bytes)| {
            (found, kind, bytes.as_slice()) == (sequence, entry.kind, entry.bytes.as_slice())
        });
        if !right {
            return Err(Fault::damaged(
                &unfinished,
                0,
                format!("entry {sequence} does not read back as it was written"),
            ));
        }
    }
    if back.next_encoded()?.is_some() {
        return Err(Fault::damaged(&unfinished, 0, "it reads back with more than was written"));
    }
    crash::point(CrashPoint::FileVerified)?;
    disk.rename(&unfinished, &name(first)).map_err(failed("rename"))?;
    crash::point(CrashPoint::FileRenamed)?;
    if !is(Bug::RenameWithoutFolderSync) {
        disk.sync_folder(FOLDER).map_err(failed("sync the folder of"))?;
    }
    Ok(head)
}

/// Puts entries into blocks.
struct Writer<'a> {
    file: &'a dyn File,
    name: &'a str,
    instance: &'a [u8; 16],
    at: u64,
    /// Entries that are not written yet: how many, the first one's sequence, their bytes.
    count: u32,
    first: u64,
    plain: Vec<u8>,
    /// Event bytes that these stand for.
    events: u64,
    digests: blake3::Hasher,
}

impl<'a> Writer<'a> {
    fn new(file: &'a dyn File, name: &'a str, instance: &'a [u8; 16], first: u64) -> Self {
        let digests = blake3::Hasher::new();
        Writer { file, name, instance, at: HEAD as u64, count: 0, first, plain: Vec::new(), events: 0, digests }
    }

    fn add(&mut self, entry: &Kept) -> Result<(), Fault> {
        put_varint(&mut self.plain, entry.bytes.len() as u64 + 1);
        self.plain.push(entry.kind);
        self.plain.extend_from_slice(&entry.bytes);
        self.count += 1;
        self.events += entry.events;
        if self.events.max(self.plain.len() as u64) >= BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), Fault> {
        if self.count == 0 {
            return Ok(());
        }
        let packed = deflate(&self.plain, LEVEL)?;
        let head = bundle::head(self.instance, self.first, self.count, self.plain.len(), &packed);
        self.digests.update(&head[32..]);
        let mut bytes = Vec::with_capacity(BLOCK_HEAD + packed.len());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&packed);
        self.file.write_at(self.at, &bytes).map_err(|cause| Fault::disk(self.name, "write", cause))?;
        self.at += bytes.len() as u64;
        self.first += u64::from(self.count);
        self.count = 0;
        self.plain.clear();
        self.events = 0;
        Ok(())
    }

    /// The file's length and the digest of its blocks.
    fn finish(mut self) -> Result<(u64, [u8; 32]), Fault> {
        self.end_block()?;
        Ok((self.at, *self.digests.finalize().as_bytes()))
    }
}
