//! What the subset does not take: the place is underlined, and the answer says what to write instead.

use super::{refuses, refuses_guard, refuses_items};

#[test]
fn unknown_names_are_answered_with_the_one_that_was_meant() {
    refuses_items("symbol, last(«prize») AS x", "`trades` has no field `prize`", "did you mean `price`?");
    refuses_items("«sym» AS s, count(*) AS x", "`trades` has no field `sym`", "did you mean `symbol`?");
    refuses_items("last(«qqq») AS x", "`trades` has no field `qqq`", "`trades` has id, ts, symbol");
    refuses_items("«smu(price)» AS x", "there is no function smu()", "did you mean `sum`?");
    refuses_items(
        "«stddev(price)» AS x",
        "there is no function stddev()",
        "did you mean `stddev_pop` or `stddev_samp`?",
    );
    refuses_items("«mean(price)» AS x", "there is no function mean()", "did you mean `avg`?");
    refuses_items("«vwap(price, size)» AS x", "there is no function vwap()", "write wavg(price, size)");
    refuses_items("last(«lower(symbol)») AS x", "there is no function lower()", "known are count, sum");
    refuses(
        "SELECT count(*) AS x FROM «trade» GROUP BY tumble(ts, INTERVAL '1 day')",
        "there is no source `trade`; did you mean `trades`?",
        "sources are trades, quotes",
    );
    refuses(
        "SELECT count(*) AS x FROM «zzz» GROUP BY tumble(ts, INTERVAL '1 day')",
        "there is no source `zzz`",
        "sources are trades, quotes",
    );
    refuses_items("last(«quotes».bid) AS x", "`quotes` is not the source of this pipeline", "write trades.bid");
}

#[test]
fn a_wrong_source_before_a_group_by_column_is_refused_too() {
    refuses_items(
        "«quotes».symbol, count(*) AS x",
        "`quotes` is not the source of this pipeline",
        "write trades.symbol",
    );
}

#[test]
fn aggregates_stand_neither_in_where_nor_inside_each_other() {
    refuses(
        "SELECT count(*) AS x FROM trades WHERE «sum(price)» > 1 GROUP BY tumble(ts, INTERVAL '1 day')",
        "the aggregate sum() cannot stand here",
        "HAVING",
    );
    refuses_items("max(«sum(price)») AS x", "the aggregate sum() cannot stand here", "not inside each other");
    refuses_items("sum(price) FILTER (WHERE «count(*)» > 1) AS x", "the aggregate count() cannot stand here", "HAVING");
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY «max(price)», tumble(ts, INTERVAL '1 day')",
        "a group-by expression needs a name",
        "select it with a name",
    );
}

#[test]
fn a_pipeline_has_exactly_one_window_in_group_by() {
    refuses(
        "SELECT symbol, count(*) AS x FROM trades GROUP BY «symbol»",
        "GROUP BY has no window",
        "tumble(ts, INTERVAL '1 minute')",
    );
    refuses(
        "SELECT symbol, count(*) AS x FROM trades GROUP BY symbol, «tumbel(ts, INTERVAL '1 day')»",
        "there is no function tumbel()",
        "did you mean `tumble`?",
    );
    refuses("SELECT count(*) AS x FROM trade«s»", "GROUP BY has no window", "tumble(ts, INTERVAL '1 minute')");
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day'), «tumble(ts, INTERVAL '1 hour')»",
        "a pipeline has one window, and this is another",
        "write GROUP BY",
    );
    refuses_items(
        "«tumble(ts, INTERVAL '1 day')» AS x",
        "the window tumble() stands in GROUP BY only",
        "its bounds are always in the output",
    );
}

#[test]
fn a_column_that_has_many_values_in_a_window_is_refused() {
    refuses_items(
        "«price» AS x",
        "`price` has many values in a window",
        "last(price) or max(price), or add `price` to GROUP BY",
    );
    refuses_items("sum(price) / «size» AS x", "`size` has many values in a window", "add `size` to GROUP BY");
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day') HAVING «price» > 1",
        "`price` has many values",
        "last(price)",
    );
}

