//! Events that cannot be taken: each is set aside with its place, its reason and its bytes, and the fold goes on.

use super::TRADES;
use crate::program::{Folded, Place, joined};
use serde_json::{Value, json};

/// The schema of [`TRADES`] and more, with guards.
fn guarded() -> String {
    TRADES
        .replace("op = \"op\"\n", "op = \"op\"\norigins = [\"X\", \"Y\"]\nrequire = [\"price > 0\", \"size >= 0\"]\n")
        .replace("size = \"decimal(18,4)?\"", "size = \"decimal(18,4)?\"\nf = \"float64?\"\nok = \"bool?\"")
}

const BEFORE: &str = r#"{"id":1,"venue":"X","ts":1000,"symbol":"A","price":1,"size":1}"#;
const BEHIND: &str = r#"{"id":2,"venue":"X","ts":2000,"symbol":"A","price":2,"size":1}"#;

/// Folds a bad line between two good ones; gives its row in quarantine.
#[track_caller]
fn between(config: &str, bad: &[u8]) -> Value {
    let folded = Place::with(config).fold_lines(&[BEFORE.as_bytes(), bad, BEHIND.as_bytes()]);
    let [refused] = &folded.refused[..] else { panic!("one is refused: {:?}", folded.refused) };
    assert_eq!((&folded.summary["received"], &folded.summary["facts"]), (&3.into(), &2.into()));
    assert_eq!(folded.rows[0]["trades"], 2, "the good ones count");
    let place = json!({"source": "trades", "file": "events.ndjson", "line": 2, "offset": BEFORE.len() + 1});
    for key in ["source", "file", "line", "offset"] {
        assert_eq!(refused[key], place[key], "{refused}");
    }
    assert_eq!(folded.summary["reasons"][refused["reason"].as_str().expect("a reason")], 1);
    refused.clone()
}

/// Checks the reason for an event, what it is about, and that its bytes are kept.
#[track_caller]
fn refused(bad: &str, reason: &str, about: &str) {
    let row = between(&guarded(), bad.as_bytes());
    let shown = row.get("field").or(row.get("guard")).map_or("", |about| about.as_str().expect("a text"));
    assert_eq!((row["reason"].as_str(), shown, row["raw"].as_str()), (Some(reason), about, Some(bad)), "{row}");
}

