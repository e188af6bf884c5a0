//! `slackwater config`, and how every command loads its configuration.

use super::{ConfigArgs, Exit, tell};
use crate::face::config::{self, Config};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// Reads and checks a configuration; says on standard error what is wrong with it.
pub(super) fn load(path: &Path) -> Result<Config, Exit> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        tell(&format!("error: {name}: the configuration cannot be read: {error}; name a TOML file with -c FILE\n"));
        Exit::Config
    })?;
    config::load(&text, &name).map_err(|errors| {
        tell(&format!("{}\n", errors.render(std::io::stderr().is_terminal())));
        Exit::Config
    })
}

pub(super) fn check(args: &ConfigArgs) -> Exit {
    match load(&args.config) {
        Err(exit) => exit,
        Ok(config) => {
            let plan = &config.plan;
            let (sources, pipelines) = (plan.sources.len(), plan.pipelines.len());
            let fingerprint = crate::connect::files::render::hex(&plan.fingerprint());
            print(&if args.json {
                format!("{{\"ok\":true,\"sources\":{sources},\"pipelines\":{pipelines},\"plan\":\"{fingerprint}\"}}\n")
            } else {
                format!("ok: sources {sources}, pipelines {pipelines}, plan {fingerprint}\n")
            })
        }
    }
}

pub(super) fn schema(args: &ConfigArgs) -> Exit {
    match load(&args.config) {
        Err(exit) => exit,
        Ok(config) => print(&if args.json {
            format!("{:#}\n", config::schema_json(&config))
        } else {
            config::schema_text(&config)
        }),
    }
}

/// Writes to standard output; a closed pipe is an exit code, and wants no more words.
pub(super) fn print(text: &str) -> Exit {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Output,
        Err(error) => {
            tell(&format!("error: standard output: {error}; write elsewhere, or free some space\n"));
            Exit::Output
        }
    }
}
