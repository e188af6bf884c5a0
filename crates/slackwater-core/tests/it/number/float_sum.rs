//! `FloatSum` against exact rationals, in every order and split.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use proptest::collection::vec;
use proptest::prelude::*;
use slackwater_core::number::{FloatSum, I384, Nat, Specials};

use super::{any_finite, any_integer, big, big_of_nat, cases, float_value, i384, nearest_float, pow2, same_bits};

const NAN: u64 = 0x7ff8_0000_0000_0000;

/// 53 ones, placed so that the upper digit they touch takes as many of them as it can.
const HEAVIEST: f64 = f64::from_bits(0x452f_ffff_ffff_ffff);

fn sum(terms: &[f64]) -> FloatSum {
    let mut sum = FloatSum::new();
    terms.iter().for_each(|x| sum.add(*x));
    sum
}

fn bytes(sum: &FloatSum) -> Vec<u8> {
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    bytes
}

/// The finite part.
fn value(sum: &FloatSum) -> BigRational {
    let (negative, magnitude, exponent) = sum.exact();
    let magnitude = BigInt::from(big_of_nat(&magnitude));
    let signed = if negative { -magnitude } else { magnitude };
    let power = pow2(exponent.unsigned_abs() as u32);
    if exponent < 0 { BigRational::new(signed, power) } else { BigRational::from(signed * power) }
}

/// The exact sum. Adding rationals of a common denominator keeps the oracle quick.
fn exact(terms: impl IntoIterator<Item = BigRational>) -> BigRational {
    let unit = pow2(2148);
    let scaled = terms.into_iter().map(|term| term.numer() * (&unit / term.denom()));
    BigRational::new(scaled.sum(), unit.clone())
}

/// Every float, the ones that are not finite included.
fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![8 => any_finite(), 1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY), 1 => Just(f64::NAN)]
}

/// One way to change a sum.
#[derive(Clone, Copy, Debug)]
enum Step {
    Term(f64, bool),
    Product(f64, f64, bool),
    Multiple(f64, I384, bool),
}

impl Step {
    fn apply(self, sum: &mut FloatSum) {
        match self {
            Self::Term(x, false) => sum.add(x),
            Self::Term(x, true) => sum.sub(x),
            Self::Product(x, y, false) => sum.add_product(x, y),
            Self::Product(x, y, true) => sum.sub_product(x, y),
            Self::Multiple(x, times, false) => sum.add_multiple(x, &times),
            Self::Multiple(x, times, true) => sum.sub_multiple(x, &times),
        }
    }

    fn undo(self) -> Self {
        match self {
            Self::Term(x, back) => Self::Term(x, !back),
            Self::Product(x, y, back) => Self::Product(x, y, !back),
            Self::Multiple(x, times, back) => Self::Multiple(x, times, !back),
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any_float(), any::<bool>()).prop_map(|(x, back)| Step::Term(x, back)),
        (any_float(), any_float(), any::<bool>()).prop_map(|(x, y, back)| Step::Product(x, y, back)),
        (any_float(), any_times(), any::<bool>()).prop_map(|(x, times, back)| Step::Multiple(x, times, back)),
    ]
}

/// Integers of all sizes, zero among them.
fn any_times() -> impl Strategy<Value = I384> {
    let sized = |bits| any_integer(bits).prop_map(|times| i384(&times).expect("383 bits at most"));
    prop_oneof![4 => sized(60), 2 => sized(127), 2 => sized(383), 1 => Just(I384::ZERO)]
}

