//! One minute of one bar, killed at each of its seconds: the case of the forty-seventh by name.

use crate::bench::Bench;
use slackwater_sim::effort;
use std::fs;
use std::path::PathBuf;

const CONFIG: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
[source.trades.fields]
id = "u64"
ts = "timestamp_ms"
size = "u64"
[pipeline.bars]
sql = "SELECT count(*) AS trades, sum(size) AS volume FROM trades GROUP BY tumble(ts, INTERVAL '1 minute')"
"#;

/// Trades of one second. Some of each second come again with the next one.
const PER_SECOND: u64 = 20;

/// What can be wrong with a bar, counted apart.
#[derive(Debug, Default)]
struct Wrong {
    double: usize,
    lost: usize,
    premature: usize,
    poisoned: usize,
}

struct Minute {
    bench: Bench,
    inputs: Vec<String>,
}

impl Minute {
    fn new() -> Minute {
        let bench = Bench::new(CONFIG);
        let mut inputs = Vec::new();
        for second in 0..60 {
            let from = (second * PER_SECOND).saturating_sub(5);
            let line =
                |id: u64| format!("{{\"id\":{id},\"ts\":{},\"size\":{}}}\n", 1_767_225_600_000 + id * 50, id % 7);
            let text: String = (from..(second + 1) * PER_SECOND).map(line).collect();
            bench.write(&format!("s{second:02}.ndjson"), text);
            inputs.push(format!("trades=s{second:02}.ndjson"));
        }
        Minute { bench, inputs }
    }

    fn fold(&self, every: &str, armed: Option<&str>) -> crate::bench::Ran {
        let mut args =
            vec!["fold", "-c", "c.toml", "--data", "data", "--out", "out.ndjson", "--json", "--checkpoint", every];
        self.inputs.iter().for_each(|input| args.extend(["--input", input]));
        self.bench.run(&args, armed)
    }

    /// Kills the fold when it has read a second, and looks whether anything was told too early.
    fn kill(&self, second: usize, every: &str, wrong: &mut Wrong) {
        let ran = self.fold(every, Some(&format!("ChunkJournaled:{}:kill", second + 1)));
        assert_eq!(ran.signal, Some(9), "second {second}: {ran:?}");
        match self.bench.sound() {
            Ok(rows) => wrong.premature += usize::from(rows > 0),
            Err(_) => wrong.poisoned += 1,
        }
        wrong.premature += usize::from(self.bench.path("out.ndjson").exists());
    }

    /// Folds to the end and holds the bar against what it must be. Gives what was said.
    fn end(&self, every: &str, wrong: &mut Wrong) -> String {
        let ran = self.fold(every, None);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let rows = self.bench.read("out.ndjson");
        let bar: serde_json::Value = serde_json::from_str(rows.trim_end()).expect("one bar");
        let volume: u64 = (0..60 * PER_SECOND).map(|id| id % 7).sum();
        for (found, truth) in [(&bar["trades"], 60 * PER_SECOND), (&bar["volume"], volume)] {
            let found: u64 = found.to_string().trim_matches('"').parse().expect("a count");
            wrong.double += usize::from(found > truth);
            wrong.lost += usize::from(found < truth);
        }
        let verified = self.bench.run(&["verify", "--data", "data"], None);
        wrong.poisoned += usize::from(verified.code != Some(0));
        ran.err
    }

    /// The newest checkpoint's file of a kind.
    fn newest(&self, ending: &str) -> PathBuf {
        let entries = fs::read_dir(self.bench.path("data/checkpoint")).expect("checkpoints");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == ending)).max().expect("there is one")
    }
}

#[test]
fn a_minute_that_is_killed_at_any_of_its_seconds_is_told_once_and_whole() {
    let (mut wrong, mut kills) = (Wrong::default(), 0);
    // One directory that dies sixty times.
    let minute = Minute::new();
    for second in 0..60 {
        minute.kill(if second == 0 { 0 } else { 1 }, "1ns", &mut wrong);
        kills += 1;
    }
    minute.end("1ns", &mut wrong);
    // And sixty that die once.
    for second in (0..60).step_by(60 / effort::share(60)) {
        let minute = Minute::new();
        minute.kill(second, if second % 2 == 0 { "1ns" } else { "1h" }, &mut wrong);
        minute.end("1ns", &mut wrong);
        kills += 1;
    }
    told("seconds", kills, &wrong);
}

#[test]
fn the_forty_seventh_second_without_a_checkpoint_with_half_of_one_and_with_a_stale_one() {
    let (mut wrong, mut kills) = (Wrong::default(), 0);
    let none = Minute::new();
    none.kill(47, "1h", &mut wrong);
    assert!(!fs::read_dir(none.bench.path("data/checkpoint")).is_ok_and(|mut found| found.next().is_some()));
    none.end("1h", &mut wrong);
    kills += 1;
    // Died in the middle of writing one: half of it is there under its unfinished name.
    for point in ["FileWritten", "FileSynced", "FileVerified"] {
        let half = Minute::new();
        half.kill(46, "1ns", &mut wrong);
        let ran = half.fold("1ns", Some(&format!("{point}:3:kill")));
        assert_eq!(ran.signal, Some(9), "{ran:?}");
        half.end("1ns", &mut wrong);
        kills += 2;
    }
    // Half of one under its own name, and half of a chunk that it names: an older one must do.
    for ending in ["manifest", "chunk"] {
        let half = Minute::new();
        half.kill(47, "1ns", &mut wrong);
        let path = half.newest(ending);
        let bytes = fs::read(&path).expect("a file");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let said = half.end("1ns", &mut wrong);
        assert!(said.contains("is passed over"), "{said}");
        kills += 1;
    }
    let stale = Minute::new();
    stale.kill(47, "1ns", &mut wrong);
    fs::remove_file(stale.newest("manifest")).expect("the newest checkpoint");
    stale.end("1ns", &mut wrong);
    kills += 1;
    told("forty_seventh", kills, &wrong);
}

fn told(what: &str, kills: usize, wrong: &Wrong) {
    let Wrong { double, lost, premature, poisoned } = *wrong;
    effort::print(&format!(
        "{what} kills={kills} double={double} lost={lost} premature={premature} poisoned={poisoned}"
    ));
    assert_eq!(double + lost + premature + poisoned, 0, "{wrong:?}");
}
