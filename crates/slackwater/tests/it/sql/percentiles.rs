//! Percentiles, worked out by hand: which value has how many before it, and what lies between two.

use super::{columns, faults, plan, refuses_items, value};

/// Prices 5, 1, 2, 2, null; no order.
const FIVE: [&str; 5] = [
    r#""price":5,"f":0.5,"n":-3,"symbol":"b","ok":true,"huge":99999999999999999999999999999999999999"#,
    r#""price":1,"f":-0.25,"n":9223372036854775807,"symbol":"a","ok":false,"huge":-1"#,
    r#""price":2,"f":1e300,"n":-9223372036854775808,"symbol":"","ok":false,"huge":2"#,
    r#""price":2,"f":0,"n":0,"symbol":"é","ok":true,"huge":3"#,
    r#""size":1"#,
];

fn disc(p: &str, x: &str) -> String {
    value(&format!("percentile_disc({p}) WITHIN GROUP (ORDER BY {x})"), &FIVE)
}

fn cont(p: &str, x: &str) -> String {
    value(&format!("percentile_cont({p}) WITHIN GROUP (ORDER BY {x})"), &FIVE)
}

#[test]
fn a_discrete_percentile_is_the_smallest_value_whose_cumulative_count_reaches_its_share() {
    for (p, expected) in [
        ("0", "1.0000"),
        ("0.25", "1.0000"),
        ("0.2500000000000000000000000000000000001", "2.0000"),
        ("0.5", "2.0000"),
        ("0.75", "2.0000"),
        ("0.7500001", "5.0000"),
        ("1", "5.0000"),
        ("1.000", "5.0000"),
        (".5", "2.0000"),
    ] {
        assert_eq!(disc(p, "price"), format!("\"{expected}\""), "{p}");
    }
}

#[test]
fn a_discrete_percentile_takes_values_of_any_type() {
    assert_eq!(disc("0.5", "n"), "-3");
    assert_eq!(disc("0", "n"), "-9223372036854775808");
    assert_eq!(disc("1", "n"), "9223372036854775807");
    assert_eq!(disc("0.5", "f"), "0.0");
    assert_eq!(disc("0", "f"), "-0.25");
    assert_eq!(disc("0.75", "symbol"), "\"b\"");
    assert_eq!(disc("0", "symbol"), "\"\"");
    assert_eq!(disc("1", "symbol"), "\"é\"");
    assert_eq!(disc("0.5", "ok"), "false");
    assert_eq!(disc("0.51", "ok"), "true");
    assert_eq!(disc("0.5", "ts"), "\"1970-01-01T00:00:02Z\"");
    assert_eq!(disc("1", "huge"), format!("\"{}\"", "9".repeat(38)));
    assert_eq!(disc("1", "huge * huge"), format!("\"{}8{}1\"", "9".repeat(37), "0".repeat(37)));
    assert_eq!(disc("0", "huge * 1.5"), "\"-1.5\"");
}

#[test]
fn a_continuous_percentile_lies_between_two_values_and_is_rounded_once() {
    assert_eq!(cont("0.5", "price"), "2.0");
    assert_eq!(cont("0.9", "price"), "4.1", "r = 2.7: 2 + 0.7 * 3, and not 4.1000000000000005");
    assert_eq!(cont("0.1", "price"), "1.3");
    assert_eq!(cont("0", "price"), "1.0");
    assert_eq!(cont("1", "price"), "5.0");
    assert_eq!(cont("0.5", "n"), "-1.5");
    assert_eq!(cont("0.25", "f"), "-0.0625");
    assert_eq!(cont("1", "f"), "1e+300");
    assert_eq!(cont("1", "huge"), "1e+38");
}

#[test]
fn a_continuous_percentile_leaves_as_the_decimal_that_a_cast_asks_for() {
    let third = "0.3333333333333333333333333333333333333";
    let cast = |expr: &str| value(&format!("CAST({expr} AS DECIMAL(38, 37))"), &FIVE);
    let expr = format!("percentile_cont({third}) WITHIN GROUP (ORDER BY price)");
    assert_eq!(cast(&expr), "\"1.9999999999999999999999999999999999999\"", "no double is on the way");
    assert_eq!(faults("CAST(percentile_cont(1) WITHIN GROUP (ORDER BY price) AS DECIMAL(4, 4))", &FIVE), 1);
}

#[test]
fn descending_order_counts_from_the_largest() {
    for (p, expected) in [("0", "5.0000"), ("0.25", "5.0000"), ("0.26", "2.0000"), ("0.76", "1.0000"), ("1", "1.0000")]
    {
        assert_eq!(disc(p, "price DESC"), format!("\"{expected}\""), "{p}");
    }
    assert_eq!(cont("0.1", "price DESC"), "4.1");
    assert_eq!(cont("0.1", "price ASC"), "1.3");
}

