//! Every aggregate on a few rows, worked out by hand.

use super::{columns, faults, value};

/// Prices 1, 2, 4; sizes 10, null, 30.
const THREE: [&str; 3] = [
    r#""price":1,"size":10,"f":0.1,"g":1,"n":-1,"u":3,"symbol":"b","ok":true"#,
    r#""price":2,"f":0.2,"g":3,"n":5,"u":3,"symbol":"a","ok":false"#,
    r#""price":4,"size":30,"f":0.3,"g":5,"u":18446744073709551615,"symbol":"c""#,
];

#[test]
fn counts_count_rows_values_and_distinct_values() {
    assert_eq!(value("count(*)", &THREE), "3");
    assert_eq!(value("count(size)", &THREE), "2");
    assert_eq!(value("count(price)", &THREE), "3");
    assert_eq!(value("count(DISTINCT u)", &THREE), "2");
    assert_eq!(value("count(DISTINCT size)", &THREE), "2");
    assert_eq!(value("count(DISTINCT ok)", &THREE), "2");
    assert_eq!(value("count(DISTINCT price > 1)", &THREE), "2");
    assert_eq!(value("COUNT(ALL price)", &THREE), "3");
}

#[test]
fn sums_are_exact_and_skip_nulls() {
    assert_eq!(value("sum(price)", &THREE), "\"7.0000\"");
    assert_eq!(value("sum(size)", &THREE), "\"40.00\"");
    assert_eq!(value("sum(n)", &THREE), "\"4\"");
    assert_eq!(value("sum(u)", &THREE), "\"18446744073709551621\"");
    assert_eq!(value("sum(f)", &THREE), "0.6", "0.1 + 0.2 + 0.3 rounded once, not 0.6000000000000001");
    assert_eq!(value("sum(price * size)", &THREE), "\"130.000000\"");
    assert_eq!(value("sum(price / size)", &THREE), "0.23333333333333334");
    assert_eq!(value("sum(-price)", &THREE), "\"-7.0000\"");
}

#[test]
fn sums_of_many_of_the_largest_decimals_do_not_wrap() {
    let row = format!("\"huge\":{}", "9".repeat(38));
    let rows = vec![row.as_str(); 1_000];
    assert_eq!(value("sum(huge)", &rows), format!("\"{}000\"", "9".repeat(38)).replace("9000\"", "9000\""));
    assert_eq!(value("min(huge)", &rows), format!("\"{}\"", "9".repeat(38)));
    assert_eq!(value("avg(huge)", &rows), "1e+38");
}

