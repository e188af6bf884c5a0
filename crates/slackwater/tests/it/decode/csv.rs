//! CSV: quoting, headers, and every way in which a record is refused.

use super::{csv, decode, schema, show};
use proptest::prelude::*;
use slackwater::decode::Format;
use slackwater::decode::csv::{Header, HeaderError};
use slackwater_core::limits;
use slackwater_core::schema::Schema;

fn notes() -> Schema {
    schema("ts:us note:string? flag:bool?")
}

fn records(text: &str) -> Vec<String> {
    let schema = notes();
    show(&schema, &decode(&schema, Format::Csv, format!("ts,note,flag\n{text}")))
}

#[test]
fn cells_are_plain_or_quoted() {
    assert_eq!(
        records("1,a b,true\n2,\"a,b\",false\n\"3\",\"say \"\"hi\"\"\",\"true\"\n"),
        ["1000|a b|true", "2000|a,b|false", "3000|say \"hi\"|true",]
    );
}

#[test]
fn a_quoted_cell_may_hold_line_ends() {
    assert_eq!(records("1,\"a\nb\",\r\n2,\"\r\n\",true\r\n"), ["1000|a\nb|-", "2000|\r\n|true"]);
}

#[test]
fn a_quote_opens_only_at_the_start_of_a_cell() {
    assert_eq!(records("1,5\" pipe,\n2,a\"b\",\n"), ["1000|5\" pipe|-", "2000|a\"b\"|-"]);
}

#[test]
fn broken_quotes_are_malformed_and_nothing_is_guessed() {
    assert_eq!(
        records("1,\"a\"b,\n2,\"a\" ,\n3,\"a\"\"\"b,\n4,ok,\n"),
        ["malformed", "malformed", "malformed", "4000|ok|-"]
    );
    assert_eq!(records("1,\"a\"\r,true\n"), ["malformed"]);
    assert_eq!(records("1,ok,\n2,\"never closed,\n3,ok,\n"), ["1000|ok|-", "malformed"]);
}

#[test]
fn records_with_more_or_fewer_cells_are_ragged() {
    assert_eq!(
        records("1,a\n1,a,true,\n1\n1,a,true\n,,,,,,\n"),
        ["ragged", "ragged", "ragged", "1000|a|true", "ragged"]
    );
}

#[test]
fn empty_lines_are_no_records_but_a_blank_cell_is_one() {
    let schema = schema("ts:us");
    let batch = decode(&schema, Format::Csv, "ts\n\n1\n\r\n \n\n\n2\n");
    assert_eq!(show(&schema, &batch), ["1000", "time_format ts", "2000"]);
    let lines: Vec<_> = batch.entries().iter().map(|entry| entry.position.line).collect();
    assert_eq!(lines, [3, 5, 8]);
}

#[test]
fn positions_count_bytes_and_lines_through_quoted_line_ends() {
    let schema = notes();
    let batch = decode(&schema, Format::Csv, "ts,note,flag\n1,\"a\nb\",\n2,,\n");
    let places: Vec<_> = batch.entries().iter().map(|entry| (entry.position.offset, entry.position.line)).collect();
    assert_eq!(places, [(13, 2), (22, 4)]);
}

