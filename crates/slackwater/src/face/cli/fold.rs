//! `slackwater fold`: finite files in, final rows out.

use super::summary::{Generations, Summary};
use super::{Exit, FoldArgs, check, durable, tell, threads};
use crate::connect::files::STANDARD_STREAM;
use crate::connect::files::columnar;
use crate::connect::files::input::{FileChunks, InputError};
use crate::connect::files::output::{OutputError, OutputFile};
use crate::connect::files::render::{self, Shape};
use crate::decode::Damaged;
use crate::decode::parquet::LayoutError;
use crate::decode::spelling::nearest;
use crate::face::config::Config;
use crate::runtime::arrived;
use crate::runtime::clock::Stopwatch;
use crate::runtime::engine::{self, Arrangement, Folded};
use crate::runtime::gauge::Gauge;
use indicatif::{ProgressBar, ProgressStyle};
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::Quarantined;
use slackwater_store::{Fault, crew};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

/// Why a fold stopped.
pub(super) enum Stop {
    Usage(String),
    Input(InputError),
    Output(OutputError),
    Kept(Fault),
    Network(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Kept(fault)
    }
}

impl From<InputError> for Stop {
    fn from(error: InputError) -> Self {
        Stop::Input(error)
    }
}

impl From<Damaged> for Stop {
    fn from(error: Damaged) -> Self {
        Stop::Input(error.into())
    }
}

impl From<OutputError> for Stop {
    fn from(error: OutputError) -> Self {
        Stop::Output(error)
    }
}

impl Stop {
    /// Says why on standard error. A reader that closed its pipe wants no more words.
    pub fn report(self) -> Exit {
        let (exit, text) = match self {
            Stop::Usage(text) => (Exit::Usage, text),
            Stop::Input(error) => (exit_of(&error), format!("{error}; no row was written")),
            Stop::Output(OutputError::Closed { .. }) => return Exit::Output,
            Stop::Output(error) => (Exit::Output, error.to_string()),
            Stop::Kept(fault) => (Exit::Data, fault.to_string()),
            Stop::Network(text) => (Exit::Network, text),
        };
        tell(&format!("error: {text}\n"));
        exit
    }
}

/// Columns that do not fit are mended in the configuration, what cannot be read as Parquet on the command line.
fn exit_of(error: &InputError) -> Exit {
    match error {
        InputError::Layout { cause: LayoutError::Damaged(_) | LayoutError::Encrypted, .. } => Exit::Input,
        InputError::Layout { .. } => Exit::Config,
        InputError::Stream { .. } | InputError::Packed { .. } => Exit::Usage,
        _ => Exit::Input,
    }
}

pub(super) fn run(args: &FoldArgs) -> Exit {
    let mut config = match check::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let done = match &args.data {
        Some(data) => durable::fold(args, data, config),
        None => fold(args, &mut config),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(stop) => stop.report(),
    }
}

fn fold(args: &FoldArgs, config: &mut Config) -> Result<(), Stop> {
    if args.generations && !args.as_arrived {
        let text = "--generations: a plain fold has one generation of each row; add --as-arrived or --data";
        return Err(Stop::Usage(text.to_string()));
    }
    let chosen = choose(&config.plan, &args.pipelines)?;
    config.plan.pipelines.retain(|pipeline| chosen.contains(&pipeline.name));
    let plan = &config.plan;
    let shape = shape(&chosen, &args.out)?;
    if args.as_arrived {
        have_arrivals(plan)?;
    }
    let asked = inputs(args, config)?;
    apart(args, &asked)?;
    let feeds = asked.iter().map(|asked| open(asked, config)).collect::<Result<Vec<_>, Stop>>()?;
    let total = feeds.iter().map(|feed| feed.bytes_total()).sum::<Option<u64>>();
    // Both are made before anything is read: a place that cannot be written to is found out at once.
    let out = OutputFile::create(Path::new(&args.out))?;
    let mut aside = args.quarantine.as_ref().map(|path| OutputFile::create(Path::new(path))).transpose()?;
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    let arrangement = Arrangement::of_threads(threads(args.threads));
    let (gauge, watch) = (Gauge::default(), Stopwatch::start());
    let mut text = String::new();
    let put_aside = |events: &[Quarantined]| -> Result<(), Stop> {
        let Some(file) = &mut aside else { return Ok(()) };
        text.clear();
        events.iter().for_each(|event| render::quarantined(plan, event, &mut text));
        Ok(file.write(text.as_bytes())?)
    };
    let folded = watched(args, &gauge, total, || match args.as_arrived {
        true => arrived::fold(plan, &formats, feeds, args.tick, &gauge, put_aside),
        false => engine::fold(plan, &formats, feeds, arrangement, &gauge, put_aside),
    })?;
    // A result whose refused events could not be kept would not be accounted for.
    if let Some(aside) = aside {
        aside.finish()?;
    }
    let generations = args.as_arrived.then(|| Generations::of(&folded.finals));
    let whole = args.generations || !args.as_arrived;
    let newest = if whole { folded.finals } else { Final::newest(folded.finals) };
    let folded = Folded { finals: newest, ..folded };
    write(plan, shape, &folded.finals, out, threads(args.threads))?;
    let summary = Summary::new(plan, &folded, generations, watch.elapsed());
    tell(&if args.json { summary.json() } else { summary.text() });
    Ok(())
}

