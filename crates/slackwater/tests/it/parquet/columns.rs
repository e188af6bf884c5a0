//! Which columns can hold which fields, and what becomes of each value.

use super::{config, fails, plain};
use crate::program::Place;
use arrow_array::types::{Int32Type, UInt16Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, StringArray,
    StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow_buffer::i256;
use serde_json::Value;
use std::sync::Arc;

/// Each value of a column `v` of a declared type, in the order of the rows: as the output has it, or its refusal.
fn values(ty: &str, column: ArrayRef) -> Vec<String> {
    let place = Place::with(&config("parquet", ty));
    // Each row has a day of its own, so that the rows of the output are in the order of the input.
    let days: ArrayRef = Arc::new(Int64Array::from_iter_values((0..column.len() as i64).map(|day| day * 86_400)));
    place.write("e.parquet", plain(&[("v", column.clone()), ("ts", days)]));
    let folded = place.fold(&["trades=e.parquet"], &[]);
    let mut found: Vec<(u64, String)> = Vec::new();
    for row in &folded.rows {
        let start = row["window_start"].as_str().expect("a time");
        let day = (0..column.len() as u64).find(|day| start.starts_with(&format!("1970-01-{:02}", day + 1)));
        let value = row["v"].as_str().map_or_else(|| row["v"].to_string(), String::from);
        found.push((day.expect("a day of the input"), value));
    }
    for event in &folded.refused {
        assert_eq!((event["line"].as_u64(), event["file"].as_str()), (Some(0), Some("e.parquet")));
        let offset = event["offset"].as_u64().expect("a row number");
        found.push((offset, format!("{} {}", event["reason"].as_str().expect("a reason"), raw(event))));
    }
    found.sort();
    found.into_iter().map(|(_, value)| value).collect()
}

/// The value of `v` in the object that stands for a refused row.
fn raw(event: &Value) -> String {
    match event["raw"].as_str() {
        Some(raw) => serde_json::from_str::<Value>(raw).map_or(String::from("cut"), |row| row["v"].to_string()),
        None => String::from("bytes"),
    }
}

/// Why a column cannot hold a field of a type.
fn unfit(ty: &str, column: ArrayRef) -> String {
    let place = Place::with(&config("parquet", ty));
    let days: ArrayRef = Arc::new(Int64Array::from_iter_values(0..column.len() as i64));
    place.write("e.parquet", plain(&[("v", column), ("ts", days)]));
    let said = fails(&place, 3);
    assert!(said.starts_with("error: e.parquet: the column `v` is "), "{said}");
    said
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from_iter_values(values.iter().copied());
    Arc::new(array.with_precision_and_scale(precision, scale).expect("digits"))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

#[test]
fn integers_come_from_any_integer_column_and_are_checked_one_by_one() {
    let signed: [ArrayRef; 4] = [
        Arc::new(Int8Array::from(vec![1, -1])),
        Arc::new(Int16Array::from(vec![1, -1])),
        Arc::new(Int32Array::from(vec![1, -1])),
        Arc::new(Int64Array::from(vec![1, -1])),
    ];
    for column in signed {
        assert_eq!(values("u64", column.clone()), ["1", "range -1"]);
        assert_eq!(values("i64", column), ["1", "-1"]);
    }
    assert_eq!(values("i64", Arc::new(UInt8Array::from(vec![255]))), ["255"]);
    assert_eq!(values("i64", Arc::new(UInt32Array::from(vec![u32::MAX]))), ["4294967295"]);
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1 << 63, 1]));
    assert_eq!(values("u64", large.clone()), ["18446744073709551615", "9223372036854775808", "1"]);
    assert_eq!(values("i64", large), ["range 18446744073709551615", "range 9223372036854775808", "1"]);
    assert_eq!(values("u64", decimals(&[500, 501, -500], 5, 2)), ["5", "scale \"5.01\"", "range \"-5.00\""]);
    assert_eq!(values("i64", texts(&["-7", "7.0", "x", ""])), ["-7", "7", "wrong_type \"x\"", "wrong_type \"\""]);
}

#[test]
fn decimals_are_rescaled_exactly_or_refused() {
    assert_eq!(values("decimal(6,3)", decimals(&[1_250, -1], 9, 2)), ["12.500", "-0.010"]);
    let narrowed = values("decimal(4,1)", decimals(&[1_250, 1_251, 1_000_000], 9, 2));
    assert_eq!(narrowed, ["12.5", "scale \"12.51\"", "range \"10000.00\""]);
    let most = 10i128.pow(38) - 1;
    assert_eq!(values("decimal(38,38)", decimals(&[most, -most], 38, 38))[1], format!("-0.{}", "9".repeat(38)));
    assert_eq!(values("decimal(38,38)", decimals(&[1], 1, 0)), ["range \"1\""]);
    assert_eq!(values("decimal(3,2)", Arc::new(Int32Array::from(vec![9, 10, -9]))), ["9.00", "range 10", "-9.00"]);
    assert_eq!(values("decimal(20,0)", Arc::new(UInt64Array::from(vec![u64::MAX]))), ["18446744073709551615"]);
    let written = values("decimal(4,2)", texts(&["1.5", "1e1", "0.001", "100", "NaN", "abc"]));
    let expected = ["1.50", "10.00", "scale \"0.001\"", "range \"100\"", "not_finite \"NaN\"", "wrong_type \"abc\""];
    assert_eq!(written, expected);
}

