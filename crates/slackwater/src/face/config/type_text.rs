//! A declared type as the file writes it: `decimal(18,8)?`.

use super::keys::suggest;
use slackwater_core::limits;
use slackwater_core::schema::{Field, Unit};
use slackwater_core::value::Type;

const NAMES: [(&str, Type, Unit); 9] = [
    ("u64", Type::U64, Unit::Nanos),
    ("i64", Type::I64, Unit::Nanos),
    ("float64", Type::Float64, Unit::Nanos),
    ("bool", Type::Bool, Unit::Nanos),
    ("string", Type::Text, Unit::Nanos),
    ("timestamp_s", Type::Timestamp, Unit::Seconds),
    ("timestamp_ms", Type::Timestamp, Unit::Millis),
    ("timestamp_us", Type::Timestamp, Unit::Micros),
    ("timestamp_ns", Type::Timestamp, Unit::Nanos),
];

/// What other systems call a type of ours.
const FOREIGN: [(&str, &str); 22] = [
    ("int", "i64"),
    ("integer", "i64"),
    ("long", "i64"),
    ("bigint", "i64"),
    ("int64", "i64"),
    ("uint64", "u64"),
    ("float", "float64"),
    ("double", "float64"),
    ("f64", "float64"),
    ("real", "float64"),
    ("number", "decimal(18,8)"),
    ("decimal", "decimal(18,8)"),
    ("numeric", "decimal(18,8)"),
    ("boolean", "bool"),
    ("str", "string"),
    ("text", "string"),
    ("varchar", "string"),
    ("timestamp", "timestamp_ms"),
    ("datetime", "timestamp_ms"),
    ("timestamptz", "timestamp_ms"),
    ("time", "timestamp_ms"),
    ("date", "timestamp_s"),
];

/// The field that a name and the text of its type declare.
///
/// # Errors
/// What is wrong with the type, and what to write.
pub(super) fn parse(name: &str, text: &str) -> Result<Field, (String, String)> {
    let (plain, nullable) = match text.strip_suffix('?') {
        Some(plain) => (plain.trim_end(), true),
        None => (text, false),
    };
    let field = |ty, unit| Field { name: name.to_string(), ty, unit, nullable };
    if let Some((_, ty, unit)) = NAMES.into_iter().find(|(known, _, _)| *known == plain) {
        return Ok(field(ty, unit));
    }
    if let Some(digits) = plain.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')) {
        return decimal(digits).map(|ty| field(ty, Unit::Nanos)).ok_or_else(|| {
            let most = limits::DECIMAL_DIGITS;
            let help = format!("write decimal(p,s) with p digits in all, 1 to {most}, and s of them behind the point");
            (format!("`{text}` is no decimal type"), help)
        });
    }
    let help = match FOREIGN.into_iter().find(|(foreign, _)| plain.eq_ignore_ascii_case(foreign)) {
        Some((_, ours)) => format!("did you mean `{ours}`?"),
        None => suggest(plain, NAMES.iter().map(|(name, _, _)| *name).chain(["decimal(18,8)"])),
    };
    Err((format!("`{text}` is no type"), help))
}

fn decimal(digits: &str) -> Option<Type> {
    let (precision, scale) = digits.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let sound = (1..=limits::DECIMAL_DIGITS).contains(&precision) && scale <= precision;
    sound.then_some(Type::Decimal { precision, scale })
}

/// The type of a field as the file writes it.
pub(super) fn write(field: &Field) -> String {
    let known = NAMES.iter().find(|(_, ty, unit)| *ty == field.ty && (*ty != Type::Timestamp || *unit == field.unit));
    let name = known.map_or_else(|| field.ty.to_string(), |(name, _, _)| name.to_string());
    if field.nullable { name + "?" } else { name }
}
