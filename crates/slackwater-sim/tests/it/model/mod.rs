//! The core machine against a naive engine: any sequence of batches, ticks, decisions, and of writing the state down
//! and reading it back, gives the same rows, generations and causes.

mod returning;

use super::laws::{Pooled, Run, pool};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use slackwater_core::delta::Cause;
use slackwater_core::fold::{Final, Whole};
use slackwater_core::hold::{Fate, Release};
use slackwater_core::input::{self, Batch, Decision, Input};
use slackwater_core::machine::Machine;
use slackwater_core::plan::{LatePolicy, Plan};
use slackwater_core::poison::{Reason, Refusal};
use slackwater_sim::adversary::{self, World};
use slackwater_sim::model::reference::{Given, every_tick};
use slackwater_sim::model::watermark::{Tick, idles};
use slackwater_sim::oracle::content::Stood;
use slackwater_sim::oracle::{Fact, Row, counts, truth};
use slackwater_sim::rng::Rng;
use slackwater_sim::world::{Datum, Event, Stage, Windows};
use slackwater_sim::{compare, effort, engine};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

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
    /// Events come, by number, decoded by this version; and whether they are refused first, and judged again then.
    Ingest(Vec<usize>, u32, bool),
    /// A tick, so many seconds behind the time of an event; and whether the readers had caught up.
    Tick(usize, i64, bool),
    /// The state is written down and read back.
    Recode,
    /// The input has ended.
    End,
    /// What is held is released.
    Release,
}

/// Fewer commands than so many.
fn commands(most: usize) -> impl Strategy<Value = Vec<Command>> {
    let events = prop::collection::vec(0..EVENTS, 1..7);
    let ticks = (0..EVENTS, -100i64..200, prop::bool::weighted(0.7))
        .prop_map(|(event, seconds, caught_up)| Command::Tick(event, seconds, caught_up));
    let command = prop_oneof![
        8 => (events, prop::bool::weighted(0.15)).prop_map(|(events, newer)| {
            // As good as drawn by lot.
            let freed = events.iter().sum::<usize>() % 5 == 0;
            Command::Ingest(events, 1 + u32::from(newer), freed)
        }),
        4 => ticks,
        2 => Just(Command::Recode),
        1 => Just(Command::End),
        2 => Just(Command::Release),
    ];
    prop::collection::vec(command, 1..most)
}

/// What was compared.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Commands by kind.
    transitions: [usize; 5],
    /// Rows with other causes than a seal, by kind of window.
    amended: BTreeMap<&'static str, usize>,
    /// Rows among them that were removed.
    removed: usize,
    /// Ticks at which an origin was left out because it was silent.
    idle: usize,
    /// Facts that came to be held, and that were released.
    held: usize,
    released: usize,
    /// Events that were judged again.
    freed: usize,
    /// Windows that were put away, and rows that were asked for again.
    away: usize,
    asked: usize,
}

impl Tally {
    fn merge(&mut self, other: &Tally) {
        self.transitions.iter_mut().zip(other.transitions).for_each(|(mine, other)| *mine += other);
        other.amended.iter().for_each(|(kind, count)| *self.amended.entry(kind).or_default() += count);
        self.removed += other.removed;
        self.idle += other.idle;
        self.held += other.held;
        self.released += other.released;
        self.freed += other.freed;
        self.away += other.away;
        self.asked += other.asked;
    }
}

/// Events of one stage, decoded one by one.
struct Played<'a> {
    events: &'a [Event],
    batches: Vec<Batch>,
    run: Run,
    log: Vec<(usize, u32, bool)>,
    ticks: Vec<Tick>,
    ended: bool,
    release: bool,
    /// Whether nothing came since the last tick.
    at_tick: bool,
    stage: Stage,
    finals: Vec<Final>,
    stood: Stood,
    tally: Tally,
}

