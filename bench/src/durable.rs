//! W1 into a data directory: the same events, journaled, indexed, archived and committed.

use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::decode::Damaged;
use slackwater::face::config::Config;
use slackwater::runtime::clock::{self, Clock};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Keep, Opening};
use slackwater_store::Fault;
use slackwater_store::disk::Folder;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::Store;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory.
fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/durable")
}

/// Any of the reasons for which a round stops.
struct Stopped(io::Error);

impl From<InputError> for Stopped {
    fn from(error: InputError) -> Self {
        Stopped(io::Error::other(error))
    }
}

impl From<Damaged> for Stopped {
    fn from(error: Damaged) -> Self {
        Stopped(io::Error::other(error))
    }
}

impl From<Fault> for Stopped {
    fn from(error: Fault) -> Self {
        Stopped(io::Error::other(error))
    }
}

/// Folds a file into the directory, made anew if that is asked for; else the file counts as another one of the same events.
pub fn fold(config: &Config, file: &Path, threads: usize, anew: bool) -> io::Result<u64> {
    let place = place();
    if anew && place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let disk = Arc::new(Folder::open(&place)?);
    let plan = Arc::new(config.plan.clone());
    let formats = [config.sources[0].format];
    let mut open_store =
        |_: Keep| -> Result<Box<dyn Store>, Fault> { Ok(Box::new(Sqlite::open(&place, plan.clone())?)) };
    let opening = Opening {
        plan: &config.plan,
        formats: &formats,
        settings: Settings::of_threads(threads),
        disk,
        store: &mut open_store,
        clock: Clock::start(),
        name: clock::lot(),
    };
    let gauge = Gauge::default();
    let (mut instance, _) = Instance::open(opening, &gauge).map_err(io::Error::other)?;
    let before = instance.head().counts.first().map_or(0, |counts| counts.received);
    let schema = &config.plan.sources[0].schema;
    let mut feed = FileChunks::open(0, formats[0], file, schema).map_err(io::Error::other)?;
    let name = file.to_string_lossy();
    instance.take::<_, Stopped>(&mut feed, (0, &name), &gauge).map_err(|stopped| stopped.0)?;
    instance.end().map_err(io::Error::other)?;
    let counts = &instance.head().counts[0];
    assert!(counts.balances());
    Ok(counts.received - before)
}

/// Says how many bytes an event takes, where it was taken in twice.
pub fn sizes(trades: u64) -> io::Result<()> {
    for (folder, times) in [("journal", 2), ("record", 2), ("archive", 1), ("index", 1), ("checkpoint", 1)] {
        let mut bytes = 0;
        for entry in fs::read_dir(place().join(folder))? {
            bytes += entry?.metadata()?.len();
        }
        let each = bytes as f64 / (trades * times) as f64;
        println!("{folder:<11} {:>9} MiB  {each:>6.2} bytes an event", bytes >> 20);
    }
    Ok(())
}
