//! An instance that survives the plug: what it takes in is journaled, what comes of it is committed at one cut.
//!
//! Events go in by rounds. Between two rounds every queue is empty, so all shards stand at the same place of the journal:
//! that is the barrier at which steps are taken, commits made and checkpoints written.

use super::Feed;
use super::barrier::{late_changes, note_untold, put_changes};
use super::board::Spent;
use super::clock::{Clock, Stopwatch};
use super::engine::Shards;
use super::gauge::Gauge;
use super::recall::Shelves;
use super::receipts::{Named, Receipts};
use super::recording::Recording;
use super::replay::Taken;
use super::retention::Oldest;
use super::shard::Told;
use super::tale::{self, Outcome, Untold};
use crate::decode::{Damaged, Format};
use slackwater_core::fold::{Final, Fold, Settled, Whole};
use slackwater_core::hold::Note;
use slackwater_core::input::{Decision, Input, Tick};
use slackwater_core::judge::{Counts, Judge};
use slackwater_core::memory::{Fact, Memory};
use slackwater_core::plan::{Guards, Plan, Source};
use slackwater_core::planted::{Bug, is};
use slackwater_core::quarantine::{Quarantined, Ruling};
use slackwater_core::row::Row;
use slackwater_core::watermark::Watermarks;
use slackwater_core::window::Window;
use slackwater_store::archive::{Archive, Changes, OwnedChange};
use slackwater_store::castoff::Castoffs;
use slackwater_store::catalog::Catalog;
use slackwater_store::checkpoint::{Archived, Checkpoints, Chunk};
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::disk::Disk;
use slackwater_store::entry::{Entry, Packed};
use slackwater_store::index::{Entries, Index};
use slackwater_store::journal::{Journal, Limits};
use slackwater_store::store::{Ask, Commit, Head, Kept, Store, Sum};
use slackwater_store::{Fault, KeepRaw, crew};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Windows that lie in memory before some leave it, unless told otherwise: about a kilobyte each.
pub const MOST_WINDOWS: usize = 1_000_000;
/// So many keys with something to seal are worth a thread for each shard.
const MANY_DUE: usize = 1_000;

/// How an instance keeps what it keeps. No choice here changes a result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that drive the parts.
    pub threads: usize,
    /// Shards of each kind.
    pub shards: usize,
    /// Time from one checkpoint to the next.
    pub every: Duration,
    /// Bytes of events that are taken in between two checkpoints at most.
    pub bytes: u64,
    /// How many checkpoints are kept.
    pub checkpoints: usize,
    /// How much room the journal may take.
    pub journal: Limits,
    /// Whether event bytes stay in the record for good.
    pub keep_raw: KeepRaw,
    /// Where they do not, for how long they stay, in nanoseconds of recorded time behind the latest that is told of them.
    pub keep_for: i64,
    /// By source, how long facts stay in the archive, in nanoseconds behind the watermark; for good where there is none.
    pub keep_facts: Vec<Option<i64>>,
    /// Windows that may lie in memory before sealed ones, and those far ahead, leave it: their facts are in the archive,
    /// their rows in the store. Only what runs on lets any leave.
    pub windows: usize,
    /// Bytes that the journal may have before segments that no checkpoint needs become record.
    pub record_above: u64,
}

impl Settings {
    /// What is usual, for so many threads.
    pub fn of_threads(threads: usize) -> Self {
        let segment_bytes = crash::segment_bytes(64 << 20);
        // What is judged says how much the tick must tell of it; what is not yet may be two rounds of nothing but
        // retractions, of which only the tick tells. Packed, they take about what they came in.
        let reserve_bytes = 64 << 20;
        Settings {
            threads,
            shards: threads,
            every: Duration::from_secs(1),
            bytes: 256 << 20,
            checkpoints: 3,
            journal: Limits { segment_bytes, most_bytes: 64 << 30, reserve_bytes },
            keep_raw: KeepRaw::Forever,
            keep_for: 0,
            keep_facts: Vec::new(),
            windows: usize::MAX,
            record_above: 0,
        }
    }
}

