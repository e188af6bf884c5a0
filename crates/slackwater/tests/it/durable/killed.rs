//! A fold that is killed, at any moment and as often as it takes.

use super::{durable, keep, kept, place};
use std::process::Stdio;
use std::time::Duration;

/// Runs the fold, killed after longer and longer times, until one comes to its end.
pub fn torment(place: &crate::program::Place, args: &[&str], seed: u64) -> u32 {
    let (mut kills, mut lot) = (0, seed | 1);
    loop {
        let mut command = place.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let patience = Duration::from_millis((lot >> 33) % (20 + 6 * u64::from(kills)));
        std::thread::sleep(patience);
        let _ = child.kill();
        let output = child.wait_with_output().expect("it ends");
        match output.status.code() {
            // Killed by the signal.
            None => kills += 1,
            Some(0) => return kills,
            Some(code) => panic!("exit {code} after {kills} kills: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

#[test]
fn a_fold_that_is_killed_goes_on_and_ends_with_the_same_bytes() {
    let mut kills = 0;
    for seed in 0..4 {
        let place = place(9_000);
        let plain = place.fold(&["trades=events.ndjson"], &[]).bytes;
        kills += torment(&place, &durable("trades=events.ndjson", &["--checkpoint", "3ms"]), seed);
        assert_eq!(place.read("out.ndjson"), plain, "seed {seed}");
        let once_more = keep(&place, "trades=events.ndjson", &[]);
        assert_eq!(once_more.out, plain);
        let verified = place.run(&["verify", "--data", "data", "--permute", "1"]);
        assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    }
    assert!(kills >= 20, "it was killed {kills} times only");
}

#[test]
fn a_later_file_that_is_killed_makes_the_generations_that_it_would_have_made() {
    let run = |tormented: bool| {
        let place = place(3_000);
        place.write("later.ndjson", super::trades(1_500, 4_000));
        keep(&place, "trades=events.ndjson", &[]);
        let later = durable("trades=later.ndjson", &["--generations", "--checkpoint", "3ms"]);
        if tormented {
            assert!(torment(&place, &later, 7) > 2);
            place.read("out.ndjson")
        } else {
            kept(&place, place.run(&later)).out
        }
    };
    let undisturbed = run(false);
    assert!(undisturbed.contains(r#""generation":2,"cause":"late""#));
    assert_eq!(run(true), undisturbed);
}
