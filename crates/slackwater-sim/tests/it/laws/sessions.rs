//! Sessions are the connected components of facts that lie within a gap of each other, whatever came first.

use super::law;
use super::plain::{GAPS, facts, restless};
use proptest::prelude::*;
use slackwater_sim::rng::Rng;
use slackwater_sim::world::Datum;

/// Start, end and number of facts of each component: two facts within a gap are in one.
fn components(times: &[i64], gap: i64) -> Vec<(i128, i128, i64)> {
    let mut label: Vec<usize> = (0..times.len()).collect();
    for a in 0..times.len() {
        for b in 0..a {
            if (times[a] - times[b]).abs() <= gap {
                let (keep, gone) = (label[a], label[b]);
                label.iter_mut().filter(|label| **label == gone).for_each(|label| *label = keep);
            }
        }
    }
    let mut found = Vec::new();
    for component in 0..times.len() {
        let mine = || times.iter().zip(&label).filter(|(_, label)| **label == component).map(|(time, _)| *time);
        if let (Some(first), Some(last)) = (mine().min(), mine().max()) {
            found.push((i128::from(first), i128::from(last + gap), mine().count() as i64));
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn sessions_are_connected_components_in_any_order() {
    let test = "sessions_are_connected_components_in_any_order";
    law(test, (facts(), any::<u64>()), |(facts, seed)| {
        let rows = restless(&facts, &mut Rng::new(seed));
        let times: Vec<i64> = facts.iter().map(|(time, ..)| *time).collect();
        for (number, gap) in GAPS.into_iter().enumerate() {
            let mut found = Vec::new();
            for row in rows.iter().filter(|row| row.spot.pipeline == number) {
                let Datum::I64(count) = row.values[0] else { panic!("a count") };
                found.push((row.spot.window.0, row.spot.window.1, count));
            }
            prop_assert_eq!(found, components(&times, gap), "gap {}", gap);
        }
        Ok(())
    });
}
