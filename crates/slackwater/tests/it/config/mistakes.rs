//! Every mistake in the file: the line, a caret, and what to write instead.

use super::{mistaken, with, with_keys};

/// Checks the whole text shown for a file.
fn shows(text: &str, expected: &str) {
    let shown = mistaken(text).render(false);
    assert_eq!(shown, expected.trim_start_matches('\n'), "\n{shown}\n");
}

/// Checks the messages, in the order of the file.
fn says(text: &str, expected: &[&str]) {
    let errors = mistaken(text);
    assert_eq!(errors.messages().collect::<Vec<_>>(), expected, "\n{errors}\n");
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    shows(
        &with_keys("lagg = \"1s\""),
        r#"
error: unknown key `lagg` in [source.trades]
 --> slackwater.toml:7:1
  |
7 | lagg = "1s"
  | ^^^^
  |
  = help: did you mean `lag`?

slackwater.toml: 1 error"#,
    );
}

#[test]
fn unknown_sections_and_keys_are_found_everywhere() {
    says(&with("[pipeline.bars]", "[pipline.bars]"), &["unknown key `pipline` in the file"]);
    says(&with("sql = ", "slide = 1\nsql = "), &["unknown key `slide` in [pipeline.bars]"]);
    says(
        &format!("name = \"x\"\n{}", with("sql", "sqll")),
        &[
            "unknown key `name` in the file",
            "`sql` is missing in [pipeline.bars]",
            "unknown key `sqll` in [pipeline.bars]",
        ],
    );
}

#[test]
fn a_field_has_a_name_that_a_table_can_have() {
    for name in [r#""""#, r#""\u0000""#, r#""a\u0000b""#] {
        let text = with("[source.trades.fields]\n", &format!("[source.trades.fields]\n{name} = \"i64\"\n"));
        says(&text, &["the name of a field holds at least one character, and no NUL"]);
    }
}

#[test]
fn every_mistake_of_a_file_is_shown_in_its_order() {
    let text = with_keys("late = \"ammend\"\nlag = 5\norigin = \"venu\"\nrequire = [\"prize > 0\"]");
    shows(
        &text.replace("SELECT symbol,", "SELECT symbo,"),
        r#"
error: `ammend` is no value of `late`
 --> slackwater.toml:7:8
  |
7 | late = "ammend"
  |        ^^^^^^^^
  |
  = help: did you mean `amend`?

error: `lag` must be a duration in quotes, and is an integer
 --> slackwater.toml:8:7
  |
8 | lag = 5
  |       ^
  |
  = help: write whole numbers with their units, such as "250ms", "10s", "5m", "1h30m" or "1d"

error: `origin` names the field `venu`, which is not declared
 --> slackwater.toml:9:10
  |
9 | origin = "venu"
  |          ^^^^^^
  |
  = help: did you mean `venue`?

error: `trades` has no field `prize`
  --> slackwater.toml:10:13
   |
10 | require = ["prize > 0"]
   |             ^^^^^
   |
   = help: did you mean `price`? `trades` has id, symbol, venue, ts, price

error: `trades` has no field `symbo`
  --> slackwater.toml:21:8
   |
21 | SELECT symbo, count(*) AS trades
   |        ^^^^^
   |
   = help: did you mean `symbol`? `trades` has id, symbol, venue, ts, price

slackwater.toml: 5 errors"#,
    );
}

#[test]
fn a_select_with_escapes_is_shown_on_its_own() {
    let select = "\"\"\"\nSELECT symbol, count(*) AS trades\nFROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')\n\"\"\"";
    shows(
        &with(
            select,
            r#""SELECT symbol,\tcount(*) AS n FROM trades\nGROUP BY symbo, tumble(ts, INTERVAL '1 minute')""#,
        ),
        r#"
error: `trades` has no field `symbo`
 --> slackwater.toml: pipeline.bars.sql:2:10
  |
2 | GROUP BY symbo, tumble(ts, INTERVAL '1 minute')
  |          ^^^^^
  |
  = help: did you mean `symbol`? `trades` has id, symbol, venue, ts, price

slackwater.toml: 1 error"#,
    );
}

#[test]
fn a_select_is_underlined_in_the_file_in_any_kind_of_quotes() {
    let old = "\"\"\"\nSELECT symbol, count(*) AS trades\nFROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')\n\"\"\"";
    let sql = "SELECT symbo, count(*) AS n FROM trades GROUP BY tumble(ts, INTERVAL ~1 minute~)";
    for (open, close, quote) in
        [("\"", "\"", "'"), ("'''", "'''", "'"), ("'''\n", "\n'''", "'"), ("\"\"\"", "\"\"\"", "'")]
    {
        let shown = mistaken(&with(old, &format!("{open}{}{close}", sql.replace('~', quote)))).render(false);
        assert!(
            shown.contains("error: `trades` has no field `symbo`\n --> slackwater.toml:1")
                || shown.contains("\n  --> slackwater.toml:1"),
            "{shown}"
        );
        let (_, under) = shown.split_once("SELECT symbo").expect("the line is shown");
        assert!(under.contains("^^^^^\n"), "{shown}");
    }
}

