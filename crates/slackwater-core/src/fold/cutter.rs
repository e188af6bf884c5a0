//! Cuts a key's facts into bars, one fact after the other in canonical order.

use super::cell::{RowView, accumulators};
use super::period::Held;
use crate::aggregate::{Accumulator, Recipe, Sign, accumulate, finish};
use crate::number::{I384, Nat};
use crate::plan::expr::{Faults, Inputs};
use crate::plan::{Bars, Break, Cut, Overshoot, Pipeline, State};
use crate::row::Row;
use crate::schema::Schema;
use crate::value::{Scalar, Value};
use crate::window::Window;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What is carried from one fact to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Carry {
    /// Number of the bar that is open, or opens next.
    pub ordinal: u64,
    /// Measure of the open bar.
    pub total: I384,
    pub open: Option<Open>,
    /// Content of the fact before.
    pub previous: Option<Box<[u8]>>,
    /// Nulls that arithmetic made since the anchor.
    pub faults: Faults,
}

/// The open bar.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// Times of its first and of its last fact.
    pub first: i64,
    pub last: i64,
    pub states: Box<[Accumulator]>,
    /// What `break_when` asks of it.
    pub running: Box<[Accumulator]>,
}

/// A bar that ended.
#[derive(Debug)]
pub(super) struct Closed {
    pub ordinal: u64,
    pub first: i64,
    pub last: i64,
    /// Time of the fact that ended it; none if the next anchor did.
    pub by: Option<i64>,
    pub states: Box<[Accumulator]>,
}

impl Closed {
    /// Its window, from its first fact to its last, and whether its rule closed it.
    pub fn extent(&self) -> (Window, bool) {
        (Window { start: self.first.into(), end: self.last.into() }, self.by.is_some())
    }
}

impl Carry {
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The open bar, as the next anchor ends it.
    pub fn unfinished(&self) -> Option<Closed> {
        let open = self.open.as_ref()?;
        let Open { first, last, states, .. } = open.clone();
        Some(Closed { ordinal: self.ordinal, first, last, by: None, states })
    }

    fn close(&mut self, by: i64, closed: &mut Vec<Closed>) {
        if let Some(Open { first, last, states, .. }) = self.open.take() {
            closed.push(Closed { ordinal: self.ordinal, first, last, by: Some(by), states });
        }
    }
}

/// How the facts of one pipeline are cut.
pub(super) struct Cutter<'a> {
    pub pipeline: &'a Pipeline,
    pub recipe: &'a Recipe,
    pub bars: &'a Bars,
    pub schema: &'a Schema,
}

