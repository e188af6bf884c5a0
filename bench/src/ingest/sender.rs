//! Batches whose bytes are made before, and the connection that they go over.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How many send.
pub const SENDERS: u64 = 8;
/// Events of a batch.
pub const BATCH: u64 = 1_000;
/// Bodies of a sender; they are sent in turn, with other ids and times.
const BODIES: u64 = 64;
/// All ids have as many digits: the thousands of one are the number of its batch.
const FIRST: u64 = 1_000_000_000;
const DIGITS: usize = 7;
/// Digits of a time in milliseconds.
const TIME: usize = 13;
/// Milliseconds over which the events of a batch are spread, the last of them now.
const SPAN: u64 = 16;

/// The requests of one sender, an origin of its own.
pub struct Batches {
    /// Which one it is.
    pub sender: u64,
    /// Where it sends.
    pub address: SocketAddr,
    bodies: Vec<Body>,
    number: u64,
}

/// A request, and where in it ids and times stand.
struct Body {
    bytes: Vec<u8>,
    ids: Vec<usize>,
    times: Vec<usize>,
}

impl Batches {
    /// Makes the bodies.
    pub fn new(sender: u64, address: SocketAddr) -> Batches {
        let bodies = (0..BODIES).map(|number| Body::new(sender, number, address)).collect();
        Batches { sender, address, bodies, number: 0 }
    }

    /// The next request, with events up to now, and the greatest id in it.
    pub fn next(&mut self, now: u64) -> (&[u8], u64) {
        let body = &mut self.bodies[(self.number % BODIES) as usize];
        let thousands = (FIRST / BATCH + self.number).to_string();
        for at in &body.ids {
            body.bytes[*at..*at + DIGITS].copy_from_slice(thousands.as_bytes());
        }
        let times: Vec<String> = (0..SPAN).map(|back| (now + 1 + back - SPAN).to_string()).collect();
        for (number, at) in body.times.iter().enumerate() {
            let time = &times[number * times.len() / BATCH as usize];
            body.bytes[*at..*at + TIME].copy_from_slice(time.as_bytes());
        }
        let last = FIRST + self.number * BATCH + BATCH - 1;
        self.number += 1;
        (&body.bytes, last)
    }
}

impl Body {
    fn new(sender: u64, number: u64, address: SocketAddr) -> Body {
        let (mut text, mut ids, mut times) = (String::new(), Vec::new(), Vec::new());
        for event in 0..BATCH {
            let lot = (sender << 40 ^ (number * BATCH + event)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let lot = (lot ^ lot >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
            let (symbol, price, size) = (lot % 1_000, lot % 90_001 + 10_000, lot % 499 + 1);
            text.push_str("{\"id\":");
            ids.push(text.len());
            text.push_str(&format!("{}", FIRST + event));
            text.push_str(&format!(",\"venue\":{sender},\"ts\":"));
            times.push(text.len());
            text.push_str(&"0".repeat(TIME));
            let (whole, cents) = (price / 100, price % 100);
            text.push_str(&format!(",\"symbol\":\"S{symbol:03}\",\"price\":{whole}.{cents:02},\"size\":{size}}}\n"));
        }
        let head = format!(
            "POST /v1/ingest/trades HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let behind = |places: Vec<usize>| places.into_iter().map(|at| at + head.len()).collect();
        Body { ids: behind(ids), times: behind(times), bytes: [head.as_bytes(), text.as_bytes()].concat() }
    }
}

/// A connection that is kept.
pub struct Wire {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, answer: Vec::new() })
    }

    /// Sends a request and reads its answer, which must say that all of it was new.
    pub fn post(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)?;
        self.answer.clear();
        let mut piece = [0; 4_096];
        loop {
            let read = self.stream.read(&mut piece)?;
            self.answer.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&self.answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if length.is_some_and(|length: usize| body.len() >= length) {
                    let all = format!("\"facts\":{BATCH},");
                    return match head.starts_with("HTTP/1.1 200") && body.contains(&all) {
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
}
