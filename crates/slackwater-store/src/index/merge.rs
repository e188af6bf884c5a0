//! Several runs become one, streaming: in memory are one block of each, and the fences.

use super::block::Block;
use super::draft::Draft;
use super::run::Run;
use crate::disk::Disk;
use crate::fault::Fault;

/// How far a run has been merged.
struct Cursor<'r> {
    run: &'r Run,
    number: usize,
    block: Block,
    at: usize,
    /// The identity there.
    identity: Vec<u8>,
}

impl<'r> Cursor<'r> {
    fn new(run: &'r Run) -> Result<Option<Cursor<'r>>, Fault> {
        if run.fences.len() == 0 {
            return Ok(None);
        }
        let identity = run.fences.first(0).to_vec();
        Ok(Some(Cursor { run, number: 0, block: run.block(0)?, at: 0, identity }))
    }

    /// Goes to the next identity; false at the end.
    fn next(&mut self) -> Result<bool, Fault> {
        self.at += 1;
        if self.at == self.block.count() {
            return self.next_block();
        }
        self.block.identity(self.at, &mut self.identity);
        Ok(true)
    }

    fn next_block(&mut self) -> Result<bool, Fault> {
        self.number += 1;
        if self.number == self.run.fences.len() {
            return Ok(false);
        }
        (self.block, self.at) = (self.run.block(self.number)?, 0);
        self.block.identity(0, &mut self.identity);
        Ok(true)
    }
}

/// Merges runs, the newest first, into one of this number. Of one identity the newest run's word stays.
pub(super) fn merge(disk: &dyn Disk, runs: &[&Run], number: u64) -> Result<Run, Fault> {
    let mut draft = Draft::new(disk, number)?;
    let mut cursors = Vec::new();
    for run in runs {
        cursors.extend(Cursor::new(run)?);
    }
    while !cursors.is_empty() {
        // The newest of those with the smallest identity, and where the others begin.
        let (mut least, mut bound) = (0, None);
        for at in 1..cursors.len() {
            if cursors[at].identity < cursors[least].identity {
                (least, bound) = (at, Some(least));
            } else if bound.is_none_or(|bound: usize| cursors[at].identity < cursors[bound].identity) {
                bound = Some(at);
            }
        }
        let bound = bound.map(|at| cursors[at].identity.clone());
        let first = cursors[least].identity.clone();
        let mut more = advance(&mut draft, &mut cursors[least], bound.as_deref())?;
        if !more {
            cursors.remove(least);
        }
        // What older runs say of the same identity is superseded.
        let mut at = if more { least + 1 } else { least };
        while bound.as_ref() == Some(&first) && at < cursors.len() {
            more = cursors[at].identity != first || cursors[at].next()?;
            if more {
                at += 1;
            } else {
                cursors.remove(at);
            }
        }
    }
    draft.finish()
}

/// Moves identities of one run, up to where another begins; at least one. False at the end of the run.
fn advance(draft: &mut Draft<'_>, cursor: &mut Cursor<'_>, bound: Option<&[u8]>) -> Result<bool, Fault> {
    loop {
        let whole = bound.is_none_or(|bound| cursor.run.fences.last(cursor.number) < bound);
        let more = if cursor.at == 0 && whole && draft.may_take(cursor.block.count()) {
            draft.take(cursor.run, cursor.number, &cursor.block)?;
            cursor.next_block()?
        } else {
            draft.push(&cursor.identity, cursor.block.known(cursor.at))?;
            cursor.next()?
        };
        if !more || bound.is_some_and(|bound| cursor.identity.as_slice() >= bound) {
            return Ok(more);
        }
    }
}