/// The names of the asked pipelines; of all, if none is asked for.
pub(super) fn choose(plan: &Plan, names: &[String]) -> Result<Vec<String>, Stop> {
    let known: Vec<String> = plan.pipelines.iter().map(|pipeline| pipeline.name.clone()).collect();
    for name in names {
        if !known.contains(name) {
            let near = nearest(name, known.iter().map(String::as_str));
            let hint = near.map_or(format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(Stop::Usage(format!("--pipeline {name}: there is no such pipeline; {hint}")));
        }
    }
    Ok(known.into_iter().filter(|name| names.is_empty() || names.contains(name)).collect())
}

/// Refuses sources whose events cannot be put in the order of their arrival.
fn have_arrivals(plan: &Plan) -> Result<(), Stop> {
    let read = |index: usize| plan.pipelines.iter().any(|pipeline| usize::from(pipeline.source) == index);
    for (_, source) in plan.sources.iter().enumerate().filter(|(index, _)| read(*index)) {
        let name = &source.name;
        let arrival = source.schema.roles().arrival.map(|field| &source.schema.fields()[field]);
        let why = match arrival {
            None => "names no `arrival`; add the column that says when each event was first seen".to_string(),
            Some(field) if field.nullable => {
                format!(
                    "lets its arrival `{}` be null; take the ? from its type, so that nulls are refused",
                    field.name
                )
            }
            _ => continue,
        };
        return Err(Stop::Usage(format!("--as-arrived: source `{name}` {why}")));
    }
    Ok(())
}

/// What the output is written as, for rows of the chosen pipelines.
pub(super) fn shape(chosen: &[String], out: &str) -> Result<Shape, Stop> {
    let Some(shape) = Shape::of_name(out) else {
        let text = format!("--out {out}: name it .ndjson or .csv (and .gz or .zst behind that), .parquet, or `-`");
        return Err(Stop::Usage(text));
    };
    if shape != Shape::Ndjson && chosen.len() > 1 {
        let text = format!(
            "--out {out}: pipelines have columns of their own, so a {} holds one; add --pipeline with one of {}, or \
             write .ndjson",
            if shape == Shape::Csv { "CSV" } else { "Parquet file" },
            chosen.join(", ")
        );
        return Err(Stop::Usage(text));
    }
    Ok(shape)
}

/// Refuses outputs that would overwrite each other or what the fold lives on, and refused events as columns.
pub(super) fn apart(args: &FoldArgs, asked: &[Asked]) -> Result<(), Stop> {
    let quarantine = args.quarantine.as_deref();
    if let Some(quarantine) = quarantine.filter(|quarantine| quarantine.ends_with(".parquet")) {
        let text = format!("--quarantine {quarantine}: refused events are written as JSON lines; name it .ndjson");
        return Err(Stop::Usage(text));
    }
    if let Some(quarantine) = quarantine.filter(|quarantine| place(quarantine) == place(&args.out)) {
        return Err(Stop::Usage(format!("--quarantine {quarantine}: this is the output too; name another file")));
    }
    for (option, output) in [("--out", Some(&*args.out)), ("--quarantine", quarantine)] {
        let Some(output) = output.filter(|output| *output != STANDARD_STREAM) else { continue };
        let stands = place(output);
        let refuse = |what: &str| Err(Stop::Usage(format!("{option} {output}: this is {what}; name another file")));
        if asked.iter().any(|asked| stands.is_file() && stands == place(&asked.path)) {
            return refuse("an input, which it would replace");
        }
        if stands == place(&args.config) {
            return refuse("the configuration, which it would replace");
        }
        if args.data.as_ref().is_some_and(|data| data.canonicalize().is_ok_and(|data| stands.starts_with(data))) {
            return refuse("a place in the data directory, which is not to be written to by others");
        }
    }
    Ok(())
}

/// Where a file is, or would be made.
fn place(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or(folder.to_path_buf());
    path.canonicalize().unwrap_or(folder.join(path.file_name().unwrap_or_default()))
}

/// An input that was asked for.
pub(super) struct Asked {
    pub source: u16,
    pub path: String,
}

/// Reads `SOURCE=PATH` of every input. A pipeline whose source has none would be silently empty, so that is an error,
/// but where facts may be there already.
pub(super) fn inputs(args: &FoldArgs, config: &Config) -> Result<Vec<Asked>, Stop> {
    let names = || config.sources.iter().map(|source| source.name.as_str());
    let (mut asked, mut fed, mut standard) = (Vec::new(), vec![false; config.sources.len()], false);
    for input in &args.inputs {
        let Some((name, path)) = input.split_once('=').filter(|(_, path)| !path.is_empty()) else {
            return Err(Stop::Usage(format!("--input {input}: write SOURCE=PATH, as in --input trades=trades.csv")));
        };
        let Some(index) = names().position(|known| known == name) else {
            let all: Vec<&str> = names().collect();
            let hint = nearest(name, names())
                .map_or(format!("there are {}", all.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(Stop::Usage(format!("--input {input}: there is no source `{name}`; {hint}")));
        };
        if path == "-" && std::mem::replace(&mut standard, true) {
            return Err(Stop::Usage("--input: standard input can be read once only".into()));
        }
        asked.push(Asked { source: index as u16, path: path.to_string() });
        fed[index] = true;
    }
    for pipeline in &config.plan.pipelines {
        let source = usize::from(pipeline.source);
        if !fed[source] && args.data.is_none() {
            let name = &config.sources[source].name;
            let text =
                format!("pipeline `{}` reads `{name}`, which has no input: add --input {name}=PATH", pipeline.name);
            return Err(Stop::Usage(text));
        }
    }
    Ok(asked)
}

/// Opens an input.
pub(super) fn open(asked: &Asked, config: &Config) -> Result<FileChunks, Stop> {
    let source = usize::from(asked.source);
    let (format, schema) = (config.sources[source].format, &config.plan.sources[source].schema);
    Ok(FileChunks::open(asked.source, format, Path::new(&asked.path), schema)?)
}

/// Does `work`, with a progress bar where a person is watching.
pub(super) fn watched<T>(args: &FoldArgs, gauge: &Gauge, total: Option<u64>, work: impl FnOnce() -> T) -> T {
    if args.json || !std::io::stderr().is_terminal() {
        return work();
    }
    let style = "{bar:40} {bytes} of {total_bytes}  {msg}  {eta} left";
    let bar = match total {
        Some(total) => ProgressBar::new(total)
            .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar())),
        None => ProgressBar::new_spinner(),
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Who gets no thread for a bar does without one.
        let _ = Builder::new().spawn_scoped(scope, || {
            while !done.load(Ordering::Relaxed) {
                bar.set_position(gauge.read());
                bar.set_message(format!("{} events", gauge.events()));
                std::thread::sleep(Duration::from_millis(100));
            }
            bar.finish_and_clear();
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// Rows that a thread renders before they are written.
const ROWS_AT_ONCE: usize = 4096;

/// Writes rows; where the shape holds one pipeline, those of one.
pub(super) fn write(
    plan: &Plan,
    shape: Shape,
    finals: &[Final],
    mut out: OutputFile,
    threads: usize,
) -> Result<(), Stop> {
    let number = finals.first().map_or(0, |row| usize::from(row.pipeline));
    let (pipeline, mut text) = (&plan.pipelines[number], String::new());
    let render: fn(&Plan, &Final, &mut String) = match shape {
        Shape::Ndjson => render::ndjson,
        Shape::Csv => {
            render::csv_header(pipeline, &mut text);
            render::csv
        }
        Shape::Parquet => return Ok(columnar::write(pipeline, finals, out)?),
    };
    out.write(text.as_bytes())?;
    for rows in finals.chunks(ROWS_AT_ONCE * threads.max(1)) {
        let texts = crew::each(rows.chunks(ROWS_AT_ONCE), |rows| {
            let mut text = String::new();
            rows.iter().for_each(|row| render(plan, row, &mut text));
            text
        });
        texts.iter().try_for_each(|text| out.write(text.as_bytes()))?;
    }
    Ok(out.finish()?)
}
