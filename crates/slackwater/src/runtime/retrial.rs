//! Events in quarantine that are judged again, or discarded, and the guards under which a source's events are judged.
//!
//! All three are decisions: they take effect at their place of the journal, forward only, and carry what it takes to do so
//! again. Whether one is worth recording is asked before; what is recorded is done as it was.

use super::engine::Shards;
use super::instance::Instance;
use super::recall::Shelves;
use super::shard::Recall;
use crate::decode;
use slackwater_core::codec::Reader;
use slackwater_core::input::{Batch, Decision, Decoded, Input};
use slackwater_core::judge::Counts;
use slackwater_core::limits;
use slackwater_core::machine::{Shard, judge_batch};
use slackwater_core::plan::{Guards, Plan};
use slackwater_core::planted::{Bug, is};
use slackwater_core::poison::Reason;
use slackwater_core::quarantine::{Discard, Fate, Quarantined, Retrial, Ruling, Why};
use slackwater_store::Fault;
use slackwater_store::store::Aside;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events that one step deals with at most, and their bytes, about: others wait for it.
const MOST: usize = 1_000;
const MOST_BYTES: u64 = 4 << 20;
/// Bytes that an entry of the journal takes beside what is in it, at most.
const ENTRY: u64 = 128;
/// Events that one step looks at.
const LOOK_AT: usize = 50_000;

/// Which events in quarantine are meant: those that are committed there, and neither released nor discarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By source, whether its events are.
    pub sources: Vec<bool>,
    /// Only those that are there for this reason now.
    pub reason: Option<Reason>,
    /// Only the one of this number.
    pub number: Option<u64>,
    /// From this number on.
    pub from: u64,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dealt {
    /// Things that it was carried out on.
    pub done: u64,
    /// Events that are refused again, for whatever reason, and so stay.
    pub refused: u64,
    /// Events of which only the beginning was kept.
    pub cut: u64,
    /// Losers of conflicts, which another content of their version keeps out, and no verdict.
    pub conflicts: u64,
    /// What lies before a cutoff, which no verdict keeps out either.
    pub beyond_retention: u64,
    /// Events that were discarded before.
    pub discarded: u64,
    /// Where to go on, if there may be more.
    pub next: Option<u64>,
}

impl Dealt {
    /// Only things that an order was carried out on.
    pub fn done(count: u64) -> Self {
        Dealt { done: count, ..Dealt::default() }
    }

    /// Adds what came of another order.
    pub fn add(&mut self, other: &Dealt) {
        self.done += other.done;
        self.refused += other.refused;
        self.cut += other.cut;
        self.conflicts += other.conflicts;
        self.beyond_retention += other.beyond_retention;
        self.discarded += other.discarded;
    }
}

