//! One result, byte for byte, however the same events are fed: order, repetition, files, packing, format, threads.

use super::TRADES;
use crate::program::{Place, joined};
use std::io::Write;

const EVENTS: u64 = 20_000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// One event's cells in the order of the header, empty where null; not all of them are sound.
type Cells = [String; 9];

const HEADER: [&str; 9] = ["id", "venue", "v", "op", "ts", "symbol", "price", "size", "f"];

/// Ids repeat, so that there are duplicates, corrections, retractions and conflicts of all kinds.
fn cells(random: &mut Random) -> Cells {
    let id = random.below(EVENTS * 2 / 3);
    let version = random.below(4);
    let op = if random.below(12) == 0 { "retract" } else { "" };
    let ts = match random.below(200) {
        0 => "soon".to_string(),
        _ => (1_767_600_000_000 + (id * 269 + random.below(3) * 60_000) % 3_600_000).to_string(),
    };
    let symbol = ["A", "B", "Ä☃", "", "A,\"B\""][random.below(5) as usize].to_string();
    let price = match random.below(100) {
        0 => "NaN".to_string(),
        1 => "1e400".to_string(),
        2 => String::new(),
        _ => format!("{}.{}", random.below(1_000), random.below(3) * 25),
    };
    let size = if random.below(10) == 0 { String::new() } else { random.below(4).to_string() };
    let f = format!("{}e{}", random.below(1 << 53), random.below(40) as i64 - 30);
    [
        id.to_string(),
        ["X", "Y"][(id % 2) as usize].to_string(),
        version.to_string(),
        op.to_string(),
        ts,
        symbol,
        price,
        size,
        f,
    ]
}

