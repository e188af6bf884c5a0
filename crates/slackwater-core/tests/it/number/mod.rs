//! Exact numbers against arbitrary-precision oracles: nothing here rounds before it is asked to, and nothing wraps.

mod decimal;
mod exact_sum;
mod float_sum;
mod int;
mod nat;
mod ratio;

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use proptest::collection::vec;
use proptest::prelude::*;
use slackwater_core::number::{I384, Nat};

/// 256 cases, or as many as `PROPTEST_CASES` asks for; failures are reported, not written beside the sources.
fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn big_of_nat(value: &Nat) -> BigUint {
    let bytes: Vec<u8> = value.limbs().iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}

fn nat_of_big(value: &BigUint) -> Nat {
    Nat::from_limbs(value.iter_u64_digits().collect())
}

fn big(value: &I384) -> BigInt {
    let sign = if value.is_negative() { Sign::Minus } else { Sign::Plus };
    BigInt::from_biguint(sign, big_of_nat(&value.magnitude()))
}

/// The integer, if it fits 384 bits.
fn i384(value: &BigInt) -> Option<I384> {
    let limit = pow2(383);
    let fits = *value >= -limit.clone() && *value < limit;
    fits.then(|| I384::from_sign_magnitude(value.is_negative(), &nat_of_big(value.magnitude())).expect("it fits"))
}

fn pow10(k: u32) -> BigInt {
    BigInt::from(10).pow(k)
}

fn pow2(k: u32) -> BigInt {
    BigInt::from(2).pow(k)
}

/// `mantissa * 10^-scale`.
fn decimal_value(mantissa: &BigInt, scale: u8) -> BigRational {
    BigRational::new(mantissa.clone(), pow10(scale.into()))
}

/// The value of a finite float.
fn float_value(x: f64) -> BigRational {
    BigRational::from_float(x).expect("a finite float")
}

/// The nearest integer, ties to even: what a schoolbook says, on exact rationals.
fn nearest_integer(value: &BigRational) -> BigInt {
    let floor = value.floor().to_integer();
    let half = BigRational::new(BigInt::one(), BigInt::from(2));
    let up = match (value - BigRational::from(floor.clone())).cmp(&half) {
        Ordering::Less => false,
        Ordering::Equal => floor.is_odd(),
        Ordering::Greater => true,
    };
    if up { floor + 1 } else { floor }
}

/// The float nearest to `value`, ties to even, found by halving the ordered set of all floats instead of by shifting
/// bits: the neighbours from below and above are compared with the exact value.
fn nearest_float(value: &BigRational) -> f64 {
    let magnitude = value.abs();
    // Non-negative floats are ordered as their bits are.
    let (mut low, mut high) = (0u64, f64::INFINITY.to_bits());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if float_value(f64::from_bits(middle)) <= magnitude {
            low = middle;
        } else {
            high = middle;
        }
    }
    let below = float_value(f64::from_bits(low));
    // Where the next float would overflow, rounding behaves as if the exponent went on.
    let above = match f64::from_bits(high) {
        next if next.is_finite() => float_value(next),
        _ => BigRational::from(pow2(1024)),
    };
    let bits = match (&magnitude - below).cmp(&(above - &magnitude)) {
        Ordering::Less => low,
        Ordering::Equal => low + (low & 1),
        Ordering::Greater => high,
    };
    let float = f64::from_bits(bits);
    if value.is_negative() && !value.is_zero() { -float } else { float }
}

fn same_bits(a: f64, b: f64) {
    assert_eq!(a.to_bits(), b.to_bits(), "{a:e} is not {b:e}");
}

/// Naturals of up to `bits` bits, of every length alike, often with long runs of ones or zeros.
fn any_natural(bits: u32) -> impl Strategy<Value = BigUint> {
    let limb = prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(1), Just(1 << 63)];
    let limbs = vec(limb, bits.div_ceil(64) as usize);
    (limbs, 0..=bits).prop_map(|(limbs, bits)| {
        let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigUint::from_bytes_le(&bytes) & ((BigUint::one() << bits) - 1u32)
    })
}

/// The same without zero.
fn any_positive(bits: u32) -> impl Strategy<Value = BigUint> {
    any_natural(bits).prop_map(|value| value.max(BigUint::one()))
}

/// Integers of up to `bits` bits and a sign.
fn any_integer(bits: u32) -> impl Strategy<Value = BigInt> {
    (any_natural(bits), any::<bool>()).prop_map(|(magnitude, negative)| {
        let value = BigInt::from(magnitude);
        if negative { -value } else { value }
    })
}

/// Every `i128`, the small and the extreme ones often.
fn any_i128() -> impl Strategy<Value = i128> {
    let edge = prop_oneof![
        Just(i128::MIN),
        Just(i128::MAX),
        Just(i128::from(i64::MIN)),
        Just(i128::from(i64::MAX) + 1),
        Just(-1),
        Just(0),
    ];
    prop_oneof![
        4 => (any::<i128>(), 0..128u32).prop_map(|(value, shift)| value >> shift),
        1 => edge,
    ]
}

/// Finite floats of every magnitude, the edges of the format often.
fn any_finite() -> impl Strategy<Value = f64> {
    let edge = prop_oneof![
        Just(0.0),
        Just(f64::from_bits(1)),
        Just(f64::MIN_POSITIVE),
        Just(f64::from_bits(f64::MIN_POSITIVE.to_bits() - 1)),
        Just(f64::MAX),
        Just(1.0),
    ];
    let everyday = (-1_000_000_000i64..1_000_000_000, 0..5u32).prop_map(|(m, s)| m as f64 / 10f64.powi(s as i32));
    let magnitude = prop_oneof![
        3 => proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        3 => everyday,
        1 => edge,
    ];
    (magnitude, any::<bool>()).prop_map(|(x, negative)| if negative { -x } else { x })
}