impl Played<'_> {
    fn log(&self) -> Vec<Fact<'_>> {
        let fact = |(number, decoder, freed): &(usize, u32, bool)| {
            let (event, stood) = (&self.events[*number], &self.stood);
            Fact { event, stood, decoder: *decoder, freed: *freed }
        };
        self.log.iter().map(fact).collect()
    }

    /// What first tells the rows of the machine from those of the model.
    fn alike(&self, found: &[Given], wanted: &[Given]) -> Result<(), TestCaseError> {
        let differs = |at: &usize| found.get(*at) != wanted.get(*at);
        let Some(at) = (0..found.len().max(wanted.len())).find(differs) else { return Ok(()) };
        let (found, wanted) = (found.get(at), wanted.get(at));
        let pipeline = found.or(wanted).expect("one of them").spot.pipeline;
        let windows = &self.stage.pipelines[pipeline].windows;
        let text = format!("row {at} of {windows:?}:\n  machine {found:?}\n  model   {wanted:?}");
        Err(TestCaseError::fail(text))
    }

    /// Lets all windows go that sealed.
    fn put_away(&mut self) {
        let Run { machine, plan, .. } = &mut self.run;
        for fold in machine.folds_mut() {
            let away = core::iter::repeat_with(|| fold.put_away(plan, 0)).take_while(|gone| *gone > 0);
            self.tally.away += away.sum::<usize>();
        }
    }

    /// Gives rows back that were put away and are asked for.
    fn bring(&mut self) {
        for fold in self.run.machine.folds_mut() {
            for wanted in fold.take_wants(Whole::AndPast) {
                let id_of = |row: &Final| {
                    let mut id = Vec::new();
                    row.put_id(&mut id);
                    (row.pipeline, id)
                };
                let (first, last) = fold.ids_of(&wanted);
                let between = (wanted.pipeline(), first)..=(wanted.pipeline(), last);
                let ids = self.finals.iter().map(|row| (id_of(row), row));
                let known: BTreeMap<_, &Final> = ids.filter(|(id, _)| between.contains(id)).collect();
                known.values().for_each(|row| fold.bring(&wanted, row));
                self.tally.asked += known.len();
            }
        }
    }

    /// Once nothing is held any more, the newest rows are those of a plain fold.
    fn is_whole(&mut self) -> Result<(), TestCaseError> {
        let wanted = truth(&self.stage, &self.log()).rows;
        let found: Vec<Row> = Final::newest(std::mem::take(&mut self.finals)).iter().map(compare::row).collect();
        prop_assert_eq!(found, wanted, "after the release");
        prop_assert!(self.run.machine.holds().is_empty(), "nothing is held after the release");
        Ok(())
    }

    /// Events come; where they are freed they were refused before.
    fn ingest(&mut self, events: &[usize], decoder: u32, freed: bool) -> Result<(), TestCaseError> {
        let plan = self.run.plan;
        let new = || Batch::new(0, decoder, self.batches[0].part.clone());
        let (mut batch, mut refused) = (new(), new());
        for number in events {
            let mut one = self.batches[*number].clone();
            one.decoder = decoder;
            batch.push_from(&one, &one.entries()[0].clone());
            self.log.push((*number, decoder, freed));
            if freed {
                let (position, refusal) = (one.entries()[0].position, Refusal::event(Reason::Require));
                refused.push_refused(position, refusal, None, b"as it was");
                batch.stood.push(refusal);
            }
        }
        self.run.step(&Input::Events(refused));
        self.tally.freed += batch.stood.len();
        let effects = self.run.step(&Input::Events(batch));
        prop_assert!(effects.finals.is_empty(), "rows come at ticks only");
        let wanted = counts(&self.stage, &self.log());
        compare::counts(self.run.machine.seen(plan).counts(), &wanted).map_err(TestCaseError::fail)?;
        Ok(())
    }

    fn play(&mut self, command: &Command) -> Result<(), TestCaseError> {
        let plan = self.run.plan;
        match command {
            Command::Ingest(events, decoder, freed) => self.ingest(events, *decoder, *freed)?,
            Command::Tick(event, seconds, caught_up) => {
                let source = &self.stage.sources[0];
                let Datum::Time(time) = self.events[*event].values[source.event_time] else { unreachable!("a time") };
                let at = time.saturating_add(seconds * 1_000_000_000);
                let (caught_up_now, ended, release) = (*caught_up, self.ended, std::mem::take(&mut self.release));
                self.ticks.push(Tick { events: self.log.len(), at, caught_up: caught_up_now, ended, release });
                let listed = if *caught_up { vec![0] } else { Vec::new() };
                // What is released asks for rows too.
                let holds = self.run.machine.holds().clone();
                self.run.machine.folds_mut().iter_mut().for_each(|fold| fold.let_in(plan, &holds));
                self.bring();
                let found = self.run.step(&Input::Tick(input::Tick { at, caught_up: listed }));
                for note in &found.notes {
                    self.tally.held += usize::from(matches!(note.fate, Fate::Held(_)));
                    self.tally.released += usize::from(note.fate == Fate::Released);
                }
                self.finals.extend(found.finals.iter().cloned());
                let found: Vec<Given> = found.finals.iter().map(compare::given).collect();
                let wanted = every_tick(&self.stage, &self.log(), &self.ticks).pop().expect("a tick");
                for row in wanted.iter().filter(|row| row.cause != Cause::Seal) {
                    let kind = self.stage.pipelines[row.spot.pipeline].windows.kind();
                    *self.tally.amended.entry(kind).or_default() += 1;
                    self.tally.removed += usize::from(row.values.is_none());
                }
                self.tally.idle += usize::from(idles(&self.stage, &self.log(), &self.ticks));
                self.alike(&found, &wanted)?;
            }
            // Where facts are held, it is the state of a tick that is written down.
            Command::Recode if self.stage.sources[0].holds && !self.at_tick => {}
            Command::Recode => {
                self.bring();
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
            Command::Release => {
                let release = Release { source: 0, pipeline: None, identity: None };
                self.run.step(&Input::Decision(Decision::Release(release)));
                self.release = true;
            }
        }
        self.at_tick = matches!(command, Command::Tick(..)) || (self.at_tick && matches!(command, Command::Recode));
        Ok(())
    }
}

