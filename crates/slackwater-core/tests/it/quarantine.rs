//! Guards and what becomes of events in quarantine: written down and read back, and counted once.

use slackwater_core::builder::{RowBuilder, Target};
use slackwater_core::codec::Reader;
use slackwater_core::input::{Batch, Decision, Input, Position, Tick};
use slackwater_core::machine::Machine;
use slackwater_core::memory::Memory;
use slackwater_core::plan::expr::{Arithmetic, Comparison, Node};
use slackwater_core::plan::{Expr, Guard, Guards, Plan, Source};
use slackwater_core::poison::{Reason, Refusal};
use slackwater_core::quarantine::{Discard, Fate, Quarantined, Retrial, Ruling, Why};
use slackwater_core::schema::{Field, IdentityRule, Roles, Schema, Unit};
use slackwater_core::value::{Scalar, Type, Value};
use std::sync::Arc;

fn schema() -> Schema {
    let field = |name: &str, ty| Field { name: name.to_string(), ty, nullable: false, unit: Unit::Millis };
    let price = Type::Decimal { precision: 18, scale: 4 };
    let fields =
        vec![field("id", Type::U64), field("ts", Type::Timestamp), field("price", price), field("note", Type::Text)];
    let roles = Roles {
        identity: IdentityRule::Fields(vec![0]),
        event_time: 1,
        origin: None,
        sequence: None,
        order_by_sequence: false,
        version: None,
        op: None,
        arrival: None,
    };
    Schema::new(fields, roles).expect("a schema")
}

fn of(ty: Type, node: Node) -> Expr {
    Expr { ty, nullable: false, node }
}

fn input(field: usize) -> Expr {
    of(schema().fields()[field].ty, Node::Input(field))
}

fn literal(mantissa: i128, scale: u8) -> Expr {
    Expr::literal(Type::Decimal { precision: 18, scale }, Value::Decimal(mantissa).to_scalar())
}

fn compare(op: Comparison, a: Expr, b: Expr) -> Expr {
    of(Type::Bool, Node::Compare(op, Box::new(a), Box::new(b)))
}

/// price < 40
fn cheap() -> Guard {
    Guard { expr: compare(Comparison::Less, input(2), literal(400_000, 4)), text: "price < 40".to_string() }
}

/// Every kind of node that a guard may have.
fn thorough() -> Expr {
    let both = |a: Expr, b: Expr| of(Type::Bool, Node::And(Box::new(a), Box::new(b)));
    let sum_type = Type::Decimal { precision: 23, scale: 4 };
    let sum = of(sum_type, Node::Arithmetic(Arithmetic::Add, Box::new(input(2)), Box::new(literal(1, 0))));
    let minus = of(Type::Decimal { precision: 18, scale: 4 }, Node::Negate(Box::new(input(2))));
    let size = of(Type::Decimal { precision: 18, scale: 4 }, Node::Absolute(Box::new(minus)));
    let share = of(Type::Float64, Node::Divide(Box::new(sum), Box::new(size)));
    let root = of(Type::Float64, Node::SquareRoot(Box::new(input(0))));
    let cast = of(Type::I64, Node::Cast(Box::new(root.clone())));
    let text = Expr::literal(Type::Text, Value::Text("é\"".as_bytes()).to_scalar());
    let not = of(Type::Bool, Node::Not(Box::new(compare(Comparison::Equal, input(3), text))));
    let null = Expr::literal(Type::Bool, Scalar::NULL);
    let missing = of(Type::Bool, Node::IsNull(Box::new(cast)));
    let branches = vec![(compare(Comparison::Greater, share, root), not), (missing, null)];
    let case = of(Type::Bool, Node::Case(branches, Box::new(cheap().expr)));
    let either = of(Type::Bool, Node::Or(Box::new(case.clone()), Box::new(cheap().expr)));
    both(either, case)
}

fn guards() -> Guards {
    Guards {
        origins: Some(vec!["X".to_string(), String::new()]),
        max_future: Some(5),
        min_time: None,
        max_time: Some(i64::MAX),
        require: vec![cheap(), Guard { expr: thorough(), text: "all of it".to_string() }],
    }
}

fn refused(number: u64) -> Quarantined {
    let refusal = Refusal { reason: Reason::Require, field: Some(0) };
    Quarantined {
        source: 0,
        part: Arc::from("a file"),
        position: Position { offset: number, line: number + 1 },
        arrival: Some(-3),
        header: Arc::from(&b"a header"[..]),
        why: Why::Refused(refusal),
        guard: Some(Arc::from("price < 40")),
        bytes: b"{}".to_vec(),
    }
}

