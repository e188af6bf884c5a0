//! A row as one JSON object of its declared fields: what stands for the bytes of a refused event, which a column store
//! has none of.
//!
//! Integers are numbers, decimals texts with all their digits, times RFC 3339 in UTC, NaN and infinities texts. A text
//! that is no UTF-8 stands there byte by byte, as it would in a line of JSON.

use super::cells::{Cells, Kind, Values};
use slackwater_core::schema::Schema;
use slackwater_core::time::format_rfc3339;

/// Appends the object of a row.
#[cold]
pub(super) fn write(schema: &Schema, cells: &[Cells<'_>], at: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        text(schema.fields()[cell.target.field].name.as_bytes(), out);
        out.push(b':');
        value(cell, at, out);
    }
    out.push(b'}');
}

fn value(cell: &Cells<'_>, at: usize, out: &mut Vec<u8>) {
    if cell.is_null(at) {
        return out.extend_from_slice(b"null");
    }
    let digits = match cell.values {
        Values::Bool(values) => return out.extend_from_slice(values.value(at).to_string().as_bytes()),
        Values::Bytes(texts) => return text(texts.value(at), out),
        Values::F32(values) => return float(values[at].into(), out),
        Values::F64(values) => return float(values[at], out),
        Values::I32(values) if cell.kind == Kind::Unsigned => (values[at] as u32).to_string(),
        Values::I64(values) if cell.kind == Kind::Unsigned => (values[at] as u64).to_string(),
        Values::I32(values) => values[at].to_string(),
        Values::I64(values) => values[at].to_string(),
        Values::I128(values) => values[at].to_string(),
        Values::I256(values) => values[at].to_string(),
    };
    match cell.kind {
        Kind::Decimal { scale } => text(pointed(&digits, scale.into()).as_bytes(), out),
        Kind::Time { nanos } => {
            let (mut written, value) = (String::new(), digits.parse::<i128>().unwrap_or(0));
            // A String takes any text.
            let _ = format_rfc3339(value * i128::from(nanos), &mut written);
            text(written.as_bytes(), out);
        }
        _ => out.extend_from_slice(digits.as_bytes()),
    }
}

/// The digits of an integer with a point before the last `scale`.
fn pointed(digits: &str, scale: usize) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    match digits.split_at(digits.len() - scale) {
        (integer, "") => format!("{sign}{integer}"),
        (integer, fraction) => format!("{sign}{integer}.{fraction}"),
    }
}

fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        text(value.to_string().as_bytes(), out);
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