fn folded(steps: &[Step]) -> FloatSum {
    let mut sum = FloatSum::new();
    steps.iter().for_each(|step| step.apply(&mut sum));
    sum
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_sum_is_exact_and_rounded_once(terms in vec(any_finite(), 0..60)) {
        let sum = sum(&terms);
        let expected = exact(terms.iter().map(|x| float_value(*x)));
        prop_assert_eq!(value(&sum), expected.clone());
        same_bits(sum.to_f64(), nearest_float(&expected));
        prop_assert_eq!(sum.is_zero(), expected.is_zero());
    }

    #[test]
    fn a_sum_of_products_is_exact_and_rounded_once(terms in vec((any_finite(), any_finite(), any::<bool>()), 0..40)) {
        let mut sum = FloatSum::new();
        for (x, y, back) in &terms {
            if *back { sum.sub_product(*x, *y) } else { sum.add_product(*x, *y) }
        }
        let product = |(x, y, back): &(f64, f64, bool)| {
            let product = float_value(*x) * float_value(*y);
            if *back { -product } else { product }
        };
        let expected = exact(terms.iter().map(product));
        prop_assert_eq!(value(&sum), expected.clone());
        same_bits(sum.to_f64(), nearest_float(&expected));
    }

    #[test]
    fn a_sum_of_multiples_is_exact_and_rounded_once(terms in vec((any_finite(), any_times(), any::<bool>()), 0..40)) {
        let mut sum = FloatSum::new();
        for (x, times, back) in &terms {
            if *back { sum.sub_multiple(*x, times) } else { sum.add_multiple(*x, times) }
        }
        let multiple = |(x, times, back): &(f64, I384, bool)| {
            let multiple = float_value(*x) * BigRational::from(big(times));
            if *back { -multiple } else { multiple }
        };
        let expected = exact(terms.iter().map(multiple));
        prop_assert_eq!(value(&sum), expected.clone());
        same_bits(sum.to_f64(), nearest_float(&expected));
    }

    #[test]
    fn neither_order_nor_grouping_shows(
        steps in vec(any_step(), 0..40).prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
        cut in 0..40usize,
    ) {
        let (steps, shuffled) = steps;
        let whole = folded(&steps);
        let (left, right) = shuffled.split_at(cut.min(shuffled.len()));
        let mut merged = folded(left);
        merged.merge(&folded(right));
        prop_assert_eq!(bytes(&whole), bytes(&merged));
        prop_assert_eq!(&whole, &merged);
        same_bits(whole.to_f64(), merged.to_f64());
        merged.unmerge(&folded(right));
        prop_assert_eq!(bytes(&folded(left)), bytes(&merged));
    }

    #[test]
    fn what_is_undone_leaves_no_trace(steps in vec(any_step(), 0..30), kept in vec(any_step(), 0..10)) {
        let mut sum = folded(&kept);
        steps.iter().for_each(|step| step.apply(&mut sum));
        steps.iter().rev().for_each(|step| step.undo().apply(&mut sum));
        prop_assert_eq!(bytes(&sum), bytes(&folded(&kept)));
        kept.iter().for_each(|step| step.undo().apply(&mut sum));
        prop_assert!(sum.is_zero());
        prop_assert_eq!(bytes(&sum), [0]);
        same_bits(sum.to_f64(), 0.0);
    }

    #[test]
    fn bytes_read_back_and_can_be_added_to(
        steps in vec(any_step(), 0..20),
        more in vec(any_step(), 0..20),
        tail in any::<[u8; 2]>(),
    ) {
        let mut sum = folded(&steps);
        let mut encoded = bytes(&sum);
        let length = encoded.len();
        for end in 0..length {
            prop_assert_eq!(FloatSum::decode(&encoded[..end]), None);
        }
        encoded.extend(tail);
        let (mut decoded, used) = FloatSum::decode(&encoded).expect("its own bytes");
        prop_assert_eq!(used, length);
        prop_assert_eq!(&decoded, &sum);
        prop_assert_eq!(bytes(&decoded), &encoded[..length]);
        more.iter().for_each(|step| step.apply(&mut sum));
        more.iter().for_each(|step| step.apply(&mut decoded));
        prop_assert_eq!(bytes(&decoded), bytes(&sum));
    }

    #[test]
    fn decoding_accepts_only_what_encoding_writes(
        flags in 0..16u8,
        exponent in -2200..4200i16,
        magnitude in vec(any::<u8>(), 0..40),
        tail in vec(0..2u8, 0..26),
    ) {
        let mut encoded = vec![flags];
        encoded.extend(exponent.to_le_bytes());
        encoded.extend((magnitude.len() as u16).to_le_bytes());
        encoded.extend(magnitude);
        encoded.extend(tail);
        if let Some((sum, used)) = FloatSum::decode(&encoded) {
            prop_assert_eq!(&bytes(&sum), &encoded[..used]);
        }
    }

    #[test]
    fn a_sum_exactly_between_two_floats_goes_to_the_even_one(x in any_finite(), nudge in -1..=1i32) {
        let x = x.abs().clamp(1e-280, f64::MAX / 2.0);
        let next = f64::from_bits(x.to_bits() + 1);
        // Half of each, by exact products, and then perhaps the least product there is.
        let mut sum = FloatSum::new();
        sum.add_product(x, 0.5);
        sum.add_product(next, 0.5);
        let least = f64::from_bits(1);
        sum.add_product(f64::from(nudge) * least, least);
        let even = if x.to_bits() & 1 == 0 { x } else { next };
        let expected = match nudge { -1 => x, 0 => even, _ => next };
        same_bits(sum.to_f64(), expected);
    }
}

