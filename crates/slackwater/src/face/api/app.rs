//! What all requests share, and the one table of routes: no route is answered that does not stand in it with its policy.

use super::asked::Asked;
use super::hub::Hub;
use super::live::Dealing;
use super::meters::Meters;
use super::readers::Readers;
use super::refusal::Refusal;
use super::{aside, held, intake, meters, openapi, report, rows, stream};
use crate::connect::http::Limits;
use crate::connect::http::attempts::Attempts;
use crate::connect::http::body::Room;
use crate::connect::http::guard::{self, Foreign};
use crate::connect::http::listener::{Doors, Peer};
use crate::connect::http::tokens::{Caller, Policy, Tokens};
use crate::decode::spelling::nearest;
use crate::face::config::SourceConfig;
use crate::runtime::board::Board;
use crate::runtime::clock::{Clock, Stopwatch};
use crate::runtime::desk::Desk;
use crate::runtime::retrial::{Dealt, Wanted};
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{RequestExt, Router};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use serde_json::Value;
use slackwater_core::hold::Release;
use slackwater_core::plan::Plan;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Ingest,
    Pipelines,
    Rows,
    Stream,
    Status,
    Lag,
    Quarantine,
    QuarantineShow,
    Live,
    Ready,
    Metrics,
    OpenApi,
    Resume,
    Held,
    Release,
    Readmit,
    Discard,
}

/// A route: what it asks of whoever calls it stands beside it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// GET or POST.
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: &'static str,
    /// What it asks of whoever calls it.
    pub policy: Policy,
    /// What it does, in a sentence.
    pub about: &'static str,
    act: Act,
}

const fn get(path: &'static str, policy: Policy, act: Act, about: &'static str) -> Route {
    Route { method: "GET", path, policy, about, act }
}

/// Every route.
pub const ROUTES: [Route; 17] = [
    Route {
        method: "POST",
        path: "/v1/ingest/{source}",
        policy: Policy::Ingest,
        about: "Takes events in; answered when they are synced and judged",
        act: Act::Ingest,
    },
    Route {
        method: "POST",
        path: "/v1/sources/{source}/resume",
        policy: Policy::Admin,
        about: "Takes events of a halted source in again",
        act: Act::Resume,
    },
    Route {
        method: "POST",
        path: "/v1/sources/{source}/release",
        policy: Policy::Admin,
        about: "Lets the next tick release late facts that are held",
        act: Act::Release,
    },
    Route {
        method: "POST",
        path: "/v1/quarantine/release",
        policy: Policy::Admin,
        about: "Judges events in quarantine again, by what holds now",
        act: Act::Readmit,
    },
    Route {
        method: "POST",
        path: "/v1/quarantine/discard",
        policy: Policy::Admin,
        about: "Lets events in quarantine stay there for good",
        act: Act::Discard,
    },
    get("/v1/pipelines", Policy::Read, Act::Pipelines, "The pipelines, their columns, and how far each is settled"),
    get("/v1/pipelines/{pipeline}/rows", Policy::Read, Act::Rows, "Rows of a pipeline, sealed or moving, page by page"),
    get("/v1/pipelines/{pipeline}/stream", Policy::Read, Act::Stream, "Rows as they come, by server-sent events"),
    get("/v1/status", Policy::Read, Act::Status, "How far the service has come, and what became of every event"),
    get("/v1/lag", Policy::Read, Act::Lag, "How late the events of each origin came"),
    get("/v1/quarantine", Policy::Read, Act::Quarantine, "Events that were set aside, with their reasons"),
    get("/v1/held", Policy::Read, Act::Held, "Late facts that are held until they are released"),
    get("/v1/quarantine/{number}", Policy::Read, Act::QuarantineShow, "One event that was set aside"),
    get("/health/live", Policy::Open, Act::Live, "Whether the process answers"),
    get("/health/ready", Policy::Open, Act::Ready, "Whether it takes events in"),
    get("/metrics", Policy::Read, Act::Metrics, "Metrics in the text format of Prometheus"),
    get("/openapi.json", Policy::Open, Act::OpenApi, "This interface, as OpenAPI 3.1"),
];

/// Who may come in, and how. It is exchanged as a whole.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub tokens: Tokens,
    pub hosts: Vec<String>,
    pub metrics: bool,
}

/// Takes events of a halted source in again; it may wait.
pub type Resume = Arc<dyn Fn(u16) -> Result<(), String> + Send + Sync>;

/// Lets in what is held, and gives how many facts that means; it may wait.
pub type SetFree = Arc<dyn Fn(Release) -> Result<u64, String> + Send + Sync>;

/// Judges events in quarantine again, or discards them; it may wait.
pub type Deal = Arc<dyn Fn(Dealing, Wanted) -> Result<Dealt, String> + Send + Sync>;

