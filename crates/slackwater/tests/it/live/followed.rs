//! Files that a running instance follows: grown, rotated, cut off, and what is no plain file.

use super::{assert_alike, config, folded, quick, stopped};
use crate::durable::retained::trade;
use crate::durable::{CONFIG, trades};
use slackwater::face::api::live::{Live, Options};
use slackwater::runtime::clock::{Clock, Stopwatch};
use slackwater::runtime::service::Pace;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The configuration with a path for its source, as a service of files.
fn following(path: &Path) -> slackwater::face::config::Config {
    let text =
        CONFIG.replace("kind = \"files\"", &format!("kind = \"files\"\npath = {:?}", path.display().to_string()));
    slackwater::face::config::load(&text, "test.toml").expect("a sound configuration")
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("room");
}

/// Waits until so many events were received.
fn received(live: &Live, count: usize) {
    while live.board().standing().sources[0].counts.received < count as u64 {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn start(path: &Path, data: &Path) -> Live {
    Live::open(following(path), data, quick()).expect("opened")
}

#[test]
fn a_file_that_grows_is_read_on_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let events = trades(0, 600);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let (first, second) = (lines[..200].concat(), lines[200..].concat());
    // The last line is not whole yet.
    let (half, rest) = second.split_at(second.len() / 2 + 3);
    append(&file, &first);
    let live = start(&file, &data);
    received(&live, 200);
    append(&file, half);
    let whole = half.matches('\n').count();
    received(&live, 200 + whole);
    stopped(&live);
    append(&file, rest);
    let live = start(&file, &data);
    received(&live, lines.len());
    let rows = stopped(&live);
    assert_alike(&rows, &folded(CONFIG, &events), "grown");
    assert_eq!(live.board().standing().sources[0].counts.received, lines.len() as u64, "nothing is read twice");
}

/// Two origins, one-second windows, one of them in a file.
const ORIGINS: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
[source.trades.fields]
id = "u64"
venue = "string"
ts = "timestamp_s"
[pipeline.seconds]
sql = "SELECT count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 second')"
"#;

#[test]
fn a_file_of_an_origin_that_is_far_ahead_waits_for_the_one_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("in.ndjson");
    let path = format!("kind = \"files\"\npath = {:?}", file.display().to_string());
    let text = ORIGINS.replace("kind = \"files\"", &path);
    let config = slackwater::face::config::load(&text, "test.toml").expect("a sound configuration");
    let live = Live::open(config, &folder.path().join("data"), Options { windows: 4, ..quick() }).expect("opened");
    let event = |id: u64, venue: &str, at: u64| {
        format!("{{\"id\":{id},\"venue\":\"{venue}\",\"ts\":{}}}\n", 1_700_000_000 + at)
    };
    let several = |from: u64, at: u64| -> String { (0..100).map(|n| event(from + n, "X", at + n)).collect() };
    let push = |id, at| drop(live.push("trades", None, event(id, "Y", at).into_bytes()).expect("taken in"));
    let all = || live.board().standing().sources[0].counts.received;
    let is_held = || {
        let standing = live.board().standing();
        let ahead = standing.sources[0].origins.iter().any(|origin| origin.name == b"X" && origin.ahead);
        ahead && standing.sources[0].restraint.holds(b"X", Clock::start().now())
    };
    push(1, 0);
    append(&file, &several(1_000, 0));
    received(&live, 101);
    let mut id = 2;
    while !is_held() {
        push(id, 0);
        id += 1;
    }
    // What the file has now waits while the other is heard.
    append(&file, &several(2_000, 200));
    let (patience, base) = (Stopwatch::start(), 100);
    while patience.elapsed() < Duration::from_millis(700) {
        push(id, 1);
        id += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    // What was answered shows a moment later.
    received(&live, (base + id - 1) as usize);
    assert_eq!(all(), base + id - 1, "nothing of the file was taken in");
    push(id, 99);
    received(&live, 200 + id as usize);
    // It is ahead again. A file that carries both is read on.
    while !is_held() {
        id += 1;
        push(id, 100);
    }
    append(&file, &format!("{}{}", event(3_000, "X", 300), event(3_001, "Y", 101)));
    received(&live, 202 + id as usize);
    append(&file, &event(3_002, "X", 301));
    received(&live, 203 + id as usize);
    stopped(&live);
}

#[test]
fn a_file_that_is_rotated_is_read_to_its_end_also_while_nobody_looked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let old = |number: u32| folder.path().join(format!("in.ndjson.{number}"));
    let events = trades(0, 800);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let part = |from: usize, to: usize| lines[from..to].concat();
    append(&file, &part(0, 200));
    let live = start(&file, &data);
    received(&live, 200);
    // Rotated while it runs. Whoever writes has not noticed yet, and goes on for a while; its last record has no line end.
    fs::rename(&file, old(1)).expect("renamed");
    append(&file, &part(300, 400));
    append(&old(1), &part(200, 250));
    received(&live, 250);
    std::thread::sleep(Duration::from_millis(500));
    append(&old(1), part(250, 300).trim_end());
    received(&live, 400);
    stopped(&live);
    // And while nobody looks.
    append(&file, &part(400, 500));
    fs::rename(&file, old(2)).expect("renamed");
    append(&file, &part(500, lines.len()));
    let live = start(&file, &data);
    received(&live, lines.len());
    assert_alike(&stopped(&live), &folded(CONFIG, &events), "rotated");
    assert_eq!(live.board().standing().sources[0].counts.received, lines.len() as u64, "nothing is read twice");
}