impl Cutter<'_> {
    /// Takes the next fact; what it ends is added to `closed`.
    pub fn step(&self, carry: &mut Carry, fact: &Held, closed: &mut Vec<Closed>) {
        match &self.bars.cut {
            Cut::Ticks(most) => {
                self.add(carry, fact, None);
                carry.total.add(&I384::ONE);
                if carry.total >= I384::from_u64(*most) {
                    self.next(carry, fact, 1, closed);
                }
            }
            Cut::Measure { of, threshold, rule } => {
                let row = Row::new(self.schema, &fact.content);
                let measure = of.eval(&row, &mut carry.faults).as_wide().expect("a measure is an exact number");
                assert!(!measure.is_negative(), "the source guards its measures");
                match rule {
                    Overshoot::Split => self.split(carry, fact, measure, threshold, closed),
                    _ => self.keep(carry, fact, &measure, (threshold, *rule), closed),
                }
            }
            Cut::Break(rule) => {
                if carry.is_open() && self.breaks(rule, carry, fact) {
                    carry.close(fact.time, closed);
                    carry.ordinal += 1;
                }
                self.add(carry, fact, None);
                carry.previous = Some(fact.content.clone());
            }
        }
    }

    fn next(&self, carry: &mut Carry, fact: &Held, bars: u64, closed: &mut Vec<Closed>) {
        carry.close(fact.time, closed);
        carry.ordinal = carry.ordinal.saturating_add(bars);
        carry.total = I384::ZERO;
    }

    /// The fact stays in one piece.
    fn keep(
        &self,
        carry: &mut Carry,
        fact: &Held,
        measure: &I384,
        (threshold, rule): (&I384, Overshoot),
        closed: &mut Vec<Closed>,
    ) {
        self.add(carry, fact, None);
        let mut total = carry.total;
        total.add(measure);
        if total < *threshold {
            carry.total = total;
        } else if rule == Overshoot::Whole {
            self.next(carry, fact, 1, closed);
        } else {
            let (bars, rest) = total.magnitude().div_rem(&threshold.magnitude());
            let bars = bars.to_u128().and_then(|bars| u64::try_from(bars).ok()).unwrap_or(u64::MAX);
            self.next(carry, fact, bars, closed);
            carry.total = I384::from_sign_magnitude(false, &rest).expect("a rest is less than the threshold");
        }
    }

    /// The fact is cut at every threshold that it reaches.
    fn split(&self, carry: &mut Carry, fact: &Held, measure: I384, threshold: &I384, closed: &mut Vec<Closed>) {
        let whole = measure.magnitude();
        let mut left = measure;
        loop {
            let mut room = *threshold;
            room.sub(&carry.total);
            let part = if left < room { left } else { room };
            let share = part.magnitude();
            self.add(carry, fact, (part != measure).then_some((&share, &whole)));
            if left < room {
                carry.total.add(&left);
                return;
            }
            self.next(carry, fact, 1, closed);
            left.sub(&part);
            if left.is_zero() {
                return;
            }
        }
    }

    /// Adds a fact, or a share of it, to the open bar.
    fn add(&self, carry: &mut Carry, fact: &Held, share: Option<(&Nat, &Nat)>) {
        let running = match &self.bars.cut {
            Cut::Break(rule) => &rule.states[..],
            _ => &[],
        };
        let open = carry.open.get_or_insert_with(|| Open {
            first: fact.time,
            last: fact.time,
            states: accumulators(&self.pipeline.states),
            running: accumulators(running),
        });
        open.last = fact.time;
        let row = Row::new(self.schema, &fact.content);
        let mut view = RowView::of_share(row, &fact.tie, share);
        self.recipe.take(&self.pipeline.states, &mut open.states, Sign::Plus, &fact.content, &mut view);
        take(running, &mut open.running, &mut view);
        carry.faults += view.faults;
    }

    fn breaks(&self, rule: &Break, carry: &mut Carry, fact: &Held) -> bool {
        let open = carry.open.as_ref().expect("only an open bar is broken");
        let mut faults = 0;
        let results: Vec<Scalar> =
            rule.results.iter().map(|result| finish(result, &open.running, &mut faults)).collect();
        let previous = carry.previous.as_ref().map(|content| Row::new(self.schema, content));
        let inputs =
            Seen { row: Row::new(self.schema, &fact.content), previous, results: &results, fields: rule.fields };
        let breaks = rule.condition.eval(&inputs, &mut faults).as_bool() == Some(true);
        carry.faults += faults;
        breaks
    }
}

fn take<'a>(states: &'a [State], into: &mut [Accumulator], view: &mut RowView<'a, '_>) {
    for (state, accumulator) in states.iter().zip(into) {
        accumulate(state, accumulator, Sign::Plus, view);
    }
}

/// What `break_when` sees.
struct Seen<'a> {
    row: Row<'a>,
    previous: Option<Row<'a>>,
    results: &'a [Scalar],
    fields: usize,
}

impl<'a> Inputs<'a> for Seen<'a> {
    fn input(&self, index: usize) -> Value<'a> {
        if index < self.fields {
            self.row.get(index)
        } else if index < 2 * self.fields {
            self.previous.map_or(Value::Null, |row| row.get(index - self.fields))
        } else {
            self.results[index - 2 * self.fields].value()
        }
    }
}
