//! Windows in GROUP BY.

use super::expression::{RowScope, SCALARS, Scope, arguments, refuse, unknown_function};
use super::{Outcome, SqlError, interval, literal, place};
use interval::Length;
use slackwater_core::window::{Calendar, WindowRule};
use sqlparser::ast::{Expr as Ast, Function};

/// Functions that make windows.
pub(super) const NAMES: [&str; 1] = ["tumble"];

/// Windows that have their names and are not made yet.
const LATER: [&str; 6] = ["hop", "session", "tick_bar", "volume_bar", "value_bar", "break_when"];

/// The window that a GROUP BY item makes, if it is one.
pub(super) fn compile(scope: &RowScope<'_>, ast: &Ast) -> Option<Outcome<WindowRule>> {
    let Ast::Function(function) = ast else { return None };
    match function.name.to_string().to_lowercase().as_str() {
        "tumble" => Some(tumble(scope, ast, function)),
        name if LATER.contains(&name) => {
            let message = format!("the window {name}() is not known yet");
            Some(refuse(scope, ast, &message, Some("write tumble(ts, INTERVAL '1 minute')")))
        }
        _ => None,
    }
}

/// Of the other items of GROUP BY, a call that may have been meant as the window.
pub(super) fn misspelt(scope: &RowScope<'_>, groups: &[&Ast]) -> Option<SqlError> {
    groups.iter().find_map(|group| {
        let Ast::Function(function) = group else { return None };
        let name = function.name.to_string().to_lowercase();
        let known = SCALARS.contains(&name.as_str()) || super::aggregates::NAMES.contains(&name.as_str());
        (!known).then(|| unknown_function(&name, place::of(scope.sql, *group)))
    })
}

fn tumble(scope: &RowScope<'_>, ast: &Ast, function: &Function) -> Outcome<WindowRule> {
    let arguments = arguments(scope, function)?;
    let (time, size, third) = match arguments[..] {
        [time, size] => (time, size, None),
        [time, size, third] => (time, size, Some(third)),
        _ => {
            let help = "write tumble(ts, INTERVAL '1 minute'), with an offset or a time zone behind it if need be";
            return refuse(scope, ast, "tumble() takes a time, a size, and an offset or a zone", Some(help));
        }
    };
    event_time(scope, time)?;
    let size_length = length(scope, size)?;
    if size_length.months < 0 || size_length.nanos < 0 || (size_length.months == 0 && size_length.nanos == 0) {
        return refuse(scope, size, "a window is longer than nothing", None);
    }
    if let Some(zone) = third.and_then(literal::text) {
        let third = third.expect("just read");
        return Calendar::new(size_length.months, size_length.nanos, &zone)
            .map(WindowRule::Calendar)
            .map_err(|error| SqlError { span: place::of(scope.sql, third), message: error.0, help: None });
    }
    if size_length.months > 0 {
        let help = "name a zone: tumble(ts, INTERVAL '1 month', 'UTC')";
        return refuse(scope, size, "a month has no fixed length", Some(help));
    }
    let offset = match third {
        None => Length { months: 0, nanos: 0 },
        Some(third) => length(scope, third)?,
    };
    if let (Some(third), true) = (third, offset.months != 0) {
        return refuse(scope, third, "an offset has a fixed length: days at most", None);
    }
    Ok(WindowRule::Tumble { size: size_length.nanos, offset: offset.nanos })
}

fn length(scope: &RowScope<'_>, ast: &Ast) -> Outcome<Length> {
    match ast {
        Ast::Interval(parsed) => interval::parse(scope.sql, ast, parsed),
        _ => refuse(scope, ast, "a length of time is an interval", Some("write INTERVAL '1 minute'")),
    }
}

fn event_time(scope: &RowScope<'_>, ast: &Ast) -> Outcome<()> {
    let schema = scope.schema;
    let field = &schema.fields()[schema.roles().event_time].name;
    let name = match ast {
        Ast::Identifier(name) => Some(name),
        Ast::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    if name.is_some_and(|name| name.value == *field) {
        return Ok(());
    }
    let message = format!("windows are laid over the event time of `{}`", scope.names[0]);
    Err(SqlError { span: place::of(scope.sql(), ast), message, help: Some(format!("write `{field}`")) })
}
