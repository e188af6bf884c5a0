//! The last words of a fold: where every event went, how many rows, and one digest over them.

use crate::connect::files::render::hex;
use crate::runtime::engine::Folded;
use slackwater_core::judge::Counts;
use slackwater_core::plan::Plan;
use slackwater_core::poison::Reason;
use std::fmt::Write as _;
use std::time::Duration;

/// What a fold comes to.
#[derive(Debug)]
pub struct Summary {
    counts: Counts,
    /// Pipeline and its rows.
    rows: Vec<(String, u64)>,
    faults: i64,
    refolded: usize,
    seconds: f64,
    root: [u8; 32],
}

impl Summary {
    /// Gathers it. `took` is for the rate only.
    pub fn new(plan: &Plan, folded: &Folded, took: Duration) -> Self {
        let mut counts = Counts::default();
        folded.seen.counts().iter().for_each(|source| counts.merge(source));
        assert!(counts.balances(), "every event is accounted for");
        let mut rows: Vec<(String, u64)> = plan.pipelines.iter().map(|pipeline| (pipeline.name.clone(), 0)).collect();
        for row in &folded.finals {
            rows[usize::from(row.pipeline)].1 += 1;
        }
        let seconds = took.as_secs_f64();
        Summary { counts, rows, faults: folded.faults, refolded: folded.refolded, seconds, root: root(folded) }
    }

    /// Where every event went.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Where every event went, as one line.
    pub fn conservation(&self) -> String {
        let Counts { received, facts, duplicates, superseded, conflicts, .. } = &self.counts;
        let quarantined = self.counts.refused();
        format!(
            "received {received} = facts {facts} + duplicates {duplicates} + superseded {superseded} + conflicts \
             {conflicts} + quarantined {quarantined} + in flight 0"
        )
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
        let Counts { received, facts, duplicates, superseded, conflicts, .. } = &self.counts;
        let join = |pairs: Vec<String>| pairs.join(",");
        let reasons = join(self.reasons().map(|(reason, count)| format!("\"{reason}\":{count}")).collect());
        // Pipeline names are [a-z0-9_-], so they need no escapes.
        let rows = join(self.rows.iter().map(|(name, rows)| format!("\"{name}\":{rows}")).collect());
        let (quarantined, faults, refolded) = (self.counts.refused(), self.faults, self.refolded);
        format!(
            "{{\"received\":{received},\"facts\":{facts},\"duplicates\":{duplicates},\"superseded\":{superseded},\
             \"conflicts\":{conflicts},\"quarantined\":{quarantined},\"in_flight\":0,\"reasons\":{{{reasons}}},\
             \"rows\":{{{rows}}},\"refolded\":{refolded},\"faults\":{faults},\"seconds\":{:.6},\"events_per_second\":{},\
             \"root\":\"{}\"}}\n",
            self.seconds,
            self.rate(),
            hex(&self.root),
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

fn root(folded: &Folded) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    folded.finals.iter().for_each(|row| {
        hasher.update(&row.digest);
    });
    *hasher.finalize().as_bytes()
}
