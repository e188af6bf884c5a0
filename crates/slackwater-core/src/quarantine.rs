//! Events that count in no result: refused ones, losers of conflicts and what lies before a cutoff, kept whole, and what became
//! of them later.
//!
//! An event in quarantine may be judged again, under the decoder and the guards of the day, or be discarded. Both are
//! inputs, which carry all that it takes: what they bring about can be brought about again from them alone.

use crate::codec::{CodecError, Reader, put_bytes, put_option, put_signed, put_varint};
use crate::input::Position;
use crate::judge::Counts;
use crate::poison::Refusal;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An event that counts in no result, kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// Index of its source.
    pub source: u16,
    /// File or partition.
    pub part: Arc<str>,
    /// Where it stood.
    pub position: Position,
    /// When it was first seen here, if that is recorded: what its own arrival is held against.
    pub arrival: Option<i64>,
    /// What its decoder must know besides the bytes.
    pub header: Arc<[u8]>,
    /// Why.
    pub why: Why,
    /// The guard that was not true, as the configuration had it.
    pub guard: Option<Arc<str>>,
    /// Its raw bytes; of what was not refused its content.
    pub bytes: Vec<u8>,
}

/// Why an event is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was refused.
    Refused(Refusal),
    /// Another content of the same version won.
    Conflict,
    /// It would have changed something before the cutoff of its source.
    BeyondRetention,
}

impl Why {
    /// The refusal, if it is one.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Why::Refused(refusal) => Some(refusal),
            Why::Conflict | Why::BeyondRetention => None,
        }
    }

    /// The word that outputs use.
    pub fn code(self) -> &'static str {
        match self {
            Why::Refused(refusal) => refusal.reason.code(),
            Why::Conflict => "conflict",
            Why::BeyondRetention => "beyond_retention",
        }
    }
}

impl Quarantined {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.source.into());
        put_bytes(out, self.part.as_bytes());
        put_varint(out, self.position.offset);
        put_varint(out, self.position.line);
        put_option(out, self.arrival);
        put_bytes(out, &self.header);
        match self.why {
            Why::Conflict => out.push(0),
            Why::Refused(refusal) => {
                out.push(1);
                refusal.encode(out);
            }
            Why::BeyondRetention => out.push(2),
        }
        put_text(out, self.guard.as_deref());
        put_bytes(out, &self.bytes);
    }

    /// Reads back what [`Quarantined::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (source, part) = (reader.number()?, Arc::from(reader.text()?));
        let position = Position { offset: reader.varint()?, line: reader.varint()? };
        let (arrival, header) = (reader.option()?, reader.bytes()?.into());
        let why = match reader.byte()? {
            0 => Why::Conflict,
            1 => Why::Refused(Refusal::decode(reader)?),
            2 => Why::BeyondRetention,
            _ => return reader.fail("a known reason"),
        };
        let guard = read_text(reader)?;
        let bytes = reader.bytes()?.to_vec();
        Ok(Quarantined { source, part, position, arrival, header, why, guard, bytes })
    }
}

fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(u8::from(text.is_some()));
    text.iter().for_each(|text| put_bytes(out, text.as_bytes()));
}

fn read_text(reader: &mut Reader<'_>) -> Result<Option<Arc<str>>, CodecError> {
    Ok(if reader.flag()? { Some(Arc::from(reader.text()?)) } else { None })
}

/// Refused events of one source that are judged again. Each has its number in the quarantine, counted from 0, and its
/// reason is the one for which it stands there now.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrial {
    /// Version of the decoder that they are judged by.
    pub decoder: u32,
    /// Recorded time of the decision, in nanoseconds since the epoch.
    pub at: i64,
    /// The events.
    pub events: Vec<(u64, Quarantined)>,
}

impl Retrial {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.decoder.into());
        put_signed(out, self.at);
        put_varint(out, self.events.len() as u64);
        for (number, event) in &self.events {
            put_varint(out, *number);
            event.encode(out);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, source: u16) -> Result<Retrial, CodecError> {
        let mut retrial = Retrial { decoder: reader.number()?, at: reader.signed()?, events: Vec::new() };
        for _ in 0..reader.varint()? {
            let (number, event) = (reader.varint()?, Quarantined::decode(reader)?);
            if event.source != source || event.why.refusal().is_none() {
                return reader.fail("a refused event of the source");
            }
            retrial.events.push((number, event));
        }
        Ok(retrial)
    }
}

