//! Typed expressions over one row, or over the aggregates of one window.
//!
//! Every node carries its type; the compiler has inserted the casts, so evaluation never guesses. Decimals are exact:
//! the types bound the digits, so nothing can overflow but a CAST that narrows. That, and a division by zero, give
//! null and are counted.

use crate::limits;
use crate::number::{I384, Ratio, decimal};
use crate::row::Row;
use crate::value::{Scalar, Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// An expression and what is known of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Type of every value that is not null.
    pub ty: Type,
    /// Whether a value can be null.
    pub nullable: bool,
    /// What it computes.
    pub node: Node,
}

/// What an expression computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A field of the row; over aggregates, a key column or an aggregate, by its number.
    Input(usize),
    /// A constant.
    Literal(Scalar),
    /// Minus a number.
    Negate(Box<Expr>),
    /// A number without its sign.
    Absolute(Box<Expr>),
    /// The square root of a number as a float64, correctly rounded; null of a negative one.
    SquareRoot(Box<Expr>),
    /// Sum, difference or product; both sides exact, or both float64. A quotient of float64.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// A quotient of exact numbers, rounded once, half to even, to the node's type: float64 or a decimal.
    Divide(Box<Expr>, Box<Expr>),
    /// A number as another number type, rounded half to even; null if it does not fit.
    Cast(Box<Expr>),
    /// A comparison of two exact numbers, or of two values of one other type.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// Three-valued AND.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued OR.
    Or(Box<Expr>, Box<Expr>),
    /// Whether it is null.
    IsNull(Box<Expr>),
    /// The value of the first branch whose condition is true; else the last expression.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
}

/// Arithmetic of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// a + b
    Add,
    /// a - b
    Subtract,
    /// a * b
    Multiply,
    /// a / b, of float64 only
    Divide,
}

/// Comparison of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// a = b
    Equal,
    /// a <> b
    NotEqual,
    /// a < b
    Less,
    /// a <= b
    LessOrEqual,
    /// a > b
    Greater,
    /// a >= b
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What `Node::Input` reads.
pub trait Inputs<'a> {
    /// The value with this number.
    fn input(&self, index: usize) -> Value<'a>;
}

impl<'a> Inputs<'a> for Row<'a> {
    #[inline]
    fn input(&self, index: usize) -> Value<'a> {
        self.get(index)
    }
}

impl<'a> Inputs<'a> for &'a [Scalar] {
    fn input(&self, index: usize) -> Value<'a> {
        self[index].value()
    }
}

/// The type of `a op b` over exact numbers, if the digits fit in `limit`.
pub fn exact_type(op: Arithmetic, a: (u8, u8), b: (u8, u8), limit: u8) -> Option<Type> {
    let (scale, precision) = match op {
        Arithmetic::Multiply => (a.1.checked_add(b.1)?, a.0.checked_add(b.0)?),
        _ => {
            let scale = a.1.max(b.1);
            let whole = (a.0 - a.1).max(b.0 - b.1);
            (scale, whole.checked_add(scale)?.checked_add(1)?)
        }
    };
    (precision <= limit).then_some(Type::Decimal { precision, scale })
}

/// Nulls that arithmetic made: divisions by zero and casts that did not fit.
pub type Faults = i64;

impl Expr {
    /// A constant.
    pub fn literal(ty: Type, value: Scalar) -> Expr {
        Expr { ty, nullable: value.value().is_null(), node: Node::Literal(value) }
    }

    /// Whether it is the constant null, which fits every type.
    pub fn is_null_literal(&self) -> bool {
        matches!(&self.node, Node::Literal(value) if value.value().is_null())
    }

