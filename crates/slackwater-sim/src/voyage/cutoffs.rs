//! A passage on which sources are cut off: what must hold there.
//!
//! What comes too late depends on when it came, so there is no calm voyage to compare it with. A cutoff that was decided must
//! stay, nothing before it may move, and what is committed must be what the oracle makes of all that was not set aside, and
//! what the journal gives once more.

use super::leg::{Harbour, Stop, open};
use super::logbook::{against_the_truth, told};
use super::mishap::Figures;
use super::passage::Sent;
use super::script::{Script, plain};
use crate::ledger::Committed;
use slackwater::runtime::clock::Clock;
use slackwater::runtime::desk::Load;
use slackwater::runtime::instance::Instance;
use slackwater_core::cutoff::{Cutoff, Cutoffs};
use slackwater_core::fold::Final;
use slackwater_core::plan::{Plan, Windowing};
use slackwater_core::quarantine::{Quarantined, Why};
use slackwater_core::window::Window;
use std::collections::BTreeMap;

/// Where the sources of a passage are cut off.
pub struct Cuts {
    /// By source, the cutoff in force, as far as anybody was told.
    known: Vec<Option<Cutoff>>,
    /// All that ever were, with their sources.
    decided: Vec<(usize, Cutoff)>,
    /// Whether there may be another one that nobody was told of.
    doubtful: bool,
    /// Whether nothing was taken in since the last one was decided.
    pub fresh: bool,
}

impl Cuts {
    /// Before any was decided.
    pub fn none(script: &Script) -> Self {
        let known = vec![None; script.trial.world.stage.sources.len()];
        Cuts { known, decided: Vec::new(), doubtful: false, fresh: false }
    }

    /// Whether those that were told are in force when the instance is opened.
    ///
    /// # Errors
    /// Those that are not.
    pub fn opened(&mut self, instance: &Instance<'_>, figures: &mut Figures) -> Result<(), Stop> {
        let found = in_force(instance);
        if self.doubtful && self.known.iter().zip(&found).all(|(known, found)| is_behind(*known, *found)) {
            self.take(found);
        } else if self.known != found {
            let known = &self.known;
            return Err(Stop::Wrong(format!("cut off at {known:?}, and when it is opened at {found:?}")));
        }
        self.fresh = false;
        figures.note("opened_cut_off", usize::from(self.known.iter().any(Option::is_some)));
        Ok(())
    }

    /// Cuts off what is to be.
    ///
    /// # Errors
    /// When that cannot be kept; or a cutoff that went back.
    pub fn cut_off(&mut self, instance: &mut Instance<'_>, figures: &mut Figures) -> Result<(), Stop> {
        self.doubtful = true;
        let cut = instance.cut_off()?;
        let found = in_force(instance);
        let (up, alike) = (self.known.iter().zip(&found).all(|(a, b)| is_behind(*a, *b)), self.known == found);
        if !up || alike == cut {
            let known = &self.known;
            return Err(Stop::Wrong(format!("cut off at {known:?}, and then at {found:?}, which is said to be {cut}")));
        }
        self.take(found);
        self.fresh |= cut;
        figures.note("cut", usize::from(cut));
        Ok(())
    }

    fn take(&mut self, found: Vec<Option<Cutoff>>) {
        let changed = (0..).zip(self.known.iter().zip(&found)).filter(|(_, (known, found))| known != found);
        self.decided.extend(changed.filter_map(|(source, (_, found))| Some((source, (*found)?))));
        (self.known, self.doubtful) = (found, false);
    }

    /// Whether each cutoff kept all facts of the windows and sessions that it cut through. What a bar is taken up from is in
    /// no row.
    ///
    /// # Errors
    /// A row some of whose facts were let go of while it could still change.
    pub fn kept_enough(&self, plan: &Plan, committed: &Committed) -> Result<(), String> {
        let rows = Final::newest(committed.rows.values().map(|kept| kept.row.clone()).collect());
        let rows = rows.iter().filter(|row| row.bar.is_none() && !row.removed);
        for row in rows {
            let pipeline = &plan.pipelines[usize::from(row.pipeline)];
            // A pause of exactly the gap is none, so a fact that stands at the end of a session belongs to it.
            let closed = matches!(pipeline.windowing, Windowing::Session { .. });
            let Window { start, end } = row.window;
            let mut letting_go = self.decided.iter().filter(|(_, cutoff)| cutoff.lets_go());
            let short = letting_go.find(|(source, Cutoff { events, facts })| {
                let (events, facts) = (i128::from(*events), i128::from(*facts));
                let cut_through = start < events && (events < end || (closed && events == end));
                *source == usize::from(pipeline.source) && cut_through && start < facts
            });
            if let Some((_, cutoff)) = short {
                return Err(format!("{cutoff:?} lets go of facts of {row:?}"));
            }
        }
        Ok(())
    }

