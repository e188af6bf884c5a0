//! How far each origin of a source has come.

use crate::codec::{CodecError, Reader, put_bytes, put_signed, put_varint};
use crate::table::Table;
use alloc::vec::Vec;

/// The frontiers of one source's origins.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    table: Table,
    /// An origin's bytes, and its frontier in nanoseconds since the epoch.
    list: Vec<(Vec<u8>, i64)>,
    /// The one that moved last: events come in runs.
    last: usize,
}

impl Origins {
    /// Moves an origin's frontier on to `reached`, never back.
    #[inline]
    pub(super) fn advance(&mut self, origin: &[u8], reached: i64) {
        if self.list.get(self.last).is_none_or(|(name, _)| *name != origin) {
            self.last = self.find(origin);
        }
        let frontier = &mut self.list[self.last].1;
        *frontier = reached.max(*frontier);
    }

    fn find(&mut self, origin: &[u8]) -> usize {
        let hash = xxhash_rust::xxh3::xxh3_64(origin);
        let found = self.table.find(hash, |number| self.list[number as usize].0 == origin);
        found.map_or_else(
            || {
                self.table.insert(hash, self.list.len() as u32);
                self.list.push((origin.to_vec(), i64::MIN));
                self.list.len() - 1
            },
            |number| number as usize,
        )
    }

    /// Every origin's bytes and frontier, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.list.iter().map(|(origin, reached)| (origin.as_slice(), *reached))
    }

    pub(super) fn merge(&mut self, other: &Origins) {
        other.iter().for_each(|(origin, reached)| self.advance(origin, reached));
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable();
        put_varint(out, sorted.len() as u64);
        for (origin, reached) in sorted {
            put_bytes(out, origin);
            put_signed(out, reached);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut origins = Origins::default();
        for _ in 0..reader.varint()? {
            let origin = reader.bytes()?;
            if origins.list.last().is_some_and(|(last, _)| last.as_slice() >= origin) {
                return reader.fail("origins in order");
            }
            origins.advance(origin, reader.signed()?);
        }
        Ok(origins)
    }
}
