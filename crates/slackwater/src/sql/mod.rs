//! SELECT text to a core plan.
//!
//! One SELECT over one source, typed against its schema. What the subset does not know is refused, with the place and
//! what to write instead; nothing is silently ignored.

mod aggregates;
mod bars;
mod expression;
mod extent;
mod interval;
mod literal;
mod parametric;
mod place;
mod select;
mod split;
mod typing;
mod windows;

pub use split::bound;

use slackwater_core::limits;
use slackwater_core::plan::{Expr, Pipeline, Source};
use slackwater_core::schema::Schema;
use slackwater_core::value::Type;
use sqlparser::ast::{SetExpr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};
use std::ops::Range;

/// Names that every output row has, so that no column may be called so.
pub const RESERVED: [&str; 11] = [
    "pipeline",
    "window_start",
    "window_end",
    "anchor",
    "bar",
    "complete",
    "tier",
    "generation",
    "cause",
    "removed",
    "digest",
];

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// The place, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.span.start)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, ": {help}"))
    }
}

impl std::error::Error for SqlError {}

type Outcome<T> = Result<T, SqlError>;

/// Compiles one SELECT into the pipeline `name`.
pub fn compile_pipeline(name: &str, sql: &str, sources: &[Source]) -> Outcome<Pipeline> {
    if sql.len() > limits::SQL_BYTES {
        let message = format!("the SELECT has {} bytes; at most {} are allowed", sql.len(), limits::SQL_BYTES);
        return Err(SqlError { span: 0..sql.len().min(1), message, help: None });
    }
    let mut parser = parser(sql)?;
    let mut statements = parser.parse_statements().map_err(|error| syntax(sql, &parser, error))?;
    let whole = 0..sql.trim_end().len();
    let refuse = |message: &str| {
        let help = Some("write one SELECT ... FROM source GROUP BY ..., tumble(ts, INTERVAL '1 minute')".to_string());
        Err(SqlError { span: whole.clone(), message: message.to_string(), help })
    };
    let query = match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => query,
        (None, _) => return refuse("there is no SELECT here"),
        (_, false) => return refuse("a pipeline is one SELECT, and this is more than one statement"),
        (Some(_), true) => return refuse("a pipeline is a SELECT, and this is another statement"),
    };
    select::refuse_around(sql, &query)?;
    match *query.body {
        SetExpr::Select(select) => select::compile(name, sql, &select, sources),
        _ => refuse("a pipeline is one SELECT: UNION, VALUES and nested queries are not part of it"),
    }
}

/// Compiles a `require` guard: a condition over one row.
pub fn compile_guard(text: &str, source: &str, schema: &Schema) -> Outcome<Expr> {
    let mut parser = parser(text)?;
    let parsed = parser.parse_expr().map_err(|error| syntax(text, &parser, error))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        let span = place::range(text, rest.span);
        let message = "a guard is one condition, and more text follows it".to_string();
        return Err(SqlError { span, message, help: Some("join conditions with AND, or list them apart".into()) });
    }
    let scope = expression::RowScope { sql: text, schema, names: vec![source.to_string()] };
    let expr = expression::compile(&mut { scope }, &parsed)?;
    if expr.ty != Type::Bool {
        let message = format!("a guard must be true or false, and this is {}", expr.ty);
        return Err(SqlError {
            span: place::of(text, &parsed),
            message,
            help: Some("write a comparison: price > 0".into()),
        });
    }
    Ok(expr)
}

fn parser(sql: &str) -> Outcome<Parser<'static>> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(limits::EXPR_DEPTH);
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| syntax(sql, &parser, error.into()))?;
    extent::chains(sql, &tokens)?;
    Ok(parser.with_tokens_with_locations(tokens))
}

fn syntax(sql: &str, parser: &Parser<'_>, error: ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return extent::too_deep(place::range(sql, parser.get_current_token().span));
        }
    };
    let (message, span) = place::split_location(sql, &text);
    SqlError { span, message: format!("this is not SQL: {message}"), help: None }
}
