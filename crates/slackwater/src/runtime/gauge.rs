//! How far work has come, for a person to look at. Nothing reads it back into a decision.

use std::sync::atomic::{AtomicU64, Ordering};

/// Progress of reading and decoding.
#[derive(Debug, Default)]
pub struct Gauge {
    read: AtomicU64,
    events: AtomicU64,
}

impl Gauge {
    pub(super) fn set_read(&self, bytes: u64) {
        self.read.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_events(&self, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
    }

    /// Bytes read so far, as they stand on disk.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Events decoded or refused so far.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}
