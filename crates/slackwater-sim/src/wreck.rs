//! Short workloads of an instance, the power cut at every change of the disk that they make, and every disk that it may
//! leave.
//!
//! Segments of the journal are so short that every group begins one, and one checkpoint is kept: so every checkpoint also
//! rotates the journal, turns segments into record, and lets go what the one before it named.

use crate::adversary::Size;
use crate::platter::{Platter, Trouble};
use crate::rng::Rng;
use crate::voyage::leg::{Harbour, Seen, Stop, calm, open, take};
use crate::voyage::logbook::{Logbook, told};
use crate::voyage::script::{Given, Part, Script, plain};
use slackwater::runtime::instance::{Instance, Settings};
use slackwater_store::KeepRaw;
use slackwater_store::journal::Limits;
use std::collections::BTreeSet;

/// One thing that is done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It takes a small file.
    Small,
    /// It takes a file of several chunks, and commits between them where it may.
    Large,
    /// It takes a file with all earlier events again, and some more.
    Correct,
    /// A checkpoint, where one may be made.
    Checkpoint,
    /// The end of all input so far.
    End,
    /// The process ends, and another one opens the instance.
    Reopen,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 6] = [Act::Small, Act::Large, Act::Correct, Act::Checkpoint, Act::End, Act::Reopen];
}

/// Every workload of so many acts.
pub fn workloads(len: usize) -> Vec<Vec<Act>> {
    let longer =
        |all: Vec<Vec<Act>>| all.iter().flat_map(|begun| Act::ALL.map(|act| [&begun[..], &[act]].concat())).collect();
    (0..len).fold(vec![Vec::new()], |all, _| longer(all))
}

/// What was tried, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Images of power cuts, each another one.
    pub images: usize,
    /// Images from which everything went on as if nothing had happened.
    pub recovered: usize,
    /// Images of which only some were tried, because there are too many.
    pub sampled: usize,
}

/// Most images of one power cut that are counted through, and how many are drawn where there are more.
const MOST: usize = 40;
const DRAWN: usize = 40;

/// A workload with its files, and what it gives undisturbed.
struct Wreck<'a> {
    acts: &'a [Act],
    script: Script,
    /// By act: the file that it takes.
    files: Vec<Option<Given>>,
    settings: Settings,
    logbook: Logbook,
}

/// Cuts the power at every change that the last act of a workload makes.
///
/// # Errors
/// What is not as it must be.
pub fn cut_everywhere(acts: &[Act], seed: u64, figures: &mut Figures) -> Result<(), String> {
    let wreck = Wreck::draw(acts, seed)?;
    let last = acts.len() - 1;
    let known = |stop: Stop| format!("{acts:?} undisturbed: {}", told(&stop));
    let harbour = Harbour::new();
    wreck.perform(&harbour, last).map_err(known)?;
    let from = harbour.disk.changes();
    let harbour = Harbour::new();
    wreck.perform(&harbour, acts.len()).map_err(known)?;
    let mut met = BTreeSet::new();
    for at in from..=harbour.disk.changes() {
        let harbour = Harbour::new();
        harbour.ledger.remember();
        harbour.disk.trouble(Trouble::Crash(at));
        // Where it ends is where the power is cut.
        let _ = wreck.perform(&harbour, acts.len());
        let mut stores = vec![harbour.ledger.committed()];
        stores.extend(harbour.ledger.before(at));
        for store in stores {
            for disk in wreck.images(&harbour.disk, at as u64, figures) {
                let digest = digest(&disk, store.head.as_ref().map_or(0, |head| head.commit));
                if !met.insert(digest) {
                    continue;
                }
                figures.images += 1;
                let found = Harbour { disk, ledger: crate::ledger::Ledger::of(store.clone()) };
                let why = |text| format!("{acts:?}, world {seed}, cut at change {at}: {text}");
                wreck.recover(&found).map_err(why)?;
                figures.recovered += 1;
            }
        }
    }
    Ok(())
}

fn digest(disk: &Platter, commit: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&commit.to_le_bytes());
    for (name, bytes) in disk.files() {
        hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    *hasher.finalize().as_bytes()
}

