//! One file of the journal: its name, and the header that says whose it is and where it belongs.

use crate::disk::{Disk, File};
use crate::fault::Fault;
use crate::journal::frame::{eight, four};

/// The folder of the journal.
pub const FOLDER: &str = "journal";
/// Bytes of a segment's header.
pub const HEAD: usize = 64;
/// The format that is written, and the newest that is read.
const FORMAT: u32 = 3;
const MAGIC: [u8; 8] = *b"SWJOURNL";
/// No entry has a number so great, so that counting on never overflows.
pub const MOST_SEQUENCE: u64 = 1 << 63;

/// A segment as its header and its neighbours describe it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Sequence of its first entry.
    pub first: u64,
    /// The chain before that.
    pub chain: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether some of it is damaged, so that nothing more is written into it.
    pub worn: bool,
}

impl Segment {
    /// Its file.
    pub fn name(&self) -> String {
        name(self.first)
    }
}

/// The file of the segment whose first entry is this one.
pub fn name(first: u64) -> String {
    format!("{FOLDER}/{first:020}")
}

/// What the name of a segment ends in that was damaged when it became record: it is kept for whoever can mend it.
const DAMAGED: &str = ".damaged";

/// The name under which a damaged segment is kept aside.
pub fn aside(first: u64) -> String {
    format!("{}{DAMAGED}", name(first))
}

/// The first sequences of a folder's files, in order. Unfinished files are removed, and those kept aside passed over.
pub fn list(disk: &dyn Disk, folder: &str) -> Result<Vec<u64>, Fault> {
    let mut firsts = Vec::new();
    for file in disk.list(folder).map_err(|cause| Fault::disk(folder, "list", cause))? {
        let path = format!("{folder}/{file}");
        if file.ends_with(".tmp") {
            disk.remove(&path).map_err(|cause| Fault::disk(&path, "remove", cause))?;
            continue;
        }
        if folder == FOLDER && file.strip_suffix(DAMAGED).is_some_and(|stem| stem.parse::<u64>().is_ok()) {
            continue;
        }
        let digits = file.len() == 20 && file.bytes().all(|byte| byte.is_ascii_digit());
        match file.parse() {
            Ok(first) if digits && (1..MOST_SEQUENCE).contains(&first) => firsts.push(first),
            _ => return Err(Fault::damaged(&path, 0, "no file of this name belongs here; move it elsewhere")),
        }
    }
    Ok(firsts)
}

/// The header of a segment.
pub fn header(instance: &[u8; 16], first: u64, chain: u32) -> [u8; HEAD] {
    let mut out = [0; HEAD];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    out[16..32].copy_from_slice(instance);
    out[32..40].copy_from_slice(&first.to_le_bytes());
    out[40..44].copy_from_slice(&chain.to_le_bytes());
    let crc = crc32c::crc32c(&out[..60]);
    out[60..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// What a segment's file begins with.
#[derive(Debug)]
pub enum Begun {
    /// A header.
    Whole(Segment),
    /// A header that was never written whole, and nothing else: no entry was ever in it.
    Never,
    /// A header that has changed. What it says follows from the file's name and from what stands before it.
    Marred {
        /// Length of the file.
        bytes: u64,
        /// What is wrong.
        fault: Fault,
    },
}

/// Reads a segment's header.
///
/// # Errors
/// A header of another format, of another instance or of another place.
pub fn read(file: &dyn File, instance: &[u8; 16], first: u64) -> Result<Begun, Fault> {
    let name = name(first);
    let len = file.len().map_err(|cause| Fault::disk(&name, "read", cause))?;
    let mut bytes = [0; HEAD];
    let there = len.min(HEAD as u64) as usize;
    file.read_at(0, &mut bytes[..there]).map_err(|cause| Fault::disk(&name, "read", cause))?;
    if len < HEAD as u64 || (len == HEAD as u64 && bytes == [0; HEAD]) {
        return Ok(Begun::Never);
    }
    if bytes[..8] != MAGIC || four(&bytes[60..]) != crc32c::crc32c(&bytes[..60]).to_le_bytes() {
        let fault = Fault::damaged(&name, 0, format!("no header of a segment; entries from {first} on are concerned"));
        return Ok(Begun::Marred { bytes: len, fault });
    }
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
    let found = u64::from_le_bytes(eight(&bytes[32..]));
    if found != first {
        return Err(Fault::damaged(&name, 32, format!("it is the segment that begins with entry {found}")));
    }
    let chain = u32::from_le_bytes(four(&bytes[40..]));
    if bytes != header(instance, first, chain) {
        return Err(Fault::damaged(&name, 8, "a header with bytes that mean nothing"));
    }
    Ok(Begun::Whole(Segment { first, chain, bytes: len, worn: false }))
}
