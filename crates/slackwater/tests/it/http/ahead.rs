//! An origin that is far ahead of another, where memory is for few windows: it is told, and waits while the other catches up.

use super::{Reply, Site, until};
use crate::program::Place;
use serde_json::Value;
use slackwater::face::api::live::Options;
use slackwater::face::config;
use slackwater::runtime::clock::{Clock, Stopwatch};
use std::time::Duration;

const ORIGINS: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
IDLE
[source.trades.fields]
id = "u64"
venue = "string"
ts = "timestamp_s"
[pipeline.seconds]
sql = "SELECT count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 second')"
[server]
listen = "127.0.0.1:0"
"#;

fn site(idle: &str) -> (Site, i64) {
    let config = config::load(&ORIGINS.replace("IDLE", idle), "test.toml").expect("a sound configuration");
    let options = Options { windows: 8, ..crate::live::quick() };
    let site = Site::with(tempfile::tempdir().expect("a folder"), &config, options).expect("a server");
    (site, Clock::start().now() / 1_000_000_000 - 10_000)
}

fn event(id: u64, venue: &str, seconds: i64) -> String {
    format!("{{\"id\":{id},\"venue\":\"{venue}\",\"ts\":{seconds}}}\n")
}

/// What the status says of the pipeline, and of an origin.
fn told(site: &Site, venue: &str) -> (Value, Value) {
    let status = site.get("/v1/status").expect(200).json();
    let origins = status["sources"][0]["origins"].as_array().cloned().unwrap_or_default();
    let origin = origins.into_iter().find(|origin| origin["origin"] == venue).unwrap_or_default();
    (status["pipelines"][0].clone(), origin)
}

/// X runs ahead of Y until its windows are put off.
fn run_ahead(site: &Site, base: i64) {
    site.trades(&[event(1, "X", base), event(2, "Y", base)].concat()).expect(200);
    let far: String = (1..100).map(|n| event(1_000 + n, "X", base + n as i64)).collect();
    site.trades(&far).expect(200);
    let pipeline = until(|| {
        let (pipeline, x) = told(site, "X");
        (x["ahead"] == true && !pipeline["put_off"].is_null()).then_some(pipeline)
    });
    assert_eq!(pipeline["put_off"]["keys"], 1);
    assert!(pipeline["put_off"]["from"].as_str().is_some_and(|from| from.ends_with('Z')), "{pipeline}");
    assert_eq!(told(site, "Y").1["ahead"], false);
    let metrics = site.get("/metrics").expect(200).body;
    assert!(metrics.contains("slackwater_put_off_keys{pipeline=\"seconds\"} 1.0"), "{metrics}");
    assert!(metrics.contains("slackwater_origin_ahead{source=\"trades\",origin=\"X\"} 1.0"), "{metrics}");
}

#[test]
fn who_is_far_ahead_waits_while_another_catches_up() {
    let (site, base) = site("idle_after = \"1h\"");
    run_ahead(&site, base);
    let (mut id, mut taken) = (10_000, 101);
    let mut post = |site: &Site, lines: &[(&str, i64)]| -> Reply {
        let body: String = lines
            .iter()
            .map(|(venue, at)| {
                event(
                    {
                        id += 1;
                        id
                    },
                    venue,
                    base + at,
                )
            })
            .collect();
        let reply = site.trades(&body);
        taken += if reply.status == 200 { lines.len() as u64 } else { 0 };
        reply
    };
    let received = || site.get("/v1/status").expect(200).json()["sources"][0]["counts"]["received"].as_u64();
    // While the one that is behind is heard, nothing of the one ahead is taken in.
    let refused = until(|| {
        post(&site, &[("Y", 0)]).expect(200);
        let reply = post(&site, &[("X", 100), ("X", 101)]);
        (reply.status != 200).then_some(reply)
    });
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (429, "ahead", Some("1")));
    // With an event of any other, or one that nobody knows whose it is, it is.
    until(|| {
        post(&site, &[("Y", 1)]).expect(200);
        post(&site, &[("X", 100), ("Y", 2)]).expect(200);
        post(&site, &[("X", 100), ("Z", 3)]).expect(200);
        let held = told(&site, "X").1["held_back"] == true;
        (held && post(&site, &[("X", 102)]).status == 429).then_some(())
    });
    site.trades(&format!("{}what is this?\n", event(20_000, "X", base + 100))).expect(200);
    assert!(site.get("/metrics").expect(200).body.contains("slackwater_held_back_total{source=\"trades\"}"));
    let place = Place::with("");
    let status = place.run(&["status", "--url", &format!("http://{}", site.at)]).out;
    assert!(status.contains("  put off: windows of 1 key from 20") && status.contains(", ahead"), "{status}");
    // They catch up.
    post(&site, &[("Y", 101), ("Z", 101)]).expect(200);
    until(|| {
        let (pipeline, x) = told(&site, "X");
        (x["ahead"] == false && x["held_back"] == false && pipeline["put_off"].is_null()).then_some(())
    });
    post(&site, &[("X", 103)]).expect(200);
    until(|| (received() == Some(taken + 2)).then_some(()));
    let rows = site.get("/v1/pipelines/seconds/rows?limit=1000").expect(200).json();
    let sealed: u64 = rows["rows"].as_array().expect("rows").iter().filter_map(|row| row["trades"].as_u64()).sum();
    assert!(sealed >= 99, "{rows}");
}

#[test]
fn who_is_held_back_is_not_taken_for_idle() {
    let (site, base) = site("idle_after = \"3s\"");
    run_ahead(&site, base);
    let (watch, mut id, mut held) = (Stopwatch::start(), 5_000, 0);
    while watch.elapsed() < Duration::from_millis(4_500) {
        id += 2;
        site.trades(&event(id, "Y", base)).expect(200);
        held += u32::from(site.trades(&event(id + 1, "X", base + 100)).status == 429);
        assert_eq!(told(&site, "X").1["idle"], false);
    }
    assert!(held > 0, "it was held back");
}

#[test]
fn nobody_waits_for_one_that_is_silent() {
    // Proven idle or not: it is not there.
    for (idle, sealed) in [("idle_after = \"300ms\"", true), ("", false)] {
        let (site, base) = site(idle);
        run_ahead(&site, base);
        let mut id = 5_000;
        until(|| {
            id += 1;
            (site.trades(&event(id, "X", base + 100)).status == 200).then_some(())
        });
        // Where it can be proven, what the other had held goes on.
        if sealed {
            until(|| told(&site, "X").0["put_off"].is_null().then_some(()));
        } else {
            assert!(!told(&site, "X").0["put_off"].is_null(), "windows wait for it, its source does not");
        }
    }
}
