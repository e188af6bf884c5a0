//! Rows of a pipeline, page by page: what is sealed from the store, what moves from the board.
//!
//! The board is read before the store. A row that seals in between is then in both, and the final one wins; the other way
//! round it could be in neither.

use super::app::{App, text};
use super::asked::Asked;
use super::refusal::Refusal;
use super::report;
use crate::connect::files::render;
use crate::connect::http::tokens::Caller;
use crate::face::key;
use crate::runtime::board::Moving;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::sqlite::{Page, Place, Sqlite};
use slackwater_store::store::Ask;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of a page, if nothing else is asked for.
const USUAL: u64 = 1_000;
/// Most rows of a page.
const MOST: u64 = 10_000;
/// Rows that are looked at for one page. What is rare among them comes in pages that are not full.
const LOOKED_AT: usize = 200_000;

const KNOWN: [&str; 8] = ["from", "to", "tier", "as_of", "generations", "cursor", "limit", "format"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    Final,
    Provisional,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Ndjson,
    Csv,
}

/// What is asked for.
struct Wanted {
    pipeline: u16,
    ask: Ask,
    tier: Tier,
    keys: Vec<key::Wanted>,
    after: Option<Place>,
    limit: usize,
}

/// `GET /v1/pipelines/{pipeline}/rows`.
pub(super) async fn rows(
    app: Arc<App>,
    caller: Caller,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let pipeline = app.pipeline(&caller, name)?;
    let asked = Asked::of(request.uri(), &KNOWN, Some("key."))?;
    let shape = shape(&asked, request.headers())?;
    let wanted = wanted(&app.plan, pipeline, &asked)?;
    let standing = app.board.standing();
    let mut moving = match wanted.tier {
        Tier::Final => Moving::default(),
        _ => app.board.rows(pipeline, |row| wanted.takes(&app.plan, row)),
    };
    moving.rows.sort_by_cached_key(Place::of);
    moving.rows.retain(|row| wanted.after.as_ref().is_none_or(|after| Place::of(row) > *after));
    let plan = app.plan.clone();
    let read = move |store: &mut Sqlite| store.at_one_commit(|store| page(store, &plan, &wanted, moving));
    let (rows, next) = app.readers.read(read).await?;
    let finalized = report::finalized(standing.settled.get(usize::from(pipeline)));
    Ok(answer(&app.plan, pipeline, (&rows, next), (finalized, shape)))
}

fn wanted(plan: &Plan, pipeline: u16, asked: &Asked) -> Result<Wanted, Refusal> {
    let tiers = [("final", Tier::Final), ("provisional", Tier::Provisional), ("all", Tier::All)];
    let tier = asked.choice("tier", &tiers)?.unwrap_or(Tier::Final);
    let as_of = asked.time("as_of")?;
    if as_of.is_some() && tier != Tier::Final {
        let text = "`as_of` is about what was sealed; what moves has no past";
        return Err(Refusal::bad("as_of", text, "leave out `tier`, or `as_of`"));
    }
    let ask =
        Ask { from: asked.moment("from")?, to: asked.moment("to")?, as_of, generations: asked.flag("generations")? };
    let after =
        asked.parsed("cursor", |text| uncursor(text).ok_or("it is none of ours".into()), "take it from `next`")?;
    let limit = asked.number("limit", 1, MOST)?.unwrap_or(USUAL) as usize;
    Ok(Wanted { pipeline, ask, tier, keys: keys(plan, pipeline, asked)?, after, limit })
}

/// Values that key columns must have.
fn keys(plan: &Plan, pipeline: u16, asked: &Asked) -> Result<Vec<key::Wanted>, Refusal> {
    let one =
        |(name, value): (&str, Option<&str>)| match key::column(plan, pipeline, name, |name| format!("key.{name}")) {
            Ok(index) => Ok((index, value.map(String::from))),
            Err(help) => {
                let name: String = name.chars().take(40).collect();
                Err(Refusal::bad("unknown_key", format!("there is no group-by column `{name}`"), help))
            }
        };
    asked.behind("key.").map(one).collect()
}

