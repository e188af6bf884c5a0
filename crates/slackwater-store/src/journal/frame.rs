//! One entry between a header and a trailer, chained to the one before.
//!
//! A frame is laid out so that the piece of it in any sector of the file holds something other than zeros, and would
//! after any one flipped bit: what was never written can be told from what has changed.

use crate::entry::{EVENTS, STEP};
use slackwater_core::planted::{Bug, is};

/// Bytes of a frame's header.
pub const HEAD: usize = 32;
/// Bytes of a frame's trailer.
const TAIL: usize = 8;
/// Frames begin at multiples of this.
pub const GRAIN: u64 = 8;
/// Longest body: an entry, what describes it, and what compressing and stuffing may add.
pub const MOST_BODY: usize = 64 << 20;
/// What a disk writes whole or not at all.
pub const SECTOR: u64 = 512;

const BEGIN: [u8; 4] = *b"SWfr";
const END: [u8; 4] = *b"SWen";
/// Zeros in a row, behind which a body has a byte that is none.
const RUN: usize = 128;
const STUFFING: u8 = 0xff;

/// What checksums start from, so that frames of another instance are not taken for this one's.
#[derive(Clone, Copy, Debug)]
pub struct Seal(u32);

impl Seal {
    /// The seal of an instance.
    pub fn new(instance: &[u8; 16]) -> Seal {
        Seal(crc32c::crc32c(instance))
    }

    /// The chain before the first entry.
    pub fn start(self) -> u32 {
        crc32c::crc32c_append(self.0, b"chain")
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Length of the body.
    pub len: u32,
    /// Number of the entry.
    pub sequence: u64,
    /// The last sequence that was durable when the frame was written.
    pub durable: u64,
    /// Kind of the entry.
    pub kind: u8,
}

impl Head {
    fn encode(&self, seal: Seal) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..4].copy_from_slice(&BEGIN);
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24] = self.kind;
        let crc = crc32c::crc32c_append(seal.0, &out[..28]);
        out[28..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header, if these bytes are one.
    pub fn decode(bytes: &[u8], seal: Seal) -> Option<Head> {
        let bytes: &[u8; HEAD] = bytes.first_chunk()?;
        if bytes[..4] != BEGIN {
            return None;
        }
        let crc = crc32c::crc32c_append(seal.0, &bytes[..28]);
        if crc.to_le_bytes() != bytes[28..] && !is(Bug::CrcUnchecked) {
            return None;
        }
        let head = Head {
            len: u32::from_le_bytes(four(&bytes[4..])),
            sequence: u64::from_le_bytes(eight(&bytes[8..])),
            durable: u64::from_le_bytes(eight(&bytes[16..])),
            kind: bytes[24],
        };
        let sane = head.len as usize <= MOST_BODY
            && head.durable < head.sequence
            && [EVENTS, STEP].contains(&head.kind)
            && bytes[25..28] == [0; 3];
        sane.then_some(head)
    }

    /// The header that these bytes are but for one flipped bit, if they are.
    pub fn mended(bytes: &[u8], seal: Seal) -> Option<Head> {
        let mut bytes: [u8; HEAD] = *bytes.first_chunk()?;
        (0..HEAD * 8).find_map(|bit| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let head = Head::decode(&bytes, seal);
            bytes[bit / 8] ^= 1 << (bit % 8);
            head
        })
    }

    /// Bytes of the whole frame.
    pub fn whole(&self) -> usize {
        whole(self.len as usize)
    }
}

/// Bytes of a frame whose body has so many.
pub fn whole(body: usize) -> usize {
    (HEAD + body).next_multiple_of(GRAIN as usize) + TAIL
}

/// Appends a frame and gives its chain.
pub fn put(out: &mut Vec<u8>, head: &Head, body: &[u8], seal: Seal, chain: u32) -> u32 {
    let start = out.len();
    out.extend_from_slice(&head.encode(seal));
    out.extend_from_slice(body);
    out.resize(start + head.whole() - TAIL, 0);
    let chain = follow(&out[start..], chain);
    out.extend_from_slice(&END);
    out.extend_from_slice(&chain.to_le_bytes());
    chain
}

/// The chain of a frame without its trailer.
fn follow(frame: &[u8], chain: u32) -> u32 {
    let chain = crc32c::crc32c_append(chain, &frame[..28]);
    crc32c::crc32c_append(chain, &frame[HEAD..])
}

/// The body of a whole frame and its chain, if it is what was written behind a frame of the chain before.
pub fn check<'a>(frame: &'a [u8], head: &Head, chain: u32) -> Option<(&'a [u8], u32)> {
    let body = HEAD..HEAD + head.len as usize;
    let (covered, tail) = frame.split_at_checked(frame.len().checked_sub(TAIL)?)?;
    let found = follow(covered, chain);
    let right = tail[..4] == END && tail[4..] == found.to_le_bytes();
    (right || is(Bug::CrcUnchecked)).then_some((&covered[body], found))
}

/// Of a whole frame that may be damaged: the chain that stands in it, and the one that its bytes give. Where one bit is
/// flipped, one of them is right.
pub fn chains(frame: &[u8], chain: u32) -> Option<(u32, u32)> {
    let (covered, tail) = frame.split_at_checked(frame.len().checked_sub(TAIL)?)?;
    Some((u32::from_le_bytes(four(&tail[4..])), follow(covered, chain)))
}

/// Whether no [`RUN`] zeros can stand in a row: else half as many do at a multiple of that.
fn is_broken(bytes: &[u8]) -> bool {
    let (halves, _) = bytes.as_chunks::<{ RUN / 2 }>();
    halves.iter().all(|half| half.iter().fold(0, |any, byte| any | byte) != 0)
}

/// Puts a byte that is not zero behind every [`RUN`] zeros in a row.
pub fn stuff(plain: Vec<u8>) -> Vec<u8> {
    if is_broken(&plain) {
        return plain;
    }
    let mut out = Vec::new();
    let (mut zeros, mut from) = (0, 0);
    for (at, byte) in plain.iter().enumerate() {
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        if zeros == RUN {
            out.extend_from_slice(&plain[from..=at]);
            out.push(STUFFING);
            (zeros, from) = (0, at + 1);
        }
    }
    if from == 0 {
        return plain;
    }
    out.extend_from_slice(&plain[from..]);
    out
}

/// Undoes [`stuff`]; none if that did not make these bytes.
pub fn unstuff(body: &[u8]) -> Option<Vec<u8>> {
    if is_broken(body) {
        return Some(body.to_vec());
    }
    let mut out = Vec::with_capacity(body.len());
    let (mut zeros, mut from, mut at) = (0, 0, 0);
    while at < body.len() {
        zeros = if body[at] == 0 { zeros + 1 } else { 0 };
        at += 1;
        if zeros == RUN {
            out.extend_from_slice(&body[from..at]);
            if body.get(at) != Some(&STUFFING) {
                return None;
            }
            at += 1;
            (zeros, from) = (0, at);
        }
    }
    out.extend_from_slice(&body[from..]);
    Some(out)
}

/// The first four bytes. The caller has made sure that they are there.
pub fn four(bytes: &[u8]) -> [u8; 4] {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[..4]);
    out
}

/// The first eight bytes. The caller has made sure that they are there.
pub fn eight(bytes: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[..8]);
    out
}
