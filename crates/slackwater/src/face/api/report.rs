//! How far the service has come, as JSON. Times are RFC 3339 in UTC, spans are seconds.

use super::app::{App, json};
use super::refusal::Refusal;
use crate::connect::files::render::{hex, time};
use crate::connect::http::tokens::Caller;
use crate::face::config::pipeline_columns;
use crate::runtime::board::{OriginStanding, SourceStanding, Spent, Standing};
use crate::runtime::restraint::PutOff;
use axum::response::Response;
use serde_json::{Map, Value, json};
use slackwater_core::cutoff::Cutoff;
use slackwater_core::fold::Settled;
use slackwater_core::judge::Counts;
use slackwater_core::lateness::Lateness;
use slackwater_core::plan::{Plan, Source};
use slackwater_core::poison::Reason;
use slackwater_core::value::Type;
use std::time::Duration;

/// The shares of events by which lateness is told, in parts per thousand.
pub(super) const SHARES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99_9", 999)];

/// Events by what became of them.
pub fn counts(counts: &Counts) -> Value {
    let reasons = counts
        .quarantined
        .iter()
        .filter_map(|(code, count)| Some((Reason::from_u8(*code)?.code().to_string(), Value::from(*count))));
    json!({
        "received": counts.received,
        "facts": counts.facts,
        "duplicates": counts.duplicates,
        "superseded": counts.superseded,
        "conflicts": counts.conflicts,
        "beyond_retention": counts.beyond_retention,
        "quarantined": reasons.collect::<Map<String, Value>>(),
    })
}

/// The line that accounts for every event.
pub fn conservation(counts: &Counts) -> String {
    let Counts { received, facts, duplicates, superseded, conflicts, beyond_retention, .. } = counts;
    // Where no source was ever cut off there is nothing of it.
    let beyond = match beyond_retention {
        0 => String::new(),
        count => format!(" + beyond_retention {count}"),
    };
    format!(
        "received {received} = facts {facts} + duplicates {duplicates} + superseded {superseded} + conflicts {conflicts}\
         {beyond} + quarantined {} + in flight 0",
        counts.refused()
    )
}

/// Where a source is cut off; null where it is not.
pub fn cutoff(cutoff: Option<Cutoff>) -> Value {
    cutoff.map_or(Value::Null, |cutoff| {
        let facts = cutoff.lets_go().then(|| time(cutoff.facts.into()));
        json!({ "facts_from": facts, "events_from": time(cutoff.events.into()) })
    })
}

/// Up to when a pipeline is final; null where nothing is yet, and "end" where no input will follow.
pub fn finalized(settled: Option<&Settled>) -> Value {
    match settled {
        None | Some(Settled::Nothing) => Value::Null,
        Some(Settled::Until(watermark)) => time((*watermark).into()).into(),
        Some(Settled::All) => "end".into(),
    }
}

pub(super) fn pipelines(app: &App, caller: &Caller) -> Value {
    let standing = app.board.standing();
    let shown = app.plan.pipelines.iter().enumerate().filter(|(_, pipeline)| caller.sees(pipeline.source));
    let shown = shown.map(|(number, pipeline)| {
        let columns = pipeline_columns(pipeline).into_iter();
        let columns = columns.map(|(name, ty, role)| json!({ "name": name, "type": ty, "role": role }));
        json!({
            "name": pipeline.name,
            "source": app.plan.sources[usize::from(pipeline.source)].name,
            "columns": columns.collect::<Vec<_>>(),
            "finalized_through": finalized(standing.settled.get(number)),
            "open_rows": standing.open.get(number).copied().unwrap_or(0),
            "put_off": standing.put_off.get(number).and_then(Option::as_ref).map(put_off),
        })
    });
    json!({ "pipelines": shown.collect::<Vec<_>>() })
}

/// From which time on windows are put off, and how many keys have facts there.
fn put_off(put_off: &PutOff) -> Value {
    json!({ "from": time(put_off.from), "keys": put_off.keys })
}

pub(super) fn ready(app: &App) -> Result<Response, Refusal> {
    match app.board.standing().trouble.is_none() && !*app.stop.borrow() {
        true => Ok(json(&json!({ "ready": true }))),
        false => Err(Refusal::later("not_ready", "no events are taken in now", Duration::from_secs(1))),
    }
}

