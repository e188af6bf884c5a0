//! What a result means at its edges: window borders, nulls, versions, retractions, conflicts.

use super::{TRADES, orders, retraction, trade, versioned};
use crate::program::{Folded, Place, joined};

/// Shows rows as `start key open high low close volume trades`.
fn bars(folded: &Folded) -> Vec<String> {
    let bar = |row: &serde_json::Value| {
        let cells = ["window_start", "symbol", "open", "high", "low", "close", "volume", "trades"];
        cells.map(|cell| row[cell].as_str().map_or(row[cell].to_string(), String::from)).join(" ")
    };
    folded.rows.iter().map(bar).collect()
}

#[test]
fn a_trade_at_half_past_nine_is_in_the_bar_and_one_a_minute_later_is_not() {
    let folded = Place::with(TRADES).fold_lines(&[
        trade(1, "2026-01-05T09:30:00.000Z", "1"),
        trade(2, "2026-01-05T09:30:59.999Z", "2"),
        trade(3, "2026-01-05T09:31:00.000Z", "3"),
        trade(4, "2026-01-05T09:29:59.999Z", "4"),
    ]);
    assert_eq!(
        bars(&folded),
        [
            "2026-01-05T09:29:00Z A 4.0000 4.0000 4.0000 4.0000 1.0000 1",
            "2026-01-05T09:30:00Z A 1.0000 2.0000 1.0000 2.0000 2.0000 2",
            "2026-01-05T09:31:00Z A 3.0000 3.0000 3.0000 3.0000 1.0000 1",
        ]
    );
}

#[test]
fn an_event_that_comes_later_but_happened_earlier_does_not_become_last() {
    let folded =
        Place::with(TRADES).fold_lines(&[trade(1, "2026-01-05T10:00:05Z", "5"), trade(2, "2026-01-05T10:00:00Z", "7")]);
    assert_eq!(bars(&folded), ["2026-01-05T10:00:00Z A 7.0000 7.0000 5.0000 5.0000 2.0000 2"]);
}

