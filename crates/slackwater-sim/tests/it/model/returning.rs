//! Sessions that leave memory at every tick, against a naive engine: however they are extended, tied together, parted or
//! emptied by what comes late, they come back as if they had stayed.

use super::{Tally, commands, each_of, played};
use crate::laws::pool;
use proptest::prelude::*;
use slackwater_sim::effort;
use slackwater_sim::world::Windows;

/// Full figure of sequences.
const SEQUENCES: usize = 5_000;
/// Least changes of sealed sessions, and rows that came back, in a full run.
const FLOOR: usize = 2_000;
const TEST: &str = "sessions_that_left_come_back_as_if_they_had_stayed";

#[test]
fn sessions_that_left_come_back_as_if_they_had_stayed() {
    let sequences = effort::share(SEQUENCES);
    let is_session = |windows: &Windows| matches!(windows, Windows::Session(_));
    let stages = pool().iter().enumerate();
    let stages = stages.filter(|(_, of)| of.stage.pipelines.iter().any(|pipeline| is_session(&pipeline.windows)));
    let stages: Vec<usize> = stages.map(|(number, _)| number).collect();
    let drawn = (prop::sample::select(stages), any::<u64>(), 1..4usize, 1..4usize, commands(30), any::<bool>());
    let tally = each_of(sequences, TEST, &drawn, |(stage, seed, judges, folds, commands, holds)| {
        played((stage, holds, true), seed, (judges, folds), &commands)
    });
    let Tally { amended, away, asked, .. } = tally;
    let sessions = amended.get("session").copied().unwrap_or(0);
    effort::print(&format!(
        "sessions sequences={sequences} amended={sessions} put_away={away} asked={asked} mismatch=0"
    ));
    let floor = effort::share(FLOOR);
    assert!(sessions >= floor && away >= floor && asked >= floor / 4, "sessions left, came back and changed often");
}
