//! `slackwater verify`: sealed rows against a recomputation from the archived facts.

use super::check::print;
use super::directory::{self, Committed};
use super::fold::Stop;
use super::gone;
use super::{Exit, VerifyArgs, tell};
use crate::connect::files::render;
use crate::runtime::recompute::{Feeding, Recomputation};
use serde_json::json;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_core::row::{IdentityBytes, Row};
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, Change, Changes};
use slackwater_store::sqlite::Sqlite;
use slackwater_store::store::{Ask, Head, Noted, Store};
use std::collections::{BTreeMap, BTreeSet};

/// Facts to the core at once, and shards, in the given order and in the orders drawn by lot.
const FEEDINGS: [Feeding; 4] = [
    Feeding { batch: 8192, shards: 1 },
    Feeding { batch: 1, shards: 7 },
    Feeding { batch: 37, shards: 2 },
    Feeding { batch: 1024, shards: 3 },
];

/// What was compared.
#[derive(Default)]
struct Compared {
    facts: usize,
    rows: usize,
    orders: u32,
    /// Rows whose facts were let go of.
    gone: usize,
    /// Generations of ticks behind the last checkpoint.
    later: usize,
    /// What is to be said of those two.
    notes: Vec<String>,
    /// Rows that are not what the facts give, in words.
    differ: Vec<String>,
}

pub(super) fn run(args: &VerifyArgs) -> Exit {
    let compared = match verify(args) {
        Ok(compared) => compared,
        Err(stop) => return stop.report(),
    };
    let Compared { facts, rows, orders, gone, later, notes, differ } = &compared;
    let text = match args.json {
        true => {
            let value = json!({
                "facts": facts, "rows": rows, "orders": orders, "gone": gone, "later": later, "differ": differ
            });
            format!("{value}\n")
        }
        false => format!("rows {rows}, from facts {facts}, in orders {orders}: {} differ\n", differ.len()),
    };
    notes.iter().for_each(|note| tell(&format!("note: {note}\n")));
    if !args.json {
        differ.iter().for_each(|row| tell(&format!("differs: {row}\n")));
    }
    match print(&text) {
        Exit::Done if !differ.is_empty() => Exit::Wrong,
        exit => exit,
    }
}

type Rows = BTreeMap<(u16, Vec<u8>), Final>;

fn verify(args: &VerifyArgs) -> Result<Compared, Stop> {
    directory::committed(&args.data, |committed| verify_from(args, committed))
}

fn verify_from(args: &VerifyArgs, committed: Committed) -> Result<Compared, Stop> {
    let Committed { plan, mut store, head, archive } = committed;
    store.check()?;
    let only = match &args.pipeline {
        Some(name) => Some(directory::pipeline(&plan, Some(name))?),
        None => None,
    };
    let wanted = |pipeline: u16| only.is_none_or(|only| only == pipeline);
    let mut compared = Compared::default();
    let pipelines = (0..plan.pipelines.len() as u16).filter(|pipeline| wanted(*pipeline));
    let stored = sealed_rows((&plan, pipelines), &mut store, &head, &mut compared)?;
    let held = store.held(Some(head.ticks))?;
    drop(store);
    let mut facts = Facts { plan: &plan, archive: &archive, kept: Changes::new(), order: Vec::new() };
    compared.rows = stored.len();
    let mut lot = 0x9e37_79b9_7f4a_7c15u64;
    for number in 0..=args.permute {
        if number > 0 {
            facts.shuffle(&mut lot)?;
        }
        let feeding = FEEDINGS[number as usize % FEEDINGS.len()];
        let (rows, count) = again(&head, &facts, &held, feeding)?;
        compared.facts = count;
        let shown = |row: &Final| wanted(row.pipeline) && !gone::is_gone(&plan, &head, row);
        let again: Rows = rows.into_iter().filter(shown).map(|row| (id(&row), row)).collect();
        let mut differ = |row: &Final, what: &str| {
            let mut text = String::new();
            render::ndjson(&plan, row, &mut text);
            compared.differ.push(format!("{what}: {}", text.trim_end()));
        };
        for (id, row) in &stored {
            match again.get(id) {
                Some(other) if other.digest == row.digest => {}
                Some(other) => differ(other, "the facts give"),
                None => differ(row, "the facts give no row for"),
            }
        }
        for (_, row) in again.iter().filter(|(id, _)| !stored.contains_key(*id)) {
            differ(row, "nothing was committed of");
        }
        compared.orders += 1;
    }
    Ok(compared)
}

