//! Hops and sessions: which facts they hold, and what late facts, corrections and retractions make of them.

use crate::program::{Folded, Place};
use serde_json::Value;

fn config(window: &str) -> String {
    format!(
        r#"
[source.clicks]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
version = "v"
op = "op"
arrival = "recv"
[source.clicks.fields]
id = "u64"
v = "u64?"
op = "string?"
ts = "timestamp_s"
recv = "timestamp_s"
who = "string"

[pipeline.visits]
sql = "SELECT who, count(*) AS n, first(id) AS one, last(id) AS other FROM clicks GROUP BY who, {window}"
"#
    )
}

/// A click of user a that is seen at once.
fn click(id: u64, time: i64) -> String {
    seen(id, time, time)
}

fn seen(id: u64, time: i64, recv: i64) -> String {
    format!(r#"{{"id":{id},"ts":{time},"recv":{recv},"who":"a"}}"#)
}

fn versioned(id: u64, version: u64, recv: i64, rest: &str) -> String {
    format!(r#"{{"id":{id},"v":{version},"recv":{recv},"who":"a",{rest}}}"#)
}

fn fold(window: &str, lines: &[String], more: &[&str]) -> Folded {
    let place = Place::with(&config(window));
    place.write("clicks.json", lines.join("\n") + "\n");
    place.fold(&["clicks=clicks.json"], more)
}

fn seconds(value: &Value) -> i64 {
    let text = value.as_str().expect("a time");
    slackwater_core::time::parse_rfc3339(text.as_bytes()).expect("a time") / 1_000_000_000
}

/// `[start, end) n first..last`, without generations.
fn plain(folded: &Folded) -> Vec<String> {
    let row = |row: &Value| {
        format!(
            "[{}, {}) {} {}..{}",
            seconds(&row["window_start"]),
            seconds(&row["window_end"]),
            row["n"],
            row["one"],
            row["other"]
        )
    };
    folded.rows.iter().map(row).collect()
}

/// `start generation cause n`, with `-` for a row that is removed.
fn told(window: &str, lines: &[String]) -> Vec<String> {
    let row = |row: &Value| {
        let n = if row["removed"] == true { "-".to_string() } else { row["n"].to_string() };
        let cause = row["cause"].as_str().expect("a cause");
        format!("{} {} {cause} {n}", seconds(&row["window_start"]), row["generation"])
    };
    let folded = fold(window, lines, &["--as-arrived", "--generations"]);
    let newest: Vec<String> =
        fold(window, lines, &["--as-arrived"]).rows.iter().map(|row| row["digest"].to_string()).collect();
    let at_once: Vec<String> = fold(window, lines, &[]).rows.iter().map(|row| row["digest"].to_string()).collect();
    assert_eq!(newest, at_once, "the newest rows are those of a plain fold");
    folded.rows.iter().map(row).collect()
}

const HOP: &str = "hop(ts, INTERVAL '10 seconds', INTERVAL '25 seconds')";
const SESSION: &str = "session(ts, INTERVAL '10 seconds')";

#[test]
fn a_hop_holds_a_fact_in_every_window_that_covers_it() {
    let rows = plain(&fold(HOP, &[click(1, 4), click(2, 20), click(3, 25)], &[]));
    assert_eq!(
        rows,
        ["[-20, 5) 1 1..1", "[-10, 15) 1 1..1", "[0, 25) 2 1..2", "[10, 35) 2 2..3", "[20, 45) 2 2..3"],
        "a fact at an end belongs to the next, and windows that start before the first fact count"
    );
    let gaps = plain(&fold(
        "hop(ts, INTERVAL '10 seconds', INTERVAL '4 seconds', INTERVAL '1 second')",
        &[click(1, 0), click(2, 1), click(3, 4), click(4, 5)],
        &[],
    ));
    assert_eq!(gaps, ["[1, 5) 2 2..3"], "what no window covers is in none");
}

#[test]
fn a_late_fact_mends_every_sealed_hop_that_covers_it() {
    let lines = [click(1, 4), click(2, 12), click(3, 60), seen(4, 13, 70), click(5, 100)];
    let wanted = [
        "-20 1 seal 1",
        "-10 1 seal 2",
        "-10 2 late 3",
        "0 1 seal 2",
        "0 2 late 3",
        "10 1 seal 1",
        "10 2 late 2",
        "40 1 seal 1",
        "50 1 seal 1",
        "60 1 seal 1",
        "80 1 seal 1",
        "90 1 seal 1",
        "100 1 seal 1",
    ];
    assert_eq!(told(HOP, &lines), wanted);
}

#[test]
fn a_pause_of_the_gap_stays_inside_a_session() {
    let rows = plain(&fold(SESSION, &[click(1, 0), click(2, 10), click(3, 21), click(4, 31)], &[]));
    assert_eq!(rows, ["[0, 20) 2 1..2", "[21, 41) 2 3..4"]);
    let backwards = plain(&fold(SESSION, &[click(4, 31), click(3, 21), click(2, 10), click(1, 0)], &[]));
    assert_eq!(backwards, rows);
}

#[test]
fn a_late_fact_that_bridges_two_sessions_removes_the_later_row() {
    let lines = [click(1, 0), click(2, 15), click(3, 60), seen(4, 8, 61), click(5, 200)];
    let wanted = ["0 1 seal 1", "0 2 late 3", "15 1 seal 1", "15 2 late -", "60 1 seal 1", "200 1 seal 1"];
    assert_eq!(told(SESSION, &lines), wanted);
}

#[test]
fn a_retraction_parts_a_session() {
    let gone = versioned(2, 1, 90, r#""op":"retract","ts":0"#);
    let lines = [click(1, 0), click(2, 8), click(3, 15), click(4, 80), gone, click(5, 200)];
    let wanted = ["0 1 seal 3", "0 2 retraction 1", "15 1 retraction 1", "80 1 seal 1", "200 1 seal 1"];
    assert_eq!(told(SESSION, &lines), wanted);
}

#[test]
fn a_late_fact_that_ties_a_sealed_session_to_an_open_one_withdraws_it() {
    // At 30 the session of 0 is sealed, and that of 18 is open until 28 is passed. The late fact of 9 joins them.
    let lines = [click(1, 0), click(2, 18), click(3, 24), seen(4, 9, 25), click(5, 33), click(6, 200)];
    let wanted = ["0 1 seal 1", "0 2 late -", "0 3 seal 5", "200 1 seal 1"];
    assert_eq!(told(SESSION, &lines), wanted);
}

#[test]
fn a_withdrawn_session_comes_back_when_the_fact_that_tied_it_goes() {
    // At 30 the late fact of 9 ties the sealed session of 0 to the open one of 18. At 40 it is gone again.
    let gone = versioned(4, 1, 31, r#""op":"retract","ts":0"#);
    let lines = [click(1, 0), click(2, 18), click(3, 24), seen(4, 9, 25), gone, click(5, 33), click(6, 200)];
    let wanted = ["0 1 seal 1", "0 2 late -", "0 3 retraction 1", "18 1 seal 3", "200 1 seal 1"];
    assert_eq!(told(SESSION, &lines), wanted);
}

#[test]
fn a_correction_that_moves_a_session_s_first_fact_moves_its_row() {
    let moved = versioned(1, 1, 90, r#""ts":3"#);
    let lines = [click(1, 0), click(2, 8), click(3, 80), moved, click(4, 200)];
    let wanted = ["0 1 seal 2", "0 2 correction -", "3 1 correction 2", "80 1 seal 1", "200 1 seal 1"];
    assert_eq!(told(SESSION, &lines), wanted);
}

#[test]
fn a_session_seals_only_behind_its_end() {
    // The watermark is at 10, which is the end of the first session: a fact of 10 would still be in it.
    let at_the_end = [click(1, 0), seen(2, 10, 12), seen(3, 5, 14), click(9, 50)];
    assert_eq!(told(SESSION, &at_the_end), ["0 1 seal 3", "50 1 seal 1"]);
    let behind = [click(1, 0), seen(2, 11, 12), seen(3, 1, 14), click(9, 50)];
    assert_eq!(told(SESSION, &behind), ["0 1 seal 1", "0 2 late -", "0 3 seal 3", "50 1 seal 1"]);
}
