//! Constants: numbers keep their digits, so that 0.10 is the decimal 0.10 and never a float.

use super::{Outcome, SqlError, place};
use slackwater_core::limits;
use slackwater_core::number::decimal;
use slackwater_core::plan::Expr;
use slackwater_core::value::{Scalar, Type, Value};
use sqlparser::ast::{Expr as Ast, Value as Sql, ValueWithSpan};

/// A literal as a typed constant. NULL takes its type from what it stands beside; alone it counts as a bool.
pub(super) fn compile(sql: &str, value: &ValueWithSpan) -> Outcome<Expr> {
    let span = || place::range(sql, value.span);
    match &value.value {
        Sql::Null => Ok(Expr::literal(Type::Bool, Scalar::NULL)),
        Sql::Boolean(b) => Ok(Expr::literal(Type::Bool, Value::Bool(*b).to_scalar())),
        Sql::SingleQuotedString(text) => Ok(Expr::literal(Type::Text, Value::Text(text.as_bytes()).to_scalar())),
        Sql::Number(text, _) => numeric(text).map_err(|message| SqlError { span: span(), message, help: None }),
        other => Err(SqlError {
            span: span(),
            message: format!("{other} is no constant that a pipeline knows"),
            help: Some("write a number, 'text', TRUE, FALSE, NULL, or TIMESTAMP '2026-01-02T03:04:05Z'".into()),
        }),
    }
}

/// A number as a typed constant.
pub(super) fn numeric(text: &str) -> Result<Expr, String> {
    if text.contains(['e', 'E']) {
        return match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Expr::literal(Type::Float64, Value::F64(x).to_scalar())),
            _ => Err(format!("{text} is beyond the range of float64")),
        };
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    let most = usize::from(limits::DECIMAL_DIGITS);
    if digits > most {
        return Err(format!("{text} has {digits} digits; a decimal has at most {most}"));
    }
    let (precision, scale) = (digits.max(1) as u8, fraction.len() as u8);
    let mantissa = decimal::parse(format!("0{text}").trim_end_matches('.').as_bytes(), precision, scale);
    let mantissa = mantissa.map_err(|_| format!("{text} is not a number"))?;
    Ok(Expr::literal(Type::Decimal { precision, scale }, Value::Decimal(mantissa).to_scalar()))
}

/// The content of a quoted text.
pub(super) fn text(ast: &Ast) -> Option<String> {
    match ast {
        Ast::Value(ValueWithSpan { value: Sql::SingleQuotedString(text), .. }) => Some(text.clone()),
        _ => None,
    }
}

/// The digits of a number.
pub(super) fn number(ast: &Ast) -> Option<String> {
    match ast {
        Ast::Value(ValueWithSpan { value: Sql::Number(text, _), .. }) => Some(text.clone()),
        _ => None,
    }
}
