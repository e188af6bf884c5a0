//! The rows of several segments of one bucket in their common order, and what they sum to.

use super::change::{Change, Changes};
use super::shelf::who;
use super::volume::{Batches, Volume};
use crate::fault::Fault;
use slackwater_core::row::{IdentityBytes, Row};

/// A segment, with its rows as far as they were read.
struct Thread<'v> {
    volume: &'v Volume<'v>,
    /// The row groups that are left, the next one last.
    groups: Vec<usize>,
    batches: Option<Batches<'v>>,
    rows: Changes,
    at: usize,
    key: Vec<u8>,
}

impl Thread<'_> {
    /// Goes to the next row; false at the end.
    fn next(&mut self, ids: &mut IdentityBytes) -> Result<bool, Fault> {
        self.at += 1;
        while self.at >= self.rows.len() {
            self.rows.clear();
            self.at = 0;
            if let Some(batches) = &mut self.batches
                && batches.append(&mut self.rows)?
            {
                continue;
            }
            let Some(group) = self.groups.pop() else { return Ok(false) };
            self.batches = Some(self.volume.read(group, None, None)?);
        }
        self.key.clear();
        self.volume.shelf.put_key(&self.rows.get(self.at), ids, &mut self.key);
        Ok(true)
    }
}

/// Gives the rows of segments, of the row groups that are wanted, in the order of their keys.
pub(super) fn weave(
    volumes: &[Volume<'_>],
    wanted: impl Fn(&Volume<'_>, usize) -> bool,
    mut visit: impl FnMut(&Change<'_>, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (mut threads, mut ids) = (Vec::new(), IdentityBytes::default());
    for volume in volumes {
        let groups: Vec<usize> = (0..volume.groups()).rev().filter(|group| wanted(volume, *group)).collect();
        let mut thread = Thread { volume, groups, batches: None, rows: Changes::new(), at: 0, key: Vec::new() };
        if thread.next(&mut ids)? {
            threads.push(thread);
        }
    }
    while let Some(least) = (0..threads.len()).min_by(|a, b| threads[*a].key.cmp(&threads[*b].key)) {
        let thread = &mut threads[least];
        visit(&thread.rows.get(thread.at), &thread.key)?;
        if !thread.next(&mut ids)? {
            threads.remove(least);
        }
    }
    Ok(())
}

/// Sums up the signs of contents whose rows come one behind the other.
#[derive(Default)]
pub(super) struct Net {
    /// Rows of one identity and event time, in the order of their ticks within one segment.
    rows: Changes,
    who: Vec<u8>,
}

impl Net {
    /// Takes the next row; gives what is left of those before it, where it is none of theirs.
    pub fn push(&mut self, change: &Change<'_>, key: &[u8], visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
        if self.who != who(key) {
            self.settle(visit)?;
            self.who.clear();
            self.who.extend_from_slice(who(key));
        }
        self.rows.push(change);
        Ok(())
    }

    /// Gives what is left. Each content is there once or not at all, and nothing else can come of whole changes.
    pub fn settle(&mut self, visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
        for at in 0..self.rows.len() {
            let row = self.rows.get(at);
            let same = |other: &Change<'_>| other.content == row.content;
            if self.rows.iter().take(at).any(|other| same(&other)) {
                continue;
            }
            let sum: i64 = self.rows.iter().filter(same).map(|row| if row.plus { 1 } else { -1 }).sum();
            // Of a content that went and came back, the last coming counts.
            let last = self.rows.iter().filter(|other| same(other) && other.plus).max_by_key(|row| row.tick);
            match (sum, last) {
                (0, _) => {}
                (1, Some(last)) => visit(&last),
                _ => {
                    let (source, tick) = (row.source, row.tick);
                    return Err(Fault::Refused(format!(
                        "the archive has a content of source {source}, of tick {tick}, {sum} times, which no sequence of \
                         changes makes: rebuild it from the record"
                    )));
                }
            }
        }
        self.rows.clear();
        Ok(())
    }
}

/// The event time of a change.
pub(super) fn time(volume: &Volume<'_>, change: &Change<'_>) -> i64 {
    Row::new(&volume.shelf.schema, change.content).event_time()
}
