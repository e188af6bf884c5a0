//! Logical events as bytes: every spelling that means the same, and every flaw that has a reason.

use super::sql::rfc3339;
use crate::rng::Rng;
use crate::world::{Datum, Event, Field, Flaw, Format, Source, Ty, Unit};
use num_bigint::{BigInt, Sign};
use slackwater_core::limits;
use slackwater_core::poison::Reason;

/// The bytes of an event, with its line end.
pub fn spell(rng: &mut Rng, source: &Source, event: &Event) -> Vec<u8> {
    let mut bytes = match source.format {
        Format::Json => json(rng, source, event),
        Format::Csv => csv(rng, source, event),
    };
    if rng.chance(10) {
        bytes.push(b'\r');
    }
    bytes.push(b'\n');
    bytes
}

/// The first line of a CSV file of a source, without its line end.
pub fn csv_header(source: &Source) -> String {
    let name = |(place, column): (usize, &Option<usize>)| match column {
        Some(field) => source.fields[*field].name.clone(),
        None => format!("other_{place}"),
    };
    source.columns.iter().enumerate().map(name).collect::<Vec<_>>().join(",")
}

/// A field's text before quotes: a word of JSON, or a text that needs quotes, or nothing at all.
enum Token {
    Absent,
    Bare(String),
    Quoted(String),
    /// JSON as it is, where CSV has no word for it.
    Json(String),
}

fn json(rng: &mut Rng, source: &Source, event: &Event) -> Vec<u8> {
    let whole = event.flaw.as_ref().filter(|flaw| flaw.field.is_none()).map(|flaw| flaw.reason);
    if whole == Some(Reason::NotAnObject) {
        return rng.pick(&["[1, 2]", "\"text\"", "42", "null", "[{\"ts\": 1}]"]).as_bytes().to_vec();
    }
    let mut pairs: Vec<String> = Vec::new();
    let mut fields: Vec<usize> = (0..source.fields.len()).collect();
    if rng.chance(70) {
        rng.shuffle(&mut fields);
    }
    for index in fields {
        let field = &source.fields[index];
        let text = match token(rng, source, event, index) {
            Token::Absent if rng.chance(50) => continue,
            Token::Absent => "null".to_string(),
            Token::Bare(text) | Token::Json(text) => text,
            Token::Quoted(text) => json_text(rng, &text),
        };
        pairs.push(pair(rng, &field.name, &text));
    }
    if whole == Some(Reason::DuplicateField) {
        let field = rng.pick(&source.fields);
        for _ in 0..2 {
            let at = rng.below(pairs.len() + 1);
            let again = pair(rng, &field.name, "null");
            pairs.insert(at, again);
        }
    }
    if whole == Some(Reason::TooDeep) {
        let depth = limits::JSON_DEPTH + rng.below(5);
        pairs.push(format!("\"deep\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    }
    if whole == Some(Reason::TooLarge) {
        pairs.push(format!("\"large\":\"{}\"", "x".repeat(limits::EVENT_BYTES)));
    }
    if rng.chance(15) {
        let at = rng.below(pairs.len() + 1);
        let other = *rng.pick(&["{\"px\":[1,{\"ts\":null}]}", "\"x\\n\"", "-1.5e300", "[]", "true", "1e999"]);
        pairs.insert(at, pair(rng, "other", other));
    }
    let space = if rng.chance(20) { " " } else { "" };
    let mut bytes = format!("{space}{{{space}{}{space}}}{space}", pairs.join(if rng.chance(20) { " , " } else { "," }))
        .into_bytes();
    match whole {
        Some(Reason::InvalidUtf8) => {
            let at = bytes.iter().rposition(|byte| *byte == b'}').expect("an object ends");
            bytes.splice(at..at, b",\"bad\":\"\xff\xfe\"".iter().copied());
        }
        Some(Reason::Malformed) => match rng.below(3) {
            0 => {
                let at = bytes.iter().rposition(|byte| *byte == b'}').expect("an object ends");
                bytes.truncate(at);
            }
            1 => bytes.extend(b" {}"),
            _ => {
                let at = bytes.iter().position(|byte| *byte == b'{').expect("an object begins");
                bytes.splice(at + 1..at + 1, b"\"bad\":\"\\x\",".iter().copied());
            }
        },
        _ => {}
    }
    bytes
}

fn pair(rng: &mut Rng, name: &str, value: &str) -> String {
    let name = if rng.chance(4) { format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]) } else { name.to_string() };
    let space = if rng.chance(15) { " " } else { "" };
    format!("\"{name}\"{space}:{space}{value}")
}

fn json_text(rng: &mut Rng, text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' || (c > '~' && rng.chance(30)) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            '/' => out.push_str("\\/"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn csv(rng: &mut Rng, source: &Source, event: &Event) -> Vec<u8> {
    let whole = event.flaw.as_ref().filter(|flaw| flaw.field.is_none()).map(|flaw| flaw.reason);
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut marked = false;
    for column in &source.columns {
        let text = match column.map(|index| token(rng, source, event, index)) {
            Some(Token::Absent) => String::new(),
            Some(Token::Bare(text) | Token::Quoted(text)) => text,
            Some(Token::Json(text)) => panic!("{text} is no cell"),
            None => (*rng.pick(&["", "other", "1,5", "\"q\""])).to_string(),
        };
        // Behind the limit every line end ends the record.
        let text = if whole == Some(Reason::TooLarge) { text.replace('\n', " ") } else { text };
        let quoted = text.contains([',', '"', '\n', '\r']) || rng.chance(15);
        let mut cell = if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }.into_bytes();
        if column.is_none() && !marked {
            marked = true;
            match whole {
                Some(Reason::Malformed) => cell = b"\"closed\"too early".to_vec(),
                Some(Reason::InvalidUtf8) => cell = b"bad \xff\xfe".to_vec(),
                Some(Reason::TooLarge) => cell = vec![b'x'; limits::EVENT_BYTES],
                _ => {}
            }
        }
        cells.push(cell);
    }
    if whole == Some(Reason::Ragged) {
        if rng.chance(50) {
            cells.push(b"more".to_vec());
        } else {
            cells.pop();
        }
    }
    cells.join(&b","[..])
}

