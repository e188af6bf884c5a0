//! Decimals: an `i128` mantissa whose scale the schema knows, so that `1.50` at scale 4 is the integer 15000.
//!
//! Reading is exact or refused, never rounded; a rounding happens only where its name says so, and then half to even.

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;

use super::float::{EXACT_FLOAT_BITS, FloatParts};
use super::int::I384;
use super::nat::Nat;
use super::ratio::Ratio;
use super::short::{Short, TENS};

/// The most significant digits a decimal can have: the most that an `i128` always holds.
pub const MAX_PRECISION: u8 = 38;

/// Why a text is not the decimal it was declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a number at all.
    Syntax,
    /// A digit other than zero lies beyond the declared scale; keeping the value would have rounded it.
    Scale,
    /// More significant digits than the declared precision, or outside the integer type.
    Range,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not a number",
            Self::Scale => "more fraction digits than the declared scale",
            Self::Range => "out of the declared range",
        })
    }
}

impl core::error::Error for DecimalError {}

const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = powers[k - 1] * 10;
        k += 1;
    }
    powers
};

/// `10^k`.
///
/// # Panics
/// When `k` exceeds 38, the last power an `i128` holds.
#[inline]
pub const fn pow10(k: u32) -> i128 {
    assert!(k < POWERS.len() as u32, "the power of ten exceeds an i128");
    POWERS[k as usize]
}

/// The exclusive bound of the magnitudes that have at most `precision` digits.
#[inline]
fn bound(precision: u8) -> u128 {
    POWERS[usize::from(precision.min(MAX_PRECISION))].unsigned_abs()
}

/// The mantissa at `scale` of the number written in `text`, which must have at most `precision` digits at that scale.
///
/// The grammar is that of a JSON number, and besides a leading `+`, leading zeros and an empty integer part (`.5`).
///
/// # Errors
/// [`DecimalError::Syntax`] for anything else, [`DecimalError::Scale`] when the value is not a multiple of `10^-scale`,
/// [`DecimalError::Range`] when it has too many digits. A value that errs both ways is a `Scale` error.
#[inline]
pub fn parse(text: &[u8], precision: u8, scale: u8) -> Result<i128, DecimalError> {
    if let Some(short) = Short::read(text)
        && let Some(missing) = scale.checked_sub(short.fraction_digits)
        && let Some(power) = TENS.get(usize::from(missing))
    {
        // Two 64-bit factors.
        let magnitude = u128::from(short.digits).wrapping_mul(u128::from(*power));
        if magnitude >= bound(precision) {
            return Err(DecimalError::Range);
        }
        let mantissa = magnitude as i128;
        return Ok(if short.negative { mantissa.wrapping_neg() } else { mantissa });
    }
    parse_any(text, precision, scale)
}

/// The integer written in `text`, in the grammar of [`parse`]; `5.0` and `5e2` are integers too.
///
/// # Errors
/// As [`parse`] at scale 0; [`DecimalError::Range`] outside `i64`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Result<i64, DecimalError> {
    let value = parse(text, MAX_PRECISION, 0)?;
    i64::try_from(value).map_err(|_| DecimalError::Range)
}

/// The integer written in `text`, in the grammar of [`parse`]; `5.0` and `5e2` are integers too.
///
/// # Errors
/// As [`parse`] at scale 0; [`DecimalError::Range`] outside `u64`.
#[inline]
pub fn parse_u64(text: &[u8]) -> Result<u64, DecimalError> {
    let value = parse(text, MAX_PRECISION, 0)?;
    u64::try_from(value).map_err(|_| DecimalError::Range)
}

/// [`parse`] for the whole grammar and any length.
#[cold]
fn parse_any(text: &[u8], precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let (negative, body) = match text {
        [b'-', body @ ..] => (true, body),
        [b'+', body @ ..] => (false, body),
        _ => (false, text),
    };
    let (integer, rest) = split_digits(body);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => {
            let (fraction, rest) = split_digits(rest);
            if fraction.is_empty() {
                return Err(DecimalError::Syntax);
            }
            (fraction, rest)
        }
        _ => (&[][..], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return Err(DecimalError::Syntax);
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
        _ => return Err(DecimalError::Syntax),
    };
    let magnitude = assemble(integer, fraction, exponent + i128::from(scale), precision)?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// The digits at the start of `text`, and the rest.
fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The exponent after its `e`, saturated far beyond what any text in memory could bring back into range.
fn parse_exponent(text: &[u8]) -> Result<i128, DecimalError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::Syntax);
    }
    let append = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    let value = i128::from(digits.iter().fold(0, append));
    Ok(if negative { -value } else { value })
}

