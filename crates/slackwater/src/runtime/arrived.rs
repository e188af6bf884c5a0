//! Finite inputs in the order in which they once arrived: the live history of a file, seen again.
//!
//! Events go in by (arrival, canonical order), and ticks fall on multiples of their interval: what arrived before a tick
//! precedes it. The core is given what a live service would give it, so its answers are those that were given then.

use super::Feed;
use super::engine::Folded;
use super::gauge::Gauge;
use crate::decode::{Damaged, Decoder, Format};
use slackwater_core::fold::Final;
use slackwater_core::input::{Batch, Decision, Decoded, Entry, Input, Tick};
use slackwater_core::machine::{Effects, Machine};
use slackwater_core::memory::Memory;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::Quarantined;
use slackwater_core::row::{Row, digest};
use std::cmp::Ordering;

/// Events of one input to the core, at most. No choice here changes a result.
const BATCH: usize = 4096;

/// An event among all that were decoded: its arrival, its batch, its place there. What was refused without one goes first.
type Arrived = (i64, u32, u32);

/// Folds everything that the feeds give as it arrived, with a tick every so many nanoseconds. Finals are of every
/// generation, in output order.
pub fn fold<F: Feed, E: From<F::Error> + From<Damaged>>(
    plan: &Plan,
    formats: &[Format],
    feeds: Vec<F>,
    every: i64,
    gauge: &Gauge,
    mut aside: impl FnMut(&[Quarantined]) -> Result<(), E>,
) -> Result<Folded, E> {
    let batches = decode::<F, E>(plan, formats, feeds, gauge)?;
    let order = order(plan, &batches);
    let mut run = Run::new(plan);
    let mut rest = &order[..];
    let mut next = 0;
    while let Some((arrival, ..)) = rest.first() {
        next = tick_behind(*arrival, every);
        run.wait(next, every);
        // Behind the last moment there is no tick.
        let now = rest.partition_point(|(arrival, ..)| *arrival < next || next == i64::MAX);
        for group in rest[..now].chunk_by(|a, b| alike(&batches[a.1 as usize], &batches[b.1 as usize])) {
            for part in group.chunks(BATCH) {
                let effects = run.step(Input::Events(gather(&batches, part)));
                aside(&effects.quarantined)?;
            }
        }
        run.tick(next);
        rest = &rest[now..];
    }
    run.step(Input::Decision(Decision::EndOfInput));
    run.tick(next.saturating_add(every));
    Ok(run.finish())
}

/// The first tick behind an arrival.
fn tick_behind(arrival: i64, every: i64) -> i64 {
    arrival.saturating_sub(arrival.rem_euclid(every)).saturating_add(every)
}

struct Run<'a> {
    plan: &'a Plan,
    machine: Machine,
    memory: [Memory; 1],
    finals: Vec<Final>,
    refolded: usize,
    /// The last tick, if there was one.
    ticked: Option<i64>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> Self {
        let (machine, memory) = (Machine::new(plan, 1, 1), [Memory::new()]);
        Run { plan, machine, memory, finals: Vec::new(), refolded: 0, ticked: None }
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut effects = self.machine.step(self.plan, &input, &mut self.memory);
        self.refolded += effects.refolded;
        self.finals.append(&mut effects.finals);
        effects
    }

    /// A file has nothing that is still unread, so every source has caught up.
    fn tick(&mut self, at: i64) {
        let caught_up = (0..self.plan.sources.len() as u16).collect();
        self.step(Input::Tick(Tick { at, caught_up }));
        self.ticked = Some(at);
    }

    /// Ticks through a time in which nothing arrives, but for the ticks that could not bring anything. Where time alone moves a
    /// watermark, the last of them is not left out: what comes next is late by that one, whether or not it sealed anything.
    fn wait(&mut self, until: i64, every: i64) {
        let before = until.saturating_sub(every);
        // What was refused without an arrival tells of no time at which somebody looked.
        let begun = |last: &i64| *last < before && *last > tick_behind(i64::MIN, every);
        let by_time = self.plan.sources.iter().any(|of| of.knobs.wall_clock || of.knobs.idle_after.is_some());
        while let Some(last) = self.ticked.filter(begun) {
            // The first tick that is not before that time.
            let next = match self.machine.next_move(self.plan, last) {
                Some(moves) => tick_behind(moves.saturating_sub(1), every),
                None if by_time => before,
                None => return,
            };
            if next > before && !by_time {
                return;
            }
            self.tick(next.max(last.saturating_add(every)).min(before));
        }
    }

    fn finish(mut self) -> Folded {
        self.finals.sort_by(Final::order);
        let faults = self.machine.folds().iter().flat_map(|fold| fold.faults()).sum();
        let held = (0..self.plan.sources.len() as u16).map(|source| self.machine.holds().count(source)).collect();
        Folded { finals: self.finals, seen: self.machine.seen(self.plan), faults, refolded: self.refolded, held }
    }
}

