//! `slackwater quarantine`: events that were set aside, listed, judged again or discarded, at a service or in its directory.

use super::check::print;
use super::fold::Stop;
use super::release::{in_directory, source};
use super::{At, Exit, QuarantineCommand, QuarantineDealArgs, QuarantineListArgs, directory, remote};
use crate::face::api::live::Dealing;
use crate::face::api::{Which, reason, set_aside, shown, told};
use crate::runtime::retrial::{Dealt, Wanted};
use serde_json::{Value, json};
use slackwater_core::poison::Reason;
use slackwater_store::Fault;
use slackwater_store::disk::Disk;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(command: &QuarantineCommand) -> Exit {
    let found = match command {
        QuarantineCommand::List(args) => list(args),
        QuarantineCommand::Show(args) => show(&args.at, args.number).map(|event| vec![event]),
        QuarantineCommand::Release(args) => return deal(args, Dealing::Release),
        QuarantineCommand::Discard(args) => return deal(args, Dealing::Discard),
    };
    match found {
        Ok(events) => print(&events.iter().map(|event| format!("{event}\n")).collect::<String>()),
        Err(stop) => stop.report(),
    }
}

fn list(args: &QuarantineListArgs) -> Result<Vec<Value>, Stop> {
    let (source, limit) = (&args.source, args.limit as usize);
    if let Some(data) = &args.at.data {
        let reason = args.reason.as_deref().map(known).transpose()?;
        return kept(data, &Which { source: source.clone(), reason, from: args.from, all: args.all }, limit);
    }
    let server = remote::server(&args.at.url());
    let (mut events, mut from) = (Vec::new(), args.from);
    while events.len() < limit {
        let left = (limit - events.len()).min(1_000);
        let mut parameters = vec![("from".to_string(), from.to_string()), ("limit".to_string(), left.to_string())];
        parameters.extend(source.iter().map(|source| ("source".to_string(), source.clone())));
        parameters.extend(args.reason.iter().map(|reason| ("reason".to_string(), reason.clone())));
        parameters.extend(args.all.then(|| ("all".to_string(), "true".to_string())));
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
        Some(data) => numbered(data, number),
    }
}

/// The event of a directory that has a number.
fn numbered(data: &Path, number: u64) -> Result<Value, Stop> {
    let which = Which { from: number, all: true, ..Which::default() };
    let found = kept(data, &which, 1)?.pop().filter(|event| event["number"] == json!(number));
    found.ok_or_else(|| Stop::Usage(format!("no event of the number {number} was set aside")))
}

fn kept(data: &Path, which: &Which, limit: usize) -> Result<Vec<Value>, Stop> {
    let plan = Arc::new(directory::config(data)?.plan);
    which.source.as_ref().map(|name| source(&plan, name)).transpose()?;
    let mut store = directory::results(data, &plan)?;
    let events = set_aside(&mut store, which, limit)?;
    Ok(events.iter().map(|aside| shown(&plan, aside)).collect())
}

fn known(code: &str) -> Result<Reason, Stop> {
    reason(code).map_err(|help| Stop::Usage(format!("--reason {code}: there is no such reason; {help}")))
}

fn deal(args: &QuarantineDealArgs, with: Dealing) -> Exit {
    let dealt = match &args.at.data {
        Some(data) => in_place(args, data, with),
        None => asked(args, with),
    };
    match dealt {
        Ok(answer) if args.json => print(&format!("{answer}\n")),
        Ok(answer) => print(&in_words(&answer)),
        Err(stop) => stop.report(),
    }
}

fn in_words(answer: &Value) -> String {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let mut text = match answer["released"].as_u64() {
        Some(released) => format!("{released} released, {} refused again\n", count("refused_again")),
        None => format!("{} discarded\n", count("discarded")),
    };
    let others = [
        ("cut", "not released, for only the beginning of them was kept"),
        ("conflicts", "left alone, for they lost against another content of their version"),
        ("beyond_retention", "left alone, for they lie before what is kept of facts"),
    ];
    for (name, what) in others {
        if count(name) > 0 {
            // A String takes any text.
            let _ = writeln!(text, "{} {what}", count(name));
        }
    }
    if answer["released"].is_u64() && count("discarded") > 0 {
        let _ = writeln!(text, "{} not released, for they were discarded", count("discarded"));
    }
    text
}

/// Each number is asked for by itself; without numbers, all else that was said, page by page.
fn each(args: &QuarantineDealArgs) -> Vec<Option<u64>> {
    if args.numbers.is_empty() { vec![None] } else { args.numbers.iter().map(|number| Some(*number)).collect() }
}

fn asked(args: &QuarantineDealArgs, with: Dealing) -> Result<Value, Stop> {
    let server = remote::server(&args.at.url());
    let act = if with == Dealing::Release { "release" } else { "discard" };
    let mut sum: Option<Value> = None;
    for number in each(args) {
        let mut from = Some(0);
        while let Some(begin) = from {
            let mut parameters: Vec<(String, String)> = Vec::new();
            let mut put = |name: &str, value: Option<String>| {
                parameters.extend(value.map(|value| (name.to_string(), value)));
            };
            put("source", args.source.clone());
            put("reason", args.reason.clone());
            put("number", number.map(|number| number.to_string()));
            put("all", args.all.then(|| "true".to_string()));
            put("from", Some(begin.to_string()));
            let path = format!("/v1/quarantine/{act}{}", remote::query(&parameters));
            let answered = server.post(&path, None, "application/json", b"").map_err(Stop::Network)?;
            let answered = remote::sound(&server, answered)?;
            let strange = |_| Stop::Network(format!("{}: this is no slackwater", server.url));
            let answer: Value = serde_json::from_str(&answered.text).map_err(strange)?;
            from = answer["next"].as_u64();
            add(&mut sum, answer);
        }
    }
    Ok(sum.unwrap_or_default())
}

/// Adds the numbers of an answer.
fn add(sum: &mut Option<Value>, answer: Value) {
    let Some(Value::Object(sum)) = sum else {
        *sum = Some(answer);
        return;
    };
    for (name, count) in answer.as_object().into_iter().flatten() {
        let total = sum.get(name).and_then(Value::as_u64).zip(count.as_u64()).map(|(a, b)| a + b);
        sum.insert(name.clone(), total.map_or(Value::Null, Value::from));
    }
}

/// In a directory that no process uses.
fn in_place(args: &QuarantineDealArgs, data: &Path, with: Dealing) -> Result<Value, Stop> {
    let config = directory::config(data)?;
    let plan = Arc::new(config.plan.clone());
    let reason = args.reason.as_deref().map(known).transpose()?;
    let one = args.source.as_ref().map(|name| source(&plan, name)).transpose()?;
    let sources: Vec<bool> = (0..plan.sources.len() as u16).map(|index| one.is_none_or(|one| one == index)).collect();
    args.numbers.iter().try_for_each(|number| numbered(data, *number).map(drop))?;
    let disk: Arc<dyn Disk> = Arc::new(directory::lock(data, false)?);
    let numbers = each(args);
    let dealt = in_directory(&config, &plan, (data, disk), |instance| {
        let mut sum = Dealt::default();
        for number in numbers {
            let mut from = Some(0);
            while let Some(begin) = from {
                let wanted = Wanted { sources: sources.clone(), reason, number, from: begin };
                let dealt = match with {
                    Dealing::Release => instance.readmit(&wanted)?.map_err(Fault::Refused)?,
                    Dealing::Discard => instance.discard(&wanted)?,
                };
                from = dealt.next;
                sum.add(&dealt);
            }
        }
        Ok(sum)
    })?;
    Ok(told(with, &dealt))
}
