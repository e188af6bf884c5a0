//! Aggregates from the list of their values, each by its textbook definition in rationals, rounded once.

use super::content::order;
use super::eval::{Scope, Val, as_f64, datum, val};
use super::{exact, sketch};
use crate::typing;
use crate::world::{Call, Datum, Ex, Function, Ty, Windows, With};
use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

/// A fact in a window, or so much of it as is there.
pub struct Member<'a> {
    /// The fact.
    pub scope: Scope<'a>,
    /// 1 of a whole fact.
    pub share: BigRational,
}

/// The value of a call over the members of a window, which stand in canonical order. `to` is the decimal that a CAST
/// asks for.
pub fn value(call: &Call, windows: &Windows, members: &[Member<'_>], to: Option<Ty>) -> Val {
    let members: Vec<&Member<'_>> =
        members.iter().filter(|member| call.filter.as_ref().is_none_or(|filter| member.scope.holds(filter))).collect();
    if call.function == Function::CountRows {
        return count(members.len());
    }
    let Some(first) = members.first() else { return nothing(call.function) };
    let ty = |argument: usize| first.scope.place.ty(&call.arguments[argument]).expect("a typed argument");
    if let Function::Sum | Function::Wavg | Function::SumProduct = call.function {
        return shared(call, windows, &members, to);
    }
    let rows: Vec<&Scope<'_>> = members.iter().map(|member| &member.scope).collect();
    let ty = ty(0);
    let values: Vec<Datum> =
        rows.iter().map(|row| row.datum(&call.arguments[0])).filter(|value| *value != Datum::Null).collect();
    let smallest = || values.iter().min_by(|a, b| order(a, b));
    let largest = || values.iter().max_by(|a, b| order(a, b));
    let one = |value: Option<&Datum>| value.map_or(Val::Null, |value| val(value, ty));
    match call.function {
        Function::Count => count(values.len()),
        Function::Distinct => {
            let mut sorted = values.clone();
            sorted.sort_by(order);
            sorted.dedup();
            count(sorted.len())
        }
        Function::ApproxDistinct => count(sketch::distinct(&values)),
        Function::Min => one(smallest()),
        Function::Max => one(largest()),
        Function::First => one(values.first()),
        Function::Last => one(values.last()),
        Function::PercentileDisc => one(percentile_disc(call, &values).as_ref()),
        _ if values.is_empty() => Val::Null,
        Function::TopK => Val::Array(sorted(&values).into_iter().rev().take(call.with.most).collect()),
        Function::Avg => mean(&values, ty, to),
        Function::ApproxPercentile => approx_percentile(call, &values, ty, to),
        Function::PercentileCont => percentile_cont(call, &values, ty, to),
        _ => spread(call.function, &values, ty, to),
    }
}

fn count(rows: usize) -> Val {
    Val::Exact(BigInt::from(rows), 0)
}

fn nothing(function: Function) -> Val {
    if matches!(function, Function::Count | Function::Distinct | Function::ApproxDistinct) {
        count(0)
    } else {
        Val::Null
    }
}

/// The exact values, or the sum of those that are not finite: an infinity, or NaN.
fn exactly(values: &[Val]) -> Result<Vec<BigRational>, f64> {
    let wild: Vec<f64> = values
        .iter()
        .filter_map(|value| match value {
            Val::F64(x) if !x.is_finite() => Some(*x),
            _ => None,
        })
        .collect();
    if !wild.is_empty() {
        let sum = wild.iter().sum::<f64>();
        return Err(if sum.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { sum });
    }
    let exact = |value: &Val| match value {
        Val::Exact(mantissa, scale) => exact::of_decimal(mantissa, *scale),
        Val::F64(x) => exact::of_f64(*x),
        other => panic!("{other:?} is no number"),
    };
    Ok(values.iter().map(exact).collect())
}

/// The same numbers as integers over one denominator: to reduce every step of a long sum would take most of the time.
fn over_one(values: &[BigRational]) -> (Vec<BigInt>, BigInt) {
    let below = values.iter().fold(BigInt::one(), |below, value| match (&below % value.denom()).is_zero() {
        true => below,
        false => below.lcm(value.denom()),
    });
    let above = |value: &BigRational| match value.denom() == &below {
        true => value.numer().clone(),
        false => value.numer() * (&below / value.denom()),
    };
    (values.iter().map(above).collect(), below)
}

fn total(values: &[BigRational]) -> BigRational {
    let (above, below) = over_one(values);
    BigRational::new(above.iter().sum(), below)
}

/// A quotient, or its root, as it leaves.
fn leave(value: &BigRational, root: bool, to: Option<Ty>) -> Val {
    match (to, root) {
        (Some(Ty::Decimal(precision, scale)), false) => {
            exact::to_decimal(value, precision, scale).map_or(Val::Null, |mantissa| Val::Exact(mantissa, scale))
        }
        (Some(Ty::Decimal(precision, scale)), true) => {
            exact::sqrt_to_decimal(value, precision, scale).map_or(Val::Null, |mantissa| Val::Exact(mantissa, scale))
        }
        (_, false) => Val::F64(exact::to_f64(value)),
        (_, true) => Val::F64(exact::sqrt_to_f64(value)),
    }
}

/// What is not finite leaves as it is, or as the null of a decimal that cannot hold it.
fn leave_wild(wild: f64, to: Option<Ty>) -> Val {
    if to.is_some() { Val::Null } else { Val::F64(wild) }
}

fn mean(values: &[Datum], ty: Ty, to: Option<Ty>) -> Val {
    match exactly(&values.iter().map(|value| val(value, ty)).collect::<Vec<_>>()) {
        Ok(exact) => leave(&(total(&exact) / BigRational::from(BigInt::from(exact.len()))), false, to),
        Err(wild) => leave_wild(wild, to),
    }
}

/// Variance and standard deviation: the mean of the squared distances from the mean.
fn spread(function: Function, values: &[Datum], ty: Ty, to: Option<Ty>) -> Val {
    let sample = matches!(function, Function::VarSamp | Function::StddevSamp);
    let root = matches!(function, Function::StddevPop | Function::StddevSamp);
    let of = values.len() - usize::from(sample);
    if of == 0 {
        return Val::Null;
    }
    let Ok(exact) = exactly(&values.iter().map(|value| val(value, ty)).collect::<Vec<_>>()) else {
        return leave_wild(f64::from_bits(0x7ff8_0000_0000_0000), to);
    };
    let (above, below) = over_one(&exact);
    // All of them as many times as large as there are of them: then their mean is an integer.
    let (count, sum) = (BigInt::from(exact.len()), above.iter().sum::<BigInt>());
    let squares: BigInt = above.iter().map(|value| (value * &count - &sum).pow(2)).sum();
    leave(&BigRational::new(squares, (below * count).pow(2) * BigInt::from(of)), root, to)
}

fn sorted(values: &[Datum]) -> Vec<Datum> {
    let mut sorted = values.to_vec();
    sorted.sort_by(order);
    sorted
}

/// So much of a number.
fn part(call: &Call, number: usize) -> BigRational {
    let (mantissa, scale) = call.with.p;
    exact::of_decimal(&BigInt::from(mantissa), scale) * BigRational::from(BigInt::from(number))
}

/// The first value whose cumulative count is at least p * n.
fn percentile_disc(call: &Call, values: &[Datum]) -> Option<Datum> {
    let mut sorted = sorted(values);
    if call.with.descending {
        sorted.reverse();
    }
    let wanted = part(call, sorted.len());
    let reached = |place: &usize| BigRational::from(BigInt::from(place + 1)) >= wanted;
    (0..sorted.len()).find(reached).map(|place| sorted[place].clone())
}

/// The middle of the bucket in which percentile_disc lies.
fn approx_percentile(call: &Call, values: &[Datum], ty: Ty, to: Option<Ty>) -> Val {
    let with = With { descending: false, ..call.with };
    let disc = percentile_disc(&Call { with, ..call.clone() }, values).expect("there are values");
    match exactly(&[val(&disc, ty)]) {
        Ok(exact) => leave(&sketch::middle(&exact[0], ty.exact().map(|(_, scale)| scale)), false, to),
        Err(wild) => leave_wild(wild, to),
    }
}

/// The value at p * (n - 1), on the line between its neighbours; between two of which one is not finite, what IEEE makes
/// of low + (high - low).
fn percentile_cont(call: &Call, values: &[Datum], ty: Ty, to: Option<Ty>) -> Val {
    let sorted = sorted(values);
    let last = BigRational::from(BigInt::from(sorted.len() - 1));
    let at = part(call, sorted.len() - 1);
    let at = if call.with.descending { last - at } else { at };
    let floor = at.floor().to_integer().to_usize().expect("a place");
    let rest = &at - at.floor();
    let low = val(&sorted[floor], ty);
    if rest.is_zero() || order(&sorted[floor], &sorted[floor + 1]).is_eq() {
        return match exactly(std::slice::from_ref(&low)) {
            Ok(exact) => leave(&exact[0], false, to),
            Err(wild) => leave_wild(wild, to),
        };
    }
    let high = val(&sorted[floor + 1], ty);
    match exactly(&[low.clone(), high.clone()]) {
        Ok(exact) => leave(&(&exact[0] + rest * (&exact[1] - &exact[0])), false, to),
        Err(_) => {
            let (low, high) = (as_f64(&low).expect("a double"), as_f64(&high).expect("a double"));
            let value = low + (high - low);
            leave_wild(if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value }, to)
        }
    }
}

