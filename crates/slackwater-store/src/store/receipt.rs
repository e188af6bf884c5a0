//! What a named delivery was answered, so that it is answered so again.

use slackwater_core::codec::{CodecError, Reader, put_bytes, put_varint};
use slackwater_core::judge::Counts;

/// The answer to a delivery that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number among all of the instance, from 0.
    pub number: u64,
    /// Index of the source.
    pub source: u16,
    /// Its name.
    pub name: String,
    /// xxh3-128 of its bytes as they were sent.
    pub digest: u128,
    /// Its events by what became of them.
    pub counts: Counts,
}

impl Receipt {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
        put_varint(out, self.source.into());
        put_bytes(out, self.name.as_bytes());
        out.extend_from_slice(&self.digest.to_le_bytes());
        self.counts.encode(out);
    }

    /// Reads back what [`Receipt::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (number, source, name) = (reader.varint()?, reader.number()?, reader.text()?.to_string());
        let digest = u128::from_le_bytes(reader.array()?);
        Ok(Receipt { number, source, name, digest, counts: Counts::decode(reader)? })
    }
}
