//! An exact sum of floats: every term is kept to its last bit, and so is every product of two floats, or of one and an
//! integer.
//!
//! The layout follows Radford Neal's small superaccumulator ("Fast exact summation using small and large
//! superaccumulators", 2015): a number in base 2^32 whose digits are `i64`, so that thousands of terms are added to the
//! digits they touch before a carry must be passed on. Only the digits between the lowest and the highest in use are
//! held. As the sum is exact, it does not depend on the order of its terms, and a term can be taken back.

use alloc::vec::Vec;
use core::fmt;
use core::iter;

use super::float::{FloatParts, f64_from_parts};
use super::int::I384;
use super::nat::Nat;

/// An exact sum of `f64`, of products of two `f64`, and of one and an integer, with a count of the infinities and NaNs
/// among them.
///
/// Equality is that of the value: the finite part and the counts.
#[derive(Clone, Default)]
pub struct FloatSum {
    /// Digits of weight `2^(32 * (base + i) - BIAS)`, each a deferred carry away from 32 bits.
    digits: Vec<i64>,
    base: u32,
    /// How many terms were added since the last carry, at most `MAX_PENDING`.
    pending: u32,
    specials: Specials,
}

/// How many terms of a [`FloatSum`] were not finite; below zero when more were taken back than added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// Terms that were `+inf`.
    pub positive_infinities: i64,
    /// Terms that were `-inf`.
    pub negative_infinities: i64,
    /// Terms that were NaN.
    pub nans: i64,
}

/// The exponent of the least product of two floats.
const LEAST_EXPONENT: i32 = -2148;

/// Digit 0 has the weight `2^-BIAS`: the least multiple of the digit width that reaches the least product.
const BIAS: i32 = 2176;
const DIGIT_BITS: u32 = 32;
const DIGIT_MASK: u64 = (1 << DIGIT_BITS) - 1;

/// A term adds less than 2^52 to a digit, and a carried digit is at most 2^33, so 2047 terms keep it below 2^63, with
/// room for the carry from below. One of them is left for a merge, in which the digits that the other side has carried
/// weigh less than a term.
const MAX_PENDING: u32 = 2046;

/// Every integer up to this one is a double.
const EXACT_INTEGERS: u128 = 1 << 53;

/// The NaN this module answers with: equal facts give equal bits, so its payload is fixed.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

impl FloatSum {
    /// The empty sum.
    pub const fn new() -> Self {
        let specials = Specials { positive_infinities: 0, negative_infinities: 0, nans: 0 };
        Self { digits: Vec::new(), base: 0, pending: 0, specials }
    }

    /// Adds `x`.
    #[inline]
    pub fn add(&mut self, x: f64) {
        self.term(x, false);
    }

    /// Takes `x` back.
    #[inline]
    pub fn sub(&mut self, x: f64) {
        self.term(x, true);
    }

    /// Adds the exact product of `x` and `y`; when one of them is not finite, what IEEE 754 makes of their product.
    #[inline]
    pub fn add_product(&mut self, x: f64, y: f64) {
        self.product_term(x, y, false);
    }

    /// Takes the exact product of `x` and `y` back.
    #[inline]
    pub fn sub_product(&mut self, x: f64, y: f64) {
        self.product_term(x, y, true);
    }

    /// Adds the exact product of `x` and an integer; when `x` is not finite, what IEEE 754 makes of their product.
    pub fn add_multiple(&mut self, x: f64, times: &I384) {
        self.multiple(x, times, false);
    }

    /// Takes the exact product of `x` and an integer back.
    pub fn sub_multiple(&mut self, x: f64, times: &I384) {
        self.multiple(x, times, true);
    }

