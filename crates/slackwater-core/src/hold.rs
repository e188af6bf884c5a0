//! Late facts that are kept back: accepted, and counted in no row of a pipeline until they are released.
//!
//! What is held changes what the next ticks do, so it is part of the fold's state, beside the keys that it belongs to.
//! This is its register as of the last tick: the judge asks it which changes are still no change of any row, and a
//! release names what stands in it. Nothing here moves but at ticks, so no batch and no shard has a say.

use crate::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use crate::fold::Fold;
use crate::input::Position;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A fact of one pipeline: its index, and the bytes of the identity, which begin with the source.
pub type Place = (u16, Box<[u8]>);

/// A fact that is held, as it was accepted last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its content.
    pub content: Box<[u8]>,
    /// File or partition.
    pub part: Arc<str>,
    /// Where it stood.
    pub position: Position,
    /// When it was first seen, if that is recorded.
    pub arrival: Option<i64>,
}

/// What is to be released: what is held at the tick before the decision, of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Index of the source.
    pub source: u16,
    /// Only for this pipeline.
    pub pipeline: Option<u16>,
    /// Only this identity.
    pub identity: Option<Box<[u8]>>,
}

/// The pipelines in which an identity counted for nothing at the last tick.
#[derive(Clone, Copy, Debug)]
pub enum Unseen<'a> {
    /// None, or its source amends.
    Nowhere,
    /// All: it had no winner.
    Everywhere,
    /// These, where it is held, in order.
    In(&'a [u16]),
}

impl Unseen<'_> {
    /// Whether it counted for nothing in a pipeline.
    #[inline]
    pub fn holds(self, pipeline: u16) -> bool {
        match self {
            Unseen::Nowhere => false,
            Unseen::Everywhere => true,
            Unseen::In(pipelines) => pipelines.binary_search(&pipeline).is_ok(),
        }
    }
}

/// What became of a fact at a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is held, or held with another content than before.
    Held(Parked),
    /// It was released.
    Released,
    /// A correction took it to where nothing is settled, or a retraction took it away.
    Left,
}

/// One line of the ledger of what was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Index of the pipeline.
    pub pipeline: u16,
    /// Bytes of the identity.
    pub identity: Box<[u8]>,
    /// What became of it.
    pub fate: Fate,
}

impl Note {
    /// Index of the source.
    pub fn source(&self) -> u16 {
        source_of(&self.identity)
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.pipeline.into());
        put_bytes(out, &self.identity);
        match &self.fate {
            Fate::Held(parked) => {
                out.push(0);
                parked.encode(out);
            }
            Fate::Released => out.push(1),
            Fate::Left => out.push(2),
        }
    }

    /// Reads back what [`Note::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Note, CodecError> {
        let (pipeline, identity): (u16, Box<[u8]>) = (reader.number()?, reader.bytes()?.into());
        if identity.len() < 2 {
            return reader.fail("an identity");
        }
        let fate = match reader.byte()? {
            0 => Fate::Held(Parked::decode(reader)?),
            1 => Fate::Released,
            2 => Fate::Left,
            _ => return reader.fail("a known fate"),
        };
        Ok(Note { pipeline, identity, fate })
    }
}

impl Parked {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.content);
        put_bytes(out, self.part.as_bytes());
        put_varint(out, self.position.offset);
        put_varint(out, self.position.line);
        put_option(out, self.arrival);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Parked, CodecError> {
        let (content, part) = (reader.bytes()?.into(), Arc::from(reader.text()?));
        let position = Position { offset: reader.varint()?, line: reader.varint()? };
        Ok(Parked { content, part, position, arrival: reader.option()? })
    }
}

impl Release {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_option(out, self.pipeline.map(i64::from));
        out.push(u8::from(self.identity.is_some()));
        self.identity.iter().for_each(|identity| put_bytes(out, identity));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, source: u16) -> Result<Release, CodecError> {
        let Ok(pipeline) = reader.option()?.map(u16::try_from).transpose() else { return reader.fail("a pipeline") };
        let identity = if reader.flag()? { Some(reader.bytes()?.into()) } else { None };
        Ok(Release { source, pipeline, identity })
    }
}

