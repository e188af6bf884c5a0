//! What arrives at a running instance: journaled and synced together, then judged and folded in one round.
//!
//! The two can be done apart: while one group is judged the disk syncs the next. Nothing is judged before its sync has come
//! back, so a group that has no room is withdrawn before any state has seen it.

use super::clock::Stopwatch;
use super::desk::{Declined, Delivery, Receipt};
use super::gauge::Gauge;
use super::ingest::{Feed, Inlet};
use super::instance::{Instance, Stop};
use super::recall::Shelves;
use super::receipts::Named;
use super::replay::{Ahead, Taken, entry};
use super::shard::{Tallies, Told};
use crate::decode::Chunk;
use slackwater_core::judge::Counts;
use slackwater_core::planted::{Bug, is};
use slackwater_store::Fault;
use slackwater_store::journal::{Synced, Syncing};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The part of deliveries without a name: they stand one behind the other.
const UNNAMED: &str = "unnamed";
/// Bytes of a round from which on it is worth more than one thread.
const WORTH: usize = 1 << 18;

/// Chunks that are at hand.
struct Ready(VecDeque<Chunk>);

impl Feed for Ready {
    type Error = Fault;

    fn next(&mut self) -> Result<Option<Chunk>, Fault> {
        Ok(self.0.pop_front())
    }

    fn read(&self) -> u64 {
        0
    }
}

/// What is to become of a delivery.
enum Plan {
    /// Its answer is known already.
    Known(Box<Result<Receipt, Declined>>),
    /// It is taken in as the chunk of this number.
    Taken(usize),
    /// It is the same as the one that is taken in as the chunk of this number.
    Again(usize),
    /// Its name is that of one which is not judged yet, and will be before this.
    Later(Named),
}

/// A chunk that is to be taken in, with the name of the delivery that it is, if it is a named one.
pub(super) struct Coming {
    pub chunk: Chunk,
    pub ahead: Ahead,
    pub named: Option<Named>,
}

/// Deliveries that are journaled together, and not judged yet.
pub struct Group {
    plans: Vec<Plan>,
    journaled: Journaled,
}

/// Chunks that are in the journal.
pub(super) struct Journaled {
    chunks: VecDeque<Chunk>,
    names: Vec<Option<Named>>,
    bytes: usize,
    /// The last entry.
    last: u64,
}

/// What came of journaling deliveries.
pub enum Begun {
    /// They are in the journal, and count when the sync has come back; there is none where there is nothing to sync.
    Journaled(Group, Option<Syncing>),
    /// Nothing of them was taken in; this is what each is told.
    Declined(Vec<Result<Receipt, Declined>>),
}

