//! Cutoffs: from which event time on the facts of a source are still kept, and what comes too late for that.
//!
//! What is set aside is a pure function of the cutoff in force and of event times. A cutoff is a recorded decision, and
//! only ever goes up.

use crate::codec::{CodecError, Reader, put_signed, put_varint};
use crate::input::Head;
use crate::row::Op;
use crate::time::format_rfc3339;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;

/// Where a source is cut off. Event times in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// What would change something before this is set aside.
    pub events: i64,
    /// Facts before this are let go of; the earliest time where none are. It is no later: windows that cover `events` reach back
    /// to it at most.
    pub facts: i64,
}

impl Cutoff {
    /// Whether any fact is let go of.
    pub fn lets_go(self) -> bool {
        self.facts > i64::MIN
    }

    /// Whether an event that outranks a winner would change something before it. `old` is the event time of the content that
    /// it replaces, if it replaces any.
    pub fn is_before(self, head: &Head, old: Option<i64>) -> bool {
        (head.op == Op::Assert && head.time < self.events) || old.is_some_and(|old| old < self.events)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_signed(out, self.events);
        put_signed(out, self.facts);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Cutoff, CodecError> {
        let cutoff = Cutoff { events: reader.signed()?, facts: reader.signed()? };
        if cutoff.facts > cutoff.events {
            reader.fail("facts that are kept as long as events count")
        } else {
            Ok(cutoff)
        }
    }
}

/// What a person is told of facts that were let go of: those of a source, by its name or number, before a time.
pub fn let_go_of(source: impl Display, before: i64) -> String {
    let mut time = String::new();
    // Writing to a String cannot fail.
    let _ = format_rfc3339(before, &mut time);
    format!("the facts of source {source} before {time} were let go of (`keep_facts`)")
}

/// The cutoffs in force, by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cutoffs(Vec<(u16, Cutoff)>);

impl Cutoffs {
    /// That of a source, if there is one.
    #[inline]
    pub fn of(&self, source: u16) -> Option<Cutoff> {
        self.0.iter().find(|(known, _)| *known == source).map(|(_, cutoff)| *cutoff)
    }

    /// All of them, with their sources, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Cutoff)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts one in force. It goes back behind none that was.
    pub fn decide(&mut self, source: u16, cutoff: Cutoff) {
        match self.0.binary_search_by_key(&source, |(known, _)| *known) {
            Ok(at) => {
                let known = &mut self.0[at].1;
                *known = Cutoff { events: known.events.max(cutoff.events), facts: known.facts.max(cutoff.facts) };
            }
            Err(at) => self.0.insert(at, (source, cutoff)),
        }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for (source, cutoff) in &self.0 {
            put_varint(out, (*source).into());
            cutoff.encode(out);
        }
    }

    /// Reads back what [`Cutoffs::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Cutoffs, CodecError> {
        let mut cutoffs = Cutoffs::default();
        for _ in 0..reader.varint()? {
            let source: u16 = reader.number()?;
            if cutoffs.0.last().is_some_and(|(last, _)| *last >= source) {
                return reader.fail("sources in order");
            }
            cutoffs.0.push((source, Cutoff::decode(reader)?));
        }
        Ok(cutoffs)
    }
}
