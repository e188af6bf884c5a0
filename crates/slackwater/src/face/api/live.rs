//! A running instance inside another program: open it, push events, listen and read, stop it.
//!
//! The service behind the command line and its network face stand on nothing else.

use crate::connect::files::follow::Follower;
use crate::decode::Format;
use crate::decode::csv::HeaderError;
use crate::face::config::Config;
use crate::face::home;
use crate::runtime::board::{Board, Listener};
use crate::runtime::clock::{self, Clock};
use crate::runtime::desk::{Declined, Delivery, Desk, Full, Receipt};
use crate::runtime::gauge::Gauge;
use crate::runtime::instance::{Instance, MOST_WINDOWS, Settings};
use crate::runtime::orders::{Front, Order, Orders};
use crate::runtime::reopen::Opening;
use crate::runtime::restraint;
use crate::runtime::retrial::{Dealt, Wanted};
use crate::runtime::service::{Pace, Service, Tail};
use slackwater_core::fold::Final;
use slackwater_core::hold::Release;
use slackwater_core::plan::{Guards, Knobs, Plan};
use slackwater_core::schema::IdentityRule;
use slackwater_store::Fault;
use slackwater_store::disk::Disk;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::{Ask, Store};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use thiserror::Error;

/// A running instance. A clone is the same one.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    config: Config,
    plan: Arc<Plan>,
    data: PathBuf,
    front: Front,
    thread: Mutex<Option<JoinHandle<Result<(), Fault>>>>,
    clock: Clock,
}

/// Why a push was not taken in. Nothing of it was.
#[derive(Debug, Error)]
pub enum PushError {
    /// There is no such source.
    #[error("there is no source `{0}`")]
    NoSource(String),
    /// The first line is no header of the source.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// So much waits already that there is no room.
    #[error("too much waits to be taken in; try again in {} ms", .0.retry_after.as_millis())]
    Full(Full),
    /// All of it is of origins that are far ahead of another of the source.
    #[error("all of it is of origins that are far ahead of another, which catches up; try again later")]
    Ahead,
    /// It was declined.
    #[error("{}", declined(.0))]
    Declined(Declined),
}

fn declined(why: &Declined) -> String {
    match why {
        Declined::NameTaken => {
            "another delivery with other bytes had this name; give this one a name of its own".into()
        }
        Declined::Halted => "the source is halted, for one of its events was refused; look at `quarantine list`, then \
                             `source resume`"
            .into(),
        Declined::NoRoom(why) => format!("there is no room on the disk: {why}; it goes on by itself when there is"),
        Declined::Stopping => "the instance is stopping; try again when it runs".into(),
        Declined::Failed(why) => format!("the instance failed and has stopped: {why}"),
    }
}

/// What to do with events in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealing {
    /// Judge them again.
    Release,
    /// Let them stay there for good.
    Discard,
}

/// How a running instance is set up.
pub struct Options {
    /// Threads that judge and fold.
    pub threads: usize,
    /// How often things are done.
    pub pace: Pace,
    /// Windows that may lie in memory before some leave it.
    pub windows: usize,
    /// What is read as it grows.
    pub tails: Vec<Box<dyn Tail>>,
}

impl Default for Options {
    fn default() -> Self {
        Options { threads: 1, pace: Pace::default(), windows: MOST_WINDOWS, tails: Vec::new() }
    }
}

impl Live {
    /// Opens a data directory, or begins it, and runs its instance on a thread of its own.
    ///
    /// # Errors
    /// When another process uses the directory, or what is in it does not fit the configuration or is damaged beyond what
    /// can be made anew.
    pub fn open(config: Config, data: &Path, options: Options) -> Result<Live, Fault> {
        let plan = Arc::new(config.plan.clone());
        let mut options = options;
        options.tails.append(&mut followers(&config, &plan)?);
        let front = Front {
            desk: Arc::new(Desk::new(plan.sources.len())),
            board: Arc::new(Board::new(plan.pipelines.len())),
            orders: Arc::new(Orders::default()),
        };
        let (started, start) = mpsc::channel();
        let made = Made { config: config.clone(), data: data.to_path_buf(), front: front.clone(), options };
        let thread = std::thread::Builder::new()
            .name("slackwater-live".into())
            .spawn(move || made.run(&started))
            .map_err(|cause| Fault::Refused(format!("no thread could be started: {cause}")))?;
        match start.recv() {
            Ok(()) => {
                let (data, thread) = (data.to_path_buf(), Mutex::new(Some(thread)));
                Ok(Live(Arc::new(Shared { config, plan, data, front, thread, clock: Clock::start() })))
            }
            // It ended before it began.
            Err(_) => Err(join(thread).err().unwrap_or_else(|| Fault::Refused("the instance did not start".into()))),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.0.plan
    }

    /// Where deliveries are handed in.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.0.front.desk
    }

