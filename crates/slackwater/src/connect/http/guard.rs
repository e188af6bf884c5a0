//! What a browser that was led astray would send: another host's name, another site's origin.
//!
//! A page of another site can have its name resolve to this machine and then talk to us; it cannot make the browser lie
//! about that name. So on loopback only names of loopback are answered, and never a page of another origin.

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use std::net::IpAddr;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It asks for another host.
    Host,
    /// A page of another site asks.
    Origin,
}

/// Whether a request is meant for us. `names` are those by which we are reached, beside the addresses of loopback.
///
/// # Errors
/// What is foreign in it.
pub fn check(headers: &HeaderMap, on_loopback: bool, names: &[String]) -> Result<(), Foreign> {
    let host = single(headers, &HOST).map_err(|()| Foreign::Host)?.ok_or(Foreign::Host)?;
    let name = name_of(host).ok_or(Foreign::Host)?;
    let known = names.iter().any(|known| known.eq_ignore_ascii_case(name));
    // Beyond loopback, a list of names is a list of all of them.
    if !known && (on_loopback && !is_loopback(name) || !on_loopback && !names.is_empty()) {
        return Err(Foreign::Host);
    }
    match single(headers, &ORIGIN).map_err(|()| Foreign::Origin)? {
        None => Ok(()),
        Some(origin) => match origin.split_once("://") {
            Some(("http" | "https", of)) if of.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(Foreign::Origin),
        },
    }
}

/// The value of a header that may be there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(()),
        None => first.map(HeaderValue::to_str).transpose().map_err(|_| ()),
    }
}

/// A host without its port.
fn name_of(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        return (port.is_empty() || is_port(port)).then_some(name);
    }
    match host.find(':') {
        Some(at) => is_port(&host[at..]).then_some(&host[..at]),
        None => Some(host),
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
