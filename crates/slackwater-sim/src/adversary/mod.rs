//! Hostile worlds from a seed: sources, pipelines, and a stream of events that no order and no spelling may change.

mod select;
mod source;
mod spell;
mod sql;
mod stream;
mod values;
mod windows;

pub use spell::{csv_header, spell};

use crate::rng::Rng;
use crate::world::{Event, Stage};
use std::collections::BTreeMap;

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Most sources.
    pub sources: usize,
    /// Pipelines of each source.
    pub pipelines: usize,
    /// Events of all sources.
    pub events: usize,
    /// Whether where an event stood may be its identity.
    pub positions: bool,
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// Sources and pipelines.
    pub stage: Stage,
    /// The events, in the order in which they come.
    pub events: Vec<Event>,
    /// What was injected, by kind.
    pub injected: Injected,
}

/// How often each hostile thing was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected(pub BTreeMap<&'static str, usize>);

impl Injected {
    /// Notes one.
    pub fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// How many of a kind.
    pub fn count(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Adds those of another world.
    pub fn merge(&mut self, other: &Injected) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// Draws a world.
pub fn draw(seed: u64, size: Size) -> World {
    let mut rng = Rng::new(seed);
    let stage = stage(&mut rng, size);
    let (events, injected) = stream::draw(&mut rng, &stage, size.events);
    World { seed, stage, events, injected }
}

/// Draws sources and pipelines.
pub fn stage(rng: &mut Rng, size: Size) -> Stage {
    let count = 1 + rng.below(size.sources);
    let sources: Vec<_> = (0..count).map(|number| source::draw(rng, number, size.positions)).collect();
    let mut pipelines = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        for place in 0..size.pipelines {
            let name = format!("p{number}_{place}");
            pipelines.push(select::draw(rng, &name, number, source, place));
        }
    }
    Stage { sources, pipelines }
}

/// Draws events for a stage.
pub fn events(rng: &mut Rng, stage: &Stage, count: usize) -> (Vec<Event>, Injected) {
    stream::draw(rng, stage, count)
}

/// The configuration file of a stage.
pub fn config(stage: &Stage) -> String {
    sql::config(stage)
}
