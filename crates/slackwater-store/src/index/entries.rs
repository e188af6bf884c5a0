//! Identities with what is known of them, many in one buffer.

use slackwater_core::row::Op;

/// What is known of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Version of the winner.
    pub version: u64,
    /// Version of the decoder that made it.
    pub decoder: u32,
    /// Content or retraction.
    pub op: Op,
    /// Its content digest.
    pub digest: u128,
    /// Its event time in nanoseconds since the epoch.
    pub time: i64,
    /// The tick at which it became visible.
    pub tick: u64,
}

/// Identities, one behind the other in one buffer, and what is known of each.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    known: Vec<Known>,
}

impl Entries {
    /// None yet.
    pub fn new() -> Entries {
        Entries::default()
    }

    /// Adds one, in any order. Of two with one identity, the later one counts.
    pub fn push(&mut self, identity: &[u8], known: Known) {
        self.bytes.extend_from_slice(identity);
        self.ends.push(self.bytes.len());
        self.known.push(known);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Takes all away and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.known.clear();
    }

    /// The identity at a place.
    #[inline]
    pub fn identity(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    /// What is known of it.
    #[inline]
    pub fn known(&self, at: usize) -> &Known {
        &self.known[at]
    }

    /// Bytes of all identities.
    pub(super) fn identity_bytes(&self) -> usize {
        self.bytes.len()
    }
}
