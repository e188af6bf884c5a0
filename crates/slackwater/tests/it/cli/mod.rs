//! The command line: arguments, configuration, what it says, and its exit codes.

mod arguments;
mod rendering;

/// Two sources and two pipelines.
pub const CONFIG: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
[source.trades.fields]
id = "u64"
ts = "timestamp_s"
symbol = "string?"
price = "decimal(18,4)?"
f = "float64?"

[source.quotes]
kind = "files"
format = "csv"
identity = "position"
event_time = "at"
[source.quotes.fields]
at = "timestamp_s"
bid = "float64"

[pipeline.bars]
sql = "SELECT symbol, last(price) AS close, count(*) AS trades FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')"

[pipeline.bids]
sql = "SELECT max(bid) AS high FROM quotes GROUP BY tumble(at, INTERVAL '1 hour')"
"#;
