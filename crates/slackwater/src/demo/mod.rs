//! The demo: an exchange that delivers as badly as it can, and the proof that no final is off by a bit.

mod exchange;
mod story;
mod truth;

use crate::connect::files::input::{FileChunks, InputError};
use crate::connect::files::render::{self, hex};
use crate::face::cli::{DemoOptions, Exit, Summary, tell};
use crate::face::config::{self, Config};
use crate::runtime::clock::Stopwatch;
use crate::runtime::engine::{self, Arrangement, Folded};
use crate::runtime::gauge::Gauge;
use exchange::Session;
use slackwater_core::fold::Final;
use slackwater_core::judge::Judge;
use slackwater_core::value::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use truth::{Bar, Bars};

const CONFIG: &str = r#"# The configuration of the demo.

[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
origins = ["NORTH", "SOUTH", "EAST", "WEST"]
version = "v"
op = "op"
arrival = "seen"
require = ["price > 0", "size >= 0"]

[source.trades.fields]
id = "u64"
venue = "string"
v = "u64"
op = "string?"
ts = "timestamp_us"
symbol = "string"
price = "decimal(18,4)"
size = "decimal(18,4)"
seen = "timestamp_us?"

[pipeline.bars]
sql = '''
SELECT symbol, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close,
       sum(size) AS volume, wavg(price, size) AS vwap, var_pop(price) AS variance, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
'''
"#;

/// Runs the demo and says how it went.
pub fn run(options: DemoOptions) -> Exit {
    match play(&options) {
        Ok(exit) => exit,
        Err(message) => {
            tell(&format!("error: {message}\n"));
            Exit::Output
        }
    }
}

fn play(options: &DemoOptions) -> Result<Exit, String> {
    let (text, port) = if options.fold { (CONFIG.to_string(), 0) } else { story::config(CONFIG)? };
    let config = config::load(&text, "demo.toml").map_err(|errors| errors.render(false))?;
    let temporary = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let folder = options.keep.as_deref().unwrap_or(temporary.path());
    say(
        options,
        &format!(
            "An exchange makes {} trades and delivers them as badly as it can (seed {}).\n",
            options.trades, options.seed
        ),
    );
    let session = exchange::session(options.trades, options.seed);
    let events = place(folder, "trades.ndjson", &session.bytes)?;
    if !options.fold {
        say(options, &format!("{} lines to send, {} of them poisonous.\n", session.sent, session.poisonous));
        let told = story::live(options, &session, (&config, &text, port), folder)?;
        return Ok(judge_live(options, &session, &config, told));
    }
    place(folder, "demo.toml", CONFIG.as_bytes())?;
    say(options, &format!("{} lines sent, {} of them poisonous. Folding.\n", session.sent, session.poisonous));
    let watch = Stopwatch::start();
    let (folded, refused) = fold(&config, &events, options.threads).map_err(|error| error.to_string())?;
    let summary = Summary::new(&config.plan, &folded, None, watch.elapsed());
    keep(options, folder, &config, &folded, refused)?;
    Ok(judge(options, &session, &folded, &summary))
}

/// Folds the file as `slackwater fold` does; gives the refused events as text too.
fn fold(config: &Config, events: &Path, threads: usize) -> Result<(Folded, String), InputError> {
    let format = config.sources[0].format;
    let feed = FileChunks::open(0, format, events, &config.plan.sources[0].schema)?;
    let mut refused = String::new();
    let folded = engine::fold(
        &config.plan,
        &[format],
        vec![feed],
        Arrangement::of_threads(threads),
        &Gauge::default(),
        |events| {
            events.iter().for_each(|event| render::quarantined(&config.plan, event, &mut refused));
            Ok::<(), InputError>(())
        },
    )?;
    Ok((folded, refused))
}

/// The same of what a service came to.
fn judge_live(options: &DemoOptions, session: &Session, config: &Config, told: story::Told) -> Exit {
    let story::Told { finals, counts, kills, took, lateness } = told;
    say(options, &lateness);
    say(options, &format!("{kills} kills, {} lines acknowledged\n", session.sent));
    let folded = Folded { finals, seen: Judge::new(&config.plan), faults: 0, refolded: 0, held: vec![0] };
    let summary = Summary::new(&config.plan, &folded, None, took).with_counts(counts);
    judge(options, session, &folded, &summary)
}

/// Compares every final with the exchange's own truth, and the counts with what was sent.
fn judge(options: &DemoOptions, session: &Session, folded: &Folded, summary: &Summary) -> Exit {
    let truth = truth::bars(&session.trades);
    let equal = folded.finals.iter().filter(|row| is_true(row, &truth)).count();
    let counts = summary.counts();
    let expected = (session.sent, session.trades.len() as u64, session.poisonous);
    let accounted = (counts.received, counts.facts, counts.refused()) == expected;
    let right = equal == truth.len() && folded.finals.len() == truth.len() && accounted;
    if options.json {
        let text = format!(
            "{{\"finals\":{},\"truth\":{},\"bit_identical\":{equal},\"accounted\":{accounted},\"root\":\"{}\",\"summary\":{}}}\n",
            folded.finals.len(),
            truth.len(),
            hex(summary.root()),
            summary.json().trim_end()
        );
        print(&text);
    } else {
        let text = format!(
            "{} finals, {} in the exchange's own truth, {equal} bit-identical\n{}\n{} events/s\n",
            folded.finals.len(),
            truth.len(),
            summary.conservation(),
            summary.rate()
        );
        print(&text);
    }
    if right { Exit::Done } else { Exit::Wrong }
}

fn is_true(row: &Final, truth: &Bars) -> bool {
    let Value::Text(symbol) = row.key[0].value() else { return false };
    let minute = (row.window.start / 1_000) as u64;
    let bar =
        exchange::SYMBOLS.iter().find(|name| name.as_bytes() == symbol).and_then(|name| truth.get(&(minute, *name)));
    bar.is_some_and(|bar| row.window.end - row.window.start == 60_000_000_000 && same(row, bar))
}

fn same(row: &Final, bar: &Bar) -> bool {
    let Bar { open, high, low, close, volume, vwap, variance, trades } = *bar;
    let decimals = [open.into(), high.into(), low.into(), close.into(), volume];
    let mut values = row.values.iter().map(|value| value.value());
    let exact = decimals.iter().all(|truth| {
        let value = values.next().and_then(|value| value.as_i128());
        value.is_some_and(|value| u128::try_from(value) == Ok(*truth))
    });
    let doubles = [vwap, variance]
        .iter()
        .all(|truth| matches!(values.next(), Some(Value::F64(value)) if value.to_bits() == truth.to_bits()));
    exact && doubles && matches!(values.next(), Some(Value::I64(count)) if count as u64 == trades)
}

fn keep(options: &DemoOptions, folder: &Path, config: &Config, folded: &Folded, refused: String) -> Result<(), String> {
    if options.keep.is_none() {
        return Ok(());
    }
    let mut rows = String::new();
    folded.finals.iter().for_each(|row| render::ndjson(&config.plan, row, &mut rows));
    place(folder, "bars.ndjson", rows.as_bytes())?;
    place(folder, "refused.ndjson", refused.as_bytes())?;
    say(options, &format!("Kept in {}: demo.toml, trades.ndjson, bars.ndjson, refused.ndjson\n", folder.display()));
    Ok(())
}

fn place(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let path = folder.join(name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
    written
        .map_err(|error| format!("{}: {error}; name a directory that can be written to with --keep", path.display()))?;
    Ok(path)
}

/// A word on the way, for a person.
fn say(options: &DemoOptions, text: &str) {
    if !options.json {
        print(text);
    }
}

/// A closed pipe ends the words, not the program.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
