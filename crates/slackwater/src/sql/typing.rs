//! Types of operations, and the casts that make both sides fit.
//!
//! Exact numbers stay exact among themselves; a float64 beside an exact number makes it a float64, correctly rounded.

use slackwater_core::number::decimal;
use slackwater_core::plan::Expr;
use slackwater_core::plan::expr::{Arithmetic, Comparison, Inputs, Node, exact_type};
use slackwater_core::time::parse_rfc3339;
use slackwater_core::value::{Scalar, Type, Value};

/// A refusal without its place: what is wrong, and what to write instead.
pub(super) type Refused = (String, Option<String>);

struct Nothing;

impl<'a> Inputs<'a> for Nothing {
    fn input(&self, _: usize) -> Value<'a> {
        Value::Null
    }
}

/// Computes what has only constants in it, where that makes no null.
pub(super) fn constant(expr: Expr) -> Expr {
    let literal = |expr: &Expr| matches!(expr.node, Node::Literal(_));
    let known = match &expr.node {
        Node::Negate(a) | Node::Absolute(a) | Node::SquareRoot(a) | Node::Cast(a) | Node::Not(a) | Node::IsNull(a) => {
            literal(a)
        }
        // Not a quotient of exact numbers: a CAST around it may yet ask for it as a decimal.
        Node::Arithmetic(_, a, b) | Node::Compare(_, a, b) | Node::And(a, b) | Node::Or(a, b) => {
            literal(a) && literal(b)
        }
        _ => false,
    };
    if !known {
        return expr;
    }
    let mut faults = 0;
    let value = expr.eval(&Nothing, &mut faults).to_scalar();
    if faults > 0 { expr } else { Expr::literal(expr.ty, value) }
}

pub(super) fn make(ty: Type, nullable: bool, node: Node) -> Expr {
    constant(Expr { ty, nullable, node })
}

/// `expr` as `ty`: nothing to do, a null of that type, or a cast between numbers.
pub(super) fn coerce(expr: Expr, ty: Type) -> Expr {
    if expr.is_null_literal() {
        return Expr::literal(ty, Scalar::NULL);
    }
    if expr.ty == ty {
        return expr;
    }
    let nullable = expr.nullable;
    make(ty, nullable, Node::Cast(Box::new(expr)))
}

/// a op b.
pub(super) fn arithmetic(op: Arithmetic, a: Expr, b: Expr, limit: u8) -> Result<Expr, Refused> {
    let (a, b) = match (a.is_null_literal(), b.is_null_literal()) {
        (true, _) => (coerce(a, b.ty), b),
        (_, true) => {
            let ty = a.ty;
            (a, coerce(b, ty))
        }
        _ => (a, b),
    };
    for side in [&a, &b] {
        if !side.ty.is_numeric() {
            let help =
                matches!(side.ty, Type::Timestamp).then(|| "times can be compared, not calculated with".to_string());
            let help = match side.ty {
                Type::Array(_) => Some("an array stands alone in the SELECT list".to_string()),
                _ => help,
            };
            return Err((format!("arithmetic needs numbers, and this is {}", side.ty), help));
        }
    }
    let nullable = a.nullable || b.nullable;
    let (Some(da), Some(db)) = (a.ty.exact(), b.ty.exact()) else {
        let (a, b) = (coerce(a, Type::Float64), coerce(b, Type::Float64));
        let nullable = nullable || op == Arithmetic::Divide;
        return Ok(make(Type::Float64, nullable, Node::Arithmetic(op, Box::new(a), Box::new(b))));
    };
    if op == Arithmetic::Divide {
        return Ok(make(Type::Float64, true, Node::Divide(Box::new(a), Box::new(b))));
    }
    let Some(ty) = exact_type(op, da, db, limit) else {
        let message = format!("{} and {} could give more than {limit} digits", a.ty, b.ty);
        return Err((
            message,
            Some("CAST a side to a decimal with fewer digits, or to float64 (DOUBLE PRECISION)".into()),
        ));
    };
    Ok(make(ty, nullable, Node::Arithmetic(op, Box::new(a), Box::new(b))))
}

/// a op b, as true, false or null.
pub(super) fn compare(op: Comparison, a: Expr, b: Expr) -> Result<Expr, Refused> {
    let (a, b) = alike(a, b)?;
    let nullable = a.nullable || b.nullable;
    Ok(make(Type::Bool, nullable, Node::Compare(op, Box::new(a), Box::new(b))))
}

