//! Events that are posted, and what is answered.

use super::{NDJSON, Site, minute, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

#[test]
fn posted_events_are_answered_with_what_became_of_them() {
    let site = Site::start("");
    let mut lines = minute(1, 0, "ABC");
    lines += minute(1, 0, "ABC").lines().next().expect("a line");
    lines += "\n{\"id\":1,\"symbol\":\"ABC\",\"ts\":1767225600,\"price\":9}\n{\"id\":\"x\"}\nno json\n\n";
    let answer = site.trades(&lines).expect(200).json();
    assert_eq!(answer["received"], 14);
    assert_eq!(answer["facts"], 10);
    assert_eq!(answer["duplicates"], 1);
    assert_eq!(answer["conflicts"], 1);
    assert_eq!(answer["quarantined"]["malformed"], 1);
    assert_eq!(answer["repeated"], false);
    let sum: u64 = answer["quarantined"].as_object().expect("reasons").values().filter_map(|n| n.as_u64()).sum();
    assert_eq!(sum, 2);
    // The same again: nothing new.
    let answer = site.trades(&minute(1, 0, "ABC")).expect(200).json();
    assert_eq!((answer["received"].as_u64(), answer["facts"].as_u64()), (Some(10), Some(0)));
    // Which of two contents wins is their digests' business, and so is what the first of them is when it comes again.
    until(|| {
        let line = site.get("/v1/status").expect(200).json()["conservation"].as_str().map(String::from)?;
        (line.starts_with("received 24 = facts 10 +") && line.ends_with("quarantined 2 + in flight 0")).then_some(())
    });
}

#[test]
fn a_csv_is_taken_in_by_its_header() {
    let site = Site::start("");
    let headers = "content-type: text/csv; charset=utf-8\r\nidempotency-key: one\r\n";
    let answer =
        site.post("/v1/ingest/quotes", headers, b"bid,ts\n1.5,1767225600\n2.5,1767225601\n").expect(200).json();
    assert_eq!(answer["facts"], 2);
    let headers = "content-type: text/csv\r\nidempotency-key: two\r\n";
    let wrong = site.post("/v1/ingest/quotes", headers, b"bud,ts\n1.5,1767225600\n").expect(400);
    assert_eq!(wrong.code(), "csv_header");
    assert!(wrong.body.contains("did you mean `bud`?"), "{}", wrong.body);
}

#[test]
fn packed_bodies_are_unpacked_in_one_layer() {
    let site = Site::start("");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(minute(1, 0, "ABC").as_bytes()).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let headers = |encoding: &str| format!("{NDJSON}content-encoding: {encoding}\r\n");
    let answer = site.post("/v1/ingest/trades", &headers("gzip"), &gzip).expect(200).json();
    assert_eq!(answer["facts"], 10);
    // A zstd body may have several frames.
    let mut zstd = zstd::encode_all(minute(100, 1, "ABC").as_bytes(), 3).expect("packed");
    zstd.extend(zstd::encode_all(minute(200, 2, "ABC").as_bytes(), 3).expect("packed"));
    let answer = site.post("/v1/ingest/trades", &headers("zstd"), &zstd).expect(200).json();
    assert_eq!(answer["facts"], 20);
    for unknown in ["br", "gzip, gzip", "zstd, gzip", "deflate"] {
        let refused = site.post("/v1/ingest/trades", &headers(unknown), &gzip).expect(415);
        assert_eq!(refused.code(), "content_encoding");
    }
    // A mark of the byte order is no part of the first event.
    let marked = format!("\u{feff}{}", minute(300, 3, "ABC"));
    assert_eq!(site.post("/v1/ingest/trades", NDJSON, marked.as_bytes()).expect(200).json()["facts"], 10);
    let head = "POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n";
    let refused = site.send(&format!("{head}{NDJSON}\r\n"), b"2\r\n{}\r\n0\r\n\r\n").expect(400);
    assert_eq!(refused.code(), "transfer_encoding");
    // What is packed twice is no event, and what is cut short is no body.
    let mut twice = GzEncoder::new(Vec::new(), Compression::default());
    twice.write_all(&gzip).expect("packed");
    let answer = site.post("/v1/ingest/trades", &headers("gzip"), &twice.finish().expect("packed")).expect(200).json();
    assert_eq!(answer["facts"], 0);
    for (encoding, whole) in [("gzip", &gzip), ("zstd", &zstd)] {
        for cut in [0, 1, whole.len() / 3, whole.len() - 1] {
            let refused = site.post("/v1/ingest/trades", &headers(encoding), &whole[..cut]).expect(400);
            assert_eq!(refused.code(), "damaged_body", "{encoding} cut at {cut}");
        }
        let refused = site.post("/v1/ingest/trades", &headers(encoding), b"{\"id\":1}\n").expect(400);
        assert_eq!(refused.code(), "damaged_body");
    }
    let facts = || site.get("/v1/status").expect(200).json()["sources"][0]["counts"]["facts"].as_u64();
    until(|| (facts() >= Some(30)).then_some(()));
    assert_eq!(facts(), Some(40));
}

#[test]
fn the_content_type_must_be_that_of_the_source() {
    let site = Site::start("");
    let body = minute(1, 0, "ABC");
    for wrong in [
        "",
        "content-type: text/plain\r\n",
        "content-type: text/csv\r\n",
        "content-type: application/x-ndjson; charset=latin1\r\n",
    ] {
        let refused = site.post("/v1/ingest/trades", wrong, body.as_bytes()).expect(415);
        assert_eq!(refused.code(), "content_type");
        assert!(refused.body.contains("application/x-ndjson"), "{}", refused.body);
    }
    for right in ["application/x-ndjson", "application/json", "Application/X-NDJSON; charset=UTF-8"] {
        site.post("/v1/ingest/trades", &format!("content-type: {right}\r\n"), body.as_bytes()).expect(200);
    }
}

#[test]
fn who_waits_to_be_told_to_go_on_is_refused_by_the_head_alone() {
    let site = Site::start("");
    let head = "POST /v1/ingest/nowhere HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100\r\n";
    // Nobody sends the body, and nobody says that it should come.
    assert_eq!(site.send(&format!("{head}{NDJSON}\r\n"), b"").expect(404).code(), "unknown_source");
}

#[test]
fn what_is_not_there_or_not_by_http_is_said_so() {
    let site = Site::start("");
    let refused = site.post("/v1/ingest/trade", NDJSON, b"{}").expect(404);
    assert_eq!(refused.code(), "unknown_source");
    assert!(refused.body.contains("did you mean `trades`?"));
    let refused = site.post("/v1/ingest/filed", NDJSON, b"{}").expect(404);
    assert_eq!(refused.code(), "not_by_http");
    assert_eq!(site.get("/nothing").expect(404).code(), "unknown_path");
    let refused = site.get("/v1/ingest/trades").expect(405);
    assert_eq!((refused.code().as_str(), refused.header("allow")), ("method", Some("post")));
    for empty in ["", "\n\n"] {
        assert_eq!(site.trades(empty).expect(400).code(), "no_events");
    }
}

#[test]
fn a_named_body_is_taken_in_once() {
    let site = Site::start("");
    let named = |name: &str, body: &str| {
        site.post("/v1/ingest/trades", &format!("{NDJSON}idempotency-key: {name}\r\n"), body.as_bytes())
    };
    let body = minute(1, 0, "ABC");
    let first = named("a key", &body).expect(200).json();
    assert_eq!((first["facts"].as_u64(), first["repeated"].as_bool()), (Some(10), Some(false)));
    let again = named("a key", &body).expect(200).json();
    assert_eq!((again["facts"].as_u64(), again["repeated"].as_bool()), (Some(10), Some(true)));
    assert_eq!(named("a key", &minute(50, 0, "ABC")).expect(409).code(), "idempotency_key_taken");
    assert_eq!(named("another", &minute(50, 0, "ABC")).expect(200).json()["facts"], 10);
    // At and over the length; nothing but printable ASCII; one only.
    named(&"k".repeat(128), &minute(100, 1, "ABC")).expect(200);
    for wrong in ["k".repeat(129), "k\u{e9}".to_string(), "tab\there".to_string()] {
        assert_eq!(named(&wrong, &body).expect(400).code(), "idempotency_key");
    }
    let two = format!("{NDJSON}idempotency-key: a\r\nidempotency-key: b\r\n");
    assert_eq!(site.post("/v1/ingest/trades", &two, body.as_bytes()).expect(400).code(), "idempotency_key");
    // Where the position is the identity, there is none without a name.
    let refused = site.post("/v1/ingest/quotes", "content-type: text/csv\r\n", b"bid,ts\n1,1767225600\n").expect(400);
    assert_eq!(refused.code(), "idempotency_key_required");
    let facts = || site.get("/v1/status").expect(200).json()["sources"][0]["counts"]["facts"].as_u64();
    until(|| (facts() >= Some(30)).then_some(()));
    assert_eq!(facts(), Some(30));
}

#[test]
fn a_service_that_stops_declines_and_says_when_to_come_again() {
    let site = Site::start("");
    site.get("/health/ready").expect(200);
    site.live.stop();
    site.live.wait().expect("a clean stop");
    let refused = site.trades(&minute(1, 0, "ABC")).expect(503);
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("stopping", Some("1")));
    // What is kept can still be read.
    site.get("/v1/pipelines/minutes/rows").expect(200);
}
