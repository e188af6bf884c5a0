//! A directory in which the binary with crash points runs, and the folds that are tormented in it.

use slackwater::face::config;
use slackwater_store::checkpoint::Checkpoints;
use slackwater_store::disk::Folder;
use slackwater_store::sqlite::{FILE, Sqlite};
use slackwater_store::store::Store;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Windows of three kinds over trades that may be corrected and retracted.
pub const CONFIG: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
version = "v"
op = "op"
require = ["size >= 0"]
[source.trades.fields]
id = "u64"
v = "u64?"
op = "string?"
symbol = "string"
ts = "timestamp_ms"
price = "decimal(18,4)"
size = "decimal(18,2)"

[pipeline.minutes]
sql = """
SELECT symbol, first(price) AS open, max(price) AS high, last(price) AS close, sum(size) AS volume,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
[pipeline.visits]
sql = "SELECT symbol, count(*) AS trades, last(price) AS close FROM trades GROUP BY symbol, session(ts, INTERVAL '20 seconds')"
[pipeline.bars]
sql = "SELECT symbol, last(price) AS close, sum(size) AS volume FROM trades GROUP BY symbol, volume_bar(size, 5000)"
"#;

/// The pipelines of [`CONFIG`].
pub const PIPELINES: [&str; 3] = ["minutes", "visits", "bars"];

/// Hostile trades: out of order, some twice, some refused, some corrected, retracted or in conflict.
pub fn trades(from: u64, count: u64) -> String {
    let mut out = String::new();
    for id in from..from + count {
        // Any numbers that look nothing like a sequence.
        let lot = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ id;
        let (symbol, price, size) = (["ABC", "DEF", "GHI"][(lot % 3) as usize], lot % 9_000 + 1_000, lot % 70);
        let ts = 1_767_225_600_000 + id * 400 + lot % 5_000;
        let fields = |price: u64| {
            format!(r#""symbol":"{symbol}","ts":{ts},"price":{}.{:02},"size":{size}"#, price / 100, price % 100)
        };
        let _ = writeln!(out, r#"{{"id":{id},{}}}"#, fields(price));
        match lot % 41 {
            0 => drop(writeln!(out, r#"{{"id":{id},{}}}"#, fields(price))),
            1 => drop(writeln!(out, r#"{{"id":{id},"v":2,{}}}"#, fields(price + 7))),
            2 => drop(writeln!(out, r#"{{"id":{id},"v":3,"op":"retract",{}}}"#, fields(price))),
            3 => drop(writeln!(out, r#"{{"id":{id},"symbol":"ABC","ts":{ts},"price":1,"size":-1}}"#)),
            4 => drop(writeln!(out, r#"{{"id":{id},"#)),
            5 => drop(writeln!(out, r#"{{"id":{id},{}}}"#, fields(price + 3))),
            _ => {}
        }
    }
    out
}

/// Locks a directory that no process uses. Another test that is just about to start one may hold a copy of the lock of the
/// run before, for it has all files of this process until the binary begins.
pub fn locked(data: &Path) -> std::io::Result<Folder> {
    loop {
        match Folder::open(data) {
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    /// None: by a signal.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what the program says is UTF-8");
        let (code, signal) = (output.status.code(), output.status.signal());
        let ran = Ran { code, signal, out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.err.contains("panicked") && ran.code != Some(101), "it panicked: {ran:?}");
        ran
    }
}

/// A directory with a configuration `c.toml`.
pub struct Bench(TempDir);

impl Bench {
    /// In memory where there is a place for that: no test here asks whether a sync reaches a platter.
    pub fn new(config: &str) -> Bench {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let bench = Bench(made.expect("a temporary directory"));
        bench.write("c.toml", config);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("room for a file");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The binary, about to run here with small segments of its journal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slackwater-crash"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env("SLACKWATER_SEGMENT_BYTES", "16384");
        command
    }

    /// Runs the binary here; `armed` is `point:occurrence:way`.
    pub fn run(&self, args: &[&str], armed: Option<&str>) -> Ran {
        let mut command = self.command(args);
        if let Some(armed) = armed {
            command.env("SLACKWATER_CRASH", armed);
        }
        command.output().expect("the binary runs").into()
    }

    /// Every generation of every pipeline.
    pub fn generations(&self, pipelines: &[&str]) -> String {
        let mut rows = String::new();
        for pipeline in pipelines {
            let ran = self.run(&["query", "--data", "data", pipeline, "--generations", "--json"], None);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            rows.push_str(&ran.out);
        }
        rows
    }

    /// Looks at a directory right after a crash: what the store has is whole, and the checkpoint that its last commit
    /// names is there with all that the trimmed journal is not needed for any more. Gives how many rows it has.
    pub fn sound(&self) -> Result<u64, String> {
        let data = self.path("data");
        if !data.join(FILE).is_file() {
            return Ok(0);
        }
        let plan = Arc::new(config::load(&self.read("c.toml"), "c.toml").expect("a sound configuration").plan);
        let mut store = Sqlite::read(&data, plan).map_err(|fault| fault.to_string())?;
        let head = match store.head() {
            Ok(Some(head)) => head,
            // A process that died before it had made its tables.
            Ok(None) => return Ok(0),
            Err(fault) if fault.to_string().contains("no such table") => return Ok(0),
            Err(fault) => return Err(fault.to_string()),
        };
        store.check().map_err(|fault| fault.to_string())?;
        let disk = Arc::new(locked(&data).map_err(|error| error.to_string())?);
        let checkpoints = Checkpoints::open(disk, head.instance).map_err(|fault| fault.to_string())?;
        if head.checkpoint > 0 {
            let manifest = checkpoints.verify(head.checkpoint).map_err(|fault| fault.to_string())?;
            if manifest.head.journal > head.journal {
                return Err(format!("checkpoint {} is ahead of its commit", head.checkpoint));
            }
        }
        Ok(head.rows.iter().map(|rows| rows.count).sum())
    }
}
