//! The n largest values of a window, as an array.

use super::{columns, plan, refuses_items, rows, value};

const SIX: [&str; 6] = [
    r#""price":2,"f":0.5,"n":-3,"symbol":"b","ok":true"#,
    r##""price":7,"f":-0.25,"n":4,"symbol":"a\"c""##,
    r#""price":2,"f":1e300,"n":0,"symbol":"é""#,
    r#""price":1"#,
    r#""price":7"#,
    r#""size":1"#,
];

fn top(expr: &str) -> String {
    value(expr, &SIX)
}

#[test]
fn the_largest_values_come_in_descending_order_as_often_as_they_occur() {
    assert_eq!(top("top_k(price, 1)"), r#"["7.0000"]"#);
    assert_eq!(top("top_k(price, 3)"), r#"["7.0000","7.0000","2.0000"]"#);
    assert_eq!(top("top_k(price, 1000)"), r#"["7.0000","7.0000","2.0000","2.0000","1.0000"]"#);
    assert_eq!(top("top_k(n, 2)"), "[4,0]");
    assert_eq!(top("top_k(f, 2)"), "[1e+300,0.5]");
    assert_eq!(top("top_k(symbol, 2)"), r#"["é","b"]"#);
    assert_eq!(top("top_k(symbol, 9)"), r#"["é","b","a\"c"]"#);
    assert_eq!(top("top_k(ok, 2)"), "[true]");
    assert_eq!(top("top_k(ts, 1)"), r#"["1970-01-01T00:00:05Z"]"#);
    assert_eq!(top("top_k(price * 1.5, 1)"), r#"["10.50000"]"#);
    assert_eq!(top("top_k(price, 2) FILTER (WHERE price < 7)"), r#"["2.0000","2.0000"]"#);
    assert_eq!(top("CASE WHEN count(*) > 9 THEN top_k(price, 2) END"), "null");
}

#[test]
fn no_values_have_no_array() {
    let none = [r#""price":1"#];
    assert_eq!(
        columns("top_k(f, 2) AS a, top_k(price, 2) FILTER (WHERE price > 1) AS b", &none),
        r#""a":null,"b":null"#
    );
}

#[test]
fn thousands_of_values_leave_the_largest() {
    let value_of = |number: u64| number * 7_919 % 4_001;
    let events: Vec<String> = (0..6_000).map(|number| format!("\"ts\":0,\"u\":{}", value_of(number))).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    for most in [1, 5, 64, 1_000] {
        let mut sorted: Vec<u64> = (0..6_000).map(value_of).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let expected: Vec<String> = sorted[..most].iter().map(u64::to_string).collect();
        assert_eq!(value(&format!("top_k(u, {most})"), &events), format!("[{}]", expected.join(",")), "{most}");
    }
}

#[test]
fn arrays_of_one_number_at_two_scales_have_two_digests() {
    let digest = |expr: &str| {
        let sql = format!("SELECT {expr} AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')");
        super::fold(&sql, &[r#""n":1"#]).1.finals[0].digest
    };
    assert_ne!(digest("top_k(n + 0.00, 1)"), digest("top_k(n * 10 + 0.0, 1)"), "1.00 and 10.0 have one mantissa");
}

#[test]
fn arrays_stand_alone() {
    let rows = rows("SELECT top_k(n, 2) AS t FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 day')", &[r#""n":1"#]);
    assert_eq!(rows.len(), 1);
    refuses_items("«top_k(n, 2) + 1» AS a", "arithmetic needs numbers, and this is an array of i64", "stands alone");
    refuses_items("«top_k(n, 2) = top_k(n, 2)» AS a", "arrays cannot be compared", "max(x)");
    refuses_items("«nullif(top_k(n, 2), 1)» AS a", "arrays cannot be compared", "max(x)");
    refuses_items("«CAST(top_k(n, 2) AS BIGINT)» AS a", "an array of i64 cannot be cast to i64", "numbers");
    refuses_items("«-top_k(n, 2)» AS a", "a sign needs a number", "");
    refuses_items("«coalesce(top_k(n, 2), 1)» AS a", "no type in common", "");
    refuses_items("top_k(«top_k(n, 2)», 2) AS a", "cannot stand here", "SELECT list");
    let having = "SELECT top_k(n, 2) AS t FROM trades GROUP BY tumble(ts, INTERVAL '1 day') HAVING top_k(n, 2) > 1";
    assert!(plan(having).expect_err("an array is no number").message.contains("arrays cannot be compared"));
}

#[test]
fn how_many_are_wanted_is_a_constant_within_a_limit() {
    for most in ["0", "1001", "-1", "1.5", "n", "'3'", "1e1", "99999999999999999999"] {
        refuses_items(&format!("top_k(n, «{most}») AS a"), "a whole number from 1 to 1000", "top_k(price, 10)");
    }
    refuses_items("«top_k(n)» AS a", "takes 2 arguments, and has 1", "top_k(price, 10)");
    refuses_items("«top_k(DISTINCT n, 2)» AS a", "DISTINCT", "count(DISTINCT x)");
    refuses_items("«top_k(n, 2)» WITHIN GROUP (ORDER BY n) AS a", "no WITHIN GROUP", "");
}