/// An instance over one data directory.
pub struct Instance<'p> {
    pub(super) plan: &'p Plan,
    pub(super) formats: &'p [Format],
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) store: Box<dyn Store + 'p>,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) archive: Archive,
    pub(super) checkpoints: Checkpoints,
    /// The chunks of state that the last checkpoint named, newest first.
    pub(super) chunks: Vec<Chunk>,
    pub(super) shards: Shards,
    /// The memories that a checkpoint covers which is being written.
    pub(super) resting: Option<Arc<Vec<Memory>>>,
    pub(super) watermarks: Watermarks,
    /// By source, the guards under which its events are judged, as they were decided last.
    pub(super) guards: Vec<Arc<Guards>>,
    pub(super) taken: Taken,
    /// What would be true if it were committed now.
    pub(super) head: Head,
    /// What the next commit brings: rows, and events that were set aside.
    pub(super) rows: Vec<Final>,
    pub(super) aside: Vec<Quarantined>,
    /// And what became of facts that were held.
    pub(super) notes: Vec<Note>,
    /// And of events in quarantine.
    pub(super) rulings: Vec<Ruling>,
    pub(super) receipts: Receipts,
    /// Names of deliveries that are journaled and not judged.
    pub(super) unjudged: BTreeSet<(u16, Arc<str>)>,
    /// ±facts that the next checkpoint archives.
    pub(super) changes: Changes,
    /// Room for those that come while a checkpoint is being written.
    pub(super) spare: Changes,
    /// Room for the winners that a checkpoint puts into the index.
    pub(super) winners: Entries,
    /// What was counted and seen up to the last tick.
    pub(super) seen_before: Judge,
    /// What named deliveries since then were answered.
    pub(super) told: Vec<Counts>,
    /// Winners since then that the archive does not tell.
    pub(super) untold: Untold,
    /// What is journaled before the tick that was just taken.
    pub(super) pieces: Vec<Vec<u8>>,
    /// Up to which tick the archive has every change; while state is made anew, that is further than the state.
    pub(super) archived: Archived,
    /// What stands in for event bytes that are gone.
    pub(super) catalog: Option<Catalog>,
    pub(super) castoffs: Castoffs,
    pub(super) oldest: Option<Oldest>,
    /// Up to which entry no kept checkpoint needs the journal.
    pub(super) behind: u64,
    /// Sequence of the last entry of the journal that was taken in.
    pub(super) at: u64,
    /// Sequence of the last one that is a tick.
    pub(super) ticked: u64,
    /// Sequence of the last of the cutoffs that stand right behind that tick; its own where there are none.
    pub(super) cut: u64,
    pub(super) refolded: usize,
    pub(super) put_away: u64,
    /// The latest recorded time: of a tick, or of an arrival.
    pub(super) recorded: Option<i64>,
    /// Bytes of events that were taken in since the last checkpoint.
    pub(super) bytes_since: u64,
    /// How long syncs of deliveries took.
    pub(super) syncs: Spent,
}

impl<'p> Instance<'p> {
    /// What is true now, committed or not.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How far each file or partition of a source was taken in.
    pub fn offsets(&self, source: u16) -> Vec<slackwater_store::store::Offset> {
        self.taken.offsets.iter().filter(|offset| offset.source == source).cloned().collect()
    }

    /// How far a file or partition was taken in.
    pub fn offset(&self, source: u16, part: &str) -> Option<&slackwater_store::store::Offset> {
        self.taken.of(source, part)
    }

    /// What was counted and seen.
    pub fn seen(&self) -> Judge {
        self.shards.seen(self.plan)
    }

    /// The last entry of the journal whose event bytes are gone; 0 where all are there.
    pub fn gone(&self) -> u64 {
        self.journal.reduced()
    }

    /// Facts that are held, by source.
    pub fn held(&self) -> Vec<u64> {
        (0..self.plan.sources.len() as u16).map(|source| self.shards.holds.count(source)).collect()
    }

    /// Nulls that arithmetic made.
    pub fn faults(&self) -> i64 {
        self.shards.folds.iter().flat_map(Fold::faults).sum()
    }

    /// Gives the committed rows of a pipeline.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is not what was written.
    pub fn rows(
        &mut self,
        pipeline: u16,
        ask: &Ask,
        visit: &mut dyn FnMut(Kept) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.store.rows(pipeline, ask, visit)
    }

