//! The canonical order among equal times: sequence where it is asked for, then id, then origin; never arrival.

use super::{TRADES, orders};
use crate::program::Place;

/// Open and close of the only bar, the same for every order in which the events come.
fn edges(config: &str, events: &[&str]) -> (String, String) {
    let mut seen: Vec<(String, String)> = orders(events)
        .iter()
        .map(|order| {
            let folded = Place::with(config).fold_lines(order);
            assert_eq!(folded.rows.len(), 1, "{}", folded.bytes);
            let price = |name: &str| folded.rows[0][name].as_str().expect("a price").to_string();
            (price("open"), price("close"))
        })
        .collect();
    seen.dedup();
    let [edges] = &seen[..] else { panic!("the order of arrival shows: {seen:?}") };
    edges.clone()
}

fn prices(open: &str, close: &str) -> (String, String) {
    (format!("{open}.0000"), format!("{close}.0000"))
}

#[test]
fn numeric_ids_are_ordered_as_numbers() {
    let events = [
        r#"{"id":10,"venue":"X","ts":5,"price":10}"#,
        r#"{"id":9,"venue":"X","ts":5,"price":9}"#,
        r#"{"id":100,"venue":"X","ts":5,"price":100}"#,
    ];
    assert_eq!(edges(TRADES, &events), prices("9", "100"));
    let signed = TRADES.replace("id = \"u64\"", "id = \"i64\"");
    let events = [
        r#"{"id":-10,"venue":"X","ts":5,"price":10}"#,
        r#"{"id":-9,"venue":"X","ts":5,"price":9}"#,
        r#"{"id":1,"venue":"X","ts":5,"price":1}"#,
    ];
    assert_eq!(edges(&signed, &events), prices("10", "1"));
    let decimal = TRADES.replace("id = \"u64\"", "id = \"decimal(5,2)\"");
    let events = [
        r#"{"id":"10","venue":"X","ts":5,"price":10}"#,
        r#"{"id":"9.5","venue":"X","ts":5,"price":9}"#,
        r#"{"id":"-1","venue":"X","ts":5,"price":1}"#,
    ];
    assert_eq!(edges(&decimal, &events), prices("1", "10"));
}

#[test]
fn text_ids_are_ordered_as_bytes() {
    let text = TRADES.replace("id = \"u64\"", "id = \"string\"");
    let events = [
        r#"{"id":"10","venue":"X","ts":5,"price":10}"#,
        r#"{"id":"9","venue":"X","ts":5,"price":9}"#,
        r#"{"id":"é","venue":"X","ts":5,"price":3}"#,
        r#"{"id":"z","venue":"X","ts":5,"price":4}"#,
    ];
    assert_eq!(edges(&text, &events), prices("10", "3"));
    let prefixes = [
        r#"{"id":"ab","venue":"X","ts":5,"price":2}"#,
        r#"{"id":"a","venue":"Z","ts":5,"price":1}"#,
        r#"{"id":"b","venue":"A","ts":5,"price":3}"#,
    ];
    assert_eq!(edges(&text, &prefixes), prices("1", "3"), "an id comes before every longer one that begins with it");
}

#[test]
fn equal_ids_are_ordered_by_their_origin() {
    let events = [
        r#"{"id":1,"venue":"Y","ts":5,"price":2}"#,
        r#"{"id":1,"venue":"X","ts":5,"price":1}"#,
        r#"{"id":1,"venue":"Z","ts":5,"price":3}"#,
    ];
    assert_eq!(edges(TRADES, &events), prices("1", "3"));
}

#[test]
fn event_time_comes_before_the_id() {
    let events = [r#"{"id":1,"venue":"X","ts":6,"price":6}"#, r#"{"id":2,"venue":"X","ts":5,"price":5}"#];
    assert_eq!(edges(TRADES, &events), prices("5", "6"));
}

#[test]
fn a_sequence_comes_before_the_id_only_where_it_is_the_order() {
    let sequenced = TRADES.replace("size = \"decimal(18,4)?\"", "size = \"decimal(18,4)?\"\nseq = \"u64?\"");
    let sequenced = sequenced.replace("op = \"op\"\n", "op = \"op\"\nsequence = \"seq\"\n");
    let events = [
        r#"{"id":1,"venue":"X","ts":5,"seq":30,"price":30}"#,
        r#"{"id":2,"venue":"X","ts":5,"seq":4,"price":4}"#,
        r#"{"id":3,"venue":"X","ts":5,"price":3}"#,
    ];
    assert_eq!(edges(&sequenced, &events), prices("30", "3"), "by id");
    let ordered = sequenced.replace("sequence = \"seq\"\n", "sequence = \"seq\"\norder = \"sequence\"\n");
    assert_eq!(edges(&ordered, &events), prices("3", "30"), "by sequence; one that has none comes first");
    let columns = ordered.replace("count(*) AS trades", "max(seq) AS trades");
    assert_eq!(edges(&columns, &events), prices("3", "30"), "then SQL may use it");
}

#[test]
fn a_sequence_is_content_only_where_it_is_the_order() {
    let sequenced = TRADES.replace("size = \"decimal(18,4)?\"", "size = \"decimal(18,4)?\"\nseq = \"u64?\"");
    let sequenced = sequenced.replace("op = \"op\"\n", "op = \"op\"\nsequence = \"seq\"\n");
    let twice =
        [r#"{"id":1,"venue":"X","ts":5,"seq":1,"price":1}"#, r#"{"id":1,"venue":"X","ts":5,"seq":2,"price":1}"#];
    let folded = Place::with(&sequenced).fold_lines(&twice);
    assert_eq!((&folded.summary["duplicates"], &folded.summary["conflicts"]), (&1.into(), &0.into()));
    let ordered = sequenced.replace("sequence = \"seq\"\n", "sequence = \"seq\"\norder = \"sequence\"\n");
    let folded = Place::with(&ordered).fold_lines(&twice);
    assert_eq!((&folded.summary["duplicates"], &folded.summary["conflicts"]), (&0.into(), &1.into()));
}
