//! What is kept: how fast identity runs and the archive take in and answer, and what an entry costs.

use crate::generate::{Delivery, generate};
use slackwater_core::input::Position;
use slackwater_core::row::{IdentityBytes, Op, Row, digest, put_content};
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema, Unit};
use slackwater_core::value::{Type, Value};
use slackwater_store::archive::{Archive, Ask, BUCKET, Change, Changes, Shelf};
use slackwater_store::disk::Folder;
use slackwater_store::index::{Entries, Index, Known};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Entries that are added at once, and identities that are looked up at once.
const ADD: u64 = 1 << 20;
const ASK: u64 = 4096;
/// Batches that are looked up of each kind.
const BATCHES: u64 = 1000;

/// An empty folder beside the other data, on the real disk.
fn folder(name: &str) -> io::Result<(PathBuf, Folder)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data").join(name);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = Folder::open(&path)?;
    Ok((path, folder))
}

/// A value of this process's own count of its memory, in MiB.
fn memory(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(value.unwrap_or(0) >> 10)
}

fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The identity of an event: 128 random bits, or a number that grows, of four origins.
fn identity(ids: &str, number: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&0u16.to_be_bytes());
    if ids == "random" {
        out.extend_from_slice(&mix(2 * number).to_be_bytes());
        out.extend_from_slice(&mix(2 * number + 1).to_be_bytes());
    } else {
        out.extend_from_slice(&[b'V', b'0' + (number % 4) as u8, 0]);
        out.extend_from_slice(&(number / 4).to_be_bytes());
    }
}

/// Wall seconds and CPU seconds of this thread, of which the latter do not count what others do on the machine.
#[derive(Clone, Copy, Default)]
struct Spent {
    wall: f64,
    cpu: f64,
}

impl Spent {
    /// Those since a moment.
    fn since((wall, cpu): (Instant, f64)) -> Spent {
        Spent { wall: wall.elapsed().as_secs_f64(), cpu: now().1 - cpu }
    }

    fn add(&mut self, other: Spent) {
        *self = Spent { wall: self.wall + other.wall, cpu: self.cpu + other.cpu };
    }

    /// Millions of so many a second.
    fn rates(self, count: u64) -> String {
        let millions = count as f64 / 1e6;
        format!("{:8.2} M/s, {:.2} M per CPU second", millions / self.wall, millions / self.cpu)
    }
}

fn now() -> (Instant, f64) {
    let nanos = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = nanos.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    (Instant::now(), nanos.unwrap_or(0.0) / 1e9)
}

/// Adds `count` identities, asks for new and for known ones, and prints what that took.
pub fn index(count: u64, ids: &str) -> io::Result<()> {
    let (path, disk) = folder("index")?;
    let disk = Arc::new(disk);
    let mut index = Index::open(disk.clone(), &[], 1).map_err(io::Error::other)?;
    let (mut entries, mut id) = (Entries::new(), Vec::new());
    let (mut added, mut longest) = (Spent::default(), 0.0f64);
    for first in (0..count).step_by(ADD as usize) {
        entries.clear();
        for number in first..count.min(first + ADD) {
            identity(ids, number, &mut id);
            let time = 1_767_225_600_000_000_000 + number as i64 * 720_000;
            let digest = u128::from(mix(number)) << 64 | u128::from(number);
            entries.push(&id, Known { version: 0, decoder: 1, op: Op::Assert, digest, time, tick: number >> 10 });
        }
        let since = now();
        index.add(&entries).map_err(io::Error::other)?;
        let spent = Spent::since(since);
        added.add(spent);
        longest = longest.max(spent.wall);
        index.forget(&BTreeSet::new()).map_err(io::Error::other)?;
    }
    drop(entries);
    let bytes: u64 = index.runs().iter().map(|run| run.bytes).sum();
    println!("{count} {ids} ids: {} runs, {:.1} bytes per entry", index.runs().len(), bytes as f64 / count as f64);
    println!("add      {} with merging, the longest {longest:.1} s", added.rates(count));
    for (name, first, spread) in [("new", count, 1), ("recent", count - ADD.min(count), 1), ("old", 0, count / ASK)] {
        let batches = BATCHES.min(ADD.min(count) / ASK);
        let wide: Vec<Vec<u8>> = (0..batches * ASK)
            .map(|number| {
                identity(ids, first + number / ASK * if spread > 1 { 1 } else { ASK } + number % ASK * spread, &mut id);
                id.clone()
            })
            .collect();
        let since = now();
        let mut known = 0;
        for batch in wide.chunks(ASK as usize) {
            let asks: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            known += index.look_up(&asks).map_err(io::Error::other)?.iter().flatten().count();
        }
        let rates = Spent::since(since).rates(batches * ASK);
        println!("look up  {rates}, {name} ({known} of {} known)", batches * ASK);
    }
    println!("memory   {} MiB now, {} MiB at most", memory("VmRSS")?, memory("VmHWM")?);
    let (runs, next) = (index.runs(), index.next());
    drop(index);
    let since = now();
    let index = Index::open(disk, &runs, next).map_err(io::Error::other)?;
    println!("open     {:8.1} ms", Spent::since(since).wall * 1e3);
    let since = now();
    index.scrub().map_err(io::Error::other)?;
    println!("scrub    {}", Spent::since(since).rates(count));
    fs::remove_dir_all(path)
}