impl Instance<'_> {
    /// Takes deliveries in. What is answered is synced and judged.
    ///
    /// # Errors
    /// When something cannot be kept, but for want of room: then nothing of any of them was taken in, and each is told so.
    pub fn deliver(
        &mut self,
        deliveries: Vec<Delivery>,
        gauge: &Gauge,
    ) -> Result<Vec<Result<Receipt, Declined>>, Fault> {
        match self.begin(deliveries)? {
            Begun::Declined(told) => Ok(told),
            Begun::Journaled(group, syncing) => {
                let watch = Stopwatch::start();
                if let Some(syncing) = syncing {
                    self.end_sync(syncing.run(), watch)?;
                }
                self.judge(group, gauge)
            }
        }
    }

    /// Journals deliveries. The one group that was begun before may not be judged yet, but is synced.
    ///
    /// # Errors
    /// As [`Instance::deliver`] has them.
    pub fn begin(&mut self, deliveries: Vec<Delivery>) -> Result<Begun, Fault> {
        let (mut plans, mut coming, mut names) = (Vec::new(), Vec::new(), BTreeMap::new());
        // Where the next unnamed delivery of each source begins.
        let mut ends: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        for delivery in deliveries {
            let Delivery { source, name, bytes, header, digest, ahead } = delivery;
            let named = name.map(|name| Named { source, name, digest });
            if self.watermarks.is_halted(source.into()) {
                let answer = named.as_ref().and_then(|named| self.answered(named));
                plans.push(Plan::Known(Box::new(answer.unwrap_or(Err(Declined::Halted)))));
                continue;
            }
            if let Some(plan) = named.as_ref().and_then(|named| self.known(named, &mut names, coming.len())) {
                plans.push(plan);
                continue;
            }
            let (part, (offset, line)) = match &named {
                Some(named) => (named.name.clone(), (0, 1)),
                None => {
                    let known = self.taken.of(source, UNNAMED);
                    let start = || known.map_or((0, 1), |known| (known.offset, known.line));
                    let end = ends.entry(source).or_insert_with(start);
                    let place = *end;
                    *end = (end.0 + bytes.len() as u64, end.1 + ahead.links.lines);
                    (Arc::from(UNNAMED), place)
                }
            };
            plans.push(Plan::Taken(coming.len()));
            let chunk = Chunk { source, part, offset, line, bytes, header, arrival: None };
            coming.push(Coming { chunk, ahead, named });
        }
        match self.journal_them(coming) {
            Ok((journaled, syncing)) => Ok(Begun::Journaled(Group { plans, journaled }, syncing)),
            Err(fault) if fault.is_full() => {
                let full = || Err(Declined::NoRoom(fault.to_string()));
                let answer = |plan| match plan {
                    Plan::Known(answer) => *answer,
                    _ => full(),
                };
                Ok(Begun::Declined(plans.into_iter().map(answer).collect()))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Notes that what was begun is synced.
    ///
    /// # Errors
    /// A sync that failed: nothing more can be taken in.
    pub fn end_sync(&mut self, synced: Synced, watch: Stopwatch) -> Result<(), Fault> {
        self.journal.end_sync(synced)?;
        self.syncs.add(watch.elapsed());
        Ok(())
    }

    /// Judges and folds a group that is synced, and gives what each of its deliveries is told.
    ///
    /// # Errors
    /// When something that is needed cannot be read.
    pub fn judge(&mut self, group: Group, gauge: &Gauge) -> Result<Vec<Result<Receipt, Declined>>, Fault> {
        let counts = self.judge_them(group.journaled, gauge)?;
        let later = |named: Named| {
            let known = self.receipts.of(named.source, &named.name);
            let known = known.ok_or_else(|| Fault::Refused(format!("delivery `{}` was not answered", named.name)))?;
            Ok(if known.digest == named.digest {
                Ok(Receipt { counts: known.counts.clone(), repeated: true })
            } else {
                Err(Declined::NameTaken)
            })
        };
        let answer = |plan| match plan {
            Plan::Known(answer) => Ok(*answer),
            Plan::Taken(chunk) => Ok(Ok(Receipt { counts: counts[chunk].clone(), repeated: false })),
            Plan::Again(chunk) => Ok(Ok(Receipt { counts: counts[chunk].clone(), repeated: true })),
            Plan::Later(named) => later(named),
        };
        group.plans.into_iter().map(answer).collect()
    }

    /// What a delivery of this name was told, if one was.
    fn answered(&self, named: &Named) -> Option<Result<Receipt, Declined>> {
        let known = self.receipts.of(named.source, &named.name)?;
        let same = || Ok(Receipt { counts: known.counts.clone(), repeated: true });
        Some(if known.digest == named.digest { same() } else { Err(Declined::NameTaken) })
    }

    /// What is to become of a named delivery, if its name is known, or was used in this round. Else it is used from now on
    /// for the chunk of this number.
    fn known(&self, named: &Named, names: &mut BTreeMap<(u16, Arc<str>), (u128, usize)>, chunk: usize) -> Option<Plan> {
        if let Some(answer) = self.answered(named) {
            return Some(Plan::Known(Box::new(answer)));
        }
        let key = (named.source, named.name.clone());
        if self.unjudged.contains(&key) {
            return Some(Plan::Later(named.clone()));
        }
        if let Some((digest, chunk)) = names.get(&key) {
            let same = *digest == named.digest;
            return Some(if same { Plan::Again(*chunk) } else { Plan::Known(Box::new(Err(Declined::NameTaken))) });
        }
        names.insert(key, (named.digest, chunk));
        None
    }

    /// Journals chunks, syncs them, and takes them in; gives what became of the events of each.
    ///
    /// # Errors
    /// When something cannot be kept. If [`Fault::is_full`] says so nothing has changed.
    pub(super) fn take_chunks(&mut self, coming: Vec<Coming>, gauge: &Gauge) -> Result<Vec<Counts>, Fault> {
        let (journaled, syncing) = self.journal_them(coming)?;
        let watch = Stopwatch::start();
        if let Some(syncing) = syncing {
            self.end_sync(syncing.run(), watch)?;
        }
        self.judge_them(journaled, gauge)
    }

    /// Appends chunks to the journal, and hands them to the disk.
    ///
    /// # Errors
    /// When they cannot be kept. If [`Fault::is_full`] says so nothing has changed.
    fn journal_them(&mut self, coming: Vec<Coming>) -> Result<(Journaled, Option<Syncing>), Fault> {
        let (mut chunks, mut names, mut bytes) = (VecDeque::new(), Vec::new(), 0);
        if coming.is_empty() {
            return Ok((Journaled { chunks, names, bytes, last: self.journal.last() }, None));
        }
        let arrival = self.clock.now();
        self.journal.keep_free(self.weight_of_tick());
        let mut taken: Taken = self.taken.clone();
        for Coming { chunk, ahead, named } in coming {
            let chunk = Chunk { arrival: Some(arrival), ..chunk };
            match &named {
                Some(named) => taken.deliver(named),
                None => taken.add(&chunk, &ahead.links),
            }
            let packed = entry(self.formats, &chunk, &ahead, named.as_ref().map(|named| named.digest))?;
            if let Err(fault) = self.journal.append(&packed) {
                // Those before it were to be taken in with it.
                if fault.is_full() {
                    self.journal.withdraw()?;
                }
                return Err(fault);
            }
            bytes += chunk.bytes.len();
            chunks.push_back(chunk);
            names.push(named);
        }
        let syncing = if is(Bug::ReplyBeforeSync) { None } else { self.journal.begin_sync()? };
        (self.taken, self.recorded) = (taken, Some(arrival).max(self.recorded));
        self.bytes_since += bytes as u64;
        self.unjudged.extend(names.iter().flatten().map(|named| (named.source, named.name.clone())));
        Ok((Journaled { chunks, names, bytes, last: self.journal.last() }, syncing))
    }

    /// Takes in what is in the journal and synced.
    fn judge_them(&mut self, journaled: Journaled, gauge: &Gauge) -> Result<Vec<Counts>, Fault> {
        let Journaled { chunks, names, bytes, last } = journaled;
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let Instance { plan, formats, guards, settings, shards, index, archive, resting, aside, .. } = self;
        let resting = resting.as_ref().map_or(&[][..], |resting| resting);
        let (shelves, mut tallies) = (Shelves { index, archive, resting }, Tallies::default());
        let tell = |told: Told| -> Result<(), Stop> {
            tallies.add(&told);
            aside.extend(told.aside);
            Ok(())
        };
        let threads = if bytes < WORTH { 1 } else { settings.threads };
        let recall = Some(&shelves as _);
        let how = (*plan, *formats, &**guards);
        let inlet = |out| Inlet::of(vec![Ready(chunks)], out, gauge);
        shards.take(how, inlet, threads, gauge, recall, tell).map_err(Stop::into_fault)?;
        self.at = last;
        for (named, counts) in names.into_iter().zip(&tallies.chunks) {
            let Some(named) = named else { continue };
            self.unjudged.remove(&(named.source, named.name.clone()));
            self.answer(named, counts.clone());
        }
        Ok(tallies.chunks)
    }
}
