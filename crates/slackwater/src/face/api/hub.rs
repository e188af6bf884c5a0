//! News for many: each row is written as text once, when the first subscriber asks for it, and none of them has a queue.
//!
//! A subscriber is a place: the last final row that it was given, and the last news of moving rows. What comes next is taken
//! from the last ticks kept here, or from the store when they do not reach back so far; of moving rows only the newest is
//! kept by key, so who is slow is given less, and what it is given is current.

use super::report;
use crate::connect::files::render;
use crate::runtime::board::{Board, News};
use bytes::Bytes;
use serde_json::json;
use slackwater_core::fold::{Final, Open, Settled};
use slackwater_core::plan::Plan;
use slackwater_core::value::Scalar;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// News that may wait to be written; what comes when so many wait is read from store and board instead.
const WAITING: usize = 256;
/// Bytes of the last ticks that are kept for each pipeline.
const KEPT_BYTES: usize = 4 << 20;
/// Keys without open rows that are remembered, so that subscribers are told.
const GONE: usize = 10_000;
/// Answers to "what moved since" that are kept, for those who ask the same.
const SHARED: usize = 16;

/// The last final row that a subscriber was given: all rows of earlier ticks, and of this tick all before `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub tick: u64,
    pub next: usize,
}

impl Seen {
    /// All of a tick.
    pub fn all_of(tick: u64) -> Seen {
        Seen { tick, next: usize::MAX }
    }

    /// What `Last-Event-ID` says: the tick, and the number of the row in it.
    pub fn parse(text: &str) -> Option<Seen> {
        let (tick, number) = text.split_once('.').unwrap_or((text, ""));
        let tick = tick.parse().ok().filter(|tick| i64::try_from(*tick).is_ok())?;
        match number {
            "" => Some(Seen::all_of(tick)),
            number => Some(Seen { tick, next: number.parse::<usize>().ok()?.checked_add(1)? }),
        }
    }
}

/// The rows of a tick as events, and where each begins.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    tick: u64,
    bytes: Bytes,
    starts: Vec<usize>,
}

impl Frame {
    /// What comes behind a place; nothing where all of it was given.
    pub fn behind(&self, seen: Seen) -> Option<Bytes> {
        if self.tick != seen.tick {
            return (self.tick > seen.tick).then(|| self.bytes.clone());
        }
        self.starts.get(seen.next).map(|start| self.bytes.slice(start..))
    }
}

/// What comes next for a subscriber.
pub(super) enum Next {
    /// These events, and then it has seen so much.
    Frames(Vec<Bytes>, Seen),
    /// Nothing yet.
    Nothing,
    /// What the store has behind this place; what was committed up to this tick is in it.
    Store(u64),
}

/// The open rows of a key.
struct Key {
    at: u64,
    key: Vec<Scalar>,
    gone: bool,
    open: Arc<Open>,
    /// Their text, once somebody has asked for it.
    event: Option<Bytes>,
}

/// A pipeline's news.
#[derive(Default)]
struct Feed {
    subscribers: usize,
    /// Frames of every tick behind this one are here.
    after: u64,
    /// The last tick.
    last: u64,
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Number of the last news of moving rows.
    moved: u64,
    keys: BTreeMap<Vec<u8>, Key>,
    /// Keys by the news that last touched them.
    order: BTreeSet<(u64, Vec<u8>)>,
    gone: usize,
    /// Keys without open rows that were touched up to this news are forgotten.
    forgotten: u64,
    shared: VecDeque<(u64, u64, Bytes)>,
}

enum Told {
    News(Arc<News>),
    Stop,
}

/// The news of all pipelines.
pub(super) struct Hub {
    plan: Arc<Plan>,
    board: Arc<Board>,
    feeds: Vec<Mutex<Feed>>,
    told: SyncSender<Told>,
    missed: AtomicBool,
    subscribers: AtomicUsize,
    ticks: watch::Sender<u64>,
    moves: watch::Sender<u64>,
}

impl Hub {
    /// A hub that hears the board from here on; `last` is the last tick that was committed, read after that.
    ///
    /// # Errors
    /// When no thread can be started, or `last` cannot be read.
    pub fn start<E: From<std::io::Error>>(
        plan: Arc<Plan>,
        board: Arc<Board>,
        last: impl FnOnce() -> Result<u64, E>,
    ) -> Result<Arc<Hub>, E> {
        let (told, news) = sync_channel(WAITING);
        let feeds = plan.pipelines.iter().map(|_| Mutex::default()).collect();
        let (ticks, moves) = (watch::Sender::new(0), watch::Sender::new(0));
        let (missed, subscribers) = (AtomicBool::new(false), AtomicUsize::new(0));
        let hub = Arc::new(Hub { plan, board: board.clone(), feeds, told, missed, subscribers, ticks, moves });
        let listener = Arc::downgrade(&hub);
        board.listen(Box::new(move |news| {
            // Whoever tells must not wait.
            if let Some(hub) = listener.upgrade()
                && hub.told.try_send(Told::News(news.clone())).is_err()
            {
                hub.missed.store(true, Ordering::Release);
            }
        }));
        let last = last()?;
        for feed in &hub.feeds {
            let mut feed = feed.lock().expect("nothing panics while it holds a feed");
            (feed.after, feed.last) = (last, last);
        }
        let working = hub.clone();
        std::thread::Builder::new().name("slackwater-news".into()).spawn(move || working.work(&news))?;
        Ok(hub)
    }

