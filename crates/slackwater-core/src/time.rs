//! Time as text: RFC 3339, numbers since the epoch, and the durations of a configuration file.
//!
//! Inside, every time is i64 nanoseconds since 1970-01-01T00:00:00Z. Reading is exact or refused, never rounded. The
//! calendar is the proleptic Gregorian one, without leap seconds; its day arithmetic is that of H. Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms".

use crate::number::decimal::{self, DecimalError};
use crate::schema::Unit;
use core::fmt;

const NANOS: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Digits behind the point of a second that a nanosecond gives.
const FRACTION_DIGITS: usize = 9;

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// Neither a number nor a time with an offset.
    Format,
    /// Outside what i64 nanoseconds hold: 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z.
    Range,
    /// Finer than a nanosecond, or a fraction of a unit that carries none.
    Scale,
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "not a time with an offset, such as 2026-01-02T03:04:05Z",
            Self::Range => "outside the years 1677 to 2262",
            Self::Scale => "finer than a nanosecond",
        })
    }
}

impl core::error::Error for TimeError {}

/// The time in a text: RFC 3339, or else a number in `unit` since the epoch.
///
/// # Errors
/// Those of [`parse_rfc3339`] and [`parse_epoch`].
#[inline]
pub fn parse_time(text: &[u8], unit: Unit) -> Result<i64, TimeError> {
    // No number has a minus sign behind a digit.
    let dated = matches!(text, [_, _, _, b'0'..=b'9', b'-', ..]);
    if dated { parse_rfc3339(text) } else { parse_epoch(text, unit) }
}

/// A number in `unit` since the epoch, in the grammar of [`decimal::parse`]. Seconds and milliseconds may carry a
/// fraction, down to the nanosecond.
///
/// # Errors
/// [`TimeError::Format`] for what is no number, [`TimeError::Scale`] for a fraction too fine, [`TimeError::Range`].
#[inline]
pub fn parse_epoch(text: &[u8], unit: Unit) -> Result<i64, TimeError> {
    let (scale, factor) = match unit {
        Unit::Seconds => (9, 1),
        Unit::Millis => (6, 1),
        Unit::Micros | Unit::Nanos => (0, unit.nanos()),
    };
    let value = decimal::parse(text, decimal::MAX_PRECISION, scale).map_err(|error| match error {
        DecimalError::Syntax => TimeError::Format,
        DecimalError::Scale => TimeError::Scale,
        DecimalError::Range => TimeError::Range,
    })?;
    i64::try_from(value).ok().and_then(|value| value.checked_mul(factor)).ok_or(TimeError::Range)
}

/// The time in an RFC 3339 text, such as `2026-01-02T03:04:05.123456789+05:30`. A space or a small `t` may stand for
/// the `T`, a small `z` for the `Z`. An offset is required, and a leap second (`:60`) is not a time.
///
/// # Errors
/// Those of [`parse_moment`], and [`TimeError::Range`].
pub fn parse_rfc3339(text: &[u8]) -> Result<i64, TimeError> {
    i64::try_from(parse_moment(text)?).map_err(|_| TimeError::Range)
}

/// The moment in such a text, whatever the year: a window that holds a time may begin before all that a time can be.
///
/// # Errors
/// [`TimeError::Format`], and [`TimeError::Scale`] for a fraction finer than a nanosecond.
pub fn parse_moment(text: &[u8]) -> Result<i128, TimeError> {
    let (date, rest) = text.split_at_checked(10).ok_or(TimeError::Format)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return Err(TimeError::Format) };
    let (clock, rest) = rest.split_at_checked(8).ok_or(TimeError::Format)?;
    let (&[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1], &[h0, h1, b':', n0, n1, b':', s0, s1]) =
        (fixed::<10>(date)?, fixed::<8>(clock)?)
    else {
        return Err(TimeError::Format);
    };
    let year = pair(y0, y1, 99)? * 100 + pair(y2, y3, 99)?;
    let (month, day) = (pair(m0, m1, 12)?, pair(d0, d1, 31)?);
    if month == 0 || day == 0 || day > days_in_month(year, month) {
        return Err(TimeError::Format);
    }
    let seconds = pair(h0, h1, 23)? * 3600 + pair(n0, n1, 59)? * 60 + pair(s0, s1, 59)?;
    let (nanos, rest) = parse_fraction(rest);
    let offset = parse_offset(rest)?;
    let nanos = nanos?;
    let seconds = days_from_civil(year, month, day) * DAY_SECONDS + seconds - offset;
    Ok(i128::from(seconds) * NANOS + i128::from(nanos))
}

