//! The command line.

mod check;
mod checkpoint;
mod directory;
mod durable;
mod exit;
mod explain;
mod fold;
mod gone;
mod lag;
pub mod logs;
mod quarantine;
mod query;
mod release;
mod remote;
mod run;
mod scrub;
mod sources;
mod status;
mod summary;
mod verify;

pub use exit::Exit;
pub use summary::{Summary, span};

use crate::face::config::ServerConfig;
use clap::{Args, Parser, Subcommand};
use slackwater_core::time::{TimeError, parse_duration, parse_moment, parse_rfc3339};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// Exact windowed aggregates of event streams: the same bits whatever the order of arrival.
#[derive(Debug, Parser)]
#[command(name = "slackwater", version, after_help = exit::HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: take events in by HTTP, and show provisional and final rows
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Show how far a service has come, and what became of every event
    Status(StatusArgs),
    /// Look at the sources of a service, take up one that is halted, and let in what is held
    #[command(subcommand)]
    Source(SourceCommand),
    /// Look at events that were set aside, judge them again, or discard them
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Fold finite event files to the end and write their final rows
    #[command(after_help = FOLD_HELP)]
    Fold(FoldArgs),
    /// Show the rows of a service, or of a data directory, also while another process writes it
    Query(QueryArgs),
    /// Recompute the sealed rows of the last checkpoint from the archived facts and compare their digests, also while another
    /// process goes on
    Verify(VerifyArgs),
    /// Show the facts behind one row, and fold them again to the same bits, also while another process goes on
    Explain(ExplainArgs),
    /// Show how late events came, and advise a lag: what it costs, and what it leaves
    #[command(after_help = LAG_HELP)]
    Lag(LagArgs),
    /// Look at the checkpoints of a data directory
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Check a configuration, or show what it declares
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Send a million hostile trades to the service, kill it meanwhile, and compare every final with the exchange's own truth
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration: sources, pipelines, and how the service is reached
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Where all that is taken in and all that comes of it is kept
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen, instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Worker threads; the result is the same for any number [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// How much it says of itself on standard error: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "SLACKWATER_LOG", value_parser = logs::level)]
    log: LevelFilter,
}

/// Where a command looks: at a service that runs, or into its directory.
#[derive(Debug, Args)]
struct At {
    /// A service that runs [default: http://127.0.0.1:8741]; its token is in SLACKWATER_TOKEN
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A data directory
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data: Option<PathBuf>,
}

impl At {
    fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", ServerConfig::PORT))
    }
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    at: At,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List events that were set aside, one JSON object each, with their numbers
    List(QuarantineListArgs),
    /// Show one of them
    Show(QuarantineShowArgs),
    /// Judge them again, by what holds now: what is not refused again counts from the next tick on
    Release(QuarantineDealArgs),
    /// Let them stay there for good: they are listed and released no more
    Discard(QuarantineDealArgs),
}

#[derive(Debug, Subcommand)]
enum SourceCommand {
    /// List the sources, and say which are halted
    List(SourceListArgs),
    /// Take events of a halted source in again
    Resume(SourceResumeArgs),
    /// List late facts that are held (late = "hold"), one JSON object each, with their numbers
    Held(SourceHeldArgs),
    /// Let held facts in: from the next tick on they count, as new generations of what they touch
    Release(SourceReleaseArgs),
}

