//! `--as-arrived`: the live history of a file, with its watermarks, seals and late facts.

use crate::program::{Folded, Place};
use serde_json::Value;

/// Trades with an arrival, bars of one minute, and the given lines in the source.
fn config(source: &str) -> String {
    format!(
        r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
version = "v"
op = "op"
arrival = "recv"
{source}
[source.trades.fields]
id = "u64"
venue = "string"
v = "u64?"
op = "string?"
ts = "timestamp_ms"
recv = "timestamp_ns"
price = "decimal(18,4)?"

[pipeline.bars]
sql = "SELECT count(*) AS trades, last(price) AS close FROM trades GROUP BY tumble(ts, INTERVAL '1 minute')"
"#
    )
}

/// A trade of venue X at 10 o'clock and so much, seen at 10 o'clock and so much.
fn trade(id: u64, time: &str, seen: &str) -> String {
    of("X", id, time, seen)
}

fn of(venue: &str, id: u64, time: &str, seen: &str) -> String {
    let at = |text: &str| format!("2026-01-05T10:{text}Z");
    format!(r#"{{"id":{id},"venue":"{venue}","ts":"{}","recv":"{}","price":{id}}}"#, at(time), at(seen))
}

fn replay(config: &str, lines: &[String], more: &[&str]) -> Folded {
    let place = Place::with(config);
    place.write("events.json", lines.join("\n") + "\n");
    place.fold(&["trades=events.json"], &[&["--as-arrived"], more].concat())
}

/// `start generation cause trades`, with `-` for a row that is removed.
fn told(folded: &Folded) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), String::from);
    let row = |row: &Value| {
        let trades = if row["removed"] == true { "-".into() } else { text(&row["trades"]) };
        let start = text(&row["window_start"]);
        format!("{} {} {} {trades}", &start[11..19], row["generation"], text(&row["cause"]))
    };
    folded.rows.iter().map(row).collect()
}

/// What every network does: an event of 10:00:58 that arrives at 10:01:02, half a second of buffered events flushed at
/// 10:01:01, and a source that drops for four seconds and then replays the gap.
fn jitter() -> Vec<String> {
    vec![
        trade(1, "00:01", "00:01.010"),
        trade(2, "00:30", "00:30.010"),
        trade(3, "00:59.900", "00:59.910"),
        trade(4, "01:00.200", "01:00.210"),
        // Half a second of buffered events, flushed at once.
        trade(5, "00:59.500", "01:01.000"),
        trade(6, "00:59.700", "01:01.000"),
        trade(7, "01:00.900", "01:01.000"),
        trade(8, "00:58", "01:02"),
        // Gone from 10:01:57 to 10:02:01; then the gap is replayed.
        trade(9, "01:56.900", "01:56.910"),
        trade(13, "02:01", "02:01.005"),
        trade(10, "01:57.500", "02:01.110"),
        trade(11, "01:58.500", "02:01.120"),
        trade(12, "01:59.500", "02:01.130"),
        trade(14, "02:30", "02:30.010"),
    ]
}

#[test]
fn jitter_within_the_lag_makes_one_generation_each() {
    let folded = replay(&config("lag = \"10s\""), &jitter(), &["--generations", "--tick", "100ms"]);
    assert_eq!(told(&folded), ["10:00:00 1 seal 6", "10:01:00 1 seal 6", "10:02:00 1 seal 2"]);
    assert_eq!(folded.summary["generations"], serde_json::json!({ "seal": 3 }));
}

#[test]
fn jitter_without_a_lag_makes_amendments_with_their_cause_and_the_same_newest_values() {
    let folded = replay(&config("lag = \"0s\""), &jitter(), &["--generations", "--tick", "100ms"]);
    let wanted = [
        "10:00:00 1 seal 3",
        "10:00:00 2 late 5",
        "10:00:00 3 late 6",
        "10:01:00 1 seal 3",
        "10:01:00 2 late 6",
        "10:02:00 1 seal 2",
    ];
    assert_eq!(told(&folded), wanted);
    let newest = |lag: &str| {
        let rows = replay(&config(&format!("lag = \"{lag}\"")), &jitter(), &["--tick", "100ms"]).rows;
        rows.iter().map(|row| row["digest"].to_string()).collect::<Vec<_>>()
    };
    let place = Place::with(&config(""));
    let plain = place.fold_lines(&jitter());
    let plain: Vec<String> = plain.rows.iter().map(|row| row["digest"].to_string()).collect();
    assert_eq!(newest("0s"), plain);
    assert_eq!(newest("10s"), plain);
}

