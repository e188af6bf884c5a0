//! The sections `[server]` and `[service]`.

use super::{PLAIN, mistaken, sound};
use slackwater::connect::http::Limits;
use slackwater::connect::http::tokens::Role;
use slackwater::face::config::{SecretSource, ServerConfig, ServiceConfig};
use std::time::Duration;

fn with(sections: &str) -> String {
    format!("{PLAIN}\n{sections}")
}

fn says(sections: &str, message: &str, help: &str) {
    let errors = mistaken(&with(sections));
    assert_eq!(errors.messages().collect::<Vec<_>>(), [message], "\n{errors}\n");
    assert!(errors.render(false).contains(help), "\n{errors}\n");
}

#[test]
fn without_its_sections_a_service_is_as_usual() {
    let config = sound(PLAIN);
    assert_eq!(config.server, ServerConfig::default());
    assert_eq!(config.service, ServiceConfig::default());
    assert!(config.server.listen.ip().is_loopback() && config.server.metrics && !config.server.behind_proxy);
    // How it is reached and how often it works is no part of what results mean.
    let other = sound(&with("[service]\ntick = \"2s\"\n[server]\nlisten = \"[::1]:80\"\n"));
    assert_eq!(other.plan.fingerprint(), config.plan.fingerprint());
}

#[test]
fn a_server_is_what_its_section_says() {
    let hash = "0f".repeat(32);
    let config = sound(&with(&format!(
        "[service]\ntick = \"2s\"\npublish = \"50ms\"\ncheckpoint = \"1m\"\nwindows = 5_000\n\
         [server]\nlisten = \"0.0.0.0:443\"\nhosts = [\"Water.example\"]\nmetrics = false\n\
         [server.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
         [server.tokens.a]\nrole = \"ingest\"\nsha256 = \"{hash}\"\nsources = \"trades\"\n\
         [server.tokens.b]\nrole = \"admin\"\nenv = \"NAME\"\n\
         [server.limits]\nbody_bytes = 1_000_000\nidle_timeout = \"3s\"\n\
         minimum_rate = 500\nrate_grace = \"1s\"\n"
    )));
    let second = Duration::from_secs(1);
    let (tick, publish, checkpoint) = (2 * second, second / 20, 60 * second);
    assert_eq!(config.service, ServiceConfig { tick, publish, checkpoint, windows: 5_000 });
    let server = config.server;
    assert_eq!((server.listen.port(), server.hosts.as_slice()), (443, ["water.example".to_string()].as_slice()));
    assert!(!server.metrics);
    assert_eq!(
        server.limits,
        Limits { body_bytes: 1_000_000, idle: 3 * second, rate: 500, grace: second, ..Limits::default() }
    );
    assert_eq!(server.tls.expect("TLS").key.to_str(), Some("k.pem"));
    let [a, b] = &server.tokens[..] else { panic!("two tokens") };
    assert_eq!((a.name.as_str(), a.role, a.secret.clone()), ("a", Role::Ingest, SecretSource::Sha256([15; 32])));
    assert_eq!(a.sources, Some(vec!["trades".to_string()]));
    assert_eq!(
        (b.role, b.secret.clone(), b.sources.clone()),
        (Role::Admin, SecretSource::Env("NAME".to_string()), None)
    );
}

#[test]
fn every_mistake_in_them_is_shown_with_what_to_write() {
    says("[service]\ntik = \"1s\"\n", "unknown key `tik` in [service]", "did you mean `tick`?");
    says("[service]\ntick = \"0s\"\n", "`tick` must be from 10ms to 3600s, and is 0ns", "tick = \"0s\"");
    says("[service]\ntick = 5\n", "`tick` must be a duration in quotes, and is an integer", "\"250ms\"");
    says("[server]\nhosts = [\"http://x\"]\n", "`http://x` is no name of a host", "\"metrics.example.org\"");
    says("[server]\nlisten = \"localhost:80\"\n", "`localhost:80` is no address to listen on", "\"127.0.0.1:8741\"");
    says(
        "[server]\nlisten = \"0.0.0.0:80\"\n",
        "listening on 0.0.0.0:80 needs tokens: others than this machine can reach it",
        "[server.tokens.NAME]",
    );
    says("[server]\nmetrics = \"no\"\n", "`metrics` must be true or false, and is a string", "metrics");
    says("[server]\ntokens = 5\n", "`server.tokens` must be a section, and is an integer", "write [server.tokens]");
    says("[server.tls]\nkey = \"k\"\n", "`certificate` is missing in [server.tls]", "certificate = \"FILE\"");
    says("[server.tokens.a]\nrole = \"reed\"\nenv = \"X\"\n", "`reed` is no value of `role`", "did you mean `read`?");
    says(
        "[server.tokens.a]\nrole = \"read\"\n",
        "the token `a` must be known in one way, and 0 are given",
        "give one of sha256",
    );
    says(
        "[server.tokens.a]\nrole = \"read\"\nenv = \"X\"\nfile = \"y\"\n",
        "the token `a` must be known in one way, and 2 are given",
        "one of",
    );
    says("[server.tokens.a]\nrole = \"read\"\nsha256 = \"abc\"\n", "this is no hash", "64 hexadecimal digits");
    says(
        "[server.tokens.a]\nrole = \"read\"\nenv = \"X\"\nsources = [\"trade\"]\n",
        "`sources` names `trade`, which is no source",
        "did you mean `trades`?",
    );
    says("[server.limits]\nbody_bytes = 1\n", "`body_bytes` must be from 1024 to 1073741824, and is 1", "body_bytes");
    says("[server.limits]\nbody = 1\n", "unknown key `body` in [server.limits]", "`body_bytes`");
}
