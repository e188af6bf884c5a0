//! Ranks and identities of logical events, and the content digest: a second encoder of the documented row layout.
//!
//! Layout: a bitmap of the nullable content fields, then every content field in declared order (8 bytes; 16 for a
//! decimal of more than 18 digits, 1 for a bool, 4 for the end of a text), then the texts; nulls are zeros.

use crate::world::{Datum, Event, Identity, Source, Ty};
use num_traits::ToPrimitive;
use std::cmp::Ordering;

/// Where an event stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stood {
    /// The file.
    pub part: String,
    /// The offset of its first byte.
    pub offset: u64,
}

/// The digest of an event's content.
pub fn digest(source: &Source, event: &Event) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&bytes(source, event))
}

/// The canonical content of an event.
pub fn bytes(source: &Source, event: &Event) -> Vec<u8> {
    let (mut nulls, mut nullable, mut fixed, mut texts) = (Vec::new(), 0, Vec::new(), Vec::new());
    for (index, field) in source.fields.iter().enumerate().filter(|(index, _)| source.is_content(*index)) {
        let value = &event.values[index];
        if field.nullable {
            nulls.resize(nullable / 8 + 1, 0u8);
            if *value == Datum::Null {
                nulls[nullable / 8] |= 1 << (nullable % 8);
            }
            nullable += 1;
        }
        let wide = matches!(field.ty, Ty::Decimal(precision, _) if precision > 18);
        match value {
            Datum::Decimal(mantissa) if wide => {
                fixed.extend(mantissa.to_i128().expect("38 digits at most").to_le_bytes());
            }
            Datum::Decimal(mantissa) => fixed.extend(mantissa.to_i64().expect("18 digits at most").to_le_bytes()),
            Datum::U64(value) => fixed.extend(value.to_le_bytes()),
            Datum::I64(value) | Datum::Time(value) => fixed.extend(value.to_le_bytes()),
            Datum::F64(value) => fixed.extend(value.to_le_bytes()),
            Datum::Bool(value) => fixed.push(u8::from(*value)),
            Datum::Text(text) => texts.extend(text.as_bytes()),
            Datum::Null => {}
            Datum::Array(_) => unreachable!("no field is an array"),
        }
        match (field.ty, value) {
            (Ty::Text, _) => fixed.extend((texts.len() as u32).to_le_bytes()),
            (Ty::Bool, Datum::Null) => fixed.push(0),
            (_, Datum::Null) => fixed.extend(vec![0; if wide { 16 } else { 8 }]),
            _ => {}
        }
    }
    [nulls, fixed, texts].concat()
}

/// What makes an event the same as another one of its source: origin and id.
pub fn identity(source: &Source, event: &Event, stood: &Stood) -> Vec<Datum> {
    let mut identity: Vec<Datum> = source.origin.iter().map(|origin| event.values[*origin].clone()).collect();
    match &source.identity {
        Identity::Fields(fields) => identity.extend(fields.iter().map(|field| event.values[*field].clone())),
        Identity::Content => identity.push(Datum::Text(format!("{:032x}", digest(source, event)))),
        Identity::Position => identity.extend([Datum::Text(stood.part.clone()), Datum::U64(stood.offset)]),
    }
    identity
}

/// The version, as a number that grows with it. A null is the lowest.
pub fn version(source: &Source, event: &Event) -> u64 {
    match source.version.map(|field| &event.values[field]) {
        Some(Datum::U64(version)) => *version,
        Some(Datum::Time(time)) => (i128::from(*time) - i128::from(i64::MIN)) as u64,
        _ => 0,
    }
}

/// Canonical order of two facts: event time, then the sequence where it orders, then the id, then the origin.
pub fn canonical(source: &Source, a: (&Event, &Stood), b: (&Event, &Stood)) -> Ordering {
    let field = |index: usize| order(&a.0.values[index], &b.0.values[index]);
    let fields = |fields: &[usize]| fields.iter().map(|index| field(*index)).find(|order| order.is_ne());
    let sequence = source.sequence.filter(|_| source.by_sequence);
    let id = || match &source.identity {
        Identity::Fields(of) => fields(of).unwrap_or(Ordering::Equal),
        Identity::Content => digest(source, a.0).cmp(&digest(source, b.0)),
        Identity::Position => a.1.cmp(b.1),
    };
    let ordered = field(source.event_time).then_with(|| sequence.map_or(Ordering::Equal, field));
    ordered.then_with(id).then_with(|| source.origin.map_or(Ordering::Equal, field))
}

/// Order of two values of one type and scale: null first, false before true, numbers as numbers, texts as bytes.
/// NaN, which only arithmetic makes, is behind everything.
pub fn order(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Less,
        (_, Datum::Null) => Ordering::Greater,
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::U64(a), Datum::U64(b)) => a.cmp(b),
        (Datum::I64(a), Datum::I64(b)) | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::F64(a), Datum::F64(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b).expect("two numbers"),
            (a, b) => a.cmp(&b),
        },
        _ => panic!("{a:?} and {b:?} are of two types"),
    }
}
