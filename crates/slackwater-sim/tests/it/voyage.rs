//! Whole voyages of an instance through everything that a disk, a store and a power line do.

use slackwater_sim::adversary::Size;
use slackwater_sim::voyage::mishap::Figures;
use slackwater_sim::{effort, trial, voyage};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Full figure of voyages.
const SEEDS: usize = 10_000;
/// Threads that make them, each one voyage at a time.
const THREADS: usize = 2;
/// Full figure of voyages that are made in two processes.
const TRACES: usize = 200;
/// Asks this program to tell a trace.
const TOLD: &str = "SLACKWATER_TRACE";
/// What a full run must have injected at the least.
const FLOORS: [(&str, usize); 18] = [
    ("power_cut", 3_500),
    ("torn", 1_200),
    ("lost", 2_500),
    ("eio", 6_000),
    ("enospc", 3_500),
    ("short", 4_000),
    ("unread", 4_000),
    ("unknown_commit", 2_500),
    ("flip", 1_000),
    ("store_lost", 900),
    ("store_damaged", 900),
    ("store_old", 600),
    ("checkpoints_lost", 700),
    ("reshard", 8_000),
    ("refused", 19_000),
    ("masked", 18_000),
    ("told", 8_500),
    ("held", 5_000),
];
const SIZE: Size = Size { sources: 2, pipelines: 1, events: 120, positions: true };
/// One of so many voyages and passages is through a world of this size.
const LARGE: (u64, Size) = (5, Size { events: 2_000, ..SIZE });

/// One of so many has so many pipelines over each source.
const MANY: (u64, usize) = (3, 3);

/// How large the world of a voyage or passage is.
fn size(seed: u64) -> Size {
    let (one_of, large) = LARGE;
    let size = if effort::asked_large().is_some() || seed.is_multiple_of(one_of) { large } else { SIZE };
    let (one_of, many) = MANY;
    if seed.is_multiple_of(one_of) { Size { pipelines: many, ..size } } else { size }
}

