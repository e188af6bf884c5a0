//! Checkpoints: chunks of state, and manifests that name all that belongs together at one cut.
//!
//! Chunks and manifests are parcels. A manifest is written last, so what it names is there; it counts once a commit of
//! the store names it.

use crate::Fault;
use crate::archive::Segment;
use crate::crash::{self, CrashPoint};
use crate::disk::{Disk, UNFINISHED};
use crate::index::RunInfo;
use crate::parcel::{self, Label};
use crate::store::Head;
use slackwater_core::codec::{CodecError, Reader, put_bytes, put_varint};
use std::collections::BTreeSet;
use std::sync::Arc;

const FOLDER: &str = "checkpoint";
/// Most bytes of a chunk or of a manifest.
const MOST_BYTES: u64 = 1 << 30;

/// A chunk of state that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its number.
    pub number: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The digest at its end.
    pub digest: [u8; 32],
}

impl Chunk {
    /// Its file.
    pub fn name(&self) -> String {
        name_of(self.number, "chunk")
    }
}

/// Up to which tick the archive has every change: the tick's number, and its place in the journal. 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archived {
    /// Number of the tick.
    pub tick: u64,
    /// Sequence of the entry that it is.
    pub sequence: u64,
}

impl Archived {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_varint(out, self.tick);
        put_varint(out, self.sequence);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Archived, CodecError> {
        Ok(Archived { tick: reader.varint()?, sequence: reader.varint()? })
    }
}

/// What belongs together at one cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The commit that names it.
    pub head: Head,
    /// Sequence of the last tick before the cut; that of the cut itself where it is one.
    pub ticked: u64,
    /// Up to which tick the segments have every change. While state is made anew, that is further than the cut.
    pub archived: Archived,
    /// State that is small, and written anew every time.
    pub state: Vec<u8>,
    /// Chunks of state, newest first.
    pub chunks: Vec<Chunk>,
    /// The identity runs, from the oldest to the newest.
    pub runs: Vec<RunInfo>,
    /// Number of the next identity run.
    pub next_run: u64,
    /// The archive's segments.
    pub segments: Vec<Segment>,
    /// Number of the next segment.
    pub next_segment: u64,
}

/// The checkpoints of a data directory. Of clones only one may write chunks.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    /// Number of the next chunk.
    next: u64,
}

impl Checkpoints {
    /// Opens the checkpoints of an instance. What was left unfinished is removed.
    pub fn open(disk: Arc<dyn Disk>, instance: [u8; 16]) -> Result<Checkpoints, Fault> {
        let fail = |verb| move |cause| Fault::disk(FOLDER, verb, cause);
        disk.make_folder(FOLDER).map_err(fail("make"))?;
        disk.sync_folder("").map_err(fail("sync"))?;
        let mut next = 1;
        for name in disk.list(FOLDER).map_err(fail("list"))? {
            if name.ends_with(UNFINISHED) {
                disk.remove(&format!("{FOLDER}/{name}")).map_err(fail("clean"))?;
            } else if let Some(number) = number_of(&name, "chunk") {
                next = next.max(number + 1);
            }
        }
        Ok(Checkpoints { disk, instance, next })
    }

