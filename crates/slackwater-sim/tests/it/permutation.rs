//! Order changes nothing.

use slackwater_sim::adversary::{self, Size};
use slackwater_sim::{compare, effort, engine};

#[test]
fn first() {
    let size = Size { sources: 2, pipelines: 3, events: 60, positions: true };
    let mut bad = 0;
    for seed in effort::seeds("first", 20000) {
        let outcome = std::panic::catch_unwind(|| {
            let world = adversary::draw(seed, size);
            let compiled = engine::compile(&world.stage);
            let spelled = engine::spell(&world);
            let order: Vec<usize> = (0..world.events.len()).collect();
            let cut = compiled.cut(&spelled, &order, 37);
            let truth = engine::truth_of(&world, &order, &cut.stood, 1);
            let (folded, _) = compiled.fold(cut.chunks, 1, 1);
            let same = engine::refusals(&world, &compiled, &spelled)
                .and_then(|()| compare::counts(folded.seen.counts(), &truth.counts))
                .and_then(|()| compare::rows(&compiled.config.plan, &folded.finals, &truth));
            if let Err(e) = same {
                println!(
                    "{seed}: {}\n{}",
                    e.lines().map(|l| l.chars().take(1500).collect::<String>()).collect::<Vec<_>>().join("\n"),
                    effort::again(seed, "it", "first")
                );
                return true;
            }
            false
        });
        match outcome {
            Ok(false) => {}
            Ok(true) => bad += 1,
            Err(_) => {
                println!("PANIC {seed}");
                bad += 1
            }
        }
        if bad > 4 {
            break;
        }
    }
    assert_eq!(bad, 0);
}
