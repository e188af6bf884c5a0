//! Values of every type: small ones that meet again, and those at the limits.

use crate::rng::Rng;
use crate::world::{Datum, Field, Ty};
use num_bigint::BigInt;

/// Texts that spellings trip over. None is empty and none holds a NUL.
const TEXTS: [&str; 14] = [
    "a",
    "b",
    "ab",
    "BTC-USD",
    "naïve",
    "日本",
    "🌊🌊",
    "x,y",
    "say \"hi\"",
    "line\nbreak",
    "tab\tand\\slash",
    " lead",
    "null",
    "\u{fffd}\u{10ffff}",
];

const FLOATS: [f64; 16] = [
    0.0,
    1.0,
    -1.0,
    0.1,
    1.0 / 3.0,
    1e16,
    -1e16,
    1.5e308,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    1e-200,
    2.5,
    123456.789,
];

/// The field that measures bars, and the one that it is multiplied with. Both have values that fill few bars or some
/// hundreds, never more.
pub const VOLUME: &str = "vol";
/// See [`VOLUME`].
pub const RATE: &str = "rate";

/// A text from a few.
pub fn text(rng: &mut Rng, most: usize) -> String {
    TEXTS[rng.below(TEXTS.len().min(most))].to_string()
}

/// A value of a field, null now and then where it may be. `csv` knows no empty text.
pub fn value(rng: &mut Rng, field: &Field, csv: bool) -> Datum {
    if field.nullable && rng.chance(20) {
        return Datum::Null;
    }
    match field.ty {
        Ty::Decimal(..) if field.name == VOLUME => Datum::Decimal(BigInt::from(volume(rng))),
        Ty::Decimal(..) if field.name == RATE => Datum::Decimal(BigInt::from(rate(rng))),
        Ty::Decimal(precision, _) => Datum::Decimal(decimal(rng, precision)),
        Ty::F64 => Datum::F64(float(rng)),
        Ty::U64 => Datum::U64(match rng.below(10) {
            0 => u64::MAX - rng.below(2) as u64,
            1 => rng.bits(),
            _ => rng.below(6) as u64,
        }),
        Ty::I64 => Datum::I64(match rng.below(10) {
            0 => *rng.pick(&[i64::MIN, i64::MAX, i64::MIN + 1]),
            1 => rng.bits() as i64,
            _ => rng.within(-4, 4),
        }),
        Ty::Bool => Datum::Bool(rng.chance(50)),
        Ty::Text if !csv && rng.chance(8) => Datum::Text(String::new()),
        Ty::Text => Datum::Text(text(rng, TEXTS.len())),
        Ty::Time => Datum::Time(time(rng)),
        Ty::Array(_) => unreachable!("no field is an array"),
    }
}

fn time(rng: &mut Rng) -> i64 {
    match rng.below(8) {
        0 => *rng.pick(&[i64::MIN, i64::MAX, 0, -1]),
        1 => rng.bits() as i64,
        _ => 1_700_000_000_000_000_000 + rng.within(0, 5) * 1_000_000_000,
    }
}

fn float(rng: &mut Rng) -> f64 {
    match rng.below(10) {
        0..4 => *rng.pick(&FLOATS),
        4..8 => rng.within(-1_000_000, 1_000_000) as f64 / 1000.0,
        8 => rng.within(-9, 9) as f64 * 2f64.powi(rng.within(-60, 60) as i32),
        _ => {
            let x = f64::from_bits(rng.bits());
            // A zero that comes in has no sign.
            if x.is_finite() { x + 0.0 } else { 7.25 }
        }
    }
}

fn decimal(rng: &mut Rng, precision: u32) -> BigInt {
    let most = BigInt::from(10).pow(precision) - 1;
    match rng.below(12) {
        0 => most,
        1 => -most,
        2 => BigInt::from(rng.bits() as i64) * BigInt::from(rng.bits()) % (most + 1),
        3 => BigInt::from(0),
        4..8 => BigInt::from(rng.within(-99, 999)) % (most + 1),
        _ => BigInt::from(rng.within(1, 1_000_000)) % (most + 1),
    }
}

fn volume(rng: &mut Rng) -> i64 {
    match rng.below(300) {
        0..6 => rng.within(-50, -1),
        6..36 => 0,
        36..66 => 100 * rng.within(1, 20),
        66..80 => rng.within(400, 5_000),
        80 => 90_000,
        _ => rng.within(1, 400),
    }
}

fn rate(rng: &mut Rng) -> i64 {
    match rng.below(60) {
        0 => rng.within(-50, -1),
        1..4 => 0,
        4..12 => *rng.pick(&[100, 250, 1_000]),
        _ => rng.within(1, 1_000),
    }
}
