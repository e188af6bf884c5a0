//! How far back facts can be asked for: what a cutoff must leave.

use super::Fold;
use super::group::{Group, Panes};
use super::period::Period;
use crate::plan::{Plan, Windowing};
use crate::row::Row;

impl Fold {
    /// The earliest event time of a fact of a source that anything at `from` or behind it can ever ask for here, at a tick.
    /// What comes later than now, and lies behind `from`, can make it no earlier.
    pub fn reaches_back(&self, plan: &Plan, source: u16, from: i64) -> i128 {
        let mine = (0..).zip(&plan.pipelines).filter(|(_, pipeline)| pipeline.source == source);
        let laid = mine.filter_map(|(_, pipeline)| match &pipeline.windowing {
            Windowing::Aligned(rule) => {
                // Of a pause between windows the next one covers nothing before.
                rule.slice(from).and_then(|slice| rule.windows(slice).next()).map(|first| first.start)
            }
            _ => None,
        });
        let groups = self.groups.iter().filter(|group| plan.pipelines[usize::from(group.pipeline)].source == source);
        let made = groups.filter_map(|group| match &plan.pipelines[usize::from(group.pipeline)].windowing {
            Windowing::Aligned(_) => None,
            Windowing::Session { gap } => self.session_at(group, *gap, from),
            Windowing::Bars(_) => group.bars_at(from),
        });
        laid.chain(made).min().map_or(from.into(), |earliest| earliest.min(from.into()))
    }

    /// The first fact of the session of a key that a fact at a time or behind it may still belong to.
    fn session_at(&self, group: &Group, gap: i64, from: i64) -> Option<i128> {
        let Panes::Sessions(sessions) = &group.panes else { unreachable!("sessions") };
        let near = |last: i128| last + i128::from(gap) >= i128::from(from);
        let here = sessions.range(..from).next_back();
        let here = here.filter(|(_, cell)| near(self.cells[**cell as usize].span.end)).map(|(first, _)| *first);
        let left = group.departed.range(..from).next_back();
        let left = left.filter(|(_, last)| near((**last).into())).map(|(first, _)| *first);
        here.into_iter().chain(left).min().map(i128::from)
    }

    /// The earliest event time of the facts of a source that are held here.
    pub fn held_from(&self, plan: &Plan, source: u16) -> Option<i64> {
        let schema = &plan.sources[usize::from(source)].schema;
        let mine =
            self.parked.iter().filter(|((pipeline, _), _)| plan.pipelines[usize::from(*pipeline)].source == source);
        let held = mine.filter_map(|((_, identity), group)| self.groups[*group as usize].parked.get(identity));
        held.map(|parked| Row::new(schema, &parked.content).event_time()).min()
    }
}

impl Group {
    /// Where the bars of a key are taken up again for a fact at a time or behind it.
    fn bars_at(&self, from: i64) -> Option<i128> {
        let Panes::Bars(periods) = &self.panes else { unreachable!("bars") };
        let (anchor, period) = periods.range(..i128::from(from)).next_back()?;
        (period.end > i128::from(from)).then(|| period.taken_up(from).map_or(*anchor, i128::from))
    }
}

impl Period {
    /// The last mark that lies before a time, from which on facts are needed for a change at that time or behind it. Where no
    /// fact was let go, the first fact; none where all since the anchor are needed.
    fn taken_up(&self, from: i64) -> Option<i64> {
        if self.past.is_empty() {
            let facts = self.facts.iter().chain(self.pending.iter().map(|(_, held)| held));
            return facts.map(|held| held.time).min().or(Some(from));
        }
        self.past.iter().rev().find(|past| past.time < from).map(|past| past.time)
    }
}
