//! Bars in GROUP BY: by number of facts, by a measure that reaches a threshold, or by a condition.

use super::aggregates::{self, WindowScope};
use super::expression::{self, RowScope, Scope, arguments, refuse};
use super::{Outcome, SqlError, literal, place, split};
use slackwater_core::limits;
use slackwater_core::number::{I384, decimal};
use slackwater_core::plan::expr::{Comparison, Node};
use slackwater_core::plan::{Bars, Break, Cut, Expr, Overshoot, Source};
use slackwater_core::value::Type;
use slackwater_core::window::Anchor;
use sqlparser::ast::{Expr as Ast, Function, Ident};
use std::ops::Range;

/// The bars that a call makes.
pub(super) fn compile(
    scope: &RowScope<'_>,
    source: &Source,
    name: &str,
    ast: &Ast,
    function: &Function,
) -> Outcome<Bars> {
    let arguments = arguments(scope, function)?;
    let (anchor, cut) = match (name, &arguments[..]) {
        ("tick_bar", [count, anchor @ ..]) if anchor.len() < 2 => (anchor, ticks(scope, count)?),
        ("break_when", [condition, anchor @ ..]) if anchor.len() < 2 => (anchor, breaks(scope, condition)?),
        ("volume_bar" | "value_bar", [measure, threshold, rest @ ..]) if rest.len() < 3 => {
            let (rule, anchor) = rest.split_at(rest.len().min(1));
            (anchor, measured(scope, source, (measure, threshold), rule.first().copied())?)
        }
        _ => {
            let help = match name {
                "tick_bar" => "write tick_bar(500), or tick_bar(500, 'day America/New_York')",
                "volume_bar" => "write volume_bar(size, 500000, 'split'), with an anchor behind it if need be",
                "value_bar" => "write value_bar(price * size, 5000000, 'split'), with an anchor behind it if need be",
                _ => "write break_when(price > 2 * prev(price)), with an anchor behind it if need be",
            };
            return refuse(scope, ast, &format!("{name}() does not take {} arguments", arguments.len()), Some(help));
        }
    };
    let anchor = anchor.first().map_or(Ok(Anchor::None), |anchor| self::anchor(scope, anchor))?;
    Ok(Bars { anchor, cut })
}

fn ticks(scope: &RowScope<'_>, ast: &Ast) -> Outcome<Cut> {
    match literal::number(ast).and_then(|text| text.parse().ok()) {
        Some(count) if count > 0 => Ok(Cut::Ticks(count)),
        _ => refuse(scope, ast, "a tick bar holds a whole number of facts, at least one", Some("write tick_bar(500)")),
    }
}

fn measured(
    scope: &RowScope<'_>,
    source: &Source,
    (measure, threshold): (&Ast, &Ast),
    rule: Option<&Ast>,
) -> Outcome<Cut> {
    let of = expression::compile(&mut scope.clone(), measure)?;
    let fields = split::factors(&of)
        .filter(|fields| fields.iter().all(|field| scope.schema.fields()[*field].ty.exact().is_some()));
    let Some(fields) = fields else {
        let help = "write a decimal column, or a product of such: price * size";
        return refuse(scope, measure, "bars are measured in exact numbers", Some(help));
    };
    for field in fields {
        let field_name = &scope.schema.fields()[field].name;
        if scope.schema.fields()[field].nullable {
            let message = format!("`{field_name}` can be null, and a fact without a measure is in no bar");
            return refuse(scope, measure, &message, Some("take the ? from its type, so that nulls are refused"));
        }
        if !source.guards.require.iter().any(|guard| guards(&guard.expr, field)) {
            let message = format!("`{field_name}` may be below zero, and a bar never runs backwards");
            let help = format!("add \"{field_name} >= 0\" to the source's `require`");
            return refuse(scope, measure, &message, Some(&help));
        }
    }
    let rule = match rule.map(|rule| (rule, literal::text(rule))) {
        None => Overshoot::Split,
        Some((_, Some(text))) if text == "whole" => Overshoot::Whole,
        Some((_, Some(text))) if text == "carry" => Overshoot::Carry,
        Some((_, Some(text))) if text == "split" => Overshoot::Split,
        Some((rule, _)) => {
            let help = "write 'whole', 'carry' or 'split'; an anchor stands behind it";
            return refuse(scope, rule, "this is no rule for the fact that reaches the threshold", Some(help));
        }
    };
    let scale = of.ty.exact().map_or(0, |(_, scale)| scale);
    let Some(threshold_value) = amount(threshold, scale) else {
        let message = format!("a threshold is a number above zero, with at most {scale} decimal places here");
        return refuse(scope, threshold, &message, None);
    };
    Ok(Cut::Measure { of, threshold: threshold_value, rule })
}

