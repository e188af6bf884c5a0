//! The slow, obvious twin of the engine.
//!
//! It sees logical events and never a row of the engine. It picks the winner of every identity by rank, puts the facts
//! of each window and key in canonical order, and computes every aggregate anew in rationals.

pub mod aggregate;
mod bars;
pub mod content;
pub mod eval;
pub mod exact;
pub mod sketch;
pub mod span;
pub mod window;

use crate::typing::Place;
use crate::world::{Call, Datum, Event, Pipeline, Source, Stage, Ty};
use aggregate::Member;
use content::{Stood, digest, identity, version};
use eval::{Scope, Val};
use slackwater_core::poison::Reason;
use span::{Span, Spot};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A final row as it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which row it is.
    pub spot: Spot,
    /// The selected columns.
    pub values: Vec<Datum>,
}

/// What must have become of the events of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events.
    pub received: u64,
    /// Identities that have a winner.
    pub facts: u64,
    /// Duplicates, superseded and conflicts together.
    pub others: u64,
    /// Refused events by reason.
    pub quarantined: BTreeMap<u8, u64>,
}

/// An event that was accepted, with where it stood.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// The event.
    pub event: &'a Event,
    /// Where it stood.
    pub stood: &'a Stood,
    /// Version of the decoder that made it.
    pub decoder: u32,
    /// Whether it was let out of quarantine.
    pub freed: bool,
}

/// What must come of the events, whatever their order.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The final rows, in output order.
    pub rows: Vec<Row>,
    /// By source.
    pub counts: Vec<Counts>,
}

/// Recomputes everything.
pub fn truth(stage: &Stage, facts: &[Fact<'_>]) -> Truth {
    let (known, counts) = identities(stage, facts);
    Truth { rows: rows(stage, &best(stage, known)), counts }
}

/// Why an event is refused, if it is.
pub fn refusal(source: &Source, event: &Event) -> Option<Reason> {
    if let Some(flaw) = &event.flaw {
        return Some(flaw.reason);
    }
    let Some(retracts) = source.retracts(event) else { return Some(Reason::UnknownOp) };
    if let Some(origins) = &source.origins {
        let origin = match &event.values[source.origin.expect("origins come with an origin")] {
            Datum::Text(text) => text.clone(),
            Datum::U64(number) => number.to_string(),
            Datum::I64(number) => number.to_string(),
            other => panic!("{other:?} is no origin"),
        };
        if !origins.contains(&origin) {
            return Some(Reason::UnknownOrigin);
        }
    }
    if retracts {
        return None;
    }
    let time = |field: usize| match event.values[field] {
        Datum::Time(time) => Some(i128::from(time)),
        _ => None,
    };
    let happened = time(source.event_time).expect("an event time");
    if let (Some(arrival), Some(most)) = (source.arrival.and_then(time), source.max_future)
        && happened - arrival > i128::from(most)
    {
        return Some(Reason::Future);
    }
    let early = source.min_time.is_some_and(|min| happened < i128::from(min));
    if early || source.max_time.is_some_and(|max| happened > i128::from(max)) {
        return Some(Reason::TimeBounds);
    }
    let row = Scope { place: Place::Row(source), values: &event.values, previous: None, call: &no_call };
    let guarded = source.require.iter().all(|guard| row.holds(guard));
    (!guarded).then_some(Reason::Require)
}

fn no_call(call: &Call, _: Option<Ty>) -> Val {
    panic!("{call:?} stands over a row")
}

/// By rank: version, then decoder, then retraction over content, then the smaller digest.
pub fn outranks(source: &Source, a: &Fact<'_>, b: &Fact<'_>) -> Ordering {
    let retracts = |fact: &Fact<'_>| source.retracts(fact.event).expect("a known op");
    let rank = |fact: &Fact<'_>| (version(source, fact.event), fact.decoder, retracts(fact));
    let digests = || if retracts(a) { Ordering::Equal } else { digest(source, b.event).cmp(&digest(source, a.event)) };
    rank(a).cmp(&rank(b)).then_with(digests)
}

/// An identity, with everything accepted of it.
type Known<'a> = (Vec<Datum>, Vec<Fact<'a>>);

/// The accepted events of each source, by identity; and what must have become of all.
fn identities<'a>(stage: &Stage, facts: &[Fact<'a>]) -> (Vec<Vec<Known<'a>>>, Vec<Counts>) {
    let mut all: Vec<BTreeMap<String, Known<'a>>> = vec![BTreeMap::new(); stage.sources.len()];
    let mut counts = vec![Counts::default(); stage.sources.len()];
    for fact in facts {
        let (source, mine) = (&stage.sources[fact.event.source], &mut counts[fact.event.source]);
        mine.received += 1;
        if let Some(reason) = refusal(source, fact.event) {
            *mine.quarantined.entry(reason as u8).or_default() += 1;
            continue;
        }
        mine.others += 1;
        let identity = identity(source, fact.event, fact.stood);
        let known = all[fact.event.source].entry(format!("{identity:?}")).or_insert((identity, Vec::new()));
        known.1.push(*fact);
    }
    for (mine, known) in counts.iter_mut().zip(&all) {
        mine.facts = known.len() as u64;
        mine.others -= mine.facts;
    }
    (all.into_iter().map(|source| source.into_values().collect()).collect(), counts)
}

/// By source: every identity with its winner, retractions included.
pub type Winners<'a> = Vec<Vec<(Vec<Datum>, Fact<'a>)>>;

/// The winner of every identity.
pub fn winners<'a>(stage: &Stage, facts: &[Fact<'a>]) -> Winners<'a> {
    best(stage, identities(stage, facts).0)
}

fn best<'a>(stage: &Stage, known: Vec<Vec<Known<'a>>>) -> Winners<'a> {
    let pick = |source: &Source, (identity, facts): Known<'a>| {
        // Of equal ranks the first to come stays. Their contents are the same, but not how they came.
        let best = facts.into_iter().rev().max_by(|a, b| outranks(source, a, b)).expect("an identity has an event");
        (identity, best)
    };
    let sources = known.into_iter().zip(&stage.sources);
    sources.map(|(known, source)| known.into_iter().map(|one| pick(source, one)).collect()).collect()
}

/// What must have become of every event.
pub fn counts(stage: &Stage, facts: &[Fact<'_>]) -> Vec<Counts> {
    identities(stage, facts).1
}

/// The rows of the winners, in output order.
pub fn rows(stage: &Stage, winners: &Winners<'_>) -> Vec<Row> {
    span::all(stage, winners).iter().filter_map(|span| row(stage, span)).collect()
}

/// The row of a window, if HAVING lets it be.
pub fn row(stage: &Stage, span: &Span<'_>) -> Option<Row> {
    let pipeline: &Pipeline = &stage.pipelines[span.spot.pipeline];
    let source = &stage.sources[pipeline.source];
    let members: Vec<Member<'_>> = span.parts.iter().map(|part| part.member(source)).collect();
    let call = |call: &Call, to: Option<Ty>| aggregate::value(call, &pipeline.windows, &members, to);
    let place = Place::Group(source, pipeline);
    let group = Scope { place, values: &span.spot.key, previous: None, call: &call };
    if pipeline.having.as_ref().is_some_and(|having| !group.holds(having)) {
        return None;
    }
    let values = pipeline.columns.iter().map(|(_, ex)| group.datum(ex)).collect();
    Some(Row { spot: span.spot.clone(), values })
}
