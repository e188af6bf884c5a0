//! JSON values as nearly every event writes them, read eight bytes at a time: a number of at most 18 digits without an
//! exponent, and a string without escapes.
//!
//! It takes a value or leaves it alone. What it leaves, jiter reads; what both can read, they read alike.

use slackwater_core::builder::RowBuilder;
use slackwater_core::number::short::{TENS, eight_digits, repeat};
use slackwater_core::value::Type;

/// Most digits that it reads: their value fits in 64 bits.
const DIGITS: usize = 18;

/// Sets `field` from the value that begins at `at`, and gives the place behind it; none where it is left alone.
#[inline]
pub(super) fn take(line: &[u8], at: usize, field: usize, row: &mut RowBuilder<'_>) -> Option<usize> {
    let declared = &row.schema().fields()[field];
    if let Type::Text = declared.ty {
        let end = string(line, at)?;
        row.set_plain_text(field, &line[at + 1..end]);
        return Some(end + 1);
    }
    let Number { negative, digits, places, end } = number(line, at)?;
    let signed = |magnitude: u64| if negative { -(magnitude as i64) } else { magnitude as i64 };
    match declared.ty {
        Type::Decimal { precision, scale } => {
            let missing = scale.checked_sub(places)?;
            let magnitude = digits.checked_mul(*TENS.get(usize::from(missing))?)?;
            // What is too long is refused where all numbers are; more than 18 digits are read there too.
            if magnitude >= TENS[DIGITS.min(precision.into())] {
                return None;
            }
            row.set_decimal(field, signed(magnitude).into());
        }
        Type::U64 if places == 0 && !negative => row.set_u64(field, digits),
        Type::I64 if places == 0 => row.set_i64(field, signed(digits)),
        Type::Timestamp if places == 0 => row.set_time(field, signed(digits).checked_mul(declared.unit.nanos())?),
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
    let word = word(line, start);
    let whole = leading_digits(word);
    if whole == 0 || (whole > 1 && word as u8 == b'0') {
        return None;
    }
    if whole == 8 {
        return long(line, start, negative);
    }
    let behind = word >> (8 * whole);
    let (digits, places, end) = if behind as u8 == b'.' {
        let places = leading_digits(behind >> 8);
        // What stands behind the point moves down over it.
        let before = (1 << (8 * whole)) - 1;
        let joined = word & before | word >> 8 & !before;
        (value(joined, whole + places), places, start + whole + 1 + places)
    } else {
        (value(word, whole), 0, start + whole)
    };
    match line.get(end)? {
        b',' | b'}' if places > 0 || behind as u8 != b'.' => {
            Some(Number { negative, digits, places: places as u8, end })
        }
        b'0'..=b'9' => long(line, start, negative),
        _ => None,
    }
}

/// The same for one whose digits fill a word or more, and which does not begin with a zero that means nothing.
fn long(line: &[u8], start: usize, negative: bool) -> Option<Number> {
    let (mut digits, mut end) = run(line, start, 0)?;
    let (whole, mut places) = (end - start, 0);
    if line.get(end) == Some(&b'.') {
        let point = end;
        (digits, end) = run(line, point + 1, digits)?;
        places = end - point - 1;
        if places == 0 {
            return None;
        }
    }
    let sound = whole + places <= DIGITS && matches!(line.get(end), Some(b',' | b'}'));
    sound.then_some(Number { negative, digits, places: places as u8, end })
}

/// The digits from `at` on behind those of `before`, and where they end; none where they are far too many.
#[inline]
fn run(line: &[u8], at: usize, before: u64) -> Option<(u64, usize)> {
    let (mut digits, mut end) = (before, at);
    while line.get(end).is_some_and(u8::is_ascii_digit) {
        let word = word(line, end);
        let count = leading_digits(word);
        // Of more than 18 in all the value is not asked for.
        digits = digits.wrapping_mul(TENS[count]).wrapping_add(value(word, count));
        end += count;
        if end - at > DIGITS {
            return None;
        }
    }
    Some((digits, end))
}

/// The eight bytes from `at` on, the first one lowest; zeros behind the end.
#[inline]
fn word(line: &[u8], at: usize) -> u64 {
    let rest = line.get(at..).unwrap_or_default();
    match (rest.first_chunk::<8>(), line.last_chunk::<8>()) {
        (Some(bytes), _) => u64::from_le_bytes(*bytes),
        (None, Some(last)) if !rest.is_empty() => u64::from_le_bytes(*last) >> (8 * (8 - rest.len())),
        _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// How many bytes of a word, from the lowest on, are digits.
#[inline]
fn leading_digits(word: u64) -> usize {
    // The upper half of a digit is a 3, and stays one if 6 is added. What is carried over is carried behind the first other byte.
    let upper = |word: u64| (word & repeat(0xf0)) ^ repeat(0x30);
    ((upper(word) | upper(word.wrapping_add(repeat(6)))).trailing_zeros() / 8) as usize
}

/// The number that so many digits at the low end of a word are, at least one.
#[inline]
fn value(word: u64, count: usize) -> u64 {
    eight_digits((word << (64 - 8 * count)) & repeat(0x0f))
}

/// The place of the quote that ends the string at `at`, if nothing in between means anything but itself.
#[inline]
fn string(line: &[u8], at: usize) -> Option<usize> {
    if line.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = at + 1;
    loop {
        let word = word(line, end);
        let special = zeros(word ^ repeat(b'"')) | zeros(word ^ repeat(b'\\')) | below_space(word);
        if special != 0 {
            end += (special.trailing_zeros() / 8) as usize;
            return (line.get(end) == Some(&b'"')).then_some(end);
        }
        end += 8;
    }
}

/// Marks the first zero byte of a word, if there is one; above it anything may be marked.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeat(1)) & !word & repeat(0x80)
}

/// Marks the first byte of a word that is a control character, if there is one; above it anything may be marked.
#[inline]
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(repeat(b' ')) & !word & repeat(0x80)
}
