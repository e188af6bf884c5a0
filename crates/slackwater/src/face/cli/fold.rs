//! `slackwater fold`: finite files in, final rows out.

use super::summary::{Generations, Summary};
use super::{Exit, FoldArgs, check, tell, threads};
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
use slackwater_core::machine::Quarantined;
use slackwater_core::plan::{LatePolicy, Plan};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Why a fold stopped.
enum Stop {
    Usage(String),
    Input(InputError),
    Output(OutputError),
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
    fn report(self) -> Exit {
        let (exit, text) = match self {
            Stop::Usage(text) => (Exit::Usage, text),
            Stop::Input(error) => (exit_of(&error), format!("{error}; no row was written")),
            Stop::Output(OutputError::Closed { .. }) => return Exit::Output,
            Stop::Output(error) => (Exit::Output, error.to_string()),
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
    match fold(args, &mut config) {
        Ok(()) => Exit::Done,
        Err(stop) => stop.report(),
    }
}

fn fold(args: &FoldArgs, config: &mut Config) -> Result<(), Stop> {
    choose(&mut config.plan, &args.pipelines)?;
    let plan = &config.plan;
    let shape = shape(plan, &args.out)?;
    apart(&args.out, args.quarantine.as_deref())?;
    if args.as_arrived {
        have_arrivals(plan)?;
    }
    let feeds = open(args, config)?;
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
    write(plan, shape, &folded, out)?;
    let summary = Summary::new(plan, &folded, generations, watch.elapsed());
    tell(&if args.json { summary.json() } else { summary.text() });
    Ok(())
}

/// Keeps the asked pipelines only.
fn choose(plan: &mut Plan, names: &[String]) -> Result<(), Stop> {
    let known: Vec<String> = plan.pipelines.iter().map(|pipeline| pipeline.name.clone()).collect();
    for name in names {
        if !known.contains(name) {
            let near = nearest(name, known.iter().map(String::as_str));
            let hint = near.map_or(format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(Stop::Usage(format!("--pipeline {name}: there is no such pipeline; {hint}")));
        }
    }
    if !names.is_empty() {
        plan.pipelines.retain(|pipeline| names.contains(&pipeline.name));
    }
    Ok(())
}

/// Refuses sources whose events cannot be put in the order of their arrival, or whose late facts would have to be kept.
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
            _ if source.late == LatePolicy::Hold => {
                "has late = \"hold\", and a fold of files keeps nothing to release later; write late = \"amend\""
                    .to_string()
            }
            _ => continue,
        };
        return Err(Stop::Usage(format!("--as-arrived: source `{name}` {why}")));
    }
    Ok(())
}

fn shape(plan: &Plan, out: &str) -> Result<Shape, Stop> {
    let Some(shape) = Shape::of_name(out) else {
        let text = format!("--out {out}: name it .ndjson or .csv (and .gz or .zst behind that), .parquet, or `-`");
        return Err(Stop::Usage(text));
    };
    if shape != Shape::Ndjson && plan.pipelines.len() > 1 {
        let names: Vec<&str> = plan.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        let text = format!(
            "--out {out}: pipelines have columns of their own, so a {} holds one; add --pipeline with one of {}, or \
             write .ndjson",
            if shape == Shape::Csv { "CSV" } else { "Parquet file" },
            names.join(", ")
        );
        return Err(Stop::Usage(text));
    }
    Ok(shape)
}

/// Refuses one place for both outputs, for each would overwrite the other, and refused events as columns.
fn apart(out: &str, quarantine: Option<&str>) -> Result<(), Stop> {
    let place = |path: &str| {
        let path = Path::new(path);
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or(folder.to_path_buf());
        path.canonicalize().unwrap_or(folder.join(path.file_name().unwrap_or_default()))
    };
    match quarantine {
        Some(quarantine) if quarantine.ends_with(".parquet") => {
            let text = format!("--quarantine {quarantine}: refused events are written as JSON lines; name it .ndjson");
            Err(Stop::Usage(text))
        }
        Some(quarantine) if place(quarantine) == place(out) => {
            Err(Stop::Usage(format!("--quarantine {quarantine}: this is the output too; name another file")))
        }
        _ => Ok(()),
    }
}

/// Opens every input. A pipeline whose source has none would be silently empty, so that is an error.
fn open(args: &FoldArgs, config: &Config) -> Result<Vec<FileChunks>, Stop> {
    let names = || config.sources.iter().map(|source| source.name.as_str());
    let (mut feeds, mut fed, mut standard) = (Vec::new(), vec![false; config.sources.len()], false);
    for input in &args.inputs {
        let Some((name, path)) = input.split_once('=') else {
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
        let schema = &config.plan.sources[index].schema;
        feeds.push(FileChunks::open(index as u16, config.sources[index].format, Path::new(path), schema)?);
        fed[index] = true;
    }
    for pipeline in &config.plan.pipelines {
        let source = usize::from(pipeline.source);
        if !fed[source] {
            let name = &config.sources[source].name;
            let text =
                format!("pipeline `{}` reads `{name}`, which has no input: add --input {name}=PATH", pipeline.name);
            return Err(Stop::Usage(text));
        }
    }
    Ok(feeds)
}

/// Does `work`, with a progress bar where a person is watching.
fn watched<T>(args: &FoldArgs, gauge: &Gauge, total: Option<u64>, work: impl FnOnce() -> T) -> T {
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
        scope.spawn(|| {
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

fn write(plan: &Plan, shape: Shape, folded: &Folded, mut out: OutputFile) -> Result<(), Stop> {
    // All but NDJSON holds one pipeline, and there is at least one.
    let (pipeline, mut text) = (&plan.pipelines[0], String::new());
    let render: fn(&Plan, &Final, &mut String) = match shape {
        Shape::Ndjson => render::ndjson,
        Shape::Csv => {
            render::csv_header(pipeline, &mut text);
            render::csv
        }
        Shape::Parquet => return Ok(columnar::write(pipeline, &folded.finals, out)?),
    };
    for row in &folded.finals {
        render(plan, row, &mut text);
        if text.len() > 1 << 16 {
            out.write(text.as_bytes())?;
            text.clear();
        }
    }
    out.write(text.as_bytes())?;
    Ok(out.finish()?)
}