/// Bytes that are free on a disk, if the system says so.
pub type Free = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What all requests share.
pub(super) struct App {
    pub plan: Arc<Plan>,
    pub sources: Vec<SourceConfig>,
    pub desk: Arc<Desk>,
    pub board: Arc<Board>,
    pub limits: Limits,
    pub access: RwLock<Arc<Access>>,
    pub on_loopback: bool,
    pub room: Room,
    pub doors: Doors,
    pub readers: Readers,
    pub attempts: Attempts,
    pub hub: Arc<Hub>,
    pub meters: Meters,
    pub resume: Resume,
    pub release: SetFree,
    pub deal: Deal,
    pub free: Free,
    pub clock: Clock,
    pub stop: watch::Receiver<bool>,
}

impl App {
    fn access(&self) -> Arc<Access> {
        self.access.read().expect("nothing panics while it holds the access").clone()
    }

    /// A source by its name, where it is the caller's business.
    pub fn source(&self, caller: &Caller, name: &str) -> Result<u16, Refusal> {
        let names = || self.plan.sources.iter().map(|source| source.name.as_str());
        let found = names().position(|known| known == name).map(|found| found as u16);
        match found {
            Some(found) if caller.sees(found) => Ok(found),
            Some(_) => Err(not_yours("source")),
            None if caller.sees_all() => Err(missing("source", name, &names().collect::<Vec<_>>())),
            None => Err(missing("source", name, &[])),
        }
    }

    /// A pipeline by its name, where its source is the caller's business.
    pub fn pipeline(&self, caller: &Caller, name: &str) -> Result<u16, Refusal> {
        let names = || self.plan.pipelines.iter().map(|pipeline| pipeline.name.as_str());
        match names().position(|known| known == name) {
            Some(found) if caller.sees(self.plan.pipelines[found].source) => Ok(found as u16),
            Some(_) => Err(not_yours("pipeline")),
            None if caller.sees_all() => Err(missing("pipeline", name, &names().collect::<Vec<_>>())),
            None => Err(missing("pipeline", name, &[])),
        }
    }
}

fn not_yours(kind: &str) -> Refusal {
    let text = format!("this token is not for that {kind}");
    Refusal::new(StatusCode::FORBIDDEN, "out_of_scope", text, "use a token whose `sources` name it")
}

fn missing(kind: &'static str, name: &str, known: &[&str]) -> Refusal {
    let name: String = name.chars().take(40).collect();
    let help = match nearest(&name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("name a {kind} of the configuration"),
        None => format!("there are {}", known.join(", ")),
    };
    let code = if kind == "source" { "unknown_source" } else { "unknown_pipeline" };
    Refusal::unknown(code, format!("there is no {kind} `{name}`"), help)
}

/// All routes of the table, and what is said of everything else.
pub(super) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let filter = if route.method == "POST" { MethodFilter::POST } else { MethodFilter::GET };
        let shared = app.clone();
        let handler = move |request: Request| {
            let app = shared.clone();
            async move { run(app, route, request).await.unwrap_or_else(Refusal::into_response) }
        };
        let wrong = move || async move {
            let text = format!("this path is asked with {}", route.method);
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", text, "see /openapi.json");
            Refusal { allow: Some(route.method), ..refusal }
        };
        router = router.route(route.path, on(filter, handler).fallback(wrong));
    }
    router.fallback(|| async { Refusal::unknown("unknown_path", "there is nothing here", "see /openapi.json") })
}

/// Answers a request, whatever it is: guarded, within its time, and noted.
pub(super) async fn answer(app: Arc<App>, router: Router, request: Request) -> Response {
    use hyper::service::Service;
    let watch = Stopwatch::start();
    let access = app.access();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(100).collect();
    let response = match guard::check(request.headers(), app.on_loopback, &access.hosts) {
        Err(foreign) => self::foreign(foreign).into_response(),
        Ok(()) => {
            let answered = hyper_util::service::TowerToHyperService::new(router).call(request);
            match timeout(app.limits.request, answered).await {
                Ok(Ok(response)) => response,
                Err(_) => too_slow(&app.limits).into_response(),
            }
        }
    };
    let took = watch.elapsed();
    app.meters.answered(response.status(), took);
    let (status, ms) = (response.status().as_u16(), took.as_millis() as u64);
    // Whoever is asked to come again may come very often.
    match response.status().is_server_error() && response.status() != StatusCode::SERVICE_UNAVAILABLE {
        true => tracing::warn!(%method, ?path, status, ms, "answered"),
        false => tracing::debug!(%method, ?path, status, ms, "answered"),
    }
    response
}

fn foreign(foreign: Foreign) -> Refusal {
    let (code, text, help) = match foreign {
        Foreign::Host => (
            "foreign_host",
            "the Host of this request is not one of this service",
            "reach it as localhost, or list its name in [server] hosts",
        ),
        Foreign::Origin => (
            "foreign_origin",
            "pages of other sites are not answered",
            "ask from a program, or from this service's own page",
        ),
    };
    Refusal { close: true, ..Refusal::new(StatusCode::FORBIDDEN, code, text, help) }
}

