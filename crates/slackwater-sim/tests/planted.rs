//! The checks, checked: each defect planted in the engine must be found by what finds defects every day.
//!
//! A process of its own, because a planted defect is in the whole process.

use slackwater_core::planted::{Bug, plant};
use slackwater_sim::adversary::Size;
use slackwater_sim::effort;
use slackwater_sim::kept;
use slackwater_sim::platter::Platter;
use slackwater_sim::rng::Rng;
use slackwater_sim::trial::{Arranged, Outcome, Trial, against_model, against_oracle, guarded};
use slackwater_sim::voyage::passage::{passage, passage_cut_off};
use slackwater_sim::voyage::voyage;
use slackwater_sim::wreck;
use slackwater_store::KeepRaw;

/// Most worlds that a check may need to find a defect.
const WORLDS: usize = 2_000;
/// Worlds that must pass without one.
const SOUND: usize = 1_000;
/// Voyages that must end well without a defect.
const SOUND_VOYAGES: usize = 500;
const SIZE: Size = Size { sources: 2, pipelines: 3, events: 60, positions: false };
const TEST: &str = "every_planted_bug_is_caught";

/// The oracle's check of one world.
fn oracle(seed: u64) -> Result<(), String> {
    guarded(seed, "planted", TEST, || against_oracle(seed, SIZE)).map(drop)
}

/// The permutation check of one world: three orders must give one outcome. It asks no oracle.
fn permutation(seed: u64) -> Result<(), String> {
    guarded(seed, "planted", TEST, || {
        let trial = Trial::draw(seed, SIZE);
        let mut rng = Rng::new(seed);
        let mut first: Option<Outcome> = None;
        for _ in 0..3 {
            let mut order = trial.order();
            rng.shuffle(&mut order);
            let outcome = trial.fold(&order, *rng.pick(&Arranged::all()));
            let known = first.get_or_insert(outcome.clone());
            if outcome != *known {
                return Err(format!("{outcome:?}, and {known:?} in another order"));
            }
        }
        Ok(())
    })
}

/// The model's check of one world: events and ticks as they come.
fn model(seed: u64) -> Result<(), String> {
    guarded(seed, "planted", TEST, || against_model(seed, SIZE))
}

/// Whether a defect shows in a fold of a finite input: what moves watermarks shows only as ticks come.
fn shows_at_the_end(bug: Bug) -> bool {
    let by_ticks = [
        Bug::LargestWatermark,
        Bug::SealByTickTime,
        Bug::WatermarkByBatch,
        Bug::BreakNotCertain,
        Bug::IdleByMax,
        Bug::SkewedOrigin,
        Bug::HeldByLastEvent,
        Bug::HeldIsRefolded,
    ];
    !by_ticks.contains(&bug)
}

/// Whether a defect makes the outcome depend on the order of events.
fn shows_in_the_order(bug: Bug) -> bool {
    shows_at_the_end(bug) && bug != Bug::ShareRoundedEarly
}

/// The first world in which a check fails, if one does.
fn caught(check: fn(u64) -> Result<(), String>) -> Option<usize> {
    (0..WORLDS).find(|seed| check(*seed as u64).is_err())
}

/// The journal's checks of one workload, one after the other.
fn journal(acts: &[kept::Act]) -> Result<(), String> {
    let mut figures = kept::Figures::default();
    kept::cut_everywhere(acts, KeepRaw::Forever, &mut figures)?;
    kept::fail_every_sync(acts, KeepRaw::Forever, &mut figures)?;
    let disk = Platter::new();
    let known = kept::perform(&disk, acts, KeepRaw::Forever);
    let disk = disk.image(0);
    for (name, bytes) in disk.files() {
        // A bit of every byte is enough to see whether anybody looks.
        for byte in 0..bytes.len() {
            let damaged = disk.copy();
            damaged.flip(&name, byte * 8 + byte % 8);
            kept::meets(&damaged, &known).map_err(|text| format!("{name}, byte {byte}: {text}"))?;
        }
    }
    Ok(())
}

/// How many workloads it takes until a check of the journal fails, if one does.
fn caught_in_the_journal() -> Option<usize> {
    use kept::Act::{Large, Retire, Small, Sync};
    let short = (2..=4).flat_map(|len| kept::workloads(&[Small, Sync, Large, Retire], len));
    let all = short.filter(|acts| acts.contains(&Sync)).chain([vec![Small, Sync, Large, Sync, Retire, Small, Sync]]);
    all.enumerate().find(|(_, acts)| guarded(0, "planted", TEST, || journal(acts)).is_err()).map(|(number, _)| number)
}

/// How many workloads of an instance it takes until a power cut shows something, if one does.
fn caught_in_a_wreck() -> Option<usize> {
    let cut = |(number, acts): &(usize, Vec<wreck::Act>)| {
        let seed = *number as u64;
        guarded(seed, "planted", TEST, || wreck::cut_everywhere(acts, seed, &mut wreck::Figures::default())).is_err()
    };
    (1..=2).flat_map(wreck::workloads).enumerate().find(cut).map(|(number, _)| number)
}

