//! Bytes that lie: each reader of bytes that others may have touched, as a function that takes any bytes and must not
//! panic. Checksums are mended first where that is asked for, so that what stands behind them is reached too.

use slackwater::decode::{Chunk, Decoder, Format, Header};
use slackwater::face::config;
use slackwater::runtime::reopen::shelves;
use slackwater_core::codec::Reader;
use slackwater_core::fold::{Final, Fold};
use slackwater_core::judge::Judge;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::Quarantined;
use slackwater_core::watermark::Watermarks;
use slackwater_store::archive::{Archive, BUCKET, Segment};
use slackwater_store::checkpoint::Checkpoints;
use slackwater_store::disk::Disk;
use slackwater_store::index::{Index, RunInfo};
use slackwater_store::journal::{Journal, Limits};
use slackwater_store::store::Head;
use std::sync::{Arc, OnceLock};

use crate::platter::Platter;

/// The plan of all bytes here: short, with one pipeline of each kind of state.
pub const CONFIG: &str = r#"
[source.t]
kind = "files"
format = "json"
identity = "i"
event_time = "s"
version = "v"
require = ["p >= 0"]
[source.t.fields]
i = "u64"
v = "u64?"
s = "timestamp_s"
p = "u64"
[pipeline.m]
sql = "SELECT max(p) AS high, sum(p) AS total FROM t GROUP BY tumble(s, INTERVAL '1 minute')"
[pipeline.b]
sql = "SELECT sum(p) AS total FROM t GROUP BY volume_bar(p, 60)"
"#;

/// A reader of bytes.
pub type Target = fn(&[u8]);

/// All of them by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("journal", journal),
    ("record", record),
    ("parcel", parcel),
    ("manifest", manifest),
    ("groups", groups),
    ("state", state),
    ("archive", archive),
    ("index", index),
    ("config", config_text),
    ("ndjson", ndjson),
    ("csv", csv),
];

const LIMITS: Limits = Limits { segment_bytes: 1 << 20, most_bytes: 1 << 30, reserve_bytes: 0 };
const FIRST: &str = "00000000000000000001";
/// Bytes of a parcel before its content, and behind it.
const PARCEL: (usize, usize) = (52, 32);

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| config::load(CONFIG, "c.toml").expect("a sound configuration").plan)
}

fn disk(name: &str, bytes: &[u8]) -> Arc<dyn Disk> {
    let platter = Platter::new();
    for folder in ["journal", "record", "archive", "index", "checkpoint"] {
        platter.make_folder(folder).expect("a folder");
    }
    platter.put(name, Some(bytes.to_vec()));
    Arc::new(platter)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |eight| u64::from_le_bytes(eight.try_into().expect("eight bytes")))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four bytes")))
}

fn instance(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..at + 16).map_or([0; 16], |found| found.try_into().expect("sixteen bytes"))
}

/// A segment of the journal, named by what its header says.
pub fn journal(bytes: &[u8]) {
    let (instance, first) = (instance(bytes, 16), u64_at(bytes, 32));
    if let Ok(journal) = Journal::open(disk(&format!("journal/{first:020}"), bytes), instance, LIMITS, 0)
        && let Ok(entries) = journal.read(1)
    {
        entries.take_while(Result::is_ok).for_each(drop);
    }
}

/// Mends the checksums of a journal segment as far as its frames go.
pub fn seal_journal(bytes: &mut [u8]) {
    let Some(head) = bytes.first_chunk::<60>().copied() else { return };
    let crc = crc32c::crc32c(&head);
    if let Some(place) = bytes.get_mut(60..64) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    let (seal, mut chain, mut at) = (crc32c::crc32c(&head[16..32]), u32_at(&head, 40), 64);
    while at + 32 <= bytes.len() {
        let whole = (32 + u32_at(bytes, at + 4) as usize).next_multiple_of(8) + 8;
        let Some(frame) = bytes.get_mut(at..at + whole) else { return };
        let crc = crc32c::crc32c_append(seal, &frame[..28]);
        frame[28..32].copy_from_slice(&crc.to_le_bytes());
        chain = crc32c::crc32c_append(crc32c::crc32c_append(chain, &frame[..28]), &frame[32..whole - 8]);
        frame[whole - 4..].copy_from_slice(&chain.to_le_bytes());
        at += whole;
    }
}

