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
const FLOORS: [(&str, usize); 17] = [
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
    ("refused", 25_000),
    ("masked", 18_000),
    ("held", 5_000),
];
const SIZE: Size = Size { sources: 2, pipelines: 1, events: 120, positions: true };

#[test]
fn every_voyage_commits_what_a_calm_one_commits() {
    let seeds = effort::seeds("voyage", SEEDS);
    let (next, figures, wrong) = (AtomicUsize::new(0), Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let check = || voyage::voyage(*seed, SIZE);
            match trial::guarded(*seed, "it", "every_voyage_commits_what_a_calm_one_commits", check) {
                Ok(voyaged) => figures.lock().unwrap_or_else(PoisonError::into_inner).merge(&voyaged.figures),
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
    let (figures, wrong) = (figures.into_inner().expect("no panic"), wrong.into_inner().expect("no panic"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let faults: Vec<String> = FLOORS.iter().map(|(what, _)| format!("{what}={}", figures.count(what))).collect();
    effort::print(&format!(
        "sim seeds={} events={} crashes={} faults{{{}}} lost=0 dup=0 mismatch=0 nondeterministic=0 stuck=0",
        seeds.len(),
        figures.count("events"),
        figures.count("crashes"),
        faults.join(",")
    ));
    if effort::asked_seed().is_none() {
        for (what, floor) in FLOORS {
            assert!(figures.count(what) >= effort::share(floor), "{what}: {} are too few", figures.count(what));
        }
    }
}

/// Full figure of passages.
const PASSAGES: usize = 4_000;

#[test]
fn every_passage_of_a_running_instance_ends_as_a_calm_voyage() {
    let seeds = effort::seeds("passage", PASSAGES);
    let (next, figures, wrong) = (AtomicUsize::new(0), Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let check = || voyage::passage::passage(*seed, SIZE);
            match trial::guarded(*seed, "it", "every_passage_of_a_running_instance_ends_as_a_calm_voyage", check) {
                Ok(Some(found)) => {
                    let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
                    figures.note("made", 1);
                    figures.merge(&found);
                }
                Ok(None) => {}
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
    let (figures, wrong) = (figures.into_inner().expect("no panic"), wrong.into_inner().expect("no panic"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let floors = [
        ("released", 1_000),
        ("made", 1_500),
        ("crashes", 1_000),
        ("power_cut", 200),
        ("enospc", 150),
        ("unknown_commit", 100),
    ];
    let told = figures.0.iter().map(|(what, times)| format!("{what}={times}")).collect::<Vec<_>>().join(" ");
    effort::print(&format!("passages seeds={} {told} lost=0 dup=0 mismatch=0", seeds.len()));
    if effort::asked_seed().is_none() {
        for (what, floor) in floors {
            assert!(figures.count(what) >= effort::share(floor), "{what}: {} are too few", figures.count(what));
        }
    }
}

#[test]
fn a_seed_is_one_voyage_in_every_process() {
    let test = "voyage::a_seed_is_one_voyage_in_every_process";
    if std::env::var_os(TOLD).is_some() {
        let mut hasher = blake3::Hasher::new();
        for seed in effort::seeds("trace", TRACES) {
            let voyaged = trial::guarded(seed, "it", test, || voyage::voyage(seed, SIZE));
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
