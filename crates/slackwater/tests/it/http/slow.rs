//! Clients that take their time: they are cut off, and others are served meanwhile.

use super::{NDJSON, Reply, Site, config, connect, minute};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SHORT: &str = "[server.limits]\nheader_timeout = \"300ms\"\nidle_timeout = \"300ms\"\nkeep_alive = \"400ms\"\n";

/// Reads to the end that the other side makes; it panics where that does not come.
fn ends(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("it is still open"),
        _ => bytes,
    }
}

#[test]
fn who_does_not_finish_a_head_is_cut_off_while_others_are_served() {
    let site = Site::start(SHORT);
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(site.at)).collect();
    for (n, stream) in slow.iter_mut().enumerate() {
        // Some say nothing at all.
        if n % 3 > 0 {
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: loc").expect("sent");
        }
    }
    for first in 0..20 {
        site.trades(&minute(first * 100, first, "ABC")).expect(200);
    }
    slow.iter_mut().for_each(|stream| drop(ends(stream)));
    site.get("/v1/status").expect(200);
}

#[test]
fn a_head_that_trickles_in_is_as_late_as_none() {
    let site = Site::start(SHORT);
    let mut stream = connect(site.at);
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let mut sent = 0;
    let ended = (0..2_000).any(|_| {
        sent += 1;
        let gone = stream.write_all(b"x").is_err();
        let mut one = [0; 64];
        gone || !matches!(stream.read(&mut one), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    });
    assert!(ended, "it was cut off, after {sent} bytes");
}

#[test]
fn a_body_that_pauses_is_refused_and_nothing_of_it_counts() {
    let site = Site::start(SHORT);
    let body = minute(1, 0, "ABC");
    let mut stream = connect(site.at);
    let head =
        format!("POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\n{NDJSON}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body.as_bytes()[..body.len() - 1]).expect("sent");
    let refused = Reply::of(&ends(&mut stream)).expect(408);
    assert_eq!(refused.code(), "slow_body");
    // One that breaks off likewise.
    let mut stream = connect(site.at);
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body.as_bytes()[..100]).expect("sent");
    drop(stream);
    let status = site.get("/v1/status").expect(200).json();
    assert_eq!(status["sources"][0]["counts"]["received"], 0);
}

/// Sends a byte at a time until the other side has answered so, or closed.
fn trickles_until_it_is_cut_off(stream: &mut TcpStream, code: &str) {
    let mut said = Vec::new();
    let ended = (0..2_000).any(|_| {
        let gone = stream.write_all(b" ").is_err();
        let mut some = [0; 1_024];
        match stream.read(&mut some) {
            Ok(read) => said.extend_from_slice(&some[..read]),
            Err(error) => return gone || !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
        true
    });
    assert!(ended, "it was never cut off");
    // The answer may be lost where the sender goes on sending.
    let told = Reply::of(&said);
    assert!(told.status == 0 || told.code() == code, "{told:?}");
}

#[test]
fn a_body_that_trickles_in_is_cut_off_when_the_whole_takes_too_long() {
    let site = Site::start(&format!("{SHORT}request_timeout = \"700ms\"\n"));
    let mut stream = connect(site.at);
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let head = format!("POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\n{NDJSON}content-length: 100000\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    trickles_until_it_is_cut_off(&mut stream, "too_slow");
    assert_eq!(site.get("/v1/status").expect(200).json()["sources"][0]["counts"]["received"], 0);
}

#[test]
fn a_body_that_comes_with_too_few_bytes_a_second_is_cut_off_long_before_its_time_is_over() {
    let site = Site::start("[server.limits]\nminimum_rate = 2000\nrate_grace = \"300ms\"\n");
    let mut stream = connect(site.at);
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let head = format!("POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\n{NDJSON}content-length: 100000\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    // Never a pause, and far below the rate: by itself it would take an hour.
    trickles_until_it_is_cut_off(&mut stream, "body_trickles");
    // Who then waits reads it, long before the pause would be one.
    let mut stream = connect(site.at);
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(b"          ").expect("sent");
    assert_eq!(Reply::of(&ends(&mut stream)).expect(408).code(), "body_trickles");
    // One that holds the rate takes longer than the grace, and is taken in.
    let body = (0..30).map(|n| minute(n * 10, n, "ABC")).collect::<String>();
    let mut stream = connect(site.at);
    let length = body.len();
    let head = format!(
        "POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{NDJSON}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    for piece in body.as_bytes().chunks(body.len() / 8 + 1) {
        stream.write_all(piece).expect("sent");
        std::thread::sleep(Duration::from_millis(80));
    }
    Reply::of(&ends(&mut stream)).expect(200);
}

#[test]
fn all_times_are_limited_without_being_asked_for() {
    let limits = config("").server.limits;
    let all = [limits.header, limits.idle, limits.grace, limits.request, limits.keep_alive];
    assert_eq!(all.map(|time| time.as_secs()), [5, 10, 5, 60, 30]);
    assert_eq!(limits.rate, 1_024);
}

#[test]
fn a_connection_serves_one_request_after_the_other_and_ends_when_none_comes() {
    let site = Site::start(SHORT);
    let mut stream = connect(site.at);
    for _ in 0..5 {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
        let (mut bytes, mut some) = (Vec::new(), [0; 512]);
        while !bytes.ends_with(b"{\"live\":true}\n") {
            let read = stream.read(&mut some).expect("an answer");
            assert!(read > 0, "{}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&some[..read]);
        }
    }
    assert!(ends(&mut stream).is_empty());
}

#[test]
fn there_are_only_so_many_connections() {
    for limits in ["connections = 3\n", "connections_per_address = 3\n"] {
        let site = Site::start(&format!("[server.limits]\n{limits}"));
        let asked = |stream: &mut TcpStream| {
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok()
                && stream.read(&mut [0; 512]).is_ok_and(|read| read > 0)
        };
        let mut open: Vec<TcpStream> = (0..3).map(|_| connect(site.at)).collect();
        assert!(open.iter_mut().all(asked));
        assert!(!asked(&mut connect(site.at)), "one more is cut off: {limits}");
        open.pop();
        super::until(|| asked(&mut connect(site.at)).then_some(()));
    }
}

#[test]
fn who_does_not_read_its_stream_is_let_go() {
    let site = Site::start(SHORT);
    let mut deaf = connect(site.at);
    deaf.write_all(b"GET /v1/pipelines/minutes/stream?interval=10ms HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("sent");
    let subscribers = || site.get("/v1/status").expect(200).json()["server"]["subscribers"].as_u64();
    super::until(|| (subscribers() == Some(1)).then_some(()));
    let mut n = 0;
    super::until(|| {
        // Long names fill what the system holds for it.
        let symbol = format!("{n:04}{}", "x".repeat(20_000));
        site.trades(&minute(n * 10, n / 10, &symbol)).expect(200);
        n += 1;
        (subscribers() == Some(0)).then_some(())
    });
    drop(deaf);
}
