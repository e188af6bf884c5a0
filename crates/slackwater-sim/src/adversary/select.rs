//! Pipelines: SELECTs that take turns with every aggregate, over every type, with arithmetic before and after.

use super::{values, windows};
use crate::rng::Rng;
use crate::typing::Place;
use crate::world::{Call, Cmp, Ex, Function, Op, Pipeline, Source, Ty, Windows, With};

const SECOND: i64 = 1_000_000_000;

/// What an expression is wanted to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Number,
    Exact,
    Bool,
    Any,
}

impl Want {
    fn fits(self, ty: Ty) -> bool {
        match self {
            Want::Number => ty.is_number(),
            Want::Exact => ty.exact().is_some(),
            Want::Bool => ty == Ty::Bool,
            Want::Any => true,
        }
    }
}

/// Draws a pipeline over a source. Those with numbers one behind the other go through all aggregates.
pub fn draw(rng: &mut Rng, name: &str, number: usize, source: &Source, turn: usize) -> Pipeline {
    let windows = windows::draw(rng, source);
    // Facts that cut one another must be of one key.
    let alone = matches!(windows, Windows::Session(_) | Windows::Bars(..)) && rng.chance(60);
    let mut pipeline = Pipeline {
        name: name.to_string(),
        source: number,
        filter: rng.chance(if alone { 15 } else { 40 }).then(|| condition(rng, Place::Row(source), 2)),
        key: if alone { Vec::new() } else { key(rng, source) },
        windows,
        columns: Vec::new(),
        having: None,
    };
    for place in 0..5 {
        let function = Function::ALL[(turn * 5 + place) % Function::ALL.len()];
        let alone = Place::Group(source, &pipeline);
        let call = Ex::Call(Box::new(call(rng, alone, function)));
        let ex = if rng.chance(50) { call } else { around(rng, alone, call) };
        pipeline.columns.push((format!("c{place}"), ex));
    }
    let group = Place::Group(source, &pipeline);
    // A group-by column alone would only be another name for it.
    let extra = match typed(rng, group, Want::Any, 3) {
        Ex::Key(_) => Ex::Call(Box::new(call(rng, group, Function::CountRows))),
        other => other,
    };
    let extra = ("extra".to_string(), extra);
    let ratio = (rng.chance(50)).then(|| ("ratio".to_string(), ratio(rng, group)));
    let having = rng.chance(30).then(|| condition(rng, group, 2));
    let shares = shares(rng, group);
    pipeline.columns.push(extra);
    pipeline.columns.extend(ratio);
    pipeline.columns.extend(shares);
    pipeline.having = having;
    pipeline
}

/// What is in proportion to the volume and, where bars cut facts, sees a fact's share.
fn shares(rng: &mut Rng, group: Place<'_>) -> Option<(String, Ex)> {
    let Place::Group(source, pipeline) = group else { unreachable!("columns stand over windows") };
    if pipeline.windows.split().is_none() && rng.chance(80) {
        return None;
    }
    let named = |name: &str| source.fields.iter().position(|field| field.name == name).map(Ex::Field).expect("a field");
    let (volume, rate) = (named(values::VOLUME), named(values::RATE));
    let times = |a: Ex, b: Ex| Ex::Arith(Op::Multiply, Box::new(a), Box::new(b));
    let (function, arguments) = match rng.below(11) {
        0..2 => (Function::Sum, vec![volume]),
        2 => (Function::Sum, vec![times(rate, volume)]),
        3 => (Function::Sum, vec![times(volume, named("qty"))]),
        4 => (Function::SumProduct, vec![rate, volume]),
        5 => (Function::Wavg, vec![rate, volume]),
        6 => (Function::Wavg, vec![volume, rate]),
        7 => (Function::SumProduct, vec![times(volume, named("qty")), named("f")]),
        8 => (Function::Wavg, vec![named("f"), volume]),
        9 => (Function::Wavg, vec![volume, named("g")]),
        _ => {
            let condition = Ex::IsNull(Box::new(named("n")), rng.chance(50));
            (Function::Sum, vec![Ex::Case(vec![(condition, volume)], None)])
        }
    };
    let filter = rng.chance(25).then(|| condition(rng, Place::Row(source), 1));
    let call = Ex::Call(Box::new(Call { function, arguments, filter, with: With::default() }));
    group.ty(&call).is_some().then(|| ("shares".to_string(), call))
}

/// CAST(sum(a) / sum(b) AS DECIMAL(p, s))
fn ratio(rng: &mut Rng, group: Place<'_>) -> Ex {
    let mut sum = || loop {
        let arguments = vec![typed(rng, Place::Row(group.source()), Want::Exact, 1)];
        let call = Call { function: Function::Sum, arguments, filter: None, with: With::default() };
        let sum = Ex::Call(Box::new(call));
        if group.ty(&sum).is_some() {
            return sum;
        }
    };
    let quotient = Ex::Arith(Op::Divide, Box::new(sum()), Box::new(sum()));
    Ex::Cast(Box::new(quotient), decimal_ty(rng))
}

