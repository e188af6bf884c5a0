//! JSON values as nearly every event writes them, read eight bytes at a time: a number of at most 18 digits without an
//! exponent, and a string without escapes.
//!
//! It takes a value or leaves it alone. What it leaves, jiter reads; what both can read, they read alike. It may be
//! given more bytes than the event has, if a line end comes first: that is part of no value.

use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::number::short::{TENS, above_nine, eight_digits, repeat};
use slackwater_core::value::Type;

/// Most digits that it reads: their value fits in 64 bits.
const DIGITS: usize = 18;

/// How the values of a declared field are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub target: Target,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    U64,
    I64,
    /// Of so many nanoseconds.
    Time(i64),
    /// With so many digits behind the point, and below a bound. What is too long is refused where all numbers are; more
    /// than 18 digits are read there too.
    Decimal(u8, u64),
    /// Left alone.
    Other,
}

impl Plain {
    pub(super) fn new(target: Target) -> Plain {
        let form = match target.ty {
            Type::Text => Form::Text,
            Type::U64 => Form::U64,
            Type::I64 => Form::I64,
            Type::Timestamp => Form::Time(target.unit.nanos()),
            Type::Decimal { precision, scale } => Form::Decimal(scale, TENS[DIGITS.min(precision.into())]),
            Type::Float64 | Type::Bool | Type::Array(_) => Form::Other,
        };
        Plain { target, form }
    }

    /// Sets the field from the value that `bytes` begins with, and gives what stands behind it; none where it is left alone.
    #[inline(always)]
    pub(super) fn take<'j>(&self, bytes: &'j [u8], row: &mut RowBuilder<'_>) -> Option<&'j [u8]> {
        let target = &self.target;
        let number = match self.form {
            Form::Text => return text(bytes, target, row),
            Form::Other => return None,
            _ => number(bytes)?,
        };
        match self.form {
            Form::Decimal(scale, bound) => {
                let missing = usize::from(scale).checked_sub(number.places)?;
                let magnitude = number.digits.checked_mul(*TENS.get(missing)?).filter(|digits| *digits < bound)?;
                row.set_decimal(target, number.signed(magnitude).into());
            }
            _ if number.places > 0 => return None,
            Form::Time(nanos) => row.set_time(target, number.signed(number.digits).checked_mul(nanos)?),
            Form::I64 => row.set_i64(target, number.signed(number.digits)),
            _ if number.negative => return None,
            _ => row.set_u64(target, number.digits),
        }
        Some(number.rest)
    }
}

/// A number that a comma or brace follows at once.
struct Number<'j> {
    negative: bool,
    digits: u64,
    /// Digits behind the point.
    places: usize,
    rest: &'j [u8],
}

impl Number<'_> {
    /// A magnitude of at most 18 digits, with the number's sign.
    #[inline(always)]
    fn signed(&self, magnitude: u64) -> i64 {
        let value = magnitude as i64;
        if self.negative { value.wrapping_neg() } else { value }
    }
}

/// The number that `bytes` begins with. Near their end it is left alone.
#[inline(always)]
fn number(bytes: &[u8]) -> Option<Number<'_>> {
    let negative = bytes.first() == Some(&b'-');
    let bytes = if negative { &bytes[1..] } else { bytes };
    let first = word(bytes.first_chunk()?) ^ repeat(b'0');
    let others = above_nine(first);
    let whole = first_marked(others);
    if whole == 0 || (whole > 1 && first as u8 == 0) {
        return None;
    }
    if whole == 8 {
        return long(bytes, 8, eight_digits(first), negative);
    }
    match (first >> (8 * whole)) as u8 ^ b'0' {
        b',' | b'}' => {
            let rest = bytes.get(whole..)?;
            Some(Number { negative, digits: value(first, whole), places: 0, rest })
        }
        b'.' => {
            // Nothing is carried over from a point, so the next one that is marked is no digit either.
            let end = first_marked(others & (others - 1));
            let rest = bytes.get(end..)?;
            if end == whole + 1 || !matches!(rest.first(), Some(b',' | b'}')) {
                return long(bytes, whole, value(first, whole), negative);
            }
            // What stands behind the point moves down over it.
            let before = (1 << (8 * whole)) - 1;
            let joined = first & before | first >> 8 & !before;
            Some(Number { negative, digits: value(joined, end - 1), places: end - 1 - whole, rest })
        }
        _ => None,
    }
}