#[test]
fn an_absent_field_a_null_and_an_empty_cell_are_one_result() {
    let start = r#"{"id":1,"venue":"X","v":1,"ts":1,"price":5"#;
    let json = |rest: &str| {
        let place = Place::with(TRADES);
        place.fold_lines(&[format!("{start}{rest}}}"), trade(2, "1970-01-01T00:00:00.002Z", "6")]).bytes
    };
    let absent = json("");
    assert!(absent.contains("\"symbol\":null") && absent.contains("\"volume\":null"), "{absent}");
    assert_eq!(json(r#","symbol":null,"size":null"#), absent);
    assert_eq!(json(r#","size":null"#), absent);
    let csv = |text: &str| {
        let place = Place::with(&TRADES.replace("\"json\"", "\"csv\""));
        place.write("events.csv", text);
        place.fold(&["trades=events.csv"], &[]).bytes
    };
    let second = "2,X,1,,1970-01-01T00:00:00.002Z,A,6,1";
    assert_eq!(csv(&format!("id,venue,v,op,ts,symbol,price,size\n1,X,1,,1,,5,\n{second}\n")), absent);
    assert_eq!(csv(&format!("id,venue,v,op,ts,symbol,price,size\n1,X,1,,1,\"\",5,\"\"\n{second}\n")), absent);
    let narrow = TRADES.replace("\"json\"", "\"csv\"");
    let place = Place::with(&narrow);
    place.write("a.csv", "id,venue,v,ts,price\n1,X,1,1,5\n");
    place.write("b.csv", format!("id,venue,v,op,ts,symbol,price,size\n{second}\n"));
    let folded = place.fold(&["trades=a.csv", "trades=b.csv"], &[]);
    assert_eq!(folded.bytes, absent, "a column that is not there is null too");
}

#[test]
fn versions_one_two_and_three_end_at_three_in_all_six_orders() {
    let time = "2026-01-05T10:00:00Z";
    let versions = [1, 2, 3].map(|v| versioned(7, v, time, &format!(r#""symbol":"A","price":{v},"size":{v}0"#)));
    let alone = Place::with(TRADES).fold_lines(&versions[2..]).bytes;
    for order in orders(&versions) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert_eq!(folded.bytes, alone);
        assert_eq!((&folded.summary["facts"], &folded.summary["superseded"]), (&1.into(), &2.into()), "{order:?}");
    }
}

#[test]
fn a_version_that_is_absent_is_version_zero() {
    let time = "2026-01-05T10:00:00Z";
    let zero = format!(r#"{{"id":1,"venue":"X","ts":"{time}","price":1}}"#);
    let first = versioned(1, 1, time, r#""price":2"#);
    for order in orders(&[zero, first]) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert_eq!(folded.rows[0]["open"], "2.0000");
    }
}

#[test]
fn a_conflict_has_one_winner_in_either_order_and_its_loser_is_in_quarantine() {
    let time = "2026-01-05T10:00:00Z";
    let sides = ["1", "2"].map(|price| trade(1, time, price));
    let other = trade(2, time, "9");
    let mut results = Vec::new();
    for order in orders(&[sides[0].clone(), sides[1].clone(), other]) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert_eq!(folded.summary["conflicts"], 1);
        let [loser] = &folded.refused[..] else { panic!("one loser") };
        assert_eq!(
            (&loser["reason"], &loser["source"], &loser["file"]),
            (&"conflict".into(), &"trades".into(), &"events.ndjson".into())
        );
        let line = order.iter().position(|event| event.contains("\"id\":1,") && event.contains(&loser_price(loser)));
        assert_eq!(loser["line"], line.expect("it is one of them") as u64 + 1, "where the loser stood");
        results.push((folded.bytes, loser["content"].to_string()));
    }
    results.dedup();
    assert_eq!(results.len(), 1, "{results:?}");
}

/// How the loser's price stands in its event.
fn loser_price(loser: &serde_json::Value) -> String {
    let price = loser["content"]["price"].as_str().expect("its content");
    format!("\"price\":{},", price.trim_end_matches('0').trim_end_matches('.'))
}

#[test]
fn a_conflict_below_the_newest_version_is_only_superseded() {
    let time = "2026-01-05T10:00:00Z";
    let events =
        [trade(1, time, "1"), trade(1, time, "2"), versioned(1, 2, time, r#""symbol":"A","price":3,"size":1"#)];
    let mut results = Vec::new();
    for order in orders(&events) {
        let folded = Place::with(TRADES).fold_lines(&order);
        let sum =
            folded.summary["superseded"].as_u64().unwrap_or(0) + folded.summary["conflicts"].as_u64().unwrap_or(0);
        assert_eq!((&folded.summary["facts"], sum), (&1.into(), 2), "{order:?}: {}", folded.summary);
        results.push(folded.bytes);
    }
    results.dedup();
    assert_eq!(results.len(), 1);
}

#[test]
fn the_same_event_again_changes_nothing() {
    let event = trade(1, "2026-01-05T10:00:00Z", "1");
    // Spelled otherwise it is the same content.
    let spelled = r#"{"size":"1.0","price":1.000000,"symbol":"A","ts":"2026-01-05T11:00:00+01:00","v":"1","venue":"X","id":1,"more":[]}"#;
    let folded = Place::with(TRADES).fold_lines(&[event.clone(), event.clone(), spelled.to_string()]);
    assert_eq!((&folded.summary["facts"], &folded.summary["duplicates"]), (&1.into(), &2.into()));
    assert_eq!(folded.bytes, Place::with(TRADES).fold_lines(&[event]).bytes);
}

#[test]
fn a_retraction_holds_before_and_behind_what_it_removes() {
    let event = trade(1, "2026-01-05T10:00:00Z", "1");
    let other = trade(2, "2026-01-05T10:00:01Z", "2");
    let without = Place::with(TRADES).fold_lines(std::slice::from_ref(&other)).bytes;
    for order in orders(&[event.clone(), retraction(1, 2), other]) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert_eq!(folded.bytes, without, "{order:?}");
        assert_eq!((&folded.summary["facts"], &folded.summary["superseded"]), (&2.into(), &1.into()));
    }
    for order in orders(&[event.clone(), retraction(1, 2), event]) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert!(folded.rows.is_empty(), "the only fact is gone, and its window with it, also against a stale replay");
    }
}

#[test]
fn a_retraction_of_the_same_version_outranks_the_content() {
    let events = [trade(1, "2026-01-05T10:00:00Z", "1"), retraction(1, 1)];
    for order in orders(&events) {
        let folded = Place::with(TRADES).fold_lines(&order);
        assert!(folded.rows.is_empty() && folded.refused.is_empty(), "{}", folded.summary);
    }
}

#[test]
fn a_higher_version_brings_a_retracted_fact_back() {
    let time = "2026-01-05T10:00:00Z";
    let back = versioned(1, 3, time, r#""symbol":"A","price":5,"size":1"#);
    for order in orders(&[trade(1, time, "1"), retraction(1, 2), back]) {
        assert_eq!(
            bars(&Place::with(TRADES).fold_lines(&order)),
            ["2026-01-05T10:00:00Z A 5.0000 5.0000 5.0000 5.0000 1.0000 1"]
        );
    }
}

#[test]
fn a_retraction_needs_only_its_identity_and_version() {
    let event = trade(1, "2026-01-05T10:00:00Z", "1");
    let poor = r#"{"id":1,"venue":"X","v":2,"op":"retract","ts":"never","price":"x","symbol":7,"size":-1}"#.to_string();
    assert!(Place::with(TRADES).fold_lines(&[event.clone(), poor]).rows.is_empty());
    let wrong = r#"{"id":1,"venue":"X","v":-2,"op":"retract"}"#.to_string();
    let folded = Place::with(TRADES).fold_lines(&[event, wrong]);
    assert_eq!((folded.rows.len(), &folded.refused[0]["field"]), (1, &"v".into()));
}

#[test]
fn a_retraction_of_the_extreme_and_of_the_edge_leaves_the_next_one() {
    let trades = |ids: &[u64]| {
        let events: Vec<String> = ids
            .iter()
            .map(|id| {
                let (time, price) = [("00", "5"), ("10", "9"), ("20", "1"), ("30", "4")][*id as usize - 1];
                trade(*id, &format!("2026-01-05T10:00:{time}Z"), price)
            })
            .collect();
        events
    };
    let all = trades(&[1, 2, 3, 4]);
    for gone in 1..=4 {
        let left: Vec<u64> = (1..=4).filter(|id| *id != gone).collect();
        let expected = Place::with(TRADES).fold_lines(&trades(&left)).bytes;
        let place = Place::with(TRADES);
        place.write("events.ndjson", joined(&[all.clone(), vec![retraction(gone, 9)]].concat()));
        // On one thread: on more, a window may be empty in between, and then there is nothing to fold again.
        let folded = place.fold(&["trades=events.ndjson"], &["--threads", "1"]);
        assert_eq!(folded.bytes, expected, "without {gone}");
        assert_eq!(folded.summary["refolded"], 1, "{}", folded.summary);
    }
}

#[test]
fn a_correction_that_moves_time_and_key_leaves_one_window_and_enters_another() {
    let moved = versioned(1, 2, "2026-01-05T10:07:30Z", r#""symbol":"B","price":3,"size":2"#);
    let stays = trade(2, "2026-01-05T10:00:01Z", "2");
    for order in orders(&[trade(1, "2026-01-05T10:00:00Z", "1"), moved, stays]) {
        assert_eq!(
            bars(&Place::with(TRADES).fold_lines(&order)),
            [
                "2026-01-05T10:00:00Z A 2.0000 2.0000 2.0000 2.0000 1.0000 1",
                "2026-01-05T10:07:00Z B 3.0000 3.0000 3.0000 3.0000 2.0000 1",
            ]
        );
    }
}

#[test]
fn the_same_id_at_another_origin_is_another_event() {
    let here = trade(1, "2026-01-05T10:00:00Z", "1");
    let there = here.replace("\"X\"", "\"Y\"");
    let folded = Place::with(TRADES).fold_lines(&[here, there]);
    assert_eq!((&folded.summary["facts"], &folded.rows[0]["trades"]), (&2.into(), &2.into()));
}

#[test]
fn what_a_corrected_identity_says_in_another_file_counts_as_well() {
    let place = Place::with(TRADES);
    place.write("a.ndjson", joined(&[trade(1, "2026-01-05T10:00:00Z", "1")]));
    place.write("b.ndjson", joined(&[versioned(1, 2, "2026-01-05T10:00:00Z", r#""price":2,"symbol":"A""#)]));
    for inputs in [["trades=a.ndjson", "trades=b.ndjson"], ["trades=b.ndjson", "trades=a.ndjson"]] {
        let folded = place.fold(&inputs, &[]);
        assert_eq!((&folded.summary["facts"], &folded.rows[0]["open"]), (&1.into(), &"2.0000".into()));
    }
}

#[test]
fn composite_content_and_position_identities_tell_events_apart_by_what_they_name() {
    let events = [
        r#"{"id":1,"venue":"X","ts":1,"price":1}"#,
        r#"{"id":1,"venue":"Y","ts":1,"price":1}"#,
        r#"{"id":1,"venue":"X","ts":1,"price":1}"#,
        r#"{"id":1,"venue":"X","ts":1,"price":2}"#,
    ];
    let plain = TRADES
        .replace("version = \"v\"\nop = \"op\"\norigin = \"venue\"\n", "")
        .replace("origin = \"venue\"\nversion = \"v\"\nop = \"op\"\n", "");
    let facts = |identity: &str| {
        let place = Place::with(&plain.replace("identity = \"id\"", &format!("identity = {identity}")));
        let folded = place.fold_lines(&events);
        ["facts", "duplicates", "conflicts"].map(|count| folded.summary[count].as_u64().expect("a count"))
    };
    assert_eq!(facts("[\"id\", \"venue\"]"), [2, 1, 1]);
    assert_eq!(facts("\"content\""), [3, 1, 0]);
    assert_eq!(facts("\"position\""), [4, 0, 0]);
}

#[test]
fn one_correction_among_a_hundred_thousand_keys_folds_its_windows_again_and_no_other() {
    let session = "SELECT symbol, max(price) AS high FROM trades GROUP BY symbol, session(ts, INTERVAL '10 seconds')";
    let place = Place::with(&format!("{TRADES}\n[pipeline.sessions]\nsql = \"{session}\"\n"));
    let keys = 100_000;
    let trade = |id: u64, version: u64, price: u64| {
        let (ts, key) = (1_767_607_200_000 + id % 50_000, id % keys);
        format!(r#"{{"id":{id},"venue":"X","v":{version},"ts":{ts},"symbol":"K{key}","price":{price},"size":1}}"#)
    };
    // Two trades of each key, within a minute.
    let mut events: Vec<String> = (0..2 * keys).map(|id| trade(id, 1, 5 - id / keys)).collect();
    place.write("events.ndjson", joined(&events));
    let without = place.fold(&["trades=events.ndjson"], &["--threads", "1"]);
    assert_eq!((without.rows.len() as u64, &without.summary["refolded"]), (2 * keys, &0.into()));
    events.push(trade(77_777, 2, 3));
    place.write("events.ndjson", joined(&events));
    let folded = place.fold(&["trades=events.ndjson"], &["--threads", "1"]);
    assert_eq!(folded.summary["refolded"], 2, "one window, and one session");
    let lines = without.bytes.lines().zip(folded.bytes.lines());
    let changed: Vec<&str> = lines.filter(|(before, after)| before != after).map(|(_, after)| after).collect();
    assert_eq!(changed.len(), 2);
    assert!(changed.iter().all(|row| row.contains(r#""symbol":"K77777""#) && row.contains(r#""high":"4.0000""#)));
}
