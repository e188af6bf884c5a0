//! The canonical bytes of a fold shard's state: equal state, equal bytes, whatever the order in which it came about.

use super::cell::{Cell, Group, Sealed};
use super::{Fold, Settled};
use crate::aggregate::Accumulator;
use crate::codec::{CodecError, Reader, put_bytes, put_signed, put_varint};
use crate::delta::Cause;
use crate::plan::{Pipeline, Plan};
use crate::value::Value;
use crate::window::Window;
use alloc::vec::Vec;

impl Fold {
    /// Appends the canonical state. Stale windows must have been folded again.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.stale.is_empty(), "windows are folded again before their state is written down");
        for (settled, faults) in self.settled.iter().zip(&self.faults) {
            match settled {
                Settled::Nothing => out.push(0),
                Settled::Until(watermark) => {
                    out.push(1);
                    put_signed(out, *watermark);
                }
                Settled::All => out.push(2),
            }
            put_signed(out, *faults);
        }
        let mut groups: Vec<&Group> = self.groups.iter().filter(|group| self.holds(group)).collect();
        groups.sort_unstable_by(|a, b| (a.pipeline, &a.key).cmp(&(b.pipeline, &b.key)));
        put_varint(out, groups.len() as u64);
        for group in groups {
            put_varint(out, group.pipeline.into());
            put_bytes(out, &group.key);
            let cells = || group.windows.values().map(|cell| &self.cells[*cell as usize]).filter(|cell| cell.counts());
            put_varint(out, cells().count() as u64);
            cells().for_each(|cell| cell.encode(out));
        }
    }

    /// Reads back what [`Fold::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut fold = Fold::new(plan);
        for pipeline in 0..plan.pipelines.len() {
            fold.settled[pipeline] = match reader.byte()? {
                0 => Settled::Nothing,
                1 => Settled::Until(reader.signed()?),
                2 => Settled::All,
                _ => return reader.fail("a watermark"),
            };
            fold.faults[pipeline] = reader.signed()?;
        }
        for _ in 0..reader.varint()? {
            fold.decode_group(plan, reader)?;
        }
        Ok(fold)
    }

    fn decode_group(&mut self, plan: &Plan, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let number: u16 = reader.number()?;
        let Some(pipeline) = plan.pipelines.get(usize::from(number)) else { return reader.fail("a pipeline") };
        let key = reader.bytes()?;
        if self.groups.last().is_some_and(|last| (last.pipeline, &*last.key) >= (number, key)) {
            return reader.fail("groups in order");
        }
        if !is_key(pipeline, key) {
            return reader.fail("a key of its pipeline");
        }
        let group = self.groups.len() as u32;
        self.groups.push(Group::new(number, key));
        self.table.insert(xxhash_rust::xxh3::xxh3_64_with_seed(key, number.into()), group);
        let windows = reader.varint()?;
        if windows == 0 {
            return reader.fail("a key with a window");
        }
        for _ in 0..windows {
            let window =
                Window { start: i128::from_le_bytes(reader.array()?), end: i128::from_le_bytes(reader.array()?) };
            let last = self.groups[group as usize].windows.last_key_value();
            if window.start >= window.end || last.is_some_and(|(start, _)| *start >= window.start) {
                return reader.fail("windows in order");
            }
            let at = self.new_cell(pipeline, number, group, window);
            let cell = &mut self.cells[at as usize];
            cell.decode(pipeline, reader)?;
            if !cell.counts() {
                return reader.fail("a window with facts or a seal");
            }
            let (sealed, changed) = (cell.sealed.is_some(), cell.changed);
            if sealed {
                let open = self.open.get_mut(&(number, window.end)).expect("a new cell is open");
                open.pop();
                if open.is_empty() {
                    self.open.remove(&(number, window.end));
                }
            }
            if changed {
                self.changed.push(at);
            }
        }
        Ok(())
    }

    /// Whether a group has a window that counts: keys whose facts are all gone leave no trace.
    fn holds(&self, group: &Group) -> bool {
        group.windows.values().any(|cell| self.cells[*cell as usize].counts())
    }
}

impl Cell {
    /// Whether it is part of the state. An unsealed cell without facts only awaits its removal.
    fn counts(&self) -> bool {
        self.rows != 0 || self.sealed.is_some()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.window.start.to_le_bytes());
        out.extend_from_slice(&self.window.end.to_le_bytes());
        put_signed(out, self.rows);
        match &self.sealed {
            None if self.late => out.extend_from_slice(&[2, self.cause.map_or(255, |cause| cause as u8)]),
            None => out.push(0),
            Some(sealed) => {
                out.push(1);
                put_varint(out, sealed.generation);
                out.push(u8::from(sealed.removed));
                out.extend_from_slice(&sealed.digest);
                // Only a sealed row asks for the cause of its changes.
                out.push(u8::from(self.changed));
                out.push(self.cause.filter(|_| self.changed).map_or(255, |cause| cause as u8));
            }
        }
        self.states.iter().for_each(|state| state.encode(out));
    }

    /// The rest of a cell, behind its window.
    fn decode(&mut self, pipeline: &Pipeline, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.rows = reader.signed()?;
        self.late = false;
        match reader.byte()? {
            0 => {}
            1 => {
                let generation = reader.varint()?;
                let removed = flag(reader)?;
                self.sealed = Some(Sealed { generation, removed, digest: reader.array()? });
                self.changed = flag(reader)?;
                self.cause = decode_cause(reader)?;
                if self.cause.is_some() && !self.changed {
                    return reader.fail("a cause of a change only");
                }
            }
            2 => {
                self.late = true;
                self.cause = decode_cause(reader)?;
            }
            _ => return reader.fail("0, 1 or 2"),
        }
        for (state, held) in pipeline.states.iter().zip(&mut self.states) {
            *held = Accumulator::decode(reader, &state.kind)?;
        }
        Ok(())
    }
}

/// Whether these bytes are a value for each group-by column.
fn is_key(pipeline: &Pipeline, key: &[u8]) -> bool {
    let mut reader = Reader::new(key);
    let sound = pipeline.key.iter().all(|column| Value::decode(&mut reader, column.expr.ty).is_ok());
    sound && reader.finish().is_ok()
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, CodecError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => reader.fail("0 or 1"),
    }
}

fn decode_cause(reader: &mut Reader<'_>) -> Result<Option<Cause>, CodecError> {
    match reader.byte()? {
        255 => Ok(None),
        code => CAUSES.get(usize::from(code)).map_or_else(|| reader.fail("a cause"), |cause| Ok(Some(*cause))),
    }
}

/// Causes by their encoded number, which is their rank.
const CAUSES: [Cause; 11] = [
    Cause::Logic,
    Cause::Decoder,
    Cause::Reference,
    Cause::Retraction,
    Cause::Correction,
    Cause::Conflict,
    Cause::Release,
    Cause::Backfill,
    Cause::GapFill,
    Cause::Late,
    Cause::Seal,
];
