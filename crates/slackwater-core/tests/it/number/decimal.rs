//! Decimal text, scales and floats against exact rationals.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive};
use proptest::prelude::*;
use slackwater_core::number::I384;
use slackwater_core::number::decimal::{self, DecimalError};

use super::{any_finite, any_i128, any_integer, cases, decimal_value, float_value, i384};
use super::{nearest_float, nearest_integer, pow2, pow10, same_bits};

/// What `parse` promises, by another road: the text is taken apart by hand into a big rational.
fn parse_slowly(text: &str, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let syntax = DecimalError::Syntax;
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match body.split_once(['e', 'E']) {
        Some((number, exponent)) => {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(syntax);
            }
            (number, exponent.parse::<i32>().expect("a modest exponent"))
        }
        None => (body, 0),
    };
    let (integer, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(syntax),
        Some(parts) => parts,
        None if number.is_empty() => return Err(syntax),
        None => (number, ""),
    };
    let digits = format!("{integer}{fraction}");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(syntax);
    }
    let mantissa: BigInt = digits.parse().expect("digits");
    let power = i64::from(exponent) - fraction.len() as i64 + i64::from(scale);
    let factor = BigRational::from(pow10(power.unsigned_abs() as u32));
    let exact = BigRational::from(mantissa) * if power < 0 { factor.recip() } else { factor };
    if !exact.is_integer() {
        return Err(DecimalError::Scale);
    }
    if exact >= BigRational::from(pow10(precision.into())) {
        return Err(DecimalError::Range);
    }
    let value = exact.to_integer().to_i128().expect("at most 38 digits");
    Ok(if text.starts_with('-') { -value } else { value })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn short_numbers_read_as_written(
        text in "-?[0-9]{0,10}(\\.[0-9]{0,9})?",
        precision in 1..=38u8,
        scale in 0..=38u8,
    ) {
        prop_assert_eq!(decimal::parse(text.as_bytes(), precision, scale), parse_slowly(&text, precision, scale));
    }

    #[test]
    fn any_number_reads_as_written(
        text in "[-+]?0{0,3}[0-9]{0,25}(\\.[0-9]{1,20}0{0,5})?([eE][-+]?[0-9]{1,2})?",
        precision in 1..=38u8,
        scale in 0..=38u8,
    ) {
        prop_assert_eq!(decimal::parse(text.as_bytes(), precision, scale), parse_slowly(&text, precision, scale));
    }

    #[test]
    fn anything_else_is_a_syntax_error(text in "[-+.0-9eE x/:]{0,20}") {
        // Long exponents are a matter of their own.
        let exponent = text.rsplit(['e', 'E', '-', '+']).next();
        if exponent.is_some_and(|digits| digits.len() > 3) {
            return Ok(());
        }
        prop_assert_eq!(decimal::parse(text.as_bytes(), 38, 10), parse_slowly(&text, 38, 10));
    }

    #[test]
    fn bytes_of_every_kind_are_read_or_refused(
        text in proptest::collection::vec(any::<u8>(), 0..20),
        at in 0..20usize,
    ) {
        let _ = decimal::parse(&text, 38, 10);
        // One strange byte among digits.
        let mut digits = *b"12345.67890123456789";
        if let Some(byte) = text.first().filter(|byte| !byte.is_ascii_digit() && !b"eE.".contains(byte)) {
            digits[at] = *byte;
            for end in at + 1..=20 {
                let parsed = decimal::parse(&digits[..end], 38, 20);
                let leading_sign = at == 0 && b"+-".contains(byte);
                prop_assert!(leading_sign || parsed == Err(DecimalError::Syntax), "{parsed:?}");
            }
        }
    }

    #[test]
    fn text_reads_back_to_the_mantissa(mantissa in any_i128(), scale in 0..=38u8) {
        let text = decimal::format(mantissa, scale);
        let fits = mantissa.unsigned_abs() < 10u128.pow(38);
        let expected = if fits { Ok(mantissa) } else { Err(DecimalError::Range) };
        prop_assert_eq!(decimal::parse(text.as_bytes(), 38, scale), expected);
    }

    #[test]
    fn text_has_exactly_the_fraction_digits_of_its_scale(value in any_integer(383), scale in any::<u8>()) {
        let mut text = String::new();
        decimal::write_wide(&mut text, &i384(&value).unwrap(), scale).unwrap();
        let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
        prop_assert_eq!(fraction.len(), usize::from(scale));
        prop_assert_eq!(format!("{integer}{fraction}").parse::<BigInt>().unwrap(), value.clone());
        prop_assert_eq!(integer.starts_with('-'), value.is_negative());
        let unsigned = integer.trim_start_matches('-');
        prop_assert!(unsigned == "0" || !unsigned.starts_with('0'));
    }

    #[test]
    fn integers_read_as_rust_reads_them(signed: i64, unsigned: u64) {
        prop_assert_eq!(decimal::parse_i64(signed.to_string().as_bytes()), Ok(signed));
        prop_assert_eq!(decimal::parse_u64(unsigned.to_string().as_bytes()), Ok(unsigned));
    }

    #[test]
    fn a_rescaled_mantissa_has_the_same_value(
        mantissa in any_i128(),
        zeros in 0..30u32,
        from in any::<u8>(),
        to in any::<u8>(),
    ) {
        let mantissa = mantissa / 10i128.pow(zeros) * 10i128.pow(zeros);
        let exact = decimal_value(&mantissa.into(), from) * pow10(to.into());
        let expected = exact.is_integer().then(|| exact.to_integer()).and_then(|value| value.to_i128());
        prop_assert_eq!(decimal::rescale(mantissa, from, to), expected);
    }

    #[test]
    fn a_scale_is_rounded_half_to_even(value in any_integer(383), from in 0..=130u8, to in 0..=130u8, tie in 0..3u32) {
        // One in three ends in a five and zeros, so that shortening it often meets a tie.
        let dropped = u32::from(from.saturating_sub(to)).min(100);
        let value = match tie {
            0 if dropped > 0 => (value >> 340) * pow10(dropped) + pow10(dropped) / 2,
            _ => value,
        };
        let Some(mantissa) = i384(&value) else { return Ok(()) };
        let expected = i384(&nearest_integer(&(decimal_value(&value, from) * pow10(to.into()))));
        prop_assert_eq!(decimal::round_to_scale(&mantissa, from, to), expected);
    }

    #[test]
    fn narrow_ties_round_to_even(quotient in any::<i64>(), to in 0..=30u8, dropped in 1..=30u8, nudge in -1..=1i128) {
        let power = pow10(dropped.into());
        let value: BigInt = BigInt::from(quotient) * &power + &power / 2 + nudge;
        let expected = nearest_integer(&BigRational::new(value.clone(), power));
        let rounded = decimal::round_to_scale(&i384(&value).unwrap(), to + dropped, to);
        prop_assert_eq!(rounded, i384(&expected));
    }

    #[test]
    fn a_float_is_the_nearest_to_a_decimal(value in any_integer(383), scale in any::<u8>()) {
        let float = decimal::to_f64(&i384(&value).unwrap(), scale);
        same_bits(float, nearest_float(&decimal_value(&value, scale)));
    }

    #[test]
    fn a_float_is_the_nearest_to_a_narrow_decimal(mantissa in any_i128(), scale in 0..=40u8) {
        let float = decimal::i128_to_f64(mantissa, scale);
        same_bits(float, nearest_float(&decimal_value(&mantissa.into(), scale)));
        same_bits(float, decimal::to_f64(&I384::from_i128(mantissa), scale));
    }

    #[test]
    fn a_mantissa_just_too_long_for_a_float_is_rounded_once(mantissa in (1i128 << 53)..(1 << 55), scale in 0..=22u8) {
        same_bits(decimal::i128_to_f64(mantissa, scale), nearest_float(&decimal_value(&mantissa.into(), scale)));
    }

    #[test]
    fn a_decimal_is_the_nearest_to_a_float(x in any_finite(), precision in 1..=38u8, scale in any::<u8>()) {
        let nearest = nearest_integer(&(float_value(x) * pow10(scale.into())));
        let expected = (nearest.abs() < pow10(precision.into())).then(|| nearest.to_i128().unwrap());
        prop_assert_eq!(decimal::from_f64(x, precision, scale), expected);
    }

    #[test]
    fn a_binary_fraction_ties_to_even(odd in -1_000_000_000i64..1_000_000_000, scale in 0..=12u8) {
        // k/2 in units of 10^-scale, when that is a float, is exactly halfway for odd k.
        let exact = BigRational::new((2 * odd + 1).into(), 2.into()) / pow10(scale.into());
        let x = nearest_float(&exact);
        let expected = nearest_integer(&(float_value(x) * pow10(scale.into())));
        prop_assert_eq!(decimal::from_f64(x, 38, scale), expected.to_i128());
    }

    #[test]
    fn a_decimal_of_15_digits_survives_a_float(
        mantissa in -999_999_999_999_999i128..=999_999_999_999_999,
        scale in 0..=15u8,
    ) {
        let float = decimal::i128_to_f64(mantissa, scale);
        prop_assert_eq!(decimal::from_f64(float, 38, scale), Some(mantissa));
    }

    #[test]
    fn comparison_is_that_of_the_values(
        a in any_integer(383),
        b in any_integer(383),
        sa in any::<u8>(),
        sb in any::<u8>(),
    ) {
        let order = decimal::compare(&i384(&a).unwrap(), sa, &i384(&b).unwrap(), sb);
        prop_assert_eq!(order, decimal_value(&a, sa).cmp(&decimal_value(&b, sb)));
    }

    #[test]
    fn equal_values_of_two_scales_compare_equal(
        a in any_integer(200),
        sa in 0..=100u8,
        more in 0..=50u8,
        nudge in -1..=1i32,
    ) {
        let b = &a * pow10(more.into()) + nudge;
        let order = decimal::compare(&i384(&a).unwrap(), sa, &i384(&b).unwrap(), sa + more);
        prop_assert_eq!(order, 0.cmp(&nudge));
    }
}

