//! The naive watermark: from everything that came, and all ticks so far, anew.

use crate::oracle::content::identity;
use crate::oracle::{Fact, outranks, refusal};
use crate::world::{Datum, Source, Stage};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A tick.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// How many events came before it.
    pub events: usize,
    /// Its time.
    pub at: i64,
    /// Whether the readers had caught up.
    pub caught_up: bool,
    /// Whether the input had ended.
    pub ended: bool,
    /// Whether what was held at the tick before is released.
    pub release: bool,
}

/// How far a pipeline is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settled {
    /// No event earlier than this is expected; none before the first event.
    pub watermark: Option<i64>,
    /// Whether the input had ended.
    pub ended: bool,
}

impl Settled {
    /// Whether what is due at a watermark is settled; what waits for none is settled at the end of input.
    pub fn covers(self, due: Option<i128>) -> bool {
        self.ended || due.zip(self.watermark).is_some_and(|(due, watermark)| i128::from(watermark) >= due)
    }
}

/// What is settled at the last of these ticks, by pipeline.
pub fn settled(stage: &Stage, log: &[Fact<'_>], ticks: &[Tick]) -> Vec<Settled> {
    let ended = ticks.last().is_some_and(|tick| tick.ended);
    let mark = |number: usize| {
        let at_tick = |last: usize| watermark(stage, number, &log[..ticks[last].events], &ticks[..=last]);
        // It never goes back.
        let watermark = (0..ticks.len()).filter_map(at_tick).max();
        Settled { watermark, ended }
    };
    let marks: Vec<Settled> = (0..stage.sources.len()).map(mark).collect();
    stage.pipelines.iter().map(|pipeline| marks[pipeline.source]).collect()
}

/// What is known of an origin.
#[derive(Default)]
struct Origin {
    frontier: Option<i64>,
    heard: Option<i64>,
}

/// What the last of these ticks alone would say.
fn watermark(stage: &Stage, number: usize, log: &[Fact<'_>], ticks: &[Tick]) -> Option<i64> {
    let source = &stage.sources[number];
    if source.wall_clock {
        return Some(ticks.last().expect("a tick").at.saturating_sub(source.lag));
    }
    let (busy, idle) = by_origin(source, number, log, ticks);
    busy.into_iter().min().or(idle.into_iter().min())
}

/// Whether an origin is left out at the last of these ticks.
pub fn idles(stage: &Stage, log: &[Fact<'_>], ticks: &[Tick]) -> bool {
    let mut sources = stage.sources.iter().enumerate();
    sources.any(|(number, source)| !source.wall_clock && !by_origin(source, number, log, ticks).1.is_empty())
}

/// The watermarks of the origins that are not idle, and of those that are.
fn by_origin(source: &Source, number: usize, log: &[Fact<'_>], ticks: &[Tick]) -> (Vec<i64>, Vec<i64>) {
    let at = ticks.last().expect("a tick").at;
    let since = ticks.iter().rev().take_while(|tick| tick.caught_up).last().map(|tick| tick.at);
    let (mut busy, mut idle) = (Vec::new(), Vec::new());
    for (name, origin) in origins(source, number, log) {
        let Some(frontier) = origin.frontier else { continue };
        let special = source.lag_by_origin.iter().find(|(known, _)| *known == name);
        let lag = special.map_or(source.lag, |(_, lag)| *lag);
        let quiet = |since: i64| i128::from(at) - i128::from(since.max(origin.heard.unwrap_or(i64::MIN)));
        let proven = since.zip(source.idle_after).is_some_and(|(since, after)| quiet(since) >= i128::from(after));
        if proven { idle.push(at.saturating_sub(lag)) } else { busy.push(frontier.saturating_sub(lag)) }
    }
    (busy, idle)
}

/// How far each origin came through what was accepted when it came, and when it was last heard.
fn origins(source: &Source, number: usize, log: &[Fact<'_>]) -> BTreeMap<String, Origin> {
    let mut best: BTreeMap<String, Fact<'_>> = BTreeMap::new();
    let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
    for fact in log.iter().filter(|fact| fact.event.source == number && refusal(source, fact.event).is_none()) {
        let name = match source.origin.map(|origin| &fact.event.values[origin]) {
            None => String::new(),
            Some(Datum::Text(name)) => name.clone(),
            Some(Datum::U64(number)) => number.to_string(),
            Some(Datum::I64(number)) => number.to_string(),
            Some(other) => panic!("{other:?} is no origin"),
        };
        let origin = origins.entry(name).or_default();
        let time = |field: usize| match fact.event.values[field] {
            Datum::Time(time) => Some(time),
            _ => None,
        };
        let arrival = source.arrival.filter(|_| !fact.event.rubbish).and_then(time);
        origin.heard = origin.heard.max(arrival);
        let who = format!("{:?}", identity(source, fact.event, fact.stood));
        if best.get(&who).is_some_and(|best| outranks(source, fact, best) != Ordering::Greater) {
            continue;
        }
        best.insert(who, *fact);
        if source.retracts(fact.event) != Some(true) {
            let happened = time(source.event_time).expect("an event has a time");
            let reached = arrival.map_or(happened, |arrival| arrival.min(happened));
            origin.frontier = origin.frontier.max(Some(reached));
        }
    }
    origins
}
