//! When sources are cut off, and where: decided right behind a tick, from its state alone, and recorded.

use super::instance::Instance;
use slackwater_core::cutoff::Cutoff;
use slackwater_core::fold::Settled;
use slackwater_core::input::{Decision, Input};
use slackwater_core::planted::{Bug, is};
use slackwater_store::Fault;
use slackwater_store::archive::BUCKET;

impl Instance<'_> {
    /// Cuts sources off that have facts which are to be kept no longer; whether it did. Nothing but cutoffs may stand
    /// behind the last tick, and that must be committed.
    ///
    /// # Errors
    /// When the journal cannot take the decision.
    pub fn cut_off(&mut self) -> Result<bool, Fault> {
        let right_behind = self.at > 0 && self.cut == self.at && self.head.journal >= self.ticked;
        if !right_behind || !self.unjudged.is_empty() {
            return Ok(false);
        }
        let sources = 0..self.plan.sources.len() as u16;
        let due: Vec<_> = sources.filter_map(|source| Some((source, self.due_cutoff(source)?))).collect();
        for (source, cutoff) in &due {
            self.step(Input::Decision(Decision::Cutoff(*source, *cutoff)))?;
        }
        if !due.is_empty() && !is(Bug::CutoffBeforeSync) {
            // What is only appended goes again with a delivery that finds no room behind it, and this is in force.
            self.journal.sync()?;
        }
        Ok(!due.is_empty())
    }

    /// Where a source is to be cut off now, if it is. It is a function of what was taken in up to the tick alone: how all is
    /// kept has no say.
    pub(super) fn due_cutoff(&self, source: u16) -> Option<Cutoff> {
        let keep = self.settings.keep_facts.get(usize::from(source)).copied().flatten()?;
        let until = self.settled_until(source)?.checked_sub(keep)?;
        // What is held is still to be folded.
        let held = self.shards.folds.iter().filter_map(|fold| fold.held_from(self.plan, source)).min();
        let events = start_of_bucket(held.map_or(until, |held| held.min(until)).into())?;
        let known = self.shards.cutoffs.of(source);
        let judges = self.shards.judges.iter();
        let earliest = judges.filter_map(|judge| judge.earliest(source.into())).min()?;
        // As long as nothing lies before it, nobody needs to be sent away.
        if earliest >= events || known.is_some_and(|known| events <= known.events) {
            return None;
        }
        let needed = self.shards.folds.iter().map(|fold| fold.reaches_back(self.plan, source, events)).min()?;
        let needed = if is(Bug::CutoffForgetsReach) { events.into() } else { needed };
        let facts = start_of_bucket(needed).filter(|facts| earliest < *facts).unwrap_or(i64::MIN);
        Some(Cutoff { events, facts })
    }

    /// Up to when everything of a source is sealed, in all pipelines that read it; where the end of an input sealed it,
    /// the latest time that an origin has reached.
    fn settled_until(&self, source: u16) -> Option<i64> {
        let mine = self.plan.pipelines.iter().zip(&self.head.settled).filter(|(of, _)| of.source == source);
        let reached = || {
            let judges = self.shards.judges.iter();
            judges.flat_map(|judge| judge.origins(source.into()).iter().filter_map(|origin| origin.frontier)).max()
        };
        let until = |settled: &Settled| match settled {
            Settled::Nothing => None,
            Settled::Until(watermark) => Some(*watermark),
            Settled::All => reached(),
        };
        mine.map(|(_, settled)| until(settled)).min().flatten()
    }
}

/// The start of the archive's bucket that holds a time: segments lie wholly before it, or not at all.
fn start_of_bucket(time: i128) -> Option<i64> {
    i64::try_from(time.div_euclid(BUCKET.into()) * i128::from(BUCKET)).ok()
}