/// A literal as a mantissa at this scale, if it is above zero and has no more places.
fn amount(ast: &Ast, scale: u8) -> Option<I384> {
    let text = literal::number(ast).filter(|text| !text.contains(['e', 'E']))?;
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let own = u8::try_from(places).ok()?;
    let mantissa =
        decimal::parse(format!("0{text}").trim_end_matches('.').as_bytes(), limits::DECIMAL_DIGITS, own).ok()?;
    let mantissa = match own <= scale {
        true => I384::from_i128(mantissa).checked_mul_pow10((scale - own).into())?,
        false => I384::from_i128(decimal::rescale(mantissa, own, scale)?),
    };
    (mantissa > I384::ZERO).then_some(mantissa)
}

/// Whether a guard leaves a field no value below zero.
fn guards(guard: &Expr, field: usize) -> bool {
    let is_field = |expr: &Expr| matches!(expr.node, Node::Input(index) if index == field);
    let not_below = |expr: &Expr| matches!(&expr.node, Node::Literal(value) if value.value().as_i128().is_some_and(|bound| bound >= 0));
    match &guard.node {
        Node::And(a, b) => guards(a, field) || guards(b, field),
        Node::Compare(Comparison::Greater | Comparison::GreaterOrEqual, a, b) => is_field(a) && not_below(b),
        Node::Compare(Comparison::Less | Comparison::LessOrEqual, a, b) => not_below(a) && is_field(b),
        _ => false,
    }
}

fn anchor(scope: &RowScope<'_>, ast: &Ast) -> Outcome<Anchor> {
    let help = "write 'none', 'day America/New_York', or '09:30 America/New_York'";
    let text = literal::text(ast).unwrap_or_default();
    if text == "none" {
        return Ok(Anchor::None);
    }
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
        Some((hour.parse().ok()?, minute.parse().ok()?))
    };
    let parts = text.split_once(' ').and_then(|(when, zone)| match when {
        "day" => Some((0, 0, zone)),
        _ => time(when).map(|(hour, minute)| (hour, minute, zone)),
    });
    let Some((hour, minute, zone)) = parts else {
        return refuse(scope, ast, "an anchor says when bars begin anew", Some(help));
    };
    Anchor::daily(hour, minute, zone.trim()).map_err(|error| SqlError {
        span: place::of(scope.sql, ast),
        message: error.0,
        help: Some(help.to_string()),
    })
}

fn breaks(scope: &RowScope<'_>, ast: &Ast) -> Outcome<Cut> {
    let fields = scope.schema.fields().len();
    let open = WindowScope {
        rows: scope.clone(),
        key: &[],
        groups: Vec::new(),
        split: None,
        states: Vec::new(),
        results: Vec::new(),
    };
    let mut scope = BreakScope { open, fields };
    let condition = expression::boolean(&mut scope, ast)?;
    let WindowScope { states, results, .. } = scope.open;
    Ok(Cut::Break(Break { condition, fields, states, results }))
}

/// Names are the fields of the fact, `prev(name)` those of the key's previous fact; aggregates are those of the open bar
/// without this fact.
struct BreakScope<'a> {
    open: WindowScope<'a>,
    fields: usize,
}

impl Scope for BreakScope<'_> {
    fn sql(&self) -> &str {
        self.open.sql()
    }

    fn digits(&self) -> u8 {
        limits::WIDE_DIGITS
    }

    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident) -> Outcome<Expr> {
        self.open.rows.column(qualifier, name)
    }

    fn call(&mut self, name: &str, function: &Function, span: Range<usize>) -> Outcome<Expr> {
        if name == "prev" {
            let column = match arguments(self, function)?[..] {
                [Ast::Identifier(name)] => Some((None, name)),
                [Ast::CompoundIdentifier(parts)] if parts.len() == 2 => Some((Some(&parts[0]), &parts[1])),
                _ => None,
            };
            let Some((qualifier, column)) = column else {
                let message = "prev() takes one column, of the key's previous fact".to_string();
                return Err(SqlError { span, message, help: Some("write prev(price)".into()) });
            };
            let mut expr = self.open.rows.column(qualifier, column)?;
            expr.visit_inputs(&mut |field| *field += self.fields);
            // The first fact has none before it.
            return Ok(Expr { nullable: true, ..expr });
        }
        if !aggregates::NAMES.contains(&name) {
            return self.open.rows.call(name, function, span);
        }
        let mut expr = self.open.call(name, function, span)?;
        expr.visit_inputs(&mut |result| *result += 2 * self.fields);
        Ok(expr)
    }

    fn recast(&mut self, expr: &Expr, ty: Type) -> Option<Expr> {
        let Node::Input(index) = &expr.node else { return None };
        let node = Node::Input(index.checked_sub(2 * self.fields)?);
        let mut recast = self.open.recast(&Expr { node, ..expr.clone() }, ty)?;
        recast.visit_inputs(&mut |result| *result += 2 * self.fields);
        Some(recast)
    }
}
