//! What a window accumulates: commutative, associative, exact.
//!
//! An accumulator takes rows and gives them back. Counts, sums and multisets can subtract; a smallest, largest,
//! first or last value can only tell that it may have lost its holder, and its window is then folded again from the
//! facts.

mod bag;
mod edge;
mod extreme;
mod finish;
mod histogram;
mod hyperloglog;
mod largest;
mod multiset;
mod percentile;
mod recipe;
mod share;

pub use bag::Bag;
pub use edge::Edge;
pub use finish::finish;
pub use hyperloglog::HyperLogLog;
pub use largest::Largest;
pub(crate) use recipe::Recipe;
pub use share::Share;

use crate::codec::{CodecError, Reader, put_signed};
use crate::number::{ExactSum, FloatSum, I384, Nat};
use crate::plan::{Accumulate, Expr, State};
use crate::planted::{self, Bug};
use crate::value::{Scalar, Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Whether a row is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Taken away.
    Minus,
}

impl Sign {
    /// +1 or -1.
    #[inline]
    pub fn unit(self) -> i64 {
        match self {
            Sign::Plus => 1,
            Sign::Minus => -1,
        }
    }
}

/// The content of one state of one window.
#[derive(Clone, Debug)]
pub enum Accumulator {
    /// Rows or values.
    Count(i64),
    /// Sum of exact numbers or of their products.
    Exact(ExactSum),
    /// Sum of doubles or of their products.
    Float(Box<FloatSum>),
    /// Sum of shares of exact numbers.
    Share(Box<Share>),
    /// Smallest or largest value; null before any.
    Extreme(Scalar),
    /// First or last value and its place in canonical order.
    Edge(Option<Box<Edge>>),
    /// Values, or the numbers of their buckets, with their multiplicities.
    Values(Box<Bag>),
    /// An estimate of how many distinct values.
    HyperLogLog(HyperLogLog),
    /// The largest values.
    Largest(Box<Largest>),
}

impl Accumulator {
    /// The accumulator of nothing.
    pub fn new(kind: &Accumulate) -> Self {
        match kind {
            Accumulate::Count(_) => Accumulator::Count(0),
            Accumulate::Sum(x) | Accumulate::Products(x, _) if x.ty == Type::Float64 => {
                Accumulator::Float(Box::default())
            }
            Accumulate::Sum(_) | Accumulate::Products(..) => Accumulator::Exact(ExactSum::default()),
            Accumulate::SharedProducts(..) => Accumulator::Float(Box::default()),
            Accumulate::Shares(_) => Accumulator::Share(Box::default()),
            Accumulate::Min(_) | Accumulate::Max(_) => Accumulator::Extreme(Scalar::NULL),
            Accumulate::First(_) | Accumulate::Last(_) => Accumulator::Edge(None),
            Accumulate::Values(x) => Accumulator::Values(Box::new(Bag::new(x.ty))),
            Accumulate::Histogram(_) => Accumulator::Values(Box::new(Bag::new(Type::I64))),
            Accumulate::HyperLogLog(_) => Accumulator::HyperLogLog(HyperLogLog::new()),
            Accumulate::Largest(x, most) => Accumulator::Largest(Box::new(Largest::new(x.ty, *most))),
        }
    }