    /// Gives all events that were set aside and not released since, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn quarantined(&mut self, visit: &mut dyn FnMut(Quarantined) -> Result<(), Fault>) -> Result<(), Fault> {
        self.store.aside(0, &mut |aside| {
            if !aside.is_released() {
                visit(aside.event)?;
            }
            Ok(true)
        })
    }

    /// Spans that were folded again from their facts, since the instance was opened.
    pub fn refolded(&self) -> usize {
        self.refolded
    }

    /// A source, and what its events are written in.
    pub(super) fn kind_of(&self, source: usize) -> (&'p Source, Format) {
        (&self.plan.sources[source], self.formats[source])
    }

    /// Windows that lie in memory, and those that were put away since the instance was opened.
    pub fn windows(&self) -> (usize, u64) {
        (self.shards.folds.iter().map(Fold::windows).sum(), self.put_away)
    }

    /// Takes a feed in to its end, with a checkpoint whenever it is time for one.
    ///
    /// # Errors
    /// When the feed cannot be read, or something not be kept. What was committed stands, and the same feed goes on
    /// from there when the instance is opened again.
    pub fn take<F: Feed, E>(&mut self, feed: &mut F, part: (u16, &str), gauge: &Gauge) -> Result<(), E>
    where
        E: From<F::Error> + From<Damaged> + From<Fault> + Send,
    {
        loop {
            let (mut ended, watch) = (false, Stopwatch::start());
            let Instance { plan, formats, guards, settings, journal, taken, shards, index, archive, aside, .. } = self;
            let Settings { threads, every, bytes: bytes_left, .. } = *settings;
            let recording =
                Recording { feed, plan, formats, journal, taken, ended: &mut ended, watch, every, bytes_left, gauge };
            let shelves = Shelves { index, archive, resting: &[] };
            let put_aside = |told: Told| -> Result<(), E> {
                aside.extend(told.aside);
                Ok(())
            };
            let (how, inlet) = ((*plan, *formats, &**guards), |out| recording.inlet(out));
            shards.take(how, inlet, threads, gauge, Some(&shelves), put_aside)?;
            self.at = self.journal.last();
            if ended {
                self.taken.end(part.0, part.1);
                return Ok(());
            }
            if self.is_unsettled() {
                self.checkpoint()?;
            }
        }
    }

    /// The recorded end of all input so far: one tick that seals every row, committed; and behind it another, where a source
    /// is cut off. Nothing happens where nothing came since the last one.
    ///
    /// # Errors
    /// When something cannot be kept.
    pub fn end(&mut self) -> Result<(), Fault> {
        if !self.is_at_tick() {
            // Whoever was interrupted between the cutoffs of two sources decides the others first: before the same tick.
            self.cut_off()?;
            self.seal_all()?;
        } else if self.taken.offsets != self.head.offsets {
            // The journal does not say that a file ended, so after a restart a commit may still lack that.
            self.advance();
            self.commit()?;
        }
        if self.cut_off()? { self.seal_all() } else { Ok(()) }
    }

    fn seal_all(&mut self) -> Result<(), Fault> {
        self.step(Input::Decision(Decision::EndOfInput))?;
        let at = self.clock.now();
        self.step(Input::Tick(Tick { at, caught_up: Vec::new() }))?;
        self.checkpoint()
    }

    /// Whether a checkpoint may be made now: at a tick, or as long as nothing is settled.
    pub fn may_be_cut(&self) -> bool {
        self.is_at_tick() || self.is_unsettled()
    }

    /// Whether nothing came since the last tick.
    pub(super) fn is_at_tick(&self) -> bool {
        self.ticked == self.at && self.at > 0
    }

    /// Whether no pipeline has anything settled: then a cut between two ticks cannot be told from none.
    pub(super) fn is_unsettled(&self) -> bool {
        self.head.settled.iter().all(|settled| *settled == Settled::Nothing)
    }

    /// Takes an input and journals it.
    ///
    /// # Panics
    /// When something stands before it that is not judged.
    pub(super) fn step(&mut self, input: Input) -> Result<(), Fault> {
        let outcome = self.apply(&input)?;
        self.record(&input, outcome)
    }

    /// Journals an input that was taken, with what came of it.
    pub(super) fn record(&mut self, input: &Input, outcome: Vec<u8>) -> Result<(), Fault> {
        crash::point(CrashPoint::RowsFolded)?;
        if is(Bug::DecisionLeftOut) && matches!(input, Input::Decision(_)) {
            return Ok(());
        }
        for piece in std::mem::take(&mut self.pieces) {
            self.append(&Input::Told(piece), Vec::new())?;
        }
        self.append(input, outcome)?;
        self.pass_step(input);
        Ok(())
    }

    /// Notes what an input that stands in the journal now is.
    pub(super) fn pass_step(&mut self, input: &Input) {
        match input {
            Input::Tick(_) => (self.ticked, self.cut) = (self.at, self.at),
            Input::Decision(Decision::Cutoff(..)) if self.cut + 1 == self.at => self.cut = self.at,
            _ => {}
        }
    }

    fn append(&mut self, input: &Input, outcome: Vec<u8>) -> Result<(), Fault> {
        let mut encoded = Vec::new();
        input.encode(&mut encoded);
        let at = self.journal.append(&Packed::new(&Entry::Step { input: encoded, outcome })?)?;
        assert_eq!(self.at + 1, at, "what stands before an input is taken in before it");
        self.at = at;
        Ok(())
    }

    /// Journals the winners that nothing else tells, behind a checkpoint that let them go.
    pub(super) fn tell_winners(&mut self) -> Result<(), Fault> {
        for piece in std::mem::take(&mut self.untold).into_pieces() {
            self.append(&Input::Told(piece), Vec::new())?;
        }
        self.journal.sync().map(drop)
    }

    /// Bytes that the next tick takes in the journal at most, about, for what is judged by now.
    pub(super) fn weight_of_tick(&self) -> u64 {
        const EACH: usize = 64;
        let origins =
            |judge: &Judge| (0..self.plan.sources.len()).map(|source| judge.origins(source).len()).sum::<usize>();
        let origins: usize = self.shards.judges.iter().map(origins).sum();
        let bare: usize = self.shards.memories.iter().map(Memory::bare).sum();
        (EACH * (origins + self.told.len()) + bare) as u64
    }

    /// Takes an input that is no event, and gives what came of it.
    pub(super) fn apply(&mut self, input: &Input) -> Result<Vec<u8>, Fault> {
        match input {
            Input::Events(_) => Err(Fault::Refused("decoded events are no entry of a journal".to_string())),
            Input::Decision(decision) => {
                if let Decision::Release(release) = decision {
                    self.shards.holds.decide(release);
                }
                self.watermarks.decide(decision);
                self.rule(decision)
            }
            Input::Tick(tick) => {
                let outcome = self.tick(tick)?;
                self.note_changes();
                Ok(outcome)
            }
            Input::Told(_) => Ok(Vec::new()),
        }
    }

    /// Notes for the archive what changed between the tick before and this one. Nothing else may be taken in before.
    pub(super) fn note_changes(&mut self) {
        let tick = self.head.ticks;
        for memory in &mut self.shards.memories {
            match tick > self.archived.tick {
                // They are in the log, and nothing waits while it is gone through: whoever writes the archive does that.
                true if memory.is_plain() => memory.leave(tick),
                true => {
                    put_changes(memory, tick, &mut self.changes);
                    memory.mark();
                }
                // As long as the archive is ahead of the state, it has them.
                false => memory.mark(),
            }
        }
    }

    /// Moves the watermarks, seals, and gives what is settled now with the digest of all rows so far. What changed is still to
    /// be noted.
    pub(super) fn tick(&mut self, tick: &Tick) -> Result<Vec<u8>, Fault> {
        let seen = self.shards.seen(self.plan);
        let settled = self.watermarks.tick(self.plan, tick, &seen);
        let mut rows = Vec::new();
        for number in 0..self.shards.folds.len() {
            let Shards { folds, holds, .. } = &mut self.shards;
            folds[number].raise(self.plan, &settled);
            folds[number].let_in(self.plan, holds);
            self.refold(number, Whole::AndPast)?;
        }
        let Shards { memories, folds, holds, .. } = &mut self.shards;
        let late = late_changes(self.plan, memories, &self.head.settled);
        note_untold(self.plan, memories, &mut self.untold);
        let tick_it = |fold: &mut Fold| fold.tick(self.plan, &settled, late.iter().copied(), holds);
        let due: usize = folds.iter().map(|fold| fold.count_due(&settled)).sum();
        let finals: Vec<Vec<Final>> = match self.settings.threads > 1 && due >= MANY_DUE {
            true => crew::each(folds.iter_mut(), tick_it),
            false => folds.iter_mut().map(tick_it).collect(),
        };
        for mut finals in finals {
            rows.append(&mut finals);
            crash::point(CrashPoint::BetweenFinals)?;
        }
        let mut notes = self.shards.holds.renew(&mut self.shards.folds);
        rows.sort_by(Final::order);
        self.head.ticks += 1;
        self.head.ticked = Some(tick.at);
        self.head.settled = settled;
        self.head.take(&rows, &[]);
        self.head.take_notes(&notes);
        self.rows.append(&mut rows);
        self.notes.append(&mut notes);
        // As long as the archive is ahead, what it has of later ticks is not true yet.
        self.archive.see_until(if self.head.ticks < self.archived.tick { self.head.ticks } else { u64::MAX });
        let mut parts = seen.since(&self.seen_before).split(tale::MOST_ORIGINS);
        let more = parts.split_off(1);
        let outcome = Outcome {
            settled: self.head.settled.clone(),
            output: self.head.output,
            seen: parts.remove(0),
            more: more.len() as u64,
            aside: self.set_aside(),
            told: std::mem::take(&mut self.told),
        };
        self.pieces = std::mem::take(&mut self.untold).into_pieces();
        self.pieces.extend(more.iter().map(tale::piece_of_origins));
        self.seen_before = seen;
        let mut encoded = Vec::new();
        outcome.encode(&mut encoded);
        Ok(encoded)
    }

    /// How many events were set aside so far.
    pub(super) fn set_aside(&self) -> u64 {
        self.head.quarantined.count + self.aside.len() as u64
    }

    /// Notes what a named delivery is answered.
    pub(super) fn answer(&mut self, named: Named, counts: Counts) {
        self.told.push(counts.clone());
        self.receipts.put(&mut self.head, named, counts);
    }

    /// Answers what a fold shard needs: facts out of the archive, but for those that were replaced since, and out of the
    /// memories.
    pub(super) fn refold(&mut self, number: usize, whole: Whole) -> Result<(), Fault> {
        let fold = &mut self.shards.folds[number];
        for wants in fold.take_wants(whole).chunk_by(|a, b| a.pipeline() == b.pipeline()) {
            let spans: Vec<_> = wants.iter().map(|wanted| fold.ids_of(wanted)).collect();
            // Of a later tick the store may have rows when what it has is taken in again.
            let rows = self.store.newest(wants[0].pipeline(), &spans, self.head.ticks)?;
            wants.iter().zip(&rows).for_each(|(wanted, rows)| rows.iter().for_each(|row| fold.bring(wanted, row)));
        }
        let sought = fold.sought(whole);
        if sought.spans.is_empty() {
            return Ok(());
        }
        let (mut archived, mut key): (Vec<OwnedChange>, _) = (Vec::new(), Vec::new());
        for (source, Source { schema, .. }) in (0..).zip(&self.plan.sources) {
            for Window { start, end } in &sought.spans {
                // Spans of all pipelines lie together, and no fact of this source from before its cutoff is sought.
                let start = self.archive.kept_from(source).map_or(*start, |from| i128::from(from).max(*start));
                self.archive.facts(source, start, *end, None, &mut |change| {
                    if sought.takes(self.plan, source, Row::new(schema, change.content), &mut key) {
                        archived.push(OwnedChange::from(*change));
                    }
                })?;
            }
        }
        let resting = self.resting.as_ref().map_or(&[][..], |resting| resting);
        let Shards { memories, folds, .. } = &mut self.shards;
        let replaced = |fact: &Fact<'_>| memories.iter().any(|memory| memory.holds(self.plan, fact));
        let rested = |fact: &Fact<'_>| resting.iter().any(|memory| memory.holds(self.plan, fact));
        archived.retain(|change| !replaced(&fact(change)) && !rested(&fact(change)));
        let resting = resting.iter().flat_map(|memory| memory.facts(self.plan, &sought.spans));
        let resting = resting.filter(|fact| !replaced(fact));
        let present = memories.iter().flat_map(|memory| memory.facts(self.plan, &sought.spans));
        let facts = archived.iter().map(fact).chain(resting).chain(present);
        self.refolded += folds[number].refold(self.plan, whole, facts);
        Ok(())
    }

    /// Moves the head to the next commit. What it covers of the journal is synced before.
    pub(super) fn advance(&mut self) {
        self.head.commit += 1;
        self.head.journal = self.at;
        self.head.counts = self.shards.seen(self.plan).counts().to_vec();
        self.head.cutoffs.clone_from(&self.shards.cutoffs);
        self.head.offsets.clone_from(&self.taken.offsets);
        self.head.input = self.taken.input;
    }

    /// Lets sealed windows go, if there are more than memory is for. All that they hold is committed.
    pub(super) fn put_away(&mut self) {
        let most = self.settings.windows / self.shards.folds.len();
        self.put_away += self.shards.folds.iter_mut().map(|fold| fold.put_away(self.plan, most) as u64).sum::<u64>();
    }

    /// Makes everything up to the head visible, at once; gives the rows that became or changed as final by it.
    pub(super) fn commit(&mut self) -> Result<Vec<Final>, Fault> {
        if is(Bug::OffsetBeforeState) || is(Bug::StateBeforeOffset) {
            self.commit_one_half()?;
        }
        let receipts = self.receipts.fresh();
        let Instance { head, rows, aside, notes, rulings, .. } = self;
        self.store.commit(&Commit { head, rows, quarantined: aside, notes, rulings, receipts })?;
        self.notes.clear();
        self.rulings.clear();
        self.aside.clear();
        self.receipts.committed();
        Ok(std::mem::take(&mut self.rows))
    }
}

