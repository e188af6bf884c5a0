//! How the states of a pipeline take a row, worked out once.
//!
//! Most states take plain fields of 64 bits: decimals and signed integers, which stand at a fixed place in a row's content.
//! Those are read from there and given to the accumulator as they are. All others go through [`accumulate`], which makes
//! values; both give the same bits.

use super::{Accumulator, Contribution, Sign, accumulate, edge, extreme};
use crate::plan::expr::Node;
use crate::plan::{Accumulate, Expr, State};
use crate::schema::{Kind, Schema};
use alloc::vec::Vec;
use core::cmp::Ordering;

/// How each of some states takes a row, with the state's number.
#[derive(Debug)]
pub(crate) struct Recipe(Vec<(usize, Step)>);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Counts the row.
    Rows,
    Sum(At),
    Product(At, At),
    /// Keeps the value that is less, or greater.
    Extreme(At, Ordering),
    /// Keeps the value of the row that is first, or last.
    Edge(At, Ordering),
    /// What it takes is worked out row by row.
    Other,
}

/// Where a number of 64 bits stands in a row's content.
#[derive(Clone, Copy, Debug)]
struct At {
    offset: u32,
    null_bit: Option<u16>,
}

impl At {
    /// The place of a plain field that is such a number.
    fn of(expr: &Expr, schema: &Schema) -> Option<At> {
        let Node::Input(field) = expr.node else { return None };
        let slot = schema.slot(field)?;
        let narrow = matches!(slot.kind, Kind::Narrow | Kind::I64);
        narrow.then_some(At { offset: slot.offset, null_bit: slot.null_bit })
    }

    /// The number; none where the field is null.
    #[inline]
    fn read(self, content: &[u8]) -> Option<i64> {
        if let Some(bit) = self.null_bit
            && content[usize::from(bit / 8)] >> (bit % 8) & 1 == 1
        {
            return None;
        }
        let bytes = content[self.offset as usize..].first_chunk().expect("a field has its bytes");
        Some(i64::from_le_bytes(*bytes))
    }
}

impl Recipe {
    /// The recipe of these states over rows of a schema.
    pub fn new(states: &[State], schema: &Schema) -> Recipe {
        Recipe(states.iter().map(|state| Step::of(state, schema)).enumerate().collect())
    }

    /// Adds a row to states, or takes it away. False if a state may have lost what it held and must be folded again.
    #[inline]
    pub fn take<'a>(
        &self,
        states: &'a [State],
        into: &mut [Accumulator],
        sign: Sign,
        content: &[u8],
        row: &mut impl Contribution<'a>,
    ) -> bool {
        // Of 64 bits and of products of two of them neither side of zero is too large.
        let signed = |x: i128| if sign == Sign::Plus { x } else { -x };
        let mut sound = true;
        for (number, step) in &self.0 {
            let accumulator = &mut into[*number];
            match (step, &mut *accumulator) {
                (Step::Rows, Accumulator::Count(n)) => *n += sign.unit(),
                (Step::Sum(x), Accumulator::Exact(sum)) => {
                    let Some(x) = x.read(content) else { continue };
                    sum.add_i128(signed(x.into()));
                }
                (Step::Product(x, y), Accumulator::Exact(sum)) => {
                    let (Some(x), Some(y)) = (x.read(content), y.read(content)) else { continue };
                    sum.add_i128(signed(i128::from(x).wrapping_mul(y.into())));
                }
                (Step::Extreme(x, wins), Accumulator::Extreme(held)) => {
                    let Some(x) = x.read(content) else { continue };
                    sound &= match held.narrow_mut() {
                        Some(held) => extreme::narrow(held, *wins, sign, x),
                        // The first one says what kind of number it is.
                        None => accumulate(&states[*number], accumulator, sign, row),
                    };
                }
                (Step::Edge(x, wins), Accumulator::Edge(held)) => {
                    let Some(x) = x.read(content) else { continue };
                    sound &= match held {
                        Some(held) => edge::narrow(held, *wins, sign, x, row),
                        None => accumulate(&states[*number], accumulator, sign, row),
                    };
                }
                _ => sound &= accumulate(&states[*number], accumulator, sign, row),
            }
        }
        sound
    }
}

impl Step {
    fn of(state: &State, schema: &Schema) -> Step {
        if state.filter.is_some() {
            return Step::Other;
        }
        let at = |expr| At::of(expr, schema);
        let found = match &state.kind {
            Accumulate::Count(None) => Some(Step::Rows),
            Accumulate::Sum(x) => at(x).map(Step::Sum),
            Accumulate::Products(x, y) => at(x).zip(at(y)).map(|(x, y)| Step::Product(x, y)),
            Accumulate::Min(x) => at(x).map(|x| Step::Extreme(x, Ordering::Less)),
            Accumulate::Max(x) => at(x).map(|x| Step::Extreme(x, Ordering::Greater)),
            Accumulate::First(x) => at(x).map(|x| Step::Edge(x, Ordering::Less)),
            Accumulate::Last(x) => at(x).map(|x| Step::Edge(x, Ordering::Greater)),
            _ => None,
        };
        found.unwrap_or(Step::Other)
    }
}
