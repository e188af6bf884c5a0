//! A service that is under steady load for long: event time runs six hundred times as fast as the clock, so that each of many
//! keys has thousands of windows, and most of them were sealed long ago.
//!
//! One run answers two questions, each a test of its own: whether anything was lost or counted twice, and whether the service
//! needs more the longer it runs.

use super::{free_port, poster, ready, start};
use crate::program::Place;
use serde_json::Value;
use slackwater::runtime::clock::Stopwatch;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Windows that may lie in memory, as `[service]` is told.
const MOST_WINDOWS: u64 = 5_000;

const CONFIG: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
watermark = "event_time"
lag = "5s"
[source.trades.fields]
id = "u64"
symbol = "string"
ts = "timestamp_ms"
price = "u64"
size = "u64"
[pipeline.minutes]
sql = """
SELECT symbol, count(*) AS trades, sum(size) AS volume, min(price) AS low, max(price) AS high
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
[pipeline.hours]
sql = """
SELECT symbol, count(*) AS trades, sum(size) AS volume, min(price) AS low, max(price) AS high
FROM trades GROUP BY symbol, hop(ts, INTERVAL '20 minutes', INTERVAL '1 hour')
"""
[service]
tick = "100ms"
publish = "50ms"
checkpoint = "1s"
windows = MOST
[server]
listen = "127.0.0.1:PORT"
"#;

/// 2025-01-02T00:00:00Z in milliseconds: long past, whatever the clock says, and so that all of a run lies in one month.
const START: u64 = 1_735_776_000_000;
const MINUTE: u64 = 60_000;
/// Behind everything else, in minutes since the start.
const END: u64 = 25 * 1_440;
const KEYS: u64 = 200;
/// Events of one delivery.
const BATCH: u64 = 500;
/// Milliseconds of event time from one event to the next: two events to each minute of each key.
const STEP: u64 = MINUTE / KEYS / 2;
/// From one delivery to the next.
const EVERY: Duration = Duration::from_millis(BATCH * STEP / 600);
/// One of so many events comes late, into windows that were sealed long ago.
const LATE: u64 = 1_000;
/// One of so many deliveries comes twice, the second time under another name.
const TWICE: u64 = 50;
/// How many times the memory of the first half of a run its second half may need.
const GROWTH: f64 = 1.5;
/// Handles that come and go with connections and files.
const SOME_HANDLES: u64 = 6;

/// Count, sum, least and greatest.
type Values = [u64; 4];
/// Windows by their size and start in minutes since the beginning, and their key.
type Windows = BTreeMap<(u64, i64, u64), Values>;

/// An event as it is posted: its key, its time in milliseconds since the start, its price and its size.
struct Event {
    key: u64,
    at: u64,
    price: u64,
    size: u64,
}

impl Event {
    fn new(number: u64) -> Event {
        let mut lot = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        lot = (lot ^ lot >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot ^= lot >> 29;
        let now = number * STEP;
        let at = match number % LATE {
            // One is some hours late, the next from any time at all.
            17 if (number / LATE).is_multiple_of(2) => now.saturating_sub(lot % (180 * MINUTE)),
            17 => lot % now,
            _ => now + lot % 3_000,
        };
        Event { key: (lot >> 40) % KEYS, at, price: lot % 90_000 + 1_000, size: (lot >> 20) % 1_000 }
    }

    fn write(&self, id: u64, out: &mut String) {
        let Event { key, at, price, size } = self;
        let ts = START + at;
        let _ = writeln!(out, r#"{{"id":{id},"symbol":"{key}","ts":{ts},"price":{price},"size":{size}}}"#);
    }

    fn count(&self, windows: &mut Windows) {
        let minute = (self.at / MINUTE) as i64;
        let hops = (0..3).map(|back| (60, minute.div_euclid(20) * 20 - back * 20));
        for (length, start) in hops.chain([(1, minute)]) {
            let [count, sum, least, most] = windows.entry((length, start, self.key)).or_insert([0, 0, u64::MAX, 0]);
            (*count, *sum) = (*count + 1, *sum + self.size);
            (*least, *most) = ((*least).min(self.price), (*most).max(self.price));
        }
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Posted {
    events: u64,
    twice: u64,
    windows: Windows,
}

/// How long a run takes.
struct Length {
    seconds: u64,
    /// From one look at what the service needs to the next.
    every: u64,
    /// So many looks at the least.
    looks: usize,
    /// How many times as slowly as else events come: all of them lie before the end.
    slower: u32,
}

impl Length {
    /// As much as was asked for. Before a release it is hours, by themselves.
    fn asked() -> Length {
        match std::env::var("SLACKWATER_EFFORT").as_deref() {
            Ok("gate") => Length { seconds: 7_200, every: 30, looks: 200, slower: 3 },
            Ok("full") => Length { seconds: 900, every: 5, looks: 160, slower: 1 },
            _ => Length { seconds: 20, every: 1, looks: 16, slower: 1 },
        }
    }
}

/// Posts until it is over, one delivery after the other; what is late is not made up for.
fn feed(port: u16, every: Duration, over: &AtomicBool) -> Posted {
    let mut posted = Posted::default();
    for number in 0.. {
        let watch = Stopwatch::start();
        let (mut batch, first) = (String::new(), number * BATCH);
        let events: Vec<Event> = (first..first + BATCH).map(Event::new).collect();
        (first..).zip(&events).for_each(|(id, event)| event.write(id, &mut batch));
        acknowledged(port, &format!("batch-{number}"), &batch);
        events.iter().for_each(|event| event.count(&mut posted.windows));
        posted.events += BATCH;
        if number % TWICE == TWICE - 1 {
            acknowledged(port, &format!("again-{number}"), &batch);
            posted.twice += BATCH;
        }
        if over.load(Ordering::Acquire) {
            break;
        }
        std::thread::sleep(every.saturating_sub(watch.elapsed()));
    }
    posted
}

/// Posts a delivery until it is answered.
fn acknowledged(port: u16, name: &str, batch: &str) {
    loop {
        match poster::post((port, port), name, batch) {
            Ok((200, body)) => {
                let told: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(told["received"].as_u64(), Some(batch.lines().count() as u64), "{body}");
                return;
            }
            Ok((503, _)) | Err(_) => std::thread::sleep(Duration::from_millis(20)),
            Ok((status, body)) => panic!("{status}: {body}"),
        }
    }
}

/// What the service needs at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rss_kib: u64,
    handles: u64,
    /// Windows in memory, and rows that still move.
    windows: u64,
    open: u64,
    /// How many commits there were, and how many seconds they took.
    commits: (u64, f64),
}

fn status(port: u16) -> Value {
    let (_, body) = poster::get(port, "/v1/status").expect("an answer");
    serde_json::from_str(&body).expect("JSON")
}

fn open_rows(status: &Value) -> u64 {
    let pipelines = status["pipelines"].as_array().expect("pipelines").iter();
    pipelines.map(|pipeline| pipeline["open_rows"].as_u64().expect("a count")).sum()
}

impl Sample {
    fn take(child: &Child, port: u16) -> Sample {
        let process = format!("/proc/{}", child.id());
        let told = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
        let rss = told.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let handles = std::fs::read_dir(format!("{process}/fd")).expect("it runs").count() as u64;
        let (_, metrics) = poster::get(port, "/metrics").expect("an answer");
        let windows = metrics.lines().find_map(|line| line.strip_prefix("slackwater_windows ")).expect("a gauge");
        let status = status(port);
        let commit = &status["times"]["commit"];
        Sample {
            rss_kib: rss.expect("a size").parse().expect("a number"),
            handles,
            windows: windows.parse::<f64>().expect("a number") as u64,
            open: open_rows(&status),
            commits: (commit["count"].as_u64().expect("a count"), commit["total"].as_f64().expect("seconds")),
        }
    }
}

/// What a run was like.
struct Soaked {
    posted: Posted,
    status: Value,
    samples: Vec<Sample>,
    /// The newest of every row, and how many of them have been another one before.
    finals: Windows,
    changed: u64,
}

/// The one run, whoever asks for it first.
fn soaked() -> &'static Soaked {
    static RUN: OnceLock<Soaked> = OnceLock::new();
    RUN.get_or_init(run)
}

fn run() -> Soaked {
    let Length { seconds, every, looks, slower } = Length::asked();
    let port = free_port();
    let place = Place::with(&CONFIG.replace("PORT", &port.to_string()).replace("MOST", &MOST_WINDOWS.to_string()));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let (over, mut samples, watch) = (AtomicBool::new(false), Vec::new(), Stopwatch::start());
    let posted = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(port, EVERY * slower, &over));
        while !feeder.is_finished() && (watch.elapsed().as_secs() < seconds || samples.len() < looks) {
            std::thread::sleep(Duration::from_secs(every));
            samples.push(Sample::take(&child, port));
        }
        over.store(true, Ordering::Release);
        feeder.join().expect("no panic")
    });
    let took = watch.elapsed().as_secs();
    // One event far ahead seals everything before it, and leaves its own four windows open.
    let mut last = String::new();
    Event { key: 0, at: END * MINUTE, price: 1, size: 1 }.write(posted.events, &mut last);
    acknowledged(port, "last", &last);
    let mut tries = 0;
    let (received, status) = loop {
        let (received, status) = super::killed::published(port, posted.events + posted.twice + 1);
        tries += 1;
        if open_rows(&status) == 4 || tries > 1_000 {
            break (received, status);
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!((received, open_rows(&status)), (posted.events + posted.twice + 1, 4), "{status}");
    super::away::stop(&mut child, "TERM");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    let (mut finals, mut changed) = (Windows::new(), 0);
    for (pipeline, length) in [("minutes", 1), ("hours", 60)] {
        changed += read(&place, pipeline, length, &mut finals);
    }
    let soaked = Soaked { posted, status, samples, finals, changed };
    soaked.tell(took);
    soaked
}

/// Reads the newest final rows of a pipeline; gives how many of them are not the first of their window.
fn read(place: &Place, pipeline: &str, length: u64, finals: &mut Windows) -> u64 {
    let mut command = place.command(&["query", pipeline, "--data", "data", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut changed = 0;
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let row: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let number = |name: &str| match &row[name] {
            Value::String(text) => text.parse().expect("a number"),
            value => value.as_u64().expect("a number"),
        };
        let values = ["trades", "volume", "low", "high"].map(number);
        let window = (length, minute(row["window_start"].as_str().expect("a time")), number("symbol"));
        assert!(finals.insert(window, values).is_none(), "twice: {row}");
        changed += u64::from(number("generation") > 1);
    }
    assert!(child.wait().expect("a child").success());
    changed
}

/// Minutes from the start to a time like `2025-01-09T20:15:00Z`.
fn minute(time: &str) -> i64 {
    let part = |at: usize| time[at..at + 2].parse::<i64>().expect("two digits");
    assert!(time.starts_with("2025-01-") && time.ends_with(":00Z"), "{time}");
    (part(8) - 2) * 1_440 + part(11) * 60 + part(14)
}

impl Soaked {
    /// The samples of one half, without the beginning, when all is new.
    fn half(&self, second: bool) -> &[Sample] {
        let warm = self.samples.len() / 8;
        let middle = (warm + self.samples.len()) / 2;
        if second { &self.samples[middle..] } else { &self.samples[warm..middle] }
    }

    /// The median of a half.
    fn median(&self, second: bool, of: fn(&Sample) -> u64) -> u64 {
        let mut all: Vec<u64> = self.half(second).iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }

    /// What a commit of a half took, in milliseconds.
    fn commit_ms(&self, second: bool) -> f64 {
        let half = self.half(second);
        let ((from, before), (to, after)) = (half[0].commits, half[half.len() - 1].commits);
        (after - before) / (to - from).max(1) as f64 * 1e3
    }

    fn tell(&self, seconds: u64) {
        let mib = |second| self.median(second, |sample| sample.rss_kib) >> 10;
        let handles = |second| self.median(second, |sample| sample.handles);
        println!(
            "soak seconds={seconds} events={} windows_sealed={} rss_mib_first={} rss_mib_last={} windows_held={} open={} \
             handles_first={} handles_last={} commit_ms_first={:.1} commit_ms_last={:.1} changed={}",
            self.posted.events,
            self.finals.len(),
            mib(false),
            mib(true),
            self.median(true, |sample| sample.windows),
            self.median(true, |sample| sample.open),
            handles(false),
            handles(true),
            self.commit_ms(false),
            self.commit_ms(true),
            self.changed,
        );
        let course = |of: fn(&Sample) -> u64| -> Vec<u64> {
            self.samples.iter().step_by(self.samples.len().div_ceil(12)).map(of).collect()
        };
        let (rss, windows) = (course(|sample| sample.rss_kib >> 10), course(|sample| sample.windows));
        println!("soak course rss_mib={rss:?} windows={windows:?}");
    }
}

#[test]
fn a_service_under_steady_load_loses_nothing_and_counts_nothing_twice() {
    let Soaked { posted, status, finals, changed, .. } = soaked();
    let counts = &status["sources"][0]["counts"];
    let count = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!((count("facts"), count("duplicates")), (posted.events + 1, posted.twice), "{status}");
    assert_eq!(count("received"), posted.events + 1 + posted.twice, "{status}");
    let wrong = posted.windows.iter().find(|(window, values)| finals.get(window) != Some(values));
    assert!(wrong.is_none(), "{wrong:?} is {:?}", wrong.and_then(|(window, _)| finals.get(window)));
    assert_eq!(finals.len(), posted.windows.len());
    let windows = posted.windows.keys().filter(|(length, ..)| *length == 1).count() as u64;
    assert!(windows > KEYS * 30 && *changed > 0, "{windows} minutes, {changed} rows were changed by what came late");
}

#[test]
fn a_service_under_steady_load_needs_no_more_the_longer_it_runs() {
    let soaked = soaked();
    let handles = [false, true].map(|second| soaked.median(second, |sample| sample.handles));
    assert!(handles[1] <= handles[0] + SOME_HANDLES, "handles: {handles:?}");
    let [first, last] = [false, true].map(|second| soaked.median(second, |sample| sample.rss_kib));
    assert!(last as f64 <= first as f64 * GROWTH, "memory: {first} and then {last} KiB");
    // What is open stays, and so does some of what came back for something late.
    let over = soaked.half(true).iter().find(|sample| sample.windows > MOST_WINDOWS + sample.open);
    assert!(over.is_none(), "more than {MOST_WINDOWS} windows are in memory: {over:?}");
}
