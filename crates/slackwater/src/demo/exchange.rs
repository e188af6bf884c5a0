//! A simulated exchange: trades as it made them, and the hostile way in which they are delivered.
//!
//! Four venues trade twelve symbols over one session. Deliveries are late, out of order, duplicated, corrected (also in
//! time and symbol), retracted (also before the trade itself comes), in conflict, and poisonous. The exchange keeps
//! every trade's last word, from which [`super::truth`] recomputes the bars in plain integers.
//!
//! The session lies in the past, so a line says itself when it was first seen: by the clock of the session, and not by that
//! of whoever runs the demo.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Start of the session: 2026-01-05T14:30:00Z, in microseconds since the epoch.
const OPEN_US: u64 = 1_767_623_400_000_000;
const SESSION_US: u64 = 6 * 3_600 * 1_000_000 + 30 * 60 * 1_000_000;
const SECOND: u64 = 1_000_000;
/// The symbols.
pub(super) const SYMBOLS: [&str; 12] =
    ["ACME", "BOLT", "CRUX", "DUNE", "EBBS", "FLOW", "GALE", "HALO", "IRIS", "JOLT", "KELP", "LOCH"];
const VENUES: [&str; 4] = ["NORTH", "SOUTH", "EAST", "WEST"];

/// A trade as the exchange knows it. Prices and sizes count ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub ts: u64,
    pub symbol: usize,
    pub price: u64,
    pub size: u64,
}

/// What the exchange sent, in the order in which it arrived, and what it meant.
pub(super) struct Session {
    /// NDJSON.
    pub bytes: Vec<u8>,
    /// The last word on every trade by (venue, id); none where it was retracted.
    pub trades: BTreeMap<(&'static str, u64), Option<Trade>>,
    /// Lines sent.
    pub sent: u64,
    /// Lines that no reader can take.
    pub poisonous: u64,
}

/// splitmix64: small, well known, the same everywhere.
struct Random(u64);

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

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A line on its way: when it arrives, and its range in the text.
type Delivery = (u64, usize, usize);

struct Maker {
    random: Random,
    text: String,
    deliveries: Vec<Delivery>,
    poisonous: u64,
}

/// Makes a session of `count` trades.
pub(super) fn session(count: u64, seed: u64) -> Session {
    let mut maker = Maker { random: Random(seed), text: String::new(), deliveries: Vec::new(), poisonous: 0 };
    let mut trades = BTreeMap::new();
    let mut prices: Vec<u64> = SYMBOLS.iter().map(|_| 200_000 + maker.random.below(4_000_000)).collect();
    let mut ids = [0u64; VENUES.len()];
    for number in 0..count {
        let random = &mut maker.random;
        let venue = random.below(VENUES.len() as u64) as usize;
        let symbol = random.below(SYMBOLS.len() as u64).min(random.below(SYMBOLS.len() as u64)) as usize;
        prices[symbol] = (prices[symbol] + random.below(601)).saturating_sub(300).max(10_000);
        // Many trades share a microsecond, so that order among equal times is put to the test.
        let ts = OPEN_US + (u128::from(number) * u128::from(SESSION_US) / u128::from(count)) as u64 / 64 * 64;
        let trade = Trade { ts, symbol, price: prices[symbol], size: 1 + random.below(50_000_000) };
        ids[venue] += 1;
        let last = maker.life(VENUES[venue], ids[venue], trade);
        trades.insert((VENUES[venue], ids[venue]), last);
        if maker.random.one_in(200) {
            maker.poison(trade.ts);
        }
    }
    let Maker { text, mut deliveries, poisonous, .. } = maker;
    deliveries.sort_unstable();
    let mut bytes = Vec::with_capacity(text.len());
    for (_, from, to) in &deliveries {
        bytes.extend_from_slice(&text.as_bytes()[*from..*to]);
    }
    Session { bytes, trades, sent: deliveries.len() as u64, poisonous }
}

impl Maker {
    /// Sends a trade and whatever befalls it later; gives the last word on it.
    fn life(&mut self, venue: &str, id: u64, trade: Trade) -> Option<Trade> {
        let at = trade.ts + self.delay();
        self.send(at, venue, id, 1, Some(trade));
        let (mut version, mut last) = (1, Some(trade));
        if self.random.one_in(500) {
            // Two contents of one version: which one wins does not matter, for a correction follows.
            let other = Trade { price: trade.price + 1, ..trade };
            let (at, later) = (trade.ts + self.delay(), trade.ts + self.delay());
            self.send(at, venue, id, version, Some(other));
            version += 1;
            last = Some(Trade { size: trade.size + 7, ..trade });
            self.send(later, venue, id, version, last);
        }
        if self.random.one_in(100) {
            version += 1;
            let mut corrected = Trade { price: trade.price + self.random.below(5_000), ..trade };
            if self.random.one_in(4) {
                corrected.ts = corrected.ts.saturating_sub(self.random.below(180 * SECOND)).max(OPEN_US);
            }
            if self.random.one_in(8) {
                corrected.symbol = (corrected.symbol + 1) % SYMBOLS.len();
            }
            last = Some(corrected);
            let at = trade.ts + self.delay();
            self.send(at, venue, id, version, last);
        }
        if self.random.one_in(300) {
            version += 1;
            last = None;
            let at = trade.ts + self.delay();
            self.send(at, venue, id, version, last);
            if self.random.one_in(3) {
                version += 1;
                last = Some(Trade { size: trade.size + 1, ..trade });
                let at = trade.ts + self.delay();
                self.send(at, venue, id, version, last);
            }
        }
        last
    }

