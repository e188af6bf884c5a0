//! Identity runs: what is known of every identity ever accepted or retracted, exact, for ever, in bounded memory.
//!
//! In memory are the fences of every run, with filters where numbers are not dense, and a small cache of blocks. An
//! identity that is new is mostly answered by them alone; one that is known costs a block. Nothing is decided by a
//! filter but that something is not there.

mod block;
mod cache;
mod draft;
mod entries;
mod fence;
mod merge;
mod run;

pub use entries::{Entries, Known};
pub use run::RunInfo;

use crate::disk::Disk;
use crate::fault::Fault;
use crate::order::sorted;
use crate::tier;
use cache::Cache;
use draft::Draft;
use fence::{gallop, may_have};
use run::Run;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The folder of the runs.
const FOLDER: &str = "index";
/// Most bytes of one identity: an event has no more.
const IDENTITY_BYTES: usize = slackwater_core::limits::EVENT_BYTES;

/// All identities. A clone has the same runs; only one of the two may be added to.
#[derive(Clone, Debug)]
pub struct Index {
    disk: Arc<dyn Disk>,
    /// From the oldest to the newest.
    runs: Vec<Arc<Run>>,
    next: u64,
    cache: Arc<Cache>,
}

impl Index {
    /// Opens the runs that a checkpoint names, from the oldest to the newest; `next` is the number of the next one.
    /// Digests of heads, fences and tails are checked here, those of blocks by [`Index::scrub`].
    ///
    /// # Errors
    /// What the disk says, or where a run is damaged.
    pub fn open(disk: Arc<dyn Disk>, runs: &[RunInfo], next: u64) -> Result<Index, Fault> {
        let made = disk.make_folder(FOLDER).and_then(|()| disk.sync_folder(""));
        made.map_err(|cause| Fault::disk(FOLDER, "make", cause))?;
        let open = |info: &RunInfo| Run::open(&*disk, *info).map(Arc::new);
        let runs = runs.iter().map(open).collect::<Result<Vec<_>, Fault>>()?;
        let numbers: Vec<u64> = runs.iter().map(|run| run.info.number).chain([next]).collect();
        if !numbers.is_sorted_by(|a, b| a < b) {
            return Err(Fault::Refused(format!(
                "identity runs {numbers:?}, the last of them the next: they must ascend"
            )));
        }
        // A number that was ever given is not given again: another checkpoint may name the run that has it.
        let there = disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))?;
        let next = there.iter().filter_map(|name| number_of(name)).fold(next, |next, number| next.max(number + 1));
        Ok(Index { disk, runs, next, cache: Arc::new(Cache::new()) })
    }

    /// What is known of each of these identities, in any order.
    ///
    /// # Errors
    /// What the disk says, or where a block is damaged.
    pub fn look_up(&self, asks: &[&[u8]]) -> Result<Vec<Option<Known>>, Fault> {
        let mut found = vec![None; asks.len()];
        let mut open = sorted(asks.len(), |at| asks[at]);
        for run in self.runs.iter().rev() {
            if self.look_in(run, asks, &open, &mut found)? {
                open.retain(|at| found[*at as usize].is_none());
            }
        }
        Ok(found)
    }

    /// Looks for the identities that are open, in order, in one run. Whether one was found.
    fn look_in(&self, run: &Run, asks: &[&[u8]], open: &[u32], found: &mut [Option<Known>]) -> Result<bool, Fault> {
        let fences = &run.fences;
        let (mut any, mut at, mut begun) = (false, 0, 0);
        while at < open.len() {
            let ask = asks[open[at] as usize];
            begun = fences.begun(begun, ask);
            if begun == 0 || ask > fences.last(begun - 1) {
                // Between two blocks there is nothing, up to where the next one begins.
                if begun == fences.len() {
                    break;
                }
                let next = fences.first(begun);
                at = gallop(at + 1, open.len(), |at| asks[open[at] as usize] < next);
                continue;
            }
            let (number, lines) = (begun - 1, fences.lines(begun - 1));
            if !lines.is_empty() && !may_have(lines, ask) {
                at += 1;
                continue;
            }
            let block = self.cache.get(run, number)?;
            let last = fences.last(number);
            loop {
                let place = open[at] as usize;
                let known = block.find(asks[place]).map(|entry| block.known(entry));
                any |= known.is_some();
                found[place] = known;
                at += 1;
                if at == open.len() || asks[open[at] as usize] > last {
                    break;
                }
            }
        }
        Ok(any)
    }

    /// Adds what became known, as one new run, and merges runs where there are many of a size. What is added replaces
    /// what was known. Files of runs that were merged stay until [`Index::forget`].
    ///
    /// # Errors
    /// What the disk says. Nothing is changed then.
    pub fn add(&mut self, entries: &Entries) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let order = sorted(entries.len(), |at| entries.identity(at));
        let mut draft = Draft::new(&*self.disk, self.next)?;
        for (at, place) in order.iter().enumerate() {
            let identity = entries.identity(*place as usize);
            if identity.len() > IDENTITY_BYTES {
                let length = identity.len();
                return Err(Fault::Refused(format!(
                    "an identity of {length} bytes: at most {IDENTITY_BYTES} are kept"
                )));
            }
            let again = order.get(at + 1).is_some_and(|next| entries.identity(*next as usize) == identity);
            if !again {
                draft.push(identity, *entries.known(*place as usize))?;
            }
        }
        let run = draft.finish()?;
        self.next += 1;
        self.runs.push(Arc::new(run));
        self.merge()
    }

    fn merge(&mut self) -> Result<(), Fault> {
        loop {
            let sizes: Vec<u64> = self.runs.iter().map(|run| run.info.entries).collect();
            let Some(count) = tier::due(&sizes) else { return Ok(()) };
            let kept = self.runs.len() - count;
            let merged = merge::merge(&*self.disk, &self.runs[kept..], self.next)?;
            self.next += 1;
            self.runs.truncate(kept);
            self.runs.push(Arc::new(merged));
        }
    }

    /// The runs that hold everything, from the oldest to the newest.
    pub fn runs(&self) -> Vec<RunInfo> {
        self.runs.iter().map(|run| run.info).collect()
    }

    /// Number of the next run.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many identities the runs have; one that is in several counts in each.
    pub fn entries(&self) -> u64 {
        self.runs.iter().map(|run| run.info.entries).sum()
    }

    /// Removes the files of all runs that are not in use here and not kept for another checkpoint, and unfinished ones.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&mut self, kept: &BTreeSet<u64>) -> Result<(), Fault> {
        let live = |number: u64| kept.contains(&number) || self.runs.iter().any(|run| run.info.number == number);
        for name in self.disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))? {
            let number = number_of(&name);
            let unfinished = name.ends_with(".run.tmp");
            if unfinished || number.is_some_and(|number| !live(number)) {
                let name = format!("{FOLDER}/{name}");
                self.disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
            }
        }
        Ok(())
    }

    /// Reads every byte of every run and holds it against its digest.
    ///
    /// # Errors
    /// What the disk says, or where a run is damaged.
    pub fn scrub(&self) -> Result<(), Fault> {
        self.runs.iter().try_for_each(|run| Run::scrub(&*self.disk, run.info))
    }
}

/// The number of a run by the name of its file.
fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".run")?.parse().ok()
}
