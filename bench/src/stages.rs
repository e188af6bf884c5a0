//! One stage of the work on one file, timed in a process of its own.

use crate::durable::{self, How};
use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::decode::frame::count_lines;
use slackwater::decode::{Chunk, Decoder, Header};
use slackwater::face::config::{self, Config};
use slackwater::runtime::engine::{self, Arrangement};
use slackwater::runtime::gauge::Gauge;
use slackwater_core::cutoff::Cutoffs;
use slackwater_core::hold::Holds;
use slackwater_core::judge::Judge;
use slackwater_core::machine::{Shard, judge_batch};
use slackwater_core::memory::Memory;
use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Runs a stage and prints: events, wall seconds, CPU seconds, peak MiB.
pub fn run(stage: &str, threads: &str, file: &Path) -> io::Result<()> {
    let threads: usize = threads.parse().map_err(io::Error::other)?;
    let config = load(file, stage)?;
    let rows = if stage == "hand loop" { decoded(&config, file)? } else { Vec::new() };
    let (cpu, watch) = (cpu_seconds()?, Instant::now());
    let events = match stage {
        "hand loop" => hand_loop(&rows),
        "read" => chunks(&config, file)?.map(|chunk| chunk.map(|chunk| lines(&chunk))).sum::<io::Result<u64>>()?,
        "decode" => decode(&config, file)?,
        "judge" => judge(&config, file)?,
        "durable" => durable::fold(&config, file, threads, How::Anew)?,
        "again" => durable::fold(&config, file, threads, How::Again)?,
        "on" => durable::fold(&config, file, threads, How::On)?,
        "query" => durable::query(&config)?,
        _ => fold(&config, file, threads)?,
    };
    let (wall, cpu) = (watch.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    println!("{events} {wall} {cpu} {}", peak_mib()?);
    Ok(())
}

/// The configuration of a stage.
pub fn load(file: &Path, stage: &str) -> io::Result<Config> {
    let loaded = config::load(&configuration(file, stage), "w1.toml");
    loaded.map_err(|errors| io::Error::other(errors.render(false)))
}

/// The configuration, for the format that the file's name ends in, with the windows of the stage.
fn configuration(file: &Path, stage: &str) -> String {
    let format = match file.extension().and_then(|ending| ending.to_str()) {
        Some("ndjson") | None => "json",
        Some(other) => other,
    };
    let minutes = "tumble(ts, INTERVAL '1 minute')";
    let window = match stage {
        "hop" => "hop(ts, INTERVAL '1 minute', INTERVAL '5 minutes')",
        "session" => "session(ts, INTERVAL '200 milliseconds')",
        "tick bars" => "tick_bar(500)",
        "volume bars" => "volume_bar(size, 50000)",
        "value bars" => "value_bar(price * size, 5000000)",
        _ => minutes,
    };
    let base = include_str!("../w1.toml").replace("format = \"json\"", &format!("format = \"{format}\""));
    let base = base.replace(minutes, window);
    if stage == "percentiles" {
        let ranks = [0.5, 0.9, 0.99].map(|p| format!("percentile_disc({p}) WITHIN GROUP (ORDER BY price) AS \"p{p}\""));
        return base.replace("var_pop(price) AS variance", &ranks.join(", "));
    }
    if stage.ends_with("bars") {
        return base
            .replace("[source.trades.fields]", "require = [\"price >= 0\", \"size >= 0\"]\n[source.trades.fields]");
    }
    base
}

fn lines(chunk: &Chunk) -> u64 {
    if let Some(Header::Parquet(layout, group)) = &chunk.header {
        return layout.rows(*group);
    }
    count_lines(&chunk.bytes)
}

fn open(config: &Config, file: &Path) -> io::Result<FileChunks> {
    let schema = &config.plan.sources[0].schema;
    FileChunks::open(0, config.sources[0].format, file, schema).map_err(io::Error::other)
}

fn chunks(config: &Config, file: &Path) -> io::Result<impl Iterator<Item = io::Result<Chunk>>> {
    let mut feed = open(config, file)?;
    Ok(std::iter::from_fn(move || feed.next_chunk().map_err(io::Error::other).transpose()))
}

fn decode(config: &Config, file: &Path) -> io::Result<u64> {
    let mut decoder = Decoder::new(&config.plan.sources[0], config.sources[0].format);
    let mut events = 0;
    for chunk in chunks(config, file)? {
        decoder.begin(chunk?);
        while decoder.is_busy() {
            events += black_box(decoder.next_batch().map_err(io::Error::other)?).entries().len() as u64;
        }
    }
    Ok(events)
}

fn judge(config: &Config, file: &Path) -> io::Result<u64> {
    let mut decoder = Decoder::new(&config.plan.sources[0], config.sources[0].format);
    let (mut judge, mut memory) = (Judge::new(&config.plan), Memory::new());
    let (holds, cutoffs) = (Holds::default(), Cutoffs::default());
    for chunk in chunks(config, file)? {
        decoder.begin(chunk?);
        while decoder.is_busy() {
            let batch = Arc::new(decoder.next_batch().map_err(io::Error::other)?);
            let shard = Shard { number: 0, of: 1, folds: 1 };
            black_box(judge_batch(&config.plan, &mut judge, (&mut memory, &[]), &batch, shard, (&holds, &cutoffs)));
        }
    }
    Ok(judge.counts()[0].received)
}

fn fold(config: &Config, file: &Path, threads: usize) -> io::Result<u64> {
    let formats = [config.sources[0].format];
    let feeds = vec![open(config, file)?];
    let gauge = Gauge::default();
    let arrangement = Arrangement::of_threads(threads);
    let folded = engine::fold(&config.plan, &formats, feeds, arrangement, &gauge, |_| Ok::<(), InputError>(()))
        .map_err(io::Error::other)?;
    assert!(folded.seen.counts()[0].balances() && !folded.finals.is_empty());
    Ok(folded.seen.counts()[0].received)
}

/// A decoded trade, as a hand-made consumer would hold it.
struct Trade {
    symbol: u16,
    minute: i64,
    time: i64,
    price: i64,
    size: i64,
}

fn decoded(config: &Config, file: &Path) -> io::Result<Vec<Trade>> {
    let number =
        |bytes: &[u8]| bytes.iter().filter(|byte| byte.is_ascii_digit()).fold(0, |n, d| n * 10 + i64::from(d - b'0'));
    let mut rows = Vec::new();
    for chunk in chunks(config, file)? {
        let chunk = chunk?;
        for line in chunk.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut cells = line.split(|byte| *byte == b':').skip(1);
            let mut next = || cells.next().map_or(0, number);
            let (_, symbol, _, ts, price, size) = (next(), next(), next(), next(), next(), next());
            rows.push(Trade { symbol: symbol as u16, minute: ts / 60_000_000, time: ts, price, size });
        }
    }
    Ok(rows)
}

