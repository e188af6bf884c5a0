//! The service as a process: what it prints, how it stops, what it keeps, and what a bomb costs it.

use super::{CONFIG, NDJSON, Reply, connect, minute, until};
use crate::program::{Place, Ran};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A service in a process of its own.
pub struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    /// What it said so far.
    pub said: String,
    /// Where it listens.
    pub at: SocketAddr,
}

/// Waits for a process, and gives its exit code.
fn code(child: &mut Child) -> Option<i32> {
    child.wait().expect("it ends").code()
}

impl Running {
    /// Starts it, and waits until it says where it is.
    pub fn start(place: &Place, more: &[&str], env: &[(&str, &str)]) -> Running {
        let mut args = vec!["run", "-c", "c.toml", "--data", "data"];
        args.extend(more);
        let mut command = place.command(&args);
        command.envs(env.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut said, mut at) = (String::new(), None);
        while at.is_none() {
            let mut line = String::new();
            assert!(err.read_line(&mut line).expect("a line") > 0, "it said where it is: {said}");
            at = line.split_once("://").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
            said.push_str(&line);
        }
        Running { child, err, said, at: at.expect("just found") }
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Reads what it says until that is among it.
    fn hear(&mut self, wanted: &str) {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(self.err.read_line(&mut line).expect("a line") > 0, "it said `{wanted}`: {}", self.said);
            self.said.push_str(&line);
        }
    }

    /// Waits for its end: exit code, and all it said.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).expect("text");
        (code(&mut self.child), std::mem::take(&mut self.said) + &rest)
    }

    /// A request with its body, and the answer.
    pub fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = connect(self.at);
        stream.write_all(head.as_bytes()).expect("sent");
        let _ = stream.write_all(body);
        Reply::read(&mut stream)
    }

    /// Trades, posted.
    pub fn trades(&self, headers: &str, body: &[u8]) -> Reply {
        let length = body.len();
        let head = format!(
            "POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{NDJSON}{headers}content-length: \
             {length}\r\n\r\n"
        );
        self.send(&head, body)
    }

    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the most memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const QUICK: &str = "[service]\ntick = \"20ms\"\npublish = \"10ms\"\ncheckpoint = \"200ms\"\n";

