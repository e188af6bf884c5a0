//! The types of expressions, from the words of the design: what a SELECT may say, and at which scale it says it.
//!
//! Sums and differences keep the larger scale, products add scales, quotients are doubles, and a double makes its
//! neighbours doubles. A plan that could pass 76 digits in a row, or 115 over aggregates, is refused.

use crate::world::{Call, Ex, Function, Op, Pipeline, Source, Ty, Windows, product};

/// Where an expression stands.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Over a row of a source.
    Row(&'a Source),
    /// Over the windows of a pipeline.
    Group(&'a Source, &'a Pipeline),
    /// In the condition of `break_when`.
    Break(&'a Source),
}

/// Most digits of a row expression, and of one over aggregates.
const DIGITS: (u32, u32) = (76, 115);

impl<'a> Place<'a> {
    fn digits(self) -> u32 {
        match self {
            Place::Row(_) => DIGITS.0,
            Place::Group(..) | Place::Break(_) => DIGITS.1,
        }
    }

    /// The source whose rows it sees.
    pub fn source(self) -> &'a Source {
        match self {
            Place::Row(source) | Place::Group(source, _) | Place::Break(source) => source,
        }
    }

    /// The type of an expression; none where a SELECT may not say it.
    pub fn ty(self, ex: &Ex) -> Option<Ty> {
        match (ex, self) {
            (Ex::Field(field), Place::Row(source) | Place::Break(source)) | (Ex::Prev(field), Place::Break(source)) => {
                source.is_content(*field).then(|| source.fields[*field].ty)
            }
            (Ex::Key(key), Place::Group(source, pipeline)) => Place::Row(source).ty(&pipeline.key[*key].1),
            (Ex::Call(call), Place::Group(source, pipeline)) => call_ty(source, &pipeline.windows, call),
            (Ex::Call(call), Place::Break(source)) => {
                let whole = Windows::Session(1);
                call_ty(source, &whole, call)
            }
            (Ex::Field(_) | Ex::Prev(_) | Ex::Key(_) | Ex::Call(_), _) => None,
            (Ex::Exact(mantissa, scale), _) => {
                let digits = mantissa.unsigned_abs().max(1).ilog10() + 1;
                Some(Ty::Decimal(digits.max(*scale), *scale))
            }
            (Ex::Float(_), _) => Some(Ty::F64),
            (Ex::Text(_), _) => Some(Ty::Text),
            (Ex::Time(_), _) => Some(Ty::Time),
            (Ex::Bool(_) | Ex::Null, _) => Some(Ty::Bool),
            (Ex::Negate(a) | Ex::Abs(a), _) => {
                let ty = self.ty(a).filter(|ty| ty.is_number())?;
                Some(ty.exact().map_or(ty, |(precision, scale)| Ty::Decimal(precision, scale)))
            }
            (Ex::Root(a), _) => self.ty(a).filter(|ty| ty.is_number()).map(|_| Ty::F64),
            (Ex::Arith(op, a, b), _) => self.arithmetic(*op, self.ty(a)?, self.ty(b)?),
            (Ex::Compare(_, a, b), _) => comparable(self.ty(a)?, self.ty(b)?),
            (Ex::And(a, b) | Ex::Or(a, b), _) => (self.is_bool(a) && self.is_bool(b)).then_some(Ty::Bool),
            (Ex::Not(a), _) => self.is_bool(a).then_some(Ty::Bool),
            (Ex::IsNull(a, _), _) => self.ty(a).map(|_| Ty::Bool),
            (Ex::Between(x, low, high, _), _) => {
                let x = self.ty(x)?;
                comparable(x, self.ty(low)?).and(comparable(x, self.ty(high)?))
            }
            (Ex::In(x, list, _), _) => {
                let x = self.ty(x)?;
                list.iter().all(|item| self.ty(item).and_then(|ty| comparable(x, ty)).is_some()).then_some(Ty::Bool)
            }
            (Ex::Case(branches, otherwise), _) => {
                let sound = branches.iter().all(|(condition, _)| self.is_bool(condition));
                let values = branches.iter().map(|(_, value)| value).chain(otherwise.as_deref());
                if sound { self.common(values) } else { None }
            }
            (Ex::Coalesce(list), _) => self.common(list.iter()),
            (Ex::NullIf(a, b), _) => {
                let ty = self.ty(a)?;
                comparable(ty, self.ty(b)?).map(|_| ty)
            }
            (Ex::Cast(a, to), _) => {
                let from = self.ty(a)?;
                (from == *to || (from.is_number() && to.is_number())).then_some(*to)
            }
        }
    }

    fn is_bool(self, ex: &Ex) -> bool {
        self.ty(ex) == Some(Ty::Bool)
    }

    fn arithmetic(self, op: Op, a: Ty, b: Ty) -> Option<Ty> {
        if !a.is_number() || !b.is_number() {
            return None;
        }
        let (Some((pa, sa)), Some((pb, sb))) = (a.exact(), b.exact()) else { return Some(Ty::F64) };
        let ty = match op {
            Op::Divide => return Some(Ty::F64),
            Op::Multiply => Ty::Decimal(pa + pb, sa + sb),
            _ => Ty::Decimal((pa - sa).max(pb - sb) + sa.max(sb) + 1, sa.max(sb)),
        };
        ty.exact().filter(|(precision, _)| *precision <= self.digits()).map(|_| ty)
    }

    /// The type that all branches have in common; NULL has every type.
    fn common<'e>(self, branches: impl Iterator<Item = &'e Ex>) -> Option<Ty> {
        let mut common: Option<Ty> = None;
        for branch in branches.filter(|branch| !matches!(branch, Ex::Null)) {
            let ty = self.ty(branch)?;
            common = Some(match common {
                Some(known) if known != ty => match (known.exact(), ty.exact()) {
                    (Some((pa, sa)), Some((pb, sb))) => {
                        let ty = Ty::Decimal((pa - sa).max(pb - sb) + sa.max(sb), sa.max(sb));
                        ty.exact().filter(|(precision, _)| *precision <= self.digits()).map(|_| ty)?
                    }
                    _ if known.is_number() && ty.is_number() => Ty::F64,
                    _ => return None,
                },
                _ => ty,
            });
        }
        common
    }
}