#[test]
fn no_values_have_no_percentile() {
    let none = [r#""price":1"#];
    let items =
        "percentile_disc(0.5) WITHIN GROUP (ORDER BY f) AS a, percentile_cont(0.5) WITHIN GROUP (ORDER BY f) AS b,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY price) FILTER (WHERE price > 1) AS c";
    assert_eq!(columns(items, &none), r#""a":null,"b":null,"c":null"#);
    assert_eq!(faults("percentile_cont(0.5) WITHIN GROUP (ORDER BY f)", &none), 0, "no arithmetic failed");
}

#[test]
fn a_filter_leaves_rows_out() {
    let filtered = "percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FILTER (WHERE price < 5)";
    assert_eq!(value(filtered, &FIVE), "2.0");
    assert_eq!(value(&format!("{filtered} * 2"), &FIVE), "4.0");
}

#[test]
fn infinities_are_ordered_and_interpolated_as_ieee_has_it() {
    let rows = [r#""f":1e308,"g":10"#, r#""f":1,"g":1"#, r#""f":-1e308,"g":10"#];
    let of = |p: &str| value(&format!("percentile_cont({p}) WITHIN GROUP (ORDER BY f * g)"), &rows);
    assert_eq!([of("0"), of("0.5"), of("1")], ["\"-inf\"", "1.0", "\"inf\""]);
    assert_eq!([of("0.25"), of("0.75")], ["\"NaN\"", "\"inf\""]);
    let cast = "CAST(percentile_cont(1) WITHIN GROUP (ORDER BY f * g) AS DECIMAL(9, 2))";
    assert_eq!(value(cast, &rows), "null");
}

#[test]
fn values_of_subnormal_to_largest_doubles_are_interpolated_exactly() {
    let rows = [r#""f":5e-324"#, r#""f":1.7976931348623157e308"#];
    let half = value("percentile_cont(0.5) WITHIN GROUP (ORDER BY f)", &rows);
    assert_eq!(half, "8.988465674311579e+307");
    let far = [r#""f":-1.7976931348623157e308"#, r#""f":1.7976931348623157e308"#];
    assert_eq!(value("percentile_cont(0.5) WITHIN GROUP (ORDER BY f)", &far), "0.0", "their difference is no double");
}

#[test]
fn percentiles_and_distinct_counts_of_one_expression_share_one_state() {
    let items = ["0.5", "0.9", "0.99"].map(|p| {
        format!(
            "percentile_disc({p}) WITHIN GROUP (ORDER BY price), percentile_cont({p}) WITHIN GROUP (ORDER BY price)"
        )
    });
    let columns: Vec<String> = items
        .join(", ")
        .split("), ")
        .enumerate()
        .map(|(number, item)| {
            let close = if item.ends_with(')') { "" } else { ")" };
            format!("{item}{close} AS c{number}")
        })
        .collect();
    let sql = format!(
        "SELECT {}, count(DISTINCT price) AS d FROM trades GROUP BY tumble(ts, INTERVAL '1 day')",
        columns.join(", ")
    );
    let plan = plan(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!((plan.pipelines[0].states.len(), plan.pipelines[0].results.len()), (1, 7));
    let zeros = plan_of(
        "percentile_disc(0.50) WITHIN GROUP (ORDER BY f) AS a, percentile_disc(.5) WITHIN GROUP (ORDER BY f) AS b",
    );
    assert_eq!(zeros, 1, "equal shares are one result");
}

fn plan_of(items: &str) -> usize {
    let sql = format!("SELECT {items} FROM trades GROUP BY tumble(ts, INTERVAL '1 day')");
    plan(&sql).unwrap_or_else(|error| panic!("{sql}: {error}")).pipelines[0].results.len()
}

#[test]
fn thousands_of_values_are_ranked_as_a_sorted_list_has_them() {
    let value_of = |number: u64| number * 7_919 % 1_000;
    let rows: Vec<String> = (0..5_000).map(|number| format!("\"ts\":0,\"u\":{}", value_of(number))).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let mut sorted: Vec<u64> = (0..5_000).map(value_of).collect();
    sorted.sort_unstable();
    for (p, place) in [("0.001", 4), ("0.5", 2_499), ("0.9002", 4_500), ("0.9999", 4_999)] {
        let disc = value(&format!("percentile_disc({p}) WITHIN GROUP (ORDER BY u)"), &rows);
        assert_eq!(disc, sorted[place].to_string(), "{p}");
    }
}

#[test]
fn what_is_no_percentile_is_refused_with_what_to_write() {
    let form = "write percentile_disc(0.99) WITHIN GROUP (ORDER BY x)";
    refuses_items("«percentile_disc(0.5)» AS a", "needs WITHIN GROUP", form);
    refuses_items("«percentile_disc(price, 0.5)» AS a", "needs WITHIN GROUP", form);
    refuses_items("«percentile_disc(0.5, 1)» WITHIN GROUP (ORDER BY price) AS a", "takes 1 argument(s)", form);
    refuses_items("«percentile_disc(0.5)» WITHIN GROUP (ORDER BY price, size) AS a", "one expression", form);
    refuses_items("«percentile_disc(0.5)» WITHIN GROUP (ORDER BY price NULLS LAST) AS a", "nulls are skipped", form);
    for p in ["1.1", "-0.5", "5e-1", "'0.5'", "price", "0.5 + 0.1", "NULL"] {
        let items = format!("percentile_cont(«{p}») WITHIN GROUP (ORDER BY price) AS a");
        refuses_items(&items, "a number from 0 to 1", "percentile_cont(0.5)");
    }
    refuses_items(
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY «symbol») AS a",
        "needs numbers, and this is string",
        "percentile_disc takes values of any type",
    );
    refuses_items("«avg(price)» WITHIN GROUP (ORDER BY price) AS a", "no WITHIN GROUP", "");
    refuses_items("percentile_disc(0.5) WITHIN GROUP (ORDER BY «max(price)») AS a", "cannot stand here", "SELECT list");
    refuses_items(
        "«percentile_disc(DISTINCT 0.5)» WITHIN GROUP (ORDER BY price) AS a",
        "DISTINCT",
        "count(DISTINCT x)",
    );
    refuses_items("«percentil_disc(0.5)» AS a", "there is no function", "did you mean `percentile_disc`?");
}
