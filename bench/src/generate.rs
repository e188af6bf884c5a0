//! W1: trades of 1,000 symbols with a zipf skew from 4 origins over two hours of event time.
//!
//! Ids are dense per origin in event-time order. 5% come out of order by up to 8 s, 0.1% later than 10 s, and 1% are
//! delivered a second time, exactly. The same seed makes the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

const SYMBOLS: usize = 1_000;
const ORIGINS: u64 = 4;
const SPAN_US: u64 = 2 * 3_600 * 1_000_000;
const START_US: u64 = 1_767_225_600_000_000;
const SECOND: u64 = 1_000_000;

/// splitmix64: small, well known, the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// A trade, and when it is delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivery {
    at: u64,
    number: u64,
    /// Its number at its origin.
    pub id: u64,
    /// When it happened, in microseconds since the epoch.
    pub ts: u64,
    /// Which of the symbols.
    pub symbol: u16,
    /// Which of the origins.
    pub origin: u8,
    /// In ten-thousandths.
    pub price: u32,
    /// In ten-thousandths.
    pub size: u32,
}

/// Gives `trades` trades, and their second deliveries, to `put` in the order of delivery.
pub fn generate(trades: u64, mut put: impl FnMut(&Delivery) -> io::Result<()>) -> io::Result<()> {
    let mut random = Random(20_260_101);
    let weights = zipf();
    let mut prices = [0u32; SYMBOLS];
    prices.iter_mut().for_each(|price| *price = 100_000 + random.below(9_000_000) as u32);
    let mut ids = [0u64; ORIGINS as usize];
    let mut waiting: BinaryHeap<Reverse<Delivery>> = BinaryHeap::new();
    for number in 0..trades {
        let ts = START_US + (u128::from(number) * u128::from(SPAN_US) / u128::from(trades)) as u64;
        let origin = random.below(ORIGINS) as usize;
        let drawn = random.next();
        let symbol = weights.partition_point(|cumulative| *cumulative <= drawn).min(SYMBOLS - 1);
        let step = random.below(201) as i64 - 100;
        prices[symbol] = (i64::from(prices[symbol]) + step).clamp(10_000, 90_000_000) as u32;
        let delay = match random.below(1_000) {
            0 => 10 * SECOND + 1 + random.below(50 * SECOND),
            1..=50 => random.below(8 * SECOND),
            _ => 0,
        };
        let size = 1 + random.below(5_000_000) as u32;
        let price = prices[symbol];
        let id = ids[origin];
        ids[origin] += 1;
        let delivery =
            Delivery { at: ts + delay, number, id, ts, symbol: symbol as u16, origin: origin as u8, price, size };
        waiting.push(Reverse(delivery));
        if random.below(100) == 0 {
            waiting.push(Reverse(Delivery { at: delivery.at + 1 + random.below(30 * SECOND), ..delivery }));
        }
        while waiting.peek().is_some_and(|Reverse(next)| next.at < ts) {
            let Some(Reverse(next)) = waiting.pop() else { break };
            put(&next)?;
        }
    }
    while let Some(Reverse(next)) = waiting.pop() {
        put(&next)?;
    }
    Ok(())
}

/// Cumulative zipf weights with exponent 1, scaled to u64.
fn zipf() -> Vec<u64> {
    let total: f64 = (1..=SYMBOLS).map(|rank| 1.0 / rank as f64).sum();
    let mut sum = 0.0;
    (1..=SYMBOLS)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            (sum / total * u64::MAX as f64) as u64
        })
        .collect()
}