/// Two sides that can be compared, or be branches of one CASE up to decimal scale.
fn alike(a: Expr, b: Expr) -> Result<(Expr, Expr), Refused> {
    if a.is_null_literal() {
        return Ok((coerce(a, b.ty), b));
    }
    if b.is_null_literal() {
        let ty = a.ty;
        return Ok((a, coerce(b, ty)));
    }
    match (a.ty, b.ty) {
        (Type::Array(_), _) | (_, Type::Array(_)) => {
            let help = "an array stands alone in the SELECT list; max(x) is the largest value";
            Err(("arrays cannot be compared".to_string(), Some(help.to_string())))
        }
        (x, y) if x == y => Ok((a, b)),
        (x, y) if x.exact().is_some() && y.exact().is_some() => {
            let (x, y) = (x, y);
            Ok((rescale(a, y), rescale(b, x)))
        }
        (x, y) if x.is_numeric() && y.is_numeric() => Ok((coerce(a, Type::Float64), coerce(b, Type::Float64))),
        (Type::Timestamp, Type::Text) => timestamp(b).map(|b| (a, b)),
        (Type::Text, Type::Timestamp) => timestamp(a).map(|a| (a, b)),
        (x, y) => Err((format!("{x} and {y} cannot be compared"), None)),
    }
}

/// A decimal constant at the scale of the other side, where it fits: then mantissas compare directly.
fn rescale(expr: Expr, other: Type) -> Expr {
    let (Node::Literal(value), Some((_, from)), Some((_, to))) = (&expr.node, expr.ty.exact(), other.exact()) else {
        return expr;
    };
    let rescaled = value.value().as_i128().filter(|_| to >= from).and_then(|m| decimal::rescale(m, from, to));
    match rescaled {
        Some(mantissa) if mantissa.unsigned_abs() < 10u128.pow(38) => {
            Expr::literal(Type::Decimal { precision: 38, scale: to }, Value::Decimal(mantissa).to_scalar())
        }
        _ => expr,
    }
}

/// A text constant as a time.
pub(super) fn timestamp(expr: Expr) -> Result<Expr, Refused> {
    let help = || Some("write RFC 3339 with an offset: '2026-01-02T03:04:05Z'".to_string());
    let Node::Literal(value) = &expr.node else {
        return Err(("a string cannot be compared with a timestamp".into(), help()));
    };
    let Value::Text(text) = value.value() else { return Ok(expr) };
    match parse_rfc3339(text) {
        Ok(nanos) => Ok(Expr::literal(Type::Timestamp, Value::Time(nanos).to_scalar())),
        Err(_) => Err((format!("'{}' is not a time", String::from_utf8_lossy(text)), help())),
    }
}

/// One type for all branches, each cast to it.
pub(super) fn unify(branches: Vec<Expr>, limit: u8) -> Result<Vec<Expr>, Refused> {
    let mut common: Option<Type> = None;
    for branch in branches.iter().filter(|branch| !branch.is_null_literal()) {
        common = Some(match common {
            None => branch.ty,
            Some(ty) => join(ty, branch.ty, limit).ok_or_else(|| {
                (format!("the branches are {ty} and {}, which have no type in common", branch.ty), None)
            })?,
        });
    }
    let ty = common.unwrap_or(Type::Bool);
    Ok(branches.into_iter().map(|branch| coerce(branch, ty)).collect())
}

fn join(a: Type, b: Type, limit: u8) -> Option<Type> {
    if a == b {
        return Some(a);
    }
    match (a.exact(), b.exact()) {
        (Some((pa, sa)), Some((pb, sb))) => {
            let scale = sa.max(sb);
            let precision = (pa - sa).max(pb - sb).checked_add(scale)?;
            (precision <= limit).then_some(Type::Decimal { precision, scale })
        }
        _ if a.is_numeric() && b.is_numeric() => Some(Type::Float64),
        _ => None,
    }
}

/// CAST(expr AS ty).
pub(super) fn cast(expr: Expr, ty: Type) -> Result<Expr, Refused> {
    if expr.is_null_literal() {
        return Ok(coerce(expr, ty));
    }
    if expr.ty == Type::Text && ty == Type::Timestamp {
        return timestamp(expr);
    }
    if expr.ty != ty && !(expr.ty.is_numeric() && ty.is_numeric()) {
        return Err((
            format!("{} cannot be cast to {ty}", expr.ty),
            Some("numbers can be cast to number types".into()),
        ));
    }
    let narrows = !matches!(ty, Type::Float64) && expr.ty != ty;
    let nullable = expr.nullable || narrows;
    Ok(if expr.ty == ty { expr } else { make(ty, nullable, Node::Cast(Box::new(expr))) })
}
