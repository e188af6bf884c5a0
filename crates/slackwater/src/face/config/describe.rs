//! What a configuration declares, as `config schema` shows it.

use super::{Config, type_text};
use crate::decode::Format;
use serde_json::{Value, json};
use slackwater_core::plan::Pipeline;
use slackwater_core::schema::{IdentityRule, Schema};
use std::fmt::Write;

/// Every source with its fields, types and roles, and every pipeline with its output columns, as text.
pub fn schema_text(config: &Config) -> String {
    let mut out = String::new();
    for (settings, source) in config.sources.iter().zip(&config.plan.sources) {
        let format = format_name(settings.format);
        line(&mut out, format_args!("source {} ({}, {format})", source.name, settings.kind.name()));
        let rows = source.schema.fields().iter().enumerate();
        let rows =
            rows.map(|(at, field)| [field.name.clone(), type_text::write(field), roles(&source.schema, at).join(", ")]);
        columns(&mut out, rows.collect());
        match source.schema.roles().identity {
            IdentityRule::Content => line(&mut out, format_args!("  identity: the content of the declared fields")),
            IdentityRule::Position => line(&mut out, format_args!("  identity: the position in the file")),
            IdentityRule::Fields(_) => {}
        }
        out.push('\n');
    }
    for pipeline in &config.plan.pipelines {
        let source = &config.plan.sources[usize::from(pipeline.source)].name;
        line(&mut out, format_args!("pipeline {} (from {source})", pipeline.name));
        let rows = pipeline_columns(pipeline).into_iter().map(|(name, ty, role)| [name, ty, role.to_string()]);
        columns(&mut out, rows.collect());
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The same as JSON.
pub fn schema_json(config: &Config) -> Value {
    let sources = config.sources.iter().zip(&config.plan.sources).map(|(settings, source)| {
        let fields = source.schema.fields().iter().enumerate().map(|(at, field)| {
            json!({ "name": field.name, "type": type_text::write(field), "roles": roles(&source.schema, at) })
        });
        let identity = match &source.schema.roles().identity {
            IdentityRule::Content => json!("content"),
            IdentityRule::Position => json!("position"),
            IdentityRule::Fields(ids) => {
                json!(ids.iter().map(|id| source.schema.fields()[*id].name.as_str()).collect::<Vec<_>>())
            }
        };
        json!({
            "name": source.name,
            "kind": settings.kind.name(),
            "format": format_name(settings.format),
            "identity": identity,
            "fields": fields.collect::<Vec<_>>(),
        })
    });
    let pipelines = config.plan.pipelines.iter().map(|pipeline| {
        let columns = pipeline_columns(pipeline).into_iter();
        let columns = columns.map(|(name, ty, role)| json!({ "name": name, "type": ty, "role": role }));
        json!({
            "name": pipeline.name,
            "source": config.plan.sources[usize::from(pipeline.source)].name,
            "columns": columns.collect::<Vec<_>>(),
        })
    });
    json!({ "sources": sources.collect::<Vec<_>>(), "pipelines": pipelines.collect::<Vec<_>>() })
}

/// Name, type and role of what a pipeline's rows hold, beside what every row has.
pub fn pipeline_columns(pipeline: &Pipeline) -> Vec<(String, String, &'static str)> {
    let key = pipeline.key.iter().map(|column| (column.name.clone(), column.expr.ty.to_string(), "key"));
    let selected = pipeline.columns.iter().map(|column| (column.name.clone(), column.expr.ty.to_string(), "selected"));
    key.chain(selected).collect()
}

/// What a field means beyond its value.
fn roles(schema: &Schema, field: usize) -> Vec<&'static str> {
    let roles = schema.roles();
    let identity = matches!(&roles.identity, IdentityRule::Fields(ids) if ids.contains(&field));
    let named = [
        ("identity", identity),
        ("event_time", roles.event_time == field),
        ("origin", roles.origin == Some(field)),
        ("sequence", roles.sequence == Some(field)),
        ("version", roles.version == Some(field)),
        ("op", roles.op == Some(field)),
        ("arrival", roles.arrival == Some(field)),
    ];
    named.into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect()
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Csv => "csv",
        Format::Parquet => "parquet",
    }
}

/// Three columns, each as wide as its widest cell.
fn columns(out: &mut String, rows: Vec<[String; 3]>) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [name, ty, role] in rows {
        let text = format!("  {name:first$}  {ty:second$}  {role}");
        line(out, format_args!("{}", text.trim_end()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String takes any text");
}
