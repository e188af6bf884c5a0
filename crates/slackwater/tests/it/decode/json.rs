//! NDJSON: what an object may look like, and every way in which a line is refused.

use super::{decode, json, schema, show};
use slackwater::decode::Format;
use slackwater_core::limits;
use slackwater_core::schema::{IdentityRule, Schema};

fn trades() -> Schema {
    schema("id:u64 symbol:string ts:us price:d18,4 hidden:bool?")
}

const TRADE: &str = r#"{"id":7,"symbol":"AB","ts":1000,"price":1.5,"hidden":true}"#;

#[test]
fn an_event_is_its_declared_fields() {
    assert_eq!(json(&trades(), TRADE), "7|AB|1000000|15000|true");
}

#[test]
fn keys_may_come_in_any_order_and_change_it_from_event_to_event() {
    let schema = trades();
    let text = r#"
        {"id":1,"symbol":"A","ts":1,"price":1,"hidden":false}
        {"hidden":false,"price":1,"ts":1,"symbol":"A","id":1}
        {"symbol":"A","id":1,"extra":9,"ts":1,"price":1,"hidden":false}
        {"id":1,"extra":9,"symbol":"A","ts":1,"price":1,"hidden":false}
        {"id":1,"symbol":"A","ts":1,"price":1,"hidden":false}
    "#;
    assert_eq!(show(&schema, &decode(&schema, Format::Json, text)), ["1|A|1000|10000|false"; 5]);
}

#[test]
fn white_space_stands_wherever_json_allows_it() {
    let event = "\t {\r\t\"id\" : 7 , \"symbol\":\t\"AB\",\"ts\":1000 ,\"price\" :1.5,\"hidden\":true } \r";
    assert_eq!(json(&trades(), event), "7|AB|1000000|15000|true");
}

#[test]
fn undeclared_fields_are_passed_over_whatever_they_hold() {
    let more = r#","a":[1,{"b":[null,true,"x\n\u0041"]},-0.5e+3],"":{},"c":"","d":123456789012345678901234567890"#;
    assert_eq!(
        json(&trades(), TRADE.replace("\"hidden\":true", &format!("\"hidden\":true{more}"))),
        "7|AB|1000000|15000|true"
    );
}

#[test]
fn undeclared_fields_must_be_json_all_the_same() {
    for value in ["tru", "01", "1.", "[1,]", "{\"a\":}", "\"\\x\"", "\"\\ud800\"", "NaN", "-Infinity", "'x'", "\u{1}"] {
        let event = format!("{{\"x\":{value},{}", &TRADE[1..]);
        assert_eq!(json(&trades(), event), "malformed", "{value}");
    }
}

#[test]
fn escapes_in_keys_and_texts_are_honoured() {
    let event =
        r#"{"\u0069d":7,"symbol":"\u0041\"\\\/\b\f\n\r\t\ud83d\ude00é","ts":1000,"pr\u0069ce":1.5,"hidden":true}"#;
    assert_eq!(json(&trades(), event), "7|A\"\\/\u{8}\u{c}\n\r\t😀é|1000000|15000|true");
}

#[test]
fn a_declared_field_twice_refuses_the_event() {
    let schema = trades();
    assert_eq!(json(&schema, TRADE.replace('}', ",\"price\":1.5}")), "duplicate_field price");
    assert_eq!(json(&schema, TRADE.replace('}', ",\"\\u0070rice\":1.5}")), "duplicate_field price");
    assert_eq!(json(&schema, TRADE.replace('}', ",\"hidden\":null,\"x\":1,\"x\":2}")), "duplicate_field hidden");
    assert_eq!(json(&schema, TRADE.replace('}', ",\"id\":[1}")), "malformed", "it is read to its end all the same");
}

#[test]
fn truncated_json_is_malformed_wherever_it_ends() {
    for end in 1..TRADE.len() {
        assert_eq!(json(&trades(), &TRADE[..end]), "malformed", "{}", &TRADE[..end]);
    }
}

#[test]
fn text_after_the_object_is_malformed() {
    for more in ["x", "{}", ",", "}", "\u{0}", "1", "//"] {
        assert_eq!(json(&trades(), format!("{TRADE}{more}")), "malformed", "{more:?}");
    }
}

