//! Rows, status, quarantine: what can be read, and in which shapes.

use super::{CONFIG, NDJSON, Site, minute, until};
use serde_json::Value;
use std::collections::BTreeMap;

/// A service with so many minutes of trades of three symbols, of which all but the last are sealed.
fn filled(minutes: u64) -> Site {
    let site = Site::start("");
    for n in 0..minutes {
        for (at, symbol) in ["ABC", "DEF", "GHI"].into_iter().enumerate() {
            site.trades(&minute(n * 100 + at as u64 * 10, n, symbol)).expect(200);
        }
    }
    let sealed = (minutes as usize - 1) * 3;
    until(|| {
        let all = [rows(&site, "limit=10000").len(), rows(&site, "tier=provisional").len()];
        (all == [sealed, 3]).then_some(())
    });
    site
}

fn rows(site: &Site, query: &str) -> Vec<Value> {
    let answer = site.get(&format!("/v1/pipelines/minutes/rows?{query}")).expect(200).json();
    answer["rows"].as_array().expect("rows").clone()
}

#[test]
fn rows_come_with_their_tiers_and_how_far_they_are_final() {
    let site = filled(4);
    let answer = site.get("/v1/pipelines/minutes/rows?tier=all").expect(200).json();
    assert_eq!(answer["pipeline"], "minutes");
    assert_eq!(answer["next"], Value::Null);
    assert_eq!(answer["finalized_through"], "2026-01-01T00:03:09Z");
    let all = answer["rows"].as_array().expect("rows");
    assert_eq!(all.len(), 12);
    for row in all {
        let last = row["window_start"] == "2026-01-01T00:03:00Z";
        let (tier, generation) = if last { ("provisional", 0) } else { ("final", 1) };
        assert_eq!((row["tier"].as_str(), row["generation"].as_u64()), (Some(tier), Some(generation)));
        assert_eq!(row["cause"], if last { Value::Null } else { "seal".into() });
        assert_eq!((row["total"].as_str(), row["trades"].as_u64()), (Some("60.00"), Some(10)));
    }
    assert_eq!(rows(&site, "tier=provisional").len(), 3);
    assert_eq!(rows(&site, "tier=final").len(), 9);
    assert_eq!(rows(&site, "key.symbol=DEF&tier=all").len(), 4);
    assert_eq!(rows(&site, "key.symbol=XYZ&tier=all").len(), 0);
    assert_eq!(rows(&site, "from=2026-01-01T00:01:00Z&to=2026-01-01T00:02:00Z").len(), 3);
    // A late trade makes a new generation of a sealed row; the older stays.
    site.trades("{\"id\":9000,\"symbol\":\"ABC\",\"ts\":1767225600,\"price\":1}\n").expect(200);
    let newest = until(|| {
        let found = rows(&site, "key.symbol=ABC&to=2026-01-01T00:01:00Z");
        (found[0]["generation"] == 2).then(|| found[0].clone())
    });
    assert_eq!((newest["cause"].as_str(), newest["total"].as_str()), (Some("late"), Some("61.00")));
    let history = rows(&site, "key.symbol=ABC&to=2026-01-01T00:01:00Z&generations=true");
    assert_eq!(history.iter().map(|row| row["generation"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    // As of a time before the service began, nothing was.
    assert_eq!(rows(&site, "as_of=2020-01-01T00:00:00Z").len(), 0);
}

#[test]
fn a_key_may_be_asked_for_that_is_null_or_the_empty_text() {
    let text = CONFIG.replace("symbol = \"string\"", "symbol = \"string?\"");
    let config = slackwater::face::config::load(&text, "test.toml").expect("a sound configuration");
    let site = Site::over(tempfile::tempdir().expect("a folder"), &config).expect("a server");
    let trade =
        |id: u64, symbol: &str| format!("{{\"id\":{id},\"symbol\":{symbol},\"ts\":1767225600,\"price\":{id}}}\n");
    site.trades(&[trade(1, "null"), trade(2, "\"\""), trade(3, "\"ABC\"")].concat()).expect(200);
    let total = |query: &str| -> Vec<Value> {
        rows(&site, &format!("tier=all{query}")).iter().map(|row| row["total"].clone()).collect()
    };
    until(|| (total("").len() == 3).then_some(()));
    assert_eq!(total("&key.symbol"), ["1.00"]);
    assert_eq!(total("&key.symbol="), ["2.00"]);
    assert_eq!(total("&key.symbol=ABC"), ["3.00"]);
}

#[test]
fn pages_together_are_the_whole_whatever_their_size() {
    let site = filled(6);
    site.trades("{\"id\":9000,\"symbol\":\"ABC\",\"ts\":1767225600,\"price\":1}\n").expect(200);
    until(|| (rows(&site, "generations=true").len() == 16).then_some(()));
    for query in ["tier=all", "tier=final", "tier=provisional", "generations=true", "tier=all&key.symbol=GHI"] {
        let whole = rows(&site, query);
        for limit in [1, 2, 3, 7, 100] {
            let (mut paged, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let answer = site.get(&format!("/v1/pipelines/minutes/rows?{query}&limit={limit}{cursor}"));
                let answer = answer.expect(200).json();
                let page = answer["rows"].as_array().expect("rows");
                assert!(page.len() <= limit);
                paged.extend(page.clone());
                pages += 1;
                match answer["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(paged, whole, "{query} by {limit}, {pages} pages");
        }
    }
}

#[test]
fn windows_that_begin_before_64_bits_are_on_the_first_page() {
    let site = filled(2);
    // The first and the last moment that a time can be; the minute of the first begins before it.
    let (least, most) = (i64::MIN / 1_000_000_000, i64::MAX / 1_000_000_000);
    let far = |id: u64, ts: i64| format!("{{\"id\":{id},\"symbol\":\"ABC\",\"ts\":{ts},\"price\":1}}\n");
    site.trades(&[far(9_000, least), far(9_001, most)].concat()).expect(200);
    until(|| (rows(&site, "").len() == 7).then_some(()));
    let all = rows(&site, "tier=all");
    let starts: Vec<&str> = all.iter().map(|row| row["window_start"].as_str().expect("a time")).collect();
    assert_eq!((starts[0], starts[starts.len() - 1]), ("1677-09-21T00:12:00Z", "2262-04-11T23:47:00Z"));
    assert_eq!(rows(&site, "tier=all&from=1677-09-21T00:12:00Z"), all);
    assert_eq!(rows(&site, "tier=all&from=1677-09-21T00:12:00.000000001Z"), all[1..]);
    assert_eq!(rows(&site, "tier=all&to=1677-09-21T00:12:00.000000001Z"), all[..1]);
    assert_eq!(rows(&site, "tier=all&to=1677-09-21T00:12:00Z"), all[..0]);
    assert_eq!(rows(&site, "tier=all&to=1677-09-21T00:12:43.145224192Z"), all[..1]);
    assert_eq!(rows(&site, "tier=all&to=9999-01-01T00:00:00Z"), all);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    while paged.len() < all.len() {
        let answer = site.get(&format!("/v1/pipelines/minutes/rows?tier=all&limit=1{cursor}")).expect(200).json();
        paged.extend(answer["rows"].as_array().expect("rows").clone());
        let Some(next) = answer["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
}

#[test]
fn the_same_rows_in_three_shapes() {
    let site = filled(3);
    let json = rows(&site, "tier=all");
    let get = |accept: &str, query: &str| {
        let head = format!(
            "GET /v1/pipelines/minutes/rows?tier=all{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{accept}\r\n"
        );
        site.send(&head, b"").expect(200)
    };
    for (accept, query) in [("accept: application/x-ndjson\r\n", ""), ("", "&format=ndjson")] {
        let reply = get(accept, query);
        assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(reply.header("slackwater-finalized-through"), Some("2026-01-01t00:02:09z"));
        let lines: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines, json);
    }
    let reply = get("accept: text/csv, */*\r\n", "");
    let mut csv = csv::Reader::from_reader(reply.body.as_bytes());
    let records: Vec<BTreeMap<String, String>> = csv.deserialize().map(|record| record.expect("a record")).collect();
    assert_eq!(records.len(), json.len());
    for (record, row) in records.iter().zip(&json) {
        assert_eq!(record["total"], row["total"].as_str().expect("a text"));
        assert_eq!(
            (record["tier"].as_str(), record["digest"].as_str()),
            (row["tier"].as_str().expect("text"), row["digest"].as_str().expect("text"))
        );
    }
    let page = get("", "&format=csv&limit=1");
    assert!(page.header("slackwater-next").is_some_and(|next| !next.is_empty()));
}

#[test]
fn what_is_asked_wrongly_is_said_so() {
    let site = filled(2);
    for (query, code, help) in [
        ("form=2026-01-01T00:00:00Z", "unknown_parameter", "did you mean `from`?"),
        ("from=yesterday", "parameter", "write a time as"),
        ("limit=0", "parameter", "1 to 10000"),
        ("limit=10001", "parameter", "1 to 10000"),
        ("tier=both", "parameter", "final, provisional, all"),
        ("cursor=zz", "parameter", "take it from `next`"),
        ("cursor=00", "parameter", "take it from `next`"),
        ("key.symbl=ABC", "unknown_key", "did you mean `key.symbol`?"),
        ("tier=all&as_of=2026-01-01T00:00:00Z", "as_of", "leave out"),
        ("tier=all&tier=final", "parameter_twice", "once"),
        ("generations=maybe", "parameter", "true or false"),
    ] {
        let refused = site.get(&format!("/v1/pipelines/minutes/rows?{query}")).expect(400);
        assert_eq!(refused.code(), code, "{query}");
        assert!(refused.body.contains(help), "{query}: {}", refused.body);
    }
    let refused = site.get("/v1/pipelines/minute/rows").expect(404);
    assert!(refused.body.contains("did you mean `minutes`?"));
    for path in ["/v1/status", "/v1/lag", "/v1/pipelines"] {
        let refused = site.get(&format!("{path}?source=trades")).expect(400);
        assert_eq!(refused.code(), "unknown_parameter", "{path}");
    }
    let event = "{\"id\":9,\"symbol\":\"ABC\",\"ts\":1767225600000,\"price\":1,\"size\":1}\n";
    let refused = site.post("/v1/ingest/trades?format=csv", NDJSON, event.as_bytes()).expect(400);
    assert!(refused.code() == "unknown_parameter" && refused.body.contains("there are none"), "{}", refused.body);
    site.trades(event).expect(200);
}

#[test]
fn status_and_lag_and_quarantine_say_what_there_is() {
    let site = filled(3);
    site.trades("broken\n{\"id\":1}\n").expect(200);
    let status = site.get("/v1/status").expect(200).json();
    let trades = &status["sources"][0];
    assert_eq!((trades["name"].as_str(), trades["counts"]["facts"].as_u64()), (Some("trades"), Some(90)));
    let origin = &trades["origins"][0];
    assert_eq!(
        (origin["origin"].as_str(), origin["frontier"].as_str()),
        (Some("trades"), Some("2026-01-01T00:02:09Z"))
    );
    assert_eq!(origin["lateness"]["events"], 90);
    for name in ["p50", "p90", "p99", "p99_9", "max"] {
        assert!(origin["lateness"][name].as_f64().is_some_and(|late| late > 0.0), "{name}");
    }
    assert_eq!(site.get("/v1/lag").expect(200).json()["sources"][0]["origins"][0]["lateness"], origin["lateness"]);
    let pipelines = site.get("/v1/pipelines").expect(200).json();
    assert_eq!(pipelines["pipelines"][0]["name"], "minutes");
    assert_eq!(pipelines["pipelines"][0]["columns"][0]["role"], "key");
    // What was set aside is there with the next commit.
    let events = until(|| {
        let found = site.get("/v1/quarantine").expect(200).json();
        (found["events"].as_array().map(Vec::len) == Some(2)).then_some(found)
    });
    assert_eq!(
        (events["events"][0]["reason"].as_str(), events["events"][0]["raw"].as_str()),
        (Some("malformed"), Some("broken"))
    );
    assert!(events["events"][0]["file"].is_null(), "{events}");
    let first = site.get("/v1/quarantine?limit=1&source=trades").expect(200).json();
    assert_eq!((first["next"].as_u64(), first["events"][0]["number"].as_u64()), (Some(1), Some(0)));
    assert_eq!(site.get("/v1/quarantine?from=1").expect(200).json()["events"][0], events["events"][1]);
    assert_eq!(site.get("/v1/quarantine/1").expect(200).json(), events["events"][1]);
    for missing in ["2", "x", "-1", "99999999999999999999"] {
        site.get(&format!("/v1/quarantine/{missing}")).expect(404);
    }
    // No answer names a file of this machine.
    let folder = site.folder.path().to_string_lossy().into_owned();
    for path in
        ["/v1/status", "/v1/lag", "/v1/pipelines", "/v1/quarantine", "/metrics", "/health/ready", "/openapi.json"]
    {
        assert!(!site.get(path).body.contains(&folder), "{path}");
    }
}

#[test]
fn the_rules_ask_for_metrics_that_there_are() {
    let site = filled(2);
    site.trades("broken\n").expect(200);
    until(|| (site.get("/v1/status").json()["sources"][0]["counts"]["received"] == 61).then_some(()));
    let metrics = site.get("/metrics").expect(200).body;
    let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/alerts.yml");
    let rules = std::fs::read_to_string(rules).expect("docs/alerts.yml");
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let asked: std::collections::BTreeSet<&str> =
        rules.split(word).filter(|name| name.starts_with("slackwater_")).collect();
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        let there =
            metrics.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(there, "{name} in\n{metrics}");
    }
}
