//! The exact sum of what bars get of facts that were cut: a whole part and a fraction in lowest terms.

use crate::codec::{CodecError, Reader, put_varint};
use crate::number::{I384, Nat};
use crate::planted::{self, Bug};
use alloc::vec::Vec;

/// `whole + num / den`, with `0 <= num < den` and no common divisor: equal sums are equal parts.
#[derive(Clone, Debug)]
pub struct Share {
    whole: I384,
    num: Nat,
    den: Nat,
}

/// Most limbs of a fraction that is read back: far more than facts of 76 digits can make.
const LIMBS: usize = 256;

impl Share {
    /// Nothing.
    pub fn new() -> Self {
        Share { whole: I384::ZERO, num: Nat::default(), den: Nat::one() }
    }

    /// Adds a whole number.
    pub fn add(&mut self, value: &I384) {
        self.whole.add(value);
    }

    /// Takes a whole number away.
    pub fn sub(&mut self, value: &I384) {
        self.whole.sub(value);
    }

    /// Adds `value * part / of`.
    pub fn add_part(&mut self, value: &I384, part: &Nat, of: &Nat) {
        let (quotient, rest) = value.magnitude().mul(part).div_rem(of);
        let whole = I384::from_sign_magnitude(value.is_negative(), &quotient).expect("a share is less than the whole");
        self.whole.add(&whole);
        if rest.is_zero() || planted::is(Bug::ShareRoundedEarly) {
            return;
        }
        if value.is_negative() {
            self.whole.sub(&I384::ONE);
            self.add_fraction(&of.sub(&rest), of);
        } else {
            self.add_fraction(&rest, of);
        }
    }

    /// Adds what another share is.
    pub fn merge(&mut self, other: &Share) {
        self.whole.add(&other.whole);
        self.add_fraction(&other.num, &other.den);
    }

    /// Sign, numerator and denominator.
    pub fn parts(&self) -> (bool, Nat, Nat) {
        let scaled = self.whole.magnitude().mul(&self.den);
        let num = if self.whole.is_negative() { scaled.sub(&self.num) } else { scaled.add(&self.num) };
        (self.whole.is_negative(), num, self.den.clone())
    }

    fn add_fraction(&mut self, num: &Nat, den: &Nat) {
        let sum = self.num.mul(den).add(&num.mul(&self.den));
        let product = self.den.mul(den);
        let (over, rest) = sum.div_rem(&product);
        // Two fractions below one are less than two.
        if !over.is_zero() {
            self.whole.add(&I384::ONE);
        }
        let divisor = gcd(&product, &rest);
        self.num = rest.div_rem(&divisor).0;
        self.den = product.div_rem(&divisor).0;
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.whole.encode(out);
        for number in [&self.num, &self.den] {
            put_varint(out, number.limbs().len() as u64);
            number.limbs().iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let Some((whole, used)) = I384::decode(reader.rest()) else { return reader.fail("an exact sum") };
        reader.skip(used)?;
        let (num, den) = (natural(reader)?, natural(reader)?);
        let proper = num.cmp(&den).is_lt() && gcd(&den, &num).cmp(&Nat::one()).is_eq();
        if proper { Ok(Share { whole, num, den }) } else { reader.fail("a proper fraction in lowest terms") }
    }
}

impl Default for Share {
    fn default() -> Self {
        Share::new()
    }
}

fn natural(reader: &mut Reader<'_>) -> Result<Nat, CodecError> {
    let count: usize = reader.number()?;
    if count > LIMBS {
        return reader.fail("a smaller fraction");
    }
    let limbs: Result<Vec<u64>, _> = (0..count).map(|_| reader.array().map(u64::from_le_bytes)).collect();
    let limbs = limbs?;
    if limbs.last() == Some(&0) { reader.fail("no leading zeros") } else { Ok(Nat::from_limbs(limbs)) }
}

fn gcd(a: &Nat, b: &Nat) -> Nat {
    let (mut a, mut b) = (a.clone(), b.clone());
    while !b.is_zero() {
        let rest = a.div_rem(&b).1;
        a = core::mem::replace(&mut b, rest);
    }
    a
}
