//! An index for numeric ids that lie close together: an array per run of 256 ids, four bytes an id.
//!
//! Ids that are counted up, as exchanges and databases do, come in about their own order, so look-ups stay in one or two
//! lines of cache. Where ids turn out to be sparse no new page is made, and [`crate::memory`] keeps them in its table.

use crate::names::Names;
use crate::table::{Table, mix};
use alloc::vec::Vec;

/// Ids in a page.
const PAGE: usize = 256;
/// Pages that may be made before their use is looked at.
const TRIAL: usize = 256;
/// Places for pages that were asked for lately.
const LATELY: usize = 8;
/// Ids that a page must hold on average to be worth its room: a table entry takes about three times that of an id here.
const WORTH: usize = 24;

/// Maps (source, origin, id) to a number.
#[derive(Debug, Default)]
pub(crate) struct Dense {
    /// Origins, by source.
    origins: Vec<Names>,
    pages: Table,
    /// Whose ids each page holds.
    owners: Vec<Owner>,
    /// Number + 1 for each id of each page; zero is none.
    slots: Vec<[u32; PAGE]>,
    /// Pages that were asked for lately, by the low bits of their origin's number: each origin mostly counts up.
    lately: [u32; LATELY],
    used: usize,
    /// Set once and for ever: an id without a page never gets one, so it is always looked for in the same place.
    sparse: bool,
}

/// One run of the ids of an origin of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    source: u16,
    origin: u32,
    run: u64,
}

impl Owner {
    #[inline]
    fn hash(self) -> u64 {
        mix(self.run, u64::from(self.origin) << 16 | u64::from(self.source))
    }
}

/// Where an id is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// In this page at this slot, which may be empty.
    Slot(u32, u8),
    /// In no page.
    Nowhere,
}

impl Dense {
    /// Where an id stands. A page is made for it if ids are dense so far.
    #[inline]
    pub fn seat(&mut self, source: u16, origin: &[u8], id: u64) -> Seat {
        if self.origins.len() <= usize::from(source) {
            self.origins.resize_with(usize::from(source) + 1, Names::default);
        }
        let origins = &mut self.origins[usize::from(source)];
        // Who gets no page needs no number.
        let origin = if self.sparse { origins.known(origin) } else { Some(origins.number(origin)) };
        let Some(origin) = origin else { return Seat::Nowhere };
        let owner = Owner { source, origin, run: id / PAGE as u64 };
        let place = origin as usize % LATELY;
        let page = self.lately[place];
        if self.owners.get(page as usize) == Some(&owner) {
            return Seat::Slot(page, slot_of(id));
        }
        let found = self.page(owner, id);
        if let Seat::Slot(page, _) = found {
            self.lately[place] = page;
            return found;
        }
        let pages = self.owners.len();
        self.sparse |= pages >= TRIAL && self.used < pages * WORTH;
        if self.sparse {
            return Seat::Nowhere;
        }
        self.pages.insert(owner.hash(), pages as u32);
        self.owners.push(owner);
        self.slots.push([0; PAGE]);
        self.lately[place] = pages as u32;
        Seat::Slot(pages as u32, slot_of(id))
    }

    /// Where an id stands, if there is a page for it.
    pub fn find(&self, source: u16, origin: &[u8], id: u64) -> Seat {
        let origin = self.origins.get(usize::from(source)).and_then(|origins| origins.find(origin));
        origin.map_or(Seat::Nowhere, |origin| self.page(Owner { source, origin, run: id / PAGE as u64 }, id))
    }

    #[inline]
    fn page(&self, owner: Owner, id: u64) -> Seat {
        let found = self.pages.find(owner.hash(), |page| self.owners[page as usize] == owner);
        found.map_or(Seat::Nowhere, |page| Seat::Slot(page, slot_of(id)))
    }

    /// The number under a slot.
    #[inline]
    pub fn get(&self, page: u32, slot: u8) -> Option<u32> {
        self.slots[page as usize][usize::from(slot)].checked_sub(1)
    }

    /// Puts a number under a slot.
    #[inline]
    pub fn set(&mut self, page: u32, slot: u8, number: u32) {
        assert!(number < u32::MAX, "a dense index holds numbers below 2^32 - 1");
        let slot = &mut self.slots[page as usize][usize::from(slot)];
        self.used += usize::from(*slot == 0);
        *slot = number + 1;
    }
}

#[inline]
fn slot_of(id: u64) -> u8 {
    (id % PAGE as u64) as u8
}