/// The text of a field, right or flawed.
fn token(rng: &mut Rng, source: &Source, event: &Event, index: usize) -> Token {
    let field = &source.fields[index];
    let json = source.format == Format::Json;
    match &event.flaw {
        Some(Flaw { reason, field: Some(flawed) }) if *flawed == index => {
            return flawed_token(rng, field, *reason, json);
        }
        _ => {}
    }
    if event.rubbish && !source.identifies(index) {
        return match rng.below(4) {
            0 => Token::Absent,
            1 if json => Token::Json((*rng.pick(&["{}", "[1]", "true", "1e999", "\"rubbish\""])).to_string()),
            2 => Token::Quoted("rubbish".to_string()),
            // When it arrived is either said or not.
            _ if source.arrival == Some(index) => Token::Absent,
            _ => value_token(rng, field, &event.values[index], json),
        };
    }
    value_token(rng, field, &event.values[index], json)
}

fn value_token(rng: &mut Rng, field: &Field, value: &Datum, json: bool) -> Token {
    match (value, field.ty) {
        (Datum::Null, _) => Token::Absent,
        (Datum::Bool(b), _) => Token::Bare(b.to_string()),
        (Datum::Text(text), _) => Token::Quoted(text.clone()),
        (Datum::U64(v), _) => number(rng, &BigInt::from(*v), 0, json),
        (Datum::I64(v), _) => number(rng, &BigInt::from(*v), 0, json),
        (Datum::Decimal(mantissa), Ty::Decimal(_, scale)) => number(rng, mantissa, scale, json),
        (Datum::F64(x), _) => float(rng, *x, json),
        (Datum::Time(time), _) => clock(rng, *time, field.unit, json),
        (value, ty) => panic!("{value:?} is no {ty:?}"),
    }
}

/// An exact number in one of its spellings.
fn number(rng: &mut Rng, mantissa: &BigInt, scale: u32, json: bool) -> Token {
    let quoted = !json || rng.chance(30);
    let mut digits = mantissa.magnitude().to_string();
    let mut fraction = scale as usize;
    // Digits that say nothing, at the end and at the beginning.
    if rng.chance(25) {
        let more = 1 + rng.below(3);
        digits += &"0".repeat(more);
        fraction += more;
    }
    while fraction > 0 && digits.len() > 1 && digits.ends_with('0') && rng.chance(50) {
        digits.pop();
        fraction -= 1;
    }
    let exponent = if rng.chance(25) { rng.within(-5, 5) } else { 0 };
    // digits / 10^fraction = digits / 10^(fraction + exponent) * 10^exponent
    let places = fraction as i64 + exponent;
    if places < 0 {
        digits += &"0".repeat(-places as usize);
    }
    let places = places.max(0) as usize;
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, behind) = padded.split_at(padded.len() - places);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut text = whole.to_string();
    if quoted && whole == "0" && !behind.is_empty() && rng.chance(20) {
        text.clear();
    } else if quoted && rng.chance(8) {
        text.insert_str(0, "00");
    }
    if !behind.is_empty() {
        text = format!("{text}.{behind}");
    }
    if exponent != 0 || rng.chance(3) {
        text +=
            &format!("{}{}{exponent}", rng.pick(&["e", "E"]), if exponent >= 0 && rng.chance(50) { "+" } else { "" });
    }
    let minus = mantissa.sign() == Sign::Minus || (mantissa.sign() == Sign::NoSign && rng.chance(10));
    if minus {
        text.insert(0, '-');
    } else if quoted && rng.chance(5) {
        text.insert(0, '+');
    }
    if quoted { Token::Quoted(text) } else { Token::Bare(text) }
}

