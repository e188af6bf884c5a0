//! Collecting the fields of one event into a row's content.

use crate::plan::{Guards, Source};
use crate::poison::{Reason, Refusal};
use crate::row::{IdentityBytes, Op};
use crate::schema::{IdentityRule, Kind, Schema, Slot, Unit};
use crate::value::{Type, Value};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A declared field as a builder takes its values: what they must be and where they go, looked up once and not at every event.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Index of the field.
    pub field: usize,
    /// Type of its values.
    pub ty: Type,
    /// Unit of a number in a timestamp field.
    pub unit: Unit,
    /// Whether it is a decimal in sixteen bytes.
    wide: bool,
    /// Whether it is the arrival or the sequence.
    noted: bool,
    /// Which of the texts it is, if it is one.
    text: usize,
    /// Where its bytes stand in the content: nowhere within it, if the field is no content.
    offset: usize,
    /// Its bit, if it is one of the first 64 fields.
    bit: u64,
}

impl Target {
    /// The field of a schema that has this index.
    pub fn new(schema: &Schema, field: usize) -> Target {
        let (declared, slot, roles) = (&schema.fields()[field], schema.slot(field), schema.roles());
        Target {
            field,
            ty: declared.ty,
            unit: declared.unit,
            wide: slot.is_some_and(|slot| slot.kind == Kind::Wide),
            noted: [roles.arrival, roles.sequence].contains(&Some(field)),
            text: slot.map_or(0, |slot| slot.text.into()),
            offset: slot.map_or(usize::MAX, |slot| slot.offset as usize),
            bit: 1u64.checked_shl(field as u32).unwrap_or(0),
        }
    }

    /// Puts a value into content, if the field is part of it.
    #[inline]
    pub(crate) fn put<const N: usize>(&self, content: &mut [u8], bytes: [u8; N]) {
        if let Some(place) = content.get_mut(self.offset..).and_then(|rest| rest.first_chunk_mut()) {
            *place = bytes;
        }
    }

    /// All fields of a schema, in declared order.
    pub fn all(schema: &Schema) -> Vec<Target> {
        (0..schema.fields().len()).map(|field| Target::new(schema, field)).collect()
    }
}

/// Collects the fields of one event, in any order, and gives the row's content, or the reason why there is none.
///
/// It is kept and reused: after [`RowBuilder::begin`] nothing of the event before remains.
#[derive(Debug)]
pub struct RowBuilder<'s> {
    source: &'s Source,
    schema: &'s Schema,
    /// What the source demands of the events at hand.
    guards: Arc<Guards>,
    /// Whether it demands anything of them.
    asks: bool,
    /// The fixed part of the content, and behind it the texts as they came. Every event writes each slot, with a value or
    /// with the zeros of a null; only the null bits start anew.
    row: Vec<u8>,
    fixed: usize,
    nulls: usize,
    /// A bit a field: what has not stood in this event yet. First of the first 64 fields, then of the others.
    unseen: u64,
    unseen_others: Vec<u64>,
    /// Where each text stands in `row`, and how many of them came in the order of the content.
    texts: Vec<(u32, u32)>,
    in_order: usize,
    arrival: Option<i64>,
    /// When the events at hand were first seen here.
    stamp: Option<i64>,
    sequence: Option<u64>,
    errors: Vec<Refusal>,
    pub(crate) ids: IdentityBytes,
}

/// What [`RowBuilder::finish`] gives beside the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Content or retraction.
    pub op: Op,
    /// The earlier of the event's own arrival time and of the stamp, where there are any.
    pub arrival: Option<i64>,
    /// The origin's own number of the event, if it has one.
    pub sequence: Option<u64>,
}

impl Finished {
    /// What an event that says nothing of it gives, seen first at `stamp`.
    pub(crate) fn of(stamp: Option<i64>) -> Finished {
        Finished { op: Op::Assert, arrival: stamp, sequence: None }
    }
}