/// The integer `integer.fraction * 10^exponent`, of at most `precision` digits.
fn assemble(integer: &[u8], fraction: &[u8], exponent: i128, precision: u8) -> Result<i128, DecimalError> {
    let digits = || integer.iter().chain(fraction);
    let Some(first) = digits().position(|digit| *digit != b'0') else {
        return Ok(0);
    };
    // Between the first and the last digit that is not zero lies all that counts.
    let last = integer.len() + fraction.len() - 1 - digits().rev().take_while(|digit| **digit == b'0').count();
    // The exponent of the last one's place.
    let place = exponent + integer.len() as i128 - 1 - last as i128;
    if place < 0 {
        return Err(DecimalError::Scale);
    }
    let significant = last - first + 1;
    if significant as i128 + place > i128::from(precision.min(MAX_PRECISION)) {
        return Err(DecimalError::Range);
    }
    let append = |value: i128, digit: &u8| value * 10 + i128::from(digit - b'0');
    let mantissa = digits().skip(first).take(significant).fold(0, append);
    Ok(mantissa * POWERS[place as usize])
}

/// `mantissa * 10^-scale` as text with exactly `scale` fraction digits: `-0.05`.
pub fn format(mantissa: i128, scale: u8) -> String {
    let mut text = String::new();
    write(&mut text, mantissa, scale).expect("a String takes any text");
    text
}

/// Writes `mantissa * 10^-scale` with exactly `scale` fraction digits, and no point when there are none.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl fmt::Write, mantissa: i128, scale: u8) -> fmt::Result {
    let mut buffer = [b'0'; POWERS.len()];
    let mut start = buffer.len();
    let mut left = mantissa.unsigned_abs();
    while left != 0 {
        // Digits come off 64-bit chunks, whose division is cheap.
        const CHUNK: u128 = POWERS[19].unsigned_abs();
        let mut chunk = (left % CHUNK) as u64;
        left /= CHUNK;
        let chunk_end = start;
        while chunk != 0 || (left != 0 && chunk_end - start < 19) {
            start -= 1;
            buffer[start] = b'0' + (chunk % 10) as u8;
            chunk /= 10;
        }
    }
    let digits = core::str::from_utf8(&buffer[start..]).expect("digits are ASCII");
    write_digits(out, mantissa < 0, digits, usize::from(scale))
}

/// [`write()`] for a wide mantissa.
///
/// # Errors
/// Those of `out`.
pub fn write_wide(out: &mut impl fmt::Write, mantissa: &I384, scale: u8) -> fmt::Result {
    match mantissa.to_i128() {
        Some(narrow) => write(out, narrow, scale),
        None => {
            let digits = mantissa.magnitude().to_decimal_text();
            write_digits(out, mantissa.is_negative(), &digits, usize::from(scale))
        }
    }
}

/// Writes digits (without leading zeros) with the point before the last `scale` of them.
fn write_digits(out: &mut impl fmt::Write, negative: bool, digits: &str, scale: usize) -> fmt::Result {
    let (integer, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    if negative {
        out.write_char('-')?;
    }
    out.write_str(if integer.is_empty() { "0" } else { integer })?;
    if scale == 0 {
        return Ok(());
    }
    out.write_char('.')?;
    for _ in fraction.len()..scale {
        out.write_char('0')?;
    }
    out.write_str(fraction)
}

/// The mantissa of the same value at another scale; `None` when the value needs more digits than `to` has, or the
/// mantissa more than an `i128`.
#[inline]
pub fn rescale(mantissa: i128, from: u8, to: u8) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    // A power past the table exceeds every mantissa: it neither divides nor multiplies one.
    let power = *POWERS.get(usize::from(from.abs_diff(to)))?;
    if to >= from { mantissa.checked_mul(power) } else { (mantissa % power == 0).then(|| mantissa / power) }
}

/// The mantissa at scale `to` nearest to the value at scale `from`, ties to even; `None` when it leaves the width, as
/// only a larger scale can make it.
pub fn round_to_scale(mantissa: &I384, from: u8, to: u8) -> Option<I384> {
    if to >= from {
        return mantissa.checked_mul_pow10(u32::from(to - from));
    }
    let dropped = from - to;
    match (mantissa.to_i128(), POWERS.get(usize::from(dropped))) {
        (Some(narrow), Some(power)) => Some(I384::from_i128(div_half_even(narrow, *power))),
        _ => {
            let rounded = mantissa.magnitude().div_half_even(&Nat::pow10(u32::from(dropped)));
            I384::from_sign_magnitude(mantissa.is_negative(), &rounded)
        }
    }
}

