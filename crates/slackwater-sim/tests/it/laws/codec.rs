//! What is written down comes back, equal states are equal bytes, and damaged bytes are refused or mean something else.

use super::{Drawn, Run, cases, law};
use proptest::prelude::*;
use slackwater_core::codec::Reader;
use slackwater_core::fold::Fold;
use slackwater_core::input::{Decision, Input, Tick};
use slackwater_core::judge::Judge;
use slackwater_core::machine::Machine;
use slackwater_core::schema::Schema;
use slackwater_core::value::{Type, Value};
use slackwater_sim::rng::Rng;

fn encoded(input: &Input) -> Vec<u8> {
    let mut out = Vec::new();
    input.encode(&mut out);
    out
}

#[test]
fn decoding_undoes_encoding_and_equal_states_are_equal_bytes() {
    law("decoding_undoes_encoding_and_equal_states_are_equal_bytes", cases(16), |case| {
        let mut drawn = case.draw();
        inputs_come_back(&mut drawn)?;
        states_come_back(&mut drawn)?;
        values_come_back(&mut drawn.rng)
    });
}

fn schemas(drawn: &Drawn) -> Vec<&'static Schema> {
    drawn.plan().sources.iter().map(|source| &source.schema).collect()
}

fn inputs_come_back(drawn: &mut Drawn) -> Result<(), TestCaseError> {
    let schemas = schemas(drawn);
    let mut batches = drawn.batches(&drawn.in_order(), 5);
    batches.iter_mut().step_by(2).for_each(|batch| batch.heard = Some(drawn.rng.bits() as i64));
    let mut inputs: Vec<Input> = batches.into_iter().map(Input::Events).collect();
    inputs.push(Input::Tick(Tick::at(drawn.rng.bits() as i64)));
    inputs.push(Input::Decision(Decision::EndOfInput));
    let guards = drawn.plan().sources.iter().map(|source| source.guards.clone());
    inputs.extend((0..).zip(guards).map(|(source, guards)| Input::Decision(Decision::Guards(source, guards))));
    for input in inputs {
        let bytes = encoded(&input);
        let back = Input::decode(&bytes, &schemas);
        prop_assert_eq!(back.as_ref(), Ok(&input));
        damaged(&mut drawn.rng, &bytes, |bytes| Input::decode(bytes, &schemas).ok().map(|input| encoded(&input)))?;
    }
    Ok(())
}

/// Damaged bytes are refused, or are the one encoding of something else.
fn damaged(rng: &mut Rng, bytes: &[u8], recode: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<(), TestCaseError> {
    for _ in 0..3 {
        let mut damaged = bytes.to_vec();
        match rng.below(3) {
            0 => damaged.truncate(rng.below(bytes.len().max(1))),
            1 if !damaged.is_empty() => {
                let at = rng.below(damaged.len());
                damaged[at] ^= 1 << rng.below(8);
            }
            _ => damaged.push(rng.bits() as u8),
        }
        if let Some(again) = recode(&damaged) {
            prop_assert_eq!(again, damaged, "one value has one encoding");
        }
    }
    Ok(())
}

fn states_come_back(drawn: &mut Drawn) -> Result<(), TestCaseError> {
    let plan = drawn.plan();
    let (judges, folds) = (1 + drawn.rng.below(3), 1 + drawn.rng.below(3));
    let mut order = drawn.in_order();
    let mut run = Run::new(plan, judges, folds);
    run.events(drawn.batches(&order, 4));
    if drawn.rng.chance(40) {
        run.step(&Input::Tick(Tick::at(0)));
    }
    let bytes = run.machine.encode(plan, &run.memories);
    let mut back = Machine::decode(plan, judges, folds, &bytes);
    let again = back.as_mut().map(|machine| machine.encode(plan, &run.memories));
    prop_assert_eq!(again.as_ref().ok(), Some(&bytes), "a machine comes back");
    damaged(&mut drawn.rng, &bytes, |bytes| {
        Machine::decode(plan, judges, folds, bytes).ok().map(|mut machine| machine.encode(plan, &run.memories))
    })?;
    parts_come_back(&mut run)?;
    // The same events in another order make an equal fold, which must be equal bytes.
    let mut other = Run::new(plan, judges, folds);
    drawn.rng.shuffle(&mut order);
    other.events(drawn.batches(&order, 4));
    let mut one = Run::new(plan, judges, folds);
    one.events(drawn.batches(&drawn.in_order(), 4));
    prop_assert_eq!(one.fold_bytes(), other.fold_bytes(), "equal states, equal bytes");
    Ok(())
}

fn parts_come_back(run: &mut Run) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    run.machine.seen(run.plan).encode(&mut bytes);
    let judge = Judge::decode(run.plan, &mut Reader::new(&bytes));
    let mut again = Vec::new();
    judge.map_err(|error| TestCaseError::fail(error.to_string()))?.encode(&mut again);
    prop_assert_eq!(again, bytes, "a judge comes back");
    for fold in run.machine.folds_mut() {
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        fold.encode(&mut bytes);
        let fold = Fold::decode(run.plan, &mut Reader::new(&bytes));
        fold.map_err(|error| TestCaseError::fail(error.to_string()))?.encode(&mut again);
        prop_assert_eq!(again, bytes, "a fold comes back");
    }
    Ok(())
}

/// Values need no plan but their type.
fn values_come_back(rng: &mut Rng) -> Result<(), TestCaseError> {
    let mantissa = i128::from(rng.bits() as i64) * i128::from(rng.bits() as i32);
    let values = [
        (Value::Null, Type::Text),
        (Value::Bool(rng.chance(50)), Type::Bool),
        (Value::I64(rng.bits() as i64), Type::I64),
        (Value::U64(rng.bits()), Type::U64),
        (Value::F64(f64::from_bits(rng.bits())), Type::Float64),
        (Value::Decimal(mantissa), Type::Decimal { precision: 38, scale: 4 }),
        (
            Value::Wide(slackwater_core::number::I384::product(mantissa, mantissa)),
            Type::Decimal { precision: 76, scale: 4 },
        ),
        (Value::Text("日本".as_bytes()), Type::Text),
        (Value::Time(rng.bits() as i64), Type::Timestamp),
    ];
    for (value, ty) in values {
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        value.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let back = Value::decode(&mut reader, ty).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(reader.finish().is_ok(), "all of it was read");
        back.encode(&mut again);
        prop_assert_eq!(&again, &bytes);
        prop_assert_eq!(back.to_scalar(), value.to_scalar());
    }
    Ok(())
}