#[test]
fn a_term_and_its_negation_cancel_to_positive_zero() {
    same_bits(sum(&[1.5, -1.5]).to_f64(), 0.0);
    same_bits(sum(&[-0.0]).to_f64(), 0.0);
    same_bits(sum(&[-0.0, -0.0]).to_f64(), 0.0);
    assert!(sum(&[1e300, 1e-300, -1e300, -1e-300]).is_zero());
    assert_eq!(sum(&[1e300, -1e300]), FloatSum::new());
    assert_eq!(bytes(&FloatSum::new()), [0]);
}

#[test]
fn a_sum_may_overflow_on_the_way_but_not_at_the_end() {
    same_bits(sum(&[1e308, 1e308, -1e308]).to_f64(), 1e308);
    same_bits(sum(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX, 1.0]).to_f64(), 1.0);
    same_bits(sum(&[1e308, 1e308]).to_f64(), f64::INFINITY);
    same_bits(sum(&[-1e308, -1e308]).to_f64(), f64::NEG_INFINITY);
    let mut products = FloatSum::new();
    products.add_product(f64::MAX, f64::MAX);
    same_bits(products.to_f64(), f64::INFINITY);
    products.sub_product(f64::MAX, f64::MAX);
    products.add_product(f64::from_bits(1), f64::from_bits(1));
    same_bits(products.to_f64(), 0.0);
    assert_eq!(products.exact(), (false, Nat::one(), -2148));
}

#[test]
fn small_terms_are_not_lost_beside_large_ones() {
    same_bits(sum(&[1e100, 1.0, -1e100]).to_f64(), 1.0);
    same_bits(sum(&[0.1; 10]).to_f64(), 1.0);
    same_bits(sum(&[f64::MAX, f64::from_bits(1), -f64::MAX]).to_f64(), f64::from_bits(1));
}

#[test]
fn the_greatest_float_plus_half_its_last_place_is_infinite() {
    let half_place = 2f64.powi(970);
    same_bits(sum(&[f64::MAX, half_place]).to_f64(), f64::INFINITY);
    let less = f64::from_bits(half_place.to_bits() - 1);
    same_bits(sum(&[f64::MAX, less]).to_f64(), f64::MAX);
    same_bits(sum(&[f64::MAX, half_place, -f64::from_bits(1)]).to_f64(), f64::MAX);
}

#[test]
fn subnormals_add_up_to_normals() {
    let least = f64::from_bits(1);
    let largest_subnormal = f64::from_bits(f64::MIN_POSITIVE.to_bits() - 1);
    same_bits(sum(&[largest_subnormal, least]).to_f64(), f64::MIN_POSITIVE);
    same_bits(sum(&[f64::MIN_POSITIVE, -least]).to_f64(), largest_subnormal);
    let mut half = FloatSum::new();
    half.add_product(least, 0.5);
    same_bits(half.to_f64(), 0.0);
    half.add_product(least, least);
    same_bits(half.to_f64(), least);
}

#[test]
fn thousands_of_extreme_terms_pass_their_carries_on() {
    let mut sum = FloatSum::new();
    let count = 10_000;
    for _ in 0..count {
        sum.add(f64::MAX);
        sum.sub_product(f64::MAX, f64::MAX);
    }
    let max = float_value(f64::MAX);
    let expected = (&max - &max * &max) * BigInt::from(count);
    assert_eq!(value(&sum), expected);
    let mut doubled = sum.clone();
    for _ in 0..20 {
        let half = doubled.clone();
        doubled.merge(&half);
    }
    assert_eq!(value(&doubled), expected * BigInt::from(1 << 20));
    for _ in 0..1 << 12 {
        doubled.unmerge(&sum);
    }
    assert!(value(&doubled).is_negative());
    assert_eq!(value(&doubled), value(&sum) * BigInt::from((1 << 20) - (1 << 12)));
}

