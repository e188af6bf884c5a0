//! Places in SQL text: the parser counts lines and characters, errors point at bytes.
//!
//! The parser's spans leave out much of what was written (of a CAST all but its argument, of a call its parentheses), so
//! the words around a span are looked at again where an expression is to be shown whole.

use sqlparser::ast::{
    CastKind, Expr as Ast, Function, GroupByExpr, ObjectName, SelectItem, Spanned, TableFactor, TableWithJoins,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};
use std::ops::Range;

/// A parsed piece of the text that has a place in it.
pub(super) trait Piece {
    /// Its bytes.
    fn bytes(&self, sql: &str) -> Range<usize>;
}

impl Piece for Ast {
    fn bytes(&self, sql: &str) -> Range<usize> {
        Words::of(sql).expression(self)
    }
}

impl Piece for Function {
    fn bytes(&self, sql: &str) -> Range<usize> {
        Words::of(sql).call(self)
    }
}

macro_rules! as_the_parser_says {
    ($($piece:ty),*) => {
        $(impl Piece for $piece {
            fn bytes(&self, sql: &str) -> Range<usize> {
                range(sql, self.span())
            }
        })*
    };
}

as_the_parser_says!(GroupByExpr, ObjectName, TableWithJoins);

impl Piece for SelectItem {
    fn bytes(&self, sql: &str) -> Range<usize> {
        let words = Words::of(sql);
        let at = range(sql, self.span());
        // Of `t.*` the parser shows the `t`, of `*` the star.
        match self {
            SelectItem::QualifiedWildcard(..) => at.start..words.find_after(at.end, &Token::Mul).unwrap_or(at.end),
            _ => at,
        }
    }
}

impl Piece for TableFactor {
    fn bytes(&self, sql: &str) -> Range<usize> {
        let words = Words::of(sql);
        let at = range(sql, self.span());
        match self {
            TableFactor::Derived { .. } => words.enclosing(at.clone()).map_or(at, |around| around.0),
            // Whatever stands behind the name belongs to it, up to the next clause.
            TableFactor::Table { .. } => at.start..words.clause_end(at.start).max(at.end),
            _ => at,
        }
    }
}

/// The bytes of a parsed piece.
pub(super) fn of(sql: &str, piece: &impl Piece) -> Range<usize> {
    piece.bytes(sql)
}

/// The words of the text with their places.
struct Words<'a> {
    sql: &'a str,
    words: Vec<(Token, Range<usize>)>,
}

impl<'a> Words<'a> {
    fn of(sql: &'a str) -> Self {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().unwrap_or_default();
        let words = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        Words { sql, words: words.map(|word| (word.token, range(sql, word.span))).collect() }
    }

    fn expression(&self, ast: &Ast) -> Range<usize> {
        let raw = range(self.sql, ast.span());
        match ast {
            Ast::Nested(inner) => {
                let inner = self.expression(inner);
                self.enclosing(inner.clone()).map_or(inner, |around| around.0)
            }
            Ast::Function(call) => self.call(call),
            Ast::Cast { kind: CastKind::DoubleColon, expr, .. } => {
                let from = self.expression(expr);
                let ty = self.words.iter().filter(|(_, word)| word.start >= from.end).nth(1);
                let end = ty.map_or(from.end, |(_, word)| self.closing(word.end).unwrap_or(word.end));
                from.start..end
            }
            Ast::Cast { expr, .. }
            | Ast::Extract { expr, .. }
            | Ast::Ceil { expr, .. }
            | Ast::Floor { expr, .. }
            | Ast::Substring { expr, .. }
            | Ast::Trim { expr, .. } => {
                let inner = self.expression(expr);
                self.enclosing(inner.clone())
                    .map_or(inner, |(around, before)| before.unwrap_or(around.start)..around.end)
            }
            Ast::UnaryOp { expr, .. } => {
                let inner = self.expression(expr);
                self.before(inner.start).unwrap_or(inner.start)..inner.end
            }
            Ast::BinaryOp { left, right, .. } => self.expression(left).start..self.expression(right).end,
            Ast::Between { expr, high, .. } => self.expression(expr).start..self.expression(high).end,
            Ast::InList { expr, list, .. } => {
                let from = self.expression(expr);
                let last = list.last().map_or(from.clone(), |last| self.expression(last));
                from.start..self.enclosing(last.clone()).map_or(last.end, |around| around.0.end)
            }
            Ast::InSubquery { expr, subquery, .. } => {
                let inner = range(self.sql, subquery.span());
                self.expression(expr).start..self.enclosing(inner.clone()).map_or(inner.end, |around| around.0.end)
            }
            Ast::Exists { subquery, .. } | Ast::Subquery(subquery) => {
                let inner = range(self.sql, subquery.span());
                let exists = matches!(ast, Ast::Exists { .. });
                self.enclosing(inner.clone())
                    .map_or(inner, |(around, before)| before.filter(|_| exists).unwrap_or(around.start)..around.end)
            }
            Ast::Interval(interval) => {
                let inner = self.expression(&interval.value);
                let unit = interval.leading_field.is_some();
                let unit = self.words.iter().find(|(_, word)| unit && word.start >= inner.end);
                let end = unit.map_or(inner.end, |(_, word)| word.end);
                self.before(inner.start).unwrap_or(inner.start)..end
            }
            Ast::Like { expr, pattern, .. } => self.expression(expr).start..self.expression(pattern).end,
            _ => raw,
        }
    }

