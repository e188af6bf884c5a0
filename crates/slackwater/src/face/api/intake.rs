//! Events that are posted: checked before their bytes are read, handed to the instance, and answered when they are synced
//! and judged.

use super::app::{App, json};
use super::asked::Asked;
use super::refusal::Refusal;
use super::report;
use crate::connect::http::Limits;
use crate::connect::http::body::{self, Unread};
use crate::connect::http::tokens::Caller;
use crate::connect::http::unpack::{Encoding, Unpackable};
use crate::decode::{Format, frame};
use crate::face::config::Kind;
use crate::runtime::desk::{Answer, Declined, Delivery, Receipt};
use crate::runtime::restraint;
use axum::body::Body;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use hyper::{Request, StatusCode};
use slackwater_core::schema::IdentityRule;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The header that names a delivery.
const NAME: &str = "idempotency-key";
/// Longest name.
const NAME_LENGTH: usize = 128;
/// When it may be worth to try again, where nothing better is known.
const LATER: Duration = Duration::from_secs(1);

/// `POST /v1/ingest/{source}`.
pub(super) async fn ingest(
    app: Arc<App>,
    caller: Caller,
    source: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let head = match head(&app, &caller, source, &parts) {
        Ok(head) => head,
        Err(refusal) => {
            body::decline(&parts.headers, body).await;
            return Err(refusal);
        }
    };
    let limits = &app.limits;
    let held = body::read(body, head.encoding, limits, &app.room).await.map_err(|unread| refused(unread, limits))?;
    let (plan, number) = (app.plan.clone(), head.source);
    let format = app.sources[usize::from(number)].format;
    let events = count(format, &held.bytes, limits.batch_events);
    if events > limits.batch_events {
        let text = format!("there are more than {} events in this body", limits.batch_events);
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", text, "send fewer at a time"));
    }
    if events == 0 {
        return Err(Refusal::bad("no_events", "there are no events in this body", "send at least one"));
    }
    app.meters.bodies(held.wire, held.bytes.len());
    let schema = &plan.sources[usize::from(number)].schema;
    let mut delivery = Delivery::of_bytes((number, schema, format), head.name, held.bytes)
        .map_err(|error| Refusal::bad("csv_header", error.to_string(), "begin with a line that names the columns"))?;
    let of = (&plan.sources[usize::from(number)], format);
    if restraint::holds(&app.board, of, app.clock.now(), &mut delivery) {
        app.desk.sent_away(number);
        app.meters.held_back(source);
        return Err(ahead());
    }
    let (sender, receiver) = oneshot::channel();
    let room = held.room;
    let answer: Answer = Box::new(move |answer| {
        drop(room);
        // Whoever asked may be gone.
        let _ = sender.send(answer);
    });
    if let Err(full) = app.desk.hand_in(delivery, answer) {
        return Err(Refusal::later("full", "more events wait than there is room for", full.retry_after));
    }
    match receiver.await {
        Ok(Ok(receipt)) => Ok(answered(&app, number, &receipt)),
        Ok(Err(declined)) => Err(declined_as(declined, source)),
        Err(_) => Err(declined_as(Declined::Stopping, source)),
    }
}

/// What a head says of a delivery.
struct Head {
    source: u16,
    encoding: Encoding,
    name: Option<Arc<str>>,
}

/// Everything that can be known before the body is read.
fn head(app: &App, caller: &Caller, source: &str, parts: &Parts) -> Result<Head, Refusal> {
    let headers = &parts.headers;
    let number = app.source(caller, source)?;
    let config = &app.sources[usize::from(number)];
    if config.kind != Kind::Http {
        let text = format!("`{source}` does not take events by HTTP: its kind is \"{}\"", config.kind.name());
        return Err(Refusal::unknown("not_by_http", text, "give it kind = \"http\" in the configuration"));
    }
    Asked::of(&parts.uri, &[], None)?;
    content_type(config.format, headers)?;
    let encoding = match headers.get_all(CONTENT_ENCODING).iter().count() {
        0 => Some(Encoding::Identity),
        1 => headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).and_then(|v| Encoding::of(Some(v))),
        _ => None,
    };
    let encoding = encoding.ok_or_else(|| {
        let help = "send gzip or zstd, once, or nothing packed";
        let text = "this Content-Encoding is not known";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding", text, help)
    })?;
    if headers.get_all(TRANSFER_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        let help = "say how the body is packed in Content-Encoding";
        return Err(Refusal::bad("transfer_encoding", "this Transfer-Encoding is not known", help));
    }
    let name = name(headers)?;
    let identity = &app.plan.sources[usize::from(number)].schema.roles().identity;
    if name.is_none() && *identity == IdentityRule::Position {
        let text =
            format!("`{source}` has identity = \"position\", and over HTTP that is the Idempotency-Key and the row");
        return Err(Refusal::bad("idempotency_key_required", text, "send an Idempotency-Key, a new one for each body"));
    }
    room(app, headers)?;
    Ok(Head { source: number, encoding, name })
}

/// Whether there is room for a body of the length that is claimed.
fn room(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let claimed = claimed.unwrap_or(0);
    if claimed > app.limits.body_bytes {
        return Err(too_large(&app.limits));
    }
    let load = app.desk.load();
    if load.bytes > 0 && load.bytes.saturating_add(claimed) > load.bound || claimed > app.room.free() {
        return Err(Refusal::later("full", "more events wait than there is room for", LATER));
    }
    Ok(())
}

