//! One compiled SELECT: filter, key, window, the states to keep, and how results are read from them.

use super::Fraction;
use super::bars::Bars;
use super::expr::Expr;
use crate::value::Type;
use crate::window::{Anchor, Window, WindowRule};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// One pipeline over one source.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Index of its source in the plan.
    pub source: u16,
    /// WHERE, over the row.
    pub filter: Option<Expr>,
    /// The group-by columns beside the window.
    pub key: Vec<KeyColumn>,
    /// The windows.
    pub windowing: Windowing,
    /// What is accumulated, each once however often the SELECT uses it.
    pub states: Vec<State>,
    /// The aggregates, read from the states.
    pub results: Vec<Result>,
    /// The selected columns, over the key columns and then the results.
    pub columns: Vec<Column>,
    /// HAVING, over the same.
    pub having: Option<Expr>,
}

impl Pipeline {
    /// How long its windows may be, in nanoseconds: of sessions the pause that ends one, of bars the time between two anchors.
    pub fn longest(&self) -> i64 {
        // A July of a leap year: no month, quarter or year is longer than its own.
        const LONG: i64 = 80_006_400_000_000_000;
        let span = |window: Window| i64::try_from(window.end - window.start).unwrap_or(i64::MAX);
        match &self.windowing {
            Windowing::Aligned(WindowRule::Hop(hop)) => hop.size(),
            Windowing::Aligned(rule) => rule.slice(LONG).map_or(0, span),
            Windowing::Session { gap } => *gap,
            Windowing::Bars(bars) => match bars.anchor {
                Anchor::None => 0,
                Anchor::Daily(_) => span(bars.anchor.period(LONG)),
            },
        }
    }
}

/// Which spans a pipeline aggregates over.
#[derive(Clone, Debug)]
pub enum Windowing {
    /// Spans that are laid over time whatever the facts.
    Aligned(WindowRule),
    /// Facts of a key with no pause between them that is longer than the gap.
    Session {
        /// Longest pause inside a session, in nanoseconds.
        gap: i64,
    },
    /// Runs of a key's facts that the facts themselves cut.
    Bars(Box<Bars>),
}

/// A group-by column.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Its name in the output.
    pub name: String,
    /// Its value, over the row.
    pub expr: Expr,
}

/// A selected column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name in the output.
    pub name: String,
    /// Its value; `Node::Input` counts the key columns first, then the results.
    pub expr: Expr,
}

/// One accumulator of a pipeline: what it takes from each row that its filter lets pass.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// FILTER (WHERE ...), over the row.
    pub filter: Option<Expr>,
    /// What is accumulated.
    pub kind: Accumulate,
}

/// What a state accumulates. Nulls are skipped; a product skips a row in which either side is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Accumulate {
    /// The number of rows, or of values that are not null.
    Count(Option<Expr>),
    /// The exact sum.
    Sum(Expr),
    /// The exact sum of products. Where one side is a double and the other is not, the double stands first.
    Products(Expr, Expr),
    /// The exact sum of an exact number, of which a fact that is cut between bars gives each bar its share.
    Shares(Expr),
    /// The exact sum of products of a double and an exact number, of which a cut fact gives each bar its share: a whole
    /// number of its last places.
    SharedProducts(Expr, Expr),
    /// The smallest value.
    Min(Expr),
    /// The largest value.
    Max(Expr),
    /// The value of the first row in canonical order.
    First(Expr),
    /// The value of the last row in canonical order.
    Last(Expr),
    /// The values, each with its multiplicity.
    Values(Expr),
    /// The numbers of the values' buckets, each with its multiplicity.
    Histogram(Expr),
    /// The registers of a HyperLogLog.
    HyperLogLog(Expr),
    /// The so many largest values, each as often as it occurs.
    Largest(Expr, u16),
}

impl Accumulate {
    /// Whether removing a row can be undone in place. What cannot subtract is folded again from the facts.
    pub fn subtracts(&self) -> bool {
        matches!(
            self,
            Accumulate::Count(_)
                | Accumulate::Sum(_)
                | Accumulate::Shares(_)
                | Accumulate::Products(..)
                | Accumulate::SharedProducts(..)
                | Accumulate::Values(_)
                | Accumulate::Histogram(_)
        )
    }
}

/// An aggregate of the SELECT: its type, and how it is read from the states, by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Result {
    /// Type in which it leaves, rounded once.
    pub ty: Type,
    /// How it is read.
    pub finish: Finish,
}

/// How an aggregate is read from states. Scales are those of the states' decimal arguments; 0 for others.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// A count.
    Count(usize),
    /// A sum, null where nothing was counted.
    Sum {
        /// The sum's state.
        sum: usize,
        /// The state that counts what was summed.
        count: usize,
        /// Scale of the summed decimals.
        scale: u8,
    },
    /// A smallest, largest, first or last value.
    Value(usize),
    /// How many distinct values.
    Distinct(usize),
    /// An estimate of how many distinct values.
    HyperLogLog(usize),
    /// The middle of the first bucket whose cumulative count is at least so much of all; null of no values.
    Bucket {
        /// The state of the buckets.
        buckets: usize,
        /// How much.
        p: Fraction,
        /// Type of the values.
        of: Type,
    },
    /// The smallest value whose cumulative count is at least so much of all; null of no values.
    Discrete {
        /// The state of the values.
        values: usize,
        /// How much.
        p: Fraction,
        /// Whether counting begins at the largest value.
        descending: bool,
    },
    /// The largest values as a descending array; null of no values.
    Largest {
        /// The state of the values.
        values: usize,
        /// Type of the values.
        of: Type,
    },
    /// The value at p * (n - 1) among n, between its neighbours; null of no values.
    Continuous {
        /// The state of the values.
        values: usize,
        /// How much.
        p: Fraction,
        /// Type of the values.
        of: Type,
    },
    /// Sum over count.
    Mean {
        /// The sum's state.
        sum: usize,
        /// The state that counts what was summed.
        count: usize,
        /// Scale of the summed decimals.
        scale: u8,
    },
    /// (n * sum of squares - square of the sum) / (n * n, or n * (n - 1) for a sample).
    Variance {
        /// The sum's state.
        sum: usize,
        /// The state of the squares.
        squares: usize,
        /// The state that counts what was summed.
        count: usize,
        /// Scale of the summed decimals.
        scale: u8,
        /// Whether the values are a sample of a larger whole.
        sample: bool,
        /// Whether its square root is meant: the standard deviation.
        root: bool,
    },
    /// Sum of products over sum of weights; null, and counted, where the weights sum to zero.
    Weighted {
        /// The state of the products.
        products: usize,
        /// The state that sums the weights.
        weights: usize,
        /// The state that counts the weighted rows.
        count: usize,
        /// Scale of the products.
        scale: u8,
        /// Scale of the weights.
        weight_scale: u8,
    },
}
