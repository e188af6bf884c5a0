//! The values of one type, each with its multiplicity: what percentiles, distinct counts and histograms are read from.
//!
//! A value is kept as an integer of the same order where its type fits in one: 64 bits for doubles, integers, times,
//! truth values and decimals of up to 18 digits; 128 bits for other declared decimals.

use super::multiset::Multiset;
use crate::codec::{CodecError, Reader};
use crate::number::I384;
use crate::value::{Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A multiset of values of one type, none of them null.
#[derive(Clone, Debug)]
pub struct Bag(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Short(Multiset<u64>),
    Long(Multiset<i128>),
    Wide(Multiset<I384>),
    Text(Multiset<Box<[u8]>>),
}

/// Most digits of a decimal whose mantissa fits in an i64.
const SHORT_DIGITS: u8 = 18;
/// The bit whose change turns signed order into unsigned order.
const SIGN: u64 = 1 << 63;

/// Calls the same of whatever form the values have.
macro_rules! each {
    ($kept:expr, $values:ident => $body:expr) => {
        match $kept {
            Kept::Short($values) => $body,
            Kept::Long($values) => $body,
            Kept::Wide($values) => $body,
            Kept::Text($values) => $body,
        }
    };
}

impl Bag {
    /// The bag of no values of this type.
    pub fn new(ty: Type) -> Self {
        Bag(match ty {
            Type::Text => Kept::Text(Multiset::new()),
            ty if ty.is_wide() => Kept::Wide(Multiset::new()),
            Type::Decimal { precision, .. } if precision > SHORT_DIGITS => Kept::Long(Multiset::new()),
            _ => Kept::Short(Multiset::new()),
        })
    }

    /// Adds a value so many times; null is no value.
    #[inline]
    pub fn add(&mut self, value: Value<'_>, by: i64) {
        match (&mut self.0, value) {
            (_, Value::Null) => {}
            (Kept::Short(values), value) => values.add(short(value), by),
            (Kept::Long(values), value) => values.add(value.as_i128().expect("a decimal of its type"), by),
            (Kept::Wide(values), value) => values.add(value.as_wide().expect("a decimal of its type"), by),
            (Kept::Text(values), Value::Text(text)) => values.add(text.into(), by),
            (Kept::Text(_), _) => unreachable!("a text of its type"),
        }
    }

    /// Adds all of another bag of the same type.
    pub fn merge(&mut self, other: &Bag) {
        match (&mut self.0, &other.0) {
            (Kept::Short(a), Kept::Short(b)) => a.merge(b),
            (Kept::Long(a), Kept::Long(b)) => a.merge(b),
            (Kept::Wide(a), Kept::Wide(b)) => a.merge(b),
            (Kept::Text(a), Kept::Text(b)) => a.merge(b),
            _ => unreachable!("two bags of one type"),
        }
    }

    /// How many values, each as often as it occurs.
    pub fn total(&self) -> u64 {
        let total = each!(&self.0, values => values.total());
        u64::try_from(total).unwrap_or(0)
    }

    /// How many different values.
    pub fn distinct(&self) -> usize {
        each!(&self.0, values => values.entries().count())
    }

    /// The value that has `below` values before it in ascending order, and the one behind it, which is the same where it
    /// is the last. None where there are no more than `below`.
    pub fn at(&self, below: u64, ty: Type) -> Option<(Value<'_>, Value<'_>)> {
        each!(&self.0, values => two(values.entries(), below).map(|(a, b)| (a.value(ty), b.value(ty))))
    }

    /// Shows the values in descending order with their counts, as long as it is wanted.
    pub(super) fn descend(&self, ty: Type, mut show: impl FnMut(Value<'_>, i64) -> bool) {
        each!(&self.0, values => {
            let entries: Vec<_> = values.entries().collect();
            let _ = entries.into_iter().rev().all(|(key, count)| show(key.value(ty), count));
        });
    }

    /// How a value is ordered against the smallest of those that were kept at the last cut; greater if there are none.
    #[inline]
    pub(super) fn against_smallest(&self, value: &Value<'_>) -> Ordering {
        let order = match (&self.0, value) {
            (Kept::Short(values), value) => values.smallest().map(|smallest| short(*value).cmp(smallest)),
            (Kept::Long(values), value) => values.smallest().map(|smallest| value.as_i128().cmp(&Some(*smallest))),
            (Kept::Wide(values), value) => values.smallest().map(|smallest| value.as_wide().cmp(&Some(*smallest))),
            (Kept::Text(values), Value::Text(text)) => values.smallest().map(|smallest| (*text).cmp(smallest)),
            (Kept::Text(_), _) => unreachable!("a text of its type"),
        };
        order.unwrap_or(Ordering::Greater)
    }

    /// Leaves the so many largest values. True if there are as many.
    pub(super) fn keep_largest(&mut self, most: i64) -> bool {
        each!(&mut self.0, values => values.keep_largest(most))
    }

    /// Whether every value is there at least once, and none was only taken away.
    pub(super) fn is_positive(&self) -> bool {
        each!(&self.0, values => values.entries().all(|(_, count)| count > 0))
    }

    /// Whether the smallest and the largest value are such values.
    pub(super) fn is_within(&self, is: impl Fn(Value<'_>) -> bool) -> bool {
        let last = self.total().saturating_sub(1);
        [0, last].into_iter().all(|below| self.at(below, Type::I64).is_none_or(|(value, _)| is(value)))
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        each!(&self.0, values => values.encode(out));
    }

    /// Reads what [`Bag::encode`] wrote of values of this type.
    pub fn decode(reader: &mut Reader<'_>, ty: Type) -> Result<Self, CodecError> {
        let bag = match Bag::new(ty).0 {
            Kept::Short(_) => Kept::Short(Multiset::decode(reader)?),
            Kept::Long(_) => Kept::Long(Multiset::decode(reader)?),
            Kept::Wide(_) => Kept::Wide(Multiset::decode(reader)?),
            Kept::Text(_) => Kept::Text(Multiset::decode(reader)?),
        };
        match &bag {
            Kept::Short(values) if ty == Type::Bool && values.entries().any(|(value, _)| *value > 1) => {
                reader.fail("truth values")
            }
            _ => Ok(Bag(bag)),
        }
    }
}

/// The value with `below` before it, and the next one.
fn two<'a, K>(mut entries: impl Iterator<Item = (&'a K, i64)>, below: u64) -> Option<(&'a K, &'a K)> {
    let (below, mut met) = (i128::from(below), 0);
    loop {
        let (value, count) = entries.next()?;
        met += i128::from(count);
        if met > below {
            let next = if met > below + 1 { value } else { entries.next().map_or(value, |(next, _)| next) };
            return Some((value, next));
        }
    }
}

/// A value as an unsigned integer of the same order.
#[inline]
fn short(value: Value<'_>) -> u64 {
    match value {
        Value::F64(x) => {
            let bits = x.to_bits();
            if bits & SIGN == 0 { bits | SIGN } else { !bits }
        }
        Value::U64(v) => v,
        Value::Bool(b) => b.into(),
        Value::I64(v) | Value::Time(v) => v as u64 ^ SIGN,
        other => {
            let mantissa = other.as_i128().and_then(|mantissa| i64::try_from(mantissa).ok());
            mantissa.expect("the type bounds the digits") as u64 ^ SIGN
        }
    }
}

/// The value that a key stands for.
trait Read {
    /// The value, of a type that is kept so.
    fn value(&self, ty: Type) -> Value<'_>;
}

impl Read for u64 {
    fn value(&self, ty: Type) -> Value<'_> {
        from_short(*self, ty)
    }
}

impl Read for i128 {
    fn value(&self, _: Type) -> Value<'_> {
        Value::Decimal(*self)
    }
}

impl Read for I384 {
    fn value(&self, _: Type) -> Value<'_> {
        Value::Wide(*self)
    }
}

impl Read for Box<[u8]> {
    fn value(&self, _: Type) -> Value<'_> {
        Value::Text(self)
    }
}

/// The value of a type that [`short`] made this of.
fn from_short(key: u64, ty: Type) -> Value<'static> {
    let signed = (key ^ SIGN) as i64;
    match ty {
        Type::Float64 => Value::F64(f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })),
        Type::U64 => Value::U64(key),
        Type::Bool => Value::Bool(key != 0),
        Type::I64 => Value::I64(signed),
        Type::Timestamp => Value::Time(signed),
        _ => Value::Decimal(signed.into()),
    }
}
