//! The disk's own sync, beside the load.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From one sync to the next.
const EVERY: Duration = Duration::from_millis(25);

/// Writes a block at the end of a small file and syncs it, again and again.
pub struct Probe;

impl Probe {
    /// How long each sync took, until it is told to stop.
    pub fn run(folder: &Path, stop: &AtomicBool) -> io::Result<Vec<Duration>> {
        let path = folder.join("probe.tmp");
        let file = File::create(&path)?;
        let (block, mut took) = (vec![0x5a; 4_096], Vec::new());
        while !stop.load(Ordering::Acquire) {
            let begun = Instant::now();
            file.write_all_at(&block, took.len() as u64 * 4_096)?;
            file.sync_data()?;
            took.push(begun.elapsed());
            std::thread::sleep(EVERY.saturating_sub(begun.elapsed()));
        }
        std::fs::remove_file(path)?;
        Ok(took)
    }
}
