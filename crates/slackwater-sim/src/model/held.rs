//! What is held, from everything that came and the rows of the last tick, anew.

use super::reference::Given;
use super::watermark::Settled;
use crate::oracle::span::{self, Span, Spot};
use crate::oracle::{Winners, outranks, window};
use crate::world::{Datum, Stage, Windows};
use std::cmp::Ordering;

/// The facts that are held, by pipeline and identity, and those that the tick released: pipeline, key and time.
#[derive(Clone, Debug, Default)]
pub struct Held {
    facts: Vec<(usize, Vec<Datum>)>,
    /// What was held before, and is in the rows from this tick on.
    pub released: Vec<(usize, Vec<Datum>, i128)>,
}

/// What the last tick left behind.
pub struct Passed<'a> {
    /// The world.
    pub stage: &'a Stage,
    /// Of every row that was ever given, the newest generation.
    pub sealed: &'a [Given],
    /// All windows that held facts, with the watermarks at which they are settled.
    pub bars: &'a [(Spot, Option<i128>)],
    /// What was settled, by pipeline.
    pub was: &'a [Settled],
}

impl Held {
    /// Whether a pipeline holds an identity.
    pub fn has(&self, pipeline: usize, identity: &[Datum]) -> bool {
        self.facts.iter().any(|(number, known)| *number == pipeline && known == identity)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.facts.len()
    }

    /// What is held after a tick.
    pub fn next(&self, last: &Passed<'_>, (before, now): (&Winners<'_>, &Winners<'_>), release: bool) -> Held {
        let mut next = Held::default();
        for (number, pipeline) in last.stage.pipelines.iter().enumerate() {
            let source = &last.stage.sources[pipeline.source];
            for (who, new) in now[pipeline.source].iter().filter(|_| source.holds) {
                let Some(key) = span::key(last.stage, number, new.event) else { continue };
                let time = i128::from(span::time(source, new.event));
                let known = before.get(pipeline.source).into_iter().flatten();
                let old = known.filter(|(identity, _)| identity == who).map(|(_, fact)| *fact).next();
                let same = old.is_some_and(|old| outranks(source, new, &old) != Ordering::Greater);
                let held = match (self.has(number, who), old) {
                    (true, _) => same || last.was[number].covers(Some(time + 1)),
                    (false, Some(_)) => false,
                    // Who lets an event out of quarantine lets it count.
                    (false, None) => !new.freed && last.is_sealed_for(number, &key, time),
                };
                match held {
                    true if release && self.has(number, who) => next.released.push((number, key, time)),
                    true => next.facts.push((number, who.clone())),
                    false => {}
                }
            }
        }
        next
    }
}

impl Passed<'_> {
    /// Whether a fact reaches into what was sealed.
    fn is_sealed_for(&self, pipeline: usize, key: &[Datum], time: i128) -> bool {
        let was = &self.was[pipeline];
        if !was.covers(Some(time + 1)) {
            return false;
        }
        let passed = |due: i128| !was.ended && was.covers(Some(due));
        let rows: Vec<&Given> =
            self.sealed.iter().filter(|row| row.spot.pipeline == pipeline && row.spot.key == key).collect();
        let windows = &self.stage.pipelines[pipeline].windows;
        match windows {
            Windows::Session(gap) => {
                let gap = i128::from(*gap);
                let shown = rows.iter().filter(|row| row.values.is_some());
                let reached = shown
                    .filter(|row| row.spot.window.0 <= time)
                    .max_by_key(|row| row.spot.window.0)
                    .is_some_and(|row| row.spot.window.1 >= time);
                let later = |row: &&Given| {
                    let start = row.spot.window.0;
                    time <= start && start <= time + gap && (row.values.is_some() || start == time)
                };
                passed(time + gap + 1) || reached || (was.ended && rows.iter().any(later))
            }
            Windows::Bars(anchor, _) => {
                let (begun, ends) = window::period(anchor, at(time)).unzip();
                let mine = |spot: &Spot| {
                    let anchored = spot.bar.is_some_and(|bar| bar.anchor == begun);
                    spot.pipeline == pipeline && spot.key == key && anchored
                };
                let closed = |(spot, due): &(Spot, Option<i128>)| {
                    let complete = spot.bar.is_some_and(|bar| bar.complete);
                    mine(spot) && complete && was.covers(*due) && due.is_some_and(|due| time < due)
                };
                let cut = |row: &&Given| {
                    let open = row.values.is_none() || row.spot.bar.is_some_and(|bar| !bar.complete);
                    mine(&row.spot) && (row.spot.window.1 >= time || (was.ended && open))
                };
                ends.is_some_and(passed) || self.bars.iter().any(closed) || rows.iter().any(cut)
            }
            _ => window::all(windows, at(time)).into_iter().any(|window| match was.ended {
                true => rows.iter().any(|row| row.spot.window.0 == window.0),
                false => passed(window.1),
            }),
        }
    }
}

fn at(time: i128) -> i64 {
    i64::try_from(time).expect("the time of a fact")
}

/// The windows of each pipeline without what it holds, in output order.
pub fn visible<'a>(stage: &Stage, winners: &Winners<'a>, held: &Held) -> Vec<Span<'a>> {
    if held.facts.is_empty() {
        return span::all(stage, winners);
    }
    let mut spans = Vec::new();
    for number in 0..stage.pipelines.len() {
        let shown = winners.iter().map(|source| {
            let shown = source.iter().filter(|(who, _)| !held.has(number, who));
            shown.cloned().collect()
        });
        let shown: Winners<'a> = shown.collect();
        spans.extend(span::all(stage, &shown).into_iter().filter(|span| span.spot.pipeline == number));
    }
    spans.sort_by(|a, b| a.spot.order(&b.spot));
    spans
}