#[derive(Default)]
struct Bar {
    open: (i64, i64),
    high: i64,
    low: i64,
    close: (i64, i64),
    volume: i64,
    value: i128,
    trades: u64,
    squares: i128,
}

/// What the numbers themselves cost: no parsing, no dedup, no nulls, no order among equal times.
fn hand_loop(rows: &[Trade]) -> u64 {
    let mut bars: HashMap<(u16, i64), Bar> = HashMap::new();
    for trade in rows {
        let Trade { symbol, minute, time, price, size } = trade;
        let bar = bars.entry((*symbol, *minute)).or_insert_with(|| Bar {
            open: (*time, *price),
            low: *price,
            close: (*time, *price),
            ..Bar::default()
        });
        if *time < bar.open.0 {
            bar.open = (*time, *price);
        }
        if *time >= bar.close.0 {
            bar.close = (*time, *price);
        }
        bar.high = bar.high.max(*price);
        bar.low = bar.low.min(*price);
        bar.volume += size;
        bar.value += i128::from(*price) * i128::from(*size);
        bar.trades += 1;
        bar.squares += i128::from(*price) * i128::from(*price);
    }
    black_box(&bars);
    rows.len() as u64
}

fn cpu_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the parenthesised name: fields 14 and 15 of the whole are user and system time, in hundredths.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}

fn peak_mib() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
    Ok(kib.unwrap_or(0.0) / 1024.0)
}
