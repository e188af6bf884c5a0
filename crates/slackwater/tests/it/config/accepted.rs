//! Configurations that are sound: every key, what it becomes, and how the whole is described.

use super::{PLAIN, sound, with, with_keys};
use slackwater::decode::Format;
use slackwater::face::config::{KeepRaw, Kind, schema_json, schema_text};
use slackwater_core::plan::{GapPolicy, LatePolicy};
use slackwater_core::schema::{IdentityRule, Unit};
use slackwater_core::value::Type;

const EVERYTHING: &str = r#"
[source.trades]
kind = "http"
format = "json"
identity = "id"
event_time = "ts"
origin = "venue"
origins = ["X", "Y"]
lag_by_origin = { X = "30s", Y = "1m" }
sequence = "seq"
order = "sequence"
version = "v"
op = "op"
arrival = "recv_ts"
lag = "10s"
idle_after = "30s"
max_future = "5m"
min_time = "2024-01-01T00:00:00Z"
max_time = 2030-01-01T00:00:00+01:00
late = "hold"
gap = "incomplete"
watermark = "wall_clock"
keep_raw = "30d"
require = ["price > 0", "size >= 0"]
[source.trades.fields]
v = "u64"
id = "u64"
symbol = "string"
venue = "string"
ts = "timestamp_us"
recv_ts = "timestamp_ms?"
seq = "u64?"
op = "string?"
price = "decimal(18,8)"
size = "decimal( 18 , 8 )?"
score = "float64 ?"
hidden = "bool"
delta = "i64"
at = "timestamp_s"
exact = "timestamp_ns"

[pipeline.bars]
sql = """
SELECT symbol, first(price) AS open, sum(size) AS volume, wavg(price, size) AS vwap, count(*) AS trades
FROM trades GROUP BY symbol, tumble(ts, INTERVAL '1 minute')
"""
"#;

#[test]
fn every_key_has_its_meaning() {
    let config = sound(EVERYTHING);
    let [settings] = &config.sources[..] else { panic!("one source") };
    assert_eq!((settings.kind, settings.format), (Kind::Http, Format::Json));
    assert_eq!(settings.keep_raw, KeepRaw::For(30 * 86_400_000_000_000));
    let [source] = &config.plan.sources[..] else { panic!("one source") };
    let names: Vec<_> = source.schema.fields().iter().map(|field| field.name.as_str()).collect();
    let declared = "v id symbol venue ts recv_ts seq op price size score hidden delta at exact";
    assert_eq!(names.join(" "), declared, "in the order of the file");
    let roles = source.schema.roles();
    assert_eq!(roles.identity, IdentityRule::Fields(vec![1]));
    assert_eq!((roles.event_time, roles.origin, roles.arrival), (4, Some(3), Some(5)));
    assert_eq!((roles.sequence, roles.version, roles.op, roles.order_by_sequence), (Some(6), Some(0), Some(7), true));
    let size = &source.schema.fields()[9];
    assert_eq!((size.ty, size.nullable), (Type::Decimal { precision: 18, scale: 8 }, true));
    let units: Vec<_> = [4, 5, 13, 14].iter().map(|at| source.schema.fields()[*at].unit).collect();
    assert_eq!(units, [Unit::Micros, Unit::Millis, Unit::Seconds, Unit::Nanos]);
    assert_eq!(source.guards.origins.as_deref(), Some(&["X".to_string(), "Y".to_string()][..]));
    let knobs = &source.knobs;
    assert_eq!((knobs.lag, knobs.idle_after, knobs.wall_clock), (10_000_000_000, Some(30_000_000_000), true));
    assert_eq!(knobs.lag_by_origin, [("X".to_string(), 30_000_000_000), ("Y".to_string(), 60_000_000_000)]);
    assert_eq!(source.guards.max_future, Some(300_000_000_000));
    assert_eq!(
        (source.guards.min_time, source.guards.max_time),
        (Some(1_704_067_200_000_000_000), Some(1_893_452_400_000_000_000))
    );
    assert_eq!((source.late, source.gap), (LatePolicy::Hold, GapPolicy::Incomplete));
    let guards: Vec<_> = source.guards.require.iter().map(|guard| guard.text.as_str()).collect();
    assert_eq!(guards, ["price > 0", "size >= 0"]);
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = sound(PLAIN);
    assert_eq!(config.sources[0].keep_raw, KeepRaw::Forever);
    let source = &config.plan.sources[0];
    assert_eq!((source.late, source.gap), (LatePolicy::Amend, GapPolicy::Hold));
    assert_eq!((source.knobs.lag, source.knobs.idle_after, source.knobs.wall_clock), (0, None, false));
    assert_eq!((source.guards.max_future, source.guards.min_time, source.guards.max_time), (None, None, None));
    assert!(source.guards.origins.is_none() && source.guards.require.is_empty());
}

