//! Arguments that are wrong, and the answers to them.

use super::CONFIG;
use crate::program::{Place, Ran, conserved};

fn place() -> Place {
    let place = Place::with(CONFIG);
    place.write("t.ndjson", "{\"id\":1,\"ts\":1,\"symbol\":\"A\",\"price\":2}\n");
    place.write("q.csv", "at,bid\n1,1.5\n3601,2.5\n");
    place
}

fn fold(place: &Place, args: &[&str]) -> Ran {
    place.run(&[&["fold", "-c", "c.toml"], args].concat())
}

const BOTH: [&str; 4] = ["--input", "trades=t.ndjson", "--input", "quotes=q.csv"];

#[test]
fn help_says_what_the_exit_codes_mean() {
    let help = Place::new().run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for code in [
        "Exit codes:",
        "0  done",
        "1  a result",
        "2  the command line",
        "3  the configuration",
        "4  an input",
        "5  an output",
    ] {
        assert!(help.out.contains(code), "{code}: {}", help.out);
    }
    let fold = Place::new().run(&["fold", "--help"]);
    assert_eq!(fold.code, 0);
    assert!(
        fold.out.contains("Exit codes: see `slackwater --help`") && fold.out.contains("--quarantine <PATH>"),
        "{}",
        fold.out
    );
    assert!(Place::new().run(&["--version"]).out.starts_with("slackwater "));
    for command in [&["config", "--help"][..], &["demo", "--help"], &["config", "check", "--help"]] {
        assert_eq!(Place::new().run(command).code, 0);
    }
}

