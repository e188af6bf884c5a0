//! Events that were set aside.

use super::app::{App, json};
use super::asked::Asked;
use super::live::Dealing;
use super::refusal::Refusal;
use crate::connect::files::render;
use crate::connect::http::tokens::Caller;
use crate::decode::spelling::nearest;
use crate::runtime::retrial::{Dealt, Wanted};
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use serde_json::{Value, json};
use slackwater_core::plan::Plan;
use slackwater_core::poison::Reason;
use slackwater_store::Fault;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::Aside;
use std::sync::Arc;
use std::time::Duration;

/// Events of a page, if nothing else is asked for, and most of them.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// `GET /v1/quarantine`.
pub(super) async fn list(app: Arc<App>, caller: Caller, request: Request<Body>) -> Result<Response, Refusal> {
    let asked = Asked::of(request.uri(), &["source", "reason", "from", "limit", "all"], None)?;
    let source = asked.text("source").map(|name| app.source(&caller, name)).transpose()?;
    if source.is_none() && !caller.sees_all() {
        let text = "this token is for some sources only";
        return Err(Refusal::bad("source_required", text, "name one of them with `source`"));
    }
    let from = asked.number("from", 0, i64::MAX as u64)?.unwrap_or(0);
    let limit = asked.number("limit", 1, MOST)?.unwrap_or(USUAL) as usize;
    let name = source.map(|source| app.plan.sources[usize::from(source)].name.clone());
    let (reason, all) = (asked.text("reason").map(known).transpose()?, asked.flag("all")?);
    let which = Which { source: name, reason, from, all };
    let mut events = app.readers.read(move |store| listed(store, &which, limit + 1)).await?;
    let next = (events.len() > limit).then(|| events[limit].number);
    events.truncate(limit);
    let shown: Vec<Value> = events.iter().map(|aside| shown(&app.plan, aside)).collect();
    Ok(json(&json!({ "events": shown, "next": next })))
}

/// `GET /v1/quarantine/{number}`.
pub(super) async fn show(app: Arc<App>, caller: Caller, number: &str) -> Result<Response, Refusal> {
    let number: u64 = number.parse().map_err(|_| missing())?;
    Ok(json(&shown(&app.plan, &one(&app, &caller, number).await?)))
}

/// The event that has a number.
async fn one(app: &App, caller: &Caller, number: u64) -> Result<Aside, Refusal> {
    let which = Which { from: number, all: true, ..Which::default() };
    let found = app.readers.read(move |store| listed(store, &which, 1)).await?.pop();
    found.filter(|aside| aside.number == number && caller.sees(aside.event.source)).ok_or_else(missing)
}

fn missing() -> Refusal {
    Refusal::unknown("unknown_event", "no event of this number was set aside", "see /v1/quarantine")
}

/// `POST /v1/quarantine/release` and `/v1/quarantine/discard`.
pub(super) async fn deal(
    app: Arc<App>,
    caller: Caller,
    with: Dealing,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let asked = Asked::of(request.uri(), &["source", "reason", "number", "from", "all"], None)?;
    let source = asked.text("source").map(|name| app.source(&caller, name)).transpose()?;
    let reason = asked.text("reason").map(known).transpose()?;
    let number = asked.number("number", 0, i64::MAX as u64)?;
    let from = asked.number("from", 0, i64::MAX as u64)?.unwrap_or(0);
    if source.is_none() && reason.is_none() && number.is_none() && !asked.flag("all")? {
        let help = "name a `source`, a `reason` or a `number` of /v1/quarantine, or write all=true";
        return Err(Refusal::bad("nothing_named", "this does not say which events are meant", help));
    }
    if let Some(number) = number {
        one(&app, &caller, number).await?;
    }
    let meant = |index: u16| source.is_none_or(|one| one == index) && caller.sees(index);
    let sources = (0..app.plan.sources.len() as u16).map(meant).collect();
    let (deal, wanted) = (app.deal.clone(), Wanted { sources, reason, number, from });
    match tokio::task::spawn_blocking(move || deal(with, wanted)).await {
        Ok(Ok(dealt)) => Ok(json(&told(with, &dealt))),
        Ok(Err(why)) => {
            tracing::warn!(%why, "nothing in quarantine was changed");
            Err(Refusal::later("not_done", "nothing in quarantine was changed", Duration::from_secs(1)))
        }
        Err(_) => Err(Refusal::broken("not_done", "nothing in quarantine was changed")),
    }
}

/// The reason that a request names.
fn known(code: &str) -> Result<Reason, Refusal> {
    reason(code).map_err(|help| Refusal::bad("unknown_reason", "there is no such reason", help))
}

/// The reason of a code; else, what there is.
pub fn reason(code: &str) -> Result<Reason, String> {
    let codes = || Reason::ALL.iter().map(|reason| reason.code());
    Reason::ALL.into_iter().find(|reason| reason.code() == code).ok_or_else(|| match nearest(code, codes()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", codes().collect::<Vec<_>>().join(", ")),
    })
}

/// What came of an order, in numbers.
pub fn told(with: Dealing, dealt: &Dealt) -> Value {
    let Dealt { done, refused, cut, conflicts, beyond_retention, discarded, next } = dealt;
    match with {
        Dealing::Release => json!({
            "released": done, "refused_again": refused, "cut": cut, "conflicts": conflicts,
            "beyond_retention": beyond_retention, "discarded": discarded, "next": next,
        }),
        Dealing::Discard => {
            json!({
                "discarded": done, "discarded_before": discarded, "conflicts": conflicts,
                "beyond_retention": beyond_retention, "next": next,
            })
        }
    }
}

/// Which events are listed.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only of this source.
    pub source: Option<String>,
    /// Only those that are there for this reason now.
    pub reason: Option<Reason>,
    /// From this number on.
    pub from: u64,
    /// Also what was discarded, or released.
    pub all: bool,
}

/// Events in quarantine, at most so many.
///
/// # Errors
/// When the store cannot be read.
pub fn listed(store: &mut Sqlite, which: &Which, most: usize) -> Result<Vec<Aside>, Fault> {
    let Which { source, reason, from, all } = which;
    let mut events = Vec::new();
    store.set_aside(source.as_deref(), *from, &mut |aside| {
        let same = reason.is_none_or(|reason| aside.refusal().is_some_and(|refusal| refusal.reason == reason));
        if events.len() < most && same && (*all || !(aside.is_released() || aside.is_discarded())) {
            events.push(aside);
        }
        Ok(events.len() < most)
    })?;
    Ok(events)
}

/// An event as the file of refused events has it, with its number, and what became of it.
pub fn shown(plan: &Plan, aside: &Aside) -> Value {
    let mut text = String::new();
    render::quarantined(plan, &aside.event, &mut text);
    let mut shown: Value = serde_json::from_str(&text).unwrap_or_default();
    shown["number"] = aside.number.into();
    if let Some(ruling) = &aside.ruling {
        shown["became"] = ruling.fate.code().into();
        shown["since"] = render::time(ruling.at.into()).into();
    }
    // What is a file for files is here the part of the input that it came in; a path is nobody's business.
    if let Some(fields) = shown.as_object_mut()
        && let Some(Value::String(part)) = fields.remove("file")
    {
        let part = part.rsplit('/').next().unwrap_or_default();
        fields.insert("part".to_string(), part.into());
    }
    shown
}
