//! Final rows and refused events as text: NDJSON, or CSV of one pipeline; and what the name of an output asks for.
//!
//! Decimals are JSON strings with all digits of their scale; doubles the shortest text that reads back to the same bits
//! (of two such the nearer, of two as near the even one); infinities and NaN strings; times RFC 3339 in UTC; arrays JSON
//! arrays of these, in CSV too.

use slackwater_core::fold::{Bar, Final};
use slackwater_core::hold::Fate;
use slackwater_core::number::decimal;
use slackwater_core::plan::{Pipeline, Plan, Windowing};
use slackwater_core::quarantine::{Quarantined, Why};
use slackwater_core::row::Row;
use slackwater_core::time::format_rfc3339;
use slackwater_core::value::{Scalar, Type, Value, elements};
use slackwater_store::store::Noted;
use std::fmt::Write as _;

/// What rows are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header; null and the empty text are both an empty cell.
    Csv,
    /// Apache Parquet, which [`super::columnar`] writes.
    Parquet,
}

impl Shape {
    /// The shape that a file name asks for by its ending, `.gz` and `.zst` left aside; NDJSON for standard output.
    pub fn of_name(name: &str) -> Option<Shape> {
        let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
        match plain.rsplit_once('.').map(|(_, ending)| ending) {
            _ if name == "-" => Some(Shape::Ndjson),
            Some("ndjson" | "jsonl" | "json") => Some(Shape::Ndjson),
            Some("csv") => Some(Shape::Csv),
            Some("parquet") if plain == name => Some(Shape::Parquet),
            _ => None,
        }
    }
}

/// Appends a row as a JSON object and a line end.
pub fn ndjson(plan: &Plan, row: &Final, out: &mut String) {
    let pipeline = &plan.pipelines[usize::from(row.pipeline)];
    let mut object = Object::start(out);
    object.text("pipeline", &pipeline.name);
    for (column, value) in pipeline.key.iter().zip(&row.key) {
        object.value(&column.name, value.value(), column.expr.ty);
    }
    object.time("window_start", row.window.start);
    object.time("window_end", row.window.end);
    if let Some(Bar { anchor, ordinal, complete }) = row.bar {
        match anchor {
            Some(anchor) => object.time("anchor", anchor),
            None => object.raw("anchor", "null"),
        }
        object.raw("bar", &ordinal.to_string());
        object.raw("complete", if complete { "true" } else { "false" });
    }
    object.text("tier", tier(row));
    object.raw("generation", &row.generation.to_string());
    match cause(row) {
        "" => object.raw("cause", "null"),
        cause => object.text("cause", cause),
    }
    if row.removed {
        object.raw("removed", "true");
    }
    for (column, value) in pipeline.columns.iter().zip(&row.values) {
        object.value(&column.name, value.value(), column.expr.ty);
    }
    object.text("digest", &hex(&row.digest));
    object.end();
}

/// What a row is: one that still moves has no generation yet.
fn tier(row: &Final) -> &'static str {
    if row.generation == 0 { "provisional" } else { "final" }
}

/// Why a row's generation exists; nothing for a row that has none.
fn cause(row: &Final) -> &'static str {
    if row.generation == 0 { "" } else { row.cause.code() }
}

/// Appends the open rows of one key as a JSON object on one line, without a line end: the key, and all rows that it has
/// now.
pub fn open_rows(plan: &Plan, pipeline: u16, key: &[Scalar], rows: &[Final], out: &mut String) {
    let named = &plan.pipelines[usize::from(pipeline)];
    let mut object = Object::start(out);
    object.text("pipeline", &named.name);
    object.key("key");
    let mut columns = Object::start(object.out);
    for (column, value) in named.key.iter().zip(key) {
        columns.value(&column.name, value.value(), column.expr.ty);
    }
    columns.close();
    object.key("rows");
    object.out.push('[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            object.out.push(',');
        }
        ndjson(plan, row, object.out);
        object.out.pop();
    }
    object.out.push(']');
    object.close();
}

/// A time as outputs have it.
pub fn time(nanos: i128) -> String {
    let mut text = String::new();
    put_time(nanos, &mut text);
    text
}

/// Appends the CSV header of a pipeline's rows.
pub fn csv_header(pipeline: &Pipeline, out: &mut String) {
    for (index, cell) in columns(pipeline).into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        csv_cell(cell, out);
    }
    out.push('\n');
}

/// Appends a row as a CSV record.
pub fn csv(plan: &Plan, row: &Final, out: &mut String) {
    let start = out.len();
    each_cell(plan, row, &mut |cell| {
        if out.len() > start {
            out.push(',');
        }
        csv_cell(cell, out);
    });
    out.push('\n');
}

