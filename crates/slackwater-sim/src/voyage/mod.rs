//! Whole voyages: one seed is a world, the files that it comes in, how it is kept, and everything that befalls it.
//!
//! After every mishap the instance is opened again and the same files are given again, until all is done. What is committed
//! at any time must be what a calm voyage commits.

pub mod cutoffs;
pub mod leg;
pub mod logbook;
pub mod mishap;
pub mod passage;
pub mod script;

use crate::adversary::Size;
use crate::ledger::Committed;
use crate::platter::Platter;
use crate::rng::Rng;
use leg::{Harbour, Stop, sail, sail_from};
use logbook::{Logbook, heads, told};
use mishap::{Ashore, AtSea, Damage, Figures};
use script::Script;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Mishaps of one run at most; the attempt behind them must succeed.
const MISHAPS: usize = 4;

/// What one seed gave.
#[derive(Clone, Debug)]
pub struct Voyaged {
    /// How often each thing happened.
    pub figures: Figures,
    /// Digest of every change of the disk, every file, every head and every row, in order.
    pub trace: [u8; 32],
}

/// Makes the voyage of a seed.
///
/// # Errors
/// What is not as it must be.
pub fn voyage(seed: u64, size: Size) -> Result<Voyaged, String> {
    through(seed, Script::draw(seed, size))
}

/// Makes the voyage of a seed on which sources are cut off.
///
/// # Errors
/// What is not as it must be.
pub fn voyage_cut_off(seed: u64, size: Size) -> Result<Voyaged, String> {
    let mut script = Script::draw(seed, size);
    script.cut_off(seed);
    through(seed, script)
}

fn through(seed: u64, script: Script) -> Result<Voyaged, String> {
    let logbook = Logbook::write(&script)?;
    let mut rng = Rng::new(seed ^ 0xca1a);
    let off = |rng: &mut Rng, count: usize| (0..count).filter(|_| rng.chance(65)).collect::<Vec<usize>>();
    let (at_sea, ashore) = (off(&mut rng, AtSea::KINDS), off(&mut rng, Ashore::ALL.len()));
    let (figures, trace) = (Figures::default(), blake3::Hasher::new());
    let harbour = Harbour::new();
    let (reshards, older, flipped) = (rng.chance(50), Vec::new(), BTreeSet::new());
    let script = &script;
    let mut voyage =
        Voyage { script, logbook, rng, at_sea, ashore, reshards, figures, trace, harbour, older, flipped, floor: 0 };
    voyage.figures.note("events", script.events());
    voyage.figures.note("held", voyage.logbook.last.notes.len());
    voyage.figures.note("rulings", voyage.logbook.last.rulings.len());
    let last = voyage.logbook.last.head.iter();
    voyage.figures.note("cutoffs", last.clone().map(|head| head.cutoffs.iter().count()).sum());
    let beyond = last.flat_map(|head| &head.counts).map(|counts| counts.beyond_retention as usize);
    voyage.figures.note("beyond", beyond.sum());
    let mut disks = Vec::new();
    for run in 0..script.runs.len() {
        voyage.run(run).map_err(|text| format!("run {run}: {text}"))?;
        disks.push(voyage.harbour.disk.copy());
    }
    voyage.damage(&disks)?;
    Ok(Voyaged { figures: voyage.figures, trace: *voyage.trace.finalize().as_bytes() })
}

struct Voyage<'s> {
    script: &'s Script,
    logbook: Logbook,
    rng: Rng,
    /// The kinds of mishaps that this seed has.
    at_sea: Vec<usize>,
    ashore: Vec<usize>,
    reshards: bool,
    figures: Figures,
    trace: blake3::Hasher,
    harbour: Harbour,
    /// What was committed after earlier attempts.
    older: Vec<Arc<Committed>>,
    /// Manifests that were damaged.
    flipped: BTreeSet<String>,
    /// Runs that are done and of which everything must still be there.
    floor: usize,
}

