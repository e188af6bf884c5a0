//! `slackwater checkpoint`: what a restart could go back to.

use super::check::print;
use super::fold::Stop;
use super::scrub::{Part, Scrub};
use super::{CheckpointArgs, Exit, directory};
use crate::face::home;
use crate::runtime::reopen::shelves;
use serde_json::json;
use slackwater_core::plan::Plan;
use slackwater_core::time::format_rfc3339;
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, BUCKET};
use slackwater_store::checkpoint::{Checkpoints, Manifest};
use slackwater_store::disk::{Disk, Onlooker};
use slackwater_store::identity::{self, Identity};
use slackwater_store::index::Index;
use slackwater_store::sqlite;
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) fn run(args: &CheckpointArgs, verify: bool) -> Exit {
    let (found, parts) = match look(args, verify) {
        Ok(found) => found,
        Err(stop) => return stop.report(),
    };
    let damaged = found.iter().any(|(_, manifest)| manifest.is_err()) || !parts.iter().all(Part::is_sound);
    let mut text = String::new();
    for (number, manifest) in &found {
        text.push_str(&if args.json { line_json(*number, manifest, verify) } else { line(*number, manifest, verify) });
    }
    if found.is_empty() && !args.json {
        text.push_str("there is no checkpoint yet\n");
    }
    parts.iter().for_each(|part| text.push_str(&if args.json { part.json() } else { part.lines() }));
    match print(&text) {
        Exit::Done if damaged => Exit::Data,
        exit => exit,
    }
}

type Looked = Vec<(u64, Result<Manifest, Fault>)>;

/// The checkpoints, also beside a process that uses the directory; and, if that is asked for, everything else that is kept.
fn look(args: &CheckpointArgs, verify: bool) -> Result<(Looked, Vec<Part>), Stop> {
    let plan = Arc::new(directory::config(&args.data)?.plan);
    let disk: Arc<dyn Disk> = match verify {
        true => Arc::new(home::look(&args.data)?),
        false => Arc::new(Onlooker::beside(&args.data)),
    };
    let Some(identity) = Identity::read(&*disk)? else {
        // The first start may have ended before it wrote anything.
        let used = args.data.join(sqlite::FILE).is_file() || !disk.list("checkpoint").unwrap_or_default().is_empty();
        let missing = || Stop::Kept(Fault::Refused(identity::MISSING.to_string()));
        return if used { Err(missing()) } else { Ok((Vec::new(), Vec::new())) };
    };
    let checkpoints = Checkpoints::open(disk.clone(), identity.instance)?;
    let numbers = checkpoints.list()?;
    let read = |number: &u64| match verify {
        true => whole(&checkpoints, &disk, &plan, *number),
        false => checkpoints.read(*number),
    };
    let mut found: Looked = numbers.iter().map(|number| (*number, read(number))).collect();
    if !verify {
        // A process that uses the directory may have cast one off meanwhile.
        let left = checkpoints.list()?;
        found.retain(|(number, manifest)| manifest.is_ok() || left.contains(number));
        return Ok((found, Vec::new()));
    }
    let sound: Vec<&Manifest> = found.iter().filter_map(|(_, manifest)| manifest.as_ref().ok()).collect();
    let all_sound = sound.len() == found.len();
    let scrub = Scrub { data: &args.data, disk: &disk, plan: &plan, instance: identity.instance, sound, all_sound };
    let parts = scrub.parts()?;
    Ok((found, parts))
}

/// A checkpoint, when it and all that it names is sound.
fn whole(checkpoints: &Checkpoints, disk: &Arc<dyn Disk>, plan: &Plan, number: u64) -> Result<Manifest, Fault> {
    let manifest = checkpoints.verify(number)?;
    Index::open(disk.clone(), &manifest.runs, manifest.next_run)?.scrub()?;
    let segments = manifest.segments.clone();
    Archive::open(disk.clone(), shelves(plan), segments, manifest.next_segment, BUCKET)?.scrub()?;
    Ok(manifest)
}

fn line(number: u64, manifest: &Result<Manifest, Fault>, verified: bool) -> String {
    let mut text = format!("checkpoint {number}: ");
    // Writing to a String cannot fail.
    let _ = match manifest {
        Ok(Manifest { head, chunks, runs, segments, .. }) => {
            let bytes: u64 = chunks.iter().map(|chunk| chunk.bytes).sum();
            write!(
                text,
                "commit {}, journal up to {}, ticks {} (last {}), {} chunks of state in {bytes} bytes, {} identity runs, \
                 {} archive segments{}",
                head.commit,
                head.journal,
                head.ticks,
                time(head.ticked),
                chunks.len(),
                runs.len(),
                segments.len(),
                if verified { "; sound" } else { "" }
            )
        }
        Err(fault) => write!(text, "cannot be used: {fault}"),
    };
    text + "\n"
}

fn line_json(number: u64, manifest: &Result<Manifest, Fault>, verified: bool) -> String {
    let value = match manifest {
        Ok(Manifest { head, chunks, runs, segments, .. }) => json!({
            "checkpoint": number, "sound": verified.then_some(true), "commit": head.commit, "journal": head.journal,
            "ticks": head.ticks, "ticked": head.ticked.map(|at| time(Some(at))), "chunks": chunks.len(),
            "state_bytes": chunks.iter().map(|chunk| chunk.bytes).sum::<u64>(), "runs": runs.len(),
            "segments": segments.len(),
        }),
        Err(fault) => json!({ "checkpoint": number, "sound": false, "fault": fault.to_string() }),
    };
    format!("{value}\n")
}

fn time(at: Option<i64>) -> String {
    let mut text = String::new();
    match at.map(|at| format_rfc3339(at, &mut text)) {
        Some(_) => text,
        None => "none".to_string(),
    }
}
