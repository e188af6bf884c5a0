//! What happens on a voyage but for mishaps: which files there are, in which runs they are given, and how all is kept.

use crate::adversary::Size;
use crate::engine;
use crate::oracle::Truth;
use crate::oracle::content::Stood;
use crate::rng::Rng;
use crate::trial::Trial;
use slackwater::decode::{Chunk, Decoder};
use slackwater::face::config::Config;
use slackwater::runtime::instance::Settings;
use slackwater_core::input::{Decoded, Entry};
use slackwater_core::plan::expr::{Comparison, Node};
use slackwater_core::plan::{Expr, Guard, Guards};
use slackwater_core::value::{Type, Value};
use slackwater_store::KeepRaw;
use slackwater_store::journal::Limits;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A file.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its source.
    pub source: u16,
    /// Its name.
    pub name: String,
    /// Its events, by number, as far as it ever grows.
    pub events: Vec<usize>,
    /// Events of a chunk.
    pub batch: usize,
}

/// A file that is given to a run, as long as it is by then.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// Which.
    pub part: usize,
    /// Events that it has.
    pub len: usize,
}

/// A voyage as it would be on a calm sea.
pub struct Script {
    /// The world.
    pub trial: Trial,
    /// All files.
    pub parts: Vec<Part>,
    /// What each run is given; every run ends with a tick.
    pub runs: Vec<Vec<Given>>,
    /// The run that lets in what is held, where sources hold what is late.
    pub release: Option<usize>,
    /// By run, what each source demands; behind them, what it is configured with.
    pub guards: Vec<Vec<Arc<Guards>>>,
    /// Whether every run judges again what stands in quarantine, and the last one discards what stays there.
    pub judges_again: bool,
    /// How all is kept.
    pub settings: Settings,
    /// How many times as much as in the smallest world comes and is kept at once.
    coarse: usize,
    /// By source, the times of its events, once somebody asks.
    times: Vec<OnceLock<Vec<i64>>>,
}

/// In nanoseconds.
const HOUR: i64 = 3_600_000_000_000;
/// Events of a world that are taken and kept in the smallest pieces.
const SMALL: usize = 150;
/// So many of a hundred larger worlds are too.
const FINE: usize = 3;

/// Kept in one piece, and as one checkpoint a run: as plainly as can be.
pub fn plain() -> Settings {
    Settings {
        threads: 1,
        shards: 1,
        every: Duration::MAX,
        bytes: u64::MAX,
        checkpoints: 2,
        journal: Limits { segment_bytes: 1 << 40, most_bytes: 1 << 50, reserve_bytes: 0 },
        windows: usize::MAX,
        record_above: 0,
        keep_raw: KeepRaw::Forever,
        keep_for: 0,
        keep_facts: Vec::new(),
    }
}

impl Script {
    /// Draws a voyage; in some the sources hold what is late.
    pub fn draw(seed: u64, size: Size) -> Script {
        Script::of(seed, size, Rng::new(seed ^ 0x401d).chance(40))
    }

    /// Draws a voyage whose sources amend.
    pub fn amending(seed: u64, size: Size) -> Script {
        Script::of(seed, size, false)
    }

