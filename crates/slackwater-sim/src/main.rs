//! The binary with its crash points armed: what a test kills at a place that it names.

use clap::Parser;
use slackwater::{demo, face::cli};

fn main() -> cli::Exit {
    cli::run(cli::Cli::parse(), demo::run)
}
