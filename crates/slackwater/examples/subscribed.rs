//! A program that is told of every row as it seals. It ends with the first commit that brings some.
//!
//! `cargo run --example subscribed -- DIR`

use slackwater::connect::files::render;
use slackwater::face::api::live::{Live, Options};
use slackwater::face::config;
use slackwater::runtime::board::News;
use std::error::Error;
use std::path::PathBuf;
use std::sync::mpsc;

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
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("slackwater-subscribed"), PathBuf::from);
    let config = config::load(CONFIG, "subscribed.toml").map_err(|errors| errors.render(false))?;
    let live = Live::open(config, &data, Options::default())?;
    let (tell, told) = mpsc::channel();
    // A listener is called on the instance's thread, so it hands on and returns.
    live.subscribe(Box::new(move |news| drop(tell.send(news.clone()))));
    // The hour is long over. A second after the meter was last heard it counts as idle, and the hour seals.
    let id = std::process::id();
    live.push("readings", None, format!(r#"{{"id": {id}, "meter": "B", "ts": 1767225600, "kwh": 1}}"#).into_bytes())?;
    for news in told {
        if let News::Committed { finals, .. } = &*news
            && !finals.is_empty()
        {
            let mut text = String::new();
            finals.iter().for_each(|row| render::ndjson(live.plan(), row, &mut text));
            print!("{text}");
            break;
        }
    }
    live.stop();
    Ok(live.wait()?)
}