    /// Whether no row moved that lies before a cutoff.
    ///
    /// # Errors
    /// One that did.
    pub fn stand_behind(&self, plan: &Plan, finals: &[Final]) -> Result<(), Stop> {
        let moved = finals.iter().find(|row| {
            let cutoff = self.known[usize::from(plan.pipelines[usize::from(row.pipeline)].source)];
            // Where a bar ends is for the facts behind it to say.
            row.bar.is_none() && cutoff.is_some_and(|cutoff| row.window.end < cutoff.events.into())
        });
        moved.map_or(Ok(()), |row| Err(Stop::Wrong(format!("it lies before {:?}, and moved: {row:?}", self.known))))
    }
}

/// By source, the cutoff that an instance has.
fn in_force(instance: &Instance<'_>) -> Vec<Option<Cutoff>> {
    instance.standing(Load::default()).sources.iter().map(|source| source.cutoff).collect()
}

/// Whether a cutoff is another one, or lies behind it.
fn is_behind(before: Option<Cutoff>, now: Option<Cutoff>) -> bool {
    before.is_none_or(|before| now.is_some_and(|now| now.events >= before.events && now.facts >= before.facts))
}

/// Whether none goes back from one commit to the next.
///
/// # Errors
/// Those that do.
pub fn only_go_up<'c>(all: impl Iterator<Item = &'c Cutoffs>) -> Result<(), String> {
    let mut last: Option<&Cutoffs> = None;
    for now in all {
        let back = last.is_some_and(|last| last.iter().any(|(of, before)| !is_behind(Some(before), now.of(of))));
        if back {
            return Err(format!("a commit is cut off at {now:?}, and the one before at {last:?}"));
        }
        last = Some(now);
    }
    Ok(())
}

/// Notes what was cut off, and what came too late for it.
pub fn note(committed: &Committed, figures: &mut Figures) {
    let head = committed.head.iter();
    figures.note("cutoffs", head.clone().map(|head| head.cutoffs.iter().count()).sum());
    let let_go = head.clone().flat_map(|head| head.cutoffs.iter()).filter(|(_, cutoff)| cutoff.lets_go());
    figures.note("let_go", let_go.count());
    let beyond = head.flat_map(|head| &head.counts).map(|counts| counts.beyond_retention as usize);
    figures.note("beyond", beyond.sum());
}

/// Holds what is committed in the end against the oracle, which was told of everything but what was set aside as too late.
///
/// # Errors
/// What differs.
pub fn against_the_oracle(script: &Script, committed: &Committed, sent: &[Sent]) -> Result<(), String> {
    let names = sent.iter().filter_map(|sent| Some((sent.delivery.name.clone()?, &sent.stood)));
    let names: BTreeMap<_, _> = names.collect();
    let beyond = committed.aside.iter().filter(|event| event.why == Why::BeyondRetention);
    let place = |event: &Quarantined| {
        let (part, begin) = names.get(&event.part).copied()?;
        Some((part.clone(), begin + event.position.offset))
    };
    let beyond = beyond.map(|event| place(event).ok_or_else(|| format!("nobody sent {event:?}")));
    let beyond = beyond.collect::<Result<_, _>>()?;
    let head = committed.head.as_ref().ok_or("nothing was committed")?;
    against_the_truth(committed, &head.counts, &script.truth_without(&beyond))
}

/// Whether all of it comes back from the journal alone, whatever is configured now.
///
/// # Errors
/// What does not.
pub fn come_back(script: &Script, harbour: &Harbour, committed: &Committed) -> Result<(), String> {
    let harbour = harbour.copy();
    let made = ["checkpoint/", "index/", "archive/"];
    let files = harbour.disk.files();
    let gone = files.keys().filter(|name| made.iter().any(|folder| name.starts_with(folder)));
    gone.for_each(|name| harbour.disk.put(name, None));
    harbour.ledger.empty();
    open(script, &harbour, &plain(), Clock::still(i64::MAX), |_, _| Ok(())).map_err(|stop| told(&stop))?;
    let after = harbour.ledger.committed();
    let of = |committed: &Committed| committed.head.as_ref().map(|head| (head.counts.clone(), head.cutoffs.clone()));
    let differences = [
        ("counts or cutoffs", of(&after) != of(committed)),
        ("rows", after.rows != committed.rows),
        ("set aside", after.aside != committed.aside),
        ("held", after.notes != committed.notes),
        ("rulings", after.rulings != committed.rulings),
    ];
    match differences.iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(format!("{what} come back as {:?}, and were {:?}", of(&after), of(committed))),
        None => Ok(()),
    }
}
