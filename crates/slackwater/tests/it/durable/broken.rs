//! Directories of which something is lost or damaged: made whole where that can be, refused where it cannot.

use super::{CONFIG, all, durable, keep, place, trades};
use crate::program::Place;
use std::fs;
use std::path::PathBuf;

/// A directory after two files, and everything that it says.
fn full() -> (Place, Vec<serde_json::Value>, String) {
    let place = place(2_500);
    place.write("later.ndjson", trades(1_500, 2_500));
    keep(&place, "trades=events.ndjson", &["--checkpoint", "5ms"]);
    let out = keep(&place, "trades=later.ndjson", &["--checkpoint", "5ms"]).out;
    let rows = all(&place);
    (place, rows, out)
}

fn files(place: &Place, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path("data").join(folder)).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("the file");
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn lose_store(place: &Place) {
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(place.path("data").join(name));
    }
}

#[test]
fn without_its_store_and_all_checkpoints_a_directory_gives_the_same_rows() {
    let (place, rows, out) = full();
    lose_store(&place);
    fs::remove_dir_all(place.path("data/checkpoint")).expect("checkpoints");
    let again = keep(&place, "trades=later.ndjson", &[]);
    assert_eq!((again.out, all(&place)), (out, rows), "values, generations and causes");
}

#[test]
fn a_damaged_store_is_made_anew() {
    let (place, rows, out) = full();
    let store = place.path("data/store.sqlite");
    let length = fs::metadata(&store).expect("a store").len() as usize;
    for at in [5, 20, length / 3, length / 2, length - 100] {
        flip(&store, at);
        let again = keep(&place, "trades=later.ndjson", &[]);
        assert_eq!((&again.out, &all(&place)), (&out, &rows), "a flipped bit at {at}");
    }
}