impl<'a> Wreck<'a> {
    fn draw(acts: &'a [Act], seed: u64) -> Result<Wreck<'a>, String> {
        let size = Size { sources: 1, pipelines: 1, events: 8 * acts.len(), positions: false };
        let mut script = Script::amending(seed, size);
        (script.parts, script.runs) = (Vec::new(), Vec::new());
        let mut files = Vec::new();
        for (number, act) in acts.iter().enumerate() {
            let (from, to) = (8 * number, 8 * number + 8);
            let events: Vec<usize> = match act {
                Act::Small => (from..from + 3).collect(),
                Act::Large => (from..to).collect(),
                Act::Correct => (0..from).chain(from..from + 3).collect(),
                _ => {
                    files.push(None);
                    continue;
                }
            };
            files.push(Some(Given { part: script.parts.len(), len: events.len() }));
            let batch = if *act == Act::Large { 3 } else { 100 };
            script.parts.push(Part { source: 0, name: format!("file{number}"), events, batch });
        }
        let settings = Settings {
            shards: 2,
            bytes: 1,
            checkpoints: 1,
            journal: Limits { segment_bytes: 300, ..plain().journal },
            keep_raw: if seed.is_multiple_of(2) { KeepRaw::Forever } else { KeepRaw::None },
            ..plain()
        };
        let mut wreck = Wreck { acts, script, files, settings, logbook: Logbook::default() };
        wreck.write()?;
        Ok(wreck)
    }

    /// What the workload gives undisturbed, after every tick.
    fn write(&mut self) -> Result<(), String> {
        let harbour = Harbour::new();
        let mut runs = Vec::new();
        for until in 1..=self.acts.len() {
            if until == self.acts.len() || self.acts[until - 1] == Act::End {
                let harbour = Harbour::new();
                let seen = self.perform(&harbour, until).and_then(|()| self.finish(&harbour, self.ended(until)..until));
                let seen = seen.map_err(|stop| format!("{:?} undisturbed: {}", self.acts, told(&stop)))?;
                let head = harbour.ledger.head().unwrap_or_default();
                if head.ticks as usize > runs.len() {
                    runs.push((head, seen));
                }
            }
        }
        let all = self.acts.len();
        let done = self.perform(&harbour, all).and_then(|()| self.finish(&harbour, self.ended(all)..all));
        done.map_err(|stop| format!("{:?} undisturbed: {}", self.acts, told(&stop)))?;
        self.logbook = Logbook { runs, last: harbour.ledger.committed(), changes: Vec::new() };
        Ok(())
    }

    /// Performs the acts before one, in as many processes as they ask for. Each is first given again what came since the
    /// last end, as it would be by a person.
    fn perform(&self, harbour: &Harbour, until: usize) -> Result<(), Stop> {
        let numbers: Vec<usize> = (0..until).collect();
        for process in numbers.split(|number| self.acts[*number] == Act::Reopen) {
            let begun = process.first().copied().unwrap_or(0);
            open(&self.script, harbour, &self.settings, calm(0), |instance, _| {
                instance.guard(&self.script.guards_of(usize::MAX))?;
                let mut again = (self.ended(begun)..begun).filter(|number| self.files[*number].is_some());
                again.try_for_each(|number| self.act(instance, number))?;
                process.iter().try_for_each(|number| self.act(instance, *number))
            })?;
        }
        Ok(())
    }

    /// The act behind the last end before one.
    fn ended(&self, before: usize) -> usize {
        self.acts[..before].iter().rposition(|act| *act == Act::End).map_or(0, |end| end + 1)
    }

    fn act(&self, instance: &mut Instance<'_>, number: usize) -> Result<(), Stop> {
        match (self.acts[number], self.files[number]) {
            (_, Some(given)) => take(&self.script, instance, given),
            (Act::End, _) => Ok(instance.end()?),
            (Act::Checkpoint, _) if instance.may_be_cut() => Ok(instance.checkpoint()?),
            _ => Ok(()),
        }
    }

    /// Performs some of the acts and the end of all input behind them.
    fn finish(&self, harbour: &Harbour, acts: std::ops::Range<usize>) -> Result<Seen, Stop> {
        open(&self.script, harbour, &self.settings, calm(0), |instance, _| {
            instance.guard(&self.script.guards_of(usize::MAX))?;
            acts.into_iter().try_for_each(|number| self.act(instance, number))?;
            instance.end()?;
            Ok(Seen { counts: instance.seen().counts().to_vec(), faults: instance.faults() })
        })
    }

    /// All images of a crash; where there are too many, some that are drawn.
    fn images(&self, disk: &Platter, seed: u64, figures: &mut Figures) -> Vec<Platter> {
        let images: Vec<Platter> = disk.images().take(MOST + 1).collect();
        if images.len() <= MOST {
            return images;
        }
        figures.sampled += DRAWN;
        let mut rng = Rng::new(seed);
        (0..DRAWN).map(|_| disk.image(rng.bits())).collect()
    }

    /// Opens what was found, and does again what may be missing of it: everything behind the last end that was done.
    fn recover(&self, found: &Harbour) -> Result<(), String> {
        let last = self.acts.len() - 1;
        let ended = self.ended(last);
        let acked = self.logbook.runs.iter().filter(|(head, _)| head.ticks <= self.ticks_before(ended)).count();
        self.logbook.check(&found.ledger.committed(), acked)?;
        let seen = self.finish(found, ended..self.acts.len()).map_err(|stop| format!("unopenable: {}", told(&stop)))?;
        match self.logbook.runs.len().checked_sub(1) {
            Some(run) => self.logbook.check_after(&found.ledger.committed(), run, &seen),
            None => Ok(()),
        }
    }

    /// Ticks of the acts before one: of every end that something new came before.
    fn ticks_before(&self, until: usize) -> u64 {
        let (mut ticks, mut new) = (0, false);
        for (act, file) in self.acts[..until].iter().zip(&self.files) {
            new |= file.is_some();
            if *act == Act::End {
                // Where nothing ever came, the first end is a tick of its own.
                ticks += u64::from(new || ticks == 0);
                new = false;
            }
        }
        ticks
    }
}
