//! Exact quotients and their square roots, rounded once when they become a float or a decimal.

use super::float::{EXACT_FLOAT_BITS, FloatParts, f64_from_parts};
use super::int::I384;
use super::nat::Nat;

/// The quotient of two natural numbers, with a sign. It need not be in lowest terms.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// Whether the value is below zero; never set for zero.
    pub negative: bool,
    /// The numerator.
    pub num: Nat,
    /// The denominator, which is not zero.
    pub den: Nat,
}

/// The least bits of a quotient or root that is then rounded to a float: above 54, so that what it lacks is only
/// sticky, and few enough that it, or the 128 bits whose root it is, are quick to work with.
const FLOOR_BITS: i64 = 60;

impl Ratio {
    /// `num / den`, negated when `negative`; a zero loses its sign.
    ///
    /// # Panics
    /// When `den` is zero.
    pub fn new(negative: bool, num: Nat, den: Nat) -> Self {
        assert!(!den.is_zero(), "a ratio over zero");
        Self { negative: negative && !num.is_zero(), num, den }
    }

    /// The exact value of a finite float.
    ///
    /// # Panics
    /// When it is an infinity or a NaN.
    pub fn from_f64(x: f64) -> Self {
        let FloatParts { negative, mantissa, exponent } = FloatParts::of_finite(x).expect("a ratio is finite");
        let (mantissa, shift) = (Nat::from(mantissa), u64::from(exponent.unsigned_abs()));
        match exponent {
            0.. => Self::new(negative, mantissa.shl(shift), Nat::one()),
            _ => Self::new(negative, mantissa, Nat::pow2(shift)),
        }
    }

    /// The nearest float, ties to even, subnormals included; an infinity of its sign beyond the range.
    pub fn to_f64(&self) -> f64 {
        let exact = |n: &Nat| n.bits() <= u64::from(EXACT_FLOAT_BITS);
        if exact(&self.num) && exact(&self.den) {
            // One division of two exact floats is rounded as IEEE 754 asks.
            let quotient = self.num.window(0) as f64 / self.den.window(0) as f64;
            return if self.negative { -quotient } else { quotient };
        }
        let shift = FLOOR_BITS - (self.num.bits() as i64 - self.den.bits() as i64);
        let (quotient, inexact) = self.scaled_floor(shift);
        f64_from_parts(self.negative, &quotient, -shift, inexact)
    }

    /// The nearest multiple of `10^-scale`, ties to even, as its mantissa; `None` when that leaves the width.
    pub fn to_decimal(&self, scale: u8) -> Option<I384> {
        let mantissa = self.num.mul(&Nat::pow10(u32::from(scale))).div_half_even(&self.den);
        I384::from_sign_magnitude(self.negative, &mantissa)
    }

    /// The float nearest to the square root, ties to even.
    ///
    /// # Panics
    /// When the ratio is below zero.
    pub fn sqrt_to_f64(&self) -> f64 {
        self.assert_root();
        let shift = 2 * FLOOR_BITS - (self.num.bits() as i64 - self.den.bits() as i64);
        // The root halves the exponent, so the shift must be even.
        let shift = shift + (shift & 1);
        let (radicand, inexact) = self.scaled_floor(shift);
        let (root, rest) = radicand.isqrt();
        f64_from_parts(false, &root, -(shift / 2), inexact || !rest.is_zero())
    }

    /// The multiple of `10^-scale` nearest to the square root, ties to even, as its mantissa; `None` when that leaves
    /// the width.
    ///
    /// # Panics
    /// When the ratio is below zero.
    pub fn sqrt_to_decimal(&self, scale: u8) -> Option<I384> {
        self.assert_root();
        // Twice the root, so that its lowest bit is the half on which the rounding turns.
        let scaled = self.num.mul(&Nat::pow10(2 * u32::from(scale))).shl(2);
        let (radicand, left) = scaled.div_rem(&self.den);
        let (doubled, rest) = radicand.isqrt();
        let inexact = !left.is_zero() || !rest.is_zero();
        let floor = doubled.shr(1);
        let up = doubled.is_odd() && (inexact || floor.is_odd());
        let mantissa = if up { floor.add(&Nat::one()) } else { floor };
        I384::from_sign_magnitude(false, &mantissa)
    }

    /// The floor of `num * 2^shift / den`, and whether it dropped anything.
    fn scaled_floor(&self, shift: i64) -> (Nat, bool) {
        let by = shift.unsigned_abs();
        let (quotient, remainder) =
            if shift >= 0 { self.num.shl(by).div_rem(&self.den) } else { self.num.div_rem(&self.den.shl(by)) };
        (quotient, !remainder.is_zero())
    }

    fn assert_root(&self) {
        assert!(!self.negative, "the square root of a number below zero");
    }
}