#[test]
fn what_is_no_toml_is_shown_where_it_breaks() {
    shows(
        &with("[source.trades.fields]", "[source.trades.fields"),
        r#"
error: this is not TOML: unclosed table, expected `]`
 --> slackwater.toml:8:22
  |
8 | [source.trades.fields
  |                      ^

slackwater.toml: 1 error"#,
    );
    says(&with("id = \"u64\"", "id = \"u64\"\nid = \"u64\""), &["this is not TOML: duplicate key"]);
    says("[source.a]\n[source.a]\n", &["this is not TOML: duplicate key"]);
}

#[test]
fn a_role_must_name_a_declared_field_of_its_type() {
    says(
        &with_keys("version = \"price\""),
        &["version = \"price\" must be a u64 or a timestamp, and is decimal(18,4)"],
    );
    says(
        &with("identity = \"id\"", "identity = [\"id\", \"x\", \"id\"]"),
        &["`identity` names the field `x`, which is not declared", "`identity` names `id` twice"],
    );
    says(
        &with("event_time = \"ts\"", "event_time = \"time\""),
        &["`event_time` names the field `time`, which is not declared"],
    );
    says(
        &with("ts = \"timestamp_us\"", "ts = \"timestamp_us?\""),
        &["field `ts` is the event_time and so cannot be null: take the `?` away"],
    );
    says(&with_keys("order = \"sequence\""), &["order = \"sequence\" needs sequence = \"FIELD\""]);
    says(&with_keys("op = \"symbol\""), &["op needs version: a retraction must outrank what it removes"]);
}

#[test]
fn a_type_of_another_system_is_answered_with_ours() {
    for (theirs, hint) in [
        ("int", "did you mean `i64`?"),
        ("Double", "did you mean `float64`?"),
        ("text?", "did you mean `string`?"),
        ("timestamp", "did you mean `timestamp_ms`?"),
        ("strng", "did you mean `string`?"),
        ("decimal", "did you mean `decimal(18,8)`?"),
        ("decimal(39,2)", "write decimal(p,s) with p digits in all, 1 to 38, and s of them behind the point"),
        ("decimal(4,5)", "write decimal(p,s) with p digits in all, 1 to 38, and s of them behind the point"),
        ("decimal(18)", "write decimal(p,s) with p digits in all, 1 to 38, and s of them behind the point"),
        (
            "blob",
            "known are `u64`, `i64`, `float64`, `bool`, `string`, `timestamp_s`, `timestamp_ms`, `timestamp_us`, `timestamp_ns`, `decimal(18,8)`",
        ),
    ] {
        let shown = mistaken(&with("venue = \"string\"", &format!("venue = \"{theirs}\""))).render(false);
        assert!(shown.contains(&format!("`{theirs}` is no ")), "{shown}");
        assert!(shown.contains(&format!("= help: {hint}\n")), "{shown}");
    }
}

#[test]
fn keys_that_must_be_there_are_asked_for() {
    shows(
        &with("kind = \"files\"\n", ""),
        r#"
error: `kind` is missing in [source.trades]
 --> slackwater.toml:2:9
  |
2 | [source.trades]
  |         ^^^^^^
  |
  = help: add kind = "files" (or http, websocket, kafka, valkey, nats, postgres)

slackwater.toml: 1 error"#,
    );
    says(
        "[source.s]\n[pipeline.p]\n",
        &[
            "`kind` is missing in [source.s]",
            "`format` is missing in [source.s]",
            "`identity` is missing in [source.s]",
            "`event_time` is missing in [source.s]",
            "`fields` is missing in [source.s]",
            "`sql` is missing in [pipeline.p]",
        ],
    );
}

#[test]
fn a_file_without_sources_or_pipelines_says_what_to_add() {
    shows(
        "",
        r#"
error: there is no source
 --> slackwater.toml:1:1
  |
1 |
  | ^
  |
  = help: add a section [source.NAME] with kind, format, identity, event_time and fields

slackwater.toml: 1 error"#,
    );
    let only_source = super::PLAIN.split("[pipeline").next().expect("the sources");
    says(only_source, &["there is no pipeline"]);
}

#[test]
fn values_must_be_of_their_keys_types_and_words() {
    for (keys, message) in [
        ("gap = \"skip\"", "`skip` is no value of `gap`"),
        ("gap = true", "`gap` must be a text in quotes, and is a boolean"),
        ("watermark = \"wallclock\"", "`wallclock` is no value of `watermark`"),
        ("order = \"id\"", "`id` is no value of `order`"),
        ("keep_raw = \"always\"", "`always` is no value of `keep_raw`"),
        ("keep_raw = 3", "`keep_raw` must be a duration in quotes, and is an integer"),
        ("keep_facts = \"none\"", "`none` is no duration for `keep_facts`"),
        ("keep_facts = 400", "`keep_facts` must be a duration in quotes, and is an integer"),
        (
            "keep_facts = \"69s\"\nlag = \"10s\"",
            "`keep_facts` lets facts go after 69s, before everything over them is sealed: the lag is 10s, and pipeline `bars` \
             has windows of 1m",
        ),
        ("max_future = \"-5m\"", "`-5m` is no duration for `max_future`"),
        ("lag = \"5\"", "`5` is no duration for `lag`"),
        ("lag = \"1m1h\"", "`1m1h` is no duration for `lag`"),
        ("lag = \"400000d\"", "`400000d` is no duration for `lag`"),
        ("max_time = 5", "`max_time` must be a time such as \"2026-01-02T03:04:05Z\", and is an integer"),
        (
            "max_time = 2026-01-02T03:04:05",
            "`2026-01-02T03:04:05` is no time for `max_time`: not a time with an offset, such as 2026-01-02T03:04:05Z",
        ),
        (
            "min_time = \"2300-01-01T00:00:00Z\"",
            "`2300-01-01T00:00:00Z` is no time for `min_time`: outside the years 1677 to 2262",
        ),
        (
            "min_time = \"2026-01-02T00:00:00Z\"\nmax_time = \"2026-01-01T00:00:00Z\"",
            "`min_time` is after `max_time`, so that every event would be refused",
        ),
        ("require = [1]", "`require` must be a text in quotes or a list of them, and is an array"),
        ("origins = [\"X\"]", "`origins` needs `origin`: without it the source is its own only origin"),
        (
            "arrival = \"ts\"",
            "field `ts` is arrival, which is no content, and so cannot be event_time too: name another field",
        ),
        (
            "origin = \"id\"\nsequence = \"id\"",
            "field `id` is sequence, which is no content, and so cannot be identity too: name another field",
        ),
        (
            "lag_by_origin = { X = \"1s\" }",
            "`lag_by_origin` needs `origin`: without it the source is its own only origin",
        ),
        (
            "origin = \"venue\"\nlag_by_origin = 5",
            "`lag_by_origin` must be a table such as { NAME = \"30s\" }, and is an integer",
        ),
        ("origin = \"venue\"\nlag_by_origin = { X = 5 }", "`X` must be a duration in quotes, and is an integer"),
        (
            "origin = \"venue\"\norigins = [\"XNAS\"]\nlag_by_origin = { XNSA = \"5s\" }",
            "`XNSA` has a lag, but `origins` does not list it",
        ),
        ("origin = \"id\"\norigins = [\"7\", \"x\"]", "`x` is no value of the field `id`, which is u64"),
    ] {
        says(&with_keys(keys), &[message]);
    }
    says(&with("\"files\"", "\"file\""), &["`file` is no value of `kind`"]);
    says(
        &with("venue = \"string\"", "venue = 5"),
        &["`venue` must be a type in quotes such as \"string\", and is an integer"],
    );
    says(&with("identity = \"id\"", "identity = 5"), &["`identity` must be a text in quotes, and is an integer"]);
    says(&with("identity = \"id\"", "identity = []"), &["`identity` is an empty list"]);
}

#[test]
fn names_are_short_and_plain() {
    for name in ["Trades", "\"\"", "\"a b\"", &"x".repeat(41), "\"ä\""] {
        let message = format!("`{}` cannot be the name of a pipeline", name.trim_matches('"'));
        says(&with("pipeline.bars", &format!("pipeline.{name}")), &[&message]);
    }
    says("source = 5\n", &["`source` holds no sections"]);
    says("source.a = 5\n", &["`source.a` must be a section, and is an integer"]);
}

#[test]
fn a_terminal_gets_colours_and_nobody_else() {
    let errors = mistaken(&with_keys("lagg = \"1s\""));
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains('\u{1b}'));
    assert_eq!(errors.to_string(), errors.render(false));
}

#[test]
fn any_text_is_a_configuration_or_mistakes() {
    let text = with_keys("late = \"amend\"\nrequire = [\"price > 0\"]\nlag_by_origin = { a = \"1s\" }\n# é");
    for (at, _) in text.char_indices() {
        let cut = &text[..at];
        if let Err(errors) = slackwater::face::config::load(cut, "cut.toml") {
            assert!(errors.count() > 0 && errors.render(false).contains("cut.toml"));
        }
        let mut bent = text.clone();
        bent.replace_range(at..at + text[at..].chars().next().expect("a character").len_utf8(), "é");
        if let Err(errors) = slackwater::face::config::load(&bent, "bent.toml") {
            assert!(errors.count() > 0 && !errors.render(true).is_empty());
        }
    }
}