#[test]
fn guards_and_decisions_about_quarantine_come_back() {
    let schema = schema();
    let decisions = [
        Decision::Guards(0, Arc::default()),
        Decision::Guards(0, Arc::new(guards())),
        Decision::Retrial(0, Retrial { decoder: 7, at: -9, events: vec![(0, refused(0)), (u64::MAX, refused(9))] }),
        Decision::Discard(0, Discard { at: 3, numbers: vec![5, 1] }),
    ];
    for decision in decisions {
        let (mut bytes, input) = (Vec::new(), Input::Decision(decision));
        input.encode(&mut bytes);
        assert_eq!(Input::decode(&bytes, &[&schema]), Ok(input));
        for at in 0..bytes.len() {
            assert!(Input::decode(&bytes[..at], &[&schema]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                // What is read is written as the same bytes: each value has one encoding.
                if let Ok(read) = Input::decode(&other, &[&schema]) {
                    let mut again = Vec::new();
                    read.encode(&mut again);
                    assert_eq!(again, other, "byte {at}, bit {bit}");
                }
            }
        }
    }
    let refusal = Refusal::event(Reason::Malformed);
    let fates = [Fate::Fact, Fate::Duplicate, Fate::Superseded, Fate::Conflict, Fate::Discarded];
    let again = [None, Some(Arc::from("a guard"))].map(|guard| Fate::Refused { refusal, guard });
    for fate in fates.into_iter().chain(again) {
        let (ruling, mut bytes) = (Ruling { number: 4, at: 5, fate }, Vec::new());
        ruling.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(Ruling::decode(&mut reader), Ok(ruling));
        reader.finish().expect("all of it was read");
    }
}

#[test]
fn what_no_compiler_could_have_made_is_refused_and_no_depth_is_too_much() {
    let schema = schema();
    let mut deep = cheap().expr;
    for _ in 0..1_000 {
        deep = of(Type::Bool, Node::Not(Box::new(deep)));
    }
    let wrong = [
        of(Type::Bool, Node::Input(0)),
        of(Type::U64, Node::Input(4)),
        compare(Comparison::Less, input(2), input(3)),
        of(Type::Bool, Node::Not(Box::new(input(2)))),
        of(Type::Float64, Node::Arithmetic(Arithmetic::Add, Box::new(input(2)), Box::new(input(2)))),
        Expr::literal(Type::Decimal { precision: 2, scale: 0 }, Value::Decimal(100).to_scalar()),
    ];
    let read = |expr: &Expr| {
        let mut bytes = Vec::new();
        expr.encode(&mut bytes);
        Expr::decode(&mut Reader::new(&bytes), &schema)
    };
    assert_eq!(read(&deep), Ok(deep.clone()));
    for expr in wrong {
        assert!(read(&expr).is_err(), "{expr:?}");
    }
    // A hundred thousand levels, which nothing must follow to their end.
    let level = [9, 4, 0];
    let bytes: Vec<u8> = level.iter().copied().cycle().take(300_000).collect();
    assert!(Expr::decode(&mut Reader::new(&bytes), &schema).is_err());
}

#[test]
fn an_event_that_is_judged_again_is_counted_once() {
    let plan = Plan { sources: vec![Source::new("trades", schema())], pipelines: Vec::new() };
    for shards in 1..4 {
        let mut machine = Machine::new(&plan, shards, 1);
        let mut memories: Vec<Memory> = (0..shards).map(|_| Memory::new()).collect();
        let why = Refusal { reason: Reason::Require, field: Some(0) };
        let mut batch = Batch::new(0, 1, Arc::from("a file"));
        for offset in 0..10 {
            batch.push_refused(Position { offset, line: 1 }, why, None, b"raw");
        }
        machine.step(&plan, &Input::Events(batch), &mut memories);
        // Of the ten, five are rows now, of which two are the same one, and one is refused for another reason.
        let source = &plan.sources[0];
        let mut builder = RowBuilder::new(source);
        let target = |field| Target::new(&source.schema, field);
        for offset in 0..6u64 {
            let mut again = Batch::new(0, 1, Arc::from("a file"));
            again.stood.push(why);
            let position = Position { offset, line: 1 };
            if offset == 5 {
                again.push_refused(position, Refusal::event(Reason::Malformed), None, b"raw");
            } else {
                builder.begin();
                assert!((0..4).all(|field| builder.see(&target(field))));
                builder.set_u64(&target(0), offset.min(3));
                builder.set_time(&target(1), 7);
                builder.set_decimal(&target(2), 1);
                builder.set_text(&target(3), b"note");
                again.push(&mut builder, position, b"raw");
            }
            machine.step(&plan, &Input::Events(again), &mut memories);
        }
        machine.step(
            &plan,
            &Input::Decision(Decision::Discard(0, Discard { at: 0, numbers: vec![6, 7] })),
            &mut memories,
        );
        machine.step(&plan, &Input::Tick(Tick::at(0)), &mut memories);
        let counts = machine.seen(&plan).counts()[0].clone();
        assert!(counts.balances(), "{counts:?}");
        assert_eq!((counts.received, counts.facts, counts.duplicates), (10, 4, 1));
        assert_eq!((counts.refused(), counts.open(), counts.discarded), (5, 3, 2));
        assert_eq!(counts.quarantined.get(&(Reason::Malformed as u8)), Some(&1));
    }
}
