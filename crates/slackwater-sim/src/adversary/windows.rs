//! Windows of every kind, small enough that many arise.

use super::{select, values};
use crate::rng::Rng;
use crate::typing::Place;
use crate::world::{Anchor, Cmp, Cut, Ex, Function, Rule, Source, Ty, Windows};

const SECOND: i64 = 1_000_000_000;

/// Draws windows over a source.
pub fn draw(rng: &mut Rng, source: &Source) -> Windows {
    match rng.below(20) {
        0..5 => aligned(rng),
        5..8 => hop(rng),
        8..11 => {
            let gap = [1, SECOND / 10, 5 * SECOND, 60 * SECOND, 3600 * SECOND, 50_000 * SECOND, i64::MAX];
            Windows::Session(*rng.pick(&gap))
        }
        11..13 => Windows::Bars(anchor(rng), Cut::Ticks(*rng.pick(&[1, 2, 3, 5, 12]))),
        13..15 => Windows::Bars(anchor(rng), Cut::Break(breaks(rng, source))),
        15..18 => Windows::Bars(anchor(rng), measure(rng, source, &[values::VOLUME], &[100, 333, 1_000, 2_000])),
        _ => {
            let fields = [values::RATE, values::VOLUME];
            Windows::Bars(anchor(rng), measure(rng, source, &fields, &[100_000, 123_456, 1_000_000]))
        }
    }
}

fn aligned(rng: &mut Rng) -> Windows {
    let berlin = || "Europe/Berlin".to_string();
    match rng.below(12) {
        0..6 => {
            let size = *rng.pick(&[SECOND, 60 * SECOND, 3600 * SECOND, 7, 86_400 * SECOND, 90 * SECOND]);
            let offset = *rng.pick(&[0, 0, SECOND, -1, 13, 30 * SECOND, 100_000 * SECOND]);
            Windows::Fixed { size, offset }
        }
        6 => Windows::Fixed { size: i64::MAX, offset: *rng.pick(&[0, 1]) },
        7 => Windows::Days(1, berlin()),
        8 => Windows::Days(
            *rng.pick(&[2, 7, 14]),
            (*rng.pick(&["Europe/Berlin", "America/New_York", "Asia/Kolkata"])).into(),
        ),
        9 => Windows::Months(*rng.pick(&[1, 3, 12]), berlin()),
        10 => Windows::Parts(*rng.pick(&[3600 * SECOND, 4 * 3600 * SECOND, 43_200 * SECOND]), berlin()),
        _ => Windows::Days(
            1,
            (*rng.pick(&["America/Sao_Paulo", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"])).into(),
        ),
    }
}

/// Slides that divide the size and slides that do not; gaps between windows; and the largest there are.
fn hop(rng: &mut Rng) -> Windows {
    let slide = *rng.pick(&[1, 7, SECOND, 60 * SECOND, 3600 * SECOND, 86_400 * SECOND, i64::MAX / 3]);
    let size = match rng.below(5) {
        0 => slide.saturating_mul(rng.within(1, 4)),
        1 | 2 => slide.saturating_mul(rng.within(1, 2)).saturating_add(rng.within(0, slide)),
        3 => rng.within(1, slide),
        _ => slide,
    };
    let offset = *rng.pick(&[0, 0, -1, 13, 30 * SECOND, -100_000 * SECOND]);
    Windows::Hop { slide, size, offset }
}

/// Never, at midnight, or where clocks skip the time or pass it twice.
fn anchor(rng: &mut Rng) -> Anchor {
    let zone =
        (*rng.pick(&["Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe", "America/Sao_Paulo"])).into();
    match rng.below(5) {
        0 | 1 => Anchor::None,
        2 | 3 => Anchor::At(*rng.pick(&[0, 150, 120, 570, 1_439]), zone),
        _ => Anchor::Day(zone),
    }
}

fn measure(rng: &mut Rng, source: &Source, names: &[&str], thresholds: &[i64]) -> Cut {
    let named = |name: &&str| source.fields.iter().position(|field| field.name == **name).expect("every source has it");
    let fields: Vec<usize> = names.iter().map(named).collect();
    let mut scale = fields.iter().map(|field| source.fields[*field].ty.exact().map_or(0, |(_, scale)| scale)).sum();
    let mut threshold = *rng.pick(thresholds);
    // The same with fewer places.
    while scale > 0 && threshold % 10 == 0 && rng.chance(50) {
        (threshold, scale) = (threshold / 10, scale - 1);
    }
    Cut::Measure(fields, (threshold, scale), *rng.pick(&[Rule::Whole, Rule::Carry, Rule::Split]))
}

/// Conditions as people write them, and any others.
fn breaks(rng: &mut Rng, source: &Source) -> Ex {
    let place = Place::Break(source);
    let compare = |cmp, a, b| Ex::Compare(cmp, Box::new(a), Box::new(b));
    let named = |name: &str| source.fields.iter().position(|field| field.name == name).expect("every source has it");
    let simple = match rng.below(5) {
        0 => compare(Cmp::Gt, Ex::Field(named(values::RATE)), Ex::Prev(named(values::RATE))),
        1 => compare(Cmp::Ne, Ex::Field(named("sym")), Ex::Prev(named("sym"))),
        2 => {
            let rows = Ex::Call(Box::new(select::call(rng, place, Function::CountRows)));
            compare(Cmp::Ge, rows, Ex::Exact(rng.within(1, 4), 0))
        }
        3 => {
            let mut sum = select::call(rng, place, Function::Sum);
            (sum.arguments, sum.filter) = (vec![Ex::Field(named(values::VOLUME))], None);
            let scale = place.ty(&Ex::Call(Box::new(sum.clone()))).and_then(Ty::exact).map_or(0, |(_, scale)| scale);
            compare(Cmp::Ge, Ex::Call(Box::new(sum)), Ex::Exact(rng.within(100, 900), scale))
        }
        _ => return select::condition(rng, place, 2),
    };
    match rng.below(5) {
        0 => Ex::And(Box::new(simple), Box::new(select::condition(rng, place, 1))),
        1 => Ex::Or(Box::new(simple), Box::new(select::condition(rng, place, 1))),
        _ => simple,
    }
}
