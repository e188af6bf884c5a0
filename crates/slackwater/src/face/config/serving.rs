//! The sections `[server]` and `[service]`: how the service is reached and by whom, and how often it does what it does.

use super::keys::{Section, Text, suggest};
use super::problem::Problems;
use crate::connect::http::Limits;
use crate::connect::http::tokens::{Role, from_hex};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How the service is reached, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names by which it is reached, beside the address that it listens on.
    pub hosts: Vec<String>,
    /// Whether it shows its metrics.
    pub metrics: bool,
    /// Whether somebody else ends TLS in front of it.
    pub behind_proxy: bool,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Who may do what. Without any, whoever reaches it may do all.
    pub tokens: Vec<TokenConfig>,
    /// What requests may cost.
    pub limits: Limits,
}

/// Where certificate and key lie, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A token: who has it may do what its role says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// What logs call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The sources that it is for, and the pipelines that read from them; none: all.
    pub sources: Option<Vec<String>>,
    /// How it is known.
    pub secret: SecretSource,
}

/// How a token is known. The file has no token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The SHA-256 of it.
    Sha256([u8; 32]),
    /// The BLAKE3 of it.
    Blake3([u8; 32]),
    /// An environment variable that has it.
    Env(String),
    /// A file that has it.
    File(PathBuf),
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, ServerConfig::PORT)),
            hosts: Vec::new(),
            metrics: true,
            behind_proxy: false,
            tls: None,
            tokens: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl ServerConfig {
    /// Where it listens if nothing else is said.
    pub const PORT: u16 = 8741;

    /// Whether it may listen there.
    ///
    /// # Errors
    /// What is missing, and what to write.
    pub fn may_listen(&self, at: SocketAddr) -> Result<(), (String, &'static str)> {
        if at.ip().is_loopback() {
            return Ok(());
        }
        if self.tokens.is_empty() {
            let help = "add [server.tokens.NAME] with role and sha256, or listen on 127.0.0.1";
            return Err((format!("listening on {at} needs tokens: others than this machine can reach it"), help));
        }
        if self.tls.is_none() && !self.behind_proxy {
            let help = "add [server.tls] with certificate and key, or behind_proxy = true where a proxy ends TLS in \
                        front of it, or listen on 127.0.0.1";
            return Err((format!("listening on {at} needs TLS: tokens would go over the network in plain text"), help));
        }
        Ok(())
    }
}

/// How often the service does what it does, and how much lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Time from one tick to the next.
    pub tick: Duration,
    /// Time from one look at what moves to the next.
    pub publish: Duration,
    /// Time from one checkpoint to the next.
    pub checkpoint: Duration,
    /// Windows that may lie in memory before some leave it.
    pub windows: usize,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        let (tick, publish) = (Duration::from_secs(1), Duration::from_millis(100));
        ServiceConfig {
            tick,
            publish,
            checkpoint: Duration::from_secs(10),
            windows: crate::runtime::instance::MOST_WINDOWS,
        }
    }
}

pub(super) fn service(mut section: Section<'_>, problems: &mut Problems<'_>) -> ServiceConfig {
    let usual = ServiceConfig::default();
    let hour = Duration::from_secs(3600);
    let least = Duration::from_millis(10);
    let service = ServiceConfig {
        tick: span(&mut section, "tick", (least, hour), problems).unwrap_or(usual.tick),
        publish: span(&mut section, "publish", (least, hour), problems).unwrap_or(usual.publish),
        checkpoint: span(&mut section, "checkpoint", (least, 24 * hour), problems).unwrap_or(usual.checkpoint),
        windows: section.number("windows", (0, 1 << 40), problems).map_or(usual.windows, |windows| windows as usize),
    };
    section.finish(problems);
    service
}

/// A duration within bounds.
fn span(
    section: &mut Section<'_>,
    key: &'static str,
    (least, most): (Duration, Duration),
    problems: &mut Problems<'_>,
) -> Option<Duration> {
    let nanos = section.duration(key, problems)?;
    let found = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    if found < least || found > most {
        let place = section.get(key).map_or(section.place(), |value| value.span());
        let message = format!("`{key}` must be from {least:?} to {most:?}, and is {found:?}");
        problems.add(place, message);
        return None;
    }
    Some(found)
}

/// `sources` are the names of all sources.
pub(super) fn server(mut section: Section<'_>, sources: &[&str], problems: &mut Problems<'_>) -> ServerConfig {
    let mut server = ServerConfig::default();
    let listen = section.text("listen", problems);
    if let Some(text) = &listen {
        match text.value.parse() {
            Ok(address) => server.listen = address,
            Err(_) => {
                let help =
                    "write an address and a port, such as \"127.0.0.1:8741\", \"[::1]:8741\" or \"0.0.0.0:8741\"";
                problems.add(text.span.clone(), format!("`{}` is no address to listen on", text.value)).help(help);
            }
        }
    }
    let hosts = section.texts("hosts", problems).unwrap_or_default();
    for host in &hosts {
        let fits = |sign: char| sign.is_alphanumeric() || "-._:[]".contains(sign);
        if host.value.is_empty() || !host.value.chars().all(fits) {
            let help = "write it as the Host of a request has it, such as \"metrics.example.org\"";
            problems.add(host.span.clone(), format!("`{}` is no name of a host", host.value)).help(help);
        }
    }
    server.hosts = hosts.iter().map(|host| host.value.to_ascii_lowercase()).collect();
    server.metrics = section.flag("metrics", problems).unwrap_or(true);
    server.behind_proxy = section.flag("behind_proxy", problems).unwrap_or(false);
    let before = problems.count();
    server.tls = section.section("tls", problems).and_then(|section| tls(section, problems));
    if let Some(section) = section.section("tokens", problems) {
        server.tokens = tokens(section, sources, problems);
    }
    if let Some(section) = section.section("limits", problems) {
        server.limits = limits(section, problems);
    }
    section.finish(problems);
    if let Some(text) = listen
        && problems.count() == before
        && let Err((message, help)) = server.may_listen(server.listen)
    {
        problems.add(text.span, message).help(help);
    }
    server
}

