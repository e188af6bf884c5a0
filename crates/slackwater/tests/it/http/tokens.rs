//! Who may do what, from where, and how that changes while the service runs.

use super::{CONFIG, NDJSON, Reply, Site, config, connect, minute};
use slackwater::connect::files::render::hex;
use slackwater::connect::http::tokens::{Policy, Role};
use slackwater::face::api::ROUTES;
use slackwater::face::api::serve::{Served, Server};
use std::io::{Read, Write};
use std::net::SocketAddr;

fn token(name: &str) -> String {
    format!("{name}-{}", "0123456789abcdef".repeat(3))
}

fn sha256(token: &str) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}

/// A token of each role, and one for one source.
fn tokens() -> String {
    let one = |name: &str, role: &str, more: &str| {
        format!("[server.tokens.{name}]\nrole = \"{role}\"\nsha256 = \"{}\"\n{more}\n", sha256(&token(name)))
    };
    let blake3 = blake3::hash(token("scoped").as_bytes()).to_hex();
    one("ingest", "ingest", "")
        + &one("read", "read", "")
        + &one("replay", "replay", "")
        + &one("admin", "admin", "")
        + &format!("[server.tokens.scoped]\nrole = \"admin\"\nblake3 = \"{blake3}\"\nsources = [\"quotes\"]\n")
}

/// The status of an answer, whose body may never end.
fn status(at: SocketAddr, method: &str, path: &str, authorization: &str) -> u16 {
    let mut stream = connect(at);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{NDJSON}{authorization}content-length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let (mut bytes, mut one) = (Vec::new(), [0; 256]);
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut one) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&one[..read]),
            _ => break,
        }
    }
    Reply::of(&bytes).status
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[test]
fn every_route_asks_for_its_role_and_no_other_is_there() {
    let site = Site::start(&tokens());
    let mut asked = 0;
    for route in ROUTES {
        let path = route.path.replace("{source}", "trades").replace("{pipeline}", "minutes").replace("{number}", "0");
        let roles = [("none", String::new()), ("wrong", bearer(&token("other")))];
        let roles = roles.into_iter().chain(Role::ALL.map(|(role, _)| (role, bearer(&token(role)))));
        for (role, header) in roles {
            let found = status(site.at, route.method, &path, &header);
            let expected = match (route.policy, role) {
                (Policy::Open, _) => 200,
                (_, "none" | "wrong") => 401,
                (Policy::Ingest, "ingest" | "admin") => 0,
                (Policy::Read, "read" | "replay" | "admin") => 0,
                (Policy::Admin, "admin") => 0,
                _ => 403,
            };
            let right = if expected == 0 { ![401, 403, 405].contains(&found) } else { found == expected };
            assert!(right, "{} {path} as {role}: {found}", route.method);
            asked += 1;
        }
    }
    assert_eq!(Role::ALL.map(|(role, _)| role), ["ingest", "read", "replay", "admin"]);
    assert_eq!(asked, ROUTES.len() * 6);
    for path in
        ["/", "/v1", "/v1/nothing", "/v1/pipelines/minutes", "/V1/status", "/v1/status/", "/metrics/x", "/../v1/status"]
    {
        assert_eq!(status(site.at, "GET", path, &bearer(&token("admin"))), 404, "{path}");
    }
    // The document names every route, and its roles.
    let document = site.get("/openapi.json").expect(200).json();
    for route in ROUTES {
        let described = &document["paths"][route.path][route.method.to_lowercase()]["description"];
        assert_eq!(described, &format!("Role: {}", route.policy.name()), "{}", route.path);
    }
}

