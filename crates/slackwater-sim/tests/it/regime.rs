//! Regimes of real trades: bars that a turn of the price begins, against the oracle, in any order.

use num_bigint::BigInt;
use slackwater::connect::files::input::FileChunks;
use slackwater_sim::adversary::{Injected, World};
use slackwater_sim::effort;
use slackwater_sim::engine;
use slackwater_sim::oracle::content::Stood;
use slackwater_sim::rng::Rng;
use slackwater_sim::world::{
    Anchor, Call, Cmp, Cut, Datum, Event, Ex, Field, Format, Function, Identity, Op, Pipeline, Source, Stage, Ty, Unit,
    Windows, With,
};
use std::path::{Path, PathBuf};

/// Full figure of trades. The oracle looks back over the open bar at every one of them.
const TRADES: usize = 60_000;

const ID: usize = 0;
const SYMBOL: usize = 1;
const TIME: usize = 2;
const PRICE: usize = 3;
const SIZE: usize = 4;

/// The folder of the data, if it is there.
fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("SLACKWATER_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let file = folder.join("bac_trades.csv.gz");
    if file.is_file() {
        return Some(file);
    }
    println!("skipped: there are no real trades at {}; set SLACKWATER_DATA to a folder that has them", file.display());
    None
}

fn source() -> Source {
    let field = |name: &str, ty| Field { name: name.to_string(), ty, unit: Unit::Us, nullable: false };
    let number = Ty::Decimal(18, 8);
    Source {
        name: "trades".to_string(),
        format: Format::Json,
        fields: vec![
            field("event_id", Ty::Text),
            field("symbol", Ty::Text),
            field("ts", Ty::Time),
            field("price", number),
            field("size", number),
        ],
        identity: Identity::Fields(vec![ID]),
        event_time: TIME,
        origin: None,
        origins: None,
        sequence: None,
        by_sequence: false,
        version: None,
        op: None,
        arrival: None,
        max_future: None,
        min_time: None,
        max_time: None,
        require: Vec::new(),
        lag: 0,
        lag_by_origin: Vec::new(),
        idle_after: None,
        wall_clock: false,
        holds: false,
        columns: Vec::new(),
    }
}

fn call(function: Function, arguments: Vec<Ex>) -> Ex {
    Ex::Call(Box::new(Call { function, arguments, filter: None, with: With::default() }))
}

fn compare(cmp: Cmp, a: Ex, b: Ex) -> Ex {
    Ex::Compare(cmp, Box::new(a), Box::new(b))
}

/// A step of a cent or more against the way that the open bar has gone.
fn turn() -> Ex {
    let price = || Ex::Field(PRICE);
    let step = || Ex::Arith(Op::Subtract, Box::new(price()), Box::new(Ex::Prev(PRICE)));
    let gone = |cmp| compare(cmp, call(Function::Last, vec![price()]), call(Function::First, vec![price()]));
    let up = Ex::And(Box::new(compare(Cmp::Ge, step(), Ex::Exact(1, 2))), Box::new(gone(Cmp::Lt)));
    let down =
        Ex::And(Box::new(compare(Cmp::Le, step(), Ex::Negate(Box::new(Ex::Exact(1, 2))))), Box::new(gone(Cmp::Gt)));
    Ex::Or(Box::new(up), Box::new(down))
}

fn stage() -> Stage {
    let price = || Ex::Field(PRICE);
    let columns = [
        ("open", call(Function::First, vec![price()])),
        ("high", call(Function::Max, vec![price()])),
        ("low", call(Function::Min, vec![price()])),
        ("close", call(Function::Last, vec![price()])),
        ("volume", call(Function::Sum, vec![Ex::Field(SIZE)])),
        ("vwap", call(Function::Wavg, vec![price(), Ex::Field(SIZE)])),
        ("trades", call(Function::CountRows, Vec::new())),
    ];
    let regimes = Pipeline {
        name: "regimes".to_string(),
        source: 0,
        filter: None,
        key: vec![("symbol".to_string(), Ex::Field(SYMBOL))],
        windows: Windows::Bars(Anchor::Day("America/New_York".to_string()), Cut::Break(turn())),
        columns: columns.map(|(name, expr)| (name.to_string(), expr)).into(),
        having: None,
    };
    Stage { sources: vec![source()], pipelines: vec![regimes] }
}

/// A decimal's mantissa at eight places.
fn mantissa(text: &str) -> Datum {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Datum::Decimal(format!("{whole}{fraction:0<8}").parse::<BigInt>().expect("a decimal"))
}

/// The first trades of the file.
fn trades(file: &Path, most: usize) -> Vec<Event> {
    let config = "[source.t]\nkind=\"files\"\nformat=\"csv\"\nidentity=\"event_id\"\nevent_time=\"ts\"\n[source.t.fields]\n\
                  event_id=\"string\"\nts=\"timestamp_us\"\n[pipeline.p]\n\
                  sql=\"SELECT count(*) AS n FROM t GROUP BY tumble(ts, INTERVAL '1 day')\"";
    let config = slackwater::face::config::load(config, "regime.toml").expect("a configuration");
    let (format, schema) = (config.sources[0].format, &config.plan.sources[0].schema);
    let mut chunks = FileChunks::open(0, format, file, schema).expect("the file");
    let mut events = Vec::new();
    while let Some(chunk) = chunks.next_chunk().expect("a chunk") {
        let text = String::from_utf8(chunk.bytes).expect("text");
        for line in text.lines().take(most - events.len()) {
            // source, event_id, symbol, ts, price, size, venue
            let cells: Vec<&str> = line.split(',').collect();
            let time = slackwater_core::time::parse_time(cells[3].as_bytes(), slackwater_core::schema::Unit::Micros);
            let values = vec![
                Datum::Text(cells[1].to_string()),
                Datum::Text(cells[2].to_string()),
                Datum::Time(time.expect("a time")),
                mantissa(cells[4]),
                mantissa(cells[5]),
            ];
            events.push(Event { source: 0, values, flaw: None, rubbish: false });
        }
        if events.len() == most {
            break;
        }
    }
    events
}

#[test]
fn regimes_of_real_trades_are_those_of_the_oracle_in_any_order() {
    let Some(file) = data() else { return };
    let events = trades(&file, effort::share(TRADES));
    let world = World { seed: 1, stage: stage(), events, injected: Injected::default() };
    let (compiled, spelled) = (engine::compile(&world.stage), engine::spell(&world));
    let order: Vec<usize> = (0..world.events.len()).collect();
    let stood = vec![Stood { part: String::new(), offset: 0 }; order.len()];
    let truth = engine::truth_of(&world, &order, &stood);
    let bars = truth.rows.len();
    assert!(bars > order.len() / 1_000, "only {bars} regimes in {} trades", order.len());
    let mut rng = Rng::new(7);
    let (mut reversed, mut shuffled) = (order.clone(), order.clone());
    reversed.reverse();
    rng.shuffle(&mut shuffled);
    for (order, shards) in [(order, 1), (reversed, 2), (shuffled, 3)] {
        let (folded, _) = compiled.fold(compiled.cut(&spelled, &order, 4096).chunks, 2, shards);
        slackwater_sim::compare::rows(&compiled.config.plan, &folded.finals, &truth).expect("the oracle's rows");
    }
    effort::print(&format!("regimes trades={} bars={bars} orders=3 mismatch=0", world.events.len()));
}
