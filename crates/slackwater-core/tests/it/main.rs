//! The core's building blocks against big-integer oracles, and by name at their edges.

#![expect(clippy::disallowed_methods, reason = "an oracle may use what the core may not")]

mod aggregate;
mod number;
mod quarantine;
mod time;