    /// Ends its thread.
    pub fn stop(&self) {
        // A thread that has ended needs no word.
        let _ = self.told.send(Told::Stop);
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Changes with every commit, and with all news of moving rows.
    pub fn changes(&self) -> (watch::Receiver<u64>, watch::Receiver<u64>) {
        (self.ticks.subscribe(), self.moves.subscribe())
    }

    fn feed(&self, pipeline: u16) -> MutexGuard<'_, Feed> {
        self.feeds[usize::from(pipeline)].lock().expect("nothing panics while it holds a feed")
    }

    /// A subscriber more, unless there are so many already; it gives the last tick.
    pub fn join(self: &Arc<Self>, pipeline: u16, most: usize) -> Option<(Member, Seen)> {
        let joined =
            self.subscribers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        joined.ok()?;
        let mut feed = self.feed(pipeline);
        feed.subscribers += 1;
        if feed.subscribers == 1 {
            self.reload(pipeline, &mut feed);
        }
        let seen = Seen::all_of(feed.last);
        Some((Member { hub: self.clone(), pipeline }, seen))
    }

    /// Takes the open rows of a pipeline from the board. News that wait and are older come again to the same.
    fn reload(&self, pipeline: u16, feed: &mut Feed) {
        feed.keys.clear();
        feed.order.clear();
        feed.shared.clear();
        feed.gone = 0;
        feed.moved += 1;
        feed.forgotten = feed.moved;
        for open in self.board.keys(pipeline) {
            self.take(feed, open);
        }
    }

    /// What final rows come next for a subscriber.
    pub fn finals(&self, pipeline: u16, seen: Seen) -> Next {
        let feed = self.feed(pipeline);
        if seen >= Seen::all_of(feed.last) {
            return Next::Nothing;
        }
        // A tick that was seen in part must be here too.
        if seen.tick < feed.after || seen.tick == feed.after && seen.next != usize::MAX {
            return Next::Store(feed.last);
        }
        let frames = feed.frames.iter().filter_map(|frame| frame.behind(seen)).collect();
        Next::Frames(frames, Seen::all_of(feed.last))
    }

    /// What moved since news of this number, and the number of the last.
    pub fn moved(&self, pipeline: u16, since: u64) -> Option<(Bytes, u64)> {
        let mut feed = self.feed(pipeline);
        if since == feed.moved {
            return None;
        }
        let last = feed.moved;
        if let Some((_, _, bytes)) = feed.shared.iter().find(|(from, to, _)| (*from, *to) == (since, last)) {
            return Some((bytes.clone(), last));
        }
        let mut out = Vec::new();
        let all = since < feed.forgotten;
        if all && since > 0 {
            out.extend_from_slice(b"event: reset\ndata: {}\n\n");
        }
        let from = if all { 0 } else { since + 1 };
        let Feed { keys, order, .. } = &mut *feed;
        for (_, key) in order.range((from, Vec::new())..) {
            let Some(known) = keys.get_mut(key).filter(|known| !(all && known.gone)) else { continue };
            out.extend_from_slice(known.text(&self.plan));
        }
        let bytes = Bytes::from(out);
        feed.shared.push_back((since, last, bytes.clone()));
        if feed.shared.len() > SHARED {
            feed.shared.pop_front();
        }
        Some((bytes, last))
    }

    fn work(&self, news: &Receiver<Told>) {
        while let Ok(Told::News(news)) = news.recv() {
            if self.missed.swap(false, Ordering::Acquire) {
                self.catch_up();
            }
            match &*news {
                News::Committed { tick, at, settled, finals } => self.committed((*tick, *at), settled, finals),
                News::Moved(moved) => self.rows_moved(moved),
                News::Reopened => self.catch_up(),
            }
        }
    }

    /// Some news were not heard: nothing that is kept here reaches back over them.
    fn catch_up(&self) {
        for (number, feed) in (0..).zip(&self.feeds) {
            let mut feed = feed.lock().expect("nothing panics while it holds a feed");
            feed.frames.clear();
            (feed.bytes, feed.after) = (0, u64::MAX);
            if feed.subscribers > 0 {
                self.reload(number, &mut feed);
            }
        }
        self.moves.send_modify(|number| *number += 1);
    }

