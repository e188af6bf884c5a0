//! First and last: the value of the row that canonical order puts at one end.

use super::{Contribution, Sign, stays};
use crate::codec::{CodecError, Reader, put_bytes};
use crate::plan::Expr;
use crate::value::{Scalar, Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A value and its place in canonical order: event time, then the bytes that order rows of one time.
#[derive(Clone, Debug)]
pub struct Edge {
    time: i64,
    tie: Tie,
    value: Scalar,
}

/// Bytes of a tie that stand in place: those of most ids with their origin.
const IN_PLACE: usize = 22;

/// What orders rows of one time.
#[derive(Clone, Debug)]
enum Tie {
    Short(u8, [u8; IN_PLACE]),
    Long(Box<[u8]>),
}

impl Tie {
    #[inline]
    fn new(bytes: &[u8]) -> Tie {
        let mut short = [0; IN_PLACE];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Tie::Short(bytes.len() as u8, short)
            }
            None => Tie::Long(bytes.into()),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Tie::Short(len, bytes) => &bytes[..usize::from(*len)],
            Tie::Long(bytes) => bytes,
        }
    }
}

impl Edge {
    fn new<'a>(row: &mut impl Contribution<'a>, value: Scalar) -> Edge {
        Edge { time: row.time(), tie: Tie::new(row.tie()), value }
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        self.value.value()
    }

    /// The place in canonical order.
    pub fn place(&self) -> (i64, &[u8]) {
        (self.time, self.tie.bytes())
    }

    /// Where a row stands beside it.
    #[inline]
    fn order<'a>(&self, row: &mut impl Contribution<'a>) -> Ordering {
        row.time().cmp(&self.time).then_with(|| row.tie().cmp(self.tie.bytes()))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_le_bytes());
        put_bytes(out, self.tie.bytes());
        self.value().encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>, ty: Type) -> Result<Self, CodecError> {
        let time = i64::from_le_bytes(reader.array()?);
        let tie = Tie::new(reader.bytes()?);
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
    // An expression that may make nulls is asked of every row, so that what is counted of it depends on the rows alone.
    let value = row.value(expr);
    if value.is_null() {
        return true;
    }
    let Some(edge) = held else {
        if sign == Sign::Plus {
            *held = Some(Box::new(Edge::new(row, value.to_scalar())));
        }
        return sign == Sign::Plus;
    };
    let order = edge.order(row);
    if sign == Sign::Plus && order == wins {
        **edge = Edge::new(row, value.to_scalar());
    }
    stays(order, wins, sign)
}

/// The same for numbers of 64 bits, one of which is held.
#[inline]
pub(super) fn narrow<'a>(
    edge: &mut Edge,
    wins: Ordering,
    sign: Sign,
    number: i64,
    row: &mut impl Contribution<'a>,
) -> bool {
    let order = edge.order(row);
    if sign == Sign::Plus && order == wins {
        (edge.time, edge.tie) = (row.time(), Tie::new(row.tie()));
        *edge.value.narrow_mut().expect("a number is held") = number;
    }
    stays(order, wins, sign)
}