#[test]
fn files_that_are_rotated_one_soon_after_the_other_are_all_read_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let old = |number: u32| folder.path().join(format!("in.ndjson.{number}"));
    let events = trades(0, 500);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let part = |from: usize, to: usize| lines[from..to].concat();
    let all = |live: &Live| live.board().standing().sources[0].counts.received;
    append(&file, &part(0, 200));
    let live = start(&file, &data);
    received(&live, 200);
    fs::rename(&file, old(1)).expect("renamed");
    append(&file, &part(220, 229));
    // Long enough for it to be seen. Its last record has no line end.
    std::thread::sleep(Duration::from_millis(500));
    append(&file, part(229, 230).trim_end());
    fs::rename(&file, old(2)).expect("renamed");
    append(&file, &part(230, 330));
    append(&old(1), &part(200, 220));
    received(&live, 220);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(all(&live), 220, "the others wait for their turn");
    received(&live, 330);
    // Rotated while it runs, and not done when it stops: that one is first, and the one that has the name waits.
    fs::rename(&file, old(3)).expect("renamed");
    append(&file, &part(350, lines.len()));
    std::thread::sleep(Duration::from_millis(500));
    stopped(&live);
    append(&old(3), &part(330, 350));
    let live = start(&file, &data);
    received(&live, 350);
    assert_eq!(all(&live), 350, "the one that has the name waits");
    received(&live, lines.len());
    assert_alike(&stopped(&live), &folded(CONFIG, &events), "rotated twice");
    assert_eq!(all(&live), lines.len() as u64, "nothing is read twice");
}

#[test]
fn a_file_that_has_the_number_of_one_that_is_gone_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let line = |id: u64| trade(id, 0, id as f64, 5);
    let (file, lines) = (place("in.ndjson"), |from: u64| (from..from + 10).map(line).collect::<String>());
    append(&file, &lines(0));
    let live = start(&file, &place("data"));
    received(&live, 10);
    fs::rename(&file, place("in.1")).expect("renamed");
    append(&file, &lines(10));
    // The first one is done by then.
    received(&live, 20);
    fs::remove_file(place("in.1")).expect("removed");
    fs::rename(&file, place("in.2")).expect("renamed");
    append(&file, &lines(20));
    received(&live, 30);
    assert_eq!(live.board().standing().sources[0].counts.facts, 30);
    stopped(&live);
}

#[test]
fn a_file_that_is_emptied_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    append(&file, &trades(0, 300));
    let first = trades(0, 300).lines().count();
    let live = start(&file, &data);
    received(&live, first);
    fs::write(&file, trades(300, 20)).expect("emptied, and written anew");
    received(&live, first + trades(300, 20).lines().count());
    assert_alike(&stopped(&live), &folded(CONFIG, &(trades(0, 300) + &trades(300, 20))), "emptied");
}

