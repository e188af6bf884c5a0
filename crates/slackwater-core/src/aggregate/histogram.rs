//! The buckets of an approximate percentile: linear within a power of two, one power behind the other.
//!
//! A number is an integer of units: a double of 2^-1074, a decimal of its last digit. Magnitudes below 128 units have a
//! bucket each; above, 64 buckets share every power of two. A bucket stands for its middle, which is at most 1/128 of
//! any of its members away from it. The state is a multiset of bucket numbers, and so it subtracts.

use crate::number::{I384, Nat, Ratio};
use crate::plan::expr::leave;
use crate::value::{Type, Value};

/// Bits of a magnitude that the number of its bucket keeps.
const KEPT: u64 = 7;
/// Buckets of a power of two.
const OCTAVE: i64 = 1 << (KEPT - 1);
/// Bits of the first magnitude that is not finite, in units of 2^-1074.
const ENDLESS: u64 = 2_099;

/// The bucket of a number, ordered as numbers are; none of null.
#[inline]
pub(super) fn bucket(value: Value<'_>) -> Option<i64> {
    let (negative, bucket) = match value {
        Value::Null => return None,
        Value::F64(x) => {
            let (bits, field) = (x.to_bits(), x.to_bits() >> 52 & 0x7ff);
            let fraction = bits & ((1 << 52) - 1);
            let bucket = match field {
                0 => of_magnitude(fraction),
                // The hidden bit, and all bits but the first of those kept below it.
                _ => numbered(52 + field, OCTAVE as u64 | fraction >> (52 - (KEPT - 1))),
            };
            (bits >> 63 == 1, bucket)
        }
        number => match number.as_i128().map(|narrow| (narrow < 0, u64::try_from(narrow.unsigned_abs()))) {
            Some((negative, Ok(magnitude))) => (negative, of_magnitude(magnitude)),
            _ => {
                let wide = number.as_wide()?;
                let magnitude = wide.magnitude();
                let bits = magnitude.bits();
                let top = magnitude.shr(bits.saturating_sub(KEPT)).limbs().first().copied().unwrap_or(0);
                (wide.is_negative(), numbered(bits, top))
            }
        },
    };
    Some(if negative { -bucket } else { bucket })
}

fn of_magnitude(magnitude: u64) -> i64 {
    let bits = u64::from(64 - magnitude.leading_zeros());
    numbered(bits, magnitude >> bits.saturating_sub(KEPT))
}

/// The bucket of magnitudes of so many bits, of which the first are `top`.
fn numbered(bits: u64, top: u64) -> i64 {
    bits.saturating_sub(KEPT) as i64 * OCTAVE + top as i64
}

/// Whether numbers of a type have such a bucket.
pub(super) fn is_bucket(bucket: i64, ty: Type) -> bool {
    let bits = if ty == Type::Float64 { ENDLESS } else { 8 * size_of::<I384>() as u64 };
    bucket.unsigned_abs() <= numbered(bits, 2 * OCTAVE as u64 - 1) as u64
}

/// The middle of a bucket of numbers of the type `of`, as it leaves in the type `ty`.
pub(super) fn middle(bucket: i64, of: Type, ty: Type) -> Value<'static> {
    let (negative, number) = (bucket < 0, bucket.unsigned_abs());
    let shift = (number / OCTAVE as u64).saturating_sub(1);
    let top = number - shift * OCTAVE as u64;
    if of == Type::Float64 && shift + KEPT >= ENDLESS {
        return endless(negative, top, ty);
    }
    // Twice the middle: a bucket of one number is that number, a wider one the half between its bounds.
    let twice = if shift == 0 { Nat::from(2 * top) } else { Nat::from(2 * top + 1).shl(shift) };
    let unit = match of.exact() {
        Some((_, scale)) => Nat::pow10(scale.into()),
        None => Nat::pow2(1_074),
    };
    leave(&Ratio::new(negative, twice, unit.shl(1)), false, ty)
}

/// An infinity, or what is not a number; no decimal holds either.
fn endless(negative: bool, top: u64, ty: Type) -> Value<'static> {
    if matches!(ty, Type::Decimal { .. }) {
        return Value::Null;
    }
    let infinity = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
    Value::F64(if top == OCTAVE as u64 { infinity } else { f64::from_bits(0x7ff8_0000_0000_0000) })
}
