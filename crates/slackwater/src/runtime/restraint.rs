//! Who is held back: an origin so far ahead of the others of its source that its windows no longer lie in memory. What it
//! sends waits, before anything is journaled, while those that are behind are being heard, so that they catch up.
//!
//! Nothing of this is recorded: what is not taken in was never there. Nobody waits for one that is silent, so an origin
//! that is gone keeps nobody out, whether it can be proven idle or not.

use super::board::{Board, OriginStanding};
use super::desk::Delivery;
use super::service::Tail;
use crate::decode::{Chunk, Decoder, Format};
use slackwater_core::input::Decoded;
use slackwater_core::plan::{Knobs, Source};
use slackwater_core::row::Row;
use slackwater_store::store::Offset;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long after its last event an origin that is behind is waited for; where it would be proven idle sooner, so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names of origins, as rows have them.
type Names = BTreeSet<Vec<u8>>;

/// What is put off of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOff {
    /// Windows that reach to this time or beyond are not in memory, in nanoseconds since the epoch.
    pub from: i128,
    /// Keys that have facts there.
    pub keys: usize,
}

/// Who of a source is held back, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restraint {
    ahead: Arc<Names>,
    /// Until when; then those that are behind have been silent for too long.
    until: Option<i64>,
}

impl Restraint {
    /// What follows from how far the origins of a source have come, where windows are put off from a time on. Notes with
    /// each origin whether it is ahead.
    pub(super) fn of(origins: &mut [OriginStanding], knobs: &Knobs, from: i128) -> Restraint {
        let busy = |origin: &&OriginStanding| !origin.idle && origin.frontier.is_some();
        let least = origins.iter().filter(busy).filter_map(|origin| origin.watermark).min();
        // Whoever has the least watermark moves it: it is never waited for itself.
        let (Some(least), false) = (least, knobs.wall_clock) else { return Restraint::default() };
        for origin in origins.iter_mut() {
            let beyond = origin.frontier.is_some_and(|frontier| i128::from(frontier) >= from);
            origin.ahead = beyond && i128::from(least) <= from && origin.watermark.is_some_and(|mark| mark > least);
        }
        let behind = origins.iter().filter(|origin| !origin.ahead && !origin.idle);
        let patience = knobs.idle_after.unwrap_or(i64::MAX).min(PATIENCE.as_nanos() as i64);
        let heard = behind.filter_map(|origin| origin.heard).max();
        let ahead = origins.iter().filter(|origin| origin.ahead).map(|origin| origin.name.clone()).collect();
        Restraint { ahead: Arc::new(ahead), until: heard.map(|heard| heard.saturating_add(patience)) }
    }

    /// Whether an origin is held back at a time.
    pub fn holds(&self, origin: &[u8], now: i64) -> bool {
        self.is_on(now) && self.ahead.contains(origin)
    }

    fn is_on(&self, now: i64) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether these are all ahead; nobody is not.
    fn has(&self, names: &Names) -> bool {
        !names.is_empty() && names.is_subset(&self.ahead)
    }
}

/// Whether a delivery carries nothing but origins that are held back now. It is looked into only where any is.
pub fn holds(board: &Board, (source, format): (&Source, Format), now: i64, delivery: &mut Delivery) -> bool {
    let standing = board.standing();
    let restraint = standing.sources.get(usize::from(delivery.source)).map(|source| &source.restraint);
    let Some(restraint) = restraint.filter(|restraint| restraint.is_on(now) && !restraint.ahead.is_empty()) else {
        return false;
    };
    let (part, bytes) = (Arc::from(""), std::mem::take(&mut delivery.bytes));
    let header = delivery.header.clone();
    let chunk = Chunk { source: delivery.source, part, offset: 0, line: 1, bytes, header, arrival: None };
    let names = origins(source, format, &chunk);
    delivery.bytes = chunk.bytes;
    names.is_some_and(|names| restraint.has(&names))
}

/// A reader of what grows, and what it is held back by.
pub(super) struct Reader {
    tail: Box<dyn Tail>,
    /// What it read, and may not hand in yet.
    waits: Option<Chunk>,
    /// Whose events it was found to carry.
    carried: Names,
    /// What keeps it from reading something, as it was last noticed.
    wrong: Option<String>,
}

impl Reader {
    pub fn new(tail: Box<dyn Tail>) -> Reader {
        Reader { tail, waits: None, carried: Names::new(), wrong: None }
    }

    pub fn source(&self) -> u16 {
        self.tail.source()
    }

    /// What came next, unless it is to wait.
    pub fn next(
        &mut self,
        known: &dyn Fn() -> Vec<Offset>,
        of: (&Source, Format),
        (restraint, now): (&Restraint, i64),
    ) -> Option<Chunk> {
        let waited = self.waits.take();
        let again = waited.is_some();
        let chunk = waited.or_else(|| self.tail.next(known))?;
        if !restraint.ahead.is_empty() && self.is_held(of, &chunk, (restraint, now), again) {
            self.waits = Some(chunk);
            return None;
        }
        Some(chunk)
    }

    /// What keeps it from reading something, as it was last noticed.
    pub fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Notices what keeps it from reading something; whether that is another thing than before.
    pub fn is_wrong_anew(&mut self) -> bool {
        let wrong = self.tail.wrong();
        let anew = wrong != self.wrong;
        if anew && let Some(wrong) = &wrong {
            tracing::warn!("not read: {wrong}");
        }
        self.wrong = wrong;
        anew
    }

    /// Whether what it read is to wait. A reader that carries others too is not held back: they come behind this.
    fn is_held(&mut self, of: (&Source, Format), chunk: &Chunk, (by, now): (&Restraint, i64), again: bool) -> bool {
        // What waits was looked into before.
        if !again {
            let Some(mut names) = origins(of.0, of.1, chunk) else { return false };
            self.carried.append(&mut names);
        }
        by.is_on(now) && by.has(&self.carried)
    }

    pub fn is_caught_up(&self) -> bool {
        self.waits.is_none() && self.tail.is_caught_up()
    }

    pub fn rewind(&mut self) {
        self.waits = None;
        self.tail.rewind();
    }
}

/// The origins of the events of a chunk; none where one of them is refused, for it may be anybody's.
fn origins(source: &Source, format: Format, chunk: &Chunk) -> Option<Names> {
    let batch = Decoder::new(source, format).decode(chunk);
    let mut names = Names::new();
    for entry in batch.entries() {
        if matches!(entry.decoded, Decoded::Refused(_)) {
            return None;
        }
        let origin = Row::new(&source.schema, batch.bytes(entry)).origin();
        if !names.contains(origin) {
            names.insert(origin.to_vec());
        }
    }
    Some(names)
}