    /// Adds every term of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, 1);
    }

    /// Takes every term of `other` back.
    pub fn unmerge(&mut self, other: &Self) {
        self.combine(other, -1);
    }

    /// The sum rounded once, to the nearest float, ties to even.
    ///
    /// An exact zero is `+0.0`, and a finite sum beyond the range is an infinity of its sign. A NaN among the terms, or
    /// infinities of both signs, give the quiet NaN `0x7ff8000000000000`; infinities of one sign give themselves.
    pub fn to_f64(&self) -> f64 {
        let Specials { positive_infinities, negative_infinities, nans } = self.specials;
        let (up, down) = (positive_infinities > 0, negative_infinities > 0);
        if nans > 0 || (up && down) {
            return f64::from_bits(CANONICAL_NAN);
        }
        if up || down {
            return if up { f64::INFINITY } else { f64::NEG_INFINITY };
        }
        let (negative, magnitude, exponent2) = self.exact();
        f64_from_parts(negative, &magnitude, exponent2, false)
    }

    /// Whether nothing is left: a finite part of zero, and no infinity or NaN counted.
    pub fn is_zero(&self) -> bool {
        // Digits that are not all zero can still cancel, but only the exact value tells.
        let cancels = || self.digits.iter().all(|digit| *digit == 0) || self.exact().1.is_zero();
        self.specials == Specials::default() && cancels()
    }

    /// The finite part as a sign, a magnitude and an exponent: `±magnitude * 2^exponent`.
    ///
    /// Canonical: the magnitude is odd, or else it is zero, positive and of exponent zero.
    pub fn exact(&self) -> (bool, Nat, i64) {
        let mut digits = self.digits.clone();
        carry(&mut digits);
        let negative = digits.last().is_some_and(|top| *top < 0);
        if negative {
            digits.iter_mut().for_each(|digit| *digit = -*digit);
            carry(&mut digits);
        }
        // No digit is below zero now, but the top one may be wider than the others.
        let mut limbs = Vec::with_capacity(digits.len() / 2 + 2);
        let mut carried = 0;
        for pair in digits.chunks(2) {
            let high = pair.get(1).map_or(0, |digit| i128::from(*digit) << DIGIT_BITS);
            let value = i128::from(pair[0]) + high + carried;
            limbs.push(value as u64);
            carried = value >> 64;
        }
        limbs.push(carried as u64);
        let magnitude = Nat::from_limbs(limbs);
        if magnitude.is_zero() {
            return (false, magnitude, 0);
        }
        let zeros = magnitude.trailing_zeros();
        let exponent2 = i64::from(self.base) * i64::from(DIGIT_BITS) - i64::from(BIAS) + zeros as i64;
        (negative, magnitude.shr(zeros), exponent2)
    }

    /// The counts of terms that were not finite.
    pub const fn specials(&self) -> Specials {
        self.specials
    }

    #[inline]
    fn term(&mut self, x: f64, taken_back: bool) {
        let Some(parts) = FloatParts::of_finite(x) else {
            return self.count_special(x, taken_back);
        };
        if parts.mantissa == 0 {
            return;
        }
        let (digit, offset) = place(parts.exponent);
        // The mantissa has 53 bits and the offset is below 32: the upper piece stays below 2^52.
        let pieces = [parts.mantissa << offset & DIGIT_MASK, parts.mantissa >> (DIGIT_BITS - offset)];
        self.deposit(digit, pieces, parts.negative != taken_back);
    }

    #[inline]
    fn product_term(&mut self, x: f64, y: f64, taken_back: bool) {
        let (Some(a), Some(b)) = (FloatParts::of_finite(x), FloatParts::of_finite(y)) else {
            return self.count_special(x * y, taken_back);
        };
        if a.mantissa == 0 || b.mantissa == 0 {
            return;
        }
        let (digit, offset) = place(a.exponent + b.exponent);
        // The product has 106 bits; shifted by the offset it needs four digits, the upper one below 2^42.
        let product = u128::from(a.mantissa) * u128::from(b.mantissa);
        let (low, middle, high) = (product as u64, (product >> 32) as u64, (product >> 64) as u64);
        let down = DIGIT_BITS - offset;
        let pieces = [low << offset & DIGIT_MASK, low >> down & DIGIT_MASK, middle >> down & DIGIT_MASK, high >> down];
        self.deposit(digit, pieces, (a.negative != b.negative) != taken_back);
    }

    /// Adds `x` so many times: an integer is a sum of doubles, and so is its product with one.
    fn multiple(&mut self, x: f64, times: &I384, taken_back: bool) {
        if let Some(near) = times.to_i128().filter(|near| near.unsigned_abs() <= EXACT_INTEGERS) {
            return self.product_term(x, near as f64, taken_back);
        }
        let sign = if times.is_negative() { -1.0 } else { 1.0 };
        if !x.is_finite() {
            return self.count_special(x * sign, taken_back);
        }
        for (number, limb) in times.unsigned_abs().into_iter().enumerate() {
            for (digit, half) in [limb & DIGIT_MASK, limb >> DIGIT_BITS].into_iter().enumerate() {
                let weight = (2 * number + digit) as u64 * u64::from(DIGIT_BITS);
                let power = f64::from_bits((1023 + weight) << 52);
                self.product_term(x, sign * half as f64 * power, taken_back);
            }
        }
    }

    /// Adds `pieces`, each below 2^52, to the digits from `digit` on, or subtracts them when `negative`.
    #[inline]
    fn deposit<const K: usize>(&mut self, digit: u32, pieces: [u64; K], negative: bool) {
        // A digit below the base wraps to an index that no vector has.
        let start = digit.wrapping_sub(self.base) as usize;
        let window = self.digits.get_mut(start..).and_then(|digits| digits.first_chunk_mut::<K>());
        let Some(window) = window.filter(|_| self.pending < MAX_PENDING) else {
            return self.make_room_and_deposit(digit, pieces, negative);
        };
        self.pending += 1;
        let sign = 1 - 2 * i64::from(negative);
        for (held, piece) in window.iter_mut().zip(pieces) {
            // `MAX_PENDING` keeps this from wrapping.
            *held = held.wrapping_add((piece as i64).wrapping_mul(sign));
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room_and_deposit<const K: usize>(&mut self, digit: u32, pieces: [u64; K], negative: bool) {
        self.cover(digit, digit + K as u32);
        if self.pending >= MAX_PENDING {
            self.carry();
        }
        self.deposit(digit, pieces, negative);
    }

    /// Makes the window hold the digits from `low` up to, but not including, `high`.
    fn cover(&mut self, low: u32, high: u32) {
        if self.digits.is_empty() {
            self.base = low;
        }
        if low < self.base {
            let missing = (self.base - low) as usize;
            self.digits.splice(..0, iter::repeat_n(0, missing));
            self.base = low;
        }
        let length = (high - self.base) as usize;
        if length > self.digits.len() {
            self.digits.resize(length, 0);
        }
    }

    fn carry(&mut self) {
        carry(&mut self.digits);
        self.pending = 0;
    }

    fn combine(&mut self, other: &Self, sign: i64) {
        self.specials.combine(other.specials, sign);
        if other.digits.is_empty() {
            return;
        }
        if self.pending + other.pending >= MAX_PENDING {
            self.carry();
        }
        self.pending += other.pending + 1;
        self.cover(other.base, other.base + other.digits.len() as u32);
        let start = (other.base - self.base) as usize;
        for (held, digit) in self.digits[start..].iter_mut().zip(&other.digits) {
            *held += sign * digit;
        }
        // The other side alone may have used up what a sum can defer.
        if self.pending > MAX_PENDING {
            self.carry();
        }
    }

    #[cold]
    fn count_special(&mut self, x: f64, taken_back: bool) {
        let sign = if taken_back { -1 } else { 1 };
        self.specials.combine(Specials::of(x), sign);
    }
}

/// The digit that holds the bit of weight `2^exponent`, and the bit's place in it.
#[inline]
fn place(exponent: i32) -> (u32, u32) {
    let position = (exponent + BIAS) as u32;
    (position / DIGIT_BITS, position % DIGIT_BITS)
}

/// Passes carries on until every digit but the top one lies in `0..2^32`; the top one keeps the sign, in 33 bits.
fn carry(digits: &mut Vec<i64>) {
    let Some(last) = digits.len().checked_sub(1) else { return };
    let mut carried = 0;
    for digit in &mut digits[..last] {
        let value = *digit + carried;
        *digit = value & DIGIT_MASK as i64;
        carried = value >> DIGIT_BITS;
    }
    let top = digits[last] + carried;
    let above = top >> DIGIT_BITS;
    if above == 0 || above == -1 {
        digits[last] = top;
    } else {
        digits[last] = top & DIGIT_MASK as i64;
        digits.push(above);
    }
}

impl Specials {
    /// What a term that is not finite counts as.
    fn of(x: f64) -> Self {
        Self {
            positive_infinities: i64::from(x == f64::INFINITY),
            negative_infinities: i64::from(x == f64::NEG_INFINITY),
            nans: i64::from(x.is_nan()),
        }
    }

    fn combine(&mut self, other: Self, sign: i64) {
        self.positive_infinities += sign * other.positive_infinities;
        self.negative_infinities += sign * other.negative_infinities;
        self.nans += sign * other.nans;
    }
}

/// The first byte of the encoding says which parts follow.
const HAS_FINITE: u8 = 1;
const IS_NEGATIVE: u8 = 2;
const HAS_SPECIALS: u8 = 4;

/// Bounds a decoder holds foreign bytes to; what sums of real streams reach lies far inside.
const GREATEST_TOP: i32 = 4096;
const GREATEST_COUNT: u64 = 1 << 56;

impl FloatSum {
    /// Appends the canonical bytes: equal values give equal bytes.
    ///
    /// A flag byte; then, for a finite part other than zero, the exponent of its lowest set bit (`i16`), the length of
    /// its odd magnitude in bytes (`u16`) and those bytes; then, if any is counted, the three [`Specials`] (`i64` each,
    /// in the order of their fields). All little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (negative, magnitude, exponent2) = self.exact();
        let mut flags = 0;
        if !magnitude.is_zero() {
            flags |= HAS_FINITE;
        }
        if negative {
            flags |= IS_NEGATIVE;
        }
        if self.specials != Specials::default() {
            flags |= HAS_SPECIALS;
        }
        out.push(flags);
        if flags & HAS_FINITE != 0 {
            // A sum would have to double thousands of times over to outgrow these fields.
            let length = u16::try_from(magnitude.bits().div_ceil(8)).expect("a sum of floats has some 5000 bits");
            let exponent2 = i16::try_from(exponent2).expect("a sum of floats has an exponent near theirs");
            out.extend_from_slice(&exponent2.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
            let start = out.len();
            magnitude.limbs().iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
            out.truncate(start + usize::from(length));
        }
        if flags & HAS_SPECIALS != 0 {
            let Specials { positive_infinities, negative_infinities, nans } = self.specials;
            for count in [positive_infinities, negative_infinities, nans] {
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }

    /// Reads what [`encode`](Self::encode) wrote at the start of `bytes`, and how many bytes that took.
    ///
    /// `None` for a truncated, out of range or not canonical form.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut rest = bytes;
        let [flags] = *take::<1>(&mut rest)?;
        let known = HAS_FINITE | IS_NEGATIVE | HAS_SPECIALS;
        if flags & !known != 0 || flags & (HAS_FINITE | IS_NEGATIVE) == IS_NEGATIVE {
            return None;
        }
        let mut sum = Self::new();
        if flags & HAS_FINITE != 0 {
            let exponent2 = i32::from(i16::from_le_bytes(*take(&mut rest)?));
            let length = usize::from(u16::from_le_bytes(*take(&mut rest)?));
            let (magnitude, after) = rest.split_at_checked(length)?;
            rest = after;
            sum.set_finite(flags & IS_NEGATIVE != 0, magnitude, exponent2)?;
        }
        if flags & HAS_SPECIALS != 0 {
            let mut count = || Some(i64::from_le_bytes(*take(&mut rest)?));
            let counts = [count()?, count()?, count()?];
            if counts == [0; 3] || counts.iter().any(|count| count.unsigned_abs() > GREATEST_COUNT) {
                return None;
            }
            let [positive_infinities, negative_infinities, nans] = counts;
            sum.specials = Specials { positive_infinities, negative_infinities, nans };
        }
        Some((sum, bytes.len() - rest.len()))
    }

    /// Sets the finite part of an empty sum to `±magnitude * 2^exponent2`, if that form is canonical and in range.
    fn set_finite(&mut self, negative: bool, magnitude: &[u8], exponent2: i32) -> Option<()> {
        let (lowest, highest) = (*magnitude.first()?, *magnitude.last()?);
        let top = exponent2 + 8 * magnitude.len() as i32;
        if lowest & 1 == 0 || highest == 0 || exponent2 < LEAST_EXPONENT || top > GREATEST_TOP {
            return None;
        }
        let (digit, offset) = place(exponent2);
        self.base = digit;
        let mut window = 0u64;
        let mut push = |digit: u64| {
            let digit = digit as i64;
            self.digits.push(if negative { -digit } else { digit });
        };
        for chunk in magnitude.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            window |= u64::from(u32::from_le_bytes(word)) << offset;
            push(window & DIGIT_MASK);
            window >>= DIGIT_BITS;
        }
        push(window);
        Some(())
    }
}

/// Takes the first `K` bytes off `bytes`.
fn take<'a, const K: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; K]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

impl PartialEq for FloatSum {
    fn eq(&self, other: &Self) -> bool {
        self.specials == other.specials && self.exact() == other.exact()
    }
}

impl Eq for FloatSum {}

impl fmt::Debug for FloatSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, magnitude, exponent2) = self.exact();
        let sign = if negative { "-" } else { "" };
        write!(f, "FloatSum({sign}{magnitude} * 2^{exponent2}, {:?})", self.specials)
    }
}
