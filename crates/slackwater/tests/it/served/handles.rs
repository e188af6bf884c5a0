//! More connections than there are handles of files: who is too many is refused, and all else goes on.

use super::{Service, place, poster, ready, rows};
use crate::durable::trades;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Handles that the service may have, in all.
const HANDLES: usize = 300;

/// Posts a batch on a connection that stays open, and reads the answer; gives its status.
fn post(stream: &mut TcpStream, port: u16, events: &str) -> String {
    let head = format!(
        "POST /v1/ingest/trades HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n",
        events.len()
    );
    stream.write_all((head + events).as_bytes()).expect("sent");
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).expect("an answer");
        said.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
        let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return head.split(' ').nth(1).expect("a status").to_string();
        }
        assert!(read > 0, "the answer is cut: {said}");
    }
}

#[test]
fn more_connections_than_handles_are_refused_and_all_else_goes_on() {
    let (place, port) = place();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {HANDLES}; exec \"$SLACKWATER\" run -c c.toml --data data")]);
    command.env("SLACKWATER", env!("CARGO_BIN_EXE_slackwater")).current_dir(place.path("."));
    let mut child = Service::of(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    assert!(ready(&mut child, port));
    let mut good = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    good.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let events = trades(0, 3_000);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let mut batches = lines.chunks(100).map(|chunk| chunk.concat());
    let mut next = || batches.next().expect("one more");
    assert_eq!(post(&mut good, port, &next()), "200");
    let crowd: Vec<_> = (0..2 * HANDLES).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("heard")).collect();
    // Ticks, commits and checkpoints need files meanwhile.
    for _ in 0..28 {
        assert_eq!(post(&mut good, port, &next()), "200");
        std::thread::sleep(Duration::from_millis(30));
    }
    let refused = poster::get(port, "/health/live");
    assert!(refused.is_err(), "there was no handle left for {refused:?}");
    drop(crowd);
    while poster::get(port, "/health/live").is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(post(&mut good, port, &next()), "200");
    assert_eq!(super::killed::published(port, 3_000).0, 3_000);
    assert!(!rows(port, "minutes", "all").is_empty());
}
