//! Bars follow from the canonical order of the facts alone, and nothing is lost where they cut facts.

use super::law;
use super::plain::{FULL, Plain, facts, plain, restless};
use num_bigint::BigInt;
use proptest::prelude::*;
use slackwater_sim::oracle::Row;
use slackwater_sim::rng::Rng;
use slackwater_sim::world::{Cut, Datum, Rule, Windows};

#[test]
fn bars_are_the_same_in_any_order_and_at_any_cut_and_keep_the_volume() {
    let test = "bars_are_the_same_in_any_order_and_at_any_cut_and_keep_the_volume";
    law(test, (facts(), any::<u64>()), |(facts, seed)| {
        let mut rng = Rng::new(seed);
        let rows = restless(&facts, &mut rng);
        prop_assert_eq!(&rows, &restless(&facts, &mut rng), "another order, other ticks, other cuts");
        for (number, pipeline) in plain().0.pipelines.iter().enumerate() {
            let mine: Vec<&Row> = rows.iter().filter(|row| row.spot.pipeline == number).collect();
            if let Windows::Bars(_, cut) = &pipeline.windows {
                conserves(cut, &mine, &facts)?;
                filled(cut, &mine)?;
            }
        }
        Ok(())
    });
}

fn mantissa(row: &Row, column: usize) -> BigInt {
    match &row.values[column] {
        Datum::Decimal(mantissa) => mantissa.clone(),
        Datum::I64(count) => BigInt::from(*count),
        other => panic!("{other:?} is no number"),
    }
}

fn total(rows: &[&Row], column: usize) -> BigInt {
    rows.iter().map(|row| mantissa(row, column)).sum()
}

/// What went in comes out: the measure to the last place, and a volume that leaves as a fraction within its rounding.
fn conserves(cut: &Cut, rows: &[&Row], facts: &[Plain]) -> Result<(), TestCaseError> {
    let volume: BigInt = facts.iter().map(|(_, _, volume)| BigInt::from(*volume)).sum();
    let value: BigInt = facts.iter().map(|(_, rate, volume)| BigInt::from(rate * volume)).sum();
    prop_assert_eq!(total(rows, 2), value, "value of {:?}", cut);
    match cut {
        Cut::Measure(fields, _, Rule::Split) if fields.len() > 1 => {
            // Twelve places, of which the facts have two; each bar rounds by half of the last at the most.
            let off: BigInt = total(rows, 1) * 2 - volume * 2 * BigInt::from(10).pow(10);
            prop_assert!(off.magnitude() <= BigInt::from(rows.len()).magnitude(), "volume of {:?}", cut);
        }
        _ => prop_assert_eq!(total(rows, 1), volume, "volume of {:?}", cut),
    }
    match cut {
        Cut::Measure(_, _, Rule::Split) => prop_assert!(total(rows, 0) >= BigInt::from(facts.len())),
        _ => prop_assert_eq!(total(rows, 0), BigInt::from(facts.len()), "a fact is in one bar of {:?}", cut),
    }
    Ok(())
}

/// A complete bar holds what it must: exactly that where facts are cut, at least that where they are whole.
fn filled(cut: &Cut, rows: &[&Row]) -> Result<(), TestCaseError> {
    for row in rows.iter().filter(|row| row.spot.bar.is_some_and(|bar| bar.complete)) {
        match cut {
            Cut::Ticks(count) => prop_assert_eq!(mantissa(row, 0), BigInt::from(*count)),
            Cut::Measure(fields, _, rule) => {
                let (column, full) = if fields.len() == 1 { (1, FULL.0) } else { (2, FULL.1) };
                match rule {
                    Rule::Split => prop_assert_eq!(mantissa(row, column), BigInt::from(full), "{:?}", row),
                    Rule::Whole => prop_assert!(mantissa(row, column) >= BigInt::from(full), "{:?}", row),
                    Rule::Carry => {}
                }
            }
            Cut::Break(_) => {}
        }
    }
    Ok(())
}
