//! Windows in GROUP BY.

use super::expression::{RowScope, SCALARS, Scope, arguments, refuse, unknown_function};
use super::{Outcome, SqlError, bars, interval, literal, place};
use interval::Length;
use slackwater_core::limits;
use slackwater_core::plan::{Source, Windowing};
use slackwater_core::window::{Calendar, Hop, WindowRule};
use sqlparser::ast::{Expr as Ast, Function};

/// Functions that make windows.
pub(super) const NAMES: [&str; 7] = ["tumble", "hop", "session", "tick_bar", "volume_bar", "value_bar", "break_when"];

/// The window that a GROUP BY item makes, if it is one.
pub(super) fn compile(scope: &RowScope<'_>, source: &Source, ast: &Ast) -> Option<Outcome<Windowing>> {
    let Ast::Function(function) = ast else { return None };
    let name = function.name.to_string().to_lowercase();
    let compiled = match name.as_str() {
        "tumble" => tumble(scope, ast, function).map(Windowing::Aligned),
        "hop" => hop(scope, ast, function).map(Windowing::Aligned),
        "session" => session(scope, ast, function),
        "tick_bar" | "volume_bar" | "value_bar" | "break_when" => {
            bars::compile(scope, source, &name, ast, function).map(|bars| Windowing::Bars(Box::new(bars)))
        }
        _ => return None,
    };
    let bare = function.filter.is_none() && function.over.is_none() && function.within_group.is_empty();
    if !bare {
        let message = format!("{name}() takes arguments only");
        return Some(refuse(scope, ast, &message, Some("leave FILTER, OVER and WITHIN GROUP out")));
    }
    Some(compiled)
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
    let offset = third.map_or(Ok(0), |third| fixed(scope, third, "an offset"))?;
    Ok(WindowRule::Tumble { size: size_length.nanos, offset })
}

fn hop(scope: &RowScope<'_>, ast: &Ast, function: &Function) -> Outcome<WindowRule> {
    let arguments = arguments(scope, function)?;
    let (time, slide, size, offset) = match arguments[..] {
        [time, slide, size] => (time, slide, size, None),
        [time, slide, size, offset] => (time, slide, size, Some(offset)),
        _ => {
            let help = "write hop(ts, INTERVAL '1 minute', INTERVAL '5 minutes'): a window of five begins every minute";
            return refuse(scope, ast, "hop() takes a time, a slide, a size, and at most an offset", Some(help));
        }
    };
    event_time(scope, time)?;
    let offset = offset.map_or(Ok(0), |offset| fixed(scope, offset, "an offset"))?;
    let (slide_nanos, size_nanos) = (positive(scope, slide, "a slide")?, positive(scope, size, "a window")?);
    if size_nanos / slide_nanos > limits::HOP_WINDOWS {
        let message = format!("each fact would be in more than {} windows", limits::HOP_WINDOWS);
        return refuse(scope, ast, &message, Some("choose a longer slide, or a shorter window"));
    }
    Ok(WindowRule::Hop(Hop::new(slide_nanos, size_nanos, offset).expect("both are more than nothing")))
}

fn session(scope: &RowScope<'_>, ast: &Ast, function: &Function) -> Outcome<Windowing> {
    let [time, gap] = arguments(scope, function)?[..] else {
        let help = "write session(ts, INTERVAL '30 minutes'): a longer pause begins a new session";
        return refuse(scope, ast, "session() takes a time and a gap", Some(help));
    };
    event_time(scope, time)?;
    Ok(Windowing::Session { gap: positive(scope, gap, "a gap")? })
}

/// A length that is the same everywhere, in nanoseconds.
fn fixed(scope: &RowScope<'_>, ast: &Ast, what: &str) -> Outcome<i64> {
    let length = length(scope, ast)?;
    if length.months != 0 {
        return refuse(scope, ast, &format!("{what} has a fixed length: days at most"), None);
    }
    Ok(length.nanos)
}

fn positive(scope: &RowScope<'_>, ast: &Ast, what: &str) -> Outcome<i64> {
    match fixed(scope, ast, what)? {
        nanos if nanos > 0 => Ok(nanos),
        _ => refuse(scope, ast, &format!("{what} is longer than nothing"), None),
    }
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