#[test]
fn a_store_whose_ways_to_the_rows_are_damaged_is_made_anew() {
    let (place, rows, out) = full();
    let store = place.path("data/store.sqlite");
    for name in ["minutes_rows_by_start", "visits_rows_by_tick", "counts", "offsets"] {
        let page: u32 = {
            let connection = rusqlite::Connection::open(&store).expect("a store");
            let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            connection.query_row(root, [name], |row| row.get(0)).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let mut bytes = fs::read(&store).expect("the file");
        let at = (page as usize - 1) * 4096;
        bytes[at..at + 8].fill(0);
        fs::write(&store, bytes).expect("written");
        let verified = place.run(&["checkpoint", "verify", "--data", "data"]);
        assert!(verified.code == 6 && verified.out.contains("store.sqlite: "), "{name}: {}", verified.out);
        let again = keep(&place, "trades=later.ndjson", &[]);
        assert_eq!((&again.out, &all(&place)), (&out, &rows), "{name}");
    }
}

#[test]
fn results_of_another_directory_or_of_before_are_not_given() {
    let (place, _, _) = full();
    let (store, other) = (place.path("data/store.sqlite"), super::place(10));
    keep(&other, "trades=events.ndjson", &[]);
    let own = fs::read(&store).expect("a store");
    let refused = |what: &str| {
        for args in [&["query", "minutes"][..], &["status"], &["verify"], &["quarantine", "list"]] {
            let ran = place.run(&[args, &["--data", "data"]].concat());
            assert!(ran.code == 6 && ran.err.contains(what), "{args:?}: {} {}", ran.code, ran.err);
        }
        let verified = place.run(&["checkpoint", "verify", "--data", "data"]);
        assert!(verified.code == 6 && (verified.out + &verified.err).contains(what), "{what}");
    };
    lose_store(&place);
    fs::copy(other.path("data/store.sqlite"), &store).expect("copied");
    refused("it is the store of another directory");
    fs::write(&store, &own).expect("written");
    place.write("more.ndjson", trades(4_000, 1_000));
    for count in 0..3 {
        place.write("more.ndjson", trades(4_000, 1_000 + count));
        keep(&place, "trades=more.ndjson", &[]);
    }
    let rows = all(&place);
    lose_store(&place);
    fs::write(&store, &own).expect("written");
    refused("it is an older copy");
    keep(&place, "trades=more.ndjson", &[]);
    assert_eq!(all(&place), rows);
    fs::remove_file(place.path("data/instance")).expect("removed");
    refused("put back the whole directory");
    let ran = place.run(&durable("trades=more.ndjson", &[]));
    assert!(ran.code == 6 && ran.err.contains("instance: it is not there"), "{}", ran.err);
}

#[test]
fn a_copy_may_lack_an_empty_folder() {
    let place = place(500);
    let out = keep(&place, "trades=events.ndjson", &[]).out;
    fs::remove_dir(place.path("data/record")).expect("it is empty");
    assert_eq!(keep(&place, "trades=events.ndjson", &[]).out, out);
}

#[test]
fn damaged_checkpoints_are_passed_over() {
    let (place, rows, out) = full();
    let manifests = || {
        let mut found = files(&place, "checkpoint");
        found.retain(|path| path.extension().is_some_and(|ending| ending == "manifest"));
        found
    };
    assert!(manifests().len() >= 2, "there is one to go back to");
    flip(manifests().last().expect("a manifest"), 70);
    let again = keep(&place, "trades=later.ndjson", &[]);
    assert!(again.notes[0].contains("is passed over"), "{:?}", again.notes);
    assert_eq!((&again.out, &all(&place)), (&out, &rows));
    let chunks: Vec<PathBuf> =
        files(&place, "checkpoint").into_iter().filter(|path| path.extension().is_some_and(|e| e == "chunk")).collect();
    chunks.iter().for_each(|chunk| flip(chunk, 100));
    let again = keep(&place, "trades=later.ndjson", &[]);
    assert!(again.notes.iter().any(|note| note.contains("made anew from all inputs")), "{:?}", again.notes);
    assert_eq!((again.out, all(&place)), (out, rows));
}

/// A durable fold that must not go on.
fn refused(place: &Place, input: &str) -> String {
    let ran = place.run(&durable(input, &[]));
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{}", ran.err);
    ran.err
}

#[test]
fn damage_in_the_journal_stops_the_fold_and_is_named() {
    let (place, ..) = full();
    let journal = files(&place, "journal").pop().expect("a segment");
    let middle = fs::metadata(&journal).expect("a segment").len() as usize / 2;
    flip(&journal, middle);
    // Without a checkpoint it is needed.
    fs::remove_dir_all(place.path("data/checkpoint")).expect("checkpoints");
    let said = refused(&place, "trades=later.ndjson");
    assert!(said.contains("journal/") && said.contains("damaged at byte") && said.contains("entries"), "{said}");
}

#[test]
fn damage_in_the_journal_that_a_checkpoint_covers_is_passed_over_and_told() {
    let (place, rows, out) = full();
    let journal = files(&place, "journal").pop().expect("a segment");
    let whole = fs::read(&journal).expect("a segment");
    for at in [40, whole.len() / 3, whole.len() - 5] {
        fs::write(&journal, &whole).expect("as it was");
        flip(&journal, at);
        let damaged = fs::read(&journal).expect("a segment");
        for _ in 0..2 {
            let again = keep(&place, "trades=later.ndjson", &[]);
            let told = |note: &String| {
                note.contains("journal/") && note.contains("damaged at byte") && note.contains("covers them")
            };
            assert!(again.notes.iter().any(told), "{at}: {:?}", again.notes);
            assert_eq!((&again.out, &all(&place)), (&out, &rows), "a flipped bit at {at}");
        }
        assert_eq!(fs::read(&journal).expect("a segment"), damaged, "it is not written to");
        let ran = place.run(&["checkpoint", "verify", "--data", "data"]);
        assert_eq!(ran.code, 6, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("journal/") && ran.out.contains("damaged at byte"), "{}", ran.out);
    }
    // What comes later is kept beside it, and not read from it.
    place.write("more.ndjson", trades(4_000, 500));
    let more = keep(&place, "trades=more.ndjson", &[]);
    assert!(files(&place, "journal").len() > 1 && more.out != out);
    assert_eq!(keep(&place, "trades=more.ndjson", &[]).out, more.out);
    let rows = all(&place);
    let listed = place.run(&["checkpoint", "list", "--data", "data"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    // What would need it is refused by name, and nothing is touched by asking.
    let store = fs::read(place.path("data/store.sqlite")).expect("a store");
    lose_store(&place);
    let said = refused(&place, "trades=more.ndjson");
    assert!(said.contains("journal/") && said.contains("entries"), "{said}");
    lose_store(&place);
    fs::write(place.path("data/store.sqlite"), store).expect("put back");
    assert_eq!((keep(&place, "trades=more.ndjson", &[]).out, all(&place)), (more.out, rows));
}

#[test]
fn a_journal_that_is_older_than_the_store_is_refused() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    let journal = files(&place, "journal").pop().expect("a segment");
    let old = fs::read(&journal).expect("a segment");
    place.write("later.ndjson", trades(1_000, 500));
    keep(&place, "trades=later.ndjson", &[]);
    fs::write(&journal, old).expect("written");
    let said = refused(&place, "trades=later.ndjson");
    assert!(said.contains("journal"), "{said}");
}

#[test]
fn a_store_that_is_older_than_the_rest_catches_up() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    let store = place.path("data/store.sqlite");
    let old = fs::read(&store).expect("a store");
    place.write("later.ndjson", trades(500, 1_500));
    let out = keep(&place, "trades=later.ndjson", &[]).out;
    let rows = all(&place);
    lose_store(&place);
    fs::write(&store, old).expect("written");
    let again = keep(&place, "trades=later.ndjson", &[]);
    assert_eq!((again.out, all(&place)), (out, rows), "what the journal has behind it is committed again, alike");
}

#[test]
fn a_directory_of_another_plan_is_refused() {
    let place = place(200);
    keep(&place, "trades=events.ndjson", &[]);
    place.write("c.toml", CONFIG.replace("1 minute", "2 minutes"));
    let said = refused(&place, "trades=events.ndjson");
    assert!(said.contains("another plan"), "{said}");
    // A knob is no plan.
    place.write("c.toml", CONFIG.replace("op = \"op\"", "op = \"op\"\nlag = \"3s\""));
    keep(&place, "trades=events.ndjson", &[]);
}

#[test]
fn a_directory_in_use_is_refused() {
    let place = place(200);
    let held = slackwater_store::disk::Folder::open(&place.path("data")).expect("the directory");
    let said = refused(&place, "trades=events.ndjson");
    assert!(said.contains("another process uses this directory"), "{said}");
    drop(held);
    keep(&place, "trades=events.ndjson", &[]);
}

#[test]
fn a_limit_on_the_size_of_files_stops_the_fold_and_it_goes_on_when_there_is_room() {
    let place = place(9_000);
    let plain = place.fold(&["trades=events.ndjson"], &[]).bytes;
    let line = durable("trades=events.ndjson", &["--checkpoint", "3ms"]).join(" ");
    let ran = place.shell(&format!("trap '' XFSZ; ulimit -f 64; exec \"$SLACKWATER\" {line}"));
    assert_ne!(ran.code, 0, "there was no room");
    assert_eq!(keep(&place, "trades=events.ndjson", &[]).out, plain);
}

#[test]
fn a_damaged_row_group_stops_the_fold_and_not_the_directory() {
    let place = place(3_000);
    let made =
        ["fold", "-c", "c.toml", "--pipeline", "minutes", "--input", "trades=events.ndjson", "--out", "m.parquet"];
    assert_eq!(place.run(&made).code, 0);
    let config = r#"
[source.trades]
kind = "files"
format = "parquet"
identity = "position"
event_time = "window_start"
[source.trades.fields]
symbol = "string"
window_start = "timestamp_ns"
trades = "u64"
[pipeline.hours]
sql = "SELECT symbol, sum(trades) AS trades FROM trades GROUP BY symbol, tumble(window_start, INTERVAL '1 hour')"
"#;
    place.write("c.toml", config);
    let whole = fs::read(place.path("m.parquet")).expect("a file");
    let mut damaged = whole.clone();
    // Within the columns, behind the mark at the beginning.
    damaged[40..80].fill(0xff);
    fs::write(place.path("damaged.parquet"), damaged).expect("written");
    let ran = place.run(&durable("trades=damaged.parquet", &[]));
    assert_eq!(ran.code, 4, "{}", ran.err);
    let kept = keep(&place, "trades=m.parquet", &[]);
    assert_eq!(kept.out.lines().count(), 3, "{}", kept.out);
}

#[test]
fn what_a_directory_could_not_keep_its_word_about_is_refused_before_it_is_made() {
    let place = place(10);
    let mixed = format!(
        "{CONFIG}\n[source.other]\nkind = \"files\"\nformat = \"json\"\nidentity = \"id\"\nevent_time = \"ts\"\n\
                         keep_raw = \"none\"\n[source.other.fields]\nid = \"u64\"\nts = \"timestamp_ms\"\n"
    );
    let nowhere =
        CONFIG.replace("identity = \"id\"", "identity = \"position\"").replace("version = \"v\"\nop = \"op\"\n", "");
    for (config, input, hint) in
        [(mixed, "trades=events.ndjson", "keep_raw"), (nowhere, "trades=-", "write them to a file")]
    {
        place.write("c.toml", config);
        let ran = place.run(&durable(input, &[]));
        assert!(ran.code == 2 && ran.err.contains(hint), "{}: {}", ran.code, ran.err);
        assert!(!place.has("data"));
    }
}
