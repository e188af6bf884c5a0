//! Posting to the service: so many senders on loopback, each with one batch at a time, client and service on the same cores.

use slackwater::face::api::live::{Live, Options};
use slackwater::face::api::serve::{Served, Server};
use slackwater::face::config;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const SENDERS: u64 = 8;
const BATCH: u64 = 1_000;

const CONFIG: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
lag = "2s"
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
[server]
listen = "127.0.0.1:0"
"#;

/// Events of a batch: every sender is an origin of its own, its events a millisecond apart.
fn batch(sender: u64, number: u64, start: u64, out: &mut String) {
    out.clear();
    for event in number * BATCH..(number + 1) * BATCH {
        let lot = (sender << 40 ^ event).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (symbol, price, size) = (lot % 1_000, lot % 90_000 + 1_000, lot % 500 + 1);
        let _ = writeln!(
            out,
            r#"{{"id":{event},"venue":{sender},"ts":{},"symbol":"S{symbol:03}","price":{}.{:02},"size":{size}}}"#,
            start + event / 100,
            price / 100,
            price % 100
        );
    }
}

fn post(stream: &mut TcpStream, host: SocketAddr, body: &str, answer: &mut Vec<u8>) -> io::Result<()> {
    let head = format!(
        "POST /v1/ingest/trades HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    answer.clear();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if length.is_none_or(|length: usize| body.len() >= length) {
                return match head.starts_with("HTTP/1.1 200") {
                    true => Ok(()),
                    false => Err(io::Error::other(text.into_owned())),
                };
            }
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Posts for so many seconds, and says how many events were acknowledged in one, and how long each batch waited.
pub fn run(seconds: u64, folder: &Path) -> io::Result<()> {
    let wrong = |text: String| io::Error::other(text);
    let config = config::load(CONFIG, "ingest.toml").map_err(|errors| wrong(errors.render(false)))?;
    let data = folder.join("ingest");
    let _ = std::fs::remove_dir_all(&data);
    let options = Options { threads: 2, ..Options::default() };
    let live = Live::open(config.clone(), &data, options).map_err(|fault| wrong(fault.to_string()))?;
    let server = Server::start(Served::of(&live), &config.server, folder).map_err(|error| wrong(error.to_string()))?;
    let address = server.address();
    let start =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let begun = Instant::now();
    let senders: Vec<io::Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn(move || {
                    let (mut stream, mut body, mut answer) = (TcpStream::connect(address)?, String::new(), Vec::new());
                    stream.set_nodelay(true)?;
                    let (mut waits, mut number) = (Vec::new(), 0);
                    while begun.elapsed() < Duration::from_secs(seconds) {
                        batch(sender, number, start, &mut body);
                        let sent = Instant::now();
                        post(&mut stream, address, &body, &mut answer)?;
                        waits.push(sent.elapsed());
                        number += 1;
                    }
                    Ok(waits)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let took = begun.elapsed();
    let mut waits = Vec::new();
    for sender in senders {
        waits.extend(sender?);
    }
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let times = live.board().standing().times;
    let mean = |spent: slackwater::runtime::board::Spent| {
        (spent.count, spent.total.as_secs_f64() * 1e3 / spent.count.max(1) as f64, spent.most.as_secs_f64() * 1e3)
    };
    println!(
        "ingest senders={SENDERS} batch={BATCH} seconds={seconds}: {:.0} events/s acknowledged",
        (waits.len() as u64 * BATCH) as f64 / took.as_secs_f64()
    );
    println!("acknowledged after p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(1.0));
    for (name, spent) in
        [("sync", times.sync), ("round", times.round), ("commit", times.commit), ("checkpoint", times.checkpoint)]
    {
        let (count, mean, most) = mean(spent);
        println!("{name}: {count}, mean {mean:.2} ms, most {most:.1} ms");
    }
    live.stop();
    live.wait().map_err(|fault| wrong(fault.to_string()))?;
    server.stop(Duration::from_secs(1));
    Ok(())
}