/// A service that runs.
#[derive(Debug, Args)]
struct Running {
    /// The service [default: http://127.0.0.1:8741]; its token is in SLACKWATER_TOKEN
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Running {
    fn url(&self) -> String {
        At { url: self.url.clone(), data: None }.url()
    }
}

#[derive(Debug, Args)]
struct SourceListArgs {
    #[command(flatten)]
    at: Running,
    /// Write one JSON object a source
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SourceResumeArgs {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    at: Running,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SourceHeldArgs {
    #[command(flatten)]
    at: At,
    /// Only of this source
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// Only what this pipeline holds
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// From this number on
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// JSON is what it writes anyway
    #[arg(long, hide = true)]
    json: bool,
}

#[derive(Debug, Args)]
struct SourceReleaseArgs {
    #[command(flatten)]
    at: At,
    /// The source
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Only what this pipeline holds
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only the fact of this number
    #[arg(long, value_name = "N")]
    number: Option<u64>,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct QuarantineListArgs {
    #[command(flatten)]
    at: At,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those that are there for this reason now
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Also what was discarded, or released, and when
    #[arg(long)]
    all: bool,
    /// From this number on
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// JSON is what it writes anyway
    #[arg(long, hide = true)]
    json: bool,
}

/// Which of the events in quarantine are meant: those of which all that is said here is true.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
struct QuarantineDealArgs {
    #[command(flatten)]
    at: At,
    /// Their numbers, as `quarantine list` has them
    #[arg(value_name = "NUMBER", group = "which")]
    numbers: Vec<u64>,
    /// Those of this source
    #[arg(long, value_name = "NAME", group = "which")]
    source: Option<String>,
    /// Those that are there for this reason now
    #[arg(long, value_name = "REASON", group = "which")]
    reason: Option<String>,
    /// All of them
    #[arg(long, group = "which", conflicts_with_all = ["numbers", "source", "reason"])]
    all: bool,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct QuarantineShowArgs {
    #[command(flatten)]
    at: At,
    /// Its number
    number: u64,
    /// JSON is what it writes anyway
    #[arg(long, hide = true)]
    json: bool,
}

const RUN_HELP: &str = "\
Example:
  slackwater run -c slackwater.toml --data data
  curl -H 'content-type: application/x-ndjson' --data-binary @trades.ndjson \\
       http://127.0.0.1:8741/v1/ingest/trades
  curl 'http://127.0.0.1:8741/v1/pipelines/bars/rows?tier=all'

SIGTERM and SIGINT: what was handed in is taken in, a last tick and a checkpoint are made, and it
ends with 0; a second signal ends it at once, with 8, and loses nothing that was answered. SIGHUP:
tokens, hosts, the certificate, lags, idleness and what sources demand of their events are read
again; nothing changes if one of them is wrong, or if anything else is not what it was.

It listens on loopback only. To listen elsewhere it needs [server.tokens.NAME] and [server.tls] (or
behind_proxy = true where a proxy ends TLS in front of it). See docs/HTTP.md.

Exit codes: see `slackwater --help`.";

#[derive(Debug, Args)]
struct FoldArgs {
    /// The configuration: sources and pipelines
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Events of a source: NDJSON, CSV or Parquet as the source says; .gz and .zst of the first two are unpacked, and `-` is standard input
    #[arg(long = "input", value_name = "SOURCE=PATH", required = true)]
    inputs: Vec<String>,
    /// Where the final rows go: .ndjson or .csv, with .gz or .zst behind it if wanted, or .parquet; `-` is standard output
    #[arg(long, value_name = "PATH")]
    out: String,
    /// Keep all that is taken in and all that comes of it in this directory: stop anywhere, run the same command again, and it goes on; further files amend what was sealed
    #[arg(long, value_name = "DIR", conflicts_with = "as_arrived")]
    data: Option<PathBuf>,
    /// Time from one checkpoint to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = tick, requires = "data")]
    checkpoint: i64,
    /// Where refused events go, one JSON object each: file, line, offset, reason and raw bytes
    #[arg(long, value_name = "PATH")]
    quarantine: Option<String>,
    /// Fold only these pipelines
    #[arg(long = "pipeline", value_name = "NAME")]
    pipelines: Vec<String>,
    /// Worker threads; the result is the same for any number [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Feed events in the order of their sources' `arrival`, with ticks, watermarks and generations as they once were
    #[arg(long)]
    as_arrived: bool,
    /// Arrival time from one tick to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = tick, requires = "as_arrived")]
    tick: i64,
    /// Write every generation of every row, removed ones too, and not only the newest (with --as-arrived or --data)
    #[arg(long)]
    generations: bool,
    /// Write the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// A length of time in nanoseconds, above zero.
fn tick(text: &str) -> Result<i64, String> {
    match parse_duration(text) {
        Some(nanos) if nanos > 0 => Ok(nanos),
        _ => Err("write a whole number above zero with its unit, as 1500ms, 1s or 1m, at most 292 years".to_string()),
    }
}

/// A time in nanoseconds since the epoch.
fn time(text: &str) -> Result<i64, String> {
    parse_rfc3339(text.as_bytes()).map_err(unread)
}

/// A bound of windows, which may lie beyond all times.
fn moment(text: &str) -> Result<i128, String> {
    parse_moment(text.as_bytes()).map_err(unread)
}

fn unread(error: TimeError) -> String {
    format!("{error}; write a time as 2026-03-02T10:00:00Z")
}

#[derive(Debug, Args)]
struct QueryArgs {
    #[command(flatten)]
    at: At,
    /// The pipeline; may be left out where there is one
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// Rows of this key only: a group-by column and its value, as an output has it; a column alone for null. May be given for
    /// several columns
    #[arg(long = "key", value_name = "COLUMN[=VALUE]")]
    keys: Vec<String>,
    /// Windows that start at this time or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i128>,
    /// Windows that start before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i128>,
    /// As the rows were after the last tick at or before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    as_of: Option<i64>,
    /// Every generation of every row, removed ones too, and not only the newest
    #[arg(long)]
    generations: bool,
    /// Which rows: sealed ones, moving ones, or both; what moves is shown by the service that holds it
    #[arg(long, value_name = "TIER", default_value = "final", value_parser = ["final", "provisional", "all"])]
    tier: String,
    /// How to write them [default: a table on a terminal, else NDJSON]
    #[arg(long, value_name = "FORMAT", value_parser = ["table", "ndjson", "csv"])]
    format: Option<String>,
    /// Write NDJSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only this pipeline
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// Recompute in so many further orders, drawn by lot, in other batches and on other shards
    #[arg(long, value_name = "N", default_value_t = 0)]
    permute: u32,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The pipeline
    #[arg(value_name = "PIPELINE")]
    pipeline: String,
    /// The row's key: each group-by column and its value, as an output has it; a column alone for null
    #[arg(long = "key", value_name = "COLUMN[=VALUE]")]
    keys: Vec<String>,
    /// The row's window_start
    #[arg(value_name = "WINDOW", value_parser = moment)]
    window: i128,
    /// Of bars that start at the same time, the one of this number
    #[arg(long, value_name = "N")]
    bar: Option<u64>,
    /// An earlier generation, with the facts that were known then [default: the newest]
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Write JSON only: the facts, one object each, then the row
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum CheckpointCommand {
    /// List the checkpoints, newest first, with what each of them covers, also while another process goes on
    List(CheckpointArgs),
    /// Read everything that is kept, while no process changes it: every checkpoint with all state, identity runs and archive segments that it names, the
    /// store, journal, record, catalog and what was set aside, and name what is damaged and what that makes impossible
    Verify(CheckpointArgs),
}

#[derive(Debug, Args)]
struct CheckpointArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write one JSON object a checkpoint
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct LagArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Events in a million that may be late
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    target: u64,
    /// Percent by which the advised lag is longer than the least that meets the target
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    margin: u32,
    /// Days of arrival to look back at
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Time from one tick to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = tick)]
    tick: i64,
    /// A pause after which what is older than its end is a burst, and no part of the steady regime
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = tick)]
    silence: i64,
    /// Let bursts count for the advice too
    #[arg(long)]
    bursts: bool,
    /// Write one JSON object an origin
    #[arg(long)]
    json: bool,
}

const LAG_HELP: &str = "\
An event is late where its time lies before its origin's frontier at the last tick, less the lag. The
advice is learnt from the first two thirds of the days and tried on the last third. A lag is set in the
configuration (`lag`, `lag_by_origin`); a service records the change and follows it from its next tick.
It reads what the last checkpoint names, also while a service runs; --json has every day by itself.
Bursts are events that happened before their origin was heard again after a silence: a lag that covers
them would make every final row wait as long as an outage, so they are told apart.";

const FOLD_HELP: &str = "\
Example:
  slackwater fold -c bars.toml --input trades=trades.csv.gz --out bars.ndjson --quarantine refused.ndjson

One JSON object per final row: pipeline, group-by columns, window_start, window_end (of bars also
anchor, bar, complete), tier, generation, cause, the selected columns, and a digest of them all.
Rows are sorted by pipeline, window start, key and bar. The summary on standard error accounts for
every event and ends with one digest over all rows: equal facts give the equal digest.

With --as-arrived the history of a file is seen again as a live service would have seen it: events
by arrival, watermarks behind the slowest origin by its lag, windows sealed when they are passed,
and what came too late as new generations with their cause. The newest values are those of a plain
fold. It holds all events in memory and works on one thread.

With --data everything is journaled before it counts, and committed with what came of it. A run that
was killed goes on where it was; facts of a later file that touch a sealed row make its next
generation. Refused events are kept in the directory, and --quarantine writes all of them.

Exit codes: see `slackwater --help`.";

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a configuration; every mistake is shown with its line and what to write instead
    Check(ConfigArgs),
    /// Show the fields of each source and the output columns of each pipeline
    Schema(ConfigArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Trades that the exchange makes
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    trades: u64,
    /// Seed of the exchange: the same seed makes the same trades, and so the same digest
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Seconds from one kill of the service to the next; 0: none
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    kill_every: u64,
    /// Fold the trades from a file instead, without a service
    #[arg(long)]
    fold: bool,
    /// Keep what it makes in this directory: configuration, events, and the service's data or the final rows
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What `demo` was asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Trades to make.
    pub trades: u64,
    /// Seed of the exchange.
    pub seed: u64,
    /// Worker threads.
    pub threads: usize,
    /// Seconds from one kill to the next; 0: none.
    pub kill_every: u64,
    /// Whether to fold a file instead of running the service.
    pub fold: bool,
    /// Where to keep the files, if anywhere.
    pub keep: Option<PathBuf>,
    /// Whether the result is to be JSON.
    pub json: bool,
}

/// Runs the command line. The demo stands behind the faces, so it is handed in.
pub fn run(cli: Cli, demo: impl FnOnce(DemoOptions) -> Exit) -> Exit {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Source(SourceCommand::List(args)) => sources::list(&args),
        Command::Source(SourceCommand::Resume(args)) => sources::resume(&args),
        Command::Source(SourceCommand::Held(args)) => release::list(&args),
        Command::Source(SourceCommand::Release(args)) => release::run(&args),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Fold(args) => fold::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lag(args) => lag::run(&args),
        Command::Checkpoint(CheckpointCommand::List(args)) => checkpoint::run(&args, false),
        Command::Checkpoint(CheckpointCommand::Verify(args)) => checkpoint::run(&args, true),
        Command::Config(ConfigCommand::Check(args)) => check::check(&args),
        Command::Config(ConfigCommand::Schema(args)) => check::schema(&args),
        Command::Demo(args) => demo(DemoOptions {
            trades: args.trades,
            seed: args.seed,
            threads: threads(args.threads),
            kill_every: args.kill_every,
            fold: args.fold,
            keep: args.keep,
            json: args.json,
        }),
    }
}

/// Says something on standard error. If nobody listens, it is not said, and nothing else changes.
pub fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The asked number of threads, or one per core.
fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}
