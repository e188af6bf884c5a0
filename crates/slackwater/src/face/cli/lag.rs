//! `slackwater lag`: how late events come, and what lag would leave how many of them late.

use super::check::print;
use super::directory::{self, Committed};
use super::fold::Stop;
use super::summary::{SHOWN, seconds, span};
use super::{Exit, LagArgs, tell};
use crate::connect::files::render;
use serde_json::{Value, json};
use slackwater_core::cutoff::let_go_of;
use slackwater_core::plan::Plan;
use slackwater_core::row::Row;
use slackwater_core::staleness::{self, Came, DAY, Day, Days, Effect};
use slackwater_store::Fault;
use std::collections::BTreeMap;

/// What is learnt from the days before is tried on the last one of so many parts of them.
const PARTS: usize = 3;

/// One origin of one source.
struct Studied {
    source: String,
    origin: String,
    lag: i64,
    days: Days,
}

/// What was found for an origin.
struct Found<'a> {
    of: &'a Studied,
    /// With the lag that is advised, in the days from which it was learnt, then in those behind them.
    advised: Effect,
    tried: Effect,
    /// With the lag that it has, on all days; and its bursts on top.
    now: Effect,
    bursts: Effect,
}

pub(super) fn run(args: &LagArgs) -> Exit {
    match lag(args) {
        Ok(text) => print(&text),
        Err(stop) => stop.report(),
    }
}

fn lag(args: &LagArgs) -> Result<String, Stop> {
    let plan = directory::config(&args.data)?.plan;
    let studied = directory::committed(&args.data, |Committed { plan, archive, .. }| {
        let mut studied = Vec::new();
        for number in 0..plan.sources.len() {
            if args.source.as_ref().is_none_or(|name| *name == plan.sources[number].name) {
                studied.append(&mut study(args, &plan, number, &archive)?);
            }
        }
        Ok(studied)
    })?;
    if let Some(name) = args.source.as_ref().filter(|name| plan.sources.iter().all(|source| source.name != **name)) {
        let names: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
        return Err(Stop::Usage(format!("--source {name}: there is no such source; there are {}", names.join(", "))));
    }
    if studied.is_empty() {
        let text = "no fact in this directory has an arrival, so how late events come is not known; `run` records arrivals, \
                    and `fold` takes them from the column that `arrival` names";
        return Err(Stop::Kept(Fault::Refused(text.to_string())));
    }
    let found: Vec<Found<'_>> = studied.iter().map(|of| find(args, of)).collect();
    Ok(match args.json {
        true => found.iter().map(|found| format!("{}\n", object(args, found))).collect(),
        false => found.iter().map(|found| text(args, found)).collect(),
    })
}

/// How the events of each origin of a source came, as far back as is asked for.
fn study(
    args: &LagArgs,
    plan: &Plan,
    number: usize,
    archive: &slackwater_store::archive::Archive,
) -> Result<Vec<Studied>, Stop> {
    let source = &plan.sources[number];
    let mut origins: BTreeMap<Vec<u8>, Vec<Came>> = BTreeMap::new();
    let kept = archive.kept_from(number as u16);
    if let Some(kept) = kept {
        tell(&format!("note: {}\n", let_go_of(&source.name, kept)));
    }
    let from = kept.map_or(i128::MIN, i128::from);
    archive.facts(number as u16, from, i128::MAX, None, &mut |change| {
        if let Some(arrival) = change.arrival {
            let row = Row::new(&source.schema, change.content);
            let came = (arrival, row.event_time());
            match origins.get_mut(row.origin()) {
                Some(known) => known.push(came),
                None => drop(origins.insert(row.origin().to_vec(), vec![came])),
            }
        }
    })?;
    let studied = origins.into_iter().map(|(name, mut events)| {
        let mut days = staleness::study(&mut events, args.tick, args.silence);
        let first = days.last_key_value().map_or(0, |(last, _)| last - i64::from(args.days) + 1);
        days.retain(|day, _| *day >= first);
        let lag = source.knobs.lag_of(source, &name);
        Studied { source: source.name.clone(), origin: source.origin_name(&name), lag, days }
    });
    Ok(studied.collect())
}

