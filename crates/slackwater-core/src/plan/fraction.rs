//! A part of a whole, exactly as the SQL text has it.

use crate::limits::DECIMAL_DIGITS;
use crate::number::Nat;

/// A decimal from 0 to 1. Equal values are equal, however many zeros were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    mantissa: u128,
    scale: u8,
}

impl Fraction {
    /// `mantissa / 10^scale`; none above 1, or with more digits than a decimal has.
    pub fn new(mut mantissa: u128, mut scale: u8) -> Option<Self> {
        if scale > DECIMAL_DIGITS || mantissa > 10u128.pow(scale.into()) {
            return None;
        }
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        Some(Fraction { mantissa, scale })
    }

    /// What is left of it to 1.
    #[must_use]
    pub fn complement(self) -> Self {
        Fraction { mantissa: 10u128.pow(self.scale.into()) - self.mantissa, scale: self.scale }
    }

    /// So much of a number: the floor, and the rest over [`Fraction::denominator`].
    pub fn of(&self, number: u64) -> (u64, Nat) {
        let (floor, rest) = Nat::from(self.mantissa).mul(&Nat::from(number)).div_rem(&self.denominator());
        let floor = floor.to_u128().and_then(|floor| u64::try_from(floor).ok());
        (floor.expect("a part is no more than the whole"), rest)
    }

    /// The power of ten that it is over.
    pub fn denominator(&self) -> Nat {
        Nat::pow10(self.scale.into())
    }
}
