//! How far the past is settled: "no event earlier than W is expected", by pipeline, moved only at ticks, never back.

use crate::codec::{CodecError, Reader, put_option};
use crate::fold::Settled;
use crate::input::{Decision, Tick};
use crate::judge::{Judge, Origin};
use crate::plan::{Knobs, Plan, Source};
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
    /// By source, what its watermark follows, as it was decided last.
    knobs: Vec<Knobs>,
    /// By source, whether it takes nothing in.
    halted: Vec<bool>,
    ended: bool,
}

impl Watermarks {
    /// Nothing is settled.
    pub fn new(plan: &Plan) -> Self {
        let (pipelines, sources) = (plan.pipelines.len(), plan.sources.len());
        let knobs = plan.sources.iter().map(|source| source.knobs.clone()).collect();
        let (reached, caught_up) = (vec![None; pipelines], vec![None; sources]);
        Watermarks { reached, caught_up, knobs, halted: vec![false; sources], ended: false }
    }

    /// What the watermark of a source follows.
    pub fn knobs(&self, source: usize) -> &Knobs {
        &self.knobs[source]
    }

    /// Whether a source takes nothing in.
    pub fn is_halted(&self, source: usize) -> bool {
        self.halted[source]
    }

    /// Whether no input was to follow.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the readers of a source had caught up at the last tick.
    pub fn is_caught_up(&self, source: usize) -> bool {
        self.caught_up[source].is_some()
    }

    /// Whether an origin is proven idle at a time.
    pub fn is_idle(&self, source: usize, origin: &Origin, at: i64) -> bool {
        idle_from(&self.knobs[source], self.caught_up[source], origin).is_some_and(|from| from <= at)
    }

    /// Takes in a decision.
    pub fn decide(&mut self, decision: &Decision) {
        match decision {
            Decision::EndOfInput => self.ended = true,
            Decision::Knobs(source, knobs) => self.knobs[usize::from(*source)] = knobs.clone(),
            Decision::Halt(source) => self.halted[usize::from(*source)] = true,
            Decision::Resume(source) => self.halted[usize::from(*source)] = false,
            // They move no watermark.
            Decision::Release(_)
            | Decision::Guards(..)
            | Decision::Retrial(..)
            | Decision::Discard(..)
            | Decision::Cutoff(..) => {}
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
            let source = (&plan.sources[index], &self.knobs[index]);
            let now = reach(source, tick.at, since, seen.origins(index).iter());
            *reached = now.max(*reached);
        }
        let settle = |reached: &Option<i64>| match reached {
            _ if self.ended => Settled::All,
            None => Settled::Nothing,
            Some(watermark) => Settled::Until(*watermark),
        };
        self.reached.iter().map(settle).collect()
    }

    /// Whether a tick would move any watermark.
    pub fn would_move(&self, plan: &Plan, tick: &Tick, seen: &Judge) -> bool {
        let mut then = self.clone();
        then.tick(plan, tick, seen);
        then.reached != self.reached
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
            let knobs = &self.knobs[index];
            if knobs.wall_clock {
                return by_time(knobs.lag);
            }
            let known = || seen.origins(index).iter().filter(|origin| origin.frontier.is_some());
            let idle = |origin: &Origin| idle_from(knobs, self.caught_up[index], origin);
            if known().all(|origin| idle(origin).is_some_and(|from| from <= at)) {
                return by_time(known().map(|origin| knobs.lag_of(source, &origin.name)).max()?);
            }
            known().filter_map(idle).filter(|from| *from > at).min()
        });
        moves.min()
    }

    /// Appends the canonical state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.ended));
        self.reached.iter().chain(&self.caught_up).for_each(|time| put_option(out, *time));
        self.knobs.iter().for_each(|knobs| knobs.encode(out));
        out.extend(self.halted.iter().map(|halted| u8::from(*halted)));
    }

    /// Reads back what [`Watermarks::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut marks = Watermarks::new(plan);
        marks.ended = reader.flag()?;
        for time in marks.reached.iter_mut().chain(&mut marks.caught_up) {
            *time = reader.option()?;
        }
        for knobs in &mut marks.knobs {
            *knobs = Knobs::decode(reader)?;
        }
        for halted in &mut marks.halted {
            *halted = reader.flag()?;
        }
        Ok(marks)
    }
}

/// The least of the origins' watermarks, those that are proven idle left out; none while no origin has been accepted.
fn reach<'a>(
    (source, knobs): (&Source, &Knobs),
    at: i64,
    caught_up: Option<i64>,
    origins: impl Iterator<Item = &'a Origin>,
) -> Option<i64> {
    if knobs.wall_clock || planted::is(Bug::SealByTickTime) {
        return Some(at.saturating_sub(knobs.lag));
    }
    let (mut busy, mut idle) = (None::<i64>, None::<i64>);
    for origin in origins {
        let Some(frontier) = origin.frontier else { continue };
        let lag = knobs.lag_of(source, &origin.name);
        let (least, watermark) = match idle_from(knobs, caught_up, origin) {
            Some(from) if from <= at => (&mut idle, at.saturating_sub(lag)),
            _ => (&mut busy, frontier.saturating_sub(lag)),
        };
        let of = if planted::is(Bug::LargestWatermark) { i64::max } else { i64::min };
        *least = Some(least.map_or(watermark, |known| of(known, watermark)));
    }
    // When all are idle, time itself is what is left to go by.
    if planted::is(Bug::IdleByMax) { busy.max(idle) } else { busy.or(idle) }
}

/// When an origin is proven idle if nothing more of it comes: its readers have caught up, and it was silent all the while.
/// None while they have not, and where that time is beyond all times.
fn idle_from(knobs: &Knobs, caught_up: Option<i64>, origin: &Origin) -> Option<i64> {
    let since = origin.heard.max(caught_up);
    caught_up.and(knobs.idle_after).zip(since).and_then(|(after, since)| since.checked_add(after))
}
