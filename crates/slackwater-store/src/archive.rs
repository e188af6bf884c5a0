//! STAND-IN until the archive is merged.
#![allow(missing_docs)]
use crate::Fault;
use crate::disk::Disk;
use crate::parcel::{self, Label};
use slackwater_core::codec::{CodecError, Reader, put_bytes, put_option, put_varint};
use slackwater_core::input::Position;
use slackwater_core::memory::{Fact, Net};
use slackwater_core::row::{IdentityBytes, Op, Row};
use slackwater_core::schema::Schema;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const DAY: i64 = 86_400_000_000_000;
#[derive(Debug)]
pub struct Shelf {
    pub schema: Schema,
    pub sort: Vec<usize>,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub number: u64,
}
impl Segment {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
    }
    pub fn decode(reader: &mut Reader<'_>) -> Result<Segment, CodecError> {
        Ok(Segment { number: reader.varint()? })
    }
}
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedFact {
    pub source: u16,
    pub part: Arc<str>,
    pub position: Position,
    pub arrival: Option<i64>,
    pub content: Vec<u8>,
}
impl OwnedFact {
    pub fn view(&self) -> Fact<'_> {
        Fact {
            source: self.source,
            content: &self.content,
            part: &self.part,
            position: self.position,
            arrival: self.arrival,
        }
    }
}
#[derive(Debug, Default)]
pub struct Changes(Vec<(u64, i8, OwnedFact)>);
impl Changes {
    pub fn push(&mut self, tick: u64, net: &Net<'_>) {
        let own = |f: Fact<'_>| OwnedFact {
            source: f.source,
            part: f.part.clone(),
            position: f.position,
            arrival: f.arrival,
            content: f.content.to_vec(),
        };
        if let Some(b) = net.before.filter(|b| b.known.op == Op::Assert) {
            self.0.push((tick, -1, own(b.fact)));
        }
        if net.after.known.op == Op::Assert {
            self.0.push((tick, 1, own(net.after.fact)));
        }
    }
}
#[derive(Debug)]
pub struct Archive {
    disk: Arc<dyn Disk>,
    shelves: Vec<Shelf>,
    segments: Vec<Segment>,
    next: u64,
}
const L: Label = Label { kind: *b"arch", instance: [0; 16], number: 0 };
impl Archive {
    pub fn open(
        disk: Arc<dyn Disk>,
        shelves: Vec<Shelf>,
        segments: Vec<Segment>,
        next: u64,
        _: i64,
    ) -> Result<Archive, Fault> {
        disk.make_folder("archive").map_err(|c| Fault::disk("archive", "make", c))?;
        Ok(Archive { disk, shelves, segments, next })
    }
    pub fn write(&mut self, changes: Changes) -> Result<(), Fault> {
        if changes.0.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        put_varint(&mut out, changes.0.len() as u64);
        for (tick, sign, f) in &changes.0 {
            put_varint(&mut out, *tick);
            out.push(*sign as u8);
            put_varint(&mut out, f.source.into());
            put_bytes(&mut out, f.part.as_bytes());
            put_varint(&mut out, f.position.offset);
            put_varint(&mut out, f.position.line);
            put_option(&mut out, f.arrival);
            put_bytes(&mut out, &f.content);
        }
        parcel::write(&*self.disk, &format!("archive/{:020}", self.next), L, &out)?;
        self.segments.push(Segment { number: self.next });
        self.next += 1;
        Ok(())
    }
    fn all(&self) -> Result<Vec<(u64, i8, OwnedFact)>, Fault> {
        let mut all = Vec::new();
        for s in &self.segments {
            let (bytes, _) = parcel::read(&*self.disk, &format!("archive/{:020}", s.number), L, 1 << 32)?;
            let mut r = Reader::new(&bytes);
            let mut go = || {
                for _ in 0..r.varint()? {
                    let (tick, sign, source, part) = (r.varint()?, r.byte()? as i8, r.number()?, Arc::from(r.text()?));
                    let position = Position { offset: r.varint()?, line: r.varint()? };
                    all.push((
                        tick,
                        sign,
                        OwnedFact { source, part, position, arrival: r.option()?, content: r.bytes()?.to_vec() },
                    ));
                }
                Ok::<_, CodecError>(())
            };
            go().expect("stand-in");
        }
        Ok(all)
    }
    pub fn facts(
        &self,
        source: u16,
        from: i128,
        to: i128,
        as_of: Option<u64>,
        visit: &mut dyn FnMut(OwnedFact) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut net: BTreeMap<(Vec<u8>, Vec<u8>), (i64, OwnedFact)> = BTreeMap::new();
        let mut id = IdentityBytes::default();
        for (tick, sign, f) in self.all()? {
            let row = Row::new(&self.shelves[usize::from(f.source)].schema, &f.content);
            let t = i128::from(row.event_time());
            if f.source != source || t < from || t >= to || as_of.is_some_and(|a| tick > a) {
                continue;
            }
            let key = (id.of(row, f.source, (&f.part, f.position.offset)).to_vec(), f.content.clone());
            let e = net.entry(key).or_insert((0, f));
            e.0 += i64::from(sign);
        }
        for (_, (n, f)) in net {
            if n > 0 {
                visit(f)?;
            }
        }
        Ok(())
    }
    pub fn contents(&self, asks: &[(u16, i64, Vec<u8>, u128)]) -> Result<Vec<Option<OwnedFact>>, Fault> {
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        let mut id = IdentityBytes::default();
        let all = self.all()?;
        Ok(asks
            .iter()
            .map(|(source, _, identity, digest)| {
                all.iter()
                    .rev()
                    .find(|(_, sign, f)| {
                        let row = Row::new(&self.shelves[usize::from(f.source)].schema, &f.content);
                        *sign == 1
                            && f.source == *source
                            && slackwater_core::row::digest(&f.content) == *digest
                            && id.of(row, f.source, (&f.part, f.position.offset)) == identity
                    })
                    .map(|x| x.2.clone())
            })
            .collect())
    }
    pub fn segments(&self) -> Vec<Segment> {
        self.segments.clone()
    }
    pub fn next(&self) -> u64 {
        self.next
    }
    pub fn forget(&mut self, _: &BTreeSet<u64>) -> Result<(), Fault> {
        Ok(())
    }
}
