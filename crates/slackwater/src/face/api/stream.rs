//! `GET /v1/pipelines/{pipeline}/stream`: server-sent events.
//!
//! Events are `final` (one row; its id is `TICK.NUMBER`), `settled` (after the rows of a tick), `provisional` (all open rows
//! of a key) and `reset` (all provisional rows that were told before are void).

use super::app::App;
use super::asked::Asked;
use super::hub::{self, Hub, Member, Next, Seen};
use super::refusal::Refusal;
use crate::connect::http::listener::stopped;
use crate::connect::http::tokens::Caller;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use slackwater_core::time::parse_duration;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// From one look at moving rows to the next, if nothing else is asked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// Least and most of it.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));
/// How often something is sent where nothing comes, so that both sides know that the other is there.
const BEAT: Duration = Duration::from_secs(15);
/// Pieces that wait for a subscriber to take them.
const PIECES: usize = 2;

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
    let (sender, pieces) = mpsc::channel(PIECES);
    let subscriber = Subscriber { hub: app.hub.clone(), pipeline, interval, moving, seen, sender };
    let (stop, shared) = (app.stop.clone(), app.clone());
    tokio::spawn(async move { subscriber.run(&shared, member, stop).await });
    let mut response = Response::new(Body::new(Pieces(pieces)));
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

struct Subscriber {
    hub: Arc<Hub>,
    pipeline: u16,
    interval: Duration,
    moving: bool,
    seen: Seen,
    sender: mpsc::Sender<Bytes>,
}

/// Whoever listened is gone, or what they wait for cannot be read.
struct Over;

impl Subscriber {
    async fn run(mut self, app: &App, member: Member, mut stop: watch::Receiver<bool>) {
        let sender = self.sender.clone();
        tokio::select! {
            _ = self.follow(app) => {}
            () = sender.closed() => {}
            () = stopped(&mut stop) => {}
        }
        drop(member);
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Over> {
        match bytes.is_empty() {
            true => Ok(()),
            false => self.sender.send(bytes).await.map_err(|_| Over),
        }
    }

    async fn follow(&mut self, app: &App) -> Result<(), Over> {
        let (mut ticks, mut moves) = self.hub.changes();
        self.send(Bytes::from_static(b"retry: 1000\n\n")).await?;
        let mut told = 0;
        loop {
            ticks.mark_unchanged();
            moves.mark_unchanged();
            self.finals(app).await?;
            if self.moving
                && let Some((bytes, last)) = self.hub.moved(self.pipeline, told)
            {
                self.send(bytes).await?;
                told = last;
            }
            self.wait(app, &mut ticks, &mut moves).await?;
        }
    }

    /// Gives finals as they come, until it is time to look at what moves, and something did.
    async fn wait(
        &mut self,
        app: &App,
        ticks: &mut watch::Receiver<u64>,
        moves: &mut watch::Receiver<u64>,
    ) -> Result<(), Over> {
        let mut pause = std::pin::pin!(sleep(self.interval));
        let mut beat = std::pin::pin!(sleep(BEAT));
        let mut rested = false;
        loop {
            tokio::select! {
                changed = ticks.changed() => {
                    changed.map_err(|_| Over)?;
                    self.finals(app).await?;
                }
                () = &mut pause, if !rested => rested = true,
                changed = moves.changed(), if rested && self.moving => return changed.map_err(|_| Over),
                () = &mut beat => {
                    self.send(Bytes::from_static(b": here\n\n")).await?;
                    return Ok(());
                }
            }
        }
    }

    /// Gives all final rows that it has not been given.
    async fn finals(&mut self, app: &App) -> Result<(), Over> {
        loop {
            match self.hub.finals(self.pipeline, self.seen) {
                Next::Nothing => return Ok(()),
                Next::Frames(frames, seen) => {
                    for frame in frames {
                        self.send(frame).await?;
                    }
                    self.seen = seen;
                }
                Next::Store(known) => self.catch_up(app, known).await?,
            }
        }
    }

    /// Gives the rows of one tick from the store, which had everything up to a tick when this was asked.
    async fn catch_up(&mut self, app: &App, known: u64) -> Result<(), Over> {
        let (pipeline, seen) = (self.pipeline, self.seen);
        let after = if seen.next == usize::MAX { seen.tick } else { seen.tick.saturating_sub(1) };
        let read = move |store: &mut slackwater_store::sqlite::Sqlite| store.changed_after(pipeline, after);
        let changed = app.readers.read(read).await.map_err(|_| Over)?;
        match changed {
            Some(changed) => {
                let frame = hub::frame(&app.plan, (changed.tick, changed.at), changed.rows.iter(), None);
                self.seen = Seen::all_of(changed.tick);
                match frame.behind(seen) {
                    Some(bytes) => self.send(bytes).await,
                    None => Ok(()),
                }
            }
            None => {
                self.seen = Seen::all_of(known.max(seen.tick));
                Ok(())
            }
        }
    }
}

/// What is sent, piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
