//! What names a segment in a manifest.

use slackwater_core::codec::{CodecError, Reader, put_signed, put_varint};

/// Names a segment, says what is in it, and by its digests which bytes it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number; its file is named by it.
    pub number: u64,
    /// Index of its source.
    pub source: u16,
    /// Its bucket: event times divided by the length of one, rounded down.
    pub bucket: i64,
    /// How many changes it has.
    pub rows: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Smallest and largest event time in nanoseconds since the epoch.
    pub times: (i64, i64),
    /// Smallest and largest tick.
    pub ticks: (u64, u64),
    /// BLAKE3 of its rows: its identity, whatever wrote it.
    pub rows_digest: [u8; 32],
    /// BLAKE3 of its footer, which has the digests of all else.
    pub file_digest: [u8; 32],
}

impl Segment {
    pub(super) fn empty(number: u64, source: u16, bucket: i64) -> Segment {
        let (times, ticks, none) = ((i64::MAX, i64::MIN), (u64::MAX, 0), [0; 32]);
        Segment { number, source, bucket, rows: 0, bytes: 0, times, ticks, rows_digest: none, file_digest: none }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
        put_varint(out, self.source.into());
        put_signed(out, self.bucket);
        put_varint(out, self.rows);
        put_varint(out, self.bytes);
        put_signed(out, self.times.0);
        put_signed(out, self.times.1);
        put_varint(out, self.ticks.0);
        put_varint(out, self.ticks.1);
        out.extend_from_slice(&self.rows_digest);
        out.extend_from_slice(&self.file_digest);
    }

    /// Reads back what [`Segment::encode`] wrote.
    ///
    /// # Errors
    /// Where the bytes are no such encoding.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Segment, CodecError> {
        Ok(Segment {
            number: reader.varint()?,
            source: reader.number()?,
            bucket: reader.signed()?,
            rows: reader.varint()?,
            bytes: reader.varint()?,
            times: (reader.signed()?, reader.signed()?),
            ticks: (reader.varint()?, reader.varint()?),
            rows_digest: reader.array()?,
            file_digest: reader.array()?,
        })
    }
}
