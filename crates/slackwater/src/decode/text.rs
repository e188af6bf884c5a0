//! A field's value from the text of it: what JSON numbers, quoted numbers and CSV cells share.

use memchr::memchr;
use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::number::decimal::{self, DecimalError};
use slackwater_core::poison::Reason;
use slackwater_core::time::{self, TimeError};
use slackwater_core::value::Type;

/// Sets a number or a time from its text, exactly, or refuses it. Fields of other types take no such text.
#[inline]
pub(super) fn set_number(row: &mut RowBuilder<'_>, target: &Target, text: &[u8]) {
    let result = match target.ty {
        Type::Decimal { precision, scale } => {
            decimal::parse(text, precision, scale).map(|mantissa| row.set_decimal(target, mantissa))
        }
        Type::U64 => decimal::parse_u64(text).map(|value| row.set_u64(target, value)),
        Type::I64 => decimal::parse_i64(text).map(|value| row.set_i64(target, value)),
        Type::Float64 => parse_f64(text).map(|value| row.set_f64(target, value)),
        Type::Timestamp => match time::parse_time(text, target.unit) {
            Ok(nanos) => return row.set_time(target, nanos),
            Err(TimeError::Format) => return row.refuse(target, Reason::TimeFormat),
            Err(TimeError::Range) => return row.refuse(target, Reason::TimeRange),
            Err(TimeError::Scale) => return row.refuse(target, Reason::Scale),
        },
        Type::Bool | Type::Text | Type::Array(_) => Err(DecimalError::Syntax),
    };
    if let Err(error) = result {
        row.refuse(target, reason(error, text));
    }
}

#[cold]
fn reason(error: DecimalError, text: &[u8]) -> Reason {
    match error {
        DecimalError::Scale => Reason::Scale,
        DecimalError::Range => Reason::Range,
        DecimalError::Syntax if is_not_finite(text) => Reason::NotFinite,
        DecimalError::Syntax => Reason::WrongType,
    }
}

/// Whether the text names NaN or an infinity, in any of the spellings that programs print.
fn is_not_finite(text: &[u8]) -> bool {
    let name = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    [&b"nan"[..], b"inf", b"infinity"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The double nearest to the number, in the grammar of [`decimal::parse`]; a number beyond the largest one is out of
/// range.
#[inline]
fn parse_f64(text: &[u8]) -> Result<f64, DecimalError> {
    // The standard parser also takes names, and a point that no digit follows.
    let open_point = memchr(b'.', text).is_some_and(|point| !text.get(point + 1).is_some_and(u8::is_ascii_digit));
    if open_point || text.iter().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) {
        return Err(DecimalError::Syntax);
    }
    let text = std::str::from_utf8(text).map_err(|_| DecimalError::Syntax)?;
    let value: f64 = text.parse().map_err(|_| DecimalError::Syntax)?;
    if value.is_finite() { Ok(value) } else { Err(DecimalError::Range) }
}
