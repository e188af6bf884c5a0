//! Aggregates with a constant beside their values: percentiles, and the largest so many.

use super::aggregates::WindowScope;
use super::expression::{self, Scope};
use super::typing::Refused;
use super::{Outcome, SqlError, literal, place};
use slackwater_core::limits;
use slackwater_core::plan::expr::Node;
use slackwater_core::plan::{Accumulate, Expr, Finish, Fraction};
use slackwater_core::value::{Type, Value};
use sqlparser::ast::{Expr as Ast, Function, OrderByExpr, OrderBySort};
use std::ops::Range;

/// The aggregates whose values stand in WITHIN GROUP.
pub(super) const ORDERED: [&str; 2] = ["percentile_disc", "percentile_cont"];

/// Whether this aggregate takes a constant.
pub(super) fn is_parametric(name: &str) -> bool {
    ORDERED.contains(&name) || matches!(name, "top_k" | "approx_percentile")
}

/// Compiles the call of such an aggregate, whose FILTER is compiled already.
pub(super) fn call(
    scope: &mut WindowScope<'_>,
    name: &str,
    function: &Function,
    filter: Option<Expr>,
    span: Range<usize>,
) -> Outcome<Expr> {
    let arguments = expression::arguments(&scope.rows, function)?;
    let compiled = match name {
        "top_k" => top_k(scope, &arguments, filter)?,
        "approx_percentile" => approx_percentile(scope, &arguments, filter)?,
        _ => percentile(scope, name, function, &arguments, filter)?,
    };
    compiled.map_err(|(message, help)| SqlError { span, message, help })
}

/// percentile_disc and percentile_cont. What is wrong with a part of the call is refused there, else the whole.
fn percentile(
    scope: &mut WindowScope<'_>,
    name: &str,
    function: &Function,
    arguments: &[&Ast],
    filter: Option<Expr>,
) -> Outcome<Result<Expr, Refused>> {
    let form = format!("write {name}(0.99) WITHIN GROUP (ORDER BY x)");
    let ([p], [order]) = (arguments, &function.within_group[..]) else {
        let message = match (arguments.len(), function.within_group.len()) {
            (_, 0) => format!("{name}() needs WITHIN GROUP, which says what to order by"),
            (1, _) => format!("{name}() orders by one expression"),
            (count, _) => format!("{name}() takes 1 argument(s), and has {count}"),
        };
        return Ok(Err((message, Some(form))));
    };
    let p = fraction(scope, name, p)?;
    let descending = match direction(order) {
        Ok(descending) => descending,
        Err(message) => return Ok(Err((message, Some(form)))),
    };
    let x = expression::compile(&mut scope.rows, &order.expr)?;
    let (of, nullable) = (x.ty, x.nullable || filter.is_some());
    if name == "percentile_cont" && !of.is_numeric() {
        let message = format!("percentile_cont() needs numbers, and this is {of}");
        return expression::refuse(scope, &order.expr, &message, Some("percentile_disc takes values of any type"));
    }
    let values = scope.state(Accumulate::Values(x), filter);
    Ok(Ok(if name == "percentile_disc" {
        scope.result(of, nullable, Finish::Discrete { values, p, descending })
    } else {
        let p = if descending { p.complement() } else { p };
        scope.result(Type::Float64, nullable, Finish::Continuous { values, p, of })
    }))
}

/// approx_percentile(x, p).
fn approx_percentile(
    scope: &mut WindowScope<'_>,
    arguments: &[&Ast],
    filter: Option<Expr>,
) -> Outcome<Result<Expr, Refused>> {
    let [x, p] = arguments else {
        let message = format!("approx_percentile() takes 2 arguments, and has {}", arguments.len());
        return Ok(Err((message, Some("write approx_percentile(x, 0.99)".to_string()))));
    };
    let p = fraction(scope, "approx_percentile", p)?;
    let value = expression::compile(&mut scope.rows, x)?;
    let (of, nullable) = (value.ty, value.nullable || filter.is_some());
    if !of.is_numeric() {
        let message = format!("approx_percentile() needs numbers, and this is {of}");
        return expression::refuse(scope, *x, &message, Some("percentile_disc takes values of any type"));
    }
    let buckets = scope.state(Accumulate::Histogram(value), filter);
    Ok(Ok(scope.result(Type::Float64, nullable, Finish::Bucket { buckets, p, of })))
}

/// top_k(x, n).
fn top_k(scope: &mut WindowScope<'_>, arguments: &[&Ast], filter: Option<Expr>) -> Outcome<Result<Expr, Refused>> {
    let help = "write top_k(price, 10) for the ten largest";
    let [x, most] = arguments else {
        return Ok(Err((format!("top_k() takes 2 arguments, and has {}", arguments.len()), Some(help.to_string()))));
    };
    let number = literal::number(most).and_then(|text| text.parse::<u16>().ok());
    let Some(number) = number.filter(|number| (1..=limits::TOP_K).contains(number)) else {
        let message = format!("how many are wanted is a whole number from 1 to {}", limits::TOP_K);
        return expression::refuse(scope, *most, &message, Some(help));
    };
    let x = expression::compile(&mut scope.rows, x)?;
    let (of, nullable) = (x.ty, x.nullable || filter.is_some());
    let ty = of.array().expect("no row expression is an array");
    let values = scope.state(Accumulate::Largest(x, number), filter);
    Ok(Ok(scope.result(ty, nullable, Finish::Largest { values, of })))
}

/// Whether the order is descending. Nulls are skipped, so nothing may be said of their place.
fn direction(order: &OrderByExpr) -> Result<bool, String> {
    if order.with_fill.is_some() || order.options.nulls_first.is_some() {
        return Err("the order takes no NULLS and no FILL: nulls are skipped".to_string());
    }
    match &order.options.sort {
        None | Some(OrderBySort::Asc) => Ok(false),
        Some(OrderBySort::Desc) => Ok(true),
        Some(_) => Err("the order is ASC or DESC".to_string()),
    }
}

/// A constant from 0 to 1, with the digits that the text has.
fn fraction(scope: &WindowScope<'_>, name: &str, ast: &Ast) -> Outcome<Fraction> {
    let known = literal::number(ast).and_then(|text| literal::numeric(&text).ok()).and_then(|constant| {
        let (_, scale) = constant.ty.exact()?;
        match &constant.node {
            Node::Literal(value) => match value.value() {
                Value::Decimal(mantissa) => Fraction::new(mantissa.unsigned_abs(), scale),
                _ => None,
            },
            _ => None,
        }
    });
    match known {
        Some(fraction) => Ok(fraction),
        None => {
            let (message, help) = (
                "a percentile is a number from 0 to 1",
                match name {
                    "approx_percentile" => {
                        "write 0.5 for the median: approx_percentile(x, 0.5); no sign, no exponent".to_string()
                    }
                    _ => format!("write 0.5 for the median: {name}(0.5); no sign, no exponent"),
                },
            );
            Err(SqlError { span: place::of(scope.sql(), ast), message: message.to_string(), help: Some(help) })
        }
    }
}
