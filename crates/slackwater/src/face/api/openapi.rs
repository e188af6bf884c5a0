//! The interface as OpenAPI 3.1, made from the table of routes, so that none can be left out.

use super::app::ROUTES;
use crate::connect::http::tokens::Policy;
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let mut parameters: Vec<Value> = names(route.path).map(|name| parameter(name, "path", "string", "")).collect();
        parameters.extend(queries(route.path));
        let security = if route.policy == Policy::Open { json!([]) } else { json!([{ "token": [] }]) };
        let mut operation = json!({
            "summary": route.about,
            "description": format!("Role: {}", route.policy.name()),
            "parameters": parameters,
            "security": security,
            "responses": {
                "200": { "description": "Done", "content": content(route.path) },
                "default": {
                    "description": "Not done",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
                },
            },
        });
        if route.path == "/v1/ingest/{source}" {
            let text = json!({ "schema": { "type": "string" } });
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/x-ndjson": text, "text/csv": text } });
        }
        paths.insert(route.path.to_string(), json!({ route.method.to_ascii_lowercase(): operation }));
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "slackwater", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" } },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error() },
        },
    })
}

/// The names in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str, place: &str, kind: &str, about: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": about,
        "schema": { "type": kind },
    })
}

fn queries(path: &str) -> Vec<Value> {
    let all: &[(&str, &str, &str, &str)] = match path {
        "/v1/ingest/{source}" => &[
            (
                "Idempotency-Key",
                "header",
                "string",
                "1 to 128 printable ASCII characters; the same key with the same body is answered as before",
            ),
            ("Content-Encoding", "header", "string", "gzip or zstd"),
        ],
        "/v1/pipelines/{pipeline}/rows" => &[
            ("from", "query", "string", "Windows that start at this time or later, RFC 3339"),
            ("to", "query", "string", "Windows that start before this time, RFC 3339"),
            ("tier", "query", "string", "final (default), provisional or all"),
            ("as_of", "query", "string", "As the finals were after the last tick at or before this time, RFC 3339"),
            ("generations", "query", "boolean", "Every generation, removed ones too"),
            ("limit", "query", "integer", "Rows of a page, 1 to 10000, default 1000"),
            ("cursor", "query", "string", "What the page before gave as `next`"),
            ("format", "query", "string", "json, ndjson or csv; else by Accept"),
            ("key.COLUMN", "query", "string", "Rows with this value in a group-by column; null without `=`"),
        ],
        "/v1/pipelines/{pipeline}/stream" => &[
            ("interval", "query", "string", "From one look at moving rows to the next, default 500ms"),
            ("tier", "query", "string", "all (default) or final"),
            ("after", "query", "string", "As Last-Event-ID"),
            ("Last-Event-ID", "header", "string", "The id of the last event that was taken; 0 for all that is kept"),
        ],
        "/v1/sources/{source}/release" => &[
            ("pipeline", "query", "string", "Only what this pipeline holds"),
            ("number", "query", "integer", "Only the fact that has this number in /v1/held"),
        ],
        "/v1/held" => &[
            ("source", "query", "string", "Facts of this source"),
            ("pipeline", "query", "string", "Facts that this pipeline holds"),
            ("from", "query", "integer", "From this number on"),
            ("limit", "query", "integer", "Facts of a page, 1 to 1000, default 100"),
        ],
        "/v1/quarantine/release" | "/v1/quarantine/discard" => &[
            ("source", "query", "string", "Events of this source"),
            ("reason", "query", "string", "Events that are there for this reason now"),
            ("number", "query", "integer", "Only the event that has this number in /v1/quarantine"),
            ("all", "query", "boolean", "Every event, where none of the three says which"),
            ("from", "query", "integer", "From this number on: what the answer before gave as `next`"),
        ],
        "/v1/quarantine" => &[
            ("source", "query", "string", "Events of this source"),
            ("reason", "query", "string", "Events that are there for this reason now"),
            ("all", "query", "boolean", "Also what was discarded, or released"),
            ("from", "query", "integer", "From this number on"),
            ("limit", "query", "integer", "Events of a page, 1 to 1000, default 100"),
        ],
        _ => &[],
    };
    all.iter().map(|(name, place, kind, about)| parameter(name, place, kind, about)).collect()
}

fn content(path: &str) -> Value {
    let kinds: &[&str] = match path {
        "/v1/pipelines/{pipeline}/rows" => &["application/json", "application/x-ndjson", "text/csv"],
        "/v1/pipelines/{pipeline}/stream" => &["text/event-stream"],
        "/metrics" => &["application/openmetrics-text"],
        _ => &["application/json"],
    };
    let kind = |kind: &&str| (kind.to_string(), json!({ "schema": {} }));
    Value::Object(kinds.iter().map(kind).collect())
}

fn error() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "help"],
                "properties": {
                    "code": text("A word for programs; it never changes"),
                    "message": text("What happened"),
                    "help": text("What to do next"),
                },
            },
        },
    })
}
