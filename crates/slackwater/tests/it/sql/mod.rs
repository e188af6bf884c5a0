//! The SELECT subset: what it takes gives the right value, what it refuses is underlined and answered.

mod aggregating;
mod approximate;
mod grouping;
mod largest;
mod percentiles;
mod refusals;
mod scalars;
mod tumbling;
mod unparsed;
mod vast;

use slackwater::connect::files::input::{FileChunks, InputError};
use slackwater::connect::files::render;
use slackwater::decode::Format;
use slackwater::face::config;
use slackwater::runtime::engine::{self, Arrangement, Folded};
use slackwater::runtime::gauge::Gauge;
use slackwater::sql::{SqlError, compile_guard, compile_pipeline};
use slackwater_core::plan::Plan;

/// Two sources, so that a name can be the wrong one.
const SOURCES: &str = r#"
[source.trades]
kind = "files"
format = "json"
identity = "id"
event_time = "ts"
sequence = "seq"
arrival = "recv"
[source.trades.fields]
id = "u64"
ts = "timestamp_s"
symbol = "string?"
venue = "string?"
price = "decimal(18,4)?"
size = "decimal(10,2)?"
f = "float64?"
g = "float64?"
n = "i64?"
u = "u64?"
ok = "bool?"
big = "decimal(38,10)?"
huge = "decimal(38,0)?"
other = "timestamp_ms?"
seq = "u64?"
recv = "timestamp_s?"

[source.quotes]
kind = "files"
format = "json"
identity = "id"
event_time = "at"
[source.quotes.fields]
id = "u64"
at = "timestamp_ns"
bid = "decimal(18,4)"
"#;

/// The plan of the sources, with one pipeline on top.
fn plan(sql: &str) -> Result<Plan, SqlError> {
    // A configuration has at least one pipeline, which is then replaced.
    let text = format!(
        "{SOURCES}\n[pipeline.first]\nsql = \"SELECT count(*) AS n FROM quotes GROUP BY tumble(at, INTERVAL '1 day')\"\n"
    );
    let mut plan = config::load(&text, "sources.toml").unwrap_or_else(|errors| panic!("{errors}")).plan;
    let pipeline = compile_pipeline("p", sql, &plan.sources)?;
    plan.pipelines = vec![pipeline];
    Ok(plan)
}

/// Folds events of `trades`: each is the inside of a JSON object. The first has id 1 and time 0, the next 2 and 1 s, and
/// so on, where they do not say otherwise.
fn fold(sql: &str, events: &[&str]) -> (Plan, Folded) {
    let plan = plan(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut text = String::new();
    for (number, event) in events.iter().enumerate() {
        let time = if event.contains("\"ts\":") { String::new() } else { format!("\"ts\":{number},") };
        let comma = if event.is_empty() { "" } else { "," };
        text += &format!("{{{time}\"id\":{}{comma}{event}}}\n", number + 1);
    }
    let schema = &plan.sources[0].schema;
    let bytes = std::io::Cursor::new(text.into_bytes());
    let chunks = FileChunks::from_reader(0, Format::Json, "events", schema, bytes, 64).expect("bytes can be read");
    let formats = [Format::Json, Format::Json];
    let arrangement = Arrangement { threads: 1, shards: 2 };
    let folded: Result<Folded, InputError> =
        engine::fold(&plan, &formats, vec![chunks], arrangement, &Gauge::default(), |refused| {
            assert!(refused.is_empty(), "the events of a test are sound: {refused:?}");
            Ok(())
        });
    let folded = folded.expect("bytes can be read");
    (plan, folded)
}

/// What a row shows, without what every row has: `window_start key... | column...`, as JSON.
fn rows(sql: &str, events: &[&str]) -> Vec<String> {
    let (plan, folded) = fold(sql, events);
    let row = |row| {
        let mut line = String::new();
        render::ndjson(&plan, row, &mut line);
        let (head, rest) =
            line.split_once(",\"tier\":\"final\",\"generation\":1,\"cause\":\"seal\"").expect("a final row");
        let head = head.strip_prefix("{\"pipeline\":\"p\"").expect("its pipeline").trim_start_matches(',');
        let columns = rest.rsplit_once(",\"digest\"").expect("its digest").0.trim_start_matches(',');
        format!("{head} | {columns}")
    };
    folded.finals.iter().map(row).collect()
}

/// The columns of the one row of a SELECT over one day of `trades`.
fn columns(items: &str, events: &[&str]) -> String {
    let rows = rows(&format!("SELECT {items} FROM trades GROUP BY tumble(ts, INTERVAL '1 day')"), events);
    let [row] = &rows[..] else { panic!("not one row: {rows:?}") };
    row.split_once(" | ").expect("columns").1.to_string()
}

/// The value of one aggregate expression over one day of `trades`, as JSON.
fn value(expr: &str, events: &[&str]) -> String {
    columns(&format!("{expr} AS x"), events).strip_prefix("\"x\":").expect("one column").to_string()
}

/// The value of a row expression, for one event.
fn scalar(expr: &str, event: &str) -> String {
    value(&format!("last({expr})"), &[event])
}

/// The nulls that arithmetic made.
fn faults(expr: &str, events: &[&str]) -> i64 {
    fold(&format!("SELECT {expr} AS x FROM trades GROUP BY tumble(ts, INTERVAL '1 day')"), events).1.faults
}

/// Takes the marks « and » out of a text, and says what was between them.
fn marked(text: &str) -> (String, std::ops::Range<usize>) {
    let (before, rest) = text.split_once('«').expect("a mark");
    let (inside, after) = rest.split_once('»').expect("an end of the mark");
    (format!("{before}{inside}{after}"), before.len()..before.len() + inside.len())
}

/// Checks that a SELECT is refused, that what stands between « and » is underlined, and what is said about it.
#[track_caller]
fn refuses(sql: &str, message: &str, help: &str) {
    let (sql, place) = marked(sql);
    let error = plan(&sql).expect_err(&sql);
    explains(&sql, place, &error, message, help);
}

/// The same of a window's day, with only the selected items given.
#[track_caller]
fn refuses_items(items: &str, message: &str, help: &str) {
    refuses(&format!("SELECT {items} FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 day')"), message, help);
}

/// The same of a `require` guard.
#[track_caller]
fn refuses_guard(text: &str, message: &str, help: &str) {
    let (text, place) = marked(text);
    let any = plan("SELECT count(*) AS n FROM trades GROUP BY tumble(ts, INTERVAL '1 day')").expect("a plan");
    let error = compile_guard(&text, "trades", &any.sources[0].schema).expect_err(&text);
    explains(&text, place, &error, message, help);
}

#[track_caller]
fn explains(text: &str, place: std::ops::Range<usize>, error: &SqlError, message: &str, help: &str) {
    let shown = text.get(error.span.clone()).unwrap_or("no characters");
    let expected = &text[place.clone()];
    assert_eq!(error.span, place, "`{shown}` is underlined and not `{expected}`: {error}");
    assert!(error.message.contains(message), "the message is: {}", error.message);
    let given = error.help.as_deref().unwrap_or("");
    assert!(given.contains(help) && given.is_empty() == help.is_empty(), "the help is: {given}");
}
