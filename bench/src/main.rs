//! Throughput of the fold on W1, beside a hand loop over decoded rows as the floor, with where the rest goes.
//!
//! `w1 [--trades N] [--runs N] [--format ndjson|csv|parquet] [--peers PYTHON]` prints medians, with DuckDB and Polars doing
//! the same if a Python that has them is named. `windows [--trades N] [--runs N]` does the same work over other windows.
//! `durable [--trades N] [--runs N]` folds into a data directory, then a copy of the same file, beside a plain fold, and says how
//! many bytes an event takes there, what loading it twice more adds, and how soon it goes on after it was killed. `index N [--ids random|dense]` and `archive N` measure what is kept: identity runs, and the log of facts.
//! `ingest [--seconds N] [--rate N] [--subscribers N]` posts to the service from eight senders, as fast as it answers and at a
//! rate, without and with many streams, or one of these three phases alone. `slow [--seconds N] [--clients N]` posts from one
//! sender, alone and beside a thousand clients that send a byte a second.
//! `flat [--trades N] [--runs N]` folds beginnings of one file, from a hundred thousand trades up to all, and says what an event
//! costs in each; `flat --durable yes` does so into a data directory.
//! Every run is a process of its own, so that CPU seconds and peak memory are its own. Its file is read once before: what is
//! measured is no disk, and no memory that a host took back meanwhile.

mod durable;
mod formats;
mod generate;
mod ingest;
mod kept;
mod stages;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The allocator of the product's binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What one run of one stage took.
#[derive(Clone, Copy, Debug)]
struct Figures {
    events: f64,
    wall: f64,
    cpu: f64,
    peak_mib: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("w1") => {
            let (trades, runs) = (option(&arguments, "--trades", 10_000_000), option(&arguments, "--runs", 5));
            let peers = option(&arguments, "--peers", String::new());
            w1(trades, runs, &option(&arguments, "--format", String::from("ndjson")), &peers)
        }
        Some("windows") => {
            let (trades, runs) = (option(&arguments, "--trades", 10_000_000), option(&arguments, "--runs", 3));
            data(trades, "ndjson").and_then(|file| table(&WINDOWS, runs, |_| &file, ""))
        }
        Some("durable") => {
            let (trades, runs) = (option(&arguments, "--trades", 10_000_000), option(&arguments, "--runs", 3));
            data(trades, "ndjson").and_then(|file| {
                table(&DURABLE, runs, |_| &file, "")?;
                durable::loads(&stages::load(&file, "durable")?, &file)?;
                durable::restart(&file)
            })
        }
        Some("flat") => {
            let durable = option(&arguments, "--durable", String::new()) == "yes";
            let trades = option(&arguments, "--trades", if durable { 50_000_000 } else { 30_000_000 });
            flat(trades, option(&arguments, "--runs", 5), durable)
        }
        Some("index") if arguments.len() > 1 => {
            let count = arguments[1].parse().map_err(io::Error::other);
            count.and_then(|count| kept::index(count, &option(&arguments, "--ids", String::from("random"))))
        }
        Some("ingest") => {
            let (seconds, rate) = (option(&arguments, "--seconds", 30), option(&arguments, "--rate", 50_000));
            let subscribers = option(&arguments, "--subscribers", 1_000);
            let interval = option(&arguments, "--interval", String::new());
            let only = option(&arguments, "--phase", 0);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
            ingest::run(ingest::Asked { seconds, rate, subscribers, interval, only }, &folder)
        }
        Some("slow") => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
            ingest::slow(option(&arguments, "--seconds", 20), option(&arguments, "--clients", 1_000), &folder)
        }
        Some("host") if arguments.len() > 1 => ingest::host(Path::new(&arguments[1])),
        Some("archive") if arguments.len() > 1 => {
            arguments[1].parse().map_err(io::Error::other).and_then(kept::archive)
        }
        Some("stage") if arguments.len() == 4 => stages::run(&arguments[1], &arguments[2], Path::new(&arguments[3])),
        _ => Err(io::Error::other(
            "usage: w1 [--trades N] [--runs N] [--format ndjson|csv|parquet] [--peers PYTHON] | windows [--trades N] [--runs N] \
             | durable [--trades N] [--runs N] | flat [--trades N] [--runs N] [--durable yes] | index N [--ids random|dense] | archive N \
             | ingest [--seconds N] [--rate N] [--subscribers N] [--interval 500ms] [--phase 1|2|3] | slow [--seconds N] [--clients N]",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn option<T: std::str::FromStr>(arguments: &[String], name: &str, default: T) -> T {
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
}

/// Name, threads, and what it does.
type Stage = (&'static str, &'static str, &'static str);

const STAGES: [Stage; 6] = [
    ("hand loop", "1", "a hash map of minute bars over rows decoded before, without dedup"),
    ("read", "1", "bytes of the file into chunks"),
    ("decode", "1", "read, and bytes to rows"),
    ("judge", "1", "read, decode, and exact identity over all history"),
    ("fold", "1", "everything, to final rows, on one thread"),
    ("fold", "2", "everything, to final rows, on two threads"),
];

const PEERS: [Stage; 4] = [
    ("duckdb", "1", "DuckDB: the same bars, with dedup"),
    ("duckdb", "2", "the same on two threads"),
    ("polars", "1", "Polars: the same in float64, with dedup"),
    ("polars", "2", "the same on two threads"),
];

const WINDOWS: [Stage; 7] = [
    ("tumble", "1", "one minute"),
    ("hop", "1", "five minutes every minute"),
    ("session", "1", "pauses of more than 200 milliseconds"),
    ("tick bars", "1", "500 trades"),
    ("volume bars", "1", "50,000 of size, split"),
    ("value bars", "1", "5,000,000 of price * size, split"),
    ("percentiles", "1", "one minute, with p50, p90 and p99 of the price"),
];

const DURABLE: [Stage; 3] = [
    ("fold", "2", "without a directory"),
    ("durable", "2", "journaled, with identity runs, archive and a checkpoint every second"),
    ("again", "2", "a copy of the file into the same directory: nothing changes"),
];

fn w1(trades: u64, runs: u64, format: &str, python: &str) -> io::Result<()> {
    let file = data(trades, format)?;
    // The hand loop is over rows, and takes them from where they are read most simply.
    let by_hand = data(trades, "ndjson")?;
    println!("W1: {trades} trades, {} MiB of {format}; medians of {runs}", fs::metadata(&file)?.len() >> 20);
    let peers = if python.is_empty() { &PEERS[..0] } else { &PEERS };
    table(&[&STAGES[..], peers].concat(), runs, |stage| if stage.0 == "hand loop" { &by_hand } else { &file }, python)
}

/// Measures stages in turn, run by run, so that a slow minute of the machine falls on all of them.
fn table<'f>(stages: &[Stage], runs: u64, file: impl Fn(&Stage) -> &'f PathBuf, python: &str) -> io::Result<()> {
    println!(
        "{:<11} {:>7} {:>12} {:>8} {:>8} {:>9} {:>9}  what",
        "stage", "threads", "events/s", "wall s", "CPU s", "CPU us/ev", "peak MiB"
    );
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); stages.len()];
    for _ in 0..runs.max(1) {
        for (stage, figures) in stages.iter().zip(&mut figures) {
            figures.push(measure(stage, file(stage), python)?);
        }
    }
    for ((name, threads, what), figures) in stages.iter().zip(&figures) {
        let of = |part: fn(&Figures) -> f64| median(figures.iter().map(part).collect());
        let (events, wall) = (of(|f| f.events), of(|f| f.wall));
        let (cpu, peak) = (of(|f| f.cpu), of(|f| f.peak_mib));
        let (rate, each) = (events / wall, cpu / events * 1e6);
        println!("{name:<11} {threads:>7} {rate:>12.0} {wall:>8.2} {cpu:>8.2} {each:>9.3} {peak:>9.0}  {what}");
    }
    Ok(())
}

