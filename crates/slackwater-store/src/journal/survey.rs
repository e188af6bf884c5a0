//! All of journal and record, read through without changing any of it: what is damaged, whoever may need it.

use super::Journal;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::journal::file::MOST_SEQUENCE;
use crate::journal::walk::{Gap, Known, Walked, walk};
use crate::record;

/// What was found of journal and record.
#[derive(Debug, Default)]
pub struct Survey {
    /// The last entry, where that is known.
    pub last: u64,
    /// The last entry whose event bytes need not be there any more; 0 if all are.
    pub reduced: u64,
    /// Files of the record, and segments of the journal.
    pub files: (usize, usize),
    /// Damage of the record: it tells what came before the journal, and nothing else needs it.
    pub record: Vec<Fault>,
    /// Headers of the record of which a bit is flipped, and known.
    pub worn: Vec<Fault>,
    /// Damage of entries of the journal.
    pub gaps: Vec<Gap>,
    /// Why the journal cannot be read through, and no directory be opened over it.
    pub broken: Vec<Fault>,
}

impl Journal {
    /// Reads all that an instance has of journal and record, which nobody must change meanwhile. `committed` is as
    /// [`Known`] has it.
    ///
    /// # Errors
    /// Where a folder cannot be listed.
    pub fn survey(disk: &dyn Disk, instance: &[u8; 16], committed: u64) -> Result<Survey, Fault> {
        let mut survey = Survey::default();
        let heads = match record::heads(disk, instance) {
            Ok(heads) => heads,
            Err(fault) => {
                survey.broken.push(fault);
                return Ok(survey);
            }
        };
        for head in &heads {
            survey.record.extend(record::scrub(disk, instance, head));
            survey.worn.extend(head.fault());
        }
        let reduced = heads.iter().rev().find(|head| head.keep == record::KeepRaw::None);
        (survey.files.0, survey.reduced) = (heads.len(), reduced.map_or(0, |head| head.last));
        // All that can be passed over is, so that all of it is named.
        match walk(disk, instance, &heads, Known { committed, covered: MOST_SEQUENCE }) {
            Ok(Walked { segments, tail, gaps, .. }) => {
                (survey.files.1, survey.last, survey.gaps) = (segments.len(), tail.last.0, gaps);
            }
            Err(fault) => survey.broken.push(fault),
        }
        Ok(survey)
    }
}