    /// Adds what `other` accumulated from other rows.
    pub fn merge(&mut self, other: &Accumulator, kind: &Accumulate) {
        match (self, other) {
            (Accumulator::Count(a), Accumulator::Count(b)) => *a += b,
            (Accumulator::Exact(a), Accumulator::Exact(b)) => a.merge(b),
            (Accumulator::Float(a), Accumulator::Float(b)) => a.merge(b),
            (Accumulator::Share(a), Accumulator::Share(b)) => a.merge(b),
            (Accumulator::Extreme(a), Accumulator::Extreme(b)) => {
                if !b.value().is_null() {
                    let wins = if matches!(kind, Accumulate::Min(_)) { Ordering::Less } else { Ordering::Greater };
                    if a.value().is_null() || b.value().order(&a.value()) == wins {
                        *a = b.clone();
                    }
                }
            }
            (Accumulator::Edge(a), Accumulator::Edge(b)) => {
                let wins = if matches!(kind, Accumulate::First(_)) { Ordering::Less } else { Ordering::Greater };
                if let Some(edge) = b
                    && a.as_ref().is_none_or(|a| edge.place().cmp(&a.place()) == wins)
                {
                    *a = b.clone();
                }
            }
            (Accumulator::Values(a), Accumulator::Values(b)) => a.merge(b),
            (Accumulator::Largest(a), Accumulator::Largest(b)) => a.merge(b),
            (Accumulator::HyperLogLog(a), Accumulator::HyperLogLog(b)) => a.merge(b),
            _ => unreachable!("two states of one kind"),
        }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Accumulator::Count(n) => put_signed(out, *n),
            Accumulator::Exact(sum) => sum.encode(out),
            Accumulator::Float(sum) => sum.encode(out),
            Accumulator::Share(sum) => sum.encode(out),
            Accumulator::Extreme(value) => value.value().encode(out),
            Accumulator::Edge(None) => out.push(0),
            Accumulator::Edge(Some(edge)) => {
                out.push(1);
                edge.encode(out);
            }
            Accumulator::Values(values) => values.encode(out),
            Accumulator::Largest(values) => values.encode(out),
            Accumulator::HyperLogLog(registers) => registers.encode(out),
        }
    }

    /// Reads what [`Accumulator::encode`] wrote for a state of this kind.
    pub fn decode(reader: &mut Reader<'_>, kind: &Accumulate) -> Result<Self, CodecError> {
        let mut empty = Accumulator::new(kind);
        match (&mut empty, kind) {
            (Accumulator::Count(n), _) => *n = reader.signed()?,
            (Accumulator::Exact(sum), _) => {
                let Some((value, used)) = ExactSum::decode(reader.rest()) else { return reader.fail("an exact sum") };
                reader.skip(used)?;
                *sum = value;
            }
            (Accumulator::Float(sum), _) => {
                let Some((value, used)) = FloatSum::decode(reader.rest()) else { return reader.fail("a float sum") };
                reader.skip(used)?;
                **sum = value;
            }
            (Accumulator::Share(sum), _) => **sum = Share::decode(reader)?,
            (Accumulator::Extreme(value), Accumulate::Min(x) | Accumulate::Max(x)) => {
                *value = Value::decode(reader, x.ty)?.to_scalar();
            }
            (Accumulator::Edge(edge), Accumulate::First(x) | Accumulate::Last(x)) => match reader.byte()? {
                0 => {}
                1 => *edge = Some(Box::new(Edge::decode(reader, x.ty)?)),
                _ => return reader.fail("0 or 1"),
            },
            (Accumulator::Values(values), Accumulate::Values(x)) => **values = Bag::decode(reader, x.ty)?,
            (Accumulator::Values(buckets), Accumulate::Histogram(x)) => {
                **buckets = Bag::decode(reader, Type::I64)?;
                if !buckets.is_within(|value| matches!(value, Value::I64(b) if histogram::is_bucket(b, x.ty))) {
                    return reader.fail("buckets of its type");
                }
            }
            (Accumulator::HyperLogLog(registers), _) => *registers = HyperLogLog::decode(reader)?,
            (Accumulator::Largest(values), Accumulate::Largest(x, most)) => {
                **values = Largest::decode(reader, x.ty, *most)?;
            }
            _ => unreachable!("a new accumulator is of its kind"),
        }
        Ok(empty)
    }
}

/// A row as accumulators see it: its values, and its place in canonical order.
pub trait Contribution<'a> {
    /// The value of an expression over the row.
    fn value(&mut self, expr: &'a Expr) -> Value<'a>;
    /// The value as an exact number of at most 38 digits; none where it is null, or of another kind.
    fn number(&mut self, expr: &'a Expr) -> Option<i128>;
    /// Its event time.
    fn time(&self) -> i64;
    /// What orders it among rows of one event time.
    fn tie(&mut self) -> &[u8];
    /// The part of its measure that counts here, and the whole of it; none where that is all.
    fn share(&self) -> Option<(&Nat, &Nat)> {
        None
    }
}

/// Adds a row to a state, or takes it away. False if the state may have lost what it held and must be folded again.
#[inline]
pub fn accumulate<'a>(
    state: &'a State,
    accumulator: &mut Accumulator,
    sign: Sign,
    row: &mut impl Contribution<'a>,
) -> bool {
    if let Some(filter) = &state.filter
        && row.value(filter).as_bool() != Some(true)
    {
        return true;
    }
    match (&state.kind, accumulator) {
        (Accumulate::Count(None), Accumulator::Count(n)) => *n += sign.unit(),
        (Accumulate::Count(Some(x)), Accumulator::Count(n)) => {
            if !row.value(x).is_null() {
                *n += sign.unit();
            }
        }
        (Accumulate::Sum(x), Accumulator::Exact(sum)) => add_exact(sum, sign, x, row),
        (Accumulate::Sum(x), Accumulator::Float(sum)) => match (row.value(x), sign) {
            (Value::F64(x), Sign::Plus) if planted::is(Bug::FloatSumInArrivalOrder) => planted::add_rounded(sum, x),
            (Value::F64(x), Sign::Plus) => sum.add(x),
            (Value::F64(x), Sign::Minus) => sum.sub(x),
            _ => {}
        },
        (Accumulate::Shares(x), Accumulator::Share(sum)) => add_share(sum, sign, x, row),
        (Accumulate::Products(x, y), Accumulator::Exact(sum)) => add_product(sum, sign, (x, y), row),
        (Accumulate::Products(x, y), Accumulator::Float(sum)) => add_float_product(sum, sign, (x, y), row),
        (Accumulate::SharedProducts(x, y), Accumulator::Float(sum)) => add_shared_product(sum, sign, (x, y), row),
        (Accumulate::Min(x), Accumulator::Extreme(held)) => return extreme::update(held, Ordering::Less, sign, x, row),
        (Accumulate::Max(x), Accumulator::Extreme(held)) => {
            return extreme::update(held, Ordering::Greater, sign, x, row);
        }
        (Accumulate::First(x), Accumulator::Edge(held)) => return edge::update(held, Ordering::Less, sign, x, row),
        (Accumulate::Last(x), Accumulator::Edge(held)) => return edge::update(held, Ordering::Greater, sign, x, row),
        (Accumulate::Values(x), Accumulator::Values(values)) => values.add(row.value(x), sign.unit()),
        (Accumulate::Histogram(x), Accumulator::Values(buckets)) => {
            if let Some(bucket) = histogram::bucket(row.value(x)) {
                buckets.add(Value::I64(bucket), sign.unit());
            }
        }
        (Accumulate::HyperLogLog(x), Accumulator::HyperLogLog(registers)) => {
            return registers.update(row.value(x), sign);
        }
        (Accumulate::Largest(x, _), Accumulator::Largest(values)) => return values.update(row.value(x), sign),
        _ => unreachable!("an accumulator is of its state's kind"),
    }
    true
}

