//! The clauses of a SELECT.

use super::aggregates::{WindowScope, select_item};
use super::expression::{self, RowScope, nearest};
use super::split::Split;
use super::{Outcome, RESERVED, SqlError, place, windows};
use slackwater_core::plan::expr::Node;
use slackwater_core::plan::{Column, Expr, KeyColumn, Pipeline, Result as Aggregate, Source, Windowing};
use sqlparser::ast::{Expr as Ast, GroupByExpr, Ident, LimitClause, Query, Select, SelectItem, TableFactor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeSet;
use std::ops::Range;

/// Refuses what stands around a SELECT.
pub(super) fn refuse_around(sql: &str, query: &Query) -> Outcome<()> {
    let rows = "rows come out by pipeline, window start and key; `query` can sort and cut them";
    let only_offset = matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit: None, .. }));
    let clauses: [(bool, &str, &str); 8] = [
        (query.with.is_some(), "WITH", "make the inner query a pipeline of its own"),
        (query.order_by.is_some(), "ORDER BY", rows),
        (query.limit_clause.is_some() && !only_offset, "LIMIT", rows),
        (only_offset, "OFFSET", rows),
        (query.fetch.is_some(), "FETCH", rows),
        (!query.locks.is_empty() || query.for_clause.is_some(), "FOR", "leave it out"),
        (query.settings.is_some() || query.format_clause.is_some(), "SETTINGS", "leave it out"),
        (!query.pipe_operators.is_empty(), "|>", "leave it out"),
    ];
    refuse_clauses(sql, &clauses)
}

fn refuse_clauses(sql: &str, clauses: &[(bool, &str, &str)]) -> Outcome<()> {
    for (there, clause, help) in clauses {
        if *there {
            let message = format!("{clause} is not part of what a pipeline can say");
            return Err(SqlError { span: word(sql, clause), message, help: Some((*help).to_string()) });
        }
    }
    Ok(())
}

/// Where a keyword stands, outside of parentheses, quotes and comments; the whole text if it is not found.
fn word(sql: &str, keyword: &str) -> Range<usize> {
    let first = keyword.split(' ').next().unwrap_or(keyword);
    let mut depth = 0;
    for token in Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().unwrap_or_default() {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            other if depth == 0 && other.to_string().eq_ignore_ascii_case(first) => {
                return place::range(sql, token.span);
            }
            _ => {}
        }
    }
    0..sql.trim_end().len()
}

