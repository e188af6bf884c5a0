//! Canonical bytes of a fold: equal state, equal bytes. Keys by pipeline and key, what is theirs by time.

use super::cell::accumulators;
use super::cutter::{Carry, Open};
use super::edges::Edges;
use super::group::{Group, Panes, Sealed};
use super::period::{Held, Mark, Past, Period};
use super::{Fold, Settled, Whole};
use crate::aggregate::Accumulator;
use crate::codec::{CodecError, Reader, put_bytes, put_signed, put_varint};
use crate::hold::Parked;
use crate::number::I384;
use crate::plan::{Cut, Pipeline, Plan, State, Windowing};
use crate::row::{IdentityBytes, Row};
use crate::schema::Schema;
use crate::value::Value;
use crate::window::Window;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Beside a 1 for facts above the ceiling: a key has sessions that were put away.
const DEPARTED: u8 = 2;

/// Which groups to write down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that are not empty.
    All,
    /// Those that changed since they were last written down for a checkpoint, also those that became empty.
    Changed,
}

impl Fold {
    /// Appends the canonical state. Stale spans must have been folded again.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        self.encode_head(out);
        self.encode_groups(Which::All, out);
    }

    /// Appends what is settled, the nulls that were counted, and between which times windows are here.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        for ((settled, faults), edges) in self.settled.iter().zip(&self.faults).zip(&self.edges) {
            settled.encode(out);
            put_signed(out, *faults);
            edges.encode(out);
        }
    }

    /// Appends groups, in order, and gives how many. Stale spans must have been folded again.
    pub fn encode_groups(&mut self, which: Which, out: &mut Vec<u8>) -> usize {
        assert!(self.needs(Whole::AndPast).is_empty(), "spans are folded again before their state is written down");
        self.groups.iter_mut().for_each(Group::sort_in);
        let wanted = |group: &&Group| match which {
            Which::All => !group.is_empty(),
            Which::Changed => group.changed,
        };
        let mut groups: Vec<&Group> = self.groups.iter().filter(wanted).collect();
        groups.sort_unstable_by(|a, b| (a.pipeline, &a.key).cmp(&(b.pipeline, &b.key)));
        let count = groups.len();
        put_varint(out, count as u64);
        let mut body = Vec::new();
        for group in groups {
            put_varint(out, group.pipeline.into());
            put_bytes(out, &group.key);
            body.clear();
            if !group.is_empty() {
                self.encode_group(group, &mut body);
            }
            put_bytes(out, &body);
        }
        count
    }

    /// From here on, changes of groups are counted anew.
    pub fn written_down(&mut self) {
        self.groups.iter_mut().for_each(|group| group.changed = false);
    }

    fn encode_group(&self, group: &Group, out: &mut Vec<u8>) {
        out.push(u8::from(group.far) | if group.departed.is_empty() { 0 } else { DEPARTED });
        put_varint(out, group.rows.len() as u64);
        for ((start, ordinal), row) in &group.rows {
            out.extend_from_slice(&start.to_le_bytes());
            put_varint(out, *ordinal);
            row.encode(out);
        }
        if !group.departed.is_empty() {
            group.encode_departed(out);
        }
        self.encode_panes(group, out);
        // A key that holds nothing has no list of it.
        if !group.parked.is_empty() {
            put_varint(out, group.parked.len() as u64);
            for (identity, parked) in &group.parked {
                put_bytes(out, identity);
                parked.encode(out);
            }
        }
    }

    fn encode_panes(&self, group: &Group, out: &mut Vec<u8>) {
        match &group.panes {
            Panes::Slices { cells, .. } => self.encode_cells(cells.len(), cells.values(), out),
            Panes::Sessions(cells) => self.encode_cells(cells.len(), cells.values(), out),
            Panes::Bars(periods) => {
                put_varint(out, periods.len() as u64);
                for (anchor, period) in periods {
                    out.extend_from_slice(&anchor.to_le_bytes());
                    period.encode(out);
                }
            }
        }
    }

    fn encode_cells<'a>(&self, count: usize, cells: impl Iterator<Item = &'a u32>, out: &mut Vec<u8>) {
        put_varint(out, count as u64);
        for cell in cells {
            let cell = &self.cells[*cell as usize];
            put_window(out, cell.span);
            put_signed(out, cell.rows);
            cell.states.iter().for_each(|state| state.encode(out));
        }
    }

    /// Reads back what [`Fold::encode`] wrote under the same plan.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut fold = Fold::new(plan);
        fold.decode_head(reader)?;
        // Of itself a fold puts nothing off that it has.
        if Fold::decode_groups(plan, reader, core::slice::from_mut(&mut fold))? > 0 {
            return reader.fail("slices below the ceiling");
        }
        if fold.groups.iter().any(Group::is_empty) {
            return reader.fail("keys with facts or final rows");
        }
        Ok(fold)
    }

    /// Reads back what [`Fold::encode_head`] wrote. Nulls that another shard counted are added.
    pub fn decode_head(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let marks = self.settled.iter_mut().zip(&mut self.faults).zip(&mut self.edges);
        for ((settled, faults), edges) in marks {
            *settled = Settled::decode(reader)?.max(*settled);
            match faults.checked_add(reader.signed()?) {
                Some(sum) => *faults = sum,
                None => return reader.fail("a count of nulls"),
            }
            edges.meet(Edges::decode(reader)?);
        }
        Ok(())
    }

    /// Takes over what is settled in another shard, and between which times windows are here.
    pub fn settle_as(&mut self, other: &Fold) {
        self.settled.clone_from(&other.settled);
        self.edges.clone_from(&other.edges);
    }

    /// Reads back what [`Fold::encode_groups`] wrote, into the shards that own the groups. A group that is there already
    /// is newer, and stays. Gives how many slices were put off, for they start where that is done by now.
    pub fn decode_groups(plan: &Plan, reader: &mut Reader<'_>, folds: &mut [Fold]) -> Result<usize, CodecError> {
        let (mut last, mut put_off): (Option<(u16, &[u8])>, _) = (None, 0);
        for _ in 0..reader.varint()? {
            let number: u16 = reader.number()?;
            let Some(pipeline) = plan.pipelines.get(usize::from(number)) else { return reader.fail("a pipeline") };
            let key = reader.bytes()?;
            if last.is_some_and(|last| last >= (number, key)) {
                return reader.fail("groups in order");
            }
            last = Some((number, key));
            if !is_key(pipeline, key) {
                return reader.fail("a key of its pipeline");
            }
            let body = reader.bytes()?;
            let hash = Pipeline::hash_of_key(number, key);
            let fold = &mut folds[crate::judge::shard_of(hash, folds.len() as u64) as usize];
            if fold.find(number, hash, key).is_none() {
                let group = fold.groups.len() as u32;
                fold.groups.push(Group::new(number, key, pipeline));
                fold.touch(group);
                fold.groups[group as usize].changed = false;
                fold.table.insert(hash, group);
                let mut inner = Reader::new(body);
                let read = fold.decode_group(plan, group, &mut inner);
                let read = read.and_then(|put_off| inner.finish().map(|()| put_off));
                put_off +=
                    read.map_err(|error| CodecError { at: reader.position() - body.len() + error.at, ..error })?;
            }
        }
        Ok(put_off)
    }

    /// Gives how many slices were put off.
    fn decode_group(&mut self, plan: &Plan, group: u32, reader: &mut Reader<'_>) -> Result<usize, CodecError> {
        if reader.rest().is_empty() {
            return Ok(0);
        }
        let mut put_off = 0;
        let number = self.groups[group as usize].pipeline;
        let pipeline = &plan.pipelines[usize::from(number)];
        let flags = reader.byte()?;
        if flags > 1 | DEPARTED {
            return reader.fail("what a key has");
        }
        self.groups[group as usize].far = flags & 1 != 0;
        for _ in 0..reader.varint()? {
            let id = (i128::from_le_bytes(reader.array()?), reader.varint()?);
            let row = Sealed::decode(reader)?;
            let rows = &mut self.groups[group as usize].rows;
            if rows.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return reader.fail("rows in order");
            }
            rows.insert(id, row);
        }
        if flags & DEPARTED != 0 {
            self.groups[group as usize].decode_departed(reader)?;
        }
        let count = reader.varint()?;
        let schema = &plan.sources[usize::from(pipeline.source)].schema;
        for _ in 0..count {
            match &pipeline.windowing {
                Windowing::Bars(_) => self.decode_period((pipeline, schema), group, reader)?,
                _ => put_off += usize::from(!self.decode_cell(pipeline, group, reader)?),
            }
        }
        if !reader.rest().is_empty() {
            self.decode_parked(plan, group, reader)?;
        }
        let settled = self.settled[usize::from(number)];
        let read = &self.groups[group as usize];
        if read.is_empty() {
            return reader.fail("a key with facts or final rows");
        }
        if let Some(due) = read.next_due(&pipeline.windowing, &self.cells, settled) {
            self.schedule(group, due);
        }
        Ok(put_off)
    }

    fn decode_parked(&mut self, plan: &Plan, number: u32, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let group = &mut self.groups[number as usize];
        let source = plan.pipelines[usize::from(group.pipeline)].source;
        let schema = &plan.sources[usize::from(source)].schema;
        let (count, mut bytes) = (reader.varint()?, IdentityBytes::default());
        for _ in 0..count {
            let (identity, parked) = (reader.bytes()?, Parked::decode(reader)?);
            let place = (&*parked.part, parked.position.offset);
            let sound = Row::check(schema, &parked.content)
                && bytes.of(Row::new(schema, &parked.content), source, place) == identity
                && group.parked.last_key_value().is_none_or(|(last, _)| **last < *identity);
            if !sound {
                return reader.fail("held facts in order");
            }
            self.parked.insert((group.pipeline, identity.into()), number);
            group.parked.insert(identity.into(), parked);
        }
        if count == 0 { reader.fail("held facts") } else { Ok(()) }
    }

    /// Gives whether the cell is here, and not put off.
    fn decode_cell(&mut self, pipeline: &Pipeline, group: u32, reader: &mut Reader<'_>) -> Result<bool, CodecError> {
        let span = window(reader)?;
        let rows = reader.signed()?;
        let states = decode_states(&pipeline.states, reader)?;
        let (session, last) = match &self.groups[group as usize].panes {
            Panes::Slices { cells, .. } => (false, cells.last_key_value().map(|(_, cell)| *cell)),
            Panes::Sessions(cells) => (true, cells.last_key_value().map(|(_, cell)| *cell)),
            Panes::Bars(_) => unreachable!("bars have no cells"),
        };
        let behind = last.is_none_or(|last| self.cells[last as usize].span.end <= span.start);
        let times = |time: i128| i64::try_from(time).is_ok();
        let sound = if session {
            span.start <= span.end && times(span.start) && times(span.end)
        } else {
            span.start < span.end
        };
        if !sound || !behind || rows < 1 {
            return reader.fail("spans in order, each with facts");
        }
        if span.start >= self.edges[usize::from(self.groups[group as usize].pipeline)].ceiling {
            // It was put off since, or in another shard.
            self.put_off(group, span.start);
            return Ok(false);
        }
        let cell = match &pipeline.windowing {
            Windowing::Aligned(rule) => self.put_slice(pipeline, rule, group, span),
            _ => self.put_session(pipeline, group, span),
        };
        let cell = &mut self.cells[cell as usize];
        (cell.rows, cell.states) = (rows, states);
        Ok(true)
    }

    fn decode_period(
        &mut self,
        (pipeline, schema): (&Pipeline, &Schema),
        group: u32,
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        let anchor = i128::from_le_bytes(reader.array()?);
        let period = Period::decode(pipeline, schema, reader)?;
        let Panes::Bars(periods) = &mut self.groups[group as usize].panes else { unreachable!("bars") };
        if periods.last_key_value().is_some_and(|(last, _)| *last >= anchor) || period.end <= anchor {
            return reader.fail("periods in order");
        }
        periods.insert(anchor, period);
        Ok(())
    }
}

