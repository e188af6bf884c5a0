//! What is accumulated of one key over one span, and the row view that accumulators read.

use crate::aggregate::{Accumulator, Contribution, Recipe, Sign};
use crate::number::Nat;
use crate::plan::expr::{Faults, Node};
use crate::plan::{Expr, Pipeline, State};
use crate::row::Row;
use crate::value::Value;
use crate::window::Window;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// One slice, or one session, of one key.
#[derive(Debug)]
pub(super) struct Cell {
    pub group: u32,
    /// A slice's bounds; of a session the times of its first and of its last fact.
    pub span: Window,
    /// Facts within.
    pub rows: i64,
    pub states: Box<[Accumulator]>,
    /// Something was taken away that a state may have held.
    pub stale: bool,
}

impl Cell {
    pub fn new(pipeline: &Pipeline, group: u32, span: Window) -> Self {
        Cell { group, span, rows: 0, states: accumulators(&pipeline.states), stale: false }
    }

    /// Forgets every fact, to be folded again.
    pub fn clear(&mut self, pipeline: &Pipeline) {
        self.rows = 0;
        self.states = accumulators(&pipeline.states);
    }

    /// Adds a row or takes it away, by the recipe of its states. False if a state may have lost what it held.
    #[inline]
    pub fn update<'a>(
        &mut self,
        (states, recipe): (&'a [State], &Recipe),
        sign: Sign,
        row: &mut RowView<'a, '_>,
    ) -> bool {
        self.rows += sign.unit();
        let content = row.content();
        recipe.take(states, &mut self.states, sign, content, row)
    }
}

/// States that have seen nothing.
pub(super) fn accumulators(states: &[State]) -> Box<[Accumulator]> {
    states.iter().map(|state| Accumulator::new(&state.kind)).collect()
}

/// Adds to states what other rows gave to others like them.
pub(super) fn merge(states: &[State], into: &mut [Accumulator], from: &[Accumulator]) {
    for ((state, mine), theirs) in states.iter().zip(into).zip(from) {
        mine.merge(theirs, &state.kind);
    }
}

/// What orders a row among rows of its time: written only when it is asked for, or known.
enum Tie<'s> {
    Lazy { place: (&'s str, u64), bytes: &'s mut Vec<u8>, written: bool },
    Known(&'s [u8]),
}

/// A row as accumulators see it.
pub(super) struct RowView<'a, 's> {
    row: Row<'a>,
    time: i64,
    tie: Tie<'s>,
    share: Option<(&'s Nat, &'s Nat)>,
    pub faults: Faults,
}

impl<'a, 's> RowView<'a, 's> {
    #[inline]
    pub fn new(row: Row<'a>, place: (&'s str, u64), bytes: &'s mut Vec<u8>) -> Self {
        let tie = Tie::Lazy { place, bytes, written: false };
        RowView { row, time: row.event_time(), tie, share: None, faults: 0 }
    }

    /// A row whose tie is known, and of which only a share counts, if one is given: a part of its measure, and the whole.
    pub fn of_share(row: Row<'a>, tie: &'s [u8], share: Option<(&'s Nat, &'s Nat)>) -> Self {
        RowView { row, time: row.event_time(), tie: Tie::Known(tie), share, faults: 0 }
    }

    #[inline]
    fn content(&self) -> &'a [u8] {
        self.row.content()
    }
}

impl<'a> Contribution<'a> for RowView<'a, '_> {
    #[inline]
    fn value(&mut self, expr: &'a Expr) -> Value<'a> {
        expr.eval(&self.row, &mut self.faults)
    }

    #[inline]
    fn number(&mut self, expr: &'a Expr) -> Option<i128> {
        match expr.node {
            Node::Input(field) => self.row.number(field),
            _ => self.value(expr).as_i128(),
        }
    }

    #[inline]
    fn time(&self) -> i64 {
        self.time
    }

    #[inline]
    fn tie(&mut self) -> &[u8] {
        match &mut self.tie {
            Tie::Known(tie) => tie,
            Tie::Lazy { place, bytes, written } => {
                if !*written {
                    *written = true;
                    bytes.clear();
                    self.row.put_order(*place, bytes);
                }
                bytes
            }
        }
    }

    fn share(&self) -> Option<(&Nat, &Nat)> {
        self.share
    }
}
