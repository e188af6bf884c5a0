//! Exact quotients, and the one rounding that turns them into a float or a decimal.

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

/// The least bits of a quotient or root that is then rounded to a float: above 54, so that what it lacks is only sticky,
/// and few enough that it, or the 128 bits whose root it is, are quick to work with.
const FLOOR_BITS: i64 = 60;

/// Every integer of at most this many bits is a float.
pub(super) const EXACT_FLOAT_BITS: u32 = 53;

/// The exponent of the least positive float, 2^-1074.
const LEAST_EXPONENT: i64 = -1074;

/// A finite float taken apart: `±mantissa * 2^exponent`, with `mantissa` below 2^53.
#[derive(Clone, Copy)]
pub(super) struct FloatParts {
    pub(super) negative: bool,
    pub(super) mantissa: u64,
    pub(super) exponent: i32,
}

impl FloatParts {
    /// The parts of `x`, or `None` for an infinity or a NaN.
    #[inline]
    pub(super) fn of_finite(x: f64) -> Option<Self> {
        const FIELD: u64 = 0x7ff;
        let bits = x.to_bits();
        let field = bits >> 52 & FIELD;
        if field == FIELD {
            return None;
        }
        // A subnormal has no hidden bit, and the exponent of the least normal.
        let hidden = u64::from(field != 0);
        let mantissa = (bits & ((1 << 52) - 1)) | hidden << 52;
        let exponent = (field | (hidden ^ 1)) as i32 - 1 + LEAST_EXPONENT as i32;
        Some(Self { negative: bits >> 63 == 1, mantissa, exponent })
    }
}

impl Ratio {
    /// `num / den`, negated when `negative`; a zero loses its sign.
    ///
    /// # Panics
    /// When `den` is zero.
    pub fn new(negative: bool, num: Nat, den: Nat) -> Self {
        assert!(!den.is_zero(), "a ratio over zero");
        Self { negative: negative && !num.is_zero(), num, den }
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

    /// The multiple of `10^-scale` nearest to the square root, ties to even, as its mantissa; `None` when that leaves the
    /// width.
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
        let (quotient, remainder) = if shift >= 0 {
            self.num.shl(by).div_rem(&self.den)
        } else {
            self.num.div_rem(&self.den.shl(by))
        };
        (quotient, !remainder.is_zero())
    }

    fn assert_root(&self) {
        assert!(!self.negative, "the square root of a number below zero");
    }
}

/// The float nearest to `mantissa * 2^exponent2`, ties to even, negated when `negative`; an infinity beyond the range.
///
/// `sticky` says that the true mantissa is above `mantissa` by less than one; it then needs at least 55 bits, so that
/// what it lacks lies below the rounding bit.
pub fn f64_from_parts(negative: bool, mantissa: &Nat, exponent2: i64, sticky: bool) -> f64 {
    const MANTISSA_BITS: i64 = 53;
    const GREATEST_TOP: i64 = 1023;
    let sign = u64::from(negative) << 63;
    if mantissa.is_zero() {
        return f64::from_bits(sign);
    }
    debug_assert!(!sticky || mantissa.bits() > 54, "too few bits to round a sticky mantissa");
    // The exponents of the highest bit and of the last bit the float keeps.
    let top = exponent2.saturating_add(mantissa.bits() as i64 - 1);
    let last = top.saturating_sub(MANTISSA_BITS - 1).max(LEAST_EXPONENT);
    if top > GREATEST_TOP {
        return f64::from_bits(sign | f64::INFINITY.to_bits());
    }
    let dropped = last.saturating_sub(exponent2);
    let kept = if dropped <= 0 {
        mantissa.window(0) << dropped.unsigned_abs()
    } else {
        let dropped = dropped.unsigned_abs();
        let floor = mantissa.window(dropped);
        let below_half = sticky || mantissa.trailing_zeros() < dropped - 1;
        floor + u64::from(mantissa.bit(dropped - 1) && (below_half || floor & 1 == 1))
    };
    // The exponent field counts from the last bit's least place. The hidden bit, where there is one, adds one to it, and
    // so does a mantissa that rounded up to the next power of two, into infinity if need be.
    let field = ((last - LEAST_EXPONENT) as u64) << (MANTISSA_BITS - 1);
    f64::from_bits(sign | (field + kept))
}