#[test]
fn decimals_of_256_bits_are_read_where_their_value_fits() {
    let wide = |values: Vec<i256>, scale| -> ArrayRef {
        let array = Decimal256Array::from_iter_values(values).with_precision_and_scale(76, scale);
        Arc::new(array.expect("digits"))
    };
    let power = |k| i256::from_i128(10).checked_pow(k).expect("76 digits fit");
    let column = wide(vec![power(40), power(39), power(75), power(40) + i256::ONE], 40);
    let found = values("decimal(38,2)", column);
    assert_eq!(&found[..3], ["1.00", "0.10", &format!("1{}.00", "0".repeat(35))]);
    assert_eq!(found[3], format!("scale \"1.{}1\"", "0".repeat(39)));
    let found = values("decimal(38,2)", wide(vec![power(75)], 2));
    assert_eq!(found, [format!("range \"1{}.00\"", "0".repeat(73))]);
    assert_eq!(values("float64", wide(vec![power(40), power(39)], 40)), ["1.0", "0.1"]);
}

#[test]
fn a_float_column_is_no_decimal_and_no_integer() {
    for ty in ["decimal(18,4)", "u64", "i64", "timestamp_s"] {
        for (column, name) in [
            (Arc::new(Float64Array::from(vec![0.1])) as ArrayRef, "DOUBLE"),
            (Arc::new(Float32Array::from(vec![0.1])) as ArrayRef, "FLOAT"),
        ] {
            let said = unfit(ty, column);
            assert!(said.contains(&format!("`v` is {name}, and")) && said.contains("cast it where the file"), "{said}");
        }
    }
    assert!(unfit("decimal(18,4)", Arc::new(Float64Array::from(vec![0.1]))).contains("decimal(18,4)"));
}

#[test]
fn doubles_come_from_any_number_rounded_once() {
    let floats = Float64Array::from(vec![-0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE]);
    let found = values("float64", Arc::new(floats));
    assert_eq!(found, ["0.0", "not_finite \"NaN\"", "not_finite \"inf\"", "2.2250738585072014e-308"]);
    assert_eq!(values("float64", Arc::new(Float32Array::from(vec![0.1]))), ["0.10000000149011612"]);
    let odd = (1i64 << 53) + 1;
    assert_eq!(
        values("float64", Arc::new(Int64Array::from(vec![odd, odd + 2]))),
        ["9007199254740992.0", "9007199254740996.0"]
    );
    assert_eq!(values("float64", decimals(&[1, 3, -123_456], 18, 4)), ["0.0001", "0.0003", "-12.3456"]);
    let digits = 12_345_678_901_234_567_890_123_456_789_012_345_678;
    assert_eq!(values("float64", decimals(&[digits], 38, 30)), ["12345678.901234567"]);
    assert_eq!(values("float64", texts(&["1e400", "0.1", "inf"])), ["range \"1e400\"", "0.1", "not_finite \"inf\""]);
}

#[test]
fn texts_come_from_whatever_is_marked_as_text() {
    let keys: DictionaryArray<UInt16Type> = ["a", "b", "a"].into_iter().collect();
    let columns: [ArrayRef; 4] = [
        texts(&["a", "b", "a"]),
        Arc::new(LargeStringArray::from(vec!["a", "b", "a"])),
        Arc::new(StringViewArray::from(vec!["a", "b", "a"])),
        Arc::new(keys),
    ];
    for column in columns {
        assert_eq!(values("string", column), ["a", "b", "a"]);
    }
    assert_eq!(values("string", texts(&["a\0b", "ü", ""])), ["nul_byte \"a\\u0000b\"", "ü", ""]);
    assert!(unfit("string", Arc::new(BinaryArray::from(vec![&b"a"[..]]))).contains("is BYTE_ARRAY, and"));
    assert!(unfit("string", Arc::new(Int64Array::from(vec![1]))).contains("is INT64, and"));
}

