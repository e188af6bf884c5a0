//! The whole story: the service takes in a hostile exchange over HTTP, and is killed every few seconds meanwhile.

use super::exchange::Session;
use super::{place, say};
use crate::connect::http::client::Server;
use crate::face::cli::{DemoOptions, span};
use crate::face::config::Config;
use crate::runtime::clock::Stopwatch;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use slackwater_core::fold::Final;
use slackwater_core::judge::Counts;
use slackwater_store::sqlite::{self, Sqlite};
use slackwater_store::store::{Ask, Store};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Senders, each with one delivery at a time.
const SENDERS: usize = 4;
/// Lines of one delivery.
const BATCH: usize = 1_000;
/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(20);
/// How long the service may take to begin, or to become quiet: longer than it ever should.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the service came to.
pub(super) struct Told {
    /// The newest final of every row, in output order.
    pub finals: Vec<Final>,
    pub counts: Counts,
    pub kills: u32,
    /// How long sending took, kills included.
    pub took: Duration,
    /// How late events came, by origin, in words.
    pub lateness: String,
}

/// The service as a child process.
struct Service {
    folder: PathBuf,
    server: Server,
    child: Child,
}

/// The configuration of the service: that of the demo, on a port of its own.
pub(super) fn config(plain: &str) -> Result<(String, u16), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no port on loopback: {error}"))?;
    let port = listener.local_addr().map_err(|error| format!("no port on loopback: {error}"))?.port();
    let live = plain.replace("kind = \"files\"\n", "kind = \"http\"\nlag = \"10s\"\nidle_after = \"2s\"\n");
    let text = format!(
        "{live}\n[service]\ntick = \"250ms\"\ncheckpoint = \"2s\"\n\n[server]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    Ok((text, port))
}

/// Sends a session through the service, and gives what came of it.
pub(super) fn live(
    options: &DemoOptions,
    session: &Session,
    (config, text, port): (&Config, &str, u16),
    folder: &Path,
) -> Result<Told, String> {
    place(folder, "demo.toml", text.as_bytes())?;
    let server = Server { url: format!("http://127.0.0.1:{port}"), token: None, roots: None };
    let mut service = Service::start(folder, server, options.threads)?;
    look(options, &service.server.url);
    let batches = batches(&session.bytes);
    let (next, answered, watch) = (AtomicUsize::new(0), AtomicUsize::new(0), Stopwatch::start());
    let mut kills = 0;
    std::thread::scope(|scope| -> Result<(), String> {
        for _ in 0..SENDERS {
            let (server, batches, next, answered) = (service.server.clone(), &batches, &next, &answered);
            scope.spawn(move || send(&server, batches, next, answered));
        }
        let ended = (|| {
            let mut killed = Stopwatch::start();
            while answered.load(Ordering::Acquire) < batches.len() {
                std::thread::sleep(AGAIN);
                if killed.elapsed() >= Duration::from_secs(options.kill_every) && options.kill_every > 0 {
                    service.kill()?;
                    kills += 1;
                    say(
                        options,
                        &format!(
                            "killed ({kills}), {} of {} deliveries answered\n",
                            answered.load(Ordering::Acquire),
                            batches.len()
                        ),
                    );
                    service.restart(options.threads)?;
                    killed = Stopwatch::start();
                }
            }
            Ok(())
        })();
        // Senders that nobody will answer must not wait for ever.
        if ended.is_err() {
            next.store(batches.len(), Ordering::Release);
        }
        ended
    })?;
    let took = watch.elapsed();
    say(options, "All answered. Waiting until the service finds its venues idle and seals the last minutes.\n");
    let status = service.quiet(session.sent)?;
    let lateness = lateness(&status);
    service.stop()?;
    let (finals, counts) = read(config, &folder.join("data"))?;
    Ok(Told { finals, counts, kills, took, lateness })
}

/// Where to look while it runs.
fn look(options: &DemoOptions, url: &str) {
    say(
        options,
        &format!(
            "The service runs at {url}. While it does:\n  \
             curl '{url}/v1/pipelines/bars/rows?key.symbol=ACME&tier=all&limit=5'\n  \
             curl -N '{url}/v1/pipelines/bars/stream'\n  \
             curl '{url}/v1/status'\n"
        ),
    );
}

/// Whole lines, so many at once.
fn batches(bytes: &[u8]) -> Vec<&[u8]> {
    let mut batches = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr::memchr_iter(b'\n', rest).nth(BATCH - 1).map_or(rest.len(), |end| end + 1);
        let (batch, behind) = rest.split_at(end);
        batches.push(batch);
        rest = behind;
    }
    batches
}