#[test]
fn the_order_of_the_file_says_nothing() {
    let rows = |lines: &[String]| replay(&config("lag = \"0s\""), lines, &["--generations", "--tick", "100ms"]).bytes;
    let (lines, mut backwards) = (jitter(), jitter());
    backwards.reverse();
    assert_eq!(rows(&backwards), rows(&lines));
}

#[test]
fn a_watermark_at_the_end_of_a_window_seals_it_and_a_nanosecond_less_does_not() {
    // The second trade is as far as the watermark comes before the third, which is late where the window is sealed.
    let generations = |time: &str| {
        let lines = [trade(1, "00:30", "00:30"), trade(2, time, "01:00.500"), trade(3, "00:40", "01:10")];
        let nanos = config("").replace("ts = \"timestamp_ms\"", "ts = \"timestamp_ns\"");
        told(&replay(&nanos, &lines, &["--generations"])).into_iter().filter(|row| row.starts_with("10:00")).collect()
    };
    let sealed: Vec<String> = generations("01:00.000000000");
    assert_eq!(sealed, ["10:00:00 1 seal 1", "10:00:00 2 late 2"]);
    let open: Vec<String> = generations("00:59.999999999");
    assert_eq!(open, ["10:00:00 1 seal 3"]);
}

#[test]
fn a_fast_clock_moves_no_watermark_past_the_present() {
    // The producer of venue Y is 4:59 ahead. By its word 10:00 would be over at once.
    let lines = [
        of("Y", 1, "04:59.100", "00:00.100"),
        of("Y", 2, "05:29", "00:30"),
        trade(3, "00:20", "00:20"),
        trade(4, "00:50", "00:50"),
        trade(5, "00:55", "00:59"),
        trade(6, "00:58", "01:02"),
    ];
    let folded = replay(&config("lag = \"2s\"\nmax_future = \"5m\""), &lines, &["--generations"]);
    assert_eq!(told(&folded), ["10:00:00 1 seal 4", "10:04:00 1 seal 1", "10:05:00 1 seal 1"]);
    let beyond = of("Y", 7, "07:00", "01:59");
    let folded = replay(&config("max_future = \"5m\""), &[lines.as_slice(), &[beyond]].concat(), &[]);
    assert_eq!(folded.summary["reasons"], serde_json::json!({ "max_future": 1 }));
}

#[test]
fn a_silent_origin_holds_the_watermark_until_it_is_proven_idle() {
    let mut lines = vec![of("Y", 1, "00:10", "00:10")];
    lines.extend((2..40u64).map(|id| {
        trade(id, &format!("{:02}:{:02}", id / 6, id % 6 * 10), &format!("{:02}:{:02}", id / 6, id % 6 * 10))
    }));
    // What comes late tells whether its window was sealed.
    lines.push(trade(100, "00:30", "05:00"));
    let causes = |source: &str| {
        let folded = replay(&config(source), &lines, &["--generations"]);
        told(&folded).into_iter().filter(|row| row.starts_with("10:00:00")).collect::<Vec<_>>()
    };
    // Y was never heard again, and without idle_after it could still have old news.
    assert_eq!(causes(""), ["10:00:00 1 seal 6"]);
    assert_eq!(causes("idle_after = \"10m\""), ["10:00:00 1 seal 6"]);
    assert_eq!(causes("idle_after = \"2m\""), ["10:00:00 1 seal 5", "10:00:00 2 late 6"]);
}

#[test]
fn when_all_origins_are_idle_time_itself_seals() {
    // Nothing comes for an hour; then something that would have been in the minute of ten.
    let lines = [trade(1, "00:10", "00:10"), of("X", 2, "00:20", "59:00")];
    let causes = |source: &str| told(&replay(&config(source), &lines, &["--generations"]));
    assert_eq!(causes("lag = \"5s\""), ["10:00:00 1 seal 2"]);
    assert_eq!(causes("lag = \"5s\"\nidle_after = \"30s\""), ["10:00:00 1 seal 1", "10:00:00 2 late 2"]);
    assert_eq!(causes("lag = \"5s\"\nwatermark = \"wall_clock\""), ["10:00:00 1 seal 1", "10:00:00 2 late 2"]);
}

