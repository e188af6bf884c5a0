//! Places in SQL text: the parser counts lines and characters, errors point at bytes.

use sqlparser::ast::Spanned;
use sqlparser::tokenizer::{Location, Span};
use std::ops::Range;

/// The bytes of a parsed piece.
pub(super) fn of(sql: &str, piece: &impl Spanned) -> Range<usize> {
    range(sql, piece.span())
}

/// The bytes of a span; never empty where there is text, so that there is something to underline.
pub(super) fn range(sql: &str, span: Span) -> Range<usize> {
    let end = sql.trim_end().len();
    if span == Span::empty() {
        return 0..end;
    }
    let from = byte(sql, span.start).min(end.saturating_sub(1));
    let mut to = byte(sql, span.end).clamp(from, sql.len());
    // A call's span ends before its closing parenthesis.
    let inside = &sql[from..to];
    let open = inside.matches('(').count().saturating_sub(inside.matches(')').count());
    for _ in 0..open {
        if let Some(close) = sql[to..].find(')') {
            to += close + 1;
        }
    }
    from..to.max((from + 1).min(sql.len()))
}

fn byte(sql: &str, at: Location) -> usize {
    let mut start = 0;
    for _ in 1..at.line.max(1) {
        match sql[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return sql.len(),
        }
    }
    let column = (at.column.max(1) - 1) as usize;
    sql[start..].char_indices().nth(column).map_or(sql.len(), |(offset, _)| start + offset)
}

/// Takes the ` at Line: 1, Column: 8` off a parser's message and gives the place.
pub(super) fn split_location(sql: &str, message: &str) -> (String, Range<usize>) {
    let end = sql.trim_end().len();
    let last = end.saturating_sub(1)..end;
    let Some((text, place)) = message.rsplit_once(" at Line: ") else { return (message.to_string(), last) };
    let numbers = place.split_once(", Column: ");
    let parsed = numbers.and_then(|(line, column)| Some((line.trim().parse().ok()?, column.trim().parse().ok()?)));
    let Some((line, column)) = parsed else { return (message.to_string(), last) };
    let from = byte(sql, Location { line, column });
    let from = if from >= end { last.start } else { from };
    let word = sql[from..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(sql.len() - from).max(1);
    let mut to = (from + word).min(sql.len());
    while !sql.is_char_boundary(to) {
        to += 1;
    }
    (text.to_string(), from..to)
}