fn parse(text: &str, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    decimal::parse(text.as_bytes(), precision, scale)
}

#[test]
fn the_grammar_is_jsons_and_a_little_more() {
    let accepted = [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("+5", 50_000),
        ("007", 70_000),
        (".5", 5_000),
        ("-.5", -5_000),
        ("+.5", 5_000),
        ("1.50", 15_000),
        ("1.5000", 15_000),
        ("1.50000000000000000000000000000000000000000000000", 15_000),
        ("-1.50e-3", -15),
        ("1e2", 1_000_000),
        ("1E+2", 1_000_000),
        ("12345678.1234", 123_456_781_234),
        ("123456789.12", 1_234_567_891_200),
        ("00000000000000000000000000000000000000000000000001", 10_000),
        ("1234567890.0000000", 12_345_678_900_000),
    ];
    for (text, mantissa) in accepted {
        assert_eq!(parse(text, 18, 4), Ok(mantissa), "{text}");
    }
    let refused = [
        "",
        "-",
        "+",
        ".",
        "-.",
        "5.",
        "-5.",
        "5.e1",
        ".e1",
        "e1",
        "1e",
        "1e+",
        "1e-",
        "1e1.5",
        "1e 1",
        " 1",
        "1 ",
        "1 2",
        "--1",
        "+-1",
        "1.2.3",
        "1..2",
        "..1",
        "1,5",
        "0x10",
        "NaN",
        "inf",
        "1_000",
        "12345678901234567.",
        "1234567.8.9",
        "12345678.12345.",
        "\u{661}",
    ];
    for text in refused {
        assert_eq!(parse(text, 38, 4), Err(DecimalError::Syntax), "{text:?}");
    }
}

