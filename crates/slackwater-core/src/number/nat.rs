//! Natural numbers without bound: what divisions, square roots and roundings work on.
//!
//! These are off the hot path (a window's result, not an event), so the algorithms are the plain ones: schoolbook
//! products, Knuth's division, Newton's square root.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::fmt::Write;

/// A natural number: 64-bit limbs, least significant first, never with a zero limb on top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nat(Vec<u64>);

/// The largest power of ten below 2^64, and its exponent.
pub(super) const CHUNK: u64 = 10_000_000_000_000_000_000;
pub(super) const CHUNK_DIGITS: u32 = 19;

impl Nat {
    /// Zero.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Zero.
    pub const fn zero() -> Self {
        Self::new()
    }

    /// One.
    pub fn one() -> Self {
        Self::from(1u64)
    }

    /// The number with these limbs, least significant first; zero limbs on top are dropped.
    pub fn from_limbs(mut limbs: Vec<u64>) -> Self {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        Self(limbs)
    }

    /// `10^k`.
    pub fn pow10(k: u32) -> Self {
        let mut power = Self::one();
        let mut left = k;
        while left > 0 {
            let digits = left.min(CHUNK_DIGITS);
            power.mul_add_small(10u64.pow(digits), 0);
            left -= digits;
        }
        power
    }

    /// `2^k`.
    pub fn pow2(k: u64) -> Self {
        Self::one().shl(k)
    }

    /// The limbs, least significant first, without zeros on top.
    pub fn limbs(&self) -> &[u64] {
        &self.0
    }

    /// Whether this is zero.
    pub const fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is odd.
    pub fn is_odd(&self) -> bool {
        self.bit(0)
    }

    /// The length in bits: the least `n` with `self < 2^n`.
    pub fn bits(&self) -> u64 {
        match self.0.last() {
            Some(top) => 64 * self.0.len() as u64 - u64::from(top.leading_zeros()),
            None => 0,
        }
    }

    /// How many times two divides this; 0 for zero.
    pub fn trailing_zeros(&self) -> u64 {
        match self.0.iter().position(|limb| *limb != 0) {
            Some(i) => 64 * i as u64 + u64::from(self.0[i].trailing_zeros()),
            None => 0,
        }
    }

    /// The bit of weight `2^index`.
    pub fn bit(&self, index: u64) -> bool {
        let limb = usize::try_from(index / 64).ok().and_then(|i| self.0.get(i));
        limb.is_some_and(|limb| limb >> (index % 64) & 1 == 1)
    }

    /// The value as a `u128`, or `None` when it does not fit.
    pub fn to_u128(&self) -> Option<u128> {
        match *self.0 {
            [] => Some(0),
            [low] => Some(u128::from(low)),
            [low, high] => Some((u128::from(high) << 64) | u128::from(low)),
            _ => None,
        }
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() { (self, other) } else { (other, self) };
        let mut sum = Vec::with_capacity(long.0.len() + 1);
        let mut carry = false;
        for (i, limb) in long.0.iter().enumerate() {
            let (out, over) = limb.carrying_add(short.0.get(i).copied().unwrap_or(0), carry);
            sum.push(out);
            carry = over;
        }
        if carry {
            sum.push(1);
        }
        Self(sum)
    }

    /// The difference.
    ///
    /// # Panics
    /// When `other` is the greater.
    pub fn sub(&self, other: &Self) -> Self {
        assert!(*self >= *other, "a natural number cannot go below zero");
        let mut difference = self.0.clone();
        let mut borrow = false;
        for (i, limb) in difference.iter_mut().enumerate() {
            (*limb, borrow) = limb.borrowing_sub(other.0.get(i).copied().unwrap_or(0), borrow);
        }
        Self::from_limbs(difference)
    }