/// The defects [`Bug::OffsetBeforeState`] and [`Bug::StateBeforeOffset`].
impl Instance<'_> {
    /// Commits one half of what the next commit has, by itself.
    #[cold]
    fn commit_one_half(&mut self) -> Result<(), Fault> {
        let none = Head { rows: vec![Sum::default(); self.plan.pipelines.len()], ..self.head.clone() };
        let before = self.store.head()?.unwrap_or(Head { quarantined: Sum::default(), ticks: 0, ticked: None, ..none });
        let mut half = self.head.clone();
        if is(Bug::OffsetBeforeState) {
            (half.rows, half.quarantined, half.output) = (before.rows, before.quarantined, before.output);
            (half.notes, half.rulings) = (before.notes, before.rulings);
            (half.ticks, half.ticked, half.settled) = (before.ticks, before.ticked, before.settled);
            self.store.commit(&Commit::of(&half))?;
        } else {
            (half.journal, half.offsets, half.input) = (before.journal, before.offsets, before.input);
            half.counts = before.counts;
            self.store.commit(&Commit {
                rows: &self.rows,
                quarantined: &self.aside,
                notes: &self.notes,
                rulings: &self.rulings,
                ..Commit::of(&half)
            })?;
            self.rows.clear();
            self.aside.clear();
            self.notes.clear();
            self.rulings.clear();
        }
        self.head.commit += 1;
        Ok(())
    }
}

/// An archived change that is a fact.
pub(super) fn fact(change: &OwnedChange) -> Fact<'_> {
    let OwnedChange { source, part, position, arrival, content, .. } = change;
    Fact { source: *source, content, part, position: *position, arrival: *arrival }
}

/// Why a round stopped whose chunks are at hand.
pub(super) enum Stop {
    Kept(Fault),
    Damaged(Damaged),
}

impl Stop {
    pub fn into_fault(self) -> Fault {
        match self {
            Stop::Kept(fault) => fault,
            Stop::Damaged(damaged) => Fault::damaged("journal", 0, damaged.to_string()),
        }
    }
}

impl From<Infallible> for Stop {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Kept(fault)
    }
}

impl From<Damaged> for Stop {
    fn from(damaged: Damaged) -> Self {
        Stop::Damaged(damaged)
    }
}