#[test]
fn a_text_that_is_no_utf8_is_refused_and_kept_as_it_was() {
    let place = Place::with(&config("parquet", "string"));
    let mut bytes = plain(&[("v", texts(&["abXYcd", "fine"])), ("ts", Arc::new(Int64Array::from(vec![0, 0])))]);
    while let Some(at) = bytes.windows(6).position(|window| window == b"abXYcd") {
        bytes[at + 2..at + 4].copy_from_slice(b"\xff\xfe");
    }
    place.write("e.parquet", bytes);
    let folded = place.fold(&["trades=e.parquet"], &[]);
    assert_eq!((folded.rows.len(), folded.refused.len()), (1, 1));
    assert_eq!(folded.refused[0]["reason"], "invalid_utf8");
    assert!(folded.refused[0]["raw_hex"].as_str().expect("bytes").contains("6162fffe6364"));
}

#[test]
fn truth_values_come_from_booleans_only() {
    assert_eq!(values("bool", Arc::new(BooleanArray::from(vec![true, false]))), ["true", "false"]);
    assert!(unfit("bool", texts(&["true"])).contains("BYTE_ARRAY"));
    assert!(unfit("u64", Arc::new(BooleanArray::from(vec![true]))).contains("is BOOLEAN, and"));
}

#[test]
fn times_come_from_timestamps_integers_and_texts() {
    let expected = ["1970-01-01T00:00:01Z", "1969-12-31T23:59:59Z"];
    let columns: [ArrayRef; 5] = [
        Arc::new(TimestampSecondArray::from(vec![1, -1])),
        Arc::new(TimestampMillisecondArray::from(vec![1_000, -1_000]).with_timezone("+02:00")),
        Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, -1_000_000])),
        Arc::new(TimestampNanosecondArray::from(vec![1_000_000_000, -1_000_000_000]).with_timezone("UTC")),
        texts(&["1970-01-01T02:00:01+02:00", "-1"]),
    ];
    for column in columns {
        assert_eq!(values("timestamp_s", column), expected);
    }
    for (ty, one) in [("timestamp_s", 1), ("timestamp_ms", 1_000), ("timestamp_us", 1_000_000)] {
        assert_eq!(values(ty, Arc::new(Int64Array::from(vec![one, -one]))), expected);
    }
    let fractions = values("timestamp_s", decimals(&[1_500, 1], 9, 3));
    assert_eq!(fractions, ["1970-01-01T00:00:01.500Z", "1970-01-01T00:00:00.001Z"]);
    assert_eq!(values("timestamp_us", decimals(&[1_500], 9, 3)), ["scale \"1.500\""]);
    let beyond = values("timestamp_s", Arc::new(TimestampMillisecondArray::from(vec![i64::MAX / 1_000])));
    assert!(beyond[0].starts_with("time_range "), "{beyond:?}");
    let beyond = values("timestamp_ms", Arc::new(Int64Array::from(vec![i64::MAX])));
    assert_eq!(beyond, ["time_range 9223372036854775807"]);
    assert!(unfit("timestamp_s", Arc::new(Date32Array::from(vec![1]))).contains("TIMESTAMP of milli-"));
}

#[test]
fn nulls_and_absent_columns_are_null() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert_eq!(values("u64?", column.clone()), ["1", "null"]);
    assert_eq!(values("u64", column.clone()), ["1", "missing_field null"]);
    let place = Place::with(&config("parquet", "u64?"));
    place.write("e.parquet", plain(&[("w", column.clone()), ("ts", Arc::new(Int64Array::from(vec![0, 0])))]));
    let folded = place.fold(&["trades=e.parquet"], &[]);
    assert_eq!((folded.rows.len(), &folded.rows[0]["v"], &folded.rows[0]["n"]), (1, &Value::Null, &2.into()));
    place.write("c.toml", config("parquet", "u64"));
    std::fs::remove_file(place.path("out.ndjson")).expect("the output");
    let said = fails(&place, 3);
    assert!(said.contains("there is no column `v`, which is a required field; the columns are w, ts;"), "{said}");
    assert!(said.contains("did you mean `w`?"), "{said}");
}

#[test]
fn nested_columns_are_ignored_unless_a_field_wants_them() {
    let list = || Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(2)])]));
    assert!(unfit("i64", list()).contains("is nested"));
    let place = Place::with(&config("parquet", "u64"));
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    place.write("e.parquet", plain(&[("a", list()), ("v", one.clone()), ("b", list()), ("ts", one)]));
    assert_eq!(place.fold(&["trades=e.parquet"], &[]).rows[0]["v"], 1);
}

#[test]
fn an_event_larger_than_an_event_may_be_is_refused() {
    let large = "x".repeat(256 * 1024 + 1);
    let found = values("string", texts(&["a", &large, &large[1..]]));
    assert_eq!((found[0].as_str(), found[1].as_str(), found[2].len()), ("a", "too_large cut", 256 * 1024));
}
