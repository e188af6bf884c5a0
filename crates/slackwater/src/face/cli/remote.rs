//! Asking a running service, for commands that look at one.

use super::fold::Stop;
use crate::connect::http::client::{Answered, Server};
use serde_json::Value;

/// The service at an address. Its token is in SLACKWATER_TOKEN, the certificates to trust in SLACKWATER_CA.
pub(super) fn server(url: &str) -> Server {
    let named = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    Server { url: url.to_string(), token: named("SLACKWATER_TOKEN"), roots: named("SLACKWATER_CA").map(Into::into) }
}

/// Asks, and gives the answer where it is one.
pub(super) fn ask(server: &Server, path: &str) -> Result<Answered, Stop> {
    sound(server, server.get(path).map_err(Stop::Network)?)
}

/// An answer, or what it says is wrong.
pub(super) fn sound(server: &Server, answered: Answered) -> Result<Answered, Stop> {
    if answered.status.is_success() {
        return Ok(answered);
    }
    let error: Value = serde_json::from_str(&answered.text).unwrap_or_default();
    let part = |name: &str| error["error"][name].as_str().unwrap_or_default().to_string();
    let text = match part("message") {
        message if message.is_empty() => format!("{}: it answered {}", server.url, answered.status),
        message => format!("{}: {message}; {}", server.url, part("help")),
    };
    Err(match answered.status.as_u16() {
        400 | 404 => Stop::Usage(text),
        401 | 403 => Stop::Network(format!("{text} (SLACKWATER_TOKEN)")),
        _ => Stop::Network(text),
    })
}

/// The answer as JSON.
pub(super) fn json(server: &Server, path: &str) -> Result<Value, Stop> {
    let answered = ask(server, path)?;
    serde_json::from_str(&answered.text).map_err(|_| Stop::Network(strange(server)))
}

/// What is said of an answer that makes no sense.
pub(super) fn strange(server: &Server) -> String {
    format!("{}: this is no slackwater", server.url)
}

/// A query of these parameters, with its question mark.
pub(super) fn query(parameters: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        text.push(if text.is_empty() { '?' } else { '&' });
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

pub(super) fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
