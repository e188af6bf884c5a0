//! Bars, by going through a key's facts one by one, with totals as rationals.

use super::aggregate::{self, Member};
use super::eval::{Scope, Val};
use super::span::{Bar, Bare, Part, time};
use super::{Fact, exact, no_call, window};
use crate::typing::Place;
use crate::world::{Anchor, Call, Cut, Ex, Rule, Source, Ty, Windows, product};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

/// A bar of one period.
struct Open<'a> {
    ordinal: u64,
    parts: Vec<Part<'a>>,
    /// The time of the fact that closed it, if one did.
    closed: Option<i64>,
}

impl<'a> Open<'a> {
    fn new(ordinal: u64) -> Open<'a> {
        Open { ordinal, parts: Vec::new(), closed: None }
    }
}

/// The bars of one key, whose facts stand in canonical order.
pub fn cut<'a>(source: &Source, anchor: &Anchor, cut: &Cut, facts: &[Fact<'a>]) -> Vec<Bare<'a>> {
    // Facts come in the order of time: those before the next anchor share a period.
    let (mut all, mut left) = (Vec::new(), facts);
    while let Some(first) = left.first() {
        let (begun, ends) = window::period(anchor, time(source, first.event)).unzip();
        let inside = |fact: &Fact<'a>| ends.is_none_or(|end| i128::from(time(source, fact.event)) < end);
        let (facts, behind) = left.split_at(left.partition_point(inside));
        left = behind;
        let bars = match cut {
            Cut::Ticks(count) => ticks(source, *count, facts),
            Cut::Measure(fields, (mantissa, scale), rule) => {
                let threshold = exact::of_decimal(&BigInt::from(*mantissa), *scale);
                measured(source, (&product(fields), &threshold, *rule), facts)
            }
            Cut::Break(condition) => broken(source, condition, facts),
        };
        for Open { ordinal, parts, closed } in bars.into_iter().filter(|bar| !bar.parts.is_empty()) {
            let at = |part: &Part<'a>| i128::from(time(source, part.fact.event));
            let extent = (at(&parts[0]), at(&parts[parts.len() - 1]));
            let due = closed.map_or(ends, |time| Some(i128::from(time) + 1));
            let bar = Bar { anchor: begun, ordinal, complete: closed.is_some() };
            all.push((extent, Some(bar), due, parts));
        }
    }
    all
}

fn ticks<'a>(source: &Source, count: usize, facts: &[Fact<'a>]) -> Vec<Open<'a>> {
    let bar = |(ordinal, facts): (usize, &[Fact<'a>])| Open {
        ordinal: ordinal as u64,
        parts: facts.iter().map(|fact| Part::whole(*fact)).collect(),
        closed: (facts.len() == count).then(|| time(source, facts[count - 1].event)),
    };
    facts.chunks(count).enumerate().map(bar).collect()
}

fn measured<'a>(
    source: &Source,
    (of, threshold, rule): (&Ex, &BigRational, Rule),
    facts: &[Fact<'a>],
) -> Vec<Open<'a>> {
    let measure = |fact: &Fact<'a>| {
        let row = Scope { place: Place::Row(source), values: &fact.event.values, previous: None, call: &no_call };
        match row.eval(of) {
            Val::Exact(mantissa, scale) => exact::of_decimal(&mantissa, scale),
            other => panic!("{other:?} is no measure"),
        }
    };
    let measures: Vec<BigRational> = facts.iter().map(measure).collect();
    if rule == Rule::Carry {
        return carried(source, threshold, facts, &measures);
    }
    let mut bars = vec![Open::new(0)];
    let mut total = BigRational::zero();
    for (fact, measure) in facts.iter().zip(&measures) {
        let mut rest = measure.clone();
        loop {
            let bar = bars.last_mut().expect("a bar is open");
            let taken = match rule {
                Rule::Split if &total + &rest > *threshold => threshold - &total,
                _ => rest.clone(),
            };
            let share = if &taken == measure { BigRational::from(BigInt::from(1)) } else { &taken / measure };
            bar.parts.push(Part { fact: *fact, share });
            (total, rest) = (total + &taken, rest - taken);
            if total >= *threshold {
                bar.closed = Some(time(source, fact.event));
                let next = Open::new(bar.ordinal + 1);
                bars.push(next);
                total = BigRational::zero();
            }
            if rest.is_zero() {
                break;
            }
        }
    }
    bars
}

/// The total never starts anew: a fact is in the bar in which the total before it lies.
fn carried<'a>(
    source: &Source,
    threshold: &BigRational,
    facts: &[Fact<'a>],
    measures: &[BigRational],
) -> Vec<Open<'a>> {
    let number = |total: &BigRational| (total / threshold).floor().to_integer().to_u64().expect("few bars");
    let mut bars: Vec<Open<'a>> = Vec::new();
    let mut total = BigRational::zero();
    for (fact, measure) in facts.iter().zip(measures) {
        let ordinal = number(&total);
        if bars.last().is_none_or(|bar| bar.ordinal != ordinal) {
            bars.push(Open::new(ordinal));
        }
        let bar = bars.last_mut().expect("just made");
        bar.parts.push(Part::whole(*fact));
        total += measure;
        if number(&total) > ordinal {
            bar.closed = Some(time(source, fact.event));
        }
    }
    bars
}

fn broken<'a>(source: &Source, condition: &Ex, facts: &[Fact<'a>]) -> Vec<Open<'a>> {
    let mut bars = vec![Open::new(0)];
    for (at, fact) in facts.iter().enumerate() {
        let bar = bars.last_mut().expect("a bar is open");
        if at > 0 {
            let members: Vec<Member<'_>> = bar.parts.iter().map(|part| part.member(source)).collect();
            let whole = Windows::Session(1);
            let call = |call: &Call, to: Option<Ty>| aggregate::value(call, &whole, &members, to);
            let previous = Some(&facts[at - 1].event.values[..]);
            let values = &fact.event.values;
            let breaks = Scope { place: Place::Break(source), values, previous, call: &call }.holds(condition);
            if breaks {
                bar.closed = Some(time(source, fact.event));
                let next = Open::new(bar.ordinal + 1);
                bars.push(next);
            }
        }
        bars.last_mut().expect("a bar is open").parts.push(Part::whole(*fact));
    }
    bars
}
