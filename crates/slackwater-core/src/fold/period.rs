//! Bars of one key from one anchor to the next: its facts in canonical order, cut as far as they are settled.
//!
//! Only settled facts are cut, so what is cut stays cut until a late fact, a correction or a retraction reaches into it;
//! then it is cut again from the last mark before the change. Facts far behind are let go, but for a mark now and then;
//! when a change lies before what is kept, they are asked for again from the last such mark on.

use super::cutter::{Carry, Closed, Cutter};
use super::group::{RowId, Sealed};
use super::settled::{Notes, Settled, cause_within};
use crate::aggregate::Sign;
use crate::delta::Cause;
use crate::limits::KEPT_FACTS;
use crate::plan::Cut;
use crate::planted::{self, Bug};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A fact with its place in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub time: i64,
    pub tie: Box<[u8]>,
    pub content: Box<[u8]>,
}

/// Where facts were let go: the place of the last of them, and what was carried on.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub time: i64,
    pub tie: Box<[u8]>,
    pub carry: Carry,
}

impl Past {
    /// Whether a fact lies behind it.
    fn is_before(&self, held: &Held) -> bool {
        (self.time, &self.tie) < (held.time, &held.tie)
    }
}

impl Held {
    fn order(&self, other: &Held) -> Ordering {
        (self.time, &self.tie).cmp(&(other.time, &other.tie))
    }
}

/// What had been cut when a bar was closed: so many of the kept facts, and what was carried on.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub cut: usize,
    pub carry: Carry,
}

/// From one anchor to the next.
#[derive(Debug)]
pub(super) struct Period {
    /// The next anchor.
    pub end: i128,
    /// Facts in canonical order, without those that were let go.
    pub facts: Vec<Held>,
    /// ±facts that are not sorted in yet.
    pub pending: Vec<(Sign, Held)>,
    /// How many of the facts are cut, and what is carried on from them.
    pub at: Mark,
    /// From the earliest that can be gone back to. The first stands before all kept facts.
    pub marks: Vec<Mark>,
    /// Marks before what is kept, the last of them right before it.
    pub past: Vec<Past>,
    /// The time of the first change before what is kept, until it is folded again.
    pub stale: Option<i64>,
    /// Bars that were closed are to be cut again.
    pub reopened: bool,
    /// The time of the fact that closed the last bar, as of the last tick.
    pub closed: Option<i64>,
}

/// A bar to be looked at.
pub(super) struct Touched {
    pub id: RowId,
    pub bar: Option<Closed>,
    pub before: bool,
    pub cause: Option<Cause>,
}

impl Period {
    pub fn new(end: i128) -> Self {
        let start = Mark { cut: 0, carry: Carry::default() };
        Period {
            end,
            facts: Vec::new(),
            pending: Vec::new(),
            at: start.clone(),
            marks: alloc::vec![start],
            past: Vec::new(),
            stale: None,
            reopened: false,
            closed: None,
        }
    }

    /// Takes a ±fact. False if it is the first that lies before what is kept.
    pub fn take(&mut self, sign: Sign, held: Held) -> bool {
        let kept = self.past.last().is_none_or(|past| past.is_before(&held));
        match self.stale {
            None if kept => self.pending.push((sign, held)),
            None => {
                self.stale = Some(held.time);
                return false;
            }
            // All facts behind the mark will be given again.
            Some(first) => self.stale = Some(first.min(held.time)),
        }
        true
    }

    /// The time from which its facts are needed; none if from the beginning.
    pub fn needs_from(&self) -> Option<i64> {
        self.back_to().map(|past| self.past[past].time)
    }

    /// The last mark that lies before every change.
    fn back_to(&self) -> Option<usize> {
        let first = self.stale?;
        self.past.iter().rposition(|past| past.time < first)
    }

    /// Goes back before the first change, to be given all facts from there on.
    pub fn clear(&mut self) {
        let keep = self.back_to().map_or(0, |last| last + 1);
        let mut past = core::mem::take(&mut self.past);
        past.truncate(keep);
        let carry = past.last().map_or(Carry::default(), |past| past.carry.clone());
        let start = Mark { cut: 0, carry };
        let (marks, stale, closed) = (alloc::vec![start.clone()], self.stale, self.closed);
        *self = Period { past, at: start, marks, stale, closed, reopened: true, ..Period::new(self.end) };
    }

    /// Takes a fact of a period that was cleared.
    pub fn refill(&mut self, held: Held) {
        if self.past.last().is_none_or(|past| past.is_before(&held)) {
            self.pending.push((Sign::Plus, held));
        }
    }

