//! Inputs that cannot be read to their end and outputs that cannot be written: said plainly, nothing left half done.

use super::{TRADES, trade};
use crate::program::{Place, joined};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

/// A place with a configuration and so many trades.
fn place(trades: u64) -> Place {
    let place = Place::with(TRADES);
    place.write("events.ndjson", text(trades));
    place
}

fn text(trades: u64) -> Vec<u8> {
    let trades = (0..trades).map(|id| {
        let (minute, second) = (id / 60 % 60, id % 60);
        trade(
            id,
            &format!("2026-01-{:02}T{:02}:{minute:02}:{second:02}Z", 1 + id / 86_400, id / 3_600 % 24),
            &format!("{}.5", 1 + id * 7_919 % 1_000),
        )
    });
    joined(&trades.collect::<Vec<_>>())
}

const FOLD: [&str; 7] = ["fold", "-c", "c.toml", "--out", "out.ndjson", "--input", "trades=events.ndjson"];

/// Folds an input, which fails with this exit code; nothing is left but what was there.
fn fails(place: &Place, args: &[&str], code: i32) -> String {
    let before = place.names();
    let ran = place.run(args);
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{}", ran.err);
    assert_eq!(place.names(), before, "nothing is put in its place, and nothing temporary stays");
    ran.err
}

fn fold_of(input: &str) -> [String; 7] {
    FOLD.map(|arg| arg.replace("events.ndjson", input))
}

