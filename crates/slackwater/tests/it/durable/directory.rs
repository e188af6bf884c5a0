//! What a directory says of itself: query, verify, explain, checkpoint; and what is kept where.

use super::{CONFIG, all, keep, place, trades};
use crate::program::{Place, lines};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn said(place: &Place, args: &[&str]) -> String {
    let ran = place.run(args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

#[test]
fn rows_are_asked_for_by_key_time_and_generation() {
    let place = place(2_000);
    keep(&place, "trades=events.ndjson", &[]);
    let every = lines(&said(&place, &["query", "--data", "data", "minutes"]));
    let plain = lines(&place.read("out.ndjson"));
    assert_eq!(every, plain.into_iter().filter(|row| row["pipeline"] == "minutes").collect::<Vec<_>>());
    let (from, to) = ("2026-01-01T00:03:00Z", "2026-01-01T00:06:00Z");
    let asked = ["query", "--data", "data", "minutes", "--key", "symbol=DEF", "--from", from, "--to", to];
    let some = lines(&said(&place, &asked));
    assert_eq!(some.len(), 3);
    assert!(some.iter().all(|row| row["symbol"] == "DEF"));
    let csv = said(&place, &[&asked[..], &["--format", "csv"]].concat());
    assert_eq!(csv.lines().count(), 4);
    let table = said(&place, &[&asked[..], &["--format", "table"]].concat());
    assert!(table.starts_with("symbol  window_start "), "{table}");
    let before = said(&place, &["query", "--data", "data", "minutes", "--as-of", "2020-01-01T00:00:00Z"]);
    assert_eq!(before, "", "nothing was known then");
    for (wrong, hint) in [
        (vec!["minute"], "did you mean `minutes`?"),
        (vec!["minutes", "--key", "symbl=A"], "did you mean `symbol`?"),
        (vec!["minutes", "--key", "A"], "there is no such column"),
        (vec![], "name a pipeline"),
    ] {
        let ran = place.run(&[&["query", "--data", "data"][..], &wrong].concat());
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(hint), "{}", ran.err);
    }
    let nowhere = place.run(&["query", "--data", "nowhere", "minutes"]);
    assert!(nowhere.code == 2 && nowhere.err.contains("no data directory"), "{}", nowhere.err);
}

#[test]
fn a_row_is_explained_by_its_facts_as_of_each_generation() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    place.write("later.ndjson", trades(500, 1_000));
    keep(&place, "trades=later.ndjson", &[]);
    for pipeline in ["minutes", "visits", "bars"] {
        let mut rows = super::generations(&place, pipeline);
        rows.retain(|row| row["removed"].is_null());
        assert!(rows.len() > 3);
        for row in rows.iter().step_by(rows.len() / 4) {
            let (symbol, start) =
                (row["symbol"].as_str().expect("a key"), row["window_start"].as_str().expect("a time"));
            let (key, generation) = (format!("symbol={symbol}"), row["generation"].to_string());
            let mut args =
                vec!["explain", "--data", "data", pipeline, start, "--key", &key, "--generation", &generation];
            let bar = row["bar"].to_string();
            if pipeline == "bars" {
                args.extend(["--bar", &bar]);
            }
            args.push("--json");
            let told = lines(&said(&place, &args));
            assert_eq!(told.last(), Some(row));
            if pipeline == "minutes" {
                assert_eq!(row["trades"].as_u64(), Some(told.len() as u64 - 1), "as many facts as it counts");
            }
        }
    }
}

