//! Numbers: exact from their digits, quoted or not, to every limit and not behind it.

use super::{csv, json, schema};

/// What a number decodes to in a field of one type: bare in JSON, quoted there, and as a CSV cell.
fn all(ty: &str, number: &str) -> [String; 3] {
    let schema = schema(&format!("n:{ty} ts:us"));
    let value = |shown: String| shown.strip_suffix("|0").map_or(shown.clone(), str::to_string);
    let json = |number: &str| value(json(&schema, format!("{{\"n\":{number},\"ts\":0}}")));
    [json(number), json(&format!("\"{number}\"")), value(csv(&schema, &format!("{number},0")))]
}

fn check(ty: &str, number: &str, expected: &str) {
    assert_eq!(all(ty, number), [expected; 3], "{number} as {ty}");
}

/// For what is no JSON: quoted and in CSV only.
fn check_text(ty: &str, number: &str, expected: &str) {
    assert_eq!(all(ty, number)[1..], [expected; 2], "{number} as {ty}");
}

#[test]
fn unsigned_integers_reach_their_limits() {
    check("u64", "0", "0");
    check("u64", "-0", "0");
    check("u64", "18446744073709551615", "18446744073709551615");
    check("u64", "18446744073709551616", "range n");
    check("u64", "-1", "range n");
    check("u64", "1e3", "1000");
    check("u64", "1.0", "1");
    check("u64", "1.5", "scale n");
    check("u64", "1e400", "range n");
}

#[test]
fn signed_integers_reach_their_limits() {
    check("i64", "9223372036854775807", "9223372036854775807");
    check("i64", "9223372036854775808", "range n");
    check("i64", "-9223372036854775808", "-9223372036854775808");
    check("i64", "-9223372036854775809", "range n");
    check("i64", "12.50", "scale n");
}

#[test]
fn decimals_are_exact_to_their_last_digit() {
    check("d18,4", "1.5", "15000");
    check("d18,4", "99999999999999.9999", "999999999999999999");
    check("d18,4", "100000000000000", "range n");
    check("d18,4", "-99999999999999.9999", "-999999999999999999");
    check("d18,4", "1.23450000", "12345");
    check("d18,4", "1.23456", "scale n");
    check("d18,4", "0.00000001e4", "1");
    check("d18,4", "1e-4", "1");
    check("d18,4", "1e-5", "scale n");
    check("d18,4", "1e400", "range n");
    check("d18,4", "1e-400", "scale n");
    check("d18,4", "0e400", "0");
    check("d18,4", "0.1", "1000");
    check("d38,0", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999");
    check("d38,0", "100000000000000000000000000000000000000", "range n");
    check("d38,38", "0.12345678901234567890123456789012345678", "12345678901234567890123456789012345678");
    check("d38,18", "-73.967322070000000001", "-73967322070000000001");
}

#[test]
fn floats_are_the_nearest_double_and_finite() {
    check("f64", "0.1", "0.1");
    check("f64", "73.96732207", "73.96732207");
    check("f64", "-0", "0.0");
    check("f64", "-0.0", "0.0");
    check("f64", "1e-400", "0.0");
    check("f64", "5e-324", "5e-324");
    check("f64", "2.4703282292062328e-324", "5e-324");
    check("f64", "1.7976931348623157e308", "1.7976931348623157e308");
    check("f64", "1.7976931348623159e308", "range n");
    check("f64", "1e400", "range n");
    check("f64", "-1e400", "range n");
    check("f64", "9007199254740993", "9007199254740992.0");
    check("f64", "0.500000000000000166533453693773481063544750213623046875", "0.5000000000000002");
}

#[test]
fn names_of_no_number_are_not_finite() {
    for ty in ["f64", "d18,4", "u64", "i64"] {
        for name in ["NaN", "Infinity", "-Infinity"] {
            check(ty, name, "not_finite n");
        }
        for name in ["nan", "inf", "-inf", "+inf", "INFINITY", "+NaN"] {
            check_text(ty, name, "not_finite n");
        }
    }
}

#[test]
fn texts_that_are_no_numbers_are_of_the_wrong_type() {
    for ty in ["f64", "d18,4", "u64", "i64"] {
        for text in [
            "x", "1x", "0x10", " 1", "1 ", "1_000", "--1", "1..2", "1.", "1e", "e5", ".", "-", "+", "1,5", "infin", "١",
        ] {
            let schema = schema(&format!("n:{ty} ts:us"));
            assert_eq!(json(&schema, format!("{{\"n\":\"{text}\",\"ts\":0}}")), "wrong_type n", "{text} as {ty}");
            assert_eq!(csv(&schema, &format!("\"{text}\",0")), "wrong_type n", "{text} as {ty}");
        }
    }
}

#[test]
fn texts_may_have_a_sign_leading_zeros_or_no_integer_part() {
    for (text, value) in [("+1.5", "15000"), ("007.5", "75000"), (".5", "5000"), ("-.5", "-5000")] {
        check_text("d18,4", text, value);
    }
    for (text, value) in [("+1.5", "1.5"), ("007.5", "7.5"), (".5", "0.5"), ("-.5", "-0.5")] {
        check_text("f64", text, value);
    }
}

#[test]
fn a_number_of_thousands_of_digits_is_out_of_range_and_does_not_stop_the_decoder() {
    let digits = "9".repeat(100_000);
    let schema = schema("n:d38,0? ts:us");
    assert_eq!(json(&schema, format!("{{\"n\":{digits},\"ts\":0}}")), "range");
    assert_eq!(json(&schema, format!("{{\"n\":\"{digits}\",\"ts\":0}}")), "range n");
    assert_eq!(csv(&schema, &format!("{digits},0")), "range n");
}

/// Digits of every length, with a point at every place, behind keys of every length.
#[test]
fn a_number_reads_as_its_text_wherever_it_stands() {
    let types = ["u64", "i64", "d18,4", "d18,0", "d18,18", "d9,9", "d38,20", "ns", "s"];
    for (number, ty) in types.into_iter().enumerate() {
        for count in 1..=21 {
            let digits: String = (0..count).map(|at| char::from(b'1' + ((at * 7 + number) % 9) as u8)).collect();
            for point in 1..=count {
                let (whole, places) = digits.split_at(point);
                let plain = if places.is_empty() { whole.to_string() } else { format!("{whole}.{places}") };
                for text in [format!("-{plain}"), plain] {
                    let [bare, quoted, _] = all(ty, &text);
                    assert_eq!(bare, quoted, "{ty} {text}");
                }
            }
        }
    }
}

#[test]
fn a_number_ends_where_json_says() {
    let schema = schema("ts:ns price:d18,4");
    for byte in (0..=0x7f_u8).filter(|byte| *byte != b'\n') {
        for digits in 1..=9 {
            let text = format!("{}{}", &"123456789"[..digits], char::from(byte));
            for event in [format!("{{\"ts\":1,\"price\":{text}}}"), format!("{{\"price\":{text},\"ts\":1}}")] {
                let expected = match byte {
                    b'0'..=b'9' => format!("1|{text}0000"),
                    b' ' | b'\t' | b'\r' => format!("1|{}0000", &text[..digits]),
                    _ => "malformed".to_string(),
                };
                assert_eq!(json(&schema, &event), expected, "{event}");
            }
        }
    }
}
