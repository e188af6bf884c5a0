//! Sums through the whole engine are those of big integers, in any order; what is too large is refused, never wrapped.

use super::law;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;
use proptest::prelude::*;
use slackwater_core::plan::Plan;
use slackwater_core::poison::Reason;
use slackwater_sim::engine::{Compiled, compile};
use slackwater_sim::oracle::exact;
use slackwater_sim::world::*;
use slackwater_sim::{compare, rng::Rng};
use std::sync::OnceLock;

/// One source by position with a wide decimal, both integers and a double; one pipeline that sums them all.
fn summing() -> &'static (Stage, Compiled) {
    static SUMMING: OnceLock<(Stage, Compiled)> = OnceLock::new();
    SUMMING.get_or_init(|| {
        let field = |name: &str, ty| Field { name: name.into(), ty, unit: Unit::Ns, nullable: true };
        let mut fields = vec![
            field("ts", Ty::Time),
            field("d", Ty::Decimal(38, 18)),
            field("n", Ty::U64),
            field("i", Ty::I64),
            field("f", Ty::F64),
        ];
        fields[0].nullable = false;
        let source = Source {
            name: "s".into(),
            format: Format::Json,
            fields,
            identity: Identity::Position,
            event_time: 0,
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
        };
        let sum = |name: &str, field, function| {
            let arguments =
                if function == Function::SumProduct { vec![Ex::Field(field); 2] } else { vec![Ex::Field(field)] };
            (name.to_string(), Ex::Call(Box::new(Call { function, arguments, filter: None, with: With::default() })))
        };
        let pipeline = Pipeline {
            name: "p".into(),
            source: 0,
            filter: None,
            key: Vec::new(),
            windows: Windows::Fixed { size: i64::MAX, offset: 0 },
            columns: vec![
                sum("d", 1, Function::Sum),
                sum("n", 2, Function::Sum),
                sum("i", 3, Function::Sum),
                sum("f", 4, Function::Sum),
                sum("dd", 1, Function::SumProduct),
                sum("ff", 4, Function::SumProduct),
            ],
            having: None,
        };
        let stage = Stage { sources: vec![source], pipelines: vec![pipeline] };
        let compiled = compile(&stage);
        (stage, compiled)
    })
}

/// A row of the case: mantissa, both integers, a double.
type Term = (i128, u64, i64, f64);

fn terms() -> impl Strategy<Value = Vec<Term>> {
    let most = 10i128.pow(38) - 1;
    let mantissa = prop_oneof![-most..=most, Just(most), Just(-most), -1000i128..1000];
    let double = prop_oneof![
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
        prop::num::f64::SUBNORMAL,
        Just(f64::MAX),
        Just(-f64::MAX),
        Just(1e16),
        Just(-1e16),
        (-1000i32..1000).prop_map(f64::from),
    ];
    let unsigned = prop_oneof![any::<u64>(), Just(u64::MAX)];
    let signed = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    prop::collection::vec((mantissa, unsigned, signed, double), 1..12)
}

fn total<T>(values: &[T], exact: impl Fn(&T) -> BigRational) -> BigRational {
    values.iter().fold(BigRational::zero(), |sum, value| sum + exact(value))
}

fn integer(value: impl Into<BigInt>) -> BigRational {
    BigRational::from(value.into())
}

#[test]
fn sums_are_those_of_big_integers_and_nothing_wraps() {
    let test = "sums_are_those_of_big_integers_and_nothing_wraps";
    law(test, (terms(), any::<u64>()), |(terms, seed)| {
        let (_, compiled) = summing();
        let lines = |terms: &[Term]| {
            let line =
                |(d, n, i, f): &Term| format!("{{\"ts\":0,\"d\":\"{d}e-18\",\"n\":{n},\"i\":{i},\"f\":{f:e}}}\n");
            terms.iter().map(line).collect::<String>()
        };
        let wanted = [
            Datum::Decimal(total(&terms, |term| integer(term.0)).to_integer()),
            Datum::Decimal(total(&terms, |term| integer(term.1)).to_integer()),
            Datum::Decimal(total(&terms, |term| integer(term.2)).to_integer()),
            Datum::F64(exact::to_f64(&total(&terms, |term| exact::of_f64(term.3)))),
            Datum::Decimal(total(&terms, |term| integer(term.0) * integer(term.0)).to_integer()),
            Datum::F64(exact::to_f64(&total(&terms, |term| exact::of_f64(term.3) * exact::of_f64(term.3)))),
        ];
        let mut shuffled = terms.clone();
        Rng::new(seed).shuffle(&mut shuffled);
        for terms in [&terms, &shuffled] {
            let row = fold(&compiled.config.plan, compiled, lines(terms).into_bytes())?;
            prop_assert_eq!(&row, &wanted);
        }
        let beyond =
            ["\"n\":18446744073709551616", "\"i\":-9223372036854775809", "\"d\":100000000000000000000", "\"f\":1e309"];
        let one = *Rng::new(seed).pick(&beyond);
        let batch = compiled.decoder(0).decode(&chunk(format!("{{\"ts\":0,{one}}}\n").into_bytes()));
        let refused = matches!(&batch.entries()[0].decoded, slackwater_core::input::Decoded::Refused(r) if r.reason == Reason::Range);
        prop_assert!(refused, "{} is out of range", one);
        Ok(())
    });
}

fn chunk(bytes: Vec<u8>) -> slackwater::decode::Chunk {
    slackwater::decode::Chunk { source: 0, part: "file".into(), offset: 0, line: 1, bytes, header: None, arrival: None }
}

/// The values of the one row.
fn fold(plan: &'static Plan, compiled: &Compiled, bytes: Vec<u8>) -> Result<Vec<Datum>, TestCaseError> {
    let mut run = super::Run::new(plan, 1, 1);
    run.events(compiled.decode(&[chunk(bytes)]));
    run.step(&slackwater_core::input::Input::Decision(slackwater_core::input::Decision::EndOfInput));
    let effects = run.step(&slackwater_core::input::Input::Tick(slackwater_core::input::Tick::at(0)));
    prop_assert_eq!(effects.finals.len(), 1);
    Ok(compare::row(&effects.finals[0]).values)
}
