//! Where records end, and that it does not matter where a reader has cut them.

use super::schema;
use proptest::prelude::*;
use slackwater::decode::{Format, frame};
use slackwater_core::limits;

fn bodies(format: Format, mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let record = frame::first(format, bytes);
        assert!(record.size > 0 && record.body.len() <= record.size, "reading goes on");
        found.push(String::from_utf8_lossy(record.body).into_owned());
        bytes = &bytes[record.size..];
    }
    found
}

#[test]
fn a_json_record_is_a_line() {
    assert_eq!(bodies(Format::Json, b"a\n\"b\nc\"\r\n\nd"), ["a", "\"b", "c\"", "", "d"]);
}

#[test]
fn a_csv_record_ends_outside_quotes() {
    assert_eq!(bodies(Format::Csv, b"a,\"b\n\",\"\"\"\n\"\r\nc\n\n\"d"), ["a,\"b\n\",\"\"\"\n\"", "c", "", "\"d"]);
}

#[test]
fn the_boundary_is_behind_the_last_whole_record() {
    for (format, text, expected) in [
        (Format::Json, "", None),
        (Format::Json, "abc", None),
        (Format::Json, "a\nb", Some(2)),
        (Format::Json, "a\n\"b\n", Some(5)),
        (Format::Csv, "a\n\"b\n", Some(2)),
        (Format::Csv, "\"b\n", None),
        (Format::Csv, "\"b\n\"\nc", Some(5)),
        (Format::Csv, "a\nb\"\nc", Some(5)),
    ] {
        assert_eq!(frame::boundary(format, text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn a_mark_is_three_bytes_at_the_start() {
    assert_eq!(frame::byte_order_mark("\u{feff}a".as_bytes()), 3);
    assert_eq!(frame::byte_order_mark(b"a\xef\xbb\xbf"), 0);
    assert_eq!(frame::byte_order_mark(b"\xef\xbb"), 0);
}

#[test]
fn a_quote_never_closed_ends_at_the_first_line_end_behind_the_limit() {
    let text = format!("\"{}\n{}\nnext", "x".repeat(limits::EVENT_BYTES - 1), "y".repeat(10));
    let first = frame::first(Format::Csv, text.as_bytes());
    // The line end in the limit's last place is inside the quotes, the next one is not heeded for them.
    assert_eq!(first.size, limits::EVENT_BYTES + 1 + 10 + 1);
    assert!(first.is_too_large());
    assert_eq!(frame::first(Format::Csv, &text.as_bytes()[first.size..]).body, b"next");
}

proptest! {
    /// Cutting at any boundary of any prefix gives the same records.
    #[test]
    fn cutting_at_a_boundary_changes_no_record(text in "[a,\"\r\n]{0,40}", cut in 0usize..40) {
        for format in [Format::Json, Format::Csv] {
            let bytes = text.as_bytes();
            let Some(end) = frame::boundary(format, &bytes[..cut.min(bytes.len())]) else { continue };
            let (mut head, tail) = (bodies(format, &bytes[..end]), bodies(format, &bytes[end..]));
            head.extend(tail);
            prop_assert_eq!(head, bodies(format, bytes));
        }
    }

    /// Any bytes at all are decoded without a panic, and every record is an entry.
    #[test]
    fn any_bytes_are_rows_or_refusals(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\{\\}\\[\\]\":,a1eE.\\\\u-]{0,60}") {
        let schema = schema("a:u64? ts:us b:string? c:d18,4? d:f64? e:bool?");
        for bytes in [bytes, text.into_bytes()] {
            for format in [Format::Json, Format::Csv] {
                let mut input = b"a,ts,b,c,d,e\n".to_vec();
                if format == Format::Json {
                    input.clear();
                }
                input.extend_from_slice(&bytes);
                let batch = super::decode(&schema, format, &input);
                let blank = |body: &String| match format {
                    Format::Json => body.chars().all(|c| matches!(c, ' ' | '\t' | '\r')),
                    Format::Csv | Format::Parquet => body.is_empty(),
                };
                let records = bodies(format, &bytes).iter().filter(|body| !blank(body)).count();
                prop_assert_eq!(batch.entries().len(), records);
                super::show(&schema, &batch);
            }
        }
    }
}
