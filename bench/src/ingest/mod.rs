//! Posting to the service: so many senders on loopback, each with one batch at a time, client and service on the same cores.
//!
//! The service is a process of its own, so that its CPU seconds can be told from those of who sends. Bodies are made before;
//! a sender only writes numbers and times into them. Beside every phase the disk's own sync is probed in the same folder.
//! Times of a paced phase count from when a batch was to be sent, whatever kept its sender.

mod hosted;
mod probe;
mod sender;
mod slow;
mod watcher;

pub use hosted::host;
pub use slow::run as slow;

use hosted::{Cpu, Hosted};
use probe::Probe;
use sender::{BATCH, Batches, SENDERS, Wire};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use watcher::{Seen, Subscribers, Watcher};

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Seconds of each phase.
    pub seconds: u64,
    /// Events a second of the paced phases.
    pub rate: u64,
    /// Subscribers of the last phase.
    pub subscribers: usize,
    /// From one look of theirs at moving rows to the next; the service's own where it is empty.
    pub interval: String,
    /// Only this phase, counted from 1; 0 for all.
    pub only: u64,
}

/// Runs all phases.
pub fn run(asked: Asked, folder: &Path) -> io::Result<()> {
    let handles = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = rustix::process::Rlimit { current: handles, maximum: handles };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most)?;
    let Asked { seconds, rate, subscribers, interval, only } = asked;
    println!(
        "ingest: {SENDERS} senders, batches of {BATCH}, {seconds} s a phase; the service beside them on the same cores"
    );
    let phases = [
        ("full speed".to_string(), None, 0),
        (format!("{rate} events/s"), Some(rate), 0),
        (format!("{rate} events/s, {subscribers} streams"), Some(rate), subscribers),
    ];
    for (number, (name, rate, subscribers)) in (1..).zip(phases) {
        if only == 0 || only == number {
            phase(&name, (seconds, rate, subscribers), &interval, folder)?;
        }
    }
    Ok(())
}

/// One phase, on a directory of its own.
fn phase(
    name: &str,
    (seconds, rate, subscribers): (u64, Option<u64>, usize),
    interval: &str,
    folder: &Path,
) -> io::Result<()> {
    let data = folder.join("ingest");
    let _ = std::fs::remove_dir_all(&data);
    // What the phase before left to the disk is no load of this one.
    rustix::fs::sync();
    let hosted = Hosted::start(&data)?;
    let batches: Vec<Batches> = (0..SENDERS).map(|sender| Batches::new(sender, hosted.address)).collect();
    let streams = Subscribers::join(hosted.address, subscribers, interval)?;
    let watcher = rate.map(|_| Watcher::start(hosted.address)).transpose()?;
    let stop = AtomicBool::new(false);
    let before = (hosted.cpu()?, Cpu::of("self")?);
    let begun = Instant::now();
    let (sent, probed) = std::thread::scope(|scope| {
        let probing = scope.spawn(|| Probe::run(&data, &stop));
        let until = begun + Duration::from_secs(seconds);
        let senders: Vec<_> =
            batches.into_iter().map(|batches| scope.spawn(move || post(batches, begun, until, rate))).collect();
        let sent: io::Result<Vec<Vec<Sent>>> =
            senders.into_iter().map(|sender| sender.join().expect("no panic")).collect();
        stop.store(true, Ordering::Release);
        (sent, probing.join().expect("no panic"))
    });
    let (sent, probed) = (sent?, probed?);
    let took = begun.elapsed();
    let after = (hosted.cpu()?, Cpu::of("self")?);
    let events = sent.iter().map(Vec::len).sum::<usize>() as u64 * BATCH;
    println!("\n{name}: {:.0} events/s acknowledged", events as f64 / took.as_secs_f64());
    let waits = sent.iter().flatten().map(|sent| sent.acknowledged - sent.due).collect();
    println!("  acknowledged after    {}", spread(waits));
    println!("  a sync of the disk    {}", spread(probed));
    if let Some(watcher) = watcher {
        std::thread::sleep(Duration::from_secs(2));
        let Seen { counted, sealed } = watcher.stop();
        let shown = shown(begun, &sent, &counted);
        println!("  seen as provisional   {}", spread(shown.clone()));
        println!("  seen as sealed        {}", spread(sealed));
        if shown.len() as u64 * BATCH != events {
            println!("  of {events} events {} were not seen as provisional", events - shown.len() as u64 * BATCH);
        }
    }
    let each = |spent: f64| spent / events as f64 * 1e6;
    println!(
        "  CPU us an event       service {:.3}, senders {:.3}",
        each(after.0.all - before.0.all),
        each(after.1.all - before.1.all)
    );
    println!("  of the service        {}", after.0.since(&before.0, each));
    if subscribers > 0 {
        println!("  streams               {}", streams.stop());
    }
    println!("  times of the service  {}", hosted.times()?);
    let facts = hosted.facts()?;
    if facts != events {
        return Err(io::Error::other(format!("{events} events were acknowledged, and the service has {facts}")));
    }
    println!("  facts in /v1/status   {facts}, as many as were acknowledged");
    hosted.stop()
}

/// A batch that was acknowledged.
struct Sent {
    sender: u64,
    /// The greatest id in it.
    last: u64,
    due: Duration,
    acknowledged: Duration,
}

/// Sends until the time is over: as fast as answers come, or at a sender's share of a rate.
fn post(mut batches: Batches, begun: Instant, until: Instant, rate: Option<u64>) -> io::Result<Vec<Sent>> {
    let mut wire = Wire::connect(batches.address)?;
    let mut sent = Vec::new();
    let every = rate.map(|rate| Duration::from_secs_f64((SENDERS * BATCH) as f64 / rate as f64));
    for number in 0.. {
        let due = match every {
            None => begun.elapsed(),
            Some(every) => every.mul_f64(number as f64 + batches.sender as f64 / SENDERS as f64),
        };
        if begun + due >= until {
            break;
        }
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(early);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (request, last) = batches.next(now.as_millis() as u64);
        wire.post(request)?;
        sent.push(Sent { sender: batches.sender, last, due, acknowledged: begun.elapsed() });
    }
    Ok(sent)
}

/// How long each batch took to be counted in a row that a stream showed.
fn shown(begun: Instant, sent: &[Vec<Sent>], counted: &[(Instant, u64, u64)]) -> Vec<Duration> {
    let mut shown = Vec::new();
    for sent in sent.iter().flatten() {
        let found = counted.iter().find(|(.., sender, last)| *sender == sent.sender && *last >= sent.last);
        shown.extend(found.map(|(at, ..)| at.saturating_duration_since(begun + sent.due)));
    }
    shown
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| match times.len() {
        0 => f64::NAN,
        count => times[((count - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3,
    };
    format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms, of {}", at(0.5), at(0.99), at(1.0), times.len())
}
