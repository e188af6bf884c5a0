//! Text that is no SQL, and places in it: they are bytes, whatever characters stand before.

use super::{plan, refuses};
use slackwater_core::limits;

#[test]
fn syntax_errors_are_underlined_at_the_start_the_middle_and_the_end() {
    refuses("«SELEC» count(*) FROM trades", "this is not SQL", "");
    refuses("SELECT count(*) AS x FROM trades GRUP «BY» symbol", "this is not SQL", "");
    refuses("SELECT sum(price AS x «FROM» trades", "this is not SQL", "");
    refuses("SELECT count(*) AS x FROM trades GROUP BY symbol«,»", "this is not SQL", "");
    refuses("SELECT count(*) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')«)»", "this is not SQL", "");
    refuses("SELECT count(*) AS x FROM trades WHERE symbol = «'»b", "this is not SQL", "");
    refuses("SELECT count(*) AS x FROM trades /* no en«d»", "this is not SQL", "");
}

#[test]
fn an_empty_text_is_no_select() {
    for text in ["", "  \n", ";", "-- nothing"] {
        let error = plan(text).expect_err("nothing there");
        assert_eq!(error.message, "there is no SELECT here", "{text:?}");
        assert!(error.span.end <= text.len(), "{text:?}");
    }
}

#[test]
fn places_are_bytes_behind_characters_of_several() {
    refuses(
        "SELECT count(*) FILTER (WHERE symbol = 'Zürich ☃ 🦀') AS x, last(«prize») AS y FROM trades GROUP BY tumble(ts, INTERVAL '1 day')",
        "no field `prize`",
        "did you mean `price`?",
    );
    refuses(
        "-- ☃ first\nSELECT count(*) AS x, /* ü */ last(«größe») AS y FROM trades GROUP BY tumble(ts, INTERVAL '1 day')",
        "no field `größe`",
        "`trades` has id, ts",
    );
}

#[test]
fn places_are_right_on_every_line() {
    refuses(
        "SELECT symbol,\n       last(price) AS x,\r\n\tlast(«siez») AS y\nFROM trades\nGROUP BY symbol, tumble(ts, INTERVAL '1 day')\n",
        "no field `siez`",
        "did you mean `size`?",
    );
}

#[test]
fn a_parenthesis_in_a_text_does_not_move_the_underline() {
    refuses(
        "SELECT «smu(CASE WHEN symbol = '((' THEN 1 END)» AS x, count(*) AS n FROM trades GROUP BY tumble(ts, INTERVAL '1 day')",
        "there is no function smu()",
        "did you mean `sum`?",
    );
}

#[test]
fn a_keyword_in_a_text_or_a_comment_is_not_the_one_that_is_refused() {
    refuses(
        "SELECT max('it''s a LIMIT') AS x, -- no LIMIT\n count(*) AS n FROM trades GROUP BY tumble(ts, INTERVAL '1 day') «LIMIT» 3",
        "LIMIT is not part",
        "rows come out by pipeline",
    );
}

#[test]
fn a_text_is_at_most_64_kibibytes() {
    let sound = "SELECT count(*) AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')";
    let fill = |size: usize| format!("{sound}{}", " ".repeat(size - sound.len()));
    assert!(plan(&fill(limits::SQL_BYTES)).is_ok());
    let error = plan(&fill(limits::SQL_BYTES + 1)).expect_err("one byte too many");
    assert_eq!(error.message, "the SELECT has 65537 bytes; at most 65536 are allowed");
}
