//! Aggregates: each call becomes states that are kept once, and a result that is read from them.

use super::expression::{self, RowScope, Scope, at, is_null, not, only_where};
use super::split::Split;
use super::{Outcome, SqlError, parametric, place, typing};
use slackwater_core::limits;
use slackwater_core::plan::expr::{Arithmetic, Node};
use slackwater_core::plan::{Accumulate, Expr, Finish, KeyColumn, Result as Aggregate, State};
use slackwater_core::value::Type;
use sqlparser::ast::{
    DuplicateTreatment, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
};
use std::ops::Range;

/// The aggregates.
pub(super) const NAMES: [&str; 18] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "var_pop",
    "var_samp",
    "stddev_pop",
    "stddev_samp",
    "wavg",
    "sum_product",
    "percentile_disc",
    "percentile_cont",
    "top_k",
    "approx_distinct",
    "approx_percentile",
];

/// Names are the group-by columns; calls are aggregates over the rows of a window.
pub(super) struct WindowScope<'a> {
    pub rows: RowScope<'a>,
    pub key: &'a [KeyColumn],
    /// The group-by items as they were written, in the order of the key.
    pub groups: Vec<Ast>,
    /// What a fact that is cut between bars gives in shares.
    pub split: Option<Split>,
    pub states: Vec<State>,
    pub results: Vec<Aggregate>,
}

