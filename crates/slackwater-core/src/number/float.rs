//! A float taken apart into integers and put together again, rounded to the nearest: all that is ever done to its bits.

use super::nat::Nat;

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
    // The exponent field counts from the last bit's least place. The hidden bit, where there is one, adds one to it,
    // and so does a mantissa that rounded up to the next power of two, into infinity if need be.
    let field = ((last - LEAST_EXPONENT) as u64) << (MANTISSA_BITS - 1);
    f64::from_bits(sign | (field + kept))
}
