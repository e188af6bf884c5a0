//! The watermark never goes back, is the least of the origins that are not idle, and is all that moves what is final.

use super::{Run, cases, law};
use proptest::prelude::*;
use slackwater_core::fold::{Final, Settled};
use slackwater_core::input::{Input, Tick};
use slackwater_core::watermark::Watermarks;
use slackwater_sim::compare;
use slackwater_sim::model::watermark as naive;
use slackwater_sim::oracle::content::Stood;
use slackwater_sim::oracle::span::{self, time};
use slackwater_sim::oracle::{Fact, Row, row, winners};

#[test]
fn the_watermark_only_grows_and_only_it_makes_rows_final() {
    law("the_watermark_only_grows_and_only_it_makes_rows_final", cases(20), |case| {
        let mut drawn = case.draw();
        let (plan, stage) = (drawn.plan(), &drawn.world.stage);
        let mut run = Run::new(plan, 1 + drawn.rng.below(2), 1 + drawn.rng.below(2));
        let mut marks = Watermarks::new(plan);
        let stood = Stood { part: String::new(), offset: 0 };
        let decoder = slackwater::decode::Format::Json.decoder_version();
        let log: Vec<Fact<'_>> =
            drawn.world.events.iter().map(|event| Fact { event, stood: &stood, decoder, freed: false }).collect();
        let (mut ticks, mut reached, mut finals, mut events) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for batch in drawn.batches(&drawn.in_order(), 1 + drawn.rng.clone().below(5)) {
            events += batch.entries().len();
            prop_assert!(run.step(&Input::Events(batch)).finals.is_empty(), "events make nothing final");
            let event = drawn.rng.pick(&drawn.world.events);
            let at = time(&stage.sources[0], event).saturating_add(drawn.rng.within(-100, 200) * 1_000_000_000);
            let caught_up = drawn.rng.chance(60);
            let tick = Tick { at, caught_up: if caught_up { vec![0] } else { Vec::new() } };
            ticks.push(naive::Tick { events, at, caught_up, ended: false, release: false });
            let now = marks.tick(plan, &tick, &run.machine.seen(plan));
            prop_assert!(reached.iter().zip(&now).all(|(before, now): (&Settled, &Settled)| before <= now));
            let wanted = naive::settled(stage, &log[..events], &ticks);
            let mine: Vec<Option<i64>> = now
                .iter()
                .map(|settled| match settled {
                    Settled::Until(watermark) => Some(*watermark),
                    _ => None,
                })
                .collect();
            prop_assert_eq!(mine, wanted.iter().map(|settled| settled.watermark).collect::<Vec<_>>());
            reached = now;
            finals.extend(run.step(&Input::Tick(tick)).finals);
            // What is final are the rows of the windows that are settled: no more, no less, and as they are now.
            let newest: Vec<Row> = Final::newest(finals.clone()).iter().map(compare::row).collect();
            let spans = span::all(stage, &winners(stage, &log[..events]));
            let settled = spans.iter().filter(|span| wanted[span.spot.pipeline].covers(span.due));
            prop_assert_eq!(newest, settled.filter_map(|span| row(stage, span)).collect::<Vec<_>>());
        }
        Ok(())
    });
}
