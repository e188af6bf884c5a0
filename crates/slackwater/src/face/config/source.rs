//! One `[source.NAME]` section.

use super::keys::{self, Section, Text, entries, suggest};
use super::problem::Problems;
use super::{KeepRaw, Kind, SourceConfig, sql_problem, type_text};
use crate::decode::Format;
use crate::sql;
use slackwater_core::plan::{GapPolicy, Guard, Guards, Knobs, LatePolicy, Source};
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema};
use slackwater_core::time;
use slackwater_core::value::Type;
use std::ops::Range;
use std::sync::Arc;
use toml::de::DeValue;

/// A declared field, and where its name and type stand.
struct Declared {
    field: Field,
    span: Range<usize>,
}

/// The values of the keys that name fields, before they are looked up.
struct RoleKeys<'c> {
    identity: Option<Identity<'c>>,
    event_time: Option<Text<'c>>,
    origin: Option<Text<'c>>,
    sequence: Option<Text<'c>>,
    by_sequence: Option<()>,
    version: Option<Text<'c>>,
    op: Option<Text<'c>>,
    arrival: Option<Text<'c>>,
}

enum Identity<'c> {
    /// `identity = "..."`: a field, or one of two words.
    One(Text<'c>),
    /// `identity = [...]`: fields.
    Several(Vec<Text<'c>>),
}

/// Reads a source. Where only its roles are wrong, the source has no roles: enough to check the rest of the file.
pub(super) fn read(
    name: &str,
    mut section: Section<'_>,
    problems: &mut Problems<'_>,
) -> (Option<SourceConfig>, Option<Source>) {
    let settings = settings(name, &mut section, problems);
    let roles = role_keys(&mut section, problems);
    let (min_time, max_time) = (section.time("min_time", problems), section.time("max_time", problems));
    if let (Some(min), Some(max)) = (min_time, max_time)
        && min > max
    {
        let message = "`min_time` is after `max_time`, so that every event would be refused";
        problems.add(section.place(), message).help("swap them");
    }
    let max_future = section.duration("max_future", problems);
    let late = section.choice("late", &[("amend", LatePolicy::Amend), ("hold", LatePolicy::Hold)], problems);
    let gap = section.choice("gap", &[("hold", GapPolicy::Hold), ("incomplete", GapPolicy::Incomplete)], problems);
    let (origins, knobs) = origins_and_knobs(&mut section, roles.origin.is_some(), problems);
    let require = section.texts("require", problems).unwrap_or_default();
    let declared = fields(&mut section, problems);
    let place = section.place();
    section.finish(problems);
    let Some(schema) = declared.and_then(|declared| schema(&roles, &declared, place, problems)) else {
        return (settings, None);
    };
    check_origins(&schema, origins.as_deref().unwrap_or_default(), problems);
    let require = guards(name, &schema, require, problems);
    let names = |texts: Vec<Text<'_>>| texts.iter().map(|name| name.value.to_string()).collect();
    let source = Source {
        name: name.to_string(),
        schema,
        guards: Arc::new(Guards { origins: origins.map(names), max_future, min_time, max_time, require }),
        knobs,
        late: late.unwrap_or_default(),
        gap: gap.unwrap_or_default(),
    };
    (settings, Some(source))
}

fn settings(name: &str, section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let missing = |section: &Section<'_>, key, example, problems: &mut Problems<'_>| {
        if !section.has(key) {
            section.missing(key, example, problems);
        }
    };
    missing(section, "kind", "kind = \"files\" (or http, websocket, kafka, valkey, nats, postgres)", problems);
    missing(section, "format", "format = \"json\" (or csv, parquet)", problems);
    let kind = section.choice("kind", &Kind::ALL, problems);
    let formats = [("json", Format::Json), ("csv", Format::Csv), ("parquet", Format::Parquet)];
    let format = section.choice("format", &formats, problems);
    let keep_raw = match section.get("keep_raw") {
        None => Some(KeepRaw::Forever),
        Some(value) => match value.get_ref().as_str() {
            Some("forever") => Some(KeepRaw::Forever),
            Some("none") => Some(KeepRaw::No),
            Some(text) if time::parse_duration(text).is_none() => {
                let message = format!("`{text}` is no value of `keep_raw`");
                problems.add(value.span(), message).help("write \"forever\", \"none\" or a duration such as \"30d\"");
                None
            }
            _ => keys::duration_of("keep_raw", value, problems).map(KeepRaw::For),
        },
    };
    let keep_facts = match section.get("keep_facts") {
        None => None,
        Some(value) if value.get_ref().as_str() == Some("forever") => None,
        Some(value) => keys::duration_of("keep_facts", value, problems),
    };
    let path = section.text("path", problems);
    if let (Some(path), Some(kind)) = (&path, kind)
        && kind != Kind::Files
    {
        let message = format!("`path` belongs to kind = \"files\", and this source is `{}`", kind.name());
        problems.add(path.span.clone(), message).help("remove it, or write kind = \"files\"");
    }
    let path = path.map(|path| path.value.to_string());
    if kind == Some(Kind::Http) && format == Some(Format::Parquet) {
        let place = section.get("format").map_or(section.place(), |value| value.span());
        let message = "a Parquet file is no stream of events, and is not taken by HTTP";
        problems.add(place, message.to_string()).help("write format = \"json\" or \"csv\"; or give the file to `fold`");
    }
    let halts = section.choice("poison", &[("quarantine", false), ("halt", true)], problems).unwrap_or_default();
    Some(SourceConfig {
        name: name.to_string(),
        kind: kind?,
        format: format?,
        keep_raw: keep_raw?,
        keep_facts,
        path,
        halts,
    })
}

fn role_keys<'c>(section: &mut Section<'c>, problems: &mut Problems<'_>) -> RoleKeys<'c> {
    if !section.has("identity") {
        let example =
            "identity = \"FIELD\", [\"FIELD\", ...], \"content\" or \"position\": what makes two events the same";
        section.missing("identity", example, problems);
    }
    let identity = match section.get("identity") {
        Some(value) if value.get_ref().as_array().is_some_and(|list| list.is_empty()) => {
            problems.add(value.span(), "`identity` is an empty list").help("name at least one field");
            None
        }
        Some(value) if value.get_ref().is_array() => section.texts("identity", problems).map(Identity::Several),
        _ => section.text("identity", problems).map(Identity::One),
    };
    RoleKeys {
        identity,
        event_time: section.required_text("event_time", "event_time = \"FIELD\"", problems),
        origin: section.text("origin", problems),
        sequence: section.text("sequence", problems),
        by_sequence: section.choice("order", &[("sequence", ())], problems),
        version: section.text("version", problems),
        op: section.text("op", problems),
        arrival: section.text("arrival", problems),
    }
}

/// The origins that may send, and the knobs.
fn origins_and_knobs<'c>(
    section: &mut Section<'c>,
    has_origin: bool,
    problems: &mut Problems<'_>,
) -> (Option<Vec<Text<'c>>>, Knobs) {
    let origins = section.texts("origins", problems);
    let mut knobs = Knobs {
        lag: section.duration("lag", problems).unwrap_or(0),
        lag_by_origin: Vec::new(),
        idle_after: section.duration("idle_after", problems),
        wall_clock: section
            .choice("watermark", &[("event_time", false), ("wall_clock", true)], problems)
            .unwrap_or(false),
    };
    let by_origin = section.get("lag_by_origin");
    if let Some(value) = by_origin {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, place, lag) in entries(table) {
                    let listed = origins.as_deref().is_none_or(|list| list.iter().any(|origin| origin.value == name));
                    if !listed {
                        let known = origins.iter().flatten().map(|origin| origin.value);
                        let message = format!("`{name}` has a lag, but `origins` does not list it");
                        problems.add(place, message).help(suggest(name, known));
                    }
                    if let Some(lag) = keys::duration_of(name, lag, problems) {
                        knobs.lag_by_origin.push((name.to_string(), lag));
                    }
                }
            }
            _ => keys::wrong("lag_by_origin", "a table such as { NAME = \"30s\" }", value, problems),
        }
    }
    for (key, value) in [("origins", section.get("origins")), ("lag_by_origin", by_origin)] {
        if let (Some(value), false) = (value, has_origin) {
            let message = format!("`{key}` needs `origin`: without it the source is its own only origin");
            problems.add(value.span(), message).help("add origin = \"FIELD\"");
        }
    }
    (origins, knobs)
}

