//! Several runs become one, streaming: in memory are one block of each, and the fences.

use super::block::Block;
use super::draft::Draft;
use super::run::Run;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::order::head;
use std::cmp::Ordering;
use std::sync::Arc;

/// How far a run has been merged.
struct Cursor<'r> {
    run: &'r Run,
    number: usize,
    block: Block,
    at: usize,
    /// The identity there, and its beginning as a number.
    identity: Vec<u8>,
    head: u128,
}

impl<'r> Cursor<'r> {
    fn new(run: &'r Run) -> Result<Option<Cursor<'r>>, Fault> {
        if run.fences.len() == 0 {
            return Ok(None);
        }
        let identity = run.fences.first(0).to_vec();
        let head = head(&identity);
        Ok(Some(Cursor { run, number: 0, block: run.block(0)?, at: 0, identity, head }))
    }

    /// Goes to the next identity; false at the end.
    fn next(&mut self) -> Result<bool, Fault> {
        if self.at + 1 == self.block.count() {
            return self.next_block();
        }
        self.at += 1;
        self.see();
        Ok(true)
    }

    fn next_block(&mut self) -> Result<bool, Fault> {
        self.number += 1;
        if self.number == self.run.fences.len() {
            return Ok(false);
        }
        (self.block, self.at) = (self.run.block(self.number)?, 0);
        self.see();
        Ok(true)
    }

    fn see(&mut self) {
        self.block.identity(self.at, &mut self.identity);
        self.head = head(&self.identity);
    }

    #[inline]
    fn order(&self, other: &Cursor<'_>) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.identity.cmp(&other.identity))
    }

    /// Of two with one identity the newer run's comes first.
    #[inline]
    fn turn(&self, other: &Cursor<'_>) -> Ordering {
        self.order(other).then_with(|| other.run.info.number.cmp(&self.run.info.number))
    }
}

/// Merges runs into one of this number. Of one identity the word of the newest run, which has the highest number, stays.
pub(super) fn merge(disk: &dyn Disk, runs: &[Arc<Run>], number: u64) -> Result<Run, Fault> {
    let mut draft = Draft::new(disk, number)?;
    let mut cursors = Vec::new();
    for run in runs {
        cursors.extend(Cursor::new(run)?);
    }
    while let Some(first) = (0..cursors.len()).min_by(|a, b| cursors[*a].turn(&cursors[*b])) {
        let last = cursors.len() - 1;
        cursors.swap(first, last);
        let Some((first, others)) = cursors.split_last_mut() else { break };
        let bound = others.iter().min_by(|a, b| a.turn(b));
        let more = if bound.is_some_and(|bound| first.order(bound).is_eq()) {
            draft.push(&first.identity, first.block.known(first.at))?;
            // What older runs say of the same identity is superseded; they have their turn with it no more.
            let mut ended = Vec::new();
            for (at, other) in others.iter_mut().enumerate() {
                if other.order(first).is_eq() && !other.next()? {
                    ended.push(at);
                }
            }
            let more = first.next()?;
            ended.into_iter().rev().for_each(|at| drop(cursors.remove(at)));
            more
        } else {
            advance(&mut draft, first, bound)?
        };
        if !more {
            cursors.pop();
        }
    }
    draft.finish()
}

/// Moves identities of one run, up to where another begins; at least one. False at the end of the run.
fn advance(draft: &mut Draft<'_>, cursor: &mut Cursor<'_>, bound: Option<&Cursor<'_>>) -> Result<bool, Fault> {
    loop {
        let whole = |bound: &Cursor<'_>| cursor.run.fences.last(cursor.number) < bound.identity.as_slice();
        let takes = cursor.at == 0 && draft.may_take(cursor.block.count()) && bound.is_none_or(whole);
        let more = if takes {
            draft.take(cursor.run, cursor.number, &cursor.block)?;
            cursor.next_block()?
        } else {
            draft.push(&cursor.identity, cursor.block.known(cursor.at))?;
            cursor.next()?
        };
        if !more || bound.is_some_and(|bound| cursor.order(bound).is_ge()) {
            return Ok(more);
        }
    }
}
