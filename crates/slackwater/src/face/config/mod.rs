//! The configuration file: TOML to a plan, with every mistake in it shown where it stands.

mod describe;
mod keys;
mod problem;
mod retained;
mod serving;
mod source;
mod type_text;

pub use describe::{pipeline_columns, schema_json, schema_text};
pub use problem::ConfigErrors;
pub use serving::{SecretSource, ServerConfig, ServiceConfig, TlsFiles, TokenConfig};

use crate::decode::Format;
use crate::sql::{self, SqlError};
use keys::{Section, entries};
use problem::Problems;
use slackwater_core::limits;
use slackwater_core::plan::{Pipeline, Plan};
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the core needs: sources and pipelines, in the order of the file.
    pub plan: Plan,
    /// How the events of each source come, in the plan's order.
    pub sources: Vec<SourceConfig>,
    /// How the service is reached, and by whom.
    pub server: ServerConfig,
    /// How often the service does what it does.
    pub service: ServiceConfig,
    /// The text that it was read from.
    pub text: String,
}

/// How the events of a source come, and how long their bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The source's name.
    pub name: String,
    /// Where its events come from.
    pub kind: Kind,
    /// What they are written in.
    pub format: Format,
    /// How long the bytes of events are kept.
    pub keep_raw: KeepRaw,
    /// How long the facts themselves are kept, in nanoseconds behind the watermark; for good where there is none.
    pub keep_facts: Option<i64>,
    /// The file or folder that a service follows, for a source of files.
    pub path: Option<String>,
    /// Whether a refused event halts it, until it is resumed.
    pub halts: bool,
}

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Posted to us.
    Http,
    /// Files and standard input.
    Files,
    /// A WebSocket that we read.
    WebSocket,
    /// Kafka topics.
    Kafka,
    /// Valkey or Redis streams.
    Valkey,
    /// NATS subjects.
    Nats,
    /// PostgreSQL tables.
    Postgres,
}

impl Kind {
    const ALL: [(&str, Kind); 7] = [
        ("http", Kind::Http),
        ("files", Kind::Files),
        ("websocket", Kind::WebSocket),
        ("kafka", Kind::Kafka),
        ("valkey", Kind::Valkey),
        ("nats", Kind::Nats),
        ("postgres", Kind::Postgres),
    ];

    /// The word for it in the file.
    pub fn name(self) -> &'static str {
        Kind::ALL.into_iter().find(|(_, kind)| *kind == self).expect("every kind has a name").0
    }
}

/// How long the bytes of events are kept behind the oldest checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepRaw {
    /// For ever.
    Forever,
    /// Not at all.
    No,
    /// For so many nanoseconds.
    For(i64),
}

/// Most characters of the name of a source or pipeline.
const NAME_LENGTH: usize = 40;