/// sum, sum_product and wavg, of which a fact that is cut gives each window its share.
fn shared(call: &Call, windows: &Windows, members: &[&Member<'_>], to: Option<Ty>) -> Val {
    let cut = windows.split().and_then(<[usize]>::last);
    let reads = |argument: &Ex| cut.is_some_and(|field| typing::reads(argument, *field));
    let source = members[0].scope.place.source();
    let leaves = typing::call_ty(source, windows, call).expect("a typed call");
    let sides = sides(call, members);
    let whole = BigRational::from(BigInt::from(1));
    let mut terms: Vec<(Val, Val, &BigRational)> = Vec::new();
    for (member, (x, y)) in members.iter().zip(sides) {
        let share = if call.arguments.iter().any(reads) { &member.share } else { &whole };
        if !matches!(x, Val::Null) && !matches!(y, Val::Null) {
            terms.push((x, y, share));
        }
    }
    if terms.is_empty() {
        return Val::Null;
    }
    let xs: Vec<Val> = terms.iter().map(|(x, ..)| x.clone()).collect();
    let ys: Vec<Val> = terms.iter().map(|(_, y, _)| y.clone()).collect();
    let (Ok(x), Ok(y)) = (exactly(&xs), exactly(&ys)) else { return wild_pairs(call.function, &xs, &ys, to) };
    let shares: Vec<&BigRational> = terms.iter().map(|(.., share)| *share).collect();
    let products: Vec<BigRational> = (0..x.len()).map(|at| &x[at] * &y[at] * shares[at]).collect();
    let sum = total(&products);
    match (call.function, leaves) {
        (Function::Wavg, _) => {
            let weight = |at: usize| if reads(&call.arguments[1]) { &y[at] * shares[at] } else { y[at].clone() };
            let weight = total(&(0..y.len()).map(weight).collect::<Vec<_>>());
            if weight.is_zero() { Val::Null } else { leave(&(sum / weight), false, to) }
        }
        (_, Ty::Decimal(_, scale)) => {
            let mantissa = sum * BigRational::from(BigInt::from(10).pow(scale));
            Val::Exact(exact::to_integer(&mantissa), scale)
        }
        _ => Val::F64(exact::to_f64(&sum)),
    }
}

/// Both factors of every member; of a plain sum the second is 1.
fn sides(call: &Call, members: &[&Member<'_>]) -> Vec<(Val, Val)> {
    let both = |member: &&Member<'_>| match &call.arguments[..] {
        [x] => (member.scope.eval(x), Val::Exact(BigInt::from(1), 0)),
        [x, y] => (member.scope.eval(x), member.scope.eval(y)),
        _ => unreachable!("one argument or two"),
    };
    members.iter().map(both).collect()
}

/// Where a side is not finite, products are what IEEE makes of them, and a weighted mean is not a number.
fn wild_pairs(function: Function, xs: &[Val], ys: &[Val], to: Option<Ty>) -> Val {
    let double = |value: &Val| as_f64(value).expect("a number");
    let products: Vec<f64> = xs
        .iter()
        .zip(ys)
        .map(|(x, y)| (double(x), double(y)))
        .map(|(x, y)| {
            // Of finite sides only the exact product counts, which is finite.
            if x.is_finite() && y.is_finite() { 0.0 } else { x * y }
        })
        .collect();
    let sum = products.iter().sum::<f64>();
    match function {
        Function::Sum | Function::SumProduct => {
            Val::F64(if sum.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { sum })
        }
        _ => leave_wild(f64::from_bits(0x7ff8_0000_0000_0000), to),
    }
}

/// A value in the type of an aggregate.
pub fn typed(value: Val, ty: Ty) -> Datum {
    datum(value, ty)
}