fn decimal_ty(rng: &mut Rng) -> Ty {
    *rng.pick(&[Ty::Decimal(38, 18), Ty::Decimal(18, 4), Ty::Decimal(9, 0), Ty::Decimal(4, 2), Ty::Decimal(38, 37)])
}

fn key(rng: &mut Rng, source: &Source) -> Vec<(String, Ex)> {
    let mut key: Vec<(String, Ex)> = Vec::new();
    for number in 0..rng.below(4) {
        let field = rng.below(source.fields.len());
        let plain = source.is_content(field) && rng.chance(70);
        let (name, ex) = if plain {
            (source.fields[field].name.clone(), Ex::Field(field))
        } else {
            (format!("k{number}"), typed(rng, Place::Row(source), Want::Any, 2))
        };
        // A constant, or a plain field under another name, is no group-by expression of its own.
        if (plain || !matches!(ex, Ex::Field(_)))
            && has_field(&ex)
            && key.iter().all(|(other, known)| *other != name && !same(known, &ex))
        {
            key.push((name, ex));
        }
    }
    key
}

/// Whether two expressions are written alike.
fn same(a: &Ex, b: &Ex) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// Whether an expression depends on the row, so that nothing computes it beforehand.
fn has_field(ex: &Ex) -> bool {
    match ex {
        Ex::Field(_) | Ex::Prev(_) | Ex::Key(_) | Ex::Call(_) => true,
        Ex::Negate(a) | Ex::Abs(a) | Ex::Root(a) | Ex::Not(a) | Ex::IsNull(a, _) | Ex::Cast(a, _) => has_field(a),
        Ex::Arith(_, a, b) | Ex::Compare(_, a, b) | Ex::And(a, b) | Ex::Or(a, b) | Ex::NullIf(a, b) => {
            has_field(a) || has_field(b)
        }
        Ex::Between(a, ..) | Ex::In(a, ..) => has_field(a),
        Ex::Case(branches, _) => branches.iter().any(|(condition, _)| has_field(condition)),
        Ex::Coalesce(list) => has_field(&list[0]),
        _ => false,
    }
}

/// An aggregate call with arguments that it takes.
pub fn call(rng: &mut Rng, group: Place<'_>, function: Function) -> Call {
    let row = Place::Row(group.source());
    loop {
        let count = match function {
            Function::CountRows => 0,
            Function::Wavg | Function::SumProduct => 2,
            _ => 1,
        };
        let want = match function {
            Function::Count
            | Function::Distinct
            | Function::Min
            | Function::Max
            | Function::First
            | Function::Last
            | Function::PercentileDisc
            | Function::TopK
            | Function::ApproxDistinct => Want::Any,
            _ => Want::Number,
        };
        let depth = rng.below(3);
        let arguments: Vec<Ex> = (0..count).map(|_| typed(rng, row, want, depth)).collect();
        let filter = rng.chance(25).then(|| condition(rng, row, 1));
        let call = Call { function, arguments, filter, with: constants(rng) };
        if group.ty(&Ex::Call(Box::new(call.clone()))).is_some() {
            return call;
        }
    }
}

fn constants(rng: &mut Rng) -> With {
    let p = match rng.below(4) {
        0 => *rng.pick(&[(0, 0), (1, 0), (10, 1), (5, 1), (50, 2), (1, 18)]),
        1 => *rng.pick(&[(25, 2), (75, 2), (9, 1), (99, 2), (999, 3), (333_333_333_333_333_333, 18)]),
        _ => (rng.within(0, 1_000), 3),
    };
    With { p, descending: rng.chance(25), most: *rng.pick(&[1, 2, 3, 7, 1_000]) }
}

/// Something around an aggregate: a CAST, arithmetic, a CASE.
fn around(rng: &mut Rng, group: Place<'_>, inner: Ex) -> Ex {
    for _ in 0..20 {
        let boxed = Box::new(inner.clone());
        let ex = match rng.below(6) {
            0 => Ex::Cast(boxed, decimal_ty(rng)),
            1 => Ex::Cast(boxed, *rng.pick(&[Ty::F64, Ty::I64, Ty::U64])),
            2 => Ex::Arith(arithmetic(rng), boxed, Box::new(typed(rng, group, Want::Number, 2))),
            3 => Ex::Arith(arithmetic(rng), Box::new(typed(rng, group, Want::Number, 1)), boxed),
            4 => Ex::Case(
                vec![(condition(rng, group, 1), inner.clone())],
                rng.chance(50).then(|| Box::new(typed(rng, group, Want::Any, 1))),
            ),
            _ => Ex::Coalesce(vec![inner.clone(), typed(rng, group, Want::Any, 1)]),
        };
        if group.ty(&ex).is_some() {
            return ex;
        }
    }
    inner
}

fn arithmetic(rng: &mut Rng) -> Op {
    *rng.pick(&[Op::Add, Op::Subtract, Op::Multiply, Op::Divide, Op::Divide])
}

