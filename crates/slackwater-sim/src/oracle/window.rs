//! Which window holds a time, by a calendar of its own that counts years and months one by one.
//!
//! Of the time zone database only one thing is asked: by how much local time is ahead of UTC at a moment.

use crate::world::{Anchor, Windows};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY: i128 = 86_400_000_000_000;

/// Start and end of every window that holds a time, in nanoseconds since the epoch.
pub fn all(windows: &Windows, time: i64) -> Vec<(i128, i128)> {
    let Windows::Hop { slide, size, offset } = windows else { return vec![of(windows, time)] };
    let (slide, size, offset, time) = (i128::from(*slide), i128::from(*size), i128::from(*offset), i128::from(time));
    // One start that is surely behind the time, and from there back.
    let mut start = offset + ((time - offset) / slide + 1) * slide;
    let mut found = Vec::new();
    while start + size > time {
        if start <= time {
            found.push((start, start + size));
        }
        start -= slide;
    }
    found.reverse();
    found
}

/// Start and end of the one window that holds a time, in nanoseconds since the epoch.
pub fn of(windows: &Windows, time: i64) -> (i128, i128) {
    let time = i128::from(time);
    let (days, zone) = match windows {
        Windows::Fixed { size, offset } => {
            let (size, offset) = (i128::from(*size), i128::from(*offset));
            let mut start = offset + (time - offset) / size * size;
            if start > time {
                start -= size;
            }
            return (start, start + size);
        }
        Windows::Days(days, zone) => (Steps::Days(*days), zone),
        Windows::Months(months, zone) => (Steps::Months(*months), zone),
        Windows::Parts(_, zone) => (Steps::Days(1), zone),
        other => panic!("{other:?} has not one window for a time"),
    };
    let zone = TimeZone::get(zone).expect("a zone of the database");
    let today = (time + offset(&zone, time)).div_euclid(DAY) as i64;
    // Where clocks go back over midnight, the window of the date is not the one that holds the time: look beside it.
    let first = days.first(today);
    let around = [days.first(first - 1), first, days.next(first)];
    let spans = around.map(|first| (midnight(&zone, first), midnight(&zone, days.next(first))));
    let (start, end) = spans.into_iter().find(|(start, end)| *start <= time && time < *end).expect("one of three");
    match windows {
        Windows::Parts(size, _) => {
            let size = i128::from(*size);
            let start = start + (time - start) / size * size;
            (start, end.min(start + size))
        }
        _ => (start, end),
    }
}

/// The last anchor at or before a time, and the next one; none where bars never begin anew.
pub fn period(anchor: &Anchor, time: i64) -> Option<(i128, i128)> {
    let (minute, zone) = match anchor {
        Anchor::None => return None,
        Anchor::Day(zone) => (0, zone),
        Anchor::At(minute, zone) => (*minute, zone),
    };
    let (zone, time) = (TimeZone::get(zone).expect("a zone of the database"), i128::from(time));
    let today = time.div_euclid(DAY) as i64;
    let moments = (today - 3..=today + 3).map(|day| moment(&zone, day, i128::from(minute) * 60_000_000_000));
    let (before, after): (Vec<i128>, Vec<i128>) = moments.partition(|moment| *moment <= time);
    let last = before.into_iter().max().expect("an anchor before");
    Some((last, after.into_iter().min().expect("an anchor behind")))
}

#[derive(Clone, Copy)]
enum Steps {
    Days(i64),
    Months(i64),
}

impl Steps {
    /// The first day of the step that holds a day. Days count from the epoch.
    fn first(self, day: i64) -> i64 {
        match self {
            // 1970-01-05 was a Monday; a day is a step of its own whatever it is counted from.
            Steps::Days(step) => day - (day - 4).rem_euclid(step),
            Steps::Months(step) => {
                let month = month_of(day);
                first_of(month - month.rem_euclid(step))
            }
        }
    }

    /// The first day of the step behind the one that begins on `first`.
    fn next(self, first: i64) -> i64 {
        match self {
            Steps::Days(step) => first + step,
            Steps::Months(step) => first_of(month_of(first) + step),
        }
    }
}

/// Months since January of year 0 in which a day lies.
fn month_of(day: i64) -> i64 {
    // Somewhere near it, to begin with.
    let mut month = 1970 * 12 + day / 31;
    while first_of(month) > day {
        month -= 1;
    }
    while first_of(month + 1) <= day {
        month += 1;
    }
    month
}

/// The first day of a month.
fn first_of(month: i64) -> i64 {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12));
    let leaps = |year: i64| (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    (year - 1970) * 365 + leaps(year) - leaps(1970) + lengths[..month as usize].iter().sum::<i64>()
}

/// Nanoseconds by which local time is ahead of UTC.
fn offset(zone: &TimeZone, time: i128) -> i128 {
    let moment = Timestamp::from_nanosecond(time).expect("within the calendar");
    i128::from(zone.to_offset(moment).seconds()) * 1_000_000_000
}

/// The first moment of a local day.
fn midnight(zone: &TimeZone, day: i64) -> i128 {
    moment(zone, day, 0)
}

/// The first moment at which clocks show so much of a local day, or the first behind it where they skip that.
fn moment(zone: &TimeZone, day: i64, into: i128) -> i128 {
    let local = i128::from(day) * DAY + into;
    let (mut before, mut after) = (local - 2 * DAY, local + 2 * DAY);
    let (old, new) = (offset(zone, before), offset(zone, after));
    let moments = [local - old, local - new];
    let real = moments.into_iter().filter(|moment| offset(zone, *moment) == local - moment).min();
    real.unwrap_or_else(|| {
        // Clocks skip this: what begins then begins where they do.
        while before + 1 < after {
            let middle = (before + after) / 2;
            if offset(zone, middle) == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    })
}
