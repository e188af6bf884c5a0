//! How much is tried, decided in one place, and how a failure is tried again.
//!
//! `SLACKWATER_EFFORT=full` asks for the full figures; without it every figure, and every floor, is a tenth.
//! `SLACKWATER_SEED=N` runs the one case of that seed. `SLACKWATER_FIRST=N` passes over the first N seeds of worlds, voyages and
//! whatever else is drawn by seed here, so that others than always are tried. `SLACKWATER_LARGE=N` makes N voyages through
//! large worlds alone, and holds them against no floor: to measure what they take.

use std::io::Write as _;

/// A tenth of a figure, or all of it.
pub fn share(full: usize) -> usize {
    let all = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    if all { full } else { full.div_ceil(10) }
}

/// The one seed that was asked for, if one was.
pub fn asked_seed() -> Option<u64> {
    asked("SLACKWATER_SEED")
}

/// The number of voyages through large worlds that was asked for, if one was.
pub fn asked_large() -> Option<usize> {
    asked("SLACKWATER_LARGE").map(|count| count as usize)
}

fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")))
}

/// The seeds to try: so many of a figure, spread by the name of what is tried; or the one that was asked for.
pub fn seeds(name: &str, full: usize) -> Vec<u64> {
    match asked_seed() {
        Some(seed) => vec![seed],
        None => {
            let first = asked("SLACKWATER_FIRST").unwrap_or(0);
            let count = asked_large().unwrap_or_else(|| share(full)) as u64;
            (first..first + count).map(|number| (hash(name) << 32) + number).collect()
        }
    }
}

fn hash(name: &str) -> u64 {
    name.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) & 0xffff
}

/// The command that runs one case again.
pub fn again(seed: u64, binary: &str, test: &str) -> String {
    let large = if asked_large().is_some() { "SLACKWATER_LARGE=1 " } else { "" };
    format!("again: {large}SLACKWATER_SEED={seed} cargo test -p slackwater-sim --test {binary} {test}")
}

/// Prints a line past the test runner's capture, so that figures are seen when all is well.
pub fn print(line: &str) {
    // Where nobody can read the figures, nothing is lost.
    let _ = writeln!(std::io::stdout(), "{line}");
}
