//! Every crash point of the running service: it dies there, is started again, and whoever sends goes on until all of it is
//! acknowledged. Nothing is lost or counted twice, and no generation that was seen is another one later.

use crate::bench::{Bench, CONFIG, PIPELINES, trades};
use slackwater::connect::http::client::Server;
use slackwater_sim::effort;
use slackwater_sim::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// Checkpoints follow each other, and some are being written while events come.
const OFTEN: &str = "[service]\ntick = \"10ms\"\npublish = \"10ms\"\ncheckpoint = \"20ms\"\nwindows = 4\n";
const RUN: [&str; 7] = ["run", "-c", "c.toml", "--data", "data", "--threads", "2"];
/// Lines of a delivery.
const BATCH: usize = 60;
const EVENTS: u64 = 1_800;

/// Deliveries, and the digests of the rows that come of them.
struct Cargo {
    batches: Vec<String>,
    lines: u64,
    rows: BTreeSet<String>,
}

/// What the last column of a CSV has: digests.
fn digests(csv: &str) -> BTreeSet<String> {
    csv.lines().skip(1).filter_map(|line| line.rsplit(',').next()).map(str::to_string).collect()
}

fn cargo() -> Cargo {
    let bench = Bench::new(CONFIG);
    let events = trades(0, EVENTS);
    bench.write("all.ndjson", &events);
    let mut rows = BTreeSet::new();
    for pipeline in PIPELINES {
        let args = ["fold", "-c", "c.toml", "--input", "trades=all.ndjson", "--pipeline", pipeline, "--out", "all.csv"];
        let ran = bench.run(&args, None);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        rows.append(&mut digests(&bench.read("all.csv")));
    }
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    Cargo { batches: lines.chunks(BATCH).map(|lines| lines.concat()).collect(), lines: lines.len() as u64, rows }
}

/// A service that is started again whenever it dies as it was told to.
struct Berth {
    bench: Bench,
    server: Server,
    child: Child,
    /// How it is to die, until it has.
    armed: Option<String>,
    /// Generations that were seen.
    seen: BTreeSet<String>,
}

impl Berth {
    fn new(armed: Option<&str>) -> Berth {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let config = CONFIG.replace("kind = \"files\"", "kind = \"http\"\nidle_after = \"1h\"");
        let bench = Bench::new(&format!("{config}\n{OFTEN}[server]\nlisten = \"{free}\"\n"));
        let child = start(&bench, armed);
        let server = Server { url: format!("http://{free}"), token: None, roots: None };
        Berth { bench, server, child, armed: armed.map(str::to_string), seen: BTreeSet::new() }
    }

    /// If it has died, holds that against how it was to die, looks at what it left, and starts it again.
    fn again(&mut self) -> Result<(), String> {
        let Some(status) = self.child.try_wait().expect("a child") else { return Ok(()) };
        let said = self.bench.read("said.log");
        let armed = self.armed.take().ok_or_else(|| format!("it ended by itself: {status}: {said}"))?;
        let (way, asked) = (armed.rsplit(':').next(), "a test asked for this fault");
        let right = match way {
            Some("abort") => status.signal() == Some(6),
            Some("kill") => status.signal() == Some(9),
            _ => status.code() == Some(6) && said.contains(asked),
        };
        if !right || said.contains("panicked") {
            return Err(format!("{armed} ended otherwise: {status}: {said}"));
        }
        self.look()?;
        self.child = start(&self.bench, None);
        Ok(())
    }

    /// Looks at a directory that nobody uses: it is sound, and no generation that was seen is missing or another one.
    fn look(&mut self) -> Result<(), String> {
        if self.bench.sound()? == 0 {
            return Ok(());
        }
        let now: BTreeSet<String> = self.bench.generations(&PIPELINES).lines().map(str::to_string).collect();
        if let Some(gone) = self.seen.difference(&now).next() {
            return Err(format!("a generation is gone: {gone}"));
        }
        self.seen = now;
        Ok(())
    }