#[inline]
fn add_exact<'a>(sum: &mut ExactSum, sign: Sign, x: &'a Expr, row: &mut impl Contribution<'a>) {
    if x.ty.is_wide() {
        match (row.value(x).as_wide(), sign) {
            (Some(wide), Sign::Plus) => sum.add(&wide),
            (Some(wide), Sign::Minus) => sum.sub(&wide),
            (None, _) => {}
        }
        return;
    }
    match (row.number(x), sign) {
        (Some(m), Sign::Plus) => sum.add_i128(m),
        (Some(m), Sign::Minus) => sum.sub_i128(m),
        (None, _) => {}
    }
}

fn add_share<'a>(sum: &mut Share, sign: Sign, x: &'a Expr, row: &mut impl Contribution<'a>) {
    let Some(value) = row.value(x).as_wide() else { return };
    match (row.share(), sign) {
        (None, Sign::Plus) => sum.add(&value),
        (None, Sign::Minus) => sum.sub(&value),
        (Some((part, of)), Sign::Plus) => sum.add_part(&value, part, of),
        (Some(_), Sign::Minus) => unreachable!("bars are cut again, and take nothing away"),
    }
}

#[inline]
fn add_product<'a>(sum: &mut ExactSum, sign: Sign, (x, y): (&'a Expr, &'a Expr), row: &mut impl Contribution<'a>) {
    let product = if x.ty.is_wide() || y.ty.is_wide() {
        let (Some(x), Some(y)) = (row.value(x).as_wide(), row.value(y).as_wide()) else { return };
        x.checked_mul(y).expect("the plan bounds a product to 76 digits")
    } else {
        let (Some(x), Some(y)) = (row.number(x), row.number(y)) else { return };
        I384::product(x, y)
    };
    match sign {
        Sign::Plus => sum.add(&product),
        Sign::Minus => sum.sub(&product),
    }
}

/// The first factor is a double; the second is another, or the mantissa of an exact number.
fn add_float_product<'a>(
    sum: &mut FloatSum,
    sign: Sign,
    (x, y): (&'a Expr, &'a Expr),
    row: &mut impl Contribution<'a>,
) {
    let Value::F64(x) = row.value(x) else { return };
    match (row.value(y), sign) {
        (Value::F64(y), Sign::Plus) => sum.add_product(x, y),
        (Value::F64(y), Sign::Minus) => sum.sub_product(x, y),
        (y, _) => add_multiple(sum, sign, x, y.as_wide()),
    }
}

/// The same of a double and an exact number of which only the row's share counts.
fn add_shared_product<'a>(
    sum: &mut FloatSum,
    sign: Sign,
    (x, y): (&'a Expr, &'a Expr),
    row: &mut impl Contribution<'a>,
) {
    let (Value::F64(x), Some(whole)) = (row.value(x), row.value(y).as_wide()) else { return };
    let times = row.share().map_or(whole, |(part, of)| {
        let (share, rest) = whole.magnitude().mul(part).div_rem(of);
        assert!(rest.is_zero(), "what is in proportion to the measure is cut where that is cut");
        I384::from_sign_magnitude(whole.is_negative(), &share).expect("a share is less than the whole")
    });
    add_multiple(sum, sign, x, Some(times));
}

fn add_multiple(sum: &mut FloatSum, sign: Sign, x: f64, times: Option<I384>) {
    match (times, sign) {
        (Some(times), Sign::Plus) => sum.add_multiple(x, &times),
        (Some(times), Sign::Minus) => sum.sub_multiple(x, &times),
        (None, _) => {}
    }
}

/// Whether what holds the best value still does. A row that is taken away and stands beyond it, or beside it, may have been
/// its holder: another row may or may not hold it too.
#[inline]
fn stays(order: Ordering, wins: Ordering, sign: Sign) -> bool {
    sign == Sign::Plus || order == wins.reverse()
}

/// There are several in every window of every key.
const _: () = assert!(size_of::<Accumulator>() <= 32 && size_of::<Edge>() <= 56);
