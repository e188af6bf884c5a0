//! A data directory as commands find it: whose it is, and the configuration that made it.

use super::fold::Stop;
use crate::decode::spelling::nearest;
use crate::face::config::{self, Config};
use crate::face::home::{self, CONFIG};
use crate::face::key;
use crate::runtime::reopen::shelves;
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, BUCKET};
use slackwater_store::checkpoint::{Checkpoints, Manifest};
use slackwater_store::disk::{Disk, Folder, Onlooker};
use slackwater_store::identity::{self, Identity};
use slackwater_store::sqlite::{FILE, Sqlite};
use slackwater_store::store::{Head, Store};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// How often a directory in use is looked at before it is given up.
const LOOKS: usize = 5;

/// Locks a directory, and makes it if that is asked for.
pub(super) fn lock(data: &Path, make: bool) -> Result<Folder, Stop> {
    let name = data.display();
    if !make && !data.join(CONFIG).is_file() {
        return Err(Stop::Usage(format!(
            "--data {name}: this is no data directory of slackwater, or nothing was begun in it"
        )));
    }
    home::lock(data).map_err(Stop::Kept)
}

/// The configuration that a directory is used with. It takes no lock: the file is replaced as a whole.
pub(super) fn config(data: &Path) -> Result<Config, Stop> {
    let name = data.join(CONFIG).display().to_string();
    let text = std::fs::read_to_string(&name).map_err(|cause| {
        let text = format!(
            "--data {}: this is no data directory of slackwater, or nothing was begun in it: {CONFIG}: {cause}",
            data.display()
        );
        Stop::Usage(text)
    })?;
    config::load(&text, &name).map_err(|errors| Stop::Kept(Fault::damaged(CONFIG, 0, errors.render(false))))
}

/// The results of a directory, to be read, also beside a process that uses it: its own, and none from before what stands
/// beside them.
pub(super) fn results(data: &Path, plan: &Arc<Plan>) -> Result<Sqlite, Stop> {
    let disk: Arc<dyn Disk> = Arc::new(Onlooker::beside(data));
    let identity = Identity::read(&*disk)?;
    // Before the store is read, for a process that uses it goes on meanwhile.
    let newest = identity.as_ref().and_then(|identity| newest(&disk, identity.instance));
    let mut store = Sqlite::read(data, plan.clone())?;
    store.hold_still()?;
    if let Some(head) = store.head()? {
        let instance = identity.map(|identity| identity.instance);
        belongs(&head, instance, newest.as_ref()).map_err(|what| Stop::Kept(Fault::Refused(what)))?;
    }
    Ok(store)
}

/// The newest checkpoint that can be read; what is damaged of the others is the business of whoever looks for that.
fn newest(disk: &Arc<dyn Disk>, instance: [u8; 16]) -> Option<Manifest> {
    let checkpoints = Checkpoints::open(disk.clone(), instance).ok()?;
    checkpoints.list().ok()?.into_iter().find_map(|number| checkpoints.read(number).ok())
}

/// Whether results are those of the directory in which they lie.
pub(super) fn belongs(head: &Head, instance: Option<[u8; 16]>, newest: Option<&Manifest>) -> Result<(), String> {
    let Some(instance) = instance else {
        return Err(identity::MISSING.to_string());
    };
    if head.instance != instance {
        return Err(format!(
            "{FILE}: it is the store of another directory; put back its own, or take it away: the next start makes it anew"
        ));
    }
    // The commit that names a checkpoint comes right behind it, and may have failed.
    match newest.filter(|newest| newest.head.commit > head.commit + 1) {
        None => Ok(()),
        Some(Manifest { head: Head { checkpoint, commit, .. }, .. }) => Err(format!(
            "{FILE}: it ends with commit {}, and checkpoint {checkpoint} is of commit {commit}, so it is an older copy; the next \
             start over this directory brings it up to date",
            head.commit
        )),
    }
}

/// What was committed in a directory up to its last checkpoint: results, and the facts behind them.
pub(super) struct Committed {
    pub plan: Arc<Plan>,
    /// The results of one commit, which may be of later ticks.
    pub store: Sqlite,
    /// As the checkpoint has it.
    pub head: Head,
    pub archive: Archive,
}

/// Gives what was committed to `look`, also beside a process that uses the directory: that merges what it has from time to
/// time, and then it is looked again.
pub(super) fn committed<T>(data: &Path, look: impl Fn(Committed) -> Result<T, Stop>) -> Result<T, Stop> {
    let plan = Arc::new(config(data)?.plan);
    let gone =
        |stop: &Stop| matches!(stop, Stop::Kept(Fault::Disk { cause, .. }) if cause.kind() == ErrorKind::NotFound);
    let once = || {
        let mut store = results(data, &plan)?;
        let nothing =
            || format!("--data {}: nothing was committed in this directory yet, or no checkpoint", data.display());
        let head = store.head()?.filter(|head| head.checkpoint > 0);
        let head = head.ok_or_else(|| Stop::Kept(Fault::Refused(nothing())))?;
        let disk: Arc<dyn Disk> = Arc::new(Onlooker::beside(data));
        let manifest = Checkpoints::open(disk.clone(), head.instance)?.read(head.checkpoint)?;
        let head = manifest.head.clone();
        let archive = archive(disk, &plan, manifest)?;
        look(Committed { plan: plan.clone(), store, head, archive })
    };
    for _ in 1..LOOKS {
        match once() {
            Err(stop) if gone(&stop) => {}
            looked => return looked,
        }
    }
    once()
}

/// The archive that a checkpoint names, without what it lets go of.
fn archive(disk: Arc<dyn Disk>, plan: &Plan, manifest: Manifest) -> Result<Archive, Fault> {
    let mut archive = Archive::open(disk, shelves(plan), manifest.segments, manifest.next_segment, BUCKET)?;
    archive.see_until(manifest.head.ticks);
    archive.cut_off(&manifest.head.cutoffs);
    Ok(archive)
}

/// The pipeline of a name; without one, the only one.
pub(super) fn pipeline(plan: &Plan, name: Option<&str>) -> Result<u16, Stop> {
    let names: Vec<&str> = plan.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    match name {
        None if names.len() == 1 => Ok(0),
        None => Err(Stop::Usage(format!("name a pipeline: there are {}", names.join(", ")))),
        Some(name) => names.iter().position(|known| *known == name).map(|index| index as u16).ok_or_else(|| {
            let hint = nearest(name, names.iter().copied())
                .map_or(format!("there are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
            Stop::Usage(format!("{name}: there is no such pipeline; {hint}"))
        }),
    }
}

/// The values that a person asks for.
pub(super) fn keys(plan: &Plan, pipeline: u16, asked: &[String]) -> Result<Vec<key::Wanted>, Stop> {
    asked
        .iter()
        .map(|text| {
            let (name, value) = text.split_once('=').map_or((&**text, None), |(name, value)| (name, Some(value)));
            match key::column(plan, pipeline, name, str::to_string) {
                Ok(index) => Ok((index, value.map(String::from))),
                Err(hint) => Err(Stop::Usage(format!("--key {text}: there is no such column; {hint}"))),
            }
        })
        .collect()
}