    /// Sends everything until it is acknowledged; then holds what is shown against what must be.
    fn unload(&mut self, cargo: &Cargo) -> Result<(), String> {
        for (number, batch) in cargo.batches.iter().enumerate() {
            loop {
                let (path, key) = ("/v1/ingest/trades", format!("batch-{number}"));
                let told = self.server.post(path, Some(&key), "application/x-ndjson", batch.as_bytes());
                match told {
                    Ok(answer) if answer.status.is_success() => break,
                    Ok(answer) if answer.status.as_u16() < 500 => return Err(answer.text),
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
                self.again()?;
            }
            // Now and then it has time to do what it does beside.
            if number % 3 == 0 {
                std::thread::sleep(Duration::from_millis(12));
            }
        }
        let received = self.shown(|text| text.contains(&format!("\"received\":{}", cargo.lines)), "/v1/status")?;
        let rows = self.rows()?;
        if rows != cargo.rows {
            let (lost, more) = (cargo.rows.difference(&rows).count(), rows.difference(&cargo.rows).count());
            return Err(format!("{lost} rows are missing and {more} are too many: {received}"));
        }
        Ok(())
    }

    /// What a path shows once it is as wanted. What is shown is a little older than what was answered last.
    fn shown(&mut self, wanted: impl Fn(&str) -> bool, path: &str) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..2_000 {
            match self.server.get(path) {
                Ok(answer) if wanted(&answer.text) => return Ok(answer.text),
                Ok(answer) => last = answer.text,
                Err(_) => self.again()?,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{path} never shows what it must: {last}"))
    }

    fn rows(&mut self) -> Result<BTreeSet<String>, String> {
        let mut rows = BTreeSet::new();
        for pipeline in PIPELINES {
            let path = format!("/v1/pipelines/{pipeline}/rows?tier=all&format=csv&limit=10000");
            rows.append(&mut digests(&self.shown(|text| text.starts_with("pipeline,"), &path)?));
        }
        Ok(rows)
    }

    /// Stops it, and gives how that went.
    fn stop(&mut self) -> ExitStatus {
        let sent = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
        self.child.wait().expect("a child")
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(bench: &Bench, armed: Option<&str>) -> Child {
    let said = std::fs::File::create(bench.path("said.log")).expect("room for a file");
    let mut command = bench.command(&RUN);
    command.env("SLACKWATER_CRASH_LOG", bench.path("passed.log")).stdout(Stdio::null()).stderr(said);
    if let Some(armed) = armed {
        command.env("SLACKWATER_CRASH", armed);
    }
    command.spawn().expect("the binary runs")
}

/// How often each point is passed when nothing happens.
fn passes(cargo: &Cargo) -> BTreeMap<String, usize> {
    let mut berth = Berth::new(None);
    berth.unload(cargo).unwrap_or_else(|what| panic!("undisturbed: {what}"));
    assert_eq!(berth.stop().code(), Some(0));
    let mut passes = BTreeMap::new();
    berth.bench.read("passed.log").lines().for_each(|name| *passes.entry(name.to_string()).or_default() += 1);
    passes
}

/// Whether it died as it was told to, and nothing is wrong.
fn run(armed: &str, cargo: &Cargo) -> Result<bool, String> {
    let mut berth = Berth::new(Some(armed));
    berth.unload(cargo)?;
    let died = berth.armed.is_none();
    let stopped = berth.stop();
    if stopped.code() != Some(0) && died {
        return Err(format!("it does not stop: {stopped}: {}", berth.bench.read("said.log")));
    }
    berth.look()?;
    Ok(died)
}

#[test]
fn a_service_that_dies_at_any_point_loses_nothing_and_counts_nothing_twice() {
    let cargo = cargo();
    let passes = passes(&cargo);
    let mut rng = Rng::new(effort::asked_seed().unwrap_or(11));
    let (mut runs, mut died, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for (at, (name, count)) in passes.iter().enumerate() {
        for (nth, way) in ["abort", "kill", "error"].into_iter().enumerate() {
            // A tenth: each point in one way.
            if effort::share(10) < 10 && nth != at % 3 {
                continue;
            }
            // How often a point is passed depends on how fast it goes; half as often it always is.
            let armed = format!("{name}:{}:{way}", 1 + rng.below((count / 2).max(1)));
            runs += 1;
            match run(&armed, &cargo) {
                Ok(true) => drop(died.insert(name)),
                Ok(false) => {}
                Err(what) => wrong.push(format!("{armed}: {what}")),
            }
        }
    }
    effort::print(&format!("serving crash_points={}/{} runs={runs} wrong={}", died.len(), passes.len(), wrong.len()));
    assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    for name in ["EntriesSynced", "TickSynced", "ArchiveWritten", "WinnersIndexed", "ManifestWritten"] {
        assert!(died.contains(&name.to_string()), "it never died at {name}: {passes:?}");
    }
}
