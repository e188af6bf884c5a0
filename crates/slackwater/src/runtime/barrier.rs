//! The checkpoint: at the barrier between two rounds, everything that a restart needs is written and named together.

use super::engine::Shards;
use super::instance::Instance;
use super::tale::{Untold, encode_told};
use slackwater_core::codec::{put_bytes, put_varint};
use slackwater_core::cutoff::Cutoffs;
use slackwater_core::fold::{Fold, Settled, Which, Whole};
use slackwater_core::judge::Judge;
use slackwater_core::memory::{Fact, Memory, Net, Winner};
use slackwater_core::plan::Plan;
use slackwater_core::planted::{Bug, is};
use slackwater_core::row::{IdentityBytes, Row};
use slackwater_store::archive::{Change, Changes};
use slackwater_store::checkpoint::{Archived, Checkpoints, Chunk, Manifest};
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::crew;
use slackwater_store::index::{Entries, Known};
use slackwater_store::journal::Journal;
use slackwater_store::{Fault, KeepRaw};

/// Chunks that name changed groups only, before all are written anew.
const MOST_CHUNKS: usize = 32;

impl Instance<'_> {
    /// Writes a checkpoint, and commits it.
    ///
    /// # Errors
    /// When something cannot be kept. The last commit stands.
    ///
    /// # Panics
    /// When another one is being written.
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        assert!(self.resting.is_none(), "one checkpoint at a time");
        for number in 0..self.shards.folds.len() {
            self.refold(number, Whole::AndPast)?;
        }
        let aside = std::mem::take(&mut self.aside);
        self.head.take(&[], &aside);
        self.aside = aside;
        self.keep()?;
        // Where the journal is being taken in again they wait: nothing can be put between what it has.
        if !self.is_at_tick() && self.at == self.journal.last() && !self.untold.is_empty() {
            self.tell_winners()?;
        }
        self.head.checkpoint += 1;
        self.advance();
        self.archived = self.archived_now();
        let manifest = Manifest {
            head: self.head.clone(),
            ticked: self.ticked,
            archived: self.archived,
            state: self.state(),
            chunks: self.chunks.clone(),
            runs: self.index.runs(),
            next_run: self.index.next(),
            segments: self.archive.segments().to_vec(),
            next_segment: self.archive.next(),
        };
        if is(Bug::TrimBeforeCheckpoint) {
            self.journal.retire(self.at, self.settings.keep_raw)?;
        }
        self.checkpoints.write(&manifest)?;
        crash::point(CrashPoint::ManifestWritten)?;
        self.commit()?;
        if is(Bug::CommitBeforeSync) {
            self.journal.sync()?;
        }
        crash::point(CrashPoint::CommitKnown)?;
        self.shards.memories.iter_mut().for_each(|memory| *memory = Memory::new());
        self.bytes_since = 0;
        self.put_away();
        self.forget()
    }

    /// What is large is written: the journal is synced, ±facts go to the archive, winners to the index, groups into a
    /// chunk. Nothing of it counts before all of it is there, so it is done side by side.
    fn keep(&mut self) -> Result<(), Fault> {
        let at_tick = self.is_at_tick();
        // What came since the last tick becomes visible with the next one.
        let tick = self.head.ticks + u64::from(!at_tick);
        let Instance { plan, settings, shards, journal, index, archive, checkpoints, chunks, changes, winners, .. } =
            self;
        let untold = &mut self.untold;
        let Shards { memories, folds, cutoffs, .. } = shards;
        let cutoffs: &Cutoffs = cutoffs;
        let memories: &[Memory] = memories;
        let sync = |journal: &mut Journal| {
            if !is(Bug::CommitBeforeSync) {
                journal.sync()?;
            }
            if at_tick { crash::point(CrashPoint::TickSynced) } else { Ok(()) }
        };
        let mut archive_them = || {
            if !at_tick {
                memories.iter().for_each(|memory| put_changes(memory, tick, changes));
                note_untold(plan, memories, untold);
            }
            put_left(memories, changes);
            archive.write(changes, settings.threads)?;
            // What came before the cutoff may have been written only now.
            archive.cut_off(cutoffs);
            while archive.compact()? {}
            changes.clear();
            crash::point(CrashPoint::ArchiveWritten)
        };
        let mut index_them = || {
            memories.iter().for_each(|memory| put_winners(plan, memory, tick, winners));
            index.add(winners)?;
            winners.clear();
            crash::point(CrashPoint::WinnersIndexed)?;
            Groups::of(folds, chunks)?.write(checkpoints, chunks)?;
            folds.iter_mut().for_each(|fold| fold.written_down());
            Ok(())
        };
        if settings.threads <= 1 {
            return sync(journal).and_then(|()| archive_them()).and_then(|()| index_them());
        }
        let behind = self.behind;
        let (archived, others) = crew::both(archive_them, || {
            sync(journal).and_then(|()| index_them()).and_then(|()| journal.retire(behind, KeepRaw::Forever))
        });
        others.and(archived)
    }

    /// What is small: watermarks, counters and origins, what is settled, and what sources demand.
    pub(super) fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.watermarks.encode(&mut state);
        let mut seen = Judge::new(self.plan);
        self.shards.judges.iter().for_each(|judge| seen.merge(judge));
        seen.encode(&mut state);
        put_varint(&mut state, self.shards.folds.len() as u64);
        self.shards.folds.iter().for_each(|fold| fold.encode_head(&mut state));
        put_varint(&mut state, self.ticked);
        self.guards.iter().for_each(|guards| guards.encode(&mut state));
        state.push(u8::from(self.is_at_tick()));
        if !self.is_at_tick() {
            self.seen_before.encode(&mut state);
            encode_told(&self.told, &mut state);
            self.untold.encode(&mut state);
        }
        state
    }

    /// Up to which tick the archive has every change, once what is new is written.
    pub(super) fn archived_now(&self) -> Archived {
        match self.is_at_tick() {
            true => self.archived.max(Archived { tick: self.head.ticks, sequence: self.ticked }),
            false => self.archived,
        }
    }
}

