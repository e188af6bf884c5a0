//! The last words of a fold: where every event went, how many rows, and one digest over them.

use crate::connect::files::render::{hex, visible};
use crate::face::api::report;
use crate::runtime::engine::Folded;
use slackwater_core::delta::Cause;
use slackwater_core::fold::Final;
use slackwater_core::judge::Counts;
use slackwater_core::lateness::Lateness;
use slackwater_core::plan::Plan;
use slackwater_core::poison::Reason;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What a fold comes to.
#[derive(Debug)]
pub struct Summary {
    counts: Counts,
    /// Pipeline and its rows.
    rows: Vec<(String, u64)>,
    faults: i64,
    /// Facts that are held, of all sources.
    held: u64,
    refolded: usize,
    /// Of events in the order of their arrival.
    generations: Option<Generations>,
    lateness: Vec<Late>,
    seconds: f64,
    root: [u8; 32],
}

/// How many generations of rows there were, by cause, and how many of them removed their row.
#[derive(Debug, Default)]
pub struct Generations {
    by_cause: BTreeMap<Cause, u64>,
    removed: u64,
}

impl Generations {
    /// Counts them.
    pub fn of(finals: &[Final]) -> Self {
        let mut generations = Generations::default();
        for row in finals {
            *generations.by_cause.entry(row.cause).or_default() += 1;
            generations.removed += u64::from(row.removed);
        }
        generations
    }
}

/// How late the events of one origin came.
#[derive(Debug)]
struct Late {
    source: String,
    origin: String,
    lateness: Lateness,
}

/// Shares of the events, per mille, whose lateness is shown.
pub(super) const SHOWN: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

impl Summary {
    /// Gathers it. `took` is for the rate only.
    pub fn new(plan: &Plan, folded: &Folded, generations: Option<Generations>, took: Duration) -> Self {
        let mut counts = Counts::default();
        folded.seen.counts().iter().for_each(|source| counts.merge(source));
        assert!(counts.balances(), "every event is accounted for");
        let mut rows: Vec<(String, u64)> = plan.pipelines.iter().map(|pipeline| (pipeline.name.clone(), 0)).collect();
        for row in &folded.finals {
            rows[usize::from(row.pipeline)].1 += 1;
        }
        let seconds = took.as_secs_f64();
        let lateness = generations.as_ref().map_or(Vec::new(), |_| lateness(plan, folded));
        let (faults, refolded, root) = (folded.faults, folded.refolded, root(folded));
        let held = folded.held.iter().sum();
        Summary { counts, rows, faults, held, refolded, generations, lateness, seconds, root }
    }

    /// The same with counts from elsewhere.
    pub fn with_counts(self, counts: Counts) -> Self {
        assert!(counts.balances(), "every event is accounted for");
        Summary { counts, ..self }
    }

    /// Where every event went.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Where every event went, as one line.
    pub fn conservation(&self) -> String {
        report::conservation(&self.counts)
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut out = self.conservation();
        out.push('\n');
        for (reason, count) in self.reasons() {
            let _ = writeln!(out, "quarantined {reason} {count}");
        }
        for (name, rows) in &self.rows {
            let _ = writeln!(out, "rows {name} {rows}");
        }
        if let Some(generations) = &self.generations {
            for (cause, count) in &generations.by_cause {
                let _ = writeln!(out, "generations by {} {count}", cause.code());
            }
            let _ = writeln!(out, "generations that removed their row {}", generations.removed);
        }
        for Late { source, origin, lateness } in &self.lateness {
            let _ = write!(out, "lateness {source} {}", visible(origin));
            for (name, per_mille) in SHOWN {
                let _ = write!(out, " {name} {}", span(lateness.per_mille(per_mille)));
            }
            let (max, ahead) = (span(lateness.max()), lateness.ahead());
            let _ = writeln!(out, " max {max}, {} events, {ahead} of them ahead of their arrival", lateness.count());
        }
        if self.held > 0 {
            let _ = writeln!(out, "late facts that are held {}", self.held);
        }
        if self.refolded > 0 {
            let _ = writeln!(out, "windows folded again after a correction {}", self.refolded);
        }
        if self.faults != 0 {
            let _ = writeln!(out, "nulls made by x / 0 or a CAST that did not fit {}", self.faults);
        }
        let _ = writeln!(out, "{:.3} s, {} events/s", self.seconds, self.rate());
        let _ = writeln!(out, "root {}", hex(&self.root));
        out
    }

