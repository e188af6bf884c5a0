//! One world against the oracle, in one arrangement or in many: the checks that every run makes.

use crate::adversary::{self, Size, World};
use crate::engine::{self, Compiled, Spelled};
use crate::model::reference::every_tick;
use crate::model::watermark::Tick;
use crate::oracle::content::Stood;
use crate::oracle::span::time;
use crate::oracle::{Fact, Truth};
use crate::rng::Rng;
use crate::world::Identity;
use crate::{compare, effort};
use slackwater::runtime::engine::Folded;
use slackwater_core::hold::Release;
use slackwater_core::input::{self, Decision, Input};
use slackwater_core::machine::Machine;
use slackwater_core::memory::Memory;
use slackwater_core::plan::LatePolicy;
use std::sync::OnceLock;

/// How the engine is arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arranged {
    /// Threads.
    pub threads: usize,
    /// Most events of a batch.
    pub batch: usize,
    /// Judge shards, and as many fold shards.
    pub shards: usize,
}

impl Arranged {
    /// Threads {1, 2} × batches {1, 37, 8192} × shards {1, 2, 7}.
    pub fn all() -> Vec<Arranged> {
        let mut all = Vec::new();
        for threads in [1, 2] {
            for batch in [1, 37, 8192] {
                all.extend([1, 2, 7].map(|shards| Arranged { threads, batch, shards }));
            }
        }
        all
    }
}

/// What must be the same whatever the order and the arrangement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Digest over the rows in output order.
    pub root: [u8; 32],
    /// How many there are.
    pub rows: usize,
    /// Nulls that arithmetic made.
    pub faults: i64,
}

impl Outcome {
    fn of(folded: &Folded) -> Outcome {
        Outcome { root: engine::root(folded), rows: folded.finals.len(), faults: folded.faults }
    }
}

/// A world, compiled and spelled.
pub struct Trial {
    /// The world.
    pub world: World,
    /// Its stage as the engine sees it.
    pub compiled: Compiled,
    /// Its events as bytes.
    pub spelled: Spelled,
    /// What must come of the events in any order, once somebody asks.
    truth: OnceLock<Truth>,
}

impl Trial {
    /// Draws, compiles and spells a world.
    pub fn draw(seed: u64, size: Size) -> Trial {
        let world = adversary::draw(seed, size);
        let (compiled, spelled) = (engine::compile(&world.stage), engine::spell(&world));
        Trial { world, compiled, spelled, truth: OnceLock::new() }
    }

    /// What must come of the events in any order; none where it depends on that.
    fn truth(&self) -> Option<&Truth> {
        let stands = self.world.stage.sources.iter().any(|source| source.identity == Identity::Position);
        let truth = || {
            let order = self.order();
            let cut = self.compiled.cut(&self.spelled, &order, 1);
            engine::truth_of(&self.world, &order, &cut.stood)
        };
        (!stands).then(|| self.truth.get_or_init(truth))
    }

    /// Lets every source hold what is late.
    pub fn hold(&mut self) {
        self.world.stage.sources.iter_mut().for_each(|source| source.holds = true);
        self.compiled.config.plan.sources.iter_mut().for_each(|source| source.late = LatePolicy::Hold);
    }

    /// The events in the order in which they come.
    pub fn order(&self) -> Vec<usize> {
        (0..self.world.events.len()).collect()
    }

    /// Folds the events in an order and compares everything with the truth.
    ///
    /// # Errors
    /// What differs first.
    pub fn check(&self, order: &[usize], arranged: Arranged) -> Result<Outcome, String> {
        let cut = self.compiled.cut(&self.spelled, order, arranged.batch);
        // Where its place is an event's identity, another order is another set of events.
        let of_order: Truth;
        let truth = match self.truth() {
            Some(truth) => truth,
            None => {
                of_order = engine::truth_of(&self.world, order, &cut.stood);
                &of_order
            }
        };
        let (folded, aside) = self.compiled.fold(cut.chunks, arranged.threads, arranged.shards);
        compare::counts(folded.seen.counts(), &truth.counts)?;
        compare::set_aside(folded.seen.counts(), &aside)?;
        compare::rows(&self.compiled.config.plan, &folded.finals, truth)?;
        Ok(Outcome::of(&folded))
    }

