//! HTTP/1.1 as a server speaks it to whoever may be hostile, and as a command asks a server.
//!
//! Every wait has an end and every buffer a bound: how long a head may take and how large it may be, how long a body may
//! pause, what it may unpack to, and how many connections there are. What is said over it is the face's business.

pub mod attempts;
pub mod body;
pub mod client;
pub mod guard;
pub mod listener;
mod paced;
pub mod tls;
pub mod tokens;
pub mod unpack;

use std::time::Duration;

/// What requests may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it is sent.
    pub body_bytes: usize,
    /// Bytes of a body when it is unpacked.
    pub decoded_bytes: usize,
    /// Bytes of all bodies that are held at once.
    pub held_bytes: usize,
    /// Events of one body.
    pub batch_events: usize,
    /// Time from the first byte of a head to its last; of a new connection, from its beginning.
    pub header: Duration,
    /// Time that a body, or the reader of an answer, may pause.
    pub idle: Duration,
    /// Bytes a second that a body must come with, on the whole, once `grace` is over.
    pub rate: usize,
    /// Time for which a body may come as slowly as it likes.
    pub grace: Duration,
    /// Time from the end of a head to the answer.
    pub request: Duration,
    /// Time from an answer to the next head.
    pub keep_alive: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Streams at once.
    pub subscribers: usize,
}

impl Limits {
    /// Bytes of a head.
    pub const HEAD_BYTES: usize = 16 << 10;
    /// Lines of a head.
    pub const HEADERS: usize = 100;
    /// How many times as large a body may become when it is unpacked.
    pub const RATIO: usize = 100;
    /// How long what is left of a body may be waited for when so many bytes of it came in a time, without a pause.
    fn patience(&self, wire: usize, elapsed: Duration) -> Duration {
        let earned = Duration::from_nanos((wire as u64).saturating_mul(1_000_000_000) / self.rate.max(1) as u64);
        (self.grace + earned).saturating_sub(elapsed)
    }

    /// Largest window that a packed body may ask for, as a power of two: 8 MiB.
    pub const WINDOW_LOG: u32 = 23;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 8 << 20,
            decoded_bytes: 64 << 20,
            held_bytes: 256 << 20,
            batch_events: 100_000,
            header: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            rate: 1 << 10,
            grace: Duration::from_secs(5),
            request: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
            connections: 4096,
            connections_per_address: 2048,
            subscribers: 2048,
        }
    }
}
