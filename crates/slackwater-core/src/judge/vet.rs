//! What a source demands of every event: a pure verdict over the row, the plan and the recorded arrival.

use crate::plan::expr::Faults;
use crate::plan::{Guards, Source};
use crate::poison::{Reason, Refusal};
use crate::row::{Op, Row};
use crate::value::Value;

/// Refuses a row that the guards of its source do not allow. A retraction is only its identity, so only its origin is asked for.
#[inline]
pub fn vet(source: &Source, guards: &Guards, row: Row<'_>, op: Op, arrival: Option<i64>) -> Result<(), Refusal> {
    if let Some(allowed) = &guards.origins
        && !allowed.iter().any(|name| is_origin(row, name, source))
    {
        let field = source.schema.roles().origin.map(|field| field as u16);
        return Err(Refusal { reason: Reason::UnknownOrigin, field });
    }
    if op == Op::Retract {
        return Ok(());
    }
    let (field, time) = (source.schema.roles().event_time, row.event_time());
    let ahead = |arrival: i64, most: i64| i128::from(time) - i128::from(arrival) > i128::from(most);
    if let (Some(arrival), Some(most)) = (arrival, guards.max_future)
        && ahead(arrival, most)
    {
        return Err(Refusal::field(Reason::Future, field));
    }
    if guards.min_time.is_some_and(|min| time < min) || guards.max_time.is_some_and(|max| time > max) {
        return Err(Refusal::field(Reason::TimeBounds, field));
    }
    let mut faults: Faults = 0;
    for (index, guard) in guards.require.iter().enumerate() {
        if guard.expr.eval(&row, &mut faults).as_bool() != Some(true) {
            return Err(Refusal { reason: Reason::Require, field: Some(index as u16) });
        }
    }
    Ok(())
}

fn is_origin(row: Row<'_>, name: &str, source: &Source) -> bool {
    match source.schema.roles().origin.map(|field| row.get(field)) {
        None => source.name == name,
        Some(Value::Text(text)) => text == name.as_bytes(),
        Some(Value::U64(number)) => name.parse() == Ok(number),
        Some(Value::I64(number)) => name.parse() == Ok(number),
        Some(_) => false,
    }
}
