//! Ticks whose event bytes are gone, told again: what was counted and set aside as the record has it, what was added as the
//! archive has it. Nothing is decoded and nothing judged.
//!
//! Between two ticks an identity may have had several winners. Only the last one counts for anything that a tick does, and
//! that is the one the archive has; what was counted of the others the tick itself says.

use super::engine::Shards;
use super::instance::Instance;
use super::recall::Shelves;
use super::receipts::Named;
use super::replay::Gist;
use super::shard::Recall;
use super::tale::{Outcome, Piece, Untold};
use slackwater_core::codec::{CodecError, Reader};
use slackwater_core::input::{Batch, Decision, Input, Tick};
use slackwater_core::judge::Judge;
use slackwater_core::machine::{Shard, tell_batch};
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::{Fate, Quarantined, Retrial, Ruling};
use slackwater_core::schema::Schema;
use slackwater_store::Fault;
use slackwater_store::archive::{Change, Changes};
use slackwater_store::entry::{Entry, Received};
use slackwater_store::journal::Entries;
use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;

/// Winners that are gathered before they are taken in.
const GATHERED: usize = 1 << 16;

/// What is read ahead of archive and quarantine.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// By source.
    pages: Vec<Page>,
    /// Events that were set aside, from the next one on.
    aside: VecDeque<Quarantined>,
}

/// Changes of a source, by tick.
#[derive(Debug, Default)]
struct Page {
    changes: Changes,
    at: usize,
    /// Up to which tick they are all.
    until: u64,
}

impl Story {
    /// Nothing is read yet.
    pub fn of(plan: &Plan) -> Story {
        Story { pages: plan.sources.iter().map(|_| Page::default()).collect(), aside: VecDeque::new() }
    }
}

impl Instance<'_> {
    /// Whether what comes next up to a tick is not all there to be judged again.
    pub(super) fn must_be_told(&self) -> bool {
        self.ticked < self.journal.reduced()
    }

    /// Takes in what stands before a tick and the tick itself, without its events; at most up to an entry.
    pub(super) fn retell(
        &mut self,
        entries: &mut Peekable<Entries>,
        story: &mut Story,
        until: u64,
    ) -> Result<(), Fault> {
        if self.at != self.ticked {
            return Err(Fault::Refused(format!(
                "event bytes behind entry {} of the journal were not kept, and the state there is not that of a tick",
                self.at
            )));
        }
        let (mut named, mut origins) = (Vec::new(), Vec::new());
        while self.at < until {
            let Some((sequence, entry)) = entries.next().transpose()? else { break };
            match entry {
                Entry::Events(received) => named.extend(self.pass(sequence, received)?),
                Entry::Step { input, outcome } => {
                    let place = || format!("journal entry {sequence}");
                    let bad = |error: CodecError| Fault::damaged(&place(), 0, error.to_string());
                    let schemas: Vec<&Schema> = self.plan.sources.iter().map(|source| &source.schema).collect();
                    match Input::decode(&input, &schemas).map_err(bad)? {
                        Input::Tick(tick) => {
                            let told = Outcome::decode(self.plan, &outcome).map_err(bad)?;
                            let before = origins.len() as u64;
                            if before < told.more {
                                let what = format!("{} pieces before it are missing", told.more - before);
                                return Err(Fault::damaged(&place(), 0, what));
                            }
                            // Others are of a tick that was never journaled.
                            let mine = origins.split_off((before - told.more) as usize);
                            return self.retell_tick((sequence, &tick), (told, &mine), named, story);
                        }
                        Input::Told(piece) => match Piece::decode(self.plan, &piece).map_err(bad)? {
                            Piece::Winners(untold) => self.retell_winners(&untold)?,
                            Piece::Origins(seen) => origins.push(seen),
                        },
                        Input::Decision(Decision::Retrial(_, retrial)) => {
                            self.retell_retrial(&retrial, &outcome).map_err(bad)?;
                        }
                        other => drop(self.apply(&other)?),
                    }
                }
            }
            self.at = sequence;
        }
        Err(Fault::Refused(format!(
            "event bytes before entry {} of the journal were not kept, and it is no tick: what was committed there cannot be \
             made again; take the store of results away, so that it is made anew",
            self.at
        )))
    }

    /// Passes over events: how far their file was taken in, and which delivery they were.
    fn pass(&mut self, sequence: u64, received: Received) -> Result<Option<Named>, Fault> {
        let Received { source, part, offset, line, arrival, delivered, gist, .. } = received;
        self.recorded = arrival.max(self.recorded);
        if let Some(digest) = delivered {
            let named = Named { source, name: part, digest };
            self.taken.deliver(&named);
            return Ok(Some(named));
        }
        let gist = Gist::decode(&gist)
            .map_err(|error| Fault::damaged(&format!("journal entry {sequence}"), 0, error.to_string()))?;
        self.taken.pass((source, &part), (offset, line), &gist);
        Ok(None)
    }

    /// What came of events that were let out of quarantine is told; what they brought is among what the tick tells.
    fn retell_retrial(&mut self, retrial: &Retrial, outcome: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(outcome);
        for (number, _) in &retrial.events {
            let fate = Fate::decode(&mut reader)?;
            self.note(Ruling { number: *number, at: retrial.at, fate });
        }
        reader.finish()
    }

    fn retell_winners(&mut self, untold: &Untold) -> Result<(), Fault> {
        for batch in untold.batches(self.plan) {
            let Instance { plan, shards, index, archive, .. } = self;
            shards.tell(plan, &Arc::new(batch), &Shelves { index, archive, resting: &[] })?;
        }
        Ok(())
    }

    fn retell_tick(
        &mut self,
        (sequence, tick): (u64, &Tick),
        (told, origins): (Outcome, &[Judge]),
        named: Vec<Named>,
        story: &mut Story,
    ) -> Result<(), Fault> {
        let place = format!("journal entry {sequence}");
        if named.len() != told.told.len() {
            let what = format!("it tells of {} deliveries, and {} stand before it", told.told.len(), named.len());
            return Err(Fault::damaged(&place, 0, what));
        }
        named.into_iter().zip(&told.told).for_each(|(named, counts)| self.answer(named, counts.clone()));
        self.retell_aside(told.aside, story)?;
        for source in 0..self.plan.sources.len() as u16 {
            self.retell_changes(source, story)?;
        }
        let mut seen = self.seen_before.clone();
        seen.go_on(&told.seen);
        origins.iter().for_each(|origins| seen.merge(origins));
        self.shards.judges.iter_mut().for_each(|judge| *judge = Judge::new(self.plan));
        self.shards.judges[0] = seen;
        let again = self.apply(&Input::Tick(tick.clone()))?;
        self.pieces.clear();
        let again = Outcome::decode(self.plan, &again).map_err(|error| Fault::damaged(&place, 0, error.to_string()))?;
        let mut found = (Vec::new(), Vec::new());
        again.encode(&mut found.0);
        told.encode(&mut found.1);
        if found.0 != found.1 {
            let what = "what archive and record tell of it is not what came of it then";
            return Err(Fault::damaged(&place, 0, what));
        }
        (self.at, self.recorded) = (sequence, Some(tick.at).max(self.recorded));
        self.pass_step(&Input::Tick(tick.clone()));
        Ok(())
    }

    /// Sets aside what was set aside up to the tick.
    fn retell_aside(&mut self, until: u64, story: &mut Story) -> Result<(), Fault> {
        let known = self.set_aside();
        for number in known..until {
            if story.aside.is_empty() {
                story.aside = self.castoffs.from(number)?;
            }
            self.aside.extend(story.aside.pop_front());
        }
        Ok(())
    }

    /// Takes in what a source added by the next tick.
    fn retell_changes(&mut self, source: u16, story: &mut Story) -> Result<(), Fault> {
        let tick = self.head.ticks + 1;
        let Instance { plan, shards, index, archive, .. } = self;
        let (schema, Page { changes, at, until }) =
            (&plan.sources[usize::from(source)].schema, &mut story.pages[usize::from(source)]);
        let shelves = Shelves { index, archive, resting: &[] };
        let mut gathered = Gathered { plan, shards, shelves, schema, batches: BTreeMap::new(), count: 0, failed: None };
        if *until < tick {
            changes.clear();
            *at = 0;
            *until = archive.changes_from(source, tick, &mut |change| match change.tick == tick {
                true => gathered.add(change),
                false => changes.push(change),
            })?;
        } else {
            while *at < changes.len() && changes.get(*at).tick <= tick {
                let change = changes.get(*at);
                if change.tick == tick {
                    gathered.add(&change);
                }
                *at += 1;
            }
        }
        gathered.finish()
    }
}