/// The trades of W1, by symbol.
fn trades() -> io::Result<Shelf> {
    let number = Type::Decimal { precision: 18, scale: 4 };
    let fields = [
        ("id", Type::U64),
        ("symbol", Type::Text),
        ("venue", Type::Text),
        ("ts", Type::Timestamp),
        ("price", number),
        ("size", number),
    ];
    let field = |(name, ty): (&str, Type)| Field { name: name.into(), ty, unit: Unit::Micros, nullable: false };
    let roles = Roles {
        identity: IdentityRule::Fields(vec![0]),
        event_time: 3,
        origin: Some(2),
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    };
    let schema = Schema::new(fields.map(field).into(), roles).map_err(|error| io::Error::other(error.message))?;
    Ok(Shelf { schema, sort: vec![1] })
}

/// Writes `count` trades in pieces of a million, asks for some, and prints what that took.
pub fn archive(count: u64) -> io::Result<()> {
    let (path, disk) = folder("archive")?;
    let shelf = trades()?;
    let schema = shelf.schema.clone();
    let mut archive = Archive::open(Arc::new(disk), vec![shelf], Vec::new(), 1, BUCKET).map_err(io::Error::other)?;
    let (mut changes, mut content, mut number) = (Changes::new(), Vec::new(), 0u64);
    let mut written = Spent::default();
    let mut write = |changes: &mut Changes, archive: &mut Archive| -> io::Result<()> {
        let since = now();
        archive.write(changes, 1).map_err(io::Error::other)?;
        written.add(Spent::since(since));
        changes.clear();
        Ok(())
    };
    let mut ids = IdentityBytes::default();
    let (mut asks, mut seen) = (Vec::new(), vec![false; 4 * count as usize]);
    generate(count, |trade| {
        // The second delivery of a trade is no change.
        let place = usize::from(trade.origin) * count as usize + trade.id as usize;
        if std::mem::replace(&mut seen[place], true) {
            return Ok(());
        }
        let (symbol, venue) = (format!("S{:04}", trade.symbol), format!("V{}", trade.origin));
        let Delivery { id, ts, price, size, .. } = *trade;
        let value = |field| match field {
            0 => Value::U64(id),
            1 => Value::Text(symbol.as_bytes()),
            2 => Value::Text(venue.as_bytes()),
            3 => Value::Time(ts as i64 * 1000),
            4 => Value::Decimal(price.into()),
            _ => Value::Decimal(size.into()),
        };
        content.clear();
        put_content(&schema, value, &mut content);
        let position = Position { offset: number * 80, line: number + 1 };
        let (source, plus, version, decoder, arrival) = (0, true, 0, 1, None);
        let (tick, part, content) = (number >> 10, "trades.ndjson", &content[..]);
        let change = Change { source, tick, plus, version, decoder, arrival, part, position, content };
        changes.push(&change);
        if number % (count / 1000).max(1) == 0 {
            let identity = ids.of(Row::new(&schema, content), 0, (part, position.offset)).to_vec();
            asks.push(Ask { source: 0, time: ts as i64 * 1000, identity, digest: digest(content) });
        }
        number += 1;
        if changes.len() as u64 == ADD { write(&mut changes, &mut archive) } else { Ok(()) }
    })?;
    if !changes.is_empty() {
        write(&mut changes, &mut archive)?;
    }
    let bytes = |archive: &Archive| archive.segments().iter().map(|segment| segment.bytes).sum::<u64>() as f64;
    let segments = archive.segments().len();
    println!("{number} trades: {segments} segments, {:.2} bytes each", bytes(&archive) / number as f64);
    println!("write    {}", written.rates(number));
    let since = now();
    while archive.compact().map_err(io::Error::other)? {}
    archive.forget(&BTreeSet::new()).map_err(io::Error::other)?;
    let (segments, rates) = (archive.segments().len(), Spent::since(since).rates(number));
    println!("compact  {rates}, to {segments} segments, {:.2} bytes each", bytes(&archive) / number as f64);
    let (since, mut facts) = (now(), 0u64);
    archive.facts(0, i128::MIN, i128::MAX, None, &mut |_| facts += 1).map_err(io::Error::other)?;
    println!("facts    {} ({facts})", Spent::since(since).rates(number));
    let since = now();
    let found = archive.contents(&asks).map_err(io::Error::other)?.iter().flatten().count();
    println!("contents {:8.2} s for {} asked at once ({found} found)", Spent::since(since).wall, asks.len());
    let (since, mut changes) = (now(), 0u64);
    archive.changes(0, &mut |_| changes += 1).map_err(io::Error::other)?;
    println!("changes  {} ({changes})", Spent::since(since).rates(number));
    println!("memory   {} MiB now, {} MiB at most", memory("VmRSS")?, memory("VmHWM")?);
    fs::remove_dir_all(path)
}
