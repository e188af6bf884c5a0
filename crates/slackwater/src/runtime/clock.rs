//! The only place that reads the machine's clock.

use slackwater_store::Fault;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A start that is so much before the last record is waited out; one that is more is refused.
const WAIT: Duration = Duration::from_secs(10);

/// Recorded time: what the machine's clock said at the start, and from there on time that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds since the epoch at the start.
    start: i64,
    passes: Passes,
}

/// How a clock's time passes.
#[derive(Clone, Copy, Debug)]
enum Passes {
    /// As it does.
    On(Stopwatch),
    /// Not at all.
    Still,
    /// As somebody else says: nanoseconds since the start.
    As(&'static AtomicI64),
}

impl Clock {
    /// Reads the machine's clock, once.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::at(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
    }

    /// A clock that begins at a time, in nanoseconds since the epoch.
    pub fn at(start: i64) -> Self {
        Clock { start, passes: Passes::On(Stopwatch::start()) }
    }

    /// A clock that stands still, for a run that must be the same every time.
    pub fn still(at: i64) -> Self {
        Clock { start: at, passes: Passes::Still }
    }

    /// A clock whose time passes as `since` says, in nanoseconds since its start: for a world that is made up.
    pub fn driven(start: i64, since: &'static AtomicI64) -> Self {
        Clock { start, passes: Passes::As(since) }
    }

    /// Nanoseconds since the epoch.
    pub fn now(&self) -> i64 {
        let since = match self.passes {
            Passes::On(watch) => i64::try_from(watch.elapsed().as_nanos()).unwrap_or(i64::MAX),
            Passes::Still => 0,
            Passes::As(since) => since.load(Ordering::Acquire),
        };
        self.start.saturating_add(since)
    }

    /// Waits until the time of the last record is over.
    ///
    /// # Errors
    /// When it is too far ahead: then this clock, or the one that made the record, is wrong.
    pub fn not_before(&self, last: Option<i64>) -> Result<(), Fault> {
        let Some(ahead) = last.and_then(|last| last.checked_sub(self.now())).filter(|ahead| *ahead >= 0) else {
            return Ok(());
        };
        let ahead = Duration::from_nanos(ahead as u64 + 1);
        if ahead > WAIT {
            return Err(Fault::Refused(format!(
                "the machine's clock is {} seconds behind the last record of this directory; set the clock, or wait",
                ahead.as_secs()
            )));
        }
        std::thread::sleep(ahead);
        Ok(())
    }
}

/// Sixteen bytes drawn by lot: a name that no other instance has.
pub fn lot() -> [u8; 16] {
    let draw = || RandomState::new().hash_one(0u8).to_le_bytes();
    let mut name = [0; 16];
    name[..8].copy_from_slice(&draw());
    name[8..].copy_from_slice(&draw());
    name
}

/// Measures how long something took; never part of a result.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
