//! The common short decimals (`-123.4567`), read without a loop over their characters.
//!
//! Every event carries a few of them, and their lengths differ from one to the next, so a loop would be mispredicted on
//! most. The characters are held in 64-bit words instead, one per byte, and eight are worked on at once.

/// An optional `-`, at least one digit and at most 16, at most eight of them after a point or, given one, before it.
pub(super) struct Short {
    /// Whether a `-` came first.
    pub(super) negative: bool,
    /// The digits as an integer, below 10^16.
    pub(super) digits: u64,
    /// How many of the digits follow the point.
    pub(super) fraction_digits: u8,
}

/// The powers of ten that fit in 64 bits.
pub const TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut k = 1;
    while k < tens.len() {
        tens[k] = tens[k - 1] * 10;
        k += 1;
    }
    tens
};

impl Short {
    /// Reads a text of this form; `None` says only that it is of another.
    #[inline]
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            _ => (false, text),
        };
        let (digits, fraction_digits) = if body.len() <= 8 { read_one(body)? } else { read_two(body)? };
        Some(Self { negative, digits, fraction_digits: fraction_digits as u8 })
    }
}

/// The digits of at most eight characters, and how many follow the point.
#[inline]
fn read_one(text: &[u8]) -> Option<(u64, usize)> {
    let word = load(text)?;
    let point = points(word);
    if point == 0 {
        return (above_nine(word) == 0).then(|| (eight_digits(word), 0));
    }
    let place = point.trailing_zeros() as usize / 8;
    // The characters before the point move up over it; at least one must follow it.
    let before = (1 << (8 * place)) - 1;
    let values = (word & before) << 8 | word & !(before << 8 | 0xff);
    if place == 7 || above_nine(values) != 0 {
        return None;
    }
    Some((eight_digits(values), 7 - place))
}

/// The digits of nine to 17 characters, and how many follow the point.
#[inline]
fn read_two(text: &[u8]) -> Option<(u64, usize)> {
    let first = u64::from_le_bytes(*text.first_chunk()?) ^ repeat(b'0');
    let last = u64::from_le_bytes(*text.last_chunk()?) ^ repeat(b'0');
    // 8 if there is no point in the first word.
    let place = points(first).trailing_zeros() as usize / 8;
    let (high, low, low_digits, fraction_digits) = if place < 8 || text[8] == b'.' {
        let fraction_digits = text.len() - 1 - place;
        if place == 0 || !(1..=8).contains(&fraction_digits) {
            return None;
        }
        let other = 8 * (8 - fraction_digits);
        (first << (8 * (8 - place)), last >> other << other, fraction_digits, fraction_digits)
    } else {
        // What the last word also holds is shifted out of the first.
        (first << (8 * 16usize.checked_sub(text.len())?), last, 8, 0)
    };
    if (above_nine(high) | above_nine(low)) != 0 {
        return None;
    }
    // Two numbers below 10^8, so nothing can wrap.
    let high = eight_digits(high).wrapping_mul(TENS[low_digits]);
    Some((high.wrapping_add(eight_digits(low)), fraction_digits))
}

/// The characters of `text`, one to eight, the last one in the highest byte.
///
/// Every byte is the character less `0`, so that a digit is its value and the zero bytes before the first are zeros.
#[inline]
fn load(text: &[u8]) -> Option<u64> {
    let lead = 8 * 8usize.checked_sub(text.len())?;
    // Two pieces from both ends agree where they overlap.
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes) ^ repeat(b'0') as u32);
        return Some(word(last) << 32 | word(first) << lead);
    }
    let value = |byte: &u8| u64::from(byte ^ b'0');
    let middle = text.len() / 2;
    Some(value(text.last()?) << 56 | value(&text[middle]) << (lead + 8 * middle) | value(&text[0]) << lead)
}

/// The word with `byte` in every place.
pub const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The top bit of every byte that holds a point, of which only the lowest is to be trusted.
#[inline]
const fn points(word: u64) -> u64 {
    // Subtracting one from every byte borrows from the top bit of a zero; the borrow may mark bytes above it as well.
    let zero_at_point = word ^ repeat(b'.' ^ b'0');
    zero_at_point.wrapping_sub(repeat(1)) & !zero_at_point & repeat(0x80)
}

/// The top bit of every byte that exceeds nine. What is above a byte of more than 0x89 may be marked without reason.
#[inline]
pub const fn above_nine(values: u64) -> u64 {
    (values.wrapping_add(repeat(0x7f - 9)) | values) & repeat(0x80)
}

/// The integer whose decimal digits are the bytes of `values`, the first digit in the lowest byte.
#[inline]
pub const fn eight_digits(values: u64) -> u64 {
    // Digits are joined to pairs, pairs to fours and fours to eight: each step adds ten (a hundred, ten thousand) times
    // the lower half of a field to its upper half.
    let pairs = values.wrapping_mul(10 * (1 << 8) + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * (1 << 16) + 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32
}
