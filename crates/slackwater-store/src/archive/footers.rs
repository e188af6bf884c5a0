//! The footers that were read last, a bounded number of them: who looks for single contents comes back to the same segments.

use super::volume::Segment;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many footers are kept at most, and how large each of them may be in bytes: 4 MiB of them, as they are written.
const PLACES: usize = 64;
const SMALL: usize = 1 << 16;

/// What a footer says, held against its digest.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    /// How it is written, in bytes.
    pub bytes: usize,
    /// Row groups and columns.
    pub metadata: ArrowReaderMetadata,
    /// Digests of the column chunks.
    pub digests: Arc<[blake3::Hash]>,
}

/// A footer, behind its source and its digest.
type Known = (u16, [u8; 32], Footer);

/// Footers by source and digest. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Footers(Arc<Mutex<VecDeque<Known>>>);

impl Footers {
    /// That of a segment, if it is here.
    pub fn of(&self, segment: &Segment) -> Option<Footer> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(source, digest, _): &&Known| *source == segment.source && *digest == segment.file_digest;
        known.iter().find(same).map(|(.., footer)| footer.clone())
    }

    /// Keeps that of a segment, in the place of the oldest one, unless it is large.
    pub fn keep(&self, segment: &Segment, footer: &Footer) {
        if footer.bytes > SMALL {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == PLACES {
            known.pop_front();
        }
        known.push_back((segment.source, segment.file_digest, footer.clone()));
    }
}
