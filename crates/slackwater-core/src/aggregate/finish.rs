//! Reading an aggregate from its states: exact until it leaves, then rounded once, half to even.
//!
//! Mean, variance and weighted mean follow their textbook definitions over exact sums, as one quotient of integers:
//! mean = S1/n; var_pop = (n*S2 - S1^2) / n^2; var_samp = (n*S2 - S1^2) / (n(n-1)); wavg(x, w) = sum(xw) / sum(w).

use super::{Accumulator, Bag, histogram, percentile};
use crate::number::{ExactSum, Nat, Ratio, Specials};
use crate::plan::expr::{Faults, double, leave};
use crate::plan::{Finish, Result};
use crate::value::{Scalar, Type, Value};
use core::cmp::Ordering;

/// The value of an aggregate.
pub fn finish(result: &Result, states: &[Accumulator], faults: &mut Faults) -> Scalar {
    match &result.finish {
        Finish::Largest { values, of } => match &states[*values] {
            Accumulator::Largest(values) => values.array(*of),
            _ => unreachable!("the largest values are read from a state that holds them"),
        },
        _ => read(result, states, faults).to_scalar(),
    }
}

/// The value of an aggregate that is no array.
fn read<'a>(result: &Result, states: &'a [Accumulator], faults: &mut Faults) -> Value<'a> {
    let value = match &result.finish {
        Finish::Count(state) => return Value::I64(count(&states[*state])),
        Finish::Value(state) => {
            return match &states[*state] {
                Accumulator::Extreme(value) => value.value(),
                Accumulator::Edge(edge) => edge.as_ref().map_or(Value::Null, |edge| edge.value()),
                _ => unreachable!("a value is read from a state that holds one"),
            };
        }
        Finish::Distinct(state) => return Value::I64(bag(&states[*state]).distinct() as i64),
        Finish::HyperLogLog(state) => match &states[*state] {
            Accumulator::HyperLogLog(registers) => return Value::I64(registers.estimate()),
            _ => unreachable!("an estimate is read from a state that makes one"),
        },
        Finish::Bucket { buckets, p, of } => match percentile::discrete(bag(&states[*buckets]), p, false, Type::I64) {
            Value::I64(bucket) => histogram::middle(bucket, *of, result.ty),
            _ => return Value::Null,
        },
        Finish::Discrete { values, p, descending } => {
            return percentile::discrete(bag(&states[*values]), p, *descending, result.ty);
        }
        Finish::Largest { .. } => unreachable!("an array is no plain value"),
        Finish::Continuous { values, p, of } => {
            match percentile::continuous(bag(&states[*values]), p, *of, result.ty) {
                Some(value) => value,
                None => return Value::Null,
            }
        }
        Finish::Sum { count: n, .. } if count(&states[*n]) == 0 => return Value::Null,
        Finish::Sum { sum, scale, .. } => return total(&states[*sum], *scale, result.ty),
        Finish::Mean { count: n, .. } if count(&states[*n]) == 0 => return Value::Null,
        Finish::Mean { sum, count: n, scale } => mean(&states[*sum], count(&states[*n]), *scale, result.ty),
        Finish::Variance { sum, squares, count: n, scale, sample, root } => {
            let n = count(&states[*n]);
            if n <= i64::from(*sample) {
                return Value::Null;
            }
            let of = n as u64 - u64::from(*sample);
            let ratio = variance(Signed::of(&states[*sum]), Signed::of(&states[*squares]), (n as u64, of), *scale);
            ratio.map_or_else(|| not_a_number(result.ty), |ratio| leave(&ratio, *root, result.ty))
        }
        Finish::Weighted { products, weights, count: n, scale, weight_scale } => {
            if count(&states[*n]) == 0 {
                return Value::Null;
            }
            weighted((&states[*products], *scale), (&states[*weights], *weight_scale), result.ty)
        }
    };
    *faults += i64::from(value.is_null());
    value
}

fn count(state: &Accumulator) -> i64 {
    match state {
        Accumulator::Count(n) => *n,
        _ => unreachable!("a count is read from a state that counts"),
    }
}

fn bag(state: &Accumulator) -> &Bag {
    match state {
        Accumulator::Values(values) => values,
        _ => unreachable!("values are read from a state that holds them"),
    }
}

