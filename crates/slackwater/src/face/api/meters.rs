//! Metrics, in the text format of Prometheus: what the board says at this moment, and how requests went.

use super::app::{App, text};
use super::refusal::Refusal;
use super::report;
use crate::connect::http::tokens::Caller;
use crate::runtime::board::{Spent, Standing};
use axum::response::Response;
use hyper::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use slackwater_core::fold::Settled;
use slackwater_core::poison::Reason;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Borders of the buckets of times, in seconds.
const TIMES: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Borders of the buckets of sizes, in bytes.
const SIZES: [f64; 8] = [1e3, 1e4, 1e5, 1e6, 4e6, 8e6, 1.6e7, 6.4e7];
/// Origins that are told one by one, of each source.
const ORIGINS: usize = 200;

type Labels = Vec<(&'static str, String)>;
type Count = Counter<u64>;
type Number = Gauge<f64, AtomicU64>;

/// What is counted over all requests.
pub(super) struct Meters {
    answered: Family<Labels, Count>,
    took: Histogram,
    wire: Histogram,
    decoded: Histogram,
    denied: Count,
    held_back: Family<Labels, Count>,
}

impl Default for Meters {
    fn default() -> Self {
        Meters {
            answered: Family::default(),
            took: Histogram::new(TIMES),
            wire: Histogram::new(SIZES),
            decoded: Histogram::new(SIZES),
            denied: Count::default(),
            held_back: Family::default(),
        }
    }
}

impl Meters {
    /// Notes an answer.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        self.answered.get_or_create(&vec![("status", status.as_str().to_string())]).inc();
        self.took.observe(took.as_secs_f64());
    }

    /// Notes a body of events: its bytes as they came, and unpacked.
    pub fn bodies(&self, wire: usize, decoded: usize) {
        self.wire.observe(wire as f64);
        self.decoded.observe(decoded as f64);
    }

    /// Notes a body of events whose origins are all too far ahead.
    pub fn held_back(&self, source: &str) {
        self.held_back.get_or_create(&vec![("source", source.to_string())]).inc();
    }

    /// Notes a token that was not live, or missing.
    pub fn denied(&self) {
        self.denied.inc();
    }
}

