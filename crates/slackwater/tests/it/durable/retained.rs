//! Facts that are kept for a time only: where sources are cut off, what comes too late for that, and what is said of it.

use super::{CONFIG, Kept, generations, keep, trades_every};
use crate::program::Place;
use serde_json::Value;
use std::collections::BTreeMap;

/// One trade every so many milliseconds: 216 a day.
pub const STEP: u64 = 400_000;
const DAY: u64 = 86_400_000;
const FIRST: u64 = 1_767_225_600_000;

/// The configuration with these lines for its source, and bars that begin anew every day.
pub fn keeping(lines: &str) -> String {
    let config = CONFIG.replace("volume_bar(size, 500)", "volume_bar(size, 500, 'split', 'day UTC')");
    config.replace("kind = \"files\"", &format!("kind = \"files\"\n{lines}"))
}

/// A place in which 3,000 trades over two weeks were folded and facts are kept for three days.
fn cut() -> (Place, Kept) {
    let place = Place::with(&keeping("keep_facts = \"3d\""));
    place.write("events.ndjson", trades_every(STEP, 0, 3_000));
    let kept = keep(&place, "trades=events.ndjson", &[]);
    (place, kept)
}

fn status(place: &Place) -> Value {
    let ran = place.run(&["status", "--data", "data", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn said(place: &Place, args: &[&str]) -> (i32, String, String) {
    let ran = place.run(args);
    (ran.code, ran.out, ran.err)
}

/// A trade of an id at a time, in days behind the first one.
pub fn trade(id: u64, version: u64, day: f64, price: u64) -> String {
    let ts = FIRST + (day * DAY as f64) as u64;
    format!("{{\"id\":{id},\"v\":{version},\"symbol\":\"ABC\",\"ts\":{ts},\"price\":{price},\"size\":3}}\n")
}

fn segments(place: &Place) -> usize {
    let names = std::fs::read_dir(place.path("data/archive")).expect("a folder");
    names
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "parquet")))
        .count()
}

/// Counts of a directory, by name.
fn counts(place: &Place) -> BTreeMap<String, u64> {
    let counts = status(place)["sources"][0]["counts"].clone();
    let counts =
        counts.as_object().expect("counts").iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)));
    counts.collect()
}

#[test]
fn facts_go_when_their_time_has_come_and_no_row_changes() {
    let plain = Place::with(&keeping(""));
    plain.write("events.ndjson", trades_every(STEP, 0, 3_000));
    let whole = keep(&plain, "trades=events.ndjson", &[]);
    let (place, kept) = cut();
    assert_eq!((kept.out, &kept.summary["root"]), (whole.out, &whole.summary["root"]));
    assert_eq!(status(&plain)["sources"][0]["cutoff"], Value::Null);
    let cutoff = &status(&place)["sources"][0]["cutoff"];
    let from = |name: &str| cutoff[name].as_str().expect("a time").to_string();
    // Two weeks less three days, at the start of a day; windows that lie over that one reach no further back.
    assert_eq!(
        (from("events_from").as_str(), from("facts_from").as_str()),
        ("2026-01-11T00:00:00Z", "2026-01-11T00:00:00Z")
    );
    // The checkpoint before still names what this one does not: the next ones let go of it.
    for id in 10_000..10_003 {
        place.write(&format!("{id}.ndjson"), trade(id, 0, 13.9, id));
        keep(&place, &format!("trades={id}.ndjson"), &[]);
    }
    // Ten days are gone, and each of the last three files brought a segment of its own.
    assert_eq!((segments(&place), segments(&plain)), (7, 14));
    let (code, out, _) = said(&place, &["status", "--data", "data"]);
    assert!(code == 0 && out.contains("facts are kept from 2026-01-11T00:00:00Z on"), "{out}");
}

#[test]
fn what_would_change_something_before_the_cut_is_set_aside() {
    let (place, kept) = cut();
    let rows = [generations(&place, "minutes"), generations(&place, "visits"), generations(&place, "bars")];
    assert_eq!(kept.summary["beyond_retention"], 0);
    let before = counts(&place);
    let beyond = [
        trade(20_000, 0, 5.0, 7), // new, and too old
        trade(20_000, 0, 5.0, 7), // the same again: it is still in no row
        trade(1, 9, 5.0, 8),      // a correction of what is gone
        trade(2, 9, 13.5, 8),     // out of what is gone
        trade(2_900, 9, 5.0, 8),  // into what is gone
        "{\"id\":4,\"v\":9,\"op\":\"retract\",\"symbol\":\"ABC\",\"ts\":1,\"price\":1,\"size\":1}\n".to_string(),
    ];
    place.write("beyond.ndjson", beyond.concat());
    let late = keep(&place, "trades=beyond.ndjson", &["--quarantine", "aside.ndjson"]);
    let after = counts(&place);
    let grown = |name: &str| after[name] - before[name];
    assert_eq!((grown("received"), grown("beyond_retention"), grown("facts")), (6, 6, 0));
    assert_eq!(late.out, kept.out);
    assert_eq!(rows, [generations(&place, "minutes"), generations(&place, "visits"), generations(&place, "bars")]);
    // They are kept with their content, and listed as what they are.
    let aside = place.read("aside.ndjson");
    let set_aside: Vec<&str> = aside.lines().filter(|line| line.contains("\"beyond_retention\"")).collect();
    assert!(set_aside.len() == 6 && set_aside[0].contains("\"content\":{\"id\":20000,"), "{set_aside:?}");
    let (code, out, _) = said(&place, &["quarantine", "list", "--data", "data", "--limit", "1000"]);
    assert!(code == 0 && out.contains("beyond_retention"), "{out}");
    let (code, _, err) = said(&place, &["status", "--data", "data"]);
    assert_eq!((code, err.as_str()), (0, ""));
    // No verdict keeps them out, so no release lets them in.
    let (code, out, _) = said(&place, &["quarantine", "release", "--data", "data", "--all", "--json"]);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert!(code == 0 && told["beyond_retention"] == 6, "{out}");
}

