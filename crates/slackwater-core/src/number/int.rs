//! Fixed-width two's complement integers wide enough that sums and sums of products of `i128` stay exact.
//!
//! The in-place additions touch the low limbs and go further only when a carry really leaves them.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::nat::{CHUNK, CHUNK_DIGITS, Nat};

/// A signed integer of `64 * N` bits in two's complement, least significant limb first.
///
/// `N` must be at least 4 (an exact product of two `i128`) and at most 31 (the length byte of the encoding).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int<const N: usize>([u64; N]);

/// 384 bits: holds 2^128 exact products of two `i128`, or any decimal of up to 115 digits.
pub type I384 = Int<6>;

impl<const N: usize> Int<N> {
    const WIDTH_IS_SUPPORTED: () = assert!(N >= 4 && N <= 31);

    /// Zero.
    pub const ZERO: Self = Self([0; N]);

    /// One.
    pub const ONE: Self = {
        let mut limbs = [0; N];
        limbs[0] = 1;
        Self(limbs)
    };

    /// The integer equal to `value`.
    #[inline]
    pub const fn from_i128(value: i128) -> Self {
        const { Self::WIDTH_IS_SUPPORTED };
        let mut limbs = [(value >> 127) as u64; N];
        limbs[0] = value as u64;
        limbs[1] = (value >> 64) as u64;
        Self(limbs)
    }

    /// The integer equal to `value`.
    #[inline]
    pub const fn from_u64(value: u64) -> Self {
        let mut limbs = [0; N];
        limbs[0] = value;
        Self(limbs)
    }

    /// The exact product of two `i128`; it always fits.
    #[inline]
    pub fn product(a: i128, b: i128) -> Self {
        if a as i64 as i128 == a && b as i64 as i128 == b {
            // Two 64-bit factors: at most 2^126, so the product cannot wrap.
            return Self::from_i128(a.wrapping_mul(b));
        }
        let (low, high) = a.unsigned_abs().carrying_mul(b.unsigned_abs(), 0);
        let mut limbs = [0; N];
        limbs[0] = low as u64;
        limbs[1] = (low >> 64) as u64;
        limbs[2] = high as u64;
        limbs[3] = (high >> 64) as u64;
        if (a < 0) == (b < 0) { Self(limbs) } else { Self(negated(limbs)) }
    }

