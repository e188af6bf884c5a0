//! A store of results in memory: it lives outside the instance that commits to it, as a file does, and does on demand what
//! a store may do at its worst.
//!
//! A commit is there whole when it returns, or not at all. A commit that fails may have taken effect all the same.

use crate::platter::Platter;
use slackwater_core::fold::Final;
use slackwater_core::quarantine::{Quarantined, Ruling};
use slackwater_store::Fault;
use slackwater_store::store::{Aside, Ask, Between, Commit, Head, Kept, Noted, Receipt, Store, Sum};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The store. A clone is the same store; [`Ledger::copy`] is another one.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<State>>);

/// What a commit that fails has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing.
    Question,
    /// Everything: only the answer was lost.
    Answer,
}

/// Pipeline, canonical identity, and generation of a row.
pub type Place = (u16, Arc<[u8]>, u64);

/// Everything that is committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// What is true.
    pub head: Option<Head>,
    /// Every generation of every row.
    pub rows: BTreeMap<Place, Arc<Kept>>,
    /// What was set aside.
    pub aside: Vec<Quarantined>,
    /// The ledger of what was held.
    pub notes: Vec<Noted>,
    /// The ledger of what became of events that were set aside.
    pub rulings: Vec<Ruling>,
    /// Answers to named deliveries.
    pub receipts: Vec<Receipt>,
}

#[derive(Clone, Debug, Default)]
struct State {
    now: Arc<Committed>,
    /// The sums over its rows, as far as they only ever grow: they follow every commit.
    sums: Head,
    /// Whether what was before a commit is kept.
    remembers: bool,
    /// What was before the last commit, and how many changes the disk had seen when that came.
    before: Option<(Arc<Committed>, usize)>,
    /// The disk beside it: without power there is no commit.
    disk: Option<Platter>,
    /// So many commits succeed, and the one that follows is lost like this.
    trouble: Option<(usize, Lost)>,
    /// Every head since this was asked for last.
    heads: Vec<Head>,
    damaged: bool,
}

impl Ledger {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds what is given.
    pub fn of(committed: Arc<Committed>) -> Self {
        let sums = sums(&committed);
        Ledger(Arc::new(Mutex::new(State { now: committed, sums, ..State::default() })))
    }

    /// A store of its own in the same state, without trouble.
    pub fn copy(&self) -> Ledger {
        let (now, sums) = (self.committed(), self.state().sums.clone());
        Ledger(Arc::new(Mutex::new(State { now, sums, ..State::default() })))
    }

    /// Everything that is committed.
    pub fn committed(&self) -> Arc<Committed> {
        Arc::clone(&self.state().now)
    }

    /// The last commit's head.
    pub fn head(&self) -> Option<Head> {
        self.state().now.head.clone()
    }

    /// From here on what was before the last commit can be asked for.
    pub fn remember(&self) {
        self.state().remembers = true;
    }

    /// What was before the last commit, if that came when the disk had seen so many changes.
    pub fn before(&self, changes: usize) -> Option<Arc<Committed>> {
        self.state().before.clone().filter(|(_, at)| *at == changes).map(|(before, _)| before)
    }

    /// Puts it beside a disk: when that has no power any more, there is no commit.
    pub fn beside(&self, disk: &Platter) {
        self.state().disk = Some(disk.clone());
    }

    /// After so many commits one fails; none: all succeed.
    pub fn trouble(&self, trouble: Option<(usize, Lost)>) {
        self.state().trouble = trouble;
    }

    /// Whether the trouble it was in is over.
    pub fn was_troubled(&self) -> bool {
        self.state().trouble.is_none()
    }

    /// Changes what is committed, as somebody else would who damages it.
    pub fn put(&self, committed: Arc<Committed>) {
        let mut state = self.state();
        (state.sums, state.now) = (sums(&committed), committed);
    }

    /// From here on every row that is read is found to be damaged, until the store is made anew.
    pub fn damage(&self) {
        self.state().damaged = true;
    }

    /// Every head that was committed since this was asked for last.
    pub fn heads(&self) -> Vec<Head> {
        std::mem::take(&mut self.state().heads)
    }

