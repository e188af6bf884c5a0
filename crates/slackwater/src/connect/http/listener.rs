//! Connections: how many there may be, how long they may take, and how they end.

use super::Limits;
use super::paced::{Paced, Phase};
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Handles of files that connections leave to everything else. Without them the instance could keep nothing.
const OTHER_HANDLES: usize = 256;

/// How long nothing is accepted after the system had no more handles.
const BREATH: Duration = Duration::from_millis(100);

/// Who is on the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The certificate that new connections are given; none: plain text. It may be exchanged at any time.
pub type Certificate = Arc<RwLock<Option<Arc<ServerConfig>>>>;

/// How connections are taken.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What they may cost.
    pub limits: Limits,
    /// What they are encrypted with.
    pub certificate: Certificate,
    /// Whether an address stands for one other side. Behind a proxy it does not.
    pub count_addresses: bool,
}

/// How many connections there are.
#[derive(Clone, Debug)]
pub struct Doors {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    most: usize,
    most_by_address: usize,
}

impl Doors {
    /// Doors for as many as the limits say, and as the system has handles for.
    pub fn new(limits: &Limits) -> Doors {
        let (most, most_by_address) = (limits.connections.min(handles()), limits.connections_per_address);
        Doors { all: Arc::new(Semaphore::new(most)), by_address: Arc::default(), most, most_by_address }
    }

    /// How many connections there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.most - self.all.available_permits()
    }

    fn enter(&self, address: Option<IpAddr>) -> Option<Inside> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        if let Some(address) = address {
            let mut all = self.by_address.lock().expect("nothing panics while it counts");
            let count = all.entry(address).or_default();
            if *count >= self.most_by_address {
                return None;
            }
            *count += 1;
        }
        Some(Inside { _permit: permit, address, by_address: self.by_address.clone() })
    }
}

/// How many handles there are for connections.
fn handles() -> usize {
    let all = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |all| usize::try_from(all).unwrap_or(usize::MAX));
    all.saturating_sub(OTHER_HANDLES).max(all / 8).max(1)
}

/// A connection that is counted until this is dropped.
struct Inside {
    _permit: OwnedSemaphorePermit,
    address: Option<IpAddr>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut all = self.by_address.lock().expect("nothing panics while it counts");
        if let Some(count) = all.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&address);
            }
        }
    }
}

/// Takes connections until `stop` turns true; then those that are open finish what they are at, for what `grace` says then
/// at most.
pub async fn serve<F, R>(
    listener: TcpListener,
    terms: Terms,
    doors: Doors,
    mut stop: watch::Receiver<bool>,
    grace: watch::Receiver<Duration>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, peer)) = accepted else {
            sleep(BREATH).await;
            continue;
        };
        // Who finds no room is cut off at once: to say so would take a place as well.
        let Some(inside) = doors.enter(terms.count_addresses.then_some(peer.ip())) else { continue };
        let (terms, stop, answer) = (terms.clone(), stop.clone(), answer.clone());
        tokio::spawn(async move {
            connection(tcp, peer, &terms, stop, answer).await;
            drop(inside);
        });
    }
    drop(listener);
    let grace = *grace.borrow();
    let all = u32::try_from(doors.most).unwrap_or(u32::MAX);
    // Whoever is not done by then is cut off with the runtime.
    let _ = timeout(grace, doors.all.acquire_many(all)).await;
}

async fn connection<F, R>(tcp: TcpStream, peer: SocketAddr, terms: &Terms, stop: watch::Receiver<bool>, answer: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    // Answers are small and awaited.
    let _ = tcp.set_nodelay(true);
    let certificate = terms.certificate.read().expect("nothing panics while it holds the certificate").clone();
    match certificate {
        None => speak(tcp, peer, &terms.limits, stop, answer).await,
        Some(certificate) => {
            let shaken = timeout(terms.limits.header, TlsAcceptor::from(certificate).accept(tcp)).await;
            if let Ok(Ok(stream)) = shaken {
                speak(stream, peer, &terms.limits, stop, answer).await;
            }
        }
    }
}

async fn speak<S, F, R>(stream: S, peer: SocketAddr, limits: &Limits, mut stop: watch::Receiver<bool>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let phase = Phase::default();
    let io = TokioIo::new(Paced::new(stream, phase.clone(), limits));
    let service = service_fn(move |mut request: Request<Incoming>| {
        phase.busy();
        request.extensions_mut().insert(Peer(peer));
        let (answered, phase) = (answer(request), phase.clone());
        async move {
            let response = answered.await;
            Ok::<_, Infallible>(response.map(|body| Ending { body, phase }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.keep_alive + limits.header)
        .max_buf_size(Limits::HEAD_BYTES)
        .max_headers(Limits::HEADERS)
        .half_close(false)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    // What goes wrong on a connection is its other side's business.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Comes back when it is time to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: that is the same.
    drop(stop.wait_for(|stop| *stop).await);
}

/// An answer that says when it was given.
struct Ending {
    body: Body,
    phase: Phase,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.phase.idle();
    }
}
