//! A row's content: the declared fields as canonical bytes, made once by the decoder and only viewed after that.
//!
//! Layout: null bitmap, then each content field in declared order at a fixed offset (integers, decimals, floats and
//! times little-endian; a decimal of at most 18 digits takes 8 bytes, a wider one 16; a bool 1; a text the 4-byte end
//! of its bytes), then the texts one behind the other. A null's bytes are zero. Equal content is equal bytes, and
//! the content digest is xxh3-128 over exactly these bytes.

use crate::names;
use crate::schema::{IdentityRule, Kind, Schema, Slot};
use crate::table::mix;
use crate::value::{Type, Value};
use alloc::vec::Vec;

/// What an event does to the fact of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Gives it content.
    Assert = 0,
    /// Removes it.
    Retract = 1,
}

impl Op {
    /// The op that a text names: `retract` or `delete` removes; null, `assert`, `insert`, `update` and `upsert` do not.
    pub fn parse(text: Value<'_>) -> Option<Op> {
        match text {
            Value::Null => Some(Op::Assert),
            Value::Text(b"assert" | b"insert" | b"update" | b"upsert") => Some(Op::Assert),
            Value::Text(b"retract" | b"delete") => Some(Op::Retract),
            _ => None,
        }
    }
}

/// The content of one row, seen through its schema. Copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    schema: &'a Schema,
    content: &'a [u8],
}

impl<'a> Row<'a> {
    /// Views content that a [`RowBuilder`] of the same schema made, or that [`Row::check`] passed.
    #[inline]
    pub fn new(schema: &'a Schema, content: &'a [u8]) -> Self {
        Row { schema, content }
    }

