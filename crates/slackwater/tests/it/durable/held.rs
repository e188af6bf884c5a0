//! Late facts that are held: what stays sealed meanwhile, and what a release makes of it.

use super::killed::torment;
use super::{CONFIG, all, durable, generations, keep, place, trades};
use crate::program::{Place, lines};
use serde_json::Value;
use std::collections::BTreeSet;

fn holding() -> String {
    CONFIG.replace("op = \"op\"\n", "op = \"op\"\nlate = \"hold\"\n")
}

fn trade(id: u64, more: &str, second: u64, price: &str) -> String {
    let ts = 1_767_225_600_000 + second * 1_000;
    format!(r#"{{"id":{id},{more}"symbol":"ABC","ts":{ts},"price":{price},"size":10}}"#) + "\n"
}

fn held(place: &Place, more: &[&str]) -> Vec<Value> {
    let ran = place.run(&[&["source", "held", "--data", "data", "--limit", "100000"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    lines(&ran.out)
}

fn release(place: &Place, more: &[&str]) -> u64 {
    let ran = place.run(&[&["source", "release", "trades", "--data", "data", "--json"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str::<Value>(&ran.out).expect("JSON")["released"].as_u64().expect("a number")
}

/// Every newest row equals a recomputation from the archive, without what is held.
fn verified(place: &Place) {
    let ran = place.run(&["verify", "--data", "data", "--permute", "2", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

fn explained(place: &Place, generation: &str) -> usize {
    let args = ["explain", "--data", "data", "minutes", "--key", "symbol=ABC", "2026-01-01T00:00:00Z", "--json"];
    let ran = place.run(&[&args[..], &["--generation", generation]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.out.lines().count() - 1
}

/// What rows say, whatever way they took.
fn said(rows: &[Value]) -> BTreeSet<String> {
    let digest = |row: &Value| format!("{} {}", row["pipeline"], row["digest"]);
    rows.iter().map(digest).collect()
}

#[test]
fn a_late_fact_is_held_until_it_is_released_and_counts_from_then_on() {
    let place = Place::with(&holding());
    place.write("first.ndjson", [trade(1, "", 5, "1.5"), trade(2, "", 65, "2.5")].concat());
    // A late fact, one in a new minute, a late one that is corrected and one that is retracted while they are held.
    let late = [trade(3, "", 10, "9"), trade(4, "", 725, "4"), trade(5, "", 20, "7"), trade(6, "", 21, "6")].concat();
    let mended = [trade(5, r#""v":1,"#, 22, "8"), trade(6, r#""v":1,"op":"retract","#, 0, "0")].concat();
    place.write("second.ndjson", late);
    place.write("third.ndjson", mended);
    keep(&place, "trades=first.ndjson", &[]);
    let sealed = all(&place);
    let kept = keep(&place, "trades=second.ndjson", &[]);
    // The one in a new minute would go on with the last bar, which the end of the first file had ended.
    assert_eq!((kept.summary["held"].as_u64(), kept.summary["facts"].as_u64()), (Some(4), Some(6)));
    assert!(sealed.iter().all(|row| all(&place).contains(row)), "no sealed row has moved");
    assert!(all(&place).iter().all(|row| row["generation"] == 1), "and none has a further generation");
    let of_minutes = held(&place, &["trades", "--pipeline", "minutes"]);
    assert_eq!(of_minutes.len(), 3);
    let first = &of_minutes[0];
    assert_eq!(first["key"], serde_json::json!({ "symbol": "ABC" }));
    assert_eq!(first["window_start"], "2026-01-01T00:00:00Z");
    assert_eq!((&first["part"], &first["line"], &first["fact"]["id"]), (&"second.ndjson".into(), &1.into(), &3.into()));
    verified(&place);
    assert_eq!(keep(&place, "trades=third.ndjson", &[]).summary["held"], 3);
    let of_minutes = held(&place, &["--pipeline", "minutes"]);
    let prices: Vec<&Value> = of_minutes.iter().map(|fact| &fact["fact"]["price"]).collect();
    assert_eq!(prices, ["9.0000", "8.0000"], "as they are now");
    assert!(sealed.iter().all(|row| all(&place).contains(row)), "a held fact is corrected without a generation");
    verified(&place);
    assert_eq!(explained(&place, "1"), 1);
    // One of them, then all.
    let number = of_minutes[0]["number"].to_string();
    assert_eq!(release(&place, &["--number", &number]), 1);
    assert!(place.run(&["source", "release", "trades", "--data", "data", "--number", &number]).code != 0);
    verified(&place);
    assert!(release(&place, &[]) > 1);
    assert_eq!((release(&place, &[]), held(&place, &[]).len()), (0, 0), "nothing is released twice");
    let rows = generations(&place, "minutes");
    let start = |row: &&Value| row["window_start"] == "2026-01-01T00:00:00Z";
    let told: Vec<_> = rows.iter().filter(start).map(|row| (row["cause"].as_str(), row["trades"].as_u64())).collect();
    assert_eq!(told, [(Some("seal"), Some(1)), (Some("release"), Some(2)), (Some("release"), Some(3))]);
    verified(&place);
    assert_eq!((explained(&place, "1"), explained(&place, "2"), explained(&place, "3")), (1, 2, 3));
    let again = keep(&place, "trades=third.ndjson", &[]);
    let plain = ["trades=first.ndjson", "trades=second.ndjson", "trades=third.ndjson"];
    assert_eq!(said(&lines(&again.out)), said(&place.fold(&plain, &[]).rows));
}

#[test]
fn any_files_in_any_order_end_with_the_rows_of_one_once_what_was_held_is_released() {
    let place = place(2_400);
    place.write("c.toml", holding());
    let plain = said(&place.fold(&["trades=events.ndjson"], &[]).rows);
    for (number, order) in [["c", "a", "b"], ["b", "c", "a"]].into_iter().enumerate() {
        for name in order {
            let from = match name {
                "a" => 0,
                "b" => 800,
                _ => 1_600,
            };
            place.write(&format!("{name}.ndjson"), trades(from, 800));
            keep(&place, &format!("trades={name}.ndjson"), &["--checkpoint", "5ms"]);
            if number == 1 {
                release(&place, &[]);
            }
        }
        assert!(number == 1 || release(&place, &[]) > 0, "something was held");
        verified(&place);
        let kept = keep(&place, "trades=a.ndjson", &[]);
        assert_eq!((said(&lines(&kept.out)), kept.summary["held"].as_u64()), (plain.clone(), Some(0)), "{order:?}");
        std::fs::remove_dir_all(place.path("data")).expect("the directory");
    }
}

#[test]
fn what_is_held_is_the_same_however_often_a_fold_is_killed() {
    let run = |tormented: bool| {
        let place = place(3_000);
        place.write("c.toml", holding());
        place.write("later.ndjson", trades(2_000, 4_000));
        keep(&place, "trades=events.ndjson", &[]);
        let later = durable("trades=later.ndjson", &["--generations", "--checkpoint", "3ms"]);
        if tormented {
            assert!(torment(&place, &later, 11) > 2);
        } else {
            assert_eq!(place.run(&later).code, 0);
        }
        // Times of ticks are those of the clock.
        let told = |fact: &Value| {
            let mut fact = fact.clone();
            fact.as_object_mut().expect("a fact").remove("since");
            fact
        };
        let waiting: Vec<Value> = held(&place, &[]).iter().map(told).collect();
        if tormented {
            torment(&place, &["source", "release", "trades", "--data", "data"], 3);
            // Store and checkpoints are views of what is held, too.
            std::fs::remove_dir_all(place.path("data/checkpoint")).expect("checkpoints");
            std::fs::remove_file(place.path("data/store.sqlite")).expect("a store");
            keep(&place, "trades=later.ndjson", &[]);
        } else {
            assert!(release(&place, &[]) > 100);
        }
        verified(&place);
        let rows: Vec<String> = ["minutes", "visits", "bars"]
            .into_iter()
            .flat_map(|pipeline| generations(&place, pipeline))
            .map(|row| format!("{} {} {} {}", row["pipeline"], row["digest"], row["generation"], row["cause"]))
            .collect();
        (waiting, rows)
    };
    let undisturbed = run(false);
    assert!(
        undisturbed.1.iter().any(|row| row.contains("release"))
            && !undisturbed.1.iter().any(|row| row.contains("late"))
    );
    assert_eq!(run(true), undisturbed);
}