/// Groups as a chunk has them: those that changed, or from time to time all, and then the chunks before are let go.
#[derive(Debug)]
pub(super) struct Groups {
    content: Vec<u8>,
    anew: bool,
    any: bool,
}

impl Groups {
    /// Those that the next chunk has, beside the ones that there are.
    pub fn of(folds: &mut [Fold], chunks: &[Chunk]) -> Result<Groups, Fault> {
        let whole = chunks.last().map_or(0, |chunk| chunk.bytes);
        let since: u64 = chunks.iter().rev().skip(1).map(|chunk| chunk.bytes).sum();
        let anew = chunks.is_empty() || since > whole || chunks.len() >= MOST_CHUNKS;
        let which = if anew { Which::All } else { Which::Changed };
        let (mut content, mut count) = (Vec::new(), 0);
        put_varint(&mut content, folds.len() as u64);
        for fold in folds {
            let mut groups = Vec::new();
            count += fold.encode_groups(which, &mut groups);
            put_bytes(&mut content, &groups);
            crash::point(CrashPoint::BetweenParts)?;
        }
        Ok(Groups { content, anew, any: count > 0 })
    }

    /// Writes them.
    pub fn write(self, checkpoints: &mut Checkpoints, chunks: &mut Vec<Chunk>) -> Result<(), Fault> {
        if self.anew {
            chunks.clear();
        }
        if self.anew || self.any {
            chunks.insert(0, checkpoints.write_chunk(&self.content)?);
        }
        Ok(())
    }
}

/// Notes the ±facts of every identity that changed since the last tick, for the archive: they are visible from a tick on.
/// What they replace is noted too where it was left.
pub(super) fn put_changes(memory: &Memory, tick: u64, changes: &mut Changes) {
    for net in memory.changes() {
        if let Some(before) = net.before
            && let Some(tick) = memory.left_at(before.known.place)
        {
            changes.push(&change(&before.fact, &before, tick, true));
        }
        let (before, after) = net.sides();
        if let Some((fact, winner)) = before.zip(net.before) {
            changes.push(&change(&fact, &winner, tick, false));
        }
        if let Some(fact) = after {
            changes.push(&change(&fact, &net.after, tick, true));
        }
    }
}

/// Notes the facts that were left at ticks, which are many and have been replaced by nothing.
pub(super) fn put_left(memories: &[Memory], changes: &mut Changes) {
    for (tick, winner) in memories.iter().flat_map(Memory::left) {
        changes.push(&change(&winner.fact, &winner, tick, true));
    }
}

fn change<'f>(fact: &Fact<'f>, winner: &Winner<'_>, tick: u64, plus: bool) -> Change<'f> {
    let Fact { source, content, part, position, arrival } = *fact;
    let (version, decoder) = (winner.known.version, winner.known.decoder);
    Change { source, tick, plus, version, decoder, arrival, part, position, content }
}

/// Takes note of the winners since the last tick that the archive does not tell.
pub(super) fn note_untold(plan: &Plan, memories: &[Memory], untold: &mut Untold) {
    // Where nothing was retracted, replaced or let out of quarantine, it tells all.
    if untold.is_empty() && memories.iter().all(Memory::is_plain) {
        return;
    }
    for net in memories.iter().flat_map(|memory| memory.changes()) {
        untold.note(plan, &net, net.sides().1.is_some());
    }
}

/// The changes since the last tick of which something falls into what was settled by then.
pub(super) fn late_changes<'m>(plan: &Plan, memories: &'m [Memory], settled: &[Settled]) -> Vec<Net<'m>> {
    // By source, the furthest that any pipeline of its is settled.
    let mut furthest = vec![Settled::Nothing; plan.sources.len()];
    for (pipeline, known) in plan.pipelines.iter().zip(settled) {
        let of = &mut furthest[usize::from(pipeline.source)];
        *of = (*of).max(*known);
    }
    let passed = |fact: &Fact<'_>| {
        let time = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content).event_time();
        furthest[usize::from(fact.source)].passed(time)
    };
    // Most ticks bring nothing late, and that is seen without a look at each change.
    let touched = |memory: &&Memory| furthest.iter().any(|settled| settled.passed(memory.changes_from()));
    let changes = memories.iter().filter(touched).flat_map(|memory| memory.changes());
    let late = |net: &Net<'_>| {
        let (before, after) = net.sides();
        before.iter().chain(&after).any(passed)
    };
    changes.filter(late).collect()
}

pub(super) fn put_winners(plan: &Plan, memory: &Memory, tick: u64, entries: &mut Entries) {
    let mut identity = IdentityBytes::default();
    memory.winners().for_each(|winner| {
        let (known, fact) = (winner.known, winner.fact);
        let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
        if is(Bug::DedupEvictedEarly) && known.digest % 4 == 0 {
            return;
        }
        let bytes = identity.of(row, fact.source, (fact.part, fact.position.offset));
        let (version, decoder, op, digest) = (known.version, known.decoder, known.op, known.digest);
        entries.push(bytes, Known { version, decoder, op, digest, time: row.event_time(), tick });
    });
}
