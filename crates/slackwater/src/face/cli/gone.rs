//! Which rows cannot be looked into any more, because `keep_facts` let go of what they were made of.

use slackwater_core::cutoff::let_go_of;
use slackwater_core::fold::Final;
use slackwater_core::plan::{Pipeline, Plan, Windowing};
use slackwater_store::store::Head;

/// Whether facts that decide a row were let go of, or may have been: the row stands as it was committed.
pub(super) fn is_gone(plan: &Plan, head: &Head, row: &Final) -> bool {
    let pipeline = &plan.pipelines[usize::from(row.pipeline)];
    let Some(cutoff) = head.cutoffs.of(pipeline.source).filter(|cutoff| cutoff.lets_go()) else { return false };
    reaches_back_to(pipeline, row) < cutoff.facts.into()
}

/// The earliest time at which a fact may have been that decided where a row begins.
fn reaches_back_to(pipeline: &Pipeline, row: &Final) -> i128 {
    match &pipeline.windowing {
        Windowing::Aligned(_) => row.window.start,
        // One that lies before it by no more than this would be its first.
        Windowing::Session { gap } => row.window.start - i128::from(*gap),
        Windowing::Bars(_) => row.bar.and_then(|bar| bar.anchor).unwrap_or(i64::MIN.into()),
    }
}

/// What a person should know of it; none where nothing was let go of.
pub(super) fn in_words(plan: &Plan, head: &Head, source: u16) -> Option<String> {
    let cutoff = head.cutoffs.of(source).filter(|cutoff| cutoff.lets_go())?;
    Some(let_go_of(&plan.sources[usize::from(source)].name, cutoff.facts))
}
