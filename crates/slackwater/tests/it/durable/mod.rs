//! A fold with a data directory: it can be stopped anywhere, goes on where it was, and gives what a plain one gives.

mod broken;
mod directory;
mod held;
mod killed;
mod later;
mod looked_at;
pub mod retained;
mod retried;
mod share;

use crate::program::{Place, Ran, conserved, lines};
use serde_json::Value;
use std::fmt::Write as _;

/// Windows of three kinds over trades that may be corrected and retracted.
pub const CONFIG: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
version = "v"
op = "op"
require = ["size >= 0"]
[source.trades.fields]
id = "u64"
v = "u64?"
op = "string?"
symbol = "string"
ts = "timestamp_ms"
price = "decimal(18,4)"
size = "decimal(18,2)"

[pipeline.minutes]
sql = """
SELECT symbol, first(price) AS open, max(price) AS high, last(price) AS close, sum(size) AS volume,
       wavg(price, size) AS vwap, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
[pipeline.visits]
sql = "SELECT symbol, count(*) AS trades, last(price) AS close FROM trades GROUP BY symbol, session(ts, INTERVAL '20 seconds')"
[pipeline.bars]
sql = "SELECT symbol, last(price) AS close, sum(size) AS volume FROM trades GROUP BY symbol, volume_bar(size, 500)"
"#;

/// Hostile trades: out of order, some twice, some refused, some corrected or retracted.
pub fn trades(from: u64, count: u64) -> String {
    trades_every(400, from, count)
}

/// The same, so many milliseconds one after the other.
pub fn trades_every(step: u64, from: u64, count: u64) -> String {
    let mut out = String::new();
    for id in from..from + count {
        // Any numbers that look nothing like a sequence.
        let lot = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ id;
        let (symbol, price, size) = (["ABC", "DEF", "GHI"][(lot % 3) as usize], lot % 9_000 + 1_000, lot % 70);
        let ts = 1_767_225_600_000 + id * step + lot % 5_000 * step / 400;
        let fields = |price: u64| {
            format!(r#""symbol":"{symbol}","ts":{ts},"price":{}.{:02},"size":{size}"#, price / 100, price % 100)
        };
        let _ = writeln!(out, r#"{{"id":{id},{}}}"#, fields(price));
        match lot % 41 {
            0 => drop(writeln!(out, r#"{{"id":{id},{}}}"#, fields(price))),
            1 => drop(writeln!(out, r#"{{"id":{id},"v":2,{}}}"#, fields(price + 7))),
            2 => drop(writeln!(out, r#"{{"id":{id},"v":3,"op":"retract",{}}}"#, fields(price))),
            3 => drop(writeln!(out, r#"{{"id":{id},"symbol":"ABC","ts":{ts},"price":1,"size":-1}}"#)),
            4 => drop(writeln!(out, r#"{{"id":{id},"#)),
            _ => {}
        }
    }
    out
}

/// A place with the configuration and trades in `events.ndjson`.
pub fn place(count: u64) -> Place {
    let place = Place::with(CONFIG);
    place.write("events.ndjson", trades(0, count));
    place
}

/// The arguments of a durable fold of a file into `out.ndjson`.
pub fn durable<'a>(input: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["fold", "-c", "c.toml", "--data", "data", "--input", input, "--out", "out.ndjson", "--json"];
    args.extend(more);
    args
}

/// What a durable fold that succeeded left behind: its summary, its output, and what it said beside the summary.
pub struct Kept {
    pub summary: Value,
    pub out: String,
    pub notes: Vec<String>,
}

/// Folds a file durably; every event is accounted for.
pub fn keep(place: &Place, input: &str, more: &[&str]) -> Kept {
    kept(place, place.run(&durable(input, more)))
}

pub fn kept(place: &Place, ran: Ran) -> Kept {
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let (notes, summary): (Vec<&str>, Vec<&str>) = ran.err.lines().partition(|line| line.starts_with("note: "));
    let notes = notes.into_iter().map(String::from).collect();
    Kept { summary: conserved(&summary.concat()), out: place.read("out.ndjson"), notes }
}

/// The rows of a pipeline by `query`, of every generation.
pub fn generations(place: &Place, pipeline: &str) -> Vec<Value> {
    let ran = place.run(&["query", "--data", "data", pipeline, "--generations", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    lines(&ran.out)
}

/// Everything that `query` can say of a directory.
pub fn all(place: &Place) -> Vec<Value> {
    ["minutes", "visits", "bars"].into_iter().flat_map(|pipeline| generations(place, pipeline)).collect()
}

#[test]
fn a_durable_fold_writes_the_bytes_of_a_plain_one() {
    let place = place(6_000);
    let plain = place.fold(&["trades=events.ndjson"], &[]);
    let refused = place.read("refused.ndjson");
    let kept = keep(&place, "trades=events.ndjson", &["--quarantine", "refused.ndjson", "--checkpoint", "20ms"]);
    assert!(plain.rows.len() > 300 && plain.refused.len() > 100);
    assert_eq!(kept.out, plain.bytes);
    assert_eq!(place.read("refused.ndjson"), refused);
    assert_eq!((&kept.summary["root"], &kept.summary["facts"]), (&plain.summary["root"], &plain.summary["facts"]));
}

#[test]
fn any_threads_and_any_cadence_give_the_same_bytes() {
    let place = place(4_000);
    let plain = place.fold(&["trades=events.ndjson"], &[]).bytes;
    for (threads, every) in [("1", "1ms"), ("2", "5ms"), ("3", "10s"), ("5", "2ms")] {
        let kept = keep(&place, "trades=events.ndjson", &["--threads", threads, "--checkpoint", every]);
        assert_eq!(kept.out, plain, "{threads} threads, a checkpoint every {every}");
        std::fs::remove_dir_all(place.path("data")).expect("the directory");
    }
}

#[test]
fn csv_and_parquet_are_folded_durably_too() {
    let config = r#"
[source.trades]
kind = "files"
format = "FORMAT"
identity = "position"
event_time = "window_start"
[source.trades.fields]
symbol = "string"
window_start = "timestamp_ns"
trades = "u64"
[pipeline.minutes]
sql = "SELECT symbol, sum(trades) AS trades FROM trades GROUP BY symbol, tumble(window_start, INTERVAL '1 hour')"
"#;
    let place = place(6_000);
    for format in ["csv", "parquet"] {
        let file = format!("rows.{format}");
        let made = ["fold", "-c", "c.toml", "--pipeline", "minutes", "--input", "trades=events.ndjson", "--out", &file];
        assert_eq!(place.run(&made).code, 0);
        place.write("again.toml", config.replace("FORMAT", format));
        let input = format!("trades={file}");
        let fold = ["fold", "-c", "again.toml", "--input", &input, "--out", "out.ndjson", "--json"];
        assert_eq!(place.run(&fold).code, 0);
        let plain = place.read("out.ndjson");
        assert!(plain.lines().count() > 1);
        let again = [&fold[..], &["--data", format]].concat();
        for _ in 0..2 {
            let ran = place.run(&again);
            assert_eq!((ran.code, place.read("out.ndjson")), (0, plain.clone()), "{}", ran.err);
        }
        // What the journal has of it can be taken in again.
        std::fs::remove_dir_all(place.path(&format!("{format}/checkpoint"))).expect("checkpoints");
        std::fs::remove_file(place.path(&format!("{format}/store.sqlite"))).expect("a store");
        let ran = place.run(&again);
        assert_eq!((ran.code, place.read("out.ndjson")), (0, plain), "{}", ran.err);
    }
}
