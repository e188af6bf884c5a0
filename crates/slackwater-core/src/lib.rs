//! What is true.
//!
//! The pure core of slackwater: it turns decoded events into windowed aggregates and knows no clock, no file, no thread
//! and no randomness. Equal inputs give equal bits, on any machine, in any order that the meaning of the facts allows.
#![no_std]

extern crate alloc;

pub mod aggregate;
pub mod builder;
pub mod codec;
pub mod columns;
pub mod cutoff;
pub mod delta;
mod dense;
pub mod fold;
pub mod hold;
pub mod input;
pub mod judge;
pub mod lateness;
pub mod limits;
pub mod machine;
pub mod memory;
mod names;
pub mod number;
pub mod plan;
pub mod planted;
pub mod poison;
pub mod quarantine;
pub mod row;
pub mod schema;
pub mod staleness;
pub mod table;
pub mod time;
pub mod value;
pub mod watermark;
pub mod window;
