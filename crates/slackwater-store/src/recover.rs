//! Recovery as a verdict: from what was found on the disk to where to go on, without touching anything.

use crate::Fault;
use crate::checkpoint::Manifest;
use crate::store::Head;

/// What was found in a data directory.
#[derive(Debug)]
pub struct Found {
    /// The last commit of the store; none where there is no store, or it is empty.
    pub head: Option<Head>,
    /// Why the store cannot be used, where it cannot.
    pub store_damage: Option<String>,
    /// The manifests that are sound with all that they name, newest first.
    pub manifests: Vec<Manifest>,
    /// The manifests that are not, and why.
    pub damaged: Vec<(u64, String)>,
    /// The last entry of the journal; 0 if there is none.
    pub last: u64,
    /// The last one whose event bytes need not be there any more; 0 if all are.
    pub reduced: u64,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was ever kept here.
    Begin,
    /// From a checkpoint, or from the first entry, over what the journal and the record have behind it.
    Resume {
        /// The checkpoint.
        from: Option<Box<Manifest>>,
        /// Whether the store is to be made anew from all inputs.
        rebuild: bool,
        /// What a person should know.
        notes: Vec<String>,
    },
}

/// Says where to go on. `lacking` is asked where event bytes that are gone would be needed: why the archive, and what was set
/// aside beside the record, cannot stand in for them, if they cannot. `broken` is asked of manifests, from the newest on, until
/// one is not: why something that it names of archive and index cannot be used.
///
/// # Errors
/// When what is kept contradicts itself: going on would lose something, or count something twice.
pub fn verdict(
    found: Found,
    lacking: &dyn Fn() -> Option<String>,
    broken: &dyn Fn(&Manifest) -> Result<Option<String>, Fault>,
    ticked: &dyn Fn(u64, u64) -> Result<bool, Fault>,
) -> Result<Verdict, Fault> {
    let Found { head, store_damage, manifests, damaged, last, reduced } = found;
    let mut notes: Vec<String> =
        damaged.iter().map(|(number, why)| format!("checkpoint {number} is passed over: {why}")).collect();
    let ahead = manifests.iter().map(|manifest| manifest.head.journal).max().unwrap_or(0);
    let known = head.as_ref().map_or(0, |head| head.journal).max(ahead);
    if known > last {
        return Err(Fault::Refused(format!(
            "the journal ends with entry {last}, and entry {known} was committed: the journal is older than the rest of \
             the directory, or a part of it is missing; put back the whole directory from one copy"
        )));
    }
    // Known before anything is touched, for what is left may still be needed by whoever mends it.
    let all_again = |why: &str| match (reduced > 0).then(lacking).flatten() {
        None => Ok(()),
        Some(lacking) => Err(Fault::Refused(format!(
            "{why}, the bytes of events up to entry {reduced} were not kept (`keep_raw`), and the archive cannot tell them \
             ({lacking}), so not everything can be made again; put back the store and the checkpoints of this directory"
        ))),
    };
    if let Some(why) = store_damage {
        all_again(&why)?;
        notes.push(format!("the store of results is made anew from all inputs: {why}"));
        return Ok(Verdict::Resume { from: None, rebuild: true, notes });
    }
    let Some(head) = head else {
        if manifests.is_empty() && damaged.is_empty() && last == 0 {
            return Ok(Verdict::Begin);
        }
        all_again("there is no store of results")?;
        if !manifests.is_empty() {
            notes.push("there is no store of results; it is made anew from all inputs".to_string());
        }
        return Ok(Verdict::Resume { from: None, rebuild: true, notes });
    };
    // Where event bytes are gone, only whole ticks can be told.
    let goes_on = |manifest: &Manifest| manifest.ticked >= reduced || manifest.is_at_tick();
    let mut from = None;
    for manifest in manifests.into_iter().filter(|manifest| manifest.counts_in(&head) && goes_on(manifest)) {
        let Some(why) = broken(&manifest)? else {
            from = Some(manifest);
            break;
        };
        notes.push(format!("checkpoint {} is passed over: {why}", manifest.head.checkpoint));
    }
    if from.as_ref().map_or(0, |from| from.ticked) < reduced {
        all_again("there is no checkpoint that can be used")?;
        // While state is made anew from there, what is committed is always what a checkpoint names.
        let goes_on = from.as_ref().is_some_and(|from| from.head.journal == head.journal);
        // What it has from between two ticks cannot be told where bytes of the events before it are gone.
        if !goes_on && (head.journal < reduced || !ticked(reduced, head.journal)?) {
            notes.push("the store of results is older than what is kept of events; it is made anew".to_string());
            return Ok(Verdict::Resume { from: None, rebuild: true, notes });
        }
    }
    if from.is_none() && head.checkpoint > 0 {
        notes.push("no checkpoint can be used; state is made anew from all inputs".to_string());
    }
    Ok(Verdict::Resume { from: from.map(Box::new), rebuild: false, notes })
}
