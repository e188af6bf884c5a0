//! Every crash image of every short workload of an instance.

use slackwater_sim::wreck::{Figures, cut_everywhere, workloads};
use slackwater_sim::{effort, trial};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Acts of a workload at most.
const ACTS: usize = 3;
/// Images of a full run, at least.
const IMAGES: usize = 15_000;
const THREADS: usize = 2;

#[test]
fn from_every_power_cut_of_every_short_workload_an_instance_goes_on_as_if_nothing_had_happened() {
    let test = "from_every_power_cut_of_every_short_workload_an_instance_goes_on_as_if_nothing_had_happened";
    let all: Vec<_> = (1..=ACTS).flat_map(workloads).collect();
    let step = all.len() / effort::share(all.len());
    let asked = effort::asked_seed();
    let chosen: Vec<usize> =
        (0..all.len()).filter(|number| asked.map_or(number % step == 0, |seed| seed == *number as u64)).collect();
    let (next, total) = (AtomicUsize::new(0), Mutex::new((Figures::default(), Vec::new())));
    let work = || {
        while let Some(number) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut figures = Figures::default();
            let seed = *number as u64;
            let outcome = trial::guarded(seed, "it", test, || cut_everywhere(&all[*number], seed, &mut figures));
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.0.images += figures.images;
            total.0.recovered += figures.recovered;
            total.0.sampled += figures.sampled;
            total.1.extend(outcome.err());
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let (figures, wrong) = total.into_inner().expect("no panic");
    let Figures { images, recovered, sampled } = figures;
    let unopenable = wrong.iter().filter(|text| text.contains("unopenable")).count();
    effort::print(&format!(
        "crash_images={images} workloads={} recovered={recovered} wrong={} unopenable={unopenable} sampled={sampled}",
        chosen.len(),
        wrong.len() - unopenable
    ));
    assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(4)].join("\n\n"));
    assert!(asked.is_some() || images >= effort::share(IMAGES), "{images} images are too few to say anything");
}
