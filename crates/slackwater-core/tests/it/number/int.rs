//! `Int` against `BigInt`.

use std::panic::catch_unwind;

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use proptest::prelude::*;
use slackwater_core::number::{I384, Int, Nat};

use super::{any_i128, any_integer, big, cases, i384, pow2, pow10};

fn max() -> I384 {
    i384(&(pow2(383) - 1)).expect("the greatest")
}

fn min() -> I384 {
    i384(&-pow2(383)).expect("the least")
}

fn encoded(value: &I384) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn checked_operations_agree_with_big_integers(a in any_integer(383), b in any_integer(383)) {
        let (x, y) = (i384(&a).unwrap(), i384(&b).unwrap());
        prop_assert_eq!(x.checked_add(y), i384(&(&a + &b)));
        prop_assert_eq!(x.checked_sub(y), i384(&(&a - &b)));
        prop_assert_eq!(x.checked_mul(y), i384(&(&a * &b)));
        prop_assert_eq!(x.checked_neg(), i384(&-&a));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn products_of_half_width_factors_agree(a in any_integer(200), b in any_integer(200)) {
        let (x, y) = (i384(&a).unwrap(), i384(&b).unwrap());
        prop_assert_eq!(x.checked_mul(y), i384(&(a * b)));
    }

    #[test]
    fn a_product_of_two_i128_is_exact(a in any_i128(), b in any_i128()) {
        let product = BigInt::from(a) * b;
        prop_assert_eq!(big(&I384::product(a, b)), product.clone());
        let tight = Int::<4>::product(a, b);
        prop_assert_eq!(tight.to_string(), product.to_string());
    }

    #[test]
    fn in_place_sums_agree_with_big_integers(
        start in any_integer(380),
        terms in proptest::collection::vec(any_i128(), 0..40),
    ) {
        let mut sum = i384(&start).unwrap();
        let mut taken = sum;
        let (mut big_sum, mut big_taken) = (start.clone(), start.clone());
        for term in &terms {
            sum.add_i128(*term);
            taken.sub_i128(*term);
            big_sum += *term;
            big_taken -= *term;
            prop_assert_eq!(big(&sum), big_sum.clone());
            prop_assert_eq!(big(&taken), big_taken.clone());
        }
        for term in terms.iter().rev() {
            sum.sub_i128(*term);
            taken.add_i128(*term);
        }
        prop_assert_eq!(big(&sum), start.clone());
        prop_assert_eq!(big(&taken), start);
    }

    #[test]
    fn what_is_added_can_be_taken_back(a in any_integer(382), b in any_integer(382)) {
        let (start, term) = (i384(&a).unwrap(), i384(&b).unwrap());
        let mut sum = start;
        sum.add(&term);
        prop_assert_eq!(big(&sum), &a + &b);
        sum.sub(&term);
        prop_assert_eq!(sum, start);
    }

    #[test]
    fn powers_of_ten_scale_exactly_or_not_at_all(a in any_integer(383), k in 0..130u32) {
        prop_assert_eq!(i384(&a).unwrap().checked_mul_pow10(k), i384(&(a * pow10(k))));
    }

    #[test]
    fn text_digits_and_narrowing_agree(a in any_integer(383)) {
        let value = i384(&a).unwrap();
        prop_assert_eq!(value.to_string(), a.to_string());
        prop_assert_eq!(value.digits() as usize, a.abs().to_string().len());
        prop_assert_eq!(value.to_i128(), a.to_i128());
        prop_assert_eq!(value.is_negative(), a.is_negative());
        prop_assert_eq!(value.is_zero(), a.is_zero());
        prop_assert_eq!(I384::from_sign_magnitude(value.is_negative(), &value.magnitude()), Some(value));
    }

    #[test]
    fn bytes_are_the_shortest_and_read_back(a in any_integer(383), tail in any::<[u8; 3]>()) {
        let value = i384(&a).unwrap();
        let mut bytes = encoded(&value);
        let expected = if a.is_zero() { vec![] } else { a.to_signed_bytes_le() };
        prop_assert_eq!(&bytes[1..], &expected[..]);
        let length = bytes.len();
        prop_assert_eq!(usize::from(bytes[0]) + 1, length);
        bytes.extend(tail);
        prop_assert_eq!(I384::decode(&bytes), Some((value, length)));
        prop_assert_eq!(I384::decode(&bytes[..length - 1]), None);
    }

    #[test]
    fn decoding_accepts_only_what_encoding_writes(
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(255), Just(128), 0..60u8], 0..60),
    ) {
        if let Some((value, used)) = I384::decode(&bytes) {
            prop_assert_eq!(&encoded(&value), &bytes[..used]);
        }
    }
}

