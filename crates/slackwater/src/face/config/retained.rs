//! Whether facts are kept as long as the windows over them need.

use super::Config;
use super::problem::Problems;
use slackwater_core::plan::{Plan, Source};
use std::ops::Range;

/// Units of durations, from the largest on.
const UNITS: [(i64, &str); 6] = [
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
];

/// Refuses to let facts go before their windows are sealed. `places` says where each source has its `keep_facts`.
pub(super) fn check(config: &Config, places: &[Option<Range<usize>>], problems: &mut Problems<'_>) {
    for ((number, settings), place) in config.sources.iter().enumerate().zip(places) {
        let (Some(keep), Some(place), source) = (settings.keep_facts, place, &config.plan.sources[number]) else {
            continue;
        };
        let (lag, (window, of)) = (longest_lag(source), longest_window(&config.plan, number));
        let least = lag.saturating_add(window);
        if keep < least {
            let message = format!(
                "`keep_facts` lets facts go after {}, before everything over them is sealed: the lag is {}, and {}",
                text(keep),
                text(lag),
                match of {
                    Some(name) => format!("pipeline `{name}` has windows of {}", text(window)),
                    None => "no window is longer".to_string(),
                }
            );
            problems
                .add(place.clone(), message)
                .help(format!("write \"{}\" or more, or \"forever\"", text(least.max(1))));
        }
    }
}

fn longest_lag(source: &Source) -> i64 {
    source.knobs.lag_by_origin.iter().map(|(_, lag)| *lag).fold(source.knobs.lag, i64::max)
}

/// The longest window over a source, and the pipeline that has it.
fn longest_window(plan: &Plan, source: usize) -> (i64, Option<&str>) {
    let mine = plan.pipelines.iter().filter(|pipeline| usize::from(pipeline.source) == source);
    let windows = mine.map(|pipeline| (pipeline.longest(), pipeline.name.as_str()));
    windows.max_by_key(|(window, _)| *window).map_or((0, None), |(window, name)| (window, Some(name)))
}

fn text(nanos: i64) -> String {
    match UNITS.into_iter().find(|(unit, _)| nanos != 0 && nanos % unit == 0) {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".to_string(),
        None => format!("{nanos}ns"),
    }
}
