//! Names of origins, numbered in the order in which they came.
//!
//! Every event asks for the number of its origin. There are mostly few of them and their names are short, so those that were
//! asked for lately are told by a word of their bytes, without a hash.

use crate::table::Table;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Places for names that were asked for lately.
const LATELY: usize = 8;

/// Names with their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    table: Table,
    /// Each with its word.
    list: Vec<(u64, Box<[u8]>)>,
    lately: [u32; LATELY],
}

impl Names {
    /// The number of a name: if it is new, the next one.
    #[inline]
    pub fn number(&mut self, name: &[u8]) -> u32 {
        self.known(name).unwrap_or_else(|| {
            let number = self.list.len() as u32;
            self.table.insert(xxhash_rust::xxh3::xxh3_64(name), number);
            self.list.push((word(name), name.into()));
            number
        })
    }

    /// The number of a name that is known, and will be asked for again soon.
    #[inline]
    pub fn known(&mut self, name: &[u8]) -> Option<u32> {
        let word = word(name);
        let lately = &mut self.lately[place(word)];
        if self.list.get(*lately as usize).is_some_and(|known| is(known, word, name)) {
            return Some(*lately);
        }
        let number = self.find(name)?;
        self.lately[place(word)] = number;
        Some(number)
    }

    /// The number of a name that is known.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.table.find(xxhash_rust::xxh3::xxh3_64(name), |number| *self.list[number as usize].1 == *name)
    }
}

#[inline]
fn is((of, known): &(u64, Box<[u8]>), word: u64, name: &[u8]) -> bool {
    *of == word && known.len() == name.len() && (name.len() <= 8 || **known == *name)
}

#[inline]
fn place(word: u64) -> usize {
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as usize % LATELY
}

/// What a hash of a name can be made of: its word, or a hash where that is not all of it.
#[inline]
pub(crate) fn hash(name: &[u8]) -> u64 {
    if name.len() <= 8 { word(name) } else { xxhash_rust::xxh3::xxh3_64(name) }
}

/// The first eight bytes of a name; all of it, if there are no more. Two names of one length that is no larger have one word
/// only if they are alike.
#[inline]
fn word(name: &[u8]) -> u64 {
    if let Some(first) = name.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}