    /// Most lines come at once, some late, a few very late.
    fn delay(&mut self) -> u64 {
        match self.random.below(1_000) {
            0..=4 => self.random.below(3_600 * SECOND),
            5..=79 => self.random.below(8 * SECOND),
            _ => self.random.below(SECOND / 50),
        }
    }

    /// Sends a line, and one time in fifty a second time.
    fn send(&mut self, at: u64, venue: &str, id: u64, version: u64, trade: Option<Trade>) {
        let from = self.text.len();
        let numbers = |ten_thousandths: u64| format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000);
        // Writing to a String cannot fail.
        let _ = match trade {
            None => writeln!(self.text, "{{\"venue\":\"{venue}\",\"id\":{id},\"v\":{version},\"op\":\"retract\"}}"),
            Some(Trade { ts, symbol, price, size }) => {
                let (symbol, price, size) = (SYMBOLS[symbol], numbers(price), numbers(size));
                // Venues spell the same numbers in their own ways.
                let price = if venue == "SOUTH" { format!("\"{price}0\"") } else { price };
                writeln!(
                    self.text,
                    "{{\"venue\":\"{venue}\",\"id\":{id},\"v\":{version},\"ts\":{ts},\"symbol\":\"{symbol}\",\
                     \"price\":{price},\"size\":{size},\"seen\":{at}}}"
                )
            }
        };
        let to = self.text.len();
        self.deliveries.push((at, from, to));
        if self.random.one_in(50) {
            let again = at + self.random.below(60 * SECOND);
            self.deliveries.push((again, from, to));
        }
    }

    /// Sends a line that cannot be taken.
    fn poison(&mut self, ts: u64) {
        let from = self.text.len();
        let id = self.random.next() >> 20;
        let line = match self.random.below(8) {
            0 => format!("{{\"venue\":\"EAST\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"pri"),
            1 => format!(
                "{{\"venue\":\"EAST\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"price\":NaN,\"size\":1}}"
            ),
            2 => format!(
                "{{\"venue\":\"EAST\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"price\":1,\"size\":-5}}"
            ),
            3 => format!(
                "{{\"venue\":\"MOON\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"price\":1,\"size\":5}}"
            ),
            4 => format!(
                "{{\"venue\":\"EAST\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"price\":0.00001,\"size\":5}}"
            ),
            5 => format!("{{\"venue\":\"EAST\",\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"ACME\",\"size\":5}}"),
            6 => format!(
                "{{\"venue\":\"EAST\",\"id\":{id},\"id\":{id},\"v\":1,\"ts\":{ts},\"symbol\":\"A\",\"price\":1,\"size\":5}}"
            ),
            _ => "[1, 2, 3]".to_string(),
        };
        self.text.push_str(&line);
        self.text.push('\n');
        self.deliveries.push((ts, from, self.text.len()));
        self.poisonous += 1;
    }
}
