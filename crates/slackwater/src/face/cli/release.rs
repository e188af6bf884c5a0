//! `slackwater source held` and `source release`: late facts that are held, asked of a service or of its directory.

use super::check::print;
use super::fold::Stop;
use super::{Exit, SourceHeldArgs, SourceReleaseArgs, directory, remote, tell};
use crate::face::api::{find, listed};
use crate::face::config::Config;
use crate::face::home;
use crate::runtime::clock::{self, Clock};
use crate::runtime::gauge::Gauge;
use crate::runtime::instance::{Instance, Settings};
use crate::runtime::reopen::Opening;
use serde_json::{Value, json};
use slackwater_core::fold::Settled;
use slackwater_core::hold::Release;
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::disk::Disk;
use std::path::Path;
use std::sync::Arc;

pub(super) fn list(args: &SourceHeldArgs) -> Exit {
    match held(args) {
        Ok(facts) => print(&facts.iter().map(|fact| format!("{fact}\n")).collect::<String>()),
        Err(stop) => stop.report(),
    }
}

fn held(args: &SourceHeldArgs) -> Result<Vec<Value>, Stop> {
    let limit = args.limit as usize;
    if let Some(data) = &args.at.data {
        let plan = Arc::new(directory::config(data)?.plan);
        let source = args.source.as_ref().map(|name| source(&plan, name)).transpose()?;
        let pipeline = args.pipeline.as_ref().map(|name| directory::pipeline(&plan, Some(name))).transpose()?;
        let mut held = directory::results(data, &plan)?.held(None)?;
        held.retain(|noted| {
            let mine = source.is_none_or(|one| one == noted.note.source());
            mine && pipeline.is_none_or(|one| one == noted.note.pipeline) && noted.number >= args.from
        });
        held.truncate(limit);
        return Ok(held.iter().map(|noted| listed(&plan, noted)).collect());
    }
    let server = remote::server(&args.at.url());
    let (mut facts, mut from) = (Vec::new(), args.from);
    while facts.len() < limit {
        let left = (limit - facts.len()).min(1_000);
        let mut parameters = vec![("from".to_string(), from.to_string()), ("limit".to_string(), left.to_string())];
        parameters.extend(args.source.iter().map(|source| ("source".to_string(), source.clone())));
        parameters.extend(args.pipeline.iter().map(|pipeline| ("pipeline".to_string(), pipeline.clone())));
        let mut page = remote::json(&server, &format!("/v1/held{}", remote::query(&parameters)))?;
        if let Some(Value::Array(found)) = page.get_mut("held").map(Value::take) {
            facts.extend(found);
        }
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(facts)
}

pub(super) fn run(args: &SourceReleaseArgs) -> Exit {
    let released = match &args.at.data {
        Some(data) => kept(args, data),
        None => asked(args),
    };
    match released {
        Ok(answer) if args.json => print(&format!("{answer}\n")),
        Ok(answer) => print(&format!("{}: {} released\n", args.source, answer["released"])),
        Err(stop) => stop.report(),
    }
}

fn asked(args: &SourceReleaseArgs) -> Result<Value, Stop> {
    let mut path = String::from("/v1/sources/");
    remote::encode(&args.source, &mut path);
    let mut parameters: Vec<(String, String)> = Vec::new();
    parameters.extend(args.pipeline.iter().map(|name| ("pipeline".to_string(), name.clone())));
    parameters.extend(args.number.iter().map(|number| ("number".to_string(), number.to_string())));
    path.push_str(&format!("/release{}", remote::query(&parameters)));
    let server = remote::server(&args.at.url());
    let answered = server.post(&path, None, "application/json", b"").map_err(Stop::Network)?;
    let answered = remote::sound(&server, answered)?;
    serde_json::from_str(&answered.text).map_err(|_| Stop::Network(format!("{}: this is no slackwater", server.url)))
}

/// Releases in a directory that no process uses: the decision, a tick, and a checkpoint.
fn kept(args: &SourceReleaseArgs, data: &Path) -> Result<Value, Stop> {
    let config = directory::config(data)?;
    let plan = Arc::new(config.plan.clone());
    let source = source(&plan, &args.source)?;
    let pipeline = args.pipeline.as_ref().map(|name| directory::pipeline(&plan, Some(name))).transpose()?;
    let disk: Arc<dyn Disk> = Arc::new(directory::lock(data, false)?);
    let wanted = match args.number {
        None => Release { source, pipeline, identity: None },
        Some(number) => {
            let found = find(&directory::results(data, &plan)?.held(None)?, number);
            let found =
                found.filter(|found| found.source == source && pipeline.is_none_or(|p| found.pipeline == Some(p)));
            found.ok_or_else(|| Stop::Usage(format!("nothing of the number {number} is held; see `source held`")))?
        }
    };
    let count = in_directory(&config, &plan, (data, disk), |instance| instance.release(wanted))?;
    Ok(json!({ "source": args.source, "released": count }))
}

/// Does something in a directory that no process uses; what it decided is followed by a tick, and a checkpoint.
pub(super) fn in_directory<T>(
    config: &Config,
    plan: &Arc<Plan>,
    (data, disk): (&Path, Arc<dyn Disk>),
    act: impl FnOnce(&mut Instance<'_>) -> Result<T, Fault>,
) -> Result<T, Stop> {
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    let mut open_store = |keep| home::open_store(data, plan, keep);
    let mut settings = Settings::of_threads(1);
    (settings.keep_raw, settings.keep_for) =
        home::keep_raw(config).map_err(|text| Stop::Usage(format!("--data: {text}")))?;
    let opening = Opening {
        plan,
        formats: &formats,
        settings,
        disk,
        store: &mut open_store,
        clock: Clock::start(),
        name: clock::lot(),
    };
    let (mut instance, opened) = Instance::open(opening, &Gauge::default())?;
    opened.notes.iter().for_each(|note| tell(&format!("note: {note}\n")));
    // What came to a fold or a service that was stopped before it could tick is not this command's to seal. What such a
    // command was stopped at is.
    if !instance.may_be_cut() && instance.has_changed() {
        let text = "it was stopped between two ticks; run the fold or the service again, so that it ends, then do this";
        return Err(Stop::Usage(format!("--data {}: {text}", data.display())));
    }
    let done = act(&mut instance)?;
    match instance.may_be_cut() {
        _ if instance.is_committed() => {}
        true => instance.checkpoint()?,
        false if instance.head().settled.contains(&Settled::All) => instance.end()?,
        false => drop(instance.pulse(instance.tick_now(Vec::new()), true, |_, _| {})?),
    }
    Ok(done)
}

pub(super) fn source(plan: &Plan, name: &str) -> Result<u16, Stop> {
    let names: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
    let found = names.iter().position(|known| *known == name).map(|found| found as u16);
    found.ok_or_else(|| Stop::Usage(format!("{name}: there is no such source; there are {}", names.join(", "))))
}
