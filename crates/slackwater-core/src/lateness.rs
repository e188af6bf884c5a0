//! How late events came: arrival minus event time, counted in buckets whose merge depends on no order.
//!
//! Buckets are log-linear over whole nanoseconds: 64 to each power of two, so a bucket's midpoint is within 0.8 % of
//! every value in it.

use crate::codec::{CodecError, Reader, put_varint};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A histogram of lateness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    buckets: BTreeMap<u16, u64>,
    /// Events that came before their own time, by their own clock; they count as not late.
    ahead: u64,
    /// The latest, in nanoseconds.
    max: u64,
}

/// Values below this have a bucket each, and so has every power of two above it this many halves.
const LINEAR: u64 = 128;

impl Lateness {
    /// Counts one event.
    pub fn record(&mut self, time: i64, arrival: i64) {
        let late = i128::from(arrival) - i128::from(time);
        self.ahead += u64::from(late < 0);
        let late = late.max(0) as u64;
        self.max = self.max.max(late);
        *self.buckets.entry(bucket(late)).or_default() += 1;
    }

    /// How many events were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// How many of them came before their own time.
    pub fn ahead(&self) -> u64 {
        self.ahead
    }

    /// The latest, in nanoseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The lateness in nanoseconds that so many per mille of the events do not exceed, but for 0.8 %.
    pub fn per_mille(&self, wanted: u64) -> u64 {
        let rank = (u128::from(self.count()) * u128::from(wanted)).div_ceil(1000).max(1);
        let mut below = 0u128;
        for (bucket, count) in &self.buckets {
            below += u128::from(*count);
            if below >= rank {
                return midpoint(*bucket).min(self.max);
            }
        }
        self.max
    }

    /// How many come later than this, in nanoseconds, but for 0.8 %.
    pub fn beyond(&self, late: u64) -> u64 {
        self.buckets.range(bucket(late) + 1..).map(|(_, count)| count).sum()
    }

    /// The least lateness in nanoseconds that all but so many of a million do not exceed: the end of its bucket.
    pub fn least_within(&self, per_million: u64) -> u64 {
        let allowed = (u128::from(self.count()) * u128::from(per_million) / 1_000_000) as u64;
        let mut beyond = 0;
        for (bucket, count) in self.buckets.iter().rev() {
            if beyond + count > allowed {
                return last(*bucket).min(self.max);
            }
            beyond += count;
        }
        0
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Lateness) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.ahead += other.ahead;
        self.max = self.max.max(other.max);
    }

    /// What was counted since `before` was taken of it: merged into that, it gives this.
    pub fn since(&self, before: &Lateness) -> Lateness {
        let counts = self.buckets.iter().map(|(bucket, count)| {
            let known = before.buckets.get(bucket).copied().unwrap_or_default();
            (*bucket, count - known)
        });
        let max = if self.max == before.max { 0 } else { self.max };
        Lateness { buckets: counts.filter(|(_, count)| *count > 0).collect(), ahead: self.ahead - before.ahead, max }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.ahead);
        put_varint(out, self.max);
        put_varint(out, self.buckets.len() as u64);
        for (bucket, count) in &self.buckets {
            put_varint(out, (*bucket).into());
            put_varint(out, *count);
        }
    }

    /// Reads what [`Lateness::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut lateness = Lateness { ahead: reader.varint()?, max: reader.varint()?, ..Lateness::default() };
        for _ in 0..reader.varint()? {
            let (bucket, count): (u16, u64) = (reader.number()?, reader.varint()?);
            let ascending = lateness.buckets.last_key_value().is_none_or(|(last, _)| *last < bucket);
            if !ascending || count == 0 {
                return reader.fail("buckets in order, each with a count");
            }
            lateness.buckets.insert(bucket, count);
        }
        Ok(lateness)
    }
}

fn bucket(late: u64) -> u16 {
    if late < LINEAR {
        return late as u16;
    }
    let shift = late.ilog2() - 6;
    (u64::from(shift) * 64 + (late >> shift)) as u16
}

/// The largest value of a bucket.
fn last(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < LINEAR {
        return bucket;
    }
    let shift = bucket / 64 - 1;
    ((bucket - shift * 64) << shift) + ((1u64 << shift) - 1)
}

fn midpoint(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < LINEAR {
        return bucket;
    }
    let shift = bucket / 64 - 1;
    let low = (bucket - shift * 64) << shift;
    low + (1u64 << shift) / 2
}
