//! What is kept: how fast identity runs take in and answer, and what an entry costs on disk and in memory.

use slackwater_core::row::Op;
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

fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64() / 1e6
}

/// Adds `count` identities, asks for new and for known ones, and prints what that took.
pub fn index(count: u64, ids: &str) -> io::Result<()> {
    let (path, disk) = folder("index")?;
    let disk = Arc::new(disk);
    let mut index = Index::open(disk.clone(), &[], 1).map_err(io::Error::other)?;
    let (mut entries, mut id) = (Entries::new(), Vec::new());
    let mut added = 0.0;
    let mut longest = 0.0f64;
    for first in (0..count).step_by(ADD as usize) {
        entries.clear();
        for number in first..count.min(first + ADD) {
            identity(ids, number, &mut id);
            let time = 1_767_225_600_000_000_000 + number as i64 * 720_000;
            let digest = u128::from(mix(number)) << 64 | u128::from(number);
            entries.push(&id, Known { version: 0, decoder: 1, op: Op::Assert, digest, time, tick: number >> 10 });
        }
        let since = Instant::now();
        index.add(&entries).map_err(io::Error::other)?;
        added += since.elapsed().as_secs_f64();
        longest = longest.max(since.elapsed().as_secs_f64());
        index.forget(&BTreeSet::new()).map_err(io::Error::other)?;
    }
    drop(entries);
    let bytes: u64 = index.runs().iter().map(|run| run.bytes).sum();
    println!("{count} {ids} ids: {} runs, {:.1} bytes per entry", index.runs().len(), bytes as f64 / count as f64);
    println!("add      {:8.2} M/s with merging, the longest {longest:.1} s", count as f64 / added / 1e6);
    for (name, first, spread) in [("new", count, 1), ("recent", count - ADD.min(count), 1), ("old", 0, count / ASK)] {
        let batches = BATCHES.min(ADD.min(count) / ASK);
        let wide: Vec<Vec<u8>> = (0..batches * ASK)
            .map(|number| {
                identity(ids, first + number / ASK * if spread > 1 { 1 } else { ASK } + number % ASK * spread, &mut id);
                id.clone()
            })
            .collect();
        let since = Instant::now();
        let mut known = 0;
        for batch in wide.chunks(ASK as usize) {
            let asks: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            known += index.look_up(&asks).map_err(io::Error::other)?.iter().flatten().count();
        }
        println!("look up  {:8.2} M/s {name} ({known} of {} known)", rate(batches * ASK, since), batches * ASK);
    }
    println!("memory   {} MiB now, {} MiB at most", memory("VmRSS")?, memory("VmHWM")?);
    let (runs, next) = (index.runs(), index.next());
    drop(index);
    let since = Instant::now();
    let index = Index::open(disk, &runs, next).map_err(io::Error::other)?;
    println!("open     {:8.1} ms", since.elapsed().as_secs_f64() * 1e3);
    let since = Instant::now();
    index.scrub().map_err(io::Error::other)?;
    println!("scrub    {:8.2} M/s", rate(count, since));
    fs::remove_dir_all(path)
}
