//! Events that were set aside.

use super::app::{App, json};
use super::asked::Asked;
use super::refusal::Refusal;
use crate::connect::files::render;
use crate::connect::http::tokens::Caller;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use serde_json::{Value, json};
use slackwater_core::machine::Quarantined;
use slackwater_core::plan::Plan;
use std::sync::Arc;

/// Events of a page, if nothing else is asked for, and most of them.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// `GET /v1/quarantine`.
pub(super) async fn list(app: Arc<App>, caller: Caller, request: Request<Body>) -> Result<Response, Refusal> {
    let asked = Asked::of(request.uri(), &["source", "from", "limit"], None)?;
    let source = asked.text("source").map(|name| app.source(&caller, name)).transpose()?;
    if source.is_none() && !caller.sees_all() {
        let text = "this token is for some sources only";
        return Err(Refusal::bad("source_required", text, "name one of them with `source`"));
    }
    let from = asked.number("from", 0, i64::MAX as u64)?.unwrap_or(0);
    let limit = asked.number("limit", 1, MOST)?.unwrap_or(USUAL) as usize;
    let name = source.map(|source| app.plan.sources[usize::from(source)].name.clone());
    let read = move |store: &mut slackwater_store::sqlite::Sqlite| store.set_aside(name.as_deref(), from, limit + 1);
    let mut events = app.readers.read(read).await?;
    let next = (events.len() > limit).then(|| events[limit].0);
    events.truncate(limit);
    let shown: Vec<Value> = events.iter().map(|(number, event)| shown(&app.plan, *number, event)).collect();
    Ok(json(&json!({ "events": shown, "next": next })))
}

/// `GET /v1/quarantine/{number}`.
pub(super) async fn show(app: Arc<App>, caller: Caller, number: &str) -> Result<Response, Refusal> {
    let missing = || Refusal::unknown("unknown_event", "no event of this number was set aside", "see /v1/quarantine");
    let number: u64 = number.parse().map_err(|_| missing())?;
    let events = app.readers.read(move |store| store.set_aside(None, number, 1)).await?;
    match &events[..] {
        [(found, event)] if *found == number && caller.sees(event.source) => Ok(json(&shown(&app.plan, number, event))),
        _ => Err(missing()),
    }
}

/// An event as the file of refused events has it, with its number.
pub fn shown(plan: &Plan, number: u64, event: &Quarantined) -> Value {
    let mut text = String::new();
    render::quarantined(plan, event, &mut text);
    let mut shown: Value = serde_json::from_str(&text).unwrap_or_default();
    shown["number"] = number.into();
    // What is a file for files is here the part of the input that it came in; a path is nobody's business.
    if let Some(fields) = shown.as_object_mut()
        && let Some(Value::String(part)) = fields.remove("file")
    {
        let part = part.rsplit('/').next().unwrap_or_default();
        fields.insert("part".to_string(), part.into());
    }
    shown
}