    /// Numbers of the manifests that are there, newest first, whether they are sound or not.
    pub fn list(&self) -> Result<Vec<u64>, Fault> {
        let names = self.disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name, "manifest")).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }

    /// Writes a chunk.
    pub fn write_chunk(&mut self, content: &[u8]) -> Result<Chunk, Fault> {
        let number = self.next;
        let label = self.label(*b"chnk", number);
        let (bytes, digest) = parcel::write(&*self.disk, &name_of(number, "chunk"), label, content)?;
        self.next += 1;
        Ok(Chunk { number, bytes, digest })
    }

    /// Reads a chunk that a manifest names.
    pub fn read_chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, Fault> {
        let name = name_of(chunk.number, "chunk");
        let (content, digest) = parcel::read(&*self.disk, &name, self.label(*b"chnk", chunk.number), MOST_BYTES)?;
        if digest != chunk.digest {
            return Err(Fault::damaged(&name, 0, "it is not the chunk that the manifest names"));
        }
        Ok(content)
    }

    /// Writes the manifest of the checkpoint whose number its head names.
    pub fn write(&self, manifest: &Manifest) -> Result<(), Fault> {
        let mut content = Vec::new();
        manifest.encode(&mut content);
        let number = manifest.head.checkpoint;
        parcel::write(&*self.disk, &name_of(number, "manifest"), self.label(*b"mnfs", number), &content).map(drop)
    }

    /// Reads a manifest.
    pub fn read(&self, number: u64) -> Result<Manifest, Fault> {
        let name = name_of(number, "manifest");
        let (content, _) = parcel::read(&*self.disk, &name, self.label(*b"mnfs", number), MOST_BYTES)?;
        let mut reader = Reader::new(&content);
        let manifest = Manifest::decode(&mut reader).and_then(|manifest| reader.finish().map(|()| manifest));
        let manifest = manifest.map_err(|error| Fault::damaged(&name, 0, error.to_string()))?;
        if manifest.head.checkpoint != number {
            return Err(Fault::damaged(&name, 0, "its head names another checkpoint"));
        }
        Ok(manifest)
    }

    /// Reads a manifest and all chunks that it names.
    pub fn verify(&self, number: u64) -> Result<Manifest, Fault> {
        self.verify_beside(number, &mut BTreeSet::new())
    }

    /// The same, but for chunks whose digests are known to be sound; adds those that are found to be.
    pub fn verify_beside(&self, number: u64, sound: &mut BTreeSet<[u8; 32]>) -> Result<Manifest, Fault> {
        let manifest = self.read(number)?;
        for chunk in &manifest.chunks {
            if !sound.contains(&chunk.digest) {
                self.read_chunk(chunk)?;
                sound.insert(chunk.digest);
            }
        }
        Ok(manifest)
    }

    /// Removes the manifests behind a number.
    pub fn forget_behind(&self, number: u64) -> Result<(), Fault> {
        for number in self.list()?.into_iter().filter(|found| *found > number) {
            let name = name_of(number, "manifest");
            self.disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
        }
        self.disk.sync_folder(FOLDER).map_err(|cause| Fault::disk(FOLDER, "sync", cause))
    }

    /// Removes manifests that are not kept, and then the chunks that none of the kept ones names.
    pub fn forget(&self, kept: &[Manifest]) -> Result<(), Fault> {
        let numbers: BTreeSet<u64> = kept.iter().map(|manifest| manifest.head.checkpoint).collect();
        let chunks: BTreeSet<u64> =
            kept.iter().flat_map(|manifest| &manifest.chunks).map(|chunk| chunk.number).collect();
        let names = self.disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))?;
        let unnamed = |ending, keep: &BTreeSet<u64>| -> Vec<String> {
            let lost = |name: &&String| number_of(name, ending).is_some_and(|number| !keep.contains(&number));
            names.iter().filter(lost).map(|name| format!("{FOLDER}/{name}")).collect()
        };
        for name in unnamed("manifest", &numbers) {
            self.disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
        }
        // A chunk must not go before the manifest that names it.
        self.disk.sync_folder(FOLDER).map_err(|cause| Fault::disk(FOLDER, "sync", cause))?;
        for name in unnamed("chunk", &chunks) {
            self.disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
            crash::point(CrashPoint::ChunkRemoved)?;
        }
        Ok(())
    }

    fn label(&self, kind: [u8; 4], number: u64) -> Label {
        Label { kind, instance: self.instance, number }
    }
}

impl Manifest {
    /// Whether nothing came between the last tick and the cut.
    pub fn is_at_tick(&self) -> bool {
        self.ticked == self.head.journal
    }

    /// Whether a commit names it, or one after that. One that none names does not count: its rows were never made visible.
    /// Numbers alone do not say so, for they begin again when a store is made anew.
    pub fn counts_in(&self, head: &Head) -> bool {
        self.head.checkpoint <= head.checkpoint && self.head.journal <= head.journal
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.head.encode(out);
        put_varint(out, self.ticked);
        self.archived.encode(out);
        put_bytes(out, &self.state);
        put_varint(out, self.chunks.len() as u64);
        for Chunk { number, bytes, digest } in &self.chunks {
            put_varint(out, *number);
            put_varint(out, *bytes);
            out.extend_from_slice(digest);
        }
        put_varint(out, self.next_run);
        put_varint(out, self.runs.len() as u64);
        self.runs.iter().for_each(|run| run.encode(out));
        put_varint(out, self.next_segment);
        put_varint(out, self.segments.len() as u64);
        self.segments.iter().for_each(|segment| segment.encode(out));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Manifest, CodecError> {
        let (head, ticked, archived) = (Head::decode(reader)?, reader.varint()?, Archived::decode(reader)?);
        let mut manifest = Manifest { head, ticked, archived, state: reader.bytes()?.to_vec(), ..Manifest::default() };
        for _ in 0..reader.varint()? {
            let (number, bytes) = (reader.varint()?, reader.varint()?);
            manifest.chunks.push(Chunk { number, bytes, digest: reader.array()? });
        }
        manifest.next_run = reader.varint()?;
        for _ in 0..reader.varint()? {
            manifest.runs.push(RunInfo::decode(reader)?);
        }
        manifest.next_segment = reader.varint()?;
        for _ in 0..reader.varint()? {
            manifest.segments.push(Segment::decode(reader)?);
        }
        Ok(manifest)
    }
}

fn name_of(number: u64, ending: &str) -> String {
    format!("{FOLDER}/{number:020}.{ending}")
}

fn number_of(name: &str, ending: &str) -> Option<u64> {
    name.strip_suffix(ending)?.strip_suffix('.')?.parse().ok()
}