/// Events of one source in quarantine that are to stay there for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// Recorded time of the decision, in nanoseconds since the epoch.
    pub at: i64,
    /// Their numbers.
    pub numbers: Vec<u64>,
}

impl Discard {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_signed(out, self.at);
        put_varint(out, self.numbers.len() as u64);
        self.numbers.iter().for_each(|number| put_varint(out, *number));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Discard, CodecError> {
        let mut discard = Discard { at: reader.signed()?, numbers: Vec::new() };
        for _ in 0..reader.varint()? {
            discard.numbers.push(reader.varint()?);
        }
        Ok(discard)
    }
}

/// What became of an event in quarantine: one line of a ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// Its number in the quarantine.
    pub number: u64,
    /// Recorded time of the decision, in nanoseconds since the epoch.
    pub at: i64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an event in quarantine. To be refused again and to be discarded leave it there; all else takes it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is the fact of an identity that had none.
    Fact,
    /// It is what the winner is.
    Duplicate,
    /// It is outranked, or outranks a winner that was known.
    Superseded,
    /// It lost, or won, against another content of its version.
    Conflict,
    /// It lies before the cutoff of its source.
    BeyondRetention,
    /// It is refused again, for another reason than before.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The guard that was not true, as the configuration has it.
        guard: Option<Arc<str>>,
    },
    /// It stays for good.
    Discarded,
}

impl Fate {
    /// What one event came to that was counted as `tally`, and was set aside as `refused` if it was refused again.
    pub fn of(tally: &Counts, refused: Option<&Quarantined>) -> Fate {
        match refused.and_then(|event| Some((event.why.refusal()?, event.guard.clone()))) {
            Some((refusal, guard)) => Fate::Refused { refusal, guard },
            None if tally.facts > 0 => Fate::Fact,
            None if tally.duplicates > 0 => Fate::Duplicate,
            None if tally.superseded > 0 => Fate::Superseded,
            None if tally.beyond_retention > 0 => Fate::BeyondRetention,
            None => Fate::Conflict,
        }
    }

    /// Whether it left the quarantine.
    pub fn is_released(&self) -> bool {
        !matches!(self, Fate::Refused { .. } | Fate::Discarded)
    }

    /// The word that outputs use.
    pub fn code(&self) -> &'static str {
        match self {
            Fate::Fact => "fact",
            Fate::Duplicate => "duplicate",
            Fate::Superseded => "superseded",
            Fate::Conflict => "conflict",
            Fate::BeyondRetention => "beyond_retention",
            Fate::Refused { .. } => "refused",
            Fate::Discarded => "discarded",
        }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Fate::Fact => 0,
            Fate::Duplicate => 1,
            Fate::Superseded => 2,
            Fate::Conflict => 3,
            Fate::Refused { .. } => 4,
            Fate::Discarded => 5,
            Fate::BeyondRetention => 6,
        });
        if let Fate::Refused { refusal, guard } = self {
            refusal.encode(out);
            put_text(out, guard.as_deref());
        }
    }

    /// Reads back what [`Fate::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Fate, CodecError> {
        Ok(match reader.byte()? {
            0 => Fate::Fact,
            1 => Fate::Duplicate,
            2 => Fate::Superseded,
            3 => Fate::Conflict,
            4 => Fate::Refused { refusal: Refusal::decode(reader)?, guard: read_text(reader)? },
            5 => Fate::Discarded,
            6 => Fate::BeyondRetention,
            _ => return reader.fail("a known fate"),
        })
    }
}

impl Ruling {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
        put_signed(out, self.at);
        self.fate.encode(out);
    }

    /// Reads back what [`Ruling::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Ruling, CodecError> {
        Ok(Ruling { number: reader.varint()?, at: reader.signed()?, fate: Fate::decode(reader)? })
    }
}
