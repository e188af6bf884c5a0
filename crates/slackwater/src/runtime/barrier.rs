//! The checkpoint: at the barrier between two rounds, everything that a restart needs is written and named together.

use super::instance::Instance;
use slackwater_core::codec::{put_bytes, put_varint};
use slackwater_core::fold::Which;
use slackwater_core::judge::Judge;
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_core::planted::{Bug, is};
use slackwater_core::row::{IdentityBytes, Row};
use slackwater_store::checkpoint::Manifest;
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::index::{Entries, Known};
use slackwater_store::{Fault, KeepRaw};
use std::collections::BTreeSet;

/// Chunks that name changed groups only, before all are written anew.
const MOST_CHUNKS: usize = 32;

impl Instance<'_> {
    /// Writes a checkpoint, and commits it.
    ///
    /// # Errors
    /// When something cannot be kept. The last commit stands.
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        if !is(Bug::CommitBeforeSync) {
            self.journal.sync()?;
        }
        if self.is_at_tick() {
            crash::point(CrashPoint::TickSynced)?;
        }
        for number in 0..self.shards.folds.len() {
            self.refold(number)?;
        }
        let aside = std::mem::take(&mut self.aside);
        self.head.take(&[], &aside);
        self.aside = aside;
        self.keep_facts()?;
        crash::point(CrashPoint::WinnersIndexed)?;
        self.keep_groups()?;
        self.head.checkpoint += 1;
        self.advance();
        let manifest = Manifest {
            head: self.head.clone(),
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
        self.forget()
    }

    /// ±facts go to the archive, winners to the index.
    fn keep_facts(&mut self) -> Result<(), Fault> {
        let at_tick = self.is_at_tick();
        // What came since the last tick becomes visible with the next one.
        let tick = self.head.ticks + u64::from(!at_tick);
        if !at_tick {
            self.gather(tick);
        }
        let Instance { plan, settings, shards, index, archive, changes, .. } = self;
        let mut index_them = || {
            let mut entries = Entries::new();
            shards.memories.iter().for_each(|memory| put_winners(plan, memory, tick, &mut entries));
            index.add(&entries)
        };
        let mut archive_them = || {
            archive.write(changes, settings.threads)?;
            while archive.compact()? {}
            crash::point(CrashPoint::ArchiveWritten)
        };
        if settings.threads > 1 {
            let (indexed, archived) = std::thread::scope(|scope| {
                let indexing = scope.spawn(index_them);
                let archived = archive_them();
                (indexing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), archived)
            });
            indexed.and(archived)?;
        } else {
            archive_them()?;
            index_them()?;
        }
        self.changes.clear();
        Ok(())
    }

    /// Groups that changed go into a new chunk; from time to time all do, and the chunks before are let go.
    fn keep_groups(&mut self) -> Result<(), Fault> {
        let whole = self.chunks.last().map_or(0, |chunk| chunk.bytes);
        let since: u64 = self.chunks.iter().rev().skip(1).map(|chunk| chunk.bytes).sum();
        let anew = self.chunks.is_empty() || since > whole || self.chunks.len() >= MOST_CHUNKS;
        let which = if anew { Which::All } else { Which::Changed };
        let (mut content, mut count) = (Vec::new(), 0);
        put_varint(&mut content, self.shards.folds.len() as u64);
        for fold in &mut self.shards.folds {
            let mut groups = Vec::new();
            count += fold.encode_groups(which, &mut groups);
            put_bytes(&mut content, &groups);
            crash::point(CrashPoint::BetweenParts)?;
        }
        if anew {
            self.chunks.clear();
        }
        if anew || count > 0 {
            let chunk = self.checkpoints.write_chunk(&content)?;
            self.chunks.insert(0, chunk);
        }
        self.shards.folds.iter_mut().for_each(|fold| fold.written_down());
        Ok(())
    }

    /// What is small: watermarks, counters and origins, and what is settled.
    fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.watermarks.encode(&mut state);
        let mut seen = Judge::new(self.plan);
        self.shards.judges.iter().for_each(|judge| seen.merge(judge));
        seen.encode(&mut state);
        put_varint(&mut state, self.shards.folds.len() as u64);
        self.shards.folds.iter().for_each(|fold| fold.encode_head(&mut state));
        put_varint(&mut state, self.ticked);
        state
    }

    /// Lets go what no kept checkpoint names, and turns journal segments that none needs into record.
    fn forget(&mut self) -> Result<(), Fault> {
        let mut kept: Vec<Manifest> = Vec::new();
        for number in self.checkpoints.list()? {
            // One that is damaged is no longer a place to go back to, and is not counted as one.
            match self.checkpoints.read(number) {
                Ok(manifest) if kept.len() < self.settings.checkpoints.max(1) => kept.push(manifest),
                _ => {}
            }
        }
        crash::point(CrashPoint::CheckpointCounts)?;
        self.checkpoints.forget(&kept)?;
        let (mut runs, mut segments) = (BTreeSet::new(), BTreeSet::new());
        for manifest in &kept {
            runs.extend(manifest.runs.iter().map(|run| run.number));
            segments.extend(manifest.segments.iter().map(|segment| segment.number));
        }
        self.index.forget(&runs)?;
        crash::point(CrashPoint::RunsForgotten)?;
        self.archive.forget(&segments)?;
        // Bytes that are to go, go at once; else the record saves nothing but the journal's room.
        if self.settings.keep_raw == KeepRaw::Forever && self.journal.bytes() < self.settings.record_above {
            return Ok(());
        }
        let behind = kept.iter().map(|manifest| manifest.head.journal).min().unwrap_or(0);
        crash::point(CrashPoint::TrimDecided)?;
        self.journal.retire(behind, self.settings.keep_raw)
    }
}

fn put_winners(plan: &Plan, memory: &Memory, tick: u64, entries: &mut Entries) {
    let mut identity = IdentityBytes::default();
    for winner in memory.winners() {
        let (known, fact) = (winner.known, winner.fact);
        let row = Row::new(&plan.sources[usize::from(fact.source)].schema, fact.content);
        if is(Bug::DedupEvictedEarly) && known.digest % 4 == 0 {
            continue;
        }
        let bytes = identity.of(row, fact.source, (fact.part, fact.position.offset));
        let (version, decoder, op, digest) = (known.version, known.decoder, known.op, known.digest);
        entries.push(bytes, Known { version, decoder, op, digest, time: row.event_time(), tick });
    }
}
