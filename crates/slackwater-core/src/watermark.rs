//! How far the past is settled: "no event earlier than W is expected", by pipeline, moved only at ticks, never back.

use crate::codec::{CodecError, Reader, put_option};
use crate::fold::Settled;
use crate::input::Decision;
use crate::judge::Judge;
use crate::plan::{Plan, Source};
use alloc::vec;
use alloc::vec::Vec;

/// The watermarks of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// By pipeline.
    reached: Vec<Option<i64>>,
    ended: bool,
}

impl Watermarks {
    /// Nothing is settled.
    pub fn new(plan: &Plan) -> Self {
        Watermarks { reached: vec![None; plan.pipelines.len()], ended: false }
    }

    /// Takes in a decision.
    pub fn decide(&mut self, decision: &Decision) {
        match decision {
            Decision::EndOfInput => self.ended = true,
        }
    }

    /// Moves the watermarks at a tick of recorded time `at`. `seen` is what all judge shards saw together.
    pub fn tick(&mut self, plan: &Plan, at: i64, seen: &Judge) -> Vec<Settled> {
        for (pipeline, reached) in plan.pipelines.iter().zip(&mut self.reached) {
            let source = usize::from(pipeline.source);
            let now = slowest(&plan.sources[source], at, seen, source);
            *reached = now.max(*reached);
        }
        let settle = |reached: &Option<i64>| match reached {
            _ if self.ended => Settled::All,
            None => Settled::Nothing,
            Some(watermark) => Settled::Until(*watermark),
        };
        self.reached.iter().map(settle).collect()
    }

    /// Appends the canonical state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.ended));
        self.reached.iter().for_each(|reached| put_option(out, *reached));
    }

    /// Reads back what [`Watermarks::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut marks = Watermarks::new(plan);
        marks.ended = match reader.byte()? {
            0 => false,
            1 => true,
            _ => return reader.fail("0 or 1"),
        };
        for reached in &mut marks.reached {
            *reached = reader.option()?;
        }
        Ok(marks)
    }
}

/// The least of the origins' watermarks; none while no origin has been seen.
fn slowest(source: &Source, at: i64, seen: &Judge, index: usize) -> Option<i64> {
    if source.knobs.wall_clock {
        return Some(at.saturating_sub(source.knobs.lag));
    }
    let lag = |origin: &[u8]| {
        let special = source.knobs.lag_by_origin.iter().find(|(name, _)| source.origin_bytes(name) == origin);
        special.map_or(source.knobs.lag, |(_, lag)| *lag)
    };
    seen.origins(index).iter().map(|(origin, reached)| reached.saturating_sub(lag(origin))).min()
}