    /// How many rows there are of windows of each kind; none where the truth depends on the order.
    pub fn rows_by_kind(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let rows = self.truth().into_iter().flat_map(|truth| &truth.rows);
        rows.map(|row| (self.world.stage.pipelines[row.spot.pipeline].windows.kind(), 1))
    }

    /// Folds the events in an order and asks nobody.
    pub fn fold(&self, order: &[usize], arranged: Arranged) -> Outcome {
        let cut = self.compiled.cut(&self.spelled, order, arranged.batch);
        Outcome::of(&self.compiled.fold(cut.chunks, arranged.threads, arranged.shards).0)
    }
}

/// What one seed must show: every refusal is the one that was asked for, and some order in some arrangement gives the
/// oracle's rows.
///
/// # Errors
/// What differs first.
pub fn against_oracle(seed: u64, size: Size) -> Result<Trial, String> {
    let trial = Trial::draw(seed, size);
    engine::refusals(&trial.world, &trial.compiled, &trial.spelled)?;
    let mut rng = Rng::new(seed ^ 0xa11);
    let arranged = *rng.pick(&Arranged::all());
    match trial.check(&trial.order(), arranged) {
        Ok(_) => Ok(trial),
        Err(differs) => Err(format!("{differs}\n{}", adversary::config(&trial.world.stage))),
    }
}

/// What one seed must show as events and ticks come: at every tick the model's rows, generations and causes.
///
/// # Errors
/// What differs first.
pub fn against_model(seed: u64, size: Size) -> Result<(), String> {
    let mut trial = Trial::draw(seed, size);
    let mut lot = Rng::new(seed ^ 0x401d);
    let holds = lot.chance(40);
    if holds {
        trial.hold();
    }
    let (world, plan) = (&trial.world, &trial.compiled.config.plan);
    let mut rng = Rng::new(seed ^ 0x71c);
    let mut memories = vec![Memory::new()];
    let mut machine = Machine::new(plan, 1, 1);
    let batch = 1 + rng.below(6);
    let batches = trial.compiled.decode(&trial.compiled.cut(&trial.spelled, &trial.order(), batch).chunks);
    let (mut ticks, mut found, mut events) = (Vec::new(), Vec::new(), 0);
    for (number, batch) in batches.iter().enumerate() {
        events += batch.entries().len();
        machine.step(plan, &Input::Events(batch.clone()), &mut memories);
        let ended = number + 1 == batches.len();
        if !ended && rng.chance(60) {
            continue;
        }
        if ended {
            machine.step(plan, &Input::Decision(Decision::EndOfInput), &mut memories);
        }
        let release = holds && lot.chance(30);
        for source in (0..world.stage.sources.len() as u16).filter(|_| release) {
            let all = Release { source, pipeline: None, identity: None };
            machine.step(plan, &Input::Decision(Decision::Release(all)), &mut memories);
        }
        let event = rng.pick(&world.events);
        let beside = rng.within(-100, 200) * 1_000_000_000;
        let at = time(&world.stage.sources[event.source], event).saturating_add(beside);
        let caught_up = rng.chance(60);
        let sources = (0..world.stage.sources.len() as u16).filter(|_| caught_up).collect();
        let finals = machine.step(plan, &Input::Tick(input::Tick { at, caught_up: sources }), &mut memories).finals;
        found.push(finals.iter().map(compare::given).collect::<Vec<_>>());
        ticks.push(Tick { events, at, caught_up, ended, release });
    }
    let stood = Stood { part: String::new(), offset: 0 };
    let decoder = slackwater::decode::Format::Json.decoder_version();
    let log: Vec<Fact<'_>> =
        world.events.iter().map(|event| Fact { event, stood: &stood, decoder, freed: false }).collect();
    let wanted = every_tick(&world.stage, &log, &ticks);
    match found.iter().zip(&wanted).position(|(found, wanted)| found != wanted) {
        Some(tick) => Err(format!("tick {tick}:\n  engine {:?}\n  model {:?}", found[tick], wanted[tick])),
        None => Ok(()),
    }
}

/// Runs a check of one seed; a panic is a failure like any other, and every failure says how to see it again.
pub fn guarded<T>(seed: u64, binary: &str, test: &str, check: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
    let failed = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(text)) => text,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            format!("panic: {text}")
        }
    };
    Err(format!("seed {seed}: {failed}\n{}", effort::again(seed, binary, test)))
}