/// The same for any that begins with so many digits of this value.
#[inline]
fn long(bytes: &[u8], whole: usize, digits: u64, negative: bool) -> Option<Number<'_>> {
    let (mut digits, mut rest) = run(bytes.get(whole..)?, digits)?;
    let whole = bytes.len() - rest.len();
    let mut places = 0;
    if let Some((b'.', fraction)) = rest.split_first() {
        (digits, rest) = run(fraction, digits)?;
        places = fraction.len() - rest.len();
        if places == 0 {
            return None;
        }
    }
    let sound = whole + places <= DIGITS && matches!(rest.first(), Some(b',' | b'}'));
    sound.then_some(Number { negative, digits, places, rest })
}

/// The digits that `bytes` begins with, behind those of `before`, and what follows; none where they are far too many.
#[inline(always)]
fn run(bytes: &[u8], before: u64) -> Option<(u64, &[u8])> {
    let (mut digits, mut rest) = (before, bytes);
    while rest.first()?.is_ascii_digit() {
        let word = word(rest.first_chunk()?) ^ repeat(b'0');
        let count = first_marked(above_nine(word));
        // Of more than 18 in all the value is not asked for.
        digits = digits.wrapping_mul(TENS[count]).wrapping_add(value(word, count));
        rest = rest.get(count..)?;
        if bytes.len() - rest.len() > DIGITS {
            return None;
        }
    }
    Some((digits, rest))
}

/// Eight bytes as a number, the first one lowest.
#[inline(always)]
fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// The place of the first byte that is marked in its highest bit; 8 if none is.
#[inline(always)]
fn first_marked(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// The number that so many digits at the low end of a word are, at least one.
#[inline(always)]
fn value(digits: u64, count: usize) -> u64 {
    eight_digits(digits << (64 - 8 * count))
}

/// Sets a text from the string that `bytes` begins with, if nothing in it means anything but itself. Near their end it is
/// left alone.
#[inline(always)]
fn text<'j>(bytes: &'j [u8], target: &Target, row: &mut RowBuilder<'_>) -> Option<&'j [u8]> {
    let (b'"', text) = bytes.split_first()? else { return None };
    let window = text.first_chunk::<16>()?;
    let mut end = first_marked(special(word(window.first_chunk()?)));
    if end == 8 {
        end = text_end(text, end)?;
    }
    let (b'"', rest) = text.get(end..)?.split_first()? else { return None };
    if end <= window.len() {
        row.set_short_text(target, window, end);
    } else {
        row.set_plain_text(target, &text[..end]);
    }
    Some(rest)
}

/// Where a text ends of which so many bytes are known to mean themselves.
#[inline]
fn text_end(text: &[u8], mut end: usize) -> Option<usize> {
    loop {
        let place = first_marked(special(word(text.get(end..)?.first_chunk()?)));
        end += place;
        if place < 8 {
            return Some(end);
        }
    }
}

/// Marks the first byte of a word that is a quote, a backslash or a control character, if there is one; above it anything
/// may be marked.
#[inline(always)]
fn special(word: u64) -> u64 {
    let (quote, backslash) = (word ^ repeat(b'"'), word ^ repeat(b'\\'));
    let below = |word: u64, bound: u8| word.wrapping_sub(repeat(bound)) & !word;
    (below(quote, 1) | below(backslash, 1) | below(word, b' ')) & repeat(0x80)
}
