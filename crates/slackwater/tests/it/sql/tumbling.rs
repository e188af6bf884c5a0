//! Tumbling windows: their borders, with offsets, and on a calendar of a time zone.

use super::rows;

/// The windows `start end count` in which events of these epoch seconds fall.
fn windows(window: &str, times: &[i64]) -> Vec<String> {
    let events: Vec<String> = times.iter().map(|time| format!("\"ts\":{time}")).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let shown = rows(&format!("SELECT count(*) AS x FROM trades GROUP BY tumble(ts, {window})"), &events);
    let bare = |row: &String| {
        let row = row.replace("\"window_start\":", "").replace("\"window_end\":", "").replace("| \"x\":", "");
        row.replace("\",\"", " ").replace('"', "")
    };
    shown.iter().map(bare).collect()
}

/// Epoch seconds of an RFC 3339 time.
fn at(text: &str) -> i64 {
    slackwater_core::time::parse_rfc3339(text.as_bytes()).expect("a time") / 1_000_000_000
}

#[test]
fn a_fact_at_an_end_belongs_to_the_next_window() {
    assert_eq!(
        windows("INTERVAL '1 minute'", &[0, 59, 60, -1, -60]),
        [
            "1969-12-31T23:59:00Z 1970-01-01T00:00:00Z 2",
            "1970-01-01T00:00:00Z 1970-01-01T00:01:00Z 2",
            "1970-01-01T00:01:00Z 1970-01-01T00:02:00Z 1",
        ]
    );
}

#[test]
fn a_size_is_written_in_any_units() {
    for minute in [
        "INTERVAL '1 minute'",
        "INTERVAL '60 seconds'",
        "INTERVAL '1' MINUTE",
        "INTERVAL 1 MINUTE",
        "INTERVAL '59 seconds 1000 milliseconds'",
        "INTERVAL '60000000 microsecond'",
        "interval '1 Minutes'",
        "INTERVAL '1 hour -59 minutes'",
    ] {
        assert_eq!(windows(minute, &[61]), ["1970-01-01T00:01:00Z 1970-01-01T00:02:00Z 1"], "{minute}");
    }
    assert_eq!(windows("INTERVAL '7 seconds'", &[8]), ["1970-01-01T00:00:07Z 1970-01-01T00:00:14Z 1"]);
    assert_eq!(windows("INTERVAL '1 nanosecond'", &[8]), ["1970-01-01T00:00:08Z 1970-01-01T00:00:08.000000001Z 1"]);
    assert_eq!(windows("INTERVAL '1 week'", &[0]), ["1970-01-01T00:00:00Z 1970-01-08T00:00:00Z 1"]);
}

#[test]
fn an_offset_moves_the_borders_either_way() {
    let expected = ["1969-12-31T23:00:15Z 1970-01-01T00:00:15Z 1", "1970-01-01T00:00:15Z 1970-01-01T01:00:15Z 1"];
    assert_eq!(windows("INTERVAL '1 hour', INTERVAL '15 seconds'", &[14, 15]), expected);
    assert_eq!(windows("INTERVAL '1 hour', INTERVAL '1 hour 15 seconds'", &[14, 15]), expected);
    assert_eq!(windows("INTERVAL '1 hour', INTERVAL '-59 minutes -45 seconds'", &[14, 15]), expected);
    assert_eq!(windows("INTERVAL '1 hour', INTERVAL '-3585 seconds'", &[14, 15]), expected);
}

#[test]
fn a_local_day_lasts_23_hours_when_clocks_go_forward_and_25_when_they_go_back() {
    let spring = at("2026-03-29T12:00:00+02:00");
    let autumn = at("2026-10-25T12:00:00+01:00");
    assert_eq!(
        windows("INTERVAL '1 day', 'Europe/Berlin'", &[spring, autumn]),
        ["2026-03-28T23:00:00Z 2026-03-29T22:00:00Z 1", "2026-10-24T22:00:00Z 2026-10-25T23:00:00Z 1"]
    );
    assert_eq!(
        windows("INTERVAL '1 day', 'Europe/Berlin'", &[at("2026-03-28T23:00:00Z") - 1, at("2026-03-29T22:00:00Z")]),
        ["2026-03-27T23:00:00Z 2026-03-28T23:00:00Z 1", "2026-03-29T22:00:00Z 2026-03-30T22:00:00Z 1"]
    );
}

#[test]
fn parts_of_a_local_day_begin_with_it_and_are_cut_at_its_end() {
    let times = [at("2026-03-29T06:30:00+02:00"), at("2026-03-29T23:30:00+02:00")];
    assert_eq!(
        windows("INTERVAL '6 hours', 'Europe/Berlin'", &times),
        ["2026-03-28T23:00:00Z 2026-03-29T05:00:00Z 1", "2026-03-29T17:00:00Z 2026-03-29T22:00:00Z 1"],
        "06:30 is five and a half hours after midnight, and the last part has five hours"
    );
}

#[test]
fn midnights_that_do_not_exist_begin_at_the_first_moment_after() {
    // In Beirut, 2022-03-27 began at 01:00.
    assert_eq!(
        windows("INTERVAL '1 day', 'Asia/Beirut'", &[at("2022-03-27T12:00:00+03:00")]),
        ["2022-03-26T22:00:00Z 2022-03-27T21:00:00Z 1"]
    );
}

#[test]
fn months_and_years_follow_the_calendar_of_their_zone() {
    let february = at("2024-02-29T23:30:00Z");
    assert_eq!(windows("INTERVAL '1 month', 'UTC'", &[february]), ["2024-02-01T00:00:00Z 2024-03-01T00:00:00Z 1"]);
    assert_eq!(
        windows("INTERVAL '1 month', 'Europe/Berlin'", &[february]),
        ["2024-02-29T23:00:00Z 2024-03-31T22:00:00Z 1"],
        "in Berlin it is March already"
    );
    assert_eq!(
        windows("INTERVAL '3 months', 'America/New_York'", &[february]),
        ["2024-01-01T05:00:00Z 2024-04-01T04:00:00Z 1"]
    );
    assert_eq!(windows("INTERVAL '1 year', 'UTC'", &[february]), ["2024-01-01T00:00:00Z 2025-01-01T00:00:00Z 1"]);
}

#[test]
fn weeks_in_a_zone_begin_on_monday() {
    assert_eq!(
        windows("INTERVAL '1 week', 'Asia/Tokyo'", &[at("2026-01-04T23:59:59+09:00"), at("2026-01-05T00:00:00+09:00")]),
        ["2025-12-28T15:00:00Z 2026-01-04T15:00:00Z 1", "2026-01-04T15:00:00Z 2026-01-11T15:00:00Z 1"]
    );
}
