//! A block of a run: some hundred identities and what is known of each, in columns of fixed width.

use super::entries::{Entries, Known};
use crate::order::common;
use slackwater_core::codec::{CodecError, Reader, put_varint};
use slackwater_core::row::Op;
use std::ops::Range;

/// Most identities of a block.
pub(super) const MOST: usize = 1024;
/// Bytes of an identity's end that are a number, where it ends in one.
const NUMBER: usize = 8;
/// Columns are read eight bytes at a time, the last one's too.
const SPARE: usize = 8;
const SIGN: u64 = 1 << 63;

const NUMBERS: u8 = 0;
const EVEN: u8 = 1;
const UNEVEN: u8 = 2;

/// Whether two identities differ in their last eight bytes at most, and so as numbers.
#[inline]
pub(super) fn alike(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.len() >= NUMBER && a[..a.len() - NUMBER] == b[..b.len() - NUMBER]
}

/// The last eight bytes of an identity as a number.
#[inline]
pub(super) fn number(identity: &[u8]) -> u64 {
    identity.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Appends the block of these entries, which are at most [`MOST`], at least one, and in order.
pub(super) fn encode(entries: &Entries, out: &mut Vec<u8>) {
    let count = entries.len();
    out.extend_from_slice(&(count as u16).to_le_bytes());
    let (first, last) = (entries.identity(0), entries.identity(count - 1));
    let even = (0..count).all(|at| entries.identity(at).len() == first.len());
    if even && alike(first, last) {
        out.push(NUMBERS);
        let prefix = &first[..first.len() - NUMBER];
        put_varint(out, prefix.len() as u64);
        out.extend_from_slice(prefix);
        put_column(count, |at| number(entries.identity(at)).wrapping_sub(at as u64), out);
    } else {
        // In order, what the first and the last share is what all share.
        let shared = common(first, last);
        out.push(if even { EVEN } else { UNEVEN });
        put_varint(out, shared as u64);
        out.extend_from_slice(&first[..shared]);
        if even {
            put_varint(out, (first.len() - shared) as u64);
        } else {
            let mut end = 0;
            let ends: Vec<u64> = (0..count)
                .map(|at| {
                    end += (entries.identity(at).len() - shared) as u64;
                    end
                })
                .collect();
            put_column(count, |at| ends[at], out);
        }
        (0..count).for_each(|at| out.extend_from_slice(&entries.identity(at)[shared..]));
    }
    put_column(count, |at| entries.known(at).version, out);
    put_column(count, |at| u64::from(entries.known(at).decoder) << 1 | entries.known(at).op as u64, out);
    put_column(count, |at| entries.known(at).time as u64 ^ SIGN, out);
    put_column(count, |at| entries.known(at).tick, out);
    (0..count).for_each(|at| out.extend_from_slice(&entries.known(at).digest.to_le_bytes()));
}

fn put_column(count: usize, value: impl Fn(usize) -> u64, out: &mut Vec<u8>) {
    let (mut base, mut most) = (u64::MAX, 0);
    for at in 0..count {
        (base, most) = (base.min(value(at)), most.max(value(at)));
    }
    let width = (64 - (most - base).leading_zeros() as usize).div_ceil(8);
    out.extend_from_slice(&base.to_le_bytes());
    out.push(width as u8);
    if width == 0 {
        return;
    }
    let start = out.len();
    out.resize(start + count * width + SPARE, 0);
    for at in 0..count {
        let place = start + at * width;
        out[place..place + 8].copy_from_slice(&(value(at) - base).to_le_bytes());
    }
    out.truncate(start + count * width);
}

/// Values of one width, one behind the other.
#[derive(Clone, Copy, Debug)]
struct Column {
    base: u64,
    width: usize,
    mask: u64,
    start: usize,
}

impl Column {
    fn read(reader: &mut Reader<'_>, count: usize) -> Result<Column, CodecError> {
        let base = u64::from_le_bytes(reader.array()?);
        let width = usize::from(reader.byte()?);
        if width > 8 {
            return reader.fail("a width of at most eight bytes");
        }
        let mask = if width == 0 { 0 } else { u64::MAX >> (64 - 8 * width) };
        let start = reader.position();
        reader.skip(count * width)?;
        Ok(Column { base, width, mask, start })
    }

    #[inline]
    fn get(&self, bytes: &[u8], at: usize) -> u64 {
        let place = self.start + at * self.width;
        let raw = bytes[place..].first_chunk().map_or(0, |raw| u64::from_le_bytes(*raw));
        self.base.wrapping_add(raw & self.mask)
    }
}

/// How the identities are kept.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Numbers(Column),
    Even { start: usize, width: usize },
    Uneven { ends: Column, start: usize },
}

