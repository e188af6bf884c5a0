//! A multiset: a run of (value, count) in order, and a tail of changes that were not sorted in yet.
//!
//! A change costs a push; the tail is sorted and merged into the run when it has grown to a share of it, so that many
//! facts cost little each and equal values take one place. A count may fall below zero on the way, where a part of the
//! facts is taken away before another part is merged.

use crate::codec::{CodecError, Reader, put_bytes, put_signed, put_varint};
use crate::number::I384;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

/// The tail is merged at this length, or at a quarter of the run's.
const TAIL: usize = 64;

/// Values with their multiplicities.
#[derive(Clone, Debug)]
pub(super) struct Multiset<K> {
    /// Strictly ascending; no count is zero.
    run: Vec<(K, i64)>,
    tail: Vec<(K, i64)>,
}

impl<K: Key> Multiset<K> {
    pub const fn new() -> Self {
        Multiset { run: Vec::new(), tail: Vec::new() }
    }

    /// Adds a value so many times.
    #[inline]
    pub fn add(&mut self, value: K, by: i64) {
        if self.tail.len() >= TAIL.max(self.run.len() / 4) {
            self.settle();
        }
        self.tail.push((value, by));
    }

    /// Takes the tail into the run.
    fn settle(&mut self) {
        self.tail.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut merged = Vec::with_capacity(self.run.len() + self.tail.len());
        merged.extend(in_order(core::mem::take(&mut self.run).into_iter(), self.tail.drain(..)));
        // Values that came again left their places unused.
        if merged.len() < merged.capacity() / 2 {
            merged.shrink_to_fit();
        }
        self.run = merged;
    }

    /// Adds all of another multiset.
    pub fn merge(&mut self, other: &Self) {
        self.settle();
        let others = other.entries().map(|(value, count)| (value.clone(), count));
        let merged: Vec<(K, i64)> = in_order(core::mem::take(&mut self.run).into_iter(), others).collect();
        self.run = merged;
    }

    /// The values in ascending order with their counts, none of them zero.
    pub fn entries(&self) -> impl Iterator<Item = (&K, i64)> {
        let mut tail: Vec<(&K, i64)> = self.tail.iter().map(|(value, count)| (value, *count)).collect();
        tail.sort_unstable_by(|a, b| a.0.cmp(b.0));
        in_order(self.run.iter().map(|(value, count)| (value, *count)), tail.into_iter())
    }

    /// How many values, each as often as it occurs.
    pub fn total(&self) -> i128 {
        self.run.iter().chain(&self.tail).map(|(_, count)| i128::from(*count)).sum()
    }

    /// The smallest value of the run.
    pub fn smallest(&self) -> Option<&K> {
        self.run.first().map(|(value, _)| value)
    }

    /// Leaves the so many largest values. True if there are as many.
    pub fn keep_largest(&mut self, most: i64) -> bool {
        self.settle();
        let total = self.total();
        let (mut over, mut gone) = (total - i128::from(most), 0);
        for (_, count) in &mut self.run {
            if over <= 0 {
                break;
            }
            if i128::from(*count) > over {
                *count -= over as i64;
                break;
            }
            over -= i128::from(*count);
            gone += 1;
        }
        self.run.drain(..gone);
        total >= i128::from(most)
    }

    /// Appends the canonical encoding: how many entries, then each value as what is left of it behind the one before,
    /// and its count.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.entries().count() as u64);
        let mut before = None;
        for (value, count) in self.entries() {
            value.put(before, out);
            put_signed(out, count);
            before = Some(value);
        }
    }

    /// Reads what [`Multiset::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut run: Vec<(K, i64)> = Vec::new();
        for _ in 0..reader.varint()? {
            let before = run.last().map(|(value, _)| value);
            let value = K::take(before, reader)?;
            let count = reader.signed()?;
            if count == 0 || before.is_some_and(|before| *before >= value) {
                return reader.fail("values in order, each with a count");
            }
            run.push((value, count));
        }
        Ok(Multiset { run, tail: Vec::new() })
    }
}

/// Two sequences in order as one: counts of equal values are added up, and values whose count is zero left out.
fn in_order<K: Ord>(
    a: impl Iterator<Item = (K, i64)>,
    b: impl Iterator<Item = (K, i64)>,
) -> impl Iterator<Item = (K, i64)> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let mut merged = iter::from_fn(move || {
        let from_a = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.0 <= y.0,
            (x, _) => x.is_some(),
        };
        if from_a { a.next() } else { b.next() }
    })
    .peekable();
    iter::from_fn(move || {
        loop {
            let (value, mut count) = merged.next()?;
            while let Some((_, more)) = merged.next_if(|(other, _)| *other == value) {
                count += more;
            }
            if count != 0 {
                return Some((value, count));
            }
        }
    })
}

/// A value in the form in which a multiset keeps it: its order is that of the values.
pub(super) trait Key: Ord + Clone {
    /// Appends it; `before` is the next smaller one.
    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>);
    /// Reads what [`Key::put`] wrote.
    fn take(before: Option<&Self>, reader: &mut Reader<'_>) -> Result<Self, CodecError>;
}

impl Key for u64 {
    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        put_varint(out, self - before.unwrap_or(&0));
    }

    fn take(before: Option<&Self>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let step = reader.varint()?;
        before.unwrap_or(&0).checked_add(step).map_or_else(|| reader.fail("a value of 64 bits"), Ok)
    }
}

impl Key for i128 {
    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(_: Option<&Self>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(i128::from_le_bytes(reader.array()?))
    }
}

impl Key for I384 {
    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn take(_: Option<&Self>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let Some((value, used)) = I384::decode(reader.rest()) else { return reader.fail("an exact number") };
        reader.skip(used)?;
        Ok(value)
    }
}

impl Key for Box<[u8]> {
    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }

    fn take(_: Option<&Self>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(reader.bytes()?.into())
    }
}
