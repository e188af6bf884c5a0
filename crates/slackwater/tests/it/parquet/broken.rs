//! Files that are no Parquet, or not all of it, and places that Parquet cannot be read from.

use super::{config, fails, file, plain};
use crate::program::Place;
use arrow_array::{ArrayRef, Int64Array, StringArray};
use parquet::basic::{Compression, GzipLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

fn columns(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("ts", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7_919 % 80_000)))),
        ("v", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("text {}", row % 97))))),
    ]
}

fn place() -> Place {
    Place::with(&config("parquet", "string"))
}

#[test]
fn what_is_no_parquet_file_is_said_to_be_damaged() {
    let place = place();
    let whole = plain(&columns(1_000));
    for bytes in [&b""[..], b"PAR1", b"PAR1PAR1", b"{\"ts\":1,\"v\":\"a\"}\n", &whole[..whole.len() - 1], &whole[..200]]
    {
        place.write("e.parquet", bytes);
        let said = fails(&place, 4);
        assert!(said.starts_with("error: e.parquet: the Parquet footer is damaged or cut off: "), "{said}");
    }
    let mut long = whole.clone();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&i32::MAX.to_le_bytes());
    place.write("e.parquet", long);
    assert!(fails(&place, 4).contains("it claims 2147483647 bytes of a file of"));
}

#[test]
fn a_file_without_rows_is_an_input_without_events() {
    let place = place();
    place.write("e.parquet", plain(&columns(0)));
    let folded = place.fold(&["trades=e.parquet"], &[]);
    assert_eq!((folded.rows.len(), &folded.summary["received"]), (0, &0.into()));
}

#[test]
fn damage_within_the_columns_stops_the_fold() {
    let place = place();
    // Of the packers only gzip has a checksum.
    let packing = Compression::GZIP(GzipLevel::default());
    let properties = WriterProperties::builder().set_compression(packing).set_max_row_group_row_count(Some(5_000));
    let mut bytes = file(&columns(20_000), properties);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0x55);
    place.write("e.parquet", bytes);
    for threads in ["1", "2"] {
        let args = ["fold", "-c", "c.toml", "--input", "trades=e.parquet", "--out", "out.ndjson", "--threads", threads];
        let ran = place.run(&args);
        assert_eq!(ran.code, 4, "{}", ran.err);
        assert!(ran.err.starts_with("error: e.parquet: the Parquet data is damaged or cut off at row "), "{}", ran.err);
        assert!(!place.has("out.ndjson"));
    }
}

/// One flipped byte is found, or changes values as it would in a file that never had it; nothing panics or hangs.
#[test]
fn a_flipped_byte_anywhere_is_an_error_or_another_value() {
    let place = place();
    let whole = plain(&columns(300));
    let footer =
        whole.len() - 8 - u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().expect("4 bytes")) as usize;
    let places = (0..footer).step_by(footer / 60).chain((footer..whole.len()).step_by(7));
    for (number, at) in places.enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= [0x01, 0x80, 0xff, 0x10][number % 4];
        place.write("e.parquet", &bytes);
        let args = ["fold", "-c", "c.toml", "--input", "trades=e.parquet", "--out", "out.ndjson"];
        let ran = place.run(&args);
        assert!([0, 3, 4].contains(&ran.code), "byte {at}: {ran:?}");
        assert_eq!(place.has("out.ndjson"), ran.code == 0, "byte {at}");
        let _ = std::fs::remove_file(place.path("out.ndjson"));
    }
}

#[test]
fn parquet_is_read_from_plain_files_only() {
    let place = place();
    let fold = |input: &str| {
        let ran = place.run(&["fold", "-c", "c.toml", "--input", &format!("trades={input}"), "--out", "out.ndjson"]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        ran.err
    };
    assert!(fold("-").contains("Parquet is read from a file"));
    place.write("e.parquet.gz", plain(&columns(1)));
    assert!(fold("e.parquet.gz").contains("unpack it with `gunzip`"));
    place.write("e.parquet.zst", plain(&columns(1)));
    assert!(fold("e.parquet.zst").contains("unpack it with `unzstd`"));
    assert!(fold("/dev/null").contains("Parquet is read from a file"));
}

#[test]
fn two_columns_of_a_declared_name_are_refused() {
    let place = place();
    let mut columns = columns(1);
    columns.push(("v", columns[1].1.clone()));
    place.write("e.parquet", plain(&columns));
    assert!(fails(&place, 3).contains("two columns `v`"));
}
