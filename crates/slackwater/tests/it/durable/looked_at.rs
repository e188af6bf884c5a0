//! A directory that is only looked at: beside others, and where nothing can be written.

use super::{keep, place};
use crate::program::{Place, Ran};
use slackwater_store::disk::Folder;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whoever owns nothing.
const NOBODY: u32 = 65_534;

const LOOKS: [&[&str]; 6] = [
    &["query", "minutes"],
    &["status"],
    &["explain", "minutes", "2026-01-01T00:01:00Z", "--key", "symbol=ABC"],
    &["verify", "--permute", "1"],
    &["checkpoint", "list"],
    &["checkpoint", "verify"],
];

/// Takes the right to write away from everybody, but for the one whom nothing is forbidden.
fn for_reading(path: &Path) {
    let is_folder = path.is_dir();
    if is_folder {
        fs::read_dir(path).expect("a folder").for_each(|entry| for_reading(&entry.expect("an entry").path()));
    }
    let mode = if is_folder { 0o555 } else { 0o444 };
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

/// Looks at `data` as somebody who cannot write there.
fn look(place: &Place, args: &[&str]) -> Ran {
    let args = [args, &["--data", "data"]].concat();
    if fs::metadata("/proc/self").expect("a process").uid() != 0 {
        return place.run(&args);
    }
    let mut command = Command::new(place.path("slackwater"));
    command.args(args).current_dir(place.path("")).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    place.ran(&mut command)
}

#[test]
fn a_directory_that_cannot_be_written_is_read_and_verified() {
    let place = place(2_000);
    keep(&place, "trades=events.ndjson", &[]);
    let told: Vec<String> = LOOKS.map(|args| place.run(&[args, &["--data", "data"]].concat()).out).into();
    // Somebody else may not reach the place where the binary is. What this process had open for writing, a process that
    // another test starts meanwhile would have too, and nobody could run it.
    assert_eq!(place.shell("cp \"$SLACKWATER\" slackwater").code, 0);
    for_reading(&place.path("data"));
    fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).expect("ours");
    for (args, told) in LOOKS.iter().zip(&told) {
        let ran = look(&place, args);
        assert_eq!((ran.code, &ran.out), (0, told), "{args:?}: {}", ran.err);
        assert!(!told.is_empty());
    }
    // What SQLite has not yet put into the store could only be found by writing beside it.
    fs::set_permissions(place.path("data"), Permissions::from_mode(0o755)).expect("ours");
    place.write("data/store.sqlite-wal", [7; 4_096]);
    for_reading(&place.path("data"));
    for args in [LOOKS[0], LOOKS[3]] {
        let ran = look(&place, args);
        assert!(ran.code == 6 && ran.err.contains("copy the directory"), "{args:?}: {ran:?}");
    }
    fs::set_permissions(place.path("data"), Permissions::from_mode(0o755)).expect("so that it can be removed");
    for folder in ["archive", "checkpoint", "index", "journal", "record"] {
        fs::set_permissions(place.path("data").join(folder), Permissions::from_mode(0o755)).expect("ours");
    }
}

#[test]
fn those_who_look_do_not_keep_each_other_out() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    let lock = File::open(place.path("data/lock")).expect("a lock");
    lock.lock_shared().expect("nobody writes");
    for args in LOOKS {
        assert_eq!(place.run(&[args, &["--data", "data"]].concat()).code, 0, "{args:?}");
    }
    drop(lock);
    // A directory may come back from a backup without it.
    fs::remove_file(place.path("data/lock")).expect("ours");
    assert_eq!(place.run(&["verify", "--data", "data"]).code, 0);
}

#[test]
fn a_directory_in_use_is_verified_and_not_scrubbed() {
    let place = place(1_000);
    keep(&place, "trades=events.ndjson", &[]);
    let used = Folder::open(&place.path("data")).expect("the directory");
    for args in LOOKS {
        let ran = place.run(&[args, &["--data", "data"]].concat());
        match args == ["checkpoint", "verify"] {
            false => assert_eq!(ran.code, 0, "{args:?}: {}", ran.err),
            true => assert!(ran.code == 6 && ran.err.contains("another process uses this directory"), "{ran:?}"),
        }
    }
    drop(used);
}
