//! Algebraic laws, each tried on many cases that shrink when they fail.

mod bars;
mod codec;
mod conservation;
mod cut;
mod merge;
mod order;
mod plain;
mod rank;
mod sessions;
mod sums;
mod undo;
mod verdict;
mod watermark;
mod window;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use slackwater_core::input::{Batch, Decision, Input, Tick};
use slackwater_core::machine::{Effects, Machine};
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_sim::adversary::{self, Injected, Size, World};
use slackwater_sim::effort;
use slackwater_sim::engine::{self, Compiled, Spelled};
use slackwater_sim::rng::Rng;
use slackwater_sim::world::Stage;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Full figure of cases of every law.
const CASES: usize = 10_000;
/// How many laws there are.
const LAWS: usize = 17;

static HELD: AtomicUsize = AtomicUsize::new(0);
static CASES_RUN: AtomicUsize = AtomicUsize::new(0);

/// Tries a law on its full figure of cases, or a tenth. The last law to hold prints the figures of all.
pub fn law<S: Strategy>(test: &str, strategy: S, check: impl Fn(S::Value) -> TestCaseResult) {
    let seed = effort::asked_seed().unwrap_or(1);
    let cases = effort::share(CASES);
    let config =
        Config { cases: cases as u32, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(failed) = runner.run(&strategy, check) {
        panic!("{failed}\n{}", effort::again(seed, "it", test));
    }
    let run = CASES_RUN.fetch_add(cases, Ordering::SeqCst) + cases;
    if HELD.fetch_add(1, Ordering::SeqCst) + 1 == LAWS {
        effort::print(&format!("laws={LAWS} cases={run} fail=0"));
    }
}

/// A stage of the pool that all laws draw from: compiling one is slow.
pub struct Pooled {
    pub stage: Stage,
    pub compiled: Compiled,
}

pub fn pool() -> &'static [Pooled] {
    static POOL: OnceLock<Vec<Pooled>> = OnceLock::new();
    POOL.get_or_init(|| {
        let size = Size { sources: 1, pipelines: 3, events: 0, positions: false };
        let stage = |seed| {
            let stage = adversary::stage(&mut Rng::new(seed), size);
            Pooled { compiled: engine::compile(&stage), stage }
        };
        (0..60).map(|seed| stage(seed * 7 + 1)).collect()
    })
}

/// What a case is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    stage: usize,
    events: usize,
    seed: u64,
    /// For what is drawn beside the events.
    other: u64,
}

/// Cases of at most so many events.
pub fn cases(events: usize) -> impl Strategy<Value = Case> {
    let parts = (0..60usize, 1..=events, any::<u64>(), any::<u64>());
    parts.prop_map(|(stage, events, seed, other)| Case { stage, events, seed, other })
}

/// A case, drawn.
pub struct Drawn {
    pub pooled: &'static Pooled,
    pub world: World,
    pub spelled: Spelled,
    pub rng: Rng,
}

impl Case {
    pub fn draw(self) -> Drawn {
        let pooled = &pool()[self.stage];
        let mut rng = Rng::new(self.seed);
        let (events, injected): (_, Injected) = adversary::events(&mut rng, &pooled.stage, self.events);
        let world = World { seed: self.seed, stage: pooled.stage.clone(), events, injected };
        let spelled = engine::spell(&world);
        Drawn { pooled, world, spelled, rng: Rng::new(self.other) }
    }
}

impl Drawn {
    pub fn plan(&self) -> &'static Plan {
        &self.pooled.compiled.config.plan
    }

    /// The events in an order, decoded in batches of at most so many.
    pub fn batches(&self, order: &[usize], batch: usize) -> Vec<Batch> {
        let compiled = &self.pooled.compiled;
        compiled.decode(&compiled.cut(&self.spelled, order, batch).chunks)
    }

    pub fn in_order(&self) -> Vec<usize> {
        (0..self.world.events.len()).collect()
    }
}

/// A machine with its memories.
pub struct Run {
    pub plan: &'static Plan,
    pub machine: Machine,
    pub memories: Vec<Memory>,
}

impl Run {
    pub fn new(plan: &'static Plan, judges: usize, folds: usize) -> Run {
        let memories = (0..judges).map(|_| Memory::new()).collect();
        Run { plan, machine: Machine::new(plan, judges, folds), memories }
    }

    pub fn step(&mut self, input: &Input) -> Effects {
        self.machine.step(self.plan, input, &mut self.memories)
    }

    pub fn events(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            self.step(&Input::Events(batch));
        }
    }

    /// Writes the machine down and reads it back.
    pub fn restart(&mut self) {
        let bytes = self.machine.encode(self.plan, &self.memories);
        let (judges, folds) = (self.memories.len(), self.machine.folds().len());
        self.machine = Machine::decode(self.plan, judges, folds, &bytes).expect("what was written is read back");
    }

    /// Canonical bytes of the fold shards.
    pub fn fold_bytes(&mut self) -> Vec<u8> {
        // Writing the machine down folds what is stale again; its bytes are then those of its parts.
        self.machine.encode(self.plan, &self.memories);
        let mut out = Vec::new();
        self.machine.folds_mut().iter_mut().for_each(|fold| fold.encode(&mut out));
        out
    }

    /// The end of input: bytes of the rows in output order.
    pub fn finish(&mut self) -> Vec<u8> {
        self.step(&Input::Decision(Decision::EndOfInput));
        let effects = self.step(&Input::Tick(Tick::at(0)));
        let mut out = Vec::new();
        for row in effects.finals {
            out.extend(row.digest);
            out.extend(row.generation.to_le_bytes());
            out.extend(row.cause.code().bytes());
        }
        out
    }
}
