//! The naive engine of the model: it remembers what came and what was ticked, and at every tick computes everything
//! anew from the beginning.

use super::held::{Held, Passed, visible};
use super::watermark::{Settled, Tick, settled};
use crate::oracle::content::{bytes, version};
use crate::oracle::span::{self, Span, Spot};
use crate::oracle::{Fact, Winners, outranks, row, window, winners};
use crate::world::{Datum, Stage, Windows};
use slackwater_core::delta::Cause;
use std::cmp::Ordering;

/// A row as a tick must give it.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Pipeline, window, bar, key.
    pub spot: Spot,
    /// Counted from 1.
    pub generation: u64,
    /// Why.
    pub cause: Cause,
    /// The columns; none of a row that is removed.
    pub values: Option<Vec<Datum>>,
}

/// A change that touches a key of a pipeline.
struct Touch {
    pipeline: usize,
    key: Vec<Datum>,
    time: i128,
    cause: Cause,
}

/// What each of the ticks must give.
pub fn every_tick(stage: &Stage, log: &[Fact<'_>], ticks: &[Tick]) -> Vec<Vec<Given>> {
    let mut sealed: Vec<Given> = Vec::new();
    let mut was = vec![Settled::default(); stage.pipelines.len()];
    let (mut all, mut before) = (Vec::new(), Vec::new());
    let (mut held, mut passed) = (Held::default(), Vec::new());
    for (number, tick) in ticks.iter().enumerate() {
        let log = &log[..tick.events];
        let now = settled(stage, log, &ticks[..=number]);
        let winners = winners(stage, log);
        let last = Passed { stage, sealed: &sealed, bars: &passed, was: &was };
        let holding = held.next(&last, (&before, &winners), tick.release);
        let spans = visible(stage, &winners, &holding);
        let mut touches = touches(stage, (&before, &held), (&winners, &holding));
        touches.extend(holding.released.iter().map(|(pipeline, key, time)| {
            let (pipeline, key, time) = (*pipeline, key.clone(), *time);
            Touch { pipeline, key, time, cause: Cause::Release }
        }));
        let view = View { stage, sealed: &sealed, spans: &spans, touches: &touches, was: &was, now: &now };
        let given = view.generations();
        for row in &given {
            sealed.retain(|known| !known.spot.is_same_row(&row.spot));
            sealed.push(row.clone());
        }
        all.push(given);
        passed = spans.iter().map(|span| (span.spot.clone(), span.due)).collect();
        (was, before, held) = (now, winners, holding);
    }
    all
}

/// All that a tick sees.
struct View<'a> {
    stage: &'a Stage,
    /// Of every row that was ever given, the newest generation.
    sealed: &'a [Given],
    spans: &'a [Span<'a>],
    touches: &'a [Touch],
    /// What was settled at the tick before, and what is now, by pipeline.
    was: &'a [Settled],
    now: &'a [Settled],
}