#[test]
fn duplicates_of_what_is_gone_are_duplicates_for_ever() {
    let (place, kept) = cut();
    let before = counts(&place);
    place.write("again.ndjson", trades_every(STEP, 0, 500));
    let again = keep(&place, "trades=again.ndjson", &[]);
    let after = counts(&place);
    // Nothing of two days ago is beyond anything: all of it is known.
    assert_eq!((after["facts"], after["beyond_retention"]), (before["facts"], 0));
    assert!(after["duplicates"] >= before["duplicates"] + 450);
    assert_eq!(again.out, kept.out);
}

#[test]
fn behind_the_cut_late_facts_and_corrections_count_as_ever() {
    let plain = Place::with(&keeping(""));
    plain.write("events.ndjson", trades_every(STEP, 0, 3_000));
    keep(&plain, "trades=events.ndjson", &[]);
    let (place, _) = cut();
    let late =
        [trade(20_000, 0, 10.0, 7), trade(20_001, 0, 10.0001, 9), trade(2_900, 9, 10.1, 8), trade(2_901, 9, 13.3, 8)];
    let retracted = "{\"id\":2902,\"v\":9,\"op\":\"retract\",\"symbol\":\"ABC\",\"ts\":1,\"price\":1,\"size\":1}\n";
    for place in [&plain, &place] {
        place.write("late.ndjson", late.concat() + retracted);
    }
    let (expected, found) = (
        keep(&plain, "trades=late.ndjson", &["--generations"]),
        keep(&place, "trades=late.ndjson", &["--generations"]),
    );
    assert_eq!(counts(&place)["beyond_retention"], 0);
    assert_eq!(found.out, expected.out);
}

#[test]
fn rows_before_the_cut_say_that_their_facts_are_gone() {
    let (place, _) = cut();
    let (code, out, err) = said(&place, &["verify", "--data", "data"]);
    assert!(code == 0 && out.ends_with("0 differ\n"), "{out}{err}");
    assert!(
        err.contains("the facts of source trades before 2026-01-11T00:00:00Z were let go of (`keep_facts`)"),
        "{err}"
    );
    // There are no arrivals to learn from here, and what is not there any more is told all the same.
    let (_, _, err) = said(&place, &["lag", "--data", "data"]);
    assert!(err.contains("note: the facts of source trades before 2026-01-11T00:00:00Z were let go of"), "{err}");
    let (code, out, _) = said(&place, &["verify", "--data", "data", "--json", "--permute", "3"]);
    let verified: Value = serde_json::from_str(&out).expect("JSON");
    assert!(code == 0 && verified["gone"].as_u64() > Some(100) && verified["rows"].as_u64() > Some(100), "{verified}");
    let rows = generations(&place, "minutes");
    let explain = |row: &Value| {
        let (symbol, window) = (row["symbol"].as_str().expect("a key"), row["window_start"].as_str().expect("a time"));
        let key = format!("symbol={symbol}");
        said(&place, &["explain", "--data", "data", "minutes", "--key", &key, window])
    };
    let gone = rows.iter().find(|row| row["removed"].is_null()).expect("a row");
    let (code, out, err) = explain(gone);
    assert!(code == 0 && err.contains("keep_facts") && err.contains("it stands as it was committed"), "{err}");
    assert!(out.contains(gone["digest"].as_str().expect("a digest")) && !out.contains("\"fact\""), "{out}");
    let (code, out, err) = explain(rows.last().expect("a row"));
    assert!(code == 0 && out.contains("the same bits") && err.is_empty(), "{out}{err}");
}

#[test]
fn with_event_bytes_everything_comes_back_cut_off_alike() {
    let (place, _) = cut();
    let later = [trade(20_000, 0, 5.0, 7), trade(20_001, 0, 13.0, 7), trade(20_002, 0, 13.9, 7)];
    for (number, text) in later.iter().enumerate() {
        place.write(&format!("{number}.ndjson"), text);
        keep(&place, &format!("trades={number}.ndjson"), &[]);
    }
    let was = (counts(&place), status(&place)["sources"][0].clone(), generations(&place, "minutes"));
    assert_eq!(was.0["beyond_retention"], 1);
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = std::fs::remove_file(place.path(&format!("data/{name}")));
    }
    std::fs::remove_dir_all(place.path("data/checkpoint")).expect("the checkpoints");
    keep(&place, "trades=2.ndjson", &[]);
    assert_eq!((counts(&place), status(&place)["sources"][0].clone(), generations(&place, "minutes")), was);
}