    /// Where it shows what it has.
    pub fn board(&self) -> &Arc<Board> {
        &self.0.front.board
    }

    /// Bytes that are free where it keeps what it keeps, if the system says so.
    pub fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.0.data).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The store of its results, to read, on a connection of its own.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn store(&self) -> Result<Sqlite, Fault> {
        Sqlite::read(&self.0.data, self.0.plan.clone())
    }

    /// The final rows of a pipeline, newest generations, and those that still move, in output order; of the latter the
    /// generation is 0.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn query(&self, pipeline: u16, ask: &Ask) -> Result<Vec<Final>, Fault> {
        // What seals in between is in both, so nothing is missed.
        let mut moving = self.board().rows(pipeline, |row| ask.as_of.is_none() && ask.holds(row));
        let mut finals = Vec::new();
        self.store()?.rows(pipeline, ask, &mut |kept| {
            finals.push(kept);
            Ok(())
        })?;
        if !ask.generations {
            return Ok(moving.with(finals));
        }
        moving.rows.extend(finals.into_iter().map(|kept| kept.row));
        moving.rows.sort_by(Final::order);
        Ok(moving.rows)
    }

    /// Pushes events, and waits until they are synced and judged. With a name, they can be pushed again and are answered
    /// as before.
    ///
    /// # Errors
    /// Why nothing of them was taken in.
    pub fn push(&self, source: &str, name: Option<&str>, bytes: Vec<u8>) -> Result<Receipt, PushError> {
        let Some(index) = self.plan().sources.iter().position(|known| known.name == source) else {
            return Err(PushError::NoSource(source.to_string()));
        };
        let format = self.config().sources[index].format;
        let shape = (index as u16, &self.plan().sources[index].schema, format);
        let mut delivery = Delivery::of_bytes(shape, name.map(Arc::from), bytes)?;
        if restraint::holds(self.board(), (&self.plan().sources[index], format), self.0.clock.now(), &mut delivery) {
            self.desk().sent_away(index as u16);
            return Err(PushError::Ahead);
        }
        let (answer, told) = mpsc::channel();
        let give = Box::new(move |answered| drop(answer.send(answered)));
        self.desk().hand_in(delivery, give).map_err(PushError::Full)?;
        let stopped = || Err(Declined::Failed("it ended without an answer".to_string()));
        told.recv().unwrap_or_else(|_| stopped()).map_err(PushError::Declined)
    }

    /// From here on, news go to this listener, on the instance's thread.
    pub fn subscribe(&self, listener: Listener) {
        self.board().listen(listener);
    }

    /// Takes events of a halted source in again.
    ///
    /// # Errors
    /// Why it could not be recorded.
    pub fn resume(&self, source: u16) -> Result<(), String> {
        self.order(Order::Resume(source)).map(drop)
    }

    /// From the next tick on watermarks follow these knobs, and from here on events are judged under these guards, one of
    /// each source in the plan's order. That is recorded.
    ///
    /// # Errors
    /// Why it could not be recorded; then they follow what they followed.
    pub fn tune(&self, knobs: Vec<Knobs>, guards: Vec<Arc<Guards>>) -> Result<(), String> {
        let sources = self.plan().sources.len();
        if knobs.len() != sources || guards.len() != sources {
            let (knobs, guards) = (knobs.len(), guards.len());
            return Err(format!("knobs of {knobs} sources and guards of {guards} were given; there are {sources}"));
        }
        self.order(Order::Tune(knobs, guards)).map(drop)
    }

    /// Lets the next tick release what is held, and gives how many facts it means, each once for every pipeline.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn release(&self, release: Release) -> Result<u64, String> {
        self.order(Order::Release(release)).map(|dealt| dealt.done)
    }

    /// Judges events in quarantine again, under the present decoder and guards, or lets them stay there for good.
    ///
    /// # Errors
    /// When it cannot be done or recorded.
    pub fn deal(&self, with: Dealing, wanted: Wanted) -> Result<Dealt, String> {
        self.order(match with {
            Dealing::Release => Order::Readmit(wanted),
            Dealing::Discard => Order::Discard(wanted),
        })
    }

    fn order(&self, order: Order) -> Result<Dealt, String> {
        let (done, told) = mpsc::channel();
        self.0.front.orders.give(order, Box::new(move |result| drop(done.send(result))));
        self.desk().wake();
        told.recv().unwrap_or_else(|_| Err("the instance has stopped".to_string()))
    }

    /// Stops it: what was handed in is still taken in, then comes a last tick with a checkpoint.
    pub fn stop(&self) {
        self.desk().close(Declined::Stopping);
    }

    /// Waits until it has stopped. Who asks later than another is told nothing new.
    ///
    /// # Errors
    /// What stopped it, if it was not asked to.
    pub fn wait(&self) -> Result<(), Fault> {
        let thread = self.0.thread.lock().expect("nothing panics while it holds the thread").take();
        thread.map_or(Ok(()), join)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.front.desk.close(Declined::Stopping);
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("data", &self.0.data).finish_non_exhaustive()
    }
}

