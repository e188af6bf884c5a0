//! Final rows as canonical bytes: what a store keeps of them, and reads back.

use super::emit::digest;
use super::{Bar, Final};
use crate::codec::{CodecError, Reader, put_varint};
use crate::delta::Cause;
use crate::plan::{Column, Pipeline, Plan, Windowing};
use crate::value::{Scalar, Value};
use crate::window::Window;
use alloc::vec::Vec;

impl Final {
    /// Appends what makes the row the one that it is, whatever its generation: key, and window start or bar. Within a
    /// pipeline no two rows are alike.
    pub fn put_id(&self, out: &mut Vec<u8>) {
        self.key.iter().for_each(|value| value.value().encode(out));
        match self.bar {
            None => out.extend_from_slice(&ordered(self.window.start)),
            Some(Bar { anchor, ordinal, .. }) => {
                out.push(u8::from(anchor.is_some()));
                out.extend_from_slice(&ordered(anchor.unwrap_or_default()));
                out.extend_from_slice(&ordinal.to_be_bytes());
            }
        }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.pipeline.into());
        self.key.iter().for_each(|value| value.value().encode(out));
        out.extend_from_slice(&self.window.start.to_le_bytes());
        out.extend_from_slice(&self.window.end.to_le_bytes());
        if let Some(Bar { anchor, ordinal, complete }) = self.bar {
            out.push(u8::from(anchor.is_some()));
            out.extend_from_slice(&anchor.unwrap_or_default().to_le_bytes());
            put_varint(out, ordinal);
            out.push(u8::from(complete));
        }
        put_varint(out, self.generation);
        out.extend_from_slice(&[self.cause as u8, u8::from(self.removed)]);
        if !self.removed {
            self.values.iter().for_each(|value| value.value().encode(out));
        }
        out.extend_from_slice(&self.digest);
    }

    /// Reads one row back and holds it against its digest.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Final, CodecError> {
        let number: u16 = reader.number()?;
        let Some(pipeline) = plan.pipelines.get(usize::from(number)) else { return reader.fail("a pipeline") };
        let key = pipeline.key.iter().map(|column| Ok(Value::decode(reader, column.expr.ty)?.to_scalar()));
        let key: Vec<Scalar> = key.collect::<Result<_, CodecError>>()?;
        let window = Window { start: i128::from_le_bytes(reader.array()?), end: i128::from_le_bytes(reader.array()?) };
        let bar = match pipeline.windowing {
            Windowing::Bars(_) => Some(decode_bar(reader)?),
            _ => None,
        };
        let generation = reader.varint()?;
        let Some(cause) = Cause::ALL.get(usize::from(reader.byte()?)).copied() else { return reader.fail("a cause") };
        let removed = reader.flag()?;
        let value = |column: &Column, reader: &mut Reader<'_>| match removed {
            true => Ok(Scalar::NULL),
            false => Ok(Value::decode(reader, column.expr.ty)?.to_scalar()),
        };
        let values = pipeline.columns.iter().map(|column| value(column, reader));
        let values: Vec<Scalar> = values.collect::<Result<_, CodecError>>()?;
        let digest = reader.array()?;
        let row = Final { pipeline: number, key, window, bar, generation, cause, removed, values, digest };
        if row.digest != row.recompute(pipeline) {
            return reader.fail("a row that has its digest");
        }
        Ok(row)
    }

    fn recompute(&self, pipeline: &Pipeline) -> [u8; 32] {
        let mut key = Vec::new();
        self.key.iter().for_each(|value| value.value().encode(&mut key));
        let shown = if self.removed { &[] } else { &self.values[..] };
        digest(pipeline, &key, (self.window, self.bar), self.removed, shown)
    }
}

/// So that byte order is the order of numbers.
pub(super) fn ordered(number: i128) -> [u8; 16] {
    ((number as u128) ^ (1 << 127)).to_be_bytes()
}

fn decode_bar(reader: &mut Reader<'_>) -> Result<Bar, CodecError> {
    let anchored = reader.flag()?;
    let anchor = i128::from_le_bytes(reader.array()?);
    let (ordinal, complete) = (reader.varint()?, reader.flag()?);
    Ok(Bar { anchor: anchored.then_some(anchor), ordinal, complete })
}
