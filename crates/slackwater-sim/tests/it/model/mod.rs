//! The core machine against a naive engine: any sequence of batches, ticks, decisions, and of writing the state down
//! and reading it back, gives the same rows, generations and causes.

use super::laws::{Pooled, Run, pool};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use slackwater_core::delta::Cause;
use slackwater_core::input::{self, Batch, Decision, Input};
use slackwater_core::machine::Machine;
use slackwater_sim::adversary::{self, World};
use slackwater_sim::model::reference::{Given, every_tick};
use slackwater_sim::model::watermark::{Tick, idles};
use slackwater_sim::oracle::content::Stood;
use slackwater_sim::oracle::{Fact, counts};
use slackwater_sim::rng::Rng;
use slackwater_sim::world::Windows;
use slackwater_sim::world::{Datum, Event};
use slackwater_sim::{compare, effort, engine};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Full figure of sequences.
const SEQUENCES: usize = 10_000;
/// Events that a sequence chooses from, again and again.
const EVENTS: usize = 24;
/// Least share of a full run that each kind of command has.
const FLOOR: usize = 6_000;
const TEST: &str = "the_machine_does_what_a_naive_engine_does";

/// What is done to the machine.
#[derive(Clone, Debug)]
enum Command {
    /// Events come, by number, decoded by this version.
    Ingest(Vec<usize>, u32),
    /// A tick, so many seconds behind the time of an event; and whether the readers had caught up.
    Tick(usize, i64, bool),
    /// The state is written down and read back.
    Recode,
    /// The input has ended.
    End,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let events = prop::collection::vec(0..EVENTS, 1..7);
    let ticks = (0..EVENTS, -100i64..200, prop::bool::weighted(0.7))
        .prop_map(|(event, seconds, caught_up)| Command::Tick(event, seconds, caught_up));
    let command = prop_oneof![
        8 => (events, prop::bool::weighted(0.15)).prop_map(|(events, newer)| Command::Ingest(events, 1 + u32::from(newer))),
        4 => ticks,
        2 => Just(Command::Recode),
        1 => Just(Command::End),
    ];
    prop::collection::vec(command, 1..14)
}

/// What was compared.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Commands by kind.
    transitions: [usize; 4],
    /// Rows with other causes than a seal, by kind of window.
    amended: BTreeMap<&'static str, usize>,
    /// Rows among them that were removed.
    removed: usize,
    /// Ticks at which an origin was left out because it was silent.
    idle: usize,
}

impl Tally {
    fn merge(&mut self, other: &Tally) {
        self.transitions.iter_mut().zip(other.transitions).for_each(|(mine, other)| *mine += other);
        other.amended.iter().for_each(|(kind, count)| *self.amended.entry(kind).or_default() += count);
        self.removed += other.removed;
        self.idle += other.idle;
    }
}

/// Events of one stage, decoded one by one.
struct Played<'a> {
    pooled: &'static Pooled,
    events: &'a [Event],
    batches: Vec<Batch>,
    run: Run,
    log: Vec<(usize, u32)>,
    ticks: Vec<Tick>,
    ended: bool,
    stood: Stood,
    tally: Tally,
}

impl Played<'_> {
    fn log(&self) -> Vec<Fact<'_>> {
        let fact = |(number, decoder): &(usize, u32)| Fact {
            event: &self.events[*number],
            stood: &self.stood,
            decoder: *decoder,
        };
        self.log.iter().map(fact).collect()
    }

    /// What first tells the rows of the machine from those of the model.
    fn alike(&self, found: &[Given], wanted: &[Given]) -> Result<(), TestCaseError> {
        let differs = |at: &usize| found.get(*at) != wanted.get(*at);
        let Some(at) = (0..found.len().max(wanted.len())).find(differs) else { return Ok(()) };
        let (found, wanted) = (found.get(at), wanted.get(at));
        let pipeline = found.or(wanted).expect("one of them").spot.pipeline;
        let windows = &self.pooled.stage.pipelines[pipeline].windows;
        let text = format!("row {at} of {windows:?}:\n  machine {found:?}\n  model   {wanted:?}");
        Err(TestCaseError::fail(text))
    }

    fn play(&mut self, command: &Command) -> Result<(), TestCaseError> {
        let plan = self.run.plan;
        match command {
            Command::Ingest(events, decoder) => {
                let mut batch = Batch::new(0, *decoder, self.batches[0].part.clone());
                for number in events {
                    let mut one = self.batches[*number].clone();
                    one.decoder = *decoder;
                    batch.push_from(&one, &one.entries()[0].clone());
                    self.log.push((*number, *decoder));
                }
                let effects = self.run.step(&Input::Events(batch));
                prop_assert!(effects.finals.is_empty(), "rows come at ticks only");
                let wanted = counts(&self.pooled.stage, &self.log());
                compare::counts(self.run.machine.seen(plan).counts(), &wanted).map_err(TestCaseError::fail)?;
            }
            Command::Tick(event, seconds, caught_up) => {
                let source = &self.pooled.stage.sources[0];
                let Datum::Time(time) = self.events[*event].values[source.event_time] else { unreachable!("a time") };
                let at = time.saturating_add(seconds * 1_000_000_000);
                self.ticks.push(Tick { events: self.log.len(), at, caught_up: *caught_up, ended: self.ended });
                let listed = if *caught_up { vec![0] } else { Vec::new() };
                let found = self.run.step(&Input::Tick(input::Tick { at, caught_up: listed })).finals;
                let found: Vec<Given> = found.iter().map(compare::given).collect();
                let wanted = every_tick(&self.pooled.stage, &self.log(), &self.ticks).pop().expect("a tick");
                for row in wanted.iter().filter(|row| row.cause != Cause::Seal) {
                    let kind = self.pooled.stage.pipelines[row.spot.pipeline].windows.kind();
                    *self.tally.amended.entry(kind).or_default() += 1;
                    self.tally.removed += usize::from(row.values.is_none());
                }
                self.tally.idle += usize::from(idles(&self.pooled.stage, &self.log(), &self.ticks));
                self.alike(&found, &wanted)?;
            }
            Command::Recode => {
                let bytes = self.run.machine.encode(plan, &self.run.memories);
                let (judges, folds) = (self.run.memories.len(), self.run.machine.folds().len());
                let back = Machine::decode(plan, judges, folds, &bytes);
                self.run.machine = back.map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(self.run.machine.encode(plan, &self.run.memories), bytes);
            }
            Command::End => {
                self.run.step(&Input::Decision(Decision::EndOfInput));
                self.ended = true;
            }
        }
        Ok(())
    }
}