#[test]
fn an_identity_is_one_field_several_the_content_or_the_position() {
    let identity = |value: &str| {
        sound(&with("identity = \"id\"", &format!("identity = {value}"))).plan.sources[0]
            .schema
            .roles()
            .identity
            .clone()
    };
    assert_eq!(identity("\"symbol\""), IdentityRule::Fields(vec![1]));
    assert_eq!(identity("[\"venue\", \"id\"]"), IdentityRule::Fields(vec![2, 0]));
    assert_eq!(identity("\"content\""), IdentityRule::Content);
    assert_eq!(identity("\"position\""), IdentityRule::Position);
}

#[test]
fn sources_and_pipelines_keep_the_order_of_the_file() {
    let text = PLAIN.replace("trades", "b") + &PLAIN.replace("trades", "a").replace("bars", "a");
    let config = sound(&text.replace("AS a", "AS n").replace("AS b", "AS n"));
    let sources: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let pipelines: Vec<_> =
        config.plan.pipelines.iter().map(|pipeline| (pipeline.name.as_str(), pipeline.source)).collect();
    assert_eq!((sources, pipelines), (vec!["b", "a"], vec![("bars", 0), ("a", 1)]));
}

#[test]
fn words_for_keeping_raw_bytes_are_forever_and_none() {
    let keep = |value: &str| sound(&with_keys(&format!("keep_raw = \"{value}\""))).sources[0].keep_raw;
    assert_eq!(
        (keep("forever"), keep("none"), keep("1h")),
        (KeepRaw::Forever, KeepRaw::No, KeepRaw::For(3_600_000_000_000))
    );
}

#[test]
fn facts_are_kept_for_ever_or_for_a_time() {
    let keep = |keys: &str| sound(&with_keys(keys)).sources[0].keep_facts;
    assert_eq!((keep(""), keep("keep_facts = \"forever\"")), (None, None));
    assert_eq!(keep("keep_facts = \"400d\""), Some(400 * 86_400_000_000_000));
    // A minute is what the windows need.
    assert_eq!(keep("keep_facts = \"70s\"\nlag = \"10s\""), Some(70_000_000_000));
}

#[test]
fn every_kind_has_its_word() {
    for kind in ["http", "files", "websocket", "kafka", "valkey", "nats", "postgres"] {
        assert_eq!(sound(&with("\"files\"", &format!("\"{kind}\""))).sources[0].kind.name(), kind);
    }
    assert_eq!(sound(&with("\"json\"", "\"csv\"")).sources[0].format, Format::Csv);
}

#[test]
fn a_schema_is_described_as_text() {
    let shown = schema_text(&sound(EVERYTHING));
    let expected = "\
source trades (http, json)
  v        u64             version
  id       u64             identity
  symbol   string
  venue    string          origin
  ts       timestamp_us    event_time
  recv_ts  timestamp_ms?   arrival
  seq      u64?            sequence
  op       string?         op
  price    decimal(18,8)
  size     decimal(18,8)?
  score    float64?
  hidden   bool
  delta    i64
  at       timestamp_s
  exact    timestamp_ns
";
    assert!(shown.starts_with(expected), "\n{shown}");
    assert!(shown.contains("\npipeline bars (from trades)\n"), "\n{shown}");
    let content = schema_text(&sound(&with("identity = \"id\"", "identity = \"content\"")));
    assert!(content.contains("\n  identity: the content of the declared fields\n"), "\n{content}");
}

#[test]
fn a_schema_is_described_as_json() {
    let shown = schema_json(&sound(PLAIN));
    assert_eq!(shown["sources"][0]["name"], "trades");
    assert_eq!(shown["sources"][0]["identity"][0], "id");
    let price = &shown["sources"][0]["fields"][4];
    assert_eq!(price.to_string(), r#"{"name":"price","roles":[],"type":"decimal(18,4)"}"#);
    assert_eq!(shown["pipelines"][0]["source"], "trades");
}