fn total<'a>(state: &Accumulator, scale: u8, ty: Type) -> Value<'a> {
    match state {
        // Of decimals among doubles the mantissas are summed.
        Accumulator::Float(sum) if scale == 0 || sum.specials() != Specials::default() => double(sum.to_f64()),
        Accumulator::Share(_) | Accumulator::Float(_) => {
            let Signed { negative, magnitude, exponent, den } = Signed::of(state).expect("all of it is finite");
            leave(&ratio(negative, magnitude, exponent, den, scale.into()), false, ty)
        }
        Accumulator::Exact(sum) if ty.is_wide() => Value::Wide(sum.total()),
        Accumulator::Exact(sum) => Value::Decimal(sum.to_i128().expect("the type bounds the digits of a sum")),
        _ => unreachable!("a sum is read from a state that sums"),
    }
}

/// Infinities or NaN among float inputs leave no exact value behind.
fn not_a_number<'a>(ty: Type) -> Value<'a> {
    if matches!(ty, Type::Decimal { .. }) {
        return Value::Null;
    }
    Value::F64(f64::from_bits(0x7ff8_0000_0000_0000))
}

/// A sum as sign, magnitude, power of two and denominator: exact decimals have power 0, and only sums of shares have a
/// denominator. None where doubles were not finite.
struct Signed {
    negative: bool,
    magnitude: Nat,
    exponent: i64,
    den: Nat,
}

impl Signed {
    fn of(state: &Accumulator) -> Option<Signed> {
        match state {
            Accumulator::Exact(sum) => Some(Signed::exact(sum)),
            Accumulator::Float(sum) if sum.specials() != Specials::default() => None,
            Accumulator::Float(sum) => {
                let (negative, magnitude, exponent) = sum.exact();
                Some(Signed { negative, magnitude, exponent, den: Nat::one() })
            }
            Accumulator::Share(sum) => {
                let (negative, magnitude, den) = sum.parts();
                Some(Signed { negative, magnitude, exponent: 0, den })
            }
            _ => unreachable!("a sum is read from a state that sums"),
        }
    }

    fn exact(sum: &ExactSum) -> Signed {
        let (negative, magnitude) = match sum.to_i128() {
            Some(sum) => (sum < 0, Nat::from(sum.unsigned_abs())),
            None => (sum.total().is_negative(), sum.total().magnitude()),
        };
        Signed { negative, magnitude, exponent: 0, den: Nat::one() }
    }

    fn is_zero(&self) -> bool {
        self.magnitude.is_zero()
    }
}

/// num * 2^exponent / (den * 10^scale)
fn ratio(negative: bool, num: Nat, exponent: i64, den: Nat, scale: u32) -> Ratio {
    let den = den.mul(&Nat::pow10(scale));
    let negative = negative && !num.is_zero();
    if exponent >= 0 {
        Ratio { negative, num: num.shl(exponent as u64), den }
    } else {
        Ratio { negative, num, den: den.shl(exponent.unsigned_abs()) }
    }
}

fn mean<'a>(sum: &Accumulator, n: i64, scale: u8, ty: Type) -> Value<'a> {
    let Some(sum) = Signed::of(sum) else {
        let Accumulator::Float(sum) = sum else { unreachable!("only doubles can be infinite") };
        return if matches!(ty, Type::Decimal { .. }) { Value::Null } else { double(sum.to_f64()) };
    };
    let den = Nat::from(n as u64);
    leave(&ratio(sum.negative, sum.magnitude, sum.exponent, den, scale.into()), false, ty)
}

fn variance(sum: Option<Signed>, squares: Option<Signed>, (n, of): (u64, u64), scale: u8) -> Option<Ratio> {
    let (sum, squares) = (sum?, squares?);
    let a = squares.magnitude.mul(&Nat::from(n));
    let b = sum.magnitude.mul(&sum.magnitude);
    let exponent = squares.exponent.min(2 * sum.exponent);
    let a = a.shl((squares.exponent - exponent) as u64);
    let b = b.shl((2 * sum.exponent - exponent) as u64);
    assert!(a.cmp(&b) != Ordering::Less, "n * sum of squares is at least the square of the sum");
    let den = Nat::from(n).mul(&Nat::from(of));
    Some(ratio(false, a.sub(&b), exponent, den, 2 * u32::from(scale)))
}

fn weighted<'a>(
    (products, scale): (&Accumulator, u8),
    (weights, weight_scale): (&Accumulator, u8),
    ty: Type,
) -> Value<'a> {
    let (Some(x), Some(w)) = (Signed::of(products), Signed::of(weights)) else { return not_a_number(ty) };
    if w.is_zero() {
        return Value::Null;
    }
    let num = x.magnitude.mul(&Nat::pow10(weight_scale.into())).mul(&w.den);
    let den = w.magnitude.mul(&x.den);
    leave(&ratio(x.negative != w.negative, num, x.exponent - w.exponent, den, scale.into()), false, ty)
}
