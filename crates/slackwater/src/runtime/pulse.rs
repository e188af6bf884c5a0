//! The pulse of a running instance: ticks when there is something to tick for, commits at them, and what it shows.

use super::board::{OriginStanding, SourceStanding, Standing, Times};
use super::clock::Stopwatch;
use super::desk::Load;
use super::instance::Instance;
use super::restraint::{PutOff, Restraint};
use slackwater_core::fold::{Final, Open, Settled, Whole};
use slackwater_core::hold::Release;
use slackwater_core::input::{Decision, Input, Tick};
use slackwater_core::plan::Knobs;
use slackwater_store::Fault;
use slackwater_store::crash::{self, CrashPoint};
use slackwater_store::store::Head;
use std::time::Duration;

impl Instance<'_> {
    /// Whether its inputs may be said to have ended.
    ///
    /// # Errors
    /// When it is the directory of a service, which could not go on after that.
    pub fn may_end(&self) -> Result<(), Fault> {
        if self.head.ticks > 0 && !self.watermarks.has_ended() && !self.head.settled.contains(&Settled::All) {
            return Err(Fault::Refused(
                "this directory is that of a service, and `fold` would seal every window of it for good: give the file to the \
                 service as a source, or name another directory"
                    .to_string(),
            ));
        }
        Ok(())
    }

    /// From the next tick on each source's watermark follows these knobs. What is not as it was recorded is a decision.
    ///
    /// # Errors
    /// When the directory is one of finite inputs, or the journal cannot take the decisions.
    pub fn tune(&mut self, knobs: &[Knobs]) -> Result<(), Fault> {
        if self.watermarks.has_ended() || self.head.settled.contains(&Settled::All) {
            return Err(Fault::Refused(
                "this directory was filled by `fold`, which sealed every window of it at the end of its files; a service \
                 needs one of its own: name another directory, and give it the files as a source"
                    .to_string(),
            ));
        }
        for (number, knobs) in knobs.iter().enumerate() {
            // What is recorded first does not depend on the configuration of the day on which it is read back.
            if self.at == 0 || self.head.ticks == 0 || self.watermarks.knobs(number) != knobs {
                self.step(Input::Decision(Decision::Knobs(number as u16, knobs.clone())))?;
            }
        }
        self.journal.sync()?;
        Ok(())
    }

    /// Stops or resumes the taking in of a source's events.
    ///
    /// # Errors
    /// When the journal cannot take the decision.
    pub fn decide(&mut self, decision: Decision) -> Result<(), Fault> {
        self.step(Input::Decision(decision))?;
        self.journal.sync()?;
        Ok(())
    }

    /// Whether the last commit covers all that was taken in.
    pub fn is_committed(&self) -> bool {
        self.head.journal == self.at
    }

    /// Whether any identity has another winner than at the last tick that did not come out of quarantine.
    pub fn has_changed(&self) -> bool {
        self.shards.memories.iter().any(|memory| memory.changes().any(|net| !net.after.stood))
    }

    /// Lets the next tick release what is meant, if anything is; gives how many facts, each once for every pipeline.
    ///
    /// # Errors
    /// When the journal cannot take the decision.
    pub fn release(&mut self, release: Release) -> Result<u64, Fault> {
        let count = self.shards.holds.would_release(&release);
        if count > 0 {
            self.decide(Decision::Release(release))?;
        }
        Ok(count)
    }

    /// Whether a source takes nothing in.
    pub fn is_halted(&self, source: u16) -> bool {
        self.watermarks.is_halted(source.into())
    }

    /// A tick at this moment. `caught_up` are the sources whose readers have taken in all that is there.
    pub fn tick_now(&self, caught_up: Vec<u16>) -> Tick {
        Tick { at: self.clock.now(), caught_up }
    }

    /// Ticks and commits, with a checkpoint if that is asked for. As soon as it is committed, `tell` is given the rows that
    /// became or changed as final, in output order. Gives how long the commit took, with its checkpoint if it had one.
    ///
    /// # Errors
    /// When something cannot be kept: then what is in memory is ahead of what is committed, and the instance must be
    /// opened again.
    pub fn pulse(
        &mut self,
        tick: Tick,
        checkpoint: bool,
        tell: impl FnOnce(&Head, Vec<Final>),
    ) -> Result<Duration, Fault> {
        self.recorded = Some(tick.at).max(self.recorded);
        let outcome = self.tick(&tick)?;
        self.record(&Input::Tick(tick), outcome)?;
        let watch = Stopwatch::start();
        if checkpoint {
            self.note_changes();
            let finals = self.rows.clone();
            self.checkpoint()?;
            tell(&self.head, finals);
            return Ok(watch.elapsed());
        }
        self.journal.sync()?;
        crash::point(CrashPoint::TickSynced)?;
        self.head.take(&[], &self.aside);
        self.advance();
        let finals = self.commit()?;
        let took = watch.elapsed();
        // Whoever waits for these rows does not wait for what only the next checkpoint needs.
        tell(&self.head, finals);
        self.note_changes();
        self.put_away();
        Ok(took)
    }

    /// Whether a tick could bring anything: something came since the last one, other readers have caught up, or time
    /// alone moves a watermark past something.
    pub fn is_due(&self, tick: &Tick) -> bool {
        let other = |source: usize| self.watermarks.is_caught_up(source) != tick.caught_up.contains(&(source as u16));
        if !self.is_at_tick() || (0..self.plan.sources.len()).any(other) {
            return true;
        }
        let mut dues: Vec<Option<i128>> = vec![None; self.plan.pipelines.len()];
        for fold in &self.shards.folds {
            for (known, due) in dues.iter_mut().zip(fold.dues()) {
                *known = known.iter().copied().chain(due).min();
            }
        }
        let Some(ticked) = self.head.ticked else { return true };
        let next = self.watermarks.next_move(self.plan, ticked, &self.seen(), &dues);
        next.is_some_and(|next| next <= tick.at)
    }

    /// Whether what comes next could be late by this tick where it is not by the last one.
    pub fn is_moved_by(&self, tick: &Tick) -> bool {
        self.watermarks.would_move(self.plan, tick, &self.seen())
    }

    /// Whether a checkpoint may be written beside what goes on: where there is more than one thread for it.
    pub fn may_keep_aside(&self) -> bool {
        self.settings.threads > 1
    }

    /// Bytes of events that were taken in since the last checkpoint.
    pub fn bytes_since_checkpoint(&self) -> u64 {
        self.bytes_since
    }

    /// The rows that still move of every key that changed since this was last asked.
    ///
    /// # Errors
    /// When facts that are needed again cannot be read.
    pub fn open_rows(&mut self) -> Result<Vec<Open>, Fault> {
        let mut open = Vec::new();
        for number in 0..self.shards.folds.len() {
            self.refold(number, Whole::Here)?;
            open.append(&mut self.shards.folds[number].open_rows(self.plan));
        }
        Ok(open)
    }

    /// What is put off of a pipeline.
    fn put_off(&self, pipeline: u16) -> Option<PutOff> {
        let from = self.shards.folds.iter().filter_map(|fold| fold.put_off_from(pipeline)).min()?;
        Some(PutOff { from, keys: self.shards.folds.iter().map(|fold| fold.keys_put_off(pipeline)).sum() })
    }

    /// Who of a source is held back at a time, as it is known now.
    fn restraint(&self, number: usize, origins: &mut [OriginStanding], put_off: &[Option<PutOff>]) -> Restraint {
        let mine = self.plan.pipelines.iter().zip(put_off).filter(|(of, _)| usize::from(of.source) == number);
        let from = mine.filter_map(|(_, put_off)| Some(put_off.as_ref()?.from)).min();
        from.map_or_else(Restraint::default, |from| Restraint::of(origins, self.watermarks.knobs(number), from))
    }

    /// How far it has come.
    pub fn standing(&self, load: Load) -> Standing {
        let (seen, at) = (self.seen(), self.head.ticked.unwrap_or(i64::MIN));
        let put_off: Vec<_> = (0..self.plan.pipelines.len() as u16).map(|pipeline| self.put_off(pipeline)).collect();
        let source = |(number, source): (usize, &slackwater_core::plan::Source)| {
            let knobs = self.watermarks.knobs(number);
            let mut origins: Vec<OriginStanding> = seen
                .origins(number)
                .iter()
                .map(|origin| OriginStanding {
                    name: origin.name.clone(),
                    frontier: origin.frontier,
                    heard: origin.heard,
                    watermark: origin
                        .frontier
                        .map(|frontier| frontier.saturating_sub(knobs.lag_of(source, &origin.name))),
                    idle: self.watermarks.is_idle(number, origin, at),
                    ahead: false,
                    lateness: origin.lateness.clone(),
                })
                .collect();
            origins.sort_by(|a, b| a.name.cmp(&b.name));
            let counts = seen.counts()[number].clone();
            let (caught_up, halted) = (self.watermarks.is_caught_up(number), self.watermarks.is_halted(number));
            let held = self.shards.holds.count(number as u16);
            let restraint = self.restraint(number, &mut origins, &put_off);
            let cutoff = self.shards.cutoffs.of(number as u16);
            SourceStanding { counts, origins, caught_up, halted, wrong: Vec::new(), held, cutoff, restraint }
        };
        let sources = self.plan.sources.iter().enumerate().map(source).collect();
        Standing {
            instance: self.head.instance,
            epoch: self.head.epoch,
            commit: self.head.commit,
            checkpoint: self.head.checkpoint,
            ticks: self.head.ticks,
            ticked: self.head.ticked,
            journal: self.at,
            gone: self.gone(),
            journal_bytes: self.journal.bytes(),
            damaged: self.journal.gaps().len() + self.journal.lost().len() + self.journal.worn().count(),
            sources,
            put_off,
            settled: self.head.settled.clone(),
            load,
            times: Times { sync: self.syncs, ..Times::default() },
            ..Standing::default()
        }
    }
}