impl Scope for WindowScope<'_> {
    fn sql(&self) -> &str {
        self.rows.sql
    }

    fn digits(&self) -> u8 {
        limits::WIDE_DIGITS
    }

    fn whole(&mut self, ast: &Ast) -> Option<Expr> {
        let index = self.groups.iter().position(|group| group == ast)?;
        Some(self.key_input(index))
    }

    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident) -> Outcome<Expr> {
        let field = self.rows.column(qualifier, name);
        let same = |key: &KeyColumn| match &field {
            Ok(field) => key.expr == *field,
            Err(_) => qualifier.is_none() && key.name == name.value,
        };
        if let Some(index) = self.key.iter().position(same) {
            return Ok(self.key_input(index));
        }
        field?;
        let message = format!("`{}` has many values in a window", name.value);
        let help = format!("take one, as last({0}) or max({0}), or add `{0}` to GROUP BY", name.value);
        Err(SqlError { span: place::range(self.rows.sql, name.span), message, help: Some(help) })
    }

    fn call(&mut self, name: &str, function: &Function, span: Range<usize>) -> Outcome<Expr> {
        if !NAMES.contains(&name) {
            return self.rows.call(name, function, span);
        }
        let refuse = |message: String, help: Option<&str>| {
            Err(SqlError { span: span.clone(), message, help: help.map(str::to_string) })
        };
        if function.over.is_some() {
            return refuse("OVER is not part of what a pipeline can say: windows stand in GROUP BY".into(), None);
        }
        let ordered = parametric::ORDERED.contains(&name);
        if (!function.within_group.is_empty() && !ordered) || function.null_treatment.is_some() {
            let within = if ordered { "" } else { "no WITHIN GROUP and " };
            return refuse(format!("{name}() takes {within}no NULLS clause; nulls are skipped"), None);
        }
        let filter = match &function.filter {
            None => None,
            Some(filter) => Some(expression::boolean(&mut self.rows, filter)?),
        };
        let (distinct, star) = match &function.args {
            FunctionArguments::List(list) => {
                if !list.clauses.is_empty() {
                    let help = "first and last follow the canonical order: event time, event id, origin";
                    return refuse(format!("{name}() takes no clause behind its arguments"), Some(help));
                }
                let star = matches!(list.args[..], [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
                (list.duplicate_treatment == Some(DuplicateTreatment::Distinct), star)
            }
            _ => (false, false),
        };
        if star && name == "count" && !distinct {
            return Ok(self.count(None, filter));
        }
        if distinct && name != "count" {
            return refuse(format!("{name}(DISTINCT ...) is not known"), Some("count(DISTINCT x) is"));
        }
        if parametric::is_parametric(name) {
            return parametric::call(self, name, function, filter, span);
        }
        let mut values = Vec::new();
        for argument in expression::arguments(&self.rows, function)? {
            values.push(expression::compile(&mut self.rows, argument)?);
        }
        let wanted = if matches!(name, "wavg" | "sum_product") { 2 } else { 1 };
        if values.len() != wanted {
            let help = (name == "count").then_some("write count(*) or count(x)");
            return refuse(format!("{name}() takes {wanted} argument(s), and has {}", values.len()), help);
        }
        let numeric = !matches!(name, "count" | "approx_distinct" | "min" | "max" | "first" | "last");
        if let Some(value) = values.iter().find(|value| numeric && !value.ty.is_numeric()) {
            return refuse(format!("{name}() needs numbers, and this is {}", value.ty), None);
        }
        let second = (wanted == 2).then(|| values.remove(1));
        let first = values.remove(0);
        let compiled = self.aggregate(name, distinct, first, second, filter);
        compiled.or_else(|(message, help)| refuse(message, help.as_deref()))
    }

    fn recast(&mut self, expr: &Expr, ty: Type) -> Option<Expr> {
        let Node::Input(index) = &expr.node else { return None };
        let result = self.results.get(index.checked_sub(self.key.len())?)?;
        // Only what leaves as a quotient or a root was going to be rounded, and only to a double: what a CAST has
        // rounded before is rounded again.
        match (&result.finish, ty) {
            (
                Finish::Mean { .. }
                | Finish::Variance { .. }
                | Finish::Weighted { .. }
                | Finish::Continuous { .. }
                | Finish::Bucket { .. },
                Type::Decimal { .. },
            ) if result.ty == Type::Float64 => {
                let finish = result.finish.clone();
                Some(self.result(ty, true, finish))
            }
            _ => None,
        }
    }
}

impl WindowScope<'_> {
    fn key_input(&self, index: usize) -> Expr {
        let key = &self.key[index].expr;
        Expr { ty: key.ty, nullable: key.nullable, node: Node::Input(index) }
    }

    pub(super) fn state(&mut self, kind: Accumulate, filter: Option<Expr>) -> usize {
        let state = State { filter, kind };
        self.states.iter().position(|known| *known == state).unwrap_or_else(|| {
            self.states.push(state);
            self.states.len() - 1
        })
    }

    pub(super) fn result(&mut self, ty: Type, nullable: bool, finish: Finish) -> Expr {
        let result = Aggregate { ty, finish };
        let index = self.results.iter().position(|known| *known == result).unwrap_or_else(|| {
            self.results.push(result);
            self.results.len() - 1
        });
        Expr { ty, nullable, node: Node::Input(self.key.len() + index) }
    }

    fn count(&mut self, value: Option<Expr>, filter: Option<Expr>) -> Expr {
        let state = self.counting(value, filter);
        self.result(Type::I64, false, Finish::Count(state))
    }

    /// The state that counts the rows in which a value is not null.
    fn counting(&mut self, value: Option<Expr>, filter: Option<Expr>) -> usize {
        self.state(Accumulate::Count(value.filter(|value| value.nullable)), filter)
    }

    fn aggregate(
        &mut self,
        name: &str,
        distinct: bool,
        x: Expr,
        second: Option<Expr>,
        filter: Option<Expr>,
    ) -> Result<Expr, typing::Refused> {
        // A value that can be null, or a filter that can leave nothing, makes a result that can be null.
        let nullable = x.nullable || filter.is_some() || second.as_ref().is_some_and(|y| y.nullable);
        let (ty, argument) = (x.ty, x.ty);
        Ok(match name {
            "count" if distinct => {
                let state = self.state(Accumulate::Values(x), filter);
                self.result(Type::I64, false, Finish::Distinct(state))
            }
            "count" => self.count(Some(x), filter),
            "approx_distinct" => {
                let state = self.state(Accumulate::HyperLogLog(x), filter);
                self.result(Type::I64, false, Finish::HyperLogLog(state))
            }
            "min" | "max" | "first" | "last" => {
                let kind = match name {
                    "min" => Accumulate::Min(x),
                    "max" => Accumulate::Max(x),
                    "first" => Accumulate::First(x),
                    _ => Accumulate::Last(x),
                };
                let state = self.state(kind, filter);
                self.result(ty, nullable, Finish::Value(state))
            }
            "sum" => {
                let count = self.counting(Some(x.clone()), filter.clone());
                let (kind, ty) = match self.split.as_ref().filter(|split| split.shares(&x)) {
                    Some(split) => split.sum(x, sum_type(ty))?,
                    None => (Accumulate::Sum(x), sum_type(ty)),
                };
                let finish = Finish::Sum { sum: self.state(kind, filter), count, scale: scale(argument) };
                self.result(ty, nullable, finish)
            }
            "avg" => {
                let count = self.counting(Some(x.clone()), filter.clone());
                let sum = self.state(Accumulate::Sum(x), filter);
                self.result(Type::Float64, nullable, Finish::Mean { sum, count, scale: scale(ty) })
            }
            "var_pop" | "var_samp" | "stddev_pop" | "stddev_samp" => {
                product_digits(ty, ty)?;
                let count = self.counting(Some(x.clone()), filter.clone());
                let sum = self.state(Accumulate::Sum(x.clone()), filter.clone());
                let squares = self.state(Accumulate::Products(x.clone(), x), filter);
                let (sample, root) = (name.ends_with("samp"), name.starts_with("stddev"));
                let finish = Finish::Variance { sum, squares, count, scale: scale(ty), sample, root };
                self.result(Type::Float64, true, finish)
            }
            _ => self.pairs(name, x, second.expect("two arguments were asked for"), filter)?,
        })
    }

    /// sum_product and wavg: rows in which either side is null count for nothing.
    fn pairs(&mut self, name: &str, x: Expr, y: Expr, filter: Option<Expr>) -> Result<Expr, typing::Refused> {
        product_digits(x.ty, y.ty)?;
        let nullable = x.nullable || y.nullable || filter.is_some();
        let weight = if x.nullable { only_where(not(is_null(x.clone())), y.clone()) } else { y.clone() };
        let count = self.counting(Some(weight.clone()), filter.clone());
        let (sx, sy) = (scale(x.ty), scale(y.ty));
        let (mut ty, mixed) = match (x.ty.exact(), y.ty.exact()) {
            (Some((px, _)), Some((py, _))) => (sum_type(Type::Decimal { precision: px + py, scale: sx + sy }), false),
            (px, py) => (Type::Float64, px.is_some() || py.is_some()),
        };
        // A double stands before what is exact.
        let (first, second) =
            if mixed && y.ty == Type::Float64 { (y.clone(), x.clone()) } else { (x.clone(), y.clone()) };
        let shared = |expr: &Expr| self.split.as_ref().filter(|split| split.shares(expr));
        let products = match shared(&x).or(shared(&y)) {
            None => Accumulate::Products(first, second),
            Some(split) if mixed => split.products(first, second)?,
            Some(split) => {
                let product = typing::arithmetic(Arithmetic::Multiply, x, y.clone(), limits::ROW_DIGITS)?;
                let (products, of) = split.sum(product, ty)?;
                ty = of;
                products
            }
        };
        let weights = match shared(&y) {
            None => Accumulate::Sum(weight),
            // Whether x is null is the same of a share as of the whole fact.
            Some(split) => split.sum(weight, Type::Float64)?.0,
        };
        let products = self.state(products, filter.clone());
        if name == "sum_product" {
            return Ok(self.result(ty, nullable, Finish::Sum { sum: products, count, scale: sx + sy }));
        }
        let weights = self.state(weights, filter);
        let finish = Finish::Weighted { products, weights, count, scale: sx + sy, weight_scale: sy };
        Ok(self.result(Type::Float64, true, finish))
    }
}

fn scale(ty: Type) -> u8 {
    ty.exact().map_or(0, |(_, scale)| scale)
}

/// A sum has room for 2^63 values.
fn sum_type(ty: Type) -> Type {
    match ty.exact() {
        Some((precision, scale)) => Type::Decimal { precision: precision + limits::SUM_HEADROOM_DIGITS, scale },
        None => Type::Float64,
    }
}

fn product_digits(x: Type, y: Type) -> Result<(), typing::Refused> {
    if let (Some((px, _)), Some((py, _))) = (x.exact(), y.exact())
        && px + py > limits::ROW_DIGITS
    {
        let message = format!("products of {x} and {y} could have more than {} digits", limits::ROW_DIGITS);
        return Err((message, Some("CAST a side to a decimal with fewer digits".into())));
    }
    Ok(())
}

/// Puts a selected expression together with its name.
pub(super) fn select_item(scope: &mut WindowScope<'_>, ast: &Ast) -> Outcome<Expr> {
    let expr = expression::compile(scope, ast)?;
    at(scope, ast, if expr.is_null_literal() { Err(("a column of nothing but null".into(), None)) } else { Ok(expr) })
}
