//! The server: started over a running instance, told to read its tokens and certificate again, and stopped.

use super::app::{Access, App, Deal, Free, Resume, SetFree, answer, router};
use super::hub::Hub;
use super::live::Live;
use super::meters::Meters;
use super::readers::{OpenStore, Readers};
use crate::connect::http::attempts::Attempts;
use crate::connect::http::body::Room;
use crate::connect::http::listener::{Certificate, Doors, Terms, serve};
use crate::connect::http::tls;
use crate::connect::http::tokens::{Token, Tokens, from_env, from_file};
use crate::face::config::{SecretSource, ServerConfig, SourceConfig, TokenConfig};
use crate::runtime::board::Board;
use crate::runtime::clock::Clock;
use crate::runtime::desk::Desk;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::Store;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Threads that answer requests.
const THREADS: usize = 2;

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration does not allow it, or a file or variable that it names is not what it must be.
    #[error("{0}")]
    Config(String),
    /// Nothing can be listened to there.
    #[error("cannot listen on {at}: {cause}; name another address with --listen, or stop what listens there")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// What is served cannot be read.
    #[error(transparent)]
    Kept(#[from] Fault),
    /// The system has no thread left, or the like.
    #[error("the server cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// Sources and pipelines.
    pub plan: Arc<Plan>,
    /// How the events of each source come.
    pub sources: Vec<SourceConfig>,
    /// Where events are handed in.
    pub desk: Arc<Desk>,
    /// What moves.
    pub board: Arc<Board>,
    /// Opens what is kept.
    pub store: OpenStore,
    /// Takes events of a halted source in again.
    pub resume: Resume,
    /// Lets in what is held.
    pub release: SetFree,
    /// Judges events in quarantine again, or discards them.
    pub deal: Deal,
    /// Bytes that are free on its disk.
    pub free: Free,
}

