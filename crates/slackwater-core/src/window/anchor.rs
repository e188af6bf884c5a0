//! Where bars begin anew: never, at local midnight, or every day at a local time.

use super::Window;
use super::calendar::{CalendarError, Zone};
use alloc::string::ToString;
use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};

/// What bars are folded from.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// The first fact.
    None,
    /// A time of every local day. Where clocks skip it, the first moment after; where they pass it twice, the first.
    Daily(Daily),
}

/// A local time of day in a zone.
#[derive(Clone, Debug)]
pub struct Daily {
    time: Time,
    zone: Zone,
}

impl Anchor {
    /// Every day at this hour and minute in the zone of this IANA name.
    pub fn daily(hour: i8, minute: i8, zone: &str) -> Result<Anchor, CalendarError> {
        let Ok(time) = Time::new(hour, minute, 0, 0) else {
            return Err(CalendarError("a time of day is HH:MM, from 00:00 to 23:59".to_string()));
        };
        Ok(Anchor::Daily(Daily { time, zone: Zone::find(zone)? }))
    }

    /// The span from the anchor at or before `time` to the next one.
    pub fn period(&self, time: i64) -> Window {
        match self {
            Anchor::None => Window { start: i128::MIN, end: i128::MAX },
            Anchor::Daily(daily) => daily.period(time),
        }
    }
}

impl Daily {
    fn period(&self, time: i64) -> Window {
        let timestamp = Timestamp::from_nanosecond(time.into()).expect("i64 nanoseconds are within the calendar");
        let mut date = self.zone.zone.to_datetime(timestamp).date();
        while self.moment(date) > time.into() {
            date = date.checked_sub(1.day()).expect("a day before");
        }
        loop {
            let next = date.checked_add(1.day()).expect("a day after");
            let window = Window { start: self.moment(date), end: self.moment(next) };
            if window.contains(time) {
                return window;
            }
            date = next;
        }
    }

    fn moment(&self, date: Date) -> i128 {
        let local = date.to_datetime(self.time);
        let ambiguous = self.zone.zone.to_ambiguous_timestamp(local);
        // In a gap `compatible` adds what was skipped; the first moment after the gap is when its offset begins.
        if let jiff::tz::AmbiguousOffset::Gap { before, .. } = ambiguous.offset() {
            let skipped = before.to_timestamp(local).expect("a local time is within the calendar");
            let transition = self.zone.zone.preceding(skipped + 1.nanosecond()).next();
            if let Some(transition) = transition {
                return transition.timestamp().as_nanosecond();
            }
        }
        let timestamp = ambiguous.compatible().expect("a local time is within the calendar");
        timestamp.as_nanosecond()
    }
}
