//! Bars: where they are cut, and what late facts, corrections and retractions make of them.

use crate::program::{Folded, Place};
use serde_json::Value;

fn config(window: &str, columns: &str) -> String {
    format!(
        r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
version = "v"
op = "op"
arrival = "recv"
require = ["price > 0", "size >= 0"]
[source.trades.fields]
id = "u64"
v = "u64?"
op = "string?"
ts = "timestamp_s"
recv = "timestamp_s"
price = "decimal(18,2)"
size = "decimal(18,2)"

[pipeline.bars]
sql = "SELECT {columns} FROM trades GROUP BY {window}"
"#
    )
}

fn trade(id: u64, time: i64, price: &str, size: &str) -> String {
    seen(id, time, price, size, time)
}

fn seen(id: u64, time: i64, price: &str, size: &str, recv: i64) -> String {
    format!(r#"{{"id":{id},"ts":{time},"recv":{recv},"price":{price},"size":{size}}}"#)
}

fn fold(window: &str, columns: &str, lines: &[String], more: &[&str]) -> Folded {
    let place = Place::with(&config(window, columns));
    place.write("trades.json", lines.join("\n") + "\n");
    place.fold(&["trades=trades.json"], more)
}

fn bare(value: &Value) -> String {
    value.as_str().map_or(value.to_string(), String::from)
}

const COLUMNS: &str = "count(*) AS n, sum(size) AS volume, sum(price * size) AS value, wavg(price, size) AS vwap, first(id) AS one, last(id) AS other";

/// `bar first..last n volume value vwap`, with `?` where the bar is not complete.
fn bars(window: &str, lines: &[String]) -> Vec<String> {
    let row = |row: &Value| {
        let open = if row["complete"] == true { "" } else { "?" };
        let cells = ["n", "volume", "value", "vwap"].map(|cell| bare(&row[cell])).join(" ");
        format!("{}{open} {}..{} {cells}", row["bar"], row["one"], row["other"])
    };
    let folded = fold(window, COLUMNS, lines, &[]);
    let mut backwards = lines.to_vec();
    backwards.reverse();
    assert_eq!(fold(window, COLUMNS, &backwards, &[]).bytes, folded.bytes, "no order of arrival says anything");
    folded.rows.iter().map(row).collect()
}

/// `bar generation cause n`, with `-` for a row that is removed and `?` where the bar is not complete.
fn told(window: &str, lines: &[String]) -> Vec<String> {
    let row = |row: &Value| {
        let open = if row["complete"] == true { "" } else { "?" };
        let n = if row["removed"] == true { "-".to_string() } else { bare(&row["n"]) };
        format!("{}{open} {} {} {n}", row["bar"], row["generation"], bare(&row["cause"]))
    };
    let folded = fold(window, COLUMNS, lines, &["--as-arrived", "--generations"]);
    let digests = |folded: &Folded| folded.rows.iter().map(|row| bare(&row["digest"])).collect::<Vec<_>>();
    let newest = fold(window, COLUMNS, lines, &["--as-arrived"]);
    assert_eq!(digests(&newest), digests(&fold(window, COLUMNS, lines, &[])), "the newest are those of a plain fold");
    let mut rows: Vec<(u64, u64, String)> = folded
        .rows
        .iter()
        .map(|of| (of["bar"].as_u64().expect("a number"), of["generation"].as_u64().expect("one"), row(of)))
        .collect();
    rows.sort();
    rows.into_iter().map(|(.., text)| text).collect()
}

#[test]
fn a_tick_bar_holds_so_many_facts_in_canonical_order() {
    let lines = [
        trade(1, 5, "1", "1"),
        trade(3, 5, "1", "1"),
        trade(2, 5, "1", "1"),
        trade(9, 4, "1", "1"),
        trade(4, 6, "1", "1"),
    ];
    assert_eq!(
        bars("tick_bar(2)", &lines),
        ["0 9..1 2 2.00 2.0000 1.0", "1 2..3 2 2.00 2.0000 1.0", "2? 4..4 1 1.00 1.0000 1.0"]
    );
}

#[test]
fn the_fact_that_reaches_the_threshold_is_taken_whole_carried_or_split() {
    // 7, then 26 that would fill 2.6 bars of 10, then 2.
    let lines = [trade(1, 1, "2", "7"), trade(2, 2, "3", "26"), trade(3, 3, "5", "2")];
    assert_eq!(
        bars("volume_bar(size, 10, 'whole')", &lines),
        ["0 1..2 2 33.00 92.0000 2.787878787878788", "1? 3..3 1 2.00 10.0000 5.0"]
    );
    assert_eq!(
        bars("volume_bar(size, 10, 'carry')", &lines),
        ["0 1..2 2 33.00 92.0000 2.787878787878788", "3? 3..3 1 2.00 10.0000 5.0"]
    );
    let split = [
        "0 1..2 2 10.00 23.0000 2.3",
        "1 2..2 1 10.00 30.0000 3.0",
        "2 2..2 1 10.00 30.0000 3.0",
        "3? 2..3 2 5.00 19.0000 3.8",
    ];
    assert_eq!(bars("volume_bar(size, 10)", &lines), split, "split is the default");
    assert_eq!(bars("volume_bar(size, 10, 'split')", &lines), split);
}

#[test]
fn a_rest_of_nothing_opens_no_bar() {
    let lines = [trade(1, 1, "2", "20"), trade(2, 2, "2", "10")];
    let wanted = ["0 1..1 1 10.00 20.0000 2.0", "1 1..1 1 10.00 20.0000 2.0", "2 2..2 1 10.00 20.0000 2.0"];
    assert_eq!(bars("volume_bar(size, 10)", &lines), wanted);
    let nothing = [trade(1, 1, "2", "0"), trade(2, 2, "2", "10"), trade(3, 3, "2", "0")];
    assert_eq!(bars("volume_bar(size, 10)", &nothing), ["0 1..2 2 10.00 20.0000 2.0", "1? 3..3 1 0.00 0.0000 null"]);
}

#[test]
fn a_value_bar_s_volume_is_a_fraction_and_its_value_exact() {
    let lines = [trade(1, 1, "3", "5"), trade(2, 2, "7", "1")];
    // 15 and 7: two bars of 10, the second from 5 of the first trade and 5 of the second.
    let wanted = [
        "0 1..1 1 3.333333333333 10.0000 3.0",
        "1 1..2 2 2.380952380952 10.0000 4.2",
        "2? 2..2 1 0.285714285714 2.0000 7.0",
    ];
    assert_eq!(bars("value_bar(price * size, 10)", &lines), wanted);
    let shown = fold(
        "value_bar(price * size, 10)",
        "sum_product(price, size) AS a, sum(size) FILTER (WHERE price > 3) AS b, max(size) AS c, avg(size) AS d, sum(price) AS e",
        &lines,
        &[],
    );
    let cells: Vec<String> =
        shown.rows.iter().map(|row| ["a", "b", "c", "d", "e"].map(|cell| bare(&row[cell])).join(" ")).collect();
    // Only sums see the share; all else sees the whole fact.
    assert_eq!(
        cells,
        ["10.0000 null 5.00 5.0 3.00", "10.0000 0.714285714286 5.00 3.0 10.00", "2.0000 0.285714285714 1.00 1.0 7.00"]
    );
}

#[test]
fn a_weighted_mean_of_shares_takes_whole_weights() {
    let columns = "wavg(CASE WHEN price > 1 THEN size END, price) AS mean";
    let lines = [trade(1, 1, "2", "4"), trade(2, 2, "1", "1")];
    let folded = fold("volume_bar(size, 3)", columns, &lines, &[]);
    let means: Vec<String> = folded.rows.iter().map(|row| bare(&row["mean"])).collect();
    // Of the first trade 3 are in one bar and 1 in the next; the second trade has no size above a price of 1.
    assert_eq!(means, ["3.0", "1.0"]);
}

#[test]
fn doubles_are_weighted_with_the_shares_of_a_cut_volume() {
    let double = "CAST(price AS DOUBLE PRECISION)";
    let columns = format!(
        "wavg({double}, size) AS a, wavg(price, size) AS b, sum_product(-size * 2, {double}) AS c, wavg(size, {double}) AS d"
    );
    let lines = [trade(1, 1, "2.5", "4"), trade(2, 2, "0.25", "3.5"), trade(3, 3, "7", "0")];
    let folded = fold("volume_bar(size, 3)", &columns, &lines, &[]);
    let row = |row: &Value| ["a", "b", "c", "d"].map(|cell| bare(&row[cell])).join(" ");
    // 3 of the first trade; 1 of it and 2 of the second; 1.5 of that.
    let wanted = ["2.5 2.5 -15.0 3.0", "1.0 1.0 -6.0 1.0909090909090908", "0.25 0.25 -0.75 0.05172413793103448"];
    assert_eq!(folded.rows.iter().map(row).collect::<Vec<_>>(), wanted);
}

#[test]
fn a_product_of_doubles_and_shares_that_are_fractions_is_refused() {
    let double = "CAST(price AS DOUBLE PRECISION)";
    let refused = [
        ("value_bar(price * size, 10)", format!("wavg({double}, size) AS a")),
        ("volume_bar(size, 10)", "sum_product(CAST(size AS DOUBLE PRECISION), size) AS a".to_string()),
        ("volume_bar(size, 10)", format!("sum_product(abs(size), {double}) AS a")),
    ];
    for (window, columns) in refused {
        let ran = Place::with(&config(window, &columns)).run(&["config", "check", "-c", "c.toml"]);
        assert!(ran.code != 0 && ran.err.contains("no share for a fact that is cut"), "{columns}: {ran:?}");
        assert!(ran.err.contains("or fold the bars by 'whole' or 'carry'"), "{columns}: {ran:?}");
    }
}

#[test]
fn bars_begin_anew_at_every_anchor() {
    // Midnight in New York is 5 o'clock in winter.
    let day = 86_400;
    let times = [5 * 3600 - 2, 5 * 3600 - 1, 5 * 3600, day, day + 5 * 3600];
    let lines: Vec<String> = times.iter().zip(1..).map(|(time, id)| trade(id, *time, "1", "1")).collect();
    let folded = fold("tick_bar(3, 'day America/New_York')", COLUMNS, &lines, &[]);
    let row = |row: &Value| format!("{} {} {} {}", bare(&row["anchor"]), row["bar"], row["complete"], row["n"]);
    let rows: Vec<String> = folded.rows.iter().map(row).collect();
    let wanted = ["1969-12-31T05:00:00Z 0 false 2", "1970-01-01T05:00:00Z 0 false 2", "1970-01-02T05:00:00Z 0 false 1"];
    assert_eq!(rows, wanted);
    let folded = fold("tick_bar(3, '00:30 America/New_York')", COLUMNS, &lines, &[]);
    assert_eq!(bare(&folded.rows[0]["anchor"]), "1969-12-31T05:30:00Z");
    assert_eq!(folded.rows.len(), 2);
    let none = fold("tick_bar(3, 'none')", COLUMNS, &lines, &[]);
    assert_eq!((none.rows.len(), &none.rows[0]["anchor"]), (2, &Value::Null));
}

#[test]
fn a_complete_bar_seals_when_the_fact_that_closed_it_is_passed() {
    // At 3 s the watermark is 2 s: the bar closed at 2 s could still be cut otherwise by a fact of 2 s.
    let early = [trade(1, 1, "1", "1"), trade(2, 2, "1", "1"), seen(0, 2, "1", "1", 3), trade(3, 9, "1", "1")];
    assert_eq!(told("tick_bar(2)", &early), ["0 1 seal 2", "1 1 seal 2"]);
    let late = [
        trade(1, 1, "1", "1"),
        trade(2, 2, "1", "1"),
        trade(3, 4, "1", "1"),
        seen(0, 2, "1", "1", 5),
        trade(4, 9, "1", "1"),
    ];
    assert_eq!(told("tick_bar(2)", &late), ["0 1 seal 2", "0 2 late 2", "1 1 seal 2", "2? 1 seal 1"]);
}

#[test]
fn a_late_fact_cuts_again_up_to_the_next_anchor_only() {
    let day = 86_400;
    let mut lines: Vec<String> = (1..=6).map(|id| trade(id, 10 * id as i64, "1", "1")).collect();
    lines.extend((7..=10).map(|id| trade(id, day + id as i64, "1", "1")));
    lines.push(seen(20, 15, "1", "1", day + 100));
    lines.push(trade(30, 2 * day, "1", "1"));
    let folded = fold("tick_bar(2, 'day UTC')", COLUMNS, &lines, &["--as-arrived", "--generations"]);
    let row = |row: &Value| {
        format!("{} {} {} {}", &bare(&row["anchor"])[8..10], row["bar"], row["generation"], bare(&row["cause"]))
    };
    let mut rows: Vec<String> = folded.rows.iter().map(row).collect();
    rows.sort();
    let wanted = [
        "01 0 1 seal",
        "01 0 2 late",
        "01 1 1 seal",
        "01 1 2 late",
        "01 2 1 seal",
        "01 2 2 late",
        "01 3 1 late",
        "02 0 1 seal",
        "02 1 1 seal",
        "03 0 1 seal",
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn a_retraction_reopens_a_bar_and_it_is_withdrawn() {
    let gone = r#"{"id":2,"v":1,"op":"retract","recv":6}"#.to_string();
    let lines = [
        trade(1, 1, "1", "1"),
        trade(2, 2, "1", "1"),
        trade(3, 5, "1", "1"),
        gone,
        trade(4, 9, "1", "1"),
        trade(5, 20, "1", "1"),
    ];
    assert_eq!(told("tick_bar(2)", &lines), ["0 1 seal 2", "0 2 retraction -", "0 3 seal 2", "1 1 seal 2"]);
}

#[test]
fn a_broken_bar_seals_when_its_breaking_fact_is_certain() {
    // The price falls at 3, which ends the bar; until the watermark has passed 3, an earlier fact could still do that.
    let lines = [
        trade(1, 1, "1", "1"),
        trade(2, 2, "2", "1"),
        trade(3, 3, "1", "1"),
        seen(4, 3, "5", "1", 4),
        trade(5, 9, "6", "1"),
    ];
    assert_eq!(told("break_when(price < prev(price))", &lines), ["0 1 seal 2", "1? 1 seal 3"]);
    let shown = bars("break_when(sum(size) >= 2 OR price > 2 * last(price))", &lines);
    assert_eq!(shown, ["0 1..2 2 2.00 3.0000 1.5", "1 3..3 1 1.00 1.0000 1.0", "2? 4..5 2 2.00 11.0000 5.5"]);
}

#[test]
fn a_quotient_that_a_condition_casts_is_rounded_once() {
    // No double is a tenth, so what went through one would be another number.
    let lines: Vec<String> = (1..=3).map(|id| trade(id, id as i64, "0.1", "1")).collect();
    for quotient in ["avg(price)", "wavg(price, size)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY price)"] {
        let condition = format!("break_when(prev(price) <> CAST({quotient} AS DECIMAL(38, 30)))");
        assert_eq!(told(&condition, &lines), ["0? 1 seal 3"], "{quotient}");
    }
}

#[test]
fn a_sum_without_a_share_is_refused() {
    let place = Place::with(&config("volume_bar(size, 10)", "sum(size + 1) AS x"));
    let ran = place.run(&["config", "check", "-c", "c.toml"]);
    assert!(ran.code != 0 && ran.err.contains("no share for a fact that is cut"), "{ran:?}");
    let place = Place::with(&config("volume_bar(size, 10, 'whole')", "sum(size + 1) AS x"));
    assert_eq!(place.run(&["config", "check", "-c", "c.toml"]).code, 0);
}

#[test]
fn a_fact_that_would_fill_too_many_bars_is_refused() {
    let lines = [trade(1, 1, "1", "10"), trade(2, 2, "1", "100000"), trade(3, 3, "1", "100000.01")];
    let folded = fold("volume_bar(size, 10)", "count(*) AS n", &lines, &[]);
    assert_eq!(folded.rows.len(), 10_001);
    assert_eq!(folded.refused[0]["guard"], "at most 10000 bars of pipeline bars from one event");
    let carried = fold("volume_bar(size, 10, 'carry')", "count(*) AS n", &lines, &[]);
    assert_eq!((carried.rows.len(), carried.refused.len()), (3, 0), "only a cut makes so many");
    let lines = [trade(1, 1, "1", "10000000"), trade(2, 2, "1", "10000000.01"), trade(3, 3, "1", "1")];
    assert_eq!(told("volume_bar(size, 0.01, 'carry')", &lines), ["0 1 seal 1", "1000000000 1 seal 1"]);
    let carried = fold("volume_bar(size, 0.01, 'carry')", "count(*) AS n", &lines, &[]);
    assert_eq!(carried.refused[0]["guard"], "at most 1000000000 bars of pipeline bars from one event");
}
