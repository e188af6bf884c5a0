//! The parameters of a request: each known, each once where it may come once.

use super::refusal::Refusal;
use crate::decode::spelling::nearest;
use axum::extract::Query;
use hyper::Uri;
use slackwater_core::time::{parse_moment, parse_rfc3339};

/// How a time is written.
const A_TIME: &str = "write a time as 2026-03-02T10:00:00Z";

/// The parameters of a request, in order.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    all: Vec<(String, String)>,
    /// Which of them are a name alone, without the sign behind which a value stands.
    bare: Vec<bool>,
}

impl Asked {
    /// The parameters of a request. Those in `known` may be there; those that begin with `prefix` too, if there is one.
    pub fn of(uri: &Uri, known: &[&'static str], prefix: Option<&str>) -> Result<Asked, Refusal> {
        let Query(all) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Refusal::bad("query", "the query is not written as name=value&name=value", "see /openapi.json")
        })?;
        for (number, (name, _)) in all.iter().enumerate() {
            let fits = prefix.is_some_and(|prefix| name.starts_with(prefix));
            if !fits && !known.contains(&name.as_str()) {
                let name: String = name.chars().take(40).collect();
                let help = match nearest(&name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "leave it out: here there are none".to_string(),
                    None => format!("known are {}", known.join(", ")),
                };
                return Err(Refusal::bad("unknown_parameter", format!("there is no parameter `{name}`"), help));
            }
            if all[..number].iter().any(|(earlier, _)| earlier == name) {
                let text = format!("the parameter `{name}` is there twice");
                return Err(Refusal::bad("parameter_twice", text, "give it once"));
            }
        }
        // The pieces that the parameters were read from.
        let pieces = uri.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
        let bare = pieces.map(|piece| !piece.contains('=')).collect();
        Ok(Asked { all, bare })
    }

    /// A parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameters that begin so, without that, and the value of each that is not a name alone.
    pub fn behind<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.all.iter().zip(&self.bare).filter_map(move |((name, value), bare)| {
            let name = name.strip_prefix(prefix)?;
            Some((name, (!bare).then_some(value.as_str())))
        })
    }

    /// A time, in nanoseconds since the epoch.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |text: &str| parse_rfc3339(text.as_bytes()).map_err(|error| error.to_string());
        self.parsed(name, parse, A_TIME)
    }

    /// A bound of windows, which may lie beyond all times.
    pub fn moment(&self, name: &str) -> Result<Option<i128>, Refusal> {
        let parse = |text: &str| parse_moment(text.as_bytes()).map_err(|error| error.to_string());
        self.parsed(name, parse, A_TIME)
    }

    /// A whole number within bounds.
    pub fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("it is no whole number from {least} to {most}")),
        };
        self.parsed(name, parse, &format!("write a number from {least} to {most}"))
    }

    /// A switch.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        let parse = |text: &str| match text {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err("it is neither true nor false".to_string()),
        };
        Ok(self.parsed(name, parse, "write true or false")?.unwrap_or(false))
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let words = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let parse = |text: &str| {
            let found = choices.iter().find(|(word, _)| *word == text);
            found.map(|(_, choice)| *choice).ok_or_else(|| format!("it is none of {words}"))
        };
        self.parsed(name, parse, &format!("write one of {words}"))
    }

    /// A parameter as something else than text.
    pub fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        help: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(text).map(Some).map_err(|what| Refusal::bad("parameter", format!("`{name}`: {what}"), help))
    }
}
