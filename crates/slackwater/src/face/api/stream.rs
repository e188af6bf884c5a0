//! `GET /v1/pipelines/{pipeline}/stream`: server-sent events.
//!
//! Events are `final` (one row; its id is `TICK.NUMBER`), `settled` (after the rows of a tick), `provisional` (all open rows
//! of a key) and `reset` (all provisional rows that were told before are void).

use super::app::App;
use super::asked::Asked;
use super::hub::{self, Member, Next, Seen};
use super::refusal::Refusal;
use crate::connect::http::listener::stopped;
use crate::connect::http::tokens::Caller;
use crate::runtime::clock::Stopwatch;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use slackwater_core::time::parse_duration;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// From one look at moving rows to the next, if nothing else is asked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// Least and most of it.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));
/// How often something is sent where nothing comes, so that both sides know that the other is there.
const BEAT: Duration = Duration::from_secs(15);

pub(super) async fn stream(
    app: Arc<App>,
    caller: Caller,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let pipeline = app.pipeline(&caller, name)?;
    let asked = Asked::of(request.uri(), &["interval", "tier", "after"], None)?;
    let interval = asked.parsed("interval", interval, "write a time as 250ms, 1s or 1m")?.unwrap_or(INTERVAL);
    let moving = asked.choice("tier", &[("all", true), ("final", false)])?.unwrap_or(true);
    let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
    let after = last.or_else(|| asked.text("after"));
    let after = after.map(|id| {
        let help = "send the id of the last event as it came, such as 17.3; 0 for all that is kept";
        Seen::parse(id).ok_or_else(|| Refusal::bad("last_event_id", "this is no id of an event", help))
    });
    let after = after.transpose()?;
    let Some((member, now)) = app.hub.join(pipeline, app.limits.subscribers) else {
        return Err(Refusal::later("subscribers", "there are as many streams as are allowed", BEAT));
    };
    let seen = after.unwrap_or(now);
    if seen.tick > now.tick {
        let text = format!("event {} is of a tick that has not been: the last one was {}", seen.tick, now.tick);
        return Err(Refusal::bad("last_event_id", text, "this id is of another instance; begin without one"));
    }
    let (ticks, moves) = app.hub.changes();
    let subscriber = Subscriber {
        stop: app.stop.clone(),
        app,
        member,
        interval,
        moving,
        seen,
        told: 0,
        ticks,
        moves,
        pause: None,
        beat: Box::pin(sleep(BEAT)),
        ready: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
    };
    let mut response = Response::new(Body::new(Pieces(Box::pin(Box::new(subscriber).next()))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn interval(text: &str) -> Result<Duration, String> {
    let nanos = parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok()).ok_or("this is no time")?;
    let interval = Duration::from_nanos(nanos);
    match (INTERVALS.0..=INTERVALS.1).contains(&interval) {
        true => Ok(interval),
        false => Err(format!("it is not from {:?} to {:?}", INTERVALS.0, INTERVALS.1)),
    }
}

/// Who is told, and how much of it they have been. It has no task and no queue of its own: the connection asks it for what
/// comes next whenever there is room.
struct Subscriber {
    app: Arc<App>,
    member: Member,
    interval: Duration,
    moving: bool,
    seen: Seen,
    /// The last news of moving rows that it was given.
    told: u64,
    ticks: watch::Receiver<u64>,
    moves: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    /// Since it looked at moving rows, and until it may look again.
    pause: Option<(Stopwatch, Pin<Box<Sleep>>)>,
    beat: Pin<Box<Sleep>>,
    /// Pieces that were found together and are given one by one.
    ready: VecDeque<Bytes>,
}

/// What they wait for cannot be read, or does not come any more.
struct Over;

impl Subscriber {
    async fn next(mut self: Box<Self>) -> Option<(Bytes, Box<Subscriber>)> {
        let mut stop = self.stop.clone();
        let piece = tokio::select! {
            piece = self.piece() => piece.ok()?,
            () = stopped(&mut stop) => return None,
        };
        Some((piece, self))
    }

    /// What comes next: finals as they come, and from time to time what moves, if something did.
    async fn piece(&mut self) -> Result<Bytes, Over> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(piece);
            }
            self.ticks.mark_unchanged();
            self.moves.mark_unchanged();
            self.finals().await?;
            if self.looks()
                && let Some((bytes, last)) = self.app.hub.moved(self.member.pipeline(), self.told)
            {
                self.told = last;
                self.pause = Some((Stopwatch::start(), Box::pin(sleep(self.interval))));
                // What is final is told last, for it stands.
                self.ready.push_front(bytes);
            }
            self.ready.retain(|piece| !piece.is_empty());
            if self.ready.is_empty() {
                self.wait().await?;
            }
        }
    }

    /// Whether it is time for a look at moving rows. Where something is sent anyway, it may be a little sooner: one piece
    /// costs both sides less than two.
    fn looks(&self) -> bool {
        let near = |looked: &Stopwatch| !self.ready.is_empty() && looked.elapsed() >= self.interval / 5 * 4;
        self.moving && self.pause.as_ref().is_none_or(|(looked, _)| near(looked))
    }

    /// Waits until there may be something.
    async fn wait(&mut self) -> Result<(), Over> {
        let Subscriber { ticks, moves, pause, beat, ready, moving, .. } = self;
        let rested = pause.is_none();
        let pausing = async {
            match pause.as_mut() {
                Some((_, pause)) => pause.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = ticks.changed() => changed.map_err(|_| Over)?,
            changed = moves.changed(), if rested && *moving => changed.map_err(|_| Over)?,
            () = pausing, if !rested => self.pause = None,
            () = &mut *beat => {
                *beat = Box::pin(sleep(BEAT));
                ready.push_back(Bytes::from_static(b": here\n\n"));
            }
        }
        Ok(())
    }

    /// Finds final rows that it has not been given.
    async fn finals(&mut self) -> Result<(), Over> {
        while self.ready.is_empty() {
            match self.app.hub.finals(self.member.pipeline(), self.seen) {
                Next::Nothing => break,
                Next::Frames(frames, seen) => {
                    self.ready.extend(frames);
                    self.seen = seen;
                }
                Next::Store(known) => self.catch_up(known).await?,
            }
        }
        Ok(())
    }

    /// Takes the rows of one tick from the store, which had everything up to a tick when this was asked.
    async fn catch_up(&mut self, known: u64) -> Result<(), Over> {
        let (pipeline, seen) = (self.member.pipeline(), self.seen);
        let after = if seen.next == usize::MAX { seen.tick } else { seen.tick.saturating_sub(1) };
        let read = move |store: &mut slackwater_store::sqlite::Sqlite| store.changed_after(pipeline, after);
        let changed = self.app.readers.read(read).await.map_err(|_| Over)?;
        match changed {
            Some(changed) => {
                let frame = hub::frame(&self.app.plan, (changed.tick, changed.at), changed.rows.iter(), None);
                self.seen = Seen::all_of(changed.tick);
                self.ready.extend(frame.behind(seen));
            }
            None => self.seen = Seen::all_of(known.max(seen.tick)),
        }
        Ok(())
    }
}

/// The next piece, with whom it is for: nobody where it was the last.
type Piece = dyn Future<Output = Option<(Bytes, Box<Subscriber>)>> + Send;

/// What is sent, piece by piece.
struct Pieces(Pin<Box<Piece>>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let next = std::task::ready!(self.0.as_mut().poll(cx));
        let piece = next.map(|(piece, subscriber)| {
            self.0 = Box::pin(subscriber.next());
            Ok(Frame::data(piece))
        });
        if piece.is_none() {
            self.0 = Box::pin(std::future::pending());
        }
        Poll::Ready(piece)
    }
}
