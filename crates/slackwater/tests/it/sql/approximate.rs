//! The approximate aggregates: what they give does not depend on order, and is near the truth.

use super::{columns, faults, plan, refuses_items, value};

fn numbered(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("\"ts\":0,\"u\":{number},\"f\":{}.5,\"n\":-{number}", number * 3)).collect()
}

fn of(expr: &str, rows: &[String]) -> String {
    value(expr, &rows.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn few_distinct_values_are_counted_almost_exactly() {
    for count in [0, 1, 2, 10, 100] {
        let mut rows = numbered(count);
        rows.push("\"ts\":0".to_string());
        rows.extend(numbered(count));
        assert_eq!(of("approx_distinct(u)", &rows), count.to_string());
        assert_eq!(of("approx_distinct(u) FILTER (WHERE u < 0)", &rows), "0");
    }
}

#[test]
fn many_distinct_values_are_estimated_within_three_standard_errors() {
    for count in [1_000u64, 1_500, 5_000, 40_000] {
        let rows = numbered(count);
        for expr in ["approx_distinct(u)", "approx_distinct(f)", "approx_distinct(n)"] {
            let estimate: f64 = of(expr, &rows).parse().expect("a number");
            assert!((estimate / count as f64 - 1.0).abs() < 0.0243, "{expr} of {count}: {estimate}");
        }
    }
}

#[test]
fn an_approximate_percentile_is_within_one_percent_of_the_discrete_one() {
    let rows = numbered(3_000);
    for p in ["0", "0.01", "0.5", "0.9", "0.999", "1"] {
        for x in ["u", "f", "n", "n * 1.25", "-f", "f * 1e-320", "f * 1e300"] {
            let near: f64 = of(&format!("approx_percentile({x}, {p})"), &rows).parse().expect("a number");
            let exact = of(&format!("percentile_disc({p}) WITHIN GROUP (ORDER BY {x})"), &rows);
            let exact: f64 = exact.trim_matches('"').parse().expect("a number");
            assert!((near - exact).abs() <= exact.abs() * 0.01, "{x} at {p}: {near}, and {exact}");
        }
    }
}

#[test]
fn buckets_have_a_middle_and_small_magnitudes_one_each() {
    let one = |x: &str, row: &str| value(&format!("approx_percentile({x}, 0.5)"), &[row]);
    for (n, middle) in [("0", "0.0"), ("127", "127.0"), ("-127", "-127.0"), ("128", "129.0"), ("-129", "-129.0")] {
        assert_eq!(one("n", &format!("\"n\":{n}")), middle);
    }
    assert_eq!(one("u", r#""u":18446744073709551615"#), "1.8374686479671624e+19");
    assert_eq!(one("price", r#""price":0.0128"#), "0.0129");
    assert_eq!(one("f", r#""f":1"#), "1.0078125");
    assert_eq!(one("f", r#""f":-5e-324"#), "-5e-324");
    assert_eq!(one("f", r#""f":1.7976931348623157e308"#), "1.79067089605426e+308");
    assert_eq!(one("f * f", r#""f":1e308"#), "\"inf\"");
    assert_eq!(one("f * f - f * f", r#""f":1e308"#), "\"NaN\"");
    let cast = |ty: &str| format!("CAST(approx_percentile(price, 0.5) AS {ty})");
    assert_eq!(value(&cast("DECIMAL(9, 4)"), &[r#""price":0.0128"#]), "\"0.0129\"");
    assert_eq!(faults(&cast("DECIMAL(2, 0)"), &[r#""price":12800"#]), 1);
    let none = [r#""price":1"#];
    let items = "approx_percentile(f, 0.5) AS a, approx_distinct(f) AS b, approx_percentile(f, 1) IS NULL AS c";
    assert_eq!(columns(items, &none), r#""a":null,"b":0,"c":true"#);
}

#[test]
fn approximate_percentiles_of_one_expression_share_one_state() {
    let items = ["0.5", "0.9", "0.99"].map(|p| format!("approx_percentile(f, {p}) AS \"p{p}\"")).join(", ");
    let sql = format!("SELECT {items} FROM trades GROUP BY tumble(ts, INTERVAL '1 day')");
    assert_eq!(plan(&sql).unwrap_or_else(|error| panic!("{error}")).pipelines[0].states.len(), 1);
}

#[test]
fn what_they_do_not_take_is_refused() {
    refuses_items("approx_percentile(f, «2») AS a", "a number from 0 to 1", "approx_percentile(x, 0.5)");
    refuses_items("approx_percentile(«symbol», 0.5) AS a", "needs numbers", "percentile_disc");
    refuses_items("«approx_percentile(f)» AS a", "takes 2 arguments, and has 1", "approx_percentile(x, 0.99)");
    refuses_items("«approx_distinct(f, 2)» AS a", "takes 1 argument(s)", "");
    refuses_items("«approx_distinct(DISTINCT f)» AS a", "DISTINCT", "count(DISTINCT x)");
}