/// A file of the record before an empty journal.
pub fn record(bytes: &[u8]) {
    let disk = disk(&format!("record/{FIRST}"), bytes);
    if let Ok(journal) = Journal::open(disk, instance(bytes, 16), LIMITS, 0)
        && let Ok(entries) = journal.read(1)
    {
        entries.take_while(Result::is_ok).for_each(drop);
    }
}

/// Mends the digests of a file of the record as far as its blocks go.
pub fn seal_record(bytes: &mut [u8]) {
    let (instance, mut at, mut digests) = (instance(bytes, 16), 128, blake3::Hasher::new());
    while at + 64 <= bytes.len() {
        let whole = 64 + u32_at(bytes, at + 4) as usize;
        let Some(block) = bytes.get_mut(at..at + whole) else { break };
        let mut hasher = blake3::Hasher::new();
        let digest = hasher.update(&instance).update(&block[..32]).update(&block[64..]).finalize();
        block[32..64].copy_from_slice(digest.as_bytes());
        digests.update(digest.as_bytes());
        at += whole;
    }
    let len = bytes.len() as u64;
    if let Some(head) = bytes.get_mut(..128) {
        head[56..64].copy_from_slice(&len.to_le_bytes());
        head[64..96].copy_from_slice(digests.finalize().as_bytes());
        let digest = blake3::hash(&head[..96]);
        head[96..].copy_from_slice(digest.as_bytes());
    }
}

/// A manifest as a file.
pub fn parcel(bytes: &[u8]) {
    let number = u64_at(bytes, 28);
    let disk = disk(&format!("checkpoint/{number:020}.manifest"), bytes);
    if let Ok(checkpoints) = Checkpoints::open(disk, instance(bytes, 12)) {
        let _ = checkpoints.verify(number);
    }
}

/// Mends the digest of a parcel.
pub fn seal_parcel(bytes: &mut [u8]) {
    if bytes.len() >= PARCEL.0 + PARCEL.1 {
        let (head, digest) = bytes.split_at_mut(bytes.len() - PARCEL.1);
        digest.copy_from_slice(blake3::hash(head).as_bytes());
    }
}

/// What is in a parcel.
pub fn content(parcel: &[u8]) -> Vec<u8> {
    let packed = &parcel[PARCEL.0..parcel.len() - PARCEL.1];
    zstd::bulk::decompress(packed, u64_at(parcel, 36) as usize).expect("a sound parcel")
}

/// The content of a manifest, in a sound parcel.
pub fn manifest(bytes: &[u8]) {
    let packed = zstd::bulk::compress(bytes, 1).expect("bytes can be packed");
    let mut file = [&b"slkp"[..], &1u32.to_le_bytes(), b"mnfs", &[7; 16]].concat();
    [1, bytes.len() as u64, packed.len() as u64].iter().for_each(|number| file.extend(number.to_le_bytes()));
    file.extend(packed);
    file.extend([0; 32]);
    seal_parcel(&mut file);
    let disk = disk("checkpoint/00000000000000000001.manifest", &file);
    if let Ok(checkpoints) = Checkpoints::open(disk, [7; 16]) {
        let _ = checkpoints.verify(1);
    }
    let mut reader = Reader::new(bytes);
    let _ = Head::decode(&mut reader);
}

/// Groups of a fold, as a chunk of state has them.
pub fn groups(bytes: &[u8]) {
    let (mut reader, mut folds) = (Reader::new(bytes), vec![Fold::new(plan())]);
    let Ok(count) = reader.varint() else { return };
    for _ in 0..count {
        let Ok(part) = reader.bytes() else { return };
        if Fold::decode_groups(plan(), &mut Reader::new(part), &mut folds).is_err() {
            return;
        }
    }
}