#[test]
fn columns_need_names_of_their_own() {
    refuses_items("«count(*)»", "this column needs a name", "count(*) AS trades");
    refuses_items("symbol, «sum(price) + 1»", "this column needs a name", "write AS");
    refuses_items("count(*) AS «digest»", "every row has a `digest` already", "AS digest_");
    refuses_items("count(*) AS «window_start»", "every row has a `window_start` already", "AS window_start_");
    refuses_items("count(*) AS x, sum(price) AS «x»", "two columns are called `x`", "another name with AS");
    refuses_items("count(*) AS «\"\"»", "a name holds at least one character", "another name with AS");
    refuses_items("count(*) AS «\"a\0\"»", "a name holds at least one character, and no NUL", "another name with AS");
    refuses_items("count(*) AS «symbol»", "two columns are called `symbol`", "another name with AS");
    refuses(
        "SELECT price > 1 AS tier FROM trades GROUP BY «tier», tumble(ts, INTERVAL '1 day')",
        "every row has a `tier` already",
        "AS tier_",
    );
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY «price > 1», tumble(ts, INTERVAL '1 day')",
        "needs a name in the output",
        "GROUP BY big",
    );
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY «1», tumble(ts, INTERVAL '1 day')",
        "no numbers of columns",
        "write the column's name",
    );
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY venue, «venue», tumble(ts, INTERVAL '1 day')",
        "two columns are called `venue`",
        "another name",
    );
    refuses_items("«NULL» AS x", "a column of nothing but null", "");
}

#[test]
fn clauses_of_other_selects_are_refused_by_name() {
    let tail = "FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 day')";
    refuses_items("«*»", "SELECT * is not known", "name the columns");
    refuses_items("«trades.*»", "SELECT * is not known", "name the columns");
    refuses(&format!("SELECT count(*) AS x {tail} «ORDER» BY x"), "ORDER BY is not part", "rows come out by pipeline");
    refuses(&format!("SELECT count(*) AS x {tail} «LIMIT» 5"), "LIMIT is not part", "rows come out by pipeline");
    refuses(&format!("SELECT count(*) AS x {tail} «OFFSET» 5"), "OFFSET is not part", "rows come out by pipeline");
    refuses(
        &format!("SELECT count(*) AS x {tail} «FETCH» FIRST 5 ROWS ONLY"),
        "FETCH is not part",
        "rows come out by pipeline",
    );
    refuses(&format!("SELECT «DISTINCT» symbol {tail}"), "DISTINCT is not part", "one row already");
    refuses(
        &format!("«WITH» t AS (SELECT 1) SELECT count(*) AS x {tail}"),
        "WITH is not part",
        "a pipeline of its own",
    );
    refuses(
        "SELECT count(*) AS x FROM «trades JOIN quotes ON trades.id = quotes.id» GROUP BY symbol, tumble(ts, INTERVAL '1 day')",
        "joins are not known yet",
        "sources are",
    );
    refuses(
        "SELECT count(*) AS x FROM «trades», quotes GROUP BY symbol, tumble(ts, INTERVAL '1 day')",
        "a pipeline reads one source",
        "sources are",
    );
    refuses(
        "SELECT count(*) AS x FROM «(SELECT price FROM trades)» GROUP BY tumble(ts, INTERVAL '1 day')",
        "a source by its name",
        "sources are",
    );
    refuses(
        "SELECT «count(*) OVER (PARTITION BY symbol)» AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')",
        "OVER is not part",
        "",
    );
    refuses("«SELECT count(*) AS x GROUP BY tumble(ts, INTERVAL '1 day')»", "FROM is missing", "sources are");
    refuses("«SELECT 1 AS x UNION SELECT 2 AS x»", "UNION, VALUES and nested queries", "write one SELECT");
    refuses("«VALUES (1)»", "UNION, VALUES and nested queries", "write one SELECT");
    refuses("«INSERT INTO trades VALUES (1)»", "another statement", "write one SELECT");
    refuses("«SELECT 1; SELECT 2»", "more than one statement", "write one SELECT");
}

#[test]
fn what_stands_behind_a_source_or_a_call_is_never_ignored() {
    let tail = "GROUP BY tumble(ts, INTERVAL '1 day')";
    refuses(
        &format!("SELECT count(*) AS x FROM «trades TABLESAMPLE BERNOULLI (10)» {tail}"),
        "a source has a name, and at most an alias",
        "sources are",
    );
    refuses(
        &format!("SELECT count(*) AS x FROM «trades AS t(a, b)» {tail}"),
        "a source has a name, and at most an alias",
        "sources are",
    );
    refuses(
        &format!("SELECT count(*) AS x FROM «trades(1)» {tail}"),
        "a source has a name, and at most an alias",
        "sources are",
    );
    refuses_items("«sum(DISTINCT price)» AS x", "sum(DISTINCT ...) is not known", "count(DISTINCT x)");
    refuses_items("last(«abs(DISTINCT price)») AS x", "abs() takes arguments only", "");
    refuses_items("«last(price ORDER BY ts)» AS x", "takes no clause behind its arguments", "canonical order");
    refuses_items("«first(price) IGNORE NULLS» AS x", "nulls are skipped", "");
}

