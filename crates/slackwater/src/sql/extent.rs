//! How large an expression may be. Parsed and compiled expressions are walked by recursion, so their depth is bounded
//! before there is one; and some forms copy their parts, so their size is bounded while they grow.

use super::{Outcome, SqlError, place};
use slackwater_core::limits;
use slackwater_core::plan::Expr;
use slackwater_core::plan::expr::Node;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::Range;

/// Most tokens that one expression may have between its commas, those around its parentheses included: no chain of
/// operators is deeper than half as many.
const CHAIN_TOKENS: usize = 2_000;

/// Refuses chains of operators that are too deep to be walked. The parser itself bounds only what it recurses into.
pub(super) fn chains(sql: &str, tokens: &[TokenWithSpan]) -> Outcome<()> {
    let (mut levels, mut total, mut before) = (vec![0], 0, Keyword::NoKeyword);
    for token in tokens {
        let last = levels.len() - 1;
        let keyword = match &token.token {
            Token::Whitespace(_) => continue,
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let within = std::mem::replace(&mut before, keyword) == Keyword::WITHIN;
        match (&token.token, keyword) {
            // The GROUP of WITHIN GROUP begins nothing new.
            (_, Keyword::GROUP) if within => {}
            (Token::Comma, _)
            | (_, Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::WHERE | Keyword::GROUP | Keyword::HAVING) => {
                total -= std::mem::take(&mut levels[last]);
            }
            (Token::RParen, _) | (_, Keyword::END) if last > 0 => total -= levels.pop().unwrap_or(0),
            _ => {
                levels[last] += 1;
                total += 1;
                if token.token == Token::LParen || keyword == Keyword::CASE {
                    levels.push(0);
                }
            }
        }
        if levels.len() > limits::EXPR_DEPTH {
            return Err(too_deep(place::range(sql, token.span)));
        }
        if total > CHAIN_TOKENS {
            let message = format!("this expression is too long: it has more than {CHAIN_TOKENS} words and signs");
            let help = Some("split it into several columns; many values of one column are IN (...)".to_string());
            return Err(SqlError { span: place::range(sql, token.span), message, help });
        }
    }
    Ok(())
}

/// The refusal of what is nested beyond [`limits::EXPR_DEPTH`].
pub(super) fn too_deep(span: Range<usize>) -> SqlError {
    let help = Some(format!("at most {} levels are allowed", limits::EXPR_DEPTH));
    SqlError { span, message: "the expression is nested too deeply".to_string(), help }
}

/// Whether an expression, so many times over, has more nodes than an expression may have.
pub(super) fn is_too_large(expr: &Expr, times: usize) -> bool {
    nodes(expr).saturating_mul(times) > limits::EXPR_NODES
}

fn nodes(expr: &Expr) -> usize {
    1 + match &expr.node {
        Node::Input(_) | Node::Literal(_) => 0,
        Node::Negate(a) | Node::Absolute(a) | Node::SquareRoot(a) | Node::Cast(a) | Node::Not(a) | Node::IsNull(a) => {
            nodes(a)
        }
        Node::Arithmetic(_, a, b) | Node::Divide(a, b) | Node::Compare(_, a, b) | Node::And(a, b) | Node::Or(a, b) => {
            nodes(a) + nodes(b)
        }
        Node::Case(branches, otherwise) => {
            branches.iter().map(|(condition, value)| nodes(condition) + nodes(value)).sum::<usize>() + nodes(otherwise)
        }
    }
}
