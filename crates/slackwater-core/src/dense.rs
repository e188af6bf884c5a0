//! An index for numeric ids that lie close together: an array per run of 256 ids, four bytes an id.
//!
//! Ids that are counted up, as exchanges and databases do, come in about their own order, so look-ups stay in one or two
//! lines of cache. Where ids turn out to be sparse no new page is made, and [`crate::memory`] keeps them in its table.

use crate::table::Table;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Ids in a page.
const PAGE: usize = 256;
/// Pages that may be made before their use is looked at.
const TRIAL: usize = 256;
/// Ids that a page must hold on average to be worth its room: a table entry takes about three times that of an id here.
const WORTH: usize = 24;

/// Maps (source, origin, id) to a number.
#[derive(Debug, Default)]
pub(crate) struct Dense {
    pages: Table,
    /// Source and origin of each page, and which run of their ids it holds.
    owners: Vec<(u16, Box<[u8]>, u64)>,
    /// Number + 1 for each id of each page; zero is none.
    slots: Vec<[u32; PAGE]>,
    used: usize,
    /// Set once and for ever: an id without a page never gets one, so it is always looked for in the same place.
    sparse: bool,
}

/// Where an id is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// In this page at this slot, which may be empty.
    Slot(usize, usize),
    /// In no page.
    Nowhere,
}

impl Dense {
    /// Where an id stands. A page is made for it if ids are dense so far.
    #[inline]
    pub fn seat(&mut self, source: u16, origin: &[u8], id: u64) -> Seat {
        let (found, hash) = self.find(source, origin, id);
        if found != Seat::Nowhere {
            return found;
        }
        let pages = self.owners.len();
        self.sparse |= pages >= TRIAL && self.used < pages * WORTH;
        if self.sparse {
            return Seat::Nowhere;
        }
        self.pages.insert(hash, pages as u32);
        self.owners.push((source, origin.into(), id / PAGE as u64));
        self.slots.push([0; PAGE]);
        Seat::Slot(pages, (id % PAGE as u64) as usize)
    }

    /// Where an id stands, if there is a page for it, and the hash of its page.
    #[inline]
    pub fn find(&self, source: u16, origin: &[u8], id: u64) -> (Seat, u64) {
        let (run, within) = (id / PAGE as u64, (id % PAGE as u64) as usize);
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(origin, run ^ u64::from(source) << 48);
        let owned = |page: u32| {
            let (owner, of, holds) = &self.owners[page as usize];
            *holds == run && *owner == source && **of == *origin
        };
        let found = self.pages.find(hash, owned);
        (found.map_or(Seat::Nowhere, |page| Seat::Slot(page as usize, within)), hash)
    }

    /// The number under a slot.
    #[inline]
    pub fn get(&self, page: usize, slot: usize) -> Option<u32> {
        self.slots[page][slot].checked_sub(1)
    }

    /// Puts a number under a slot.
    #[inline]
    pub fn set(&mut self, page: usize, slot: usize, number: u32) {
        assert!(number < u32::MAX, "a dense index holds numbers below 2^32 - 1");
        let slot = &mut self.slots[page][slot];
        self.used += usize::from(*slot == 0);
        *slot = number + 1;
    }
}
