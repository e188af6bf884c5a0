//! `slackwater quarantine`: events that were set aside, asked of a service or read from its directory.

use super::check::print;
use super::fold::Stop;
use super::{At, Exit, QuarantineCommand, directory, remote};
use crate::face::api::shown;
use serde_json::{Value, json};
use slackwater_store::sqlite::Sqlite;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(command: &QuarantineCommand) -> Exit {
    let found = match command {
        QuarantineCommand::List(args) => list(&args.at, args.source.as_deref(), args.from, args.limit),
        QuarantineCommand::Show(args) => show(&args.at, args.number).map(|event| vec![event]),
    };
    match found {
        Ok(events) => print(&events.iter().map(|event| format!("{event}\n")).collect::<String>()),
        Err(stop) => stop.report(),
    }
}

fn list(at: &At, source: Option<&str>, from: u64, limit: u32) -> Result<Vec<Value>, Stop> {
    if let Some(data) = &at.data {
        return kept(data, source, from, limit as usize);
    }
    let server = remote::server(&at.url());
    let (mut events, mut from) = (Vec::new(), from);
    while events.len() < limit as usize {
        let left = (limit as usize - events.len()).min(1_000);
        let mut parameters = vec![("from".to_string(), from.to_string()), ("limit".to_string(), left.to_string())];
        parameters.extend(source.map(|source| ("source".to_string(), source.to_string())));
        let mut page = remote::json(&server, &format!("/v1/quarantine{}", remote::query(&parameters)))?;
        if let Some(Value::Array(found)) = page.get_mut("events").map(Value::take) {
            events.extend(found);
        }
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(events)
}

fn show(at: &At, number: u64) -> Result<Value, Stop> {
    match &at.data {
        None => remote::json(&remote::server(&at.url()), &format!("/v1/quarantine/{number}")),
        Some(data) => {
            let found = kept(data, None, number, 1)?.pop().filter(|event| event["number"] == json!(number));
            found.ok_or_else(|| Stop::Usage(format!("no event of the number {number} was set aside")))
        }
    }
}

fn kept(data: &Path, source: Option<&str>, from: u64, limit: usize) -> Result<Vec<Value>, Stop> {
    let plan = Arc::new(directory::config(data)?.plan);
    let mut store = Sqlite::read(data, plan.clone())?;
    let events = store.set_aside(source, from, limit)?;
    Ok(events.iter().map(|(number, event)| shown(&plan, *number, event)).collect())
}
