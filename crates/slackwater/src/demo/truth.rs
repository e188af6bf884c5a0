//! The bars as the exchange itself computes them: plain integers over the last word on every trade.
//!
//! Nothing of the engine is used. Quotients are rounded to doubles, half to even, by long division of integers.

use super::exchange::{SYMBOLS, Trade};
use std::collections::BTreeMap;

const MINUTE_US: u64 = 60_000_000;

/// A one-minute bar. Prices and volume count ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    pub open: u64,
    pub high: u64,
    pub low: u64,
    pub close: u64,
    pub volume: u128,
    pub vwap: f64,
    pub variance: f64,
    pub trades: u64,
}

/// Bars by start of the minute, in microseconds, and symbol.
pub(super) type Bars = BTreeMap<(u64, &'static str), Bar>;

/// A trade with its place in canonical order: event time, event id, origin.
type Placed<'a> = (u64, u64, &'a str, Trade);

/// Recomputes every bar.
pub(super) fn bars(trades: &BTreeMap<(&'static str, u64), Option<Trade>>) -> Bars {
    let mut windows: BTreeMap<(u64, &'static str), Vec<Placed<'_>>> = BTreeMap::new();
    for ((venue, id), trade) in trades {
        if let Some(trade) = trade {
            let minute = trade.ts / MINUTE_US * MINUTE_US;
            windows.entry((minute, SYMBOLS[trade.symbol])).or_default().push((trade.ts, *id, venue, *trade));
        }
    }
    windows.into_iter().map(|(window, trades)| (window, bar(trades))).collect()
}

fn bar(mut trades: Vec<Placed<'_>>) -> Bar {
    trades.sort_by_key(|(ts, id, venue, _)| (*ts, *id, *venue));
    let prices: Vec<u128> = trades.iter().map(|(.., trade)| u128::from(trade.price)).collect();
    let sizes: Vec<u128> = trades.iter().map(|(.., trade)| u128::from(trade.size)).collect();
    let n = prices.len() as u128;
    let volume: u128 = sizes.iter().sum();
    let value: u128 = prices.iter().zip(&sizes).map(|(price, size)| price * size).sum();
    let sum: u128 = prices.iter().sum();
    let squares: u128 = prices.iter().map(|price| price * price).sum();
    Bar {
        open: prices[0] as u64,
        high: prices.iter().max().copied().unwrap_or(0) as u64,
        low: prices.iter().min().copied().unwrap_or(0) as u64,
        close: prices[prices.len() - 1] as u64,
        volume,
        vwap: quotient(value, volume * 10_000),
        variance: quotient(n * squares - sum * sum, n * n * 100_000_000),
        trades: n as u64,
    }
}

/// a / b as the nearest double, ties to even. Digit by binary digit: slow, and plain to see.
fn quotient(a: u128, b: u128) -> f64 {
    if a == 0 {
        return 0.0;
    }
    // Bring a / 2^shift / b into [1, 2).
    let mut shift = a.ilog2() as i32 - b.ilog2() as i32;
    let scaled = |shift: i32| if shift >= 0 { (a, b << shift) } else { (a << -shift, b) };
    if scaled(shift).0 < scaled(shift).1 {
        shift -= 1;
    }
    let (mut rest, divisor) = scaled(shift);
    let mut digits: u64 = 0;
    for _ in 0..53 {
        digits <<= 1;
        if rest >= divisor {
            rest -= divisor;
            digits |= 1;
        }
        rest <<= 1;
    }
    // What is left decides: more than half a digit up, exactly half to even.
    if rest > divisor || (rest == divisor && digits & 1 == 1) {
        digits += 1;
    }
    digits as f64 * 2f64.powi(shift - 52)
}