#[test]
fn a_digit_beyond_the_scale_is_refused_unless_it_is_zero() {
    assert_eq!(parse("1.23456", 18, 4), Err(DecimalError::Scale));
    assert_eq!(parse("1.23450", 18, 4), Ok(12_345));
    assert_eq!(parse("1e-5", 18, 4), Err(DecimalError::Scale));
    assert_eq!(parse("10e-5", 18, 4), Ok(1));
    // Both too long and too fine: the scale is named.
    assert_eq!(parse("123456.7", 2, 0), Err(DecimalError::Scale));
}

#[test]
fn more_digits_than_the_precision_are_out_of_range() {
    assert_eq!(parse("99.99", 4, 2), Ok(9_999));
    assert_eq!(parse("100", 4, 2), Err(DecimalError::Range));
    assert_eq!(parse("-100.00", 4, 2), Err(DecimalError::Range));
    let nines = "9".repeat(38);
    assert_eq!(parse(&nines, 38, 0), Ok(10i128.pow(38) - 1));
    assert_eq!(parse(&format!("{nines}9"), 38, 0), Err(DecimalError::Range));
    assert_eq!(parse(&format!("-{nines}"), 38, 0), Ok(1 - 10i128.pow(38)));
    assert_eq!(parse("1", 38, 38), Err(DecimalError::Range));
    assert_eq!(parse("0.1", 38, 38), Ok(10i128.pow(37)));
    // A precision past 38 is one of 38.
    assert_eq!(parse(&format!("1{}", "0".repeat(38)), 255, 0), Err(DecimalError::Range));
    assert_eq!(parse("1", 255, 255), Err(DecimalError::Range));
    assert_eq!(parse("0", 1, 255), Ok(0));
}

