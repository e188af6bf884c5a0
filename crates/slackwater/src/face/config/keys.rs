//! One section of the file, read key by key. Which keys it may have is which are asked for.

use super::problem::Problems;
use crate::decode::spelling::nearest;
use slackwater_core::time;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A section of the file.
pub(super) struct Section<'c> {
    table: &'c DeTable<'c>,
    /// Where it is named: what it lacks is shown there.
    place: Range<usize>,
    name: String,
    known: Vec<&'static str>,
}

/// A text of the file, and where its literal stands.
#[derive(Clone, Debug)]
pub(super) struct Text<'c> {
    pub(super) value: &'c str,
    pub(super) span: Range<usize>,
}

impl<'c> Section<'c> {
    pub(super) fn new(table: &'c DeTable<'c>, place: Range<usize>, name: String) -> Self {
        Section { table, place, name, known: Vec::new() }
    }

    /// Where it is named.
    pub(super) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of a key.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'c Spanned<DeValue<'c>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Text<'c>> {
        let value = self.get(key)?;
        let text = text_of(value);
        if text.is_none() {
            wrong(key, "a text in quotes", value, problems);
        }
        text
    }

    /// A text that must be there; `example` shows what to write.
    pub(super) fn required_text(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Text<'c>> {
        if !self.has(key) {
            self.missing(key, example, problems);
        }
        self.text(key, problems)
    }

    /// Says that a key is not there.
    pub(super) fn missing(&self, key: &str, example: &str, problems: &mut Problems<'_>) {
        problems.add(self.place(), format!("`{key}` is missing in [{}]", self.name)).help(format!("add {example}"));
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Vec<Text<'c>>> {
        let value = self.get(key)?;
        let list = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(text_of).collect(),
            _ => text_of(value).map(|text| vec![text]),
        };
        if list.is_none() {
            wrong(key, "a text in quotes or a list of them", value, problems);
        }
        list
    }

    /// A duration in nanoseconds.
    pub(super) fn duration(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<i64> {
        let value = self.get(key)?;
        duration_of(key, value, problems)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        (least, most): (u64, u64),
        problems: &mut Problems<'_>,
    ) -> Option<u64> {
        let value = self.get(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            wrong(key, "a whole number", value, problems);
            return None;
        };
        let found = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let sound = found.filter(|number| (least..=most).contains(number));
        if sound.is_none() {
            let message = format!("`{key}` must be from {least} to {most}, and is {number}");
            problems.add(value.span(), message);
        }
        sound
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            wrong(key, "true or false", value, problems);
        }
        flag
    }

    /// A section below this one.
    pub(super) fn section(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Section<'c>> {
        let value = self.get(key)?;
        let below = if self.name.contains(' ') { key.to_string() } else { format!("{}.{key}", self.name) };
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(table, value.span(), below)),
            other => {
                let message = format!("`{below}` must be a section, and is {}", article(other.type_str()));
                problems.add(value.span(), message).help(format!("write [{below}]"));
                None
            }
        }
    }

    /// Every section below this one, with its name, in the order of the file.
    pub(super) fn sections(&mut self, problems: &mut Problems<'_>) -> Vec<(&'c str, Section<'c>)> {
        let mut below = Vec::new();
        for (name, place, value) in entries(self.table) {
            let called = format!("{}.{name}", self.name);
            match value.get_ref() {
                DeValue::Table(table) => below.push((name, Section::new(table, place, called))),
                other => {
                    let message = format!("`{called}` must be a section, and is {}", article(other.type_str()));
                    problems.add(place, message).help(format!("write [{called}]"));
                }
            }
        }
        below
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let message = format!("`{}` is no value of `{key}`", text.value);
            problems.add(text.span, message).help(suggest(text.value, words()));
        }
        found.map(|(_, choice)| *choice)
    }

    /// A time as RFC 3339, in quotes or as TOML has it.
    pub(super) fn time(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<i64> {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::Datetime(time) => time.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                wrong(key, "a time such as \"2026-01-02T03:04:05Z\"", value, problems);
                return None;
            }
        };
        match time::parse_rfc3339(text.as_bytes()) {
            Ok(nanos) => Some(nanos),
            Err(error) => {
                let help = "write an RFC 3339 time with its offset, such as \"2026-01-02T03:04:05Z\"";
                problems.add(value.span(), format!("`{text}` is no time for `{key}`: {error}")).help(help);
                None
            }
        }
    }

    /// Ends reading: every key that was not asked for is unknown.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for (key, place, _) in entries(self.table) {
            if !self.known.contains(&key) {
                let message = format!("unknown key `{key}` in {}", self.called());
                problems.add(place, message).help(suggest(key, self.known.iter().copied()));
            }
        }
    }

    fn called(&self) -> String {
        if self.name.contains(' ') { self.name.clone() } else { format!("[{}]", self.name) }
    }
}

/// The entries of a table, in the order of the file.
pub(super) fn entries<'c>(table: &'c DeTable<'c>) -> Vec<(&'c str, Range<usize>, &'c Spanned<DeValue<'c>>)> {
    let mut entries: Vec<_> = table.iter().map(|(key, value)| (&**key.get_ref(), key.span(), value)).collect();
    entries.sort_by_key(|(_, place, _)| place.start);
    entries
}

pub(super) fn text_of<'c>(value: &'c Spanned<DeValue<'c>>) -> Option<Text<'c>> {
    Some(Text { value: value.get_ref().as_str()?, span: value.span() })
}

pub(super) fn duration_of(key: &str, value: &Spanned<DeValue<'_>>, problems: &mut Problems<'_>) -> Option<i64> {
    let duration = value.get_ref().as_str().and_then(time::parse_duration);
    if duration.is_none() {
        let help = "write whole numbers with their units, such as \"250ms\", \"10s\", \"5m\", \"1h30m\" or \"1d\"";
        let message = match value.get_ref().as_str() {
            Some(text) => format!("`{text}` is no duration for `{key}`"),
            None => format!("`{key}` must be a duration in quotes, and is {}", article(value.get_ref().type_str())),
        };
        problems.add(value.span(), message).help(help);
    }
    duration
}

/// Says that a value is of another type than the key's.
pub(super) fn wrong(key: &str, wanted: &str, value: &Spanned<DeValue<'_>>, problems: &mut Problems<'_>) {
    let message = format!("`{key}` must be {wanted}, and is {}", article(value.get_ref().type_str()));
    problems.add(value.span(), message);
}

/// The word that was probably meant, and else all there are.
pub(super) fn suggest<'w>(word: &str, known: impl Iterator<Item = &'w str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", known.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// A type's name with its article.
pub(super) fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}