/// How many voyages out of so many it takes until one ends badly, if one does.
fn caught_at_sea(voyages: usize) -> Option<usize> {
    let size = Size { pipelines: 1, positions: true, ..SIZE };
    (0..voyages).find(|seed| guarded(*seed as u64, "planted", TEST, || voyage(*seed as u64, size)).is_err())
}

/// How many passages it takes until one ends badly, if one does.
fn caught_in_a_passage(passages: usize) -> Option<usize> {
    let size = Size { pipelines: 1, ..SIZE };
    (0..passages).find(|seed| guarded(*seed as u64, "planted", TEST, || passage(*seed as u64, size)).is_err())
}

/// How many passages on which sources are cut off it takes until one ends badly, if one does.
fn caught_where_cut_off(passages: usize) -> Option<usize> {
    let size = Size { pipelines: 1, ..SIZE };
    let ends_badly = |seed: u64| guarded(seed, "planted", TEST, || passage_cut_off(seed, size)).is_err();
    (0..passages).find(|seed| ends_badly(*seed as u64))
}

/// Which defects of what is kept no check finds.
fn missed_in_what_is_kept() -> Vec<Bug> {
    let mut missed = Vec::new();
    for bug in Bug::KEPT {
        plant(Some(bug));
        let found = match bug.is_of_the_journal() {
            true => [caught_in_the_journal(), None, None, None],
            // Only what runs answers anybody, and says when it was asked.
            false if [Bug::ReplyBeforeSync, Bug::VerdictByClock, Bug::AwayIsEmpty].contains(&bug) => {
                [None, None, None, caught_in_a_passage(WORLDS)]
            }
            // Nothing else runs on behind a cutoff.
            false if [Bug::CutoffForgetsReach, Bug::CutoffBeforeSync, Bug::CutoffOfTheDay].contains(&bug) => {
                [None, None, None, caught_where_cut_off(WORLDS)]
            }
            // No workload of a wreck turns guards.
            false if [Bug::ReleasedCountedTwice, Bug::GuardsOfTheDay].contains(&bug) => {
                [None, None, caught_at_sea(WORLDS), None]
            }
            false => [None, caught_in_a_wreck(), caught_at_sea(WORLDS), None],
        };
        plant(None);
        let [journal, wreck, sea, passage] = found;
        effort::print(&format!(
            "planted {bug:?}: journal at workload {journal:?}, wreck at workload {wreck:?}, voyage at seed {sea:?}, \
             passage at seed {passage:?}"
        ));
        missed.extend(found.iter().all(Option::is_none).then_some(bug));
    }
    missed
}

#[test]
fn every_planted_bug_is_caught() {
    // A caught panic is a find like any other and need not be told.
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let worlds = [
            shows_at_the_end(bug).then(|| caught(oracle)).flatten(),
            shows_in_the_order(bug).then(|| caught(permutation)).flatten(),
            caught(model),
        ];
        plant(None);
        effort::print(&format!(
            "planted {bug:?}: oracle at world {:?}, permutation at world {:?}, model at world {:?}",
            worlds[0], worlds[1], worlds[2]
        ));
        found.push((bug, worlds));
    }
    // In one test with the others, for a planted defect is in the whole process.
    let missed = missed_in_what_is_kept();
    let voyages = effort::share(SOUND_VOYAGES);
    let sound = [
        caught_in_the_journal(),
        caught_in_a_wreck(),
        caught_at_sea(voyages),
        caught_in_a_passage(voyages),
        caught_where_cut_off(voyages),
    ];
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "no check of what is kept found {missed:?}");
    assert_eq!(sound, [None; 5], "without a bug a check of what is kept failed");
    let missed: Vec<Bug> =
        found.iter().filter(|(_, worlds)| worlds.iter().all(Option::is_none)).map(|(bug, _)| *bug).collect();
    assert!(missed.is_empty(), "no check found {missed:?} in {WORLDS} worlds");
    // What shows in the order of events must be found by the check of orders, too.
    for bug in [Bug::FloatSumInArrivalOrder, Bug::MapOrderInOutput, Bug::OlderVersionWins, Bug::ConflictByArrival] {
        let by_order = found.iter().any(|(planted, worlds)| *planted == bug && worlds[1].is_some());
        assert!(by_order, "{bug:?} was not found by changing the order");
    }
    for seed in 0..effort::share(SOUND) as u64 {
        for outcome in [oracle(seed), permutation(seed), model(seed)] {
            outcome.unwrap_or_else(|text| panic!("without a bug: {text}"));
        }
    }
    let all = Bug::ALL.len() + Bug::KEPT.len();
    effort::print(&format!("planted_caught={}/{all}", found.len() + Bug::KEPT.len()));
}
