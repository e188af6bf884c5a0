//! Sessions that leave memory at every tick, against a naive engine: however they are extended, tied together, parted or
//! emptied by what comes late, they come back as if they had stayed.

use super::{Tally, commands, played};
use crate::laws::pool;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use slackwater_sim::effort;
use slackwater_sim::world::Windows;
use std::cell::RefCell;

/// Full figure of sequences.
const SEQUENCES: usize = 5_000;
/// Least changes of sealed sessions, and rows that came back, in a full run.
const FLOOR: usize = 2_000;
const TEST: &str = "sessions_that_left_come_back_as_if_they_had_stayed";

#[test]
fn sessions_that_left_come_back_as_if_they_had_stayed() {
    let seed = effort::asked_seed().unwrap_or(1);
    let sequences = effort::share(SEQUENCES);
    let config =
        Config { cases: sequences as u32, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let is_session = |windows: &Windows| matches!(windows, Windows::Session(_));
    let stages = pool().iter().enumerate();
    let stages = stages.filter(|(_, of)| of.stage.pipelines.iter().any(|pipeline| is_session(&pipeline.windows)));
    let stages: Vec<usize> = stages.map(|(number, _)| number).collect();
    let tally = RefCell::new(Tally::default());
    let drawn = (prop::sample::select(stages), any::<u64>(), 1..4usize, 1..4usize, commands(30), any::<bool>());
    let outcome = runner.run(&drawn, |(stage, seed, judges, folds, commands, holds)| {
        tally.borrow_mut().merge(&played((stage, holds, true), seed, (judges, folds), &commands)?);
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}\n{}", effort::again(seed, "it", TEST));
    }
    let Tally { amended, away, asked, .. } = tally.into_inner();
    let sessions = amended.get("session").copied().unwrap_or(0);
    effort::print(&format!(
        "sessions sequences={sequences} amended={sessions} put_away={away} asked={asked} mismatch=0"
    ));
    let floor = effort::share(FLOOR);
    assert!(sessions >= floor && away >= floor && asked >= floor / 4, "sessions left, came back and changed often");
}
