//! Which instance a data directory belongs to, and under which plan its state was made.

use crate::Fault;
use crate::disk::Disk;
use crate::parcel::{self, Label};

const NAME: &str = "instance";
/// What is to be said where it is gone.
pub const MISSING: &str =
    "instance: it is not there, and the directory was used before; put back the whole directory from one copy";
const LABEL: Label = Label { kind: *b"inst", instance: [0; 16], number: 0 };

/// What is fixed when a directory is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name, drawn by lot.
    pub instance: [u8; 16],
    /// Fingerprint of its plan.
    pub plan: [u8; 32],
}

impl Identity {
    /// Reads it; none in a directory that was never begun.
    pub fn read(disk: &dyn Disk) -> Result<Option<Identity>, Fault> {
        let names = disk.list("").map_err(|cause| Fault::disk("", "list", cause))?;
        if !names.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let (content, _) = parcel::read(disk, NAME, LABEL, 48)?;
        match (content.first_chunk(), content.last_chunk()) {
            (Some(instance), Some(plan)) if content.len() == 48 => {
                Ok(Some(Identity { instance: *instance, plan: *plan }))
            }
            _ => Err(Fault::damaged(NAME, 0, "it does not hold what it must")),
        }
    }

    /// Writes it, in the place of the one before.
    pub fn write(&self, disk: &dyn Disk) -> Result<(), Fault> {
        parcel::write(disk, NAME, LABEL, &[&self.instance[..], &self.plan].concat()).map(drop)
    }
}