#[test]
fn the_machine_does_what_a_naive_engine_does() {
    let sequences = effort::share(SEQUENCES);
    let strategy = (0..pool().len(), any::<u64>(), 1..4usize, 1..4usize, commands(14), any::<[bool; 2]>());
    let tally = each_of(sequences, TEST, &strategy, |(stage, seed, judges, folds, commands, [holds, away])| {
        played((stage, holds, away), seed, (judges, folds), &commands)
    });
    tell(sequences, &tally);
}

/// Plays so many sequences that are drawn from the seed in force, and adds up what they told.
fn each_of<S: Strategy>(
    sequences: usize,
    test: &str,
    drawn: &S,
    play: impl Fn(S::Value) -> Result<Tally, TestCaseError>,
) -> Tally {
    let seed = effort::asked_seed().unwrap_or(1);
    let config =
        Config { cases: sequences as u32, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = RefCell::new(Tally::default());
    let outcome = runner.run(drawn, |sequence| {
        tally.borrow_mut().merge(&play(sequence)?);
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}\n{}", effort::again(seed, "it", test));
    }
    tally.into_inner()
}

/// The plan of a stage of the pool with a source that holds.
fn holding(stage: usize) -> &'static Plan {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    let plan = |pooled: &Pooled| {
        let mut plan = pooled.compiled.config.plan.clone();
        plan.sources[0].late = LatePolicy::Hold;
        plan
    };
    &PLANS.get_or_init(|| pool().iter().map(plan).collect())[stage]
}

/// Plays commands over events of a stage of the pool.
fn played(
    (stage, holds, away): (usize, bool, bool),
    seed: u64,
    (judges, folds): (usize, usize),
    commands: &[Command],
) -> Result<Tally, TestCaseError> {
    let (number, pooled) = (stage, &pool()[stage]);
    let (events, injected) = adversary::events(&mut Rng::new(seed), &pooled.stage, EVENTS);
    let world = World { seed, stage: pooled.stage.clone(), events, injected };
    let order: Vec<usize> = (0..EVENTS).collect();
    let batches = pooled.compiled.decode(&pooled.compiled.cut(&engine::spell(&world), &order, 1).chunks);
    let mut stage = pooled.stage.clone();
    stage.sources[0].holds = holds;
    let run = Run::new(if holds { holding(number) } else { &pooled.compiled.config.plan }, judges, folds);
    let stood = Stood { part: "file".into(), offset: 0 };
    let (log, ticks, ended, tally) = (Vec::new(), Vec::new(), false, Tally::default());
    let (release, at_tick, events) = (false, false, &world.events);
    let mut played =
        Played { events, batches, run, log, ticks, ended, release, at_tick, stage, finals: Vec::new(), stood, tally };
    // Everything that came shows at the end.
    let end = [Command::End, Command::Tick(0, 0, false), Command::Release, Command::Tick(0, 0, false)];
    // Only a service puts windows away, and its input does not end.
    let commands = commands.iter().filter(|command| !away || !matches!(command, Command::End));
    for command in commands.chain(&end) {
        played.play(command)?;
        if away && matches!(command, Command::Tick(..)) {
            played.put_away();
        }
        let kind = match command {
            Command::Ingest(..) => 0,
            Command::Tick(..) => 1,
            Command::Recode => 2,
            Command::End => 3,
            Command::Release => 4,
        };
        played.tally.transitions[kind] += 1;
    }
    played.is_whole()?;
    Ok(played.tally)
}

/// Prints the figures, and demands that nothing was tried too seldom.
fn tell(sequences: usize, tally: &Tally) {
    let Tally { transitions, amended, removed, idle, held, released, freed, away, asked } = tally;
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
    effort::print(&format!("model release={} held={held} released={released} judged_again={freed}", transitions[4]));
    assert!(*freed >= floor, "events were judged again often: {freed}");
    effort::print(&format!("model put_away={away} asked={asked}"));
    assert!(*away >= floor / 4 && *asked >= floor / 50, "windows were put away and came back often: {tally:?}");
    assert!(*held >= floor / 2 && *released >= floor / 4, "facts were held and released often: {tally:?}");
    assert!(*idle >= floor / 20, "origins were idle often: {idle}");
    for kind in Windows::KINDS {
        let count = amended.get(kind).copied().unwrap_or(0);
        assert!(count >= floor / 100, "sealed rows of {kind} changed often: {count}");
    }
}
