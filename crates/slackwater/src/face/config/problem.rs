//! The mistakes of a configuration file, and how they are shown.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where in the file, in bytes.
    span: Range<usize>,
    message: String,
    help: Option<String>,
    /// The text that it is in, where the file does not have it letter for letter: its key, itself, and the place.
    inner: Option<(String, String, Range<usize>)>,
}

impl Problem {
    /// Says what to do.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Shows it in the text that the value of `key` stands for.
    pub(super) fn within(&mut self, key: &str, text: &str, span: Range<usize>) -> &mut Self {
        self.inner = Some((key.to_string(), text.to_string(), span));
        self
    }
}

/// The mistakes found so far.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Problems { text, found: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Adds one.
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.found.push(Problem { span, message: message.into(), help: None, inner: None });
        self.found.last_mut().expect("just pushed")
    }

    /// Where the value of a text literal begins in the file, if it stands there letter for letter.
    pub(super) fn verbatim(&self, literal: Range<usize>, value: &str) -> Option<usize> {
        const OPENINGS: [&str; 8] = ["\"\"\"\r\n", "\"\"\"\n", "\"\"\"", "'''\r\n", "'''\n", "'''", "\"", "'"];
        let written = self.text.get(literal.clone())?;
        let opening = OPENINGS.into_iter().find(|opening| written.starts_with(opening))?;
        written[opening.len()..].starts_with(value).then_some(literal.start + opening.len())
    }

    pub(super) fn into_errors(mut self, file_name: &str) -> ConfigErrors {
        self.found.sort_by_key(|problem| problem.span.start);
        ConfigErrors { file_name: file_name.to_string(), text: self.text.to_string(), problems: self.found }
    }
}

/// Every mistake of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file_name: String,
    text: String,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// How many mistakes there are: at least one.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// What each says, without the place.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.message.as_str())
    }

    /// All of them, each with its line, a caret and a hint; in colours for a terminal.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let mut shown = String::new();
        for problem in &self.problems {
            shown.push_str(&renderer.render(&[self.group(problem)]));
            shown.push_str("\n\n");
        }
        let (count, plural) = (self.count(), if self.count() == 1 { "" } else { "s" });
        shown.push_str(&format!("{}: {count} error{plural}", self.file_name));
        shown
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> annotate_snippets::Group<'a> {
        let (path, text, span) = match &problem.inner {
            Some((key, text, span)) => (format!("{}: {key}", self.file_name), text, span),
            None => (self.file_name.clone(), &self.text, &problem.span),
        };
        let snippet =
            Snippet::source(text.as_str()).path(path).annotation(AnnotationKind::Primary.span(place(text, span)));
        let group = Level::ERROR.primary_title(problem.message.as_str()).element(snippet);
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}

/// A span that lies in the text, on character borders.
fn place(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}
