//! What of a data directory is sound beside its checkpoints: every file that is kept, and what damage of it makes impossible.

use super::directory;
use crate::runtime::reopen::shelves;
use serde_json::{Value, json};
use slackwater_core::plan::Plan;
use slackwater_store::Fault;
use slackwater_store::archive::{Archive, BUCKET};
use slackwater_store::castoff::{self, Castoffs};
use slackwater_store::catalog::{self, Catalog};
use slackwater_store::checkpoint::Manifest;
use slackwater_store::disk::Disk;
use slackwater_store::journal::{Journal, Survey};
use slackwater_store::sqlite::{self, Sqlite};
use slackwater_store::store::{Head, Store};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What is named by nothing that is kept. It is told, and not looked at.
const OTHERS: &str = "others";
/// What damage means that its digests or its neighbours undo.
const KNOWN: &str = "what stood there is known, and nothing is lost";

/// What was looked at, and what was found of it.
pub(super) struct Part {
    name: &'static str,
    /// What there is of it.
    holds: String,
    /// Each damage, and what it makes impossible.
    faults: Vec<(String, String)>,
}

impl Part {
    /// Whether nothing of it is damaged.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// In words, a line for each damage.
    pub fn lines(&self) -> String {
        let Part { name, holds, faults } = self;
        match &faults[..] {
            [] if *name == OTHERS => format!("{name}: {holds}\n"),
            [] => format!("{name}: {holds}; sound\n"),
            faults => faults.iter().map(|(fault, means)| format!("{name}: {fault}: {means}\n")).collect(),
        }
    }

    /// As JSON, a line for each damage.
    pub fn json(&self) -> String {
        let Part { name, holds, faults } = self;
        let line = |value: Value| format!("{value}\n");
        match &faults[..] {
            [] if *name == OTHERS => line(json!({ "part": name, "holds": holds })),
            [] => line(json!({ "part": name, "sound": true, "holds": holds })),
            faults => {
                let one = |(fault, means): &(String, String)| {
                    line(json!({ "part": name, "sound": false, "fault": fault, "means": means }))
                };
                faults.iter().map(one).collect()
            }
        }
    }
}

/// A directory that nobody uses meanwhile, and its sound checkpoints, newest first.
pub(super) struct Scrub<'a> {
    pub data: &'a Path,
    pub disk: &'a Arc<dyn Disk>,
    pub plan: &'a Arc<Plan>,
    pub instance: [u8; 16],
    pub sound: Vec<&'a Manifest>,
    /// Whether all checkpoints that are there are.
    pub all_sound: bool,
}