    /// Adds `other` in place.
    ///
    /// # Panics
    /// When the sum leaves the width; callers bound the number of terms so that it cannot.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        let (sum, overflow) = self.overflowing_add(other);
        if overflow {
            overflowed();
        }
        *self = sum;
    }

    /// Subtracts `other` in place.
    ///
    /// # Panics
    /// When the difference leaves the width; callers bound the number of terms so that it cannot.
    #[inline]
    pub fn sub(&mut self, other: &Self) {
        let (difference, overflow) = self.overflowing_sub(other);
        if overflow {
            overflowed();
        }
        *self = difference;
    }

    /// Adds `value` in place.
    ///
    /// # Panics
    /// When the sum leaves the width; callers bound the number of terms so that it cannot.
    #[inline]
    pub fn add_i128(&mut self, value: i128) {
        let (low, carry) = self.0[0].carrying_add(value as u64, false);
        let (high, carry) = self.0[1].carrying_add((value >> 64) as u64, carry);
        self.0[0] = low;
        self.0[1] = high;
        // The limbs above receive the sign extension (0 or -1) plus the carry, which mostly cancel.
        let step = ((value >> 127) as i64).wrapping_add(i64::from(carry));
        if step != 0 {
            self.step_above(step);
        }
    }

    /// Subtracts `value` in place.
    ///
    /// # Panics
    /// When the difference leaves the width; callers bound the number of terms so that it cannot.
    #[inline]
    pub fn sub_i128(&mut self, value: i128) {
        let (low, borrow) = self.0[0].borrowing_sub(value as u64, false);
        let (high, borrow) = self.0[1].borrowing_sub((value >> 64) as u64, borrow);
        self.0[0] = low;
        self.0[1] = high;
        let step = ((value >> 127) as i64).wrapping_add(i64::from(borrow));
        if step != 0 {
            self.step_above(step.wrapping_neg());
        }
    }

    /// Adds `step`, which is 1 or -1, to the limbs above the low two.
    #[inline]
    fn step_above(&mut self, step: i64) {
        let mut limbs = self.0[2..].iter_mut();
        let (edge, wrapped) = if step > 0 { (i64::MAX, 0) } else { (i64::MIN, u64::MAX) };
        let top = limbs.next_back().expect("the width has more than two limbs");
        for limb in limbs {
            *limb = limb.wrapping_add_signed(step);
            if *limb != wrapped {
                return;
            }
        }
        if *top as i64 == edge {
            overflowed();
        }
        *top = top.wrapping_add_signed(step);
    }

    #[inline]
    fn overflowing_add(&self, other: &Self) -> (Self, bool) {
        let mut limbs = [0; N];
        let mut carry = false;
        for (limb, (a, b)) in limbs.iter_mut().zip(self.0.iter().zip(&other.0)) {
            (*limb, carry) = a.carrying_add(*b, carry);
        }
        let (a, b, sum) = (self.0[N - 1], other.0[N - 1], limbs[N - 1]);
        (Self(limbs), ((a ^ sum) & (b ^ sum)) >> 63 == 1)
    }

    #[inline]
    fn overflowing_sub(&self, other: &Self) -> (Self, bool) {
        let mut limbs = [0; N];
        let mut borrow = false;
        for (limb, (a, b)) in limbs.iter_mut().zip(self.0.iter().zip(&other.0)) {
            (*limb, borrow) = a.borrowing_sub(*b, borrow);
        }
        let (a, b, difference) = (self.0[N - 1], other.0[N - 1], limbs[N - 1]);
        (Self(limbs), ((a ^ b) & (a ^ difference)) >> 63 == 1)
    }

    /// The sum, or `None` when it leaves the width.
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (sum, overflow) = self.overflowing_add(&other);
        (!overflow).then_some(sum)
    }

    /// The difference, or `None` when it leaves the width.
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let (difference, overflow) = self.overflowing_sub(&other);
        (!overflow).then_some(difference)
    }

    /// The product, or `None` when it leaves the width.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (self.to_i128(), other.to_i128()) {
            return Some(Self::product(a, b));
        }
        let (a, b) = (self.unsigned_abs(), other.unsigned_abs());
        let mut limbs = [0u64; N];
        for (i, &factor) in a.iter().enumerate().filter(|(_, factor)| **factor != 0) {
            let mut carry = 0;
            for (j, &limb) in b.iter().enumerate() {
                match limbs.get_mut(i + j) {
                    Some(out) => (*out, carry) = factor.carrying_mul_add(limb, *out, carry),
                    None if limb != 0 => return None,
                    None => {}
                }
            }
            if carry != 0 {
                return None;
            }
        }
        Self::from_sign_limbs(self.is_negative() != other.is_negative(), limbs)
    }

    /// The negation, or `None` for the least value of the width.
    pub fn checked_neg(self) -> Option<Self> {
        Self::ZERO.checked_sub(self)
    }

    /// `self * 10^k`, or `None` when it leaves the width. Zero stays zero for every `k`.
    pub fn checked_mul_pow10(self, k: u32) -> Option<Self> {
        if self.is_zero() {
            return Some(self);
        }
        let mut limbs = self.unsigned_abs();
        let mut left = k;
        // A nonzero value overflows after a few chunks, so a huge `k` ends early.
        while left > 0 {
            let digits = left.min(CHUNK_DIGITS);
            if mul_small(&mut limbs, 10u64.pow(digits)) != 0 {
                return None;
            }
            left -= digits;
        }
        Self::from_sign_limbs(self.is_negative(), limbs)
    }

    /// The value as an `i128`, or `None` when it does not fit.
    #[inline]
    pub fn to_i128(self) -> Option<i128> {
        let value = ((u128::from(self.0[1]) << 64) | u128::from(self.0[0])) as i128;
        let extension = (value >> 127) as u64;
        self.0[2..].iter().all(|limb| *limb == extension).then_some(value)
    }

    /// Whether the value is below zero.
    #[inline]
    pub const fn is_negative(&self) -> bool {
        self.0[N - 1] >> 63 == 1
    }

    /// Whether the value is zero.
    #[inline]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The absolute value.
    pub fn magnitude(&self) -> Nat {
        Nat::from_limbs(self.unsigned_abs().to_vec())
    }

    /// `magnitude`, negated when `negative`; `None` when it does not fit the width.
    pub fn from_sign_magnitude(negative: bool, magnitude: &Nat) -> Option<Self> {
        let source = magnitude.limbs();
        let mut limbs = [0; N];
        limbs.get_mut(..source.len())?.copy_from_slice(source);
        Self::from_sign_limbs(negative, limbs)
    }

    /// How many decimal digits the absolute value has; zero has one, as it is written.
    pub fn digits(&self) -> u32 {
        let mut limbs = self.unsigned_abs();
        let mut digits = 0;
        while limbs[1..].iter().any(|limb| *limb != 0) {
            div_small(&mut limbs, CHUNK);
            digits += CHUNK_DIGITS;
        }
        match limbs[0].checked_ilog10() {
            Some(log) => digits + log + 1,
            // A chunk is only taken off a value above it, so nothing but zero itself ends here.
            None => 1,
        }
    }

    /// Appends the canonical bytes: one length byte, then that many little-endian two's complement bytes, as few as the
    /// value needs. Zero needs none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let extension = ((self.0[N - 1] as i64) >> 63) as u64;
        // The bits that differ from the sign, then one for the sign itself.
        let length = match self.0.iter().rposition(|limb| *limb != extension) {
            Some(top) => (64 * (top + 1) - (self.0[top] ^ extension).leading_zeros() as usize) / 8 + 1,
            None => usize::from(self.is_negative()),
        };
        out.push(length as u8);
        let end = out.len() + length;
        for limb in &self.0[..length.div_ceil(8)] {
            out.extend_from_slice(&limb.to_le_bytes());
        }
        out.truncate(end);
    }

    /// Reads what [`encode`](Self::encode) wrote at the start of `bytes`, and how many bytes that took.
    ///
    /// `None` for a truncated, too wide or longer than necessary form.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&length, rest) = bytes.split_first()?;
        let length = usize::from(length);
        let body = rest.get(..length)?;
        if length > 8 * N || is_redundant(body) {
            return None;
        }
        let fill = if body.last().is_some_and(|top| top >> 7 == 1) { u8::MAX } else { 0 };
        let mut limbs = [u64::from_le_bytes([fill; 8]); N];
        for (limb, chunk) in limbs.iter_mut().zip(body.chunks(8)) {
            let mut word = [fill; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            *limb = u64::from_le_bytes(word);
        }
        Some((Self(limbs), 1 + length))
    }

    pub(super) fn unsigned_abs(&self) -> [u64; N] {
        if self.is_negative() { negated(self.0) } else { self.0 }
    }

    /// The value of an unsigned magnitude and a sign, if the width has it.
    fn from_sign_limbs(negative: bool, limbs: [u64; N]) -> Option<Self> {
        let value = Self(if negative { negated(limbs) } else { limbs });
        (value.is_negative() == negative || value.is_zero()).then_some(value)
    }
}

