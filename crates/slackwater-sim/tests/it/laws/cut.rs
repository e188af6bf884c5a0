//! At any cut the written state and the rest of the input are the whole run.

use super::{Run, cases, law};
use proptest::prelude::*;
use slackwater_core::fold::Final;
use slackwater_core::input::{Decision, Input, Tick};
use slackwater_sim::oracle::span::time;

/// The rows of every step, and the state at the end.
fn play(mut run: Run, inputs: &[Input], cuts: &[usize]) -> (Vec<Vec<Final>>, Vec<u8>) {
    let mut finals = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        if cuts.contains(&number) {
            run.restart();
        }
        finals.push(run.step(input).finals);
    }
    let state = run.machine.encode(run.plan, &run.memories);
    (finals, state)
}

#[test]
fn a_snapshot_and_the_rest_are_the_full_run() {
    law("a_snapshot_and_the_rest_are_the_full_run", cases(24), |case| {
        let mut drawn = case.draw();
        let source = &drawn.world.stage.sources[0];
        let size = 1 + drawn.rng.below(5);
        let mut inputs = Vec::new();
        for batch in drawn.batches(&drawn.in_order(), size) {
            inputs.push(Input::Events(batch));
            if drawn.rng.chance(50) {
                let event = drawn.rng.pick(&drawn.world.events);
                let at = time(source, event).saturating_add(drawn.rng.within(-100, 200) * 1_000_000_000);
                let caught_up = if drawn.rng.chance(60) { vec![0] } else { Vec::new() };
                inputs.push(Input::Tick(Tick { at, caught_up }));
            }
        }
        inputs.push(Input::Decision(Decision::EndOfInput));
        inputs.push(Input::Tick(Tick::at(0)));
        let (judges, folds) = (1 + drawn.rng.below(3), 1 + drawn.rng.below(3));
        let cuts: Vec<usize> = (0..1 + drawn.rng.below(3)).map(|_| drawn.rng.below(inputs.len())).collect();
        let whole = play(Run::new(drawn.plan(), judges, folds), &inputs, &[]);
        let cut = play(Run::new(drawn.plan(), judges, folds), &inputs, &cuts);
        prop_assert_eq!(whole, cut);
        Ok(())
    });
}
