//! `slackwater run`: the service, until it is told to stop.

use super::fold::Stop;
use super::{Exit, RunArgs, check, logs, tell, threads};
use crate::face::api::live::{Live, Options};
use crate::face::api::serve::{Served, Server, StartError};
use crate::face::config::{self, Config, Kind};
use crate::runtime::service::Pace;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slackwater_store::Fault;
use std::path::Path;
use std::thread::Builder;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a stop may take before the process ends without its last checkpoint. Nothing that was answered is lost by that.
const STOP: Duration = Duration::from_secs(60);
/// How long requests that are being answered may go on after the instance has stopped.
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &RunArgs) -> Exit {
    logs::begin(args.log);
    take_all_handles();
    let mut config = match check::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    match start(args, &config) {
        Ok((live, server)) => until_told(args, &config, live, server),
        Err(exit) => exit,
    }
}

/// Takes as many handles of files as the system allows at all; most of them are for connections.
fn take_all_handles() {
    let most = getrlimit(Resource::Nofile).maximum;
    // What is refused leaves what there was, which the server then makes do with.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

fn start(args: &RunArgs, config: &Config) -> Result<(Live, Server), Exit> {
    // What is wrong with the network is said before a directory is begun.
    if let Err((message, help)) = config.server.may_listen(config.server.listen) {
        tell(&format!("error: {message}; {help}\n"));
        return Err(Exit::Config);
    }
    are_read(config)?;
    let service = config.service;
    let pace = Pace { tick: service.tick, publish: service.publish, checkpoint: service.checkpoint, ..Pace::default() };
    let options = Options { threads: threads(args.threads), pace, windows: service.windows, tails: Vec::new() };
    let kept = |fault: Fault| Stop::Kept(fault).report();
    let live = Live::open(config.clone(), &args.data, options).map_err(kept)?;
    match Server::start(Served::of(&live), &config.server, base(&args.config)) {
        Ok(server) => Ok((live, server)),
        Err(error) => {
            live.stop();
            // Why it does not serve is worth more than how it stopped.
            let _ = live.wait();
            tell(&format!("error: {error}\n"));
            Err(match error {
                StartError::Config(_) => Exit::Config,
                StartError::Kept(_) => Exit::Data,
                StartError::Listen { .. } | StartError::System(_) => Exit::Network,
            })
        }
    }
}

/// Refuses sources of a kind that nothing here reads, and tells of those that name nothing to be read.
fn are_read(config: &Config) -> Result<(), Exit> {
    for source in &config.sources {
        let name = &source.name;
        match source.kind {
            Kind::Http => {}
            Kind::Files if source.path.is_some() => {}
            Kind::Files => tell(&format!("note: source `{name}` has no `path`, so nothing is read for it\n")),
            other => {
                let help = "send its events by HTTP (kind = \"http\"), or write them to files (kind = \"files\")";
                let kind = other.name();
                tell(&format!("error: source `{name}`: this version does not read kind = \"{kind}\"; {help}\n"));
                return Err(Exit::Config);
            }
        }
    }
    Ok(())
}

/// What paths in a configuration are relative to.
fn base(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new(""))
}

/// Signals that a service knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Said {
    Stop,
    Reload,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Said {
        tokio::select! {
            _ = self.terminate.recv() => Said::Stop,
            _ = self.interrupt.recv() => Said::Stop,
            _ = self.hang_up.recv() => Said::Reload,
        }
    }

    /// Waits for one that says to stop.
    async fn again(&mut self) {
        while !matches!(self.next().await, Said::Stop) {}
    }
}

