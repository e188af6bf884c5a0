//! The catalog: which segments of the archive have every change up to a tick.
//!
//! It lies beside them and says what a manifest says of the archive, so that it is known without any checkpoint what a
//! rebuild may take for true where event bytes were left out. It is written before they are.

use crate::Fault;
use crate::archive::Segment;
use crate::checkpoint::{Archived, Manifest};
use crate::disk::Disk;
use crate::parcel::{self, Label};
use slackwater_core::codec::{CodecError, Reader, put_varint};
use slackwater_core::cutoff::Cutoffs;
use std::io::ErrorKind;

/// Its name.
pub const NAME: &str = "archive/catalog";
const MOST_BYTES: u64 = 1 << 30;

/// Which segments have every change up to a tick, but for what was cut off, and maybe some behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The tick.
    pub archived: Archived,
    /// The segments.
    pub segments: Vec<Segment>,
    /// Number of the next one.
    pub next: u64,
    /// What they have no more.
    pub cutoffs: Cutoffs,
}

impl Catalog {
    /// What a manifest says of the archive.
    pub fn of(manifest: &Manifest) -> Catalog {
        Catalog {
            archived: manifest.archived,
            segments: manifest.segments.clone(),
            next: manifest.next_segment,
            cutoffs: manifest.head.cutoffs.clone(),
        }
    }

    /// Reads the catalog of an instance, if there is one.
    ///
    /// # Errors
    /// What the disk says, or where it is damaged.
    pub fn read(disk: &dyn Disk, instance: [u8; 16]) -> Result<Option<Catalog>, Fault> {
        match disk.open(NAME) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Fault::disk(NAME, "open", cause)),
            Ok(_) => {}
        }
        let (content, _) = parcel::read(disk, NAME, label(instance), MOST_BYTES)?;
        let mut reader = Reader::new(&content);
        let found = Catalog::decode(&mut reader).and_then(|found| reader.finish().map(|()| found));
        found.map(Some).map_err(|error| Fault::damaged(NAME, 0, error.to_string()))
    }

    /// Puts it in the place of the one before, whole or not at all.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, disk: &dyn Disk, instance: [u8; 16]) -> Result<(), Fault> {
        let mut content = Vec::new();
        self.archived.encode(&mut content);
        put_varint(&mut content, self.next);
        put_varint(&mut content, self.segments.len() as u64);
        self.segments.iter().for_each(|segment| segment.encode(&mut content));
        self.cutoffs.encode(&mut content);
        parcel::write(disk, NAME, label(instance), &content).map(drop)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Catalog, CodecError> {
        let mut catalog = Catalog { archived: Archived::decode(reader)?, next: reader.varint()?, ..Catalog::default() };
        for _ in 0..reader.varint()? {
            catalog.segments.push(Segment::decode(reader)?);
        }
        catalog.cutoffs = Cutoffs::decode(reader)?;
        Ok(catalog)
    }
}

fn label(instance: [u8; 16]) -> Label {
    Label { kind: *b"ctlg", instance, number: 0 }
}