impl Group {
    /// Brings what waits for a tick into its canonical place.
    fn sort_in(&mut self) {
        if let Panes::Bars(periods) = &mut self.panes {
            periods.values_mut().for_each(Period::settle);
            periods.retain(|_, period| !period.is_empty() || period.reopened);
        }
    }
}

impl Sealed {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.generation);
        out.extend_from_slice(&[u8::from(self.removed), u8::from(self.complete)]);
        put_window(out, self.window);
        out.extend_from_slice(&self.digest);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let generation = reader.varint()?;
        let (removed, complete) = (reader.flag()?, reader.flag()?);
        Ok(Sealed { generation, removed, complete, window: window(reader)?, digest: reader.array()? })
    }
}

impl Period {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.end.to_le_bytes());
        put_varint(out, self.past.len() as u64);
        for Past { time, tie, carry } in &self.past {
            put_signed(out, *time);
            put_bytes(out, tie);
            carry.encode(out);
        }
        out.push(u8::from(self.reopened));
        put_varint(out, self.facts.len() as u64);
        for Held { time, tie, content } in &self.facts {
            put_signed(out, *time);
            put_bytes(out, tie);
            put_bytes(out, content);
        }
        put_varint(out, self.marks.len() as u64);
        self.marks.iter().chain([&self.at]).for_each(|mark| mark.encode(out));
    }

    fn decode(pipeline: &Pipeline, schema: &Schema, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut period = Period::new(i128::from_le_bytes(reader.array()?));
        for _ in 0..reader.varint()? {
            let (time, tie) = (reader.signed()?, reader.bytes()?.into());
            if period.past.last().is_some_and(|last| (last.time, &last.tie) >= (time, &tie)) {
                return reader.fail("marks in order");
            }
            period.past.push(Past { time, tie, carry: Carry::decode(pipeline, schema, reader)? });
        }
        period.reopened = reader.flag()?;
        for _ in 0..reader.varint()? {
            let time = reader.signed()?;
            let (tie, content): (Box<[u8]>, Box<[u8]>) = (reader.bytes()?.into(), reader.bytes()?.into());
            let behind = period.facts.last().is_none_or(|last| (last.time, &last.tie) < (time, &tie));
            if !behind || !Row::check(schema, &content) || Row::new(schema, &content).event_time() != time {
                return reader.fail("facts in order");
            }
            period.facts.push(Held { time, tie, content });
        }
        let count: usize = reader.number()?;
        period.marks.clear();
        for number in 0..=count {
            let mark = Mark::decode(pipeline, schema, reader)?;
            let before = period.marks.last().map_or(0, |last| last.cut);
            if mark.cut < before || mark.cut > period.facts.len() || count == 0 {
                return reader.fail("marks in order");
            }
            if number < count {
                period.marks.push(mark);
            } else {
                period.at = mark;
            }
        }
        period.note_closed();
        Ok(period)
    }
}