#[test]
fn json_that_is_no_object_is_told_apart_from_what_is_no_json() {
    for text in ["[]", "null", "\"{}\"", "12", "-0.5", "true", "[{\"id\":1}]"] {
        assert_eq!(json(&trades(), text), "not_an_object", "{text}");
    }
    for text in ["nul", "id,symbol", "[1", "]", "{]", "{,}", "{\"id\"}", "{1:2}", "NaN", "{\"id\":1,}"] {
        assert_eq!(json(&trades(), text), "malformed", "{text}");
    }
}

#[test]
fn values_of_another_kind_are_refused_with_their_field() {
    let schema = trades();
    for (from, to, expected) in [
        ("7", "\"x\"", "wrong_type id"),
        ("7", "true", "wrong_type id"),
        ("7", "[7]", "wrong_type id"),
        ("7", "{\"id\":7}", "wrong_type id"),
        ("\"AB\"", "5", "wrong_type symbol"),
        ("\"AB\"", "false", "wrong_type symbol"),
        ("\"AB\"", "[\"AB\"]", "wrong_type symbol"),
        ("1.5", "{}", "wrong_type price"),
        ("1.5", "\"\"", "wrong_type price"),
        ("1.5", "\" 1.5\"", "wrong_type price"),
        ("1000", "true", "wrong_type ts"),
        ("1000", "[]", "wrong_type ts"),
        ("true", "1", "wrong_type hidden"),
        ("true", "\"true\"", "wrong_type hidden"),
        ("true", "{\"a\":[1,2]}", "wrong_type hidden"),
    ] {
        let event = TRADE.replacen(from, to, 1);
        assert_eq!(json(&schema, &event), expected, "{event}");
    }
}

