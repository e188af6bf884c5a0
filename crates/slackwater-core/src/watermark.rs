//! How far the past is settled: "no event earlier than W is expected", by pipeline, moved only at ticks, never back.

use crate::codec::{CodecError, Reader, put_option};
use crate::fold::Settled;
use crate::input::{Decision, Tick};
use crate::judge::{Judge, Origin};
use crate::plan::{Plan, Source};
use crate::planted::{self, Bug};
use alloc::vec;
use alloc::vec::Vec;

/// The watermarks of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// By pipeline.
    reached: Vec<Option<i64>>,
    /// By source, the first of the ticks at which its readers had caught up ever since.
    caught_up: Vec<Option<i64>>,
    ended: bool,
}

impl Watermarks {
    /// Nothing is settled.
    pub fn new(plan: &Plan) -> Self {
        let (pipelines, sources) = (plan.pipelines.len(), plan.sources.len());
        Watermarks { reached: vec![None; pipelines], caught_up: vec![None; sources], ended: false }
    }

    /// Takes in a decision.
    pub fn decide(&mut self, decision: &Decision) {
        match decision {
            Decision::EndOfInput => self.ended = true,
        }
    }

    /// Moves the watermarks at a tick. `seen` is what all judge shards saw together.
    pub fn tick(&mut self, plan: &Plan, tick: &Tick, seen: &Judge) -> Vec<Settled> {
        for (source, since) in self.caught_up.iter_mut().enumerate() {
            let now = tick.caught_up.contains(&(source as u16));
            *since = now.then_some(since.unwrap_or(tick.at));
        }
        for (pipeline, reached) in plan.pipelines.iter().zip(&mut self.reached) {
            let index = usize::from(pipeline.source);
            let since = self.caught_up[index];
            let now = reach(&plan.sources[index], tick.at, since, seen.origins(index).iter());
            *reached = now.max(*reached);
        }
        let settle = |reached: &Option<i64>| match reached {
            _ if self.ended => Settled::All,
            None => Settled::Nothing,
            Some(watermark) => Settled::Until(*watermark),
        };
        self.reached.iter().map(settle).collect()
    }

    /// The first time after a tick at `at` at which another one could bring rows though nothing comes, if there is one.
    /// `dues` are by pipeline the watermarks at which something may seal next.
    pub fn next_move(&self, plan: &Plan, at: i64, seen: &Judge, dues: &[Option<i128>]) -> Option<i64> {
        let moves = plan.sources.iter().enumerate().filter_map(|(index, source)| {
            let mine = plan.pipelines.iter().zip(dues).filter(|(pipeline, _)| usize::from(pipeline.source) == index);
            let due = mine.filter_map(|(_, due)| *due).min()?;
            // Where time itself moves the watermark, it is there so much later.
            let by_time = |lag: i64| {
                i64::try_from(due.saturating_add(lag.into())).ok().map(|time| time.max(at.saturating_add(1)))
            };
            if source.knobs.wall_clock {
                return by_time(source.knobs.lag);
            }
            let known = || seen.origins(index).iter().filter(|origin| origin.frontier.is_some());
            let idle = |origin: &Origin| idle_from(source, self.caught_up[index], origin);
            if known().all(|origin| idle(origin).is_some_and(|from| from <= at)) {
                return by_time(known().map(|origin| lag(source, &origin.name)).max()?);
            }
            known().filter_map(idle).filter(|from| *from > at).min()
        });
        moves.min()
    }

    /// Appends the canonical state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.ended));
        self.reached.iter().chain(&self.caught_up).for_each(|time| put_option(out, *time));
    }

    /// Reads back what [`Watermarks::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut marks = Watermarks::new(plan);
        marks.ended = reader.flag()?;
        for time in marks.reached.iter_mut().chain(&mut marks.caught_up) {
            *time = reader.option()?;
        }
        Ok(marks)
    }
}

/// The least of the origins' watermarks, those that are proven idle left out; none while no origin has been accepted.
fn reach<'a>(
    source: &Source,
    at: i64,
    caught_up: Option<i64>,
    origins: impl Iterator<Item = &'a Origin>,
) -> Option<i64> {
    if source.knobs.wall_clock || planted::is(Bug::SealByTickTime) {
        return Some(at.saturating_sub(source.knobs.lag));
    }
    let (mut busy, mut idle) = (None::<i64>, None::<i64>);
    for origin in origins {
        let Some(frontier) = origin.frontier else { continue };
        let lag = lag(source, &origin.name);
        let (least, watermark) = match idle_from(source, caught_up, origin) {
            Some(from) if from <= at => (&mut idle, at.saturating_sub(lag)),
            _ => (&mut busy, frontier.saturating_sub(lag)),
        };
        let of = if planted::is(Bug::LargestWatermark) { i64::max } else { i64::min };
        *least = Some(least.map_or(watermark, |known| of(known, watermark)));
    }
    // When all are idle, time itself is what is left to go by.
    busy.or(idle)
}

/// When an origin is proven idle if nothing more of it comes: its readers have caught up, and it was silent all the while.
/// None while they have not, and where that time is beyond all times.
fn idle_from(source: &Source, caught_up: Option<i64>, origin: &Origin) -> Option<i64> {
    let since = origin.heard.max(caught_up);
    caught_up.and(source.knobs.idle_after).zip(since).and_then(|(after, since)| since.checked_add(after))
}

fn lag(source: &Source, origin: &[u8]) -> i64 {
    let special = source.knobs.lag_by_origin.iter().find(|(name, _)| source.origin_bytes(name) == origin);
    special.map_or(source.knobs.lag, |(_, lag)| *lag)
}