#[test]
fn a_command_line_that_is_wrong_is_exit_code_two() {
    let place = place();
    for (args, said) in [
        (&["fodl"][..], "a similar subcommand exists: 'fold'"),
        (&["fold"], "--config <FILE>"),
        (&["fold", "-c", "c.toml", "--out", "o.ndjson"], "--input <SOURCE=PATH>"),
        (&["fold", "-c", "c.toml", "--out", "o.ndjson", "--input", "trades=t.ndjson", "--thread", "2"], "--threads"),
        (&["fold", "-c", "c.toml", "--out", "o.ndjson", "--input", "trades=t.ndjson", "--threads", "0"], "1..=256"),
        (&["demo", "--trades", "10"], "1000..=50000000"),
        (&["config"], "check"),
        (&[], "Usage: slackwater"),
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
}

#[test]
fn inputs_are_named_by_their_source() {
    let place = place();
    for (input, said) in [
        ("t.ndjson", "--input t.ndjson: write SOURCE=PATH, as in --input trades=trades.csv"),
        ("trade=t.ndjson", "--input trade=t.ndjson: there is no source `trade`; did you mean `trades`?"),
        ("zzz=t.ndjson", "--input zzz=t.ndjson: there is no source `zzz`; there are trades, quotes"),
    ] {
        let ran = fold(&place, &["--out", "o.ndjson", "--input", input]);
        assert_eq!((ran.code, place.has("o.ndjson")), (2, false));
        assert_eq!(ran.err, format!("error: {said}\n"));
    }
    let ran = fold(&place, &["--out", "o.ndjson", "--input", "trades=t.ndjson"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.err, "error: pipeline `bids` reads `quotes`, which has no input: add --input quotes=PATH\n");
    let ran = fold(&place, &["--out", "o.ndjson", "--input", "trades=-", "--input", "quotes=-"]);
    assert_eq!((ran.code, ran.err.as_str()), (2, "error: --input: standard input can be read once only\n"));
}

#[test]
fn pipelines_are_chosen_by_their_name() {
    let place = place();
    let ran = fold(&place, &["--out", "o.ndjson", "--input", "trades=t.ndjson", "--pipeline", "bras"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "error: --pipeline bras: there is no such pipeline; did you mean `bars`?\n")
    );
    let ran = fold(&place, &["--out", "o.ndjson", "--input", "trades=t.ndjson", "--pipeline", "zzz"]);
    assert_eq!(ran.err, "error: --pipeline zzz: there is no such pipeline; there are bars, bids\n");
    let ran = fold(&place, &["--out", "o.ndjson", "--input", "trades=t.ndjson", "--pipeline", "bars"]);
    assert_eq!(ran.code, 0, "the other pipeline's source needs no input then: {}", ran.err);
    assert_eq!(place.read("o.ndjson").lines().count(), 1);
}

#[test]
fn a_csv_file_holds_one_pipeline() {
    let place = place();
    let ran = fold(&place, &[&BOTH[..], &["--out", "o.csv"]].concat());
    assert_eq!((ran.code, place.has("o.csv")), (2, false));
    assert!(ran.err.contains("add --pipeline with one of bars, bids, or write .ndjson"), "{}", ran.err);
    let ran = fold(&place, &[&BOTH[..], &["--out", "o.csv", "--pipeline", "bids"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        place.read("o.csv").lines().next(),
        Some("pipeline,window_start,window_end,tier,generation,cause,removed,high,digest")
    );
}

#[test]
fn two_sources_are_counted_together_and_their_pipelines_apart() {
    let place = place();
    let ran = fold(&place, &[&BOTH[..], &["--out", "o.ndjson", "--json"]].concat());
    let summary = conserved(&ran.err);
    assert_eq!((ran.code, &summary["received"]), (0, &3.into()));
    assert_eq!(summary["rows"], serde_json::json!({"bars": 1, "bids": 2}));
    let names: Vec<String> =
        crate::program::lines(&place.read("o.ndjson")).iter().map(|row| row["pipeline"].to_string()).collect();
    assert_eq!(names, ["\"bars\"", "\"bids\"", "\"bids\""], "rows are sorted by pipeline first");
}

#[test]
fn the_root_digest_is_that_of_the_rows_digests() {
    let place = place();
    let ran = fold(&place, &[&BOTH[..], &["--out", "o.ndjson", "--json"]].concat());
    let mut hasher = blake3::Hasher::new();
    for row in crate::program::lines(&place.read("o.ndjson")) {
        let digest = row["digest"].as_str().expect("a digest");
        assert_eq!(digest.len(), 64);
        let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&digest[at..at + 2], 16).expect("hexadecimal"));
        hasher.update(&bytes.collect::<Vec<_>>());
    }
    assert_eq!(conserved(&ran.err)["root"], hasher.finalize().to_hex().as_str());
}

#[test]
fn a_configuration_is_checked_in_words_and_as_json() {
    let place = place();
    let ran = place.run(&["config", "check", "-c", "c.toml"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let plan = ran.out.strip_prefix("ok: sources 2, pipelines 2, plan ").expect("counts").trim_end().to_string();
    assert!(plan.len() >= 16 && plan.chars().all(|c| c.is_ascii_hexdigit()), "{plan}");
    let json = place.run(&["config", "check", "-c", "c.toml", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(said, serde_json::json!({"ok": true, "sources": 2, "pipelines": 2, "plan": plan}));
    place.write("d.toml", CONFIG.replace("max(bid)", "min(bid)"));
    assert!(!place.run(&["config", "check", "-c", "d.toml"]).out.contains(&plan), "another formula is another plan");
}

#[test]
fn a_schema_is_shown_in_words_and_as_json() {
    let place = place();
    let ran = place.run(&["config", "schema", "-c", "c.toml"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "source trades (files, json)\n  id      u64             identity\n  ts      timestamp_s     event_time\n  \
             symbol  string?\n  price   decimal(18,4)?\n  f       float64?\n\nsource quotes (files, csv)\n  \
             at   timestamp_s  event_time\n  bid  float64\n  identity: the position in the file\n\n\
             pipeline bars (from trades)\n  symbol  string         key\n  close   decimal(18,4)  selected\n  \
             trades  i64            selected\n\npipeline bids (from quotes)\n  high  float64  selected\n"
        )
    );
    let json = place.run(&["config", "schema", "-c", "c.toml", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((json.code, &said["pipelines"][0]["columns"][1]["name"]), (0, &"close".into()));
    assert_eq!(said["sources"][1]["identity"], "position");
}

#[test]
fn an_unknown_key_is_shown_with_a_caret_and_the_one_that_was_meant() {
    let place = Place::with(&CONFIG.replacen("event_time", "event_tiem", 1));
    for command in [
        &["config", "check", "-c", "c.toml"][..],
        &["config", "schema", "-c", "c.toml"],
        &["fold", "-c", "c.toml", "--out", "o.ndjson", "--input", "trades=t"],
    ] {
        let ran = place.run(command);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""));
        let shown = "error: unknown key `event_tiem` in [source.trades]\n --> c.toml:6:1\n  |\n6 | event_tiem = \"ts\"\n  | ^^^^^^^^^^\n  |\n  = help: did you mean `event_time`?\n";
        assert!(ran.err.contains(shown), "{}", ran.err);
        assert!(ran.err.ends_with("c.toml: 2 errors\n"), "{}", ran.err);
    }
}

#[test]
fn a_wrong_column_in_the_select_is_underlined_in_the_file() {
    let place = Place::with(&CONFIG.replace("last(price)", "last(prize)"));
    let ran = place.run(&["fold", "-c", "c.toml", "--out", "o.ndjson", "--input", "trades=t"]);
    assert_eq!(ran.code, 3);
    let (line, rest) = ran.err.split_once("SELECT symbol, last(prize)").expect("the line is shown");
    assert!(line.contains("error: `trades` has no field `prize`"), "{}", ran.err);
    let caret = rest.lines().nth(1).expect("a line below");
    assert_eq!(caret.trim_start_matches(['|', ' ']), "^^^^^", "{}", ran.err);
    assert!(ran.err.contains("= help: did you mean `price`?"), "{}", ran.err);
}

#[test]
fn a_csv_file_without_a_required_column_is_an_input_that_cannot_be_read() {
    let place = place();
    place.write("q.csv", "at,bdi\n1,1.5\n");
    let ran = fold(&place, &[&BOTH[..], &["--out", "o.ndjson"]].concat());
    assert_eq!((ran.code, place.has("o.ndjson")), (4, false));
    assert!(
        ran.err.contains("q.csv: the header has no column `bid`") && ran.err.contains("did you mean `bdi`?"),
        "{}",
        ran.err
    );
}

#[test]
fn a_service_refuses_sources_that_nothing_reads() {
    let place = place();
    place.write("c.toml", place.read("c.toml").replace("kind = \"files\"", "kind = \"kafka\""));
    let ran = place.run(&["run", "-c", "c.toml", "--data", "data"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("does not read kind = \"kafka\"; send its events by HTTP"), "{}", ran.err);
    assert!(!place.path("data").exists());
}

#[test]
fn words_that_find_no_room_are_an_error_and_no_panic() {
    let place = place();
    for command in ["config check -c c.toml", "config schema -c c.toml --json"] {
        let ran = place.shell(&format!("\"$SLACKWATER\" {command} > /dev/full"));
        assert_eq!(ran.code, 5, "{}", ran.err);
        assert!(ran.err.contains("No space left"), "{}", ran.err);
        let args: Vec<&str> = command.split(' ').collect();
        let ran = place.run_unread(&args);
        assert_eq!((ran.code, ran.err.as_str()), (5, ""), "a reader that went away wants no words");
    }
}
