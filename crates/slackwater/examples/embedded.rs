//! A running instance inside a program: open, push, ask, stop. Run it twice with one directory, and nothing counts twice.
//!
//! `cargo run --example embedded -- DIR`

use slackwater::connect::files::render;
use slackwater::face::api::live::{Live, Options};
use slackwater::face::config;
use slackwater_store::store::Ask;
use std::error::Error;
use std::path::PathBuf;

const CONFIG: &str = r#"
[source.readings]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "meter"
idle_after = "1s"
[source.readings.fields]
id = "u64"
meter = "string"
ts = "timestamp_s"
kwh = "decimal(12,3)"
[pipeline.usage]
sql = "SELECT meter, sum(kwh) AS used, count(*) AS readings FROM readings GROUP BY meter, tumble(ts, INTERVAL '1 hour')"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let data =
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("slackwater-embedded"), PathBuf::from);
    let config = config::load(CONFIG, "embedded.toml").map_err(|errors| errors.render(false))?;
    let live = Live::open(config, &data, Options::default())?;
    let events = r#"{"id": 1, "meter": "A", "ts": 1767225600, "kwh": 0.125}
{"id": 2, "meter": "A", "ts": 1767229199, "kwh": 0.250}
{"id": 2, "meter": "A", "ts": 1767229199, "kwh": 0.250}
"#;
    // With a name it can be pushed again, whatever became of the answer.
    let receipt = live.push("readings", Some("first"), events.into())?;
    println!("{} received, {} facts, repeated: {}", receipt.counts.received, receipt.counts.facts, receipt.repeated);
    live.stop();
    live.wait()?;
    let mut text = String::new();
    live.query(0, &Ask::default())?.iter().for_each(|row| render::ndjson(live.plan(), row, &mut text));
    print!("{text}");
    Ok(())
}