fn shape(asked: &Asked, headers: &HeaderMap) -> Result<Shape, Refusal> {
    let words = [("json", Shape::Json), ("ndjson", Shape::Ndjson), ("csv", Shape::Csv)];
    if let Some(shape) = asked.choice("format", &words)? {
        return Ok(shape);
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = |kind: &str| match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => Some(Shape::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Shape::Ndjson),
        "text/csv" => Some(Shape::Csv),
        _ => None,
    };
    Ok(accept.split(',').find_map(known).unwrap_or(Shape::Json))
}

impl Wanted {
    fn takes(&self, plan: &Plan, row: &Final) -> bool {
        self.ask.holds(row) && key::has(plan, row, &self.keys)
    }
}

/// The rows of a page in order, and where the next one begins.
fn page(
    store: &mut Sqlite,
    plan: &Plan,
    wanted: &Wanted,
    moving: Moving,
) -> Result<(Vec<Final>, Option<Place>), Fault> {
    let mut found: BTreeMap<Place, Final> = BTreeMap::new();
    for row in moving.rows {
        let place = Place::of(&row);
        if found.len() > wanted.limit {
            break;
        }
        // A row that was withdrawn moves again; one that the store has had since the board was read does not.
        let newest = store.newest(wanted.pipeline, &place.row)?;
        if newest.is_none_or(|kept| kept.row.removed && kept.tick <= moving.ticks) {
            found.insert(place, row);
        }
    }
    let mut end = None;
    if wanted.tier != Tier::Provisional {
        let (mut looked, mut taken) = (0, 0);
        let page = Page { ask: wanted.ask, after: wanted.after.as_ref() };
        store.page(wanted.pipeline, &page, &mut |kept| {
            looked += 1;
            let shown = wanted.ask.generations || !kept.row.removed;
            let place = Place::of(&kept.row);
            if looked >= LOOKED_AT {
                end = Some(place.clone());
            }
            if shown && wanted.takes(plan, &kept.row) {
                taken += 1;
                found.insert(place, kept.row);
            }
            Ok(taken <= wanted.limit && end.is_none())
        })?;
    }
    // What stands behind the last row that was looked at comes with the next page.
    let mut rows: Vec<(Place, Final)> = found.into_iter().collect();
    if let Some(end) = &end {
        rows.retain(|(place, _)| place <= end);
    }
    if rows.len() > wanted.limit {
        rows.truncate(wanted.limit);
        end = rows.last().map(|(place, _)| place.clone());
    }
    Ok((rows.into_iter().map(|(_, row)| row).collect(), end))
}

fn answer(
    plan: &Plan,
    pipeline: u16,
    (rows, next): (&[Final], Option<Place>),
    (finalized, shape): (Value, Shape),
) -> Response {
    let (next, mut out) = (next.map(|place| cursor(&place)), String::new());
    let kind = match shape {
        Shape::Json => {
            let name = json!(plan.pipelines[usize::from(pipeline)].name);
            out.push_str(&format!("{{\"pipeline\":{name},\"finalized_through\":{finalized},\"rows\":["));
            for (index, row) in rows.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                render::ndjson(plan, row, &mut out);
                out.pop();
            }
            out.push_str(&format!("],\"next\":{}}}\n", json!(next)));
            "application/json"
        }
        Shape::Ndjson => {
            rows.iter().for_each(|row| render::ndjson(plan, row, &mut out));
            "application/x-ndjson"
        }
        Shape::Csv => {
            render::csv_header(&plan.pipelines[usize::from(pipeline)], &mut out);
            rows.iter().for_each(|row| render::csv(plan, row, &mut out));
            "text/csv; charset=utf-8"
        }
    };
    let mut response = text(out, kind);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    set("slackwater-finalized-through", finalized.as_str().unwrap_or_default());
    next.iter().for_each(|next| set("slackwater-next", next));
    response
}

/// A place as text.
fn cursor(place: &Place) -> String {
    let mut bytes = place.start.to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.generation.to_be_bytes());
    bytes.extend_from_slice(&place.row);
    render::hex(&bytes)
}

fn uncursor(text: &str) -> Option<Place> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let bytes = digits.chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    let (start, rest) = bytes.split_first_chunk()?;
    let (generation, row) = rest.split_first_chunk()?;
    let generation = u64::from_be_bytes(*generation);
    i64::try_from(generation).ok()?;
    Some(Place { start: i128::from_be_bytes(*start), row: row.to_vec(), generation })
}
