//! `slackwater source`: the sources of a running service, and one that is halted taken up again.

use super::check::print;
use super::fold::Stop;
use super::{Exit, SourceListArgs, SourceResumeArgs, remote};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn list(args: &SourceListArgs) -> Exit {
    let status = match remote::json(&remote::server(&args.at.url()), "/v1/status") {
        Ok(status) => status,
        Err(stop) => return stop.report(),
    };
    let mut out = String::new();
    for source in status["sources"].as_array().into_iter().flatten() {
        let _ = match args.json {
            true => writeln!(out, "{source}"),
            false => writeln!(
                out,
                "{}: {}, received {}{}",
                source["name"].as_str().unwrap_or_default(),
                source["kind"].as_str().unwrap_or_default(),
                source["counts"]["received"],
                if source["halted"] == json!(true) { ", halted" } else { "" }
            ),
        };
    }
    print(&out)
}

pub(super) fn resume(args: &SourceResumeArgs) -> Exit {
    match resumed(args) {
        Ok(answer) if args.json => print(&format!("{answer}\n")),
        Ok(_) => print(&format!("{} takes events in\n", args.source)),
        Err(stop) => stop.report(),
    }
}

fn resumed(args: &SourceResumeArgs) -> Result<Value, Stop> {
    let mut path = String::from("/v1/sources/");
    remote::encode(&args.source, &mut path);
    path.push_str("/resume");
    let server = remote::server(&args.at.url());
    let answered = server.post(&path, None, "application/json", b"").map_err(Stop::Network)?;
    let answered = remote::sound(&server, answered)?;
    serde_json::from_str(&answered.text).map_err(|_| Stop::Network(format!("{}: this is no slackwater", server.url)))
}
