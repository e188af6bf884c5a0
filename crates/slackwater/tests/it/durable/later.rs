//! Files that come later: what they add, what they change, and what they leave alone.

use super::{CONFIG, all, generations, keep, place, trades};
use crate::program::Place;
use serde_json::Value;

fn row<'a>(rows: &'a [Value], start: &str, generation: u64) -> &'a Value {
    let found = rows.iter().find(|row| row["window_start"] == start && row["generation"] == generation);
    found.unwrap_or_else(|| panic!("no generation {generation} at {start} in {rows:#?}"))
}

fn trade(id: u64, more: &str, second: u64, price: &str) -> String {
    let ts = 1_767_225_600_000 + second * 1_000;
    format!(r#"{{"id":{id},{more}"symbol":"ABC","ts":{ts},"price":{price},"size":10}}"#) + "\n"
}

#[test]
fn the_same_command_again_changes_nothing() {
    let place = place(3_000);
    let first = keep(&place, "trades=events.ndjson", &[]);
    let (rows, journal) = (all(&place), std::fs::read(place.path("data/journal/00000000000000000001")).expect("there"));
    let again = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!((again.out, again.summary["root"].clone()), (first.out, first.summary["root"].clone()));
    assert_eq!(all(&place), rows);
    assert_eq!(std::fs::read(place.path("data/journal/00000000000000000001")).expect("there"), journal);
}

#[test]
fn a_whole_file_loaded_again_changes_no_row() {
    let place = place(3_000);
    let first = keep(&place, "trades=events.ndjson", &[]);
    let rows = all(&place);
    place.write("copy.ndjson", trades(0, 3_000));
    let again = keep(&place, "trades=copy.ndjson", &[]);
    assert_eq!((again.out, all(&place)), (first.out, rows));
    assert_eq!(again.summary["facts"], first.summary["facts"]);
    assert_eq!(again.summary["received"].as_u64(), first.summary["received"].as_u64().map(|received| received * 2));
}

#[test]
fn facts_of_a_later_file_make_the_next_generation_of_what_was_sealed() {
    let place = Place::with(CONFIG);
    place.write("first.ndjson", [trade(1, "", 5, "1.5"), trade(2, "", 65, "2.5")].concat());
    // One fact in a sealed minute, one in a new one, a correction that changes a minute, a retraction that empties one.
    place.write("second.ndjson", [trade(3, "", 10, "9"), trade(4, "", 125, "4")].concat());
    place
        .write("third.ndjson", [trade(3, r#""v":1,"#, 10, "8"), trade(2, r#""v":1,"op":"retract","#, 0, "0")].concat());
    keep(&place, "trades=first.ndjson", &[]);
    keep(&place, "trades=second.ndjson", &[]);
    let rows = generations(&place, "minutes");
    assert_eq!(rows.len(), 4);
    let (first, second, third) = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z");
    assert_eq!((&row(&rows, first, 2)["cause"], &row(&rows, first, 2)["high"]), (&"late".into(), &"9.0000".into()));
    assert_eq!(row(&rows, second, 1)["cause"], "seal");
    assert_eq!(row(&rows, third, 1)["cause"], "seal", "a row that no earlier end sealed is not late");
    let third_run = keep(&place, "trades=third.ndjson", &[]);
    let rows = generations(&place, "minutes");
    assert_eq!(
        (&row(&rows, first, 3)["cause"], &row(&rows, first, 3)["high"]),
        (&"correction".into(), &"8.0000".into())
    );
    let emptied = row(&rows, second, 2);
    assert_eq!((&emptied["cause"], &emptied["removed"]), (&"retraction".into(), &true.into()));
    assert_eq!(rows.len(), 6);
    let starts = format!(r#""window_start":"{second}""#);
    assert!(!third_run.out.contains(&starts), "a removed row is left out of the newest ones");
    let newest = |name: &str| place.read("out.ndjson").lines().filter(|line| line.contains(name)).count();
    assert_eq!(newest("minutes"), 2);
}

#[test]
fn a_session_that_parts_shows_what_having_hid_of_it() {
    let calm = "[pipeline.calm]\nsql = \"SELECT symbol, count(*) AS trades FROM trades \
                GROUP BY symbol, session(ts, INTERVAL '20 seconds') HAVING max(price) < 100\"\n";
    let place = Place::with(&format!("{CONFIG}{calm}"));
    place.write("first.ndjson", [trade(1, "", 0, "500"), trade(2, "", 15, "1"), trade(3, "", 30, "2")].concat());
    // What ties the third to the first goes: by a retraction, or because it is elsewhere now.
    place.write("gone.ndjson", trade(2, r#""v":1,"op":"retract","#, 0, "0"));
    place.write("moved.ndjson", trade(2, r#""v":1,"#, 600, "1"));
    for (then, starts) in [
        ("gone.ndjson", &["2026-01-01T00:00:30Z"][..]),
        ("moved.ndjson", &["2026-01-01T00:00:30Z", "2026-01-01T00:10:00Z"]),
    ] {
        let _ = std::fs::remove_dir_all(place.path("data"));
        keep(&place, "trades=first.ndjson", &[]);
        assert!(generations(&place, "calm").is_empty(), "its one session is hidden");
        let later = keep(&place, &format!("trades={then}"), &[]);
        let rows = generations(&place, "calm");
        let found: Vec<_> = rows.iter().map(|row| row["window_start"].as_str().expect("a start")).collect();
        assert_eq!(found, starts);
        assert!(rows.iter().all(|row| (&row["generation"], &row["trades"]) == (&1.into(), &1.into())), "{rows:#?}");
        let whole = place.fold(&["trades=first.ndjson", &format!("trades={then}")], &[]);
        let newest = |out: &str| out.lines().filter(|line| line.contains("calm")).map(String::from).collect::<Vec<_>>();
        assert_eq!(newest(&later.out), newest(&whole.bytes));
    }
}

#[test]
fn any_files_in_any_order_end_with_the_rows_of_one() {
    let place = place(2_400);
    let plain = place.fold(&["trades=events.ndjson"], &[]);
    let strip = |rows: &[Value]| -> Vec<Value> {
        let mut rows = rows.to_vec();
        for row in &mut rows {
            let row = row.as_object_mut().expect("a row");
            row.remove("generation");
            row.remove("cause");
        }
        rows
    };
    for (name, from) in [("c", 1_600), ("a", 0), ("b", 800)] {
        place.write(&format!("{name}.ndjson"), trades(from, 800));
        keep(&place, &format!("trades={name}.ndjson"), &["--checkpoint", "5ms"]);
    }
    let rows = crate::program::lines(&place.read("out.ndjson"));
    assert_eq!(strip(&rows), strip(&plain.rows));
    let verified = place.run(&["verify", "--data", "data", "--permute", "3", "--json"]);
    assert_eq!(verified.code, 0, "{}", verified.out);
}

#[test]
fn versions_in_all_six_orders_end_at_the_third() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let place = Place::with(CONFIG);
        for version in order {
            let name = format!("{version}.ndjson");
            place.write(&name, trade(1, &format!(r#""v":{version},"#), 5, &format!("{version}")));
            keep(&place, &format!("trades={name}"), &[]);
        }
        let rows = generations(&place, "minutes");
        let newest = rows.iter().max_by_key(|row| row["generation"].as_u64()).expect("a row");
        assert_eq!(newest["close"], "3.0000", "{order:?}");
        // The second version once more, behind the third.
        place.write("again.ndjson", trade(1, r#""v":2,"#, 5, "2"));
        keep(&place, "trades=again.ndjson", &[]);
        assert_eq!(generations(&place, "minutes"), rows);
    }
}

#[test]
fn a_file_that_grew_goes_on_behind_its_old_end() {
    let place = place(2_000);
    keep(&place, "trades=events.ndjson", &[]);
    place.write("events.ndjson", trades(0, 3_000));
    let grown = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(grown.notes, Vec::<String>::new());
    assert_eq!(grown.summary["received"].as_u64(), Some(trades(0, 3_000).lines().count() as u64));
}

#[test]
fn a_file_that_was_changed_is_read_from_its_beginning_and_says_so() {
    let place = place(2_000);
    keep(&place, "trades=events.ndjson", &[]);
    let before = all(&place);
    let changed = trades(0, 2_000).replacen(r#""symbol":"ABC""#, r#""symbol": "ABC""#, 1);
    place.write("events.ndjson", &changed);
    let again = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(again.notes.len(), 1);
    assert!(again.notes[0].contains("is not what it was when it was read before"), "{}", again.notes[0]);
    assert_eq!(all(&place), before, "one space more is the same event");
}