fn comparable(a: Ty, b: Ty) -> Option<Ty> {
    let array = matches!(a, Ty::Array(_)) || matches!(b, Ty::Array(_));
    (!array && (a == b || (a.is_number() && b.is_number()))).then_some(Ty::Bool)
}

/// The type of `sum`: room for 2^63 terms.
fn sum_ty(ty: Ty) -> Ty {
    ty.exact().map_or(ty, |(precision, scale)| Ty::Decimal(precision + 20, scale))
}

/// Whether an expression reads a field.
pub fn reads(ex: &Ex, field: usize) -> bool {
    let all = |list: &[&Ex]| list.iter().any(|ex| reads(ex, field));
    match ex {
        Ex::Field(known) => *known == field,
        Ex::Negate(a) | Ex::Abs(a) | Ex::Root(a) | Ex::Not(a) | Ex::IsNull(a, _) | Ex::Cast(a, _) => reads(a, field),
        Ex::Arith(_, a, b) | Ex::Compare(_, a, b) | Ex::And(a, b) | Ex::Or(a, b) | Ex::NullIf(a, b) => all(&[a, b]),
        Ex::Between(a, b, c, _) => all(&[a, b, c]),
        Ex::In(a, list, _) => reads(a, field) || list.iter().any(|ex| reads(ex, field)),
        Ex::Coalesce(list) => list.iter().any(|ex| reads(ex, field)),
        Ex::Case(branches, otherwise) => {
            branches.iter().any(|(condition, value)| all(&[condition, value]))
                || otherwise.as_ref().is_some_and(|other| reads(other, field))
        }
        _ => false,
    }
}

/// Whether a share of a field is the same share of an expression that reads it, and says so by its form.
fn is_linear(row: Place<'_>, ex: &Ex, field: usize) -> bool {
    match ex {
        Ex::Field(known) => *known == field,
        Ex::Negate(a) => is_linear(row, a, field),
        Ex::Arith(Op::Multiply, a, b) => match (reads(a, field), reads(b, field)) {
            (true, false) => is_linear(row, a, field),
            (false, true) => is_linear(row, b, field),
            _ => false,
        },
        Ex::Case(branches, otherwise) => {
            // A branch that is converted to the type of the others is no plain product any more.
            let fits =
                |value: &Ex| matches!(value, Ex::Null) || (row.ty(value) == row.ty(ex) && is_linear(row, value, field));
            branches.iter().all(|(condition, value)| !reads(condition, field) && fits(value))
                && otherwise.as_ref().is_none_or(|other| fits(other))
        }
        _ => false,
    }
}

