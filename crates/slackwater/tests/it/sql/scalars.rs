//! Row expressions: operators, functions, casts, and what null does in them.

use super::{faults, scalar, value};

const ROW: &str = r#""price":2.5,"size":4,"f":0.25,"g":-3,"n":-7,"u":9,"symbol":"ab","ok":true,"big":"12345678901234567890.0123456789""#;

/// Checks pairs of an expression and its value in one row.
fn check(pairs: &[(&str, &str)]) {
    for (expr, expected) in pairs {
        assert_eq!(scalar(expr, ROW), *expected, "{expr}");
    }
}

#[test]
fn arithmetic_on_exact_numbers_is_exact() {
    check(&[
        ("price + size", "\"6.5000\""),
        ("price - 10", "\"-7.5000\""),
        ("price * size", "\"10.000000\""),
        ("price * 0.1", "\"0.25000\""),
        ("-price", "\"-2.5000\""),
        ("+price", "\"2.5000\""),
        ("- -price", "\"2.5000\""),
        ("u - 10", "\"-1\""),
        ("-u", "\"-9\""),
        ("big * 3", "\"37037036703703703670.0370370367\""),
        ("1 + 2 * 3 - 4", "\"3\""),
        ("(1 + 2) * 3", "\"9\""),
        ("0.1 + 0.2", "\"0.3\""),
    ]);
}

#[test]
fn division_is_rounded_once_to_a_double() {
    check(&[
        ("price / size", "0.625"),
        ("1 / 3", "0.3333333333333333"),
        ("n / 2", "-3.5"),
        ("price / f", "10.0"),
        ("g / f", "-12.0"),
        ("CAST(price / 3 AS DECIMAL(18,4))", "\"0.8333\""),
        ("CAST(1 / 8 AS DECIMAL(18,2))", "\"0.12\""),
        ("CAST(3 / 8 AS DECIMAL(18,2))", "\"0.38\""),
    ]);
}

#[test]
fn a_double_beside_an_exact_number_makes_a_double() {
    check(&[
        ("price + f", "2.75"),
        ("f * size", "1.0"),
        ("f - 1", "-0.75"),
        ("1e3", "1000.0"),
        ("1.5E-1 + 0", "0.15"),
        ("f * 1e308 * 100", "\"inf\""),
        ("f * -1e308 * 100", "\"-inf\""),
    ]);
}

#[test]
fn comparisons_know_every_pair_of_numbers_times_and_texts() {
    check(&[
        ("price = 2.5", "true"),
        ("price <> 2.50000", "false"),
        ("price != 2", "true"),
        ("price < 2.500000000000000001", "true"),
        ("u >= 9", "true"),
        ("n <= -7", "true"),
        ("f > price", "false"),
        ("big > 12345678901234567890", "true"),
        ("symbol = 'ab'", "true"),
        ("symbol < 'b'", "true"),
        ("ok = TRUE", "true"),
        ("ok > FALSE", "true"),
        ("ts = '1970-01-01T00:00:00Z'", "true"),
        ("ts < TIMESTAMP '1970-01-01T01:00:00+01:00'", "false"),
        ("'1970-01-02T00:00:00Z' > ts", "true"),
        ("ts = CAST('1970-01-01T00:00:00Z' AS TIMESTAMP)", "true"),
    ]);
}

#[test]
fn conditions_follow_the_three_values_of_sql() {
    check(&[
        ("ok AND price > 2", "true"),
        ("ok AND NULL", "null"),
        ("NOT ok AND NULL", "false"),
        ("ok OR NULL", "true"),
        ("NOT ok OR NULL", "null"),
        ("NOT NULL", "null"),
        ("NULL = NULL", "null"),
        ("venue = 'x'", "null"),
        ("venue IS NULL", "true"),
        ("venue IS NOT NULL", "false"),
        ("price IS NULL", "false"),
        ("(venue = 'x') IS TRUE", "false"),
        ("(venue = 'x') IS NOT TRUE", "true"),
        ("(venue = 'x') IS FALSE", "false"),
        ("(venue = 'x') IS NOT FALSE", "true"),
        ("ok IS TRUE", "true"),
        ("ok IS FALSE", "false"),
    ]);
}