#[test]
fn a_token_for_one_source_sees_nothing_of_another() {
    let site = Site::start(&tokens());
    let scoped = bearer(&token("scoped"));
    let get = |path: &str| {
        site.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{scoped}\r\n"), b"")
    };
    let posted = |source: &str| site.post(&format!("/v1/ingest/{source}"), &format!("{NDJSON}{scoped}"), b"{}");
    assert_eq!(posted("trades").expect(403).code(), "out_of_scope");
    assert_eq!(posted("quotes").expect(415).code(), "content_type");
    for path in ["rows", "stream"] {
        assert_eq!(get(&format!("/v1/pipelines/minutes/{path}")).expect(403).code(), "out_of_scope");
    }
    get("/v1/pipelines/bids/rows").expect(200);
    assert_eq!(get("/v1/quarantine?source=trades").expect(403).code(), "out_of_scope");
    assert_eq!(get("/v1/quarantine").expect(400).code(), "source_required");
    get("/v1/quarantine?source=quotes").expect(200);
    for path in ["/v1/status", "/v1/lag", "/v1/pipelines", "/metrics"] {
        let reply = get(path).expect(200);
        assert!(!reply.body.contains("trades") && !reply.body.contains("minutes"), "{path}: {}", reply.body);
    }
    // Nor does it learn the names of others from a mistake.
    let missing = get("/v1/pipelines/minute/rows").expect(404);
    assert!(!missing.body.contains("minutes"), "{}", missing.body);
    // Events of another source by their number.
    let all = format!("{NDJSON}{}", bearer(&token("ingest")));
    site.post("/v1/ingest/trades", &all, b"broken\n").expect(200);
    let number = |token: &str| {
        let head =
            format!("GET /v1/quarantine/0 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", bearer(token));
        site.send(&head, b"")
    };
    super::until(|| (number(&token("read")).status == 200).then_some(()));
    number(&token("scoped")).expect(404);
}

#[test]
fn wrong_tokens_are_answered_alike_and_only_so_often() {
    let site = Site::start(&tokens());
    let ask = |token: &str| {
        site.send(
            &format!("GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", bearer(token)),
            b"",
        )
    };
    let (mut refused, mut cut, mut bodies) = (0, 0, std::collections::BTreeSet::new());
    let right = token("read");
    for n in 0..60 {
        // Nearly right, empty, too long, and not of this world.
        let wrong = match n % 4 {
            0 => right[..right.len() - 1].to_string(),
            1 => "x".to_string(),
            2 => "y".repeat(4_000),
            _ => format!("{right}z"),
        };
        let reply = ask(&wrong);
        match reply.status {
            401 => refused += 1,
            429 => cut += 1,
            other => panic!("{other}: {reply:?}"),
        }
        bodies.insert((reply.status, reply.body));
    }
    assert!(refused >= 20 && cut >= 1, "{refused} refused, {cut} cut off");
    assert_eq!(bodies.len(), 2, "one body for each");
    ask(&right).expect(200);
    // Two at once are none.
    let two = format!("{}{}", bearer(&right), bearer(&right));
    let reply =
        site.send(&format!("GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{two}\r\n"), b"");
    assert!([401, 429].contains(&reply.status));
}

#[test]
fn tokens_change_while_it_runs_and_all_at_once() {
    let site = Site::start(&tokens());
    let server = site.server.as_ref().expect("a server");
    let ask = |token: &str| status(site.at, "GET", "/v1/status", &bearer(token));
    assert_eq!((ask(&token("read")), ask(&token("next"))), (200, 401));
    // Two live tokens, then the old one is gone.
    let next = format!("[server.tokens.next]\nrole = \"read\"\nsha256 = \"{}\"\n", sha256(&token("next")));
    server.reload(&config(&(tokens() + &next)).server, site.folder.path()).expect("reloaded");
    assert_eq!((ask(&token("read")), ask(&token("next"))), (200, 200));
    server.reload(&config(&next).server, site.folder.path()).expect("reloaded");
    assert_eq!((ask(&token("read")), ask(&token("next"))), (401, 200));
    // One that cannot be read changes nothing.
    let broken = format!("{next}[server.tokens.filed]\nrole = \"read\"\nfile = \"nowhere\"\n");
    let error = server.reload(&config(&(tokens() + &broken)).server, site.folder.path()).expect_err("no file");
    assert!(error.contains("`filed`") && error.contains("nowhere"), "{error}");
    assert_eq!((ask(&token("read")), ask(&token("next"))), (401, 200));
    std::fs::write(site.folder.path().join("nowhere"), token("filed") + "\n").expect("a file");
    server.reload(&config(&broken).server, site.folder.path()).expect("reloaded");
    assert_eq!(ask(&token("filed")), 200);
    std::fs::write(site.folder.path().join("nowhere"), "short\n").expect("a file");
    let error = server.reload(&config(&broken).server, site.folder.path()).expect_err("too short");
    assert!(error.contains("at least 43") && !error.contains("short\n"), "{error}");
}