fn tls(mut section: Section<'_>, problems: &mut Problems<'_>) -> Option<TlsFiles> {
    let certificate = section.required_text("certificate", "certificate = \"FILE\", in PEM", problems);
    let key = section.required_text("key", "key = \"FILE\", in PEM", problems);
    section.finish(problems);
    Some(TlsFiles { certificate: certificate?.value.into(), key: key?.value.into() })
}

fn tokens(mut section: Section<'_>, sources: &[&str], problems: &mut Problems<'_>) -> Vec<TokenConfig> {
    let mut tokens = Vec::new();
    for (name, below) in section.sections(problems) {
        tokens.extend(token(name, below, sources, problems));
    }
    tokens
}

fn token(name: &str, mut section: Section<'_>, known: &[&str], problems: &mut Problems<'_>) -> Option<TokenConfig> {
    if !section.has("role") {
        section.missing("role", "role = \"ingest\" (or read, replay, admin)", problems);
    }
    let role = section.choice("role", &Role::ALL, problems);
    let sources = section.texts("sources", problems);
    for source in sources.iter().flatten().filter(|source| !known.contains(&source.value)) {
        let message = format!("`sources` names `{}`, which is no source", source.value);
        problems.add(source.span.clone(), message).help(suggest(source.value, known.iter().copied()));
    }
    for key in ["token", "secret"] {
        if let Some(value) = section.get(key) {
            let help = "write sha256 = \"...\", which `printf %s \"$TOKEN\" | sha256sum` gives, or env = \"NAME\", or \
                        file = \"PATH\"";
            problems.add(value.span(), "a token does not stand in this file").help(help);
        }
    }
    let hash = |text: &Text<'_>, problems: &mut Problems<'_>| {
        let hash = from_hex(text.value);
        if hash.is_none() {
            problems.add(text.span.clone(), "this is no hash").help("write its 64 hexadecimal digits");
        }
        hash
    };
    let mut given = Vec::new();
    if let Some(text) = section.text("sha256", problems) {
        given.extend(hash(&text, problems).map(SecretSource::Sha256));
    }
    if let Some(text) = section.text("blake3", problems) {
        given.extend(hash(&text, problems).map(SecretSource::Blake3));
    }
    given.extend(section.text("env", problems).map(|text| SecretSource::Env(text.value.to_string())));
    given.extend(section.text("file", problems).map(|text| SecretSource::File(text.value.into())));
    let named = ["sha256", "blake3", "env", "file", "token", "secret"].iter().filter(|key| section.has(key)).count();
    if named != 1 {
        let message = format!("the token `{name}` must be known in one way, and {named} are given");
        problems.add(section.place(), message).help("give one of sha256, blake3, env and file");
    }
    section.finish(problems);
    let sources = sources.map(|list| list.iter().map(|source| source.value.to_string()).collect());
    Some(TokenConfig { name: name.to_string(), role: role?, sources, secret: given.pop()? })
}

fn limits(mut section: Section<'_>, problems: &mut Problems<'_>) -> Limits {
    let usual = Limits::default();
    let (least, hour) = (Duration::from_millis(10), Duration::from_secs(3600));
    let mut number = |key, bounds, usual: usize| {
        section.number(key, bounds, problems).map_or(usual, |number| usize::try_from(number).unwrap_or(usual))
    };
    let mut limits = Limits {
        body_bytes: number("body_bytes", (1 << 10, 1 << 30), usual.body_bytes),
        decoded_bytes: number("decoded_bytes", (1 << 10, 1 << 30), usual.decoded_bytes),
        rate: number("minimum_rate", (1, 1 << 30), usual.rate),
        batch_events: number("batch_events", (1, 10_000_000), usual.batch_events),
        connections: number("connections", (1, 1_000_000), usual.connections),
        connections_per_address: number("connections_per_address", (1, 1_000_000), usual.connections_per_address),
        subscribers: number("subscribers", (1, 1_000_000), usual.subscribers),
        ..usual
    };
    let mut set = |key, to: &mut Duration| {
        if let Some(found) = span(&mut section, key, (least, hour), problems) {
            *to = found;
        }
    };
    set("header_timeout", &mut limits.header);
    set("idle_timeout", &mut limits.idle);
    set("rate_grace", &mut limits.grace);
    set("request_timeout", &mut limits.request);
    set("keep_alive", &mut limits.keep_alive);
    section.finish(problems);
    limits
}