#[test]
fn a_file_that_is_written_anew_with_more_than_it_had_is_read_from_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let (first, second, third) = (trades(0, 100), trades(100, 200), trades(300, 400));
    let count = |events: &str| events.lines().count();
    // The mark is no part of the first event, and the last event is not whole.
    append(&file, &format!("\u{feff}{first}{{\"id\":"));
    let live = start(&file, &data);
    received(&live, count(&first));
    fs::write(&file, format!("\u{feff}{second}")).expect("written anew");
    received(&live, count(&first) + count(&second));
    stopped(&live);
    let live = start(&file, &data);
    // Long enough for it to be found where it was left.
    std::thread::sleep(Duration::from_millis(500));
    fs::write(&file, &third).expect("written anew");
    let events = first + &second + &third;
    received(&live, count(&events));
    assert_alike(&stopped(&live), &folded(CONFIG, &events), "written anew");
    assert_eq!(live.board().standing().sources[0].counts.received, count(&events) as u64, "nothing is read twice");
}

#[test]
fn all_plain_files_of_a_folder_are_followed_and_nothing_else_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, data) = (folder.path().join("in"), folder.path().join("data"));
    fs::create_dir(&files).expect("a folder");
    let secret = folder.path().join("secret.ndjson");
    append(&secret, &trades(900, 10));
    append(&files.join("a.ndjson"), &trades(0, 100));
    append(&files.join("b.ndjson"), &trades(100, 100));
    std::os::unix::fs::symlink(&secret, files.join("c.ndjson")).expect("a link");
    fs::hard_link(&secret, files.join("d.ndjson")).expect("a hard link");
    rustix::fs::mkfifoat(rustix::fs::CWD, files.join("e.ndjson"), 0o600.into()).expect("a pipe");
    fs::create_dir(files.join("f.ndjson")).expect("a folder within");
    let live = start(&files, &data);
    let expected = trades(0, 100) + &trades(100, 100);
    received(&live, expected.lines().count());
    append(&files.join("g.ndjson"), &trades(200, 50));
    let expected = expected + &trades(200, 50);
    received(&live, expected.lines().count());
    assert_alike(&stopped(&live), &folded(CONFIG, &expected), "a folder");
    assert_eq!(live.board().standing().sources[0].counts.received, expected.lines().count() as u64);
}

/// Ten trades from a number on.
fn ten(from: u64) -> String {
    (from..from + 10).map(|id| trade(id, 0, id as f64, 5)).collect()
}

#[test]
fn a_file_between_two_rotations_is_found_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let old = |number: u32| folder.path().join(format!("in.ndjson.{number}"));
    append(&file, &ten(0));
    let live = start(&file, &data);
    received(&live, 10);
    fs::rename(&file, old(1)).expect("renamed");
    append(&file, &ten(20));
    // What waits is opened; then it is rotated as well, while the first is not done.
    std::thread::sleep(Duration::from_millis(300));
    fs::rename(&file, old(2)).expect("renamed");
    append(&file, &ten(30));
    append(&folder.path().join("in.ndjsonx"), &ten(100));
    append(&folder.path().join("other.ndjson"), &ten(200));
    append(&old(1), &ten(10));
    received(&live, 20);
    stopped(&live);
    let live = start(&file, &data);
    received(&live, 40);
    stopped(&live);
    let counts = live.board().standing().sources[0].counts.clone();
    assert_eq!((counts.received, counts.facts), (40, 40), "nothing is read twice, and nothing of others");
}

