//! Real events against what independent tools agree on, bit for bit. The data is no part of the repository: without it
//! these tests say that they are skipped.

use crate::program::{Place, text};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Columns that are the same in every truth file, without the ones over decimals.
const DOUBLES: &str = "open,high,low,close,first_id,last_id,count,distinct_price,sum_price,sum_size,mean,var_pop,var_samp,stddev,sum_pv,vwap,mean_q,vwap_q,stddev_q,sum_pv_rp,vwap_rp,distinct_attr,p50_disc,p90_disc,p99_disc,p50_cont,p90_cont,p99_cont";

/// The folder of the data, if it is there.
pub fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("SLACKWATER_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if folder.join("truth").is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: there are no real events in {}; set SLACKWATER_DATA to a folder that has them",
        folder.display()
    );
    None
}

/// A configuration with these types, and one pipeline over these windows.
fn config(price: &str, size: &str, window: &str, columns: &str) -> String {
    format!(
        r#"{}
[pipeline.bars]
sql = '''
SELECT symbol AS key, {columns}
FROM trades GROUP BY key, {window}
'''
"#,
        source(price, size)
    )
}

/// The source of the events, with these types.
fn source(price: &str, size: &str) -> String {
    format!(
        r#"
[source.trades]
kind = "files"
format = "csv"
identity = "event_id"
event_time = "ts"
origin = "source"
[source.trades.fields]
source = "string"
event_id = "string"
symbol = "string"
ts = "timestamp_us"
price = "{price}"
size = "{size}"
venue = "string?"
"#
    )
}

const OVER_DOUBLES: &str = "first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close,
    first(event_id) AS first_id, last(event_id) AS last_id, count(*) AS count, sum(price) AS sum_price, sum(size) AS sum_size,
    avg(price) AS mean, var_pop(price) AS var_pop, var_samp(price) AS var_samp, stddev_pop(price) AS stddev,
    sum_product(price, size) AS sum_pv, wavg(price, size) AS vwap, sum(price) / count(*) AS mean_q,
    sum_product(price, size) / sum(size) AS vwap_q, sqrt(var_pop(price)) AS stddev_q,
    sum(price * size) AS sum_pv_rp, sum(price * size) / sum(size) AS vwap_rp, count(DISTINCT venue) AS distinct_attr, count(DISTINCT price) AS distinct_price,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY price) AS p50_disc, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS p50_cont,
    percentile_disc(0.9) WITHIN GROUP (ORDER BY price) AS p90_disc, percentile_cont(0.9) WITHIN GROUP (ORDER BY price) AS p90_cont,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY price) AS p99_disc, percentile_cont(0.99) WITHIN GROUP (ORDER BY price) AS p99_cont";

/// Compares an output with a truth file; without python3 there is nobody to do it.
fn agrees(data: &Path, truth: &str, output: &Path, how: &[&str]) -> bool {
    let mut compare = Command::new("python3");
    compare.arg(data.join("compare.py")).arg(data.join(format!("truth/{truth}.csv.gz"))).arg(output);
    let output = match compare.args(how).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: python3 cannot be started ({error}), and it does the comparing");
            return false;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("RESULT agrees"), "{truth}:\n{said}");
    true
}

/// Folds a file of real events with both schemas and compares all columns.
fn compare(events: &str, truth: &str, window: &str, (price, size): (&str, &str), end: &str) {
    let Some(data) = data() else { return };
    let header = unpacked(&data.join(format!("truth/{truth}.csv.gz")));
    let header =
        String::from_utf8_lossy(&header[..header.iter().position(|byte| *byte == b'\n').unwrap_or(0)]).into_owned();
    let known: Vec<&str> = header.trim_end().split(',').collect();
    let doubles = format!("{OVER_DOUBLES}, last(ts) AS last_ts");
    let place = Place::with(&config("float64", "float64", window, &doubles));
    let input = format!("trades={}", text(&data.join(events)));
    let folded = place.fold(&[&input], &[]);
    assert_eq!(folded.summary["quarantined"], 0);
    let wanted: Vec<&str> = DOUBLES.split(',').filter(|column| known.contains(column)).collect();
    let wanted = [&wanted[..], &["window_end"]].concat();
    let (keys, map) = (["--keys", "key,window_start"], format!("window_end={end}"));
    let cols = wanted.join(",");
    let how = [&keys[..], &["--map", &map, "--cols", &cols]].concat();
    if !agrees(&data, truth, &place.path("out.ndjson"), &how) {
        return;
    }
    let decimals: Vec<(&str, &str)> = vec![
        ("sum_price_dec", "sum(price)"),
        ("sum_size_dec", "sum(size)"),
        ("sum_pv_dec", "sum_product(price, size)"),
        ("mean_dec", "avg(price)"),
        ("var_pop_dec", "var_pop(price)"),
        ("vwap_dec", "wavg(price, size)"),
    ];
    let decimals: Vec<_> = decimals.into_iter().filter(|(name, _)| known.contains(name)).collect();
    let columns: Vec<String> = decimals.iter().map(|(name, sql)| format!("{sql} AS {name}")).collect();
    let place = Place::with(&config(price, size, window, &columns.join(", ")));
    assert_eq!(place.fold(&[&input], &[]).summary["quarantined"], 0);
    let names: Vec<&str> = decimals.iter().map(|(name, _)| *name).collect();
    let cols = names.join(",");
    let how = [&keys[..], &["--cols", &cols]].concat();
    assert!(agrees(&data, truth, &place.path("out.ndjson"), &how));
    let compared = [&wanted[..], &names[..], &["key", "window_start"]].concat();
    let left: Vec<&&str> = known.iter().filter(|column| !compared.contains(column)).collect();
    assert!(left.is_empty(), "not compared: {left:?}");
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(path).expect("the file is there");
    flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut bytes).expect("it is sound");
    bytes
}

