//! The one binary.

use clap::Parser;
use slackwater::{demo, face::cli};

fn main() -> cli::Exit {
    cli::run(cli::Cli::parse(), demo::run)
}