/// What follows the files that a configuration names.
fn followers(config: &Config, plan: &Arc<Plan>) -> Result<Vec<Box<dyn Tail>>, Fault> {
    let mut tails: Vec<Box<dyn Tail>> = Vec::new();
    for (number, source) in config.sources.iter().enumerate() {
        let Some(path) = source.path.as_ref().map(Path::new) else { continue };
        let refused = |why: String| Fault::Refused(format!("source `{}`: {}: {why}", source.name, path.display()));
        if source.format == Format::Parquet {
            return Err(refused("a Parquet file cannot be followed while it grows; give it to `fold`".to_string()));
        }
        let by_position = plan.sources[number].schema.roles().identity == IdentityRule::Position;
        if by_position && path.is_dir() {
            return Err(refused(
                "where files of a folder are renamed, a position in one of them means nothing that lasts; name one file, \
                 or give the source an `identity` of its fields"
                    .to_string(),
            ));
        }
        let follower = Follower::new(plan.clone(), number as u16, source.format, path);
        tails.push(Box::new(follower.map_err(|cause| refused(cause.to_string()))?));
    }
    Ok(tails)
}

fn join(thread: JoinHandle<Result<(), Fault>>) -> Result<(), Fault> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What the instance's thread is given.
struct Made {
    config: Config,
    data: PathBuf,
    front: Front,
    options: Options,
}

impl Made {
    fn run(self, started: &mpsc::Sender<()>) -> Result<(), Fault> {
        let Made { config, data, front, options } = self;
        let Options { threads, pace, windows, tails } = options;
        let disk: Arc<dyn Disk> = Arc::new(home::lock_soon(&data)?);
        let keep_raw = home::keep_raw(&config).map_err(Fault::Refused)?;
        let (plan, gauge) = (Arc::new(config.plan.clone()), Arc::new(Gauge::default()));
        let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
        let mut settings = Settings::of_threads(threads);
        (settings.keep_raw, settings.keep_for) = keep_raw;
        settings.keep_facts = home::keep_facts(&config);
        (settings.bytes, settings.windows) = (pace.bytes, windows);
        let (clock, name) = (Clock::start(), clock::lot());
        let open = || {
            let mut store = |keep| home::open_store(&data, &plan, keep);
            let opening = Opening {
                plan: &plan,
                formats: &formats,
                settings: settings.clone(),
                disk: disk.clone(),
                store: &mut store,
                clock,
                name,
            };
            let (instance, opened) = Instance::open(opening, &Gauge::default())?;
            opened.notes.iter().for_each(|note| tracing::warn!("{note}"));
            home::keep_config(&*disk, &config.text)?;
            Ok(instance)
        };
        let halts = config.sources.iter().map(|source| source.halts).collect();
        let service = Service::start(open, front, pace, (tails, halts), gauge)?;
        let _ = started.send(());
        service.run()
    }
}
