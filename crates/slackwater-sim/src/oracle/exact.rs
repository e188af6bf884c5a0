//! Rounding of rationals, once and half to even, by division of big integers: to doubles, and to decimals.

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// The exact value of a double that is finite.
pub fn of_f64(x: f64) -> BigRational {
    BigRational::from_float(x).expect("a finite double")
}

/// mantissa / 10^scale, as it stands: to reduce it would take longer than what is done with most.
pub fn of_decimal(mantissa: &BigInt, scale: u32) -> BigRational {
    BigRational::new_raw(mantissa.clone(), BigInt::from(10).pow(scale))
}

/// Two decimals, each a mantissa and its scale, as mantissas at the larger one of both scales.
pub fn at_one_scale((a, sa): (&BigInt, u32), (b, sb): (&BigInt, u32)) -> (BigInt, BigInt) {
    let raised =
        |mantissa: &BigInt, by: u32| if by == 0 { mantissa.clone() } else { mantissa * BigInt::from(10).pow(by) };
    (raised(a, sb.saturating_sub(sa)), raised(b, sa.saturating_sub(sb)))
}

/// The double nearest to a rational, ties to even, infinite beyond the range. What is below zero and too small for a
/// double is -0, as IEEE 754 rounds it; zero itself has no sign.
pub fn to_f64(x: &BigRational) -> f64 {
    let (num, den) = (x.numer().magnitude(), x.denom().magnitude());
    let size = nearest(num, den);
    // No zero has a sign.
    if x.is_negative() && size > 0.0 { -size } else { size }
}

/// num / den as a double, digit by binary digit.
fn nearest(num: &BigUint, den: &BigUint) -> f64 {
    if num.is_zero() {
        return 0.0;
    }
    // The place of the last bit that a double keeps: 52 below the first, or the least that there is.
    let mut last = (num.bits() as i64 - den.bits() as i64 - 53).max(-1074);
    loop {
        let (num, den) = if last >= 0 { (num.clone(), den << last) } else { (num << -last, den.clone()) };
        let (mut digits, rest) = num.div_rem(&den);
        if digits.bits() > 53 {
            last += 1;
            continue;
        }
        let twice = rest * 2u32;
        if twice > den || (twice == den && digits.is_odd()) {
            digits += 1u32;
        }
        let digits = digits.to_u64().expect("at most 2^53");
        // Both factors are doubles and so is the product, or it is beyond the range.
        return power(digits as f64, last);
    }
}

/// x * 2^exponent in steps that are exact, because x has all the bits that the result keeps.
fn power(mut x: f64, mut exponent: i64) -> f64 {
    while exponent > 0 {
        x *= 2.0;
        exponent -= 1;
    }
    while exponent < 0 {
        x /= 2.0;
        exponent += 1;
    }
    x
}

/// The integer nearest to a rational, ties to even.
pub fn to_integer(x: &BigRational) -> BigInt {
    let (floor, rest) = x.numer().div_mod_floor(x.denom());
    let twice = rest * 2;
    if &twice > x.denom() || (&twice == x.denom() && floor.is_odd()) { floor + 1 } else { floor }
}

/// The mantissa at `scale` nearest to a rational; none with more than `precision` digits.
pub fn to_decimal(x: &BigRational, precision: u32, scale: u32) -> Option<BigInt> {
    within(to_integer(&(x * BigRational::from(BigInt::from(10).pow(scale)))), precision)
}

fn within(mantissa: BigInt, precision: u32) -> Option<BigInt> {
    (mantissa.magnitude() < &BigUint::from(10u32).pow(precision)).then_some(mantissa)
}

/// The double nearest to the square root of a rational that is not negative.
pub fn sqrt_to_f64(x: &BigRational) -> f64 {
    // So many bits behind the point that the root has about 64, more than a double.
    let bits = x.numer().bits() as i64 - x.denom().bits() as i64;
    let shift = (64 - bits / 2).max(0) as u64;
    let scaled: BigUint = (x.numer().magnitude() << (2 * shift)) / x.denom().magnitude();
    let root = scaled.sqrt();
    let square = BigRational::new(square(&root), BigInt::one() << (2 * shift));
    // What is cut off is less than the last bit: half of that bit stands for it.
    let twice = (BigInt::from(root) << 1) + i32::from(&square != x);
    to_f64(&BigRational::new(twice, BigInt::one() << (shift + 1)))
}

/// The mantissa at `scale` nearest to the square root; none with more than `precision` digits.
pub fn sqrt_to_decimal(x: &BigRational, precision: u32, scale: u32) -> Option<BigInt> {
    let scaled = x * BigRational::from(BigInt::from(10).pow(2 * scale));
    let floor: BigUint = (scaled.numer().magnitude() / scaled.denom().magnitude()).sqrt();
    // (floor + 1/2)^2 against the number itself.
    let middle = BigRational::new(BigInt::from(floor.clone()) * 2 + 1, BigInt::from(2));
    let middle = &middle * &middle;
    let up = scaled > middle || (scaled == middle && floor.is_odd());
    within(BigInt::from_biguint(Sign::Plus, floor) + i32::from(up), precision)
}

fn square(x: &BigUint) -> BigInt {
    BigInt::from_biguint(Sign::Plus, x * x)
}
