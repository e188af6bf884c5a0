//! What a tick gives: generation 1 of the windows that seal, and the next one of sealed windows that changed.

use super::cell::Sealed;
use super::{Final, Fold, Settled};
use crate::aggregate::finish;
use crate::codec::{Reader, put_bytes};
use crate::delta::Cause;
use crate::plan::expr::Faults;
use crate::plan::{Pipeline, Plan};
use crate::planted::{self, Bug};
use crate::value::{Scalar, Value};
use crate::window::Window;
use alloc::vec::Vec;

impl Fold {
    /// Moves to what is settled now, by pipeline, and gives the rows that became or changed as final, in the order of
    /// pipeline, window and key. Stale windows must have been folded again.
    pub fn tick(&mut self, plan: &Plan, settled: &[Settled]) -> Vec<Final> {
        assert!(self.stale.is_empty(), "windows are folded again before a tick");
        for (mine, now) in self.settled.iter_mut().zip(settled) {
            *mine = (*mine).max(*now);
        }
        let mut finals = Vec::new();
        for number in core::mem::take(&mut self.changed) {
            self.cells[number as usize].changed = false;
            finals.extend(self.amend(plan, number));
        }
        for number in self.take_sealing(plan) {
            finals.extend(self.seal(plan, number));
        }
        finals.sort_unstable_by(Final::order);
        finals
    }

    /// The open cells that what is settled covers. They leave the queue of open cells.
    fn take_sealing(&mut self, plan: &Plan) -> Vec<u32> {
        let mut sealing = Vec::new();
        for pipeline in 0..plan.pipelines.len() as u16 {
            let settled = self.settled[usize::from(pipeline)];
            while let Some((at, _)) = self.open.range((pipeline, i128::MIN)..=(pipeline, i128::MAX)).next()
                && settled.covers(at.1)
            {
                let at = *at;
                sealing.extend(self.open.remove(&at).expect("just found"));
            }
        }
        sealing
    }

    fn seal(&mut self, plan: &Plan, number: u32) -> Option<Final> {
        let row = self.row(plan, number);
        let cell = &mut self.cells[number as usize];
        let cause = cell.cause.take().filter(|_| cell.late).unwrap_or(Cause::Seal);
        let Some(mut row) = row else {
            self.let_go(plan, number);
            return None;
        };
        (row.generation, row.cause) = (1, cause);
        cell.sealed = Some(Sealed { generation: 1, removed: false, digest: row.digest });
        Some(row)
    }

    /// A cell that makes no row. An empty one is forgotten; one that HAVING refuses waits for a change.
    fn let_go(&mut self, plan: &Plan, number: u32) {
        let cell = &mut self.cells[number as usize];
        if cell.rows > 0 {
            let group = cell.group as usize;
            let pipeline = &plan.pipelines[usize::from(self.groups[group].pipeline)];
            let (digest, removed) = (digest(pipeline, &self.groups[group].key, cell.window, true, &[]), true);
            cell.sealed = Some(Sealed { generation: 0, removed, digest });
            return;
        }
        let (group, start) = (cell.group as usize, cell.window.start);
        self.groups[group].windows.remove(&start);
        self.groups[group].last = None;
        self.free.push(number);
    }

    fn amend(&mut self, plan: &Plan, number: u32) -> Option<Final> {
        let row = self.row(plan, number);
        let (group, window) = (self.cells[number as usize].group as usize, self.cells[number as usize].window);
        let pipeline_number = self.groups[group].pipeline;
        let pipeline = &plan.pipelines[usize::from(pipeline_number)];
        let mut row = row.unwrap_or_else(|| Final {
            pipeline: pipeline_number,
            key: decode_key(pipeline, &self.groups[group].key),
            window,
            generation: 0,
            cause: Cause::Seal,
            removed: true,
            values: pipeline.columns.iter().map(|_| Scalar::Plain(Value::Null)).collect(),
            digest: digest(pipeline, &self.groups[group].key, window, true, &[]),
        });
        let cell = &mut self.cells[number as usize];
        let cause = cell.cause.take().unwrap_or(Cause::Late);
        let sealed = cell.sealed.as_mut().expect("only sealed cells are amended");
        if sealed.digest == row.digest {
            return None;
        }
        sealed.generation += 1;
        (sealed.digest, sealed.removed) = (row.digest, row.removed);
        (row.generation, row.cause) = (sealed.generation, cause);
        Some(row)
    }

    /// The row that a cell makes now, if it makes one.
    fn row(&mut self, plan: &Plan, number: u32) -> Option<Final> {
        let cell = &self.cells[number as usize];
        assert!(cell.rows >= 0, "no more facts are taken away than were added");
        if cell.rows == 0 {
            return None;
        }
        let group = &self.groups[cell.group as usize];
        let pipeline = &plan.pipelines[usize::from(group.pipeline)];
        let mut faults: Faults = 0;
        let mut inputs = decode_key(pipeline, &group.key);
        let key = inputs.clone();
        for result in &pipeline.results {
            inputs.push(finish(result, &cell.states, &mut faults));
        }
        let inputs = inputs.as_slice();
        let holds =
            pipeline.having.as_ref().is_none_or(|having| having.eval(&inputs, &mut faults).as_bool() == Some(true));
        let values: Vec<Scalar> =
            pipeline.columns.iter().map(|column| column.expr.eval(&inputs, &mut faults).to_scalar()).collect();
        let digest = digest(pipeline, &group.key, cell.window, false, &values);
        let row = Final {
            pipeline: group.pipeline,
            key,
            window: cell.window,
            generation: 0,
            cause: Cause::Seal,
            removed: false,
            values,
            digest,
        };
        self.faults[usize::from(group.pipeline)] += faults;
        holds.then_some(row)
    }
}

impl Final {
    /// Output order: pipeline, window start, key.
    pub fn order(&self, other: &Final) -> core::cmp::Ordering {
        if planted::is(Bug::MapOrderInOutput) {
            return core::cmp::Ordering::Equal;
        }
        let keys = || {
            let pairs = self.key.iter().zip(&other.key);
            pairs.map(|(a, b)| a.value().order(&b.value())).find(|order| order.is_ne())
        };
        let head = (self.pipeline, self.window.start).cmp(&(other.pipeline, other.window.start));
        head.then_with(|| keys().unwrap_or(core::cmp::Ordering::Equal)).then(self.generation.cmp(&other.generation))
    }
}

fn decode_key(pipeline: &Pipeline, key: &[u8]) -> Vec<Scalar> {
    let mut reader = Reader::new(key);
    let mut column = |ty| Value::decode(&mut reader, ty).expect("a key is as it was encoded").to_scalar();
    pipeline.key.iter().map(|key| column(key.expr.ty)).collect()
}

/// BLAKE3 over what a row says: pipeline, key, window, flags, typed values. Tier, generation and cause are not part.
fn digest(pipeline: &Pipeline, key: &[u8], window: Window, removed: bool, values: &[Scalar]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256);
    put_bytes(&mut bytes, pipeline.name.as_bytes());
    put_bytes(&mut bytes, key);
    bytes.extend_from_slice(&window.start.to_le_bytes());
    bytes.extend_from_slice(&window.end.to_le_bytes());
    bytes.push(u8::from(removed));
    for (column, value) in pipeline.columns.iter().zip(values) {
        // The scale is part of a decimal's value; the encoding holds its mantissa only.
        if let Some(scale) = column.expr.ty.scale() {
            bytes.push(scale);
        }
        value.value().encode(&mut bytes);
    }
    *blake3::hash(&bytes).as_bytes()
}