    /// Shows every input's number, to be looked at or changed.
    pub fn visit_inputs(&mut self, visit: &mut impl FnMut(&mut usize)) {
        match &mut self.node {
            Node::Input(index) => visit(index),
            Node::Literal(_) => {}
            Node::Negate(a)
            | Node::Absolute(a)
            | Node::SquareRoot(a)
            | Node::Cast(a)
            | Node::Not(a)
            | Node::IsNull(a) => a.visit_inputs(visit),
            Node::Arithmetic(_, a, b)
            | Node::Divide(a, b)
            | Node::Compare(_, a, b)
            | Node::And(a, b)
            | Node::Or(a, b) => {
                a.visit_inputs(visit);
                b.visit_inputs(visit);
            }
            Node::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    condition.visit_inputs(visit);
                    value.visit_inputs(visit);
                }
                otherwise.visit_inputs(visit);
            }
        }
    }

    /// Evaluates over `inputs`.
    #[inline]
    pub fn eval<'a>(&'a self, inputs: &impl Inputs<'a>, faults: &mut Faults) -> Value<'a> {
        match &self.node {
            Node::Input(index) => inputs.input(*index),
            Node::Literal(value) => value.value(),
            _ => self.eval_node(inputs, faults),
        }
    }

    fn eval_node<'a>(&'a self, inputs: &impl Inputs<'a>, faults: &mut Faults) -> Value<'a> {
        match &self.node {
            Node::Input(_) | Node::Literal(_) => self.eval(inputs, faults),
            Node::Negate(a) => negate(a.eval(inputs, faults), self.ty),
            Node::Absolute(a) => absolute(a.eval(inputs, faults), self.ty),
            Node::SquareRoot(a) => {
                let value = a.eval(inputs, faults);
                let root = square_root(value, a.ty);
                *faults += i64::from(root.is_null() && !value.is_null());
                root
            }
            Node::Arithmetic(op, a, b) => {
                let (x, y) = (a.eval(inputs, faults), b.eval(inputs, faults));
                self.arithmetic(*op, (x, a.ty), (y, b.ty), faults)
            }
            Node::Divide(a, b) => {
                let (x, y) = (a.eval(inputs, faults), b.eval(inputs, faults));
                self.divide((x, a.ty), (y, b.ty), faults)
            }
            Node::Cast(a) => {
                let value = a.eval(inputs, faults);
                let cast = cast(value, a.ty, self.ty);
                *faults += i64::from(cast.is_null() && !value.is_null());
                cast
            }
            Node::Compare(comparison, a, b) => {
                let (x, y) = (a.eval(inputs, faults), b.eval(inputs, faults));
                if x.is_null() || y.is_null() {
                    return Value::Null;
                }
                Value::Bool(comparison.holds(order(x, a.ty, y, b.ty)))
            }
            Node::Not(a) => a.eval(inputs, faults).as_bool().map_or(Value::Null, |b| Value::Bool(!b)),
            Node::And(a, b) => match (a.eval(inputs, faults).as_bool(), b.eval(inputs, faults).as_bool()) {
                (Some(false), _) | (_, Some(false)) => Value::Bool(false),
                (Some(true), Some(true)) => Value::Bool(true),
                _ => Value::Null,
            },
            Node::Or(a, b) => match (a.eval(inputs, faults).as_bool(), b.eval(inputs, faults).as_bool()) {
                (Some(true), _) | (_, Some(true)) => Value::Bool(true),
                (Some(false), Some(false)) => Value::Bool(false),
                _ => Value::Null,
            },
            Node::IsNull(a) => Value::Bool(a.eval(inputs, faults).is_null()),
            Node::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    if condition.eval(inputs, faults).as_bool() == Some(true) {
                        return value.eval(inputs, faults);
                    }
                }
                otherwise.eval(inputs, faults)
            }
        }
    }

    fn arithmetic<'a>(
        &self,
        op: Arithmetic,
        (x, tx): (Value<'a>, Type),
        (y, ty): (Value<'a>, Type),
        faults: &mut Faults,
    ) -> Value<'a> {
        if let (Value::F64(x), Value::F64(y)) = (x, y) {
            return match op {
                Arithmetic::Add => double(x + y),
                Arithmetic::Subtract => double(x - y),
                Arithmetic::Multiply => double(x * y),
                Arithmetic::Divide if y == 0.0 => {
                    *faults += 1;
                    Value::Null
                }
                Arithmetic::Divide => double(x / y),
            };
        }
        let Type::Decimal { scale, .. } = self.ty else { return Value::Null };
        let (Some((_, sx)), Some((_, sy))) = (tx.exact(), ty.exact()) else { return Value::Null };
        if !self.ty.is_wide() {
            let (Some(x), Some(y)) = (x.as_i128(), y.as_i128()) else { return Value::Null };
            return Value::Decimal(match op {
                Arithmetic::Multiply => x * y,
                Arithmetic::Add => x * decimal::pow10((scale - sx).into()) + y * decimal::pow10((scale - sy).into()),
                _ => x * decimal::pow10((scale - sx).into()) - y * decimal::pow10((scale - sy).into()),
            });
        }
        let (Some(x), Some(y)) = (x.as_wide(), y.as_wide()) else { return Value::Null };
        let result = match op {
            Arithmetic::Multiply => x.checked_mul(y),
            _ => x.checked_mul_pow10((scale - sx).into()).and_then(|x| {
                let y = y.checked_mul_pow10((scale - sy).into())?;
                if op == Arithmetic::Add { x.checked_add(y) } else { x.checked_sub(y) }
            }),
        };
        Value::Wide(result.expect("the types bound the digits to what 384 bits hold"))
    }

    fn divide<'a>(&self, (x, tx): (Value<'a>, Type), (y, ty): (Value<'a>, Type), faults: &mut Faults) -> Value<'a> {
        let (Some(x), Some(y)) = (x.as_wide(), y.as_wide()) else { return Value::Null };
        let (Some((_, sx)), Some((_, sy))) = (tx.exact(), ty.exact()) else { return Value::Null };
        if y.is_zero() {
            *faults += 1;
            return Value::Null;
        }
        let value = leave(&quotient((x, sx.into()), (y, sy.into())), false, self.ty);
        *faults += i64::from(value.is_null());
        value
    }
}

