//! No answer says where on disk anything is, whatever is asked and whatever is broken.

use super::{NDJSON, Site, minute};
use proptest::prelude::*;
use slackwater::face::api::ROUTES;
use slackwater::face::api::serve::{Served, Server};
use slackwater_store::sqlite::Sqlite;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KNOWN: [&str; 12] =
    ["trades", "minutes", "rows", "stream", "..", "%2e%2e", "%00", "data", "store.sqlite", "etc", "passwd", "~"];
const NAMES: [&str; 11] = ["from", "to", "key", "tier", "as_of", "cursor", "limit", "source", "after", "interval", "x"];

/// Pieces of what somebody may ask, some of them meant badly.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(&KNOWN[..]).prop_map(str::to_string), "[!-~]{0,20}"]
}

/// A request line: one of the routes with its names replaced, or any path at all, with any query.
fn target() -> impl Strategy<Value = String> {
    let paths: Vec<String> = ROUTES.iter().map(|route| route.path.to_string()).collect();
    let filled = (proptest::sample::select(paths), piece()).prop_map(|(path, name)| {
        path.split('/')
            .map(|part| if part.starts_with('{') { name.as_str() } else { part })
            .collect::<Vec<_>>()
            .join("/")
    });
    let any = proptest::collection::vec(piece(), 0..5).prop_map(|pieces| format!("/{}", pieces.join("/")));
    let query = proptest::collection::vec((proptest::sample::select(&NAMES[..]), piece()), 0..3);
    (prop_oneof![filled, any], query).prop_map(|(path, query)| {
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{path}?{}", query.join("&")).replace(' ', "")
    })
}

fn holds(site: &Site) {
    let folder = site.folder.path().canonicalize().expect("a folder");
    let name = folder.file_name().expect("a name").to_string_lossy().to_ascii_lowercase();
    let methods = proptest::sample::select(vec!["GET", "POST", "PUT", "DELETE", "OPTIONS"]);
    proptest!(ProptestConfig::with_cases(300), |(method in methods, target in target(), body in ".{0,60}")| {
        // A stream that is found goes on until somebody ends it.
        prop_assume!(!(method == "GET" && target.contains("/stream")));
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{NDJSON}content-length: {}\r\n\r\n",
            body.len()
        );
        let reply = site.send(&head, body.as_bytes());
        prop_assert!(reply.status > 0, "{head}");
        let said = format!("{}\n{}", reply.head, reply.body.to_ascii_lowercase());
        // What was asked may be said again; what was not may not.
        let asked = target.to_ascii_lowercase();
        for place in [&*name, "store.sqlite", "journal/", "checkpoint/", "archive/", "record/", "/src/"] {
            prop_assert!(asked.contains(place) || !said.contains(place), "{place} in {reply:?} of {head}");
        }
    });
}

#[test]
fn no_answer_says_where_anything_is() {
    let mut site = Site::start("");
    site.trades(&minute(0, 0, "ABC")).expect(200);
    holds(&site);
    // A store that cannot be read is told as such, and not as a file.
    let (broken, plan) = (site.folder.path().join("broken"), site.live.plan().clone());
    std::fs::create_dir(&broken).expect("a folder");
    std::fs::write(broken.join("store.sqlite"), [7; 5_000]).expect("a file");
    let (breaks, usual) = (Arc::new(AtomicBool::new(false)), Served::of(&site.live));
    let (sound, broke) = (usual.store.clone(), breaks.clone());
    let read = move || if broke.load(Ordering::Acquire) { Sqlite::read(&broken, plan.clone()) } else { sound() };
    let served = Served { store: Arc::new(read), ..usual };
    let server = Server::start(served, &site.live.config().server, site.folder.path()).expect("a server");
    breaks.store(true, Ordering::Release);
    let sound = std::mem::replace(&mut site.at, server.address());
    site.get("/v1/pipelines/minutes/rows").expect(500);
    holds(&site);
    site.at = sound;
    server.stop(Duration::from_secs(1));
}
