//! Absent, JSON null and an empty CSV cell are one null: the same content, byte for byte.

use super::{decode, schema, show};
use slackwater::decode::Format;
use slackwater_core::input::{Batch, Decoded};

fn content(batch: &Batch) -> Vec<u8> {
    let [entry] = batch.entries() else { panic!("one event") };
    assert!(matches!(entry.decoded, Decoded::Row(_)), "a row, and not {:?}", entry.decoded);
    batch.bytes(entry).to_vec()
}

#[test]
fn absent_null_and_an_empty_cell_give_one_content() {
    for ty in ["string?", "u64?", "i64?", "f64?", "bool?", "d18,4?", "d38,10?", "ns?"] {
        let schema = schema(&format!("ts:us note:{ty} last:u64"));
        let json = |text: &str| content(&decode(&schema, Format::Json, text));
        let csv = |text: &str| content(&decode(&schema, Format::Csv, text));
        let absent = json(r#"{"ts":5,"last":6}"#);
        assert_eq!(json(r#"{"ts":5,"note":null,"last":6}"#), absent, "{ty}");
        assert_eq!(csv("ts,note,last\n5,,6\n"), absent, "{ty}");
        assert_eq!(csv("ts,note,last\n5,\"\",6\n"), absent, "{ty}");
        assert_eq!(csv("note,last,ts\n,6,5"), absent, "{ty}");
        assert_eq!(csv("last,ts\n6,5\r\n"), absent, "{ty}, without the column");
    }
}

#[test]
fn a_value_gives_one_content_through_both_formats() {
    let schema = schema("ts:us note:string? p:d18,4 w:d38,10 f:f64 b:bool n:i64");
    let json = r#"{"n":-4,"b":true,"f":-0.0,"w":1e2,"p":"1.50","note":"a\"b","ts":"1970-01-01T00:00:00.000005Z"}"#;
    let csv = "ts,note,p,w,f,b,n\n5,\"a\"\"b\",1.5,100,0,true,-4\n";
    let (json, csv) = (decode(&schema, Format::Json, json), decode(&schema, Format::Csv, csv));
    assert_eq!(show(&schema, &json), ["5000|a\"b|15000|1000000000000|0.0|true|-4"]);
    assert_eq!(content(&json), content(&csv));
}

#[test]
fn a_null_in_a_required_field_is_refused_through_both_formats() {
    let schema = schema("ts:us id:u64");
    for (format, text) in [
        (Format::Json, r#"{"ts":5}"#),
        (Format::Json, r#"{"ts":5,"id":null}"#),
        (Format::Csv, "ts,id\n5,\n"),
        (Format::Csv, "ts,id\n5,\"\"\n"),
    ] {
        assert_eq!(show(&schema, &decode(&schema, format, text)), ["missing_field id"], "{text}");
    }
}