/// Writes a time as RFC 3339 in UTC: `2026-01-02T03:04:05Z`, with a fraction of 3, 6 or 9 digits where it has one.
///
/// # Errors
/// Those of `out`.
pub fn format_rfc3339(nanos: impl Into<i128>, out: &mut impl fmt::Write) -> fmt::Result {
    let nanos = nanos.into();
    let (seconds, fraction) = (nanos.div_euclid(NANOS) as i64, nanos.rem_euclid(NANOS));
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = *b"0000-00-00T00:00:00";
    match u32::try_from(year) {
        Ok(year) if year < 10_000 => {
            put_digits(year, &mut text[..4]);
            for (part, at) in [(month, 5), (day, 8), (hour, 11), (minute, 14), (second, 17)] {
                put_digits(part as u32, &mut text[at..at + 2]);
            }
            out.write_str(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)?;
        }
        _ => write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?,
    }
    match fraction {
        0 => {}
        f if f % 1_000_000 == 0 => write!(out, ".{:03}", f / 1_000_000)?,
        f if f % 1_000 == 0 => write!(out, ".{:06}", f / 1_000)?,
        f => write!(out, ".{f:09}")?,
    }
    out.write_char('Z')
}

/// Writes a number with leading zeros over all of `text`.
fn put_digits(mut number: u32, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Nanoseconds of a duration such as `10s`, `250ms`, `1h30m` or `1d`: whole numbers, each with its unit (`d`, `h`, `m`,
/// `s`, `ms`, `us`, `ns`), from the largest unit to the smallest. A day is 24 hours. `None` for all else.
pub fn parse_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("d", DAY_SECONDS * NANOS as i64),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let (mut rest, mut total, mut smallest) = (text, 0i64, i64::MAX);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (name, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let (_, unit) = UNITS.into_iter().find(|(unit, _)| *unit == name)?;
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = tail;
    }
    (smallest != i64::MAX).then_some(total)
}

fn fixed<const N: usize>(text: &[u8]) -> Result<&[u8; N], TimeError> {
    text.try_into().map_err(|_| TimeError::Format)
}

/// Two digits of at most `most`.
fn pair(tens: u8, ones: u8, most: i64) -> Result<i64, TimeError> {
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return Err(TimeError::Format);
    }
    let value = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    if value <= most { Ok(value) } else { Err(TimeError::Format) }
}

/// The nanoseconds of a fraction, if one stands here, and what follows it. A fraction too fine is an error of scale only
/// once all the rest has been found to be a time.
fn parse_fraction(text: &[u8]) -> (Result<i64, TimeError>, &[u8]) {
    let [b'.', rest @ ..] = text else { return (Ok(0), text) };
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    if digits.is_empty() {
        return (Err(TimeError::Format), rest);
    }
    let (kept, dropped) = digits.split_at(end.min(FRACTION_DIGITS));
    if dropped.iter().any(|digit| *digit != b'0') {
        return (Err(TimeError::Scale), rest);
    }
    let mut nanos = 0;
    for place in 0..FRACTION_DIGITS {
        nanos = nanos * 10 + kept.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    (Ok(nanos), rest)
}

/// Seconds by which local time is ahead of UTC.
fn parse_offset(text: &[u8]) -> Result<i64, TimeError> {
    match *text {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let seconds = pair(h0, h1, 23)? * 3600 + pair(m0, m1, 59)? * 60;
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(TimeError::Format),
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day ends one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day counted from the epoch.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
