//! Values of expressions, by the words of the design: exact among exact numbers, IEEE among doubles, three-valued logic.

use super::exact;
use crate::typing::Place;
use crate::world::{Call, Cmp, Datum, Ex, Function, Op, Ty};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// A value on its way: integers and decimals are one kind of number.
#[derive(Clone, Debug)]
pub enum Val {
    /// Null.
    Null,
    /// A mantissa and its scale.
    Exact(BigInt, u32),
    /// A double.
    F64(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(String),
    /// A time.
    Time(i64),
    /// Several values.
    Array(Vec<Datum>),
}

/// What names mean where an expression stands.
pub struct Scope<'a> {
    /// Where that is.
    pub place: Place<'a>,
    /// Values of the fields, or of the group-by columns.
    pub values: &'a [Datum],
    /// Values of the fields of the key's previous fact, if there is one.
    pub previous: Option<&'a [Datum]>,
    /// Value of an aggregate, as a given type if it is a quotient or a root.
    pub call: &'a dyn Fn(&Call, Option<Ty>) -> Val,
}

impl Scope<'_> {
    /// The value of an expression, in its type.
    pub fn datum(&self, ex: &Ex) -> Datum {
        datum(self.eval(ex), self.place.ty(ex).expect("a typed expression"))
    }

    /// Whether a condition is true.
    pub fn holds(&self, ex: &Ex) -> bool {
        matches!(self.eval(ex), Val::Bool(true))
    }

    /// The value of an expression.
    pub fn eval(&self, ex: &Ex) -> Val {
        match ex {
            Ex::Field(index) | Ex::Key(index) => {
                let ty = self.place.ty(ex).expect("a typed column");
                val(&self.values[*index], ty)
            }
            Ex::Prev(index) => {
                let ty = self.place.ty(ex).expect("a typed column");
                self.previous.map_or(Val::Null, |values| val(&values[*index], ty))
            }
            Ex::Call(call) => (self.call)(call, None),
            Ex::Exact(mantissa, scale) => Val::Exact(BigInt::from(*mantissa), *scale),
            Ex::Float(x) => Val::F64(*x),
            Ex::Text(text) => Val::Text(text.clone()),
            Ex::Time(time) => Val::Time(*time),
            Ex::Bool(b) => Val::Bool(*b),
            Ex::Null => Val::Null,
            Ex::Negate(a) => match self.eval(a) {
                Val::Exact(mantissa, scale) => Val::Exact(-mantissa, scale),
                Val::F64(x) => double(-x),
                _ => Val::Null,
            },
            Ex::Abs(a) => match self.eval(a) {
                Val::Exact(mantissa, scale) => Val::Exact(mantissa.abs(), scale),
                Val::F64(x) => Val::F64(x.abs()),
                _ => Val::Null,
            },
            Ex::Root(a) => root(&self.eval(a)),
            Ex::Arith(op, a, b) => arithmetic(*op, self.eval(a), self.eval(b)),
            Ex::Compare(cmp, a, b) => truth(compare(*cmp, &self.eval(a), &self.eval(b))),
            Ex::And(a, b) => truth(and(self.truth(a), self.truth(b))),
            Ex::Or(a, b) => truth(and(self.truth(a).map(|a| !a), self.truth(b).map(|b| !b)).map(|c| !c)),
            Ex::Not(a) => truth(self.truth(a).map(|a| !a)),
            Ex::IsNull(a, wanted) => Val::Bool(matches!(self.eval(a), Val::Null) == *wanted),
            Ex::Between(x, low, high, negated) => {
                let x = self.eval(x);
                let inside = and(compare(Cmp::Ge, &x, &self.eval(low)), compare(Cmp::Le, &x, &self.eval(high)));
                truth(inside.map(|inside| inside != *negated))
            }
            Ex::In(x, list, negated) => {
                let x = self.eval(x);
                let none = list.iter().map(|item| compare(Cmp::Ne, &x, &self.eval(item))).fold(Some(true), and);
                truth(none.map(|none| none == *negated))
            }
            Ex::Case(..) | Ex::Coalesce(_) | Ex::NullIf(..) => self.choice(ex),
            Ex::Cast(a, to) => self.cast(a, *to),
        }
    }

    fn truth(&self, ex: &Ex) -> Option<bool> {
        match self.eval(ex) {
            Val::Bool(b) => Some(b),
            _ => None,
        }
    }

    fn choice(&self, ex: &Ex) -> Val {
        let chosen = match ex {
            Ex::Case(branches, otherwise) => {
                let branch = branches.iter().find(|(condition, _)| self.holds(condition)).map(|(_, value)| value);
                branch.or(otherwise.as_deref()).map_or(Val::Null, |value| self.eval(value))
            }
            Ex::Coalesce(list) => {
                list.iter().map(|item| self.eval(item)).find(|item| !matches!(item, Val::Null)).unwrap_or(Val::Null)
            }
            Ex::NullIf(a, b) if compare(Cmp::Eq, &self.eval(a), &self.eval(b)) == Some(true) => Val::Null,
            Ex::NullIf(a, _) => self.eval(a),
            _ => unreachable!("a choice"),
        };
        // Branches of one expression have one type.
        match self.place.ty(ex) {
            Some(Ty::F64) => as_f64(&chosen).map_or(Val::Null, Val::F64),
            _ => chosen,
        }
    }

    fn cast(&self, inner: &Ex, to: Ty) -> Val {
        let whole = match to {
            Ty::I64 => Ty::Decimal(19, 0),
            Ty::U64 => Ty::Decimal(20, 0),
            other => other,
        };
        match self.rounded(inner, whole) {
            Some(rounded) if whole == to => rounded,
            rounded => convert(rounded.unwrap_or_else(|| self.eval(inner)), to),
        }
    }

    /// A quotient that is cast, whatever becomes of its sign on the way, is rounded once, to what the CAST asks for.
    /// None of everything else.
    fn rounded(&self, inner: &Ex, to: Ty) -> Option<Val> {
        let quotients = [
            Function::Avg,
            Function::VarPop,
            Function::VarSamp,
            Function::StddevPop,
            Function::StddevSamp,
            Function::Wavg,
            Function::PercentileCont,
            Function::ApproxPercentile,
        ];
        let Ty::Decimal(precision, scale) = to else { return None };
        match inner {
            Ex::Call(call) if quotients.contains(&call.function) => Some((self.call)(call, Some(to))),
            Ex::Arith(Op::Divide, a, b) => match (self.eval(a), self.eval(b)) {
                (Val::Exact(_, _), Val::Exact(b, _)) if b.is_zero() => Some(Val::Null),
                (Val::Exact(a, sa), Val::Exact(b, sb)) => {
                    let quotient = exact::of_decimal(&a, sa) / exact::of_decimal(&b, sb);
                    Some(decimal(exact::to_decimal(&quotient, precision, scale), scale))
                }
                _ => None,
            },
            Ex::Negate(a) | Ex::Abs(a) => match self.rounded(a, to)? {
                Val::Exact(m, scale) if matches!(inner, Ex::Abs(_)) => Some(Val::Exact(m.abs(), scale)),
                Val::Exact(m, scale) => Some(Val::Exact(-m, scale)),
                other => Some(other),
            },
            _ => None,
        }
    }
}

