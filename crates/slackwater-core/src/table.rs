//! A hash table of row numbers: 64 bits an entry, one cache miss a look-up, no deletion.
//!
//! It finds candidates; the caller compares what they stand for. Iterating it is impossible by design, so no hash
//! order can leak into a result.

use alloc::vec;
use alloc::vec::Vec;

/// Maps 64-bit hashes to 32-bit numbers, several per hash if need be.
#[derive(Debug, Default, Clone)]
pub struct Table {
    /// Upper half: bits of the hash; lower half: number + 1. Zero is empty.
    slots: Vec<u64>,
    used: usize,
}

impl Table {
    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The first number under `hash` that `is` accepts.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let tag = hash >> 32;
        let mut at = spread(tag) & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag && is(slot as u32 - 1) {
                return Some(slot as u32 - 1);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a number under `hash`. It must be below 2^32 - 1.
    #[inline]
    pub fn insert(&mut self, hash: u64, number: u32) {
        // At most three quarters full, so that a probe stays short.
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        assert!(number < u32::MAX, "a table holds numbers below 2^32 - 1");
        place(&mut self.slots, (hash >> 32) << 32 | u64::from(number + 1));
        self.used += 1;
    }

    /// Puts another number in the place of `old` under `hash`.
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let mask = self.slots.len() - 1;
        let tag = hash >> 32;
        let mut at = spread(tag) & mask;
        while self.slots[at] != (tag << 32 | u64::from(old + 1)) {
            assert!(self.slots[at] != 0, "only a number that is there can be replaced");
            at = (at + 1) & mask;
        }
        self.slots[at] = tag << 32 | u64::from(new + 1);
    }

    /// Brings the slots of these hashes near, all at once: their cache misses overlap instead of queueing up.
    pub fn touch(&self, hashes: impl Iterator<Item = u64>) -> u64 {
        if self.slots.is_empty() {
            return 0;
        }
        let mask = self.slots.len() - 1;
        hashes.fold(0, |sum, hash| sum ^ self.slots[spread(hash >> 32) & mask])
    }

    fn grow(&mut self) {
        let mut slots = vec![0; (self.slots.len() * 2).max(16)];
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            place(&mut slots, *slot);
        }
        self.slots = slots;
    }
}

#[inline]
fn place(slots: &mut [u64], slot: u64) {
    let mask = slots.len() - 1;
    let mut at = spread(slot >> 32) & mask;
    while slots[at] != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/// Two numbers as one hash, mixed as MurmurHash3 does in the end.
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mixed = a.wrapping_add(b.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

/// 32 bits of hash over up to 2^64 places: a multiplication brings them into the low bits.
#[inline]
fn spread(tag: u64) -> usize {
    (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize
}