impl View<'_> {
    fn generations(&self) -> Vec<Given> {
        let covered = |span: &&Span<'_>| self.now[span.spot.pipeline].covers(span.due);
        let mut given = Vec::new();
        for span in self.spans.iter().filter(covered) {
            let values = row(self.stage, span).map(|row| row.values);
            let known = self.sealed.iter().find(|known| known.spot.is_same_row(&span.spot));
            given.extend(self.generation(&span.spot, values, known, Some(span)));
        }
        // What was sealed and has no window any more, or one that would not seal now.
        for known in self.sealed {
            if !self.spans.iter().filter(covered).any(|span| span.spot.is_same_row(&known.spot)) {
                given.extend(self.generation(&known.spot, None, Some(known), None));
            }
        }
        given.sort_by(|a, b| a.spot.order(&b.spot));
        given
    }

    fn generation(
        &self,
        spot: &Spot,
        values: Option<Vec<Datum>>,
        known: Option<&Given>,
        span: Option<&Span<'_>>,
    ) -> Option<Given> {
        let shown = known.filter(|known| known.values.is_some());
        let same = match (shown, &values) {
            (Some(shown), Some(_)) => shown.spot == *spot && shown.values == values,
            (None, None) => true,
            _ => false,
        };
        if same {
            return None;
        }
        // The end of an input settles the rows that are there; one that only a later input brings was not among them.
        let was = &self.was[spot.pipeline];
        let new = span.is_some_and(|span| !was.covers(span.due) || (known.is_none() && was.ended));
        let cause = if shown.is_none() && new { Cause::Seal } else { self.cause(spot, known.map(|known| &known.spot)) };
        let generation = known.map_or(1, |known| known.generation + 1);
        Some(Given { spot: spot.clone(), generation, cause, values })
    }

    /// The first cause that applies among the changes that touch a row. What becomes final behind the watermark, though
    /// nothing that touches it changed, is late.
    fn cause(&self, spot: &Spot, old: Option<&Spot>) -> Cause {
        let mine = self.touches.iter().filter(|touch| {
            touch.pipeline == spot.pipeline
                && touch.key == spot.key
                && self.was[spot.pipeline].covers(Some(touch.time + 1))
                && self.reaches(touch.time, spot, old)
        });
        mine.map(|touch| touch.cause).min().unwrap_or(Cause::Late)
    }

    /// Whether a change at a time touches a row.
    fn reaches(&self, time: i128, spot: &Spot, old: Option<&Spot>) -> bool {
        let windows = &self.stage.pipelines[spot.pipeline].windows;
        match windows {
            Windows::Session(_) => {
                let mine = |other: &&Spot| other.pipeline == spot.pipeline && other.key == spot.key;
                let shown = self.sealed.iter().filter(|known| known.values.is_some()).map(|known| &known.spot);
                let all = shown.chain(self.spans.iter().map(|span| &span.spot)).filter(mine);
                let within = |time: i128, (start, end): span::Extent| start <= time && time <= end;
                all.map(|spot| spot.window).any(|session| within(time, session) && within(spot.window.0, session))
            }
            Windows::Bars(anchor, _) => {
                let anchored = |time: i128| i64::try_from(time).ok().and_then(|time| window::period(anchor, time));
                let until = spot.window.1.max(old.map_or(i128::MIN, |old| old.window.1));
                anchored(time) == anchored(spot.window.0) && time <= until
            }
            _ => spot.window.0 <= time && time < spot.window.1,
        }
    }
}

/// What the net changes of all identities between two ticks touch.
fn touches(stage: &Stage, (before, was): (&Winners<'_>, &Held), (now, holding): (&Winners<'_>, &Held)) -> Vec<Touch> {
    let mut touches = Vec::new();
    for (number, source) in stage.sources.iter().enumerate() {
        for (who, new) in &now[number] {
            let known = before.get(number).into_iter().flatten();
            let old = known.filter(|(identity, _)| identity == who).map(|(_, fact)| *fact).next();
            // The same content again, of a higher rank, changes nothing that a row could show.
            let content = |fact: &Fact<'_>| bytes(source, fact.event);
            let changed =
                old.is_none_or(|old| outranks(source, new, &old) == Ordering::Greater && content(&old) != content(new));
            if !changed {
                continue;
            }
            let versions = |fact: &Fact<'_>| (version(source, fact.event), fact.decoder);
            let cause = match old {
                None if new.freed => Cause::Release,
                None => Cause::Late,
                Some(_) if source.retracts(new.event) == Some(true) => Cause::Retraction,
                Some(old) if versions(&old).0 < versions(new).0 => Cause::Correction,
                Some(old) if versions(&old) < versions(new) => Cause::Decoder,
                Some(_) => Cause::Conflict,
            };
            for (side, register) in old.iter().map(|old| (old, was)).chain([(new, holding)]) {
                for pipeline in 0..stage.pipelines.len() {
                    // What is held was in no row.
                    if register.has(pipeline, who) {
                        continue;
                    }
                    if let Some(key) = span::key(stage, pipeline, side.event) {
                        let time = i128::from(span::time(source, side.event));
                        touches.push(Touch { pipeline, key, time, cause });
                    }
                }
            }
        }
    }
    touches
}