impl Mark {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.cut as u64);
        self.carry.encode(out);
    }

    fn decode(pipeline: &Pipeline, schema: &Schema, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Mark { cut: reader.number()?, carry: Carry::decode(pipeline, schema, reader)? })
    }
}

impl Carry {
    fn encode(&self, out: &mut Vec<u8>) {
        let Carry { ordinal, total, open, previous, faults } = self;
        put_varint(out, *ordinal);
        total.encode(out);
        put_signed(out, *faults);
        out.extend_from_slice(&[u8::from(previous.is_some()), u8::from(open.is_some())]);
        previous.iter().for_each(|content| put_bytes(out, content));
        if let Some(Open { first, last, states, running }) = open {
            put_signed(out, *first);
            put_signed(out, *last);
            states.iter().chain(running).for_each(|state| state.encode(out));
        }
    }

    fn decode(pipeline: &Pipeline, schema: &Schema, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let ordinal = reader.varint()?;
        let Some((total, used)) = I384::decode(reader.rest()) else { return reader.fail("an exact sum") };
        reader.skip(used)?;
        let faults = reader.signed()?;
        let (has_previous, is_open) = (reader.flag()?, reader.flag()?);
        let mut carry = Carry { ordinal, total, open: None, previous: None, faults };
        if has_previous {
            let content = reader.bytes()?;
            if !Row::check(schema, content) {
                return reader.fail("content of the source's schema");
            }
            carry.previous = Some(content.into());
        }
        if is_open {
            let (first, last) = (reader.signed()?, reader.signed()?);
            let running = match &pipeline.windowing {
                Windowing::Bars(bars) => match &bars.cut {
                    Cut::Break(rule) => &rule.states[..],
                    _ => &[],
                },
                _ => unreachable!("marks are those of bars"),
            };
            let states = decode_states(&pipeline.states, reader)?;
            carry.open = Some(Open { first, last, states, running: decode_states(running, reader)? });
        }
        Ok(carry)
    }
}