/// The rows as they were at the last checkpoint, but for those that nobody can look into any more; with what is to be said of
/// the others.
fn sealed_rows(
    (plan, pipelines): (&Plan, impl Iterator<Item = u16>),
    store: &mut Sqlite,
    head: &Head,
    compared: &mut Compared,
) -> Result<Rows, Stop> {
    let mut stored = Rows::new();
    let ask = Ask { generations: true, ..Ask::default() };
    for pipeline in pipelines {
        store.rows(pipeline, &ask, &mut |kept| {
            match kept.tick <= head.ticks {
                // The newest generation of a row comes last.
                true => drop(stored.insert(id(&kept.row), kept.row)),
                false => compared.later += 1,
            }
            Ok(())
        })?;
    }
    stored.retain(|_, row| !row.removed);
    let rows = stored.len();
    stored.retain(|_, row| !gone::is_gone(plan, head, row));
    compared.gone = rows - stored.len();
    let why = (0..plan.sources.len() as u16).filter_map(|source| gone::in_words(plan, head, source));
    let gone = compared.gone;
    compared
        .notes
        .extend(why.map(|why| format!("{why}: {gone} rows stand as they were committed, and are not compared")));
    if compared.later > 0 {
        let (tick, later) = (head.ticks, compared.later);
        let note =
            format!("the last checkpoint is of tick {tick}: {later} generations that came behind it are not compared");
        compared.notes.push(note);
    }
    Ok(stored)
}

/// The facts behind the rows.
struct Facts<'a> {
    plan: &'a Plan,
    archive: &'a Archive,
    /// All of them, where another order than the archive's is asked for, and that order.
    kept: Changes,
    order: Vec<usize>,
}

impl Facts<'_> {
    /// Gives each of them once.
    fn each(&self, visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
        if !self.order.is_empty() {
            self.order.iter().for_each(|at| visit(&self.kept.get(*at)));
            return Ok(());
        }
        // What a process beside this one merges, and lets go of, is mostly of late: it is opened first.
        self.archive.spans().into_iter().rev().try_for_each(|(from, to, source)| {
            let kept = self.archive.kept_from(source).map_or(from, i128::from);
            self.archive.facts(source, from.max(kept), to, None, visit)
        })
    }

    /// From here on in another order, the same on every machine.
    fn shuffle(&mut self, lot: &mut u64) -> Result<(), Fault> {
        if self.order.is_empty() {
            let mut kept = Changes::new();
            self.each(&mut |fact| kept.push(fact))?;
            (self.order, self.kept) = ((0..kept.len()).collect(), kept);
        }
        for at in (1..self.order.len()).rev() {
            // xorshift64: good enough to mix, and nothing rests on it.
            *lot ^= *lot << 13;
            *lot ^= *lot >> 7;
            *lot ^= *lot << 17;
            self.order.swap(at, (*lot % (at as u64 + 1)) as usize);
        }
        Ok(())
    }
}

/// The rows that facts give under the watermarks of a commit, each pipeline without what it holds; and how many facts
/// there are.
fn again(head: &Head, facts: &Facts<'_>, held: &[Noted], feeding: Feeding) -> Result<(Vec<Final>, usize), Fault> {
    if held.is_empty() {
        return folded(head, facts, feeding, |_| true);
    }
    let (mut all, mut count) = (Vec::new(), 0);
    for number in 0..facts.plan.pipelines.len() as u16 {
        let mine: BTreeSet<&[u8]> =
            held.iter().filter(|one| one.note.pipeline == number).map(|one| &*one.note.identity).collect();
        let mut bytes = IdentityBytes::default();
        let (rows, given) = folded(head, facts, feeding, |fact| {
            let row = Row::new(&facts.plan.sources[usize::from(fact.source)].schema, fact.content);
            !mine.contains(bytes.of(row, fact.source, (fact.part, fact.position.offset)))
        })?;
        all.extend(rows.into_iter().filter(|row| row.pipeline == number));
        count = given;
    }
    Ok((all, count))
}

/// The rows that those facts give which count, and how many there are of all.
fn folded(
    head: &Head,
    facts: &Facts<'_>,
    feeding: Feeding,
    mut counts: impl FnMut(&Change<'_>) -> bool,
) -> Result<(Vec<Final>, usize), Fault> {
    let (mut rows, mut given) = (Recomputation::new(facts.plan, feeding), 0);
    facts.each(&mut |fact| {
        given += 1;
        if counts(fact) {
            rows.push(fact);
        }
    })?;
    Ok((rows.finish(&head.settled), given))
}

fn id(row: &Final) -> (u16, Vec<u8>) {
    let mut id = Vec::new();
    row.put_id(&mut id);
    (row.pipeline, id)
}
