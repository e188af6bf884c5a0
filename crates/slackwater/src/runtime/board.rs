//! What a running instance shows, from memory, to any thread: rows that still move, how far it has come, and news.
//!
//! Everything on it is of one cut, and synced. Final rows are in the store; a reader that takes the board first and the
//! store then misses nothing, and where both have a row the final one is the newer.

use super::desk::Load;
use super::restraint::{PutOff, Restraint};
use slackwater_core::cutoff::Cutoff;
use slackwater_core::fold::{Final, Open, Settled};
use slackwater_core::judge::Counts;
use slackwater_core::lateness::Lateness;
use slackwater_store::store::Kept;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

/// How far an instance has come.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Which instance it is.
    pub instance: [u8; 16],
    /// Rises with every start.
    pub epoch: u64,
    /// Number of the last commit.
    pub commit: u64,
    /// Number of the last checkpoint.
    pub checkpoint: u64,
    /// How many ticks there were, and the recorded time of the last one.
    pub ticks: u64,
    /// Nanoseconds since the epoch.
    pub ticked: Option<i64>,
    /// Last entry of the journal that was taken in.
    pub journal: u64,
    /// The last of those whose event bytes are gone; 0 where all are there.
    pub gone: u64,
    /// Bytes of the journal, without what has become record.
    pub journal_bytes: u64,
    /// Parts of journal and record that are damaged, and needed by nothing but a rebuild.
    pub damaged: usize,
    /// By source.
    pub sources: Vec<SourceStanding>,
    /// What is settled, by pipeline.
    pub settled: Vec<Settled>,
    /// Rows that still move, by pipeline.
    pub open: Vec<usize>,
    /// What is put off, by pipeline.
    pub put_off: Vec<Option<PutOff>>,
    /// Windows of all keys that are in memory, settled ones too: slices, sessions, and periods of bars; as of the last tick.
    pub windows: usize,
    /// What waits to be taken in.
    pub load: Load,
    /// How long work took.
    pub times: Times,
    /// Why nothing is taken in for the time being, if that is so.
    pub trouble: Option<String>,
}

/// How far a source has come.
#[derive(Clone, Debug, Default)]
pub struct SourceStanding {
    /// Its events by what became of them.
    pub counts: Counts,
    /// Its origins, by name.
    pub origins: Vec<OriginStanding>,
    /// Whether its readers had taken in all that was there, at the last tick.
    pub caught_up: bool,
    /// Whether it takes nothing in until it is resumed.
    pub halted: bool,
    /// What keeps its readers from reading something that is there.
    pub wrong: Vec<String>,
    /// Facts that are held by one pipeline at least.
    pub held: u64,
    /// Where it is cut off, if it is.
    pub cutoff: Option<Cutoff>,
    /// Who of them is held back.
    pub restraint: Restraint,
}

/// How far an origin has come.
#[derive(Clone, Debug)]
pub struct OriginStanding {
    /// Its bytes, as the row has them.
    pub name: Vec<u8>,
    /// The largest min(event time, arrival) among its accepted events; none before the first.
    pub frontier: Option<i64>,
    /// The last arrival of an event of its.
    pub heard: Option<i64>,
    /// Its watermark: frontier less lag.
    pub watermark: Option<i64>,
    /// Whether it was proven idle at the last tick, and so is left out of the least.
    pub idle: bool,
    /// Whether it is so far ahead of another that its windows are put off.
    pub ahead: bool,
    /// How late its accepted events came.
    pub lateness: Lateness,
}

/// How long work took: totals and counts since the start, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Syncs of the journal.
    pub sync: Spent,
    /// Commits to the store.
    pub commit: Spent,
    /// Checkpoints.
    pub checkpoint: Spent,
    /// Rounds of judging and folding.
    pub round: Spent,
}

/// Time spent on one kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How often.
    pub count: u64,
    /// Altogether.
    pub total: Duration,
    /// The longest.
    pub most: Duration,
    /// The last.
    pub last: Duration,
}

impl Spent {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        *self = Spent { count: self.count + 1, total: self.total + took, most: self.most.max(took), last: took };
    }
}

/// What became known at once.
#[derive(Clone, Debug)]
pub enum News {
    /// One commit.
    Committed {
        /// The tick at which its rows became visible.
        tick: u64,
        /// Its recorded time, in nanoseconds since the epoch.
        at: i64,
        /// What is settled now, by pipeline.
        settled: Vec<Settled>,
        /// Rows that became or changed as final, in output order: row `n` is number `n` of this tick.
        finals: Vec<Final>,
    },
    /// Rows that moved since this was last told, by key.
    Moved(Vec<Arc<Open>>),
    /// The instance was let go and opened again: what moved before is void, and ticks may have been committed untold.
    Reopened,
}

/// What is to be done with news. It must be short and never wait.
pub type Listener = Box<dyn Fn(&Arc<News>) + Send>;

