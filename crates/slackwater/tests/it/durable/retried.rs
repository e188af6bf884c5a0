//! Events in quarantine of a directory: judged again once their guard is wider, refused again, and discarded.

use super::killed::torment;
use super::{CONFIG, all, durable, generations, keep, place};
use crate::program::{Place, lines};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Trades that cost too much are refused.
fn narrow() -> String {
    CONFIG.replace("require = [\"size >= 0\"]", "require = [\"price < 40\", \"size >= 0\"]")
}

fn deal(place: &Place, verb: &str, more: &[&str]) -> Value {
    let ran = place.run(&[&["quarantine", verb, "--data", "data", "--json"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn listed(place: &Place, more: &[&str]) -> Vec<Value> {
    let ran = place.run(&[&["quarantine", "list", "--data", "data", "--limit", "100000"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    lines(&ran.out)
}

fn status(place: &Place) -> Value {
    let ran = place.run(&["status", "--data", "data", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn counts(place: &Place) -> Value {
    status(place)["sources"][0]["counts"].clone()
}

fn verified(place: &Place) {
    let ran = place.run(&["verify", "--data", "data", "--permute", "2", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

/// What rows say, whatever way they took.
fn said(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(|row| format!("{} {}", row["pipeline"], row["digest"])).collect()
}

fn removed(place: &Place, names: &[&str]) {
    for name in names {
        let path = place.path("data").join(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.expect("it was there");
    }
}

#[test]
fn what_is_released_under_wider_guards_gives_the_rows_of_a_fold_that_had_them_all_along() {
    let place = place(3_000);
    let plain = place.fold(&["trades=events.ndjson"], &[]);
    place.write("c.toml", narrow());
    let first = keep(&place, "trades=events.ndjson", &["--checkpoint", "5ms"]).summary;
    let refused = first["reasons"]["require"].as_u64().expect("a count");
    assert!(refused > 1_000, "{first}");
    let costly = listed(&place, &["--reason", "require"]);
    assert_eq!(costly.len() as u64, refused);
    assert!(costly.iter().any(|event| event["guard"] == "price < 40"));
    // Under the same guards nothing comes of it, and nothing is written.
    let before = status(&place);
    let nothing = deal(&place, "release", &["--all"]);
    assert_eq!((&nothing["released"], nothing["refused_again"].as_u64()), (&json!(0), first["quarantined"].as_u64()));
    let told = |status: Value| (status["ticks"].clone(), status["sources"].clone());
    assert_eq!(told(status(&place)), told(before));
    // The guards of the configuration count from here on, and alter nothing that was judged.
    place.write("c.toml", CONFIG);
    let again = keep(&place, "trades=events.ndjson", &[]).summary;
    assert_eq!((&again["reasons"], &again["root"]), (&first["reasons"], &first["root"]));
    let one = costly[0]["number"].to_string();
    assert_eq!(deal(&place, "release", &[&one])["released"], 1);
    assert_eq!(deal(&place, "release", &[&one])["released"], 0, "twice is once");
    let released = deal(&place, "release", &["--source", "trades", "--reason", "require"]);
    let still = plain.summary["reasons"]["require"].as_u64().expect("a count");
    assert_eq!(released["released"], refused - still - 1, "{released}");
    assert_eq!(released["refused_again"], still, "what is below zero stays, and names its own guard");
    let left = listed(&place, &["--reason", "require"]);
    assert!(left.len() as u64 == still && left.iter().all(|event| event["guard"] == "size >= 0"));
    assert_eq!(deal(&place, "release", &["--reason", "require"])["released"], 0, "twice is once");
    // Every event is accounted for as if the guards had been wide all along.
    let (mine, wide) = (counts(&place), &plain.summary);
    let rest = |of: &Value| ["duplicates", "superseded", "conflicts"].map(|name| of[name].as_u64().expect("a count"));
    assert_eq!((&mine["received"], &mine["facts"]), (&wide["received"], &wide["facts"]));
    assert_eq!(rest(&mine).iter().sum::<u64>(), rest(wide).iter().sum::<u64>());
    assert_eq!(mine["quarantined"], wide["reasons"]);
    verified(&place);
    let now = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(said(&lines(&now.out)), said(&plain.rows));
    let causes: BTreeSet<String> = all(&place).iter().map(|row| row["cause"].to_string()).collect();
    assert!(causes.contains("\"release\"") && !causes.contains("\"late\""), "{causes:?}");
    // Store and checkpoints are views: the journal alone gives the same.
    let (rows, rulings, now) = (all(&place), listed(&place, &["--all"]), counts(&place));
    let told = |rows: &[Value]| {
        let told = |row: &Value| format!("{} {} {}", row["digest"], row["generation"], row["cause"]);
        rows.iter().map(told).collect::<Vec<_>>()
    };
    for lost in [&["store.sqlite", "checkpoint"][..], &["store.sqlite"], &["checkpoint"]] {
        removed(&place, lost);
        keep(&place, "trades=events.ndjson", &[]);
        assert_eq!((told(&all(&place)), counts(&place)), (told(&rows), now.clone()), "{lost:?}");
        assert_eq!(listed(&place, &["--all"]), rulings, "{lost:?}");
    }
}

#[test]
fn events_that_are_known_by_their_places_keep_them_and_what_was_cut_stays() {
    let config = "
[source.trades]
kind = \"files\"
format = \"csv\"
identity = \"position\"
event_time = \"ts\"
GUARD
[source.trades.fields]
note = \"string\"
ts = \"timestamp_ms\"
price = \"decimal(18,4)\"
[pipeline.minutes]
sql = \"SELECT first(price) AS open, last(note) AS close, count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 minute')\"
";
    let mut events = String::from("ts,ignored,price,note\n");
    // Many of one time, so that only their places order them.
    for number in 0..600 {
        events +=
            &format!("{},x,{}.5,\"a, \"\"{number}\"\"\nb\"\n", 1_767_225_600_000u64 + number / 50 * 1_000, number);
    }
    events += &format!("1767225600000,x,1,{}\n", "a".repeat(300_000));
    let place = Place::with(&config.replace("GUARD", ""));
    place.write("events.csv", &events);
    let plain = place.fold(&["trades=events.csv"], &[]);
    place.write("c.toml", config.replace("GUARD", "max_time = \"2026-01-01T00:00:03Z\"\nrequire = [\"price < 120\"]"));
    keep(&place, "trades=events.csv", &[]);
    place.write("c.toml", config.replace("GUARD", ""));
    keep(&place, "trades=events.csv", &[]);
    let released = deal(&place, "release", &["--all"]);
    assert_eq!((&released["cut"], &released["refused_again"]), (&json!(1), &json!(0)), "{released}");
    let kept = keep(&place, "trades=events.csv", &[]);
    assert_eq!(said(&lines(&kept.out)), said(&plain.rows));
    assert_eq!(kept.summary["reasons"], plain.summary["reasons"]);
    let words = place.run(&["quarantine", "release", "--data", "data", "--all"]);
    assert!(words.out.contains("1 not released, for only the beginning of them was kept"), "{}", words.out);
    verified(&place);
}

#[test]
fn what_is_discarded_stays_in_quarantine_for_good_and_is_listed_no_more() {
    let place = place(1_000);
    place.write("c.toml", narrow());
    let twice =
        |price: u64| format!(r#"{{"id":99999,"symbol":"ABC","ts":1767225600000,"price":{price},"size":1}}"#) + "\n";
    place.write("twice.ndjson", twice(3) + &twice(4));
    keep(&place, "trades=events.ndjson", &[]);
    keep(&place, "trades=twice.ndjson", &[]);
    let (all_of_them, before) = (listed(&place, &[]), counts(&place));
    let refused: Vec<&Value> = all_of_them.iter().filter(|event| event["reason"] != "conflict").collect();
    let numbers: Vec<String> = refused.iter().take(2).map(|event| event["number"].to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let unknown = place.run(&["quarantine", "discard", "--data", "data", numbers[0], "4711"]);
    assert!(unknown.code == 2 && unknown.err.contains("no event of the number 4711"), "{}", unknown.err);
    assert_eq!(deal(&place, "discard", &numbers)["discarded"], 2);
    let twice = deal(&place, "discard", &numbers);
    assert_eq!((&twice["discarded"], &twice["discarded_before"]), (&json!(0), &json!(2)));
    assert_eq!(counts(&place), before, "a discarded event stays quarantined");
    assert_eq!(status(&place)["sources"][0]["discarded"], 2);
    assert_eq!(listed(&place, &[]).len(), all_of_them.len() - 2);
    let shown = listed(&place, &["--all"]);
    let gone: Vec<&Value> = shown.iter().filter(|event| event["became"] == "discarded").collect();
    assert!(shown.len() == all_of_them.len() && gone.len() == 2 && gone.iter().all(|event| event["since"].is_string()));
    place.write("c.toml", CONFIG);
    keep(&place, "trades=events.ndjson", &[]);
    let released = deal(&place, "release", &["--all"]);
    assert_eq!(released["discarded"], 2, "{released}");
    assert!(released["released"].as_u64() > Some(300) && released["conflicts"].as_u64() > Some(0), "{released}");
    let left = status(&place);
    assert_eq!(left["sources"][0]["discarded"], 2);
    verified(&place);
    removed(&place, &["store.sqlite", "checkpoint"]);
    keep(&place, "trades=events.ndjson", &[]);
    assert_eq!((&status(&place)["sources"], listed(&place, &["--all"]).len()), (&left["sources"], shown.len()));
    assert_eq!(deal(&place, "discard", &["--all"])["discarded_before"], 2);
    // It has to be said which are meant.
    for wrong in [&["--all", "--source", "trades"][..], &[], &["--reason", "boredom"], &["--source", "quotes"]] {
        let ran = place.run(&[&["quarantine", "release", "--data", "data"], wrong].concat());
        assert!(ran.code != 0, "{wrong:?}");
    }
}

#[test]
fn a_release_that_is_killed_anywhere_is_done_once() {
    let run = |tormented: bool| {
        let place = place(4_000);
        place.write("c.toml", narrow());
        keep(&place, "trades=events.ndjson", &["--checkpoint", "5ms"]);
        place.write("c.toml", CONFIG);
        if tormented {
            torment(&place, &durable("trades=events.ndjson", &[]), 5);
            let release = ["quarantine", "release", "--data", "data", "--reason", "require"];
            assert!(torment(&place, &release, 17) > 1);
            assert_eq!(deal(&place, "release", &["--all"])["released"], 0);
        } else {
            keep(&place, "trades=events.ndjson", &[]);
            assert!(deal(&place, "release", &["--reason", "require"])["released"].as_u64() > Some(1_000));
        }
        verified(&place);
        let newest = keep(&place, "trades=events.ndjson", &[]);
        (said(&lines(&newest.out)), counts(&place))
    };
    let undisturbed = run(false);
    assert_eq!(run(true), undisturbed);
    let place = place(4_000);
    assert_eq!(undisturbed.0, said(&place.fold(&["trades=events.ndjson"], &[]).rows));
}

#[test]
fn a_released_fact_counts_though_its_source_holds_what_is_late() {
    let place = place(500);
    let holds = |config: &str| config.replace("op = \"op\"\n", "op = \"op\"\nlate = \"hold\"\n");
    place.write("c.toml", holds(&narrow()));
    keep(&place, "trades=events.ndjson", &[]);
    place.write("c.toml", holds(CONFIG));
    keep(&place, "trades=events.ndjson", &[]);
    assert!(deal(&place, "release", &["--all"])["released"].as_u64() > Some(100));
    verified(&place);
    assert!(generations(&place, "minutes").iter().any(|row| row["cause"] == "release"));
    let kept = keep(&place, "trades=events.ndjson", &[]);
    assert_eq!(kept.summary["held"], 0);
    assert_eq!(said(&lines(&kept.out)), said(&place.fold(&["trades=events.ndjson"], &[]).rows));
}

/// So that where one step of a release ends and the next begins, or is interrupted, leaves no trace.
#[test]
fn rulings_stand_in_the_order_of_events_however_their_sources_alternate() {
    let source = |name: &str| {
        format!(
            "[source.{name}]\nkind = \"files\"\nformat = \"csv\"\nidentity = \"position\"\nevent_time = \"ts\"\nGUARD\n\
             [source.{name}.fields]\nts = \"timestamp_s\"\nprice = \"u64\"\n\
             [pipeline.{name}_seen]\nsql = \"SELECT count(*) AS n FROM {name} GROUP BY tumble(ts, INTERVAL '1 minute')\"\n"
        )
    };
    let config = source("bids") + &source("asks");
    let place = Place::with(&config.replace("GUARD", "require = [\"price < 5\"]"));
    place.write("events.csv", "ts,price\n1767225600,7\n1767225601,3\n1767225602,9\n");
    std::fs::copy(place.path("events.csv"), place.path("more.csv")).expect("a copy");
    for input in ["bids=events.csv", "asks=events.csv", "bids=more.csv", "asks=more.csv"] {
        keep(&place, input, &[]);
    }
    place.write("c.toml", config.replace("GUARD", "require = [\"price < 8\"]"));
    keep(&place, "asks=more.csv", &[]);
    assert_eq!(deal(&place, "release", &["--all"])["released"], 4);
    assert_eq!(deal(&place, "discard", &["--all"])["discarded"], 4);
    let store = rusqlite::Connection::open(place.path("data/store.sqlite")).expect("a store");
    let mut rulings = store.prepare("SELECT event, fate FROM rulings ORDER BY number").expect("a table");
    let rulings = rulings.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let rulings: Vec<(i64, String)> = rulings.collect::<Result<_, _>>().expect("sound rows");
    let numbers =
        |gone: bool| rulings.iter().filter(move |ruling| (ruling.1 == "discarded") == gone).map(|ruling| ruling.0);
    let (judged, discarded): (Vec<i64>, Vec<i64>) = (numbers(false).collect(), numbers(true).collect());
    assert_eq!((judged.len(), discarded.len()), (8, 4), "{rulings:?}");
    assert!(judged.is_sorted() && discarded.is_sorted(), "{rulings:?}");
}
