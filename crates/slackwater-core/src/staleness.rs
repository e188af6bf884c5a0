//! What a lag costs and what it leaves: how far events come behind their origin's frontier, from recorded arrivals.
//!
//! An event is late where its time lies before the frontier at the last tick less the lag. So the least lag at which it is
//! not late is how far it comes *behind* that frontier, and a histogram of that answers for every lag at once.

use crate::lateness::Lateness;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Nanoseconds of a day.
pub const DAY: i64 = 86_400_000_000_000;

/// One event as it came: arrival and event time, in nanoseconds since the epoch.
pub type Came = (i64, i64);

/// How events of one origin came, on one day of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Arrival less event time.
    pub lateness: Lateness,
    /// How far behind the frontier, in the steady regime.
    pub steady: Lateness,
    /// The same of events that happened before their origin was last heard again after a silence.
    pub bursts: Lateness,
    /// How often it was heard again after a silence.
    pub reconnects: u64,
}

/// How events of one origin came, by day of arrival since the epoch.
pub type Days = BTreeMap<i64, Day>;

/// Looks at how the events of one origin came, ticks being `tick` apart. A pause between arrivals of more than `silence` is
/// one after which events that are older than its end are a burst. Sorts the events by arrival.
pub fn study(events: &mut [Came], tick: i64, silence: i64) -> Days {
    events.sort_unstable();
    let mut days = Days::new();
    // The frontier now and at the last tick, which tick that is, when the origin was last heard, and since when without a
    // pause.
    let (mut frontier, mut settled) = (i64::MIN, None::<i64>);
    let (mut ticks, mut heard, mut since) = (i64::MIN, None::<i64>, i64::MIN);
    for (arrival, time) in events.iter().copied() {
        let day = days.entry(arrival.div_euclid(DAY)).or_default();
        let passed = arrival.div_euclid(tick.max(1));
        if passed > ticks {
            settled = (frontier > i64::MIN).then_some(frontier);
            ticks = passed;
        }
        if heard.is_some_and(|last| arrival.saturating_sub(last) > silence) {
            since = arrival;
            day.reconnects += 1;
        }
        heard = Some(arrival);
        day.lateness.record(time, arrival);
        let behind = if time < since { &mut day.bursts } else { &mut day.steady };
        behind.record(time, settled.unwrap_or(time));
        frontier = frontier.max(time.min(arrival));
    }
    days
}

/// What a lag is said to do, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The lag, in nanoseconds: so much longer a final row waits.
    pub lag: i64,
    /// Events that were looked at.
    pub events: u64,
    /// Those that are late with this lag.
    pub late: u64,
    /// Days that they came on.
    pub days: u64,
}

impl Effect {
    /// Late events in a million.
    pub fn per_million(&self) -> u64 {
        (u128::from(self.late) * 1_000_000).checked_div(u128::from(self.events)).unwrap_or(0) as u64
    }
}

/// Days put together: their steady regime, and their bursts if those are to count.
fn together<'d>(days: impl Iterator<Item = &'d Day>, bursts: bool) -> (Lateness, u64) {
    let (mut behind, mut count) = (Lateness::default(), 0);
    for day in days {
        behind.merge(&day.steady);
        if bursts {
            behind.merge(&day.bursts);
        }
        count += 1;
    }
    (behind, count)
}

/// The least lag with which at most so many of a million events are late, in the steady regime or with bursts.
pub fn advise<'d>(days: impl Iterator<Item = &'d Day>, per_million: u64, bursts: bool) -> Effect {
    let (behind, days) = together(days, bursts);
    let lag = i64::try_from(behind.least_within(per_million)).unwrap_or(i64::MAX);
    Effect { lag, events: behind.count(), late: behind.beyond(lag as u64), days }
}

/// What a lag did on these days.
pub fn back_test<'d>(days: impl Iterator<Item = &'d Day>, lag: i64, bursts: bool) -> Effect {
    let (behind, days) = together(days, bursts);
    Effect { lag, events: behind.count(), late: behind.beyond(lag.max(0) as u64), days }
}

/// The days before the last so many of `parts`, and those: to learn from, and to try what was learnt on.
pub fn split(days: &Days, part: usize, parts: usize) -> (Vec<&Day>, Vec<&Day>) {
    let all: Vec<&Day> = days.values().collect();
    let learnt = all.len() * (parts - part) / parts;
    (all[..learnt].to_vec(), all[learnt..].to_vec())
}