/// A buffer with room for lines of cache of its own: two builders that two threads fill at once must not share one.
fn apart<T: Clone>(len: usize, value: T) -> Vec<T> {
    let mut buffer = Vec::with_capacity(len.max(256 / size_of::<T>()));
    buffer.resize(len, value);
    buffer
}

/// The bytes of a double in content; none for what is not finite.
#[inline]
pub fn double(value: f64) -> Option<[u8; 8]> {
    value.is_finite().then(|| (value + 0.0).to_le_bytes())
}

/// So many bits of a word from the lowest on, or all of it.
#[inline]
fn first_bits(count: usize) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

impl<'s> RowBuilder<'s> {
    /// A builder for rows of `source`, under the guards that it is configured with.
    pub fn new(source: &'s Source) -> Self {
        RowBuilder::under(source, source.guards.clone())
    }

    /// A builder for rows of `source` under other guards.
    pub fn under(source: &'s Source, guards: Arc<Guards>) -> Self {
        let schema = &source.schema;
        RowBuilder {
            source,
            schema,
            asks: *guards != Guards::default(),
            guards,
            row: apart(schema.fixed_len(), 0),
            fixed: schema.fixed_len(),
            nulls: schema.null_bytes(),
            unseen: 0,
            unseen_others: apart(schema.fields().len().div_ceil(64).saturating_sub(1), 0),
            texts: apart(schema.text_count(), (0, 0)),
            in_order: 0,
            arrival: None,
            stamp: None,
            sequence: None,
            errors: Vec::new(),
            ids: IdentityBytes::default(),
        }
    }

    /// The source.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// What the source demands.
    #[inline]
    pub fn guards(&self) -> &Arc<Guards> {
        &self.guards
    }

    /// Whether the source demands anything.
    #[inline]
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// Whether a row with a value in every field is content as it stands, and an event says nothing beside it.
    pub(crate) fn only_joins(&self) -> bool {
        let roles = self.schema.roles();
        !self.asks && roles.op.is_none() && roles.arrival.is_none() && roles.sequence.is_none()
    }

    /// When the events at hand were first seen here.
    pub fn stamped(&self) -> Option<i64> {
        self.stamp
    }

    /// The schema.
    pub fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// From here on, events were first seen at this time, in nanoseconds since the epoch, or earlier if they say so.
    pub fn stamp(&mut self, arrival: Option<i64>) {
        self.stamp = arrival;
    }

    /// Starts the next event.
    #[inline]
    pub fn begin(&mut self) {
        self.row.truncate(self.fixed);
        if self.nulls > 0 {
            self.row[..self.nulls].fill(0);
        }
        self.unseen = first_bits(self.schema.fields().len());
        if !self.unseen_others.is_empty() {
            self.begin_others();
        }
        self.in_order = 0;
        (self.arrival, self.sequence) = (None, None);
        self.errors.clear();
    }

    #[cold]
    fn begin_others(&mut self) {
        let mut fields = self.schema.fields().len();
        for word in &mut self.unseen_others {
            fields -= 64;
            *word = first_bits(fields);
        }
    }

    /// Notes that a value of a field stands here. False, and the event refused, if one stood before.
    /// Every `set_*`, and [`RowBuilder::null`] and [`RowBuilder::refuse`], must be led by it.
    #[inline]
    pub fn see(&mut self, target: &Target) -> bool {
        if self.unseen & target.bit != 0 {
            self.unseen ^= target.bit;
            return true;
        }
        self.see_other(target)
    }

    /// Any but one of the first 64 fields that stands here for the first time.
    #[cold]
    fn see_other(&mut self, target: &Target) -> bool {
        let (word, bit) = (target.field / 64, 1 << (target.field % 64));
        if word > 0 && self.unseen_others[word - 1] & bit != 0 {
            self.unseen_others[word - 1] ^= bit;
            return true;
        }
        self.refuse(target, Reason::DuplicateField);
        false
    }

    /// The field is null.
    #[inline]
    pub fn null(&mut self, target: &Target) {
        self.make_null(target.field);
    }

