//! Bars: windows that facts cut, in canonical order from an anchor.

use super::expr::Expr;
use super::pipeline::{Result, State};
use crate::number::I384;
use crate::window::Anchor;
use alloc::vec::Vec;

/// How a key's facts are cut into bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Where bars begin anew.
    pub anchor: Anchor,
    /// What ends a bar.
    pub cut: Cut,
}

/// What ends a bar.
#[derive(Clone, Debug)]
pub enum Cut {
    /// So many facts.
    Ticks(u64),
    /// A total that reaches a threshold.
    Measure {
        /// What a fact adds: an exact number, never null and never below zero.
        of: Expr,
        /// Mantissa of the threshold at the measure's scale, more than zero.
        threshold: I384,
        /// What becomes of the fact that reaches it.
        rule: Overshoot,
    },
    /// A condition that is true of the fact that begins the next bar.
    Break(Break),
}

/// What becomes of the fact that reaches the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overshoot {
    /// It is entirely inside the bar, and the next one starts at zero.
    Whole,
    /// It is entirely inside the bar, and the total runs on: numbers that it jumps over do not exist.
    Carry,
    /// It is cut at the threshold; its rest opens the next bar and may fill several.
    Split,
}

/// The condition of `break_when`. Its inputs are the fields of the fact, then the same fields of the key's previous
/// fact, then the aggregates of the open bar without this fact.
#[derive(Clone, Debug)]
pub struct Break {
    /// True starts a new bar; false and null do not.
    pub condition: Expr,
    /// How many fields the source has.
    pub fields: usize,
    /// What is accumulated for the condition.
    pub states: Vec<State>,
    /// The aggregates, read from those states.
    pub results: Vec<Result>,
}
