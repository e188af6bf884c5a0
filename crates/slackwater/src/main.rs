//! The one binary.

use clap::Parser;
use slackwater::decode::parquet;
use slackwater::{demo, face::cli};
use std::panic;

/// Batches are large and short-lived; an allocator that keeps their pages saves the kernel from clearing them again.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> cli::Exit {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !parquet::is_guarded() {
            report(info);
        }
    }));
    cli::run(cli::Cli::parse(), demo::run)
}