impl Scrub<'_> {
    /// Looks at everything but the checkpoints.
    ///
    /// # Errors
    /// Where a folder cannot be listed.
    pub fn parts(&self) -> Result<Vec<Part>, Fault> {
        let (store, head) = self.store();
        let ahead = self.sound.iter().map(|manifest| manifest.head.journal);
        let committed = head.iter().map(|head| head.journal).chain(ahead).max().unwrap_or(0);
        let covered = match &head {
            Some(head) => self.sound.iter().filter(|manifest| manifest.counts_in(head)).map(|m| m.head.journal).max(),
            None => None,
        };
        let survey = Journal::survey(&**self.disk, &self.instance, committed)?;
        let catalog = Catalog::read(&**self.disk, self.instance);
        let mut parts = vec![store, record(&survey), journal(&survey, covered.unwrap_or(0))];
        parts.push(self.catalog(&catalog, survey.reduced));
        parts.push(self.aside(survey.reduced)?);
        let unneeded = self.unneeded(catalog.ok().flatten().as_ref())?;
        if !unneeded.is_empty() {
            let holds =
                format!("nothing that can be read names {}: not needed, and not looked at", unneeded.join(", "));
            parts.push(Part { name: OTHERS, holds, faults: Vec::new() });
        }
        Ok(parts)
    }

    /// The store, with every row held against the sums of the last commit.
    fn store(&self) -> (Part, Option<Head>) {
        let look = || {
            let mut store = Sqlite::read(self.data, self.plan.clone())?;
            store.check()?;
            store.head()
        };
        let name = sqlite::FILE;
        let newest = self.sound.iter().copied().max_by_key(|manifest| manifest.head.checkpoint);
        match look() {
            Ok(head) => {
                let stray = head.as_ref().and_then(|head| directory::belongs(head, Some(self.instance), newest).err());
                let means = "until then, no results can be asked for";
                let holds =
                    head.as_ref().map_or(String::from("no commit yet"), |head| format!("commit {}", head.commit));
                let faults = stray.map(|what| (what, means.to_string())).into_iter().collect();
                (Part { name, holds, faults }, head)
            }
            Err(fault) => {
                let means =
                    "results cannot be asked for; the next start makes it anew, if journal and record are sound";
                (Part { name, holds: String::new(), faults: vec![(fault.to_string(), means.to_string())] }, None)
            }
        }
    }

    /// The catalog, and the segments of the archive that it names.
    fn catalog(&self, catalog: &Result<Option<Catalog>, Fault>, reduced: u64) -> Part {
        let name = catalog::NAME;
        let (holds, found) = match catalog {
            Ok(None) if reduced == 0 => (String::from("there is none, and none is needed"), Ok(())),
            Ok(None) => (String::new(), Err(Fault::damaged(name, 0, "it is missing"))),
            Ok(Some(Catalog { archived, segments, next, .. })) => {
                let open = Archive::open(self.disk.clone(), shelves(self.plan), segments.clone(), *next, BUCKET);
                let holds = format!("{} archive segments up to tick {}", segments.len(), archived.tick);
                (holds, open.and_then(|archive| archive.scrub()))
            }
            Err(fault) => (String::new(), Err(Fault::Refused(fault.to_string()))),
        };
        let means = match reduced {
            0 => String::from("no event bytes are gone, so nothing needs it; the next checkpoint writes it anew"),
            _ => format!(
                "events up to entry {reduced}, whose bytes are gone, cannot be told again: store and checkpoints must not \
                 be lost"
            ),
        };
        Part { name, holds, faults: found.err().map(|fault| (fault.to_string(), means)).into_iter().collect() }
    }

    /// What was set aside, beside the record.
    fn aside(&self, reduced: u64) -> Result<Part, Fault> {
        let scrubbed = Castoffs::open(self.disk.clone(), self.instance)?.scrub();
        let means = match reduced {
            0 => "no event bytes are gone, so journal and record have them too".to_string(),
            _ => "a rebuild cannot tell them again: store and checkpoints must not be lost".to_string(),
        };
        let holds = format!("{} events that were set aside", scrubbed.as_ref().copied().unwrap_or(0));
        let faults = scrubbed.err().map(|fault| (fault.to_string(), means)).into_iter().collect();
        Ok(Part { name: castoff::FOLDER, holds, faults })
    }

    /// Files that no sound checkpoint names, nor the catalog. A damaged one may.
    fn unneeded(&self, catalog: Option<&Catalog>) -> Result<Vec<String>, Fault> {
        let mut named = BTreeSet::new();
        for manifest in &self.sound {
            named.extend(manifest.chunks.iter().map(|chunk| chunk.name()));
            named.extend(manifest.runs.iter().map(|run| run.name()));
            named.extend(manifest.segments.iter().map(|segment| segment.name()));
        }
        named.extend(catalog.iter().flat_map(|catalog| &catalog.segments).map(|segment| segment.name()));
        let mut unneeded = Vec::new();
        for folder in ["archive", "checkpoint", "index", "journal", ""] {
            let names = self.disk.list(folder).map_err(|cause| Fault::disk(folder, "list", cause))?;
            for file in names {
                let name = if folder.is_empty() { file } else { format!("{folder}/{file}") };
                let kept_aside = name.ends_with(".damaged");
                let one_of_many = [".chunk", ".run", ".parquet"].iter().any(|ending| name.ends_with(ending));
                if kept_aside || (self.all_sound && one_of_many && !named.contains(&name)) {
                    unneeded.push(name);
                }
            }
        }
        Ok(unneeded)
    }
}

fn record(survey: &Survey) -> Part {
    let means = "no state needs it, and not everything can be made again: store and checkpoints must not be lost";
    let needed = survey.record.iter().map(|fault| (fault.to_string(), means.to_string()));
    let known = survey.worn.iter().map(|fault| (fault.to_string(), KNOWN.to_string()));
    Part { name: "record", holds: format!("{} files", survey.files.0), faults: needed.chain(known).collect() }
}

/// `covered` is the last entry that a sound checkpoint covers.
fn journal(survey: &Survey, covered: u64) -> Part {
    let gaps = survey.gaps.iter().map(|gap| {
        let means = match gap.entries {
            Some((_, last)) if last > covered => {
                "they are needed, and the directory cannot be opened: put the file back from a copy"
            }
            Some(_) => {
                "no state needs them, and not everything can be made again: store and checkpoints must not be lost"
            }
            None => KNOWN,
        };
        (gap.fault().to_string(), means.to_string())
    });
    let means = "the directory cannot be opened: put the file back from a copy";
    let broken = survey.broken.iter().map(|fault| (fault.to_string(), means.to_string()));
    let holds = format!("{} segments up to entry {}", survey.files.1, survey.last);
    Part { name: "journal", holds, faults: gaps.chain(broken).collect() }
}