    /// Empties it.
    pub fn empty(&self) {
        let mut state = self.state();
        (state.now, state.sums, state.before, state.damaged) = (Arc::default(), Head::default(), None, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere with the lock in hand is told there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> Fault {
    Fault::disk("ledger", "commit", io::Error::other("the connection is lost"))
}

impl State {
    /// Whether this commit is lost, and how.
    fn meet(&mut self) -> Option<Lost> {
        let (left, lost) = self.trouble.take()?;
        match left.checked_sub(1) {
            Some(fewer) => {
                self.trouble = Some((fewer, lost));
                None
            }
            None => Some(lost),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let Some(head) = self.now.head.as_ref().filter(|_| !self.damaged) else {
            return match self.damaged || !self.now.rows.is_empty() || !self.now.aside.is_empty() {
                true => Err(Fault::damaged("ledger", 0, "its rows are not those that were committed")),
                false => Ok(()),
            };
        };
        let mut sums = Head { receipts: Sum::default(), ..self.sums.clone() };
        sums.rows.resize(head.rows.len(), Sum::default());
        // Of these the oldest go.
        self.now.receipts.iter().for_each(|receipt| sums.put_receipt(receipt));
        let of = |head: &Head| (head.quarantined, head.rulings, head.receipts, head.notes);
        let aside = of(&sums) == of(head);
        match sums.rows == head.rows && aside {
            true => Ok(()),
            false => Err(Fault::damaged("ledger", 0, "its rows are not those that were committed")),
        }
    }
}

impl Committed {
    /// What was set aside, with what became of it since.
    pub fn quarantine(&self) -> Vec<Aside> {
        self.quarantine_from(0)
    }

    /// The same, from one on.
    fn quarantine_from(&self, from: u64) -> Vec<Aside> {
        let events = (0..).zip(&self.aside).skip(from as usize);
        let mut all: Vec<Aside> = events.map(|(number, event)| Aside::new(number, event.clone())).collect();
        for ruling in self.rulings.iter().filter(|ruling| ruling.number >= from) {
            all[(ruling.number - from) as usize].rule(ruling.clone());
        }
        all
    }

    /// Takes one step, if it follows the last one; else nothing.
    fn take(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        let head = commit.head;
        let follows = match &self.head {
            Some(known) => known.epoch <= head.epoch && known.commit + 1 == head.commit,
            None => head.commit == 1,
        };
        if !follows {
            let text = format!("commit {} of owner {} does not follow the last one", head.commit, head.epoch);
            return Err(Fault::Refused(text));
        }
        let (tick, at) = head.tick();
        for (number, row) in commit.rows.iter().enumerate() {
            let at_place = place(row);
            let before = (at_place.0, Arc::clone(&at_place.1), at_place.2 - 1);
            if self.rows.contains_key(&at_place) || (at_place.2 > 1 && !self.rows.contains_key(&before)) {
                commit.rows[..number].iter().for_each(|row| drop(self.rows.remove(&place(row))));
                let text = format!("generation {} of a row is there already, or the one before it is not", at_place.2);
                return Err(Fault::Refused(text));
            }
            self.rows.insert(at_place, Arc::new(Kept { row: row.clone(), tick, at }));
        }
        self.aside.extend_from_slice(commit.quarantined);
        self.rulings.extend_from_slice(commit.rulings);
        for note in commit.notes {
            self.notes.push(Noted { number: self.notes.len() as u64, note: note.clone(), tick, at });
        }
        self.receipts.extend_from_slice(commit.receipts);
        self.receipts.retain(|receipt| receipt.number >= head.first_receipt);
        self.head = Some(head.clone());
        Ok(())
    }
}

/// The sums over all that is committed, but for the answers to deliveries.
fn sums(committed: &Committed) -> Head {
    let pipelines = committed.head.as_ref().map_or(0, |head| head.rows.len());
    let mut sums = Head { rows: vec![Sum::default(); pipelines], ..Head::default() };
    for kept in committed.rows.values() {
        (sums.ticks, sums.ticked) = (kept.tick, Some(kept.at));
        sums.take(std::slice::from_ref(&kept.row), &[]);
    }
    sums.take(&[], &committed.aside);
    committed.rulings.iter().for_each(|ruling| sums.put_ruling(ruling));
    for noted in &committed.notes {
        (sums.ticks, sums.ticked) = (noted.tick, Some(noted.at));
        sums.take_notes(std::slice::from_ref(&noted.note));
    }
    sums
}

/// Adds to the sums what a commit brings.
fn add(sums: &mut Head, commit: &Commit<'_>) {
    sums.rows.resize(commit.head.rows.len(), Sum::default());
    let (tick, at) = commit.head.tick();
    (sums.ticks, sums.ticked) = (tick, Some(at));
    sums.take(commit.rows, commit.quarantined);
    commit.rulings.iter().for_each(|ruling| sums.put_ruling(ruling));
    sums.take_notes(commit.notes);
}

fn place(row: &Final) -> Place {
    let mut id = Vec::new();
    row.put_id(&mut id);
    (row.pipeline, id.into(), row.generation)
}

impl Store for Ledger {
    fn head(&mut self) -> Result<Option<Head>, Fault> {
        Ok(self.state().now.head.clone())
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        let state = &mut *self.state();
        if state.disk.as_ref().is_some_and(Platter::is_dark) {
            return Err(Fault::disk("ledger", "commit", io::Error::other("the power is cut")));
        }
        let met = state.meet();
        if met == Some(Lost::Question) {
            return Err(lost());
        }
        let before = state.remembers.then(|| Arc::clone(&state.now));
        Arc::make_mut(&mut state.now).take(commit)?;
        add(&mut state.sums, commit);
        let changes = state.disk.as_ref().map_or(0, Platter::changes);
        state.before = before.map(|before| (before, changes));
        state.heads.push(commit.head.clone());
        if met == Some(Lost::Answer) { Err(lost()) } else { Ok(()) }
    }

    fn rows(
        &mut self,
        pipeline: u16,
        ask: &Ask,
        visit: &mut dyn FnMut(Kept) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let now = self.committed();
        let inside = |kept: &Kept| ask.as_of.is_none_or(|as_of| kept.at <= as_of);
        let mine: Vec<_> = now.rows.iter().filter(|(place, kept)| place.0 == pipeline && inside(kept)).collect();
        for (number, (place, kept)) in mine.iter().enumerate() {
            let newest = mine.get(number + 1).is_none_or(|(next, _)| next.1 != place.1);
            if (ask.generations || newest) && ask.holds(&kept.row) {
                visit(Kept::clone(kept))?;
            }
        }
        Ok(())
    }

    fn newest(&mut self, pipeline: u16, spans: &[Between], tick: u64) -> Result<Vec<Vec<Final>>, Fault> {
        let now = self.committed();
        let newest = |(from, to): &Between| {
            let mine = now.rows.range((pipeline, from[..].into(), 0)..=(pipeline, to[..].into(), u64::MAX));
            let known = mine.filter(|(_, kept)| kept.tick <= tick).map(|((_, id, _), kept)| (id, kept.row.clone()));
            // Generations come in order, and the last one stays.
            known.collect::<BTreeMap<_, _>>().into_values().collect()
        };
        Ok(spans.iter().map(newest).collect())
    }

    fn aside(&mut self, from: u64, visit: &mut dyn FnMut(Aside) -> Result<bool, Fault>) -> Result<(), Fault> {
        for aside in self.committed().quarantine_from(from) {
            if !visit(aside)? {
                break;
            }
        }
        Ok(())
    }

    fn castoffs(&mut self, from: u64, visit: &mut dyn FnMut(Quarantined) -> bool) -> Result<(), Fault> {
        self.committed().aside.iter().skip(from as usize).cloned().all(visit);
        Ok(())
    }

    fn notes(&mut self, visit: &mut dyn FnMut(Noted) -> Result<(), Fault>) -> Result<(), Fault> {
        self.committed().notes.iter().cloned().try_for_each(visit)
    }

    fn receipts(&mut self, visit: &mut dyn FnMut(Receipt) -> Result<(), Fault>) -> Result<(), Fault> {
        self.committed().receipts.iter().cloned().try_for_each(visit)
    }

    fn check(&mut self) -> Result<(), Fault> {
        self.state().check()
    }
}
