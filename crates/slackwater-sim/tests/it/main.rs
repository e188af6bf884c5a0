//! The engine against the oracle, and the laws that it must obey.

mod journal;
mod laws;
mod live;
mod model;
mod oracle;
mod permutation;
mod rebuild;
mod regime;
mod voyage;
mod wreck;

/// What the shipped binary has too: worlds come and go by the thousand.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