#[test]
fn a_value_of_another_kind_does_not_hide_that_the_rest_is_no_json() {
    assert_eq!(json(&trades(), r#"{"id":[1,2],"symbol":tru}"#), "malformed");
}

#[test]
fn absent_and_null_required_fields_are_missing() {
    assert_eq!(json(&trades(), r#"{"symbol":"AB","ts":1000,"price":1.5}"#), "missing_field id");
    assert_eq!(json(&trades(), TRADE.replace("\"AB\"", "null")), "missing_field symbol");
    assert_eq!(json(&trades(), "{}"), "missing_field id");
}

#[test]
fn an_empty_text_is_a_text_and_no_null() {
    assert_eq!(json(&trades(), TRADE.replace("AB", "")), "7||1000000|15000|true");
}

#[test]
fn bytes_that_are_not_utf_8_refuse_only_their_own_line() {
    let schema = trades();
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"] {
        for place in ["AB", "hidden"] {
            let (before, after) = TRADE.split_once(place).expect("it is there");
            let text = [TRADE.as_bytes(), b"\n", before.as_bytes(), bad, after.as_bytes(), b"\n", TRADE.as_bytes()];
            let row = "7|AB|1000000|15000|true";
            assert_eq!(show(&schema, &decode(&schema, Format::Json, text.concat())), [row, "invalid_utf8", row]);
        }
    }
}

#[test]
fn nul_has_a_reason_of_its_own_raw_or_escaped() {
    let schema = trades();
    assert_eq!(json(&schema, TRADE.replace("AB", "A\\u0000B")), "nul_byte symbol");
    assert_eq!(json(&schema, TRADE.replace("AB", "A\0B")), "nul_byte");
    assert_eq!(json(&schema, TRADE.replace("hidden", "hid\0en")), "nul_byte");
    assert_eq!(json(&schema, TRADE.replace("AB", "A\u{1}B")), "malformed");
}

#[test]
fn an_empty_key_is_a_key() {
    assert_eq!(json(&schema(":u64 ts:us"), r#"{"":5,"ts":1}"#), "5|1000");
    assert_eq!(json(&trades(), TRADE.replace('}', ",\"\":1,\"\":2}")), "7|AB|1000000|15000|true");
}

#[test]
fn nesting_is_allowed_to_its_limit_and_refused_behind_it() {
    let nested = |levels: usize| format!("{{\"x\":{}{},{}", "[".repeat(levels), "]".repeat(levels), &TRADE[1..]);
    // The event itself is one level.
    assert_eq!(json(&trades(), nested(limits::JSON_DEPTH - 1)), "7|AB|1000000|15000|true");
    assert_eq!(json(&trades(), nested(limits::JSON_DEPTH)), "too_deep");
    let array = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(json(&trades(), array(limits::JSON_DEPTH)), "not_an_object");
    assert_eq!(json(&trades(), array(limits::JSON_DEPTH + 1)), "too_deep");
}

#[test]
fn a_depth_bomb_is_one_refusal() {
    for open in ["[", "{\"a\":", "{\"id\":"] {
        assert_eq!(json(&trades(), open.repeat((limits::EVENT_BYTES - 1) / open.len())), "too_deep");
    }
}

#[test]
fn an_event_may_be_as_large_as_the_limit_and_no_byte_larger() {
    let schema = trades();
    let padded = |size: usize| TRADE.replace("AB", &"x".repeat(size - TRADE.len() + 2));
    let batch = decode(&schema, Format::Json, padded(limits::EVENT_BYTES));
    assert!(show(&schema, &batch)[0].ends_with("xx|1000000|15000|true"));
    let text = padded(limits::EVENT_BYTES + 1);
    let batch = decode(&schema, Format::Json, format!("{text}\n{TRADE}"));
    assert_eq!(show(&schema, &batch), ["too_large", "7|AB|1000000|15000|true"]);
    assert_eq!(batch.bytes(&batch.entries()[0]), &text.as_bytes()[..limits::EVENT_BYTES]);
}

#[test]
fn blank_lines_are_no_events_but_lines() {
    let schema = trades();
    let batch = decode(&schema, Format::Json, format!("\n \t\r\n{TRADE}\r\n\r\n{TRADE}\n\n"));
    let places: Vec<_> = batch.entries().iter().map(|entry| (entry.position.offset, entry.position.line)).collect();
    assert_eq!(places, [(5, 3), (5 + TRADE.len() as u64 + 4, 5)]);
}

#[test]
fn a_refused_event_keeps_its_bytes_without_the_line_end() {
    let schema = trades();
    let batch = decode(&schema, Format::Json, " {\"id\":} \r\nnext\n");
    let kept: Vec<_> = batch.entries().iter().map(|entry| batch.bytes(entry)).collect();
    assert_eq!(kept, [&b" {\"id\":} "[..], b"next"]);
}

#[test]
fn an_object_does_not_go_on_in_the_next_line() {
    let schema = trades();
    let text = TRADE.replace(",\"ts\"", "\n,\"ts\"");
    assert_eq!(show(&schema, &decode(&schema, Format::Json, text)), ["malformed", "malformed"]);
}

#[test]
fn a_retraction_is_forgiven_all_but_its_identity_and_version() {
    let mut roles = schema("id:u64 ts:us").roles().clone();
    (roles.identity, roles.version, roles.op, roles.event_time) = (IdentityRule::Fields(vec![0]), Some(1), Some(2), 3);
    let fields = schema("id:u64 v:u64 op:string? ts:us price:d18,4").fields().to_vec();
    let schema = Schema::new(fields, roles).expect("a sound schema");
    assert_eq!(json(&schema, r#"{"id":1,"v":2,"op":"retract","ts":"never","price":[]}"#), "1|2|retract|0|0");
    assert_eq!(json(&schema, r#"{"id":1,"op":"retract"}"#), "missing_field v");
    assert_eq!(json(&schema, r#"{"id":1,"v":2,"op":"explode","ts":1,"price":1}"#), "unknown_op op");
    assert_eq!(json(&schema, r#"{"id":1,"v":2,"op":null,"ts":1,"price":1}"#), "1|2|-|1000|10000");
}

#[test]
fn a_text_ends_at_its_quote_wherever_that_stands() {
    let schema = schema("ts:ns name:string");
    for before in 0..18 {
        for behind in 0..10 {
            let text = format!("{}\u{e9}{}", "x".repeat(before), "y".repeat(behind));
            for event in [format!("{{\"name\":\"{text}\",\"ts\":1}}"), format!("{{\"ts\":1,\"name\":\"{text}\"}}")] {
                assert_eq!(json(&schema, &event), format!("1|{text}"), "{event}");
                assert_eq!(
                    json(&schema, event.replace('\u{e9}', "\\n")),
                    format!("1|{}", text.replace('\u{e9}', "\n"))
                );
                assert_eq!(json(&schema, event.replace('\u{e9}', "\u{1f}")), "malformed", "a control character");
                assert_eq!(json(&schema, event.replace('\u{e9}', "\u{0}")), "nul_byte");
            }
        }
    }
}

#[test]
fn what_is_read_by_words_is_what_jiter_reads() {
    let schema = schema("ts:ns u:u64 i:i64 us:us d:d18,4 few:d5,1 wide:d38,10 name:string");
    let mut values: Vec<String> = [
        "-", "-0", "00", "01", "1.", ".5", "-.5", "1..2", "1.2.3", "1e3", "1E-2", "1.5e1", "--1", "+1", "1-", "1/",
        "1:",
    ]
    .map(String::from)
    .to_vec();
    for digits in ["0", "7", "9", "10", "99", "1234567", "12345678", "9223372036854775807", "18446744073709551616"] {
        for count in 0..=digits.len() {
            let (before, behind) = digits.split_at(count);
            values.extend([
                format!("{before}.{behind}"),
                format!("-{before}.{behind}"),
                format!("{before}.{behind}000"),
            ]);
        }
        values.extend([digits.to_string(), format!("-{digits}"), format!("{digits}x"), format!("\"{digits}\"")]);
    }
    for count in 1..22 {
        values.extend(["1", "9", "1.0"].map(|digits| format!("{digits}{}", "0".repeat(count))));
        values.extend(
            ["\"", "\\n", "\u{1f}", "\u{e9}", "\u{0}", ""].map(|end| format!("\"{}{end}\"", "x".repeat(count))),
        );
    }
    for field in schema.fields() {
        for value in &values {
            let fields = schema.fields().iter().map(|other| match &*other.name {
                name if name == field.name => format!("\"{name}\":{value}"),
                "name" => String::from("\"name\":\"a\""),
                name => format!("\"{name}\":1"),
            });
            let event = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
            // What a space leads is left to jiter.
            assert_eq!(json(&schema, &event), json(&schema, event.replace("\":", "\": ")), "{event}");
        }
    }
}

#[test]
fn texts_are_content_in_the_order_of_the_fields_whatever_theirs_was() {
    let schema = schema("a:string ts:ns b:string? c:string");
    let (a, b, c) = ("\"a\":\"one\"", "\"b\":\"two\"", "\"c\":\"three three three three\"");
    for [first, second, third] in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        let event = format!("{{{first},{second},\"ts\":1,{third}}}");
        assert_eq!(json(&schema, &event), "one|1|two|three three three three", "{event}");
        assert_eq!(json(&schema, event.replace("\"two\"", "null")), "one|1|-|three three three three", "{event}");
        assert_eq!(json(&schema, event.replace("\"b\"", "\"x\"")), "one|1|-|three three three three", "{event}");
    }
}

#[test]
fn more_fields_than_bits_of_a_word_are_each_wanted_once() {
    for count in [63, 64, 65, 128, 129, 200] {
        let names: Vec<_> = (0..count).map(|field| format!("f{field}")).collect();
        let schema = schema(&format!("ts:ns {}", names.iter().map(|name| format!("{name}:u64 ")).collect::<String>()));
        let values = |names: &[String]| names.iter().map(|name| format!(",\"{name}\":1")).collect::<String>();
        let row = format!("1{}", "|1".repeat(count));
        assert_eq!(json(&schema, format!("{{\"ts\":1{}}}", values(&names))), row);
        let reverse: Vec<_> = names.iter().rev().cloned().collect();
        assert_eq!(json(&schema, format!("{{\"ts\":1{}}}", values(&reverse))), row);
        for (field, name) in names.iter().enumerate() {
            let (before, behind) = (values(&names[..field]), values(&names[field..]));
            let missing = format!("{{\"ts\":1{before}{}}}", values(&names[field + 1..]));
            assert_eq!(json(&schema, missing), format!("missing_field {name}"));
            let twice = format!("{{\"ts\":1,\"{name}\":1{before}{behind}}}");
            assert_eq!(json(&schema, twice), format!("duplicate_field {name}"));
        }
    }
}