#[test]
fn bools_are_true_and_false() {
    for text in ["TRUE", "1", "yes", "t", " true"] {
        assert_eq!(csv(&notes(), &format!("1,a,{text}")), "wrong_type flag");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let schema = notes();
    let text = [&b"ts,note,flag\n1,a,true\n1,\xff,true\n1,b\0,true\n1,c,true\n"[..]].concat();
    let shown = show(&schema, &decode(&schema, Format::Csv, text));
    assert_eq!(shown, ["1000|a|true", "invalid_utf8", "nul_byte note", "1000|c|true"]);
}

#[test]
fn a_mark_inside_the_file_is_text() {
    assert_eq!(records("1,\u{feff}x,\n"), ["1000|\u{feff}x|-"]);
    assert_eq!(records("\u{feff}1,x,\n"), ["time_format ts"]);
}

#[test]
fn a_record_too_large_is_refused_and_the_next_line_is_read() {
    let (open, fill) = ("1,\"", "x,\n".repeat(limits::EVENT_BYTES / 3));
    let shown = records(&format!("{open}{fill}2,ok,true\n"));
    assert_eq!(shown, ["too_large", "2000|ok|true"], "a quote that is never closed");
    let schema = notes();
    let batch = decode(&schema, Format::Csv, format!("ts,note,flag\n1,{},\n2,ok,\n", "z".repeat(limits::EVENT_BYTES)));
    assert_eq!(show(&schema, &batch), ["too_large", "2000|ok|-"]);
    assert_eq!(batch.bytes(&batch.entries()[0]).len(), limits::EVENT_BYTES);
    let most = "z".repeat(limits::EVENT_BYTES - 3);
    assert_eq!(records(&format!("1,{most},\r\n")).len(), 1);
    assert!(records(&format!("1,{most},\r\n"))[0].starts_with("too_large"), "the carriage return counts");
    assert!(records(&format!("1,{most},\n"))[0].starts_with("1000|zzz"));
}

fn header(text: &str, schema: &Schema) -> Result<Header, HeaderError> {
    Header::parse(text.as_bytes(), schema)
}

#[test]
fn columns_may_come_in_any_order_with_others_between_them() {
    let schema = notes();
    let text = "x,flag,\"note\",,x,ts\n1,true,\"n\",2,3,4\n";
    assert_eq!(show(&schema, &decode(&schema, Format::Csv, text)), ["4000|n|true"]);
}

#[test]
fn a_required_column_that_is_missing_is_named_with_those_that_there_are() {
    let schema = schema("ts:us price:d18,4 note:string?");
    let error = header("ts,prize,size", &schema).expect_err("no price");
    assert_eq!(
        error.to_string(),
        "the header has no column `price`, which is a required field; its columns are ts, prize, size; \
         did you mean `prize`? Name the field as the file does"
    );
    let error = header("ts,size", &schema).expect_err("no price");
    assert_eq!(
        error.to_string(),
        "the header has no column `price`, which is a required field; its columns are ts, size; \
         name the field as the file does, or declare `price` with a `?` if it may be absent"
    );
    assert!(header("price,ts", &schema).is_ok(), "a nullable column may be absent");
}

#[test]
fn a_declared_field_with_two_columns_is_an_error_of_the_file() {
    let error = header("ts,note,ts", &notes()).expect_err("ts twice");
    assert_eq!(
        error.to_string(),
        "the header names the declared field `ts` twice, so it is not clear which column holds it: rename one"
    );
    assert!(header("ts,x,x", &notes()).is_ok(), "what nobody declared may stand there twice");
}

#[test]
fn a_header_must_be_a_record() {
    assert_eq!(header("ts,\"note", &notes()), Err(HeaderError::Malformed));
    assert_eq!(header("ts,note\r1,a\r2,b", &notes()), Err(HeaderError::CarriageReturn), "a file without line feeds");
    assert_eq!(Header::parse(b"ts,\xff", &notes()), Err(HeaderError::Malformed));
}

proptest! {
    /// The `csv` crate writes and reads the same cells.
    #[test]
    fn well_formed_records_are_read_as_the_csv_crate_reads_them(
        rows in prop::collection::vec(("[a,\"\r\n é]{0,8}", any::<bool>()), 1..6),
        always in any::<bool>(),
    ) {
        let style = if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let mut writer = ::csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
        writer.write_record(["ts", "note", "flag"]).expect("memory");
        for (note, flag) in &rows {
            writer.write_record(["7", note.as_str(), if *flag { "true" } else { "" }]).expect("memory");
        }
        let text = writer.into_inner().expect("memory");
        let schema = notes();
        let expected: Vec<_> = ::csv::Reader::from_reader(&text[..]).records().map(|record| {
            let record = record.expect("well-formed");
            let or_null = |cell: &str| if cell.is_empty() { "-".to_string() } else { cell.to_string() };
            format!("7000|{}|{}", or_null(&record[1]), or_null(&record[2]))
        }).collect();
        prop_assert_eq!(show(&schema, &decode(&schema, Format::Csv, &text)), expected);
    }
}