#[test]
fn a_float_sum_beyond_its_range_is_infinite_and_comes_back() {
    let (most, least) = (r#""f":1.7976931348623157e308"#, r#""f":-1.7976931348623157e308"#);
    assert_eq!(value("sum(f)", &[most, most]), "\"inf\"");
    assert_eq!(value("sum(f)", &[least, least]), "\"-inf\"");
    assert_eq!(value("sum(f)", &[most, most, least]), "1.7976931348623157e+308");
    assert_eq!(value("avg(f)", &[most, most]), "1.7976931348623157e+308");
}

#[test]
fn means_are_rounded_once() {
    assert_eq!(value("avg(price)", &THREE), "2.3333333333333335");
    assert_eq!(value("avg(f)", &THREE), "0.2");
    assert_eq!(value("avg(n)", &THREE), "2.0");
    assert_eq!(value("avg(size)", &THREE), "20.0");
}

#[test]
fn smallest_and_largest_follow_the_type_of_their_values() {
    assert_eq!(columns("min(price) AS a, max(price) AS b", &THREE), r#""a":"1.0000","b":"4.0000""#);
    assert_eq!(columns("min(symbol) AS a, max(symbol) AS b", &THREE), r#""a":"a","b":"c""#);
    assert_eq!(columns("min(f) AS a, max(u) AS b", &THREE), r#""a":0.1,"b":18446744073709551615"#);
    assert_eq!(columns("min(ok) AS a, max(ok) AS b", &THREE), r#""a":false,"b":true"#);
    assert_eq!(
        columns("min(ts) AS a, max(ts) AS b", &THREE),
        r#""a":"1970-01-01T00:00:00Z","b":"1970-01-01T00:00:02Z""#
    );
    assert_eq!(columns("min(size) AS a, max(n) AS b", &THREE), r#""a":"10.00","b":5"#);
}

#[test]
fn first_and_last_skip_nulls_and_follow_event_time() {
    assert_eq!(columns("first(price) AS a, last(price) AS b", &THREE), r#""a":"1.0000","b":"4.0000""#);
    assert_eq!(columns("first(size) AS a, last(n) AS b", &THREE), r#""a":"10.00","b":5"#);
    let back = [r#""ts":9,"n":1"#, r#""ts":3,"n":2"#, r#""ts":5,"n":3"#];
    assert_eq!(columns("first(n) AS a, last(n) AS b", &back), r#""a":2,"b":1"#);
}

#[test]
fn variances_and_deviations_are_rounded_once() {
    // Deviations of 1, 2, 4 from 7/3: squares sum to 42/9.
    assert_eq!(value("var_pop(price)", &THREE), "1.5555555555555556");
    assert_eq!(value("var_samp(price)", &THREE), "2.3333333333333335");
    assert_eq!(value("stddev_pop(price)", &THREE), "1.247219128924647");
    assert_eq!(value("stddev_samp(price)", &THREE), "1.5275252316519468");
    assert_eq!(value("var_pop(g)", &THREE), "2.6666666666666665");
    assert_eq!(value("stddev_samp(g)", &THREE), "2.0");
    assert_eq!(value("var_pop(n)", &THREE), "9.0");
    let equal = [r#""f":0.1"#; 3];
    assert_eq!(value("var_pop(f)", &equal), "0.0", "equal values have no variance, not 2e-34");
}

#[test]
fn a_sample_of_one_has_no_variance() {
    let one = [r#""price":7,"f":2"#];
    assert_eq!(columns("var_samp(price) AS a, stddev_samp(f) AS b", &one), r#""a":null,"b":null"#);
    assert_eq!(columns("var_pop(price) AS a, stddev_pop(f) AS b", &one), r#""a":0.0,"b":0.0"#);
    assert_eq!(faults("var_samp(price)", &one), 0, "no arithmetic failed");
}

#[test]
fn weighted_means_and_products_leave_out_rows_with_a_null() {
    assert_eq!(value("sum_product(price, size)", &THREE), "\"130.000000\"");
    assert_eq!(value("wavg(price, size)", &THREE), "3.25");
    assert_eq!(
        value("wavg(size, price)", &THREE),
        "26.0",
        "(10 + 120) / (1 + 4): the row without a size counts nowhere"
    );
    assert_eq!(value("sum_product(f, g)", &THREE), "2.2", "0.1 + 0.6 + 1.5, exact before the one rounding");
    assert_eq!(value("wavg(price, g)", &THREE), "3.0");
    assert_eq!(value("wavg(f, price)", &THREE), "0.24285714285714285");
    let light = [r#""price":1,"size":0"#];
    assert_eq!(value("wavg(price, size)", &light), "null");
}

#[test]
fn a_decimal_beside_a_double_is_as_exact_as_it_is_written() {
    let rows = [r#""price":0.1,"f":3"#, r#""price":0.3,"f":0.1"#];
    assert_eq!(value("sum_product(f, price)", &rows[..1]), "0.3", "3 times 1/10, and not times the double next to it");
    assert_eq!(value("sum_product(price, f)", &rows[..1]), "0.3");
    assert_eq!(value("wavg(f, price)", &rows), "0.825", "(0.3 + 0.03) / 0.4, not 0.8250000000000001");
    assert_eq!(value("CAST(wavg(f, price) AS DECIMAL(9, 4))", &rows), "\"0.8250\"");
    assert_eq!(value("wavg(price, f)", &rows), "0.1064516129032258", "not 0.10645161290322581");
    let large = [r#""f":1.5,"u":18446744073709551615"#, r#""f":-1.5,"u":18446744073709551613"#];
    assert_eq!(value("sum_product(f, u)", &large), "3.0");
    let negative = [r#""f":0.5,"n":-9223372036854775807"#, r#""f":0.5,"n":9223372036854775805"#];
    assert_eq!(value("sum_product(n, f)", &negative), "-1.0");
    let infinite = [r#""price":-2,"f":1e308"#, r#""price":0,"f":1e308"#];
    assert_eq!(value("sum_product(f * 10, price)", &infinite[..1]), "\"-inf\"");
    assert_eq!(value("sum_product(f * 10, price)", &infinite), "\"NaN\"", "nothing times infinity is no number");
    assert_eq!(value("wavg(f * 10, price)", &infinite[..1]), "\"NaN\"");
}

#[test]
fn aggregates_of_nothing_are_null_and_counts_are_zero() {
    let none = ["", ""];
    for name in ["sum", "avg", "min", "max", "first", "last", "var_pop", "var_samp", "stddev_pop", "stddev_samp"] {
        assert_eq!(value(&format!("{name}(price)"), &none), "null", "{name}");
        assert_eq!(value(&format!("{name}(f)"), &none), "null", "{name}");
    }
    assert_eq!(columns("wavg(price, size) AS a, sum_product(f, g) AS b", &none), r#""a":null,"b":null"#);
    assert_eq!(columns("count(price) AS a, count(DISTINCT n) AS b, count(*) AS c", &none), r#""a":0,"b":0,"c":2"#);
    assert_eq!(faults("avg(price)", &none), 0, "nothing was divided by zero");
}

#[test]
fn a_filter_chooses_the_rows_of_one_aggregate() {
    assert_eq!(value("count(*) FILTER (WHERE price > 1)", &THREE), "2");
    assert_eq!(value("sum(price) FILTER (WHERE size > 0)", &THREE), "\"5.0000\"", "null is not true");
    assert_eq!(value("avg(f) FILTER (WHERE symbol = 'z')", &THREE), "null");
    assert_eq!(value("count(DISTINCT u) FILTER (WHERE ok IS NOT TRUE)", &THREE), "2");
    assert_eq!(value("last(price) FILTER (WHERE ok)", &THREE), "\"1.0000\"");
    assert_eq!(value("wavg(price, size) FILTER (WHERE price < 4)", &THREE), "1.0");
    assert_eq!(value("var_samp(price) FILTER (WHERE price < 4)", &THREE), "0.5");
    let two = columns("sum(price) FILTER (WHERE ok) AS a, sum(price) AS b", &THREE);
    assert_eq!(two, r#""a":"1.0000","b":"7.0000""#, "the same aggregate with another filter is another");
}

#[test]
fn a_mean_leaves_as_the_decimal_that_a_cast_asks_for_rounded_once_half_to_even() {
    assert_eq!(value("CAST(avg(price) AS DECIMAL(18,4))", &THREE), "\"2.3333\"");
    let half = [r#""n":0"#, r#""n":1"#];
    assert_eq!(value("CAST(avg(n) AS DECIMAL(18,0))", &half), "\"0\"", "0.5 goes to the even 0");
    let half = [r#""n":1"#, r#""n":2"#];
    assert_eq!(value("CAST(avg(n) AS DECIMAL(18,0))", &half), "\"2\"", "1.5 goes to the even 2");
    let half = [r#""n":-1"#, r#""n":-2"#];
    assert_eq!(value("avg(n)::NUMERIC(5)", &half), "\"-2\"");
    // Just below a half, by less than a double can tell.
    let near = [r#""big":"0.4999999999""#, r#""big":"20000000000000000000""#];
    assert_eq!(value("CAST(avg(big) AS DECIMAL(38,0))", &near), "\"10000000000000000000\"");
    assert_eq!(value("CAST(avg(f) AS DECIMAL(20,18))", &[r#""f":0.1"#]), "\"0.100000000000000006\"");
}

#[test]
fn a_cast_to_a_double_rounds_also_where_another_cast_follows() {
    for (text, rounded) in [
        ("CAST(CAST(avg(price) AS DOUBLE PRECISION) AS DECIMAL(38,30))", "2.333333333333333481363069950021"),
        ("CAST((- CAST(avg(price) AS DOUBLE PRECISION)) AS DECIMAL(38,30))", "-2.333333333333333481363069950021"),
        ("CAST(abs(- (avg(price)::DOUBLE PRECISION)) AS DECIMAL(38,30))", "2.333333333333333481363069950021"),
        ("max(CAST(CAST(price / 3 AS DOUBLE PRECISION) AS DECIMAL(38,30)))", "1.333333333333333259318465024990"),
        ("CAST(- avg(price) AS DECIMAL(38,30))", "-2.333333333333333333333333333333"),
    ] {
        assert_eq!(value(text, &THREE), format!("\"{rounded}\""), "{text}");
    }
}

#[test]
fn a_quotient_leaves_as_the_integer_that_a_cast_asks_for_rounded_once() {
    let greatest = [
        r#""n":9223372036854775807,"price":99999999999999.4999"#,
        r#""n":9223372036854775807,"price":99999999999999.5"#,
    ];
    for (text, exact) in [
        ("CAST(avg(n) AS BIGINT)", "9223372036854775807"),
        ("CAST(-avg(n) AS BIGINT)", "-9223372036854775807"),
        ("CAST(abs(-avg(n)) AS u64)", "9223372036854775807"),
        ("CAST(avg(price) AS u64)", "99999999999999"),
        ("min(CAST(price / 1 AS i64))", "99999999999999"),
        ("max(CAST(n / 1 AS BIGINT))", "9223372036854775807"),
        ("CAST(CAST(avg(n) AS DOUBLE PRECISION) AS BIGINT)", "null"),
        ("CAST(-avg(n) AS u64)", "null"),
    ] {
        assert_eq!(value(text, &greatest), exact, "{text}");
    }
    assert_eq!(faults("CAST(-avg(n) AS u64)", &greatest), 1);
    assert_eq!(faults("CAST(avg(n * 1000) AS BIGINT)", &greatest), 1);
}

#[test]
fn no_zero_has_a_sign_however_little_is_left_of_a_number() {
    let little = [r#""f":-5e-324,"size":1"#, r#""f":0,"size":1"#];
    for text in ["avg(f)", "wavg(f, size)", "percentile_cont(0.1) WITHIN GROUP (ORDER BY f DESC)"] {
        assert_eq!(value(text, &little), "0.0", "{text}");
    }
}

#[test]
fn variances_roots_and_weighted_means_leave_as_decimals_too() {
    assert_eq!(value("CAST(var_pop(price) AS DECIMAL(20,10))", &THREE), "\"1.5555555556\"");
    assert_eq!(value("CAST(stddev_pop(price) AS DECIMAL(38,30))", &THREE), "\"1.247219128924647128527916244106\"");
    assert_eq!(value("CAST(wavg(price, size) AS DECIMAL(18,1))", &THREE), "\"3.2\"", "3.25, half to even");
    assert_eq!(value("CAST(avg(price) AS DECIMAL(2,2))", &THREE), "null", "it does not fit");
    assert_eq!(faults("CAST(avg(price) AS DECIMAL(2,2))", &THREE), 1);
}

#[test]
fn a_quotient_of_exact_sums_leaves_as_the_decimal_that_a_cast_asks_for() {
    let sums = "CAST(sum(price * size) / sum(size) AS DECIMAL(38,10))";
    assert_eq!(value(sums, &THREE), "\"3.2500000000\"");
    assert_eq!(value("CAST(sum(price) / count(*) AS DECIMAL(38,10))", &THREE), "\"2.3333333333\"");
    assert_eq!(value("sum(price) / count(*)", &THREE), "2.3333333333333335");
    assert_eq!(value("CAST(1 / sum(n) AS DECIMAL(10,1))", &THREE), "\"0.2\"", "0.25 goes to the even 0.2");
    assert_eq!(value("CAST(3 / sum(n) AS DECIMAL(10,1))", &THREE), "\"0.8\"", "0.75 goes to the even 0.8");
}

#[test]
fn a_second_cast_rounds_a_second_time() {
    // 1.4999... is 1.5 with one place, and that is 2; rounded at once it would be 1.
    let near = [r#""big":"1.4999999999""#];
    for exact in ["avg(big)", "sum(big) / count(*)", "wavg(big, big)"] {
        assert_eq!(value(&format!("CAST({exact} AS DECIMAL(20,0))"), &near), "\"1\"", "{exact}");
        let twice = format!("CAST(CAST({exact} AS DECIMAL(20,1)) AS DECIMAL(20,0))");
        assert_eq!(value(&twice, &near), "\"2\"", "{twice}");
    }
}

#[test]
fn division_by_zero_is_null_and_counted() {
    let zero = [r#""price":1,"size":0,"f":1,"g":0"#];
    for expr in ["sum(price) / sum(size)", "sum(f) / sum(g)", "last(price / size)", "last(f / g)", "1 / (count(*) - 1)"]
    {
        assert_eq!(value(expr, &zero), "null", "{expr}");
        assert_eq!(faults(expr, &zero), 1, "{expr}");
    }
    let cast = "CAST(wavg(price, size) AS DECIMAL(10,2))";
    assert_eq!((value(cast, &zero).as_str(), faults(cast, &zero)), ("null", 1), "once, and not for each form of it");
    assert_eq!(value("sum(price / nullif(size, 0))", &zero), "null");
    assert_eq!(faults("sum(price / nullif(size, 0))", &zero), 0, "a null that was asked for is no fault");
}

#[test]
fn expressions_over_aggregates_are_exact_among_exact_numbers() {
    assert_eq!(value("max(price) - min(price)", &THREE), "\"3.0000\"");
    assert_eq!(value("sum(price) * sum(size)", &THREE), "\"280.000000\"");
    assert_eq!(value("(sum(price) + 0.5) * 2", &THREE), "\"15.0000\"");
    assert_eq!(value("CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END", &THREE), "\"many\"");
    assert_eq!(value("coalesce(sum(size) FILTER (WHERE n > 99), 0)", &THREE), "\"0.00\"");
    assert_eq!(value("sum(price) > 6 AND avg(f) < 1", &THREE), "true");
    assert_eq!(value("sqrt(var_pop(g))", &THREE), "1.632993161855452");
}

#[test]
fn a_plain_field_is_aggregated_like_an_expression_that_is_worth_the_same() {
    // The extremes of 64 bits and of 18 digits, nulls, values that meet again, and times that do.
    let prices = [99_999_999_999_999_i64, -99_999_999_999_999, 0, 7, -7, 12_345];
    let events: Vec<String> = (0..200_i64)
        .map(|number| {
            let (price, n) =
                (prices[(number * number % 6) as usize], [i64::MIN, i64::MAX, number][number as usize % 3]);
            let price = if number % 7 == 3 { String::from("null") } else { format!("{price}.{:04}", number % 50) };
            let size = if number % 5 == 1 { String::new() } else { format!(",\"size\":{}.25", number % 11) };
            format!("\"ts\":{},\"price\":{price},\"n\":{n}{size}", number * 31 % 40)
        })
        .collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let of = |field: &str| format!("CASE WHEN id > 0 THEN {field} ELSE {field} END");
    for field in ["price", "size", "n"] {
        for aggregate in ["sum", "min", "max", "first", "last", "avg", "var_pop", "stddev_samp", "count"] {
            let plain = value(&format!("{aggregate}({field})"), &events);
            assert_eq!(plain, value(&format!("{aggregate}({})", of(field)), &events), "{aggregate}({field})");
            assert_ne!(plain, "null", "{aggregate}({field})");
        }
        let (plain, other) = (format!("wavg({field}, size)"), format!("wavg({}, {})", of(field), of("size")));
        assert_eq!(value(&plain, &events), value(&other, &events), "{plain}");
    }
}
