//! What befalls a voyage: at sea, while a process runs, and ashore, between two of them.

use super::leg::Harbour;
use super::logbook::Logbook;
use crate::ledger::{Committed, Ledger, Lost};
use crate::platter::{Platter, Trouble, Verb};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(pub BTreeMap<&'static str, usize>);

impl Figures {
    /// Notes that something happened.
    pub fn note(&mut self, what: &'static str, times: usize) {
        *self.0.entry(what).or_default() += times;
    }

    /// How often it did.
    pub fn count(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Adds those of another voyage.
    pub fn merge(&mut self, other: &Figures) {
        other.0.iter().for_each(|(what, times)| self.note(what, *times));
    }
}

/// What befalls a process while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtSea {
    /// The power is cut at a change of the disk.
    PowerCut(usize),
    /// A change of the disk fails.
    Broken(usize),
    /// A sync fails.
    BrokenSync(usize),
    /// A change of the disk has no room, once.
    Full(usize),
    /// The disk has room for so many bytes more, until the process ends.
    Short(u64),
    /// Reading fails once.
    Unread(usize),
    /// The outcome of a commit is not known.
    Unanswered(usize, Lost),
}

impl AtSea {
    /// Kinds, for a seed to switch off.
    pub const KINDS: usize = 7;

    /// Draws one of a kind for a run of about so many changes.
    pub fn draw(kind: usize, changes: usize, rng: &mut Rng) -> AtSea {
        let at = rng.below(changes * 3 / 2 + 4);
        match kind {
            0 => AtSea::PowerCut(at),
            1 => AtSea::Broken(at),
            2 => AtSea::BrokenSync(at / 3),
            3 => AtSea::Full(at),
            4 => AtSea::Short(rng.below(6_000) as u64),
            5 => AtSea::Unread(rng.below(20)),
            _ => AtSea::Unanswered(rng.below(4), if rng.chance(50) { Lost::Question } else { Lost::Answer }),
        }
    }

    /// Lets it come.
    pub fn prepare(self, disk: &Platter, ledger: &Ledger) {
        match self {
            AtSea::PowerCut(at) => disk.trouble(Trouble::Crash(at)),
            AtSea::Broken(at) => disk.trouble(Trouble::Broken(at)),
            AtSea::BrokenSync(at) => disk.trouble(Trouble::BrokenVerb(Verb::Sync, at)),
            AtSea::Full(at) => disk.trouble(Trouble::Full(at)),
            AtSea::Short(room) => {
                let used: usize = disk.files().values().map(Vec::len).sum();
                disk.bound(Some(used as u64 + room));
            }
            AtSea::Unread(at) => disk.trouble(Trouble::BrokenVerb(Verb::Read, at)),
            AtSea::Unanswered(at, lost) => ledger.trouble(Some((at, lost))),
        }
    }

    /// Whether it came, and its name. A short disk that nobody noticed did not.
    pub fn came(self, disk: &Platter, ledger: &Ledger, failed: bool) -> Option<&'static str> {
        let (came, name) = match self {
            AtSea::PowerCut(_) => (disk.is_dark(), "power_cut"),
            AtSea::Broken(_) | AtSea::BrokenSync(_) => (disk.troubles() == 0, "eio"),
            AtSea::Full(_) => (disk.troubles() == 0, "enospc"),
            AtSea::Short(_) => (failed, "short"),
            AtSea::Unread(_) => (disk.troubles() == 0, "unread"),
            AtSea::Unanswered(..) => (ledger.was_troubled(), "unknown_commit"),
        };
        came.then_some(name)
    }
}

/// What befalls what is kept while no process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ashore {
    /// A bit flips in the newest checkpoint; or in each of the newest ones, but for the oldest.
    Flip,
    /// All checkpoints are gone.
    NoCheckpoints,
    /// The store is gone.
    NoStore,
    /// The store is damaged.
    BadStore,
    /// The store is as it was some commits ago.
    OldStore,
}

impl Ashore {
    /// All of them.
    pub const ALL: [Ashore; 5] =
        [Ashore::Flip, Ashore::NoCheckpoints, Ashore::NoStore, Ashore::BadStore, Ashore::OldStore];

