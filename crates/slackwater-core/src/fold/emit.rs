//! From states to a final row, and from the row that was last sealed to its next generation.

use super::group::{Group, RowId, Sealed};
use super::{Bar, Final};
use crate::aggregate::{Accumulator, finish};
use crate::codec::{Reader, put_bytes};
use crate::delta::Cause;
use crate::plan::Pipeline;
use crate::plan::expr::Faults;
use crate::planted::{self, Bug};
use crate::value::{Scalar, Value};
use crate::window::Window;
use alloc::vec::Vec;

/// A row that may have become, changed or ceased.
pub(super) struct Candidate {
    pub id: RowId,
    pub window: Window,
    pub bar: Option<Bar>,
    /// Whether what was settled before this tick covered it already.
    pub before: bool,
    /// The first cause that applies among the changes that touch it.
    pub cause: Option<Cause>,
}

/// The generation that a candidate makes, if it makes one; without states there is no row. What it holds is noted as
/// sealed. Nulls that are made for a row which stays as it was are not counted: how often it is looked at depends on what
/// came and went in between.
pub(super) fn settle(
    pipeline: &Pipeline,
    group: &mut Group,
    candidate: Candidate,
    states: Option<&[Accumulator]>,
    faults: &mut Faults,
) -> Option<Final> {
    let Candidate { id, window, bar, before, cause } = candidate;
    let mut made = 0;
    let values = states.and_then(|states| values(pipeline, &group.key, states, &mut made));
    let removed = values.is_none();
    let nulls = || pipeline.columns.iter().map(|_| Scalar::NULL).collect();
    let shown = values.as_deref().unwrap_or_default();
    let digest = digest(pipeline, &group.key, (window, bar), removed, shown);
    let known = group.rows.get(&id);
    let cause = match known {
        None if removed => return None,
        Some(known) if known.digest == digest || (known.removed && removed) => return None,
        // It seals for the first time, or again.
        _ if !before && !removed && known.is_none_or(|known| known.removed) => Cause::Seal,
        _ => cause.unwrap_or(Cause::Late),
    };
    let generation = known.map_or(1, |known| known.generation + 1);
    let complete = bar.is_none_or(|bar| bar.complete);
    group.rows.insert(id, Sealed { generation, removed, window, complete, digest });
    *faults += made;
    Some(Final {
        pipeline: group.pipeline,
        key: decode_key(pipeline, &group.key),
        window,
        bar,
        generation,
        cause,
        removed,
        values: values.unwrap_or_else(nulls),
        digest,
    })
}

/// The selected columns, if HAVING lets the row pass.
pub(super) fn values(
    pipeline: &Pipeline,
    key: &[u8],
    states: &[Accumulator],
    faults: &mut Faults,
) -> Option<Vec<Scalar>> {
    let mut inputs = decode_key(pipeline, key);
    for result in &pipeline.results {
        inputs.push(finish(result, states, faults));
    }
    let inputs = inputs.as_slice();
    let holds = pipeline.having.as_ref().is_none_or(|having| having.eval(&inputs, faults).as_bool() == Some(true));
    let values = pipeline.columns.iter().map(|column| column.expr.eval(&inputs, faults).to_scalar()).collect();
    holds.then_some(values)
}

impl Final {
    /// Output order: pipeline, window start, key, bar.
    pub fn order(&self, other: &Final) -> core::cmp::Ordering {
        if planted::is(Bug::MapOrderInOutput) {
            return core::cmp::Ordering::Equal;
        }
        let keys = || {
            let pairs = self.key.iter().zip(&other.key);
            pairs.map(|(a, b)| a.value().order(&b.value())).find(|order| order.is_ne())
        };
        let head = (self.pipeline, self.window.start).cmp(&(other.pipeline, other.window.start));
        let number = |row: &Final| row.bar.map(|bar| (bar.anchor, bar.ordinal));
        head.then_with(|| keys().unwrap_or(core::cmp::Ordering::Equal))
            .then_with(|| number(self).cmp(&number(other)))
            .then(self.generation.cmp(&other.generation))
    }

    /// The order of rows by what they are, whatever their generation: pipeline, key, and bar or window start.
    pub fn row_order(&self, other: &Final) -> core::cmp::Ordering {
        let keys = self.key.iter().zip(&other.key).map(|(a, b)| a.value().order(&b.value()));
        let number = |row: &Final| row.bar.map(|bar| (bar.anchor, bar.ordinal));
        // A bar's window moves with its first fact; its number stays.
        let start = |row: &Final| row.bar.is_none().then_some(row.window.start);
        (self.pipeline.cmp(&other.pipeline))
            .then_with(|| keys.into_iter().find(|order| order.is_ne()).unwrap_or(core::cmp::Ordering::Equal))
            .then_with(|| (number(self), start(self)).cmp(&(number(other), start(other))))
    }

    /// Of each row its newest generation, unless that removed it; in output order.
    pub fn newest(mut finals: Vec<Final>) -> Vec<Final> {
        finals.sort_by(|a, b| a.row_order(b).then(a.generation.cmp(&b.generation)));
        let mut newest: Vec<Final> = Vec::with_capacity(finals.len());
        for row in finals {
            match newest.last_mut().filter(|last| last.row_order(&row).is_eq()) {
                Some(last) => *last = row,
                None => newest.push(row),
            }
        }
        newest.retain(|row| !row.removed);
        newest.sort_by(Final::order);
        newest
    }
}

pub(super) fn decode_key(pipeline: &Pipeline, key: &[u8]) -> Vec<Scalar> {
    let mut reader = Reader::new(key);
    let mut column = |ty| Value::decode(&mut reader, ty).expect("a key is as it was encoded").to_scalar();
    pipeline.key.iter().map(|key| column(key.expr.ty)).collect()
}

/// BLAKE3 over what a row says: pipeline, key, window, flags, typed values. Tier, generation and cause are not part.
pub(super) fn digest(
    pipeline: &Pipeline,
    key: &[u8],
    (window, bar): (Window, Option<Bar>),
    removed: bool,
    values: &[Scalar],
) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256);
    put_bytes(&mut bytes, pipeline.name.as_bytes());
    put_bytes(&mut bytes, key);
    bytes.extend_from_slice(&window.start.to_le_bytes());
    bytes.extend_from_slice(&window.end.to_le_bytes());
    if let Some(Bar { anchor, ordinal, complete }) = bar {
        bytes.push(u8::from(anchor.is_some()));
        bytes.extend_from_slice(&anchor.unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(&ordinal.to_le_bytes());
        bytes.push(u8::from(complete));
    }
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
