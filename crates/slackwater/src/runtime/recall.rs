//! Winners that no memory holds any more, brought back from identity runs and archive.

use super::shard::Recall;
use slackwater_core::input::{Batch, Decoded, Entry, Position};
use slackwater_core::judge::{Known, Verdict, weigh};
use slackwater_core::memory::{Memory, Past, Winner};
use slackwater_core::plan::Plan;
use slackwater_core::row::{IdentityBytes, Op, Row, digest};
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, Ask};
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::index::Index;
use std::borrow::Cow;

/// What is kept on disk of the facts of an instance.
#[derive(Debug)]
pub(super) struct Shelves<'a> {
    pub index: &'a Index,
    pub archive: &'a Archive,
    /// What a checkpoint that is being written will have put there.
    pub resting: &'a [Memory],
}

impl<E: From<Fault>> Recall<E> for Shelves<'_> {
    fn recall(&self, plan: &Plan, batch: &Batch, missing: &[u32]) -> Result<Vec<(u32, Past)>, E> {
        crash::point(CrashPoint::MidBatch)?;
        let (mut past, missing) = self.rested(plan, batch, missing);
        if missing.is_empty() || self.index.is_empty() {
            return Ok(past);
        }
        let rested = past.len();
        let schema = &plan.sources[usize::from(batch.source)].schema;
        let (mut identity, mut bytes, mut ends) = (IdentityBytes::default(), Vec::new(), vec![0]);
        for number in &*missing {
            let entry = &batch.entries()[*number as usize];
            let row = Row::new(schema, batch.bytes(entry));
            bytes.extend_from_slice(identity.of(row, batch.source, (&batch.part, entry.position.offset)));
            ends.push(bytes.len());
        }
        let asks: Vec<&[u8]> = ends.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let found = self.index.look_up(&asks)?;
        // Contents that will be asked for: which answer needs it, and where it is.
        let (mut wanted, mut places) = (Vec::new(), Vec::new());
        for ((number, identity), known) in missing.iter().zip(asks).zip(found) {
            let Some(kept) = known else { continue };
            let slackwater_store::index::Known { version, decoder, op, digest, time, .. } = kept;
            let known = Known { version, decoder, op, digest, place: u32::MAX };
            let Some(replaces) = replaces(batch, &batch.entries()[*number as usize], &known) else { continue };
            // What lies before a cutoff is replaced by nothing.
            if op == Op::Assert && replaces && self.archive.kept_from(batch.source).is_none_or(|from| from <= time) {
                wanted.push(past.len());
                places.push(Ask { source: batch.source, time, identity: identity.to_vec(), digest });
            }
            let position = Position { offset: 0, line: 0 };
            let part = batch.part.clone();
            past.push((*number, Past { known, time, part, position, arrival: None, content: None }));
        }
        let found = self.archive.contents(&places)?;
        for ((at, ask), fact) in wanted.into_iter().zip(&places).zip(found) {
            let Some(fact) = fact else { return Err(lost(&ask.identity).into()) };
            let past: &mut Past = &mut past[at].1;
            (past.part, past.position, past.arrival) = (fact.part, fact.position, fact.arrival);
            past.content = Some(fact.content);
        }
        if rested > 0 {
            past.sort_unstable_by_key(|(number, _)| *number);
        }
        Ok(past)
    }
}

impl Shelves<'_> {
    /// The winners among what rests, and the events whose winner is not there.
    fn rested<'m>(&self, plan: &Plan, batch: &Batch, missing: &'m [u32]) -> (Vec<(u32, Past)>, Cow<'m, [u32]>) {
        if self.resting.is_empty() {
            return (Vec::new(), Cow::Borrowed(missing));
        }
        let (mut past, mut left) = (Vec::new(), Vec::new());
        for number in missing {
            let entry = &batch.entries()[*number as usize];
            let winner = self.resting.iter().find_map(|memory| memory.winner(plan, batch, entry));
            let Some(Winner { known, fact, .. }) = winner else {
                left.push(*number);
                continue;
            };
            let known = Known { place: u32::MAX, ..known };
            let Some(replaces) = replaces(batch, entry, &known) else { continue };
            let content = (known.op == Op::Assert && replaces).then(|| fact.content.to_vec());
            let (part, position, arrival) = (fact.part.clone(), fact.position, fact.arrival);
            let row = Row::new(&plan.sources[usize::from(batch.source)].schema, fact.content);
            let time = if known.op == Op::Assert { row.event_time() } else { 0 };
            past.push((*number, Past { known, time, part, position, arrival, content }));
        }
        (past, Cow::Owned(left))
    }
}

/// Whether an event replaces what is known of its identity; none if it is no row.
fn replaces(batch: &Batch, entry: &Entry, known: &Known) -> Option<bool> {
    let Decoded::Row(head) = &entry.decoded else { return None };
    let verdict = weigh(head, batch.decoder, || digest(batch.bytes(entry)), Some(known));
    Some(matches!(verdict, Verdict::Replaces(_)))
}

fn lost(identity: &[u8]) -> Fault {
    Fault::damaged("archive", 0, format!("it lacks the content of an identity that the index has ({identity:02x?})"))
}
