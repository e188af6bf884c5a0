//! `Ratio` against exact rationals and big square roots.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_rational::BigRational;
use proptest::prelude::*;
use slackwater_core::number::{Nat, Ratio, f64_from_parts};

use super::{
    any_finite, any_natural, any_positive, big, cases, i384, nat_of_big, nearest_float, nearest_integer, pow10,
    same_bits,
};

fn ratio(negative: bool, num: &BigUint, den: &BigUint) -> Ratio {
    Ratio::new(negative, nat_of_big(num), nat_of_big(den))
}

fn rational(negative: bool, num: &BigUint, den: &BigUint) -> BigRational {
    let num = BigInt::from(num.clone());
    BigRational::new(if negative { -num } else { num }, den.clone().into())
}

/// The square root of `num / den` times `unit`, to the nearest integer, ties to even: the floor by `BigUint`, and the
/// half compared on squares.
fn nearest_root(num: &BigUint, den: &BigUint, unit: &BigUint) -> BigUint {
    let scaled = num * unit * unit;
    let floor = (&scaled / den).sqrt();
    // Is the root above floor + 1/2, that is 4 * scaled / den above (2 * floor + 1)^2?
    let middle = &floor * 2u32 + 1u32;
    let (square, target) = (&middle * &middle * den, scaled * 4u32);
    let up = target > square || (target == square && floor.is_odd());
    floor + u32::from(up)
}

