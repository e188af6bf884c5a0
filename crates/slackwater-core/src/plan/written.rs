//! Expressions over a row as canonical bytes: tag, type, whether it can be null, then what it is made of.
//!
//! What comes back is held to what a compiler could have made: fields of the schema, types that fit, a bounded depth. So
//! evaluating it can neither panic nor run out of stack, whatever the bytes were.

use super::expr::{Arithmetic, Comparison, Expr, Node};
use crate::codec::{CodecError, Reader, put_varint};
use crate::limits::{EXPR_NODES, ROW_DIGITS, WIDE_DIGITS};
use crate::schema::Schema;
use crate::value::{Type, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Levels of one expression: a chain of conditions has one for each of them.
const DEPTH: usize = 1_200;
/// Nodes of one expression, with what a compiler puts between those that were written.
const NODES: usize = 2 * EXPR_NODES;

const ARITHMETIC: [Arithmetic; 4] = [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide];
const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

impl Expr {
    /// Appends the canonical encoding of an expression over a row.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = match &self.node {
            Node::Input(_) => 0,
            Node::Literal(_) => 1,
            Node::Negate(_) => 2,
            Node::Absolute(_) => 3,
            Node::SquareRoot(_) => 4,
            Node::Arithmetic(..) => 5,
            Node::Divide(..) => 6,
            Node::Cast(_) => 7,
            Node::Compare(..) => 8,
            Node::Not(_) => 9,
            Node::And(..) => 10,
            Node::Or(..) => 11,
            Node::IsNull(_) => 12,
            Node::Case(..) => 13,
        };
        out.push(tag);
        put_type(self.ty, out);
        out.push(u8::from(self.nullable));
        match &self.node {
            Node::Input(field) => put_varint(out, *field as u64),
            Node::Literal(value) => value.value().encode(out),
            Node::Arithmetic(op, ..) => out.push(*op as u8),
            Node::Compare(comparison, ..) => out.push(*comparison as u8),
            Node::Case(branches, _) => put_varint(out, branches.len() as u64),
            _ => {}
        }
        match &self.node {
            Node::Input(_) | Node::Literal(_) => {}
            Node::Negate(a)
            | Node::Absolute(a)
            | Node::SquareRoot(a)
            | Node::Cast(a)
            | Node::Not(a)
            | Node::IsNull(a) => a.encode(out),
            Node::Arithmetic(_, a, b)
            | Node::Divide(a, b)
            | Node::Compare(_, a, b)
            | Node::And(a, b)
            | Node::Or(a, b) => [a, b].into_iter().for_each(|side| side.encode(out)),
            Node::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    condition.encode(out);
                    value.encode(out);
                }
                otherwise.encode(out);
            }
        }
    }

    /// Reads back what [`Expr::encode`] wrote, for rows of this schema.
    pub fn decode(reader: &mut Reader<'_>, schema: &Schema) -> Result<Expr, CodecError> {
        Reading { schema, nodes: NODES }.expr(reader, DEPTH)
    }
}

fn put_type(ty: Type, out: &mut Vec<u8>) {
    match ty {
        Type::Decimal { precision, scale } => out.extend_from_slice(&[0, precision, scale]),
        Type::Float64 => out.push(1),
        Type::U64 => out.push(2),
        Type::I64 => out.push(3),
        Type::Bool => out.push(4),
        Type::Text => out.push(5),
        Type::Timestamp => out.push(6),
        Type::Array(_) => unreachable!("no expression over a row is an array"),
    }
}

fn read_type(reader: &mut Reader<'_>) -> Result<Type, CodecError> {
    Ok(match reader.byte()? {
        0 => match (reader.byte()?, reader.byte()?) {
            (precision, scale) if scale <= precision && precision <= WIDE_DIGITS => Type::Decimal { precision, scale },
            _ => return reader.fail("digits of an exact number"),
        },
        1 => Type::Float64,
        2 => Type::U64,
        3 => Type::I64,
        4 => Type::Bool,
        5 => Type::Text,
        6 => Type::Timestamp,
        _ => return reader.fail("a known type"),
    })
}

struct Reading<'s> {
    schema: &'s Schema,
    nodes: usize,
}