fn fails_with_input(place: &Place, input: &str) -> String {
    let args = fold_of(input);
    fails(place, &args.each_ref().map(String::as_str), 4)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

#[test]
fn a_damaged_gzip_file_is_an_error_that_names_the_place() {
    let place = place(0);
    let mut packed = gzip(&text(50_000));
    let middle = packed.len() / 2;
    packed[middle..middle + 64].fill(0x55);
    place.write("events.ndjson.gz", &packed);
    let said = fails_with_input(&place, "events.ndjson.gz");
    assert!(said.starts_with("error: events.ndjson.gz: the gzip data is damaged or cut off after "), "{said}");
    let bytes =
        said.split("after ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|bytes| bytes.parse::<u64>().ok());
    assert!(bytes.is_some_and(|bytes| bytes > 100_000), "the place is in the content: {said}");
    assert!(said.contains("gzip -t") && said.trim_end().ends_with("no row was written"), "{said}");
}

#[test]
fn a_gzip_file_whose_checksum_is_wrong_is_damaged() {
    let place = place(0);
    let mut packed = gzip(&text(100));
    let end = packed.len();
    packed[end - 8] ^= 1;
    place.write("events.ndjson.gz", &packed);
    assert!(fails_with_input(&place, "events.ndjson.gz").contains("the gzip data is damaged or cut off after"));
}

#[test]
fn a_truncated_file_of_either_packer_is_an_error() {
    let place = place(0);
    let gz = gzip(&text(5_000));
    let zst = zstd::encode_all(&text(5_000)[..], 3).expect("memory");
    for keep in [1, 2, 3] {
        place.write("a.ndjson.gz", &gz[..gz.len() * keep / 4]);
        assert!(fails_with_input(&place, "a.ndjson.gz").contains("the gzip data is damaged or cut off"));
        place.write("a.ndjson.zst", &zst[..zst.len() * keep / 4]);
        assert!(fails_with_input(&place, "a.ndjson.zst").contains("the zstd data is damaged or cut off"));
    }
    place.write("a.ndjson.gz", "");
    let said = fails_with_input(&place, "a.ndjson.gz");
    assert!(said.contains("cut off after 0 bytes of content"), "{said}");
    place.write("a.ndjson.zst", "");
    let said = fails_with_input(&place, "a.ndjson.zst");
    assert!(said.contains("cut off after 0 bytes of content"), "{said}");
    place.write("a.ndjson.gz", text(3));
    assert!(fails_with_input(&place, "a.ndjson.gz").contains("damaged"), "plain text under a packer's name");
}

#[test]
fn what_was_there_before_stays_when_a_fold_fails() {
    let place = place(0);
    place.write("out.ndjson", "old\n");
    place.write("a.ndjson.gz", &gzip(&text(500))[..300]);
    fails_with_input(&place, "a.ndjson.gz");
    assert_eq!(place.read("out.ndjson"), "old\n");
}

#[test]
fn a_missing_file_a_directory_and_a_forbidden_file_are_told_apart() {
    let place = place(1);
    assert!(
        fails_with_input(&place, "no.ndjson").starts_with("error: no.ndjson: there is no such file; check the path")
    );
    std::fs::create_dir(place.path("folder")).expect("a directory");
    assert!(fails_with_input(&place, "folder").starts_with("error: folder: this is a directory; name a file in it"));
    assert!(fails_with_input(&place, "events.ndjson/x").starts_with("error: events.ndjson/x: "));
    let said = fails(&place, &["fold", "-c", "no.toml", "--out", "out.ndjson", "--input", "trades=events.ndjson"], 3);
    assert!(said.contains("no.toml: the configuration cannot be read") && said.contains("-c FILE"), "{said}");
    let said = fails(&place, &["fold", "-c", "folder", "--out", "out.ndjson", "--input", "trades=events.ndjson"], 3);
    assert!(said.contains("folder: the configuration cannot be read"), "{said}");
}

#[test]
fn an_output_that_cannot_be_there_is_found_before_anything_is_read() {
    let place = place(1);
    std::fs::create_dir(place.path("folder")).expect("a directory");
    let out = |out: &str, code: i32| {
        let said = place.run(&["fold", "-c", "c.toml", "--out", out, "--input", "trades=events.ndjson"]);
        assert_eq!(said.code, code, "{}", said.err);
        said.err
    };
    assert!(out("no/where.ndjson", 5).contains("no/where.ndjson: there is no directory `no`; create it first"));
    std::fs::create_dir(place.path("dir.ndjson")).expect("a directory");
    assert!(out("dir.ndjson", 5).contains("dir.ndjson: this is a directory; name a file in it"));
    assert!(out("out.txt", 2).contains("--out out.txt: name it .ndjson or .csv"));
    assert!(out("folder", 2).contains("--out folder: name it .ndjson or .csv"));
    let ran = place.run(&[
        "fold",
        "-c",
        "c.toml",
        "--out",
        "out.ndjson",
        "--quarantine",
        "no/q.ndjson",
        "--input",
        "trades=events.ndjson",
    ]);
    assert_eq!((ran.code, place.has("out.ndjson")), (5, false), "{}", ran.err);
}

#[test]
fn a_directory_without_permission_is_said_to_be_so() {
    let place = place(1);
    std::fs::create_dir(place.path("locked")).expect("a directory");
    std::fs::set_permissions(place.path("locked"), std::fs::Permissions::from_mode(0o500)).expect("ours");
    if std::fs::write(place.path("locked/probe"), "").is_ok() {
        println!("skipped: this user may write anywhere, so nothing is forbidden");
        return;
    }
    let ran = place.run(&["fold", "-c", "c.toml", "--out", "locked/out.ndjson", "--input", "trades=events.ndjson"]);
    assert_eq!(ran.code, 5);
    assert!(ran.err.contains("locked/out.ndjson: permission denied; let this user write"), "{}", ran.err);
}

#[test]
fn a_full_disk_is_an_error_of_the_output() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let place = place(20_000);
    std::os::unix::fs::symlink("/dev/full", place.path("full.ndjson")).expect("a link");
    std::os::unix::fs::symlink("/dev/full", place.path("full.ndjson.gz")).expect("a link");
    for out in ["full.ndjson", "full.ndjson.gz"] {
        let ran = place.run(&["fold", "-c", "c.toml", "--out", out, "--input", "trades=events.ndjson"]);
        assert_eq!(ran.code, 5);
        assert!(ran.err.starts_with(&format!("error: {out}: No space left")), "{}", ran.err);
    }
    place.write("bad.ndjson", "{\n".repeat(50_000));
    let quarantine =
        ["fold", "-c", "c.toml", "--out", "out.ndjson", "--quarantine", "full.ndjson", "--input", "trades=bad.ndjson"];
    let ran = place.run(&quarantine);
    assert_eq!((ran.code, place.has("out.ndjson")), (5, false), "no result without its quarantine: {}", ran.err);
    let ran = place.shell("\"$SLACKWATER\" fold -c c.toml --out - --input trades=events.ndjson > /dev/full");
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains("No space left"), "{}", ran.err);
}