/// Whether `root` is the float nearest to the square root of `num / den`: judged by squaring the middles to its
/// neighbours.
fn is_nearest_root(root: f64, num: &BigUint, den: &BigUint) -> bool {
    let value = rational(false, num, den);
    let bits = root.to_bits();
    let middle = |a: u64, b: u64| {
        let float = |bits| BigRational::from_float(f64::from_bits(bits)).unwrap();
        (float(a) + float(b)) / BigInt::from(2)
    };
    let above = middle(bits, bits + 1);
    let upper = &above * &above;
    let fits_above = value < upper || (value == upper && bits & 1 == 0);
    if bits == 0 {
        return fits_above;
    }
    let below = middle(bits - 1, bits);
    let lower = &below * &below;
    fits_above && (value > lower || (value == lower && bits & 1 == 0))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_float_is_the_nearest(negative: bool, num in any_natural(500), den in any_positive(500)) {
        same_bits(ratio(negative, &num, &den).to_f64(), nearest_float(&rational(negative, &num, &den)));
    }

    #[test]
    fn a_float_is_the_nearest_at_every_magnitude(
        num in any_natural(130),
        den in any_positive(130),
        shift in -1250..1150i64,
    ) {
        let by = shift.unsigned_abs();
        let (num, den) = if shift < 0 { (num, den << by) } else { (num << by, den) };
        same_bits(ratio(false, &num, &den).to_f64(), nearest_float(&rational(false, &num, &den)));
    }

    #[test]
    fn a_value_between_two_floats_goes_to_the_nearer(x in any_finite(), den in any_positive(100), nudge in -1..=1i32) {
        // Exactly between x and its successor, or the least bit to a side.
        let x = x.abs().min(f64::MAX / 2.0);
        let next = f64::from_bits(x.to_bits() + 1);
        let float = |x| BigRational::from_float(x).unwrap();
        let nudge = BigRational::new(nudge.into(), BigInt::from(den) << 1200);
        let middle = (float(x) + float(next)) / BigInt::from(2) + nudge;
        let (num, den) = (middle.numer().magnitude(), middle.denom().magnitude());
        same_bits(ratio(false, num, den).to_f64(), nearest_float(&middle));
    }

    #[test]
    fn a_decimal_is_the_nearest(negative: bool, num in any_natural(300), den in any_positive(200), scale in 0..40u8) {
        let exact = rational(negative, &num, &den) * pow10(scale.into());
        let expected = i384(&nearest_integer(&exact));
        prop_assert_eq!(ratio(negative, &num, &den).to_decimal(scale), expected);
    }

    #[test]
    fn a_root_is_the_nearest_float(num in any_natural(700), den in any_positive(400)) {
        let root = ratio(false, &num, &den).sqrt_to_f64();
        prop_assert!(is_nearest_root(root, &num, &den), "{root:e}");
    }

    #[test]
    fn the_root_of_a_square_is_the_float_itself(x in any_finite(), common in any_positive(70)) {
        let exact = BigRational::from_float(x.abs()).unwrap();
        let square = &exact * &exact;
        let num = square.numer().magnitude() * &common;
        let den = square.denom().magnitude() * &common;
        same_bits(ratio(false, &num, &den).sqrt_to_f64(), x.abs());
    }

    #[test]
    fn a_root_exactly_between_two_floats_goes_to_the_even_one(
        mantissa in (1u64 << 52)..(1 << 53),
        nudge in -1..=1i64,
        shift in 0..12u32,
        common in prop_oneof![Just(1u64), Just(1_000_000_007)],
    ) {
        // (m + 1/2)^2 has a root of 54 bits, exactly between two floats. Without a common factor only the root is
        // inexact, with one the quotient under it is as well.
        let middle = (BigUint::from(mantissa) * 2u32 + 1u32) << shift;
        let num = BigInt::from(&middle * &middle) * common + nudge;
        let den = BigUint::from(common) << (2 * (shift + 1));
        let expected = mantissa + match nudge { -1 => 0, 0 => mantissa & 1, _ => 1 };
        same_bits(ratio(false, num.magnitude(), &den).sqrt_to_f64(), expected as f64);
    }

    #[test]
    fn a_root_is_the_nearest_decimal(num in any_natural(400), den in any_positive(300), scale in 0..30u8) {
        let root = ratio(false, &num, &den).sqrt_to_decimal(scale).expect("small enough");
        prop_assert_eq!(big(&root), BigInt::from(nearest_root(&num, &den, pow10(scale.into()).magnitude())));
    }

    #[test]
    fn parts_of_a_float_give_it_back(x in any_finite(), shift in 0..70u64) {
        let bits = x.abs().to_bits();
        let (field, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
        let mantissa = if field == 0 { fraction } else { fraction | 1 << 52 };
        let exponent = field.max(1) as i64 - 1075;
        let wide = Nat::from(mantissa).shl(shift);
        same_bits(f64_from_parts(x.is_sign_negative(), &wide, exponent - shift as i64, false), x);
    }
}

fn of(num: u64, den: u64) -> Ratio {
    Ratio::new(false, Nat::from(num), Nat::from(den))
}

#[test]
fn a_tie_rounds_to_even() {
    let two_53 = 1u64 << 53;
    same_bits(of(two_53 + 1, 1).to_f64(), two_53 as f64);
    same_bits(of(two_53 + 3, 1).to_f64(), (two_53 + 4) as f64);
    let tie = |num| of(num, 2).to_decimal(0).unwrap().to_i128();
    assert_eq!([1, 3, 5, 7].map(tie), [Some(0), Some(2), Some(2), Some(4)]);
    // The roots of 1/4, 9/4 and 25/4 lie exactly between two integers.
    let root = |num| of(num, 4).sqrt_to_decimal(0).unwrap().to_i128();
    assert_eq!([1, 9, 25, 49].map(root), [Some(0), Some(2), Some(2), Some(4)]);
}

#[test]
fn half_of_the_least_float_is_zero_and_a_little_more_is_not() {
    let half = Ratio::new(false, Nat::one(), Nat::pow2(1075));
    same_bits(half.to_f64(), 0.0);
    let more = Ratio::new(false, Nat::pow2(200).add(&Nat::one()), Nat::pow2(1275));
    same_bits(more.to_f64(), f64::from_bits(1));
    let minus = Ratio::new(true, Nat::one(), Nat::pow2(2000));
    same_bits(minus.to_f64(), -0.0);
}

#[test]
fn the_largest_subnormal_rounds_up_into_the_least_normal() {
    let least_normal = Nat::pow2(54).sub(&Nat::one());
    same_bits(Ratio::new(false, least_normal, Nat::pow2(1022 + 54)).to_f64(), f64::MIN_POSITIVE);
}

#[test]
fn beyond_the_range_lies_infinity_from_the_middle_on() {
    let max = Nat::pow2(1024).sub(&Nat::pow2(971));
    let middle = Nat::pow2(1024).sub(&Nat::pow2(970));
    let one = Nat::one;
    same_bits(Ratio::new(false, max, one()).to_f64(), f64::MAX);
    same_bits(Ratio::new(false, middle.sub(&one()), one()).to_f64(), f64::MAX);
    same_bits(Ratio::new(false, middle.clone(), one()).to_f64(), f64::INFINITY);
    same_bits(Ratio::new(true, middle, one()).to_f64(), f64::NEG_INFINITY);
    same_bits(Ratio::new(false, Nat::pow2(5000), one()).to_f64(), f64::INFINITY);
}

#[test]
fn a_decimal_wider_than_384_bits_is_refused() {
    let wide = Ratio::new(false, Nat::pow2(383), Nat::one());
    assert_eq!(wide.to_decimal(0), None);
    assert_eq!(Ratio { negative: true, ..wide.clone() }.to_decimal(0).map(|value| value.digits()), Some(116));
    assert_eq!(Ratio::new(false, Nat::pow2(766), Nat::one()).sqrt_to_decimal(0), None);
    assert!(Ratio::new(false, Nat::pow2(764), Nat::one()).sqrt_to_decimal(0).is_some());
}

#[test]
fn zero_is_positive_and_has_root_zero() {
    let zero = Ratio::new(true, Nat::zero(), Nat::from(7u64));
    assert!(!zero.negative);
    same_bits(zero.to_f64(), 0.0);
    same_bits(zero.sqrt_to_f64(), 0.0);
    assert_eq!(zero.sqrt_to_decimal(9).unwrap().to_i128(), Some(0));
}

#[test]
fn known_roots_are_as_tables_print_them() {
    assert_eq!(of(2, 1).sqrt_to_decimal(20).unwrap().to_string(), "141421356237309504880");
    same_bits(of(2, 1).sqrt_to_f64(), 2f64.sqrt());
    same_bits(of(1, 3).sqrt_to_f64(), 0.577_350_269_189_625_7);
}
