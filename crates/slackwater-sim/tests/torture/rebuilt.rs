//! The binary, over a directory that keeps no event bytes: what is thrown away comes back from archive and record.

use crate::bench::{Bench, CONFIG, PIPELINES, Ran, trades};
use std::fs;
use std::path::Path;

/// Files of the record without event bytes, and with them.
fn records(bench: &Bench) -> (usize, usize) {
    let files = fs::read_dir(bench.path("data/record")).expect("a record").map(|entry| entry.expect("an entry").path());
    let (gone, kept): (Vec<_>, Vec<_>) = files.partition(|path| fs::read(path).expect("a file")[12] & 1 == 1);
    (gone.len(), kept.len())
}

fn bench(keep_raw: &str) -> Bench {
    let keep = format!("kind = \"files\"\nkeep_raw = \"{keep_raw}\"");
    let bench = Bench::new(&CONFIG.replace("kind = \"files\"", &keep));
    for (number, name) in (0..).zip(["a", "b", "c"]) {
        // Enough chunks for several rounds, however fast the machine is.
        bench.write(&format!("{name}.ndjson"), trades(number * 4_000, 5_200));
    }
    bench
}

fn fold(bench: &Bench, name: &str, armed: Option<&str>) -> Ran {
    let input = format!("trades={name}.ndjson");
    let args = ["fold", "-c", "c.toml", "--data", "data", "--input", &input, "--out", "out.ndjson", "--json"];
    bench
        .run(&[&args[..], &["--quarantine", "refused.ndjson", "--checkpoint", "1ms", "--threads", "2"]].concat(), armed)
}

/// A directory with all of it.
fn filled(keep_raw: &str) -> Bench {
    let bench = bench(keep_raw);
    for name in ["a", "b", "c"] {
        let ran = fold(&bench, name, None);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    bench
}

/// Every generation, the output and what was refused.
fn told(bench: &Bench) -> [String; 3] {
    [bench.generations(&PIPELINES), bench.read("out.ndjson"), bench.read("refused.ndjson")]
}

fn throw_away(bench: &Bench) {
    fs::remove_dir_all(bench.path("data/checkpoint")).expect("checkpoints");
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(bench.path(&format!("data/store.sqlite{ending}")));
    }
}

#[test]
fn every_kind_of_file_that_is_kept_is_scrubbed() {
    let bench = filled("none");
    let verify = || bench.run(&["checkpoint", "verify", "--data", "data"], None);
    let ran = verify();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.lines().all(|line| line.ends_with("; sound")), "{}", ran.out);
    for folder in
        ["instance", "journal", "record", "aside", "archive", "archive/catalog", "index", "checkpoint", "store.sqlite"]
    {
        let path = bench.path("data").join(folder);
        let mut files = vec![path.clone()];
        if path.is_dir() {
            files = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        }
        assert!(!files.is_empty(), "there is {folder}");
        for file in files {
            let whole = fs::read(&file).expect("a file");
            // Much of a store is room that nothing uses.
            let places = if folder == "store.sqlite" { [5, 9] } else { [whole.len() / 3, whole.len() - 3] };
            for at in places {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x10;
                fs::write(&file, &bytes).expect("written");
                let ran = verify();
                let said = format!("{}{}", ran.out, ran.err);
                let name = file.file_name().expect("a name").to_string_lossy();
                assert!(ran.code == Some(6) && said.contains(&*name), "{folder}/{name} at {at}: {:?} {said}", ran.code);
            }
            fs::write(&file, &whole).expect("as it was");
        }
    }
    // What nothing names is said to be needed by nothing.
    fs::write(bench.path("data/journal/00000000000000000001.damaged"), "once").expect("written");
    let ran = verify();
    assert!(ran.code == Some(0) && ran.out.contains("00001.damaged: not needed"), "{}{}", ran.out, ran.err);
}