#[test]
fn a_digit_takes_no_more_than_it_holds_before_it_is_carried() {
    for term in [HEAVIEST, -HEAVIEST] {
        let mut sum = FloatSum::new();
        for _ in 0..10_000 {
            sum.add(term);
        }
        assert_eq!(value(&sum), float_value(term) * BigInt::from(10_000));
    }
}

#[test]
fn two_sums_with_every_carry_deferred_still_merge() {
    for terms in [1, 1000, 2044, 2045, 2046, 2047] {
        let left = sum(&std::vec![HEAVIEST; terms]);
        let mut right = left.clone();
        right.merge(&left);
        right.merge(&left);
        assert_eq!(value(&right), value(&left) * BigInt::from(3));
        for _ in 0..4 {
            right.unmerge(&left);
        }
        assert_eq!(value(&right), -value(&left));
        right.add(HEAVIEST);
        right.merge(&left);
        right.sub(HEAVIEST);
        assert!(right.is_zero());
    }
}

#[test]
fn infinities_and_nans_are_counted_and_can_be_taken_back() {
    let mut sum = sum(&[1.0, f64::INFINITY]);
    same_bits(sum.to_f64(), f64::INFINITY);
    assert!(!sum.is_zero());
    sum.add(f64::NEG_INFINITY);
    assert_eq!(sum.to_f64().to_bits(), NAN);
    sum.sub(f64::INFINITY);
    same_bits(sum.to_f64(), f64::NEG_INFINITY);
    sum.add(-f64::NAN);
    assert_eq!(sum.to_f64().to_bits(), NAN);
    sum.sub(f64::from_bits(0x7ff0_0000_0000_0001));
    sum.sub(f64::NEG_INFINITY);
    same_bits(sum.to_f64(), 1.0);
    assert_eq!(sum.specials(), Specials::default());
    sum.sub(f64::NAN);
    assert_eq!(sum.specials().nans, -1);
    same_bits(sum.to_f64(), 1.0);
}

#[test]
fn a_product_that_is_not_finite_counts_as_ieee_754_has_it() {
    let product = |x, y| {
        let mut sum = FloatSum::new();
        sum.add_product(x, y);
        sum.to_f64()
    };
    same_bits(product(f64::INFINITY, -2.0), f64::NEG_INFINITY);
    same_bits(product(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::INFINITY);
    assert_eq!(product(f64::INFINITY, 0.0).to_bits(), NAN);
    assert_eq!(product(0.0, f64::NAN).to_bits(), NAN);
}

#[test]
fn a_form_that_is_not_canonical_is_refused() {
    let finite = |flags: u8, exponent: i16, magnitude: &[u8]| {
        let mut bytes = vec![flags];
        bytes.extend(exponent.to_le_bytes());
        bytes.extend((magnitude.len() as u16).to_le_bytes());
        bytes.extend(magnitude);
        FloatSum::decode(&bytes).map(|(sum, _)| sum.to_f64())
    };
    assert_eq!(finite(1, 0, &[1]), Some(1.0));
    assert_eq!(finite(3, 1, &[3]), Some(-6.0));
    assert_eq!(finite(1, -2148, &[1]), Some(0.0));
    assert_eq!(finite(1, 0, &[2]), None, "even");
    assert_eq!(finite(1, 0, &[1, 0]), None, "padded");
    assert_eq!(finite(1, 0, &[]), None, "empty");
    assert_eq!(finite(1, -2149, &[1]), None, "below the least product");
    assert_eq!(finite(1, i16::MAX, &[1]), None, "beyond any sum");
    assert_eq!(finite(1, 0, &[255; 600]), None, "over-long");
    assert_eq!(FloatSum::decode(&[2]), None, "a negative zero");
    assert_eq!(FloatSum::decode(&[8]), None, "an unknown part");
    assert_eq!(FloatSum::decode(&[0; 0]), None, "nothing");
    let mut specials = vec![4];
    specials.extend([0; 24]);
    assert_eq!(FloatSum::decode(&specials), None, "no specials");
    specials[8] = 0x80;
    assert_eq!(FloatSum::decode(&specials), None, "an absurd count");
    specials[8] = 0;
    specials[1] = 1;
    assert_eq!(FloatSum::decode(&specials).map(|(sum, _)| sum.to_f64()), Some(f64::INFINITY));
}

#[test]
fn it_can_be_printed_for_a_failing_test() {
    assert!(format!("{:?}", sum(&[-1.5])).starts_with("FloatSum(-3 * 2^-1, "));
}