/// A block, read back. Its bytes are seen through and never unpacked.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    count: usize,
    prefix: Range<usize>,
    shape: Shape,
    version: Column,
    decoder: Column,
    time: Column,
    tick: Column,
    digests: usize,
}

impl Block {
    /// Sees through the bytes of a block.
    pub fn read(mut bytes: Vec<u8>) -> Result<Block, CodecError> {
        let mut reader = Reader::new(&bytes);
        let count = usize::from(u16::from_le_bytes(reader.array()?));
        if count == 0 || count > MOST {
            return reader.fail("1 to 1024 identities");
        }
        let shape = reader.byte()?;
        let length = reader.number::<usize>()?;
        let start = reader.position();
        reader.skip(length)?;
        let prefix = start..start + length;
        let shape = match shape {
            NUMBERS => Shape::Numbers(Column::read(&mut reader, count)?),
            EVEN => {
                let width = reader.number::<usize>()?;
                let start = reader.position();
                let Some(all) = width.checked_mul(count) else { return reader.fail("a shorter identity") };
                reader.skip(all)?;
                Shape::Even { start, width }
            }
            UNEVEN => {
                let ends = Column::read(&mut reader, count)?;
                let start = reader.position();
                // The last values of a column may be read beyond its end, and what is behind it is there.
                let (mut before, whole) = (0, &bytes[..]);
                for at in 0..count {
                    let end =
                        if ends.start + at * ends.width + 8 <= whole.len() { ends.get(whole, at) } else { u64::MAX };
                    if end < before || end > whole.len() as u64 {
                        return reader.fail("identities one behind the other");
                    }
                    before = end;
                }
                reader.skip(before as usize)?;
                Shape::Uneven { ends, start }
            }
            _ => return reader.fail("a known shape"),
        };
        let version = Column::read(&mut reader, count)?;
        let decoder = Column::read(&mut reader, count)?;
        let time = Column::read(&mut reader, count)?;
        let tick = Column::read(&mut reader, count)?;
        let digests = reader.position();
        reader.skip(count * 16)?;
        reader.finish()?;
        bytes.extend_from_slice(&[0; SPARE]);
        Ok(Block { bytes, count, prefix, shape, version, decoder, time, tick, digests })
    }

    /// How many identities it has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bytes as they stand in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - SPARE]
    }

    /// Puts the identity at a place into `out`, in the place of what was there.
    pub fn identity(&self, at: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes[self.prefix.clone()]);
        match &self.shape {
            Shape::Numbers(numbers) => out.extend_from_slice(&self.nth(numbers, at).to_be_bytes()),
            _ => out.extend_from_slice(self.rest(at)),
        }
    }

    #[inline]
    fn nth(&self, numbers: &Column, at: usize) -> u64 {
        numbers.get(&self.bytes, at).wrapping_add(at as u64)
    }

    /// What an identity has behind the prefix.
    #[inline]
    fn rest(&self, at: usize) -> &[u8] {
        match &self.shape {
            Shape::Numbers(_) => &[],
            Shape::Even { start, width } => &self.bytes[start + at * width..start + (at + 1) * width],
            Shape::Uneven { ends, start } => {
                let from = if at == 0 { 0 } else { ends.get(&self.bytes, at - 1) as usize };
                &self.bytes[start + from..start + ends.get(&self.bytes, at) as usize]
            }
        }
    }

    /// Where an identity is.
    #[inline]
    pub fn find(&self, identity: &[u8]) -> Option<usize> {
        let rest = identity.strip_prefix(&self.bytes[self.prefix.clone()])?;
        let Shape::Numbers(numbers) = &self.shape else {
            return self.search(|at| self.rest(at).cmp(rest));
        };
        let wanted = u64::from_be_bytes(rest.try_into().ok()?);
        if numbers.width == 0 {
            let at = wanted.checked_sub(numbers.base)? as usize;
            return (at < self.count).then_some(at);
        }
        self.search(|at| self.nth(numbers, at).cmp(&wanted))
    }

    #[inline]
    fn search(&self, order: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = (from + to) / 2;
            match order(middle) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// What is known of the identity at a place.
    #[inline]
    pub fn known(&self, at: usize) -> Known {
        let bytes = &self.bytes;
        let decoder = self.decoder.get(bytes, at);
        let digest = bytes[self.digests + at * 16..].first_chunk().map_or(0, |digest| u128::from_le_bytes(*digest));
        Known {
            version: self.version.get(bytes, at),
            decoder: (decoder >> 1) as u32,
            op: if decoder & 1 == 0 { Op::Assert } else { Op::Retract },
            digest,
            time: (self.time.get(bytes, at) ^ SIGN) as i64,
            tick: self.tick.get(bytes, at),
        }
    }
}
