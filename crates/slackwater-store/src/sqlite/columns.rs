//! The tables of a pipeline, as people see them: names, types, and values as SQLite has them.
//!
//! Integers and times (nanoseconds since the epoch, UTC) are INTEGER where they fit in 64 bits with a sign, doubles REAL,
//! decimals and larger integers TEXT with all their digits, truth values 0 and 1, arrays JSON. Bounds of windows and anchors
//! that do not fit are REAL, so that they have their place among the others. `_body` is the canonical row that all of them
//! are made from.

use rusqlite::types::{Value as Cell, ValueRef};
use slackwater_core::fold::{Bar, Final};
use slackwater_core::number::decimal;
use slackwater_core::plan::{Pipeline, Windowing};
use slackwater_core::value::{Type, Value, elements};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A name as SQL text.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statements that make the tables and views of a pipeline.
pub(super) fn schema(pipeline: &Pipeline) -> String {
    let name = &pipeline.name;
    let [rows, current] = ["rows", "current"].map(|kind| quote(&format!("{name}_{kind}")));
    let [history, newest, provisional] =
        ["history", "final", "provisional"].map(|kind| quote(&format!("{name}_{kind}")));
    let names = names(pipeline);
    let declared: Vec<String> = names.iter().map(|(name, kind)| format!("{} {kind}", quote(name))).collect();
    let shown: Vec<String> = names.iter().map(|(name, _)| format!("r.{}", quote(name))).collect();
    let (declared, shown) = (declared.join(", "), shown.join(", "));
    format!(
        "CREATE TABLE {rows} (_row BLOB NOT NULL, {declared}, lineage TEXT, _tick INTEGER NOT NULL,
             _at INTEGER NOT NULL, _body BLOB NOT NULL, PRIMARY KEY (_row, generation)) WITHOUT ROWID;
         CREATE INDEX {start} ON {rows} (window_start);
         CREATE INDEX {by_tick} ON {rows} (_tick);
         CREATE TABLE {current} (_row BLOB PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
         CREATE VIEW {history} AS SELECT 'final' AS tier, {shown}, r.lineage, r._tick AS tick, r._at AS tick_at
             FROM {rows} r;
         CREATE VIEW {newest} AS SELECT 'final' AS tier, {shown}, r.lineage, r._tick AS tick, r._at AS tick_at
             FROM {current} c JOIN {rows} r ON r._row = c._row AND r.generation = c.generation WHERE r.removed = 0;
         CREATE VIEW {provisional} AS SELECT 'provisional' AS tier, {shown}, r.lineage, r._tick AS tick, r._at AS tick_at
             FROM {rows} r WHERE 0;",
        start = quote(&format!("{name}_rows_by_start")),
        by_tick = quote(&format!("{name}_rows_by_tick")),
    )
}

/// Column names, each once whatever its case, and their types.
fn names(pipeline: &Pipeline) -> Vec<(String, &'static str)> {
    let mut names: Vec<(String, &'static str)> = Vec::new();
    let mut taken: BTreeSet<String> =
        ["tier", "lineage", "tick", "tick_at", "_row", "_tick", "_at", "_body"].map(String::from).into();
    let mut add = |name: &str, kind| {
        let mut free = name.to_string();
        let mut number = 1;
        while !taken.insert(free.to_ascii_lowercase()) {
            number += 1;
            free = format!("{name}_{number}");
        }
        names.push((free, kind));
    };
    // What the engine names comes first, so that it keeps its names.
    add("window_start", "INTEGER NOT NULL");
    add("window_end", "INTEGER NOT NULL");
    if matches!(pipeline.windowing, Windowing::Bars(_)) {
        add("anchor", "INTEGER");
        add("bar", "INTEGER NOT NULL");
        add("complete", "INTEGER NOT NULL");
    }
    add("generation", "INTEGER NOT NULL");
    add("cause", "TEXT NOT NULL");
    add("removed", "INTEGER NOT NULL");
    for (name, ty) in pipeline.key.iter().map(|column| (&column.name, column.expr.ty)) {
        add(name, affinity(ty));
    }
    for (name, ty) in pipeline.columns.iter().map(|column| (&column.name, column.expr.ty)) {
        add(name, affinity(ty));
    }
    add("digest", "BLOB NOT NULL");
    names
}

fn affinity(ty: Type) -> &'static str {
    match ty {
        Type::I64 | Type::Bool | Type::Timestamp => "INTEGER",
        Type::Float64 => "REAL",
        Type::Decimal { .. } | Type::Text | Type::Array(_) => "TEXT",
        // What does not fit in an INTEGER stays a TEXT.
        Type::U64 => "",
    }
}