fn float(rng: &mut Rng, x: f64, json: bool) -> Token {
    let x = if x == 0.0 && rng.chance(30) { -x } else { x };
    let text = match rng.below(3) {
        0 => format!("{x:?}"),
        1 => format!("{x:e}"),
        _ => format!("{x:.20e}"),
    };
    if !json || rng.chance(30) { Token::Quoted(text) } else { Token::Bare(text) }
}

/// A time as a number in its unit where that is exact, or as RFC 3339.
fn clock(rng: &mut Rng, time: i64, unit: Unit, json: bool) -> Token {
    let (scale, divisor) = match unit {
        Unit::S => (9, 1),
        Unit::Ms => (6, 1),
        Unit::Us => (0, 1_000),
        Unit::Ns => (0, 1),
    };
    if time % divisor == 0 && rng.chance(60) {
        return number(rng, &BigInt::from(time / divisor), scale, json);
    }
    Token::Quoted(match rng.below(4) {
        0 => {
            let minutes = rng.within(-14 * 60, 14 * 60);
            let local = i128::from(time) + i128::from(minutes) * 60_000_000_000;
            let local = jiff::Timestamp::from_nanosecond(local).expect("within the calendar").to_string();
            let (sign, size) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
            format!("{}{sign}{:02}:{:02}", local.trim_end_matches('Z'), size / 60, size % 60)
        }
        1 => rfc3339(time).replace('T', " "),
        2 => rfc3339(time).to_lowercase(),
        _ => rfc3339(time),
    })
}

/// A field whose text has this one thing wrong.
fn flawed_token(rng: &mut Rng, field: &Field, reason: Reason, json: bool) -> Token {
    let bare =
        |text: String, rng: &mut Rng| if json && rng.chance(50) { Token::Bare(text) } else { Token::Quoted(text) };
    match (reason, field.ty) {
        (Reason::MissingField, _) => Token::Absent,
        (Reason::WrongType, Ty::Text) => Token::Json((*rng.pick(&["1", "true", "{}", "[\"a\"]"])).to_string()),
        (Reason::WrongType, Ty::Bool) if json => {
            Token::Json((*rng.pick(&["1", "\"true\"", "{}", "[true]"])).to_string())
        }
        (Reason::WrongType, Ty::Bool) => Token::Quoted((*rng.pick(&["1", "True", "yes"])).to_string()),
        (Reason::WrongType, _) if json && rng.chance(50) => {
            Token::Json((*rng.pick(&["{}", "[1]", "true", "{\"a\":[]}"])).to_string())
        }
        (Reason::WrongType, _) => {
            Token::Quoted((*rng.pick(&["abc", "1.2.3", "1e", "0x10", " 1", "1,5", "--1"])).to_string())
        }
        (Reason::NulByte, _) if json => Token::Json("\"a\\u0000b\"".to_string()),
        (Reason::NulByte, _) => Token::Quoted("a\0b".to_string()),
        (Reason::NotFinite, _) => Token::Quoted((*rng.pick(&["NaN", "Infinity", "-inf", "nan"])).to_string()),
        (Reason::Range, Ty::Decimal(precision, scale)) => {
            bare(format!("-1e{}", (precision - scale) as usize + rng.below(40)), rng)
        }
        (Reason::Range, Ty::U64) => {
            let text = (*rng.pick(&["18446744073709551616", "-1", "1e40"])).to_string();
            bare(text, rng)
        }
        (Reason::Range, Ty::I64) => {
            let text = (*rng.pick(&["9223372036854775808", "-9223372036854775809"])).to_string();
            bare(text, rng)
        }
        (Reason::Range, _) => {
            let text = (*rng.pick(&["1e400", "-1.8e308"])).to_string();
            bare(text, rng)
        }
        (Reason::Scale, Ty::Decimal(_, scale)) => bare(format!("1e-{}", scale as usize + 1 + rng.below(50)), rng),
        (Reason::Scale, Ty::Time) => match field.unit {
            Unit::S => bare("1700000000.0000000001".to_string(), rng),
            Unit::Ms => bare("1700000000000.0000001".to_string(), rng),
            _ => bare("1700000000000.5".to_string(), rng),
        },
        (Reason::Scale, _) => bare("5.5".to_string(), rng),
        (Reason::TimeFormat, _) => {
            let texts =
                ["yesterday", "2025-01-01", "2025-01-01T00:00:00", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z"];
            Token::Quoted((*rng.pick(&texts)).to_string())
        }
        (Reason::TimeRange, _) => {
            Token::Quoted((*rng.pick(&["1600-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "1e36"])).to_string())
        }
        (reason, ty) => panic!("{reason:?} is no flaw of a {ty:?}"),
    }
}