#[test]
fn windows_lie_over_the_event_time_and_have_a_length() {
    let refuses = |window: &str, message: &str, help: &str| {
        refuses(&format!("SELECT count(*) AS x FROM trades GROUP BY {window}"), message, help);
    };
    refuses("tumble(«other», INTERVAL '1 day')", "windows are laid over the event time of `trades`", "write `ts`");
    refuses("tumble(«price», INTERVAL '1 day')", "windows are laid over the event time", "write `ts`");
    refuses("tumble(ts, «INTERVAL '1 month'»)", "a month has no fixed length", "'1 month', 'UTC'");
    refuses("tumble(ts, INTERVAL '1 day', «'Europe/Berlim'»)", "`Europe/Berlim` is no time zone", "");
    refuses("tumble(ts, «INTERVAL '0 seconds'»)", "a window is longer than nothing", "");
    refuses("tumble(ts, «INTERVAL '-1 minute'»)", "a window is longer than nothing", "");
    refuses("tumble(ts, «'1 minute'»)", "a length of time is an interval", "INTERVAL '1 minute'");
    refuses("tumble(ts, «60»)", "a length of time is an interval", "INTERVAL '1 minute'");
    refuses("tumble(ts, «INTERVAL '1 fortnight'»)", "'fortnight' is no unit of time", "write INTERVAL");
    refuses("tumble(ts, «INTERVAL 'x minutes'»)", "'x' is not a whole number", "write INTERVAL");
    refuses("tumble(ts, «INTERVAL '1.5 hours'»)", "'1.5' is not a whole number", "write INTERVAL");
    refuses("tumble(ts, «INTERVAL '1'»)", "not pairs of a number and a unit", "write INTERVAL");
    refuses("tumble(ts, «INTERVAL '9999999999 hours'»)", "longer than 292 years", "write INTERVAL");
    refuses("tumble(ts, INTERVAL '7 hours', «'Europe/Berlin'»)", "a length that divides a day", "");
    refuses("tumble(ts, INTERVAL '1 hour', «INTERVAL '1 month'»)", "an offset has a fixed length", "");
    refuses("«tumble(ts)»", "tumble() takes a time, a size, and an offset or a zone", "write tumble");
    refuses("«tumble()»", "tumble() takes a time", "write tumble");
    refuses("«hop(ts, INTERVAL '1 minute')»", "hop() takes a time, a slide, a size", "a window of five begins every");
    refuses("hop(ts, «INTERVAL '0 seconds'», INTERVAL '1 minute')", "a slide is longer than nothing", "");
    refuses("hop(ts, INTERVAL '1 minute', «INTERVAL '1 month'»)", "a window has a fixed length", "");
    refuses("«hop(ts, INTERVAL '1 second', INTERVAL '7 days')»", "in more than 100000 windows", "a longer slide");
}