#[test]
fn the_machine_does_what_a_naive_engine_does() {
    let seed = effort::asked_seed().unwrap_or(1);
    let sequences = effort::share(SEQUENCES);
    let config =
        Config { cases: sequences as u32, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = RefCell::new(Tally::default());
    let strategy = (0..pool().len(), any::<u64>(), 1..4usize, 1..4usize, commands());
    let outcome = runner.run(&strategy, |(stage, seed, judges, folds, commands)| {
        tally.borrow_mut().merge(&played(stage, seed, (judges, folds), &commands)?);
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}\n{}", effort::again(seed, "it", TEST));
    }
    tell(sequences, &tally.into_inner());
}

/// Plays commands over events of a stage of the pool.
fn played(
    stage: usize,
    seed: u64,
    (judges, folds): (usize, usize),
    commands: &[Command],
) -> Result<Tally, TestCaseError> {
    let pooled = &pool()[stage];
    let (events, injected) = adversary::events(&mut Rng::new(seed), &pooled.stage, EVENTS);
    let world = World { seed, stage: pooled.stage.clone(), events, injected };
    let order: Vec<usize> = (0..EVENTS).collect();
    let batches = pooled.compiled.decode(&pooled.compiled.cut(&engine::spell(&world), &order, 1).chunks);
    let run = Run::new(&pooled.compiled.config.plan, judges, folds);
    let stood = Stood { part: "file".into(), offset: 0 };
    let (log, ticks, ended, tally) = (Vec::new(), Vec::new(), false, Tally::default());
    let mut played = Played { pooled, events: &world.events, batches, run, log, ticks, ended, stood, tally };
    // Everything that came shows at the end.
    let end = [Command::End, Command::Tick(0, 0, false)];
    for command in commands.iter().chain(&end) {
        played.play(command)?;
        let kind = match command {
            Command::Ingest(..) => 0,
            Command::Tick(..) => 1,
            Command::Recode => 2,
            Command::End => 3,
        };
        played.tally.transitions[kind] += 1;
    }
    Ok(played.tally)
}

/// Prints the figures, and demands that nothing was tried too seldom.
fn tell(sequences: usize, tally: &Tally) {
    let Tally { transitions, amended, removed, idle } = tally;
    let total: usize = transitions.iter().sum();
    let changed: usize = amended.values().sum();
    effort::print(&format!(
        "model sequences={sequences} transitions={total} ingest={} tick={} recode={} end={} idle={idle} amended={changed} \
         removed={removed} mismatch=0",
        transitions[0], transitions[1], transitions[2], transitions[3]
    ));
    let counted: Vec<String> = amended.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
    effort::print(&format!("model amended {}", counted.join(" ")));
    let floor = effort::share(FLOOR);
    assert!(transitions.iter().all(|count| *count >= floor), "every command was given often: {transitions:?}");
    assert!(changed >= floor && *removed >= floor / 20, "changes of sealed rows were compared often: {tally:?}");
    assert!(*idle >= floor / 20, "origins were idle often: {idle}");
    for kind in Windows::KINDS {
        let count = amended.get(kind).copied().unwrap_or(0);
        assert!(count >= floor / 100, "sealed rows of {kind} changed often: {count}");
    }
}