/// The open rows of one pipeline by canonical key.
type Rows = BTreeMap<Vec<u8>, Arc<Open>>;

/// Open rows by pipeline, and how many ticks there had been when they were so.
#[derive(Default)]
struct Cut {
    ticks: u64,
    rows: Vec<Rows>,
}

/// Rows that still move, as of a tick.
#[derive(Clone, Debug, Default)]
pub struct Moving {
    /// How many ticks there had been.
    pub ticks: u64,
    /// The rows, in no order that means anything; their generation is 0.
    pub rows: Vec<Final>,
}

impl Moving {
    /// These with the final rows of the same pipeline, in output order. A row that is in both is final, unless it was
    /// withdrawn before, and moves again since.
    pub fn with(self, finals: Vec<Kept>) -> Vec<Final> {
        let ticks = self.ticks;
        let rank = |row: &Final, tick: u64| match row.generation {
            0 => 1,
            _ if row.removed && tick <= ticks => 0,
            _ => 2,
        };
        let moving = self.rows.into_iter().map(|row| (1, row));
        let mut all: Vec<(u8, Final)> =
            finals.into_iter().map(|kept| (rank(&kept.row, kept.tick), kept.row)).chain(moving).collect();
        all.sort_by(|(a, first), (b, second)| first.row_order(second).then(a.cmp(b)));
        let mut rows: Vec<Final> = Vec::with_capacity(all.len());
        for (_, row) in all {
            match rows.last_mut().filter(|last| last.row_order(&row).is_eq()) {
                Some(last) => *last = row,
                None => rows.push(row),
            }
        }
        rows.retain(|row| !row.removed);
        rows.sort_by(Final::order);
        rows
    }
}

/// The board of an instance.
#[derive(Default)]
pub struct Board {
    open: RwLock<Cut>,
    standing: RwLock<Arc<Standing>>,
    listeners: Mutex<Vec<Listener>>,
}

impl Board {
    /// An empty board for so many pipelines.
    pub fn new(pipelines: usize) -> Self {
        let cut = Cut { ticks: 0, rows: vec![Rows::new(); pipelines] };
        Board { open: RwLock::new(cut), ..Board::default() }
    }

    /// The rows of a pipeline that still move, where `wanted` says so.
    pub fn rows(&self, pipeline: u16, wanted: impl Fn(&Final) -> bool) -> Moving {
        let open = self.open.read().expect("nothing panics while it holds the board");
        let rows = open.rows[usize::from(pipeline)].values().flat_map(|open| &open.rows);
        Moving { ticks: open.ticks, rows: rows.filter(|row| wanted(row)).cloned().collect() }
    }

    /// The rows of a pipeline that still move, by key.
    pub fn keys(&self, pipeline: u16) -> Vec<Arc<Open>> {
        let open = self.open.read().expect("nothing panics while it holds the board");
        open.rows[usize::from(pipeline)].values().cloned().collect()
    }

    /// How far the instance has come.
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.read().expect("nothing panics while it holds the board").clone()
    }

    /// From here on, news go to this listener too.
    pub fn listen(&self, listener: Listener) {
        self.listeners.lock().expect("no listener panics").push(listener);
    }

    /// Shows no rows, until they are posted again.
    pub(super) fn clear(&self) {
        self.open.write().expect("nothing panics while it holds the board").rows.iter_mut().for_each(Rows::clear);
    }

    /// Shows what moved.
    pub(super) fn post_rows(&self, ticks: u64, moved: Vec<Open>) {
        let moved: Vec<Arc<Open>> = moved.into_iter().map(Arc::new).collect();
        let mut open = self.open.write().expect("nothing panics while it holds the board");
        open.ticks = ticks;
        for row in &moved {
            let known = &mut open.rows[usize::from(row.pipeline)];
            match (row.rows.is_empty(), known.get_mut(&row.key)) {
                (true, _) => drop(known.remove(&row.key)),
                (false, Some(known)) => *known = row.clone(),
                (false, None) => drop(known.insert(row.key.clone(), row.clone())),
            }
        }
        drop(open);
        if !moved.is_empty() {
            self.tell(News::Moved(moved));
        }
    }

    /// How many rows still move, by pipeline.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = self.open.read().expect("nothing panics while it holds the board");
        open.rows.iter().map(|rows| rows.values().map(|open| open.rows.len()).sum()).collect()
    }

    pub(super) fn post_standing(&self, standing: Standing) {
        *self.standing.write().expect("nothing panics while it holds the board") = Arc::new(standing);
    }

    /// Tells all listeners.
    pub(super) fn tell(&self, news: News) {
        let news = Arc::new(news);
        self.listeners.lock().expect("no listener panics").iter().for_each(|listener| listener(&news));
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("standing", &self.standing()).finish_non_exhaustive()
    }
}