fn find<'a>(args: &LagArgs, of: &'a Studied) -> Found<'a> {
    let (learnt, left) = staleness::split(&of.days, 1, PARTS);
    // Of a day or two there is nothing to learn from before the last part.
    let from = if learnt.is_empty() { &left } else { &learnt };
    let least = staleness::advise(from.iter().copied(), args.target, args.bursts);
    let with_margin = least.lag.saturating_add(least.lag / 100 * i64::from(args.margin));
    let advised = staleness::back_test(from.iter().copied(), with_margin, args.bursts);
    let tried = staleness::back_test(left.into_iter(), with_margin, args.bursts);
    let now = staleness::back_test(of.days.values(), of.lag, false);
    let with_bursts = staleness::back_test(of.days.values(), of.lag, true);
    let bursts = Effect { events: with_bursts.events - now.events, late: with_bursts.late - now.late, ..with_bursts };
    Found { of, advised, tried, now, bursts }
}

fn per_day(effect: &Effect) -> f64 {
    effect.late as f64 / effect.days.max(1) as f64
}

fn effect(effect: &Effect) -> Value {
    json!({
        "lag_ns": effect.lag,
        "days": effect.days,
        "events": effect.events,
        "late": effect.late,
        "late_per_million": effect.per_million(),
        "late_per_day": per_day(effect),
    })
}

fn object(args: &LagArgs, found: &Found<'_>) -> Value {
    let lateness = all(found.of);
    let shown = SHOWN.map(|(name, share)| (name.to_string(), json!(lateness.per_mille(share))));
    let mut percentiles: serde_json::Map<String, Value> = shown.into_iter().collect();
    percentiles.insert("max".to_string(), json!(lateness.max()));
    let by_day: Vec<Value> = found.of.days.iter().map(|(number, day)| by_day(*number, day)).collect();
    json!({
        "by_day": by_day,
        "source": found.of.source,
        "origin": found.of.origin,
        "lateness_ns": percentiles,
        "reconnects": found.of.days.values().map(|day| day.reconnects).sum::<u64>(),
        "target_per_million": args.target,
        "margin_percent": args.margin,
        "advised": effect(&found.advised),
        "back_test": effect(&found.tried),
        "configured": effect(&found.now),
        "bursts": effect(&found.bursts),
    })
}

/// One day by arrival, as it came: what is told of bursts is told apart.
fn by_day(number: i64, day: &Day) -> Value {
    let date = render::time(i128::from(number) * i128::from(DAY));
    let shown = SHOWN.map(|(name, share)| (name.to_string(), json!(day.lateness.per_mille(share))));
    let mut lateness: serde_json::Map<String, Value> = shown.into_iter().collect();
    lateness.insert("max".to_string(), json!(day.lateness.max()));
    json!({
        "day": date.split_once('T').map_or(&*date, |(day, _)| day),
        "events": day.lateness.count(),
        "lateness_ns": lateness,
        "reconnects": day.reconnects,
        "in_bursts": day.bursts.count(),
    })
}

fn all(of: &Studied) -> slackwater_core::lateness::Lateness {
    let mut lateness = slackwater_core::lateness::Lateness::default();
    of.days.values().for_each(|day| lateness.merge(&day.lateness));
    lateness
}

fn text(args: &LagArgs, found: &Found<'_>) -> String {
    let lateness = all(found.of);
    let shown: Vec<String> =
        SHOWN.iter().map(|(name, share)| format!("{name} {}", span(lateness.per_mille(*share)))).collect();
    let Found { of, advised, tried, now, bursts } = found;
    format!(
        "{} {}: lateness {}, max {}\n\
         \x20 lag {} (advised, {} % above the least that leaves {} of a million late): a final row waits so much longer;\n\
         \x20   learnt from {} days: {} of a million late; tried on {} days: {} of a million late, {:.1} a day\n\
         \x20 lag {} (configured): {} of a million late, {:.1} a day; in bursts after {} silences {} of {} late\n",
        of.source,
        render::visible(&of.origin),
        shown.join(", "),
        span(lateness.max()),
        seconds(advised.lag.max(0) as u64),
        args.margin,
        args.target,
        advised.days,
        advised.per_million(),
        tried.days,
        tried.per_million(),
        per_day(tried),
        seconds(of.lag.max(0) as u64),
        now.per_million(),
        per_day(now),
        of.days.values().map(|day| day.reconnects).sum::<u64>(),
        bursts.late,
        bursts.events,
    )
}