impl Instance<'_> {
    /// Whether guards, one of each source, are such that they could be read back.
    ///
    /// # Errors
    /// Those that are not, in words.
    pub fn may_guard(&self, guards: &[Arc<Guards>]) -> Result<(), String> {
        for (source, guards) in self.plan.sources.iter().zip(guards) {
            let mut encoded = Vec::new();
            guards.encode(&mut encoded);
            if Guards::decode(&mut Reader::new(&encoded), &source.schema).as_ref() != Ok(&**guards) {
                return Err(format!("source `{}`: a guard is nested too deeply to be recorded; split it", source.name));
            }
        }
        Ok(())
    }

    /// From here on, the events of each source are judged under these guards. What is not as it was recorded is a decision.
    ///
    /// # Errors
    /// When the journal cannot take the decisions, or guards are not such that they could be read back.
    pub fn guard(&mut self, guards: &[Arc<Guards>]) -> Result<(), Fault> {
        self.may_guard(guards).map_err(Fault::Refused)?;
        for (number, guards) in (0..).zip(guards) {
            if self.guards[usize::from(number)] != *guards {
                self.decide(Decision::Guards(number, guards.clone()))?;
            }
        }
        Ok(())
    }

    /// Judges events in quarantine again, under the present decoder and guards. What is recorded is only what changes
    /// anything: an event that is refused as before leaves no trace.
    ///
    /// Where nothing was changed for another reason, that is the answer.
    ///
    /// # Errors
    /// When the store cannot be read, or the journal not take the decision.
    pub fn readmit(&mut self, wanted: &Wanted) -> Result<Result<Dealt, String>, Fault> {
        let mut dealt = Dealt::default();
        let mut again: Vec<(u16, Vec<(u64, Quarantined)>)> = Vec::new();
        for aside in self.meant(wanted, &mut dealt)? {
            if aside.is_discarded() {
                dealt.discarded += 1;
                continue;
            }
            let Aside { number, event, .. } = aside;
            if self.is_cut(&event) {
                dealt.cut += 1;
                continue;
            }
            let batch = match self.decode_again(number, &event) {
                Ok(batch) => batch,
                Err(why) => return Ok(Err(why)),
            };
            match batch.entries()[0].decoded {
                Decoded::Row(_) => dealt.done += 1,
                Decoded::Refused(refusal) => {
                    dealt.refused += 1;
                    if Why::Refused(refusal) == event.why && guard_of(&batch) == event.guard {
                        continue;
                    }
                }
            }
            append(&mut again, event.source, (number, event));
        }
        let at = self.clock.now();
        let retrials = again.into_iter().map(|(source, events)| {
            let decoder = self.formats[usize::from(source)].decoder_version();
            Input::Decision(Decision::Retrial(source, Retrial { decoder, at, events }))
        });
        let retrials: Vec<Input> = retrials.collect();
        let mut encoded = Vec::new();
        retrials.iter().for_each(|input| input.encode(&mut encoded));
        // What is kept free is for what must be decided, and this need not be now. The next tick tells of all that is let out.
        self.journal.keep_free(self.weight_of_tick());
        let needed = 4 * encoded.len() as u64 + ENTRY * retrials.len() as u64;
        if !retrials.is_empty() && self.journal.room() < needed {
            let text = "the journal has no room for these events; ask again when a checkpoint has made some";
            return Ok(Err(text.to_string()));
        }
        retrials.into_iter().try_for_each(|input| self.step(input))?;
        self.journal.sync()?;
        Ok(Ok(dealt))
    }

    /// Lets events stay in quarantine for good.
    ///
    /// # Errors
    /// When the store cannot be read, or the journal not take the decision.
    pub fn discard(&mut self, wanted: &Wanted) -> Result<Dealt, Fault> {
        let mut dealt = Dealt::default();
        let mut numbers: Vec<(u16, Vec<u64>)> = Vec::new();
        for aside in self.meant(wanted, &mut dealt)? {
            match aside.is_discarded() {
                true => dealt.discarded += 1,
                false => append(&mut numbers, aside.event.source, aside.number),
            }
        }
        for (source, numbers) in numbers {
            dealt.done += numbers.len() as u64;
            self.decide(Decision::Discard(source, Discard { at: self.clock.now(), numbers }))?;
        }
        Ok(dealt)
    }

    /// The refused events that are meant. What was not refused is counted at once: nothing can be done with it.
    fn meant(&mut self, wanted: &Wanted, dealt: &mut Dealt) -> Result<Vec<Aside>, Fault> {
        let Wanted { sources, reason, number, from } = wanted;
        // What was decided since the last commit is newer than what the store has.
        let mut fresh: BTreeMap<u64, Vec<&Ruling>> = BTreeMap::new();
        self.rulings.iter().for_each(|ruling| fresh.entry(ruling.number).or_default().push(ruling));
        let (mut meant, mut bytes, mut left) = (Vec::new(), 0, LOOK_AT);
        let most_bytes = MOST_BYTES.min(self.journal.room() / 8);
        self.store.aside(number.unwrap_or(*from), &mut |mut aside| {
            if number.is_some_and(|number| aside.number != number) {
                return Ok(false);
            }
            if meant.len() >= MOST || (!meant.is_empty() && bytes >= most_bytes) || left == 0 {
                dealt.next = Some(aside.number);
                return Ok(false);
            }
            left -= 1;
            let since = fresh.get(&aside.number).into_iter().flatten();
            since.for_each(|ruling| aside.rule((*ruling).clone()));
            let mine = sources.get(usize::from(aside.event.source)).is_some_and(|wanted| *wanted);
            let same = reason.is_none_or(|reason| aside.refusal().is_some_and(|refusal| refusal.reason == reason));
            if mine && same && !aside.is_released() {
                match aside.event.why {
                    Why::Conflict => dealt.conflicts += 1,
                    Why::BeyondRetention => dealt.beyond_retention += 1,
                    Why::Refused(_) => {
                        bytes += (aside.event.bytes.len() + aside.event.header.len() + aside.event.part.len()) as u64;
                        meant.push(aside);
                    }
                }
            }
            Ok(true)
        })?;
        Ok(meant)
    }

    /// Whether only the beginning of an event was kept.
    fn is_cut(&self, event: &Quarantined) -> bool {
        let rendered = self.formats[usize::from(event.source)] == decode::Format::Parquet;
        let too_large = event.why.refusal().is_some_and(|refusal| refusal.reason == Reason::TooLarge);
        too_large || (rendered && event.bytes.len() >= limits::EVENT_BYTES)
    }

    /// An event as it is decoded now.
    fn decode_again(&self, number: u64, event: &Quarantined) -> Result<Batch, String> {
        let index = usize::from(event.source);
        let (source, guards, format) = (&self.plan.sources[index], &self.guards[index], self.formats[index]);
        decode::again(source, guards, format, event).map_err(|error| {
            format!(
                "event {number} in quarantine of source `{}` was read in another format than the source has now: {error}",
                source.name
            )
        })
    }

    /// Takes in what a decision says of guards, quarantine and cutoffs, and gives what came of it.
    pub(super) fn rule(&mut self, decision: &Decision) -> Result<Vec<u8>, Fault> {
        let mut outcome = Vec::new();
        match decision {
            Decision::Guards(source, guards) => self.guards[usize::from(*source)] = guards.clone(),
            Decision::Cutoff(source, cutoff) => {
                let of_the_day = is(Bug::CutoffOfTheDay).then(|| self.due_cutoff(*source));
                let cutoff = of_the_day.unwrap_or(Some(*cutoff));
                cutoff.into_iter().for_each(|cutoff| self.shards.cutoffs.decide(*source, cutoff));
            }
            Decision::Retrial(source, Retrial { decoder, at, events }) => {
                let known = self.formats[usize::from(*source)].decoder_version();
                if *decoder != known {
                    return Err(Fault::Refused(format!(
                        "an event in quarantine was judged again by version {decoder} of the decoder, and this program has \
                         version {known}; use the program that wrote it"
                    )));
                }
                for (number, event) in events {
                    let fate = self.judge_again(*number, event)?;
                    fate.encode(&mut outcome);
                    self.note(Ruling { number: *number, at: *at, fate });
                }
            }
            Decision::Discard(source, Discard { at, numbers }) => {
                self.shards.judges[0].discard(*source, numbers.len() as u64);
                numbers.iter().for_each(|number| self.note(Ruling { number: *number, at: *at, fate: Fate::Discarded }));
            }
            _ => {}
        }
        Ok(outcome)
    }

    pub(super) fn note(&mut self, ruling: Ruling) {
        self.recorded = Some(ruling.at).max(self.recorded);
        self.head.put_ruling(&ruling);
        self.rulings.push(ruling);
    }

    /// Judges and folds one event again.
    fn judge_again(&mut self, number: u64, event: &Quarantined) -> Result<Fate, Fault> {
        let batch = Arc::new(self.decode_again(number, event).map_err(Fault::Refused)?);
        let Instance { plan, shards, index, archive, resting, aside, .. } = self;
        let resting = resting.as_ref().map_or(&[][..], |resting| resting);
        let shelves = Shelves { index, archive, resting };
        let (tally, mut put_aside) = shards.judge_again(plan, &batch, &shelves)?;
        // It stands there already; what it drove out of a conflict does not.
        let refused = put_aside.iter().position(|event| event.why.refusal().is_some()).map(|at| put_aside.remove(at));
        aside.append(&mut put_aside);
        Ok(Fate::of(&tally, refused.as_ref()))
    }
}

