//! What must not be found: tokens anywhere, events in what the service says of itself.

use super::process::Running;
use super::{CONFIG, NDJSON, connect, minute};
use crate::program::Place;
use slackwater::face::cli::logs::escaped;
use std::io::{Read, Write};
use std::path::Path;

/// What stands in events that are posted.
const PAYLOAD: &str = "canary-of-the-payload";

fn token(name: &str) -> String {
    format!("canary-{name}-{}", "fedcba9876543210".repeat(3))
}

/// Whether a file below a folder has these bytes in it.
fn holds(folder: &Path, wanted: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => holds(&path, wanted),
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
            }
        }
    })
}

#[test]
fn a_token_is_in_no_answer_no_log_and_no_file_and_an_event_in_no_log() {
    let filed = format!("{}\n", token("filed"));
    let config = CONFIG.to_string()
        + "[server.tokens.one]\nrole = \"admin\"\nenv = \"CANARY\"\n[server.tokens.two]\nrole = \"read\"\nfile = \"token\"\n";
    let place = Place::with(&config);
    place.write("token", &filed);
    let service = Running::start(&place, &["--log", "trace"], &[("CANARY", &token("env"))]);
    let mut answers = String::new();
    let right = format!("authorization: Bearer {}\r\n", token("env"));
    let mut post = |headers: &str, body: &str| {
        let reply = service.trades(&format!("{right}{headers}"), body.as_bytes());
        answers += &format!("{}\n{}\n", reply.head, reply.body);
        reply.status
    };
    assert_eq!(post("", &minute(0, 0, PAYLOAD)), 200);
    assert_eq!(post("", &format!("{{\"id\":\"{PAYLOAD}\"}}\n{PAYLOAD}\n")), 200);
    assert_eq!(post("content-encoding: gzip\r\n", PAYLOAD), 400);
    assert_eq!(post("content-type: text/csv\r\n", PAYLOAD) / 100, 4);
    let mut get = |path: &str, headers: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        let reply = service.send(&head, b"");
        answers += &format!("{}\n{}\n", reply.head, reply.body);
        reply.status
    };
    for path in
        ["/v1/status", "/v1/lag", "/v1/quarantine", "/metrics", "/openapi.json", "/nothing", "/v1/pipelines/x/rows"]
    {
        get(path, &right);
        get(path, "");
        get(path, &format!("authorization: Bearer {}x\r\n", token("env")));
        get(path, &format!("authorization: Basic {}\r\n", token("filed")));
    }
    assert_eq!(get(&format!("/v1/pipelines/minutes/rows?tier=all&key.symbol={PAYLOAD}"), &right), 200);
    assert_eq!(get(&format!("/v1/status?token={}", token("env")), &right), 400);
    assert_eq!(get("/v1/status", &right), 200);
    // Heads that are no HTTP, with what must not be repeated.
    for broken in [format!("{}\r\n\r\n", token("env")), format!("GET / HTTP/1.1\r\n{}\r\n\r\n", token("env"))] {
        let mut stream = connect(service.at);
        stream.write_all(broken.as_bytes()).expect("sent");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        answers += &String::from_utf8_lossy(&bytes);
    }
    service.signal("HUP");
    service.signal("TERM");
    let (code, said) = service.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("answered"), "the log was written: {said}");
    for name in ["env", "filed"] {
        assert!(!answers.contains(&token(name)), "{answers}");
        assert!(!said.contains(&token(name)), "{said}");
        assert!(!holds(&place.path("data"), &token(name)), "a file has it");
    }
    assert!(!said.contains(PAYLOAD), "{said}");
    let shown =
        place.command(&["config", "schema", "-c", "c.toml"]).env("CANARY", token("env")).output().expect("it runs");
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("canary-env"));
}

#[test]
fn a_token_that_stands_in_the_file_is_refused() {
    let place = Place::with(&(CONFIG.to_string() + "[server.tokens.one]\nrole = \"read\"\ntoken = \"abc\"\n"));
    let ran = place.run(&["config", "check", "-c", "c.toml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("a token does not stand in this file") && ran.err.contains("sha256sum"), "{}", ran.err);
}

#[test]
fn a_line_of_the_log_is_one_line_whatever_is_in_it() {
    let line = escaped(b"one\x1b[31m\r\ntwo\tthree\xe2\x80\xa8\x00\x7f\xff\n");
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.ends_with('\n') && !line.trim_end().contains(|c: char| c.is_control()), "{line:?}");
    assert!(line.contains("\\u{1b}[31m\\r\\ntwo"), "{line:?}");
    assert!(escaped("\u{1f}".repeat(100_000).as_bytes()).len() < 64 << 10);
    assert!(NDJSON.ends_with("\r\n"));
}