/// The type of a sum over windows that may cut facts: the sum of a share that is a fraction has 12 decimals at least.
fn shared_sum_ty(row: Place<'_>, windows: &Windows, argument: &Ex, ty: Ty) -> Option<Ty> {
    let sum = sum_ty(ty);
    let Some(fields) = windows.split().filter(|fields| reads(argument, fields[fields.len() - 1])) else {
        return Some(sum);
    };
    if !is_linear(row, argument, fields[fields.len() - 1]) {
        return None;
    }
    let (precision, scale) = sum.exact()?;
    let whole = fields.len() == 1 || format!("{argument:?}") == format!("{:?}", product(fields));
    let places = if whole { scale } else { scale.max(12) };
    Some(Ty::Decimal((precision - scale + places).min(DIGITS.1), places))
}

/// The exact one of two sides, and the other, which is not.
fn one_exact<'a>((a, x): (&'a Ex, Ty), (b, y): (&'a Ex, Ty)) -> Option<(&'a Ex, &'a Ex)> {
    match (x.exact(), y.exact()) {
        (Some(_), None) => Some((a, b)),
        (None, Some(_)) => Some((b, a)),
        _ => None,
    }
}

/// The type of an aggregate over windows.
pub fn call_ty(source: &Source, windows: &Windows, call: &Call) -> Option<Ty> {
    let row = Place::Row(source);
    if let Some(filter) = &call.filter
        && !row.is_bool(filter)
    {
        return None;
    }
    let arguments: Vec<Ty> = call.arguments.iter().map(|argument| row.ty(argument)).collect::<Option<_>>()?;
    let product_ty = |a: Ty, b: Ty| {
        let (Some((pa, sa)), Some((pb, sb))) = (a.exact(), b.exact()) else { return Some(Ty::F64) };
        (pa + pb <= DIGITS.0).then_some(Ty::Decimal(pa + pb, sa + sb))
    };
    let pair = |x: Ty, y: Ty| {
        let (a, b) = (&call.arguments[0], &call.arguments[1]);
        let cut = windows.split().filter(|fields| [a, b].iter().any(|side| reads(side, fields[fields.len() - 1])));
        // Beside a double, only shares that are whole have a product.
        if let (Some(fields), Some((exact, double))) = (cut, one_exact((a, x), (b, y))) {
            let field = fields[fields.len() - 1];
            let fits = fields.len() == 1 && is_linear(row, exact, field) && !reads(double, field);
            return fits.then_some(Ty::F64);
        }
        let both = Ex::Arith(Op::Multiply, Box::new(a.clone()), Box::new(b.clone()));
        shared_sum_ty(row, windows, &both, product_ty(x, y)?)
    };
    match (call.function, &arguments[..]) {
        (Function::CountRows, []) | (Function::Count | Function::Distinct | Function::ApproxDistinct, [_]) => {
            Some(Ty::I64)
        }
        (Function::Min | Function::Max | Function::First | Function::Last | Function::PercentileDisc, [ty]) => {
            Some(*ty)
        }
        (_, list) if !list.iter().all(|ty| ty.is_number()) => None,
        (Function::Sum, [ty]) => shared_sum_ty(row, windows, &call.arguments[0], *ty),
        (Function::TopK, [ty]) => Some(ty.array()),
        (Function::Avg | Function::PercentileCont | Function::ApproxPercentile, [_]) => Some(Ty::F64),
        (Function::VarPop | Function::VarSamp | Function::StddevPop | Function::StddevSamp, [ty]) => {
            product_ty(*ty, *ty).map(|_| Ty::F64)
        }
        (Function::Wavg, [x, y]) => {
            let weights = shared_sum_ty(row, windows, &call.arguments[1], *y);
            pair(*x, *y).and(weights).map(|_| Ty::F64)
        }
        (Function::SumProduct, [x, y]) => pair(*x, *y),
        _ => None,
    }
}
