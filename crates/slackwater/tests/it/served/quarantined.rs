//! Events in quarantine of a service: guards that change while it runs, releases over HTTP and by command, kills between.

use super::{free_port, poster, ready, start};
use crate::durable::CONFIG;
use crate::program::{Place, lines};
use serde_json::Value;
use std::time::Duration;

fn trade(id: u64, second: u64, price: u64) -> String {
    let ts = 1_767_225_600_000 + second * 1_000;
    format!(r#"{{"id":{id},"symbol":"ABC","ts":{ts},"price":{price},"size":10}}"#) + "\n"
}

/// A service whose trades may not cost more than so much, and that ticks so often.
fn config(port: u16, price: u64, tick: &str) -> String {
    let config = CONFIG.replace("kind = \"files\"", "kind = \"http\"");
    let config = config.replace("require = [", &format!("require = [\"price < {price}\", "));
    let often = format!("[service]\ntick = \"{tick}\"\npublish = \"10ms\"\n");
    format!("{config}\n{often}[server]\nlisten = \"127.0.0.1:{port}\"\n")
}

fn get(port: u16, path: &str) -> Value {
    let (status, body) = poster::get(port, path).expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap_or(Value::String(body))
}

fn post(port: u16, key: &str, events: &str) -> Value {
    let (status, body) = poster::post((port, port), key, events).expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn wait(what: &str, done: &dyn Fn() -> bool) {
    for _ in 0..6_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited for {what} in vain");
}

fn rows(port: u16) -> Vec<Value> {
    get(port, "/v1/pipelines/minutes/rows?generations=true")["rows"].as_array().expect("rows").clone()
}

fn source(port: u16) -> Value {
    get(port, "/v1/status")["sources"][0].clone()
}

#[test]
fn guards_that_are_read_again_judge_what_comes_and_a_release_what_came() {
    let port = free_port();
    let place = Place::with(&config(port, 50, "20ms"));
    let url = format!("http://127.0.0.1:{port}");
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let told = post(port, "one", &[trade(1, 5, 1), trade(2, 6, 60), trade(3, 7, 90), trade(4, 600, 1)].concat());
    assert_eq!(told["quarantined"]["require"], 2, "{told}");
    wait("a seal", &|| rows(port).len() == 1);
    let run = |args: &[&str]| {
        let ran = place.run(&[args, &["--url", &url]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    assert_eq!(run(&["quarantine", "release", "--all"]), "0 released, 2 refused again\n");
    // The configuration lets more in from here on.
    place.write("c.toml", config(port, 80, "20ms"));
    assert!(std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status().is_ok());
    let mut next = 100;
    let mut tried = || {
        next += 1;
        post(port, &format!("try-{next}"), &trade(next, 700, 70))["facts"] == 1
    };
    for _ in 0..2_000 {
        if tried() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let quarantined = |name: &str| source(port)["counts"]["quarantined"][name].as_u64().unwrap_or_default();
    let refused = quarantined("require");
    assert!(refused >= 2, "what was judged before is not judged anew");
    assert!(poster::get(port, "/metrics").expect("metrics").1.contains("slackwater_quarantine_open"));
    // What was refused last can be released once it is committed.
    wait("the ledger of all", &|| lines(&run(&["quarantine", "list"])).len() as u64 == refused);
    let released = run(&["quarantine", "release", "--reason", "require", "--source", "trades"]);
    assert_eq!(released, format!("{} released, 1 refused again\n", refused - 1));
    let second = || rows(port).into_iter().find(|row| row["generation"] == 2);
    wait("a generation", &|| second().is_some());
    let newest = second().expect("just seen");
    assert_eq!((&newest["cause"], &newest["trades"]), (&"release".into(), &2.into()), "{newest}");
    wait("its counts", &|| quarantined("require") == 1);
    let of = source(port);
    let count = |name: &str| of["counts"][name].as_u64().expect("a count");
    assert_eq!(count("received"), count("facts") + 1, "every event is accounted for: {of}");
    let left = lines(&run(&["quarantine", "list"]));
    assert_eq!((left.len(), &left[0]["guard"], &left[0]["became"]), (1, &"price < 80".into(), &"refused".into()));
    // What stays is discarded, over HTTP.
    let number = left[0]["number"].to_string();
    let act = |verb: &str, query: &str| poster::act(port, &format!("/v1/quarantine/{verb}{query}")).expect("an answer");
    assert_eq!(act("release", "").0, 400, "it has to be said which are meant");
    assert_eq!(act("release", "?reason=boredom").0, 400);
    assert_eq!(act("discard", "?number=4711").0, 404);
    let (status, body) = act("discard", &format!("?number={number}"));
    assert!(status == 200 && body.contains("\"discarded\":1"), "{body}");
    let (status, body) = act("release", "?all=true");
    assert!(status == 200 && body.contains("\"discarded\":1") && body.contains("\"released\":0"), "{body}");
    wait("the mark", &|| source(port)["discarded"] == 1);
    wait("the ledger", &|| run(&["quarantine", "list"]).is_empty());
    assert_eq!(get(port, &format!("/v1/quarantine/{number}"))["became"], "discarded");
    let metrics = poster::get(port, "/metrics").expect("metrics").1;
    assert!(metrics.contains("slackwater_quarantine_open{source=\"trades\"} 0"), "{metrics}");
    assert_eq!(quarantined("require"), 1);
    drop(child);
}

#[test]
fn a_release_survives_a_kill_before_its_tick() {
    let port = free_port();
    let place = Place::with(&config(port, 50, "20ms"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    post(port, "one", &[trade(1, 5, 1), trade(2, 6, 60), trade(3, 600, 1)].concat());
    wait("a seal", &|| rows(port).len() == 1);
    drop(child);
    // From here on it ticks once an hour.
    place.write("c.toml", config(port, 70, "1h"));
    for round in 0..3 {
        let mut child = start(&place);
        assert!(ready(&mut child, port));
        let (status, body) = poster::act(port, "/v1/quarantine/release?source=trades").expect("an answer");
        assert_eq!(status, 200, "{body}");
        let released = if round == 0 { 1 } else { 0 };
        assert!(body.contains(&format!("\"released\":{released}")), "round {round}: {body}");
        drop(child);
    }
    place.write("c.toml", config(port, 70, "20ms"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    wait("the tick", &|| rows(port).len() == 2);
    let newest = rows(port).into_iter().find(|row| row["generation"] == 2).expect("a second generation");
    assert_eq!((&newest["cause"], &newest["trades"]), (&"release".into(), &2.into()));
    wait("the counts", &|| source(port)["counts"]["facts"] == 3);
    let counts = source(port)["counts"].clone();
    assert_eq!((&counts["received"], &counts["quarantined"]), (&3.into(), &serde_json::json!({})));
    drop(child);
    let ran = place.run(&["quarantine", "release", "--data", "data", "--all", "--json"]);
    assert!(ran.code == 0 && ran.out.contains("\"released\":0"), "{}{}", ran.out, ran.err);
}