/// (x / 10^sx) / (y / 10^sy) as a ratio of naturals; y is not zero.
pub(crate) fn quotient((x, sx): (I384, u32), (y, sy): (I384, u32)) -> Ratio {
    use crate::number::Nat;
    let mut num = x.magnitude();
    let mut den = y.magnitude();
    if sy >= sx {
        num = num.mul(&Nat::pow10(sy - sx));
    } else {
        den = den.mul(&Nat::pow10(sx - sy));
    }
    Ratio { negative: x.is_negative() != y.is_negative() && !x.is_zero(), num, den }
}

/// Rounds an exact ratio, or its square root, once to the type in which it leaves: float64 or a decimal. Null if a
/// decimal cannot hold it.
pub(crate) fn leave(ratio: &Ratio, root: bool, ty: Type) -> Value<'static> {
    match ty {
        Type::Decimal { precision, scale } => {
            let wide = if root { ratio.sqrt_to_decimal(scale) } else { ratio.to_decimal(scale) };
            wide.map_or(Value::Null, |wide| fit(wide, precision))
        }
        _ if root => Value::F64(ratio.sqrt_to_f64()),
        _ => double(ratio.to_f64()),
    }
}

fn fit(wide: I384, precision: u8) -> Value<'static> {
    if wide.digits() > u32::from(precision) {
        return Value::Null;
    }
    match wide.to_i128() {
        Some(narrow) if precision <= limits::DECIMAL_DIGITS => Value::Decimal(narrow),
        _ => Value::Wide(wide),
    }
}

/// An IEEE result with the bits that equal values share: no -0, and one NaN.
pub(crate) fn double(x: f64) -> Value<'static> {
    Value::F64(if x.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { x + 0.0 })
}

