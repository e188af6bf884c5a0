//! What is true after a commit: one value, kept with its own digest beside the rows.

use super::Receipt;
use slackwater_core::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use slackwater_core::cutoff::Cutoffs;
use slackwater_core::fold::{Final, Settled};
use slackwater_core::hold::Note;
use slackwater_core::judge::Counts;
use slackwater_core::quarantine::{Quarantined, Ruling};

/// The state that the tables of a store belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Which instance it is.
    pub instance: [u8; 16],
    /// Fingerprint of the plan.
    pub plan: [u8; 32],
    /// Rises with every owner; the commit of an older one is refused.
    pub epoch: u64,
    /// Number of the commit, from 1.
    pub commit: u64,
    /// Last journal sequence that it covers.
    pub journal: u64,
    /// How many ticks there were.
    pub ticks: u64,
    /// Recorded time of the last tick.
    pub ticked: Option<i64>,
    /// Number of the checkpoint that it names; 0 if there is none yet.
    pub checkpoint: u64,
    /// Rolling digest of all inputs.
    pub input: [u8; 32],
    /// Rolling digest of all final rows.
    pub output: [u8; 32],
    /// Counters by source.
    pub counts: Vec<Counts>,
    /// What is settled, by pipeline.
    pub settled: Vec<Settled>,
    /// Where sources are cut off.
    pub cutoffs: Cutoffs,
    /// How far each file or partition was taken in.
    pub offsets: Vec<Offset>,
    /// By pipeline, over every generation of its rows.
    pub rows: Vec<Sum>,
    /// Over the events that were set aside.
    pub quarantined: Sum,
    /// Over the answers to named deliveries that are kept: the last so many.
    pub receipts: Sum,
    /// Number of the first of them.
    pub first_receipt: u64,
    /// Over the ledger of what was held.
    pub notes: Sum,
    /// Over the ledger of what became of events in quarantine.
    pub rulings: Sum,
}

/// How far one file or partition was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// Index of the source.
    pub source: u16,
    /// File or partition.
    pub part: String,
    /// Bytes of it that are in the journal, after decompression; of a Parquet file, row groups.
    pub offset: u64,
    /// Line of the next record.
    pub line: u64,
    /// Rolling xxh3-128 of all those bytes, line by line; of a Parquet file, row group by row group.
    pub digest: u128,
    /// Whether its end was reached.
    pub ended: bool,
}

/// How many rows a table has, and the sum of their proofs, which no row can be missing from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub count: u64,
    /// Sum of the rows' proofs, modulo 2^128.
    pub proofs: u128,
}

impl Sum {
    /// Takes away a row by its proof.
    pub fn remove(&mut self, proof: u128) {
        self.count -= 1;
        self.proofs = self.proofs.wrapping_sub(proof);
    }

    /// Adds a row by its proof.
    pub fn add(&mut self, proof: u128) {
        self.count += 1;
        self.proofs = self.proofs.wrapping_add(proof);
    }
}

/// The proof of a row or of an event that was set aside: the first half of the BLAKE3 of its canonical bytes and of what
/// the store adds to them.
pub(crate) fn proof(body: &[u8], (number, at): (u64, i64)) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(body).update(&number.to_le_bytes()).update(&at.to_le_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(first)
}

impl Receipt {
    pub(crate) fn proof(&self) -> u128 {
        let mut body = Vec::new();
        self.encode(&mut body);
        proof(&body, (self.number, 0))
    }
}

impl Head {
    /// Adds to the sums what a commit brings. Its tick and its counters are set before.
    pub fn take(&mut self, rows: &[Final], quarantined: &[Quarantined]) {
        let (mut body, tick) = (Vec::new(), self.tick());
        let mut output = blake3::Hasher::new();
        output.update(&self.output);
        for row in rows {
            body.clear();
            row.encode(&mut body);
            self.rows[usize::from(row.pipeline)].add(proof(&body, tick));
            output.update(&body);
        }
        if !rows.is_empty() {
            self.output = *output.finalize().as_bytes();
        }
        for event in quarantined {
            body.clear();
            event.encode(&mut body);
            self.quarantined.add(proof(&body, (self.quarantined.count, 0)));
        }
    }

