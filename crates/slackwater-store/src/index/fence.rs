//! What is kept in memory of a run: between which identities each block lies, and a filter over what is in it.

use slackwater_core::codec::{CodecError, Reader, put_bytes, put_varint};
use xxhash_rust::xxh3::xxh3_64;

/// A line of a split-block Bloom filter.
pub(super) type Line = [u32; 8];

/// Bits of a filter per identity: one in a hundred that are not there is looked for in vain.
const BITS: usize = 10;
const LINE_BITS: usize = 256;
const LINE_BYTES: usize = 32;
/// What spreads a hash over the words of a line; any odd numbers would do, these are Parquet's.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Where a block is, and what it is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    /// Offset and length of the block in the file.
    pub at: u64,
    pub length: u32,
    pub crc: u32,
    /// How many identities it has.
    pub count: u32,
    /// Where its first identity ends, behind it its last one ends, and where its lines end.
    first: u64,
    last: u64,
    lines: u32,
}

/// The fences of a run, in order.
#[derive(Debug, Default)]
pub(super) struct Fences {
    list: Vec<Fence>,
    keys: Vec<u8>,
    lines: Vec<Line>,
}

impl Fences {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, block: usize) -> &Fence {
        &self.list[block]
    }

    /// The first identity of a block.
    #[inline]
    pub fn first(&self, block: usize) -> &[u8] {
        let start = if block == 0 { 0 } else { self.list[block - 1].last };
        &self.keys[start as usize..self.list[block].first as usize]
    }

    /// The last identity of a block.
    #[inline]
    pub fn last(&self, block: usize) -> &[u8] {
        let fence = &self.list[block];
        &self.keys[fence.first as usize..fence.last as usize]
    }

    /// The filter of a block; empty where its fences say enough.
    #[inline]
    pub fn lines(&self, block: usize) -> &[Line] {
        let start = if block == 0 { 0 } else { self.list[block - 1].lines };
        &self.lines[start as usize..self.list[block].lines as usize]
    }

    /// Adds a block that lies behind the others.
    pub fn push(&mut self, (at, length, crc, count): (u64, u32, u32, u32), first: &[u8], last: &[u8], lines: &[Line]) {
        self.keys.extend_from_slice(first);
        let first = self.keys.len() as u64;
        self.keys.extend_from_slice(last);
        self.lines.extend_from_slice(lines);
        let (last, lines) = (self.keys.len() as u64, self.lines.len() as u32);
        self.list.push(Fence { at, length, crc, count, first, last, lines });
    }

    /// How many blocks from `from` on begin at or before an identity, counted in steps that double, for the next one
    /// asked for is mostly near.
    pub fn begun(&self, from: usize, identity: &[u8]) -> usize {
        gallop(from, self.list.len(), |block| self.first(block) <= identity)
    }

    /// Appends a fence, for a page.
    pub fn put(&self, block: usize, out: &mut Vec<u8>) {
        let Fence { length, crc, count, .. } = self.list[block];
        put_varint(out, length.into());
        put_varint(out, crc.into());
        put_varint(out, count.into());
        put_bytes(out, self.first(block));
        put_bytes(out, self.last(block));
        let lines = self.lines(block);
        put_varint(out, lines.len() as u64);
        lines.iter().flatten().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// Takes in the fences of a page; the first one's block stands at `at`. Gives where the last one's ends.
    pub fn take(&mut self, page: &[u8], mut at: u64) -> Result<u64, CodecError> {
        let mut reader = Reader::new(page);
        let mut lines = Vec::new();
        while !reader.rest().is_empty() {
            let (length, crc, count) = (reader.number::<u32>()?, reader.number()?, reader.number()?);
            let (first, last) = (reader.bytes()?, reader.bytes()?);
            if first > last || (self.len() > 0 && self.last(self.len() - 1) >= first) {
                return reader.fail("blocks in order");
            }
            lines.clear();
            for _ in 0..reader.varint()? {
                let bytes: [u8; LINE_BYTES] = reader.array()?;
                let mut line = Line::default();
                for (word, bytes) in line.iter_mut().zip(bytes.chunks_exact(4)) {
                    *word = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                }
                lines.push(line);
            }
            self.push((at, length, crc, count), first, last, &lines);
            at += u64::from(length);
        }
        Ok(at)
    }
}

/// The first place at or behind `from` at which `holds` does not hold, which it does up to there.
#[inline]
pub(super) fn gallop(from: usize, to: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (from, 1);
    while low + step <= to && holds(low + step - 1) {
        low += step;
        step *= 2;
    }
    let mut high = (low + step - 1).min(to);
    while low < high {
        let middle = (low + high) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Makes the filter of so many identities.
pub(super) fn filter<'a>(count: usize, identities: impl Iterator<Item = &'a [u8]>, lines: &mut Vec<Line>) {
    lines.clear();
    lines.resize((count * BITS).div_ceil(LINE_BITS), Line::default());
    for identity in identities {
        let (line, bits) = spread(identity, lines.len());
        for (word, bit) in lines[line].iter_mut().zip(bits) {
            *word |= bit;
        }
    }
}

/// Whether an identity may be there.
#[inline]
pub(super) fn may_have(lines: &[Line], identity: &[u8]) -> bool {
    let (line, bits) = spread(identity, lines.len());
    lines[line].iter().zip(bits).all(|(word, bit)| word & bit != 0)
}

#[inline]
fn spread(identity: &[u8], lines: usize) -> (usize, [u32; 8]) {
    let hash = xxh3_64(identity);
    let line = ((hash >> 32) * lines as u64) >> 32;
    (line as usize, SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27)))
}