/// Winners that are to be taken in, by decoder and part.
struct Gathered<'a> {
    plan: &'a Plan,
    shards: &'a mut Shards,
    shelves: Shelves<'a>,
    schema: &'a Schema,
    batches: BTreeMap<(u32, Arc<str>), Batch>,
    count: usize,
    failed: Option<Fault>,
}

impl Gathered<'_> {
    fn add(&mut self, change: &Change<'_>) {
        if !change.plus || self.failed.is_some() {
            return;
        }
        let Change { source, decoder, part, position, arrival, content, .. } = *change;
        let part: Arc<str> = part.into();
        let batch = self.batches.entry((decoder, part.clone())).or_insert_with(|| Batch::new(source, decoder, part));
        batch.push_content(self.schema, content, position, arrival);
        self.count += 1;
        if self.count >= GATHERED {
            self.failed = self.take_in().err();
        }
    }

    fn take_in(&mut self) -> Result<(), Fault> {
        self.count = 0;
        for batch in std::mem::take(&mut self.batches).into_values() {
            self.shards.tell(self.plan, &Arc::new(batch), &self.shelves)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Fault> {
        match self.failed.take() {
            Some(fault) => Err(fault),
            None => self.take_in(),
        }
    }
}

impl Shards {
    /// Takes in winners that are told.
    fn tell(&mut self, plan: &Plan, batch: &Arc<Batch>, recall: &dyn Recall<Fault>) -> Result<(), Fault> {
        let Shards { memories, folds, holds, .. } = self;
        let (of, count) = (memories.len() as u64, folds.len());
        for (number, memory) in (0..).zip(memories.iter_mut()) {
            let memory: &mut Memory = memory;
            let missing = memory.missing(plan, batch, number, of);
            let past = recall.recall(plan, batch, &missing)?;
            let shard = Shard { number, of, folds: count };
            let deltas = tell_batch(plan, (memory, &past), batch, shard, holds);
            folds.iter_mut().zip(&deltas).for_each(|(fold, deltas)| fold.apply(plan, deltas));
        }
        Ok(())
    }
}