    /// The product.
    pub fn mul(&self, other: &Self) -> Self {
        let mut product = vec![0; self.0.len() + other.0.len()];
        for (i, factor) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, limb) in other.0.iter().enumerate() {
                (product[i + j], carry) = factor.carrying_mul_add(*limb, product[i + j], carry);
            }
            product[i + other.0.len()] = carry;
        }
        Self::from_limbs(product)
    }

    /// `self * 2^count`.
    pub fn shl(&self, count: u64) -> Self {
        if self.is_zero() {
            return Self::new();
        }
        let limbs = usize::try_from(count / 64).expect("a shift past the address space");
        let bits = (count % 64) as u32;
        let mut shifted = Vec::with_capacity(limbs + self.0.len() + 1);
        shifted.resize(limbs, 0);
        let mut carry = 0;
        for limb in &self.0 {
            let wide = u128::from(*limb) << bits;
            shifted.push(wide as u64 | carry);
            carry = (wide >> 64) as u64;
        }
        shifted.push(carry);
        Self::from_limbs(shifted)
    }

    /// The floor of `self / 2^count`.
    pub fn shr(&self, count: u64) -> Self {
        let kept = usize::try_from(count / 64).ok().and_then(|limbs| self.0.get(limbs..)).unwrap_or(&[]);
        let bits = (count % 64) as u32;
        let mut shifted = Vec::with_capacity(kept.len());
        for (i, limb) in kept.iter().enumerate() {
            let above = kept.get(i + 1).copied().unwrap_or(0);
            let wide = (u128::from(above) << 64) | u128::from(*limb);
            shifted.push((wide >> bits) as u64);
        }
        Self::from_limbs(shifted)
    }

    /// Quotient and remainder.
    ///
    /// # Panics
    /// When `divisor` is zero.
    pub fn div_rem(&self, divisor: &Self) -> (Self, Self) {
        assert!(!divisor.is_zero(), "division by zero");
        if self < divisor {
            return (Self::new(), self.clone());
        }
        if let [small] = *divisor.0 {
            let mut quotient = self.clone();
            let remainder = quotient.div_small(small);
            return (quotient, Self::from(remainder));
        }
        // Knuth, The Art of Computer Programming, volume 2, 4.3.1, algorithm D: scaled so that the divisor's top bit is
        // set, each guessed digit is at most two too large.
        let scale = divisor.0.last().map_or(0, |top| top.leading_zeros());
        let v = divisor.shl(u64::from(scale)).0;
        let mut u = self.shl(u64::from(scale)).0;
        u.resize(self.0.len() + 1, 0);
        let mut quotient = vec![0; u.len() - v.len()];
        for j in (0..quotient.len()).rev() {
            quotient[j] = next_digit(&mut u[j..=j + v.len()], &v);
        }
        (Self::from_limbs(quotient), Self::from_limbs(u).shr(u64::from(scale)))
    }

    /// `self / divisor`, rounded to the nearest, ties to even.
    ///
    /// # Panics
    /// When `divisor` is zero.
    pub fn div_half_even(&self, divisor: &Self) -> Self {
        let (quotient, remainder) = self.div_rem(divisor);
        let up = match remainder.shl(1).cmp(divisor) {
            Ordering::Less => false,
            Ordering::Equal => quotient.is_odd(),
            Ordering::Greater => true,
        };
        if up { quotient.add(&Self::one()) } else { quotient }
    }

    /// The floor of the square root, and what is left: `root^2 + rest = self` with `rest <= 2 * root`.
    pub fn isqrt(&self) -> (Self, Self) {
        // The root of the top 128 bits, rounded up, is above the whole root and right in its first 63 bits.
        let shift = self.bits().saturating_sub(128).next_multiple_of(2);
        let top = self.shr(shift).to_u128().expect("the rest was shifted out");
        if shift == 0 {
            let root = top.isqrt();
            return (Self::from(root), Self::from(top - root * root));
        }
        let mut root = Self::from(top.isqrt() + 1).shl(shift / 2);
        // From above, Newton's iteration falls until it reaches the floor.
        loop {
            let next = self.div_rem(&root).0.add(&root).shr(1);
            if next >= root {
                break;
            }
            root = next;
        }
        let rest = self.sub(&root.mul(&root));
        (root, rest)
    }

    /// The decimal digits, without leading zeros ("0" for zero).
    pub fn to_decimal_text(&self) -> String {
        let mut left = self.clone();
        let mut chunks = Vec::new();
        while !left.is_zero() {
            chunks.push(left.div_small(CHUNK));
        }
        let mut text = String::with_capacity(chunks.len() * CHUNK_DIGITS as usize + 1);
        let mut width = 0;
        for chunk in chunks.iter().rev() {
            write!(text, "{chunk:0width$}").expect("a String takes any text");
            width = CHUNK_DIGITS as usize;
        }
        if text.is_empty() {
            text.push('0');
        }
        text
    }

    /// The low 64 bits of `self / 2^count`.
    pub(super) fn window(&self, count: u64) -> u64 {
        let Ok(i) = usize::try_from(count / 64) else { return 0 };
        let limb = |i: usize| u128::from(self.0.get(i).copied().unwrap_or(0));
        (((limb(i + 1) << 64) | limb(i)) >> (count % 64)) as u64
    }

    /// Replaces `self` by `self * factor + term`.
    fn mul_add_small(&mut self, factor: u64, term: u64) {
        let mut carry = term;
        for limb in &mut self.0 {
            (*limb, carry) = limb.carrying_mul(factor, carry);
        }
        if carry != 0 {
            self.0.push(carry);
        }
    }

    /// Divides in place and returns the remainder.
    fn div_small(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0u64;
        for limb in self.0.iter_mut().rev() {
            let wide = (u128::from(remainder) << 64) | u128::from(*limb);
            *limb = (wide / u128::from(divisor)) as u64;
            remainder = (wide % u128::from(divisor)) as u64;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        remainder
    }
}