#[test]
fn small_values_have_the_documented_bytes() {
    assert_eq!(encoded(&I384::ZERO), [0]);
    assert_eq!(encoded(&I384::ONE), [1, 1]);
    assert_eq!(encoded(&I384::from(-1i64)), [1, 0xff]);
    assert_eq!(encoded(&I384::from(127i64)), [1, 0x7f]);
    assert_eq!(encoded(&I384::from(128i64)), [2, 0x80, 0x00]);
    assert_eq!(encoded(&I384::from(-128i64)), [1, 0x80]);
    assert_eq!(encoded(&I384::from(-129i64)), [2, 0x7f, 0xff]);
    assert_eq!(encoded(&max()).len(), 49);
    assert_eq!(encoded(&min()).len(), 49);
}

#[test]
fn a_padded_or_truncated_or_too_wide_form_is_refused() {
    for bytes in [&[][..], &[1], &[1, 0], &[2, 5, 0], &[2, 0x80, 0xff], &[2, 0xff, 0xff]] {
        assert_eq!(I384::decode(bytes), None, "{bytes:?}");
    }
    let mut wide = vec![49; 50];
    wide[49] = 1;
    assert_eq!(I384::decode(&wide), None);
}

#[test]
fn the_least_value_has_no_negation_but_a_magnitude() {
    assert_eq!(min().checked_neg(), None);
    assert_eq!(min().magnitude(), Nat::pow2(383));
    assert_eq!(I384::from_sign_magnitude(true, &Nat::pow2(383)), Some(min()));
    assert_eq!(I384::from_sign_magnitude(false, &Nat::pow2(383)), None);
    assert_eq!(I384::from_sign_magnitude(true, &Nat::pow2(384)), None);
    assert_eq!(min().checked_mul(I384::from(-1i64)), None);
    assert_eq!(min().checked_mul(I384::ONE), Some(min()));
    assert_eq!(min().digits(), 116);
}

#[test]
fn a_negative_zero_is_zero() {
    assert_eq!(I384::from_sign_magnitude(true, &Nat::zero()), Some(I384::ZERO));
    assert!(!I384::ZERO.is_negative());
    assert_eq!(I384::default(), I384::ZERO);
}

#[test]
fn zero_scales_by_any_power_and_others_give_up_early() {
    assert_eq!(I384::ZERO.checked_mul_pow10(u32::MAX), Some(I384::ZERO));
    assert_eq!(I384::ONE.checked_mul_pow10(u32::MAX), None);
    assert_eq!(I384::ONE.checked_mul_pow10(115).map(|value| value.digits()), Some(116));
    assert_eq!(I384::ONE.checked_mul_pow10(116), None);
    assert_eq!(I384::ZERO.digits(), 1);
}

#[test]
fn in_place_sums_panic_rather_than_wrap() {
    let (max, min) = (max(), min());
    let overflowing: [fn(I384, I384); 6] = [
        |mut max, _| max.add_i128(1),
        |mut max, _| max.sub_i128(-1),
        |_, mut min| min.add_i128(-1),
        |_, mut min| min.sub_i128(i128::MAX),
        |mut max, _| max.add(&I384::ONE),
        |_, mut min| min.sub(&I384::ONE),
    ];
    for operation in overflowing {
        assert!(catch_unwind(|| operation(max, min)).is_err());
    }
    let mut edge = max;
    edge.sub_i128(i128::MAX);
    edge.add_i128(i128::MAX);
    assert_eq!(edge, max);
}

#[test]
fn a_carry_runs_through_every_limb_and_back() {
    let mut value = I384::from(-1i64);
    value.add_i128(1);
    assert_eq!(value, I384::ZERO);
    value.sub_i128(1);
    assert_eq!(value, I384::from(-1i64));
    let mut high = i384(&(pow2(320) - 1)).unwrap();
    high.add_i128(1);
    assert_eq!(big(&high), pow2(320));
    high.add_i128(-1);
    assert_eq!(big(&high), pow2(320) - 1);
}
