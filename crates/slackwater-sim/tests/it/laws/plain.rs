//! A plain stage for laws about windows: facts of a time and a volume, counted and summed in windows of one kind each.

use super::Run;
use proptest::prelude::*;
use slackwater_core::input::{Batch, Decision, Input, Tick};
use slackwater_core::plan::Plan;
use slackwater_sim::engine::{Compiled, compile};
use slackwater_sim::oracle::Row;
use slackwater_sim::world::*;
use slackwater_sim::{compare, rng::Rng};
use std::sync::OnceLock;

/// Gaps of the sessions, in nanoseconds.
pub const GAPS: [i64; 3] = [1, 10, 300];
/// The volume at which bars are full, and the value, at the scales of their measures.
pub const FULL: (i64, i64) = (100, 100_000);

/// A fact: time, rate and volume, at a scale of 2 each.
pub type Plain = (i64, i64, i64);

/// Facts that meet often.
pub fn facts() -> impl Strategy<Value = Vec<Plain>> {
    let time = prop_oneof![3 => 0i64..400, 1 => 0i64..4_000];
    let volume = prop_oneof![1 => Just(0i64), 6 => 1i64..150, 1 => 100i64..1_000];
    prop::collection::vec((time, 0i64..1_500, volume), 1..40)
}

/// One source, and a pipeline of every kind of session and bar.
pub fn plain() -> &'static (Stage, Compiled) {
    static PLAIN: OnceLock<(Stage, Compiled)> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let sessions = GAPS.map(Windows::Session);
        let rules = [Rule::Whole, Rule::Carry, Rule::Split];
        let volumes = rules.map(|rule| Cut::Measure(vec![3], (FULL.0, 2), rule));
        let values = rules.map(|rule| Cut::Measure(vec![2, 3], (FULL.1, 4), rule));
        let previous = Ex::Compare(Cmp::Gt, Box::new(Ex::Field(2)), Box::new(Ex::Prev(2)));
        let others = [Cut::Ticks(3), Cut::Break(previous)];
        let bars = volumes.into_iter().chain(values).chain(others).map(|cut| Windows::Bars(Anchor::None, cut));
        let pipelines = sessions.into_iter().chain(bars).enumerate().map(|(number, windows)| pipeline(number, windows));
        let stage = Stage { sources: vec![source()], pipelines: pipelines.collect() };
        let compiled = compile(&stage);
        (stage, compiled)
    })
}

fn source() -> Source {
    let field = |name: &str, ty| Field { name: name.into(), ty, unit: Unit::Ns, nullable: false };
    let fields = vec![
        field("id", Ty::U64),
        field("ts", Ty::Time),
        field("rate", Ty::Decimal(9, 2)),
        field("vol", Ty::Decimal(9, 2)),
    ];
    let above = |field| Ex::Compare(Cmp::Ge, Box::new(Ex::Field(field)), Box::new(Ex::Exact(0, 0)));
    Source {
        name: "s".into(),
        format: Format::Json,
        fields,
        identity: Identity::Fields(vec![0]),
        event_time: 1,
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
        require: vec![above(2), above(3)],
        lag: 50,
        lag_by_origin: Vec::new(),
        idle_after: None,
        wall_clock: false,
        holds: false,
        columns: Vec::new(),
    }
}

/// count(*), sum(vol), sum(rate * vol)
fn pipeline(number: usize, windows: Windows) -> Pipeline {
    let call = |name: &str, function, arguments| {
        let call = Call { function, arguments, filter: None, with: With::default() };
        (name.to_string(), Ex::Call(Box::new(call)))
    };
    Pipeline {
        name: format!("p{number}"),
        source: 0,
        filter: None,
        key: Vec::new(),
        windows,
        columns: vec![
            call("n", Function::CountRows, Vec::new()),
            call("volume", Function::Sum, vec![Ex::Field(3)]),
            call("value", Function::Sum, vec![product(&[2, 3])]),
        ],
        having: None,
    }
}

/// The plan of the stage.
pub fn plan() -> &'static Plan {
    &plain().1.config.plan
}

/// One batch for each fact, which all have ids of their own.
pub fn batches(facts: &[Plain]) -> Vec<Batch> {
    let line = |(id, (time, rate, volume)): (usize, &Plain)| {
        format!("{{\"id\":{id},\"ts\":{time},\"rate\":\"{rate}e-2\",\"vol\":\"{volume}e-2\"}}\n").into_bytes()
    };
    let chunk = |bytes| slackwater::decode::Chunk {
        source: 0,
        part: "file".into(),
        offset: 0,
        line: 1,
        bytes,
        header: None,
        arrival: None,
    };
    plain().1.decode(&facts.iter().enumerate().map(line).map(chunk).collect::<Vec<_>>())
}

/// The newest rows at the end, with ticks and restarts on the way.
pub fn restless(facts: &[Plain], rng: &mut Rng) -> Vec<Row> {
    let mut run = Run::new(plan(), 1 + rng.below(2), 1 + rng.below(2));
    let mut finals = Vec::new();
    let mut batches = batches(facts);
    rng.shuffle(&mut batches);
    for batch in batches {
        run.step(&Input::Events(batch));
        if rng.chance(30) {
            finals.extend(run.step(&Input::Tick(Tick::at(0))).finals);
        }
        if rng.chance(15) {
            run.restart();
        }
    }
    run.step(&Input::Decision(Decision::EndOfInput));
    finals.extend(run.step(&Input::Tick(Tick::at(0))).finals);
    slackwater_core::fold::Final::newest(finals).iter().map(compare::row).collect()
}
