//! The one binary.

use clap::Parser;
use slackwater::{demo, face::cli};

/// Batches are large and short-lived; an allocator that keeps their pages saves the kernel from clearing them again.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> cli::Exit {
    cli::run(cli::Cli::parse(), demo::run)
}