#[test]
fn a_file_of_a_folder_is_read_on_under_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, data) = (folder.path().join("in"), folder.path().join("data"));
    fs::create_dir(&files).expect("a folder");
    append(&files.join("a"), &ten(0));
    append(&files.join("b"), &(ten(10) + "broken\n"));
    let live = start(&files, &data);
    received(&live, 21);
    // One is renamed while it runs, and grows only long after; the other is replaced.
    fs::rename(files.join("a"), files.join("c")).expect("renamed");
    fs::rename(files.join("b"), files.join("d")).expect("renamed");
    append(&files.join("b"), &ten(20));
    received(&live, 31);
    std::thread::sleep(Duration::from_millis(6_000));
    assert!(live.board().standing().sources[0].caught_up);
    append(&files.join("c"), &ten(30));
    received(&live, 41);
    stopped(&live);
    // And while nobody looks, as logs are shifted: d is e, b is d.
    fs::rename(files.join("d"), files.join("e")).expect("renamed");
    fs::rename(files.join("b"), files.join("d")).expect("renamed");
    append(&files.join("b"), &ten(40));
    let live = start(&files, &data);
    received(&live, 51);
    std::thread::sleep(Duration::from_millis(500));
    stopped(&live);
    let counts = live.board().standing().sources[0].counts.clone();
    assert_eq!((counts.received, counts.facts, counts.refused()), (51, 50, 1), "nothing is read twice: {counts:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_holds_up_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, data) = (folder.path().join("in"), folder.path().join("data"));
    fs::create_dir(&files).expect("a folder");
    let text = CONFIG.replace("format = \"json\"", "format = \"csv\"");
    let path = format!("kind = \"files\"\npath = {:?}", files.display().to_string());
    let config = slackwater::face::config::load(&text.replace("kind = \"files\"", &path), "test.toml").expect("sound");
    append(&files.join("a"), "foo,bar\n1,2\n");
    std::thread::sleep(Duration::from_millis(20));
    append(&files.join("b"), "id,symbol,ts,price,size\n1,ABC,1767225600000,1,1\n");
    let live = Live::open(config, &data, quick()).expect("opened");
    received(&live, 1);
    let wrong = || live.board().standing().sources[0].wrong.clone();
    while wrong().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(wrong()[0].starts_with("a: ") && wrong()[0].contains("header"), "{:?}", wrong());
    // Written anew, with a header that fits.
    fs::write(files.join("a"), "id,symbol,ts,price,size\n2,ABC,1767225600000,1,1\n").expect("written");
    received(&live, 2);
    while !wrong().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // A folder that is gone is not read to its end.
    while !live.board().standing().sources[0].caught_up {
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::rename(&files, folder.path().join("elsewhere")).expect("renamed");
    while wrong().is_empty() || live.board().standing().sources[0].caught_up {
        std::thread::sleep(Duration::from_millis(2));
    }
    stopped(&live);
}

#[test]
fn where_places_are_identities_nothing_is_read_in_the_place_of_what_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("in.ndjson"), folder.path().join("data"));
    let text = CONFIG.replace("identity = \"id\"\n", "identity = \"position\"\n");
    let text = text.replace("version = \"v\"\nop = \"op\"\n", "");
    let path = format!("kind = \"files\"\npath = {:?}", file.display().to_string());
    let config = slackwater::face::config::load(&text.replace("kind = \"files\"", &path), "test.toml").expect("sound");
    let open = || Live::open(config.clone(), &data, quick()).expect("opened");
    let refuses = |live: &Live| {
        while live.board().standing().sources[0].wrong.is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let standing = live.board().standing();
        assert!(
            standing.sources[0].wrong[0].contains("give the source an `identity`"),
            "{:?}",
            standing.sources[0].wrong
        );
        assert_eq!((standing.sources[0].counts.received, standing.sources[0].counts.facts), (20, 20));
    };
    append(&file, &ten(0));
    let live = open();
    received(&live, 10);
    append(&file, &ten(10));
    received(&live, 20);
    fs::rename(&file, folder.path().join("in.ndjson.1")).expect("renamed");
    append(&file, &ten(30));
    refuses(&live);
    // Nor once the one that had the name is done.
    std::thread::sleep(Duration::from_millis(6_000));
    refuses(&live);
    stopped(&live);
    // Nor after a restart, nor where it is the same file that was written anew.
    let live = open();
    refuses(&live);
    stopped(&live);
    fs::rename(folder.path().join("in.ndjson.1"), &file).expect("renamed");
    let live = open();
    std::thread::sleep(Duration::from_millis(500));
    assert!(live.board().standing().sources[0].wrong.is_empty());
    fs::write(&file, ten(50)).expect("written anew");
    refuses(&live);
    stopped(&live);
}

#[test]
fn a_path_that_cannot_be_followed_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = quick();
    let nowhere = folder.path().join("nowhere/in.ndjson");
    let error = Live::open(following(&nowhere), &folder.path().join("data"), options).expect_err("refused");
    assert!(error.to_string().contains("source `trades`") && error.to_string().contains("nowhere"), "{error}");
    let (file, link) = (folder.path().join("in.ndjson"), folder.path().join("link.ndjson"));
    append(&file, &ten(0));
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for (path, why) in [(link, "it is a link"), (folder.path().join("in.ndjson.gz"), "a packed file")] {
        let error = Live::open(following(&path), &folder.path().join("data"), quick()).expect_err("refused");
        assert!(error.to_string().contains(why), "{error}");
    }
    let _ = (config(CONFIG), Pace::default());
}