/// The register of what is held, as of the last tick.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    /// By identity, the pipelines that hold it, in order.
    held: BTreeMap<Box<[u8]>, Vec<u16>>,
    /// Identities by source.
    counts: BTreeMap<u16, u64>,
    /// What the next tick releases.
    released: BTreeSet<Place>,
}

impl Holds {
    /// The register of what these shards hold, right after a tick.
    pub fn of(folds: &[Fold]) -> Self {
        let mut holds = Holds::default();
        for (pipeline, identity) in folds.iter().flat_map(Fold::parked_places) {
            holds.put(*pipeline, identity);
        }
        holds
    }

    /// The pipelines that held an identity.
    #[inline]
    pub fn unseen(&self, identity: &[u8]) -> Unseen<'_> {
        self.held.get(identity).map_or(Unseen::Nowhere, |pipelines| Unseen::In(pipelines))
    }

    /// Whether nothing is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many identities of a source are held, by one pipeline at least.
    pub fn count(&self, source: u16) -> u64 {
        self.counts.get(&source).copied().unwrap_or_default()
    }

    /// What a release means, of what is not released yet.
    fn meant(&self, release: &Release) -> Vec<Place> {
        let wanted = |identity: &[u8]| {
            source_of(identity) == release.source && release.identity.as_ref().is_none_or(|one| **one == *identity)
        };
        let held = self.held.iter().filter(|(identity, _)| wanted(identity));
        let places = held.flat_map(|(identity, numbers)| numbers.iter().map(move |number| (*number, identity.clone())));
        let mine = |place: &Place| release.pipeline.is_none_or(|one| one == place.0);
        places.filter(|place| mine(place) && !self.released.contains(place)).collect()
    }

    /// How many facts a release would let in, each once for every pipeline.
    pub fn would_release(&self, release: &Release) -> u64 {
        self.meant(release).len() as u64
    }

    /// Takes in a release. What comes after it, and what came since the last tick, is not meant.
    pub fn decide(&mut self, release: &Release) {
        let meant = self.meant(release);
        self.released.extend(meant);
    }

    /// What the next tick releases.
    pub fn released(&self) -> &BTreeSet<Place> {
        &self.released
    }

    /// Moves to what the shards hold after a tick, and gives what became of every fact that was held or is, in order of
    /// pipeline and identity.
    pub fn renew(&mut self, folds: &mut [Fold]) -> Vec<Note> {
        let moved: BTreeSet<Place> = folds.iter_mut().flat_map(Fold::take_moved).collect();
        let mut notes = Vec::new();
        for place in moved {
            let now = folds.iter().find_map(|fold| fold.parked(&place));
            let was = self.unseen(&place.1).holds(place.0);
            let fate = match now {
                Some(parked) => Fate::Held(parked.clone()),
                None if was && self.released.contains(&place) => Fate::Released,
                None if was => Fate::Left,
                None => continue,
            };
            let (pipeline, identity) = place;
            match &fate {
                Fate::Held(_) if !was => self.put(pipeline, &identity),
                Fate::Held(_) => {}
                _ => self.remove(pipeline, &identity),
            }
            notes.push(Note { pipeline, identity, fate });
        }
        self.released.clear();
        notes
    }

    fn put(&mut self, pipeline: u16, identity: &[u8]) {
        let pipelines = self.held.entry(identity.into()).or_default();
        if pipelines.is_empty() {
            *self.counts.entry(source_of(identity)).or_default() += 1;
        }
        if let Err(at) = pipelines.binary_search(&pipeline) {
            pipelines.insert(at, pipeline);
        }
    }

    fn remove(&mut self, pipeline: u16, identity: &[u8]) {
        let Some(pipelines) = self.held.get_mut(identity) else { return };
        pipelines.retain(|number| *number != pipeline);
        if pipelines.is_empty() {
            self.held.remove(identity);
            *self.counts.entry(source_of(identity)).or_default() -= 1;
        }
    }
}

fn source_of(identity: &[u8]) -> u16 {
    u16::from_be_bytes([identity[0], identity[1]])
}
