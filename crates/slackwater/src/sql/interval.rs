//! INTERVAL literals: months, and nanoseconds.

use super::{Outcome, SqlError, literal, place};
use sqlparser::ast::{Expr as Ast, Interval};

/// The length of an INTERVAL: months have no fixed number of nanoseconds, so they are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    pub months: i64,
    pub nanos: i64,
}

const UNITS: [(&str, Length); 10] = [
    ("nanosecond", Length { months: 0, nanos: 1 }),
    ("microsecond", Length { months: 0, nanos: 1_000 }),
    ("millisecond", Length { months: 0, nanos: 1_000_000 }),
    ("second", Length { months: 0, nanos: 1_000_000_000 }),
    ("minute", Length { months: 0, nanos: 60_000_000_000 }),
    ("hour", Length { months: 0, nanos: 3_600_000_000_000 }),
    ("day", Length { months: 0, nanos: 86_400_000_000_000 }),
    ("week", Length { months: 0, nanos: 604_800_000_000_000 }),
    ("month", Length { months: 1, nanos: 0 }),
    ("year", Length { months: 12, nanos: 0 }),
];

/// Reads `INTERVAL '1 hour 30 minutes'` and `INTERVAL '5' MINUTE`.
pub(super) fn parse(sql: &str, ast: &Ast, interval: &Interval) -> Outcome<Length> {
    let fail = |message: String| {
        let help = Some("write INTERVAL '1 minute', '90 seconds', '1 hour 30 minutes' or '1 day'".to_string());
        Err(SqlError { span: place::of(sql, ast), message, help })
    };
    let Some(mut text) = literal::text(&interval.value).or_else(|| literal::number(&interval.value)) else {
        return fail("an interval needs its length as text".into());
    };
    if let Some(unit) = &interval.leading_field {
        text = format!("{text} {unit}");
    }
    if interval.last_field.is_some() {
        return fail("an interval has one unit behind its text, not a range of units".into());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || words.len() % 2 == 1 {
        return fail(format!("'{text}' is not pairs of a number and a unit"));
    }
    let mut sum = Length { months: 0, nanos: 0 };
    for pair in words.chunks(2) {
        let Ok(count) = pair[0].parse::<i64>() else {
            return fail(format!("'{}' is not a whole number", pair[0]));
        };
        let unit = pair[1].to_lowercase();
        let singular = unit.strip_suffix('s').unwrap_or(&unit);
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == singular) else {
            return fail(format!("'{}' is no unit of time", pair[1]));
        };
        let added = count.checked_mul(length.months).and_then(|months| {
            let nanos = count.checked_mul(length.nanos)?;
            Some(Length { months: sum.months.checked_add(months)?, nanos: sum.nanos.checked_add(nanos)? })
        });
        let Some(added) = added else { return fail("the interval is longer than 292 years".into()) };
        sum = added;
    }
    Ok(sum)
}