/// A condition.
pub fn condition(rng: &mut Rng, place: Place<'_>, depth: usize) -> Ex {
    typed(rng, place, Want::Bool, depth)
}

/// An expression that may stand where it is wanted, and that no compiler computes beforehand.
fn typed(rng: &mut Rng, place: Place<'_>, want: Want, depth: usize) -> Ex {
    loop {
        let ex = if want == Want::Bool { boolean(rng, place, depth) } else { number(rng, place, depth) };
        if place.ty(&ex).is_some_and(|ty| want.fits(ty)) && has_field(&ex) {
            return ex;
        }
    }
}

/// A field, a group-by column or an aggregate.
fn leaf(rng: &mut Rng, place: Place<'_>) -> Ex {
    match place {
        Place::Row(source) => Ex::Field(rng.below(source.fields.len())),
        Place::Group(_, pipeline) if !pipeline.key.is_empty() && rng.chance(25) => {
            Ex::Key(rng.below(pipeline.key.len()))
        }
        Place::Break(source) if rng.chance(65) => {
            let field = rng.below(source.fields.len());
            if rng.chance(50) { Ex::Prev(field) } else { Ex::Field(field) }
        }
        Place::Group(..) | Place::Break(_) => {
            let function = *rng.pick(&Function::ALL);
            Ex::Call(Box::new(call(rng, place, function)))
        }
    }
}

fn constant(rng: &mut Rng) -> Ex {
    match rng.below(3) {
        0 => Ex::Exact(rng.within(0, 3), 0),
        1 => Ex::Exact(rng.within(0, 99_999), rng.below(6) as u32),
        _ => Ex::Float(*rng.pick(&[0.0, 0.5, 1.0, 3.0, 1e10, 1e-7])),
    }
}

fn number(rng: &mut Rng, place: Place<'_>, depth: usize) -> Ex {
    if depth == 0 || rng.chance(30) {
        return leaf(rng, place);
    }
    let sub = |rng: &mut Rng| Box::new(number(rng, place, depth - 1));
    match rng.below(10) {
        0..3 => {
            let (a, op) = (sub(rng), arithmetic(rng));
            let b = if rng.chance(40) { Box::new(constant(rng)) } else { sub(rng) };
            Ex::Arith(op, a, b)
        }
        3 => Ex::Negate(sub(rng)),
        4 => Ex::Abs(sub(rng)),
        5 => {
            let to = if rng.chance(70) { decimal_ty(rng) } else { *rng.pick(&[Ty::F64, Ty::I64, Ty::U64]) };
            Ex::Cast(sub(rng), to)
        }
        6 => {
            let otherwise = match rng.below(3) {
                0 => None,
                1 => Some(Box::new(Ex::Null)),
                _ => Some(sub(rng)),
            };
            Ex::Case(vec![(boolean(rng, place, depth - 1), *sub(rng))], otherwise)
        }
        8 => Ex::Root(sub(rng)),
        7 => Ex::Coalesce(vec![*sub(rng), if rng.chance(50) { constant(rng) } else { *sub(rng) }]),
        _ => Ex::NullIf(sub(rng), if rng.chance(50) { Box::new(constant(rng)) } else { sub(rng) }),
    }
}

fn boolean(rng: &mut Rng, place: Place<'_>, depth: usize) -> Ex {
    let compare = |rng: &mut Rng| {
        let a = number(rng, place, depth.min(1));
        let b = match place.ty(&a) {
            Some(Ty::Text) => Ex::Text((*rng.pick(&["a", "b", "日本", "it's", ""])).to_string()),
            Some(Ty::Time) => Ex::Time(1_743_296_400_000_000_000 + rng.within(-3, 3) * SECOND),
            Some(Ty::Bool) => Ex::Bool(rng.chance(50)),
            _ if rng.chance(60) => constant(rng),
            _ => number(rng, place, depth.min(1)),
        };
        (a, b)
    };
    let cmps = [Cmp::Eq, Cmp::Ne, Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge];
    match rng.below(if depth == 0 { 4 } else { 8 }) {
        0 | 1 | 4 => {
            let (a, b) = compare(rng);
            Ex::Compare(*rng.pick(&cmps), Box::new(a), Box::new(b))
        }
        2 => Ex::IsNull(Box::new(leaf(rng, place)), rng.chance(50)),
        3 => {
            let ((a, low), high) = (compare(rng), constant(rng));
            if rng.chance(50) {
                Ex::Between(Box::new(a), Box::new(low), Box::new(high), rng.chance(30))
            } else {
                Ex::In(Box::new(a), vec![low, high], rng.chance(30))
            }
        }
        5 => Ex::And(Box::new(boolean(rng, place, depth - 1)), Box::new(boolean(rng, place, depth - 1))),
        6 => Ex::Or(Box::new(boolean(rng, place, depth - 1)), Box::new(boolean(rng, place, depth - 1))),
        _ => Ex::Not(Box::new(boolean(rng, place, depth - 1))),
    }
}