    /// Lets it happen; everything can be made again afterwards. Gives its name, and whether what is committed may be
    /// missing until it is made again.
    pub fn happen(
        self,
        harbour: &Harbour,
        (older, flipped): (&[Arc<Committed>], &mut BTreeSet<String>),
        rng: &mut Rng,
    ) -> Option<(&'static str, bool)> {
        let Harbour { disk, ledger } = harbour;
        let head = ledger.head()?;
        match self {
            Ashore::Flip => flip(disk, head.checkpoint, flipped, rng).then_some(("flip", false)),
            Ashore::NoCheckpoints => {
                let all = disk.files();
                let gone: Vec<&String> = all.keys().filter(|name| name.starts_with("checkpoint/")).collect();
                gone.iter().for_each(|name| disk.put(name, None));
                (!gone.is_empty()).then_some(("checkpoints_lost", false))
            }
            Ashore::NoStore => {
                ledger.empty();
                Some(("store_lost", true))
            }
            Ashore::BadStore => {
                ledger.damage();
                Some(("store_damaged", true))
            }
            Ashore::OldStore if older.is_empty() => None,
            Ashore::OldStore => {
                ledger.put(Arc::clone(rng.pick(older)));
                Some(("store_old", true))
            }
        }
    }
}

/// Flips bits of the newest checkpoints that count, or of a chunk.
fn flip(disk: &Platter, newest: u64, flipped: &mut BTreeSet<String>, rng: &mut Rng) -> bool {
    let files = disk.files();
    let number = |name: &str| name.strip_prefix("checkpoint/")?.strip_suffix(".manifest")?.parse::<u64>().ok();
    let counts = |name: &&String| number(name).is_some_and(|number| number <= newest) && !flipped.contains(*name);
    let manifests: Vec<&String> = files.keys().filter(counts).collect();
    let chunks: Vec<&String> = files.keys().filter(|name| name.ends_with(".chunk")).collect();
    let Some(newest) = manifests.len().checked_sub(1) else { return false };
    let first = if rng.chance(70) { 0 } else { newest };
    let names = match !chunks.is_empty() && rng.chance(40) {
        true => vec![*rng.pick(&chunks)],
        false => manifests[first..].to_vec(),
    };
    for name in &names {
        let bits = files[*name].len() * 8;
        if bits > 0 {
            disk.flip(name, rng.below(bits));
            flipped.insert((*name).clone());
        }
    }
    true
}

/// What must be found out, or do no harm: damage to each kind of file, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A bit of the journal flips.
    JournalBit,
    /// A segment of the journal is gone.
    NoSegment,
    /// Journal and record are as they were after an earlier run.
    OldJournal,
    /// A bit of any file flips.
    AnyBit,
    /// Any file is gone.
    NoFile,
    /// The store is gone.
    NoStore,
}

impl Damage {
    /// All of them.
    pub const ALL: [Damage; 6] =
        [Damage::JournalBit, Damage::NoSegment, Damage::OldJournal, Damage::AnyBit, Damage::NoFile, Damage::NoStore];

    /// Does it. None if there is nothing to damage; else whether it must be found out.
    pub fn wreak(self, harbour: &Harbour, older: Option<&Platter>, logbook: &Logbook, rng: &mut Rng) -> Option<bool> {
        let Harbour { disk, ledger } = harbour;
        let files = disk.files();
        let of = |folder: &str| files.keys().filter(|name| name.starts_with(folder)).cloned().collect::<Vec<_>>();
        let (all, journal) = (of(""), of("journal/"));
        // A journal of which nothing was ever committed may be any other.
        let known = logbook.runs.last().is_some_and(|(head, _)| head.journal > 0);
        match self {
            _ if !known => None,
            Damage::JournalBit | Damage::AnyBit => {
                let names = if self == Damage::AnyBit { &all } else { &journal };
                let name = rng.pick(names);
                if files[name].is_empty() {
                    return None;
                }
                disk.flip(name, rng.below(files[name].len() * 8));
                Some(name.starts_with("journal/"))
            }
            Damage::NoSegment => {
                disk.put(&journal[rng.below(journal.len())], None);
                Some(true)
            }
            Damage::NoFile => {
                let name = rng.pick(&all);
                disk.put(name, None);
                Some(name.starts_with("journal/") || name == "instance")
            }
            Damage::OldJournal => {
                let older = older?.files();
                let theirs: Vec<_> = older.iter().filter(|(name, _)| is_input(name)).collect();
                let mine: Vec<_> = files.iter().filter(|(name, _)| is_input(name)).collect();
                if theirs == mine || !theirs.iter().any(|(name, _)| name.starts_with("journal/")) {
                    return None;
                }
                mine.iter().for_each(|(name, _)| disk.put(name, None));
                theirs.iter().for_each(|(name, bytes)| disk.put(name, Some((*bytes).clone())));
                Some(true)
            }
            Damage::NoStore => {
                ledger.empty();
                Some(false)
            }
        }
    }
}

fn is_input(name: &str) -> bool {
    name.starts_with("journal/") || name.starts_with("record/")
}
