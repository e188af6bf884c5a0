//! `slackwater status`: how far a service has come, asked of itself or read from its directory.

use super::check::print;
use super::fold::Stop;
use super::{Exit, StatusArgs, directory, remote, span};
use crate::connect::files::render::{hex, time, visible};
use crate::face::api::report;
use serde_json::{Value, json};
use slackwater_core::judge::Counts;
use slackwater_store::store::Store;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(args: &StatusArgs) -> Exit {
    let status = match &args.at.data {
        Some(data) => kept(data),
        None => remote::json(&remote::server(&args.at.url()), "/v1/status"),
    };
    match status {
        Ok(status) if args.json => print(&format!("{status}\n")),
        Ok(status) => print(&shown(&status)),
        Err(stop) => stop.report(),
    }
}

/// What a directory says of it.
fn kept(data: &Path) -> Result<Value, Stop> {
    let plan = Arc::new(directory::config(data)?.plan);
    let mut store = directory::results(data, &plan)?;
    let Some(head) = store.head()? else {
        return Err(Stop::Usage(format!("--data {}: nothing was committed in this directory yet", data.display())));
    };
    let mut all = Counts::default();
    head.counts.iter().for_each(|counts| all.merge(counts));
    let sources = plan.sources.iter().zip(&head.counts);
    let held = store.held(None)?;
    let held = |index: usize| {
        let mine = held.iter().filter(|noted| usize::from(noted.note.source()) == index);
        mine.map(|noted| &noted.note.identity).collect::<BTreeSet<_>>().len()
    };
    let sources = sources.enumerate().map(|(index, (source, counts))| {
        json!({
            "name": source.name, "counts": report::counts(counts), "held": held(index), "discarded": counts.discarded,
            "cutoff": report::cutoff(head.cutoffs.of(index as u16)),
        })
    });
    let pipelines = plan.pipelines.iter().zip(&head.settled);
    let pipelines = pipelines.map(
        |(pipeline, settled)| json!({ "name": pipeline.name, "finalized_through": report::finalized(Some(settled)) }),
    );
    Ok(json!({
        "instance": hex(&head.instance),
        "epoch": head.epoch,
        "commit": head.commit,
        "checkpoint": head.checkpoint,
        "ticks": head.ticks,
        "ticked": head.ticked.map(|at| time(at.into())),
        "conservation": report::conservation(&all),
        "sources": sources.collect::<Vec<_>>(),
        "pipelines": pipelines.collect::<Vec<_>>(),
    }))
}

fn shown(status: &Value) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", status["conservation"].as_str().unwrap_or_default());
    let _ = writeln!(
        out,
        "tick {} at {}, commit {}, checkpoint {}, start {}",
        status["ticks"],
        status["ticked"].as_str().unwrap_or("-"),
        status["commit"],
        status["checkpoint"],
        status["epoch"]
    );
    if let Some(queue) = status["queue"].as_object() {
        let _ = writeln!(
            out,
            "queue: {} deliveries, {} of {} bytes, {} at most",
            queue["deliveries"], queue["bytes"], queue["bound"], queue["most"]
        );
    }
    if let Some(gone) = status["journal"]["without_event_bytes"].as_u64().filter(|gone| *gone > 0) {
        let _ =
            writeln!(out, "event bytes are gone up to entry {gone}: what came of them is told by archive and record");
    }
    if let Some(damaged) = status["journal"]["damaged"].as_u64().filter(|damaged| *damaged > 0) {
        let _ = writeln!(
            out,
            "damaged: {damaged} parts of journal and record that only a rebuild needs; `checkpoint verify` names them"
        );
    }
    if status["takes_events"] == json!(false) {
        out.push_str("takes no events now; see its log\n");
    }
    status["sources"].as_array().into_iter().flatten().for_each(|source| source_lines(source, &mut out));
    for pipeline in status["pipelines"].as_array().into_iter().flatten() {
        let name = pipeline["name"].as_str().unwrap_or_default();
        let through = pipeline["finalized_through"].as_str().unwrap_or("nothing yet");
        let _ = write!(out, "pipeline {name}: final through {through}");
        match pipeline["open_rows"].as_u64() {
            Some(open) => drop(writeln!(out, ", {open} rows still move")),
            None => out.push('\n'),
        }
        if let Some(put_off) = pipeline["put_off"].as_object() {
            let from = put_off["from"].as_str().unwrap_or_default();
            let keys = if put_off["keys"] == json!(1) { "key" } else { "keys" };
            let _ = writeln!(
                out,
                "  put off: windows of {} {keys} from {from} on, until the watermark is near",
                put_off["keys"]
            );
        }
    }
    out
}

fn source_lines(source: &Value, out: &mut String) {
    let halted = if source["halted"] == json!(true) { ", halted" } else { "" };
    let stuck = if source["stuck"] == json!(true) { ", cannot read something; see its log" } else { "" };
    let name = source["name"].as_str().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "source {name}: received {}{halted}{stuck}", source["counts"]["received"]);
    if let Some(held) = source["held"].as_u64().filter(|held| *held > 0) {
        let _ = writeln!(out, "  held {held}");
    }
    out.push_str(&retention_lines(source));
    for (reason, count) in source["counts"]["quarantined"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "  quarantined {reason}: {count}");
    }
    if let Some(discarded) = source["discarded"].as_u64().filter(|discarded| *discarded > 0) {
        let _ = writeln!(out, "  of these discarded: {discarded}");
    }
    for origin in source["origins"].as_array().into_iter().flatten() {
        out.push_str(&origin_line(origin));
    }
}

/// Where a source is cut off, and what came too late for that.
fn retention_lines(source: &Value) -> String {
    let mut out = String::new();
    if let Some(cutoff) = source["cutoff"].as_object() {
        let events = cutoff["events_from"].as_str().unwrap_or_default();
        let kept = match cutoff["facts_from"].as_str() {
            Some(facts) => format!("facts are kept from {facts} on"),
            None => "windows reach back to its first facts, and all are kept".to_string(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  cut off: {kept}, and what would change something before {events} is set aside");
    }
    if let Some(beyond) = source["counts"]["beyond_retention"].as_u64().filter(|beyond| *beyond > 0) {
        let _ = writeln!(out, "  beyond_retention {beyond}");
    }
    out
}

fn origin_word(origin: &Value) -> &'static str {
    match (&origin["idle"], &origin["held_back"], &origin["ahead"]) {
        (Value::Bool(true), ..) => ", idle",
        (_, Value::Bool(true), _) => ", ahead, held back",
        (.., Value::Bool(true)) => ", ahead",
        _ => "",
    }
}

fn origin_line(origin: &Value) -> String {
    let (late, text) = (&origin["lateness"], |value: &Value| value.as_str().unwrap_or("-").to_string());
    let late = |name: &str| late[name].as_f64().map_or("-".to_string(), |seconds| span((seconds * 1e9) as u64));
    format!(
        "  origin {}: frontier {}, watermark {}{}, late p50 {}, p90 {}, p99 {}, p99.9 {}, max {}\n",
        visible(&text(&origin["origin"])),
        text(&origin["frontier"]),
        text(&origin["watermark"]),
        origin_word(origin),
        late("p50"),
        late("p90"),
        late("p99"),
        late("p99_9"),
        late("max"),
    )
}
