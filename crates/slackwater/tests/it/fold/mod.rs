//! Folding files through the binary: the edges of meaning, hostile input, broken inputs and outputs, and one result
//! whatever the order.

mod anyhow_fed;
mod arrived;
mod bars;
mod broken;
mod hostile;
mod meaning;
mod ordering;
mod spans;

/// Trades with every role, and one-minute bars.
pub const TRADES: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
version = "v"
op = "op"
[source.trades.fields]
id = "u64"
venue = "string"
v = "u64?"
op = "string?"
ts = "timestamp_ms"
symbol = "string?"
price = "decimal(18,4)"
size = "decimal(18,4)?"

[pipeline.bars]
sql = '''
SELECT symbol, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close,
       sum(size) AS volume, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
'''
"#;

/// A trade of version 1 at venue X.
pub fn trade(id: u64, time: &str, price: &str) -> String {
    versioned(id, 1, time, &format!(r#""symbol":"A","price":{price},"size":1"#))
}

/// A trade of a version, with the given fields.
pub fn versioned(id: u64, version: u64, time: &str, fields: &str) -> String {
    format!(r#"{{"id":{id},"venue":"X","v":{version},"ts":"{time}",{fields}}}"#)
}

/// A retraction.
pub fn retraction(id: u64, version: u64) -> String {
    format!(r#"{{"id":{id},"venue":"X","v":{version},"op":"retract"}}"#)
}

/// All orders of a few things.
pub fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..things.len() {
        let rest: Vec<T> = [&things[..first], &things[first + 1..]].concat();
        all.extend(orders(&rest).into_iter().map(|rest| [vec![things[first].clone()], rest].concat()));
    }
    all
}