fn square_root(value: Value<'_>, ty: Type) -> Value<'_> {
    let exact = match value {
        Value::Null => return Value::Null,
        Value::F64(x) if x < 0.0 => return Value::Null,
        Value::F64(x) if !x.is_finite() || x == 0.0 => return double(x),
        Value::F64(x) => Ratio::from_f64(x),
        number => match (number.as_wide(), ty.exact()) {
            (Some(wide), Some((_, scale))) if !wide.is_negative() => quotient((wide, scale.into()), (I384::ONE, 0)),
            _ => return Value::Null,
        },
    };
    Value::F64(exact.sqrt_to_f64())
}

fn negate(value: Value<'_>, ty: Type) -> Value<'_> {
    match value {
        Value::F64(x) => double(-x),
        Value::Null => Value::Null,
        other => exact(other.as_wide().and_then(I384::checked_neg), ty),
    }
}

fn absolute(value: Value<'_>, ty: Type) -> Value<'_> {
    match value {
        Value::F64(x) => Value::F64(f64::from_bits(x.to_bits() & !(1 << 63))),
        Value::Null => Value::Null,
        other => exact(other.as_wide().and_then(|w| if w.is_negative() { w.checked_neg() } else { Some(w) }), ty),
    }
}

fn exact<'a>(wide: Option<I384>, ty: Type) -> Value<'a> {
    let wide = wide.expect("the types bound the digits to what 384 bits hold");
    match wide.to_i128() {
        Some(narrow) if !ty.is_wide() => Value::Decimal(narrow),
        _ => Value::Wide(wide),
    }
}

fn order(x: Value<'_>, tx: Type, y: Value<'_>, ty: Type) -> Ordering {
    match (tx.exact(), ty.exact()) {
        (Some((_, sx)), Some((_, sy))) if sx == sy => match (x.as_i128(), y.as_i128()) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.as_wide().cmp(&y.as_wide()),
        },
        (Some((_, sx)), Some((_, sy))) => {
            let (x, y) = (x.as_wide().expect("a number"), y.as_wide().expect("a number"));
            decimal::compare(&x, sx, &y, sy)
        }
        _ => x.order(&y),
    }
}

/// A number as another number type, rounded half to even; null if it does not fit.
fn cast<'a>(value: Value<'a>, from: Type, to: Type) -> Value<'a> {
    match (value, to) {
        (Value::Null, _) => Value::Null,
        (Value::F64(x), Type::Float64) => Value::F64(x),
        (Value::F64(x), Type::Decimal { precision, scale }) => {
            decimal::from_f64(x, precision.min(limits::DECIMAL_DIGITS), scale).map_or(Value::Null, Value::Decimal)
        }
        (Value::F64(x), Type::I64 | Type::U64) => {
            decimal::from_f64(x, limits::DECIMAL_DIGITS, 0).map_or(Value::Null, |m| integer(I384::from_i128(m), to))
        }
        (number, _) => {
            let (Some(wide), Some((_, scale))) = (number.as_wide(), from.exact()) else { return number };
            match to {
                Type::Float64 => Value::F64(decimal::to_f64(&wide, scale)),
                Type::Decimal { precision, scale: target } => {
                    decimal::round_to_scale(&wide, scale, target).map_or(Value::Null, |wide| fit(wide, precision))
                }
                _ => decimal::round_to_scale(&wide, scale, 0).map_or(Value::Null, |wide| integer(wide, to)),
            }
        }
    }
}

fn integer<'a>(wide: I384, to: Type) -> Value<'a> {
    match (wide.to_i128(), to) {
        (Some(m), Type::I64) => i64::try_from(m).map_or(Value::Null, Value::I64),
        (Some(m), Type::U64) => u64::try_from(m).map_or(Value::Null, Value::U64),
        _ => Value::Null,
    }
}
