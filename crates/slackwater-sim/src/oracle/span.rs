//! Which windows a pipeline's facts make, and which facts, or parts of facts, each of them holds.

use super::aggregate::Member;
use super::content::{canonical, order};
use super::eval::Scope;
use super::{Fact, Winners, bars, no_call, window};
use crate::typing::Place;
use crate::world::{Datum, Event, Source, Stage, Windows};
use num_bigint::BigInt;
use num_rational::BigRational;
use std::cmp::Ordering;

/// Start and end, in nanoseconds since the epoch.
pub type Extent = (i128, i128);

/// A row's place in the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// Start and end of the window; of a bar the times of its first and last fact.
    pub window: Extent,
    /// Which bar, where windows are bars.
    pub bar: Option<Bar>,
    /// The group-by columns.
    pub key: Vec<Datum>,
}

/// Which bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where bars began anew; none where they never do.
    pub anchor: Option<i128>,
    /// Its number since then, from 0.
    pub ordinal: u64,
    /// Whether its rule closed it.
    pub complete: bool,
}

impl Spot {
    /// Whether two generations at these places are of one row.
    pub fn is_same_row(&self, other: &Spot) -> bool {
        let numbers = match (self.bar, other.bar) {
            (Some(a), Some(b)) => (a.anchor, a.ordinal) == (b.anchor, b.ordinal),
            _ => self.window.0 == other.window.0,
        };
        self.pipeline == other.pipeline && self.key == other.key && numbers
    }

    /// Output order: pipeline, window start, key, bar.
    pub fn order(&self, other: &Spot) -> Ordering {
        let number = |spot: &Spot| spot.bar.map(|bar| (bar.anchor, bar.ordinal));
        (self.pipeline, self.window.0)
            .cmp(&(other.pipeline, other.window.0))
            .then_with(|| keys(&self.key, &other.key))
            .then_with(|| number(self).cmp(&number(other)))
    }
}

fn keys(a: &[Datum], b: &[Datum]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A window that holds something.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// Where its row stands.
    pub spot: Spot,
    /// It is settled when the watermark is this far; none: at the end of input only.
    pub due: Option<i128>,
    /// What it holds, in canonical order.
    pub parts: Vec<Part<'a>>,
}

/// A fact, or so much of it.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The fact.
    pub fact: Fact<'a>,
    /// 1 of a whole fact.
    pub share: BigRational,
}

impl<'a> Part<'a> {
    /// A fact that is not cut.
    pub fn whole(fact: Fact<'a>) -> Part<'a> {
        Part { fact, share: BigRational::from(BigInt::from(1)) }
    }

    /// As aggregates see it.
    pub fn member<'s>(&'s self, source: &'s Source) -> Member<'s> {
        let values = &self.fact.event.values;
        let scope = Scope { place: Place::Row(source), values, previous: None, call: &no_call };
        Member { scope, share: self.share.clone() }
    }
}

/// The event time of an event that is no retraction.
pub fn time(source: &Source, event: &Event) -> i64 {
    match event.values[source.event_time] {
        Datum::Time(time) => time,
        _ => panic!("an event has a time"),
    }
}

/// The key under which a pipeline takes an event, if it does.
pub fn key(stage: &Stage, number: usize, event: &Event) -> Option<Vec<Datum>> {
    let pipeline = &stage.pipelines[number];
    let source = &stage.sources[pipeline.source];
    if event.source != pipeline.source || source.retracts(event) != Some(false) {
        return None;
    }
    let row = Scope { place: Place::Row(source), values: &event.values, previous: None, call: &no_call };
    if pipeline.filter.as_ref().is_some_and(|filter| !row.holds(filter)) {
        return None;
    }
    Some(pipeline.key.iter().map(|(_, ex)| row.datum(ex)).collect())
}

/// The windows that hold facts, in output order.
pub fn all<'a>(stage: &Stage, winners: &Winners<'a>) -> Vec<Span<'a>> {
    let mut spans = Vec::new();
    for (number, pipeline) in stage.pipelines.iter().enumerate() {
        let source = &stage.sources[pipeline.source];
        let facts = winners[pipeline.source].iter().map(|(_, fact)| *fact);
        let mut facts: Vec<(Vec<Datum>, Fact<'a>)> =
            facts.filter_map(|fact| Some((key(stage, number, fact.event)?, fact))).collect();
        facts.sort_by(|(a, x), (b, y)| {
            keys(a, b).then_with(|| canonical(source, (x.event, x.stood), (y.event, y.stood)))
        });
        for group in facts.chunk_by(|(a, _), (b, _)| a == b) {
            let facts: Vec<Fact<'a>> = group.iter().map(|(_, fact)| *fact).collect();
            for (window, bar, due, parts) in of_key(source, &pipeline.windows, &facts) {
                let spot = Spot { pipeline: number, window, bar, key: group[0].0.clone() };
                spans.push(Span { spot, due, parts });
            }
        }
    }
    spans.sort_by(|a, b| a.spot.order(&b.spot));
    spans
}

/// A window before it is known whose it is.
pub type Bare<'a> = (Extent, Option<Bar>, Option<i128>, Vec<Part<'a>>);

/// The windows of one key, whose facts stand in canonical order.
fn of_key<'a>(source: &Source, windows: &Windows, facts: &[Fact<'a>]) -> Vec<Bare<'a>> {
    match windows {
        Windows::Session(gap) => sessions(source, i128::from(*gap), facts),
        Windows::Bars(anchor, cut) => bars::cut(source, anchor, cut, facts),
        _ => {
            let mut all: Vec<(Extent, Fact<'a>)> = Vec::new();
            for fact in facts {
                all.extend(window::all(windows, time(source, fact.event)).into_iter().map(|window| (window, *fact)));
            }
            // The sort is stable: facts of a window stay in canonical order.
            all.sort_by_key(|(window, _)| *window);
            let same = |a: &(Extent, Fact<'a>), b: &(Extent, Fact<'a>)| a.0 == b.0;
            let parts = |group: &[(Extent, Fact<'a>)]| group.iter().map(|(_, fact)| Part::whole(*fact)).collect();
            all.chunk_by(same).map(|group| (group[0].0, None, Some(group[0].0.1), parts(group))).collect()
        }
    }
}

/// Facts without a pause that is longer than the gap.
fn sessions<'a>(source: &Source, gap: i128, facts: &[Fact<'a>]) -> Vec<Bare<'a>> {
    let at = |fact: &Fact<'a>| i128::from(time(source, fact.event));
    let one = |facts: &[Fact<'a>]| {
        let (first, last) = (at(&facts[0]), at(&facts[facts.len() - 1]));
        // At its very end a fact may still join.
        ((first, last + gap), None, Some(last + gap + 1), facts.iter().map(|fact| Part::whole(*fact)).collect())
    };
    facts.chunk_by(|a, b| at(b) - at(a) <= gap).map(one).collect()
}
