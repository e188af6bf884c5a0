//! The service, as a process of its own.

use slackwater::face::api::live::{Live, Options};
use slackwater::face::api::serve::{Served, Server};
use slackwater::face::config;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONFIG: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
lag = "1s"
idle_after = "5s"
[source.trades.fields]
id = "u64"
venue = "u64"
ts = "timestamp_ms"
symbol = "string"
price = "decimal(18,4)"
size = "decimal(18,4)"
[pipeline.bars]
sql = """
SELECT symbol, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close,
       sum(size) AS volume, wavg(price, size) AS vwap, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
[pipeline.venues]
sql = "SELECT venue, max(id) AS last, sum(size) AS volume, count(*) AS trades FROM trades GROUP BY venue, tumble(ts, INTERVAL '1 second')"
[server]
listen = "127.0.0.1:0"
"#;

/// Runs the service until nothing more can be read from standard input.
pub fn host(data: &Path) -> io::Result<()> {
    let wrong = |text: String| io::Error::other(text);
    let handles = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = rustix::process::Rlimit { current: handles, maximum: handles };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most)?;
    let config = config::load(CONFIG, "ingest.toml").map_err(|errors| wrong(errors.render(false)))?;
    let options = Options { threads: 2, ..Options::default() };
    let live = Live::open(config.clone(), data, options).map_err(|fault| wrong(fault.to_string()))?;
    let server = Server::start(Served::of(&live), &config.server, data).map_err(|error| wrong(error.to_string()))?;
    println!("{}", server.address());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    live.stop();
    live.wait().map_err(|fault| wrong(fault.to_string()))?;
    server.stop(Duration::from_secs(1));
    Ok(())
}

/// A service that runs.
pub struct Hosted {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Hosted {
    /// Starts one over a directory.
    pub fn start(data: &Path) -> io::Result<Hosted> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("host").arg(data).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.as_mut().ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Hosted { child, address })
    }

    /// What it has used.
    pub fn cpu(&self) -> io::Result<Cpu> {
        Cpu::of(&self.child.id().to_string())
    }

    /// Its facts, as its status has them: asked until they rest, for what is shown follows what is answered.
    pub fn facts(&self) -> io::Result<u64> {
        let (mut before, mut rests) = (u64::MAX, 0);
        loop {
            let status = get(self.address, "/v1/status")?;
            let facts = number(&status, "\"facts\":").ok_or_else(|| io::Error::other(status.clone()))?;
            rests = if facts == before { rests + 1 } else { 0 };
            if rests == 4 {
                return Ok(facts);
            }
            before = facts;
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// How long its work took, as its status has it.
    pub fn times(&self) -> io::Result<String> {
        let status = get(self.address, "/v1/status")?;
        Ok(status.split_once("\"times\":").map(|(_, times)| times.trim().to_string()).unwrap_or_default())
    }

    /// Stops it.
    pub fn stop(mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("the service failed")),
        }
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn number(text: &str, behind: &str) -> Option<u64> {
    let (_, rest) = text.split_once(behind)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// CPU seconds of a process.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// All of them.
    pub all: f64,
    /// Those of threads that are there, by name.
    threads: BTreeMap<String, f64>,
}

impl Cpu {
    /// What a process has used up to now.
    pub fn of(process: &str) -> io::Result<Cpu> {
        let mut cpu = Cpu { all: spent(&format!("/proc/{process}/stat"))?, ..Cpu::default() };
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let path = task?.path().display().to_string();
            let (Ok(name), Ok(spent)) = (fs::read_to_string(format!("{path}/comm")), spent(&format!("{path}/stat")))
            else {
                continue;
            };
            *cpu.threads.entry(name.trim().to_string()).or_default() += spent;
        }
        Ok(cpu)
    }

    /// What each kind of thread has used since.
    pub fn since(&self, before: &Cpu, each: impl Fn(f64) -> f64) -> String {
        let mut rest = self.all - before.all;
        let mut text = String::new();
        for (name, spent) in &self.threads {
            let used = spent - before.threads.get(name).copied().unwrap_or(0.0);
            rest -= used;
            if each(used) >= 0.001 {
                text.push_str(&format!("{name} {:.3}, ", each(used)));
            }
        }
        format!("{text}threads that have ended {:.3}", each(rest.max(0.0)))
    }
}

/// User and system seconds in a `stat`; its clock ticks a hundred times a second.
fn spent(path: &str) -> io::Result<f64> {
    let text = fs::read_to_string(path)?;
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}
