//! JSON values as nearly every event writes them, read in one pass: a number of at most 18 digits without an exponent,
//! and a string without escapes.
//!
//! It takes a value or leaves it alone. What it leaves, jiter reads; what both can read, they read alike.

use slackwater_core::builder::RowBuilder;
use slackwater_core::number::decimal;
use slackwater_core::value::Type;

/// Most digits that it reads: their value fits in 64 bits.
const DIGITS: usize = 18;

/// Sets `field` from the value that begins at `at`, and gives the place behind it; none where it is left alone.
#[inline]
pub(super) fn take(line: &[u8], at: usize, field: usize, row: &mut RowBuilder<'_>) -> Option<usize> {
    let declared = &row.schema().fields()[field];
    if declared.ty == Type::Text {
        let end = string(line, at)?;
        row.set_text(field, &line[at + 1..end]);
        return Some(end + 1);
    }
    let Number { negative, digits, places, end } = number(line, at)?;
    let signed = if negative { -(digits as i64) } else { digits as i64 };
    match declared.ty {
        Type::Decimal { precision, scale } => {
            // More than ten to the 38 has no room, and is refused where all numbers are.
            let missing = scale.checked_sub(places)?;
            let mantissa = i128::from(signed).checked_mul(decimal::pow10(missing.into()))?;
            if mantissa.unsigned_abs() >= decimal::pow10(precision.into()).unsigned_abs() {
                return None;
            }
            row.set_decimal(field, mantissa);
        }
        Type::U64 if places == 0 && !negative => row.set_u64(field, digits),
        Type::I64 if places == 0 => row.set_i64(field, signed),
        Type::Timestamp if places == 0 => row.set_time(field, signed.checked_mul(declared.unit.nanos())?),
        _ => return None,
    }
    Some(end)
}

struct Number {
    negative: bool,
    digits: u64,
    /// Digits behind the point.
    places: u8,
    end: usize,
}

/// The number at `at`, if a comma or brace follows it at once.
#[inline]
fn number(line: &[u8], at: usize) -> Option<Number> {
    let negative = line.get(at) == Some(&b'-');
    let start = at + usize::from(negative);
    let (mut end, mut digits, mut point) = (start, 0u64, None);
    loop {
        match line.get(end)? {
            digit @ b'0'..=b'9' => digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
            b'.' if point.is_none() => point = Some(end),
            b',' | b'}' => break,
            _ => return None,
        }
        end += 1;
    }
    let whole = point.unwrap_or(end) - start;
    let places = point.map_or(0, |point| end - point - 1);
    let leading_zero = whole > 1 && line[start] == b'0';
    let sound = whole > 0 && !leading_zero && whole + places <= DIGITS && (point.is_none() || places > 0);
    sound.then_some(Number { negative, digits, places: places as u8, end })
}

/// The place of the quote that ends the string at `at`, if nothing in between means anything but itself.
#[inline]
fn string(line: &[u8], at: usize) -> Option<usize> {
    if line.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = at + 1;
    loop {
        match line.get(end)? {
            b'"' => return Some(end),
            b'\\' | ..b' ' => return None,
            _ => end += 1,
        }
    }
}