#[test]
fn between_and_in_are_comparisons() {
    check(&[
        ("price BETWEEN 2.5 AND 3", "true"),
        ("price BETWEEN 3 AND 2", "false"),
        ("price NOT BETWEEN 0 AND 1", "true"),
        ("price BETWEEN NULL AND 1", "false"),
        ("price BETWEEN NULL AND 9", "null"),
        ("n IN (1, -7)", "true"),
        ("n NOT IN (1, 2)", "true"),
        ("n IN (1, NULL)", "null"),
        ("n NOT IN (-7, NULL)", "false"),
        ("symbol IN ('x', 'ab', 'y')", "true"),
        ("venue IN ('x')", "null"),
        ("ts BETWEEN '1969-12-31T23:59:59Z' AND '1970-01-01T00:00:00Z'", "true"),
    ]);
}

#[test]
fn case_takes_the_first_branch_that_is_true() {
    check(&[
        ("CASE WHEN price > 2 THEN 'a' WHEN price > 1 THEN 'b' END", "\"a\""),
        ("CASE WHEN price > 3 THEN 'a' END", "null"),
        ("CASE WHEN venue = 'x' THEN 1 ELSE 2 END", "\"2\""),
        ("CASE symbol WHEN 'x' THEN 1 WHEN 'ab' THEN 2.5 ELSE 3 END", "\"2.5\""),
        ("CASE symbol WHEN 'x' THEN 1 WHEN 'ab' THEN f END", "0.25"),
        ("CASE WHEN ok THEN NULL ELSE size END", "null"),
        ("CASE WHEN ok THEN price ELSE size END", "\"2.5000\""),
        ("CASE WHEN NULL THEN 1 ELSE 0 END", "\"0\""),
    ]);
}

#[test]
fn scalar_functions_do_what_sql_says() {
    check(&[
        ("abs(n)", "\"7\""),
        ("abs(g)", "3.0"),
        ("abs(price - 3)", "\"0.5000\""),
        ("sqrt(size)", "2.0"),
        ("sqrt(f)", "0.5"),
        ("sqrt(2)", "1.4142135623730951"),
        ("coalesce(venue, symbol)", "\"ab\""),
        ("coalesce(venue, NULL, 'z')", "\"z\""),
        ("coalesce(price, 0)", "\"2.5000\""),
        ("nullif(price, 2.5)", "null"),
        ("nullif(price, 3)", "\"2.5000\""),
        ("nullif(symbol, venue)", "\"ab\""),
        ("ABS(n)", "\"7\""),
    ]);
    assert_eq!(scalar("sqrt(n)", ROW), "null");
    assert_eq!(faults("last(sqrt(n))", &[ROW]), 1, "a root of a negative number is a null that arithmetic made");
}

#[test]
fn casts_round_half_to_even_and_are_null_where_they_do_not_fit() {
    check(&[
        ("CAST(price AS DECIMAL(18,0))", "\"2\""),
        ("CAST(price + 1 AS DECIMAL(18,0))", "\"4\""),
        ("price::DECIMAL(4,1)", "\"2.5\""),
        ("CAST(price AS NUMERIC(20, 6))", "\"2.500000\""),
        ("CAST(price AS BIGINT)", "2"),
        ("CAST(f AS DECIMAL(10,1))", "\"0.2\""),
        ("CAST(price AS DOUBLE PRECISION)", "2.5"),
        ("CAST(price AS float64)", "2.5"),
        ("CAST(price AS u64)", "2"),
        ("CAST(u AS i64)", "9"),
        ("CAST(n AS u64)", "null"),
        ("CAST(big AS BIGINT)", "null"),
        ("CAST(price AS DECIMAL(4,4))", "null"),
        ("CAST(NULL AS DECIMAL(4,4))", "null"),
    ]);
    assert_eq!(faults("last(CAST(n AS u64))", &[ROW]), 1);
}

#[test]
fn a_division_in_a_branch_that_is_not_taken_is_no_fault() {
    let expr = "last(CASE WHEN size = 0 THEN 0 ELSE price / size END)";
    let rows = [r#""price":1,"size":0"#];
    assert_eq!((value(expr, &rows), faults(expr, &rows)), ("0.0".to_string(), 0));
}

#[test]
fn constants_are_computed_exactly() {
    check(&[
        ("0.1 + 0.2 = 0.3", "true"),
        ("12345678901234567890123456789012345678 + 1", "\"12345678901234567890123456789012345679\""),
        ("'it''s'", "\"it's\""),
        ("'naïve ☃'", "\"naïve ☃\""),
        ("TRUE", "true"),
        (".5 + 5.", "\"5.5\""),
    ]);
    assert_eq!(faults("last(1 / 0)", &[ROW]), 1, "also where only constants are divided");
}
