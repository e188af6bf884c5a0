//! A week of a real share, folded durably over every kind of window, and killed at any moment of it.

use super::durable;
use crate::program::{Place, text};
use crate::real::{data, every_window};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Crashes of the whole fold; a tenth of them unless all are asked for.
fn crashes() -> u64 {
    let all = std::env::var("SLACKWATER_EFFORT").is_ok_and(|effort| effort == "full");
    if all { 50 } else { 5 }
}

/// Runs the fold for so long; whether it was killed before its end.
fn killed_after(place: &Place, args: &[&str], patience: Duration) -> bool {
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(patience);
    let _ = child.kill();
    let output = child.wait_with_output().expect("it ends");
    let code = output.status.code();
    assert!(matches!(code, None | Some(0)), "exit {code:?}: {}", String::from_utf8_lossy(&output.stderr));
    code.is_none()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a fold takes is part of no result")]
fn a_week_of_a_share_that_is_killed_ends_with_the_bytes_of_one_that_is_not() {
    let Some(data) = data() else { return };
    let input = format!("trades={}", text(&data.join("bac_trades.csv.gz")));
    let args = durable(&input, &["--generations", "--quarantine", "refused.ndjson", "--checkpoint", "400ms"]);
    let place = || {
        let place = Place::in_memory();
        place.write("c.toml", every_window());
        place
    };
    let undisturbed = place();
    let begun = Instant::now();
    let ran = undisturbed.run(&args);
    let lasts = begun.elapsed();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let expected = (undisturbed.read("out.ndjson"), undisturbed.read("refused.ndjson"));
    assert!(expected.0.lines().count() > 1_900);
    let (mut kills, mut lot) = (0, 20_260_101_u64);
    let mut part = |of: Duration| {
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        of.mul_f64((lot >> 40) as f64 / (1 << 24) as f64)
    };
    for number in 0..crashes() {
        let tormented = place();
        kills += u64::from(killed_after(&tormented, &args, part(lasts)));
        // Every other one dies in its recovery too.
        if number % 2 == 1 {
            kills += u64::from(killed_after(&tormented, &args, part(lasts / 2)));
        }
        let ran = tormented.run(&args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let found = (tormented.read("out.ndjson"), tormented.read("refused.ndjson"));
        assert!(found == expected, "crash {number}: other bytes");
    }
    println!("real_crashes={} kills={kills} rows={} mismatch=0", crashes(), expected.0.lines().count());
    assert!(kills >= crashes() / 2, "it was killed {kills} times only");
}