impl Reading<'_> {
    fn expr(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Expr, CodecError> {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.nodes.checked_sub(1)) else {
            return reader.fail("an expression within the limits");
        };
        self.nodes = left;
        let tag = reader.byte()?;
        let (ty, nullable) = (read_type(reader)?, reader.flag()?);
        let mut one = |reader: &mut Reader<'_>| self.expr(reader, depth).map(Box::new);
        let node = match tag {
            0 => Node::Input(reader.number()?),
            1 => Node::Literal(Value::decode(reader, ty)?.to_scalar()),
            2 => Node::Negate(one(reader)?),
            3 => Node::Absolute(one(reader)?),
            4 => Node::SquareRoot(one(reader)?),
            5 => Node::Arithmetic(known(reader, &ARITHMETIC)?, one(reader)?, one(reader)?),
            6 => Node::Divide(one(reader)?, one(reader)?),
            7 => Node::Cast(one(reader)?),
            8 => Node::Compare(known(reader, &COMPARISONS)?, one(reader)?, one(reader)?),
            9 => Node::Not(one(reader)?),
            10 => Node::And(one(reader)?, one(reader)?),
            11 => Node::Or(one(reader)?, one(reader)?),
            12 => Node::IsNull(one(reader)?),
            13 => {
                let count: usize = reader.number()?;
                let mut branches = Vec::new();
                for _ in 0..count {
                    branches.push((*one(reader)?, *one(reader)?));
                }
                Node::Case(branches, one(reader)?)
            }
            _ => return reader.fail("a known expression"),
        };
        let expr = Expr { ty, nullable, node };
        if self.fits(&expr) { Ok(expr) } else { reader.fail("an expression whose types fit") }
    }

    /// Whether the types of what it is made of are such that it can be evaluated.
    fn fits(&self, expr: &Expr) -> bool {
        let ty = expr.ty;
        let exact = |a: &Expr| a.ty.exact();
        let fits = |a: &Expr| a.ty == ty || a.is_null_literal();
        let condition = |a: &Expr| a.ty == Type::Bool || a.is_null_literal();
        match &expr.node {
            Node::Input(field) => self.schema.fields().get(*field).is_some_and(|field| field.ty == ty),
            Node::Literal(value) => match (value.value().as_wide(), ty) {
                (Some(wide), Type::Decimal { precision, .. }) => wide.digits() <= precision.into(),
                _ => true,
            },
            Node::Negate(a) | Node::Absolute(a) => ty.is_numeric() && a.ty.is_numeric() && within(exact(a), ty),
            Node::SquareRoot(a) => ty == Type::Float64 && a.ty.is_numeric(),
            Node::Arithmetic(_, a, b) if ty == Type::Float64 => a.ty == ty && b.ty == ty,
            Node::Arithmetic(op, a, b) => {
                let sides = exact(a).zip(exact(b));
                let needed = sides.and_then(|(a, b)| super::expr::exact_type(*op, a, b, ROW_DIGITS));
                *op != Arithmetic::Divide && needed == Some(ty)
            }
            Node::Divide(a, b) => exact(a).is_some() && exact(b).is_some() && ty.is_numeric(),
            Node::Cast(a) => a.ty.is_numeric() && ty.is_numeric(),
            Node::Compare(_, a, b) => {
                let sides = a.ty == b.ty || (exact(a).is_some() && exact(b).is_some());
                ty == Type::Bool && (sides || a.is_null_literal() || b.is_null_literal())
            }
            Node::Not(a) => ty == Type::Bool && condition(a),
            Node::IsNull(_) => ty == Type::Bool,
            Node::And(a, b) | Node::Or(a, b) => ty == Type::Bool && condition(a) && condition(b),
            Node::Case(branches, otherwise) => {
                branches.iter().all(|(when, then)| condition(when) && fits(then)) && fits(otherwise)
            }
        }
    }
}

/// Whether a number of a type fits in another without its sign, or with the other one.
fn within(from: Option<(u8, u8)>, to: Type) -> bool {
    match (from, to.exact()) {
        (Some((digits, scale)), Some((most, at))) => digits <= most && scale == at,
        (None, None) => true,
        _ => false,
    }
}

fn known<T: Copy>(reader: &mut Reader<'_>, all: &[T]) -> Result<T, CodecError> {
    match all.get(usize::from(reader.byte()?)) {
        Some(known) => Ok(*known),
        None => reader.fail("a known operator"),
    }
}
