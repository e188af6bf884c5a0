//! `slackwater explain`: the facts behind a number, folded again to the same bits.

use super::check::print;
use super::directory::{self, Committed};
use super::fold::Stop;
use super::{Exit, ExplainArgs, gone, tell};
use crate::connect::files::render;
use crate::face::key;
use crate::runtime::recompute::{Feeding, Recomputation};
use slackwater_core::fold::{Final, Settled};
use slackwater_core::plan::{Pipeline, Plan, Windowing};
use slackwater_core::row::{IdentityBytes, Row};
use slackwater_core::time::format_rfc3339;
use slackwater_core::window::Window;
use slackwater_store::Fault;
use slackwater_store::archive::{Change, Changes};
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::{Ask, Kept, Store};
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) fn run(args: &ExplainArgs) -> Exit {
    match explain(args) {
        Ok((text, same)) => match print(&text) {
            Exit::Done if !same => Exit::Wrong,
            exit => exit,
        },
        Err(stop) => stop.report(),
    }
}

/// What is to be printed, and whether the row is what its facts give.
fn explain(args: &ExplainArgs) -> Result<(String, bool), Stop> {
    directory::committed(&args.data, |committed| explain_from(args, committed))
}

fn explain_from(args: &ExplainArgs, committed: Committed) -> Result<(String, bool), Stop> {
    let Committed { plan, mut store, archive, head } = committed;
    store.check()?;
    let number = directory::pipeline(&plan, Some(&args.pipeline))?;
    let pipeline = &plan.pipelines[usize::from(number)];
    let kept = &asked(args, (&plan, number), &mut store)?;
    if kept.tick > head.ticks {
        return Err(Stop::Kept(Fault::Refused(format!(
            "generation {} of this row is of tick {}, and the last checkpoint is of tick {}: what it is made of can be shown \
             from the next checkpoint on; ask again then, or name an earlier --generation",
            kept.row.generation, kept.tick, head.ticks
        ))));
    }
    if gone::is_gone(&plan, &head, &kept.row) {
        let mut text = String::new();
        render::ndjson(&plan, &kept.row, &mut text);
        let why = gone::in_words(&plan, &head, pipeline.source).unwrap_or_default();
        tell(&format!("note: {why}: what this row was made of cannot be shown; it stands as it was committed\n"));
        return Ok((text, true));
    }
    let (mut facts, span) = (Changes::new(), span(pipeline, &kept.row));
    let schema = &plan.sources[usize::from(pipeline.source)].schema;
    let key_of = |content: &[u8]| {
        let mut key = Vec::new();
        pipeline.key_hash(number, Row::new(schema, content), &mut key);
        key
    };
    let mut key = Vec::new();
    kept.row.key.iter().for_each(|value| value.value().encode(&mut key));
    let held = store.held(Some(kept.tick))?.into_iter().map(|one| one.note).filter(|note| note.pipeline == number);
    let held: BTreeSet<Box<[u8]>> = held.map(|note| note.identity).collect();
    let mut bytes = IdentityBytes::default();
    archive.facts(pipeline.source, span.start, span.end, Some(kept.tick), &mut |fact| {
        let place = (fact.part, fact.position.offset);
        if key_of(fact.content) == key && !held.contains(bytes.of(Row::new(schema, fact.content), fact.source, place)) {
            facts.push(fact);
        }
    })?;
    let all = vec![Settled::All; plan.pipelines.len()];
    let mut again = Recomputation::new(&plan, Feeding { batch: 1024, shards: 1 });
    facts.iter().for_each(|fact| again.push(&fact));
    let again = again.finish(&all).into_iter().find(|row| same_row(row, &kept.row));
    let same = match &again {
        Some(again) => again.digest == kept.row.digest,
        None => kept.row.removed,
    };
    let shown = facts.iter().filter(|fact| inside(pipeline, Row::new(schema, fact.content), &kept.row));
    Ok((text(args.json, &plan, kept, shown, same), same))
}

/// The one row that is asked for.
fn asked(args: &ExplainArgs, (plan, number): (&Plan, u16), store: &mut Sqlite) -> Result<Kept, Stop> {
    let keys = directory::keys(plan, number, &args.keys)?;
    let mut found: Vec<Kept> = Vec::new();
    let ask = Ask { generations: true, ..Ask::default() };
    store.rows(number, &ask, &mut |kept| {
        let wanted = kept.row.window.start == args.window
            && args.bar.is_none_or(|bar| kept.row.bar.is_some_and(|known| known.ordinal == bar))
            && args.generation.is_none_or(|generation| kept.row.generation == generation)
            && key::has(plan, &kept.row, &keys);
        if wanted {
            found.retain(|other| !same_row(&other.row, &kept.row));
            found.push(kept);
        }
        Ok(())
    })?;
    match found.len() {
        0 => Err(Stop::Usage("there is no such row; `slackwater query` lists them".to_string())),
        1 => Ok(found.remove(0)),
        _ => {
            let text = "there are several such rows; add --key for every group-by column, or --bar:\n";
            let mut text = text.to_string();
            found.iter().for_each(|kept| render::ndjson(plan, &kept.row, &mut text));
            Err(Stop::Usage(text.trim_end().to_string()))
        }
    }
}

fn same_row(a: &Final, b: &Final) -> bool {
    let id = |row: &Final| {
        let mut id = Vec::new();
        row.put_id(&mut id);
        id
    };
    a.pipeline == b.pipeline && id(a) == id(b)
}

/// The times whose facts decide a row, the end left out. Of a bar that is everything since its anchor.
fn span(pipeline: &Pipeline, row: &Final) -> Window {
    let Window { start, end } = row.window;
    match &pipeline.windowing {
        Windowing::Aligned(_) => row.window,
        // A row that is no more may have become part of a session beside it.
        Windowing::Session { gap } => Window { start: start - i128::from(*gap), end: end + 1 },
        Windowing::Bars(_) => {
            let anchor = row.bar.and_then(|bar| bar.anchor);
            // The next fact may be what closed it.
            Window { start: anchor.unwrap_or(i64::MIN.into()), end: i128::from(i64::MAX) + 1 }
        }
    }
}

/// Whether a fact lies in the extent of a row. Facts of one time at the border of two bars are shown with both.
fn inside(pipeline: &Pipeline, fact: Row<'_>, row: &Final) -> bool {
    let (time, Window { start, end }) = (i128::from(fact.event_time()), row.window);
    let within = match &pipeline.windowing {
        Windowing::Bars(_) => time <= end,
        _ => time < end,
    };
    start <= time && within && pipeline.takes(fact)
}

fn text<'a>(json: bool, plan: &Plan, kept: &Kept, facts: impl Iterator<Item = Change<'a>>, same: bool) -> String {
    let (mut text, mut count) = (String::new(), 0);
    for fact in facts {
        count += 1;
        let schema = &plan.sources[usize::from(fact.source)].schema;
        let _ = write!(text, "{{\"tick\":{},\"file\":{},", fact.tick, serde_json::json!(fact.part));
        let _ = write!(text, "\"offset\":{},\"line\":{},\"fact\":", fact.position.offset, fact.position.line);
        render::content(Row::new(schema, fact.content), &mut text);
        text.push_str("}\n");
    }
    render::ndjson(plan, &kept.row, &mut text);
    if !json {
        let mut at = String::new();
        let _ = format_rfc3339(kept.at, &mut at);
        let verdict = if same { "folded again: the same bits" } else { "folded again: NOT the same" };
        let _ = writeln!(text, "facts {count}, visible since tick {} at {at}; {verdict}", kept.tick);
    }
    text
}
