//! The bytes of one file: as they read, as they are durable, and the changes between the two.

use super::image::Choices;
use std::sync::Arc;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Content {
    /// As it reads.
    pub cached: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    what: What,
    /// Its sync has failed: it may be durable, and no later sync makes it so.
    doubtful: bool,
}

#[derive(Clone, Debug)]
enum What {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl What {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            What::Write { at, bytes } => {
                to.resize(to.len().max(at + bytes.len()), 0);
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            What::Truncate(len) => to.resize(*len, 0),
        }
    }

    /// Ranges of its bytes that are written whole or not at all.
    fn pieces(&self) -> Vec<(usize, usize)> {
        let What::Write { at, bytes } = self else { return Vec::new() };
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let to = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(bytes.len());
            pieces.push((from, to));
            from = to;
        }
        pieces
    }
}

impl Content {
    /// A file whose bytes are durable.
    pub fn durable(bytes: Arc<Vec<u8>>) -> Self {
        Content { cached: Arc::clone(&bytes), durable: bytes, pending: Vec::new() }
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.change(What::Write { at, bytes: bytes.to_vec() });
        }
    }

    pub fn truncate(&mut self, len: usize) {
        self.change(What::Truncate(len));
    }

    fn change(&mut self, what: What) {
        what.apply(Arc::make_mut(&mut self.cached));
        self.pending.push(Change { what, doubtful: false });
    }

    /// Makes durable what no failed sync has put in doubt.
    pub fn sync(&mut self) {
        let mut doubtful: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            if change.doubtful {
                doubtful.push(change);
                continue;
            }
            change.what.apply(Arc::make_mut(&mut self.durable));
            doubtful.iter_mut().for_each(|older| older.what.give_way(&change.what));
        }
        self.pending = doubtful;
    }

    /// After a sync that failed: all that it was about may be lost, and no later sync is about it again.
    pub fn fail_to_sync(&mut self) {
        self.pending.iter_mut().for_each(|change| change.doubtful = true);
    }

    /// What may be found after a crash.
    pub fn after_crash(&self, choices: &mut Choices) -> Arc<Vec<u8>> {
        if self.pending.is_empty() {
            return Arc::clone(&self.durable);
        }
        let mut bytes = self.durable.to_vec();
        // Lengths that the file may have: as if no write had made it longer, as its kept bytes have it, as it reads.
        let (mut short, mut kept, mut full) = (bytes.len(), bytes.len(), bytes.len());
        for change in &self.pending {
            match &change.what {
                What::Truncate(len) => {
                    if choices.pick(2) == 1 {
                        bytes.resize(*len, 0);
                        (short, kept, full) = (*len, *len, *len);
                    }
                }
                What::Write { at, bytes: new } => {
                    full = full.max(at + new.len());
                    let pieces = change.what.pieces();
                    for ((from, to), keep) in pieces.iter().zip(choices.tear(pieces.len())) {
                        if keep {
                            bytes.resize(bytes.len().max(at + to), 0);
                            bytes[at + from..at + to].copy_from_slice(&new[*from..*to]);
                            kept = kept.max(at + to);
                        }
                    }
                }
            }
        }
        let mut lengths = vec![kept, short, full, short + kept.saturating_sub(short) / 2];
        // Cut anywhere, even between two bytes of a sector.
        lengths.extend(choices.anywhere(short, full));
        let mut distinct: Vec<usize> = Vec::new();
        for len in lengths {
            if !distinct.contains(&len) {
                distinct.push(len);
            }
        }
        bytes.resize(distinct[choices.pick(distinct.len())], 0);
        Arc::new(bytes)
    }
}

impl What {
    /// A newer change has become durable: where it wrote, this older one has nothing to say any more.
    fn give_way(&mut self, newer: &What) {
        let What::Write { at, bytes } = self else { return };
        match newer {
            What::Write { at: other, bytes: new } => {
                for (offset, byte) in bytes.iter_mut().enumerate() {
                    if let Some(there) = (*at + offset).checked_sub(*other).and_then(|index| new.get(index)) {
                        *byte = *there;
                    }
                }
            }
            What::Truncate(len) => bytes.truncate(len.saturating_sub(*at)),
        }
    }
}
