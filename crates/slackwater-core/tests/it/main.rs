//! The core's building blocks against big-integer oracles, and by name at their edges.

mod number;
mod time;
