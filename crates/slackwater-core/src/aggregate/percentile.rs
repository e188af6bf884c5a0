//! Percentiles of the values of a window, by the definitions of SQL:2003, in exact arithmetic.
//!
//! percentile_disc(p) of n values is the smallest whose cumulative count is at least p*n. percentile_cont(p) lies
//! between two values: v[i] + f * (v[i + 1] - v[i]), where i is the floor of p*(n - 1) and f what the floor left off.

use super::bag::Bag;
use crate::number::{I384, Nat, Ratio};
use crate::plan::Fraction;
use crate::plan::expr::{leave, quotient};
use crate::value::{Type, Value};
use core::cmp::Ordering;

/// The place in ascending order, from 0, of percentile_disc of so many values, which are not none.
pub(super) fn discrete_place(p: &Fraction, values: u64, descending: bool) -> u64 {
    let (floor, rest) = p.of(values);
    let rank = (floor + u64::from(!rest.is_zero())).max(1);
    if descending { values - rank } else { rank - 1 }
}

/// percentile_disc of a bag; null of none.
pub(super) fn discrete<'a>(bag: &'a Bag, p: &Fraction, descending: bool, of: Type) -> Value<'a> {
    match bag.total() {
        0 => Value::Null,
        values => bag.at(discrete_place(p, values, descending), of).map_or(Value::Null, |(value, _)| value),
    }
}

/// percentile_cont of a bag of numbers of the type `of`, as it leaves in the type `ty`. None of no values.
pub(super) fn continuous(bag: &Bag, p: &Fraction, of: Type, ty: Type) -> Option<Value<'static>> {
    let last = bag.total().checked_sub(1)?;
    let (floor, rest) = p.of(last);
    let (low, high) = bag.at(floor, of)?;
    let high = if rest.is_zero() || low.order(&high) == Ordering::Equal { low } else { high };
    Some(match (exact(low, of), exact(high, of)) {
        (Some(low), Some(high)) => leave(&between(&low, &high, &rest, &p.denominator()), false, ty),
        _ => wild(low, high, ty),
    })
}

/// A number as a ratio; none where it is not finite.
fn exact(value: Value<'_>, ty: Type) -> Option<Ratio> {
    match value {
        Value::F64(x) => x.is_finite().then(|| Ratio::from_f64(x)),
        number => {
            let (_, scale) = ty.exact()?;
            Some(quotient((number.as_wide()?, scale.into()), (I384::ONE, 0)))
        }
    }
}

/// low + (high - low) * part / whole, as (low * (whole - part) + high * part) / whole.
fn between(low: &Ratio, high: &Ratio, part: &Nat, whole: &Nat) -> Ratio {
    let a = low.num.mul(&high.den).mul(&whole.sub(part));
    let b = high.num.mul(&low.den).mul(part);
    let (negative, num) = match (low.negative == high.negative, a.cmp(&b)) {
        (true, _) => (low.negative, a.add(&b)),
        (false, Ordering::Less) => (high.negative, b.sub(&a)),
        (false, _) => (low.negative, a.sub(&b)),
    };
    Ratio::new(negative, num, low.den.mul(&high.den).mul(whole))
}

/// Where a value is not finite, what IEEE 754 makes of low + f * (high - low) for an f above 0; the value itself where
/// there is only one. No decimal holds it.
fn wild(low: Value<'_>, high: Value<'_>, ty: Type) -> Value<'static> {
    let (Value::F64(low_double), Value::F64(high_double)) = (low, high) else { return Value::Null };
    if matches!(ty, Type::Decimal { .. }) {
        return Value::Null;
    }
    let value = if low.order(&high) == Ordering::Equal { low_double } else { low_double + (high_double - low_double) };
    Value::F64(if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value })
}