/// The declared fields in the order of the file.
fn fields(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Vec<Declared>> {
    let Some(value) = section.get("fields") else {
        section.missing(
            "fields",
            "a section [source.NAME.fields] with lines such as price = \"decimal(18,8)\"",
            problems,
        );
        return None;
    };
    let Some(table) = value.get_ref().as_table() else {
        keys::wrong("fields", "a table of names and types", value, problems);
        return None;
    };
    let before = problems.count();
    let mut declared = Vec::new();
    for (name, place, value) in entries(table) {
        let Some(text) = keys::text_of(value) else {
            keys::wrong(name, "a type in quotes such as \"string\"", value, problems);
            continue;
        };
        // Results are kept in tables, whose columns cannot be called so.
        if name.is_empty() || name.contains('\0') {
            problems.add(place.clone(), "the name of a field holds at least one character, and no NUL");
        }
        match type_text::parse(name, text.value) {
            Ok(field) => declared.push(Declared { field, span: place.start..text.span.end }),
            Err((message, help)) => {
                problems.add(text.span, message).help(help);
            }
        }
    }
    (problems.count() == before).then_some(declared)
}

/// The schema; where a role is wrong, one without roles, so that conditions and SELECTs can still be checked.
fn schema(
    keys: &RoleKeys<'_>,
    declared: &[Declared],
    place: Range<usize>,
    problems: &mut Problems<'_>,
) -> Option<Schema> {
    let before = problems.count();
    check_identity(keys, problems);
    let mut find = |role: &str, text: &Text<'_>| {
        let found = declared.iter().position(|one| one.field.name == text.value);
        if found.is_none() {
            let names = declared.iter().map(|one| one.field.name.as_str());
            let message = format!("`{role}` names the field `{}`, which is not declared", text.value);
            problems.add(text.span.clone(), message).help(suggest(text.value, names));
        }
        found
    };
    let identity = match &keys.identity {
        Some(Identity::One(text)) if text.value == "content" => Some(IdentityRule::Content),
        Some(Identity::One(text)) if text.value == "position" => Some(IdentityRule::Position),
        Some(Identity::One(text)) => find("identity", text).map(|field| IdentityRule::Fields(vec![field])),
        Some(Identity::Several(list)) => {
            let fields: Vec<_> = list.iter().map(|text| find("identity", text)).collect();
            fields.into_iter().collect::<Option<Vec<_>>>().map(IdentityRule::Fields)
        }
        None => None,
    };
    let mut optional = |role, text: &Option<Text<'_>>| text.as_ref().and_then(|text| find(role, text));
    let event_time = optional("event_time", &keys.event_time);
    let (origin, sequence) = (optional("origin", &keys.origin), optional("sequence", &keys.sequence));
    let (version, op) = (optional("version", &keys.version), optional("op", &keys.op));
    let arrival = optional("arrival", &keys.arrival);
    let (event_time, order_by_sequence) = (event_time?, keys.by_sequence.is_some());
    let fields: Vec<Field> = declared.iter().map(|one| one.field.clone()).collect();
    if let Some(identity) = identity
        && problems.count() == before
    {
        let roles = Roles { identity, event_time, origin, sequence, order_by_sequence, version, op, arrival };
        match Schema::new(fields.clone(), roles) {
            Ok(schema) => return Some(schema),
            Err(error) => {
                let span = error.field.map_or(place, |field| declared[field].span.clone());
                problems.add(span, error.message);
            }
        }
    }
    Schema::new(fields, time_only(event_time)).ok()
}