#[test]
fn a_huge_exponent_costs_nothing() {
    assert_eq!(parse("1e999999999", 38, 0), Err(DecimalError::Range));
    assert_eq!(parse("0e999999999", 38, 0), Ok(0));
    assert_eq!(parse("1e-999999999", 38, 0), Err(DecimalError::Scale));
    assert_eq!(parse("-0.000e-99999999999999999999999999", 38, 0), Ok(0));
    assert_eq!(parse("1e99999999999999999999999999", 38, 38), Err(DecimalError::Range));
    assert_eq!(parse("1e-99999999999999999999999999", 38, 38), Err(DecimalError::Scale));
    let far = format!("0.{}1e100001", "0".repeat(100_000));
    assert_eq!(parse(&far, 38, 0), Ok(1));
    let near = format!("1{}e-100000", "0".repeat(100_000));
    assert_eq!(parse(&near, 38, 0), Ok(1));
}

#[test]
fn integers_may_be_written_with_a_point_or_an_exponent_but_not_be_fractions() {
    assert_eq!(decimal::parse_i64(b"5.0"), Ok(5));
    assert_eq!(decimal::parse_i64(b"5e2"), Ok(500));
    assert_eq!(decimal::parse_i64(b"500e-2"), Ok(5));
    assert_eq!(decimal::parse_i64(b"5.5"), Err(DecimalError::Scale));
    assert_eq!(decimal::parse_i64(b"five"), Err(DecimalError::Syntax));
    assert_eq!(decimal::parse_i64(b"-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(decimal::parse_i64(b"9223372036854775808"), Err(DecimalError::Range));
    assert_eq!(decimal::parse_i64(b"1e40"), Err(DecimalError::Range));
    assert_eq!(decimal::parse_u64(b"18446744073709551615"), Ok(u64::MAX));
    assert_eq!(decimal::parse_u64(b"18446744073709551616"), Err(DecimalError::Range));
    assert_eq!(decimal::parse_u64(b"-0"), Ok(0));
    assert_eq!(decimal::parse_u64(b"-1"), Err(DecimalError::Range));
}

#[test]
fn every_length_of_the_short_form_reads_right() {
    let digits = "1234567890987654321";
    for length in 1..=19 {
        let text = &digits[..length];
        assert_eq!(parse(text, 38, 0), Ok(text.parse().unwrap()), "{text}");
        for point in 1..length {
            let pointed = format!("{}.{}", &text[..point], &text[point..]);
            let expected = text.parse::<i128>().unwrap() * 10i128.pow(18 - (length - point) as u32);
            assert_eq!(parse(&pointed, 38, 18), Ok(expected), "{pointed}");
            assert_eq!(parse(&format!("-{pointed}"), 38, 18), Ok(-expected), "-{pointed}");
        }
    }
}

#[test]
fn text_is_padded_to_its_scale() {
    let cases = [
        (150_000_000, 8, "1.50000000"),
        (-5, 2, "-0.05"),
        (0, 0, "0"),
        (0, 3, "0.000"),
        (-7, 0, "-7"),
        (123, 3, "0.123"),
        (10i128.pow(19), 0, "10000000000000000000"),
        (10i128.pow(38), 19, "10000000000000000000.0000000000000000000"),
        (i128::MAX, 0, "170141183460469231731687303715884105727"),
        (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        (1, 40, "0.0000000000000000000000000000000000000001"),
    ];
    for (mantissa, scale, text) in cases {
        assert_eq!(decimal::format(mantissa, scale), text);
        let mut wide = String::new();
        decimal::write_wide(&mut wide, &I384::from_i128(mantissa), scale).unwrap();
        assert_eq!(wide, text);
    }
}

#[test]
fn an_unrepresentable_rescale_is_refused() {
    assert_eq!(decimal::rescale(15, 1, 4), Some(15_000));
    assert_eq!(decimal::rescale(15_000, 4, 1), Some(15));
    assert_eq!(decimal::rescale(15_001, 4, 1), None);
    assert_eq!(decimal::rescale(i128::MAX, 0, 1), None);
    assert_eq!(decimal::rescale(1, 0, 39), None);
    assert_eq!(decimal::rescale(1, 39, 0), None);
    assert_eq!(decimal::rescale(0, 0, 255), Some(0));
    assert_eq!((decimal::pow10(0), decimal::pow10(38)), (1, 10i128.pow(38)));
}

#[test]
fn a_larger_scale_may_leave_the_width_and_a_smaller_never() {
    let max = i384(&(pow2(383) - 1)).unwrap();
    assert_eq!(decimal::round_to_scale(&max, 0, 1), None);
    assert_eq!(decimal::round_to_scale(&max, 255, 0), Some(I384::ZERO));
    assert_eq!(decimal::round_to_scale(&I384::ZERO, 0, 255), Some(I384::ZERO));
    assert_eq!(decimal::round_to_scale(&I384::from(25i64), 1, 0), Some(I384::from(2i64)));
    assert_eq!(decimal::round_to_scale(&I384::from(-35i64), 1, 0), Some(I384::from(-4i64)));
    assert_eq!(decimal::round_to_scale(&I384::from_i128(i128::MAX), 38, 0), Some(I384::from(2i64)));
    assert_eq!(decimal::round_to_scale(&I384::from_i128(i128::MIN), 38, 0), Some(I384::from(-2i64)));
}

#[test]
fn floats_that_are_no_decimal_of_the_precision_are_refused() {
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(decimal::from_f64(x, 38, 0), None);
    }
    assert_eq!(decimal::from_f64(-0.0, 38, 255), Some(0));
    assert_eq!(decimal::from_f64(f64::from_bits(1), 38, 255), Some(0));
    assert_eq!(decimal::from_f64(f64::MAX, 38, 0), None);
    assert_eq!(
        decimal::from_f64(0.1, 38, 38).map(|m| m.to_string()).as_deref(),
        Some("10000000000000000555111512312578270212")
    );
    assert_eq!(decimal::from_f64(2.5, 38, 0), Some(2));
    assert_eq!(decimal::from_f64(-3.5, 38, 0), Some(-4));
    assert_eq!(decimal::from_f64(99.994, 4, 2), Some(9_999));
    // Rounding itself may carry it out of range.
    assert_eq!(decimal::from_f64(99.996, 4, 2), None);
}

#[test]
fn floats_of_every_exponent_are_rounded_right() {
    for exponent in 0..2047u64 {
        for fraction in [0, 1, 1 << 51, (1 << 52) - 1] {
            let x = f64::from_bits(exponent << 52 | fraction);
            for scale in [0, 22, 23, 255] {
                let nearest = nearest_integer(&(float_value(x) * pow10(scale.into())));
                let expected = (nearest < pow10(38)).then(|| nearest.to_i128().unwrap());
                assert_eq!(decimal::from_f64(x, 38, scale), expected, "{x:e} at {scale}");
            }
        }
    }
}

#[test]
fn the_nearest_float_is_found_where_a_quotient_of_floats_would_miss_it() {
    same_bits(decimal::i128_to_f64(9_007_199_254_740_993, 0), 9_007_199_254_740_992.0);
    same_bits(decimal::i128_to_f64(9_007_199_254_740_993, 3), 9_007_199_254_740.993);
    same_bits(decimal::i128_to_f64(1, 255), 1e-255);
    same_bits(decimal::i128_to_f64(1, 23), 1e-23);
    same_bits(decimal::i128_to_f64(-1, 1), -0.1);
    same_bits(decimal::i128_to_f64(0, 200), 0.0);
}

#[test]
fn errors_say_what_was_wrong() {
    assert_eq!(DecimalError::Scale.to_string(), "more fraction digits than the declared scale");
    assert_eq!(DecimalError::Syntax.to_string(), "not a number");
    assert_eq!(DecimalError::Range.to_string(), "out of the declared range");
}
