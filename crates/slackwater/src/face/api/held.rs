//! Late facts that are held until they are released.

use super::app::{App, json};
use super::asked::Asked;
use super::refusal::Refusal;
use crate::connect::files::render;
use crate::connect::http::tokens::Caller;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use serde_json::{Value, json};
use slackwater_core::hold::Release;
use slackwater_core::plan::Plan;
use slackwater_store::store::Noted;
use std::sync::Arc;
use std::time::Duration;

/// Facts of a page, if nothing else is asked for, and most of them.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// `GET /v1/held`.
pub(super) async fn list(app: Arc<App>, caller: Caller, request: Request<Body>) -> Result<Response, Refusal> {
    let asked = Asked::of(request.uri(), &["source", "pipeline", "from", "limit"], None)?;
    let source = asked.text("source").map(|name| app.source(&caller, name)).transpose()?;
    let pipeline = asked.text("pipeline").map(|name| app.pipeline(&caller, name)).transpose()?;
    let from = asked.number("from", 0, i64::MAX as u64)?.unwrap_or(0);
    let limit = asked.number("limit", 1, MOST)?.unwrap_or(USUAL) as usize;
    let mut held = app.readers.read(|store| store.held(None)).await?;
    held.retain(|noted| {
        let of = noted.note.source();
        let wanted = source.is_none_or(|one| one == of) && pipeline.is_none_or(|one| one == noted.note.pipeline);
        wanted && caller.sees(of) && noted.number >= from
    });
    let next = held.get(limit).map(|noted| noted.number);
    held.truncate(limit);
    let facts: Vec<Value> = held.iter().map(|noted| listed(&app.plan, noted)).collect();
    Ok(json(&json!({ "held": facts, "next": next })))
}

/// `POST /v1/sources/{source}/release`.
pub(super) async fn release(
    app: Arc<App>,
    caller: Caller,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let source = app.source(&caller, name)?;
    let asked = Asked::of(request.uri(), &["pipeline", "number"], None)?;
    let pipeline = asked.text("pipeline").map(|name| app.pipeline(&caller, name)).transpose()?;
    let wanted = match asked.number("number", 0, i64::MAX as u64)? {
        None => Release { source, pipeline, identity: None },
        Some(number) => {
            let held = app.readers.read(|store| store.held(None)).await?;
            let found = find(&held, number).filter(|found| found.source == source);
            found.filter(|found| pipeline.is_none_or(|one| found.pipeline == Some(one))).ok_or_else(|| {
                let text = "nothing of this number is held";
                Refusal::unknown("unknown_fact", text, "see /v1/held")
            })?
        }
    };
    let release = app.release.clone();
    match tokio::task::spawn_blocking(move || release(wanted)).await {
        Ok(Ok(count)) => Ok(json(&json!({ "source": name, "released": count }))),
        Ok(Err(why)) => {
            tracing::warn!(%why, source = name, "nothing was released");
            Err(Refusal::later("not_released", "nothing was released", Duration::from_secs(1)))
        }
        Err(_) => Err(Refusal::broken("not_released", "nothing was released")),
    }
}

/// The release of the fact that has a number in the list.
pub fn find(held: &[Noted], number: u64) -> Option<Release> {
    let found = held.iter().find(|noted| noted.number == number)?;
    let (pipeline, identity) = (Some(found.note.pipeline), Some(found.note.identity.clone()));
    Some(Release { source: found.note.source(), pipeline, identity })
}

/// A held fact with where it belongs and where it came from.
pub fn listed(plan: &Plan, noted: &Noted) -> Value {
    let mut text = String::new();
    render::held(plan, noted, &mut text);
    serde_json::from_str(&text).unwrap_or_default()
}
