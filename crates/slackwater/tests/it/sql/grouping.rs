//! GROUP BY, WHERE, HAVING, aliases, and rows that have no key.

use super::rows;

const FOUR: [&str; 4] = [
    r#""symbol":"b","venue":"X","price":1,"ok":true"#,
    r#""symbol":"a","venue":"X","price":2"#,
    r#""symbol":"b","venue":"Y","price":3,"ok":false"#,
    r#""venue":"X","price":4"#,
];

const DAY: &str = "tumble(ts, INTERVAL '1 day')";

/// Rows of a SELECT without their window.
fn check(sql: &str, expected: &[&str]) {
    let sql = sql.replace("DAY", DAY);
    let shown: Vec<String> = rows(&sql, &FOUR)
        .into_iter()
        .map(|row| {
            let window = r#""window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-02T00:00:00Z" "#;
            assert!(row.contains(window), "{row}");
            row.replace(window, "").replace(",|", " |")
        })
        .collect();
    assert_eq!(shown, expected, "{sql}");
}

#[test]
fn null_keys_form_a_group_that_comes_first() {
    check(
        "SELECT symbol, sum(price) AS x FROM trades GROUP BY symbol, DAY",
        &[r#""symbol":null | "x":"4.0000""#, r#""symbol":"a" | "x":"2.0000""#, r#""symbol":"b" | "x":"4.0000""#],
    );
}

#[test]
fn a_key_that_is_not_selected_is_in_the_output_all_the_same() {
    check(
        "SELECT count(*) AS x FROM trades GROUP BY DAY, venue",
        &[r#""venue":"X" | "x":3"#, r#""venue":"Y" | "x":1"#],
    );
}

#[test]
fn several_keys_sort_by_their_order_in_group_by() {
    check(
        "SELECT count(*) AS x FROM trades GROUP BY venue, symbol, DAY",
        &[
            r#""venue":"X","symbol":null | "x":1"#,
            r#""venue":"X","symbol":"a" | "x":1"#,
            r#""venue":"X","symbol":"b" | "x":1"#,
            r#""venue":"Y","symbol":"b" | "x":1"#,
        ],
    );
}

#[test]
fn a_key_is_an_expression_by_itself_or_by_its_alias() {
    let expected = [r#""high":false | "x":2"#, r#""high":true | "x":2"#];
    check("SELECT price > 2 AS high, count(*) AS x FROM trades GROUP BY price > 2, DAY", &expected);
    check("SELECT price > 2 AS high, count(*) AS x FROM trades GROUP BY high, DAY", &expected);
    check("SELECT ((price > 2)) AS high, count(*) AS x FROM trades GROUP BY high, DAY", &expected);
}

#[test]
fn a_key_column_can_be_renamed_and_reused_in_expressions() {
    check(
        "SELECT venue AS v, count(*) AS x, coalesce(venue, '?') AS y FROM trades GROUP BY venue, DAY",
        &[r#""v":"X" | "x":3,"y":"X""#, r#""v":"Y" | "x":1,"y":"Y""#],
    );
    check(
        "SELECT venue AS v, count(*) AS x FROM trades GROUP BY v, DAY",
        &[r#""v":"X" | "x":3"#, r#""v":"Y" | "x":1"#],
    );
}

#[test]
fn a_key_that_is_selected_twice_has_both_its_names() {
    for (items, keys) in [
        ("venue, venue AS v", ["venue", "v"]),
        ("venue AS v, venue", ["venue", "v"]),
        ("venue AS v, venue AS w", ["v", "w"]),
    ] {
        let [key, other] = keys;
        for group in ["venue", "v"] {
            let row = |venue: &str, count: u32| format!(r#""{key}":"{venue}" | "{other}":"{venue}","x":{count}"#);
            let (first, second) = (row("X", 3), row("Y", 1));
            check(&format!("SELECT {items}, count(*) AS x FROM trades GROUP BY {group}, DAY"), &[&first, &second]);
        }
    }
}

#[test]
fn a_field_comes_before_an_alias_of_its_name() {
    check(
        "SELECT venue, max(symbol) AS symbol FROM trades GROUP BY venue, DAY",
        &[r#""venue":"X" | "symbol":"b""#, r#""venue":"Y" | "symbol":"b""#],
    );
}

#[test]
fn where_takes_only_what_is_true() {
    check("SELECT count(*) AS x FROM trades WHERE symbol = 'b' GROUP BY DAY", &[r#"| "x":2"#]);
    check("SELECT count(*) AS x FROM trades WHERE NOT (symbol = 'b') GROUP BY DAY", &[r#"| "x":1"#]);
    check("SELECT count(*) AS x FROM trades WHERE ok IS NOT NULL AND price > 1 GROUP BY DAY", &[r#"| "x":1"#]);
    check("SELECT count(*) AS x FROM trades WHERE FALSE GROUP BY DAY", &[]);
}

#[test]
fn having_takes_only_rows_for_which_it_is_true() {
    check(
        "SELECT symbol, count(*) AS x FROM trades GROUP BY symbol, DAY HAVING count(*) > 1",
        &[r#""symbol":"b" | "x":2"#],
    );
    check(
        "SELECT symbol, count(*) AS x FROM trades GROUP BY symbol, DAY HAVING symbol <> 'a' AND sum(price) >= 4",
        &[r#""symbol":"b" | "x":2"#],
    );
    check("SELECT symbol FROM trades GROUP BY symbol, DAY HAVING max(price) IS NULL", &[]);
}

#[test]
fn a_source_can_have_an_alias_and_its_names_stand_before_fields() {
    let expected = [r#""venue":"X" | "x":"7.0000""#, r#""venue":"Y" | "x":"3.0000""#];
    check(
        "SELECT t.venue, sum(t.price) AS x FROM trades AS t GROUP BY t.venue, tumble(t.ts, INTERVAL '1 day')",
        &expected,
    );
    check("SELECT t.venue, sum(price) AS x FROM trades t GROUP BY venue, DAY", &expected);
    check("SELECT venue, sum(trades.price) AS x FROM trades GROUP BY trades.venue, DAY", &expected);
    check("SELECT \"venue\", sum(\"price\") AS \"x\" FROM \"trades\" GROUP BY \"venue\", DAY", &expected);
}

#[test]
fn rows_of_keys_only_are_rows() {
    check("SELECT venue FROM trades GROUP BY venue, DAY", &[r#""venue":"X" | "#, r#""venue":"Y" | "#]);
}

#[test]
fn a_float_key_makes_no_difference_between_its_zeros() {
    let sql = "SELECT f, count(*) AS x FROM trades GROUP BY f, tumble(ts, INTERVAL '1 day')";
    let shown = rows(sql, &[r#""f":-0.0"#, r#""f":0"#, r#""f":1e-400"#]);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].starts_with("\"f\":0.0,") && shown[0].ends_with("\"x\":3"), "{shown:?}");
}

#[test]
fn keywords_and_comments_are_written_as_anyone_likes() {
    check(
        "select  symbol , -- what was traded\n count(*) as x from trades\n/* the window */ group by symbol, DAY having COUNT(*)>1 ;",
        &[r#""symbol":"b" | "x":2"#],
    );
}
