//! How values are written, letter for letter.

use super::CONFIG;
use crate::program::{Place, lines};

/// Output of a fold of trades by a SELECT.
fn output(select: &str, events: &str, out: &str) -> String {
    let bars = CONFIG.find("[pipeline.bars]").expect("it is there");
    let place = Place::with(&format!("{}[pipeline.p]\nsql = '''{select}'''\n", &CONFIG[..bars]));
    place.write("t.ndjson", events);
    let ran = place.run(&["fold", "-c", "c.toml", "--out", out, "--input", "trades=t.ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    place.read(out)
}

const DAY: &str = "FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 day')";

/// Without the digest, which is checked elsewhere.
fn undigested(text: &str, mark: &str) -> Vec<String> {
    text.lines().map(|line| line.rsplit_once(mark).expect("a digest").0.to_string()).collect()
}

#[test]
fn a_row_has_its_columns_in_the_order_of_the_design() {
    let select =
        format!("SELECT last(f) AS f, max(price) AS p, count(*) > 1 AS many, max(ts) AS t, avg(price) AS m {DAY}");
    let events = "{\"id\":1,\"ts\":5,\"symbol\":\"A\",\"price\":-0.5,\"f\":1e21}\n{\"id\":2,\"ts\":6}\n";
    assert_eq!(
        undigested(&output(&select, events, "o.ndjson"), ",\"digest\":\""),
        [
            r#"{"pipeline":"p","symbol":null,"window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-02T00:00:00Z","tier":"final","generation":1,"cause":"seal","f":null,"p":null,"many":false,"t":"1970-01-01T00:00:06Z","m":null"#,
            r#"{"pipeline":"p","symbol":"A","window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-02T00:00:00Z","tier":"final","generation":1,"cause":"seal","f":1e+21,"p":"-0.5000","many":false,"t":"1970-01-01T00:00:05Z","m":-0.5"#,
        ]
    );
    assert_eq!(
        undigested(&output(&select, events, "o.csv"), ","),
        [
            "pipeline,symbol,window_start,window_end,tier,generation,cause,removed,f,p,many,t,m",
            "p,,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,final,1,seal,,,,false,1970-01-01T00:00:06Z,",
            "p,A,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,final,1,seal,,1e+21,-0.5000,false,1970-01-01T00:00:05Z,-0.5",
        ]
    );
}

#[test]
fn texts_are_escaped_so_that_any_reader_gets_them_back() {
    for text in [
        "\"quoted\"",
        "back\\slash",
        "line\nend",
        "tab\there",
        "\u{1}\u{7f}",
        "comma, and \"both\"",
        "naïve ☃ 🦀",
        "\r",
        "\u{2028}",
        " ",
    ] {
        let event = serde_json::json!({"id": 1, "ts": 1, "symbol": text}).to_string() + "\n";
        let select = format!("SELECT count(*) AS n {DAY}");
        let row = &lines(&output(&select, &event, "o.ndjson"))[0];
        assert_eq!(row["symbol"], text);
        let written = output(&select, &event, "o.csv");
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        let record = reader.records().next().expect("a record").expect("a sound one");
        assert_eq!(&record[1], text);
    }
}

#[test]
fn doubles_are_the_shortest_text_that_reads_back_to_the_same_bits() {
    for text in
        ["0.1", "5e-324", "1.7976931348623157e+308", "123456789.125", "1e-7", "0.30000000000000004", "100.0", "-2.5"]
    {
        let event = format!("{{\"id\":1,\"ts\":1,\"f\":{text}}}\n");
        let written = output(&format!("SELECT last(f) AS f {DAY}"), &event, "o.ndjson");
        let shown = written.split("\"f\":").nth(1).and_then(|rest| rest.split(',').next()).expect("the column");
        let same = |a: &str, b: &str| a.parse::<f64>().map(f64::to_bits) == b.parse::<f64>().map(f64::to_bits);
        assert!(same(shown, text) && shown.len() <= text.len() + 1, "{shown} for {text}");
    }
}

#[test]
fn output_packs_itself_by_its_name() {
    let bars = CONFIG.find("[pipeline.bars]").expect("it is there");
    let place = Place::with(&format!("{}[pipeline.p]\nsql = '''SELECT count(*) AS n {DAY}'''\n", &CONFIG[..bars]));
    place.write("t.ndjson", "{\"id\":1,\"ts\":1}\n");
    for out in ["o.ndjson", "o.ndjson.gz", "o.ndjson.zst"] {
        assert_eq!(place.run(&["fold", "-c", "c.toml", "--out", out, "--input", "trades=t.ndjson"]).code, 0);
    }
    let plain = place.read("o.ndjson");
    let unpacked = std::io::read_to_string(flate2::read::GzDecoder::new(
        &std::fs::read(place.path("o.ndjson.gz")).expect("there")[..],
    ));
    assert_eq!(unpacked.expect("gzip"), plain);
    let unpacked = zstd::decode_all(&std::fs::read(place.path("o.ndjson.zst")).expect("there")[..]);
    assert_eq!(unpacked.expect("zstd"), plain.into_bytes());
}
