//! What a tick tells of what came before it, so that it can be told again without the events.
//!
//! A tick's outcome in the journal has it, whatever is kept of event bytes: they may be let go later. The archive tells the
//! rest, which is every content that was added.

use slackwater_core::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use slackwater_core::fold::Settled;
use slackwater_core::input::{Batch, Position};
use slackwater_core::judge::{Counts, Judge};
use slackwater_core::memory::{Fact, Net};
use slackwater_core::plan::Plan;
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::row::{IdentityBytes, Row};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Origins that a tick tells of itself.
pub(super) const MOST_ORIGINS: usize = 1 << 12;
/// Bytes of a piece from which on it is ended.
const PIECE: usize = 1 << 20;
const WINNERS: u8 = 0;
const ORIGINS: u8 = 1;

/// A piece of what is told beside a tick.
#[derive(Debug)]
pub(super) enum Piece {
    /// Winners, and maybe some that others outrank.
    Winners(Untold),
    /// What was seen of some origins.
    Origins(Judge),
}

impl Piece {
    /// Reads one back.
    pub fn decode(plan: &Plan, bytes: &[u8]) -> Result<Piece, CodecError> {
        let mut reader = Reader::new(bytes);
        let piece = match reader.byte()? {
            WINNERS => Piece::Winners(Untold::decode(plan, &mut reader)?),
            ORIGINS => Piece::Origins(Judge::decode(plan, &mut reader)?),
            _ => return reader.fail("a known piece"),
        };
        reader.finish()?;
        Ok(piece)
    }
}

/// A piece that tells of origins.
pub(super) fn piece_of_origins(seen: &Judge) -> Vec<u8> {
    let mut piece = vec![ORIGINS];
    seen.encode(&mut piece);
    piece
}

/// What came of a tick.
#[derive(Debug)]
pub(super) struct Outcome {
    /// By pipeline.
    pub settled: Vec<Settled>,
    /// The digest of all rows so far.
    pub output: [u8; 32],
    /// What was counted, and seen of origins since the tick before; or of the first of them.
    pub seen: Judge,
    /// How many pieces right before the tick tell of the others.
    pub more: u64,
    /// How many events were set aside so far.
    pub aside: u64,
    /// What each named delivery since the tick before was answered, in order.
    pub told: Vec<Counts>,
}

impl Outcome {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.settled.iter().for_each(|settled| settled.encode(out));
        out.extend_from_slice(&self.output);
        self.seen.encode(out);
        put_varint(out, self.more);
        put_varint(out, self.aside);
        encode_told(&self.told, out);
    }

    /// Reads it back.
    pub fn decode(plan: &Plan, bytes: &[u8]) -> Result<Outcome, CodecError> {
        let mut reader = Reader::new(bytes);
        let settled = plan.pipelines.iter().map(|_| Settled::decode(&mut reader)).collect::<Result<_, _>>()?;
        let (output, seen) = (reader.array()?, Judge::decode(plan, &mut reader)?);
        let (more, aside, told) = (reader.varint()?, reader.varint()?, decode_told(&mut reader)?);
        reader.finish()?;
        Ok(Outcome { settled, output, seen, more, aside, told })
    }
}

/// Appends what deliveries were answered.
pub(super) fn encode_told(told: &[Counts], out: &mut Vec<u8>) {
    put_varint(out, told.len() as u64);
    told.iter().for_each(|counts| counts.encode(out));
}

/// Reads back what [`encode_told`] wrote.
pub(super) fn decode_told(reader: &mut Reader<'_>) -> Result<Vec<Counts>, CodecError> {
    let count = reader.varint()?;
    (0..count).map(|_| Counts::decode(reader)).collect()
}

/// Winners since the last tick that no row of the archive brings, or not all of what they are: retractions, a content that
/// another decoder gave again, and what was let out of quarantine. By identity; one that is outranked is here no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Untold(BTreeMap<Box<[u8]>, Winner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Winner {
    stood: bool,
    source: u16,
    decoder: u32,
    part: Arc<str>,
    position: Position,
    arrival: Option<i64>,
    content: Vec<u8>,
}

impl Untold {
    /// Takes note of what became of an identity; `told` says that the archive has its content as one that was added.
    pub fn note(&mut self, plan: &Plan, net: &Net<'_>, told: bool) {
        let (known, fact, stood) = (net.after.known, net.after.fact, net.after.stood);
        if told && !stood && self.0.is_empty() {
            return;
        }
        let Fact { source, content, part, position, arrival } = fact;
        let row = Row::new(&plan.sources[usize::from(source)].schema, content);
        let mut identity = IdentityBytes::default();
        let identity = identity.of(row, source, (part, position.offset));
        if told && !stood {
            self.0.remove(identity);
            return;
        }
        let (decoder, part, content) = (known.decoder, part.clone(), content.to_vec());
        self.0.insert(identity.into(), Winner { stood, source, decoder, part, position, arrival, content });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in pieces.
    pub fn into_pieces(self) -> Vec<Vec<u8>> {
        let (mut pieces, mut some, mut bytes) = (Vec::new(), Untold::default(), 0);
        let mut end = |some: Untold| {
            let mut piece = vec![WINNERS];
            some.encode(&mut piece);
            pieces.push(piece);
        };
        for (identity, winner) in self.0 {
            bytes += identity.len() + winner.content.len() + winner.part.len();
            some.0.insert(identity, winner);
            if bytes >= PIECE {
                end(std::mem::take(&mut some));
                bytes = 0;
            }
        }
        if !some.0.is_empty() {
            end(some);
        }
        pieces
    }

    /// Each as a batch of its own.
    pub fn batches<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Batch> + 'a {
        // Why it stood in quarantine says its decision; here it matters that it did.
        let refusal = Refusal { reason: Reason::Malformed, field: None };
        self.0.values().map(move |winner| {
            let schema = &plan.sources[usize::from(winner.source)].schema;
            let mut batch = Batch::new(winner.source, winner.decoder, winner.part.clone());
            batch.push_content(schema, &winner.content, winner.position, winner.arrival);
            batch.stood.extend(winner.stood.then_some(refusal));
            batch
        })
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for (identity, winner) in &self.0 {
            let Winner { stood, source, decoder, part, position, arrival, content } = winner;
            put_bytes(out, identity);
            out.push(u8::from(*stood));
            put_varint(out, (*source).into());
            put_varint(out, (*decoder).into());
            put_bytes(out, part.as_bytes());
            put_varint(out, position.offset);
            put_varint(out, position.line);
            put_option(out, *arrival);
            put_bytes(out, content);
        }
    }

    /// Reads it back.
    pub fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Untold, CodecError> {
        let mut untold = Untold::default();
        for _ in 0..reader.varint()? {
            let (identity, stood) = (reader.bytes()?, reader.flag()?);
            let (source, decoder): (u16, u32) = (reader.number()?, reader.number()?);
            let part = Arc::from(reader.text()?);
            let position = Position { offset: reader.varint()?, line: reader.varint()? };
            let (arrival, content) = (reader.option()?, reader.bytes()?.to_vec());
            let known = plan.sources.get(usize::from(source));
            if !known.is_some_and(|source| Row::check(&source.schema, &content)) {
                return reader.fail("the content of a row");
            }
            untold.0.insert(identity.into(), Winner { stood, source, decoder, part, position, arrival, content });
        }
        Ok(untold)
    }
}