#[test]
fn a_service_is_run_asked_stopped_killed_and_run_again() {
    let place = Place::with(&(CONFIG.to_string() + QUICK));
    let service = Running::start(&place, &["--threads", "2"], &[]);
    for wanted in ["curl", "/v1/ingest/trades", "/v1/pipelines/minutes/rows", "/v1/pipelines/minutes/stream"] {
        assert!(service.said.contains(wanted) || until_said(&service, wanted), "{wanted} in {}", service.said);
    }
    let url = format!("http://{}", service.at);
    for n in 0..4 {
        service.trades("", minute(n * 100, n, "ABC").as_bytes()).expect(200);
    }
    service.trades("", b"broken\n").expect(200);
    let query = |more: &[&str]| {
        let mut args = vec!["query", "minutes", "--url", url.as_str()];
        args.extend(more);
        lines(&place.run(&args))
    };
    let finals = until(|| Some(query(&[])).filter(|rows| rows.len() == 3));
    let all = query(&["--tier", "all"]);
    assert_eq!((all.len(), all[3]["tier"].as_str()), (4, Some("provisional")));
    assert_eq!(query(&["--key", "symbol=ABC", "--from", "2026-01-01T00:02:00Z"]), finals[2..]);
    assert_eq!((query(&["--key", "symbol"]).len(), query(&["--key", "symbol="]).len()), (0, 0), "null and empty");
    let table = place.run(&["query", "minutes", "--url", &url, "--format", "table"]).out;
    let heads: Vec<&str> = table.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!((table.lines().count(), heads[0], heads[heads.len() - 1]), (4, "symbol", "trades"), "{table}");
    assert_eq!(table.lines().nth(1).expect("a row").find("2026-01-01"), table.find("window_start"), "{table}");
    let status = &lines(&place.run(&["status", "--url", &url, "--json"]))[0];
    assert_eq!(status["sources"][0]["counts"]["received"], 41);
    let shown = place.run(&["status", "--url", &url]);
    assert!(shown.out.contains("received 41 = facts 40") && shown.out.contains("origin trades"), "{}", shown.out);
    let aside =
        until(|| Some(lines(&place.run(&["quarantine", "list", "--url", &url]))).filter(|found| found.len() == 1));
    assert_eq!(lines(&place.run(&["quarantine", "show", "0", "--url", &url])), aside);
    assert_eq!(place.run(&["quarantine", "show", "7", "--url", &url]).code, 2);
    assert_eq!(place.run(&["query", "minute", "--url", &url]).code, 2);
    // Another process over the same directory is refused, and so is one on the same port.
    assert_eq!(place.run(&["run", "-c", "c.toml", "--data", "data"]).code, 6);
    assert_eq!(place.run(&["run", "-c", "c.toml", "--data", "other", "--listen", &service.at.to_string()]).code, 7);
    service.signal("TERM");
    let (code, said) = service.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping") && said.ends_with("stopped\n"), "{said}");
    assert_eq!(place.run(&["status", "--url", &url]).code, 7);
    // What it left is there without it.
    assert_eq!(lines(&place.run(&["query", "minutes", "--data", "data"])), finals);
    assert_eq!(lines(&place.run(&["quarantine", "list", "--data", "data"])), aside);
    assert_eq!(lines(&place.run(&["status", "--data", "data", "--json"]))[0]["sources"][0]["counts"]["received"], 41);
    // Killed behind an answer: the answer holds.
    let service = Running::start(&place, &[], &[]);
    service.trades("idempotency-key: k\r\n", minute(5_000, 4, "DEF").as_bytes()).expect(200);
    service.signal("KILL");
    assert_eq!(service.ended().0, None);
    let service = Running::start(&place, &[], &[]);
    let again = service.trades("idempotency-key: k\r\n", minute(5_000, 4, "DEF").as_bytes()).expect(200).json();
    assert_eq!((again["repeated"].as_bool(), again["facts"].as_u64()), (Some(true), Some(10)));
    service.signal("INT");
    assert_eq!(service.ended().0, Some(0));
}

/// Whether the lines that follow have it; a service says where to look in one go.
fn until_said(service: &Running, wanted: &str) -> bool {
    let buffered = service.err.buffer();
    String::from_utf8_lossy(buffered).contains(wanted)
}

#[test]
fn a_bomb_of_ten_gigabytes_costs_little() {
    if !std::path::Path::new("/proc/self/status").exists() {
        println!("skipped: there is no /proc to read memory from");
        return;
    }
    let place = Place::with(&(CONFIG.to_string() + QUICK));
    let service = Running::start(&place, &[], &[]);
    service.trades("", minute(0, 0, "ABC").as_bytes()).expect(200);
    let before = service.memory();
    // One member of many, each of ten megabytes of zeros; what is sent stays under the limit of a body.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 10 << 20]).expect("packed");
    let gzip = gzip.finish().expect("packed").repeat(700);
    let zstd = zstd::encode_all(&vec![b' '; 10 << 20][..], 3).expect("packed").repeat(2_000);
    for (encoding, bomb) in [("gzip", &gzip), ("zstd", &zstd)] {
        assert!(bomb.len() < 8 << 20, "{encoding} {}", bomb.len());
        let refused = service.trades(&format!("content-encoding: {encoding}\r\n"), bomb).expect(413);
        assert_eq!(refused.code(), "unpacked_ratio");
    }
    let grown = service.memory().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    service.trades("", minute(100, 1, "ABC").as_bytes()).expect(200);
}