    fn committed(&self, (tick, at): (u64, i64), settled: &[Settled], finals: &[Final]) {
        for (number, feed) in (0..).zip(&self.feeds) {
            let mut feed = feed.lock().expect("nothing panics while it holds a feed");
            if tick <= feed.last {
                continue;
            }
            // Of a tick in between nothing was told: the store has it.
            let follows = tick == feed.last + 1;
            feed.last = tick;
            let mine = || finals.iter().filter(|row| row.pipeline == number);
            if feed.subscribers == 0 {
                feed.frames.clear();
                (feed.bytes, feed.after) = (0, tick);
                continue;
            }
            if feed.after == u64::MAX || !follows {
                feed.frames.clear();
                (feed.bytes, feed.after) = (0, tick - 1);
            }
            let frame = frame(&self.plan, (tick, at), mine(), settled.get(usize::from(number)));
            feed.bytes += frame.bytes.len();
            feed.frames.push_back(frame);
            while feed.bytes > KEPT_BYTES && feed.frames.len() > 1 {
                let Some(first) = feed.frames.pop_front() else { break };
                feed.bytes -= first.bytes.len();
                feed.after = first.tick;
            }
        }
        self.ticks.send_replace(tick);
    }

    fn rows_moved(&self, moved: &[Arc<Open>]) {
        for (number, feed) in (0..).zip(&self.feeds) {
            let mut feed = feed.lock().expect("nothing panics while it holds a feed");
            let mut mine = moved.iter().filter(|open| open.pipeline == number).peekable();
            if feed.subscribers == 0 || mine.peek().is_none() {
                continue;
            }
            feed.moved += 1;
            feed.shared.clear();
            mine.for_each(|open| self.take(&mut feed, open.clone()));
            if feed.gone > GONE {
                feed.forget();
            }
        }
        self.moves.send_modify(|number| *number += 1);
    }

    /// Notes the open rows of a key under the last number.
    fn take(&self, feed: &mut Feed, open: Arc<Open>) {
        let known = feed.keys.remove(&open.key);
        let key = match (open.rows.first(), known) {
            (first, Some(known)) => {
                feed.gone -= usize::from(known.gone);
                feed.order.remove(&(known.at, open.key.clone()));
                first.map_or(known.key, |row| row.key.clone())
            }
            (Some(first), None) => first.key.clone(),
            // Nobody was told of it.
            (None, None) => return,
        };
        let (at, gone) = (feed.moved, open.rows.is_empty());
        feed.gone += usize::from(gone);
        feed.order.insert((at, open.key.clone()));
        feed.keys.insert(open.key.clone(), Key { at, key, gone, open, event: None });
    }
}

impl Key {
    /// The event that tells its rows.
    fn text(&mut self, plan: &Plan) -> &Bytes {
        self.event.get_or_insert_with(|| {
            let mut text = String::from("event: provisional\ndata: ");
            render::open_rows(plan, self.open.pipeline, &self.key, &self.open.rows, &mut text);
            text.push_str("\n\n");
            Bytes::from(text)
        })
    }
}

impl Feed {
    /// Forgets keys without open rows.
    fn forget(&mut self) {
        let Feed { keys, order, .. } = self;
        keys.retain(|_, key| !key.gone);
        order.retain(|(_, key)| keys.contains_key(key));
        (self.gone, self.forgotten) = (0, self.moved);
    }
}

/// A subscriber, until this is dropped.
pub(super) struct Member {
    hub: Arc<Hub>,
    pipeline: u16,
}

impl Member {
    /// What it subscribed to.
    pub fn pipeline(&self) -> u16 {
        self.pipeline
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.hub.subscribers.fetch_sub(1, Ordering::Relaxed);
        let mut feed = self.hub.feed(self.pipeline);
        feed.subscribers -= 1;
        if feed.subscribers == 0 {
            let last = feed.last;
            *feed = Feed { after: last, last, moved: feed.moved, ..Feed::default() };
        }
    }
}

/// The rows of a tick as events, and what is settled by it.
pub(super) fn frame<'r>(
    plan: &Plan,
    (tick, at): (u64, i64),
    rows: impl Iterator<Item = &'r Final>,
    settled: Option<&Settled>,
) -> Frame {
    let (mut out, mut starts) = (String::new(), Vec::new());
    for (number, row) in rows.enumerate() {
        starts.push(out.len());
        // Writing to a String cannot fail.
        let _ = write!(out, "id: {tick}.{number}\nevent: final\ndata: ");
        render::ndjson(plan, row, &mut out);
        out.push('\n');
    }
    if let Some(settled) = settled {
        let at = render::time(at.into());
        let told = json!({ "tick": tick, "at": at, "finalized_through": report::finalized(Some(settled)) });
        let _ = write!(out, "event: settled\ndata: {told}\n\n");
    }
    Frame { tick, bytes: Bytes::from(out), starts }
}
