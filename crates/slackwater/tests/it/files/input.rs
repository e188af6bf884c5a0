//! Reading files: chunks, packings, and every way in which a file cannot be read.

use crate::decode::{schema, show};
use flate2::Compression;
use flate2::write::GzEncoder;
use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::decode::{Chunk, Decoder, Format};
use slackwater_core::input::Batch;
use slackwater_core::limits;
use slackwater_core::plan::Source;
use slackwater_core::schema::Schema;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const JSON: &str = "{\"ts\":1,\"note\":\"a\"}\n\n{\"ts\":2,\r\n{\"ts\":3,\"note\":\"é\"}\r\n \n{\"ts\":4}";
const CSV: &str = "\r\nnote,ts\n\"a\nb\",1\n\n,2\r\n\"x\"\"\r\n\",3\nragged\nq\"\n\"z\",4";

fn notes() -> Schema {
    schema("ts:us note:string?")
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a writable directory");
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

fn all(mut chunks: FileChunks) -> Result<Vec<Chunk>, InputError> {
    let mut found = Vec::new();
    while let Some(chunk) = chunks.next_chunk()? {
        assert!(!chunk.bytes.is_empty(), "a chunk holds something");
        found.push(chunk);
    }
    assert!(chunks.next_chunk()?.is_none(), "the end stays the end");
    Ok(found)
}

fn read(path: &Path, format: Format) -> Result<Vec<Chunk>, InputError> {
    all(FileChunks::open(0, format, path, &notes())?)
}

/// The chunks of a text in pieces of `size`.
fn cut(format: Format, text: &[u8], size: usize) -> Vec<Chunk> {
    let content = io::Cursor::new(text.to_vec());
    all(FileChunks::from_reader(0, format, "part", &notes(), content, size).expect("it begins well")).expect("memory")
}

/// What chunks decode to, as one batch, and shown.
fn decoded(format: Format, chunks: &[Chunk]) -> (Batch, Vec<String>) {
    let schema = notes();
    let source = Source::new("events", schema.clone());
    let mut decoder = Decoder::new(&source, format);
    let mut whole: Option<Batch> = None;
    for chunk in chunks {
        let batch = decoder.decode(chunk);
        match &mut whole {
            None => whole = Some(batch),
            Some(whole) => batch.entries().iter().for_each(|entry| whole.push_from(&batch, entry)),
        }
    }
    let whole = whole.expect("at least one chunk");
    let shown = whole.entries().iter().zip(show(&schema, &whole));
    let shown =
        shown.map(|(entry, text)| format!("{}:{} {text}", entry.position.line, entry.position.offset)).collect();
    (whole, shown)
}

#[test]
fn entries_carry_their_line_and_offset() {
    let (_, shown) = decoded(Format::Json, &cut(Format::Json, JSON.as_bytes(), 1 << 20));
    assert_eq!(shown, ["1:0 1000|a", "3:21 malformed", "4:31 3000|é", "6:55 4000|-"]);
    let (_, shown) = decoded(Format::Csv, &cut(Format::Csv, CSV.as_bytes(), 1 << 20));
    assert_eq!(
        shown,
        ["3:10 1000|a\nb", "6:19 2000|-", "7:23 3000|x\"\r\n", "9:33 ragged", "10:40 ragged", "11:43 4000|z",]
    );
}

#[test]
fn it_does_not_matter_where_chunks_are_cut() {
    for (format, text) in [(Format::Json, JSON), (Format::Csv, CSV)] {
        for text in [text.to_string(), format!("{text}\n"), format!("\u{feff}{text}"), text.repeat(3)] {
            let (whole, _) = decoded(format, &cut(format, text.as_bytes(), 1 << 20));
            for size in 1..text.len() + 2 {
                let chunks = cut(format, text.as_bytes(), size);
                assert!(size > text.len() || size > 8 || chunks.len() > 1, "size {size} cuts");
                assert_eq!(decoded(format, &chunks).0.entries(), whole.entries(), "{format:?} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_byte_order_mark_is_passed_over_and_counted() {
    for (format, text) in [(Format::Json, "\u{feff}{\"ts\":1}"), (Format::Csv, "\u{feff}\"ts\",note\n1,")] {
        let (_, shown) = decoded(format, &cut(format, text.as_bytes(), 1));
        let place = if format == Format::Json { "1:3" } else { "2:13" };
        assert_eq!(shown, [format!("{place} 1000|-")]);
    }
}

#[test]
fn a_line_of_ten_megabytes_is_one_refusal_in_bounded_memory() {
    let note = "x".repeat(10 << 20);
    for (format, text) in [
        (Format::Json, format!("{{\"ts\":1}}\n{{\"ts\":2,\"note\":\"{note}\"}}\n{{\"ts\":3}}\n")),
        (Format::Csv, format!("ts,note\n1,\n2,\"{note}\n3,\n")),
    ] {
        let chunks = cut(format, text.as_bytes(), 1 << 16);
        assert!(
            chunks.iter().all(|chunk| chunk.bytes.len() <= 2 * limits::EVENT_BYTES),
            "no chunk grows with the line"
        );
        let (batch, shown) = decoded(format, &chunks);
        let words: Vec<_> = shown.iter().map(|entry| entry.split(' ').nth(1).expect("a word")).collect();
        assert_eq!(words, ["1000|-", "too_large", "3000|-"]);
        let kept = batch.bytes(&batch.entries()[1]);
        let place = batch.entries()[1].position.offset as usize;
        assert_eq!(kept, &text.as_bytes()[place..place + limits::EVENT_BYTES]);
        assert_eq!(decoded(format, &cut(format, text.as_bytes(), 1 << 25)).0.entries(), batch.entries());
    }
}

#[test]
fn a_line_too_long_at_the_end_of_the_file_is_refused_too() {
    let text = format!("{{\"ts\":1}}\n{}", "x".repeat(3 << 20));
    let (_, shown) = decoded(Format::Json, &cut(Format::Json, text.as_bytes(), 1000));
    assert_eq!(shown, ["1:0 1000|-", "2:9 too_large"]);
}

#[test]
fn packed_files_give_what_plain_ones_give() {
    let dir = TempDir::new().expect("a temporary directory");
    let (head, tail) = JSON.as_bytes().split_at(17);
    let plain = read(&write(&dir, "a.ndjson", JSON.as_bytes()), Format::Json).expect("plain");
    for (name, bytes) in [
        ("a.gz", gzip(JSON.as_bytes())),
        ("b.json.GZ", [gzip(head), gzip(b""), gzip(tail)].concat()),
        ("a.zst", zstd(JSON.as_bytes())),
        ("b.zst", [zstd(head), zstd(tail)].concat()),
    ] {
        let path = write(&dir, name, &bytes);
        let mut chunks = FileChunks::open(0, Format::Json, &path, &notes()).expect(name);
        assert_eq!(chunks.bytes_total(), Some(bytes.len() as u64));
        let chunk = chunks.next_chunk().expect(name).expect(name);
        assert_eq!((chunk.bytes, chunk.offset, chunk.line), (plain[0].bytes.clone(), 0, 1), "{name}");
        assert_eq!(&*chunk.part, path.to_str().expect("UTF-8"));
        assert!(chunks.next_chunk().expect(name).is_none());
        assert_eq!(chunks.bytes_read(), bytes.len() as u64, "progress reaches the end");
    }
}

#[test]
fn a_damaged_or_truncated_file_is_named_with_the_place() {
    let dir = TempDir::new().expect("a temporary directory");
    // Text that does not compress to nothing, so that damage has something to hit.
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        state >> 20
    };
    let text: String = (0..20_000).map(|ts| format!("{{\"ts\":{ts},\"note\":\"{:x}\"}}\n", noise())).collect();
    for (name, check, bytes) in [("gzip", "gzip -t", gzip(text.as_bytes())), ("zstd", "zstd -t", zstd(text.as_bytes()))]
    {
        let file = if name == "gzip" { "damaged.gz" } else { "damaged.zst" };
        for end in [1, 5, 11, bytes.len() / 3, bytes.len() - 9, bytes.len() - 1] {
            let path = write(&dir, file, &bytes[..end]);
            let error = read(&path, Format::Json).expect_err("it is truncated");
            let InputError::Damaged { offset, .. } = &error else { panic!("{name} cut at {end}: {error:?}") };
            let start =
                format!("{}: the {name} data is damaged or cut off after {offset} bytes of content: ", path.display());
            assert!(error.to_string().starts_with(&start), "{error}");
            assert!(
                error.to_string().ends_with(&format!("; fetch the file again, or check it with `{check}`")),
                "{error}"
            );
        }
        let mut flipped = 0;
        for at in (0..bytes.len()).step_by(bytes.len() / 40) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            match read(&write(&dir, file, &bytes), Format::Json) {
                Err(InputError::Damaged { .. }) => flipped += 1,
                Err(other) => panic!("{name}, bit flipped at {at}: {other:?}"),
                // Some bits of a header say nothing of the content; a zstd frame of this level has no checksum.
                Ok(_) => {}
            }
        }
        assert!(flipped > 0, "{name} notices damage");
    }
}

#[test]
fn what_is_not_packed_at_all_is_damaged() {
    let dir = TempDir::new().expect("a temporary directory");
    for name in ["a.gz", "a.zst"] {
        for bytes in [JSON.as_bytes(), b""] {
            let error = read(&write(&dir, name, bytes), Format::Json).expect_err(name);
            assert!(matches!(error, InputError::Damaged { offset: 0, .. }), "{error}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_opened_says_why_and_what_to_do() {
    let dir = TempDir::new().expect("a temporary directory");
    let missing = dir.path().join("none.json");
    assert_eq!(
        read(&missing, Format::Json).expect_err("missing").to_string(),
        format!(
            "{}: there is no such file; check the path (relative ones start where the program was started)",
            missing.display()
        )
    );
    assert_eq!(
        read(dir.path(), Format::Csv).expect_err("a directory").to_string(),
        format!("{}: this is a directory; name a file in it", dir.path().display())
    );
    let through = write(&dir, "file", b"").join("x");
    assert!(matches!(read(&through, Format::Json), Err(InputError::Read { .. })), "a file is no directory");
}

#[test]
fn an_empty_file_has_no_events_but_a_csv_file_needs_its_header() {
    let dir = TempDir::new().expect("a temporary directory");
    for text in ["", "\n", "\u{feff}", "\r\n\n"] {
        let path = write(&dir, "empty", text.as_bytes());
        let chunks = read(&path, Format::Json).expect("empty");
        let schema = notes();
        let source = Source::new("events", schema.clone());
        let mut decoder = Decoder::new(&source, Format::Json);
        assert!(chunks.iter().all(|chunk| decoder.decode(chunk).entries().is_empty()));
        assert_eq!(
            read(&path, Format::Csv).expect_err("no header").to_string(),
            format!("{}: there is no header: a CSV file begins with a line that names its columns", path.display())
        );
    }
    let path = write(&dir, "header.csv", b"ts,note");
    assert!(read(&path, Format::Csv).expect("only a header").is_empty());
}

#[test]
fn a_header_that_does_not_fit_is_an_error_of_the_file() {
    let dir = TempDir::new().expect("a temporary directory");
    let path = write(&dir, "a.csv", b"time,note\n1,x\n");
    assert_eq!(
        read(&path, Format::Csv).expect_err("no ts").to_string(),
        format!(
            "{}: the header has no column `ts`, which is a required field; its columns are time, note; \
             name the field as the file does, or declare `ts` with a `?` if it may be absent",
            path.display()
        )
    );
    for text in ["x".repeat(2 << 20), format!("\"{}", "x\n".repeat(1 << 20))] {
        let path = write(&dir, "b.csv", text.as_bytes());
        let error = read(&path, Format::Csv).expect_err("too long").to_string();
        assert!(error.ends_with("the header is longer than 262144 bytes: is this a CSV file?"), "{error}");
    }
}

#[test]
fn a_read_error_names_the_place() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            let count = buffer.len().min(self.0);
            buffer[..count].fill(b'\n');
            self.0 -= count;
            Ok(count)
        }
    }
    let chunks = FileChunks::from_reader(0, Format::Json, "disk", &notes(), Broken(100), 64).expect("it begins well");
    let error = all(chunks).expect_err("it breaks");
    assert_eq!(error.to_string(), "disk: reading failed at byte 100: the disk is gone");
}
