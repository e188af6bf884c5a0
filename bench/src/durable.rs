//! W1 into a data directory: the same events, journaled, indexed, archived and committed.

use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::decode::{Chunk, Damaged};
use slackwater::face::config::Config;
use slackwater::runtime::Feed;
use slackwater::runtime::clock::{self, Clock};
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Keep, Opening};
use slackwater::runtime::replay::Resumed;
use slackwater_store::Fault;
use slackwater_store::disk::Folder;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::{Ask, Store};
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// What the same command does after it was killed.
struct GoesOn<F> {
    feed: F,
    said: bool,
}

impl<F: Feed> Feed for GoesOn<F> {
    type Error = F::Error;

    fn next(&mut self) -> Result<Option<Chunk>, F::Error> {
        let chunk = self.feed.next()?;
        if !std::mem::replace(&mut self.said, true) {
            println!("on");
        }
        Ok(chunk)
    }

    fn read(&self) -> u64 {
        self.feed.read()
    }
}

/// How a file is taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Into a directory that is made anew.
    Anew,
    /// As another one of the same events.
    Again,
    /// From where it was left; says `on` when the first entry that was not there is read.
    On,
}

/// Folds a file into the directory, and gives how many events it took.
pub fn fold(config: &Config, file: &Path, threads: usize, how: How) -> io::Result<u64> {
    let place = place();
    if how == How::Anew && place.exists() {
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
    let guards: Vec<_> = config.plan.sources.iter().map(|source| source.guards.clone()).collect();
    instance.guard(&guards).map_err(io::Error::other)?;
    let before = instance.head().counts.first().map_or(0, |counts| counts.received);
    let schema = &config.plan.sources[0].schema;
    let mut feed = FileChunks::open(0, formats[0], file, schema).map_err(io::Error::other)?;
    let name = file.to_string_lossy();
    match instance.offset(0, &name).cloned().filter(|_| how == How::On) {
        Some(known) => {
            let feed = Resumed::behind(feed, &known).map_err(io::Error::other)?;
            let mut feed = GoesOn { feed: feed.ok_or_else(|| io::Error::other("another file"))?, said: false };
            instance.take::<_, Stopped>(&mut feed, (0, &name), &gauge).map_err(|stopped| stopped.0)?;
        }
        None => instance.take::<_, Stopped>(&mut feed, (0, &name), &gauge).map_err(|stopped| stopped.0)?,
    }
    instance.end().map_err(io::Error::other)?;
    let counts = &instance.head().counts[0];
    assert!(counts.balances());
    Ok(counts.received - before)
}

/// Reads committed rows of the first minute, as somebody does who asks for them.
pub fn query(config: &Config) -> io::Result<u64> {
    let mut store = Sqlite::read(&place(), Arc::new(config.plan.clone())).map_err(io::Error::other)?;
    store.head().map_err(io::Error::other)?;
    let ask = Ask { to: Some(1_767_225_660_000_000_000), ..Ask::default() };
    let mut rows = 0;
    let mut count = |_| {
        rows += 1;
        Ok(())
    };
    store.rows(0, &ask, &mut count).map_err(io::Error::other)?;
    Ok(rows)
}

fn bytes_of(folder: &str) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(place().join(folder))? {
        // What is merged or retired goes while it is counted.
        bytes += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(bytes)
}

fn stage(name: &str, file: &Path) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("stage").args([name, "2"]).arg(file).stdout(Stdio::piped());
    Ok(command)
}

/// Loads the file three times, and says what each time added and how long it took.
pub fn loads(config: &Config, file: &Path) -> io::Result<()> {
    let (mut first, mut known) = (0.0, None);
    for load in ["durable", "again", "again"] {
        let since = Instant::now();
        let done = stage(load, file)?.output()?;
        let wall = since.elapsed().as_secs_f64();
        let events = String::from_utf8_lossy(&done.stdout);
        let events = events.split_whitespace().next().and_then(|events| events.parse::<f64>().ok());
        let Some(events) = events.filter(|_| done.status.success()) else {
            return Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
        };
        let mut store = Sqlite::read(&place(), Arc::new(config.plan.clone())).map_err(io::Error::other)?;
        let rows = store.head().map_err(io::Error::other)?.map(|head| head.rows);
        let bytes = bytes_of("archive")? as f64;
        if load == "durable" {
            (first, known) = (bytes, rows.clone());
            for folder in ["archive", "journal", "record", "index", "checkpoint"] {
                println!("{folder:<11} {:>6.2} bytes an event", bytes_of(folder)? as f64 / events);
            }
        }
        let same = if rows == known { "no row changed" } else { "ROWS CHANGED" };
        println!("{load:<11} {wall:>6.2} s, archive {:+.2}%, {same}", 100.0 * (bytes - first) / first);
    }
    Ok(())
}

/// Kills a load in its middle, and says how soon rows are read and the same load goes on.
pub fn restart(file: &Path) -> io::Result<()> {
    if place().exists() {
        fs::remove_dir_all(place())?;
    }
    let mut killed = stage("durable", file)?.stderr(Stdio::null()).spawn()?;
    // Its journal takes about a fifth of the file.
    let half = fs::metadata(file)?.len() / 10;
    while bytes_of("journal").unwrap_or(0) + bytes_of("record").unwrap_or(0) < half {
        if killed.try_wait()?.is_some() {
            return Err(io::Error::other("the load was over before it was killed"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill()?;
    killed.wait()?;
    let since = Instant::now();
    let asked = stage("query", file)?.output()?;
    let read = since.elapsed().as_secs_f64();
    let since = Instant::now();
    let mut on = stage("on", file)?.spawn()?;
    let mut line = String::new();
    let mut said = BufReader::new(on.stdout.take().ok_or_else(|| io::Error::other("no output"))?);
    said.read_line(&mut line)?;
    let goes_on = since.elapsed().as_secs_f64();
    said.read_line(&mut line)?;
    let whole = on.wait()?.success() && asked.status.success() && line.starts_with("on\n");
    println!(
        "killed in the middle: rows are read after {read:.2} s, the load goes on after {goes_on:.2} s (ended well: {whole})"
    );
    Ok(())
}
