//! Times as text, there and back, and the durations of a configuration.

use proptest::prelude::*;
use slackwater_core::schema::Unit;
use slackwater_core::time::{
    TimeError, format_rfc3339, parse_duration, parse_epoch, parse_moment, parse_rfc3339, parse_time,
};

fn shown(nanos: i64) -> String {
    let mut out = String::new();
    format_rfc3339(nanos, &mut out).expect("a String takes any text");
    out
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn known_times_are_where_they_are() {
    for (text, nanos) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2000-02-29T12:00:00Z", 951_825_600 * SECOND),
        ("1900-03-01T00:00:00Z", -2_203_891_200 * SECOND),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045_123_456_789),
        ("2026-01-02T03:04:05.123456Z", 1_767_323_045_123_456_000),
        ("2026-01-02T03:04:05.120Z", 1_767_323_045_120_000_000),
        ("1677-09-21T00:12:43.145224192Z", i64::MIN),
        ("2262-04-11T23:47:16.854775807Z", i64::MAX),
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), Ok(nanos), "{text}");
        assert_eq!(shown(nanos), text);
    }
}

#[test]
fn offsets_and_variants_of_the_format_are_read() {
    for text in [
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02t03:04:05z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T08:34:05+05:30",
        "2026-01-01T22:04:05-05:00",
        "2026-01-03T03:03:05+23:59",
        "2026-01-02T03:04:05.000000000000Z",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), Ok(1_767_323_045 * SECOND), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:60:00Z",
        "2026-01-02T24:00:00Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2100-02-29T03:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05+0530",
        "2026-01-02T03:04:05+05",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+05:60",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02_03:04:05Z",
        "2026-01-02T03-04-05Z",
        "+2026-01-02T03:04:05Z",
        "２026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.1234567891",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), Err(TimeError::Format), "{text}");
    }
}

#[test]
fn range_and_scale_are_told_apart_from_format() {
    for text in [
        "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775808Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), Err(TimeError::Range), "{text}");
    }
    assert_eq!(parse_rfc3339(b"2026-01-02T03:04:05.1234567891Z"), Err(TimeError::Scale));
}

#[test]
fn a_moment_beyond_all_times_is_read_as_it_is_written() {
    for (text, nanos) in [
        ("0000-01-01T00:00:00Z", -62_167_219_200 * i128::from(SECOND)),
        ("1677-09-21T00:12:43.145224191Z", i128::from(i64::MIN) - 1),
        ("2262-04-11T23:47:16.854775808Z", i128::from(i64::MAX) + 1),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_800 * i128::from(SECOND) - 1),
    ] {
        assert_eq!(parse_moment(text.as_bytes()), Ok(nanos));
        let mut out = String::new();
        format_rfc3339(nanos, &mut out).expect("a String takes any text");
        assert_eq!(out, text);
    }
    assert_eq!(parse_moment(b"2026-13-01T00:00:00Z"), Err(TimeError::Format));
}

#[test]
fn a_text_is_a_number_or_a_time() {
    assert_eq!(parse_time(b"1700000000.5", Unit::Seconds), Ok(1_700_000_000 * SECOND + SECOND / 2));
    assert_eq!(parse_time(b"2026-01-02T03:04:05Z", Unit::Nanos), Ok(1_767_323_045 * SECOND));
    assert_eq!(parse_time(b"2026-01", Unit::Nanos), Err(TimeError::Format));
    assert_eq!(parse_time(b"1e-3", Unit::Seconds), Ok(1_000_000));
    assert_eq!(parse_time(b"1.0e-3", Unit::Seconds), Ok(1_000_000), "a minus sign in the fifth place too");
    assert_eq!(parse_time(b"123e-2", Unit::Seconds), Ok(1_230_000_000));
    assert_eq!(parse_epoch(b"", Unit::Nanos), Err(TimeError::Format));
}

#[test]
fn durations_are_whole_numbers_with_units_from_large_to_small() {
    for (text, nanos) in [
        ("10s", 10 * SECOND),
        ("5m", 300 * SECOND),
        ("1h30m", 5_400 * SECOND),
        ("250ms", SECOND / 4),
        ("1d", 86_400 * SECOND),
        ("1d2h3m4s5ms6us7ns", 93_784_005_006_007),
        ("0s", 0),
        ("9223372036854775807ns", i64::MAX),
    ] {
        assert_eq!(parse_duration(text), Some(nanos), "{text}");
    }
    for text in [
        "",
        "10",
        "s",
        "10 s",
        "1.5s",
        "-1s",
        "+1s",
        "1m1h",
        "1s1s",
        "10x",
        "1S",
        "106752d",
        "9223372036854775808ns",
        "١s",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(nanos in any::<i64>()) {
        prop_assert_eq!(parse_rfc3339(shown(nanos).as_bytes()), Ok(nanos));
    }

    #[test]
    fn texts_order_as_their_times_in_years_of_four_digits(a in any::<i64>(), step in 1i64..1_000_000_000) {
        let (a, b) = (a / SECOND * SECOND, a.saturating_add(step * SECOND) / SECOND * SECOND);
        prop_assert_eq!(shown(a).cmp(&shown(b)), a.cmp(&b));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9TZ:+. -]{0,40}", unit in 0usize..4) {
        let unit = [Unit::Seconds, Unit::Millis, Unit::Micros, Unit::Nanos][unit];
        let _ = parse_time(text.as_bytes(), unit);
        let _ = parse_duration(&text);
    }
}
