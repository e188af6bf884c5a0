//! A data directory as the place of an instance: its lock, the configuration that it is used with, and its store.

use crate::face::config::{self, Config};
use slackwater_core::plan::Plan;
use slackwater_store::disk::{Disk, Folder, Onlooker, read_whole, write_whole};
use slackwater_store::sqlite::{self, Sqlite};
use slackwater_store::store::Store;
use slackwater_store::{Fault, KeepRaw};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::clock::Stopwatch;
use crate::runtime::reopen::Keep;

/// Name of the configuration in the directory.
pub const CONFIG: &str = "config.toml";
/// Most bytes of it.
const MOST_BYTES: u64 = 16 << 20;

/// How long a service waits for the process before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Locks a directory, and makes it if it is not there.
///
/// # Errors
/// When another process uses it, or it cannot be used.
pub fn lock(data: &Path) -> Result<Folder, Fault> {
    Folder::open(data).map_err(|cause| unusable(data, &cause))
}

/// Looks at a directory that nobody uses meanwhile, and which may be one that cannot be written.
///
/// # Errors
/// When another process uses it, or it cannot be read.
pub fn look(data: &Path) -> Result<Onlooker, Fault> {
    Onlooker::alone(data).map_err(|cause| unusable(data, &cause))
}

fn unusable(data: &Path, cause: &io::Error) -> Fault {
    let name = data.display();
    Fault::Refused(match cause.kind() {
        io::ErrorKind::WouldBlock => {
            format!("--data {name}: another process uses this directory; wait for its end, or name another one")
        }
        _ => format!("--data {name}: the directory cannot be used: {cause}"),
    })
}

/// Locks a directory whose last process may be on its way out: one that was killed holds the lock until its memory is freed.
///
/// # Errors
/// As [`lock`] has them, once it was patient.
pub fn lock_soon(data: &Path) -> Result<Folder, Fault> {
    let watch = Stopwatch::start();
    loop {
        match Folder::open(data) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && watch.elapsed() < PATIENCE => {
                std::thread::sleep(PATIENCE / 100);
            }
            Ok(folder) => return Ok(folder),
            Err(_) => return lock(data),
        }
    }
}

/// Keeps the configuration that a directory is used with, for commands that only look at it.
///
/// # Errors
/// When it cannot be written.
pub fn keep_config(disk: &dyn Disk, text: &str) -> Result<(), Fault> {
    match read_whole(disk, CONFIG, MOST_BYTES) {
        Ok(known) if known == text.as_bytes() => Ok(()),
        _ => write_whole(disk, CONFIG, text.as_bytes()),
    }
}

/// Opens the store of a directory; where it is to be made anew, the one that is there is put aside first.
///
/// # Errors
/// When it cannot be opened or put aside.
pub fn open_store(data: &Path, plan: &Arc<Plan>, keep: Keep) -> Result<Box<dyn Store>, Fault> {
    if keep == Keep::Nothing {
        for ending in ["", "-wal", "-shm"] {
            let name = format!("{}{ending}", sqlite::FILE);
            match std::fs::rename(data.join(&name), data.join(format!("{name}.damaged"))) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(Fault::disk(&name, "put aside", cause));
                }
                _ => {}
            }
        }
    }
    Ok(Box::new(Sqlite::open(data, plan.clone())?))
}

/// Whether the bytes of events stay for good; and where they do not, for how long they do, in nanoseconds of recorded time.
///
/// # Errors
/// Where the sources of a configuration do not agree.
pub fn keep_raw(config: &Config) -> Result<(KeepRaw, i64), String> {
    let mut kept = config.sources.iter().map(|source| source.keep_raw);
    let first = kept.next().unwrap_or(config::KeepRaw::Forever);
    if kept.any(|other| other != first) {
        return Err(String::from(
            "a directory keeps the bytes of all events alike, for their ticks are told together; write the same `keep_raw` \
             in every source",
        ));
    }
    Ok(match first {
        config::KeepRaw::Forever => (KeepRaw::Forever, 0),
        config::KeepRaw::No => (KeepRaw::None, 0),
        config::KeepRaw::For(time) => (KeepRaw::None, time),
    })
}

/// How long the facts of each source are kept, in nanoseconds behind its watermark; for good where there is none.
pub fn keep_facts(config: &Config) -> Vec<Option<i64>> {
    config.sources.iter().map(|source| source.keep_facts).collect()
}

/// What a person should know of events whose bytes are gone, up to an entry of the journal.
pub fn on_gone_bytes(reduced: u64) -> Option<String> {
    (reduced > 0).then(|| {
        format!(
            "the bytes of events up to entry {reduced} of the journal are not kept (`keep_raw`): should store or checkpoints be \
             lost, these events are told by archive and record, and no other decoder can ever read them again"
        )
    })
}