/// Appends rows of a pipeline as a table for a person: what a CSV has, but for pipeline and digest.
pub fn table(plan: &Plan, pipeline: u16, rows: &[Final], out: &mut String) {
    let mut lines = vec![columns(&plan.pipelines[usize::from(pipeline)]).into_iter().map(str::to_string).collect()];
    for row in rows {
        let mut cells = Vec::new();
        each_cell(plan, row, &mut |cell| cells.push(cell.to_string()));
        lines.push(cells);
    }
    aligned(&lines, out);
}

/// A text of an event as a terminal may show it: on one line, with what would steer the terminal spelled out.
pub fn visible(text: &str) -> String {
    let steers = |sign: char| sign.is_control() || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match steers(sign) {
            true => out.extend(sign.escape_default()),
            false => out.push(sign),
        }
    }
    out
}

/// Appends the records of a CSV output, its header the first of them, as such a table. All have the same number of cells.
pub fn aligned(records: &[Vec<String>], out: &mut String) {
    let shown = 1..records.first().map_or(0, Vec::len).saturating_sub(1).max(1);
    let cells = |record: &Vec<String>| record[shown.clone()].iter().map(|cell| visible(cell)).collect();
    let lines: Vec<Vec<String>> = records.iter().map(cells).collect();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    for cells in &lines {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
}

/// The names of the columns of a pipeline's rows.
fn columns(pipeline: &Pipeline) -> Vec<&str> {
    let mut names: Vec<&str> = vec!["pipeline"];
    names.extend(pipeline.key.iter().map(|column| column.name.as_str()));
    names.extend(["window_start", "window_end"]);
    if matches!(pipeline.windowing, Windowing::Bars(_)) {
        names.extend(["anchor", "bar", "complete"]);
    }
    names.extend(["tier", "generation", "cause", "removed"]);
    names.extend(pipeline.columns.iter().map(|column| column.name.as_str()));
    names.push("digest");
    names
}

/// Gives the cells of a row in the order of [`columns`].
fn each_cell(plan: &Plan, row: &Final, put: &mut dyn FnMut(&str)) {
    let pipeline = &plan.pipelines[usize::from(row.pipeline)];
    let mut text = String::new();
    let mut cell = |write: &mut dyn FnMut(&mut String)| {
        text.clear();
        write(&mut text);
        put(&text);
    };
    cell(&mut |out| out.push_str(&pipeline.name));
    for (column, value) in pipeline.key.iter().zip(&row.key) {
        cell(&mut |out| plain(value.value(), column.expr.ty, out));
    }
    cell(&mut |out| put_time(row.window.start, out));
    cell(&mut |out| put_time(row.window.end, out));
    if let Some(Bar { anchor, ordinal, complete }) = row.bar {
        cell(&mut |out| anchor.into_iter().for_each(|anchor| put_time(anchor, out)));
        cell(&mut |out| out.push_str(&ordinal.to_string()));
        cell(&mut |out| out.push_str(&complete.to_string()));
    }
    cell(&mut |out| out.push_str(tier(row)));
    cell(&mut |out| out.push_str(&row.generation.to_string()));
    cell(&mut |out| out.push_str(cause(row)));
    cell(&mut |out| out.push_str(if row.removed { "true" } else { "" }));
    for (column, value) in pipeline.columns.iter().zip(&row.values) {
        cell(&mut |out| plain(value.value(), column.expr.ty, out));
    }
    cell(&mut |out| out.push_str(&hex(&row.digest)));
}

/// A value as a cell of a CSV has it, without quotes.
pub fn cell(value: Value<'_>, ty: Type) -> String {
    let mut text = String::new();
    plain(value, ty, &mut text);
    text
}

/// Appends an event that was set aside as a JSON object and a line end: where it stood, why, and its bytes.
pub fn quarantined(plan: &Plan, event: &Quarantined, out: &mut String) {
    let source = &plan.sources[usize::from(event.source)];
    let mut object = Object::start(out);
    object.text("source", &source.name);
    object.text("file", &event.part);
    object.raw("line", &event.position.line.to_string());
    object.raw("offset", &event.position.offset.to_string());
    match event.why {
        Why::Refused(refusal) => {
            object.text("reason", event.why.code());
            if refusal.reason == slackwater_core::poison::Reason::Require {
                object.text("guard", event.guard.as_deref().unwrap_or_default());
            } else if let Some(field) = refusal.field.and_then(|index| source.schema.fields().get(usize::from(index))) {
                object.text("field", &field.name);
            }
            match std::str::from_utf8(&event.bytes) {
                Ok(raw) => object.text("raw", raw),
                Err(_) => object.text("raw_hex", &hex(&event.bytes)),
            }
        }
        Why::Conflict | Why::BeyondRetention => {
            object.text("reason", event.why.code());
            object.key("content");
            content(Row::new(&source.schema, &event.bytes), object.out);
        }
    }
    object.end();
}

/// Appends a fact that is held as a JSON object and a line end: where it belongs, where it came from, since when it waits.
pub fn held(plan: &Plan, noted: &Noted, out: &mut String) {
    let Fate::Held(parked) = &noted.note.fate else { return };
    let pipeline = &plan.pipelines[usize::from(noted.note.pipeline)];
    let source = &plan.sources[usize::from(noted.note.source())];
    let row = Row::new(&source.schema, &parked.content);
    let mut object = Object::start(out);
    object.raw("number", &noted.number.to_string());
    object.text("pipeline", &pipeline.name);
    object.text("source", &source.name);
    object.key("key");
    let mut key = Object::start(object.out);
    for column in &pipeline.key {
        key.value(&column.name, column.expr.eval(&row, &mut 0), column.expr.ty);
    }
    key.close();
    if let Some(window) = pipeline.first_window(row.event_time()) {
        object.time("window_start", window.start);
        object.time("window_end", window.end);
    }
    object.time("event_time", row.event_time().into());
    object.text("part", parked.part.rsplit('/').next().unwrap_or_default());
    object.raw("line", &parked.position.line.to_string());
    object.raw("offset", &parked.position.offset.to_string());
    object.raw("tick", &noted.tick.to_string());
    object.time("since", noted.at.into());
    object.key("fact");
    content(row, object.out);
    object.end();
}

/// Appends the content of a row as a JSON object.
pub fn content(row: Row<'_>, out: &mut String) {
    let schema = row.schema();
    let mut object = Object::start(out);
    for (index, field) in schema.fields().iter().enumerate().filter(|(index, _)| schema.is_content(*index)) {
        object.value(&field.name, row.get(index), field.ty);
    }
    object.close();
}

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789abcdef"[usize::from(half)])));
    }
    text
}

struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Object<'a> {
    fn start(out: &'a mut String) -> Self {
        out.push('{');
        Object { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        json_text(key, self.out);
        self.out.push(':');
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.push_str(json);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        json_text(text, self.out);
    }

    fn time(&mut self, key: &str, nanos: i128) {
        self.key(key);
        self.out.push('"');
        put_time(nanos, self.out);
        self.out.push('"');
    }

    fn value(&mut self, key: &str, value: Value<'_>, ty: Type) {
        self.key(key);
        json(value, ty, self.out);
    }

    fn close(self) {
        self.out.push('}');
    }

    fn end(self) {
        self.out.push_str("}\n");
    }
}

/// A value as JSON.
fn json(value: Value<'_>, ty: Type, out: &mut String) {
    let bare = match value {
        Value::Null => return out.push_str("null"),
        Value::Text(text) => return json_text(&String::from_utf8_lossy(text), out),
        Value::Bool(_) | Value::I64(_) | Value::U64(_) | Value::Array(_) => true,
        Value::F64(x) => x.is_finite(),
        Value::Decimal(_) | Value::Wide(_) | Value::Time(_) => false,
    };
    if !bare {
        out.push('"');
    }
    plain(value, ty, out);
    if !bare {
        out.push('"');
    }
}

/// An array as JSON.
fn array(bytes: &[u8], ty: Type, out: &mut String) {
    let Type::Array(element) = ty else { unreachable!("an array has the type of one") };
    out.push('[');
    for (index, value) in elements(bytes).enumerate() {
        if index > 0 {
            out.push(',');
        }
        json(value, element.ty(), out);
    }
    out.push(']');
}

/// A value as bare text; null is empty, an array its JSON.
fn plain(value: Value<'_>, ty: Type, out: &mut String) {
    let scale = ty.exact().map_or(0, |(_, scale)| scale);
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Null => Ok(()),
        Value::Bool(b) => write!(out, "{b}"),
        Value::I64(v) => write!(out, "{v}"),
        Value::U64(v) => write!(out, "{v}"),
        Value::F64(x) if x.is_infinite() => write!(out, "{}", if x > 0.0 { "inf" } else { "-inf" }),
        Value::F64(x) if x.is_nan() => write!(out, "NaN"),
        Value::F64(x) => write!(out, "{}", zmij::Buffer::new().format_finite(x)),
        Value::Decimal(mantissa) => decimal::write(out, mantissa, scale),
        Value::Wide(mantissa) => decimal::write_wide(out, &mantissa, scale),
        Value::Text(text) => {
            out.push_str(&String::from_utf8_lossy(text));
            Ok(())
        }
        Value::Time(nanos) => {
            put_time(nanos.into(), out);
            Ok(())
        }
        Value::Array(bytes) => {
            array(bytes, ty, out);
            Ok(())
        }
    };
}

fn put_time(nanos: i128, out: &mut String) {
    let _ = format_rfc3339(nanos, out);
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    if !text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ' | 0x7f)) {
        out.push_str(text);
        return out.push('"');
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn csv_cell(text: &str, out: &mut String) {
    if !text.contains([',', '"', '\n', '\r']) {
        return out.push_str(text);
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}