#[test]
fn a_file_that_may_not_grow_is_an_error_of_the_output() {
    let place = place(20_000);
    // Ignored, the signal of the limit becomes an error of the write.
    let ran = place.shell(
        "trap '' XFSZ; ulimit -f 16; \"$SLACKWATER\" fold -c c.toml --out out.ndjson --input trades=events.ndjson",
    );
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains("out.ndjson: ") && ran.err.contains("nothing was put in its place"), "{}", ran.err);
    assert_eq!(place.names(), ["c.toml", "events.ndjson"]);
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_words() {
    // More rows than a pipe holds, so that the program is still writing when its reader has what it wants.
    let place = place(100_000);
    let ran = place.run_unread(&["fold", "-c", "c.toml", "--out", "-", "--input", "trades=events.ndjson"]);
    assert_eq!((ran.code, ran.err.as_str()), (5, ""));
    let line = "{ \"$SLACKWATER\" fold -c c.toml --out - --input trades=events.ndjson; echo $? >&2; } | head -n 1";
    let ran = place.shell(line);
    assert!(ran.out.starts_with("{\"pipeline\":\"bars\"") && ran.out.lines().count() == 1);
    assert_eq!(ran.err, "5\n");
}

#[test]
fn words_that_nobody_hears_change_nothing() {
    let place = place(10);
    for more in [&[][..], &["--json"]] {
        assert_eq!(place.run_unheard(&[&FOLD[..], more].concat()), 0, "the summary");
        assert!(place.has("out.ndjson"));
    }
    let fold = |config: &str, out: &str, input: &str| {
        place.run_unheard(&["fold", "-c", config, "--out", out, "--input", &format!("trades={input}")])
    };
    assert_eq!(fold("no.toml", "out.ndjson", "events.ndjson"), 3);
    assert_eq!(fold("events.ndjson", "out.ndjson", "events.ndjson"), 3);
    assert_eq!(fold("c.toml", "out.ndjson", "no.ndjson"), 4);
    assert_eq!(fold("c.toml", "no/out.ndjson", "events.ndjson"), 5);
    assert_eq!(fold("c.toml", "out.txt", "events.ndjson"), 2);
}

#[test]
fn one_file_is_not_both_output_and_quarantine() {
    let place = place(1);
    for (out, quarantine) in [("out.ndjson", "out.ndjson"), ("out.ndjson", "./out.ndjson"), ("-", "-")] {
        let args =
            ["fold", "-c", "c.toml", "--out", out, "--quarantine", quarantine, "--input", "trades=events.ndjson"];
        let said = fails(&place, &args, 2);
        assert!(said.contains("is the output too; name another file"), "{said}");
    }
}

#[test]
fn no_output_replaces_what_the_fold_lives_on() {
    let place = place(1);
    std::os::unix::fs::symlink("events.ndjson", place.path("link.ndjson")).expect("a link");
    let events = place.read("events.ndjson");
    for (out, quarantine, what) in [
        ("events.ndjson", "aside.ndjson", "an input"),
        ("link.ndjson", "aside.ndjson", "an input"),
        ("out.ndjson", "./events.ndjson", "an input"),
        ("out.ndjson", "c.toml", "the configuration"),
        ("data/out.ndjson", "aside.ndjson", "a place in the data directory"),
        ("out.ndjson", "data/store.sqlite", "a place in the data directory"),
    ] {
        let fold =
            ["fold", "-c", "c.toml", "--out", out, "--quarantine", quarantine, "--input", "trades=events.ndjson"];
        for data in [&[][..], &["--data", "data"]] {
            if data.is_empty() && what.contains("data") {
                continue;
            }
            std::fs::create_dir_all(place.path("data")).expect("a folder");
            let said = fails(&place, &[&fold[..], data].concat(), 2);
            assert!(said.contains(what) && said.contains("name another file"), "{said}");
            assert_eq!(place.read("events.ndjson"), events);
        }
    }
}

#[test]
fn a_fold_that_is_killed_leaves_what_was_there_and_gives_the_same_bytes_when_run_again() {
    let place = place(50_000);
    let whole = place.fold(&["trades=events.ndjson"], &[]).bytes;
    place.write("out.ndjson", "old\n");
    let args = fold_of("-");
    let mut command = place.command(&args.each_ref().map(String::as_str));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    // More than a pipe holds: when all is written, most has been read, and no end of input has come.
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(&text(50_000)).expect("it reads");
    child.kill().expect("it is still there");
    assert_eq!(child.wait().expect("it ends").code(), None, "it was killed");
    assert_eq!(place.read("out.ndjson"), "old\n");
    drop(pipe);
    assert_eq!(place.fold(&["trades=events.ndjson"], &[]).bytes, whole);
}
