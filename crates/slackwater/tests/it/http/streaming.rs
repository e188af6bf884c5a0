//! Server-sent events: what is missed while nobody listens comes later, once.

use super::{CONFIG, Site, connect, minute, until};
use crate::live::quick;
use serde_json::Value;
use slackwater::face::api::live::Live;
use slackwater::face::api::serve::{Served, Server};
use slackwater_store::store::Ask;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One event.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: Option<String>,
    kind: String,
    data: Value,
}

struct Stream(BufReader<TcpStream>);

impl Stream {
    /// A stream of a pipeline. HTTP/1.0 has it without chunks.
    fn open(at: SocketAddr, query: &str, headers: &str) -> Stream {
        let mut stream = connect(at);
        let head = format!("GET /v1/pipelines/minutes/stream?{query} HTTP/1.0\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut stream = Stream(BufReader::new(stream));
        assert!(stream.line().starts_with("HTTP/1.0 200"), "a stream");
        while !stream.line().is_empty() {}
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line before the time is over");
        line.trim_end_matches(['\r', '\n']).to_string()
    }

    fn next(&mut self) -> Event {
        let mut event = Event { id: None, kind: String::new(), data: Value::Null };
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_string()),
                Some(("event", kind)) => event.kind = kind.to_string(),
                Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON"),
                _ if line.is_empty() && !event.kind.is_empty() => return event,
                _ => {}
            }
        }
    }

    /// The next events of a kind.
    fn of(&mut self, kind: &str, count: usize) -> Vec<Event> {
        let mut found = Vec::new();
        while found.len() < count {
            let event = self.next();
            if event.kind == kind {
                found.push(event);
            }
        }
        found
    }

    /// Final rows up to this id.
    fn finals_to(&mut self, id: &str) -> Vec<Event> {
        let mut found = Vec::new();
        while found.last().is_none_or(|last: &Event| last.id.as_deref() != Some(id)) {
            found.extend(self.of("final", 1));
        }
        found
    }
}

fn late(site: &Site, id: u64, minute: u64) {
    let ts = 1_767_225_600 + minute * 60;
    site.trades(&format!("{{\"id\":{id},\"symbol\":\"ABC\",\"ts\":{ts},\"price\":1}}\n")).expect(200);
}

/// All generations of the rows of minutes, as the store has them.
fn kept(live: &Live) -> usize {
    let all = Ask { generations: true, ..Ask::default() };
    live.query(0, &all).expect("rows").iter().filter(|row| row.generation > 0).count()
}

#[test]
fn a_stream_goes_on_behind_the_last_event_without_loss_or_repeat() {
    let site = Site::start("");
    let mut whole = Stream::open(site.at, "tier=final&after=0", "");
    for n in 0..8 {
        for (at, symbol) in ["ABC", "DEF", "GHI"].into_iter().enumerate() {
            site.trades(&minute(n * 100 + at as u64 * 10, n, symbol)).expect(200);
        }
        if n > 2 {
            late(&site, 10_000 + n, n - 2);
        }
    }
    // Seven minutes of three symbols are sealed, and five late trades made new generations.
    until(|| (kept(&site.live) > 21).then_some(()));
    site.trades(&minute(50_000, 20, "ABC")).expect(200);
    let sealed = until(|| {
        let finals = site.live.query(0, &Ask::default()).expect("rows");
        (finals.iter().filter(|row| row.generation > 0).count() == 24).then(|| kept(&site.live))
    });
    let all = whole.of("final", sealed);
    let ids: Vec<&str> = all.iter().map(|event| event.id.as_deref().expect("an id")).collect();
    let sorted = ids.is_sorted_by_key(|id| {
        let (tick, number) = id.split_once('.').expect("tick and number");
        (tick.parse::<u64>().expect("a tick"), number.parse::<u64>().expect("a number"))
    });
    assert!(sorted, "{ids:?}");
    let last = ids.last().expect("rows");
    let check = |at: SocketAddr| {
        for cut in 0..all.len() - 1 {
            let mut again = Stream::open(at, "tier=final", &format!("last-event-id: {}\r\n", ids[cut]));
            assert_eq!(again.finals_to(last), all[cut + 1..], "behind {}", ids[cut]);
        }
        let mut again = Stream::open(at, "tier=final&after=0", "");
        assert_eq!(again.finals_to(last), all, "from the beginning");
    };
    // From what is kept in memory, from the store where nobody listens, and after a start.
    check(site.at);
    drop(whole);
    until(|| (site.get("/v1/status").json()["server"]["subscribers"] == 0).then_some(()));
    check(site.at);
    site.live.stop();
    site.live.wait().expect("a clean stop");
    let config = super::config("");
    let live = Live::open(config.clone(), &site.folder.path().join("data"), quick()).expect("opened again");
    let server = Server::start(Served::of(&live), &config.server, site.folder.path()).expect("a server");
    check(server.address());
    // An id of another instance is none.
    let mut foreign = connect(server.address());
    foreign
        .write_all(b"GET /v1/pipelines/minutes/stream HTTP/1.0\r\nhost: localhost\r\nlast-event-id: 999999.0\r\n\r\n")
        .expect("sent");
    assert_eq!(super::Reply::read(&mut foreign).expect(400).code(), "last_event_id");
    live.stop();
    live.wait().expect("a clean stop");
    server.stop(Duration::from_secs(2));
}

