//! The demo: it runs, it is right, and it cannot be right by doing nothing.

use crate::program::{Place, conserved};
use serde_json::Value;

fn demo(place: &Place, seed: &str, threads: &str, more: &[&str]) -> Value {
    let args = ["demo", "--fold", "--trades", "20000", "--seed", seed, "--threads", threads, "--json"];
    let ran = place.run(&[&args[..], more].concat());
    assert_eq!(ran.code, 0, "seed {seed}: {}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).expect("one JSON object")
}

#[test]
fn every_final_is_bit_identical_to_the_exchanges_own_truth_for_any_seed_and_threads() {
    let mut roots = Vec::new();
    for seed in ["0", "1", "2", "77", "18446744073709551615"] {
        let [one, two] = ["1", "2"].map(|threads| demo(&Place::new(), seed, threads, &[]));
        for said in [&one, &two] {
            let finals = said["finals"].as_u64().expect("a count");
            assert!(finals > 3_000, "seed {seed}: {said}");
            assert_eq!((said["truth"].as_u64(), said["bit_identical"].as_u64()), (Some(finals), Some(finals)));
            assert_eq!(said["accounted"], true);
            let summary = conserved(&said["summary"].to_string());
            for hostile in ["duplicates", "superseded", "conflicts", "quarantined"] {
                assert!(summary[hostile].as_u64() > Some(0), "seed {seed} has no {hostile}: {summary}");
            }
            assert!(summary["reasons"].as_object().is_some_and(|reasons| reasons.len() >= 6), "{summary}");
        }
        assert_eq!(one["root"], two["root"], "seed {seed}: threads show");
        roots.push(one["root"].clone());
    }
    roots.dedup();
    assert_eq!(roots.len(), 5, "another seed is another session");
}

#[test]
fn a_person_is_told_how_many_are_identical_and_how_fast_it_went() {
    let ran = Place::new().run(&["demo", "--fold", "--trades", "1000", "--seed", "5"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let last: Vec<&str> = ran.out.lines().rev().take(3).collect();
    assert!(last[0].ends_with(" events/s"), "{}", ran.out);
    assert!(last[1].starts_with("received ") && last[1].ends_with(" + in flight 0"), "{}", ran.out);
    let numbers: Vec<u64> = last[2].split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    assert!(last[2].ends_with(" bit-identical") && numbers[0] > 500, "{}", ran.out);
    assert_eq!(numbers, [numbers[0]; 3], "{}", ran.out);
}

#[test]
fn the_files_it_keeps_fold_to_the_same_root() {
    let place = Place::new();
    let said = demo(&place, "9", "2", &["--keep", "kept/here"]);
    let names = ["bars.ndjson", "demo.toml", "refused.ndjson", "trades.ndjson"];
    assert!(names.iter().all(|name| place.has(&format!("kept/here/{name}"))));
    let args =
        ["fold", "-c", "kept/here/demo.toml", "--input", "trades=kept/here/trades.ndjson", "--out", "again.ndjson"];
    let ran = place.run(&[&args[..], &["--quarantine", "refused.ndjson", "--json", "--threads", "1"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let summary = conserved(&ran.err);
    assert_eq!(summary["root"], said["root"]);
    assert_eq!(place.read("again.ndjson"), place.read("kept/here/bars.ndjson"));
    let count = |name: &str| place.read(name).lines().count();
    assert_eq!(count("refused.ndjson"), count("kept/here/refused.ndjson"));
}

#[test]
fn its_truth_is_of_the_events_and_would_notice_one_that_is_missing() {
    let place = Place::new();
    let said = demo(&place, "3", "2", &["--keep", "kept"]);
    let trades = place.read("kept/trades.ndjson");
    let facts: Vec<&str> = trades.lines().collect();
    place.write("less.ndjson", facts[..facts.len() - facts.len() / 50].join("\n"));
    let ran = place.run(&[
        "fold",
        "-c",
        "kept/demo.toml",
        "--input",
        "trades=less.ndjson",
        "--out",
        "less_out.ndjson",
        "--json",
    ]);
    assert_ne!(conserved(&ran.err)["root"], said["root"]);
}

#[test]
fn a_place_that_cannot_be_written_to_is_said_to_be_so() {
    let place = Place::new();
    place.write("file", "");
    let ran = place.run(&["demo", "--fold", "--trades", "1000", "--keep", "file/x"]);
    assert_eq!(ran.code, 5);
    assert!(ran.err.starts_with("error: file/x/trades.ndjson: ") && ran.err.contains("--keep"), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_does_not_change_how_it_ends() {
    let place = Place::new();
    assert_eq!(place.run_unheard(&["demo", "--fold", "--trades", "1000"]), 0);
    assert_eq!(place.run_unheard(&["demo", "--fold", "--trades", "1000", "--json"]), 0);
}

#[test]
fn a_service_that_is_killed_meanwhile_gives_what_a_fold_of_the_same_trades_gives() {
    let place = Place::new();
    let args = ["demo", "--trades", "20000", "--seed", "4", "--threads", "2"];
    let ran = place.run(&[&args[..], &["--json", "--keep", "kept"]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let said: Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let finals = said["finals"].as_u64().expect("a count");
    assert!(finals > 3_000 && said["accounted"] == true, "{said}");
    assert_eq!((said["truth"].as_u64(), said["bit_identical"].as_u64()), (Some(finals), Some(finals)));
    assert_eq!(said["root"], demo(&Place::new(), "4", "1", &[])["root"]);
    let query = place.run(&["query", "bars", "--data", "kept/data", "--json"]);
    assert_eq!(query.out.lines().count() as u64, finals, "{}", query.err);
}
