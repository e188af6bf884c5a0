//! `slackwater query`: the rows of a service, or of a data directory, read beside whoever writes them.

use super::check::print;
use super::fold::Stop;
use super::{Exit, QueryArgs, directory, remote, tell};
use crate::connect::files::render;
use crate::face::key;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_store::store::{Ask, Store};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(args: &QueryArgs) -> Exit {
    let found = match &args.at.data {
        Some(data) => query(args, data),
        None => asked(args),
    };
    match found {
        Ok(text) => print(&text),
        Err(stop) => stop.report(),
    }
}

/// The rows of a service, page by page.
fn asked(args: &QueryArgs) -> Result<String, Stop> {
    let server = remote::server(&args.at.url());
    let named = match &args.pipeline {
        Some(name) => name.clone(),
        None => only_pipeline(&remote::json(&server, "/v1/pipelines")?)?,
    };
    let format = format(args);
    let csv = format != "ndjson";
    let mut parameters = vec![("tier".to_string(), args.tier.clone()), ("limit".to_string(), "10000".to_string())];
    parameters.push(("format".to_string(), if csv { "csv" } else { "ndjson" }.to_string()));
    for (name, time) in [("from", args.from), ("to", args.to), ("as_of", args.as_of.map(i128::from))] {
        parameters.extend(time.map(|time| (name.to_string(), render::time(time))));
    }
    if args.generations {
        parameters.push(("generations".to_string(), "true".to_string()));
    }
    let mut nulls = String::new();
    for key in &args.keys {
        match key.split_once('=') {
            Some((name, value)) => parameters.push((format!("key.{name}"), value.to_string())),
            None => {
                nulls.push('&');
                remote::encode(&format!("key.{key}"), &mut nulls);
            }
        }
    }
    let (mut text, mut cursor) = (String::new(), None);
    loop {
        let mut page = parameters.clone();
        page.extend(cursor.take().map(|cursor| ("cursor".to_string(), cursor)));
        let answered = remote::ask(&server, &format!("/v1/pipelines/{named}/rows{}{nulls}", remote::query(&page)))?;
        let header = if csv && !text.is_empty() { answered.text.find('\n').map_or(0, |end| end + 1) } else { 0 };
        text.push_str(&answered.text[header..]);
        match answered.headers.get("slackwater-next").and_then(|next| next.to_str().ok()) {
            Some(next) => cursor = Some(next.to_string()),
            None if format == "table" => return tabled(&text).ok_or_else(|| Stop::Network(remote::strange(&server))),
            None => return Ok(text),
        }
    }
}

/// A CSV as a table for a person.
fn tabled(csv: &str) -> Option<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    let record = |record: csv::StringRecord| record.iter().map(str::to_string).collect();
    let records: Result<Vec<Vec<String>>, _> = reader.records().map(|read| read.map(record)).collect();
    let mut text = String::new();
    render::aligned(&records.ok()?, &mut text);
    Some(text)
}

/// How rows are to be written.
fn format(args: &QueryArgs) -> &str {
    match &args.format {
        Some(format) => format.as_str(),
        None if !args.json && std::io::stdout().is_terminal() => "table",
        None => "ndjson",
    }
}

fn only_pipeline(pipelines: &serde_json::Value) -> Result<String, Stop> {
    let named =
        pipelines["pipelines"].as_array().into_iter().flatten().filter_map(|pipeline| pipeline["name"].as_str());
    match &named.collect::<Vec<_>>()[..] {
        [only] => Ok(only.to_string()),
        names => Err(Stop::Usage(format!("name a pipeline: there are {}", names.join(", ")))),
    }
}

fn query(args: &QueryArgs, data: &Path) -> Result<String, Stop> {
    let plan = Arc::new(directory::config(data)?.plan);
    let pipeline = directory::pipeline(&plan, args.pipeline.as_deref())?;
    let keys = directory::keys(&plan, pipeline, &args.keys)?;
    if args.tier != "final" {
        tell(
            "note: a directory has final rows; what still moves is in the memory of the process that takes events in: ask it \
             with --url\n",
        );
    }
    let mut finals = Vec::new();
    if args.tier != "provisional" {
        let mut store = directory::results(data, &plan)?;
        // A read that misses a row must not pass for an answer.
        store.check()?;
        let ask = Ask { from: args.from, to: args.to, as_of: args.as_of, generations: args.generations };
        store.rows(pipeline, &ask, &mut |kept| {
            let shown = args.generations || !kept.row.removed;
            if shown && key::has(&plan, &kept.row, &keys) {
                finals.push(kept.row);
            }
            Ok(())
        })?;
    }
    finals.sort_by(Final::order);
    Ok(write(&plan, pipeline, &finals, format(args)))
}

fn write(plan: &Plan, pipeline: u16, finals: &[Final], format: &str) -> String {
    let mut text = String::new();
    match format {
        "ndjson" => finals.iter().for_each(|row| render::ndjson(plan, row, &mut text)),
        "csv" => {
            render::csv_header(&plan.pipelines[usize::from(pipeline)], &mut text);
            finals.iter().for_each(|row| render::csv(plan, row, &mut text));
        }
        _ => render::table(plan, pipeline, finals, &mut text),
    }
    text
}