#[test]
fn what_moves_is_told_as_it_is_now_and_what_seals_is_told_once() {
    let site = Site::start("");
    let mut stream = Stream::open(site.at, "interval=10ms", "");
    site.trades(&minute(0, 0, "ABC")).expect(200);
    let moving = stream.of("provisional", 1).remove(0);
    assert_eq!(moving.id, None, "what moves cannot be gone back to");
    assert_eq!(moving.data["key"]["symbol"], "ABC");
    assert_eq!(moving.data["rows"][0]["tier"], "provisional");
    assert_eq!(moving.data["rows"][0]["total"], "60.00");
    site.trades(&minute(100, 2, "ABC")).expect(200);
    let sealed = stream.of("final", 1).remove(0);
    assert_eq!((sealed.data["total"].as_str(), sealed.data["generation"].as_u64()), (Some("60.00"), Some(1)));
    let settled = stream.of("settled", 1).remove(0);
    assert!(settled.data["finalized_through"].as_str().is_some());
    late(&site, 999, 0);
    let again = stream.of("final", 1).remove(0);
    assert_eq!((again.data["generation"].as_u64(), again.data["cause"].as_str()), (Some(2), Some("late")));
    // Who comes later is told what moves now, at once.
    let mut second = Stream::open(site.at, "interval=10ms", "");
    let moving = second.of("provisional", 1).remove(0);
    assert_eq!(moving.data["rows"][0]["window_start"], "2026-01-01T00:02:00Z");
}

#[test]
fn many_are_told_the_same() {
    let site = Site::start("");
    let mut streams: Vec<Stream> = (0..100).map(|_| Stream::open(site.at, "interval=20ms", "")).collect();
    for n in 0..5 {
        site.trades(&minute(n * 100, n, "ABC")).expect(200);
    }
    until(|| (kept(&site.live) == 4).then_some(()));
    let expected = streams[0].of("final", 4);
    for stream in &mut streams[1..] {
        assert_eq!(stream.of("final", 4), expected);
    }
    let refused = Site::start("[server.limits]\nsubscribers = 1\n");
    let _one = Stream::open(refused.at, "", "");
    assert_eq!(refused.get("/v1/pipelines/minutes/stream").expect(503).code(), "subscribers");
}

#[test]
fn a_stream_ends_when_the_server_stops() {
    let mut site = Site::start("");
    let mut stream = Stream::open(site.at, "", "");
    site.live.stop();
    site.live.wait().expect("a clean stop");
    site.server.take().expect("a server").stop(Duration::from_secs(30));
    let mut rest = Vec::new();
    stream.0.read_to_end(&mut rest).expect("its end");
}

#[test]
fn what_cannot_be_an_interval_or_an_id_is_said_so() {
    let site = Site::start("");
    assert!(CONFIG.contains("minutes"));
    for (query, code) in [
        ("interval=1ns", "parameter"),
        ("interval=soon", "parameter"),
        ("after=x.y", "last_event_id"),
        ("tier=provisional", "parameter"),
    ] {
        assert_eq!(site.get(&format!("/v1/pipelines/minutes/stream?{query}")).expect(400).code(), code, "{query}");
    }
}
