//! One client that posts steadily, alone and beside many that send a byte a second: half of them a head, half of them a body.

use super::hosted::Hosted;
use super::sender::{BATCH, Batches, Wire};
use super::spread;
use rustix::process::{Resource, getrlimit};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often alone and beside others take turns, so that a slow minute of the machine falls on both.
const ROUNDS: u64 = 3;
/// From one batch of the steady client to the next.
const EVERY: Duration = Duration::from_millis(25);
/// Handles without which a thousand clients, the service and all else do not fit on one machine.
const HANDLES: u64 = 3_000;

/// Posts `seconds` alone and as long beside so many slow ones, in each round, and prints how long answers took.
pub fn run(seconds: u64, clients: usize, folder: &Path) -> io::Result<()> {
    let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if handles < HANDLES {
        let text = format!("{handles} handles of files are too few; it takes {HANDLES}: see `ulimit -n`");
        return Err(io::Error::other(text));
    }
    let data = folder.join("slow");
    let _ = std::fs::remove_dir_all(&data);
    let hosted = Hosted::start(&data)?;
    let (mut batches, mut wire) = (Batches::new(0, hosted.address), Wire::connect(hosted.address)?);
    let (mut alone, mut beside, mut met) = (Vec::new(), Vec::new(), Met::default());
    println!(
        "slow: batches of {BATCH} every {} ms from one client, {ROUNDS} times {seconds} s alone, then beside {clients} that \
         send a byte a second",
        EVERY.as_millis()
    );
    post(&mut batches, &mut wire, Duration::from_secs(2))?;
    for _ in 0..ROUNDS {
        alone.extend(post(&mut batches, &mut wire, Duration::from_secs(seconds))?);
        let crowd = Crowd::gather(hosted.address, clients)?;
        beside.extend(post(&mut batches, &mut wire, Duration::from_secs(seconds))?);
        met.add(crowd.leave()?);
    }
    let most = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        times[(times.len() - 1) * 99 / 100].as_secs_f64()
    };
    let times = most(&beside) / most(&alone);
    println!("  alone                 {}", spread(alone));
    println!("  beside slow ones      {}", spread(beside));
    println!("  p99 beside            {times:.2} times that alone");
    println!("  slow ones             {} bytes, {} cut off and come again", met.bytes, met.cut);
    hosted.stop()
}

/// Posts steadily; gives how long each answer took.
fn post(batches: &mut Batches, wire: &mut Wire, time: Duration) -> io::Result<Vec<Duration>> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (request, _) = batches.next(now.as_millis() as u64);
        let sent = Instant::now();
        wire.post(request)?;
        took.push(sent.elapsed());
        std::thread::sleep(EVERY.saturating_sub(sent.elapsed()));
    }
    Ok(took)
}

/// What befell slow clients.
#[derive(Default)]
struct Met {
    bytes: u64,
    cut: u64,
}

impl Met {
    fn add(&mut self, other: Met) {
        (self.bytes, self.cut) = (self.bytes + other.bytes, self.cut + other.cut);
    }
}

/// Slow clients, on one thread.
struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Met>>,
}

impl Crowd {
    /// So many connect.
    fn gather(address: SocketAddr, count: usize) -> io::Result<Crowd> {
        let clients = (0..count).map(|number| Slow::connect(address, number)).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        Ok(Crowd { stop, thread: std::thread::spawn(move || drip(clients, address, &stopped)) })
    }

    fn leave(self) -> io::Result<Met> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("no panic")
    }
}

/// Each in turn sends one byte, so that every one has sent one after a second; who was cut off comes again.
fn drip(mut clients: Vec<Slow>, address: SocketAddr, stop: &AtomicBool) -> io::Result<Met> {
    let (begun, mut met) = (Instant::now(), Met::default());
    for turn in 0.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let due = Duration::from_secs(1).mul_f64(turn as f64 / clients.len() as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let number = turn % clients.len();
        match clients[number].send() {
            true => met.bytes += 1,
            false => {
                met.cut += 1;
                clients[number] = Slow::connect(address, number)?;
            }
        }
    }
    Ok(met)
}

/// A client that sends a byte at a time.
struct Slow {
    stream: TcpStream,
    text: Vec<u8>,
    sent: usize,
}

impl Slow {
    fn connect(address: SocketAddr, number: usize) -> io::Result<Slow> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /v1/ingest/trades HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: 4096\r\n\r\n"
        );
        let text = match number % 2 {
            0 => head.into_bytes(),
            _ => {
                stream.write_all(head.as_bytes())?;
                vec![b' '; 4_096]
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Slow { stream, text, sent: 0 })
    }

    /// Sends a byte; false if the other side has answered or closed.
    fn send(&mut self) -> bool {
        let silent = self.stream.read(&mut [0; 64]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        let byte = self.text.get(self.sent..=self.sent);
        self.sent += 1;
        silent && byte.is_some_and(|byte| self.stream.write_all(byte).is_ok())
    }
}
