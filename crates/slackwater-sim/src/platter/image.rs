//! What may be found on a disk after its power was cut: one such image by chance, or all of them.

use super::inode::Content;
use super::{Names, Platter, State};
use crate::rng::Rng;
use std::collections::BTreeSet;

/// A row of choices, made by chance or counted through.
#[derive(Debug)]
pub struct Choices {
    chance: Option<Rng>,
    /// What was chosen, out of how many; those behind `at` are still to be met.
    made: Vec<(usize, usize)>,
    at: usize,
    /// Writes that may still be torn where all images are counted.
    tears: usize,
}

impl Choices {
    fn by_chance(rng: Rng) -> Self {
        Choices { chance: Some(rng), made: Vec::new(), at: 0, tears: usize::MAX }
    }

    /// A number below `n`.
    pub fn pick(&mut self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        if let Some(rng) = &mut self.chance {
            return rng.below(n);
        }
        if self.at == self.made.len() {
            self.made.push((0, n));
        }
        self.at += 1;
        self.made[self.at - 1].0
    }

    /// Which pieces of a write are kept.
    pub fn tear(&mut self, pieces: usize) -> Vec<bool> {
        if self.chance.is_some() {
            // Whole writes are lost or kept more often than a coin for every piece would have it.
            return match self.pick(4) {
                0 => vec![false; pieces],
                1 => vec![true; pieces],
                _ => (0..pieces).map(|_| self.pick(2) == 1).collect(),
            };
        }
        let patterns = if self.tears == 0 { 2 } else { 2 + torn(pieces).len() };
        match self.pick(patterns) {
            0 => vec![true; pieces],
            1 => vec![false; pieces],
            pattern => {
                self.tears -= 1;
                torn(pieces).swap_remove(pattern - 2)
            }
        }
    }

    /// Some number of a range, if this is left to chance.
    pub fn anywhere(&mut self, low: usize, high: usize) -> Option<usize> {
        (self.chance.is_some() && low < high).then(|| low + self.pick(high - low + 1))
    }

    /// Goes on to the next row of choices; false after the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, n)) = self.made.pop() {
            if chosen + 1 < n {
                self.made.push((chosen + 1, n));
                return true;
            }
        }
        false
    }
}

/// The ways in which a write of so many pieces is torn: all of them up to four pieces; else what is kept or lost is a
/// beginning or one piece.
fn torn(pieces: usize) -> Vec<Vec<bool>> {
    if pieces <= 4 {
        let all = 1..(1_usize << pieces).saturating_sub(1);
        return all.map(|bits| (0..pieces).map(|piece| bits >> piece & 1 == 1).collect()).collect();
    }
    let mut ways = Vec::new();
    for cut in 0..pieces {
        for value in [true, false] {
            ways.push((0..pieces).map(|piece| (piece <= cut) == value).collect::<Vec<bool>>());
            ways.push((0..pieces).map(|piece| (piece == cut) == value).collect());
        }
    }
    ways.retain(|way| way.contains(&true) && way.contains(&false));
    ways.sort();
    ways.dedup();
    ways
}

impl State {
    /// The disk after a crash, as the choices have it.
    fn after_crash(&self, choices: &mut Choices) -> State {
        let mut names = self.durable.clone();
        let mut blocked: BTreeSet<&str> = BTreeSet::new();
        for renaming in &self.pending {
            let touched = renaming.touches();
            // Changes of one name are kept in order.
            if touched.iter().any(|name| blocked.contains(name)) || choices.pick(2) == 1 {
                blocked.extend(touched);
            } else {
                renaming.apply(&mut names);
            }
        }
        let Names { names, folders } = names;
        let mut state = State { folders, ..State::default() };
        for (name, content) in names {
            let folder = super::parent(&name);
            if folder.is_empty() || state.folders.contains(folder) {
                let bytes = self.contents[content].after_crash(choices);
                state.names.insert(name, state.contents.len());
                state.contents.push(Content::durable(bytes));
            }
        }
        state.durable = Names { names: state.names.clone(), folders: state.folders.clone() };
        state
    }
}

impl Platter {
    /// What is found after a crash, as a seed has it.
    pub fn image(&self, seed: u64) -> Platter {
        Platter::of(self.state().after_crash(&mut Choices::by_chance(Rng::new(seed))))
    }

    /// All that may be found after a crash in which at most one write is torn. There are as many as the changes that are
    /// not durable have outcomes together, so they should be few.
    pub fn images(&self) -> Images {
        let state = self.state().clone();
        Images { state, choices: Some(Choices { chance: None, made: Vec::new(), at: 0, tears: 1 }) }
    }
}

/// All images of a crash.
#[derive(Debug)]
pub struct Images {
    state: State,
    choices: Option<Choices>,
}

impl Iterator for Images {
    type Item = Platter;

    fn next(&mut self) -> Option<Platter> {
        let choices = self.choices.as_mut()?;
        choices.tears = 1;
        let image = self.state.after_crash(choices);
        if !choices.advance() {
            self.choices = None;
        }
        Some(Platter::of(image))
    }
}