    fn make_null(&mut self, field: usize) {
        let declared = &self.schema.fields()[field];
        if !declared.nullable {
            self.errors.push(Refusal::field(Reason::MissingField, field));
        } else if let Some(slot) = self.schema.slot(field) {
            if let Some(bit) = slot.null_bit {
                self.row[usize::from(bit / 8)] |= 1 << (bit % 8);
            }
            self.clear(slot);
        }
    }

    /// Writes the zeros of a null.
    fn clear(&mut self, slot: &Slot) {
        let at = slot.offset as usize;
        self.row[at..at + usize::from(slot.width)].fill(0);
        if slot.kind == Kind::Text {
            self.texts[usize::from(slot.text)] = (0, 0);
        }
    }

    /// The field's value cannot be taken. A retraction forgives it outside its identity and version.
    #[cold]
    pub fn refuse(&mut self, target: &Target, reason: Reason) {
        self.errors.push(Refusal::field(reason, target.field));
    }

    /// An unsigned integer, for a `u64` field.
    #[inline]
    pub fn set_u64(&mut self, target: &Target, value: u64) {
        if target.noted {
            self.sequence = Some(value);
        }
        self.put(target, value.to_le_bytes());
    }

    /// A signed integer, for an `i64` field.
    #[inline]
    pub fn set_i64(&mut self, target: &Target, value: i64) {
        self.put(target, value.to_le_bytes());
    }

    /// Nanoseconds since the epoch, for a timestamp field.
    #[inline]
    pub fn set_time(&mut self, target: &Target, nanos: i64) {
        if target.noted {
            self.arrival = Some(nanos);
        }
        self.put(target, nanos.to_le_bytes());
    }

    /// A double; NaN and infinities refuse the event, and -0 becomes +0.
    #[inline]
    pub fn set_f64(&mut self, target: &Target, value: f64) {
        match double(value) {
            Some(bytes) => self.put(target, bytes),
            None => self.refuse(target, Reason::NotFinite),
        }
    }

    /// A truth value.
    #[inline]
    pub fn set_bool(&mut self, target: &Target, value: bool) {
        self.put(target, [u8::from(value)]);
    }

    /// A decimal's mantissa at the field's own scale; the caller has checked its digits.
    #[inline(always)]
    pub fn set_decimal(&mut self, target: &Target, mantissa: i128) {
        if target.wide {
            return self.put(target, mantissa.to_le_bytes());
        }
        match i64::try_from(mantissa) {
            Ok(narrow) => self.put(target, narrow.to_le_bytes()),
            Err(_) => self.refuse(target, Reason::Range),
        }
    }

    /// A text, which the caller has found to be UTF-8; a NUL in it refuses the event.
    #[inline]
    pub fn set_text(&mut self, target: &Target, text: &[u8]) {
        if text.contains(&0) {
            return self.refuse(target, Reason::NulByte);
        }
        self.set_plain_text(target, text);
    }

    /// A text, which the caller has found to be UTF-8 without a NUL.
    #[inline]
    pub fn set_plain_text(&mut self, target: &Target, text: &[u8]) {
        let start = self.row.len();
        self.row.extend_from_slice(text);
        self.end_text(target, start);
    }

    /// The same for the text that a window of sixteen bytes begins with: no more are copied, whatever its length.
    #[inline]
    pub fn set_short_text(&mut self, target: &Target, window: &[u8; 16], len: usize) {
        let start = self.row.len();
        self.row.extend_from_slice(window);
        self.row.truncate(start + len);
        self.end_text(target, start);
    }

    /// A text stands in `row` from `start` to its end.
    #[inline]
    fn end_text(&mut self, target: &Target, start: usize) {
        let end = self.row.len();
        self.texts[target.text] = (start as u32, end as u32);
        self.in_order += usize::from(self.in_order == target.text);
        // This is where it ends in the content too, if all come in order.
        self.put(target, ((end - self.fixed) as u32).to_le_bytes());
    }

