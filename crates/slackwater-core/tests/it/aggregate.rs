//! States over many values: split and merged as one likes, taken back, written down and read again.

use slackwater_core::aggregate::{Accumulator, Contribution, Sign, accumulate, finish};
use slackwater_core::codec::Reader;
use slackwater_core::plan::expr::Node;
use slackwater_core::plan::{Accumulate, Expr, Finish, Fraction, Result, State};
use slackwater_core::value::{Type, Value};

/// A row of one number, and of nothing else.
struct One(i64);

impl<'a> Contribution<'a> for One {
    fn value(&mut self, _: &'a Expr) -> Value<'a> {
        Value::I64(self.0)
    }

    fn number(&mut self, _: &'a Expr) -> Option<i128> {
        Some(self.0.into())
    }

    fn time(&self) -> i64 {
        0
    }

    fn tie(&mut self) -> &[u8] {
        &[]
    }
}

fn states() -> Vec<State> {
    let x = Expr { ty: Type::I64, nullable: false, node: Node::Input(0) };
    let kinds = [
        Accumulate::Values(x.clone()),
        Accumulate::Histogram(x.clone()),
        Accumulate::HyperLogLog(x.clone()),
        Accumulate::Largest(x.clone(), 5),
        Accumulate::Largest(x, 1_000),
    ];
    kinds.into_iter().map(|kind| State { filter: None, kind }).collect()
}

/// Values that meet again, in no order.
fn values(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(move |number| (number * 7_919 % count) * 31 % 20_011 - 9_000)
}

fn folded(state: &State, values: impl Iterator<Item = i64>) -> Accumulator {
    let mut folded = Accumulator::new(&state.kind);
    values.for_each(|value| assert!(accumulate(state, &mut folded, Sign::Plus, &mut One(value))));
    folded
}

fn bytes(accumulator: &Accumulator) -> Vec<u8> {
    let mut out = Vec::new();
    accumulator.encode(&mut out);
    out
}

#[test]
fn states_of_many_values_do_not_depend_on_how_they_came_together() {
    for state in states() {
        for count in [0, 1, 70, 1_500, 30_000] {
            let whole = bytes(&folded(&state, values(count)));
            let mut sorted: Vec<i64> = values(count).collect();
            sorted.sort_unstable();
            assert_eq!(bytes(&folded(&state, sorted.iter().copied())), whole, "{count} ascending: {:?}", state.kind);
            assert_eq!(bytes(&folded(&state, sorted.iter().rev().copied())), whole, "{count} descending");
            let mut merged = Accumulator::new(&state.kind);
            for part in (0..7).rev() {
                merged.merge(&folded(&state, values(count).filter(|value| value.rem_euclid(7) == part)), &state.kind);
            }
            assert_eq!(bytes(&merged), whole, "{count} merged: {:?}", state.kind);
        }
    }
}

#[test]
fn states_come_back_and_other_bytes_are_refused_or_mean_something_else() {
    for state in states() {
        for count in [0, 1, 70, 1_500, 30_000] {
            let whole = bytes(&folded(&state, values(count)));
            let again = |bytes: &[u8]| {
                let mut reader = Reader::new(bytes);
                let back = Accumulator::decode(&mut reader, &state.kind).ok()?;
                reader.finish().ok()?;
                Some(self::bytes(&back))
            };
            assert_eq!(again(&whole).as_ref(), Some(&whole));
            for at in (0..whole.len()).step_by(1 + whole.len() / 200) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 8);
                assert!(again(&damaged).is_none_or(|again| again == damaged), "{count} at {at}: {:?}", state.kind);
                assert!(again(&whole[..at]).is_none_or(|again| again == whole[..at]));
            }
        }
    }
}

#[test]
fn what_subtracts_gives_rows_back_and_what_does_not_says_so() {
    for state in states() {
        let mut held = folded(&state, values(5_000));
        let sound: Vec<bool> = values(5_000)
            .filter(|value| value % 3 == 0)
            .map(|value| accumulate(&state, &mut held, Sign::Minus, &mut One(value)))
            .collect();
        let all = sound.iter().all(|sound| *sound);
        assert_eq!(all, state.kind.subtracts(), "{:?}", state.kind);
        if all {
            let rest = folded(&state, values(5_000).filter(|value| value % 3 != 0));
            assert_eq!(bytes(&held), bytes(&rest), "{:?}", state.kind);
        }
    }
    let largest = &states()[3];
    let mut held = folded(largest, 0..1_000);
    assert!(accumulate(largest, &mut held, Sign::Minus, &mut One(0)), "far below the five largest");
    assert!(!accumulate(largest, &mut held, Sign::Minus, &mut One(999)));
}

#[test]
fn results_of_states_that_were_read_back_are_the_same() {
    let p = Fraction::new(37, 2).expect("below 1");
    let finishes = [
        Finish::Discrete { values: 0, p, descending: false },
        Finish::Bucket { buckets: 0, p, of: Type::I64 },
        Finish::HyperLogLog(0),
        Finish::Largest { values: 0, of: Type::I64 },
        Finish::Largest { values: 0, of: Type::I64 },
    ];
    for (state, finished) in states().iter().zip(finishes) {
        let ty = match finished {
            Finish::Bucket { .. } => Type::Float64,
            Finish::Largest { .. } => Type::I64.array().expect("an array of numbers"),
            _ => Type::I64,
        };
        let result = Result { ty, finish: finished };
        let held = folded(state, values(9_999));
        let back = Accumulator::decode(&mut Reader::new(&bytes(&held)), &state.kind).expect("what was written");
        let [a, b] = [held, back].map(|state| finish(&result, &[state], &mut 0));
        assert_eq!(a, b, "{:?}", result.finish);
    }
}

#[test]
fn accumulators_and_values_stay_small() {
    assert!(size_of::<Value<'_>>() <= 64 && size_of::<Accumulator>() <= 64, "{}", size_of::<Accumulator>());
}
