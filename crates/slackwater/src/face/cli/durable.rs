//! `slackwater fold --data`: a fold that can be stopped anywhere and goes on where it was.

use super::fold::{Asked, Stop, apart, choose, inputs, open, shape, watched, write};
use super::summary::{Generations, Summary};
use super::{FoldArgs, directory, tell, threads};
use crate::connect::files::input::FileChunks;
use crate::connect::files::output::OutputFile;
use crate::connect::files::render;
use crate::face::config::Config;
use crate::face::home;
use crate::runtime::clock::{self, Clock, Stopwatch};
use crate::runtime::engine::Folded;
use crate::runtime::gauge::Gauge;
use crate::runtime::instance::{Instance, Settings};
use crate::runtime::reopen::Opening;
use crate::runtime::replay::Resumed;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_core::schema::IdentityRule;
use slackwater_store::Fault;
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::disk::Disk;
use slackwater_store::store::Ask;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn fold(args: &FoldArgs, data: &Path, config: Config) -> Result<(), Stop> {
    let chosen = choose(&config.plan, &args.pipelines)?;
    let shape = shape(&chosen, &args.out)?;
    let asked = inputs(args, &config)?;
    apart(args, &asked)?;
    can_be_kept(&asked, &config.plan)?;
    let keep_raw = home::keep_raw(&config).map_err(|text| Stop::Usage(format!("--data: {text}")))?;
    // Every file is looked at, and both outputs are made, before anything is kept.
    let feeds = asked.iter().map(|asked| open(asked, &config)).collect::<Result<Vec<_>, Stop>>()?;
    let total = feeds.iter().map(|feed| feed.bytes_total()).sum::<Option<u64>>();
    let out = OutputFile::create(Path::new(&args.out))?;
    let aside = args.quarantine.as_ref().map(|path| OutputFile::create(Path::new(path))).transpose()?;
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    let (gauge, watch) = (Gauge::default(), Stopwatch::start());
    let disk = directory::lock(data, true)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let kept = Arc::new(config.plan.clone());
    let mut open_store = |keep| home::open_store(data, &kept, keep);
    let mut settings = Settings::of_threads(threads(args.threads));
    settings.every = Duration::from_nanos(args.checkpoint as u64);
    (settings.keep_raw, settings.keep_for) = keep_raw;
    settings.keep_facts = home::keep_facts(&config);
    let opening = Opening {
        plan: &config.plan,
        formats: &formats,
        settings,
        disk: disk.clone(),
        store: &mut open_store,
        clock: Clock::start(),
        name: clock::lot(),
    };
    let (mut instance, opened) = Instance::open(opening, &gauge)?;
    instance.may_end()?;
    home::keep_config(&*disk, &config.text)?;
    opened.notes.iter().for_each(|note| tell(&format!("note: {note}\n")));
    let guards: Vec<_> = config.plan.sources.iter().map(|source| source.guards.clone()).collect();
    instance.guard(&guards)?;
    watched(args, &gauge, total, || {
        asked.iter().zip(feeds).try_for_each(|(asked, feed)| take(&mut instance, asked, feed, &config, &gauge))?;
        Ok::<_, Stop>(instance.end()?)
    })?;
    home::on_gone_bytes(instance.gone()).iter().for_each(|note| tell(&format!("note: {note}\n")));
    crash::point(CrashPoint::OutputsPending)?;
    let finals = rows(&mut instance, &config.plan, &chosen)?;
    if let Some(mut file) = aside {
        let mut text = String::new();
        instance.quarantined(&mut |event| {
            render::quarantined(&config.plan, &event, &mut text);
            Ok(())
        })?;
        file.write(text.as_bytes())?;
        file.finish()?;
    }
    let generations = Generations::of(&finals);
    let finals = if args.generations { finals } else { Final::newest(finals) };
    write(&config.plan, shape, &finals, out, threads(args.threads))?;
    let (seen, faults, refolded) = (instance.seen(), instance.faults(), instance.refolded());
    let folded = Folded { finals, seen, faults, refolded, held: instance.held() };
    let summary = Summary::new(&config.plan, &folded, Some(generations), watch.elapsed());
    tell(&if args.json { summary.json() } else { summary.text() });
    Ok(())
}

/// Refuses what a directory could not keep its word about.
fn can_be_kept(asked: &[Asked], plan: &Plan) -> Result<(), Stop> {
    for Asked { source, path } in asked {
        let source = &plan.sources[usize::from(*source)];
        if path == "-" && source.schema.roles().identity == IdentityRule::Position {
            let text = "--input: events of standard input have no position that means the same next time; write them to \
                        a file, or give the source an `identity`";
            return Err(Stop::Usage(text.to_string()));
        }
    }
    Ok(())
}

/// Takes in what is new of a file.
fn take(
    instance: &mut Instance<'_>,
    asked: &Asked,
    feed: FileChunks,
    config: &Config,
    gauge: &Gauge,
) -> Result<(), Stop> {
    let known = instance.offset(asked.source, &asked.path).cloned();
    let mut feed = match known {
        // Standard input is another one every time.
        Some(known) if asked.path != "-" => match Resumed::behind(feed, &known)? {
            Some(feed) => feed,
            None => {
                tell(&format!(
                    "note: {} is not what it was when it was read before; it is read from its beginning, and what is \
                     known of it changes nothing\n",
                    asked.path
                ));
                Resumed::from_start(open(asked, config)?)
            }
        },
        _ => Resumed::from_start(feed),
    };
    instance.take::<_, Stop>(&mut feed, (asked.source, &asked.path), gauge)
}

/// The rows of the chosen pipelines, of every generation, in output order.
fn rows(instance: &mut Instance<'_>, plan: &Plan, chosen: &[String]) -> Result<Vec<Final>, Fault> {
    let ask = Ask { generations: true, ..Ask::default() };
    let mut finals = Vec::new();
    for (number, pipeline) in plan.pipelines.iter().enumerate() {
        if chosen.contains(&pipeline.name) {
            instance.rows(number as u16, &ask, &mut |kept| {
                finals.push(kept.row);
                Ok(())
            })?;
        }
    }
    finals.sort_by(Final::order);
    Ok(finals)
}