fn time_only(event_time: usize) -> Roles {
    Roles {
        identity: IdentityRule::Content,
        event_time,
        origin: None,
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    }
}

fn check_identity(keys: &RoleKeys<'_>, problems: &mut Problems<'_>) {
    let Some(Identity::Several(list)) = &keys.identity else { return };
    for (at, text) in list.iter().enumerate() {
        if list[..at].iter().any(|earlier| earlier.value == text.value) {
            problems.add(text.span.clone(), format!("`identity` names `{}` twice", text.value));
        }
    }
}

/// A listed origin must be a value that the origin's field can have.
fn check_origins(schema: &Schema, origins: &[Text<'_>], problems: &mut Problems<'_>) {
    let Some(field) = schema.roles().origin else { return };
    let declared = &schema.fields()[field];
    for origin in origins {
        let sound = match declared.ty {
            Type::U64 => origin.value.parse::<u64>().is_ok(),
            Type::I64 => origin.value.parse::<i64>().is_ok(),
            _ => !origin.value.is_empty(),
        };
        if !sound {
            let message =
                format!("`{}` is no value of the field `{}`, which is {}", origin.value, declared.name, declared.ty);
            problems.add(origin.span.clone(), message);
        }
    }
}

fn guards(name: &str, schema: &Schema, texts: Vec<Text<'_>>, problems: &mut Problems<'_>) -> Vec<Guard> {
    let mut guards = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match sql::compile_guard(text.value, name, schema) {
            Ok(expr) => guards.push(Guard { expr, text: text.value.to_string() }),
            Err(error) => sql_problem(text.value, text.span, &format!("source.{name}.require[{at}]"), error, problems),
        }
    }
    guards
}