/// Compiles a SELECT.
pub(super) fn compile(name: &str, sql: &str, select: &Select, sources: &[Source]) -> Outcome<Pipeline> {
    refuse_clauses(
        sql,
        &[
            (select.distinct.is_some(), "DISTINCT", "rows of one key and window are one row already"),
            (select.top.is_some(), "TOP", "leave it out"),
            (select.into.is_some(), "INTO", "the pipeline's name names its result"),
            (!select.lateral_views.is_empty(), "LATERAL", "leave it out"),
            (select.prewhere.is_some(), "PREWHERE", "write WHERE"),
            (!select.connect_by.is_empty(), "CONNECT", "leave it out"),
            (!select.cluster_by.is_empty(), "CLUSTER", "leave it out"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE", "leave it out"),
            (!select.sort_by.is_empty(), "SORT", "leave it out"),
            (!select.named_window.is_empty(), "WINDOW", "windows stand in GROUP BY: tumble(ts, INTERVAL '1 minute')"),
            (select.qualify.is_some(), "QUALIFY", "write HAVING"),
            (select.exclude.is_some(), "EXCLUDE", "name the columns"),
            (select.select_modifiers.is_some(), "SELECT", "leave the words behind SELECT out"),
            (select.value_table_mode.is_some(), "AS", "leave AS STRUCT and AS VALUE out"),
        ],
    )?;
    let (source, names) = source(sql, select, sources)?;
    let schema = &sources[source].schema;
    let mut rows = RowScope { sql, schema, names };
    let filter = select.selection.as_ref().map(|filter| expression::boolean(&mut rows, filter)).transpose()?;
    let (windowing, groups) = group_by(&mut rows, &sources[source], select)?;
    let (key, groups) = key_columns(&mut rows, select, groups)?;
    let split = Split::of(&windowing);
    let mut scope = WindowScope { rows, key: &key, groups, split, states: Vec::new(), results: Vec::new() };
    let mut columns = columns(&mut scope, select)?;
    let mut having = select.having.as_ref().map(|having| expression::boolean(&mut scope, having)).transpose()?;
    let WindowScope { states, results, .. } = scope;
    let read = columns.iter_mut().map(|column| &mut column.expr).chain(&mut having);
    let results = keep_read(key.len(), results, read.collect());
    let name = name.to_string();
    Ok(Pipeline { name, source: source as u16, filter, key, windowing, states, results, columns, having })
}

/// The results that an expression reads, renumbered. A CAST leaves the result that it replaces without a reader, and a
/// null in that one would be counted a second time.
fn keep_read(keys: usize, results: Vec<Aggregate>, mut exprs: Vec<&mut Expr>) -> Vec<Aggregate> {
    let mut read = BTreeSet::new();
    for expr in &mut exprs {
        expr.visit_inputs(&mut |index| {
            read.insert(*index);
        });
    }
    read.retain(|index| *index >= keys);
    for expr in exprs {
        expr.visit_inputs(&mut |index| {
            if *index >= keys {
                *index = keys + read.range(..*index).count();
            }
        });
    }
    read.into_iter().map(|index| results[index - keys].clone()).collect()
}

/// The source of FROM, with the names that may stand before its fields.
fn source(sql: &str, select: &Select, sources: &[Source]) -> Outcome<(usize, Vec<String>)> {
    let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let fail = |span: Range<usize>, message: String| {
        Err(SqlError { span, message, help: Some(format!("sources are {}", known.join(", "))) })
    };
    let table = match &select.from[..] {
        [table] if table.joins.is_empty() => &table.relation,
        [] => return fail(0..sql.trim_end().len(), "FROM is missing: a pipeline reads one source".into()),
        [first, ..] => {
            return fail(place::of(sql, first), "a pipeline reads one source; joins are not known yet".into());
        }
    };
    let TableFactor::Table { name, alias, .. } = table else {
        return fail(place::of(sql, table), "a pipeline reads a source by its name".into());
    };
    // Put together again from these two, it is the same: nothing else was said.
    let bare = alias.as_ref().map_or(name.to_string(), |alias| {
        let word = if alias.explicit { "AS " } else { "" };
        format!("{name} {word}{}", alias.name)
    });
    if table.to_string() != bare {
        return fail(place::of(sql, table), "a source has a name, and at most an alias".into());
    }
    let wanted = name.to_string().trim_matches('"').to_string();
    let Some(index) = known.iter().position(|source| *source == wanted) else {
        let near = nearest(&wanted, &known).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return fail(place::of(sql, name), format!("there is no source `{wanted}`{near}"));
    };
    let mut names = vec![wanted];
    names.extend(alias.as_ref().map(|alias| alias.name.value.clone()));
    Ok((index, names))
}

/// The window, and the other items of GROUP BY.
fn group_by<'a>(rows: &mut RowScope<'_>, source: &Source, select: &'a Select) -> Outcome<(Windowing, Vec<&'a Ast>)> {
    let help = "write GROUP BY symbol, tumble(ts, INTERVAL '1 minute')";
    let GroupByExpr::Expressions(items, modifiers) = &select.group_by else {
        return expression::refuse(rows, &select.group_by, "GROUP BY ALL is not known: name the columns", Some(help));
    };
    if !modifiers.is_empty() {
        return expression::refuse(rows, &select.group_by, "GROUP BY takes no ROLLUP, CUBE or TOTALS", Some(help));
    }
    let (mut window, mut groups) = (None, Vec::new());
    for item in items {
        match windows::compile(rows, source, item) {
            Some(_) if window.is_some() => {
                return expression::refuse(rows, item, "a pipeline has one window, and this is another", Some(help));
            }
            Some(rule) => window = Some(rule?),
            None => groups.push(item),
        }
    }
    match window {
        Some(window) => Ok((window, groups)),
        None => {
            if let Some(error) = windows::misspelt(rows, &groups) {
                return Err(error);
            }
            let end = rows.sql.trim_end().len();
            let span = if items.is_empty() { end.saturating_sub(1)..end } else { place::of(rows.sql, &items[0]) };
            let message = "GROUP BY has no window, so no row would ever be final".to_string();
            Err(SqlError { span, message, help: Some(help.to_string()) })
        }
    }
}

