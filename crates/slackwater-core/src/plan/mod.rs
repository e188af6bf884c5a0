//! A compiled plan: the sources with their schemas and guards, and the pipelines with their typed expressions.
//!
//! A plan is data. The SQL face makes one, its fingerprint names it, and the judge and the fold run it.

use crate::codec::{CodecError, Reader, put_bytes, put_option, put_signed, put_varint};
use crate::schema::Schema;
use crate::value::Type;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

mod bars;
pub mod expr;
mod fingerprint;
mod fraction;
mod guards;
mod pipeline;
mod written;

pub use bars::{Bars, Break, Cut, Overshoot};
pub use expr::Expr;
pub use fraction::Fraction;
pub use guards::{Guard, Guards};
pub use pipeline::{Accumulate, Column, Finish, KeyColumn, Pipeline, Result, State, Windowing};

/// All that the core needs to know of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The sources; events name theirs by index.
    pub sources: Vec<Source>,
    /// The pipelines.
    pub pipelines: Vec<Pipeline>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What its events declare.
    pub schema: Schema,
    /// What it demands of its events: changing it is a recorded decision and no new plan.
    pub guards: Arc<Guards>,
    /// Tuning knobs: changing them is a recorded decision and no new plan.
    pub knobs: Knobs,
    /// What a late fact does to a sealed window.
    pub late: LatePolicy,
    /// What an open gap does to the watermark.
    pub gap: GapPolicy,
}

/// What the watermark of a source's origins follows. Times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knobs {
    /// How far the watermark stays behind the frontier.
    pub lag: i64,
    /// The same for single origins.
    pub lag_by_origin: Vec<(String, i64)>,
    /// How long a caught-up origin may be silent before it is left out.
    pub idle_after: Option<i64>,
    /// Whether the watermark follows the tick's time instead of the events'.
    pub wall_clock: bool,
}

impl Knobs {
    /// How far the watermark of an origin stays behind its frontier.
    pub fn lag_of(&self, source: &Source, origin: &[u8]) -> i64 {
        let special = self.lag_by_origin.iter().find(|(name, _)| source.origin_bytes(name) == origin);
        special.map_or(self.lag, |(_, lag)| *lag)
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Knobs { lag, lag_by_origin, idle_after, wall_clock } = self;
        put_signed(out, *lag);
        put_varint(out, lag_by_origin.len() as u64);
        for (origin, lag) in lag_by_origin {
            put_bytes(out, origin.as_bytes());
            put_signed(out, *lag);
        }
        put_option(out, *idle_after);
        out.push(u8::from(*wall_clock));
    }

    /// Reads back what [`Knobs::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, CodecError> {
        let mut knobs = Knobs { lag: reader.signed()?, ..Knobs::default() };
        for _ in 0..reader.varint()? {
            knobs.lag_by_origin.push((reader.text()?.to_string(), reader.signed()?));
        }
        (knobs.idle_after, knobs.wall_clock) = (reader.option()?, reader.flag()?);
        Ok(knobs)
    }
}

/// What a late fact does to a sealed window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// Makes a new generation.
    #[default]
    Amend,
    /// Is kept and listed until released.
    Hold,
}

/// What an open gap does to the watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GapPolicy {
    /// Holds it.
    #[default]
    Hold,
    /// Lets it pass; what seals is marked incomplete.
    Incomplete,
}

impl Source {
    /// A source that demands nothing beyond its schema.
    pub fn new(name: &str, schema: Schema) -> Self {
        Source {
            name: String::from(name),
            schema,
            guards: Arc::default(),
            knobs: Knobs::default(),
            late: LatePolicy::default(),
            gap: GapPolicy::default(),
        }
    }

    /// The bytes of the origin of this name, as [`crate::row::Row::origin`] gives them; those of no row's origin if the
    /// name is not a value of the origin's type.
    pub fn origin_bytes(&self, name: &str) -> Vec<u8> {
        let Some(field) = self.schema.roles().origin else { return Vec::new() };
        let number = match self.schema.fields()[field].ty {
            Type::U64 => name.parse().ok().map(u64::to_le_bytes),
            Type::I64 => name.parse().ok().map(i64::to_le_bytes),
            _ => None,
        };
        number.map_or_else(|| name.as_bytes().to_vec(), |number| number.to_vec())
    }

    /// The name of the origin with these bytes: a field's value, or the source's own name.
    pub fn origin_name(&self, bytes: &[u8]) -> String {
        let Some(field) = self.schema.roles().origin else { return self.name.clone() };
        match (self.schema.fields()[field].ty, <[u8; 8]>::try_from(bytes)) {
            (Type::U64, Ok(bytes)) => u64::from_le_bytes(bytes).to_string(),
            (Type::I64, Ok(bytes)) => i64::from_le_bytes(bytes).to_string(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}
