//! What a running service says of itself, on standard error: one line an event, whatever is in it.

use std::io::{self, Write};
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// Longest line in bytes; what is longer is cut.
const LINE_BYTES: usize = 4 << 10;

/// Levels by their words.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The level of a word.
pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    let found = LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, level)| *level).ok_or_else(|| "write off, error, warn, info, debug or trace".to_string())
}

/// From here on, what this process says of itself is written. A process that has a listener of its own keeps it.
pub(super) fn begin(level: LevelFilter) {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
        .with_target(level >= Level::DEBUG)
        .with_writer(Escaped::default);
    let _ = subscriber.try_init();
}

/// Standard error, with control characters written as what they are. One call is one line.
#[derive(Debug, Default)]
pub struct Escaped;

impl Write for Escaped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = escaped(bytes);
        io::stderr().write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line without control characters, but for the line end.
pub fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let body = text.strip_suffix('\n').unwrap_or(&text);
    let body = &body[..body.floor_char_boundary(LINE_BYTES)];
    let mut line = String::with_capacity(body.len() + 1);
    for c in body.chars() {
        match c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line.push('\n');
    line
}
