//! A file that is written whole, or not at all: header, compressed content, BLAKE3 over both.
//!
//! It is written under a temporary name, synced, read back and verified, renamed, and its folder synced. So a file under
//! its own name is complete, and what is not what was written is found.

use crate::Fault;
use crate::disk::{Disk, read_whole, write_whole};
use crate::entry::{deflate, inflate};

/// Version of all parcels.
const FORMAT: u32 = 4;
const MAGIC: [u8; 4] = *b"slkp";
/// Magic, format, kind, instance, number, length of the content, length as compressed.
const HEADER_BYTES: usize = 4 + 4 + 4 + 16 + 8 + 8 + 8;
const DIGEST_BYTES: usize = 32;
const LEVEL: i32 = 1;

/// What a parcel is, so that one is not taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Four letters.
    pub kind: [u8; 4],
    /// Whose it is.
    pub instance: [u8; 16],
    /// Its number among those of its kind.
    pub number: u64,
}

/// Writes a parcel. Gives its length and the digest at its end.
pub(crate) fn write(disk: &dyn Disk, name: &str, label: Label, content: &[u8]) -> Result<(u64, [u8; 32]), Fault> {
    let packed = deflate(content, LEVEL)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + packed.len() + DIGEST_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&label.kind);
    bytes.extend_from_slice(&label.instance);
    for number in [label.number, content.len() as u64, packed.len() as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&packed);
    let digest = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&digest);
    write_whole(disk, name, &bytes)?;
    Ok((bytes.len() as u64, digest))
}

/// Reads a parcel of at most `most` bytes of content, and verifies it.
pub(crate) fn read(disk: &dyn Disk, name: &str, label: Label, most: u64) -> Result<(Vec<u8>, [u8; 32]), Fault> {
    let whole = (HEADER_BYTES + DIGEST_BYTES) as u64 + zstd::zstd_safe::compress_bound(most as usize) as u64;
    let bytes = read_whole(disk, name, whole).map_err(|cause| Fault::disk(name, "read", cause))?;
    let fail = |at: usize, what: &str| Err(Fault::damaged(name, at as u64, what));
    if bytes.len() < HEADER_BYTES + DIGEST_BYTES || bytes[..4] != MAGIC {
        return fail(0, "it is cut off, or no file of ours");
    }
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let format = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
    let (head, stored) = bytes.split_at(bytes.len() - DIGEST_BYTES);
    let digest = *blake3::hash(head).as_bytes();
    if digest != stored {
        return fail(0, "it does not have the digest that stands at its end");
    }
    if format > FORMAT {
        return Err(Fault::Newer { name: name.to_string(), found: format, known: FORMAT });
    }
    if format < FORMAT {
        return Err(Fault::Older { name: name.to_string(), found: format, known: FORMAT });
    }
    if bytes[8..12] != label.kind || bytes[12..28] != label.instance || number(28) != label.number {
        return fail(8, "it belongs to another place or another instance");
    }
    let (length, packed) = (number(36), &head[HEADER_BYTES..]);
    if length > most || number(44) != packed.len() as u64 {
        return fail(36, "its length is not that of its content");
    }
    match inflate(packed, length) {
        Some(content) => Ok((content, digest)),
        None => fail(HEADER_BYTES, "its content cannot be unpacked"),
    }
}