/// Makes the voyage of every seed, and gives the figures of all; fails when one of them is not as it must be.
fn each(seeds: &[u64], test: &str, make: impl Fn(u64) -> Result<Figures, String> + Sync) -> Figures {
    let (next, figures, wrong) = (AtomicUsize::new(0), Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            match trial::guarded(*seed, "it", test, || make(*seed)) {
                Ok(made) => figures.lock().unwrap_or_else(PoisonError::into_inner).merge(&made),
                Err(text) => {
                    let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                    wrong.push(text);
                    if wrong.len() > 3 {
                        return;
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    figures.into_inner().expect("no panic")
}

/// Fails when a run of all seeds did less than it must.
fn reached(figures: &Figures, floors: &[(&str, usize)]) {
    if effort::asked_seed().is_none() && effort::asked_large().is_none() {
        for (what, floor) in floors {
            assert!(figures.count(what) >= effort::share(*floor), "{what}: {} are too few", figures.count(what));
        }
    }
}

#[test]
fn every_voyage_commits_what_a_calm_one_commits() {
    let seeds = effort::seeds("voyage", SEEDS);
    let figures = each(&seeds, "every_voyage_commits_what_a_calm_one_commits", |seed| {
        voyage::voyage(seed, size(seed)).map(|voyaged| voyaged.figures)
    });
    let faults: Vec<String> = FLOORS.iter().map(|(what, _)| format!("{what}={}", figures.count(what))).collect();
    effort::print(&format!(
        "sim seeds={} events={} crashes={} faults{{{}}} lost=0 dup=0 mismatch=0 nondeterministic=0 stuck=0",
        seeds.len(),
        figures.count("events"),
        figures.count("crashes"),
        faults.join(",")
    ));
    reached(&figures, &FLOORS);
}

/// Full figure of voyages on which sources are cut off, and what all of them must have met at the least.
const CUT_OFF: usize = 3_000;
const MET: [(&str, usize); 4] = [("cutoffs", 500), ("beyond", 2_000), ("crashes", 3_000), ("store_lost", 200)];

#[test]
fn every_voyage_that_is_cut_off_commits_what_a_calm_one_commits() {
    let test = "every_voyage_that_is_cut_off_commits_what_a_calm_one_commits";
    let seeds = effort::seeds("cut off", CUT_OFF);
    let figures = each(&seeds, test, |seed| voyage::voyage_cut_off(seed, size(seed)).map(|voyaged| voyaged.figures));
    let told: Vec<String> = MET.iter().map(|(what, _)| format!("{what}={}", figures.count(what))).collect();
    effort::print(&format!("cut_off seeds={} {} lost=0 dup=0 mismatch=0", seeds.len(), told.join(" ")));
    reached(&figures, &MET);
}

/// Full figure of passages.
const PASSAGES: usize = 4_000;
/// What all of them must have met at the least.
const PASSED: [(&str, usize); 7] = [
    ("made", 1_500),
    ("crashes", 1_000),
    ("power_cut", 200),
    ("enospc", 150),
    ("unknown_commit", 100),
    ("tuned", 500),
    ("released", 1_000),
];

/// Makes the passages of so many seeds, and says what they met.
fn passages(
    (name, full): (&str, usize),
    test: &str,
    floors: &[(&str, usize)],
    make: fn(u64, Size) -> Result<Option<Figures>, String>,
) {
    let seeds = effort::seeds(&name.replace('_', " "), full);
    let figures = each(&seeds, test, |seed| {
        let mut figures = make(seed, size(seed))?.unwrap_or_default();
        figures.note("made", usize::from(figures.count("events") > 0));
        Ok(figures)
    });
    let told = figures.0.iter().map(|(what, times)| format!("{what}={times}")).collect::<Vec<_>>().join(" ");
    effort::print(&format!("{name} seeds={} {told} lost=0 dup=0 mismatch=0", seeds.len()));
    reached(&figures, floors);
}

#[test]
fn every_passage_of_a_running_instance_ends_as_a_calm_voyage() {
    let test = "every_passage_of_a_running_instance_ends_as_a_calm_voyage";
    passages(("passage", PASSAGES), test, &PASSED, voyage::passage::passage);
}

/// Full figure of passages on which sources are cut off, and what all of them must have met at the least.
const PASSAGES_CUT_OFF: usize = 3_000;
const PASSED_CUT_OFF: [(&str, usize); 12] = [
    ("made", 2_000),
    ("cut", 1_500),
    ("let_go", 800),
    ("beyond", 15_000),
    ("opened_cut_off", 400),
    ("declined_behind_a_cutoff", 100),
    ("checkpoints_beside", 1_500),
    ("crashes", 1_500),
    ("power_cut", 350),
    ("eio", 800),
    ("enospc", 400),
    ("short", 400),
];

#[test]
fn every_passage_that_is_cut_off_ends_as_the_oracle_has_it() {
    let test = "every_passage_that_is_cut_off_ends_as_the_oracle_has_it";
    passages(("passage_cut_off", PASSAGES_CUT_OFF), test, &PASSED_CUT_OFF, voyage::passage::passage_cut_off);
}

#[test]
fn a_seed_is_one_voyage_in_every_process() {
    let test = "voyage::a_seed_is_one_voyage_in_every_process";
    if std::env::var_os(TOLD).is_some() {
        let mut hasher = blake3::Hasher::new();
        for seed in effort::seeds("trace", TRACES) {
            let voyaged = trial::guarded(seed, "it", test, || voyage::voyage(seed, size(seed)));
            hasher.update(&voyaged.unwrap_or_else(|text| panic!("{text}")).trace);
        }
        return effort::print(&format!("trace={}", hasher.finalize().to_hex()));
    }
    let told = || {
        let mut process = std::process::Command::new(std::env::current_exe().expect("this program"));
        let done = process.args(["--exact", test, "--nocapture"]).env(TOLD, "1").output().expect("a process");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.lines().find(|line| line.starts_with("trace=")).expect("a trace").to_string()
    };
    let (first, second) = (told(), told());
    assert_eq!(first, second, "the same seeds in two processes");
    effort::print(&format!("sim seeds={} in two processes: {first}", effort::share(TRACES)));
}
