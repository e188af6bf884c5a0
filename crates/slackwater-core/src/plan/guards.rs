//! What a source demands of its events beyond its schema. A change of it is a decision: it judges what comes behind it, and
//! nothing that came before.

use super::expr::Expr;
use crate::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use crate::schema::Schema;
use crate::value::Type;
use alloc::string::String;
use alloc::vec::Vec;

/// The demands of a source. Times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guards {
    /// The origins that may send, by name; none: any.
    pub origins: Option<Vec<String>>,
    /// How far ahead of its own recorded arrival an event may be.
    pub max_future: Option<i64>,
    /// Earliest event time, since the epoch.
    pub min_time: Option<i64>,
    /// Latest event time, since the epoch.
    pub max_time: Option<i64>,
    /// Guards that must be true of every content.
    pub require: Vec<Guard>,
}

/// A `require` guard.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// A boolean expression over the source's fields.
    pub expr: Expr,
    /// As the configuration has it.
    pub text: String,
}

impl Guards {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Guards { origins, max_future, min_time, max_time, require } = self;
        put_varint(out, origins.as_ref().map_or(0, |names| names.len() as u64 + 1));
        origins.iter().flatten().for_each(|name| put_bytes(out, name.as_bytes()));
        [max_future, min_time, max_time].into_iter().for_each(|bound| put_option(out, *bound));
        put_varint(out, require.len() as u64);
        for Guard { expr, text } in require {
            expr.encode(out);
            put_bytes(out, text.as_bytes());
        }
    }

    /// Reads back what [`Guards::encode`] wrote for a source of this schema.
    pub fn decode(reader: &mut Reader<'_>, schema: &Schema) -> Result<Self, CodecError> {
        let text = |reader: &mut Reader<'_>| Ok::<_, CodecError>(String::from(reader.text()?));
        let mut guards = Guards::default();
        if let Some(names) = reader.varint()?.checked_sub(1) {
            let origins = guards.origins.insert(Vec::new());
            for _ in 0..names {
                origins.push(text(reader)?);
            }
        }
        (guards.max_future, guards.min_time, guards.max_time) = (reader.option()?, reader.option()?, reader.option()?);
        for _ in 0..reader.varint()? {
            let expr = Expr::decode(reader, schema)?;
            if expr.ty != Type::Bool {
                return reader.fail("a condition");
            }
            guards.require.push(Guard { expr, text: text(reader)? });
        }
        Ok(guards)
    }
}