impl Voyage<'_> {
    /// Gives a run until it succeeds.
    fn run(&mut self, run: usize) -> Result<(), String> {
        let mut left = self.rng.below(MISHAPS + 1);
        self.floor = run;
        loop {
            let mut settings = self.script.settings.clone();
            if self.reshards && self.rng.chance(40) {
                settings.shards = 1 + self.rng.below(6);
                self.figures.note("reshard", 1);
            }
            if left > 0 && self.rng.chance(35) {
                self.happen();
            }
            let kind = self.at_sea.get(self.rng.below(self.at_sea.len().max(1))).filter(|_| left > 0);
            let mishap = kind.map(|kind| AtSea::draw(*kind, self.logbook.changes[run], &mut self.rng));
            let Harbour { disk, ledger } = &self.harbour;
            mishap.into_iter().for_each(|mishap| mishap.prepare(disk, ledger));
            let outcome = sail(self.script, &self.harbour, &settings, run);
            let came = mishap.and_then(|mishap| mishap.came(disk, ledger, outcome.is_err()));
            ledger.trouble(None);
            came.into_iter().for_each(|name| self.figures.note(name, 1));
            let why = |text: String| format!("{text}\n  after {mishap:?}, {left} left, {settings:?}");
            self.note().map_err(why)?;
            match outcome {
                Ok(seen) => {
                    let committed = self.harbour.ledger.committed();
                    self.logbook.check_after(&committed, run, &seen).map_err(why)?;
                    self.all_ended(&committed, run).map_err(why)?;
                    self.older.push(committed);
                    self.land(50);
                    return Ok(());
                }
                Err(Stop::Fault(_)) if came.is_some() => {}
                Err(stop) => return Err(why(told(&stop))),
            }
            let committed = self.harbour.ledger.committed();
            self.logbook.check(&committed, self.floor).map_err(why)?;
            if self.floor == run && committed.head.is_some() {
                self.older.push(committed);
            }
            self.land(30);
            left = left.saturating_sub(1);
        }
    }

    /// Whether the ends of all files of a run are noted.
    fn all_ended(&self, committed: &Committed, run: usize) -> Result<(), String> {
        let offsets = committed.head.iter().flat_map(|head| &head.offsets);
        let open: Vec<&str> = offsets.filter(|offset| !offset.ended).map(|offset| offset.part.as_str()).collect();
        let given = |name: &str| self.script.runs[run].iter().any(|given| self.script.parts[given.part].name == name);
        match open.iter().find(|name| given(name)) {
            Some(name) => Err(format!("nobody has noted that {name} was read to its end")),
            None => Ok(()),
        }
    }

    /// Something befalls what is kept.
    fn happen(&mut self) {
        let Some(kind) = self.ashore.get(self.rng.below(self.ashore.len().max(1))) else { return };
        let happened = Ashore::ALL[*kind].happen(&self.harbour, (&self.older, &mut self.flipped), &mut self.rng);
        if let Some((name, missing)) = happened {
            self.figures.note(name, 1);
            if missing {
                self.floor = 0;
            }
        }
    }

    /// Adds what is there now to the trace, and looks at every commit since.
    fn note(&mut self) -> Result<(), String> {
        let Harbour { disk, ledger } = &self.harbour;
        for (verb, name) in disk.trace() {
            self.trace.update(format!("{verb:?} {name}\n").as_bytes());
        }
        for (name, bytes) in disk.files() {
            self.trace.update(name.as_bytes()).update(&bytes);
        }
        let mut encoded = Vec::new();
        let since = ledger.heads();
        since.iter().for_each(|head| head.encode(&mut encoded));
        for kept in ledger.committed().rows.values() {
            kept.row.encode(&mut encoded);
        }
        self.trace.update(&encoded);
        heads(self.script, &since)
    }

    /// The process is gone; and in so many of a hundred cases the power too, if it was not before.
    fn land(&mut self, percent: usize) {
        let disk = &self.harbour.disk;
        if disk.is_dark() || self.rng.chance(percent) {
            let found = disk.image(self.rng.bits());
            self.figures.note("crashes", 1);
            let (before, after) = (disk.files(), found.files());
            let kept = |name: &String| after.get(name);
            self.figures.note("lost", usize::from(before.keys().any(|name| kept(name).is_none())));
            let torn = before.iter().any(|(name, bytes)| kept(name).is_some_and(|after| after != bytes));
            self.figures.note("torn", usize::from(torn));
            self.harbour.disk = found;
        } else {
            self.harbour.disk = disk.restarted();
        }
    }

    /// What must be found out, or do no harm.
    fn damage(&mut self, disks: &[Platter]) -> Result<(), String> {
        let run = self.script.runs.len() - 1;
        for damage in Damage::ALL {
            let harbour = self.harbour.copy();
            // A run in which nothing came and nothing was released leaves the journal as it was.
            let journal = |run: usize| self.logbook.runs[run].0.journal;
            let older = run.checked_sub(1).map(|_| self.rng.below(run));
            let older = older.filter(|at| journal(*at) < journal(run)).map(|at| &disks[at]);
            let Some(found_out) = damage.wreak(&harbour, older, &self.logbook, &mut self.rng) else { continue };
            let mut told = false;
            let outcome = sail_from(self.script, &harbour, &self.script.settings, run, |reopened| {
                // What a checkpoint covers does no harm, and is told.
                told = reopened.notes.iter().any(|note| note.contains("journal/") && note.contains("covers them"));
            });
            self.figures.note("told", usize::from(told));
            let text = match outcome {
                Ok(_) if found_out && !told => Err("it is taken as if nothing had happened".to_string()),
                Ok(seen) => {
                    self.figures.note("masked", 1);
                    self.logbook.check_after(&harbour.ledger.committed(), run, &seen)
                }
                Err(Stop::Fault(_)) => {
                    self.figures.note("refused", 1);
                    // A store that has to be made anew is empty as long as it cannot be.
                    let committed = harbour.ledger.committed();
                    let floor = if damage == Damage::NoStore { 0 } else { run + 1 };
                    self.logbook.check(&committed, floor)
                }
                Err(Stop::Wrong(text)) => Err(text),
            };
            text.map_err(|text| format!("{damage:?}: {text}, {:?}", self.script.settings))?;
            if damage == Damage::NoStore && harbour.ledger.head().is_none() {
                return Err("a store that was lost is not made again".to_string());
            }
        }
        Ok(())
    }
}
