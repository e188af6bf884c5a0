//! Aggregates from the list of their values, each by its textbook definition in rationals, rounded once.

use super::content::order;
use super::eval::{Scope, Val, as_f64, datum, val};
use super::{exact, sketch};
use crate::world::{Call, Datum, Function, Ty, With};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

/// The value of a call over the rows of a window, which stand in canonical order. `to` is the decimal that a CAST asks
/// for.
pub fn value(call: &Call, rows: &[Scope<'_>], to: Option<Ty>) -> Val {
    let rows: Vec<&Scope<'_>> =
        rows.iter().filter(|row| call.filter.as_ref().is_none_or(|filter| row.holds(filter))).collect();
    if call.function == Function::CountRows {
        return count(rows.len());
    }
    let Some(first) = rows.first() else { return nothing(call.function) };
    let ty = |argument: usize| first.place.ty(&call.arguments[argument]).expect("a typed argument");
    if let Function::Wavg | Function::SumProduct = call.function {
        return pairs(call, &rows, to);
    }
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
        Function::Sum => sum(&values.iter().map(|value| val(value, ty)).collect::<Vec<_>>(), ty),
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

fn total(values: &[BigRational]) -> BigRational {
    values.iter().fold(BigRational::zero(), |sum, value| sum + value)
}

/// The exact sum: a decimal of the same scale, or rounded once.
fn sum(values: &[Val], ty: Ty) -> Val {
    match (exactly(values), ty.exact()) {
        (Err(wild), _) => Val::F64(wild),
        (Ok(values), None) => Val::F64(exact::to_f64(&total(&values))),
        (Ok(values), Some((_, scale))) => {
            let mantissa = total(&values) * BigRational::from(BigInt::from(10).pow(scale));
            Val::Exact(mantissa.to_integer(), scale)
        }
    }
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
    let mean = total(&exact) / BigRational::from(BigInt::from(exact.len()));
    let squares: Vec<BigRational> = exact.iter().map(|value| (value - &mean) * (value - &mean)).collect();
    leave(&(total(&squares) / BigRational::from(BigInt::from(of))), root, to)
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

/// sum_product and wavg: rows in which either side is null count for nothing; beside a double, exact numbers are doubles.
fn pairs(call: &Call, rows: &[&Scope<'_>], to: Option<Ty>) -> Val {
    let ty = |argument: usize| rows[0].place.ty(&call.arguments[argument]).expect("a typed argument");
    let (tx, ty) = (ty(0), ty(1));
    let both = tx.exact().zip(ty.exact());
    let side = |row: &Scope<'_>, argument: usize| {
        let value = row.eval(&call.arguments[argument]);
        match both {
            Some(_) => value,
            None => as_f64(&value).map_or(Val::Null, Val::F64),
        }
    };
    let pairs: Vec<(Val, Val)> = rows
        .iter()
        .map(|row| (side(row, 0), side(row, 1)))
        .filter(|(x, y)| !matches!(x, Val::Null) && !matches!(y, Val::Null))
        .collect();
    if pairs.is_empty() {
        return Val::Null;
    }
    let (xs, ys): (Vec<Val>, Vec<Val>) = pairs.into_iter().unzip();
    let (Ok(x), Ok(y)) = (exactly(&xs), exactly(&ys)) else { return wild_pairs(call.function, &xs, &ys, to) };
    let products: Vec<BigRational> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
    let total_product = total(&products);
    match (call.function, both) {
        (Function::SumProduct, None) => Val::F64(exact::to_f64(&total_product)),
        (Function::SumProduct, Some(((_, sx), (_, sy)))) => {
            let mantissa = total_product * BigRational::from(BigInt::from(10).pow(sx + sy));
            Val::Exact(mantissa.to_integer(), sx + sy)
        }
        _ => {
            let weight = total(&y);
            if weight.is_zero() { Val::Null } else { leave(&(total_product / weight), false, to) }
        }
    }
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
        Function::SumProduct => Val::F64(if sum.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { sum }),
        _ => leave_wild(f64::from_bits(0x7ff8_0000_0000_0000), to),
    }
}

/// A value in the type of an aggregate.
pub fn typed(value: Val, ty: Ty) -> Datum {
    datum(value, ty)
}
