//! First and last: the value of the row that canonical order puts at one end.

use super::{Contribution, Sign};
use crate::codec::{CodecError, Reader, put_bytes};
use crate::plan::Expr;
use crate::plan::expr::Node;
use crate::value::{Scalar, Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A value and its place in canonical order: event time, then the bytes that order rows of one time.
#[derive(Clone, Debug)]
pub struct Edge {
    time: i64,
    tie: Vec<u8>,
    value: Scalar,
}

impl Edge {
    /// The value.
    pub fn value(&self) -> Value<'_> {
        self.value.value()
    }

    /// The place in canonical order.
    pub fn place(&self) -> (i64, &[u8]) {
        (self.time, &self.tie)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_le_bytes());
        put_bytes(out, &self.tie);
        self.value().encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>, ty: Type) -> Result<Self, CodecError> {
        let time = i64::from_le_bytes(reader.array()?);
        let tie = reader.bytes()?.to_vec();
        let value = Value::decode(reader, ty)?;
        if value.is_null() {
            return reader.fail("a first or last value that is not null");
        }
        Ok(Edge { time, tie, value: value.to_scalar() })
    }
}

/// Adds a row, or takes it away. False if it may have been the holder.
#[inline]
pub(super) fn update<'a>(
    held: &mut Option<Box<Edge>>,
    wins: Ordering,
    sign: Sign,
    expr: &'a Expr,
    row: &mut impl Contribution<'a>,
) -> bool {
    let time = row.time();
    // Most rows are settled by their time alone, before value and tie are even looked at.
    // An expression that may make nulls is asked of every row, so that what is counted of it depends on the rows alone.
    if let Some(edge) = held
        && matches!(expr.node, Node::Input(_))
        && time.cmp(&edge.time) == wins.reverse()
    {
        return true;
    }
    let value = row.value(expr);
    if value.is_null() {
        return true;
    }
    let Some(edge) = held else {
        if sign == Sign::Plus {
            let tie = row.tie().to_vec();
            *held = Some(Box::new(Edge { time, tie, value: value.to_scalar() }));
        }
        return sign == Sign::Plus;
    };
    let order = time.cmp(&edge.time).then_with(|| row.tie().cmp(&edge.tie));
    if sign == Sign::Minus {
        return order == wins.reverse();
    }
    if order == wins {
        edge.time = time;
        row.put_tie(&mut edge.tie);
        edge.value = value.to_scalar();
    }
    true
}