#[test]
fn sessions_and_bars_say_what_they_need() {
    let refuses = |window: &str, message: &str, help: &str| {
        refuses(&format!("SELECT count(*) AS x FROM trades GROUP BY {window}"), message, help);
    };
    refuses("«session(ts)»", "session() takes a time and a gap", "write session(ts");
    refuses("session(«other», INTERVAL '1 hour')", "windows are laid over the event time", "write `ts`");
    refuses("session(ts, «INTERVAL '-1 hour'»)", "a gap is longer than nothing", "");
    refuses("«tick_bar()»", "tick_bar() does not take 0 arguments", "write tick_bar(500)");
    refuses("tick_bar(«0»)", "a whole number of facts, at least one", "write tick_bar(500)");
    refuses("tick_bar(«1.5»)", "a whole number of facts", "write tick_bar(500)");
    refuses("tick_bar(5, «'noon'»)", "an anchor says when bars begin anew", "'09:30 America/New_York'");
    refuses("tick_bar(5, «'9:30 Europe/Berlin'»)", "an anchor says when", "'09:30 America/New_York'");
    refuses("tick_bar(5, «'24:00 Europe/Berlin'»)", "a time of day is HH:MM", "'09:30");
    refuses("tick_bar(5, «'day Europe/Berlim'»)", "`Europe/Berlim` is no time zone", "'09:30");
    refuses("volume_bar(«f», 5)", "bars are measured in exact numbers", "price * size");
    refuses("value_bar(«price + size», 5)", "bars are measured in exact numbers", "price * size");
    refuses("volume_bar(«size», 5)", "`size` can be null", "take the ? from its type");
    refuses("volume_bar(«id», 5)", "`id` may be below zero", "add \"id >= 0\" to the source's `require`");
    refuses("break_when(«price»)", "a condition must be true or false", "write a comparison");
    refuses("break_when(prev(«pric») > 1)", "has no field `pric`", "did you mean `price`?");
    refuses("break_when(«prev(price + 1)» > 1)", "prev() takes one column", "write prev(price)");
    refuses("break_when(max(«prev(price)») > 1)", "there is no function prev()", "known are");
    refuses("tick_bar(5), «tick_bar(5)»", "a pipeline has one window", "write GROUP BY");
    refuses("«tick_bar(5) FILTER (WHERE ok)»", "tick_bar() takes arguments only", "leave FILTER");
}

#[test]
fn how_an_event_came_is_not_what_it_is() {
    refuses_items("max(«recv») AS x", "`recv` is the arrival", "finals must not depend on it");
    refuses_items("max(«seq») AS x", "`seq` is the sequence", "order = \"sequence\"");
    refuses(
        "SELECT count(*) AS x FROM trades WHERE «seq» > 1 GROUP BY tumble(ts, INTERVAL '1 day')",
        "`seq` is the sequence",
        "finals",
    );
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY «recv», tumble(ts, INTERVAL '1 day')",
        "`recv` is the arrival",
        "finals",
    );
}

#[test]
fn what_could_pass_76_digits_is_refused_when_it_is_compiled() {
    refuses_items("sum(«huge * huge * price») AS x", "could give more than 76 digits", "CAST a side");
    refuses_items("sum(«big * big + 0.0000000000000000000001») AS x", "could give more than 76 digits", "CAST a side");
    refuses_items("«var_pop(huge * 10)» AS x", "could have more than 76 digits", "CAST a side");
    refuses_items("«wavg(huge * 10, huge)» AS x", "could have more than 76 digits", "CAST a side");
    refuses_items("«sum(huge * huge) * sum(huge)» AS x", "could give more than 115 digits", "CAST a side");
    refuses_items(
        "last(«123456789012345678901234567890123456789») AS x",
        "has 39 digits; a decimal has at most 38",
        "",
    );
    refuses_items("last(«1e999») AS x", "beyond the range of float64", "");
}

#[test]
fn operations_need_values_of_their_types() {
    refuses_items("max(«symbol + 1») AS x", "arithmetic needs numbers, and this is string", "");
    refuses_items("max(«ts - ts») AS x", "arithmetic needs numbers", "times can be compared");
    refuses_items("max(«-symbol») AS x", "a sign needs a number", "");
    refuses_items("max(«symbol = 1») AS x", "string and decimal(1,0) cannot be compared", "");
    refuses_items("max(«ok > 0») AS x", "bool and decimal(1,0) cannot be compared", "");
    refuses_items("max(«ts > symbol») AS x", "a string cannot be compared with a timestamp", "RFC 3339");
    refuses_items("max(«ts > '2026-01-01'») AS x", "'2026-01-01' is not a time", "RFC 3339");
    refuses_items("«sum(symbol)» AS x", "sum() needs numbers, and this is string", "");
    refuses_items("«avg(ok)» AS x", "avg() needs numbers, and this is bool", "");
    refuses_items("last(«abs(symbol)») AS x", "abs() needs a number", "");
    refuses_items("count(*) FILTER (WHERE «price») AS x", "a condition must be true or false", "price > 0");
    refuses_items("last(CASE WHEN «price» THEN 1 END) AS x", "a condition must be true or false", "price > 0");
    refuses_items("last(«CASE WHEN ok THEN 1 ELSE 'x' END») AS x", "no type in common", "");
    refuses_items("last(«coalesce(price, symbol)») AS x", "no type in common", "");
    refuses_items("last(NOT «price») AS x", "a condition must be true or false", "price > 0");
    refuses(
        "SELECT count(*) AS x FROM trades WHERE «price» GROUP BY tumble(ts, INTERVAL '1 day')",
        "a condition must be true or false",
        "price > 0",
    );
    refuses(
        "SELECT count(*) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day') HAVING «count(*)»",
        "a condition must be true or false",
        "price > 0",
    );
}