/// `GET /metrics`.
pub(super) fn metrics(app: &App, caller: &Caller) -> Result<Response, Refusal> {
    let mut registry = Registry::with_prefix("slackwater");
    let standing = app.board.standing();
    events(&mut registry, app, &standing, caller);
    progress(&mut registry, app, &standing, caller);
    let times = [
        ("sync", "Syncs of the journal", standing.times.sync),
        ("commit", "Commits to the store", standing.times.commit),
        ("checkpoint", "Checkpoints", standing.times.checkpoint),
        ("round", "Rounds of judging and folding", standing.times.round),
    ];
    for (name, about, spent) in times {
        spend(&mut registry, name, about, &spent);
    }
    queues(&mut registry, app, &standing);
    let meters = &app.meters;
    registry.register("http_answers", "Answers by status", meters.answered.clone());
    registry.register_with_unit("http_answer", "From the head to the answer", Unit::Seconds, meters.took.clone());
    registry.register_with_unit("ingest_wire", "Bodies of events as they came", Unit::Bytes, meters.wire.clone());
    registry.register_with_unit("ingest_body", "Bodies of events, unpacked", Unit::Bytes, meters.decoded.clone());
    registry.register("http_denied", "Requests without a live token", meters.denied.clone());
    registry.register("held_back", "Bodies of events that wait for an origin that is behind", meters.held_back.clone());
    let mut out = String::new();
    encode(&mut out, &registry).map_err(|_| Refusal::broken("metrics", "the metrics cannot be written"))?;
    Ok(text(out, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
}

fn events(registry: &mut Registry, app: &App, standing: &Standing, caller: &Caller) {
    let (became, received) = (Family::<Labels, Count>::default(), Family::<Labels, Count>::default());
    // What is in quarantine may leave it: that is no counter.
    let number = Family::<Labels, Number>::default;
    let (halted, stuck, held, refused, open) = (number(), number(), number(), number(), number());
    for (source, of) in report::seen(&app.plan, standing, caller) {
        let counts = &of.counts;
        let all = [
            ("fact", counts.facts),
            ("duplicate", counts.duplicates),
            ("superseded", counts.superseded),
            ("conflict", counts.conflicts),
            ("beyond_retention", counts.beyond_retention),
        ];
        let named = || ("source", source.name.clone());
        received.get_or_create(&vec![named()]).inc_by(counts.received);
        halted.get_or_create(&vec![named()]).set(f64::from(u8::from(of.halted)));
        stuck.get_or_create(&vec![named()]).set(f64::from(u8::from(!of.wrong.is_empty())));
        held.get_or_create(&vec![named()]).set(of.held as f64);
        open.get_or_create(&vec![named()]).set(counts.open() as f64);
        for (verdict, count) in all {
            became.get_or_create(&vec![named(), ("verdict", verdict.to_string())]).inc_by(count);
        }
        for (code, count) in &counts.quarantined {
            let reason = Reason::from_u8(*code).map_or("unknown", Reason::code);
            refused.get_or_create(&vec![named(), ("reason", reason.to_string())]).set(*count as f64);
        }
    }
    registry.register("events_received", "Events taken in", received);
    registry.register("events", "Events by what became of them, but for those in quarantine", became);
    registry.register("quarantined", "Events in quarantine by reason", refused);
    registry.register("quarantine_open", "Refused events that are neither released nor discarded", open);
    registry.register("held_facts", "Late facts that wait to be released", held);
    registry.register("source_halted", "Whether a source takes nothing in until it is resumed", halted);
    registry.register("source_stuck", "Whether something of a source cannot be read; the log says what", stuck);
}

fn progress(registry: &mut Registry, app: &App, standing: &Standing, caller: &Caller) {
    let family = Family::<Labels, Number>::default;
    let (behind, open, off) = (family(), family(), family());
    let seconds = |nanos: i64| nanos as f64 / 1e9;
    for (number, pipeline) in app.plan.pipelines.iter().enumerate().filter(|(_, p)| caller.sees(p.source)) {
        let named = vec![("pipeline", pipeline.name.clone())];
        open.get_or_create(&named).set(standing.open.get(number).copied().unwrap_or(0) as f64);
        let put_off = standing.put_off.get(number).and_then(Option::as_ref);
        off.get_or_create(&named).set(put_off.map_or(0.0, |put_off| put_off.keys as f64));
        if let (Some(Settled::Until(mark)), Some(tick)) = (standing.settled.get(number), standing.ticked) {
            behind.get_or_create(&named).set(seconds(tick.saturating_sub(*mark)));
        }
    }
    registry.register_with_unit("watermark_lag", "Last tick less watermark", Unit::Seconds, behind);
    registry.register("open_rows", "Rows that still move", open);
    registry.register("put_off_keys", "Keys with windows that are put off: so far ahead that memory has no room", off);
    // A service in which nothing is due does not tick, and silence grows all the same.
    let (now, late, idle, heard, ahead) = (app.clock.now(), family(), family(), family(), family());
    for (source, of) in report::seen(&app.plan, standing, caller) {
        for origin in of.origins.iter().take(ORIGINS) {
            let name = report::origin_name(source, &origin.name);
            let named = || vec![("source", source.name.clone()), ("origin", name.clone())];
            idle.get_or_create(&named()).set(f64::from(u8::from(origin.idle)));
            ahead.get_or_create(&named()).set(f64::from(u8::from(origin.ahead)));
            if let Some(at) = origin.heard {
                heard.get_or_create(&named()).set(seconds(now.saturating_sub(at)).max(0.0));
            }
            for (_, share) in report::SHARES {
                let mut labels = named();
                labels.push(("quantile", (share as f64 / 1e3).to_string()));
                late.get_or_create(&labels).set(origin.lateness.per_mille(share) as f64 / 1e9);
            }
        }
    }
    registry.register_with_unit("lateness", "Arrival less event time, by share", Unit::Seconds, late);
    registry.register("origin_ahead", "Whether an origin is so far ahead that its windows are put off", ahead);
    registry.register("origin_idle", "Whether an origin was proven quiet", idle);
    registry.register_with_unit("origin_silence", "Time since the last arrival", Unit::Seconds, heard);
}

fn spend(registry: &mut Registry, name: &str, about: &str, spent: &Spent) {
    let count = Count::default();
    count.inc_by(spent.count);
    registry.register(format!("{name}s"), about, count);
    let total = Counter::<f64, AtomicU64>::default();
    total.inc_by(spent.total.as_secs_f64());
    registry.register_with_unit(format!("{name}_time"), format!("{about}: time spent"), Unit::Seconds, total);
    for (kind, time) in [("last", spent.last), ("longest", spent.most)] {
        let gauge = Number::default();
        gauge.set(time.as_secs_f64());
        registry.register_with_unit(format!("{name}_{kind}"), format!("{about}: the {kind}"), Unit::Seconds, gauge);
    }
}

fn queues(registry: &mut Registry, app: &App, standing: &Standing) {
    let load = app.desk.load();
    let free = (app.free)().map_or(f64::NAN, |bytes| bytes as f64);
    let all: [(&str, &str, f64); 13] = [
        ("disk_free_bytes", "Bytes that are free where it keeps what it keeps", free),
        ("queue_deliveries", "Deliveries that wait", load.deliveries as f64),
        ("queue_bytes", "Bytes of deliveries that wait", load.bytes as f64),
        ("queue_most_bytes", "The most bytes that ever waited", load.most as f64),
        ("queue_bound_bytes", "Bytes that may wait", load.bound as f64),
        ("ticks_done", "Ticks so far", standing.ticks as f64),
        ("commit_number", "Number of the last commit", standing.commit as f64),
        ("checkpoint_number", "Number of the last checkpoint", standing.checkpoint as f64),
        ("journal_bytes", "Bytes of the journal", standing.journal_bytes as f64),
        ("windows", "Windows of all keys that are in memory, settled ones too", standing.windows as f64),
        ("takes_events", "Whether events are taken in", f64::from(u8::from(standing.trouble.is_none()))),
        ("connections", "Connections that are open", app.doors.open() as f64),
        ("subscribers", "Streams that are open", app.hub.subscribers() as f64),
    ];
    for (name, about, value) in all {
        let gauge = Number::default();
        gauge.set(value);
        registry.register(name, about, gauge);
    }
}
