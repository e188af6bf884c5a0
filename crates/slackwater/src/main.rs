//! The one binary.

use clap::Parser;
use rustix::process::Signal;
use slackwater::decode::parquet;
use slackwater::{demo, face::cli};
use std::panic;
use tokio::signal::unix::{SignalKind, signal};

/// Batches are large and short-lived; an allocator that keeps their pages saves the kernel from clearing them again.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A file that has reached the limit of the user's (`ulimit -f`) then fails to grow, like one on a full disk, and does not end
/// the process: a signal that is heard, by whomever, does nothing else for as long as that lives.
fn outlive_the_limit_of_files() {
    let heard = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .and_then(|runtime| runtime.block_on(async { signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop) }));
    // Where no signal can be heard, that limit ends the process, and nothing that is kept is harmed.
    drop(heard);
}

fn main() -> cli::Exit {
    outlive_the_limit_of_files();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !parquet::is_guarded() {
            report(info);
        }
    }));
    cli::run(cli::Cli::parse(), demo::run)
}
