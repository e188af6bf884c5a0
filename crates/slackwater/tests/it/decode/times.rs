//! Times in events: numbers in the field's unit and RFC 3339, from 1677 to 2262.

use super::{csv, json, schema};

/// What a time decodes to: quoted in JSON and as a CSV cell, which must agree.
fn time(unit: &str, text: &str) -> String {
    let schema = schema(&format!("ts:{unit}"));
    let quoted = json(&schema, format!("{{\"ts\":\"{text}\"}}"));
    assert_eq!(csv(&schema, text), quoted, "{text}");
    quoted
}

fn number(unit: &str, text: &str) -> String {
    let bare = json(&schema(&format!("ts:{unit}")), format!("{{\"ts\":{text}}}"));
    assert_eq!(time(unit, text), bare, "{text}");
    bare
}

#[test]
fn numbers_count_in_the_unit_of_the_field() {
    assert_eq!(number("s", "1700000000"), "1700000000000000000");
    assert_eq!(number("ms", "1700000000000"), "1700000000000000000");
    assert_eq!(number("us", "1700000000000000"), "1700000000000000000");
    assert_eq!(number("ns", "1700000000000000000"), "1700000000000000000");
    assert_eq!(number("s", "-1"), "-1000000000");
    assert_eq!(number("s", "1.7e9"), "1700000000000000000");
}

#[test]
fn seconds_and_milliseconds_carry_a_fraction_exactly() {
    assert_eq!(number("s", "1700000000.123456789"), "1700000000123456789");
    assert_eq!(number("ms", "1700000000000.000001"), "1700000000000000001");
    assert_eq!(number("s", "0.1"), "100000000");
    assert_eq!(number("s", "0.0000000001"), "scale ts");
    assert_eq!(number("ms", "0.0000001"), "scale ts");
    assert_eq!(number("us", "1.5"), "scale ts");
    assert_eq!(number("ns", "1.5"), "scale ts");
    assert_eq!(number("us", "1.0"), "1000");
}

#[test]
fn numbers_reach_the_first_and_the_last_nanosecond() {
    assert_eq!(number("ns", "9223372036854775807"), "9223372036854775807");
    assert_eq!(number("ns", "9223372036854775808"), "time_range ts");
    assert_eq!(number("ns", "-9223372036854775808"), "-9223372036854775808");
    assert_eq!(number("ns", "-9223372036854775809"), "time_range ts");
    assert_eq!(number("us", "9223372036854775"), "9223372036854775000");
    assert_eq!(number("us", "9223372036854776"), "time_range ts");
    assert_eq!(number("us", "-9223372036854775"), "-9223372036854775000");
    assert_eq!(number("us", "-9223372036854776"), "time_range ts");
    assert_eq!(number("s", "9223372036.854775807"), "9223372036854775807");
    assert_eq!(number("s", "9223372036.854775808"), "time_range ts");
    assert_eq!(number("s", "1e400"), "time_range ts");
}

#[test]
fn texts_reach_the_first_and_the_last_nanosecond() {
    assert_eq!(time("us", "1677-09-21T00:12:43.145224192Z"), i64::MIN.to_string());
    assert_eq!(time("us", "1677-09-21T00:12:43.145224191Z"), "time_range ts");
    assert_eq!(time("us", "2262-04-11T23:47:16.854775807Z"), i64::MAX.to_string());
    assert_eq!(time("us", "2262-04-11T23:47:16.854775808Z"), "time_range ts");
    assert_eq!(time("us", "2262-04-12T01:47:16.854775807+02:00"), i64::MAX.to_string());
    assert_eq!(time("us", "0001-01-01T00:00:00Z"), "time_range ts");
    assert_eq!(time("us", "9999-12-31T23:59:59Z"), "time_range ts");
}

#[test]
fn a_text_needs_an_offset_and_a_real_time() {
    assert_eq!(time("us", "2026-01-02T03:04:05.123456789Z"), "1767323045123456789");
    assert_eq!(time("us", "2026-01-02 08:34:05+05:30"), "1767323045000000000");
    for text in [
        "2026-01-02T03:04:05",
        "2026-01-02",
        "2026-01-02T03:04:60Z",
        "2026-02-29T00:00:00Z",
        "2026-01-02T03:04:05+0530",
        "yesterday",
        "NaN",
        "+1700000000-",
        "2026-01-02T03:04:05Zz",
    ] {
        assert_eq!(time("us", text), "time_format ts", "{text}");
    }
    assert_eq!(time("us", "2026-01-02T03:04:05.1234567891Z"), "scale ts");
    assert_eq!(time("us", "2026-01-02T03:04:05.1234567890Z"), "1767323045123456789");
}
