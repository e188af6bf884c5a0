//! When, and how much at once: the core's stages as parts that never block, joined by bounded queues.
//!
//! Each part is a state machine, `poll() -> progress`. Threads are one driver of them; a simulator's scheduler is another.
//! Nothing here decides a result: any arrangement of parts, threads and queue sizes gives the same bits.

pub mod arrived;
mod barrier;
pub mod board;
pub mod clock;
mod cutting;
pub mod deliver;
pub mod desk;
pub mod engine;
pub mod gauge;
mod ingest;
pub mod instance;
pub mod keeping;
mod link;
pub mod orders;
mod part;
mod pulse;
mod recall;
mod receipts;
pub mod recompute;
mod recording;
pub mod reopen;
pub mod replay;
pub mod restraint;
mod retention;
mod retold;
pub mod retrial;
pub mod service;
mod shard;
mod syncer;
mod tale;

pub use ingest::Feed;
