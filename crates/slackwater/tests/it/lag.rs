//! `slackwater lag`: what it says of days that it has seen, held against days that it has not.

use crate::program::Place;
use crate::served::{self, poster};
use serde_json::Value;
use slackwater::runtime::clock::Clock;
use std::fmt::Write as _;

const CONFIG: &str = r#"
[source.pings]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
origin = "device"
arrival = "seen"
lag = "2s"
[source.pings.fields]
id = "u64"
device = "string"
ts = "timestamp_ms"
seen = "timestamp_ms"
[pipeline.minutes]
sql = "SELECT device, count(*) AS pings FROM pings GROUP BY device, tumble(ts, INTERVAL '1 minute')"
"#;

const DAY: i64 = 86_400_000;
const START: i64 = 1_767_225_600_000;

/// Numbers that look nothing like a sequence.
fn lot(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 29
}

/// Ninety days of a device that is heard often for some hours of each. Its events are late as they are in life: most of them
/// little, few of them long; now and then it is silent, and what happened meanwhile comes at once.
fn pings() -> String {
    let mut out = String::new();
    let mut id = 0;
    for day in 0..90 {
        for beat in 0..5_000 {
            id += 1;
            let ts = START + day * DAY + beat * 1_000;
            // A power law: doubling the lag leaves a quarter of the late ones.
            let share = (lot(id) % 1_000_000 + 1) as f64 / 1_000_000.0;
            let late = (400.0 / share.sqrt()).min(50_000.0) as i64;
            let silent = beat % 700 > 600 && day % 9 == 4;
            let seen = if silent { START + day * DAY + (beat / 700 * 700 + 800) * 1_000 } else { ts + late };
            let _ = writeln!(out, r#"{{"id":{id},"device":"D","ts":{ts},"seen":{seen}}}"#);
        }
    }
    out
}

fn studied(place: &Place, more: &[&str]) -> Value {
    let mut args = vec!["lag", "--data", "data", "--json"];
    args.extend(more);
    let ran = place.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(ran.out.lines().next().expect("one origin")).expect("JSON")
}

#[test]
fn what_a_lag_is_said_to_leave_late_is_what_it_leaves_on_days_that_were_not_seen() {
    let place = Place::with(CONFIG);
    place.write("in.ndjson", pings());
    let args = ["fold", "-c", "c.toml", "--input", "pings=in.ndjson", "--out", "o.ndjson", "--data", "data"];
    assert_eq!(place.run(&args).code, 0);
    let mut lags = Vec::new();
    for target in ["20000", "5000", "2000"] {
        let told = studied(&place, &["--target", target]);
        assert_eq!((&told["source"], &told["origin"]), (&"pings".into(), &"D".into()));
        let (advised, tried) = (&told["advised"], &told["back_test"]);
        assert_eq!((advised["days"].as_u64(), tried["days"].as_u64()), (Some(60), Some(30)));
        let share = |of: &Value| of["late_per_million"].as_u64().expect("a share") as f64;
        let allowed: f64 = target.parse().expect("a number");
        assert!(share(advised) <= allowed && share(advised) > allowed * 0.7, "{told}");
        let off = share(tried) / share(advised) - 1.0;
        println!("lag target={target} said={} was={} off={:.1}%", share(advised), share(tried), off * 100.0);
        assert!(off.abs() <= 0.2, "{target}: {told}");
        lags.push(advised["lag_ns"].as_i64().expect("a lag"));
    }
    assert!(lags.is_sorted() && lags[0] < lags[2], "who wants fewer late waits longer");
}

#[test]
fn bursts_behind_a_silence_are_told_apart_unless_they_are_to_count() {
    let place = Place::with(CONFIG);
    place.write("in.ndjson", pings());
    let args = ["fold", "-c", "c.toml", "--input", "pings=in.ndjson", "--out", "o.ndjson", "--data", "data"];
    assert_eq!(place.run(&args).code, 0);
    let (steady, with) = (studied(&place, &[]), studied(&place, &["--bursts"]));
    assert!(steady["bursts"]["events"].as_u64() > Some(500), "{steady}");
    assert!(steady["reconnects"].as_u64() >= Some(10));
    let lag = |told: &Value| told["advised"]["lag_ns"].as_i64().expect("a lag");
    assert!(lag(&with) > lag(&steady) * 5, "{} and {}", lag(&with), lag(&steady));
    let longer = studied(&place, &["--margin", "50"]);
    assert_eq!(lag(&longer), lag(&steady) + lag(&steady) / 100 * 50);
    let text = place.run(&["lag", "--data", "data"]);
    assert!(text.out.contains("pings D: lateness p50 56") && text.out.contains("(advised"), "{}", text.out);
}

#[test]
fn lateness_is_told_by_day_also_beside_a_running_service() {
    let config = CONFIG
        .replace("pings", "trades")
        .replace("kind = \"files\"", "kind = \"http\"")
        .replace("arrival = \"seen\"\n", "");
    let (place, port) = served::place_of(&config);
    let mut child = served::start(&place);
    assert!(served::ready(&mut child, port));
    let now = Clock::start().now() / 1_000_000;
    let mut id = 0;
    let mut post = |count: i64| {
        // Every event is some ten seconds late.
        let event = |n: i64| format!("{{\"id\":{},\"device\":\"D\",\"ts\":{},\"seen\":0}}\n", id + n, now - 10_000);
        let told = poster::post((port, port), &format!("from {id}"), &(0..count).map(event).collect::<String>());
        assert_eq!(told.expect("an answer").0, 200);
        id += count;
    };
    for round in 1..4 {
        post(50);
        let days = loop {
            // A checkpoint counts from the next commit on, so something must come.
            post(1);
            let ran = place.run(&["lag", "--data", "data", "--json"]);
            let told: Value = serde_json::from_str(ran.out.lines().next().unwrap_or("null")).expect("JSON");
            let days = told["by_day"].as_array().cloned().unwrap_or_default();
            if days.iter().filter_map(|day| day["events"].as_u64()).sum::<u64>() >= round * 50 {
                break days;
            }
            assert!(child.try_wait().expect("a child").is_none(), "the service goes on: {}", ran.err);
        };
        let least = days.iter().filter_map(|day| day["lateness_ns"]["p50"].as_u64()).min();
        assert!(least.is_some_and(|least| least > 9_800_000_000), "{days:?}");
        assert!(days[0]["day"].as_str().is_some_and(|day| day.len() == 10 && day.starts_with("20")), "{days:?}");
    }
}

#[test]
fn a_span_is_told_as_a_person_would() {
    let told = [
        (0, "0 s"),
        (7, "7 ns"),
        (1_249, "1.2 µs"),
        (566_000_000, "566 ms"),
        (999_949_999, "1000 ms"),
        (1_000_000_000, "1.0 s"),
        (9_960_000_000, "10 s"),
        (14_400_000_000, "14 s"),
        (90_000_000_000, "1.5 min"),
        (3_540_000_000_000, "59 min"),
        (27_691_127_123_456_000, "320 d"),
    ];
    for (nanos, text) in told {
        assert_eq!(slackwater::face::cli::span(nanos), text);
    }
}

#[test]
fn a_directory_without_arrivals_says_so() {
    let place = Place::with(&CONFIG.replace("arrival = \"seen\"\n", ""));
    place.write("in.ndjson", "{\"id\":1,\"device\":\"D\",\"ts\":1,\"seen\":2}\n");
    let args = ["fold", "-c", "c.toml", "--input", "pings=in.ndjson", "--out", "o.ndjson", "--data", "data"];
    assert_eq!(place.run(&args).code, 0);
    let ran = place.run(&["lag", "--data", "data"]);
    assert!(ran.code != 0 && ran.err.contains("no fact in this directory has an arrival"), "{}", ran.err);
    let ran = place.run(&["lag", "--data", "data", "--source", "ping"]);
    assert!(ran.code != 0 && ran.err.contains("there is no such source"), "{}", ran.err);
}