/// Serves until a signal, or until the instance has ended by itself.
fn until_told(args: &RunArgs, config: &Config, live: Live, server: Server) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signals = runtime.and_then(|runtime| runtime.block_on(async { Signals::listen() }).map(|on| (runtime, on)));
    let (runtime, mut signals) = match signals {
        Ok(both) => both,
        Err(cause) => {
            tell(&format!("error: no signals can be heard: {cause}\n"));
            live.stop();
            let outcome = live.wait();
            server.stop(GRACE);
            return ended(outcome);
        }
    };
    // Who reads where it is may send a signal at once.
    tell(&where_to_look(config, &server, &args.data));
    let (ending, mut end) = oneshot::channel();
    let waiting = live.clone();
    if let Err(cause) = Builder::new().spawn(move || drop(ending.send(waiting.wait()))) {
        tell(&format!("error: no thread could be started: {cause}\n"));
        live.stop();
    }
    let outcome = runtime.block_on(async {
        loop {
            tokio::select! {
                outcome = &mut end => return Some(outcome),
                said = signals.next() => match said {
                    Said::Reload => reload(args, &live, &server),
                    Said::Stop => break,
                },
            }
        }
        tell("stopping: what was handed in is taken in and kept; another signal stops at once\n");
        live.stop();
        tokio::select! {
            outcome = timeout(STOP, &mut end) => outcome.ok(),
            () = signals.again() => None,
        }
    });
    let Some(outcome) = outcome else {
        cut("the next start takes in again what came since the last checkpoint");
    };
    let (done, closed) = oneshot::channel();
    // Where there is no thread for it nobody is waited for.
    let _ = Builder::new().spawn(move || {
        server.stop(GRACE);
        // Who was to hear it may have gone on without.
        let _ = done.send(());
    });
    let patient = runtime.block_on(async {
        tokio::select! {
            _ = closed => true,
            () = signals.again() => false,
        }
    });
    match outcome {
        _ if !patient => cut("what was taken in is kept, and some who asked had no answer"),
        Ok(outcome) => ended(outcome),
        Err(_) => Exit::Wrong,
    }
}

/// Ends the process. Threads that still work must not keep it; the journal has what was answered.
fn cut(meaning: &str) -> ! {
    tell(&format!("stopped at once: {meaning}\n"));
    std::process::exit(Exit::Cut as i32)
}

fn ended(outcome: Result<(), Fault>) -> Exit {
    match outcome {
        Ok(()) => {
            tell("stopped\n");
            Exit::Done
        }
        Err(fault) => Stop::Kept(fault).report(),
    }
}

/// Reads the configuration again: who may come in, the certificate, what watermarks follow, and what sources demand. All
/// else needs a start.
fn reload(args: &RunArgs, live: &Live, server: &Server) {
    let name = args.config.display().to_string();
    let read = std::fs::read_to_string(&args.config).map_err(|cause| format!("{name}: {cause}"));
    let read = read.and_then(|text| config::load(&text, &name).map_err(|errors| errors.render(false)));
    let done = read.and_then(|config| {
        needs_no_start(live.config(), &config, args.listen.is_some())?;
        server.reload(&config.server, base(&args.config))?;
        let (knobs, guards) = config.plan.sources.into_iter().map(|source| (source.knobs, source.guards)).unzip();
        live.tune(knobs, guards)
    });
    match done {
        Ok(()) => tracing::info!("tokens, certificate, lags, idleness and guards were read again"),
        Err(error) => tracing::error!(%error, "nothing was changed: the configuration cannot be read again"),
    }
}

/// Whether all that is different can be taken over while it runs.
fn needs_no_start(now: &Config, next: &Config, told_where: bool) -> Result<(), String> {
    let others = [
        ("sources or pipelines are", now.plan.fingerprint() != next.plan.fingerprint() || now.sources != next.sources),
        ("[service] is", now.service != next.service),
        ("`listen` is", now.server.listen != next.server.listen && !told_where),
        ("`behind_proxy` is", now.server.behind_proxy != next.server.behind_proxy),
        ("[server.limits] is", now.server.limits != next.server.limits),
    ];
    match others.into_iter().find(|(_, other)| *other) {
        Some((what, _)) => Err(format!("{what} not what it was; that needs a start")),
        None => Ok(()),
    }
}

fn where_to_look(config: &Config, server: &Server, data: &Path) -> String {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address());
    let token = match config.server.tokens.is_empty() {
        true => "",
        false => " -H \"authorization: Bearer $SLACKWATER_TOKEN\"",
    };
    let mut text = format!("slackwater is running: {url}, data in {}\n", data.display());
    let posted = config.sources.iter().find(|source| source.kind == Kind::Http);
    if let Some(source) = posted {
        let (kind, file) = match source.format {
            crate::decode::Format::Csv => ("text/csv", "events.csv"),
            _ => ("application/x-ndjson", "events.ndjson"),
        };
        let name = &source.name;
        text += &format!("  curl{token} -H 'content-type: {kind}' --data-binary @{file} {url}/v1/ingest/{name}\n");
    }
    if let Some(pipeline) = config.plan.pipelines.first() {
        let name = &pipeline.name;
        text += &format!("  curl{token} '{url}/v1/pipelines/{name}/rows?tier=all'\n");
        text += &format!("  curl{token} -N {url}/v1/pipelines/{name}/stream\n");
    }
    text + &format!("  slackwater status --url {url}\n")
}
