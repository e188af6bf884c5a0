//! Every event is accounted for, after every step.

use super::{Run, cases, law};
use proptest::prelude::*;
use slackwater_core::input::Input;
use slackwater_core::quarantine::Why;
use slackwater_sim::compare;
use slackwater_sim::oracle::content::Stood;
use slackwater_sim::oracle::{Fact, counts};

#[test]
fn every_event_is_accounted_for_after_every_step() {
    law("every_event_is_accounted_for_after_every_step", cases(24), |case| {
        let mut drawn = case.draw();
        let plan = drawn.plan();
        let mut run = Run::new(plan, 1 + drawn.rng.below(3), 1 + drawn.rng.below(3));
        let stood = Stood { part: String::new(), offset: 0 };
        let decoder = slackwater::decode::Format::Json.decoder_version();
        let facts: Vec<Fact<'_>> =
            drawn.world.events.iter().map(|event| Fact { event, stood: &stood, decoder, freed: false }).collect();
        let mut taken = 0;
        let (mut refused, mut lost) = (0, 0);
        for batch in drawn.batches(&drawn.in_order(), 1 + drawn.rng.clone().below(5)) {
            taken += batch.entries().len();
            let effects = run.step(&Input::Events(batch));
            refused += effects.quarantined.iter().filter(|event| matches!(event.why, Why::Refused(_))).count() as u64;
            lost += effects.quarantined.iter().filter(|event| event.why == Why::Conflict).count() as u64;
            let seen = run.machine.seen(plan);
            let wanted = counts(&drawn.world.stage, &facts[..taken]);
            compare::counts(seen.counts(), &wanted).map_err(TestCaseError::fail)?;
            prop_assert_eq!(seen.counts()[0].refused(), refused, "what is refused is set aside");
            prop_assert_eq!(seen.counts()[0].conflicts, lost, "what lost a conflict is set aside");
        }
        prop_assert_eq!(taken, drawn.world.events.len());
        Ok(())
    });
}