    /// The bytes.
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The schema.
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// The value of a content field; null for a field that is not content.
    #[inline]
    pub fn get(&self, field: usize) -> Value<'a> {
        let Some(slot) = self.schema.slot(field) else { return Value::Null };
        if self.is_null(slot) {
            return Value::Null;
        }
        match slot.kind {
            Kind::Narrow => Value::Decimal(i64::from_le_bytes(self.bytes(slot.offset)).into()),
            Kind::Wide => Value::Decimal(i128::from_le_bytes(self.bytes(slot.offset))),
            Kind::F64 => Value::F64(f64::from_le_bytes(self.bytes(slot.offset))),
            Kind::U64 => Value::U64(u64::from_le_bytes(self.bytes(slot.offset))),
            Kind::I64 => Value::I64(i64::from_le_bytes(self.bytes(slot.offset))),
            Kind::Bool => Value::Bool(self.content[slot.offset as usize] != 0),
            Kind::Text => Value::Text(self.text(slot)),
            Kind::Time => Value::Time(i64::from_le_bytes(self.bytes(slot.offset))),
        }
    }

    /// Appends the canonical encoding of a content field's value.
    #[inline]
    pub fn encode(&self, field: usize, out: &mut Vec<u8>) {
        match self.schema.slot(field) {
            // Keys are mostly texts.
            Some(slot) if slot.kind == Kind::Text && !self.is_null(slot) => Value::encode_text(self.text(slot), out),
            _ => self.get(field).encode(out),
        }
    }

    /// The event time, in nanoseconds since the epoch. Zero in a retraction, whose content is only its identity.
    #[inline]
    pub fn event_time(&self) -> i64 {
        let slot = self.schema.asked().time.as_ref().expect("the event time is content");
        i64::from_le_bytes(self.bytes(slot.offset))
    }

    /// Content or retraction, by the row's own word; none where its op has no meaning.
    pub fn op(&self) -> Option<Op> {
        self.schema.roles().op.map_or(Some(Op::Assert), |field| Op::parse(self.get(field)))
    }

    /// The version as a rank: larger is newer; null is the lowest, as is a source without versions.
    pub fn version(&self) -> u64 {
        match self.schema.roles().version.map(|field| self.get(field)) {
            Some(Value::U64(version)) => version,
            Some(Value::Time(time)) => (time as u64) ^ (1 << 63),
            _ => 0,
        }
    }

    /// Appends the event id so that byte order is canonical order: numbers as numbers, texts as bytes.
    /// `place` is (file or partition, offset), of meaning where position is the identity.
    #[inline]
    pub fn put_id(&self, place: (&str, u64), out: &mut Vec<u8>) {
        if let Some(id) = self.numeric_id() {
            return out.extend_from_slice(&id.to_be_bytes());
        }
        match &self.schema.roles().identity {
            IdentityRule::Fields(fields) => fields.iter().for_each(|field| self.put_field(*field, out)),
            IdentityRule::Content => out.extend_from_slice(&digest(self.content).to_be_bytes()),
            IdentityRule::Position => {
                put_ordered(Value::Text(place.0.as_bytes()), out);
                out.extend_from_slice(&place.1.to_be_bytes());
            }
        }
    }

    /// The event id as a number, where it is one unsigned integer.
    #[inline]
    pub fn numeric_id(&self) -> Option<u64> {
        let slot = self.schema.asked().number.as_ref()?;
        Some(u64::from_le_bytes(self.bytes(slot.offset)))
    }

    /// The origin's bytes as they stand in the content; empty where the source is its own origin. Never null.
    #[inline]
    pub fn origin(&self) -> &'a [u8] {
        let Some(slot) = &self.schema.asked().origin else {
            assert!(self.schema.roles().origin.is_none(), "the origin is content");
            return &[];
        };
        match slot.kind {
            Kind::Text => self.text(slot),
            _ => &self.content[slot.offset as usize..slot.offset as usize + usize::from(slot.width)],
        }
    }

    /// Appends the origin, ordered likewise; nothing where the source is its own origin.
    #[inline]
    pub fn put_origin(&self, out: &mut Vec<u8>) {
        match (&self.schema.asked().origin, self.schema.roles().origin) {
            (Some(slot), _) if slot.kind == Kind::Text => put_text(self.text(slot), out),
            (_, Some(field)) => self.put_field(field, out),
            (_, None) => {}
        }
    }

    /// Appends a field of an identity or an origin, which is never null, as [`put_ordered`] does.
    fn put_field(&self, field: usize, out: &mut Vec<u8>) {
        let slot = self.schema.slot(field).expect("identity and origin are content");
        match slot.kind {
            Kind::U64 => out.extend_from_slice(&u64::from_le_bytes(self.bytes(slot.offset)).to_be_bytes()),
            Kind::Text => put_text(self.text(slot), out),
            _ => put_ordered(self.get(field), out),
        }
    }

    /// The mantissa of a field that is an exact number; none where it is null, or no such number. The short way to
    /// what sums take most.
    #[inline]
    pub fn number(&self, field: usize) -> Option<i128> {
        let slot = self.schema.slot(field)?;
        if self.is_null(slot) {
            return None;
        }
        match slot.kind {
            Kind::Narrow | Kind::I64 => Some(i64::from_le_bytes(self.bytes(slot.offset)).into()),
            Kind::U64 => Some(u64::from_le_bytes(self.bytes(slot.offset)).into()),
            Kind::Wide => Some(i128::from_le_bytes(self.bytes(slot.offset))),
            _ => None,
        }
    }

    /// Appends what orders rows of one event time: the sequence where the source is ordered by it, then id, then origin.
    #[inline]
    pub fn put_order(&self, place: (&str, u64), out: &mut Vec<u8>) {
        let roles = self.schema.roles();
        if let Some(field) = roles.sequence.filter(|_| roles.order_by_sequence) {
            out.extend_from_slice(&self.sequence_rank(field).to_be_bytes());
        }
        self.put_id(place, out);
        self.put_origin(out);
    }

    /// A missing sequence comes before every other.
    fn sequence_rank(&self, field: usize) -> u128 {
        match self.get(field) {
            Value::U64(sequence) => u128::from(sequence) + 1,
            _ => 0,
        }
    }

    /// Whether these bytes are the content of some row of the schema: for bytes that come back from outside.
    pub fn check(schema: &Schema, content: &[u8]) -> bool {
        let row = Row { schema, content };
        if content.len() < schema.fixed_len() {
            return false;
        }
        let mut end = 0;
        for (index, field) in schema.fields().iter().enumerate() {
            let Some(slot) = schema.slot(index) else { continue };
            let at = slot.offset as usize;
            let raw = &content[at..at + usize::from(slot.width)];
            let null = row.is_null(slot);
            if field.ty == Type::Text {
                let next = u32::from_le_bytes(row.bytes(slot.offset)) as usize;
                let text = content[schema.fixed_len()..].get(end..next);
                let sound = text.is_some_and(|text| core::str::from_utf8(text).is_ok() && !text.contains(&0));
                if !sound || (null && next != end) {
                    return false;
                }
                end = next;
            } else {
                let sound =
                    if null { raw.iter().all(|byte| *byte == 0) } else { in_range(row.get(index), field.ty, raw) };
                if !sound {
                    return false;
                }
            }
        }
        let bits = (0..schema.fields().len()).filter_map(|i| schema.slot(i)?.null_bit).count();
        let spare = if bits % 8 == 0 { 0 } else { content[bits / 8] >> (bits % 8) };
        content.len() == schema.fixed_len() + end && spare == 0
    }

    #[inline]
    fn is_null(&self, slot: &Slot) -> bool {
        slot.null_bit.is_some_and(|bit| self.content[usize::from(bit / 8)] >> (bit % 8) & 1 == 1)
    }

    #[inline]
    fn bytes<const N: usize>(&self, offset: u32) -> [u8; N] {
        *self.content[offset as usize..].first_chunk().expect("the content of a row")
    }

    #[inline(always)]
    fn text(&self, slot: &Slot) -> &'a [u8] {
        let texts = &self.content[self.schema.fixed_len()..];
        let end = |offset| u32::from_le_bytes(self.bytes(offset)) as usize;
        &texts[slot.before.map_or(0, end)..end(slot.offset)]
    }
}