/// The small state of a checkpoint; and, of the same bytes, what a store has: a row, and an event that was set aside.
pub fn state(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    if Watermarks::decode(plan(), &mut reader).is_ok() && Judge::decode(plan(), &mut reader).is_ok() {
        let _ = Fold::new(plan()).decode_head(&mut reader);
    }
    let _ = Final::decode(plan(), &mut Reader::new(bytes));
    let _ = Quarantined::decode(&mut Reader::new(bytes));
}

/// A segment of the archive, whose footer is believed.
pub fn archive(bytes: &[u8]) {
    let footer = bytes.len().checked_sub(8).map_or(0, |at| u32_at(bytes, at) as usize + 8);
    let footer = &bytes[bytes.len().saturating_sub(footer)..];
    for rows in 1..5 {
        let segment = Segment {
            number: 1,
            source: 0,
            bucket: 0,
            rows,
            bytes: bytes.len() as u64,
            times: (0, i64::MAX),
            ticks: (0, u64::MAX),
            rows_digest: [0; 32],
            file_digest: *blake3::hash(footer).as_bytes(),
        };
        let disk = disk("archive/00000000000000000001.parquet", bytes);
        let Ok(archive) = Archive::open(disk, shelves(plan()), vec![segment], 2, BUCKET) else { return };
        let _ = archive.facts(0, i128::MIN, i128::MAX, None, &mut |_| ());
        let _ = archive.scrub();
    }
}

/// An identity run, whose tail is believed.
pub fn index(bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(112)..];
    let (number, entries) = (u64_at(tail, 0), u64_at(tail, 8));
    let info = RunInfo { number, entries, bytes: bytes.len() as u64, digest: *blake3::hash(tail).as_bytes() };
    let disk = disk(&format!("index/{number:020}.run"), bytes);
    if let Ok(index) = Index::open(disk, &[info], u64::MAX) {
        let _ = index.scrub();
        let _ = index.look_up(&[&[0; 9], &[1, 0, 0, 0, 0, 0, 0, 0, 1], b"", &[255; 40]]);
    }
}

/// Mends what the tail of an identity run says of the rest, but for the checksums of fence pages.
pub fn seal_index(bytes: &mut [u8]) {
    let Some(at) = bytes.len().checked_sub(112) else { return };
    let fences = u64_at(bytes, at + 24) as usize;
    if fences <= at {
        let digests = [blake3::hash(&bytes[..fences]), blake3::hash(&bytes[fences..at])];
        bytes[at + 32..at + 64].copy_from_slice(digests[0].as_bytes());
        bytes[at + 64..at + 96].copy_from_slice(digests[1].as_bytes());
    }
    let crc = crc32c::crc32c(&bytes[at..at + 100]);
    bytes[at + 100..at + 104].copy_from_slice(&crc.to_le_bytes());
}

/// A configuration, with all SQL in it.
pub fn config_text(bytes: &[u8]) {
    if let Err(errors) = config::load(&String::from_utf8_lossy(bytes), "c.toml") {
        let _ = errors.render(false);
    }
}

fn decode(format: Format, header: Option<Header>, bytes: &[u8]) {
    let mut decoder = Decoder::new(&plan().sources[0], format);
    decoder.begin(Chunk {
        source: 0,
        part: "p".into(),
        offset: 0,
        line: 1,
        bytes: bytes.to_vec(),
        header,
        arrival: None,
    });
    while decoder.is_busy() && decoder.next_batch().is_ok() {}
}

/// Events as NDJSON.
pub fn ndjson(bytes: &[u8]) {
    decode(Format::Json, None, bytes);
}

/// Events as CSV, from the header on.
pub fn csv(bytes: &[u8]) {
    use slackwater::connect::files::input::FileChunks;
    use slackwater::runtime::Feed;
    let schema = &plan().sources[0].schema;
    let Ok(mut feed) =
        FileChunks::from_reader(0, Format::Csv, "p", schema, std::io::Cursor::new(bytes.to_vec()), 1 << 12)
    else {
        return;
    };
    while let Ok(Some(chunk)) = feed.next() {
        decode(Format::Csv, chunk.header, &chunk.bytes);
    }
}
