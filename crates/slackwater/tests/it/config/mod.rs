//! The configuration file: what it says, and how its mistakes are shown.

mod accepted;
mod mistakes;
mod serving;

use slackwater::face::config::{Config, ConfigErrors, load};

/// A configuration that every test changes a little.
pub const PLAIN: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"

[source.trades.fields]
id = "u64"
symbol = "string"
venue = "string"
ts = "timestamp_us"
price = "decimal(18,4)"

[pipeline.bars]
sql = """
SELECT symbol, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
"#;

/// [`PLAIN`] with a text replaced, which must be there.
pub fn with(from: &str, to: &str) -> String {
    assert!(PLAIN.contains(from), "`{from}` is there");
    PLAIN.replacen(from, to, 1)
}

/// [`PLAIN`] with keys added to its source.
pub fn with_keys(keys: &str) -> String {
    with("event_time = \"ts\"\n", &format!("event_time = \"ts\"\n{keys}\n"))
}

pub fn sound(text: &str) -> Config {
    load(text, "slackwater.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

pub fn mistaken(text: &str) -> ConfigErrors {
    load(text, "slackwater.toml").expect_err("it is mistaken")
}
