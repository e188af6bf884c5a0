//! Held facts, listed and released over HTTP and from the command line.

use super::{free_port, poster, ready, start};
use crate::durable::CONFIG;
use crate::program::{Place, lines};
use serde_json::Value;
use std::time::Duration;

fn trade(id: u64, second: u64) -> String {
    let ts = 1_767_225_600_000 + second * 1_000;
    format!(r#"{{"id":{id},"symbol":"ABC","ts":{ts},"price":1,"size":10}}"#) + "\n"
}

#[test]
fn held_facts_are_listed_and_released_by_command() {
    let port = free_port();
    let config = CONFIG.replace("kind = \"files\"", "kind = \"http\"\nlate = \"hold\"");
    let often = "[service]\ntick = \"20ms\"\npublish = \"10ms\"\n";
    let place = Place::with(&format!("{config}\n{often}[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let url = format!("http://127.0.0.1:{port}");
    let get = |path: &str| -> Value {
        let (status, body) = poster::get(port, path).expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or(Value::String(body))
    };
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..2_000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("waited for {what} in vain");
    };
    assert_eq!(poster::post((port, port), "one", &[trade(1, 5), trade(2, 600)].concat()).expect("an answer").0, 200);
    let rows = || get("/v1/pipelines/minutes/rows?generations=true")["rows"].as_array().expect("rows").len();
    wait("a seal", &|| rows() == 1);
    assert_eq!(poster::post((port, port), "two", &[trade(3, 6), trade(4, 7)].concat()).expect("an answer").0, 200);
    let held = || get("/v1/status")["sources"][0]["held"].as_u64().expect("a count");
    wait("two that are held", &|| held() == 2);
    assert_eq!(rows(), 1);
    let listed = |more: &[&str]| {
        let ran = place.run(&[&["source", "held", "--url", &url], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        lines(&ran.out)
    };
    let mine = listed(&["--pipeline", "minutes"]);
    assert_eq!((mine.len(), &mine[0]["fact"]["id"], &mine[1]["fact"]["id"]), (2, &3.into(), &4.into()));
    assert_eq!(mine[0]["window_end"], "2026-01-01T00:01:00Z");
    assert_eq!(listed(&["--limit", "1", "trades"]).len(), 1);
    assert!(poster::get(port, "/metrics").expect("metrics").1.contains("slackwater_held_facts{source=\"trades\"} 2"));
    let release = |more: &[&str]| {
        let ran = place.run(&[&["source", "release", "trades", "--url", &url], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    let number = mine[1]["number"].to_string();
    assert_eq!(release(&["--number", &number]), "trades: 1 released\n");
    wait("a generation", &|| rows() == 2);
    assert!(place.run(&["source", "release", "trades", "--url", &url, "--number", &number]).code != 0);
    assert!(place.run(&["source", "release", "quotes", "--url", &url]).code != 0);
    release(&[]);
    wait("the last of them", &|| held() == 0);
    let rows = get("/v1/pipelines/minutes/rows");
    assert_eq!((&rows["rows"][0]["trades"], &rows["rows"][0]["cause"]), (&3.into(), &"release".into()));
    assert_eq!(release(&[]), "trades: 0 released\n");
}