/// Measures what an event costs in beginnings of one file, each ten times as long as the one before.
fn flat(trades: u64, runs: u64, durable: bool) -> io::Result<()> {
    let (stage, least) = if durable { (DURABLE[1], 1_000_000) } else { (STAGES[4], 100_000) };
    let whole = data(trades, "ndjson")?;
    let lengths: Vec<u64> =
        std::iter::successors(Some(least), |length| Some(length * 10)).take_while(|l| *l < trades).collect();
    let mut files = lengths.iter().map(|length| beginning(&whole, *length)).collect::<io::Result<Vec<_>>>()?;
    files.push(whole);
    println!("{}, {} threads; medians of {runs}", stage.0, stage.1);
    let mut each: Vec<Vec<f64>> = vec![Vec::new(); files.len()];
    for _ in 0..runs.max(1) {
        for ((file, length), each) in files.iter().zip(lengths.iter().chain([&trades])).zip(&mut each) {
            // A run of some milliseconds says little, so there are as many as make a million events.
            for _ in 0..(1_000_000 / length).max(1) {
                let figures = measure(&stage, file, "")?;
                each.push(figures.wall / figures.events * 1e9);
            }
        }
    }
    let each: Vec<f64> = each.into_iter().map(median).collect();
    let (low, high) = (each.iter().copied().fold(f64::MAX, f64::min), each.iter().copied().fold(0.0, f64::max));
    for (length, each) in lengths.iter().chain([&trades]).zip(&each) {
        println!(
            "{length:>11} trades {each:>7.0} ns an event, {:+.1}% of the middle",
            200.0 * each / (low + high) - 100.0
        );
    }
    Ok(())
}

/// The first lines of a file.
fn beginning(whole: &Path, lines: u64) -> io::Result<PathBuf> {
    let file = whole.with_extension(format!("first_{lines}.ndjson"));
    if !file.exists() {
        let mut from = BufReader::new(fs::File::open(whole)?);
        let unfinished = file.with_extension("part");
        let mut part = io::BufWriter::new(fs::File::create(&unfinished)?);
        let mut line = Vec::new();
        for _ in 0..lines {
            line.clear();
            from.read_until(b'\n', &mut line)?;
            part.write_all(&line)?;
        }
        part.flush()?;
        fs::rename(&unfinished, &file)?;
    }
    Ok(file)
}

/// Makes the events once; they are the same bytes every time.
fn data(trades: u64, format: &str) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("w1_{trades}.{format}"));
    if !file.exists() {
        let part = file.with_extension("part");
        formats::write(format, trades, &part)?;
        fs::rename(&part, &file)?;
    }
    Ok(file)
}

fn measure((stage, threads, _): &Stage, file: &Path, python: &str) -> io::Result<Figures> {
    io::copy(&mut fs::File::open(file)?, &mut io::sink())?;
    let output = if PEERS.iter().any(|(peer, ..)| peer == stage) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.py");
        Command::new(python).arg(script).args([stage, threads]).arg(file).output()?
    } else {
        Command::new(env::current_exe()?).arg("stage").args([stage, threads]).arg(file).output()?
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [events, wall, cpu, peak_mib] if output.status.success() => Ok(Figures { events, wall, cpu, peak_mib }),
        _ => Err(io::Error::other(format!("{stage}: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
