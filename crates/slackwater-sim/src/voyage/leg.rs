//! One leg of a voyage: a process that opens the instance, takes the files of a run, ends it, and is gone.

use super::script::{Given, Script};
use crate::engine::Chunks;
use crate::ledger::Ledger;
use crate::platter::Platter;
use slackwater::decode::Damaged;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::gauge::Gauge;
use slackwater::runtime::instance::{Instance, Settings};
use slackwater::runtime::reopen::{Keep, Opening, Reopened};
use slackwater::runtime::replay::Resumed;
use slackwater::runtime::retrial::Wanted;
use slackwater_core::hold::Release;
use slackwater_core::judge::Counts;
use slackwater_store::Fault;
use slackwater_store::store::Store;
use std::convert::Infallible;
use std::sync::Arc;

/// The instance of every voyage.
const NAME: [u8; 16] = *b"one that travels";
/// Checkpoints that a voyage keeps at most.
const MOST_CHECKPOINTS: usize = 4;
/// Recorded time of the first run, in nanoseconds since the epoch, and from one to the next.
const BEGUN: i64 = 1_700_000_000_000_000_000;
const STEP: i64 = 1_000_000_000;

/// What time it is during a run: always the same.
pub fn calm(run: usize) -> Clock {
    Clock::still(BEGUN + run as i64 * STEP)
}

/// Why a leg ended early.
#[derive(Debug)]
pub enum Stop {
    /// Something could not be kept, or read back.
    Fault(Fault),
    /// What was taken for wrong and is not.
    Wrong(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<Damaged> for Stop {
    fn from(damaged: Damaged) -> Self {
        Stop::Wrong(format!("sound bytes are found damaged: {damaged}"))
    }
}

impl From<Infallible> for Stop {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What an instance says at the end of a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// By source.
    pub counts: Vec<Counts>,
    /// Nulls that arithmetic made.
    pub faults: i64,
}

/// What a leg starts from.
#[derive(Debug)]
pub struct Harbour {
    /// The disk.
    pub disk: Platter,
    /// The store beside it.
    pub ledger: Ledger,
}

impl Harbour {
    /// Where nothing ever was.
    pub fn new() -> Self {
        Harbour { disk: Platter::new(), ledger: Ledger::new() }
    }

    /// One of its own in the same state.
    pub fn copy(&self) -> Harbour {
        Harbour { disk: self.disk.restarted(), ledger: self.ledger.copy() }
    }
}

impl Default for Harbour {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens the instance and lets `work` use it.
///
/// # Errors
/// Why it could not be opened, or what `work` says.
pub fn open<T>(
    script: &Script,
    harbour: &Harbour,
    settings: &Settings,
    clock: Clock,
    work: impl FnOnce(&mut Instance<'_>, &Reopened) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let config = &script.trial.compiled.config;
    let formats: Vec<_> = config.sources.iter().map(|source| source.format).collect();
    let Harbour { disk, ledger } = harbour;
    ledger.beside(disk);
    let kept = ledger.clone();
    let mut store = move |keep| {
        if keep == Keep::Nothing {
            kept.empty();
        }
        Ok(Box::new(kept.clone()) as Box<dyn Store>)
    };
    let opening = Opening {
        plan: &config.plan,
        formats: &formats,
        settings: settings.clone(),
        disk: Arc::new(disk.clone()),
        store: &mut store,
        clock,
        name: NAME,
    };
    let (mut instance, reopened) = Instance::open(opening, &Gauge::default())?;
    work(&mut instance, &reopened)
}

/// Takes in what is new of a file.
///
/// # Errors
/// What went wrong; or that a file is not known again.
pub fn take(script: &Script, instance: &mut Instance<'_>, given: Given) -> Result<(), Stop> {
    let part = &script.parts[given.part];
    let feed = || Chunks(script.chunks(given));
    let mut feed = match instance.offset(part.source, &part.name).cloned() {
        None => Resumed::from_start(feed()),
        Some(known) => match Resumed::behind(feed(), &known) {
            Ok(Some(feed)) => feed,
            Ok(None) => return Err(Stop::Wrong(format!("{} is not known again: {known:?}", part.name))),
            Err(damaged) => return Err(damaged.into()),
        },
    };
    instance.take::<_, Stop>(&mut feed, (part.source, &part.name), &Gauge::default())
}

/// Lets in everything that is held, at the next tick.
///
/// # Errors
/// Why that cannot be decided.
pub fn release(instance: &mut Instance<'_>, sources: usize) -> Result<u64, Fault> {
    (0..sources as u16).map(|source| instance.release(Release { source, pipeline: None, identity: None })).sum()
}

/// Judges everything in quarantine again, and gives how many events left it. Where the journal has no room for some, `make_room`
/// is called.
///
/// # Errors
/// Why that cannot be decided.
pub fn readmit<'p>(
    instance: &mut Instance<'p>,
    sources: usize,
    mut make_room: impl FnMut(&mut Instance<'p>) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let (mut released, mut from, mut tries) = (0, Some(0), 0);
    while let Some(begin) = from {
        let wanted = Wanted { sources: vec![true; sources], from: begin, ..Wanted::default() };
        match instance.readmit(&wanted)? {
            Ok(dealt) => (released, from, tries) = (released + dealt.done, dealt.next, 0),
            // As many checkpoints may be kept as need the journal.
            Err(why) if tries > MOST_CHECKPOINTS => return Err(Stop::Wrong(why)),
            Err(_) => {
                make_room(instance)?;
                tries += 1;
            }
        }
    }
    Ok(released)
}

/// A whole run: the command that a person gives, and gives again when it failed.
///
/// # Errors
/// Why it failed.
pub fn sail(script: &Script, harbour: &Harbour, settings: &Settings, run: usize) -> Result<Seen, Stop> {
    sail_from(script, harbour, settings, run, |_| {})
}

/// The same; `opened` is told what opening brought to light.
///
/// # Errors
/// Why it failed.
pub fn sail_from(
    script: &Script,
    harbour: &Harbour,
    settings: &Settings,
    run: usize,
    opened: impl FnOnce(&Reopened),
) -> Result<Seen, Stop> {
    let sources = script.trial.world.stage.sources.len();
    open(script, harbour, settings, calm(run), |instance, reopened| {
        opened(reopened);
        instance.guard(&script.guards_of(run))?;
        if script.judges_again {
            let no_room = || Stop::Wrong("a journal without bounds has no room".to_string());
            readmit(instance, sources, |_| Err(no_room()))?;
            if run + 1 == script.runs.len() {
                let mut from = Some(0);
                while let Some(begin) = from {
                    let wanted = Wanted { sources: vec![true; sources], from: begin, ..Wanted::default() };
                    from = instance.discard(&wanted)?.next;
                }
            }
        }
        script.runs[run].iter().try_for_each(|given| take(script, instance, *given))?;
        // What a run that failed has decided already is not decided again.
        if script.release == Some(run) {
            release(instance, sources)?;
        }
        instance.end()?;
        Ok(Seen { counts: instance.seen().counts().to_vec(), faults: instance.faults() })
    })
}