#[test]
fn without_event_bytes_a_directory_is_rebuilt_by_the_same_command_again() {
    let bench = filled("none");
    let before = told(&bench);
    assert!(before[0].contains("\"cause\":\"late\"") && before[2].lines().count() > 100);
    let (gone, kept) = records(&bench);
    assert!(gone > 2 && kept == 0, "{gone} files without event bytes, {kept} with them");
    // It may die on the way, wherever that is.
    for armed in [None, Some("CommitKnown:1:kill"), Some("RunsForgotten:2:kill"), Some("MidBatch:40:kill")] {
        throw_away(&bench);
        if armed.is_some() {
            let ran = fold(&bench, "c", armed);
            assert_eq!(ran.signal, Some(9), "{armed:?}: {ran:?}");
        }
        let ran = fold(&bench, "c", None);
        assert_eq!(ran.code, Some(0), "{armed:?}: {}", ran.err);
        assert_eq!(told(&bench), before, "{armed:?}");
        let ran = bench.run(&["verify", "--data", "data", "--json"], None);
        assert!(ran.code == Some(0), "{armed:?}: {}{}", ran.out, ran.err);
    }
    // What cannot be told is not made up.
    throw_away(&bench);
    fs::remove_file(bench.path("data/archive/catalog")).expect("a catalog");
    let ran = fold(&bench, "c", None);
    assert!(ran.code != Some(0) && ran.err.contains("archive/catalog"), "{}", ran.err);
}

#[test]
fn a_flipped_bit_in_the_header_of_a_record_stops_nothing_and_is_told() {
    let bench = filled("forever");
    let before = told(&bench);
    let files = fs::read_dir(bench.path("data/record")).expect("a record").map(|entry| entry.expect("an entry").path());
    let records: Vec<_> = files.collect();
    assert!(records.len() > 2, "something became record");
    let flip = |record: &Path, at: usize| {
        let whole = fs::read(record).expect("a file");
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(record, bytes).expect("written");
        whole
    };
    for (record, at) in records.iter().cycle().zip([0, 9, 13, 30, 45, 60, 80, 127]) {
        let whole = flip(record, at);
        let name = record.file_name().expect("a name").to_string_lossy();
        let ran = fold(&bench, "c", None);
        assert!(ran.code == Some(0) && ran.err.contains(&*name) && ran.err.contains("flipped"), "{at}: {}", ran.err);
        assert_eq!(told(&bench), before, "a flipped bit at {at}");
        let ran = bench.run(&["checkpoint", "verify", "--data", "data"], None);
        assert!(ran.code == Some(6) && ran.out.contains(&*name), "{at}: {}{}", ran.out, ran.err);
        fs::write(record, whole).expect("as it was");
    }
    flip(&records[0], 33);
    throw_away(&bench);
    assert_eq!(fold(&bench, "c", None).code, Some(0));
    assert_eq!(told(&bench), before, "all is made again from it");
}

#[test]
fn a_store_from_between_two_ticks_whose_event_bytes_are_gone_is_made_anew() {
    let mut anew = 0;
    for commit in 1..=12 {
        let bench = bench("none");
        let ran = fold(&bench, "a", Some(&format!("CommitKnown:{commit}:kill")));
        if ran.signal.is_none() {
            break;
        }
        let old: Vec<_> =
            ["", "-wal"].map(|end| (end, fs::read(bench.path(&format!("data/store.sqlite{end}"))).ok())).into();
        assert_eq!(fold(&bench, "a", None).code, Some(0));
        let before = told(&bench);
        for (end, bytes) in old {
            let path = bench.path(&format!("data/store.sqlite{end}"));
            bytes.map_or_else(|| drop(fs::remove_file(&path)), |bytes| fs::write(&path, bytes).expect("written"));
        }
        let ran = fold(&bench, "a", None);
        assert_eq!(ran.code, Some(0), "commit {commit}: {}", ran.err);
        assert_eq!(told(&bench), before, "commit {commit}");
        anew += usize::from(ran.err.contains("it is made anew"));
    }
    assert!(anew > 0, "one of them was older than what is kept of events");
}
