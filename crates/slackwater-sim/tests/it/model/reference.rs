//! The naive engine of the model: it remembers what came and what was ticked, and at every tick computes everything
//! anew from the beginning.

use slackwater_core::delta::Cause;
use slackwater_sim::oracle::content::{bytes, identity, version};
use slackwater_sim::oracle::{Fact, Spot, Winners, lands, output_order, outranks, refusal, row, windows, winners};
use slackwater_sim::world::{Datum, Stage};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A row as a tick must give it.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Pipeline, window, key.
    pub place: Spot,
    /// Counted from 1.
    pub generation: u64,
    /// Why.
    pub cause: Cause,
    /// The columns; none of a row that is removed.
    pub values: Option<Vec<Datum>>,
}

/// A tick: how many events came before it, its time, and whether the input had ended.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub events: usize,
    pub at: i64,
    pub ended: bool,
}

/// How far a pipeline is settled.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Settled {
    watermark: Option<i64>,
    ended: bool,
}

impl Settled {
    fn covers(self, end: i128) -> bool {
        self.ended || self.watermark.is_some_and(|watermark| i128::from(watermark) >= end)
    }
}

/// What the last of the ticks must give.
pub fn last_tick(stage: &Stage, log: &[Fact<'_>], ticks: &[Tick]) -> Vec<Given> {
    let mut sealed: Vec<(Spot, u64, Option<Vec<Datum>>)> = Vec::new();
    let mut settled = vec![Settled { watermark: None, ended: false }; stage.pipelines.len()];
    let (mut given, mut before) = (Vec::new(), Vec::new());
    for tick in ticks {
        given.clear();
        let log = &log[..tick.events];
        let was = settled.clone();
        for (number, settled) in settled.iter_mut().enumerate() {
            let now = watermark(stage, stage.pipelines[number].source, log, tick.at);
            *settled = Settled { watermark: settled.watermark.max(now), ended: tick.ended };
        }
        let winners = winners(stage, log);
        let windows = windows(stage, &winners);
        let mut places: Vec<Spot> = windows.iter().map(|(place, _)| place.clone()).collect();
        places.extend(sealed.iter().map(|(place, ..)| place.clone()));
        places.sort_by(output_order);
        places.dedup();
        for place in places {
            let facts = windows.iter().find(|(other, _)| *other == place).map(|(_, facts)| facts);
            let values = facts.and_then(|facts| row(stage, &place, facts)).map(|row| row.values);
            let change = || net_cause(stage, &place, &before, &winners);
            match sealed.iter_mut().find(|(other, ..)| *other == place) {
                Some((_, _, known)) if *known == values => {}
                Some((_, generation, known)) => {
                    *generation += 1;
                    known.clone_from(&values);
                    given.push(Given { generation: *generation, cause: change(), values, place });
                }
                None if facts.is_some() && settled[place.0].covers(place.1.1) => {
                    if values.is_some() {
                        let cause = if was[place.0].covers(place.1.1) { change() } else { Cause::Seal };
                        given.push(Given { generation: 1, cause, values: values.clone(), place: place.clone() });
                    }
                    sealed.push((place, u64::from(values.is_some()), values));
                }
                None => {}
            }
        }
        before = winners;
    }
    given
}

/// The least of the origins' watermarks: what each has reached through what was accepted when it came, less the lag.
fn watermark(stage: &Stage, number: usize, log: &[Fact<'_>], at: i64) -> Option<i64> {
    let source = &stage.sources[number];
    if source.wall_clock {
        return Some(at.saturating_sub(source.lag));
    }
    let mut best: BTreeMap<String, Fact<'_>> = BTreeMap::new();
    let mut frontiers: BTreeMap<String, i64> = BTreeMap::new();
    for fact in log.iter().filter(|fact| fact.event.source == number && refusal(source, fact.event).is_none()) {
        let who = format!("{:?}", identity(source, fact.event, fact.stood));
        if best.get(&who).is_some_and(|best| outranks(source, fact, best) != Ordering::Greater) {
            continue;
        }
        best.insert(who, *fact);
        if source.retracts(fact.event) == Some(true) {
            continue;
        }
        let time = |field: usize| match fact.event.values[field] {
            Datum::Time(time) => Some(time),
            _ => None,
        };
        let happened = time(source.event_time).expect("an event has a time");
        let reached = source.arrival.and_then(time).map_or(happened, |arrival| arrival.min(happened));
        let origin = format!("{:?}", source.origin.map(|origin| &fact.event.values[origin]));
        frontiers.entry(origin).and_modify(|frontier| *frontier = reached.max(*frontier)).or_insert(reached);
    }
    frontiers.values().map(|reached| reached.saturating_sub(source.lag)).min()
}

/// The first cause that applies, of the net changes of the identities that a row gained or lost between two ticks.
fn net_cause(stage: &Stage, place: &Spot, before: &Winners<'_>, now: &Winners<'_>) -> Cause {
    let source = stage.pipelines[place.0].source;
    let old = |who: &[Datum]| {
        let known = before.get(source).into_iter().flatten();
        known.filter(|(identity, _)| identity == who).map(|(_, fact)| *fact).next()
    };
    let here = |fact: &Fact<'_>| lands(stage, place.0, fact.event).as_ref() == Some(place);
    let mut causes = Vec::new();
    for (who, new) in &now[source] {
        let old = old(who);
        let source = &stage.sources[source];
        // The same content again, of a higher rank, changes nothing that a row could show.
        let content = |fact: &Fact<'_>| bytes(source, fact.event);
        let changed =
            old.is_none_or(|old| outranks(source, new, &old) == Ordering::Greater && content(&old) != content(new));
        if !changed || !(here(new) || old.as_ref().is_some_and(here)) {
            continue;
        }
        let versions = |fact: &Fact<'_>| (version(source, fact.event), fact.decoder);
        causes.push(match old {
            None => Cause::Late,
            Some(_) if source.retracts(new.event) == Some(true) => Cause::Retraction,
            Some(old) if versions(&old).0 < versions(new).0 => Cause::Correction,
            Some(old) if versions(&old) < versions(new) => Cause::Decoder,
            Some(_) => Cause::Conflict,
        });
    }
    causes.into_iter().min().expect("a row changes because a fact does")
}
