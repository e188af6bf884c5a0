//! A checkpoint that is written while the instance goes on.
//!
//! At a tick what it covers is set apart: memories come to rest, ±facts and changed groups are handed over. From there on any
//! thread can write it. Whoever asks meanwhile for an identity or a fact is answered from what rests, between memory and
//! disk. When all of it is there the next commit names it; until then it is as if it had never been begun.

use super::barrier::{Groups, put_left, put_winners};
use super::clock::Stopwatch;
use super::instance::Instance;
use slackwater_core::fold::Whole;
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_store::archive::{Archive, Changes};
use slackwater_store::checkpoint::{Archived, Checkpoints, Chunk, Manifest};
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::crew;
use slackwater_store::index::{Entries, Index};
use slackwater_store::journal::{Retired, Retiring};
use slackwater_store::store::Head;
use slackwater_store::{Fault, KeepRaw};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Steps of niceness below others.
const LESS: i32 = 5;

/// What a checkpoint writes.
#[derive(Debug)]
pub struct Keeping {
    plan: Plan,
    /// The head at the tick, with the checkpoint's number.
    head: Head,
    archived: Archived,
    state: Vec<u8>,
    groups: Groups,
    resting: Arc<Vec<Memory>>,
    changes: Changes,
    winners: Entries,
    index: Index,
    archive: Archive,
    checkpoints: Checkpoints,
    chunks: Vec<Chunk>,
    retiring: Option<Retiring>,
    /// How many threads may write it.
    threads: usize,
    watch: Stopwatch,
}

/// A checkpoint that no commit names yet.
#[derive(Debug)]
pub struct Written {
    number: u64,
    archived: Archived,
    index: Index,
    archive: Archive,
    checkpoints: Checkpoints,
    chunks: Vec<Chunk>,
    retired: Option<Result<Retired, Fault>>,
    /// Room for the next one.
    spare: (Changes, Entries),
    /// From the tick to its last byte.
    pub took: Duration,
}

impl Instance<'_> {
    /// Sets apart what a checkpoint at the tick that was just committed covers. Its outcome belongs into
    /// [`Instance::end_keeping`], and there is one at a time.
    ///
    /// # Errors
    /// When facts that are needed again cannot be read, or the journal has stopped.
    ///
    /// # Panics
    /// When something came since the tick, or another checkpoint is being written.
    pub fn begin_keeping(&mut self) -> Result<Keeping, Fault> {
        assert!(self.is_at_tick() && self.head.journal == self.at, "a checkpoint begins where a tick is committed");
        assert!(self.resting.is_none(), "one checkpoint at a time");
        for number in 0..self.shards.folds.len() {
            self.refold(number, Whole::AndPast)?;
        }
        let groups = Groups::of(&mut self.shards.folds, &self.chunks)?;
        self.shards.folds.iter_mut().for_each(|fold| fold.written_down());
        let resting = Arc::new(self.shards.memories.iter_mut().map(std::mem::take).collect());
        self.resting = Some(Arc::clone(&resting));
        self.bytes_since = 0;
        Ok(Keeping {
            plan: self.plan.clone(),
            head: Head { checkpoint: self.head.checkpoint + 1, ..self.head.clone() },
            archived: self.archived_now(),
            state: self.state(),
            groups,
            resting,
            changes: std::mem::replace(&mut self.changes, std::mem::take(&mut self.spare)),
            winners: std::mem::take(&mut self.winners),
            index: self.index.clone(),
            archive: self.archive.clone(),
            checkpoints: self.checkpoints.clone(),
            chunks: self.chunks.clone(),
            retiring: self.journal.begin_retiring(self.behind)?,
            threads: self.settings.threads,
            watch: Stopwatch::start(),
        })
    }

    /// Takes what was written; the next commit names it. Behind that, [`Instance::forget`] lets go what it replaces.
    ///
    /// # Errors
    /// What went wrong with writing it: then what is in memory is ahead of what can be kept, and the instance must be opened
    /// again.
    pub fn end_keeping(&mut self, written: Result<Written, Fault>) -> Result<(), Fault> {
        let Written { number, archived, index, archive, checkpoints, chunks, retired, spare, .. } = written?;
        (self.spare, self.winners) = spare;
        (self.index, self.archive, self.checkpoints, self.chunks) = (index, archive, checkpoints, chunks);
        (self.head.checkpoint, self.archived) = (number, archived);
        self.resting = None;
        retired.map_or(Ok(()), |retired| self.journal.end_retiring(retired))
    }
}

impl Keeping {
    /// Writes it on a thread of its own, which is given less where another wants the same core: what comes goes first.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn(self) -> std::io::Result<JoinHandle<Result<Written, Fault>>> {
        std::thread::Builder::new().name("slackwater-keep".into()).spawn(move || {
            // Where the system does not let it, it takes its turn like any other.
            let _ = rustix::process::nice(LESS);
            self.write()
        })
    }

    /// Writes it, on any thread.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(self) -> Result<Written, Fault> {
        let Keeping { plan, head, state, groups, resting, mut changes, mut winners, watch, retiring, .. } = self;
        let Keeping { mut index, mut archive, mut checkpoints, mut chunks, threads, archived, .. } = self;
        let mut archive_them = || {
            put_left(&resting, &mut changes);
            archive.write(&changes, threads)?;
            archive.cut_off(&head.cutoffs);
            changes.clear();
            while archive.compact()? {}
            crash::point(CrashPoint::ArchiveWritten)
        };
        let index_them = || {
            resting.iter().for_each(|memory| put_winners(&plan, memory, head.ticks, &mut winners));
            index.add(&winners)?;
            winners.clear();
            crash::point(CrashPoint::WinnersIndexed)?;
            groups.write(&mut checkpoints, &mut chunks)?;
            Ok(retiring.map(|retiring| retiring.write(KeepRaw::Forever)))
        };
        let (written, indexed) = match threads {
            0..=1 => (archive_them(), index_them()),
            _ => crew::both(archive_them, index_them),
        };
        let retired = written.and(indexed)?;
        let manifest = Manifest {
            // It was begun where a tick was committed.
            ticked: head.journal,
            archived,
            head,
            state,
            chunks,
            runs: index.runs(),
            next_run: index.next(),
            segments: archive.segments().to_vec(),
            next_segment: archive.next(),
        };
        checkpoints.write(&manifest)?;
        crash::point(CrashPoint::ManifestWritten)?;
        let Manifest { head, chunks, .. } = manifest;
        let (number, spare, took) = (head.checkpoint, (changes, winners), watch.elapsed());
        Ok(Written { number, archived, index, archive, checkpoints, chunks, retired, spare, took })
    }
}