    #[inline]
    fn put<const N: usize>(&mut self, target: &Target, bytes: [u8; N]) {
        target.put(&mut self.row, bytes);
    }

    /// Ends the event and appends its content to `out`; `out` is unchanged when it is refused.
    #[inline]
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finished, Refusal> {
        let op = if self.is_whole() {
            out.extend_from_slice(&self.row);
            Op::Assert
        } else {
            self.settle(out)?
        };
        let arrival = match (self.arrival, self.stamp) {
            (Some(said), Some(stamp)) => Some(said.min(stamp)),
            (said, stamp) => said.or(stamp),
        };
        Ok(Finished { op, arrival, sequence: self.sequence })
    }

    /// Whether the row is content as it stands: every field has a value, the texts came in order, and no op can make
    /// less of it.
    #[inline]
    fn is_whole(&self) -> bool {
        self.errors.is_empty()
            && self.in_order == self.texts.len()
            && self.unseen == 0
            && self.unseen_others.iter().all(|word| *word == 0)
            && self.schema.roles().op.is_none()
    }

    /// Ends any event.
    fn settle(&mut self, out: &mut Vec<u8>) -> Result<Op, Refusal> {
        for word in 0..=self.unseen_others.len() {
            let mut unseen = if word == 0 { self.unseen } else { self.unseen_others[word - 1] };
            while unseen != 0 {
                self.make_null(word * 64 + unseen.trailing_zeros() as usize);
                unseen &= unseen - 1;
            }
        }
        let op = self.op();
        if op == Some(Op::Retract) {
            self.keep_identity();
        }
        if let Some(first) = self.errors.iter().min_by_key(|e| (e.reason != Reason::DuplicateField, e.field)) {
            return Err(*first);
        }
        let Some(op) = op else {
            return Err(Refusal { reason: Reason::UnknownOp, field: self.schema.roles().op.map(|f| f as u16) });
        };
        self.append(out);
        Ok(op)
    }

    fn append(&mut self, out: &mut Vec<u8>) {
        let mut end = 0u32;
        for text in 0..self.texts.len() {
            let (from, to) = self.texts[text];
            end += to - from;
            let at = self.schema.text_slot(text).offset as usize;
            self.row[at..at + 4].copy_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.row[..self.fixed]);
        for (from, to) in &self.texts {
            out.extend_from_slice(&self.row[*from as usize..*to as usize]);
        }
    }

    /// None where the op is a text of no meaning. A refused op field counts as content: its error stands anyway.
    fn op(&self) -> Option<Op> {
        let Some(field) = self.schema.roles().op else { return Some(Op::Assert) };
        let slot = self.schema.slot(field)?;
        let null = slot.null_bit.is_some_and(|bit| self.row[usize::from(bit / 8)] >> (bit % 8) & 1 == 1);
        if null || self.errors.iter().any(|e| e.field == Some(field as u16)) {
            return Some(Op::Assert);
        }
        let (from, to) = self.texts[usize::from(slot.text)];
        Op::parse(Value::Text(&self.row[from as usize..to as usize]))
    }

    /// A retraction is its identity and version; all else in it is ignored, errors of value included.
    fn keep_identity(&mut self) {
        let schema = self.schema;
        let roles = schema.roles();
        let identity: &[usize] = if let IdentityRule::Fields(ids) = &roles.identity { ids } else { &[] };
        let kept =
            |field: usize| identity.contains(&field) || [roles.origin, roles.version, roles.op].contains(&Some(field));
        self.errors.retain(|e| e.reason == Reason::DuplicateField || e.field.is_some_and(|f| kept(usize::from(f))));
        for field in (0..schema.fields().len()).filter(|field| !kept(*field)) {
            let Some(slot) = schema.slot(field) else { continue };
            if let Some(bit) = slot.null_bit {
                self.row[usize::from(bit / 8)] &= !(1 << (bit % 8));
            }
            self.clear(slot);
        }
    }
}
