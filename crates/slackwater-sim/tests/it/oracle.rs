//! Many worlds, each folded once and compared with the oracle bit for bit.

use slackwater_core::poison::Reason;
use slackwater_sim::adversary::{Injected, Size};
use slackwater_sim::world::Windows;
use slackwater_sim::{effort, trial};
use std::collections::BTreeMap;

/// Full figure of worlds.
const WORLDS: usize = 12_000;

/// What a full run must have injected at the least.
const FLOORS: [(&str, usize); 9] = [
    ("duplicate", 80_000),
    ("correction", 70_000),
    ("correction_moves_time", 25_000),
    ("correction_moves_key", 25_000),
    ("retraction", 30_000),
    ("retraction_first", 12_000),
    ("revival", 7_000),
    ("conflict", 40_000),
    ("poison", 40_000),
];

/// Rows that windows of every kind must have made in a full run at the least.
const ROWS: usize = 5_000;

/// Reasons that bytes can have. The others follow from what a source demands, and are counted as refusals.
const BYTES: [Reason; 15] = [
    Reason::Malformed,
    Reason::NotAnObject,
    Reason::InvalidUtf8,
    Reason::NulByte,
    Reason::TooLarge,
    Reason::TooDeep,
    Reason::Ragged,
    Reason::DuplicateField,
    Reason::MissingField,
    Reason::WrongType,
    Reason::Range,
    Reason::Scale,
    Reason::NotFinite,
    Reason::TimeFormat,
    Reason::TimeRange,
];

#[test]
fn every_world_folds_to_the_rows_of_the_oracle() {
    let size = Size { sources: 2, pipelines: 3, events: 70, positions: true };
    let seeds = effort::seeds("oracle", WORLDS);
    let (mut injected, mut events, mut refused, mut mismatches) = (Injected::default(), 0, [0u64; 32], Vec::new());
    let mut kinds: BTreeMap<&str, usize> = Windows::KINDS.map(|kind| (kind, 0)).into();
    for seed in &seeds {
        let check = || trial::against_oracle(*seed, size);
        match trial::guarded(*seed, "it", "every_world_folds_to_the_rows_of_the_oracle", check) {
            Ok(trial) => {
                injected.merge(&trial.world.injected);
                events += trial.world.events.len();
                for (kind, rows) in trial.rows_by_kind() {
                    *kinds.get_mut(kind).expect("a known kind") += rows;
                }
                for event in &trial.world.events {
                    let source = &trial.world.stage.sources[event.source];
                    refused[slackwater_sim::oracle::refusal(source, event).map_or(0, |reason| reason as usize)] += 1;
                }
            }
            Err(text) => mismatches.push(text),
        }
        assert!(mismatches.len() < 4, "{}", mismatches.join("\n\n"));
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n\n"));
    let counted: Vec<String> = FLOORS.iter().map(|(what, _)| format!("{what}={}", injected.count(what))).collect();
    effort::print(&format!("oracle seeds={} events={events} mismatch=0 {}", seeds.len(), counted.join(" ")));
    let counted: Vec<String> = kinds.iter().map(|(kind, rows)| format!("{kind}={rows}")).collect();
    effort::print(&format!("oracle rows {}", counted.join(" ")));
    if effort::asked_seed().is_none() {
        for (kind, rows) in kinds {
            assert!(rows >= effort::share(ROWS), "{kind}: {rows} rows are too few");
        }
        for (what, floor) in FLOORS {
            assert!(injected.count(what) >= effort::share(floor), "{what}: {} are too few", injected.count(what));
        }
        for reason in BYTES {
            assert!(injected.count(reason.code()) > 0, "nothing was refused as {}", reason.code());
        }
        for reason in Reason::ALL {
            assert!(refused[reason as usize] > 0, "nothing was refused as {}", reason.code());
        }
    }
}