    /// A call with its arguments and what stands behind them.
    fn call(&self, call: &Function) -> Range<usize> {
        let from = range(self.sql, call.name.span());
        let mut end = self.closing(from.end).unwrap_or(from.end);
        // FILTER (...), OVER (...) and the like belong to it.
        while let Some((_, word)) = self.words.iter().find(|(_, word)| word.start >= end) {
            end = match self.sql[word.clone()].to_ascii_uppercase().as_str() {
                "FILTER" | "OVER" => self.closing(word.end).unwrap_or(word.end),
                "IGNORE" | "RESPECT" | "NULLS" => word.end,
                _ => break,
            };
        }
        from.start..end
    }

    /// Where the word before a place begins.
    fn before(&self, place: usize) -> Option<usize> {
        self.words.iter().rev().find(|(_, word)| word.end <= place).map(|(_, word)| word.start)
    }

    /// The nearest parentheses around a place, and where the word before them begins.
    fn enclosing(&self, inner: Range<usize>) -> Option<(Range<usize>, Option<usize>)> {
        let mut depth = 0;
        let (open, (_, from)) = self.words.iter().enumerate().rev().find(|(_, (token, word))| {
            if word.end <= inner.start {
                depth += i32::from(*token == Token::LParen) - i32::from(*token == Token::RParen);
            }
            depth > 0
        })?;
        let before = open.checked_sub(1).map(|before| self.words[before].1.start);
        Some((from.start..self.closing(from.start)?, before))
    }

    /// The end of the parentheses that open with the first word behind a place.
    fn closing(&self, place: usize) -> Option<usize> {
        let mut depth = 0;
        for (token, word) in self.words.iter().filter(|(_, word)| word.start >= place) {
            depth += i32::from(*token == Token::LParen) - i32::from(*token == Token::RParen);
            if depth == 0 {
                return (*token == Token::RParen).then_some(word.end);
            }
        }
        None
    }

    fn find_after(&self, place: usize, wanted: &Token) -> Option<usize> {
        self.words.iter().find(|(token, word)| word.start >= place && token == wanted).map(|(_, word)| word.end)
    }

    /// Where the clause ends that a place is in.
    fn clause_end(&self, place: usize) -> usize {
        let ends =
            |word: &str| ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"].contains(&word.to_ascii_uppercase().as_str());
        let inside = self.words.iter().filter(|(_, word)| word.start >= place);
        let inside = inside.take_while(|(_, word)| !ends(&self.sql[word.clone()]));
        inside.last().map_or(place, |(_, word)| word.end)
    }
}

/// The bytes of a span; never empty where there is text, so that there is something to underline.
pub(super) fn range(sql: &str, span: Span) -> Range<usize> {
    let end = sql.trim_end().len();
    if span == Span::empty() {
        return 0..end;
    }
    let from = byte(sql, span.start).min(end.saturating_sub(1));
    let to = byte(sql, span.end).clamp(from, sql.len());
    let next = sql[from..].chars().next().map_or(from, |c| from + c.len_utf8());
    from..to.max(next)
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
    let start = sql[..end].char_indices().next_back().map_or(0, |(start, _)| start);
    let last = start..end;
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
