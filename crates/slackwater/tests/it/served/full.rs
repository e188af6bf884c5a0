//! A service that runs out of room: it refuses what is new, goes on being read, and takes events in again by itself.
//!
//! Its directory is a small file system of its own, which only its own view of the machine has; where no process may have
//! such a view, this is skipped, and says so.

use super::{place, poster, rows};
use crate::durable::trades;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A shell that has a view of its own, in which `data` is small.
fn confined(script: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=12m,mode=0700 none data && {script}");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_full_disk_refuses_events_and_is_over_when_there_is_room() {
    let (place, port) = place();
    fs::create_dir(place.path("data")).expect("a folder");
    let there =
        |mut command: Command| command.current_dir(place.path(".")).status().is_ok_and(|status| status.success());
    if !there(confined("true")) {
        println!("skipped: unshare is not there, or may not be used here");
        return;
    }
    let mut command = confined("exec \"$SLACKWATER\" run -c c.toml --data data");
    command.env("SLACKWATER", env!("CARGO_BIN_EXE_slackwater")).current_dir(place.path("."));
    command.stderr(fs::File::create(place.path("log")).expect("a file"));
    let mut child = super::Service::of(&mut command);
    assert!(super::ready(&mut child, port));
    let data = fs::canonicalize(place.path("data")).expect("a folder");
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", child.id(), data.display()));
    let events = trades(0, 6_000);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let batches: Vec<String> = lines.chunks(250).map(|chunk| chunk.concat()).collect();
    let post = |number: usize| poster::post((port, port), &format!("batch-{number}"), &batches[number]);
    assert_eq!(post(0).expect("an answer").0, 200);
    // All the room there is.
    fs::write(&filler, vec![1; 16 << 20]).expect_err("no room");
    let mut refused = 0;
    for number in 1..batches.len() {
        // Long enough for ticks, commits and checkpoints to find no room as well.
        std::thread::sleep(Duration::from_millis(30));
        match post(number).expect("an answer").0 {
            200 => {}
            503 => refused += 1,
            status => panic!("{status}"),
        }
    }
    assert!(refused > 0, "there was no room");
    let log = place.read("log");
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(warned.len() == 1 && warned[0].contains("no room on the disk"), "{refused} refused: {log}");
    assert_eq!(poster::get(port, "/v1/pipelines/minutes/rows?tier=all").expect("an answer").0, 200, "readers go on");
    fs::remove_file(&filler).expect("room");
    // Who was refused sends again, until it is taken in; who was not is answered as before.
    for number in 0..batches.len() {
        while post(number).expect("an answer").0 != 200 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let (received, status) = super::killed::published(port, lines.len() as u64);
    assert_eq!(received, lines.len() as u64, "{status}");
    let shown = ["minutes", "visits", "bars"].iter().flat_map(|pipeline| rows(port, pipeline, "all"));
    let shown: BTreeSet<String> = shown.map(|row| row["digest"].as_str().expect("a digest").to_string()).collect();
    let config = crate::durable::CONFIG.replace("kind = \"files\"", "kind = \"http\"");
    let truth: BTreeSet<String> =
        crate::live::folded(&config, &events).iter().map(|row| crate::live::hex(&row.digest)).collect();
    assert!(shown == truth, "{} rows, {} expected", shown.len(), truth.len());
}