#[test]
fn casts_know_their_types() {
    refuses_items("last(«CAST(price AS VARCHAR)») AS x", "VARCHAR is no type to cast to", "CAST knows DECIMAL(p, s)");
    refuses_items("last(«CAST(price AS money)») AS x", "money is no type to cast to", "CAST knows DECIMAL(p, s)");
    refuses_items("last(«CAST(price AS DECIMAL(39,2))») AS x", "1 to 38 digits", "write DECIMAL(18, 8)");
    refuses_items("last(«CAST(price AS DECIMAL(4,5))») AS x", "1 to 38 digits", "write DECIMAL(18, 8)");
    refuses_items("last(«CAST(price AS DECIMAL)») AS x", "1 to 38 digits", "write DECIMAL(18, 8)");
    refuses_items("last(«CAST(symbol AS BIGINT)») AS x", "string cannot be cast to i64", "numbers can be cast");
    refuses_items("last(«TRY_CAST(price AS BIGINT)») AS x", "only CAST(x AS type) is known", "");
}

#[test]
fn calls_need_their_number_of_arguments() {
    refuses_items("«sum()» AS x", "sum() takes 1 argument(s), and has 0", "");
    refuses_items("«count()» AS x", "count() takes 1 argument(s), and has 0", "count(*) or count(x)");
    refuses_items("«wavg(price)» AS x", "wavg() takes 2 argument(s), and has 1", "");
    refuses_items("«count(DISTINCT symbol, venue)» AS x", "takes 1 argument(s), and has 2", "count(x)");
    refuses_items("«sum(*)» AS x", "an argument here is an expression", "");
    refuses_items("last(«nullif(price)») AS x", "nullif() does not take 1 arguments", "");
    refuses_items("last(«coalesce(price)») AS x", "coalesce() does not take 1 arguments", "");
    refuses_items("last(«abs()») AS x", "abs() does not take 0 arguments", "");
}

#[test]
fn operators_of_other_dialects_are_refused() {
    refuses_items("last(«symbol LIKE 'a%'») AS x", "not part of what a pipeline can say", "known are + - * /");
    refuses_items("last(«symbol || venue») AS x", "the operator || is not part", "known are + - * /");
    refuses_items("last(«price % 2») AS x", "the operator % is not part", "known are + - * /");
    refuses_items("last(«n & 1») AS x", "the operator & is not part", "known are + - * /");
    refuses_items("last(«price IS DISTINCT FROM size») AS x", "not part of what a pipeline can say", "known are");
    refuses_items("last(«EXTRACT(HOUR FROM ts)») AS x", "not part of what a pipeline can say", "known are");
    refuses_items("last(«INTERVAL '1 day'») AS x", "an interval stands only in a window", "");
    refuses_items("last(price = «$1») AS x", "$1 is no constant", "write a number");
    refuses(
        "SELECT count(*) AS x FROM trades WHERE «price IN (SELECT bid FROM quotes)» GROUP BY tumble(ts, INTERVAL '1 day')",
        "not part of what a pipeline can say",
        "known are",
    );
    refuses(
        "SELECT count(*) AS x FROM trades WHERE «EXISTS (SELECT 1)» GROUP BY tumble(ts, INTERVAL '1 day')",
        "not part of what a pipeline can say",
        "known are",
    );
}

#[test]
fn guards_are_conditions_over_one_row() {
    refuses_guard("«price + 1»", "a guard must be true or false", "price > 0");
    refuses_guard("«prise» > 0", "`trades` has no field `prise`", "did you mean `price`?");
    refuses_guard("«sum(price)» > 0", "the aggregate sum() cannot stand here", "HAVING");
    refuses_guard("price > 0 «size»", "more text follows it", "AND");
    refuses_guard("price > «)»", "this is not SQL", "");
    refuses_guard("«seq» > 0", "`seq` is the sequence", "finals must not depend on it");
}