/// Types that hold every value of the shares, of the sensors, and of the coin.
const SHARES: (&str, &str) = ("decimal(18,8)", "decimal(18,8)");
const SENSORS: (&str, &str) = ("decimal(38,18)", "decimal(38,18)");
const COIN: (&str, &str) = ("decimal(18,2)", "decimal(38,21)");

#[test]
fn one_minute_bars_of_a_share_agree_with_the_truth() {
    compare("bac_trades.csv.gz", "tumbling_bac_1m", "tumble(ts, INTERVAL '1 minute')", SHARES, "window_end");
}

#[test]
fn one_hour_windows_of_sensors_agree_with_the_truth() {
    compare("nab.csv.gz", "tumbling_nab_1h", "tumble(ts, INTERVAL '1 hour')", SENSORS, "window_end");
}

#[test]
fn one_second_bars_of_a_coin_agree_with_the_truth() {
    compare("btc_trades.csv.gz", "tumbling_btc_1s", "tumble(ts, INTERVAL '1 second')", COIN, "window_end");
}

#[test]
fn five_minutes_every_minute_of_a_share_agree_with_the_truth() {
    let window = "hop(ts, INTERVAL '1 minute', INTERVAL '5 minutes')";
    compare("bac_trades.csv.gz", "sliding_bac_5m_1m", window, SHARES, "window_end");
}

#[test]
fn a_day_every_six_hours_of_sensors_agrees_with_the_truth() {
    compare("nab.csv.gz", "sliding_nab_1d_6h", "hop(ts, INTERVAL '6 hours', INTERVAL '1 day')", SENSORS, "window_end");
}

#[test]
fn sessions_of_sensors_agree_with_the_truth() {
    // That truth ends a session at its last event, and so without the gap.
    compare("nab.csv.gz", "session_nab_1h_le", "session(ts, INTERVAL '1 hour')", SENSORS, "last_ts");
}

const OF_BARS: &str = "first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close,
    first(event_id) AS first_id, last(event_id) AS last_id, count(*) AS count, sum(size) AS volume, sum(price * size) AS value";

#[test]
fn bars_of_a_share_agree_with_the_truth() {
    let Some(data) = data() else { return };
    let mut wanted = vec![("BAC_tick_500".to_string(), "tick_bar(500)".to_string())];
    for rule in ["whole", "carry", "split"] {
        wanted.push((format!("BAC_volume_{rule}_500000"), format!("volume_bar(size, 500000, '{rule}')")));
        wanted.push((format!("BAC_dollar_{rule}_5000000"), format!("value_bar(price * size, 5000000, '{rule}')")));
    }
    let input = format!("trades={}", text(&data.join("bac_trades.csv.gz")));
    for (truth, window) in &wanted {
        let place = Place::with(&guarded(&config(SHARES.0, SHARES.1, window, OF_BARS)));
        assert_eq!(place.fold(&[&input], &[]).summary["quarantined"], 0);
        let map = "symbol=key,first_ts=window_start,last_ts=window_end,closed=complete";
        if !agrees(&data, truth, &place.path("out.ndjson"), &["--keys", "symbol,bar", "--map", map]) {
            return;
        }
    }
}

/// The same with the guards that measures need.
fn guarded(config: &str) -> String {
    config.replace("[source.trades.fields]", "require = [\"price >= 0\", \"size >= 0\"]\n[source.trades.fields]")
}

