//! Writing files: whole or not at all.

use slackwater::connect::files::output::{OutputError, OutputFile};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn put(path: &Path, bytes: &[u8]) {
    let mut output = OutputFile::create(path).expect("a file");
    output.write(bytes).expect("room");
    output.finish().expect("room");
}

fn directory() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("out.json");
    (dir, path)
}

#[test]
fn a_file_is_there_only_when_it_is_whole() {
    let (dir, path) = directory();
    let mut output = OutputFile::create(&path).expect("a file");
    output.write(b"one\n").expect("room");
    assert!(!path.exists(), "not yet");
    let unfinished = names(&dir);
    assert_eq!(unfinished.len(), 1);
    let mode = fs::metadata(dir.path().join(&unfinished[0])).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it before it is whole");
    output.write(b"two\n").expect("room");
    output.finish().expect("room");
    assert_eq!(fs::read(&path).expect("it is there"), b"one\ntwo\n");
    assert_eq!(names(&dir), ["out.json"]);
}

#[test]
fn a_new_file_has_the_mode_that_any_program_would_give_it() {
    let (dir, path) = directory();
    put(&path, b"x");
    let usual = dir.path().join("usual");
    fs::write(&usual, b"x").expect("room");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode(&path), mode(&usual));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
    put(&path, b"y");
    assert_eq!(mode(&path) & 0o777, 0o640, "a file that is replaced keeps its own");
}

#[test]
fn dropped_before_its_end_it_leaves_nothing_and_what_was_there_stays() {
    let (dir, path) = directory();
    put(&path, b"old");
    for name in ["out.json", "new.gz", "new.zst"] {
        let mut output = OutputFile::create(&dir.path().join(name)).expect("a file");
        output.write(&[b'x'; 200_000]).expect("room");
        drop(output);
    }
    assert_eq!(names(&dir), ["out.json"]);
    assert_eq!(fs::read(&path).expect("it is there"), b"old");
}

#[test]
fn packed_files_unpack_to_what_was_written() {
    let (dir, _) = directory();
    let text = b"a line\n".repeat(50_000);
    put(&dir.path().join("a.gz"), &text);
    put(&dir.path().join("a.zst"), &text);
    let packed = fs::read(dir.path().join("a.gz")).expect("it is there");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("gzip");
    assert!(unpacked == text && packed.len() < text.len() / 10);
    put(&dir.path().join("b.gz"), &text);
    assert_eq!(
        fs::read(dir.path().join("b.gz")).expect("it is there"),
        packed,
        "the same bytes, whenever they are written"
    );
    let packed = fs::read(dir.path().join("a.zst")).expect("it is there");
    assert!(zstd::decode_all(&packed[..]).expect("zstd") == text);
}

#[test]
fn a_link_stays_a_link() {
    let (dir, path) = directory();
    put(&path, b"old");
    let link = dir.path().join("link");
    symlink("out.json", &link).expect("a link");
    put(&link, b"new");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(fs::read(&path).expect("it is there"), b"new");
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    put(Path::new("/dev/null"), b"x");
    assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
}

#[test]
fn a_full_disk_is_called_so() {
    let mut output = OutputFile::create(Path::new("/dev/full")).expect("a device");
    output.write(b"x").expect("it is only buffered");
    let error = output.finish().expect_err("it is full");
    assert!(matches!(error, OutputError::Full { .. }));
    assert_eq!(
        error.to_string(),
        "/dev/full: No space left (No space left on device (os error 28)); nothing was put in its place: \
         free some space, or write elsewhere"
    );
    let mut output = OutputFile::create(Path::new("/dev/full")).expect("a device");
    assert!(matches!(output.write(&[0; 1 << 20]), Err(OutputError::Full { .. })), "it does not wait for the end");
}

#[test]
fn a_closed_pipe_is_told_apart() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    let mut output = OutputFile::create(Path::new(&path)).expect("a pipe is a file");
    drop(reader);
    output.write(b"x").expect("it is only buffered");
    let error = output.finish().expect_err("nobody reads");
    assert!(matches!(error, OutputError::Closed { .. }));
    assert_eq!(error.to_string(), format!("{path}: the reader has closed the pipe"));
}

#[test]
fn a_place_that_cannot_be_written_to_says_why() {
    let (dir, path) = directory();
    assert_eq!(
        OutputFile::create(dir.path()).expect_err("a directory").to_string(),
        format!("{}: this is a directory; name a file in it", dir.path().display())
    );
    let nowhere = dir.path().join("no/where.json");
    assert_eq!(
        OutputFile::create(&nowhere).expect_err("no directory").to_string(),
        format!("{}: there is no directory `{}`; create it first", nowhere.display(), dir.path().join("no").display())
    );
    put(&path, b"x");
    assert!(OutputFile::create(&path.join("x")).is_err(), "a file is no directory");
}