/// Sends deliveries, each until it is answered.
fn send(server: &Server, batches: &[&[u8]], next: &AtomicUsize, answered: &AtomicUsize) {
    loop {
        let number = next.fetch_add(1, Ordering::AcqRel);
        let Some(batch) = batches.get(number) else { return };
        let sent = || server.post("/v1/ingest/trades", Some(&format!("demo-{number}")), "application/x-ndjson", batch);
        while !sent().is_ok_and(|answer| answer.status.is_success()) {
            if next.load(Ordering::Acquire) >= batches.len() + SENDERS * 2 {
                return;
            }
            std::thread::sleep(AGAIN);
        }
        answered.fetch_add(1, Ordering::AcqRel);
    }
}

impl Service {
    fn start(folder: &Path, server: Server, threads: usize) -> Result<Service, String> {
        let child = spawn(folder, threads)?;
        let mut service = Service { folder: folder.to_path_buf(), server, child };
        service.ready()?;
        Ok(service)
    }

    fn kill(&mut self) -> Result<(), String> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| format!("the service cannot be killed: {error}"))
    }

    fn restart(&mut self, threads: usize) -> Result<(), String> {
        self.child = spawn(&self.folder, threads)?;
        self.ready()
    }

    /// Waits until it takes events in.
    fn ready(&mut self) -> Result<(), String> {
        let watch = Stopwatch::start();
        while !self.server.get("/health/ready").is_ok_and(|answer| answer.status.is_success()) {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || watch.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(self.folder.join("service.log")).unwrap_or_default();
                return Err(format!("the service does not begin: {}", said.trim_end()));
            }
            std::thread::sleep(AGAIN);
        }
        Ok(())
    }

    /// Waits until nothing moves any more of so many events, and gives its status.
    fn quiet(&self, sent: u64) -> Result<Value, String> {
        let watch = Stopwatch::start();
        while watch.elapsed() < PATIENCE {
            let answer = self.server.get("/v1/status")?;
            let status: Value = serde_json::from_str(&answer.text).map_err(|error| error.to_string())?;
            // What a status says is of one cut, and that may be a little older than the last answer.
            let received = &status["sources"][0]["counts"]["received"];
            if *received == sent && status["pipelines"][0]["open_rows"] == 0 {
                return Ok(status);
            }
            std::thread::sleep(AGAIN);
        }
        Err(format!("the service has not sealed its rows within {} s", PATIENCE.as_secs()))
    }

    /// Lets it stop as an operator does.
    fn stop(&mut self) -> Result<(), String> {
        let told = |error: std::io::Error| format!("the service cannot be stopped: {error}");
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| told(error.into()))?;
        match self.child.wait().map_err(told)? {
            status if status.success() => Ok(()),
            status => Err(format!("the service stopped with {status}")),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Whatever went wrong, nothing of the demo goes on behind it.
        let _ = self.kill();
    }
}

fn spawn(folder: &Path, threads: usize) -> Result<Child, String> {
    let wrong = |error: std::io::Error| format!("the service does not start: {error}");
    let program = std::env::current_exe().map_err(wrong)?;
    let log = std::fs::File::create(folder.join("service.log")).map_err(wrong)?;
    Command::new(program)
        .args(["run", "-c", "demo.toml", "--data", "data", "--log", "warn", "--threads", &threads.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(wrong)
}

/// What the store has, read as anyone may.
fn read(config: &Config, data: &Path) -> Result<(Vec<Final>, Counts), String> {
    let wrong = |fault: slackwater_store::Fault| format!("{}: {fault}", sqlite::FILE);
    let mut store = Sqlite::read(data, Arc::new(config.plan.clone())).map_err(wrong)?;
    store.check().map_err(wrong)?;
    let mut finals = Vec::new();
    store
        .rows(0, &Ask::default(), &mut |kept| {
            finals.push(kept.row);
            Ok(())
        })
        .map_err(wrong)?;
    let mut counts = Counts::default();
    store.head().map_err(wrong)?.iter().flat_map(|head| &head.counts).for_each(|source| counts.merge(source));
    Ok((Final::newest(finals), counts))
}

/// How late events came, by the clock of the session.
fn lateness(status: &Value) -> String {
    let mut out = String::new();
    for origin in status["sources"][0]["origins"].as_array().into_iter().flatten() {
        let late = |name: &str| span((origin["lateness"][name].as_f64().unwrap_or_default() * 1e9) as u64);
        let name = origin["origin"].as_str().unwrap_or("?");
        let _ = writeln!(out, "lateness {name:<6} p50 {}, p99 {}, max {}", late("p50"), late("p99"), late("max"));
    }
    out
}
