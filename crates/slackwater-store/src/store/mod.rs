//! The store of results: what one commit makes visible, all of it or nothing.
//!
//! A [`Store`] keeps results as history and as current rows, and one [`Head`] that says which state they belong to. The
//! head carries a sum over every table, so that a row that is missing, changed or one too many is found.

mod head;
mod receipt;

pub(crate) use head::proof;
pub use head::{Head, Offset, Sum};
pub use receipt::Receipt;

use crate::Fault;
use slackwater_core::fold::Final;
use slackwater_core::hold::Note;
use slackwater_core::poison::Refusal;
use slackwater_core::quarantine::{Fate, Quarantined, Ruling, Why};

/// One atomic step.
#[derive(Debug)]
pub struct Commit<'a> {
    /// What is true after it. Its number is one more than that of the head before.
    pub head: &'a Head,
    /// Rows that became or changed as final.
    pub rows: &'a [Final],
    /// Events that were set aside, in the order of their verdicts.
    pub quarantined: &'a [Quarantined],
    /// What became of facts that were held, or are now.
    pub notes: &'a [Note],
    /// What became of events in quarantine, in order.
    pub rulings: &'a [Ruling],
    /// Answers to named deliveries, in the order of their numbers.
    pub receipts: &'a [Receipt],
}

impl<'a> Commit<'a> {
    /// A step that brings nothing but its head.
    pub fn of(head: &'a Head) -> Self {
        Commit { head, rows: &[], quarantined: &[], notes: &[], rulings: &[], receipts: &[] }
    }
}

/// Which rows of a pipeline to read. Times in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask {
    /// Windows that start at this time or later.
    pub from: Option<i128>,
    /// Windows that start before this time.
    pub to: Option<i128>,
    /// As the rows were after the last tick at or before this time.
    pub as_of: Option<i64>,
    /// Every generation, not the newest alone.
    pub generations: bool,
}

impl Ask {
    /// Whether a row's window starts where it is asked for.
    pub fn holds(&self, row: &Final) -> bool {
        let start = row.window.start;
        self.from.is_none_or(|from| start >= from) && self.to.is_none_or(|to| start < to)
    }
}

/// A row as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The row.
    pub row: Final,
    /// Number of the tick at which it became visible.
    pub tick: u64,
    /// Recorded time of that tick, in nanoseconds since the epoch.
    pub at: i64,
}

/// An event that was set aside, with what became of it since.
#[derive(Clone, Debug, PartialEq)]
pub struct Aside {
    /// Its number, from 0.
    pub number: u64,
    /// The event, for what it stands there now.
    pub event: Quarantined,
    /// What became of it last, if anything did.
    pub ruling: Option<Ruling>,
}

impl Aside {
    /// An event as it was set aside.
    pub fn new(number: u64, event: Quarantined) -> Self {
        Aside { number, event, ruling: None }
    }

    /// Takes in what became of it next.
    pub fn rule(&mut self, ruling: Ruling) {
        if let Fate::Refused { refusal, guard } = &ruling.fate {
            (self.event.why, self.event.guard) = (Why::Refused(*refusal), guard.clone());
        }
        self.ruling = Some(ruling);
    }

    /// Why it was refused, if that is what it was.
    pub fn refusal(&self) -> Option<Refusal> {
        self.event.why.refusal()
    }

    /// Whether it was released: then it is in quarantine no more.
    pub fn is_released(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| ruling.fate.is_released())
    }

    /// Whether it is to stay there for good.
    pub fn is_discarded(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| ruling.fate == Fate::Discarded)
    }
}

/// A line of the ledger of what was held, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    /// Its number, from 0.
    pub number: u64,
    /// The line.
    pub note: Note,
    /// Number of the tick at which it came to be true.
    pub tick: u64,
    /// Recorded time of that tick, in nanoseconds since the epoch.
    pub at: i64,
}

/// The names of two rows: they, and all that are between them.
pub type Between = (Vec<u8>, Vec<u8>);

/// Keeps results. A commit is durable when it returns, and never visible in part.
pub trait Store: Send {
    /// The last commit; none before the first.
    fn head(&mut self) -> Result<Option<Head>, Fault>;

    /// Takes one step.
    ///
    /// # Errors
    /// When another owner has taken over, or the step does not follow the last one; nothing has changed then.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault>;

    /// Gives the rows of a pipeline in the order of their identity, then generation. Each is held against its digest.
    fn rows(&mut self, pipeline: u16, ask: &Ask, visit: &mut dyn FnMut(Kept) -> Result<(), Fault>)
    -> Result<(), Fault>;

    /// The newest generations, as of a tick, of the rows from one to another, both included, as [`Final::put_id`] names
    /// them; for each such pair those that there are.
    fn newest(&mut self, pipeline: u16, spans: &[Between], tick: u64) -> Result<Vec<Vec<Final>>, Fault>;

    /// Gives the events that were set aside, in order, from a number on, until told to stop; the first has 0.
    fn aside(&mut self, from: u64, visit: &mut dyn FnMut(Aside) -> Result<bool, Fault>) -> Result<(), Fault>;

    /// Gives the events that were set aside as they came there, whatever became of them, in order, from a number on, until told to
    /// stop.
    fn castoffs(&mut self, from: u64, visit: &mut dyn FnMut(Quarantined) -> bool) -> Result<(), Fault>;

    /// Gives the ledger of what was held, in order, with the tick of each line.
    fn notes(&mut self, visit: &mut dyn FnMut(Noted) -> Result<(), Fault>) -> Result<(), Fault>;

    /// Gives the answers to named deliveries that are still kept, in order.
    fn receipts(&mut self, visit: &mut dyn FnMut(Receipt) -> Result<(), Fault>) -> Result<(), Fault>;

    /// Holds every row of every table against the sums of the head.
    fn check(&mut self) -> Result<(), Fault>;
}