#[test]
fn corrections_and_retractions_of_sealed_windows_say_why() {
    let versioned = |id: u64, version: u64, seen: &str, rest: &str| {
        let seen = format!("2026-01-05T10:{seen}Z");
        format!(r#"{{"id":{id},"venue":"X","v":{version},"recv":"{seen}",{rest}}}"#)
    };
    let lines = [
        trade(1, "00:10", "00:10"),
        trade(2, "00:20", "00:20"),
        trade(3, "02:00", "02:00"),
        versioned(1, 1, "02:10", r#""ts":"2026-01-05T10:00:15Z","price":7"#),
        versioned(2, 1, "02:20", r#""op":"retract","ts":"2026-01-05T10:00:20Z""#),
        // The only one left goes to another minute, and the row with it.
        versioned(1, 2, "02:30", r#""ts":"2026-01-05T10:01:15Z","price":8"#),
        // Corrected twice between two ticks, and back to what it was: nothing changed.
        versioned(1, 3, "02:40.1", r#""ts":"2026-01-05T10:01:30Z","price":9"#),
    ];
    let folded = replay(&config(""), &lines, &["--generations"]);
    let wanted = [
        "10:00:00 1 seal 2",
        "10:00:00 2 retraction 1",
        "10:00:00 3 correction -",
        "10:01:00 1 correction 1",
        "10:01:00 2 correction 1",
        "10:02:00 1 seal 1",
    ];
    assert_eq!(told(&folded), wanted);
    let newest = replay(&config(""), &lines, &[]);
    assert_eq!(told(&newest), ["10:01:00 2 correction 1", "10:02:00 1 seal 1"], "what is removed is left out");
}

#[test]
fn the_net_change_between_two_ticks_is_one_cause() {
    let correction =
        r#"{"id":2,"venue":"X","v":1,"recv":"2026-01-05T10:02:00.4Z","ts":"2026-01-05T10:00:30Z","price":5}"#;
    let lines = [
        trade(1, "00:10", "00:10"),
        trade(3, "02:00", "02:00"),
        // New and corrected before the next tick: it is late, and was never another.
        trade(2, "00:20", "02:00.300"),
        correction.to_string(),
    ];
    // The first of them must fall behind a tick, so that the watermark has passed the window.
    let folded = replay(&config(""), &lines, &["--generations", "--tick", "200ms"]);
    let rows: Vec<String> = told(&folded).into_iter().filter(|row| row.starts_with("10:00")).collect();
    assert_eq!(rows, ["10:00:00 1 seal 1", "10:00:00 2 late 2", "10:00:00 3 correction 2"]);
    let folded = replay(&config(""), &lines, &["--generations", "--tick", "250ms"]);
    let rows: Vec<String> = told(&folded).into_iter().filter(|row| row.starts_with("10:00")).collect();
    assert_eq!(rows, ["10:00:00 1 seal 1", "10:00:00 2 late 2"]);
}

#[test]
fn lateness_is_shown_by_origin() {
    let folded = replay(&config(""), &jitter(), &[]);
    let lateness = folded.summary["lateness_ns"].as_array().expect("a list").clone();
    assert_eq!(lateness.len(), 1);
    assert_eq!((&lateness[0]["origin"], &lateness[0]["events"]), (&Value::from("X"), &Value::from(14)));
    assert_eq!(lateness[0]["max"], 4_000_000_000u64);
    let median = lateness[0]["p50"].as_u64().expect("a number");
    assert!((9_900_000..=10_100_000).contains(&median), "{median}");
}

#[test]
fn an_arrival_is_needed_and_may_not_be_null() {
    let place = Place::with(&config("").replace("arrival = \"recv\"\n", ""));
    place.write("events.json", "");
    let args = ["fold", "-c", "c.toml", "--input", "trades=events.json", "--out", "o.ndjson", "--as-arrived"];
    let ran = place.run(&args);
    assert!(ran.code == 2 && ran.err.contains("names no `arrival`"), "{ran:?}");
    let place = Place::with(&config("").replace("recv = \"timestamp_ns\"", "recv = \"timestamp_ns?\""));
    place.write("events.json", "");
    let ran = place.run(&args);
    assert!(ran.code == 2 && ran.err.contains("lets its arrival `recv` be null"), "{ran:?}");
    let ran =
        place.run(&["fold", "-c", "c.toml", "--input", "trades=events.json", "--out", "o.ndjson", "--generations"]);
    assert!(ran.code == 2 && ran.err.contains("--as-arrived"), "{ran:?}");
    let ran = place.run(&[args.as_slice(), &["--tick", "0s"]].concat());
    assert!(ran.code == 2 && ran.err.contains("above zero"), "{ran:?}");
}

#[test]
fn years_of_silence_are_passed_at_once() {
    // An open bar without an anchor waits for the end of input only, and a minute for its watermark: of the billions of
    // ticks between the two trades only those are made that could bring something.
    let far = trade(2, "00:20", "00:20").replace("2026-", "2226-");
    let lines = [trade(1, "00:10", "00:10"), far];
    let bars = "\n[pipeline.runs]\nsql = \"SELECT count(*) AS trades, last(price) AS close FROM trades GROUP BY tick_bar(5)\"\n";
    for moved in ["lag = \"1s\"\nidle_after = \"30s\"", "lag = \"1s\"\nwatermark = \"wall_clock\""] {
        let folded = replay(&(config(moved) + bars), &lines, &["--generations", "--tick", "1ms"]);
        let rows: Vec<(&Value, &Value)> = folded.rows.iter().map(|row| (&row["cause"], &row["trades"])).collect();
        assert!(rows.len() == 3 && rows.iter().all(|(cause, _)| *cause == "seal"), "{rows:?}");
    }
}

#[test]
fn what_arrives_at_the_last_moment_that_there_is_comes_before_the_last_tick() {
    let at = |id: u64, seen: i64| format!(r#"{{"id":{id},"venue":"X","ts":{id},"recv":{seen},"price":{id}}}"#);
    let lines = [at(1, 0), at(2, i64::MAX - 1), at(3, i64::MAX), at(4, i64::MAX), at(5, i64::MIN)];
    for tick in ["1ns", "1s", "106751d"] {
        let folded = replay(&config(""), &lines, &["--tick", tick]);
        assert_eq!((&folded.rows[0]["trades"], &folded.summary["facts"]), (&5.into(), &5.into()), "{tick}");
    }
}

#[test]
fn what_is_held_as_it_arrived_stays_held_and_is_counted() {
    let lines = [trade(1, "00:10", "00:10"), trade(2, "01:10", "01:10"), trade(3, "02:10", "02:10")];
    let lines = [&lines[..], &[trade(4, "00:20", "02:30")]].concat();
    let amended = replay(&config(""), &lines, &["--generations"]);
    let held = replay(&config("late = \"hold\""), &lines, &["--generations"]);
    assert!(told(&amended).contains(&"10:00:00 2 late 2".to_string()), "{:?}", told(&amended));
    assert_eq!(told(&held), ["10:00:00 1 seal 1", "10:01:00 1 seal 1", "10:02:00 1 seal 1"]);
    assert_eq!((&held.summary["held"], &held.summary["facts"]), (&1.into(), &4.into()));
}

#[test]
fn what_comes_after_a_silence_is_late_by_the_tick_right_before_it() {
    let lines = [trade(1, "00:20", "00:20"), trade(2, "03:30", "10:00")];
    for source in ["watermark = \"wall_clock\"\nlag = \"0s\"", "idle_after = \"5s\"\nlag = \"0s\""] {
        let folded = replay(&config(source), &lines, &["--generations"]);
        assert_eq!(told(&folded), ["10:00:00 1 seal 1", "10:03:00 1 late 1"], "{source}");
        // Something that keeps a window open meanwhile changes nothing of that.
        let more = [&lines[..], &[trade(3, "30:00", "05:00")]].concat();
        let folded = replay(&config(source), &more, &["--generations"]);
        assert_eq!(told(&folded)[..2], ["10:00:00 1 seal 1", "10:03:00 1 late 1"], "{source}");
        let held = replay(&config(&format!("{source}\nlate = \"hold\"")), &lines, &["--generations"]);
        assert_eq!(told(&held), ["10:00:00 1 seal 1"], "{source}");
    }
}
