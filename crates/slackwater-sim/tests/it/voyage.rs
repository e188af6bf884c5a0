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
const SIZE: Size = Size { sources: 2, pipelines: 2, events: 200, positions: true };

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
    effort::print(&format!("sim seeds={} {:?}", seeds.len(), figures.0));
}
