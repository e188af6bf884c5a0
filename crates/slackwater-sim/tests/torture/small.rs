//! A directory of a few events in memory, and what a fold and a query say of it: no process, so that it is fast.

use crate::bench::locked;
use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::connect::files::render;
use slackwater::decode::{Damaged, Format};
use slackwater::face::config::{self, Config};
use slackwater::runtime::clock::Clock;
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Keep, Opening};
use slackwater::runtime::replay::Resumed;
use slackwater_sim::effort;
use slackwater_sim::hostile::CONFIG;
use slackwater_store::Fault;
use slackwater_store::journal::Limits;
use slackwater_store::sqlite::{FILE, Sqlite};
use slackwater_store::store::{Ask, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Files of events in the order in which they are folded. The second corrects and repeats, the third comes behind a seal.
pub const INPUTS: [(&str, &str); 3] = [
    (
        "a",
        "{\"i\":1,\"s\":0,\"p\":30}\n{\"i\":2,\"s\":20,\"p\":40}\n{\"i\":3,\"s\":70,\"p\":20}\n{\"i\":9,\"s\":\"\"}\n",
    ),
    ("b", "{\"i\":2,\"v\":1,\"s\":20,\"p\":41}\n{\"i\":1,\"s\":0,\"p\":30}\n{\"i\":4,\"s\":80,\"p\":50}\n"),
    ("c", "{\"i\":5,\"s\":30,\"p\":7}\n{\"i\":3,\"v\":2,\"s\":75,\"p\":21}\n"),
];
/// What comes later still: it asks for what index, archive and chunks have of the facts before.
pub const LATER: (&str, &str) =
    ("d", "{\"i\":1,\"v\":5,\"s\":1,\"p\":33}\n{\"i\":4,\"s\":80,\"p\":50}\n{\"i\":6,\"s\":90,\"p\":3}\n");

/// Every row of every generation, whatever was set aside, and what a query of a range and of a past say.
pub type Told = Vec<String>;

/// Why a fold or a query stopped.
#[derive(Debug)]
pub struct Refused(pub String);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused(fault.to_string())
    }
}

impl From<InputError> for Refused {
    fn from(error: InputError) -> Self {
        Refused(error.to_string())
    }
}

impl From<Damaged> for Refused {
    fn from(damaged: Damaged) -> Self {
        Refused(damaged.to_string())
    }
}

pub fn config() -> Config {
    config::load(CONFIG, "c.toml").expect("a sound configuration")
}

fn settings() -> Settings {
    let mut settings = Settings::of_threads(1);
    settings.every = Duration::from_nanos(1);
    settings.checkpoints = 2;
    settings.journal = Limits { segment_bytes: 400, most_bytes: 1 << 30, reserve_bytes: 1 << 10 };
    settings
}

fn open_store(data: &Path, config: &Config, keep: Keep) -> Result<Box<dyn Store>, Fault> {
    if keep == Keep::Nothing {
        for ending in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(data.join(format!("{FILE}{ending}")));
        }
    }
    Ok(Box::new(Sqlite::open(data, Arc::new(config.plan.clone()))?))
}

/// Folds inputs into a directory, as `fold --data` does. Gives the notes of the opening.
pub fn fold(data: &Path, config: &Config, inputs: &[(&str, &'static str)]) -> Result<Vec<String>, Refused> {
    let formats: Vec<Format> = config.sources.iter().map(|source| source.format).collect();
    let folder = locked(data).map_err(|error| Refused(format!("the directory: {error}")))?;
    let mut store = |keep| open_store(data, config, keep);
    let opening = Opening {
        plan: &config.plan,
        formats: &formats,
        settings: settings(),
        disk: Arc::new(folder),
        store: &mut store,
        // The same bytes in every run of a seed, so that what is found can be found again.
        clock: Clock::still(1_800_000_000_000_000_000),
        name: (u128::from(effort::asked_seed().unwrap_or(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
            .to_le_bytes(),
    };
    let gauge = Gauge::default();
    let (mut instance, opened) = Instance::open(opening, &gauge)?;
    let guards: Vec<_> = config.plan.sources.iter().map(|source| source.guards.clone()).collect();
    instance.guard(&guards)?;
    for (name, text) in inputs {
        let open = || {
            let schema = &config.plan.sources[0].schema;
            FileChunks::from_reader(0, formats[0], name, schema, text.as_bytes(), 1 << 16)
        };
        let mut feed = match instance.offset(0, name).cloned() {
            Some(known) => match Resumed::behind(open()?, &known)? {
                Some(feed) => feed,
                None => Resumed::from_start(open()?),
            },
            None => Resumed::from_start(open()?),
        };
        instance.take::<_, Refused>(&mut feed, (0, name), &gauge)?;
    }
    instance.end()?;
    Ok(opened.notes)
}

/// Asks a directory, as `query` does.
pub fn query(data: &Path, config: &Config) -> Result<Told, Refused> {
    let mut store = Sqlite::read(data, Arc::new(config.plan.clone()))?;
    store.check()?;
    let mut told = Vec::new();
    let minute = 60_000_000_000;
    let asks = [
        Ask { generations: true, ..Ask::default() },
        Ask::default(),
        Ask { from: Some(minute), ..Ask::default() },
        Ask { to: Some(minute), generations: true, ..Ask::default() },
    ];
    for ask in asks {
        for pipeline in 0..config.plan.pipelines.len() as u16 {
            store.rows(pipeline, &ask, &mut |kept| {
                let mut text = String::new();
                render::ndjson(&config.plan, &kept.row, &mut text);
                told.push(text);
                Ok(())
            })?;
            told.push("--".to_string());
        }
    }
    store.aside(0, &mut |aside| {
        let mut text = String::new();
        render::quarantined(&config.plan, &aside.event, &mut text);
        told.push(text);
        Ok(true)
    })?;
    Ok(told)
}

/// All files of a directory by their names in it, but for its lock.
pub fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, before: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else if name != "lock" {
                found.insert(name, fs::read(entry.path()).expect("a file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(data, "", &mut found);
    found
}

/// Makes a directory hold these files and no others.
pub fn lay(data: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = fs::remove_dir_all(data);
    for folder in ["", "journal", "record", "archive", "index", "checkpoint"] {
        fs::create_dir_all(data.join(folder)).expect("a folder");
    }
    for (name, bytes) in files {
        fs::write(data.join(name), bytes).expect("room for a file");
    }
}
