//! The least of an HTTP client, which says whether it got its whole answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn talk(port: u16, head: &str, body: &[u8]) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // Only so that a link that says nothing more does not hold a test for ever.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8(answer).map_err(io::Error::other)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    if length.is_some_and(|length: usize| length != body.len()) {
        return Err(cut());
    }
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(cut)?;
    Ok((status, body.to_string()))
}

/// Asks for a path.
pub fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    talk(port, &head, b"")
}

/// Posts events under a key; `host` is the port of the service, which may stand behind a link.
pub fn post((port, host): (u16, u16), key: &str, events: &str) -> io::Result<(u16, String)> {
    let head = format!(
        "POST /v1/ingest/trades HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\nContent-Type: application/x-ndjson\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        events.len()
    );
    talk(port, &head, events.as_bytes())
}

/// Posts nothing to a path: an order.
pub fn act(port: u16, path: &str) -> io::Result<(u16, String)> {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    talk(port, &head, b"")
}
