//! `slackwater query`: the rows of a data directory, read beside whoever writes them.

use super::check::print;
use super::fold::Stop;
use super::{Exit, QueryArgs, directory, tell};
use crate::connect::files::render;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::{Ask, Store};
use std::io::IsTerminal;
use std::sync::Arc;

pub(super) fn run(args: &QueryArgs) -> Exit {
    match query(args) {
        Ok(text) => print(&text),
        Err(stop) => stop.report(),
    }
}

fn query(args: &QueryArgs) -> Result<String, Stop> {
    let plan = Arc::new(directory::config(&args.data)?.plan);
    let pipeline = directory::pipeline(&plan, args.pipeline.as_deref())?;
    let keys = directory::keys(&plan, pipeline, &args.keys)?;
    if args.tier != "final" {
        tell(
            "note: a directory has final rows; what still moves is in the memory of the process that takes events in\n",
        );
    }
    let mut finals = Vec::new();
    if args.tier != "provisional" {
        let mut store = Sqlite::read(&args.data, plan.clone())?;
        // A read that misses a row must not pass for an answer.
        store.check()?;
        let (from, to) = (args.from.map(i128::from), args.to.map(i128::from));
        let ask = Ask { from, to, as_of: args.as_of, generations: args.generations };
        store.rows(pipeline, &ask, &mut |kept| {
            let shown = args.generations || !kept.row.removed;
            if shown && directory::has_key(&plan, &kept.row, &keys) {
                finals.push(kept.row);
            }
            Ok(())
        })?;
    }
    finals.sort_by(Final::order);
    let format = match &args.format {
        Some(format) => format.as_str(),
        None if !args.json && std::io::stdout().is_terminal() => "table",
        None => "ndjson",
    };
    Ok(write(&plan, pipeline, &finals, format))
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
