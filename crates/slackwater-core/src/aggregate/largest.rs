//! The n largest values of a window, each as often as it occurs.
//!
//! Values are gathered in a multiset that is cut back to n from time to time; after a cut, what is not above the
//! smallest of them is passed over. What was passed over or cut off is gone, so that taking a value away that may be
//! among the n largest asks for the facts again.

use super::Sign;
use super::bag::Bag;
use crate::codec::{CodecError, Reader};
use crate::value::{Scalar, Type, Value};
use alloc::vec::Vec;
use core::cmp::Ordering;

/// The fewest values that are gathered before a cut.
const GATHERED: u32 = 64;

/// The largest values met so far.
#[derive(Clone, Debug)]
pub struct Largest {
    bag: Bag,
    most: u16,
    /// Values gathered since the last cut.
    gathered: u32,
    /// Whether the last cut left `most` values: others may be gone.
    full: bool,
}

impl Largest {
    pub(super) fn new(ty: Type, most: u16) -> Self {
        Largest { bag: Bag::new(ty), most, gathered: 0, full: false }
    }

    /// Adds a value, or takes it away. False if it may be among those held and others are gone.
    #[inline]
    pub(super) fn update(&mut self, value: Value<'_>, sign: Sign) -> bool {
        if value.is_null() {
            return true;
        }
        if self.full {
            let order = self.bag.against_smallest(&value);
            if sign == Sign::Minus {
                return order == Ordering::Less;
            }
            if order != Ordering::Greater {
                return true;
            }
        }
        self.bag.add(value, sign.unit());
        self.gathered += 1;
        if self.gathered >= GATHERED.max(self.most.into()) {
            self.cut();
        }
        true
    }

    fn cut(&mut self) {
        self.gathered = 0;
        self.full = self.bag.keep_largest(self.most.into());
    }

    pub(super) fn merge(&mut self, other: &Largest) {
        self.bag.merge(&other.bag);
        self.cut();
    }

    /// The values in descending order; null of none.
    pub(super) fn array(&self, ty: Type) -> Scalar {
        let mut bytes = Vec::new();
        let mut left = i64::from(self.most);
        self.bag.descend(ty, |value, count| {
            (0..count.min(left)).for_each(|_| value.encode(&mut bytes));
            left -= count.min(left);
            left > 0
        });
        if bytes.is_empty() { Scalar::NULL } else { Value::Array(&bytes).to_scalar() }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut cut = self.clone();
        cut.cut();
        cut.bag.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>, ty: Type, most: u16) -> Result<Self, CodecError> {
        let mut largest = Largest { bag: Bag::decode(reader, ty)?, most, gathered: 0, full: false };
        if !largest.bag.is_positive() || largest.bag.total() > most.into() {
            return reader.fail("no more values than are kept");
        }
        largest.cut();
        Ok(largest)
    }
}
