//! Between which times the windows of a pipeline are here.

use crate::codec::{CodecError, Reader};
use alloc::vec::Vec;

/// Where what is here begins and ends. Times in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    /// What ended by then may have been put away.
    pub horizon: i128,
    /// Slices that start here or later are put off: their facts are not folded before the watermark comes near.
    pub ceiling: i128,
    /// How far the ceiling was beyond the watermark when it was drawn.
    pub reach: i128,
    /// The latest start of a slice that was put off.
    pub farthest: i128,
}

impl Default for Edges {
    fn default() -> Self {
        Edges { horizon: i128::MIN, ceiling: i128::MAX, reach: 0, farthest: i128::MIN }
    }
}

impl Edges {
    /// The watermark at which what is put off may seal.
    pub fn due(&self) -> Option<i128> {
        (self.ceiling < i128::MAX).then(|| self.ceiling.saturating_add(1))
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Edges { horizon, ceiling, reach, farthest } = self;
        [horizon, ceiling, reach, farthest].iter().for_each(|time| out.extend_from_slice(&time.to_le_bytes()));
    }

    /// Reads back what [`Edges::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Edges, CodecError> {
        let mut time = || Ok(i128::from_le_bytes(reader.array()?));
        let edges = Edges { horizon: time()?, ceiling: time()?, reach: time()?, farthest: time()? };
        // What is less than none would be lost where shards meet.
        if edges.reach < 0 { reader.fail("a distance") } else { Ok(edges) }
    }

    /// Those of several shards whose keys come together: what is not here in one may not be here.
    pub fn meet(&mut self, other: Edges) {
        self.horizon = self.horizon.max(other.horizon);
        self.ceiling = self.ceiling.min(other.ceiling);
        self.reach = self.reach.max(other.reach);
        self.farthest = self.farthest.max(other.farthest);
    }
}