impl Shards {
    /// Takes in the events of a batch that stood in quarantine: what they came to, and what is set aside.
    fn judge_again(
        &mut self,
        plan: &Plan,
        batch: &Arc<Batch>,
        recall: &dyn Recall<Fault>,
    ) -> Result<(Counts, Vec<Quarantined>), Fault> {
        let Shards { judges, memories, folds, holds, cutoffs } = self;
        let (mut tally, mut aside) = (Counts::default(), Vec::new());
        let (of, count) = (judges.len() as u64, folds.len());
        for (number, (judge, memory)) in (0..).zip(judges.iter_mut().zip(memories)) {
            let missing = memory.missing(plan, batch, number, of);
            let past = recall.recall(plan, batch, &missing)?;
            let shard = Shard { number, of, folds: count };
            let judged = judge_batch(plan, judge, (memory, &past), batch, shard, (holds, cutoffs));
            folds.iter_mut().zip(&judged.deltas).for_each(|(fold, deltas)| fold.apply(plan, deltas));
            tally.merge(&judged.tally);
            aside.extend(judged.quarantined);
        }
        Ok((tally, aside))
    }
}

/// Appends what concerns a source: to what stands last, if that concerns the same one. Rulings so stand in the order of
/// their events' numbers, however many steps there were, and wherever one was interrupted.
fn append<T>(runs: &mut Vec<(u16, Vec<T>)>, source: u16, what: T) {
    match runs.last_mut() {
        Some((last, run)) if *last == source => run.push(what),
        _ => runs.push((source, vec![what])),
    }
}

/// The guard that the one event of a batch was refused for.
fn guard_of(batch: &Batch) -> Option<Arc<str>> {
    let Decoded::Refused(refusal) = batch.entries()[0].decoded else { return None };
    batch.guard_of(refusal).map(Arc::from)
}
