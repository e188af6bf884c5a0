//! Expressions of any size: they are computed, or refused, and never end the program.

use super::{plan, value};

fn with(expr: &str) -> String {
    format!("SELECT last({expr}) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')")
}

#[track_caller]
fn too_large(expr: &str, message: &str) {
    let sql = with(expr);
    let error = plan(&sql).expect_err("too large");
    assert!(error.message.contains(message), "{error}");
    assert!(error.help.is_some(), "{error}");
    assert!(!error.span.is_empty() && sql.get(error.span.clone()).is_some(), "{error}");
}

#[test]
fn deep_nesting_is_refused() {
    for depth in [65, 1_000, 10_000] {
        too_large(&format!("{}1{}", "(".repeat(depth), ")".repeat(depth)), "nested too deeply");
        too_large(&format!("{}1", "(".repeat(depth)), "nested too deeply");
        // The parser has taken back what it tried, so the reason it gives is another.
        assert!(plan(&with(&format!("{}ok", "NOT ".repeat(depth)))).is_err());
        assert!(plan(&with(&format!("{}price", "- ".repeat(depth)))).is_err());
    }
    too_large(&format!("{}1{}", "abs(".repeat(10_000), ")".repeat(10_000)), "nested too deeply");
    too_large(&format!("{}1{}", "CASE WHEN ok THEN ".repeat(1_000), " END".repeat(1_000)), "nested too deeply");
}

#[test]
fn some_nesting_is_taken() {
    let nested = format!("last({}price{})", "(".repeat(20), ")".repeat(20));
    assert_eq!(value(&nested, &[r#""price":1"#]), "\"1.0000\"");
}

#[test]
fn long_chains_of_operators_are_refused_before_they_are_deep() {
    too_large(&format!("1{}", "+1".repeat(20_000)), "too long");
    too_large(&format!("ok{}", " AND ok".repeat(8_000)), "too long");
    too_large(&format!("ok{}", " IS NULL".repeat(7_000)), "too long");
    too_large(&format!("n{}", "::i64".repeat(10_000)), "too long");
    too_large(&format!("CASE WHEN ok THEN 1{} END", "+1".repeat(20_000)), "too long");
    let median = "percentile_disc(.5)WITHIN GROUP(ORDER BY n)";
    too_large(&format!("n{}", format!("+{median}").repeat(1_200)), "too long");
}

#[test]
fn chains_of_a_length_that_people_write_are_computed() {
    let sum = format!("last(f{})", " + f".repeat(200));
    assert_eq!(value(&sum, &[r#""f":1"#]), "201.0");
    let longest = format!("last(f{})", " + f".repeat(980));
    assert_eq!(value(&longest, &[r#""f":1"#]), "981.0", "and one that is just not too long");
    let any = vec!["symbol = 'x'"; 200].join(" OR ");
    assert_eq!(value(&format!("last({any})"), &[r#""symbol":"x""#]), "true");
}

#[test]
fn a_list_of_thousands_of_values_is_taken() {
    let list: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let expr = format!("count(*) FILTER (WHERE n IN ({}))", list.join(","));
    assert_eq!(value(&expr, &[r#""n":1999"#, r#""n":2000"#, r#""n":0"#]), "2");
}

#[test]
fn what_grows_by_doubling_is_refused() {
    too_large(&format!("ok{}", " IS TRUE".repeat(60)), "too large");
    too_large(&format!("{}symbol{}", "nullif(".repeat(30), ", 'x')".repeat(30)), "too large");
    too_large(&format!("{}symbol{}", "coalesce(".repeat(30), ", venue)".repeat(30)), "too large");
    too_large(&format!("{}ok{}", "(".repeat(30), " BETWEEN FALSE AND TRUE)".repeat(30)), "too large");
}
