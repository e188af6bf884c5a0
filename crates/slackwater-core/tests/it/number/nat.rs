//! `Nat` against `BigUint`.

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::One;
use proptest::prelude::*;
use slackwater_core::number::Nat;

use super::{any_natural, any_positive, big_of_nat, cases, nat_of_big};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn arithmetic_agrees_with_big_naturals(a in any_natural(700), b in any_natural(500)) {
        let (x, y) = (nat_of_big(&a), nat_of_big(&b));
        prop_assert_eq!(big_of_nat(&x.add(&y)), &a + &b);
        prop_assert_eq!(big_of_nat(&x.mul(&y)), &a * &b);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        let (large, small) = if a >= b { (&a, &b) } else { (&b, &a) };
        prop_assert_eq!(big_of_nat(&nat_of_big(large).sub(&nat_of_big(small))), large - small);
    }

    #[test]
    fn division_agrees_with_big_naturals(a in any_natural(900), b in any_positive(700)) {
        let (quotient, remainder) = nat_of_big(&a).div_rem(&nat_of_big(&b));
        let (expected, rest) = a.div_rem(&b);
        prop_assert_eq!(big_of_nat(&quotient), expected);
        prop_assert_eq!(big_of_nat(&remainder), rest);
    }

    #[test]
    fn division_undoes_a_product_next_to_its_edges(q in any_natural(320), d in any_positive(320), off in 0..2u32) {
        // Remainders of zero and of one less than the divisor are where a guessed digit is corrected.
        let a = (&q + 1u32) * &d - off;
        let (quotient, remainder) = nat_of_big(&a).div_rem(&nat_of_big(&d));
        prop_assert_eq!((big_of_nat(&quotient), big_of_nat(&remainder)), a.div_rem(&d));
    }

    #[test]
    fn shifts_and_bits_agree(a in any_natural(300), count in 0..400u64) {
        let x = nat_of_big(&a);
        prop_assert_eq!(big_of_nat(&x.shl(count)), &a << count);
        prop_assert_eq!(big_of_nat(&x.shr(count)), &a >> count);
        prop_assert_eq!(x.bits(), a.bits());
        prop_assert_eq!(x.trailing_zeros(), a.trailing_zeros().unwrap_or(0));
        prop_assert_eq!(x.bit(count), a.bit(count));
        prop_assert_eq!(x.is_odd(), a.is_odd());
        prop_assert_eq!(x.to_string(), a.to_string());
        prop_assert_eq!(x.to_u128(), u128::try_from(&a).ok());
    }

    #[test]
    fn square_roots_are_floors_with_the_rest_known(a in any_natural(900)) {
        let (root, rest) = nat_of_big(&a).isqrt();
        prop_assert_eq!(big_of_nat(&root), a.sqrt());
        prop_assert_eq!(big_of_nat(&root.mul(&root).add(&rest)), a);
    }

    #[test]
    fn square_roots_turn_exactly_at_squares(r in any_positive(400)) {
        let square = &r * &r;
        let (root, rest) = nat_of_big(&square).isqrt();
        prop_assert_eq!(big_of_nat(&root), r.clone());
        prop_assert!(rest.is_zero());
        let (root, _) = nat_of_big(&(square - 1u32)).isqrt();
        prop_assert_eq!(big_of_nat(&root), r - 1u32);
    }

    #[test]
    fn a_quotient_rounds_half_to_even(a in any_natural(300), b in any_positive(200)) {
        let rounded = big_of_nat(&nat_of_big(&a).div_half_even(&nat_of_big(&b)));
        let (floor, rest) = a.div_rem(&b);
        let up = &rest * 2u32 > b || (&rest * 2u32 == b && floor.is_odd());
        prop_assert_eq!(rounded, floor + u32::from(up));
    }
}

#[test]
fn powers_are_exact() {
    for k in 0..120 {
        assert_eq!(big_of_nat(&Nat::pow10(k)), BigUint::from(10u32).pow(k));
        assert_eq!(big_of_nat(&Nat::pow2(k.into())), BigUint::one() << k);
    }
}

#[test]
fn zero_is_zero_in_every_operation() {
    let zero = Nat::zero();
    assert_eq!(zero, Nat::new());
    assert_eq!(zero, Nat::from_limbs(vec![0, 0]));
    assert_eq!(zero, Nat::from(0u64));
    assert_eq!((zero.bits(), zero.trailing_zeros(), zero.limbs().len()), (0, 0, 0));
    assert_eq!(zero.mul(&Nat::one()), zero);
    assert_eq!(zero.shl(u64::MAX), zero);
    assert_eq!(Nat::one().shr(u64::MAX), zero);
    assert!(!Nat::one().bit(u64::MAX));
    assert_eq!(zero.div_rem(&Nat::one()), (Nat::zero(), Nat::zero()));
    assert_eq!(zero.isqrt(), (Nat::zero(), Nat::zero()));
    assert_eq!(zero.to_string(), "0");
}

#[test]
fn a_guess_that_is_one_too_large_is_given_back() {
    // Knuth's case D6: with base 2^64 it needs a divisor just above half the base.
    let half = 1u64 << 63;
    let a = Nat::from_limbs(vec![0, 0, half, half - 1]);
    let d = Nat::from_limbs(vec![1, 0, half]);
    let (quotient, remainder) = a.div_rem(&d);
    assert_eq!((big_of_nat(&quotient), big_of_nat(&remainder)), big_of_nat(&a).div_rem(&big_of_nat(&d)));
}

#[test]
#[should_panic(expected = "below zero")]
fn a_difference_below_zero_is_refused() {
    Nat::one().sub(&Nat::from(2u64));
}