    /// Whether it holds no fact, and never will again without being given one.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.pending.is_empty() && self.past.is_empty()
    }

    /// Sorts pending facts in. What was cut behind the first change is no longer.
    pub fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = core::mem::take(&mut self.pending);
        pending.sort_by(|a, b| a.1.order(&b.1));
        let pending = net(pending);
        let Some((_, first)) = pending.first() else { return };
        let changed = self.facts.partition_point(|fact| fact.order(first).is_lt());
        if changed < self.at.cut {
            while self.marks.len() > 1 && self.marks[self.marks.len() - 1].cut > changed {
                self.marks.pop();
            }
            self.at = self.marks[self.marks.len() - 1].clone();
            self.reopened = true;
        }
        let tail = self.facts.split_off(changed);
        self.facts.extend(merge(tail, pending));
    }

    /// Cuts what is settled, and gives the bars that are closed.
    pub fn cut(&mut self, cutter: &Cutter<'_>, now: Settled) -> Vec<Closed> {
        let mut closed = Vec::new();
        self.reopened = false;
        let rash = planted::is(Bug::BreakNotCertain) && matches!(cutter.bars.cut, Cut::Break(_));
        while let Some(fact) = self.facts.get(self.at.cut)
            && (now.passed(fact.time) || rash)
        {
            let before = closed.len();
            cutter.step(&mut self.at.carry, fact, &mut closed);
            self.at.cut += 1;
            if closed.len() > before {
                self.marks.push(self.at.clone());
            }
        }
        if now.covers(self.end)
            && self.at.cut == self.facts.len()
            && let Some(last) = self.at.carry.unfinished()
        {
            closed.push(last);
        }
        closed
    }

    /// Lets go of facts that are cut, but for the last so many, back to a mark.
    pub fn let_go(&mut self) {
        let Some(most) = self.at.cut.checked_sub(KEPT_FACTS).filter(|spare| *spare > KEPT_FACTS) else { return };
        let keep = self.marks.iter().rposition(|mark| mark.cut <= most).unwrap_or(0);
        let facts = self.marks[keep].cut;
        if facts == 0 {
            return;
        }
        let last = self.facts.drain(..facts).next_back().expect("at least one fact is let go");
        self.past.push(Past { time: last.time, tie: last.tie, carry: self.marks[keep].carry.clone() });
        self.marks.drain(..keep);
        self.marks.iter_mut().for_each(|mark| mark.cut -= facts);
        self.at.cut -= facts;
    }

    /// Notes up to where bars are closed.
    pub fn note_closed(&mut self) {
        let last = self.marks.last().map_or(0, |mark| mark.cut);
        let inside = last.checked_sub(1).map(|at| self.facts[at].time);
        self.closed = inside.or(self.past.last().map(|past| past.time));
    }

    /// The watermark at which something may seal next.
    pub fn due(&self) -> Option<i128> {
        if self.reopened {
            return Some(i128::MIN);
        }
        let next = self.facts.get(self.at.cut).map(|fact| i128::from(fact.time) + 1);
        let open = self.at.carry.is_open().then_some(self.end);
        next.into_iter().chain(open).min()
    }
}

/// What closed bars, and rows sealed before from the same bar on, amount to.
pub(super) fn touched(
    anchor: i128,
    from: u64,
    closed: Vec<Closed>,
    rows: &BTreeMap<RowId, Sealed>,
    (before, end): (Settled, i128),
    notes: Notes<'_>,
) -> Vec<Touched> {
    let old = rows.range((anchor, from)..=(anchor, u64::MAX));
    let mut found: BTreeMap<u64, Option<Closed>> = old.map(|(id, _)| (id.1, None)).collect();
    found.extend(closed.into_iter().map(|bar| (bar.ordinal, Some(bar))));
    let look = |(ordinal, bar): (u64, Option<Closed>)| {
        let id = (anchor, ordinal);
        let old = rows.get(&id).map(|row| row.window.end);
        let until = old.max(bar.as_ref().map(|bar| bar.last.into())).unwrap_or(i128::MAX);
        let settled = bar.as_ref().is_some_and(|bar| bar.by.map_or(before.covers(end), |time| before.passed(time)));
        Touched { id, bar, before: settled, cause: cause_within(notes, anchor, until) }
    };
    found.into_iter().map(look).collect()
}

/// Sorted ±facts without those that cancel each other.
fn net(pending: Vec<(Sign, Held)>) -> Vec<(Sign, Held)> {
    let mut out: Vec<(Sign, Held)> = Vec::with_capacity(pending.len());
    let mut same = 0;
    for (sign, held) in pending {
        if out.get(same).is_none_or(|(_, first)| first.order(&held).is_ne()) {
            same = out.len();
        }
        let opposite = out[same..].iter().position(|(other, known)| *other != sign && *known == held);
        match opposite {
            Some(index) => {
                out.remove(same + index);
            }
            None => out.push((sign, held)),
        }
    }
    out
}

/// Sorted facts with sorted changes made to them. Every fact that is taken away is there.
fn merge(facts: Vec<Held>, changes: Vec<(Sign, Held)>) -> Vec<Held> {
    let mut out = Vec::with_capacity(facts.len() + changes.len());
    let mut facts = facts.into_iter().peekable();
    let mut changes = changes.into_iter().peekable();
    while let Some((_, change)) = changes.peek() {
        if let Some(fact) = facts.next_if(|fact| fact.order(change).is_lt()) {
            out.push(fact);
            continue;
        }
        let (sign, change) = changes.next().expect("just seen");
        let there = facts.next_if(|fact| *fact == change);
        match (sign, there) {
            (Sign::Minus, Some(_)) => {}
            (Sign::Plus, None) => out.push(change),
            _ => unreachable!("a fact is added once and taken away once"),
        }
    }
    out.extend(facts);
    out
}
