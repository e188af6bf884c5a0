//! Sessions that were put away: their key remembers from when to when each has facts, and nothing else of it.
//!
//! A session is here as a whole or not at all. A fact between the first and the last one of a session that left is not
//! folded before that is back; one that is near it is folded where it is, and meets it when it comes back.

use super::away::{Back, Wanted};
use super::group::{Group, Panes};
use super::{Cell, Fold, Place};
use crate::aggregate::Sign;
use crate::codec::{CodecError, Reader, put_signed, put_varint};
use crate::planted::{self, Bug};
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Sessions that were put away, by the time of their first fact: that of their last one. All pauses between them are longer
/// than the gap.
pub(super) type Departed = BTreeMap<i64, i64>;

/// The watermark at which a session may leave: no fact that is not late can extend it, and one that lies in its window is
/// settled by itself.
pub(super) fn leaves_at(last: i128, gap: i64) -> i128 {
    last + 2 * i128::from(gap) + 1
}

/// Whether a time lies in a session that was put away.
pub(super) fn holds(departed: &Departed, time: i64) -> bool {
    departed.range(..=time).next_back().is_some_and(|(_, last)| *last >= time)
}

impl Fold {
    /// Asks for what a fact touches of sessions that were put away, and for rows that it may bring back. True where it lies
    /// in one of them, and is seen when that is back.
    pub(super) fn reach_session(&mut self, gap: i64, group: u32, sign: Sign, time: i64) -> bool {
        let entry = &mut self.groups[group as usize];
        let pipeline = entry.pipeline;
        if i128::from(time) >= self.edges[usize::from(pipeline)].horizon || planted::is(Bug::AwayIsEmpty) {
            return false;
        }
        let within = holds(&entry.departed, time);
        // What is taken away from a session that is here touches no other.
        if sign == Sign::Minus && !within {
            return false;
        }
        let mut want = |from: i64, to: i64| {
            let last = i128::from(to) + i128::from(gap);
            self.wants.push(Wanted { pipeline, group, id: (from.into(), 0), last });
        };
        let earlier = entry.departed.range(..=time.saturating_add(gap)).rev();
        for (first, last) in earlier.take_while(|(_, last)| **last >= time.saturating_sub(gap)) {
            if entry.back.contains_key(&i128::from(*first)) {
                continue;
            }
            entry.back.insert((*first).into(), Back { end: (*last).into(), whole: false });
            want(*first, *last);
            let span = Window { start: (*first).into(), end: i128::from(*last) + 1 };
            self.stale.push(Place::Past(group, span));
        }
        if !within {
            want(time, time);
        }
        within
    }
}

impl Group {
    /// Remembers the sessions that may leave by a time, and forgets their rows; gives the cells that they were.
    pub(super) fn depart(&mut self, cells: &[Cell], gap: i64, until: i128, gone: &mut Vec<u32>) {
        let Panes::Sessions(sessions) = &self.panes else { unreachable!("sessions") };
        let mut stays = i128::MAX;
        for (first, cell) in sessions {
            let last = cells[*cell as usize].span.end;
            if leaves_at(last, gap) > until {
                stays = (*first).into();
                break;
            }
            self.departed.insert(*first, last as i64);
            gone.push(*cell);
        }
        // Rows that begin in a session which stays may come back with a part of it.
        let last = |row: &Window| row.end - i128::from(gap);
        self.rows.retain(|(start, _), row| *start >= stays || leaves_at(last(&row.window), gap) > until);
    }

    /// Whether a session with these first and last facts is near one that is asked for: more belongs to it.
    pub(super) fn is_in_part(&self, span: Window, gap: i64) -> bool {
        let gap = i128::from(gap);
        self.back.iter().any(|(first, back)| *first - gap <= span.end && span.start <= back.end + gap)
    }

    /// Appends the canonical encoding of the sessions that were put away.
    pub(super) fn encode_departed(&self, out: &mut Vec<u8>) {
        put_varint(out, self.departed.len() as u64);
        for (first, last) in &self.departed {
            put_signed(out, *first);
            put_varint(out, last.abs_diff(*first));
        }
    }

    /// Reads back what [`Group::encode_departed`] wrote.
    pub(super) fn decode_departed(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        for _ in 0..reader.varint()? {
            let first = reader.signed()?;
            let last = first.checked_add_unsigned(reader.varint()?);
            let behind = self.departed.last_key_value().is_none_or(|(_, before)| *before < first);
            let Some(last) = last.filter(|_| behind) else { return reader.fail("sessions in order") };
            self.departed.insert(first, last);
        }
        match self.departed.is_empty() || !matches!(self.panes, Panes::Sessions(_)) {
            true => reader.fail("sessions that were put away"),
            false => Ok(()),
        }
    }
}
