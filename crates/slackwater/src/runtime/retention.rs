//! What is let go of what was kept: old checkpoints and what only they name, journal segments, event bytes of the record.
//!
//! Event bytes go a file at a time, from the oldest on, and only behind a tick that every kept checkpoint is behind. Before
//! they go, what tells them again is kept elsewhere: which segments of the archive have every change up to there, and what
//! was set aside.

use super::instance::Instance;
use slackwater_store::catalog::Catalog;
use slackwater_store::checkpoint::Manifest;
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::{Fault, KeepRaw};
use std::collections::{BTreeSet, VecDeque};

/// Segments that the journal may have for their record to wait until there is something to write it beside.
const MOST_SEGMENTS: u64 = 4;
/// Bytes of events that were set aside, about, that are copied at once.
const AT_ONCE: usize = 16 << 20;

/// Of the oldest file of the record with event bytes, its last entry, and the latest time that is told of it.
pub(super) type Oldest = (u64, Option<i64>);

impl Instance<'_> {
    /// Lets go what no kept checkpoint names, turns journal segments that none needs into record, and lets event bytes go
    /// that are to be kept no longer.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&mut self) -> Result<(), Fault> {
        let mut kept: Vec<Manifest> = Vec::new();
        for number in self.checkpoints.list()? {
            // One that is damaged is no longer a place to go back to, and is not counted as one.
            match self.checkpoints.read(number) {
                Ok(manifest) if kept.len() < self.settings.checkpoints.max(1) => kept.push(manifest),
                _ => {}
            }
        }
        if self.lets_all_go() && kept.first().is_some_and(Manifest::is_at_tick) {
            // What lies between two ticks would need its events.
            kept.retain(Manifest::is_at_tick);
        }
        crash::point(CrashPoint::CheckpointCounts)?;
        self.checkpoints.forget(&kept)?;
        let told = self.catalogue(&kept)?;
        let (mut runs, mut segments) = (BTreeSet::new(), BTreeSet::new());
        for manifest in &kept {
            runs.extend(manifest.runs.iter().map(|run| run.number));
            segments.extend(manifest.segments.iter().map(|segment| segment.number));
        }
        segments.extend(self.catalog.iter().flat_map(|catalog| &catalog.segments).map(|segment| segment.number));
        self.index.forget(&runs)?;
        crash::point(CrashPoint::RunsForgotten)?;
        self.archive.forget(&segments)?;
        let behind = kept.iter().map(|manifest| manifest.head.journal).min().unwrap_or(0);
        if let Some(told) = told {
            let ticked = kept.iter().map(|manifest| manifest.ticked).min().unwrap_or(0);
            self.let_bytes_go(told.min(ticked))?;
        }
        // Bytes that are to go, go at once; else the record saves nothing but the journal's room.
        let lazy = !self.lets_all_go();
        if lazy && self.journal.bytes() < self.settings.record_above {
            return Ok(());
        }
        crash::point(CrashPoint::TrimDecided)?;
        let much = self.journal.bytes() > MOST_SEGMENTS * self.settings.journal.segment_bytes;
        if lazy && !much && self.settings.threads > 1 {
            // Beside the archive of the next checkpoint.
            self.behind = behind;
            return Ok(());
        }
        self.journal.retire(behind, KeepRaw::Forever)
    }

    /// Whether no event bytes are kept longer than they are needed.
    fn lets_all_go(&self) -> bool {
        self.settings.keep_raw == KeepRaw::None && self.settings.keep_for == 0
    }

    /// Writes down which segments of the archive have every change, where event bytes are gone or may go. Gives the entry up to
    /// which the newest checkpoint's are known to.
    fn catalogue(&mut self, kept: &[Manifest]) -> Result<Option<u64>, Fault> {
        if self.settings.keep_raw == KeepRaw::Forever && self.journal.reduced() == 0 {
            return Ok(None);
        }
        let Some(newest) = kept.first().filter(|newest| newest.is_at_tick()) else { return Ok(None) };
        let catalog = Catalog::of(newest);
        if self.catalog.as_ref() != Some(&catalog) {
            catalog.write(&*self.disk, self.head.instance)?;
            crash::point(CrashPoint::CatalogWritten)?;
            self.catalog = Some(catalog);
        }
        Ok((self.settings.keep_raw == KeepRaw::None).then_some(newest.archived.sequence))
    }

    /// Lets event bytes go up to a tick at most, as far as they are not to be kept.
    fn let_bytes_go(&mut self, until: u64) -> Result<(), Fault> {
        while let Some((last, time)) = self.oldest()? {
            let past =
                |time: i64| self.head.ticked.is_some_and(|now| time.saturating_add(self.settings.keep_for) <= now);
            if last > until || (self.settings.keep_for > 0 && !time.is_some_and(past)) {
                break;
            }
            self.keep_aside()?;
            self.journal.reduce()?;
            self.oldest = None;
        }
        let all_gone = self.oldest()?.is_none();
        if self.lets_all_go() && all_gone && self.journal.first() <= until {
            self.keep_aside()?;
            self.journal.retire(until, KeepRaw::None)?;
        }
        Ok(())
    }

    fn oldest(&mut self) -> Result<Option<Oldest>, Fault> {
        // What tells no time now is asked again when there is more.
        if self.oldest.is_none_or(|(_, time)| time.is_none()) {
            self.oldest = self.journal.oldest_kept(self.settings.keep_for > 0)?;
        }
        Ok(self.oldest)
    }

    /// Keeps what was committed as set aside beside the record.
    fn keep_aside(&mut self) -> Result<(), Fault> {
        loop {
            let (mut events, mut bytes) = (VecDeque::new(), 0);
            self.store.castoffs(self.castoffs.count(), &mut |event| {
                bytes += event.bytes.len() + event.header.len();
                events.push_back(event);
                bytes < AT_ONCE
            })?;
            if events.is_empty() {
                return Ok(());
            }
            self.castoffs.add(&mut events)?;
            crash::point(CrashPoint::AsideKept)?;
        }
    }
}
