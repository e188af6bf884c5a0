//! Min and max: the smallest or the largest value.

use super::{Contribution, Sign, stays};
use crate::plan::Expr;
use crate::value::Scalar;
use core::cmp::Ordering;

/// Adds a row, or takes it away. False if it may have been the holder.
#[inline]
pub(super) fn update<'a>(
    held: &mut Scalar,
    wins: Ordering,
    sign: Sign,
    expr: &'a Expr,
    row: &mut impl Contribution<'a>,
) -> bool {
    let value = row.value(expr);
    if value.is_null() {
        return true;
    }
    let order = if held.value().is_null() { wins } else { value.order(&held.value()) };
    if sign == Sign::Plus && order == wins {
        *held = value.to_scalar();
    }
    stays(order, wins, sign)
}

/// The same for numbers of 64 bits, one of which is held.
#[inline]
pub(super) fn narrow(held: &mut i64, wins: Ordering, sign: Sign, number: i64) -> bool {
    let order = number.cmp(held);
    if sign == Sign::Plus && order == wins {
        *held = number;
    }
    stays(order, wins, sign)
}