fn too_slow(limits: &Limits) -> Refusal {
    let text = format!("the request took longer than {:?}", limits.request);
    let help = "send fewer events, or ask for less; what was sent may have been taken in, so send it again with the same \
                Idempotency-Key or the same ids";
    Refusal { close: true, ..Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", text, help) }
}

/// Asks who calls, and does what the route does.
async fn run(app: Arc<App>, route: Route, mut request: Request) -> Result<Response, Refusal> {
    let access = app.access();
    if route.act == Act::Metrics && !access.metrics {
        return Err(Refusal::unknown("unknown_path", "there are no metrics", "write metrics = true in [server]"));
    }
    let caller = match route.policy {
        Policy::Open => None,
        policy => match called(&app, &access, policy, &request) {
            Ok(caller) => Some(caller),
            Err(refusal) => {
                let (parts, body) = request.into_parts();
                crate::connect::http::body::decline(&parts.headers, body).await;
                return Err(refusal);
            }
        },
    };
    let caller = caller.unwrap_or_else(Caller::nobody);
    let named = request.extract_parts::<RawPathParams>().await;
    let named = named.ok().and_then(|all| all.iter().next().map(|(_, value)| value.to_string())).unwrap_or_default();
    if matches!(route.act, Act::Pipelines | Act::Status | Act::Lag | Act::QuarantineShow | Act::Resume) {
        Asked::of(request.uri(), &[], None)?;
    }
    match route.act {
        Act::Ingest => intake::ingest(app, caller, &named, request).await,
        Act::Pipelines => Ok(json(&report::pipelines(&app, &caller))),
        Act::Rows => rows::rows(app, caller, &named, request).await,
        Act::Stream => stream::stream(app, caller, &named, request).await,
        Act::Status => Ok(json(&report::status(&app, &caller))),
        Act::Lag => Ok(json(&report::lag(&app, &caller))),
        Act::Quarantine => aside::list(app, caller, request).await,
        Act::QuarantineShow => aside::show(app, caller, &named).await,
        Act::Resume => resume(&app, &caller, &named).await,
        Act::Held => held::list(app, caller, request).await,
        Act::Release => held::release(app, caller, &named, request).await,
        Act::Readmit => aside::deal(app, caller, Dealing::Release, request).await,
        Act::Discard => aside::deal(app, caller, Dealing::Discard, request).await,
        Act::Live => Ok(json(&serde_json::json!({ "live": true }))),
        Act::Ready => report::ready(&app),
        Act::Metrics => meters::metrics(&app, &caller),
        Act::OpenApi => Ok(json(&openapi::document())),
    }
}

/// `POST /v1/sources/{source}/resume`.
async fn resume(app: &App, caller: &Caller, name: &str) -> Result<Response, Refusal> {
    let source = app.source(caller, name)?;
    let resume = app.resume.clone();
    match tokio::task::spawn_blocking(move || resume(source)).await {
        Ok(Ok(())) => Ok(json(&serde_json::json!({ "source": name, "halted": false }))),
        Ok(Err(why)) => {
            tracing::warn!(%why, source = name, "the source was not resumed");
            Err(Refusal::later("not_resumed", "the source was not resumed", Duration::from_secs(1)))
        }
        Err(_) => Err(Refusal::broken("not_resumed", "the source was not resumed")),
    }
}

/// Who calls, if it may.
fn called(app: &App, access: &Access, policy: Policy, request: &Request) -> Result<Caller, Refusal> {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let first = given.next().map(HeaderValue::as_bytes);
    let only = if given.next().is_some() { None } else { first };
    let Some(caller) = access.tokens.caller(only) else {
        app.meters.denied();
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        // A request without a token is no attempt to guess one.
        return Err(match peer {
            Some(peer) if first.is_some() && !app.attempts.fail(peer) => {
                let text = "too many wrong tokens came from this address";
                let help = "wait, and send the right one as `Authorization: Bearer TOKEN`";
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", text, help);
                Refusal { retry_after: Some(Duration::from_secs(10)), close: true, ..refusal }
            }
            _ => {
                let help = "send a token of [server.tokens] as `Authorization: Bearer TOKEN`";
                Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "this needs a token", help)
            }
        });
    };
    if !caller.may(policy) {
        let text = format!("this token may not do that: it takes the role {}", policy.name());
        return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", text, "use a token of that role"));
    }
    Ok(caller)
}

/// An answer in JSON.
pub(super) fn json(value: &Value) -> Response {
    text(format!("{value}\n"), "application/json")
}

/// An answer in text of some kind.
pub(super) fn text(text: String, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