/// One step of algorithm D: the digit `u / v`, with `u` (one limb longer) left holding the remainder.
///
/// `v` has at least two limbs and its top bit set; `u / v` is below 2^64.
fn next_digit(u: &mut [u64], v: &[u64]) -> u64 {
    let n = v.len();
    let (top, next) = (u128::from(v[n - 1]), u128::from(v[n - 2]));
    let numerator = (u128::from(u[n]) << 64) | u128::from(u[n - 1]);
    let (mut guess, mut rest) = (numerator / top, numerator % top);
    while guess >> 64 != 0 || guess * next > ((rest << 64) | u128::from(u[n - 2])) {
        guess -= 1;
        rest += top;
        if rest >> 64 != 0 {
            break;
        }
    }
    let mut digit = guess as u64;
    let (mut carry, mut borrow) = (0, false);
    for (limb, factor) in u.iter_mut().zip(v) {
        let (low, high) = digit.carrying_mul(*factor, carry);
        (*limb, borrow) = limb.borrowing_sub(low, borrow);
        carry = high;
    }
    (u[n], borrow) = u[n].borrowing_sub(carry, borrow);
    if borrow {
        // The guess was still one too large: give one divisor back.
        digit -= 1;
        let mut carry = false;
        for (limb, addend) in u.iter_mut().zip(v) {
            (*limb, carry) = limb.carrying_add(*addend, carry);
        }
        u[n] = u[n].carrying_add(0, carry).0;
    }
    digit
}

impl From<u64> for Nat {
    fn from(value: u64) -> Self {
        Self::from_limbs(vec![value])
    }
}

impl From<u128> for Nat {
    fn from(value: u128) -> Self {
        Self::from_limbs(vec![value as u64, (value >> 64) as u64])
    }
}

impl Ord for Nat {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl PartialOrd for Nat {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Decimal text.
impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &self.to_decimal_text())
    }
}