#[test]
fn a_key_that_is_null_is_not_one_that_is_empty() {
    let place = Place::with(&CONFIG.replace("symbol = \"string\"", "symbol = \"string?\""));
    let trade = |id: u64, symbol: &str| {
        format!(r#"{{"id":{id},"symbol":{symbol},"ts":1767225600000,"price":1,"size":1}}"#) + "\n"
    };
    place.write("events.ndjson", trade(1, "null") + &trade(2, "\"\"") + &trade(3, "\"A\""));
    keep(&place, "trades=events.ndjson", &[]);
    for (key, symbol) in [("symbol", Value::Null), ("symbol=", "".into()), ("symbol=A", "A".into())] {
        let asked = ["query", "--data", "data", "minutes", "--key", key];
        let rows = lines(&said(&place, &asked));
        assert!(rows.len() == 1 && rows[0]["symbol"] == symbol, "{key}: {rows:?}");
        let explain = ["explain", "--data", "data", "minutes", "2026-01-01T00:00:00Z", "--key", key];
        assert!(said(&place, &explain).contains("the same bits"), "{key}");
    }
}

#[test]
fn a_session_that_became_part_of_another_is_explained() {
    let place = Place::with(CONFIG);
    let trade = |id: u64, second: u64| {
        let ts = 1_767_225_600_000 + second * 1_000;
        format!(r#"{{"id":{id},"symbol":"ABC","ts":{ts},"price":1,"size":1}}"#) + "\n"
    };
    for (file, second) in [("late.ndjson", 100), ("early.ndjson", 85)] {
        place.write(file, trade(second, second));
        keep(&place, &format!("trades={file}"), &[]);
    }
    for (generation, facts) in [("1", 1), ("2", 1)] {
        let args = ["explain", "--data", "data", "visits", "2026-01-01T00:01:40Z", "--generation", generation];
        let told = said(&place, &args);
        assert!(told.contains(&format!("facts {facts}, ")) && told.contains("the same bits"), "{told}");
    }
}

#[test]
fn what_was_changed_behind_the_store_s_back_is_found() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(place.run(&["verify", "--data", "data"]).code, 0);
    let store = place.path("data/store.sqlite");
    let whole = std::fs::read(&store).expect("a store");
    for change in [
        "DELETE FROM minutes_rows WHERE _row = (SELECT _row FROM minutes_rows LIMIT 1)",
        "UPDATE minutes_rows SET _body = zeroblob(40) WHERE _row = (SELECT _row FROM minutes_rows LIMIT 1)",
        "UPDATE minutes_rows SET _tick = 9",
        "UPDATE minutes_rows SET window_start = window_start + 60000000000 WHERE _row = (SELECT _row FROM minutes_rows LIMIT 1)",
        "UPDATE bars_rows SET close = '1.0000' WHERE _row = (SELECT _row FROM bars_rows LIMIT 1)",
        "DELETE FROM bars_current",
        "DELETE FROM quarantine WHERE number = 3",
        "UPDATE head SET digest = zeroblob(32)",
    ] {
        let connection = rusqlite::Connection::open(&store).expect("a store");
        connection.execute_batch(change).expect("a change");
        drop(connection);
        for command in [&["verify", "--data", "data"][..], &["query", "--data", "data", "visits"]] {
            let ran = place.run(command);
            assert_eq!(ran.code, 6, "{change}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("store.sqlite"), "{}", ran.err);
        }
        std::fs::write(&store, &whole).expect("as it was");
    }
    assert_eq!(place.run(&["verify", "--data", "data"]).code, 0);
}

#[test]
fn anyone_can_read_the_store_by_its_views() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    place.write("later.ndjson", trades(500, 1_000));
    keep(&place, "trades=later.ndjson", &[]);
    let connection = rusqlite::Connection::open(place.path("data/store.sqlite")).expect("a store");
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    let newest = place.read("out.ndjson").lines().filter(|line| line.contains(r#""pipeline":"minutes""#)).count();
    assert_eq!(count("SELECT count(*) FROM minutes_final"), newest as i64);
    assert_eq!(count("SELECT count(*) FROM minutes_history"), super::generations(&place, "minutes").len() as i64);
    assert_eq!(count("SELECT count(*) FROM minutes_provisional"), 0);
    assert!(count("SELECT sum(trades) FROM minutes_final WHERE symbol = 'ABC' AND tier = 'final'") > 100);
    assert_eq!(
        count("SELECT received FROM counts"),
        count("SELECT sum(facts+duplicates+superseded+conflicts+quarantined) FROM counts")
    );
}

#[test]
fn checkpoints_are_listed_and_verified() {
    let place = place(3_000);
    keep(&place, "trades=events.ndjson", &["--checkpoint", "3ms"]);
    let listed = lines(&said(&place, &["checkpoint", "list", "--data", "data", "--json"]));
    assert!(!listed.is_empty() && listed[0]["ticks"] == 1, "{listed:?}");
    let verified = said(&place, &["checkpoint", "verify", "--data", "data"]);
    assert!(verified.lines().all(|line| line.ends_with("; sound")), "{verified}");
    // Any file that a checkpoint names, damaged anywhere.
    for folder in ["archive", "index", "checkpoint", "journal"] {
        let mut names: Vec<_> = std::fs::read_dir(place.path("data").join(folder)).expect("a folder").collect();
        let path = names.pop().expect("a file").expect("an entry").path();
        let whole = std::fs::read(&path).expect("a file");
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 0x10;
        std::fs::write(&path, &bytes).expect("written");
        let ran = place.run(&["checkpoint", "verify", "--data", "data", "--json"]);
        assert_eq!(ran.code, 6, "{folder}: {}", ran.out);
        assert!(ran.out.contains(r#""sound":false"#), "{}", ran.out);
        std::fs::write(&path, &whole).expect("as it was");
    }
}

#[test]
fn a_directory_is_its_owner_s_only_and_holds_no_name_of_an_event() {
    fn walk(folder: &Path, found: &mut Vec<(String, u32)>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            found.push((path.display().to_string(), mode));
            if path.is_dir() {
                walk(&path, found);
            }
        }
    }
    let place = Place::with(CONFIG);
    place.write("e.ndjson", trades(0, 500).replace("ABC", "../../evil"));
    keep(&place, "trades=e.ndjson", &[]);
    let mut found =
        vec![("data".to_string(), std::fs::metadata(place.path("data")).expect("there").permissions().mode() & 0o777)];
    walk(&place.path("data"), &mut found);
    assert!(found.len() > 10);
    for (name, mode) in found {
        assert!(mode == 0o700 || mode == 0o600, "{name} has mode {mode:o}");
        assert!(!name.contains("evil"), "{name}");
    }
    assert!(all(&place).iter().any(|row| row["symbol"] == "../../evil"));
}

/// The configuration, with `keep_raw`, and a journal in short segments, so that it becomes record.
fn keeping(raw: &str) -> String {
    CONFIG.replace("kind = \"files\"", &format!("kind = \"files\"\nkeep_raw = \"{raw}\""))
}

#[test]
fn the_bytes_of_events_are_left_out_where_that_is_asked_for() {
    let place = Place::with(&keeping("none"));
    place.write("events.ndjson", trades(0, 2_000));
    let kept = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(keep(&place, "trades=events.ndjson", &[]).out, kept.out);
}

#[test]
fn what_events_hold_steers_no_terminal() {
    let place = Place::with(CONFIG);
    place.write("in.ndjson", r#"{"id":1,"symbol":"A: idle\nB\u001b[31m\u202e","ts":1767225600000,"price":1,"size":1}"#);
    let fold = ["fold", "-c", "c.toml", "--input", "trades=in.ndjson", "--out", "out.ndjson", "--data", "data"];
    let folded = place.run(&fold);
    assert_eq!(folded.code, 0, "{}", folded.err);
    let table = place.run(&["query", "--data", "data", "minutes", "--format", "table"]);
    assert!(
        !folded.err.contains('\u{1b}') && !table.out.contains(['\u{1b}', '\u{202e}']),
        "{}{}",
        folded.err,
        table.out
    );
    assert!(table.out.contains(r"A: idle\nB\u{1b}[31m\u{202e}"), "{}", table.out);
}

#[test]
fn a_directory_keeps_windows_whose_bounds_are_no_64_bits() {
    let config = CONFIG
        .replace("timestamp_ms", "timestamp_ns")
        .replace("volume_bar(size, 500)", "volume_bar(size, 500, 'split', 'day UTC')");
    let place = Place::with(&config);
    let trade =
        |(id, ts): (usize, &i64)| format!("{{\"id\":{id},\"symbol\":\"ABC\",\"ts\":{ts},\"price\":1,\"size\":300}}\n");
    let times = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];
    place.write("events.ndjson", times.iter().enumerate().map(trade).collect::<String>());
    let kept = keep(&place, "trades=events.ndjson", &[]);
    let plain = place.fold(&["trades=events.ndjson"], &[]);
    assert_eq!(kept.summary["root"], plain.summary["root"]);
    for command in [&["verify", "--data", "data", "--permute", "1"][..], &["checkpoint", "verify", "--data", "data"]] {
        let ran = place.run(command);
        assert_eq!(ran.code, 0, "{command:?}: {}", ran.err);
    }
    // Each is asked for by what an output says of it.
    for row in all(&place) {
        let (pipeline, start) =
            (row["pipeline"].as_str().expect("a name"), row["window_start"].as_str().expect("a time"));
        let mut args = vec!["explain", "--data", "data", pipeline, start, "--json"];
        let bar = row["bar"].to_string();
        if !row["bar"].is_null() {
            args.extend(["--bar", &bar]);
        }
        assert_eq!(lines(&said(&place, &args)).last(), Some(&row));
        let from = lines(&said(&place, &["query", "--data", "data", pipeline, "--from", start]));
        assert!(from.contains(&row), "{row}");
    }
    // They have their places in the order of the others.
    let connection = rusqlite::Connection::open(place.path("data/store.sqlite")).expect("a store");
    for (table, column) in
        [("minutes", "window_start"), ("minutes", "window_end"), ("visits", "window_end"), ("bars", "anchor")]
    {
        let text = format!(
            "SELECT count(*), sum(typeof({column}) = 'real'), sum({column} < -9e18), sum({column} > 9e18) FROM {table}_final"
        );
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?));
        let (all, beyond, before, after): (i64, i64, i64, i64) =
            connection.query_row(&text, [], read).expect("a count");
        assert!(
            beyond > 0 && before > 0 && after > 0 && before + after < all,
            "{table} {column}: {all} {beyond} {before} {after}"
        );
    }
}

#[test]
fn a_limit_of_files_is_a_full_disk_and_ends_no_process() {
    let place = Place::with(CONFIG);
    // Hard to compress, and of one minute: the journal is the first to be too long.
    let trade = |n: u64| crate::durable::retained::trade(n * 7_919 % 1_000_003, 0, 0.0, n * 104_729 % 9_999_991);
    place.write("in.ndjson", (1..40_000).map(trade).collect::<String>());
    let fold = "\"$SLACKWATER\" fold -c c.toml --input trades=in.ndjson --out out.ndjson --data data";
    let limited = place.shell(&format!("ulimit -f 512; {fold}"));
    assert!(limited.code == 6 && limited.err.contains("File too large"), "{} {}", limited.code, limited.err);
    assert_eq!(place.shell(fold).code, 0);
    let whole = place.shell("\"$SLACKWATER\" fold -c c.toml --input trades=in.ndjson --out whole.ndjson");
    assert_eq!((whole.code, place.read("out.ndjson")), (0, place.read("whole.ndjson")));
}