fn content_type(format: Format, headers: &HeaderMap) -> Result<(), Refusal> {
    let only = headers.get(CONTENT_TYPE).filter(|_| headers.get_all(CONTENT_TYPE).iter().count() == 1);
    let given = only.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = given.split_once(';').unwrap_or((given, ""));
    let kind = kind.trim().to_ascii_lowercase();
    let (known, wanted): (&[&str], _) = match format {
        Format::Json => {
            let known =
                ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/json"].as_slice();
            (known, "application/x-ndjson: one JSON object a line")
        }
        Format::Csv => (&["text/csv"], "text/csv, with a header line"),
        Format::Parquet => (&[], "nothing: format = \"parquet\" is for files"),
    };
    let parameters = parameters.trim().to_ascii_lowercase();
    let charset = parameters.strip_prefix("charset=").map(|charset| charset.trim_matches('"'));
    if known.contains(&kind.as_str()) && charset.is_none_or(|charset| charset == "utf-8") {
        return Ok(());
    }
    let text = match given {
        "" => "there is no Content-Type".to_string(),
        _ => "this Content-Type is not the one of the source".to_string(),
    };
    let help = format!("send {wanted}, in UTF-8");
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", text, help))
}

fn name(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refusal> {
    let mut given = headers.get_all(NAME).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let text = first.to_str().unwrap_or_default();
    let sound = (1..=NAME_LENGTH).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !sound || given.next().is_some() {
        let text = "the Idempotency-Key is none that can be used";
        let help = format!("send one of 1 to {NAME_LENGTH} printable ASCII characters");
        return Err(Refusal::bad("idempotency_key", text, help));
    }
    Ok(Some(Arc::from(text)))
}

/// How many records there are, the header of a CSV left aside; what is over `most` is not counted to its end.
fn count(format: Format, bytes: &[u8], most: usize) -> usize {
    let header = usize::from(format == Format::Csv);
    let (mut at, mut found) = (frame::byte_order_mark(bytes), 0);
    while at < bytes.len() && found <= most + header {
        let record = frame::first(format, &bytes[at..]);
        found += usize::from(!record.is_blank(format));
        at += record.size;
    }
    found.saturating_sub(header)
}

fn too_large(limits: &Limits) -> Refusal {
    let text = format!("the body is larger than {} bytes", limits.body_bytes);
    let help = "send fewer events at a time, or pack them with gzip or zstd";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", text, help)
}

/// All of its origins are ahead of one that is behind.
fn ahead() -> Refusal {
    let text = "all events in this body are of origins that are far ahead of another, which catches up";
    let refusal = Refusal::later("ahead", text, LATER);
    Refusal { status: StatusCode::TOO_MANY_REQUESTS, ..refusal }
}

fn refused(unread: Unread, limits: &Limits) -> Refusal {
    let close = |refusal: Refusal| Refusal { close: true, ..refusal };
    match unread {
        Unread::TooLarge => close(too_large(limits)),
        Unread::Slow => {
            let text = format!("nothing of the body came for {:?}", limits.idle);
            close(Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_body", text, "send it without pauses"))
        }
        Unread::Trickles => {
            let text = format!("the body comes with fewer than {} bytes a second", limits.rate);
            close(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_trickles",
                text,
                "send it at once, or in smaller pieces",
            ))
        }
        Unread::BrokenOff => close(Refusal::bad("broken_off", "the body broke off", "send it again")),
        Unread::NoRoom => close(Refusal::later("full", "the bodies that are read now leave no room", LATER)),
        Unread::Packed(Unpackable::TooLarge) => {
            let text = format!("the body unpacks to more than {} bytes", limits.decoded_bytes);
            close(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "unpacked_too_large",
                text,
                "send fewer events at a time",
            ))
        }
        Unread::Packed(Unpackable::Bomb) => {
            let text = format!("the body unpacks to more than {} times its size", Limits::RATIO);
            close(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "unpacked_ratio", text, "send it packed less, or not"))
        }
        Unread::Packed(Unpackable::Damaged) => {
            let text = "the body is not packed as its Content-Encoding says, or ends too early";
            close(Refusal::bad("damaged_body", text, "pack it again; the zstd window is at most 8 MiB"))
        }
    }
}

fn declined_as(declined: Declined, source: &str) -> Refusal {
    match declined {
        Declined::NameTaken => {
            let text = "another body was taken in under this Idempotency-Key";
            Refusal::new(StatusCode::CONFLICT, "idempotency_key_taken", text, "take a new key for a new body")
        }
        Declined::Halted => {
            let text = format!("`{source}` is halted: an event of its was refused, and its policy is to wait");
            let help = format!("see `slackwater quarantine list`, then `slackwater source resume {source}`");
            Refusal::new(StatusCode::LOCKED, "halted", text, help)
        }
        Declined::NoRoom(_) => {
            Refusal::later("no_room", "there is no room on the service's disk", Duration::from_secs(5))
        }
        Declined::Stopping => Refusal { close: true, ..Refusal::later("stopping", "the service is stopping", LATER) },
        Declined::Failed(why) => {
            tracing::error!(%why, "events are declined: the instance has failed");
            Refusal { close: true, ..Refusal::broken("failed", "the service has failed and takes nothing in") }
        }
    }
}

fn answered(app: &App, source: u16, receipt: &Receipt) -> Response {
    let mut answer = report::counts(&receipt.counts);
    answer["source"] = app.plan.sources[usize::from(source)].name.as_str().into();
    answer["repeated"] = receipt.repeated.into();
    json(&answer)
}