/// Pipelines over every kind of window.
pub fn every_window() -> String {
    let regimes =
        "break_when((price - prev(price)) * (prev(price) - first(price)) < 0 AND abs(price - prev(price)) >= 0.01)";
    let windows = [
        "tumble(ts, INTERVAL '1 minute')",
        "hop(ts, INTERVAL '7 minutes', INTERVAL '20 minutes')",
        "session(ts, INTERVAL '20 seconds')",
        "tick_bar(500, 'day America/New_York')",
        "volume_bar(size, 500000, 'carry', '09:30 America/New_York')",
        "value_bar(price * size, 5000000)",
        regimes,
    ];
    let pipelines = windows.iter().enumerate().map(|(number, window)| {
        format!(
            "[pipeline.p{number}]\nsql = \"SELECT symbol, {} FROM trades GROUP BY symbol, {window}\"\n",
            OF_BARS.replace('\n', " ")
        )
    });
    guarded(&source("decimal(18,8)", "decimal(38,21)")) + &pipelines.collect::<String>()
}

/// Events with an arrival: most within a second, some seven minutes late, none in the order of the file.
fn with_arrivals(events: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, line) in events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        out.extend_from_slice(line);
        if number == 0 {
            out.extend_from_slice(b",recv\n");
            continue;
        }
        let time = line.split(|byte| *byte == b',').nth(3).expect("a time");
        let time: u64 = std::str::from_utf8(time).expect("digits").parse().expect("a number");
        let draw = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let late = if draw.is_multiple_of(50) { 400_000_000 + draw } else { draw % 1_000_000 };
        out.extend_from_slice(format!(",{}\n", time + late).as_bytes());
    }
    out
}

#[test]
fn history_as_it_arrived_ends_with_the_rows_of_a_plain_fold() {
    let Some(data) = data() else { return };
    for (events, ticks) in [("btc_trades", &["100ms", "1m"][..]), ("nab", &["1h"]), ("bac_trades", &["10s"])] {
        let config = every_window().replace(
            "[source.trades.fields]",
            "arrival = \"recv\"\nlag = \"2s\"\nidle_after = \"1h\"\n[source.trades.fields]\nrecv = \"timestamp_us\"",
        );
        let config = if events == "nab" {
            config.replace("decimal(18,8)", "decimal(38,18)").replace("price * size", "size")
        } else {
            config
        };
        let place = Place::with(&config);
        place.write("events.csv", with_arrivals(&unpacked(&data.join(format!("{events}.csv.gz")))));
        let digests = |more: &[&str]| {
            let folded = place.fold(&["trades=events.csv"], more);
            let amended = folded.summary["generations"]["late"].as_u64();
            let digests: Vec<String> = folded.rows.iter().map(|row| row["digest"].to_string()).collect();
            (digests, amended)
        };
        let plain = digests(&[]).0;
        for tick in ticks {
            let (newest, amended) = digests(&["--as-arrived", "--tick", tick]);
            assert!(newest == plain, "{events} with a tick every {tick}");
            assert!(amended > Some(0), "{events}: something came late");
        }
    }
}

#[test]
fn a_week_of_a_share_gives_the_same_bytes_however_it_is_fed() {
    let Some(data) = data() else { return };
    let bytes = unpacked(&data.join("bac_trades.csv.gz"));
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let header = lines.remove(0);
    let place = Place::with(&every_window());
    let write = |name: &str, places: &mut dyn Iterator<Item = usize>| {
        let rows = places.flat_map(|place| [lines[place], b"\n"].concat());
        place.write(name, [header, b"\n"].concat().into_iter().chain(rows).collect::<Vec<u8>>());
    };
    let count = lines.len();
    write("as_it_is.csv", &mut (0..count));
    write("reversed.csv", &mut (0..count).rev());
    write("odd.csv", &mut (1..count).step_by(2));
    write("even.csv", &mut (0..count).step_by(2));
    // A stride without a common factor goes through all of them in an order like none that was recorded.
    let stride = (count / 2..).find(|stride| gcd(*stride, count) == 1).expect("there is one");
    write("shuffled.csv", &mut (0..count).map(|at| at * stride % count));
    let fold = |inputs: &[&str], threads: &str| {
        let inputs: Vec<String> = inputs.iter().map(|name| format!("trades={name}")).collect();
        let folded = place.fold(&inputs.iter().map(String::as_str).collect::<Vec<_>>(), &["--threads", threads]);
        assert_eq!(folded.summary["facts"], count as u64);
        folded.bytes
    };
    let expected = fold(&["as_it_is.csv"], "1");
    assert!(expected.lines().count() > 1_900);
    for (inputs, threads) in [
        (&["as_it_is.csv"][..], "2"),
        (&["reversed.csv"], "2"),
        (&["shuffled.csv"], "1"),
        (&["as_it_is.csv", "shuffled.csv"], "2"),
        (&["odd.csv", "even.csv"], "2"),
    ] {
        assert!(fold(inputs, threads) == expected, "{inputs:?} on {threads} threads differ");
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
