//! How far each origin of a source has come, when it was last heard, and how late its events are.

use crate::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use crate::lateness::Lateness;
use crate::names::Names;
use alloc::vec::Vec;

/// What is known of the origins of one source.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    names: Names,
    /// By number.
    list: Vec<Origin>,
}

/// One origin. Times in nanoseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its bytes, as the row has them.
    pub name: Vec<u8>,
    /// The largest min(event time, arrival) among its accepted events; none before the first.
    pub frontier: Option<i64>,
    /// When an event of its was last taken in, whatever became of it, or by its own word arrived; none where neither is known.
    pub heard: Option<i64>,
    /// How late its accepted events came.
    pub lateness: Lateness,
}

impl Origin {
    /// Moves its frontier on to `reached`, never back.
    #[inline]
    pub(super) fn advance(&mut self, reached: i64) {
        self.frontier = Some(self.frontier.map_or(reached, |known| known.max(reached)));
    }

    /// Takes note that an event of its came.
    #[inline]
    pub(super) fn hear(&mut self, at: i64) {
        self.heard = Some(self.heard.map_or(at, |known| known.max(at)));
    }
}

impl Origins {
    /// The origin of a name, made if it is not there.
    #[inline]
    pub(super) fn entry(&mut self, name: &[u8]) -> &mut Origin {
        let number = self.names.number(name) as usize;
        if number == self.list.len() {
            let name = name.to_vec();
            self.list.push(Origin { name, frontier: None, heard: None, lateness: Lateness::default() });
        }
        &mut self.list[number]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Every origin, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.list.iter()
    }

    pub(super) fn merge(&mut self, other: &Origins) {
        self.merge_reach(other);
        for origin in other.iter() {
            self.entry(&origin.name).lateness.merge(&origin.lateness);
        }
    }

    /// What became known since `before` was taken of them: merged into those, it gives these.
    pub(super) fn since(&self, before: &Origins) -> Origins {
        let mut since = Origins::default();
        for origin in &self.list {
            let known = before.names.find(&origin.name).map(|number| &before.list[number as usize]);
            if known == Some(origin) {
                continue;
            }
            let entry = since.entry(&origin.name);
            entry.frontier = origin.frontier.filter(|_| known.is_none_or(|known| known.frontier != origin.frontier));
            entry.heard = origin.heard.filter(|_| known.is_none_or(|known| known.heard != origin.heard));
            entry.lateness = match known {
                Some(known) => origin.lateness.since(&known.lateness),
                None => origin.lateness.clone(),
            };
        }
        since
    }

    /// All of them, by name.
    pub(super) fn into_sorted(mut self) -> Vec<Origin> {
        self.list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.list
    }

    /// Adds one that is not there yet.
    pub(super) fn put(&mut self, origin: Origin) {
        let number = self.names.number(&origin.name);
        assert_eq!(number as usize, self.list.len(), "it is not there yet");
        self.list.push(origin);
    }

    /// Merges all but lateness.
    pub(super) fn merge_reach(&mut self, other: &Origins) {
        for origin in other.iter() {
            let mine = self.entry(&origin.name);
            mine.frontier = origin.frontier.max(mine.frontier);
            mine.heard = origin.heard.max(mine.heard);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<&Origin> = self.iter().collect();
        sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        put_varint(out, sorted.len() as u64);
        for Origin { name, frontier, heard, lateness } in sorted {
            put_bytes(out, name);
            put_option(out, *frontier);
            put_option(out, *heard);
            lateness.encode(out);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut origins = Origins::default();
        for _ in 0..reader.varint()? {
            let name = reader.bytes()?;
            if origins.list.last().is_some_and(|last| last.name.as_slice() >= name) {
                return reader.fail("origins in order");
            }
            let (frontier, heard, lateness) = (reader.option()?, reader.option()?, Lateness::decode(reader)?);
            let entry = origins.entry(name);
            (entry.frontier, entry.heard, entry.lateness) = (frontier, heard, lateness);
        }
        Ok(origins)
    }
}