#[cold]
#[inline(never)]
fn overflowed() -> ! {
    panic!("an exact sum left its width: its caller promised fewer or smaller terms");
}

/// Two's complement negation, modulo the width.
fn negated<const N: usize>(mut limbs: [u64; N]) -> [u64; N] {
    let mut carry = true;
    for limb in &mut limbs {
        (*limb, carry) = (!*limb).carrying_add(0, carry);
    }
    limbs
}

/// Multiplies in place and returns the limb that fell off the top.
fn mul_small<const N: usize>(limbs: &mut [u64; N], factor: u64) -> u64 {
    let mut carry = 0;
    for limb in limbs {
        (*limb, carry) = limb.carrying_mul(factor, carry);
    }
    carry
}

/// Divides in place, dropping the remainder.
fn div_small<const N: usize>(limbs: &mut [u64; N], divisor: u64) {
    let mut remainder = 0u64;
    for limb in limbs.iter_mut().rev() {
        let wide = (u128::from(remainder) << 64) | u128::from(*limb);
        *limb = (wide / u128::from(divisor)) as u64;
        remainder = (wide % u128::from(divisor)) as u64;
    }
}

/// Whether the last of these little-endian two's complement bytes only repeats the sign of the one before it.
fn is_redundant(bytes: &[u8]) -> bool {
    match bytes {
        [0] => true,
        [.., below, 0x00] => below >> 7 == 0,
        [.., below, 0xff] => below >> 7 == 1,
        _ => false,
    }
}

impl<const N: usize> Default for Int<N> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const N: usize> Ord for Int<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        let top = |value: &Self| value.0[N - 1] as i64;
        top(self).cmp(&top(other)).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl<const N: usize> PartialOrd for Int<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> From<i128> for Int<N> {
    fn from(value: i128) -> Self {
        Self::from_i128(value)
    }
}

impl<const N: usize> From<i64> for Int<N> {
    fn from(value: i64) -> Self {
        Self::from_i128(i128::from(value))
    }
}

impl<const N: usize> From<u64> for Int<N> {
    fn from(value: u64) -> Self {
        Self::from_u64(value)
    }
}

/// Decimal text.
impl<const N: usize> fmt::Display for Int<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(!self.is_negative(), "", &self.magnitude().to_decimal_text())
    }
}

impl<const N: usize> fmt::Debug for Int<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