fn truth(b: Option<bool>) -> Val {
    b.map_or(Val::Null, Val::Bool)
}

fn decimal(mantissa: Option<BigInt>, scale: u32) -> Val {
    mantissa.map_or(Val::Null, |mantissa| Val::Exact(mantissa, scale))
}

/// Three-valued AND.
fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// One NaN, and no zero with a sign.
pub fn double(x: f64) -> Val {
    Val::F64(if x.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { x + 0.0 })
}

/// A number as the nearest double.
pub fn as_f64(value: &Val) -> Option<f64> {
    match value {
        Val::Exact(mantissa, scale) => Some(exact::to_f64(&exact::of_decimal(mantissa, *scale))),
        Val::F64(x) => Some(*x),
        _ => None,
    }
}

/// The root of a number, rounded once; null of one below zero.
fn root(value: &Val) -> Val {
    let exact = match value {
        Val::Exact(mantissa, scale) => exact::of_decimal(mantissa, *scale),
        Val::F64(x) if *x < 0.0 => return Val::Null,
        Val::F64(x) if !x.is_finite() => return double(*x),
        Val::F64(x) => exact::of_f64(*x),
        _ => return Val::Null,
    };
    if exact.is_negative() { Val::Null } else { Val::F64(exact::sqrt_to_f64(&exact)) }
}

fn arithmetic(op: Op, a: Val, b: Val) -> Val {
    if let (Val::Exact(a, sa), Val::Exact(b, sb)) = (&a, &b) {
        let ((x, y), scale) = (exact::at_one_scale((a, *sa), (b, *sb)), *sa.max(sb));
        return match op {
            Op::Add => Val::Exact(x + y, scale),
            Op::Subtract => Val::Exact(x - y, scale),
            Op::Multiply => Val::Exact(a * b, sa + sb),
            Op::Divide if b.is_zero() => Val::Null,
            Op::Divide => Val::F64(exact::to_f64(&BigRational::new(x, y))),
        };
    }
    let (Some(a), Some(b)) = (as_f64(&a), as_f64(&b)) else { return Val::Null };
    match op {
        Op::Add => double(a + b),
        Op::Subtract => double(a - b),
        Op::Multiply => double(a * b),
        Op::Divide if b == 0.0 => Val::Null,
        Op::Divide => double(a / b),
    }
}