/// Reads a configuration; `file_name` is how errors call it.
///
/// # Errors
/// Every mistake that was found, in the order of the file.
pub fn load(text: &str, file_name: &str) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::new(text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in syntax {
        problems.add(error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message()));
    }
    if !problems.is_empty() {
        return Err(problems.into_errors(file_name));
    }
    let mut root = Section::new(document.get_ref(), 0..0, String::from("the file"));
    let sources = tables(&mut root, "source", "sources", limits::SOURCES, &mut problems);
    let pipelines = tables(&mut root, "pipeline", "pipelines", limits::PIPELINES, &mut problems);
    let server = root.section("server", &mut problems);
    let service = root.section("service", &mut problems);
    root.finish(&mut problems);
    if sources.is_empty() && problems.is_empty() {
        let help = "add a section [source.NAME] with kind, format, identity, event_time and fields";
        problems.add(0..0, "there is no source").help(help);
    }
    if pipelines.is_empty() && problems.is_empty() {
        let help = "add a section [pipeline.NAME] with sql = \"\"\"SELECT ... FROM a source GROUP BY ...\"\"\"";
        problems.add(0..0, "there is no pipeline").help(help);
    }
    let known: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
    let server = server.map_or_else(ServerConfig::default, |section| serving::server(section, &known, &mut problems));
    let service = service.map_or_else(ServiceConfig::default, |section| serving::service(section, &mut problems));
    let (plan, text) = (Plan::default(), text.to_string());
    let mut config = Config { plan, sources: Vec::new(), server, service, text };
    let count = sources.len();
    let mut retained = Vec::new();
    for (name, mut section) in sources {
        retained.push(section.get("keep_facts").map(toml::Spanned::span));
        let (settings, source) = source::read(name, section, &mut problems);
        config.sources.extend(settings);
        config.plan.sources.extend(source);
    }
    // Against half of the sources a SELECT would be refused for mistakes that it has not.
    let whole = config.plan.sources.len() == count;
    for (name, section) in pipelines {
        let compiled = pipeline(name, section, whole.then_some(&config.plan), &mut problems);
        if let Some((pipeline, guard)) = compiled.as_ref().and_then(|pipeline| Some((pipeline, sql::bound(pipeline)?)))
        {
            let source = &mut config.plan.sources[usize::from(pipeline.source)];
            Arc::make_mut(&mut source.guards).require.push(guard);
        }
        config.plan.pipelines.extend(compiled);
    }
    if problems.is_empty() {
        retained::check(&config, &retained, &mut problems);
    }
    if problems.is_empty() { Ok(config) } else { Err(problems.into_errors(file_name)) }
}

/// The sections `[key.NAME]`, with their names, in the order of the file.
fn tables<'c>(
    root: &mut Section<'c>,
    key: &'static str,
    plural: &str,
    most: usize,
    problems: &mut Problems<'_>,
) -> Vec<(&'c str, Section<'c>)> {
    let Some(value) = root.get(key) else { return Vec::new() };
    let mut sections = Vec::new();
    let Some(table) = value.get_ref().as_table() else {
        let help = format!("write a section [{key}.NAME]");
        problems.add(value.span(), format!("`{key}` holds no sections")).help(help);
        return sections;
    };
    for (name, place, value) in entries(table) {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || name.len() > NAME_LENGTH || !name.chars().all(allowed) {
            let message = format!("`{name}` cannot be the name of a {key}");
            let help = format!("use 1 to {NAME_LENGTH} of the characters a-z, 0-9, _ and -");
            problems.add(place.clone(), message).help(help);
        }
        match value.get_ref() {
            DeValue::Table(table) => sections.push((name, Section::new(table, place, format!("{key}.{name}")))),
            other => {
                let message = format!("`{key}.{name}` must be a section, and is {}", keys::article(other.type_str()));
                problems.add(place, message).help(format!("write [{key}.{name}]"));
            }
        }
    }
    if sections.len() > most {
        let message = format!("there are {} {plural}; at most {most} are allowed", sections.len());
        problems.add(value.span(), message);
    }
    sections
}

fn pipeline(
    name: &str,
    mut section: Section<'_>,
    plan: Option<&Plan>,
    problems: &mut Problems<'_>,
) -> Option<Pipeline> {
    let sql = section.required_text("sql", "sql = \"\"\"SELECT ... FROM a source GROUP BY ...\"\"\"", problems);
    section.finish(problems);
    let (sql, plan) = (sql?, plan?);
    match sql::compile_pipeline(name, sql.value, &plan.sources) {
        Ok(pipeline) => Some(pipeline),
        Err(error) => {
            sql_problem(sql.value, sql.span, &format!("pipeline.{name}.sql"), error, problems);
            None
        }
    }
}

/// Shows a mistake in SQL within the file where the TOML text has it letter for letter, else in the SQL alone.
fn sql_problem(sql: &str, literal: Range<usize>, key: &str, error: SqlError, problems: &mut Problems<'_>) {
    let problem = match problems.verbatim(literal.clone(), sql) {
        Some(start) => problems.add(start + error.span.start..start + error.span.end, error.message),
        None => problems.add(literal, error.message).within(key, sql, error.span),
    };
    if let Some(help) = error.help {
        problem.help(help);
    }
}