/// The group-by columns with their output names, and their texts in the same order.
fn key_columns(rows: &mut RowScope<'_>, select: &Select, groups: Vec<&Ast>) -> Outcome<(Vec<KeyColumn>, Vec<Ast>)> {
    let aliased: Vec<(&Ast, &Ident)> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
            _ => None,
        })
        .collect();
    let (mut key, mut written): (Vec<KeyColumn>, Vec<Ast>) = (Vec::new(), Vec::new());
    for group in groups {
        // A name of GROUP BY is a field first, and else an alias of the SELECT list.
        let ast = match group {
            Ast::Identifier(name) if rows.schema.index(&name.value).is_none() => {
                aliased.iter().find(|(_, alias)| alias.value == name.value).map_or(group, |(expr, _)| expr)
            }
            _ => group,
        };
        if matches!(ast, Ast::Value(_)) {
            let help = Some("write the column's name");
            return expression::refuse(rows, ast, "GROUP BY takes no numbers of columns, and no constants", help);
        }
        // Where it is selected under its own name too, another name is another column.
        let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if expr == ast);
        let alias = aliased.iter().find(|(expr, _)| *expr == ast).filter(|_| !select.projection.iter().any(plain));
        let alias = alias.map(|(_, alias)| alias.value.clone());
        let name = match (alias, ast) {
            (Some(alias), _) => alias,
            (None, Ast::Identifier(name)) => name.value.clone(),
            (None, Ast::CompoundIdentifier(parts)) => parts.last().map_or(String::new(), |name| name.value.clone()),
            _ => {
                let help = Some("select it with a name: SELECT size > 100 AS big ... GROUP BY big");
                return expression::refuse(rows, ast, "a group-by expression needs a name in the output", help);
            }
        };
        check_name(&name, place::of(rows.sql, group), key.iter().map(|key| key.name.as_str()))?;
        let expr = expression::compile(rows, ast)?;
        key.push(KeyColumn { name, expr });
        written.push(ast.clone());
    }
    Ok((key, written))
}

fn check_name<'a>(name: &str, span: Range<usize>, mut taken: impl Iterator<Item = &'a str>) -> Outcome<()> {
    let (message, help) = if name.is_empty() || name.contains('\0') {
        ("a name holds at least one character, and no NUL".to_string(), "give it another name with AS".to_string())
    } else if RESERVED.contains(&name) {
        (format!("every row has a `{name}` already"), format!("choose another name: AS {name}_"))
    } else if taken.any(|other| other == name) {
        (format!("two columns are called `{name}`"), "give one of them another name with AS".to_string())
    } else {
        return Ok(());
    };
    Err(SqlError { span, message, help: Some(help) })
}

/// The selected columns, without the group-by columns, which every row has.
fn columns(scope: &mut WindowScope<'_>, select: &Select) -> Outcome<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for item in &select.projection {
        let (ast, alias) = match item {
            SelectItem::UnnamedExpr(ast) => (ast, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
            other => {
                let help = Some("name the columns: SELECT symbol, last(price) AS close");
                return expression::refuse(scope, other, "SELECT * is not known: a row is made of aggregates", help);
            }
        };
        let expr = select_item(scope, ast)?;
        let key = match expr.node {
            Node::Input(index) if index < scope.key.len() => Some(scope.key[index].name.as_str()),
            _ => None,
        };
        let span =
            || alias.map_or_else(|| place::of(scope.rows.sql, ast), |alias| place::range(scope.rows.sql, alias.span));
        let name = match (alias, key) {
            (None, Some(_)) => continue,
            (Some(alias), Some(key)) if alias.value == key => continue,
            (Some(alias), _) => alias.value.clone(),
            (None, None) => {
                let help = Some("write AS and a name behind it: count(*) AS trades");
                return expression::refuse(scope, ast, "this column needs a name", help);
            }
        };
        let taken =
            scope.key.iter().map(|key| key.name.as_str()).chain(columns.iter().map(|column| column.name.as_str()));
        check_name(&name, span(), taken)?;
        columns.push(Column { name, expr });
    }
    Ok(columns)
}