fn compare(cmp: Cmp, a: &Val, b: &Val) -> Option<bool> {
    let order = match (a, b) {
        (Val::Null, _) | (_, Val::Null) => return None,
        (Val::Exact(a, sa), Val::Exact(b, sb)) => {
            let (a, b) = exact::at_one_scale((a, *sa), (b, *sb));
            a.cmp(&b)
        }
        (Val::Bool(a), Val::Bool(b)) => a.cmp(b),
        (Val::Text(a), Val::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Val::Time(a), Val::Time(b)) => a.cmp(b),
        _ => {
            let (a, b) = (as_f64(a).expect("a number"), as_f64(b).expect("a number"));
            super::content::order(&Datum::F64(a), &Datum::F64(b))
        }
    };
    Some(match cmp {
        Cmp::Eq => order == Ordering::Equal,
        Cmp::Ne => order != Ordering::Equal,
        Cmp::Lt => order == Ordering::Less,
        Cmp::Le => order != Ordering::Greater,
        Cmp::Gt => order == Ordering::Greater,
        Cmp::Ge => order != Ordering::Less,
    })
}

/// A number as another type; null where it does not fit.
fn convert(value: Val, to: Ty) -> Val {
    let number = match &value {
        Val::Null => return Val::Null,
        Val::Exact(mantissa, scale) => exact::of_decimal(mantissa, *scale),
        Val::F64(x) if to == Ty::F64 => return Val::F64(*x),
        Val::F64(x) if !x.is_finite() => return Val::Null,
        Val::F64(x) => exact::of_f64(*x),
        _ => return value,
    };
    match to {
        Ty::F64 => Val::F64(exact::to_f64(&number)),
        Ty::Decimal(precision, scale) => decimal(exact::to_decimal(&number, precision, scale), scale),
        Ty::U64 => {
            Some(exact::to_integer(&number)).filter(|n| n.to_u64().is_some()).map_or(Val::Null, |n| Val::Exact(n, 0))
        }
        Ty::I64 => {
            Some(exact::to_integer(&number)).filter(|n| n.to_i64().is_some()).map_or(Val::Null, |n| Val::Exact(n, 0))
        }
        _ => value,
    }
}

/// A stored value on its way.
pub fn val(datum: &Datum, ty: Ty) -> Val {
    match (datum, ty) {
        (Datum::Null, _) => Val::Null,
        (Datum::Bool(b), _) => Val::Bool(*b),
        (Datum::U64(v), _) => Val::Exact(BigInt::from(*v), 0),
        (Datum::I64(v), _) => Val::Exact(BigInt::from(*v), 0),
        (Datum::F64(x), _) => Val::F64(*x),
        (Datum::Decimal(mantissa), Ty::Decimal(_, scale)) => Val::Exact(mantissa.clone(), scale),
        (Datum::Text(text), _) => Val::Text(text.clone()),
        (Datum::Time(time), _) => Val::Time(*time),
        (Datum::Array(list), _) => Val::Array(list.clone()),
        (Datum::Decimal(_), _) => panic!("a decimal is of a decimal type"),
    }
}

/// A value as its type stores it.
pub fn datum(value: Val, ty: Ty) -> Datum {
    match (value, ty) {
        (Val::Null, _) => Datum::Null,
        (Val::Bool(b), _) => Datum::Bool(b),
        (Val::Text(text), _) => Datum::Text(text),
        (Val::Time(time), _) => Datum::Time(time),
        (Val::Array(list), _) => Datum::Array(list),
        (Val::F64(x), _) => Datum::F64(x),
        (Val::Exact(mantissa, 0), Ty::U64) => Datum::U64(mantissa.to_u64().expect("a u64")),
        (Val::Exact(mantissa, 0), Ty::I64) => Datum::I64(mantissa.to_i64().expect("an i64")),
        (Val::Exact(mantissa, from), Ty::Decimal(precision, scale)) => {
            let mantissa = mantissa * BigInt::from(10).pow(scale - from);
            assert!(
                mantissa.magnitude() < &num_bigint::BigUint::from(10u32).pow(precision),
                "a type bounds its values"
            );
            Datum::Decimal(mantissa)
        }
        (value, ty) => panic!("{value:?} is no {ty:?}"),
    }
}