impl Served {
    /// A running instance.
    pub fn of(live: &Live) -> Served {
        let (opened, resumed, released, dealt, looked) =
            (live.clone(), live.clone(), live.clone(), live.clone(), live.clone());
        Served {
            plan: live.plan().clone(),
            sources: live.config().sources.clone(),
            desk: live.desk().clone(),
            board: live.board().clone(),
            store: Arc::new(move || -> Result<Sqlite, Fault> { opened.store() }),
            resume: Arc::new(move |source| resumed.resume(source)),
            release: Arc::new(move |release| released.release(release)),
            deal: Arc::new(move |with, wanted| dealt.deal(with, wanted)),
            free: Arc::new(move || looked.free()),
        }
    }
}

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    runtime: Runtime,
    app: Arc<App>,
    certificate: Certificate,
    stop: watch::Sender<bool>,
    grace: watch::Sender<Duration>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts to listen. Paths of the configuration are relative to `base`.
    ///
    /// # Errors
    /// When it may not listen there, or cannot.
    pub fn start(served: Served, config: &ServerConfig, base: &Path) -> Result<Server, StartError> {
        let told = |(message, help): (String, &str)| StartError::Config(format!("{message}; {help}"));
        config.may_listen(config.listen).map_err(told)?;
        let (access, certificate) = read(&served.plan, config, base).map_err(StartError::Config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("slackwater-http")
            .enable_all()
            .build()?;
        let bound = runtime.block_on(TcpListener::bind(config.listen));
        let listener = bound.map_err(|cause| StartError::Listen { at: config.listen, cause })?;
        let address = listener.local_addr()?;
        let last = || {
            let head = (served.store)()?.head()?;
            Ok::<_, StartError>(head.map_or(0, |head| head.ticks))
        };
        let hub = Hub::start(served.plan.clone(), served.board.clone(), last)?;
        let (stop, stopping) = watch::channel(false);
        let doors = Doors::new(&config.limits);
        if doors.most() < config.limits.connections {
            let (connections, asked) = (doors.most(), config.limits.connections);
            tracing::warn!(connections, asked, "the system gives handles for fewer connections: see `ulimit -n`");
        }
        let certificate = Arc::new(RwLock::new(certificate));
        let app = Arc::new(App {
            plan: served.plan,
            sources: served.sources,
            desk: served.desk,
            board: served.board,
            limits: config.limits.clone(),
            access: RwLock::new(Arc::new(access)),
            on_loopback: address.ip().is_loopback(),
            room: Room::new(config.limits.held_bytes.max(config.limits.decoded_bytes)),
            doors: doors.clone(),
            readers: Readers::new(served.store),
            attempts: Attempts::default(),
            hub,
            meters: Meters::default(),
            resume: served.resume,
            release: served.release,
            deal: served.deal,
            free: served.free,
            clock: Clock::start(),
            stop: stopping.clone(),
        });
        let terms = Terms {
            limits: config.limits.clone(),
            certificate: certificate.clone(),
            count_addresses: !config.behind_proxy,
        };
        let (shared, routes) = (app.clone(), router(app.clone()));
        let asked = move |request: Request<Incoming>| answer(shared.clone(), routes.clone(), request.map(Body::new));
        let (grace, waiting) = watch::channel(Duration::ZERO);
        let serving = runtime.spawn(serve(listener, terms, doors, stopping, waiting, asked));
        Ok(Server { address, runtime, app, certificate, stop, grace, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes tokens, names and certificate anew. All of them are read before one of them counts.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub fn reload(&self, config: &ServerConfig, base: &Path) -> Result<(), String> {
        config.may_listen(self.address).map_err(|(message, help)| format!("{message}; {help}"))?;
        let (access, certificate) = read(&self.app.plan, config, base)?;
        let mut shown = self.certificate.write().expect("nothing panics while it holds the certificate");
        if shown.is_some() != certificate.is_some() {
            return Err("TLS is begun and ended by a start only".to_string());
        }
        *shown = certificate;
        *self.app.access.write().expect("nothing panics while it holds the access") = Arc::new(access);
        Ok(())
    }

    /// Takes no more connections, and lets those that are open finish for so long.
    pub fn stop(self, grace: Duration) {
        self.app.hub.stop();
        self.grace.send_replace(grace);
        self.stop.send_replace(true);
        // Whether it panicked makes no difference any more.
        let _ = self.runtime.block_on(self.serving);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

type Shown = Option<Arc<rustls::ServerConfig>>;

/// Who may come in, and the certificate, as the configuration has them now.
fn read(plan: &Plan, config: &ServerConfig, base: &Path) -> Result<(Access, Shown), String> {
    let tokens = config.tokens.iter().map(|token| live_token(plan, token, base)).collect::<Result<Vec<_>, _>>()?;
    let certificate =
        config.tls.as_ref().map(|files| tls::server(&base.join(&files.certificate), &base.join(&files.key)));
    let access = Access { tokens: Tokens::new(tokens), hosts: config.hosts.clone(), metrics: config.metrics };
    Ok((access, certificate.transpose()?))
}

fn live_token(plan: &Plan, token: &TokenConfig, base: &Path) -> Result<Token, String> {
    let TokenConfig { name, role, sources, secret } = token;
    let number = |source: &String| plan.sources.iter().position(|known| known.name == *source).map(|at| at as u16);
    let sources = sources.as_ref().map(|names| names.iter().filter_map(number).collect());
    let named = |what: String| format!("the token `{name}`: {what}");
    Ok(match secret {
        SecretSource::Sha256(hash) => Token::of_sha256(name, *role, sources, *hash),
        SecretSource::Blake3(hash) => Token::of_blake3(name, *role, sources, *hash),
        SecretSource::Env(variable) => Token::of_blake3(name, *role, sources, from_env(variable).map_err(named)?),
        SecretSource::File(path) => Token::of_blake3(name, *role, sources, from_file(&base.join(path)).map_err(named)?),
    })
}
