//! The closed list of reasons for which an event is refused.
//!
//! A refusal is a verdict: a pure function of the event's bytes, the decoder's version, the plan and the recorded
//! arrival. So replay repeats it, and none of it depends on what else was seen.

use crate::codec::{CodecError, Reader, put_varint};
use alloc::vec::Vec;

/// Why an event was refused. The discriminant is the code in every encoding and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Not a well-formed event of its format (truncated JSON, a bad escape, text after the value).
    Malformed = 1,
    /// Well-formed, but not an object or a record.
    NotAnObject = 2,
    /// Bytes that are not UTF-8.
    InvalidUtf8 = 3,
    /// A NUL character in a text.
    NulByte = 4,
    /// Larger than the limit for one event.
    TooLarge = 5,
    /// Nested deeper than the limit.
    TooDeep = 6,
    /// A record with more or fewer cells than the header has.
    Ragged = 7,
    /// A declared field that occurs twice.
    DuplicateField = 8,
    /// A required field that is absent or null.
    MissingField = 9,
    /// A value of another type than declared.
    WrongType = 10,
    /// A number outside its declared type.
    Range = 11,
    /// More nonzero fraction digits than declared.
    Scale = 12,
    /// NaN or an infinity.
    NotFinite = 13,
    /// A text that is not a time, or not one with an offset.
    TimeFormat = 14,
    /// A time outside what i64 nanoseconds since the epoch hold (1677-09-21 to 2262-04-11).
    TimeRange = 15,
    /// An `op` that is neither content nor a retraction.
    UnknownOp = 16,
    /// An origin that `origins` does not list.
    UnknownOrigin = 17,
    /// A `require` guard that is not true.
    Require = 18,
    /// Further ahead of its own recorded arrival than `max_future`.
    Future = 19,
    /// Before `min_time` or after `max_time`.
    TimeBounds = 20,
}

impl Reason {
    /// Every reason, in code order.
    pub const ALL: [Reason; 20] = [
        Reason::Malformed,
        Reason::NotAnObject,
        Reason::InvalidUtf8,
        Reason::NulByte,
        Reason::TooLarge,
        Reason::TooDeep,
        Reason::Ragged,
        Reason::DuplicateField,
        Reason::MissingField,
        Reason::WrongType,
        Reason::Range,
        Reason::Scale,
        Reason::NotFinite,
        Reason::TimeFormat,
        Reason::TimeRange,
        Reason::UnknownOp,
        Reason::UnknownOrigin,
        Reason::Require,
        Reason::Future,
        Reason::TimeBounds,
    ];

    /// The word that outputs and counters use.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::NotAnObject => "not_an_object",
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::NulByte => "nul_byte",
            Reason::TooLarge => "too_large",
            Reason::TooDeep => "too_deep",
            Reason::Ragged => "ragged",
            Reason::DuplicateField => "duplicate_field",
            Reason::MissingField => "missing_field",
            Reason::WrongType => "wrong_type",
            Reason::Range => "range",
            Reason::Scale => "scale",
            Reason::NotFinite => "not_finite",
            Reason::TimeFormat => "time_format",
            Reason::TimeRange => "time_range",
            Reason::UnknownOp => "unknown_op",
            Reason::UnknownOrigin => "unknown_origin",
            Reason::Require => "require",
            Reason::Future => "max_future",
            Reason::TimeBounds => "time_bounds",
        }
    }

    /// The reason with this encoded code.
    pub fn from_u8(code: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}

/// A reason, and the declared field (or `require` guard) that it is about, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Index of the field in the schema; for [`Reason::Require`] of the guard; none where no field is to blame.
    pub field: Option<u16>,
}

impl Refusal {
    /// A refusal of the event as a whole.
    pub fn event(reason: Reason) -> Self {
        Refusal { reason, field: None }
    }

    /// A refusal for one field.
    pub fn field(reason: Reason, field: usize) -> Self {
        Refusal { reason, field: Some(field as u16) }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.reason as u8);
        put_varint(out, self.field.map_or(0, |field| u64::from(field) + 1));
    }

    /// Reads back what [`Refusal::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Refusal, CodecError> {
        let Some(reason) = Reason::from_u8(reader.byte()?) else { return reader.fail("a known reason") };
        let field = match reader.number::<u32>()? {
            0 => None,
            n if n <= 1 << 16 => Some((n - 1) as u16),
            _ => return reader.fail("a field"),
        };
        Ok(Refusal { reason, field })
    }
}