/// Appends the content of the row that has these values, by field. False, and nothing appended, where a value is not one
/// of its field's type, or a null is not allowed.
pub fn put_content<'v>(schema: &Schema, value: impl Fn(usize) -> Value<'v>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let texts = start + schema.fixed_len();
    out.resize(texts, 0);
    for (index, field) in schema.fields().iter().enumerate() {
        let Some(slot) = schema.slot(index) else { continue };
        let at = start + slot.offset as usize;
        let mut put = |bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        match (value(index), field.ty) {
            (Value::Null, _) if field.nullable => {
                if let Some(bit) = slot.null_bit {
                    out[start + usize::from(bit / 8)] |= 1 << (bit % 8);
                }
            }
            (Value::U64(v), Type::U64) => put(&v.to_le_bytes()),
            (Value::I64(v), Type::I64) | (Value::Time(v), Type::Timestamp) => put(&v.to_le_bytes()),
            (Value::Decimal(v), Type::Decimal { .. }) if slot.kind == Kind::Wide => put(&v.to_le_bytes()),
            (Value::Decimal(v), Type::Decimal { .. }) if i64::try_from(v).is_ok() => put(&(v as i64).to_le_bytes()),
            (Value::F64(v), Type::Float64) => put(&v.to_le_bytes()),
            (Value::Bool(v), Type::Bool) => put(&[u8::from(v)]),
            (Value::Text(v), Type::Text) => out.extend_from_slice(v),
            _ => {
                out.truncate(start);
                return false;
            }
        }
        if field.ty == Type::Text {
            let end = (out.len() - texts) as u32;
            out[at..at + 4].copy_from_slice(&end.to_le_bytes());
        }
    }
    true
}

fn in_range(value: Value<'_>, ty: Type, raw: &[u8]) -> bool {
    match (value, ty) {
        (Value::Decimal(m), Type::Decimal { precision, .. }) => m.unsigned_abs() < 10u128.pow(u32::from(precision)),
        (Value::F64(x), _) => x.is_finite() && (x != 0.0 || x.is_sign_positive()),
        (_, Type::Bool) => raw[0] <= 1,
        _ => true,
    }
}

/// The content digest.
#[inline]
pub fn digest(content: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(content)
}

/// Texts hold no NUL, so a NUL ends one below every longer one.
#[inline]
fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 1);
    out.extend_from_slice(text);
    out.push(0);
}

/// Appends a value so that byte order is value order and no encoding is a prefix of another.
#[inline]
pub fn put_ordered(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::U64(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::I64(v) | Value::Time(v) => out.extend_from_slice(&((v as u64) ^ (1 << 63)).to_be_bytes()),
        Value::Decimal(v) => out.extend_from_slice(&((v as u128) ^ (1 << 127)).to_be_bytes()),
        Value::Text(v) => put_text(v, out),
        Value::Bool(v) => out.push(u8::from(v)),
        Value::Null | Value::F64(_) | Value::Wide(_) | Value::Array(_) => {
            unreachable!("no identity or origin has this type")
        }
    }
}

/// The bytes of an identity: (source, origin, id), no two identities alike.
#[derive(Default, Debug)]
pub struct IdentityBytes {
    bytes: Vec<u8>,
}

impl IdentityBytes {
    /// The bytes of the identity of a row at `place`.
    #[inline]
    pub fn of(&mut self, row: Row<'_>, source: u16, place: (&str, u64)) -> &[u8] {
        self.bytes.clear();
        self.bytes.extend_from_slice(&source.to_be_bytes());
        row.put_origin(&mut self.bytes);
        row.put_id(place, &mut self.bytes);
        &self.bytes
    }

    /// A hash of the identity of a row at `place`. That of a number needs no bytes.
    #[inline]
    pub fn hash(&mut self, row: Row<'_>, source: u16, place: (&str, u64)) -> u64 {
        match row.numeric_id() {
            Some(id) => mix(id, names::hash(row.origin()) ^ u64::from(source) << 48),
            None => xxhash_rust::xxh3::xxh3_64(self.of(row, source, place)),
        }
    }
}
