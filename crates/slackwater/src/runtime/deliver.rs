//! What arrives at a running instance: journaled and synced together, then judged and folded in one round.

use super::clock::Stopwatch;
use super::desk::{Declined, Delivery, Receipt};
use super::gauge::Gauge;
use super::ingest::Feed;
use super::instance::{Instance, Stop};
use super::recall::Shelves;
use super::receipts::Named;
use super::replay::{Taken, append};
use super::shard::{Tallies, Told};
use crate::decode::Chunk;
use slackwater_core::judge::Counts;
use slackwater_core::planted::{Bug, is};
use slackwater_store::Fault;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

/// The part of deliveries without a name: they stand one behind the other.
const UNNAMED: &str = "unnamed";

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
        let (mut plans, mut chunks, mut names) = (Vec::new(), Vec::new(), BTreeMap::new());
        // Where the next unnamed delivery of each source begins.
        let mut ends: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        for Delivery { source, name, bytes, header, digest } in deliveries {
            if self.watermarks.is_halted(source.into()) {
                plans.push(Plan::Known(Box::new(Err(Declined::Halted))));
                continue;
            }
            let named = name.map(|name| Named { source, name, digest });
            if let Some(plan) = named.as_ref().and_then(|named| self.known(named, &mut names, chunks.len())) {
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
                    *end = (end.0 + bytes.len() as u64, end.1 + memchr::memchr_iter(b'\n', &bytes).count() as u64);
                    (Arc::from(UNNAMED), place)
                }
            };
            plans.push(Plan::Taken(chunks.len()));
            chunks.push((Chunk { source, part, offset, line, bytes, header, arrival: None }, named));
        }
        let counts = match self.take_chunks(chunks, gauge) {
            Ok(counts) => counts,
            Err(fault) if fault.is_full() => {
                let full = || Err(Declined::NoRoom(fault.to_string()));
                let answer = |plan| match plan {
                    Plan::Known(answer) => *answer,
                    _ => full(),
                };
                return Ok(plans.into_iter().map(answer).collect());
            }
            Err(fault) => return Err(fault),
        };
        let answer = |plan| match plan {
            Plan::Known(answer) => *answer,
            Plan::Taken(chunk) => Ok(Receipt { counts: counts[chunk].clone(), repeated: false }),
            Plan::Again(chunk) => Ok(Receipt { counts: counts[chunk].clone(), repeated: true }),
        };
        Ok(plans.into_iter().map(answer).collect())
    }

    /// What is to become of a named delivery, if its name is known, or was used in this round. Else it is used from now on
    /// for the chunk of this number.
    fn known(&self, named: &Named, names: &mut BTreeMap<(u16, Arc<str>), (u128, usize)>, chunk: usize) -> Option<Plan> {
        if let Some(known) = self.receipts.of(named.source, &named.name) {
            let same = || Ok(Receipt { counts: known.counts.clone(), repeated: true });
            let answer = if known.digest == named.digest { same() } else { Err(Declined::NameTaken) };
            return Some(Plan::Known(Box::new(answer)));
        }
        let key = (named.source, named.name.clone());
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
    pub(super) fn take_chunks(
        &mut self,
        chunks: Vec<(Chunk, Option<Named>)>,
        gauge: &Gauge,
    ) -> Result<Vec<Counts>, Fault> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let arrival = self.clock.now();
        let (mut ready, mut names) = (VecDeque::new(), Vec::new());
        let mut taken: Taken = self.taken.clone();
        let mut bytes_taken = 0;
        for (chunk, named) in chunks {
            let chunk = Chunk { arrival: Some(arrival), ..chunk };
            bytes_taken += chunk.bytes.len() as u64;
            match &named {
                Some(named) => taken.deliver(named),
                None => taken.add(chunk.source, &chunk.part, (chunk.offset, chunk.line), chunk.end(), &chunk.bytes),
            }
            match append(&mut self.journal, self.formats, chunk, named.as_ref().map(|named| named.digest)) {
                Ok(chunk) => ready.push_back(chunk),
                Err(fault) => {
                    // Those before it were to be taken in with it.
                    if fault.is_full() {
                        self.journal.withdraw()?;
                    }
                    return Err(fault);
                }
            }
            names.push(named);
        }
        let watch = Stopwatch::start();
        if !is(Bug::ReplyBeforeSync) {
            self.journal.sync()?;
        }
        self.syncs.add(watch.elapsed());
        (self.taken, self.recorded) = (taken, Some(arrival).max(self.recorded));
        self.bytes_since += bytes_taken;
        let Instance { plan, formats, settings, shards, index, archive, aside, .. } = self;
        let (shelves, mut tallies) = (Shelves { index, archive }, Tallies::default());
        let tell = |told: Told| -> Result<(), Stop<Infallible>> {
            tallies.add(&told);
            aside.extend(told.aside);
            Ok(())
        };
        shards
            .take((plan, formats), vec![Ready(ready)], settings.threads, gauge, Some(&shelves), tell)
            .map_err(Stop::into_fault)?;
        self.at = self.journal.last();
        for (named, counts) in names.into_iter().zip(&tallies.chunks) {
            named.into_iter().for_each(|named| self.receipts.put(&mut self.head, named, counts.clone()));
        }
        Ok(tallies.chunks)
    }
}
