//! The network face over real sockets on loopback: what it takes in, shows and refuses.

mod ahead;
mod encrypted;
mod limits;
mod places;
mod posting;
mod process;
mod reading;
mod secrets;
mod slow;
mod streaming;
mod tokens;

use crate::live::quick;
use serde_json::Value;
use slackwater::face::api::live::{Live, Options};
use slackwater::face::api::serve::{Served, Server, StartError};
use slackwater::face::config::{self, Config};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tempfile::TempDir;

/// Minutes of trades, posted.
pub const CONFIG: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
[source.trades.fields]
id = "u64"
symbol = "string"
ts = "timestamp_s"
price = "decimal(18,2)"

[source.quotes]
kind = "http"
format = "csv"
identity = "position"
event_time = "ts"
[source.quotes.fields]
ts = "timestamp_s"
bid = "decimal(18,2)"

[source.filed]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
[source.filed.fields]
id = "u64"
ts = "timestamp_s"

[pipeline.minutes]
sql = "SELECT symbol, sum(price) AS total, count(*) AS trades FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')"
[pipeline.bids]
sql = "SELECT max(bid) AS best FROM quotes GROUP BY tumble(ts, INTERVAL '1 minute')"

[server]
listen = "127.0.0.1:0"
"#;

/// A service that runs.
pub struct Site {
    /// The instance.
    pub live: Live,
    /// Its server.
    pub server: Option<Server>,
    /// Its directory.
    pub folder: TempDir,
    /// Where it listens.
    pub at: SocketAddr,
}

/// A checked configuration: the usual one and what is added to it.
pub fn config(added: &str) -> Config {
    config::load(&format!("{CONFIG}{added}"), "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

impl Site {
    /// A service of the usual configuration and what is added to it.
    pub fn start(added: &str) -> Site {
        Site::over(tempfile::tempdir().expect("a folder"), &config(added)).expect("a server")
    }

    /// A service over a directory.
    pub fn over(folder: TempDir, config: &Config) -> Result<Site, StartError> {
        Site::with(folder, config, quick())
    }

    /// The same, set up in a way of its own.
    pub fn with(folder: TempDir, config: &Config, options: Options) -> Result<Site, StartError> {
        let live = Live::open(config.clone(), &folder.path().join("data"), options).expect("opened");
        let server = Server::start(Served::of(&live), &config.server, folder.path())?;
        let at = server.address();
        Ok(Site { live, server: Some(server), folder, at })
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"), b"")
    }

    /// A POST of a body, with headers behind `content-type`.
    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Reply {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.send(&head, body)
    }

    /// Trades, posted.
    pub fn trades(&self, lines: &str) -> Reply {
        self.post("/v1/ingest/trades", NDJSON, lines.as_bytes())
    }

    /// A request as it is written here, and what comes until the connection ends.
    pub fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = connect(self.at);
        stream.write_all(head.as_bytes()).expect("sent");
        // Who refuses a body may close before it is sent.
        let _ = stream.write_all(body);
        Reply::read(&mut stream)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.live.stop();
        let _ = self.live.wait();
        if let Some(server) = self.server.take() {
            server.stop(Duration::from_secs(2));
        }
    }
}

/// The header of NDJSON.
pub const NDJSON: &str = "content-type: application/x-ndjson\r\n";

/// A connection that does not wait for ever.
pub fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status; 0 where nothing was answered.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Reads until the connection ends.
    pub fn read(stream: &mut TcpStream) -> Reply {
        let mut bytes = Vec::new();
        // What was read before the other side cut the connection counts.
        let _ = stream.read_to_end(&mut bytes);
        Reply::of(&bytes)
    }

    /// An answer as it came.
    pub fn of(bytes: &[u8]) -> Reply {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let head = head.to_ascii_lowercase();
        let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_string() };
        Reply { status, head, body }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The word of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_string()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Holds the status.
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(piece) = rest.get(..size).filter(|_| size > 0) else { break };
        whole.push_str(piece);
        body = rest.get(size + 2..).unwrap_or("");
    }
    whole
}

/// Trades of one minute, each a second after the one before.
pub fn minute(first: u64, minute: u64, symbol: &str) -> String {
    let line = |n: u64| {
        let (id, ts) = (first + n, 1_767_225_600 + minute * 60 + n);
        format!("{{\"id\":{id},\"symbol\":\"{symbol}\",\"ts\":{ts},\"price\":{}.50}}\n", n + 1)
    };
    (0..10).map(line).collect()
}

/// Waits until something is so; what is not so after a very long time never will be.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..12_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it never became so");
}