pub(super) fn status(app: &App, caller: &Caller) -> Value {
    let standing = app.board.standing();
    let mut all = Counts::default();
    let sources = app.plan.sources.iter().zip(&standing.sources).enumerate();
    let sources = sources.filter(|(number, _)| caller.sees(*number as u16)).map(|(number, (source, of))| {
        all.merge(&of.counts);
        json!({
            "name": source.name,
            "kind": app.sources[number].kind.name(),
            "counts": counts(&of.counts),
            "caught_up": of.caught_up,
            "halted": of.halted,
            // What it is may name files of this machine; the log has it.
            "stuck": !of.wrong.is_empty(),
            "held": of.held,
            "cutoff": cutoff(of.cutoff),
            "discarded": of.counts.discarded,
            "origins": origins(source, (of, app.clock.now()), &standing),
        })
    });
    let sources: Vec<Value> = sources.collect();
    json!({
        "instance": hex(&standing.instance),
        "epoch": standing.epoch,
        "commit": standing.commit,
        "checkpoint": standing.checkpoint,
        "ticks": standing.ticks,
        "ticked": standing.ticked.map(|at| time(at.into())),
        "journal": {
            "entries": standing.journal,
            "bytes": standing.journal_bytes,
            // What a rebuild takes from the archive, and no other decoder can read again.
            "without_event_bytes": standing.gone,
            // Only a rebuild needs them; the log names them, and so does `checkpoint verify`.
            "damaged": standing.damaged,
        },
        "conservation": conservation(&all),
        "sources": sources,
        "pipelines": pipelines(app, caller)["pipelines"],
        "queue": {
            "deliveries": standing.load.deliveries,
            "bytes": standing.load.bytes,
            "most": standing.load.most,
            "bound": standing.load.bound,
        },
        "server": {
            "connections": app.doors.open(),
            "subscribers": app.hub.subscribers(),
            "room_for_bodies": app.room.free(),
        },
        "times": {
            "sync": spent(&standing.times.sync),
            "commit": spent(&standing.times.commit),
            "checkpoint": spent(&standing.times.checkpoint),
            "round": spent(&standing.times.round),
        },
        // The reason may name files of this machine; the log has it.
        "takes_events": standing.trouble.is_none(),
    })
}

pub(super) fn lag(app: &App, caller: &Caller) -> Value {
    let standing = app.board.standing();
    let sources = app.plan.sources.iter().zip(&standing.sources).enumerate();
    let sources = sources.filter(|(number, _)| caller.sees(*number as u16));
    let sources =
        sources.map(|(_, (source, of))| json!({ "name": source.name, "origins": origins(source, (of, app.clock.now()), &standing) }));
    json!({ "sources": sources.collect::<Vec<_>>() })
}

fn spent(spent: &Spent) -> Value {
    json!({
        "count": spent.count,
        "total": spent.total.as_secs_f64(),
        "most": spent.most.as_secs_f64(),
        "last": spent.last.as_secs_f64(),
    })
}

fn origins(source: &Source, (of, now): (&SourceStanding, i64), standing: &Standing) -> Vec<Value> {
    let one = |origin: &OriginStanding| {
        let at = |nanos: Option<i64>| nanos.map(|nanos| time(nanos.into()));
        let behind = standing.ticked.zip(origin.watermark).map(|(tick, mark)| tick.saturating_sub(mark) as f64 / 1e9);
        json!({
            "origin": origin_name(source, &origin.name),
            "frontier": at(origin.frontier),
            "heard": at(origin.heard),
            "watermark": at(origin.watermark),
            "behind": behind,
            "idle": origin.idle,
            "ahead": origin.ahead,
            "held_back": of.restraint.holds(&origin.name, now),
            "lateness": lateness(&origin.lateness),
        })
    };
    of.origins.iter().map(one).collect()
}

fn lateness(lateness: &Lateness) -> Value {
    let seconds = |nanos: u64| Value::from(nanos as f64 / 1e9);
    let mut all = Map::new();
    all.insert("events".to_string(), lateness.count().into());
    all.insert("ahead".to_string(), lateness.ahead().into());
    for (name, share) in SHARES {
        all.insert(name.to_string(), seconds(lateness.per_mille(share)));
    }
    all.insert("max".to_string(), seconds(lateness.max()));
    Value::Object(all)
}

/// What an origin is called: its text or number; the source's own name where it has none.
pub(super) fn origin_name(source: &Source, bytes: &[u8]) -> String {
    let Some(field) = source.schema.roles().origin else { return source.name.clone() };
    let number = || <[u8; 8]>::try_from(bytes).ok();
    match source.schema.fields()[field].ty {
        Type::U64 => number().map_or_else(|| hex(bytes), |bytes| u64::from_le_bytes(bytes).to_string()),
        Type::I64 => number().map_or_else(|| hex(bytes), |bytes| i64::from_le_bytes(bytes).to_string()),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The plan's sources with how far they have come, where they are the caller's business.
pub(super) fn seen<'a>(
    plan: &'a Plan,
    standing: &'a Standing,
    caller: &'a Caller,
) -> impl Iterator<Item = (&'a Source, &'a SourceStanding)> {
    let all = plan.sources.iter().zip(&standing.sources).enumerate();
    all.filter(|(number, _)| caller.sees(*number as u16)).map(|(_, pair)| pair)
}
