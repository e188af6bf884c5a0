//! An exact sum of integers: 128 bits at hand, and what went beyond them in a wider number elsewhere.
//!
//! Most sums never leave 128 bits, and every window holds several: so each takes 24 bytes, and adding to it one addition.

use super::int::I384;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// An exact sum of `i128` and of wider numbers. What it is worth is `near + far`; how that is split has no meaning.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    /// Low and high half of a number in two's complement, apart because an `i128` would have to be aligned to 16 bytes.
    near: [u64; 2],
    far: Option<Box<I384>>,
}

impl ExactSum {
    /// The sum of one number.
    pub fn of(value: I384) -> Self {
        let mut sum = ExactSum::default();
        sum.add(&value);
        sum
    }

    #[inline]
    fn near(&self) -> i128 {
        (u128::from(self.near[1]) << 64 | u128::from(self.near[0])) as i128
    }

    #[inline]
    fn set_near(&mut self, near: i128) {
        self.near = [near as u64, (near >> 64) as u64];
    }

    /// Adds a number.
    ///
    /// # Panics
    /// When the sum leaves 384 bits; callers bound the number of terms so that it cannot.
    #[inline]
    pub fn add_i128(&mut self, value: i128) {
        match self.near().checked_add(value) {
            Some(near) => self.set_near(near),
            None => self.spill().add_i128(value),
        }
    }

    /// Takes a number away.
    ///
    /// # Panics
    /// As [`ExactSum::add_i128`].
    #[inline]
    pub fn sub_i128(&mut self, value: i128) {
        match self.near().checked_sub(value) {
            Some(near) => self.set_near(near),
            None => self.spill().sub_i128(value),
        }
    }

    /// Moves all that is at hand to the wider number.
    #[cold]
    fn spill(&mut self) -> &mut I384 {
        let near = self.near();
        self.set_near(0);
        let far = self.far.get_or_insert_with(|| Box::new(I384::ZERO));
        far.add_i128(near);
        far
    }

    /// Adds a wide number.
    ///
    /// # Panics
    /// As [`ExactSum::add_i128`].
    pub fn add(&mut self, value: &I384) {
        match value.to_i128() {
            Some(value) => self.add_i128(value),
            None => self.spill().add(value),
        }
    }

    /// Takes a wide number away.
    ///
    /// # Panics
    /// As [`ExactSum::add_i128`].
    pub fn sub(&mut self, value: &I384) {
        match value.to_i128() {
            Some(value) => self.sub_i128(value),
            None => self.spill().sub(value),
        }
    }

    /// Adds what another sum is worth.
    ///
    /// # Panics
    /// As [`ExactSum::add_i128`].
    pub fn merge(&mut self, other: &ExactSum) {
        self.add_i128(other.near());
        if let Some(far) = &other.far {
            self.add(far);
        }
    }

    /// What it is worth.
    pub fn total(&self) -> I384 {
        let mut total = self.far.as_deref().copied().unwrap_or(I384::ZERO);
        total.add_i128(self.near());
        total
    }

    /// The same, if it fits.
    #[inline]
    pub fn to_i128(&self) -> Option<i128> {
        if self.far.is_none() { Some(self.near()) } else { self.total().to_i128() }
    }

    /// Appends the canonical encoding, which is that of its worth.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.total().encode(out);
    }

    /// Reads one at the beginning of `bytes`, and says how many bytes it took; none where there is none.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        I384::decode(bytes).map(|(total, used)| (ExactSum::of(total), used))
    }
}