fn json(cells: &Cells) -> String {
    let text = |at: usize| at == 1 || at == 3 || at == 5 || (at == 4 && cells[at] == "soon");
    let fields = HEADER.iter().zip(cells).enumerate().filter(|(_, (_, cell))| !cell.is_empty());
    let fields = fields.map(|(at, (name, cell))| {
        let cell = if text(at) { serde_json::Value::from(cell.as_str()).to_string() } else { cell.clone() };
        format!("\"{name}\":{cell}")
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn csv(cells: &Cells) -> String {
    let quoted = cells.each_ref().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
    quoted.join(",")
}

fn config(format: &str) -> String {
    TRADES
        .replace("\"json\"", &format!("{format:?}"))
        .replace("size = \"decimal(18,4)?\"", "size = \"decimal(18,4)?\"\nf = \"float64?\"")
        .replace(
            "count(*) AS trades",
            "count(*) AS trades, sum(f) AS fs, var_samp(f) AS fv, wavg(price, size) AS vwap, count(DISTINCT v) AS vs, \
             CAST(stddev_pop(price) AS DECIMAL(38,12)) AS sd",
        )
}

fn events() -> Vec<Cells> {
    let mut random = Random(7);
    (0..EVENTS).map(|_| cells(&mut random)).collect()
}

fn shuffled<T: Clone>(things: &[T], seed: u64) -> Vec<T> {
    let (mut things, mut random) = (things.to_vec(), Random(seed));
    for last in (1..things.len()).rev() {
        things.swap(last, random.below(last as u64 + 1) as usize);
    }
    things
}

/// The output of files folded with more arguments, and what it says of events.
fn bytes(place: &Place, inputs: &[&str], more: &[&str]) -> (String, u64) {
    let inputs: Vec<String> = inputs.iter().map(|name| format!("trades={name}")).collect();
    let folded = place.fold(&inputs.iter().map(String::as_str).collect::<Vec<_>>(), more);
    (folded.bytes, folded.summary["facts"].as_u64().expect("a count"))
}

#[test]
fn hostile_events_give_the_same_bytes_in_any_order_any_files_and_on_any_threads() {
    let place = Place::with(&config("json"));
    let lines: Vec<String> = events().iter().map(json).collect();
    let reversed: Vec<String> = lines.iter().rev().cloned().collect();
    let whole = joined(&lines);
    place.write("as_it_is.ndjson", &whole);
    place.write("reversed.ndjson", joined(&reversed));
    place.write("shuffled.ndjson", joined(&shuffled(&lines, 11)));
    place.write("again.ndjson", joined(&shuffled(&lines, 12)));
    place.write("first.ndjson", joined(&lines[..7_000]));
    place.write("second.ndjson", joined(&lines[7_000..]));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&whole).expect("memory");
    place.write("packed.ndjson.gz", gz.finish().expect("memory"));
    place.write("packed.ndjson.zst", zstd::encode_all(&whole[..], 1).expect("memory"));

    let expected = bytes(&place, &["as_it_is.ndjson"], &["--threads", "1"]);
    assert!(
        expected.0.lines().count() > 200 && expected.1 > 9_000,
        "there is something to compare: {} rows of {} facts",
        expected.0.lines().count(),
        expected.1
    );
    let runs: [(&[&str], &[&str]); 10] = [
        (&["as_it_is.ndjson"], &["--threads", "2"]),
        (&["as_it_is.ndjson"], &["--threads", "7"]),
        (&["reversed.ndjson"], &["--threads", "1"]),
        (&["shuffled.ndjson"], &["--threads", "2"]),
        (&["again.ndjson"], &["--threads", "1"]),
        (&["as_it_is.ndjson", "again.ndjson"], &["--threads", "2"]),
        (&["first.ndjson", "second.ndjson"], &["--threads", "2"]),
        (&["second.ndjson", "first.ndjson"], &["--threads", "1"]),
        (&["packed.ndjson.gz"], &["--threads", "2"]),
        (&["packed.ndjson.zst"], &["--threads", "1"]),
    ];
    for (inputs, more) in runs {
        let got = bytes(&place, inputs, more);
        assert!(got == expected, "{inputs:?} {more:?} differ: {} facts and {}", got.1, expected.1);
    }
}

#[test]
fn csv_and_ndjson_of_the_same_events_give_the_same_bytes() {
    let events = events();
    let json_place = Place::with(&config("json"));
    json_place.write("e.ndjson", joined(&events.iter().map(json).collect::<Vec<_>>()));
    let expected = bytes(&json_place, &["e.ndjson"], &[]);
    let csv_place = Place::with(&config("csv"));
    let mut lines = vec![HEADER.join(",")];
    lines.extend(events.iter().map(csv));
    csv_place.write("e.csv", joined(&lines));
    assert!(bytes(&csv_place, &["e.csv"], &["--threads", "2"]) == expected);
    // Columns in another order, and one that nobody declared.
    let turned = |line: [String; 9]| [&line[5..], &["more".to_string()], &line[..5]].concat().join(",");
    let quote = |cells: &Cells| cells.each_ref().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
    let mut lines = vec![turned(HEADER.map(String::from))];
    lines.extend(events.iter().map(|cells| turned(quote(cells))));
    csv_place.write("turned.csv", joined(&lines));
    assert!(bytes(&csv_place, &["turned.csv"], &[]) == expected);
}

#[test]
fn quarantine_has_the_order_of_the_file_on_any_threads() {
    let place = Place::with(&config("json"));
    place.write("e.ndjson", joined(&events().iter().map(json).collect::<Vec<_>>()));
    let refused = |threads: &str| {
        place.fold(&["trades=e.ndjson"], &["--threads", threads]);
        let text = place.read("refused.ndjson");
        let verdicts: Vec<String> =
            text.lines().filter(|line| !line.contains("\"conflict\"")).map(String::from).collect();
        verdicts
    };
    let one = refused("1");
    assert!(one.len() > 300);
    assert_eq!(one, refused("2"));
    let line = |row: &String| serde_json::from_str::<serde_json::Value>(row).expect("JSON")["line"].as_u64();
    assert!(one.is_sorted_by_key(line), "in the order of the file");
}

#[test]
fn what_stands_on_standard_input_is_an_input_like_any_other() {
    let place = Place::with(&config("json"));
    let whole = joined(&events().iter().map(json).collect::<Vec<_>>());
    place.write("e.ndjson", &whole);
    let expected = bytes(&place, &["e.ndjson"], &[]).0;
    let ran = place.run_with_input(&["fold", "-c", "c.toml", "--out", "-", "--input", "trades=-", "--json"], &whole);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out == expected, "and standard output is an output like any other");
    crate::program::conserved(&ran.err);
}