/// `value / power` to the nearest, ties to even, for a `power` of ten above one.
fn div_half_even(value: i128, power: i128) -> i128 {
    let (quotient, rest) = (value / power, value % power);
    // A power of ten above one is even, so its half is exact.
    let up = match rest.unsigned_abs().cmp(&(power.unsigned_abs() / 2)) {
        Ordering::Less => false,
        Ordering::Equal => quotient & 1 != 0,
        Ordering::Greater => true,
    };
    quotient + if up { value.signum() } else { 0 }
}

/// The float nearest to `mantissa * 10^-scale`, ties to even.
pub fn to_f64(mantissa: &I384, scale: u8) -> f64 {
    match mantissa.to_i128() {
        Some(narrow) => i128_to_f64(narrow, scale),
        None => wide_to_f64(mantissa, scale),
    }
}

/// The float nearest to `mantissa * 10^-scale`, ties to even.
#[inline]
pub fn i128_to_f64(mantissa: i128, scale: u8) -> f64 {
    /// The powers of ten that are floats.
    const EXACT: [f64; 23] = {
        let mut powers = [1.0; 23];
        let mut k = 0;
        while k < powers.len() {
            powers[k] = POWERS[k] as f64;
            k += 1;
        }
        powers
    };
    // One division of two exact floats is rounded as IEEE 754 asks, and so is the conversion of an integer.
    if scale == 0 {
        return mantissa as f64;
    }
    match EXACT.get(usize::from(scale)) {
        Some(power) if mantissa.unsigned_abs() >> EXACT_FLOAT_BITS == 0 => mantissa as i64 as f64 / power,
        _ => wide_to_f64(&I384::from_i128(mantissa), scale),
    }
}

#[cold]
fn wide_to_f64(mantissa: &I384, scale: u8) -> f64 {
    Ratio::new(mantissa.is_negative(), mantissa.magnitude(), Nat::pow10(u32::from(scale))).to_f64()
}

/// The exact value of `x`, rounded once to the nearest multiple of `10^-scale`, ties to even, as its mantissa.
///
/// `None` when `x` is not finite, or the mantissa has more than `precision` digits.
pub fn from_f64(x: f64, precision: u8, scale: u8) -> Option<i128> {
    let parts = FloatParts::of_finite(x)?;
    let rounded = scaled_to_integer(parts, scale)?;
    if rounded >= bound(precision) {
        return None;
    }
    Some(if parts.negative { -(rounded as i128) } else { rounded as i128 })
}

/// The magnitude of `parts * 10^scale` rounded to the nearest integer, ties to even; `None` beyond a `u128`.
fn scaled_to_integer(parts: FloatParts, scale: u8) -> Option<u128> {
    /// The largest scale at which a 53-bit mantissa times its power of ten stays below 2^127.
    const NARROW_SCALE: u8 = 22;
    if parts.mantissa == 0 {
        return Some(0);
    }
    let shift = parts.exponent.unsigned_abs();
    if scale <= NARROW_SCALE {
        let scaled = u128::from(parts.mantissa) * pow10(u32::from(scale)).unsigned_abs();
        return if parts.exponent >= 0 {
            (shift <= scaled.leading_zeros()).then(|| scaled << shift)
        } else {
            Some(shr_half_even(scaled, shift))
        };
    }
    let scaled = Nat::from(parts.mantissa).mul(&Nat::pow10(u32::from(scale)));
    let shifted = if parts.exponent >= 0 {
        scaled.shl(u64::from(shift))
    } else {
        scaled.div_half_even(&Nat::pow2(u64::from(shift)))
    };
    shifted.to_u128()
}

/// `value / 2^count` to the nearest, ties to even, for a `value` below 2^127 and a `count` above zero.
fn shr_half_even(value: u128, count: u32) -> u128 {
    if count >= u128::BITS {
        // Less than a half.
        return 0;
    }
    let (floor, half) = (value >> count, 1u128 << (count - 1));
    match (value & ((half << 1) - 1)).cmp(&half) {
        Ordering::Less => floor,
        Ordering::Equal => floor + (floor & 1),
        Ordering::Greater => floor + 1,
    }
}

/// Compares `a * 10^-scale_a` with `b * 10^-scale_b`, exactly and at any scales.
pub fn compare(a: &I384, scale_a: u8, b: &I384, scale_b: u8) -> Ordering {
    if scale_a > scale_b {
        return compare(b, scale_b, a, scale_a).reverse();
    }
    match a.checked_mul_pow10(u32::from(scale_b - scale_a)) {
        Some(scaled) => scaled.cmp(b),
        // What leaves the width lies beyond every value that does not.
        None if a.is_negative() => Ordering::Less,
        None => Ordering::Greater,
    }
}
