//! What can go wrong with what is kept: which file, where, and what to do next.

use std::io;
use thiserror::Error;

/// Why something could not be written or read back. Names are relative to the data directory.
#[derive(Debug, Error)]
pub enum Fault {
    /// The disk refused.
    #[error("{name}: cannot {verb}: {cause}")]
    Disk {
        /// The file.
        name: String,
        /// What was tried.
        verb: &'static str,
        /// What the disk said.
        #[source]
        cause: io::Error,
    },
    /// Bytes that are not what was written.
    #[error("{name}: damaged at byte {at}: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// Offset of the first byte that cannot be trusted.
        at: u64,
        /// What was found, and which events it may concern.
        what: String,
    },
    /// A file of a later format.
    #[error(
        "{name}: written in format {found}, and this program knows formats up to {known}; use the version that wrote it, \
         or a newer one"
    )]
    Newer {
        /// The file.
        name: String,
        /// The format that the file names.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// A file of an earlier format, which is read no more.
    #[error(
        "{name}: written in format {found}, and this program reads format {known} only; use the version that wrote it, or \
         begin a new directory"
    )]
    Older {
        /// The file.
        name: String,
        /// The format that the file names.
        found: u32,
        /// The format that is known here.
        known: u32,
    },
    /// What is kept cannot be used as it was asked to be.
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    /// A verb on a file that the disk refused.
    pub fn disk(name: &str, verb: &'static str, cause: io::Error) -> Fault {
        Fault::Disk { name: name.to_string(), verb, cause }
    }

    /// Bytes of a file that are not what was written.
    pub fn damaged(name: &str, at: u64, what: impl Into<String>) -> Fault {
        Fault::Damaged { name: name.to_string(), at, what: what.into() }
    }

    /// Whether the disk had no room left.
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        matches!(self, Fault::Disk { cause, .. } if full.contains(&cause.kind()))
    }
}