#[test]
fn only_this_machine_by_its_own_name_and_no_page_of_another_site() {
    let site = Site::start("");
    let ask = |headers: &str| site.send(&format!("GET /v1/status HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"), b"");
    let port = site.at.port();
    for right in
        ["localhost".to_string(), format!("LOCALHOST:{port}"), format!("127.0.0.1:{port}"), "[::1]:80".to_string()]
    {
        ask(&format!("host: {right}\r\n")).expect(200);
    }
    for wrong in
        ["evil.example", "evil.example:8741", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", ""]
    {
        assert_eq!(ask(&format!("host: {wrong}\r\n")).expect(403).code(), "foreign_host", "{wrong}");
    }
    assert_eq!(ask("").status / 100, 4);
    let host = format!("host: 127.0.0.1:{port}\r\n");
    ask(&format!("{host}origin: http://127.0.0.1:{port}\r\n")).expect(200);
    for wrong in ["http://evil.example", "null", "https://localhost", "http://127.0.0.1:1", "file://"] {
        let refused = ask(&format!("{host}origin: {wrong}\r\n")).expect(403);
        assert_eq!(refused.code(), "foreign_origin", "{wrong}");
        assert!(!refused.head.contains("access-control"), "{}", refused.head);
    }
    let named = Site::start("hosts = [\"water.example\"]\n");
    let ask = |host: &str| {
        named.send(&format!("GET /health/live HTTP/1.1\r\nconnection: close\r\nhost: {host}\r\n\r\n"), b"")
    };
    ask("water.example:8741").expect(200);
    ask("fire.example").expect(403);
}

#[test]
fn beyond_this_machine_it_needs_tokens_and_tls() {
    let listen = |address: &str, more: &str| {
        let text = CONFIG.replace("127.0.0.1:0", address) + more;
        slackwater::face::config::load(&text, "test.toml").map_err(|errors| errors.to_string())
    };
    let tls = "[server.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        for (more, wanted) in [
            (String::new(), "needs tokens"),
            (tls.to_string(), "needs tokens"),
            ("behind_proxy = true\n".to_string(), "needs tokens"),
            (tokens(), "needs TLS"),
        ] {
            let errors = listen(address, &more).expect_err("refused");
            assert!(errors.contains(wanted), "{address} {more}: {errors}");
        }
        listen(address, &(tokens() + tls)).expect("allowed");
        listen(address, &format!("behind_proxy = true\n{}", tokens())).expect("allowed");
    }
    // An address that a command line names is held to the same.
    let site = Site::start("");
    let mut config = config("");
    config.server.listen = "0.0.0.0:0".parse().expect("an address");
    let refused = Server::start(Served::of(&site.live), &config.server, site.folder.path()).expect_err("refused");
    assert!(refused.to_string().contains("needs tokens"), "{refused}");
    // What is listened to by itself is this machine.
    assert!(slackwater::face::config::ServerConfig::default().listen.ip().is_loopback());
}

#[test]
fn the_metrics_have_a_switch_of_their_own() {
    let site = Site::start("");
    let reply = site.get("/metrics").expect(200);
    for name in [
        "slackwater_events_received_total",
        "slackwater_queue_bytes",
        "slackwater_commit_last_seconds",
        "slackwater_windows 0.0",
    ] {
        assert!(reply.body.contains(name), "{name} in {}", reply.body);
    }
    assert!(reply.body.ends_with("# EOF\n"));
    let site = Site::start("metrics = false\n");
    site.get("/metrics").expect(404);
    site.trades(&minute(1, 0, "ABC")).expect(200);
}
