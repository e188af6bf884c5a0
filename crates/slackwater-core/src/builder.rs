//! Collecting the fields of one event into a row's content.

use crate::plan::{Guards, Source};
use crate::poison::{Reason, Refusal};
use crate::row::{IdentityBytes, Op};
use crate::schema::{IdentityRule, Kind, Schema, Slot};
use crate::value::Value;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Collects the fields of one event, in any order, and gives the row's content, or the reason why there is none.
///
/// It is kept and reused: after [`RowBuilder::begin`] nothing of the event before remains.
#[derive(Debug)]
pub struct RowBuilder<'s> {
    source: &'s Source,
    schema: &'s Schema,
    /// What the source demands of the events at hand.
    guards: Arc<Guards>,
    /// Every event writes each slot, with a value or with the zeros of a null; only the null bits start anew.
    fixed: Vec<u8>,
    nulls: usize,
    /// A bit a field: what stood in this event.
    seen: Vec<u64>,
    missing: usize,
    texts: Vec<(u32, u32)>,
    text: Vec<u8>,
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

/// A buffer with room for lines of cache of its own: two builders that two threads fill at once must not share one.
fn apart<T: Clone>(len: usize, value: T) -> Vec<T> {
    let mut buffer = Vec::with_capacity(len.max(256 / size_of::<T>()));
    buffer.resize(len, value);
    buffer
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
            guards,
            fixed: apart(schema.fixed_len(), 0),
            nulls: schema.null_bytes(),
            seen: apart(schema.fields().len().div_ceil(64), 0),
            missing: schema.fields().len(),
            texts: apart(schema.text_count(), (0, 0)),
            text: apart(0, 0),
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
        self.fixed[..self.nulls].iter_mut().for_each(|byte| *byte = 0);
        self.seen.iter_mut().for_each(|word| *word = 0);
        self.missing = self.schema.fields().len();
        self.text.clear();
        (self.arrival, self.sequence) = (None, None);
        self.errors.clear();
    }

    /// Notes that a value of `field` stands here. False, and the event refused, if one stood before.
    /// Every `set_*`, and [`RowBuilder::null`] and [`RowBuilder::refuse`], must be led by it.
    #[inline]
    pub fn see(&mut self, field: usize) -> bool {
        let (word, bit) = (field / 64, 1 << (field % 64));
        if self.seen[word] & bit != 0 {
            self.errors.push(Refusal::field(Reason::DuplicateField, field));
            return false;
        }
        self.seen[word] |= bit;
        self.missing -= 1;
        true
    }

    /// The field is null.
    #[inline]
    pub fn null(&mut self, field: usize) {
        let declared = &self.schema.fields()[field];
        if !declared.nullable {
            self.errors.push(Refusal::field(Reason::MissingField, field));
        } else if let Some(slot) = self.schema.slot(field) {
            if let Some(bit) = slot.null_bit {
                self.fixed[usize::from(bit / 8)] |= 1 << (bit % 8);
            }
            self.clear(slot);
        }
    }

    /// Writes the zeros of a null.
    fn clear(&mut self, slot: &Slot) {
        let at = slot.offset as usize;
        self.fixed[at..at + usize::from(slot.width)].fill(0);
        if slot.kind == Kind::Text {
            self.texts[usize::from(slot.text)] = (0, 0);
        }
    }

    /// The field's value cannot be taken. A retraction forgives it outside its identity and version.
    pub fn refuse(&mut self, field: usize, reason: Reason) {
        self.errors.push(Refusal::field(reason, field));
    }

    /// An unsigned integer, for a `u64` field.
    #[inline]
    pub fn set_u64(&mut self, field: usize, value: u64) {
        if self.schema.roles().sequence == Some(field) {
            self.sequence = Some(value);
        }
        self.put(field, value.to_le_bytes());
    }

    /// A signed integer, for an `i64` field.
    #[inline]
    pub fn set_i64(&mut self, field: usize, value: i64) {
        self.put(field, value.to_le_bytes());
    }

    /// Nanoseconds since the epoch, for a timestamp field.
    #[inline]
    pub fn set_time(&mut self, field: usize, nanos: i64) {
        if self.schema.roles().arrival == Some(field) {
            self.arrival = Some(nanos);
        }
        self.put(field, nanos.to_le_bytes());
    }

    /// A double; NaN and infinities refuse the event, and -0 becomes +0.
    #[inline]
    pub fn set_f64(&mut self, field: usize, value: f64) {
        if value.is_finite() {
            self.put(field, (value + 0.0).to_le_bytes());
        } else {
            self.refuse(field, Reason::NotFinite);
        }
    }

    /// A truth value.
    #[inline]
    pub fn set_bool(&mut self, field: usize, value: bool) {
        self.put(field, [u8::from(value)]);
    }

    /// A decimal's mantissa at the field's own scale; the caller has checked its digits.
    #[inline]
    pub fn set_decimal(&mut self, field: usize, mantissa: i128) {
        let Some(slot) = self.schema.slot(field) else { return };
        if slot.kind == Kind::Wide {
            return self.put_at(slot, mantissa.to_le_bytes());
        }
        match i64::try_from(mantissa) {
            Ok(narrow) => self.put_at(slot, narrow.to_le_bytes()),
            Err(_) => self.refuse(field, Reason::Range),
        }
    }

    /// A text, which the caller has found to be UTF-8; a NUL in it refuses the event.
    #[inline]
    pub fn set_text(&mut self, field: usize, text: &[u8]) {
        if text.contains(&0) {
            return self.refuse(field, Reason::NulByte);
        }
        self.set_plain_text(field, text);
    }

    /// A text, which the caller has found to be UTF-8 without a NUL.
    #[inline]
    pub fn set_plain_text(&mut self, field: usize, text: &[u8]) {
        let Some(slot) = self.schema.slot(field) else { return };
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        self.texts[usize::from(slot.text)] = (start, self.text.len() as u32);
    }

    #[inline]
    fn put<const N: usize>(&mut self, field: usize, bytes: [u8; N]) {
        if let Some(slot) = self.schema.slot(field) {
            self.put_at(slot, bytes);
        }
    }

    #[inline]
    fn put_at<const N: usize>(&mut self, slot: &Slot, bytes: [u8; N]) {
        let at = slot.offset as usize;
        self.fixed[at..at + N].copy_from_slice(&bytes);
    }

    /// Ends the event and appends its content to `out`; `out` is unchanged when it is refused.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finished, Refusal> {
        if self.missing > 0 {
            for field in 0..self.schema.fields().len() {
                if self.seen[field / 64] >> (field % 64) & 1 == 0 {
                    self.null(field);
                }
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
        Ok(Finished { op, arrival: self.arrival.into_iter().chain(self.stamp).min(), sequence: self.sequence })
    }

    fn append(&mut self, out: &mut Vec<u8>) {
        let mut end = 0u32;
        for text in 0..self.texts.len() {
            let (from, to) = self.texts[text];
            end += to - from;
            let at = self.schema.text_slot(text).offset as usize;
            self.fixed[at..at + 4].copy_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.fixed);
        for (from, to) in &self.texts {
            out.extend_from_slice(&self.text[*from as usize..*to as usize]);
        }
    }

    /// None where the op is a text of no meaning. A refused op field counts as content: its error stands anyway.
    fn op(&self) -> Option<Op> {
        let Some(field) = self.schema.roles().op else { return Some(Op::Assert) };
        let slot = self.schema.slot(field)?;
        let null = slot.null_bit.is_some_and(|bit| self.fixed[usize::from(bit / 8)] >> (bit % 8) & 1 == 1);
        if null || self.errors.iter().any(|e| e.field == Some(field as u16)) {
            return Some(Op::Assert);
        }
        let (from, to) = self.texts[usize::from(slot.text)];
        Op::parse(Value::Text(&self.text[from as usize..to as usize]))
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
                self.fixed[usize::from(bit / 8)] &= !(1 << (bit % 8));
            }
            self.clear(slot);
        }
    }
}
