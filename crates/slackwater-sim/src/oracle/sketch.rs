//! What the approximate aggregates must give, by the words of their definitions: all registers of a HyperLogLog, and
//! the bucket of one number.

use crate::world::Datum;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// 2^14 registers.
const BITS: u32 = 14;

/// The bytes of a value: a tag, then its content; a mantissa as a length and as few bytes as it needs.
fn bytes(value: &Datum) -> Vec<u8> {
    let tagged = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
    match value {
        Datum::Bool(b) => vec![1, u8::from(*b)],
        Datum::I64(v) => tagged(2, &v.to_le_bytes()),
        Datum::U64(v) => tagged(3, &v.to_le_bytes()),
        Datum::F64(x) => tagged(4, &x.to_bits().to_le_bytes()),
        Datum::Decimal(m) if m.is_zero() => vec![5, 0],
        Datum::Decimal(m) => {
            let mantissa = m.to_signed_bytes_le();
            tagged(5, &[&[mantissa.len() as u8], &mantissa[..]].concat())
        }
        Datum::Text(text) => {
            assert!(text.len() < 128, "a length of one byte");
            tagged(6, &[&[text.len() as u8], text.as_bytes()].concat())
        }
        Datum::Time(v) => tagged(7, &v.to_le_bytes()),
        other => panic!("{other:?} is not counted"),
    }
}

/// The estimate of how many different values there are.
pub fn distinct(values: &[Datum]) -> usize {
    let mut registers = vec![0u8; 1 << BITS];
    for value in values {
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes(value));
        let register = &mut registers[(hash >> (64 - BITS)) as usize];
        let rank = (hash << BITS).leading_zeros().min(64 - BITS) + 1;
        *register = (rank as u8).max(*register);
    }
    let (all, highest) = (registers.len() as f64, 64 - BITS + 1);
    let mut held = [0u32; 65];
    registers.iter().for_each(|rank| held[usize::from(*rank)] += 1);
    let with = |rank: u32| f64::from(held[rank as usize]);
    if with(0) == all {
        return 0;
    }
    let mut z = all * tau(1.0 - with(highest) / all);
    for rank in (1..highest).rev() {
        z = 0.5 * (z + with(rank));
    }
    z += all * sigma(with(0) / all);
    (0.5 / std::f64::consts::LN_2 * all * all / z + 0.5) as usize
}

/// x + x^2 + 2 x^4 + 4 x^8 + ...
fn sigma(x: f64) -> f64 {
    let (mut power, mut weight, mut sum) = (x, 1.0, x);
    loop {
        power = power * power;
        let more = sum + power * weight;
        if more == sum {
            return sum;
        }
        (sum, weight) = (more, 2.0 * weight);
    }
}

/// (1 - x - (1 - x^(1/2))^2 / 2 - (1 - x^(1/4))^2 / 4 - ...) / 3
fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (x, 1.0, 1.0 - x);
    loop {
        root = root.sqrt();
        weight /= 2.0;
        let less = sum - (1.0 - root) * (1.0 - root) * weight;
        if less == sum {
            return sum / 3.0;
        }
        sum = less;
    }
}

/// The middle of a number's bucket: in units of the last digit of a decimal, or of 2^-1074, what the first seven bits
/// leave open.
pub fn middle(x: &BigRational, scale: Option<u32>) -> BigRational {
    let unit = match scale {
        Some(scale) => BigRational::new(BigInt::one(), BigInt::from(10).pow(scale)),
        None => BigRational::new(BigInt::one(), BigInt::one() << 1074u32),
    };
    let magnitude = (x.abs() / &unit).to_integer();
    let open = magnitude.bits().saturating_sub(7);
    let low = (&magnitude >> open) << open;
    let half = if open == 0 { BigInt::zero() } else { BigInt::one() << (open - 1) };
    let middle = BigRational::from(low + half) * unit;
    if x.is_negative() { -middle } else { middle }
}
