//! Engine against oracle: rows value by value and bit for bit, and where every event went.

use crate::model::reference::Given;
use crate::oracle::span::{Bar, Spot};
use crate::oracle::{Counts, Row, Truth};
use crate::world::Datum;
use num_bigint::BigInt;
use slackwater_core::delta::Cause;
use slackwater_core::fold::Final;
use slackwater_core::judge;
use slackwater_core::plan::Plan;
use slackwater_core::quarantine::{Quarantined, Why};
use slackwater_core::value::{Type, Value, elements};

/// A value of the engine in the oracle's terms.
pub fn datum(value: Value<'_>) -> Datum {
    match value {
        Value::Null => Datum::Null,
        Value::Bool(b) => Datum::Bool(b),
        Value::I64(v) => Datum::I64(v),
        Value::U64(v) => Datum::U64(v),
        Value::F64(x) => Datum::F64(x),
        Value::Decimal(mantissa) => Datum::Decimal(BigInt::from(mantissa)),
        Value::Wide(wide) => {
            let digits = wide.magnitude().to_decimal_text();
            let magnitude: BigInt = if digits.is_empty() { BigInt::from(0) } else { digits.parse().expect("digits") };
            Datum::Decimal(if wide.is_negative() { -magnitude } else { magnitude })
        }
        Value::Text(text) => Datum::Text(String::from_utf8(text.to_vec()).expect("texts are UTF-8")),
        Value::Time(time) => Datum::Time(time),
        Value::Array(bytes) => Datum::Array(elements(bytes).map(datum).collect()),
    }
}

/// A row of the engine in the oracle's terms.
pub fn row(row: &Final) -> Row {
    let spot = Spot {
        pipeline: row.pipeline.into(),
        window: (row.window.start, row.window.end),
        bar: row.bar.map(|bar| Bar { anchor: bar.anchor, ordinal: bar.ordinal, complete: bar.complete }),
        key: row.key.iter().map(|value| datum(value.value())).collect(),
    };
    Row { spot, values: row.values.iter().map(|value| datum(value.value())).collect() }
}

/// A generation of the engine in the model's terms.
pub fn given(found: &Final) -> Given {
    let row = row(found);
    let values = (!found.removed).then_some(row.values);
    Given { spot: row.spot, generation: found.generation, cause: found.cause, values }
}

/// What first tells the engine's rows of a finite fold from the true ones.
pub fn rows(plan: &Plan, found: &[Final], truth: &Truth) -> Result<(), String> {
    for (place, (found, wanted)) in found.iter().zip(&truth.rows).enumerate() {
        let mine = row(found);
        if mine != *wanted {
            let name = &plan.pipelines[wanted.spot.pipeline].name;
            return Err(format!("row {place} of {name}:\n  engine {mine:?}\n  oracle {wanted:?}"));
        }
        if found.generation != 1 || found.cause != Cause::Seal || found.removed {
            return Err(format!("row {place} is not generation 1 of a seal: {found:?}"));
        }
        typed(plan, found)?;
    }
    if found.len() != truth.rows.len() {
        return Err(format!("{} rows of the engine, {} of the oracle", found.len(), truth.rows.len()));
    }
    Ok(())
}

/// Values must be of the type that their column declares, in the one form of that type.
fn typed(plan: &Plan, found: &Final) -> Result<(), String> {
    let columns = &plan.pipelines[usize::from(found.pipeline)].columns;
    for (column, value) in columns.iter().zip(&found.values) {
        let ty = column.expr.ty;
        let sound = match value.value() {
            Value::Null => column.expr.nullable,
            Value::Bool(_) => ty == Type::Bool,
            Value::I64(_) => ty == Type::I64,
            Value::U64(_) => ty == Type::U64,
            Value::F64(_) => ty == Type::Float64,
            Value::Decimal(_) => matches!(ty, Type::Decimal { .. }),
            Value::Wide(_) => ty.is_wide(),
            Value::Text(_) => ty == Type::Text,
            Value::Time(_) => ty == Type::Timestamp,
            Value::Array(_) => matches!(ty, Type::Array(_)),
        };
        if !sound {
            return Err(format!(
                "column {} is {ty} (nullable: {}) and holds {value:?}",
                column.name, column.expr.nullable
            ));
        }
    }
    Ok(())
}

/// What tells the engine's counters from the true ones.
pub fn counts(found: &[judge::Counts], wanted: &[Counts]) -> Result<(), String> {
    for (source, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let mine = Counts {
            // What lies before a cutoff the oracle was not told of.
            received: found.received - found.beyond_retention,
            facts: found.facts,
            others: found.duplicates + found.superseded + found.conflicts,
            quarantined: found.quarantined.clone(),
        };
        if mine != *wanted || !found.balances() {
            return Err(format!("source {source}:\n  engine {found:?}\n  oracle {wanted:?}"));
        }
    }
    Ok(())
}

/// Whether every event that counts in no result was set aside: by reason, and each conflict's loser.
pub fn set_aside(found: &[judge::Counts], aside: &[Quarantined]) -> Result<(), String> {
    for (source, counts) in found.iter().enumerate() {
        let mine = || aside.iter().filter(|event| usize::from(event.source) == source);
        let conflicts = mine().filter(|event| event.why == Why::Conflict).count() as u64;
        if conflicts != counts.conflicts {
            return Err(format!(
                "source {source}: {conflicts} losers are set aside, {} were counted",
                counts.conflicts
            ));
        }
        for (reason, count) in &counts.quarantined {
            let refused =
                mine().filter(|event| matches!(event.why, Why::Refused(refusal) if refusal.reason as u8 == *reason));
            let refused = refused.count() as u64;
            if refused != *count {
                return Err(format!(
                    "source {source}: {refused} of reason {reason} are set aside, {count} were counted"
                ));
            }
        }
        let beyond = mine().filter(|event| event.why == Why::BeyondRetention).count() as u64;
        if beyond != counts.beyond_retention || mine().count() as u64 != counts.conflicts + beyond + counts.refused() {
            return Err(format!("source {source}: more was set aside than counted"));
        }
    }
    Ok(())
}
