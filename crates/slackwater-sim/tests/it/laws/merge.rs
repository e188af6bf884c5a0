//! Accumulators form a commutative monoid: split the rows as you like and merge the parts as you like.

use super::{Drawn, cases, law};
use proptest::prelude::*;
use slackwater_core::aggregate::{Accumulator, Contribution, Sign, accumulate};
use slackwater_core::input::{Batch, Decoded};
use slackwater_core::plan::{Expr, Pipeline, State};
use slackwater_core::row::{Op, Row};
use slackwater_core::value::Value;
use slackwater_sim::rng::Rng;
use std::collections::BTreeSet;

/// A row as accumulators see it.
struct Seen<'a> {
    row: Row<'a>,
    place: (&'a str, u64),
    tie: Vec<u8>,
}

impl<'a> Contribution<'a> for Seen<'a> {
    fn value(&mut self, expr: &'a Expr) -> Value<'a> {
        expr.eval(&self.row, &mut 0)
    }

    fn number(&mut self, expr: &'a Expr) -> Option<i128> {
        self.value(expr).as_i128()
    }

    fn time(&self) -> i64 {
        self.row.event_time()
    }

    fn tie(&mut self) -> &[u8] {
        self.tie.clear();
        self.row.put_order(self.place, &mut self.tie);
        &self.tie
    }
}

/// The rows with content, each with its place, one of each identity: a fold is given facts.
fn rows<'a>(drawn: &Drawn, batches: &'a [Batch]) -> Vec<(Row<'a>, (&'a str, u64))> {
    let schema = &drawn.plan().sources[0].schema;
    let (mut rows, mut met) = (Vec::new(), BTreeSet::new());
    for batch in batches {
        for entry in batch.entries() {
            if matches!(&entry.decoded, Decoded::Row(head) if head.op == Op::Assert && met.insert(head.identity)) {
                rows.push((Row::new(schema, batch.bytes(entry)), (&*batch.part, entry.position.offset)));
            }
        }
    }
    rows
}

fn folded<'a>(state: &'a State, rows: &[(Row<'a>, (&'a str, u64))]) -> Accumulator {
    let mut sum = Accumulator::new(&state.kind);
    for (row, place) in rows {
        accumulate(state, &mut sum, Sign::Plus, &mut Seen { row: *row, place: *place, tie: Vec::new() });
    }
    sum
}

fn merged(state: &State, a: &Accumulator, b: &Accumulator) -> Accumulator {
    let mut sum = a.clone();
    sum.merge(b, &state.kind);
    sum
}

fn bytes(accumulator: &Accumulator) -> Vec<u8> {
    let mut out = Vec::new();
    accumulator.encode(&mut out);
    out
}

/// A case's rows dealt out to so many parts.
fn parts<'a>(rng: &mut Rng, rows: &[(Row<'a>, (&'a str, u64))], count: usize) -> Vec<Vec<(Row<'a>, (&'a str, u64))>> {
    let mut parts = vec![Vec::new(); count];
    rows.iter().for_each(|row| parts[rng.below(count)].push(*row));
    parts
}

fn states(pipelines: &'static [Pipeline]) -> impl Iterator<Item = &'static State> {
    pipelines.iter().flat_map(|pipeline| &pipeline.states)
}

#[test]
fn merging_is_associative_commutative_and_has_an_identity() {
    law("merging_is_associative_commutative_and_has_an_identity", cases(12), |case| {
        let mut drawn = case.draw();
        let batches = drawn.batches(&drawn.in_order(), 8);
        let rows = rows(&drawn, &batches);
        let parts = parts(&mut drawn.rng, &rows, 3);
        for state in states(&drawn.plan().pipelines) {
            let [a, b, c] = [0, 1, 2].map(|part| folded(state, &parts[part]));
            let nothing = Accumulator::new(&state.kind);
            prop_assert_eq!(bytes(&merged(state, &a, &b)), bytes(&merged(state, &b, &a)), "commutative: {:?}", state);
            let (left, right) = (merged(state, &merged(state, &a, &b), &c), merged(state, &a, &merged(state, &b, &c)));
            prop_assert_eq!(bytes(&left), bytes(&right), "associative: {:?}", state);
            prop_assert_eq!(bytes(&merged(state, &a, &nothing)), bytes(&a), "identity: {:?}", state);
            prop_assert_eq!(bytes(&merged(state, &nothing, &a)), bytes(&a), "identity: {:?}", state);
        }
        Ok(())
    });
}

#[test]
fn any_split_and_any_merge_tree_give_the_same_bytes() {
    law("any_split_and_any_merge_tree_give_the_same_bytes", cases(14), |case| {
        let mut drawn = case.draw();
        let batches = drawn.batches(&drawn.in_order(), 8);
        let rows = rows(&drawn, &batches);
        let count = 1 + drawn.rng.below(6);
        let parts = parts(&mut drawn.rng, &rows, count);
        for state in states(&drawn.plan().pipelines) {
            let mut forest: Vec<Accumulator> = parts.iter().map(|part| folded(state, part)).collect();
            while forest.len() > 1 {
                let a = forest.swap_remove(drawn.rng.below(forest.len()));
                let at = drawn.rng.below(forest.len());
                forest[at] = merged(state, &forest[at], &a);
            }
            prop_assert_eq!(bytes(&forest[0]), bytes(&folded(state, &rows)), "{:?}", state);
        }
        // The same of whole machines: identities and keys are dealt out to shards.
        let mut roots = Vec::new();
        for (judges, folds) in [(1, 1), (1 + drawn.rng.below(5), 1 + drawn.rng.below(5))] {
            let mut run = super::Run::new(drawn.plan(), judges, folds);
            run.events(drawn.batches(&drawn.in_order(), 1 + drawn.rng.clone().below(5)));
            roots.push(run.finish());
        }
        prop_assert_eq!(&roots[0], &roots[1]);
        Ok(())
    });
}