    fn of(seed: u64, size: Size, holds: bool) -> Script {
        let mut trial = Trial::draw(seed, size);
        if holds {
            trial.hold();
        }
        let mut rng = Rng::new(seed ^ 0x5ea);
        let fine = Rng::new(seed ^ 0xf17e).chance(FINE);
        let coarse = if fine { 1 } else { (trial.world.events.len() / SMALL).max(1) };
        let mut settings = settings(&mut rng, coarse as u64);
        // Nothing, what is older than the last tick, or than the one before it.
        settings.keep_for = *Rng::new(seed ^ 0x6b66).pick(&[0, 0, 1, 1_500_000_000]);
        let (parts, runs, guards, times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut script =
            Script { trial, parts, runs, release: None, guards, judges_again: false, settings, coarse, times };
        script.times.resize_with(script.trial.world.stage.sources.len(), OnceLock::new);
        let (events, runs) = (script.trial.world.events.len(), 1 + rng.below(4));
        let mut borders: Vec<usize> = (1..runs).map(|_| rng.below(events + 1)).collect();
        borders.extend([0, events]);
        borders.sort_unstable();
        for border in borders.windows(2) {
            script.draw_run(&mut rng, border[0]..border[1]);
        }
        if holds {
            script.release = Some(script.runs.len());
            script.runs.push(Vec::new());
        }
        script.turn_guards(&mut Rng::new(seed ^ 0x6a4d));
        script
    }

    /// In some voyages the sources demand more at first than at last, and what was refused is judged again.
    fn turn_guards(&mut self, rng: &mut Rng) {
        if !rng.chance(40) {
            return;
        }
        if self.release.is_none() {
            self.runs.push(Vec::new());
        }
        let last = self.runs.len() - 1;
        let sources = 0..self.trial.world.stage.sources.len();
        self.guards = (0..last).map(|_| sources.clone().map(|source| self.demands(rng, source)).collect()).collect();
        self.judges_again = true;
    }

    /// What a source demands in a run: what it is configured with, or more.
    pub fn demands(&self, rng: &mut Rng, source: usize) -> Arc<Guards> {
        let compiled = &self.trial.compiled.config.plan.sources[source];
        let mut guards = Guards::clone(&compiled.guards);
        let drawn = rng.below(6);
        let times = if (1..5).contains(&drawn) { self.times(source) } else { &[] };
        match drawn {
            0 => guards.origins = Some(Vec::new()),
            1 | 2 if !times.is_empty() => guards.max_time = guards.max_time.into_iter().chain([*rng.pick(times)]).min(),
            3 if !times.is_empty() => guards.min_time = guards.min_time.into_iter().chain([*rng.pick(times)]).max(),
            4 if !times.is_empty() => guards.require.push(before(compiled.schema.roles().event_time, *rng.pick(times))),
            _ => {}
        }
        Arc::new(guards)
    }

    /// The times of the events of a source.
    fn times(&self, source: usize) -> &[i64] {
        let Config { plan, sources, .. } = &self.trial.compiled.config;
        self.times[source].get_or_init(|| {
            let parts = self.parts.iter().enumerate().filter(|(_, part)| usize::from(part.source) == source);
            let chunks = parts.flat_map(|(part, known)| self.chunks(Given { part, len: known.events.len() }));
            let mut decoder = Decoder::new(&plan.sources[source], sources[source].format);
            let time = |entry: &Entry| match entry.decoded {
                Decoded::Row(head) => Some(head.time),
                Decoded::Refused(_) => None,
            };
            chunks
                .flat_map(|chunk| decoder.decode(&chunk).entries().iter().filter_map(time).collect::<Vec<_>>())
                .collect()
        })
    }

    /// What each source demands in a run.
    pub fn guards_of(&self, run: usize) -> Vec<Arc<Guards>> {
        let configured =
            || self.trial.compiled.config.plan.sources.iter().map(|source| source.guards.clone()).collect();
        self.guards.get(run).cloned().unwrap_or_else(configured)
    }

    fn draw_run(&mut self, rng: &mut Rng, events: std::ops::Range<usize>) {
        let mut run: Vec<Given> = Vec::new();
        for source in 0..self.trial.world.stage.sources.len() {
            let mine: Vec<usize> =
                events.clone().filter(|number| self.trial.world.events[*number].source == source).collect();
            let middle = if rng.chance(50) { mine.len() } else { rng.below(mine.len() + 1) };
            for piece in [&mine[..middle], &mine[middle..]] {
                if !piece.is_empty() {
                    run.push(self.place(rng, &run, source, piece));
                }
            }
        }
        let known = self.parts.len();
        if known > 0 && rng.chance(40) {
            let part = rng.below(known);
            if run.iter().all(|given| given.part != part) {
                run.push(Given { part, len: self.parts[part].events.len() });
            }
        }
        if known > 0 && rng.chance(30) {
            let Part { source, events, .. } = rng.pick(&self.parts).clone();
            run.push(self.begin(rng, source, events));
        }
        rng.shuffle(&mut run);
        self.runs.push(run);
    }

    /// Puts events into a file: at the end of one that earlier runs were given, or into a new one.
    fn place(&mut self, rng: &mut Rng, run: &[Given], source: usize, events: &[usize]) -> Given {
        let old = |part: &usize| {
            usize::from(self.parts[*part].source) == source && run.iter().all(|given| given.part != *part)
        };
        match (0..self.parts.len()).rfind(old).filter(|_| rng.chance(40)) {
            Some(part) => {
                self.parts[part].events.extend_from_slice(events);
                Given { part, len: self.parts[part].events.len() }
            }
            None => self.begin(rng, source as u16, events.to_vec()),
        }
    }

    fn begin(&mut self, rng: &mut Rng, source: u16, events: Vec<usize>) -> Given {
        let (name, batch) = (format!("file{}", self.parts.len()), *rng.pick(&[3, 17, 100, 10_000]) * self.coarse);
        let len = events.len();
        self.parts.push(Part { source, name, events, batch });
        Given { part: self.parts.len() - 1, len }
    }

    /// The chunks of a file as long as it is given.
    pub fn chunks(&self, given: Given) -> VecDeque<Chunk> {
        let Part { name, events, batch, .. } = &self.parts[given.part];
        self.trial.compiled.file(&self.trial.spelled, name, &events[..given.len], *batch).into()
    }

    /// Where each event of a file stands, and behind them the end of the file.
    pub fn offsets(&self, part: usize) -> Vec<u64> {
        let mut end = 0;
        let ends = self.parts[part].events.iter().map(|number| {
            end += self.trial.spelled.events[*number].1.len() as u64;
            end
        });
        std::iter::once(0).chain(ends.collect::<Vec<_>>()).collect()
    }

    /// How many events come in.
    pub fn events(&self) -> usize {
        self.parts.iter().map(|part| part.events.len()).sum()
    }

    /// What must have come of everything in the end.
    pub fn truth(&self) -> Truth {
        self.truth_without(&BTreeSet::new())
    }

    /// The same, if what stands at these places had never come.
    pub fn truth_without(&self, places: &BTreeSet<(String, u64)>) -> Truth {
        let (mut order, mut stood) = (Vec::new(), Vec::new());
        for (part, offsets) in self.parts.iter().zip((0..).map(|part| self.offsets(part))) {
            for (event, offset) in part.events.iter().zip(offsets) {
                let place = Stood { part: part.name.clone(), offset };
                if !places.contains(&(place.part.clone(), place.offset)) {
                    order.push(*event);
                    stood.push(place);
                }
            }
        }
        engine::truth_of(&self.trial.world, &order, &stood)
    }

    /// Lets sources be cut off soon behind what they reach. Event bytes stay, so that everything can be made again.
    pub fn cut_off(&mut self, seed: u64) {
        self.settings.keep_facts = self.keeps(&mut Rng::new(seed ^ 0xc0ff));
        self.settings.keep_raw = KeepRaw::Forever;
    }

    /// How long each source keeps its facts, if not for good.
    pub fn keeps(&self, rng: &mut Rng) -> Vec<Option<i64>> {
        let sources = 0..self.trial.world.stage.sources.len();
        sources.map(|_| *rng.pick(&[None, Some(0), Some(HOUR), Some(30 * HOUR)])).collect()
    }
}

/// A guard that a field is a time before this one.
fn before(field: usize, time: i64) -> Guard {
    let field = Expr { ty: Type::Timestamp, nullable: false, node: Node::Input(field) };
    let time = Expr::literal(Type::Timestamp, Value::Time(time).to_scalar());
    let node = Node::Compare(Comparison::Less, Box::new(field), Box::new(time));
    Guard { expr: Expr { ty: Type::Bool, nullable: false, node }, text: "early enough".to_string() }
}

fn settings(rng: &mut Rng, coarse: u64) -> Settings {
    Settings {
        shards: 1 + rng.below(4),
        bytes: rng.pick(&[0, 900, 6_000, u64::MAX]).saturating_mul(coarse),
        checkpoints: 1 + rng.below(4),
        journal: Limits { segment_bytes: rng.pick(&[200, 3_000, 20_000, 1 << 40]) * coarse, ..plain().journal },
        keep_raw: if rng.chance(30) { KeepRaw::None } else { KeepRaw::Forever },
        ..plain()
    }
}
