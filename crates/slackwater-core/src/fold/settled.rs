//! How far the past is settled, and what changed in it since.

use crate::codec::{CodecError, Reader, put_signed};
use crate::delta::Cause;
use alloc::vec::Vec;

/// How far the past is settled for a pipeline, at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Settled {
    /// Nothing yet.
    Nothing,
    /// No event earlier than this is expected.
    Until(i64),
    /// No input will follow.
    All,
}

impl Settled {
    /// Appends the canonical encoding.
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            Settled::Nothing => out.push(0),
            Settled::Until(watermark) => {
                out.push(1);
                put_signed(out, watermark);
            }
            Settled::All => out.push(2),
        }
    }

    /// Reads back what [`Settled::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Settled, CodecError> {
        Ok(match reader.byte()? {
            0 => Settled::Nothing,
            1 => Settled::Until(reader.signed()?),
            2 => Settled::All,
            _ => return reader.fail("a watermark"),
        })
    }

    /// Whether everything before `end` is settled.
    pub fn covers(self, end: i128) -> bool {
        match self {
            Settled::Nothing => false,
            Settled::Until(watermark) => end <= i128::from(watermark),
            Settled::All => true,
        }
    }

    /// Whether a fact of this time is settled: none earlier, and none of the same time, is expected.
    pub fn passed(self, time: i64) -> bool {
        self.covers(i128::from(time) + 1)
    }
}

/// Net changes of one key between two ticks: the times that they touch, and why.
pub(super) type Notes<'a> = &'a [(i64, Cause)];

/// The first cause that applies among the changes within `[from, to]`.
pub(super) fn cause_within(notes: Notes<'_>, from: i128, to: i128) -> Option<Cause> {
    let inside = |time: i64| from <= i128::from(time) && i128::from(time) <= to;
    notes.iter().filter(|(time, _)| inside(*time)).map(|(_, cause)| *cause).min()
}
