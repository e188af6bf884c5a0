//! How often an address may present a wrong token.

use crate::runtime::clock::Stopwatch;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// Failures that an address has at once.
const AT_ONCE: f64 = 20.0;
/// Failures that it gets back in a second.
const A_SECOND: f64 = 2.0;
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// The failures of every address.
#[derive(Debug)]
pub struct Attempts {
    watch: Stopwatch,
    /// What is left, and when that was, in seconds.
    left: Mutex<BTreeMap<IpAddr, (f64, f64)>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts { watch: Stopwatch::start(), left: Mutex::default() }
    }
}

impl Attempts {
    /// Notes a failure of an address; false when it has had too many.
    pub fn fail(&self, address: IpAddr) -> bool {
        let now = self.watch.elapsed().as_secs_f64();
        let mut all = self.left.lock().expect("nothing panics while it holds the failures");
        let refilled = |(left, at): (f64, f64)| (left + (now - at) * A_SECOND).min(AT_ONCE);
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            all.retain(|_, known| refilled(*known) < AT_ONCE);
            if all.len() >= ADDRESSES {
                return false;
            }
        }
        let left = refilled(all.get(&address).copied().unwrap_or((AT_ONCE, now)));
        all.insert(address, ((left - 1.0).max(0.0), now));
        left >= 1.0
    }
}