/// The statement that adds a row: its identity, the columns in the order of [`schema`], tick, time of the tick, body.
pub(super) fn insert(pipeline: &Pipeline) -> String {
    let count = names(pipeline).len();
    let columns: Vec<String> = names(pipeline).into_iter().map(|(name, _)| quote(&name)).collect();
    format!(
        "INSERT INTO {} (_row, {}, _tick, _at, _body) VALUES (?{}) ON CONFLICT DO NOTHING",
        quote(&format!("{}_rows", pipeline.name)),
        columns.join(", "),
        ", ?".repeat(count + 3)
    )
}

/// The columns of a row, in the order of [`schema`].
pub(super) fn cells(pipeline: &Pipeline, row: &Final) -> Vec<Cell> {
    let mut cells = vec![bound(row.window.start), bound(row.window.end)];
    if let Some(Bar { anchor, ordinal, complete }) = row.bar {
        cells.push(anchor.map_or(Cell::Null, bound));
        cells.push(bound(ordinal.into()));
        cells.push(Cell::Integer(complete.into()));
    }
    cells.push(bound(row.generation.into()));
    cells.push(Cell::Text(row.cause.code().to_string()));
    cells.push(Cell::Integer(row.removed.into()));
    for (column, value) in pipeline.key.iter().zip(&row.key) {
        cells.push(cell(value.value(), column.expr.ty));
    }
    for (column, value) in pipeline.columns.iter().zip(&row.values) {
        cells.push(cell(value.value(), column.expr.ty));
    }
    cells.push(Cell::Blob(row.digest.to_vec()));
    cells
}

/// Whether a stored value is what a cell became. SQLite keeps no sign of a zero.
pub(super) fn is_same(cell: &Cell, stored: ValueRef<'_>) -> bool {
    match (cell, stored) {
        (Cell::Null, ValueRef::Null) => true,
        (Cell::Real(number), ValueRef::Null) => number.is_nan(),
        (Cell::Real(number), ValueRef::Real(stored)) => *number == stored,
        (Cell::Integer(number), ValueRef::Integer(stored)) => *number == stored,
        (Cell::Text(text), ValueRef::Text(stored)) => text.as_bytes() == stored,
        (Cell::Blob(bytes), ValueRef::Blob(stored)) => bytes == stored,
        _ => false,
    }
}

/// A number of a column that is ordered by it: an integer where it fits, else the nearest double. The column would make that
/// of its digits too.
pub(super) fn bound(number: i128) -> Cell {
    i64::try_from(number).map_or(Cell::Real(number as f64), Cell::Integer)
}

/// An integer where it fits, else its digits.
fn whole(number: i128) -> Cell {
    i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
}

fn cell(value: Value<'_>, ty: Type) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(truth) => Cell::Integer(truth.into()),
        Value::I64(number) | Value::Time(number) => Cell::Integer(number),
        Value::U64(number) => whole(number.into()),
        // SQLite takes a NaN for null, and no aggregate gives one.
        Value::F64(number) => Cell::Real(number),
        Value::Decimal(_) | Value::Wide(_) | Value::Text(_) => Cell::Text(text(value, ty)),
        Value::Array(array) => {
            let Type::Array(element) = ty else { unreachable!("an array has the type of one") };
            let items: Vec<String> = elements(array).map(|value| json(value, element.ty())).collect();
            Cell::Text(format!("[{}]", items.join(",")))
        }
    }
}

fn text(value: Value<'_>, ty: Type) -> String {
    let (mut out, scale) = (String::new(), ty.scale().unwrap_or_default());
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Decimal(mantissa) => decimal::write(&mut out, mantissa, scale),
        Value::Wide(mantissa) => decimal::write_wide(&mut out, &mantissa, scale),
        Value::Text(text) => out.write_str(&String::from_utf8_lossy(text)),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::I64(number) | Value::Time(number) => write!(out, "{number}"),
        Value::U64(number) => write!(out, "{number}"),
        Value::F64(number) => write!(out, "{number:?}"),
        Value::Null | Value::Array(_) => Ok(()),
    };
    out
}

fn json(value: Value<'_>, ty: Type) -> String {
    let plain = text(value, ty);
    match value {
        Value::Decimal(_) | Value::Wide(_) => format!("\"{plain}\""),
        Value::F64(number) if !number.is_finite() => format!("\"{plain}\""),
        Value::Text(_) => {
            let mut quoted = String::from("\"");
            for c in plain.chars() {
                match c {
                    '"' | '\\' => quoted.extend(['\\', c]),
                    c if c < ' ' => drop(write!(quoted, "\\u{:04x}", c as u32)),
                    c => quoted.push(c),
                }
            }
            quoted + "\""
        }
        _ => plain,
    }
}