#[test]
fn tokens_are_read_again_on_a_signal() {
    let hash = |token: &str| blake3::hash(token.as_bytes()).to_hex().to_string();
    let (first, second) = ("a".repeat(50), "b".repeat(50));
    let with =
        |token: &str| format!("{CONFIG}{QUICK}[server.tokens.one]\nrole = \"admin\"\nblake3 = \"{}\"\n", hash(token));
    let place = Place::with(&with(&first));
    let service = Running::start(&place, &[], &[]);
    let ask = |token: &str| {
        let head = format!(
            "GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        service.send(&head, b"").status
    };
    assert_eq!((ask(&first), ask(&second)), (200, 401));
    place.write("c.toml", with(&second));
    service.signal("HUP");
    until(|| (ask(&second) == 200).then_some(()));
    assert_ne!(ask(&first), 200);
    // A configuration that is wrong, or of another plan, changes nothing.
    place.write("c.toml", with(&first).replace("count(*)", "summ(*)"));
    service.signal("HUP");
    place.write("c.toml", with(&first).replace("sum(price)", "max(price)"));
    service.signal("HUP");
    assert_eq!(ask(&second), 200);
    let url = format!("http://{}", service.at);
    let status = |token: &str| {
        place
            .command(&["status", "--url", &url])
            .env("SLACKWATER_TOKEN", token)
            .output()
            .expect("it runs")
            .status
            .code()
    };
    assert_eq!((status(&second), status("x")), (Some(0), Some(7)));
    service.signal("TERM");
    assert_eq!(service.ended().0, Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let place = Place::with(&(CONFIG.to_string() + QUICK));
    let mut service = Running::start(&place, &[], &[]);
    service.trades("", minute(0, 0, "ABC").as_bytes()).expect(200);
    // A request that is never whole is waited for.
    let mut slow = connect(service.at);
    let head = format!("POST /v1/ingest/trades HTTP/1.1\r\nhost: localhost\r\n{NDJSON}content-length: 100\r\n\r\n");
    slow.write_all((head + "{").as_bytes()).expect("sent");
    std::thread::sleep(std::time::Duration::from_millis(200));
    service.signal("TERM");
    service.hear("stopping");
    service.signal("INT");
    let (code, said) = service.ended();
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("stopped at once"), "{said}");
    // It lost nothing that was answered.
    let service = Running::start(&place, &[], &[]);
    let again = service.trades("", minute(0, 0, "ABC").as_bytes()).expect(200).json();
    assert_eq!((again["facts"].as_u64(), again["duplicates"].as_u64()), (Some(0), Some(10)));
}

#[test]
fn a_lag_is_read_again_on_a_signal_and_what_needs_a_start_is_said() {
    let of = |lag: &str| CONFIG.replacen("event_time = \"ts\"", &format!("event_time = \"ts\"\nlag = \"{lag}\""), 1);
    let with = |lag: &str, more: &str| format!("{}{QUICK}{more}", of(lag));
    let place = Place::with(&with("1h", ""));
    let mut service = Running::start(&place, &[], &[]);
    let url = format!("http://{}", service.at);
    let finals = || lines(&place.run(&["query", "minutes", "--url", &url])).len();
    for n in 0..4 {
        service.trades("", minute(n * 100, n, "ABC").as_bytes()).expect(200);
    }
    // One that would need a start changes nothing, also not what would need none.
    place.write("c.toml", with("0s", "[server.limits]\nbatch_events = 7\n"));
    service.signal("HUP");
    service.hear("[server.limits] is not what it was; that needs a start");
    assert_eq!(finals(), 0);
    place.write("c.toml", with("0s", ""));
    service.signal("HUP");
    until(|| (finals() == 3).then_some(()));
    service.signal("TERM");
    assert_eq!(service.ended().0, Some(0));
}

#[test]
fn it_does_not_start_where_others_could_reach_it() {
    let place = Place::with(CONFIG);
    let ran = place.run(&["run", "-c", "c.toml", "--data", "data", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("needs tokens"), "{}", ran.err);
    assert!(!place.has("data"), "nothing was begun");
}