fn decode<F: Feed, E: From<F::Error> + From<Damaged>>(
    plan: &Plan,
    formats: &[Format],
    feeds: Vec<F>,
    gauge: &Gauge,
) -> Result<Vec<Batch>, E> {
    let mut decoders: Vec<Decoder<'_>> =
        plan.sources.iter().zip(formats).map(|(source, format)| Decoder::new(source, *format)).collect();
    let (mut batches, mut read) = (Vec::new(), 0);
    for mut feed in feeds {
        while let Some(chunk) = feed.next()? {
            let decoder = &mut decoders[usize::from(chunk.source)];
            decoder.begin(chunk);
            while decoder.is_busy() {
                let batch = decoder.next_batch()?;
                gauge.add_events(batch.entries().len() as u64);
                batches.push(batch);
            }
            gauge.set_read(read + feed.read());
        }
        read += feed.read();
    }
    Ok(batches)
}

/// All events in the order in which the core takes them.
fn order(plan: &Plan, batches: &[Batch]) -> Vec<Arrived> {
    let mut order: Vec<Arrived> = Vec::with_capacity(batches.iter().map(|batch| batch.entries().len()).sum());
    for (number, batch) in batches.iter().enumerate() {
        let arrival = |entry: &Entry| entry.arrival.unwrap_or(i64::MIN);
        let entries = batch.entries().iter().enumerate();
        order.extend(entries.map(|(place, entry)| (arrival(entry), number as u32, place as u32)));
    }
    order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| canonical(plan, batches, *a, *b)));
    order
}

/// Canonical order of two events; then by source and content, so that where they stood in the files says nothing.
fn canonical(plan: &Plan, batches: &[Batch], a: Arrived, b: Arrived) -> Ordering {
    let (x, y) = (&batches[a.1 as usize], &batches[b.1 as usize]);
    let (first, second) = (&x.entries()[a.2 as usize], &y.entries()[b.2 as usize]);
    let (Decoded::Row(one), Decoded::Row(other)) = (&first.decoded, &second.decoded) else {
        return matches!(first.decoded, Decoded::Row(_)).cmp(&matches!(second.decoded, Decoded::Row(_)));
    };
    let tie = |batch: &Batch, entry: &Entry| {
        let mut tie = Vec::new();
        let row = Row::new(&plan.sources[usize::from(batch.source)].schema, batch.bytes(entry));
        row.put_order((&batch.part, entry.position.offset), &mut tie);
        tie
    };
    one.time
        .cmp(&other.time)
        .then_with(|| tie(x, first).cmp(&tie(y, second)))
        .then_with(|| x.source.cmp(&y.source))
        .then_with(|| (one.version, one.op).cmp(&(other.version, other.op)))
        .then_with(|| digest(x.bytes(first)).cmp(&digest(y.bytes(second))))
}

fn alike(a: &Batch, b: &Batch) -> bool {
    a.source == b.source && a.decoder == b.decoder && a.part == b.part
}

fn gather(batches: &[Batch], part: &[Arrived]) -> Batch {
    let first = &batches[part[0].1 as usize];
    let mut batch = Batch::new(first.source, first.decoder, first.part.clone());
    for (_, number, place) in part {
        let from = &batches[*number as usize];
        batch.push_from(from, &from.entries()[*place as usize]);
    }
    batch
}
