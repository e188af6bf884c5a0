//! Each limit, at it and over it.

use super::{NDJSON, Site, config, connect, minute};
use flate2::Compression;
use flate2::write::GzEncoder;
use slackwater::connect::http::unpack::{Encoding, Unpackable, Unpacker};
use slackwater::face::api::serve::{Served, Server};
use slackwater::runtime::desk::Desk;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const SMALL: &str = "[server.limits]\nbody_bytes = 4096\ndecoded_bytes = 16384\nbatch_events = 50\n";

/// One trade on a line of so many bytes.
fn padded(id: u64, bytes: usize) -> String {
    let line = format!("{{\"id\":{id},\"symbol\":\"ABC\",\"ts\":1767225600,\"price\":1,\"pad\":\"\"}}\n");
    line.replace("\"pad\":\"", &format!("\"pad\":\"{}", "x".repeat(bytes - line.len())))
}

fn chunked(body: &str) -> String {
    body.as_bytes()
        .chunks(1000)
        .fold(String::new(), |out, piece| out + &format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)))
        + "0\r\n\r\n"
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let site = Site::start(SMALL);
    assert_eq!(site.trades(&padded(1, 4096)).expect(200).json()["facts"], 1);
    assert_eq!(site.trades(&padded(2, 4097)).expect(413).code(), "body_too_large");
    let head = "POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
                content-type: application/x-ndjson\r\n\r\n";
    assert_eq!(site.send(head, chunked(&padded(3, 4096)).as_bytes()).expect(200).json()["facts"], 1);
    assert_eq!(site.send(head, chunked(&padded(4, 4097)).as_bytes()).expect(413).code(), "body_too_large");
    let gzip = |bytes: usize| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(padded(5, bytes).as_bytes()).expect("packed");
        gzip.finish().expect("packed")
    };
    // Repeated letters pack well: what is sent is small, and the ratio is allowed up to its own limit.
    let noise: String = (0..900u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let line = |pad: &str| padded(6, 200).replacen("\"pad\":\"", &format!("\"pad\":\"{pad}"), 1);
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(line(&noise[..6000]).as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    assert!(packed.len() < 4096, "{}", packed.len());
    let headers = format!("{NDJSON}content-encoding: gzip\r\n");
    site.post("/v1/ingest/trades", &headers, &packed).expect(200);
    let refused = site.post("/v1/ingest/trades", &headers, &gzip(200_000)).expect(413).code();
    assert!(["unpacked_too_large", "unpacked_ratio"].contains(&refused.as_str()), "{refused}");
}

#[test]
fn a_body_may_have_as_many_events_as_the_limit_and_no_more() {
    let site = Site::start(SMALL);
    let lines = |count: u64| (0..count).map(|id| format!("{{\"id\":{id}}}\n")).collect::<String>();
    assert_eq!(site.trades(&lines(50)).expect(200).json()["received"], 50);
    assert_eq!(site.trades(&lines(51)).expect(413).code(), "too_many_events");
    // A header and the line ends in quotes are no events.
    let csv = |rows: usize| format!("ts,bid,\"a\nb\"\n{}", "1767225600,1,\"x\ny\"\n".repeat(rows));
    let post = |rows, key: &str| {
        let headers = format!("content-type: text/csv\r\nidempotency-key: {key}\r\n");
        site.post("/v1/ingest/quotes", &headers, csv(rows).as_bytes())
    };
    assert_eq!(post(50, "a").expect(200).json()["received"], 50);
    assert_eq!(post(51, "b").expect(413).code(), "too_many_events");
}

#[test]
fn an_event_too_large_or_too_deep_is_set_aside_and_the_others_count() {
    let site = Site::start("");
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        padded(levels as u64, 100).replacen("\"pad\"", &format!("\"deep\":{open}{close},\"pad\""), 1)
    };
    let answer = site.trades(&(deep(60) + &deep(200_000 / 2) + &padded(7, 262_144))).expect(200).json();
    assert_eq!((answer["facts"].as_u64(), answer["quarantined"]["too_deep"].as_u64()), (Some(2), Some(1)));
    let answer = site.trades(&(padded(8, 262_145 + 1) + &padded(9, 100))).expect(200).json();
    assert_eq!((answer["facts"].as_u64(), answer["quarantined"]["too_large"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    let site = Site::start("");
    let with = |headers: &str| {
        site.send(&format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"), b"")
    };
    with(&format!("x: {}\r\n", "a".repeat(15 << 10))).expect(200);
    with(&format!("x: {}\r\n", "a".repeat(17 << 10))).expect(431);
    with(&"x: y\r\n".repeat(98)).expect(200);
    with(&"x: y\r\n".repeat(99)).expect(431);
    // Nothing but HTTP/1.1 is spoken.
    let reply = site.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"");
    assert!(reply.status >= 400 || reply.status == 0, "{reply:?}");
}

#[test]
fn what_unpacks_to_a_hundred_times_its_size_is_no_body() {
    let zeros = vec![0; 1 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&zeros).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let zstd = zstd::encode_all(&zeros[..], 19).expect("packed");
    for (encoding, bomb) in [(Encoding::Gzip, &gzip), (Encoding::Zstd, &zstd)] {
        let mut unpacker = Unpacker::new(encoding, 64 << 20);
        let refused = bomb.chunks(512).find_map(|piece| unpacker.push(piece).err());
        assert_eq!(refused, Some(Unpackable::Bomb), "{encoding:?}");
        assert!(unpacker.len() <= bomb.len() * 100);
    }
    let mut large = Unpacker::new(Encoding::Gzip, 50_000);
    let text: String = (0..30_000).map(|n| format!("{n},")).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text.as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    let refused = packed.chunks(512).find_map(|piece| large.push(piece).err());
    assert_eq!(refused, Some(Unpackable::TooLarge));
}

#[test]
fn a_window_over_eight_mebibytes_is_not_given() {
    let text: String = (0..3_000_000).map(|n| format!("{n:07},")).collect();
    let packed = |window: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(window).expect("a window");
        encoder.write_all(text.as_bytes()).expect("packed");
        encoder.finish().expect("packed")
    };
    let unpack = |packed: &[u8]| {
        let mut unpacker = Unpacker::new(Encoding::Zstd, 64 << 20);
        packed.chunks(4096).try_for_each(|piece| unpacker.push(piece)).and_then(|()| unpacker.finish())
    };
    assert_eq!(unpack(&packed(23)).map(|bytes| bytes.len()), Ok(text.len()));
    assert_eq!(unpack(&packed(24)), Err(Unpackable::Damaged));
}

#[test]
fn a_full_desk_refuses_before_it_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config("[server.limits]\nrequest_timeout = \"2s\"\n");
    let site = Site::over(folder, &config).expect("a service");
    // A desk at which nobody works.
    let desk = Arc::new(Desk::bounded(config.plan.sources.len(), 5_000));
    let served = Served { desk: desk.clone(), ..Served::of(&site.live) };
    let server = Server::start(served, &config.server, site.folder.path()).expect("a server");
    let at = server.address();
    let body = minute(1, 0, "ABC");
    let post = |length: usize| {
        let mut stream = connect(at);
        let head =
            format!("POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\n{NDJSON}content-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    };
    let mut first = post(body.len());
    first.write_all(body.as_bytes()).expect("sent");
    super::until(|| (desk.load().deliveries == 1).then_some(()));
    // Its body is not asked for.
    let mut second = post(5_000);
    second.shutdown(std::net::Shutdown::Write).expect("no body");
    let refused = super::Reply::read(&mut second).expect(503);
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("full", Some("1")));
    assert!(desk.load().most <= 5_000);
    // Who is never answered is told after the time of a request.
    assert_eq!(super::Reply::read(&mut first).expect(408).code(), "too_slow");
    server.stop(Duration::from_secs(1));
}