    /// Adds to the sums what became of facts that were held. Its tick is set before.
    pub fn take_notes(&mut self, notes: &[Note]) {
        let (mut body, tick) = (Vec::new(), self.tick());
        for note in notes {
            body.clear();
            note.encode(&mut body);
            self.notes.add(proof(&body, tick));
        }
    }

    /// Adds what became of an event in quarantine to the sums.
    pub fn put_ruling(&mut self, ruling: &Ruling) {
        let mut body = Vec::new();
        ruling.encode(&mut body);
        self.rulings.add(proof(&body, (self.rulings.count, 0)));
    }

    /// Adds the answer to a named delivery to the sums.
    pub fn put_receipt(&mut self, receipt: &Receipt) {
        self.receipts.add(receipt.proof());
    }

    /// Takes the first answer out of the sums: it is kept no longer.
    pub fn drop_receipt(&mut self, receipt: &Receipt) {
        self.receipts.remove(receipt.proof());
        self.first_receipt = receipt.number + 1;
    }

    /// Number and recorded time of the last tick.
    pub fn tick(&self) -> (u64, i64) {
        (self.ticks, self.ticked.unwrap_or(i64::MIN))
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.instance);
        out.extend_from_slice(&self.plan);
        for number in [self.epoch, self.commit, self.journal, self.ticks, self.checkpoint] {
            put_varint(out, number);
        }
        put_option(out, self.ticked);
        out.extend_from_slice(&self.input);
        out.extend_from_slice(&self.output);
        put_varint(out, self.counts.len() as u64);
        self.counts.iter().for_each(|counts| counts.encode(out));
        put_varint(out, self.settled.len() as u64);
        self.settled.iter().for_each(|settled| settled.encode(out));
        self.cutoffs.encode(out);
        put_varint(out, self.offsets.len() as u64);
        for Offset { source, part, offset, line, digest, ended } in &self.offsets {
            put_varint(out, (*source).into());
            put_bytes(out, part.as_bytes());
            put_varint(out, *offset);
            put_varint(out, *line);
            out.extend_from_slice(&digest.to_le_bytes());
            out.push(u8::from(*ended));
        }
        put_varint(out, self.rows.len() as u64);
        let others = [&self.quarantined, &self.rulings, &self.notes, &self.receipts];
        for Sum { count, proofs } in self.rows.iter().chain(others) {
            put_varint(out, *count);
            out.extend_from_slice(&proofs.to_le_bytes());
        }
        put_varint(out, self.first_receipt);
    }

    /// Reads back what [`Head::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Head, CodecError> {
        let mut head = Head { instance: reader.array()?, plan: reader.array()?, ..Head::default() };
        head.epoch = reader.varint()?;
        head.commit = reader.varint()?;
        head.journal = reader.varint()?;
        head.ticks = reader.varint()?;
        head.checkpoint = reader.varint()?;
        head.ticked = reader.option()?;
        head.input = reader.array()?;
        head.output = reader.array()?;
        for _ in 0..reader.varint()? {
            head.counts.push(Counts::decode(reader)?);
        }
        for _ in 0..reader.varint()? {
            head.settled.push(Settled::decode(reader)?);
        }
        head.cutoffs = Cutoffs::decode(reader)?;
        for _ in 0..reader.varint()? {
            let (source, part) = (reader.number()?, reader.text()?.to_string());
            let (offset, line) = (reader.varint()?, reader.varint()?);
            let digest = u128::from_le_bytes(reader.array()?);
            head.offsets.push(Offset { source, part, offset, line, digest, ended: reader.flag()? });
        }
        let sum = |reader: &mut Reader<'_>| {
            Ok::<_, CodecError>(Sum { count: reader.varint()?, proofs: u128::from_le_bytes(reader.array()?) })
        };
        for _ in 0..reader.varint()? {
            head.rows.push(sum(reader)?);
        }
        for of in [&mut head.quarantined, &mut head.rulings, &mut head.notes, &mut head.receipts] {
            *of = sum(reader)?;
        }
        head.first_receipt = reader.varint()?;
        Ok(head)
    }
}