    /// For a program.
    pub fn json(&self) -> String {
        let Counts { received, facts, duplicates, superseded, conflicts, beyond_retention, .. } = &self.counts;
        let join = |pairs: Vec<String>| pairs.join(",");
        let reasons = join(self.reasons().map(|(reason, count)| format!("\"{reason}\":{count}")).collect());
        // Pipeline names are [a-z0-9_-], so they need no escapes.
        let rows = join(self.rows.iter().map(|(name, rows)| format!("\"{name}\":{rows}")).collect());
        let history = self.history();
        let (quarantined, faults, refolded) = (self.counts.refused(), self.faults, self.refolded);
        format!(
            "{{\"received\":{received},\"facts\":{facts},\"duplicates\":{duplicates},\"superseded\":{superseded},\
             \"conflicts\":{conflicts},\"beyond_retention\":{beyond_retention},\"quarantined\":{quarantined},\
             \"in_flight\":0,\"reasons\":{{{reasons}}},\"rows\":{{{rows}}},{history}\"held\":{},\"refolded\":{refolded},\
             \"faults\":{faults},\"seconds\":{:.6},\"events_per_second\":{},\"root\":\"{}\"}}\n",
            self.held,
            self.seconds,
            self.rate(),
            hex(&self.root),
        )
    }

    /// Generations and lateness as members of a JSON object, each with its comma.
    fn history(&self) -> String {
        let Some(generations) = &self.generations else { return String::new() };
        let causes = generations.by_cause.iter().map(|(cause, count)| format!("\"{}\":{count}", cause.code()));
        let causes: Vec<String> = causes.collect();
        let late = |Late { source, origin, lateness }: &Late| {
            let shown = SHOWN.map(|(name, per_mille)| format!("\"{name}\":{}", lateness.per_mille(per_mille)));
            let origin = serde_json::Value::from(origin.as_str());
            format!(
                "{{\"source\":\"{source}\",\"origin\":{origin},\"events\":{},\"ahead\":{},{},\"max\":{}}}",
                lateness.count(),
                lateness.ahead(),
                shown.join(","),
                lateness.max()
            )
        };
        let late: Vec<String> = self.lateness.iter().map(late).collect();
        format!(
            "\"generations\":{{{}}},\"removed\":{},\"lateness_ns\":[{}],",
            causes.join(","),
            generations.removed,
            late.join(",")
        )
    }

    fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let name = |code: u8| Reason::from_u8(code).map_or("unknown", Reason::code);
        self.counts.quarantined.iter().map(move |(code, count)| (name(*code), *count))
    }

    /// Events per second, reading to sealing.
    pub fn rate(&self) -> u64 {
        (self.counts.received as f64 / self.seconds.max(1e-9)) as u64
    }

    /// BLAKE3 over the row digests in output order.
    pub fn root(&self) -> &[u8; 32] {
        &self.root
    }
}

fn lateness(plan: &Plan, folded: &Folded) -> Vec<Late> {
    let mut late = Vec::new();
    for (index, source) in plan.sources.iter().enumerate() {
        for origin in folded.seen.origins(index).iter().filter(|origin| origin.lateness.count() > 0) {
            let (source, name, lateness) =
                (source.name.clone(), source.origin_name(&origin.name), origin.lateness.clone());
            late.push(Late { source, origin: name, lateness });
        }
    }
    late.sort_by(|a, b| (&a.source, &a.origin).cmp(&(&b.source, &b.origin)));
    late
}

/// Nanoseconds as seconds with three places.
pub(super) fn seconds(nanos: u64) -> String {
    format!("{:.3} s", nanos as f64 / 1e9)
}

/// A span in the unit in which a person would say it, to two digits or to the unit.
pub fn span(nanos: u64) -> String {
    let units = [("d", 86_400e9), ("h", 3_600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)];
    let all = nanos as f64;
    let Some((name, unit)) = units.into_iter().find(|(_, unit)| all >= *unit) else { return "0 s".to_string() };
    let count = all / unit;
    // What would be rounded to ten has no place behind its point either.
    let places = usize::from(count < 9.95 && name != "ns");
    format!("{count:.places$} {name}")
}

fn root(folded: &Folded) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    folded.finals.iter().for_each(|row| {
        hasher.update(&row.digest);
    });
    *hasher.finalize().as_bytes()
}