/// An event with some of its fields replaced.
fn event(fields: &str) -> String {
    let plain = [("venue", "\"X\""), ("ts", "1500"), ("symbol", "\"A\""), ("price", "3"), ("size", "1")];
    let mut text = String::from(r#"{"id":3"#);
    for (name, value) in plain {
        if !fields.contains(&format!("\"{name}\":")) {
            text += &format!(",\"{name}\":{value}");
        }
    }
    format!("{text},{fields}}}")
}

#[test]
fn truncated_json_and_other_torn_lines_are_malformed() {
    for bad in [
        r#"{"id":3,"venue":"X","ts":1500,"symbol":"A","pri"#,
        r#"{"id":3,"venue":"X","ts":1500,"symbol":"A","price":3"#,
        r#"{"id":3,"venue":"X","ts":1500,"symbol":"A","price":3}}"#,
        r#"{"id":3,"venue":"X","ts":1500,"symbol":"A","price":3} {}"#,
        r#"{"id":3,"venue":"X","ts":1500,"symbol":"A","price":3,}"#,
        r#"{id:3}"#,
        r#"{"id":3,"venue":"\q","ts":1500,"symbol":"A","price":3}"#,
        "{",
        "\"",
    ] {
        refused(bad, "malformed", "");
    }
    for bad in ["[1, 2, 3]", "7", "null", "\"text\"", "[]"] {
        refused(bad, "not_an_object", "");
    }
}

#[test]
fn a_field_twice_is_refused_and_an_undeclared_one_is_nobodys_business() {
    refused(&event(r#""price":3,"price":3"#), "duplicate_field", "price");
    refused(&event(r#""id":3"#), "duplicate_field", "id");
    refused(&event(r#""size":null,"size":null"#), "duplicate_field", "size");
    let more = event(r#""note":1,"note":2,"nested":{"a":[1,{"b":null}]}"#);
    assert_eq!(Place::with(&guarded()).fold_lines(&[more]).rows[0]["trades"], 1);
}

#[test]
fn values_of_wrong_types_are_refused() {
    refused(&event(r#""price":"abc""#), "wrong_type", "price");
    refused(&event(r#""price":true"#), "wrong_type", "price");
    refused(&event(r#""price":[3]"#), "wrong_type", "price");
    refused(&event(r#""symbol":7"#), "wrong_type", "symbol");
    refused(&event(r#""symbol":{"name":"A"}"#), "wrong_type", "symbol");
    refused(&event(r#""ok":"true""#), "wrong_type", "ok");
    refused(&event(r#""price":"""#), "wrong_type", "price");
    refused(&event(r#""price":null"#), "missing_field", "price");
    refused(r#"{"id":3,"venue":"X","ts":1500}"#, "missing_field", "price");
    refused(&event(r#""op":"remove""#), "unknown_op", "op");
    refused(&event(r#""v":-1"#), "range", "v");
    refused(&event(r#""v":1.5"#), "scale", "v");
}

#[test]
fn numbers_that_are_none_or_too_large_are_refused() {
    for (value, reason) in [
        ("NaN", "not_finite"),
        ("Infinity", "not_finite"),
        ("-Infinity", "not_finite"),
        ("\"nan\"", "not_finite"),
        ("\"-inf\"", "not_finite"),
        ("1e400", "range"),
        ("-1e400", "range"),
        ("\"1e400\"", "range"),
        ("1e999999999999999999999", "range"),
    ] {
        refused(&event(&format!("\"f\":{value}")), reason, "f");
        refused(&event(&format!("\"price\":{value}")), reason, "price");
    }
    refused(&event(r#""price":0.00001"#), "scale", "price");
    refused(&event(r#""price":123456789012345.5"#), "range", "price");
    refused(&event(&format!("\"price\":{}", "9".repeat(4_000))), "range", "price");
    refused(&event(&format!("\"price\":{}", "9".repeat(5_000))), "range", "");
    let tiny = Place::with(&guarded()).fold_lines(&[event(r#""f":1e-400,"price":1.00000000"#)]);
    assert_eq!(
        tiny.rows[0]["close"], "1.0000",
        "too small for a double is 0, and zeros behind the point are no digits"
    );
}

#[test]
fn guards_refuse_what_is_not_true_for_them() {
    refused(&event(r#""size":-1"#), "require", "size >= 0");
    refused(&event(r#""price":0"#), "require", "price > 0");
    refused(&event(r#""price":-3"#), "require", "price > 0");
    refused(&event(r#""size":null"#), "require", "size >= 0");
}

#[test]
fn origins_that_are_not_listed_are_refused() {
    refused(&event(r#""venue":"Z""#), "unknown_origin", "venue");
    refused(&event(r#""venue":"""#), "unknown_origin", "venue");
    refused(&event(r#""venue":"x""#), "unknown_origin", "venue");
}

#[test]
fn bytes_that_are_no_utf8_are_kept_as_hexadecimal() {
    let bad = [br#"{"id":3,"venue":"X","ts":1500,"symbol":""#, &[0xff, 0xfe][..], br#"","price":3}"#].concat();
    let row = between(&guarded(), &bad);
    assert_eq!(row["reason"], "invalid_utf8");
    let kept: String = bad.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((row["raw_hex"].as_str(), row.get("raw")), (Some(kept.as_str()), None));
    let lone = between(&guarded(), br#"{"id":3,"venue":"X","ts":1500,"symbol":"\ud800","price":3}"#);
    assert_eq!(lone["reason"], "malformed", "half a character pair is no text");
}

#[test]
fn nul_is_refused_in_any_spelling() {
    let row = between(&guarded(), event("\"symbol\":\"a\0b\"").as_bytes());
    assert_eq!(
        (row["reason"].as_str(), row["raw"].as_str().map(|raw| raw.contains('\0'))),
        (Some("nul_byte"), Some(true))
    );
    refused(&event(r#""symbol":"a\u0000b""#), "nul_byte", "symbol");
    let row = between(&guarded(), b"\0\0\0");
    assert_eq!(row["reason"], "malformed");
}

#[test]
fn an_empty_key_is_a_key_and_no_null() {
    let events = [
        event(r#""symbol":"""#),
        event(r#""symbol":null"#).replace("\"id\":3", "\"id\":4"),
        event(r#""":1"#).replace("\"id\":3", "\"id\":5"),
    ];
    let folded = Place::with(&guarded()).fold_lines(&events);
    let keys: Vec<&Value> = folded.rows.iter().map(|row| &row["symbol"]).collect();
    assert_eq!(keys, [&Value::Null, &json!(""), &json!("A")], "null, then the empty text, then the others");
    let place = Place::with(&guarded());
    place.write("events.ndjson", joined(&events));
    let ran = place.run(&["fold", "-c", "c.toml", "--input", "trades=events.ndjson", "--out", "out.csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(place.read("out.csv").matches("bars,,1970").count(), 2, "in CSV both are an empty cell");
}

#[test]
fn a_depth_bomb_is_refused() {
    for depth in [64, 1_000, 30_000] {
        let bomb = format!(r#""note":{}{}"#, "[".repeat(depth), "]".repeat(depth));
        refused(&event(&bomb), "too_deep", "");
        refused(
            &event(&bomb.replace('[', r#"{"a":"#).replace(']', "}").replace("\"a\":}", "\"a\":1}")),
            "too_deep",
            "",
        );
    }
    let half = format!(r#"{{"id":3,"note":{}"#, "[".repeat(200_000));
    refused(&half, "too_deep", "");
    let deep = event(&format!(r#""note":{}{}"#, "[".repeat(63), "]".repeat(63)));
    assert_eq!(Place::with(&guarded()).fold_lines(&[deep]).rows.len(), 1, "64 levels with the event's own are taken");
}

#[test]
fn a_line_of_ten_megabytes_is_refused_and_the_next_one_is_taken() {
    for (long, held) in [(event(&format!("\"note\":\"{}\"", "x".repeat(10 << 20))), true), ("é".repeat(5 << 20), false)]
    {
        let row = between(&guarded(), long.as_bytes());
        assert_eq!(row["reason"], "too_large");
        let kept = row["raw"].as_str().expect("its beginning is kept");
        assert_eq!(kept.len(), 256 * 1024);
        assert!(long.starts_with(kept) && (kept.starts_with('{') == held));
    }
}

#[test]
fn times_beyond_the_years_1677_and_2262_are_refused() {
    let nanos = guarded().replace("timestamp_ms", "timestamp_ns");
    for (inside, start) in [
        ("-9223372036854775808", "1677-09-21T00:12:00Z"),
        ("9223372036854775807", "2262-04-11T23:47:00Z"),
        ("\"1677-09-21T00:12:43.145224192Z\"", "1677-09-21T00:12:00Z"),
        ("\"2262-04-11T23:47:16.854775807Z\"", "2262-04-11T23:47:00Z"),
    ] {
        let folded = Place::with(&nanos).fold_lines(&[event(&format!("\"ts\":{inside}"))]);
        assert_eq!(folded.rows[0]["window_start"], start, "{inside}");
        let config = nanos.replace("INTERVAL '1 minute'", "INTERVAL '1 year', 'Europe/Berlin'");
        let folded = Place::with(&config).fold_lines(&[event(&format!("\"ts\":{inside}"))]);
        assert!(folded.rows[0]["window_start"].as_str().expect("a time").ends_with('Z'), "{inside}");
    }
    for outside in [
        "-9223372036854775809",
        "9223372036854775808",
        "\"1677-09-21T00:12:43.145224191Z\"",
        "\"2262-04-11T23:47:16.854775808Z\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59Z\"",
    ] {
        let row = between(&nanos.replace("ts\":1000", "ts\":1"), event(&format!("\"ts\":{outside}")).as_bytes());
        assert_eq!((row["reason"].as_str(), row["field"].as_str()), (Some("time_range"), Some("ts")), "{outside}");
    }
    refused(&event("\"ts\":\"2026-01-05T10:00:00\""), "time_format", "ts");
    refused(&event("\"ts\":\"yesterday\""), "time_format", "ts");
}

#[test]
fn time_bounds_of_a_source_are_inclusive() {
    let bounds = "op = \"op\"\nmin_time = \"1970-01-01T00:00:01Z\"\nmax_time = \"1970-01-01T00:00:02Z\"\n";
    let bounded = TRADES.replace("op = \"op\"\n", bounds);
    for (ts, inside) in [(999, false), (1_000, true), (2_000, true), (2_001, false)] {
        let folded = Place::with(&bounded).fold_lines(&[event(&format!("\"ts\":{ts}"))]);
        assert_eq!(folded.rows.len() == 1, inside, "{ts}");
        assert_eq!(folded.summary["reasons"]["time_bounds"].as_u64(), (!inside).then_some(1), "{ts}");
    }
}

fn csv(text: &str) -> Folded {
    let place = Place::with(&guarded().replace("\"json\"", "\"csv\""));
    place.write("events.csv", text);
    place.fold(&["trades=events.csv"], &[])
}

#[test]
fn ragged_csv_rows_and_broken_quotes_are_refused_with_their_line() {
    let header = "id,venue,ts,symbol,price,size,note\n";
    let folded = csv(&format!(
        "{header}1,X,1,A,1,1,\n2,X,1,A,1,1\n3,X,1,A,1,1,a,b\n4,X,1,A,1,1,\"a\"b\n5,X,1,\"A\nB\",1,1,\n6,X,1,A,1,-1,\n"
    ));
    let shown: Vec<String> = folded
        .refused
        .iter()
        .map(|row| format!("{} {} {} {}", row["line"], row["offset"], row["reason"], row["raw"]))
        .collect();
    let at = header.len();
    assert_eq!(
        shown,
        [
            format!(r#"3 {} "ragged" "2,X,1,A,1,1""#, at + 13),
            format!(r#"4 {} "ragged" "3,X,1,A,1,1,a,b""#, at + 25),
            format!(r#"5 {} "malformed" "4,X,1,A,1,1,\"a\"b""#, at + 41),
            format!(r#"8 {} "require" "6,X,1,A,1,-1,""#, at + 75),
        ]
    );
    assert_eq!(folded.rows.len(), 2, "a cell may hold a line end");
    assert_eq!(folded.rows[1]["symbol"], "A\nB");
}

#[test]
fn a_quote_that_is_never_closed_costs_one_record() {
    let folded = csv(&format!("id,venue,ts,symbol,price,size\n1,X,1,\"A,1,1\n{}", "2,X,1,A,1,1\n".repeat(30_000)));
    assert_eq!(folded.refused.len(), 1);
    assert_eq!(folded.refused[0]["reason"], "too_large");
    assert!(folded.summary["duplicates"].as_u64() > Some(1_000), "what stands behind it is read: {}", folded.summary);
}

#[test]
fn blank_lines_and_line_ends_of_other_systems_are_no_events() {
    let folded = Place::with(&guarded()).fold_lines(&["", "  ", BEFORE, "\r", &format!("{BEHIND}\r"), ""]);
    assert_eq!((&folded.summary["received"], folded.refused.len()), (&2.into(), 0));
}

#[test]
fn reasons_are_counted_in_the_summary_of_a_person_too() {
    let place = Place::with(&guarded());
    place.write("events.ndjson", joined(&[BEFORE, "{", "[", "[]", BEHIND, BEHIND]));
    let ran = place.run(&["fold", "-c", "c.toml", "--input", "trades=events.ndjson", "--out", "out.ndjson"]);
    assert_eq!(ran.code, 0);
    let first = "received 6 = facts 2 + duplicates 1 + superseded 0 + conflicts 0 + quarantined 3 + in flight 0\n\
                 quarantined malformed 2\nquarantined not_an_object 1\nrows bars 1\n";
    assert!(ran.err.starts_with(first), "{}", ran.err);
    assert!(ran.err.contains(" events/s\nroot "), "{}", ran.err);
}
