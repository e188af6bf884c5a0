//! Streams: two that are read closely, and many that are only read.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the watched streams showed.
#[derive(Default)]
pub struct Seen {
    /// When it was seen, by which sender, and up to which id.
    pub counted: Vec<(Instant, u64, u64)>,
    /// From the time of a tick to when its rows were here.
    pub sealed: Vec<Duration>,
}

/// Reads a stream of every pipeline as it comes.
pub struct Watcher {
    threads: Vec<JoinHandle<Seen>>,
    streams: Vec<TcpStream>,
}

impl Watcher {
    /// Begins to read.
    pub fn start(address: SocketAddr) -> io::Result<Watcher> {
        let (mut threads, mut streams) = (Vec::new(), Vec::new());
        for path in ["venues/stream?interval=10ms", "bars/stream?tier=final"] {
            let stream = ask(address, path)?;
            streams.push(stream.try_clone()?);
            threads.push(std::thread::spawn(move || watch(stream)));
        }
        Ok(Watcher { threads, streams })
    }

    /// What was seen.
    pub fn stop(self) -> Seen {
        let mut all = Seen::default();
        for stream in &self.streams {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        for thread in self.threads {
            let seen = thread.join().expect("no panic");
            all.counted.extend(seen.counted);
            all.sealed.extend(seen.sealed);
        }
        all
    }
}

fn ask(address: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /v1/pipelines/{path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    Ok(stream)
}

fn watch(stream: TcpStream) -> Seen {
    let mut seen = Seen::default();
    let (mut most, mut finals, mut event) = ([0; 64], 0, String::new());
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if let Some(name) = line.strip_prefix("event: ") {
            event = name.to_string();
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        match event.as_str() {
            "final" => finals += 1,
            // Ticks that bring no row are not waited for.
            "settled" if finals > 0 => {
                finals = 0;
                seen.sealed.extend(text(data, "\"at\":\"").and_then(since));
            }
            "provisional" => {
                let Some(sender) = digits(data, "\"venue\":") else { continue };
                let lasts = data.match_indices("\"last\":").filter_map(|(at, _)| digits(&data[at..], "\"last\":"));
                let last = lasts.max().unwrap_or(0);
                if last > most[sender as usize] {
                    most[sender as usize] = last;
                    seen.counted.push((Instant::now(), sender, last));
                }
            }
            _ => {}
        }
    }
    seen
}

fn text<'t>(data: &'t str, behind: &str) -> Option<&'t str> {
    data.split_once(behind)?.1.split('"').next()
}

fn digits(data: &str, behind: &str) -> Option<u64> {
    let rest = data.split_once(behind)?.1.trim_start_matches('"');
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// How long ago a time of day was, in UTC; less than half a day.
fn since(at: &str) -> Option<Duration> {
    let clock = at.split_once('T')?.1.trim_end_matches('Z');
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() % 86_400.0;
    let past = (now - (hours * 3_600.0 + minutes * 60.0 + seconds) + 86_400.0) % 86_400.0;
    Some(Duration::from_secs_f64(if past > 43_200.0 { 0.0 } else { past }))
}

/// Many that read what is streamed to them, on one thread.
pub struct Subscribers {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    count: usize,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Subscribers {
    /// So many join, who look at moving rows from time to time: as usual, where no time is given.
    pub fn join(address: SocketAddr, count: usize, interval: &str) -> io::Result<Subscribers> {
        let (stop, bytes) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let path = match interval {
            "" => "venues/stream".to_string(),
            interval => format!("venues/stream?interval={interval}"),
        };
        let streams = (0..count).map(|_| ask(address, &path)).collect::<io::Result<Vec<_>>>()?;
        let (stopped, read) = (stop.clone(), bytes.clone());
        let thread = (count > 0).then(|| std::thread::spawn(move || drain(streams, &stopped, &read)));
        Ok(Subscribers { stop, bytes, count, thread })
    }

    /// They leave.
    pub fn stop(mut self) -> String {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.take().map(|thread| thread.join().expect("no panic"));
        let read = self.bytes.load(Ordering::Acquire) >> 20;
        match ended {
            Some(Err(error)) => format!("{} broke off: {error}", self.count),
            _ => format!("{} read {read} MiB", self.count),
        }
    }
}

fn drain(mut streams: Vec<TcpStream>, stop: &AtomicBool, read: &AtomicU64) -> io::Result<()> {
    streams.iter().try_for_each(|stream| stream.set_nonblocking(true))?;
    let mut piece = vec![0; 1 << 16];
    while !stop.load(Ordering::Acquire) {
        let mut waiting: Vec<PollFd<'_>> = streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
        poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }))?;
        let ready: Vec<usize> =
            (0..).zip(&waiting).filter(|(_, fd)| !fd.revents().is_empty()).map(|(at, _)| at).collect();
        drop(waiting);
        for at in ready {
            match streams[at].read(&mut piece) {
                Ok(0) => return Err(io::Error::other("a stream ended")),
                Ok(bytes) => drop(read.fetch_add(bytes as u64, Ordering::AcqRel)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        // What came meanwhile is read together.
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