fn decode_states(states: &[State], reader: &mut Reader<'_>) -> Result<Box<[Accumulator]>, CodecError> {
    let mut held = accumulators(states);
    for (state, held) in states.iter().zip(&mut held) {
        *held = Accumulator::decode(reader, &state.kind)?;
    }
    Ok(held)
}

fn put_window(out: &mut Vec<u8>, window: Window) {
    out.extend_from_slice(&window.start.to_le_bytes());
    out.extend_from_slice(&window.end.to_le_bytes());
}

fn window(reader: &mut Reader<'_>) -> Result<Window, CodecError> {
    let window = Window { start: i128::from_le_bytes(reader.array()?), end: i128::from_le_bytes(reader.array()?) };
    // Any time and any size are far below, so that nothing overflows that is counted from a window.
    let near = |time: i128| time.unsigned_abs() < 1 << 100;
    if window.start > window.end || !near(window.start) || !near(window.end) {
        return reader.fail("a window");
    }
    Ok(window)
}

/// Whether these bytes are a value for each group-by column.
fn is_key(pipeline: &Pipeline, key: &[u8]) -> bool {
    let mut reader = Reader::new(key);
    let sound = pipeline.key.iter().all(|column| Value::decode(&mut reader, column.expr.ty).is_ok());
    sound && reader.finish().is_ok()
}
