//! The real disk does what the trait says.

use slackwater_store::disk::{Disk, Folder, read_whole};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_directory_belongs_to_one_process_at_a_time() {
    let home = tempfile::tempdir().expect("a folder");
    let root = home.path().join("data");
    let first = Folder::open(&root).expect("the first");
    assert_eq!(Folder::open(&root).expect_err("the second").kind(), ErrorKind::WouldBlock);
    drop(first);
    Folder::open(&root).expect("the next one");
}

#[test]
fn what_is_kept_is_its_owner_s_only() {
    let home = tempfile::tempdir().expect("a folder");
    let disk = Folder::open(&home.path().join("data")).expect("open");
    disk.make_folder("journal").expect("a folder");
    disk.create("journal/1").expect("a file");
    let mode = |name: &str| std::fs::metadata(disk.root().join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("lock"), mode("journal"), mode("journal/1")), (0o700, 0o600, 0o700, 0o600));
}

#[test]
fn files_are_written_read_renamed_and_listed() {
    let home = tempfile::tempdir().expect("a folder");
    let disk = Folder::open(&home.path().join("data")).expect("open");
    assert_eq!(disk.list("index").expect("no folder"), Vec::<String>::new());
    disk.make_folder("index").expect("a folder");
    let file = disk.create("index/b.tmp").expect("a file");
    assert_eq!(disk.create("index/b.tmp").expect_err("there already").kind(), ErrorKind::AlreadyExists);
    file.write_at(3, b"abc").expect("a write behind the end");
    file.sync().expect("synced");
    assert_eq!(file.read_at(4, &mut [0; 3]).expect_err("too short").kind(), ErrorKind::UnexpectedEof);
    disk.rename("index/b.tmp", "index/b").expect("renamed");
    disk.create("index/a").expect("a file");
    disk.sync_folder("index").expect("synced");
    assert_eq!(disk.list("index").expect("a folder"), ["a", "b"]);
    assert_eq!(read_whole(&disk, "index/b", 6).expect("whole"), b"\0\0\0abc");
    assert_eq!(read_whole(&disk, "index/b", 5).expect_err("too long").kind(), ErrorKind::FileTooLarge);
    file.truncate(4).expect("cut");
    assert_eq!(disk.open("index/b").expect("there").len().expect("a length"), 4);
    disk.remove("index/a").expect("removed");
    assert_eq!(disk.open("index/a").expect_err("gone").kind(), ErrorKind::NotFound);
}
