//! Points at which a test build can be told to die or to fail, so that every place between two effects is tried.
//!
//! Without the feature `crash` a point is nothing, and no environment variable is looked at.

/// A place between two effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CrashPoint {
    /// A chunk is read and not in the journal.
    ChunkRead,
    /// Entries are appended and not synced.
    EntriesAppended,
    /// Entries are synced, and nothing came of them yet.
    EntriesSynced,
    /// A segment of the journal is made and its header written.
    SegmentMade,
    /// Its header is synced.
    SegmentSynced,
    /// Its name is synced.
    SegmentNamed,
    /// In the middle of a chunk, and of a window.
    MidBatch,
    /// A chunk is in the journal and not judged.
    ChunkJournaled,
    /// What is known of identities is in a run, and state in no chunk.
    WinnersIndexed,
    /// Rows are made and not journaled.
    RowsFolded,
    /// Rows are in the store's transaction, and what was set aside is not.
    RowsPut,
    /// The commit that ends the input is done, and no output written.
    OutputsPending,
    /// A generation is in the history and is not the current one.
    HistoryBeforeCurrent,
    /// A commit is done, and its caller does not know.
    AnswerLost,
    /// A tick is synced and not committed.
    TickSynced,
    /// A commit is known, and memories still hold what it covers.
    CommitKnown,
    /// Some shards have given their rows, and others have not.
    BetweenFinals,
    /// A file is written and not synced.
    FileWritten,
    /// A file is synced and not verified.
    FileSynced,
    /// A file is verified and has not got its name.
    FileVerified,
    /// A file has its name, and its folder is not synced.
    FileRenamed,
    /// A checkpoint counts, and what it replaces is still there.
    CheckpointCounts,
    /// Some old chunks are gone.
    ChunkRemoved,
    /// What tells events without their bytes is written, and what it replaces is still there.
    CatalogWritten,
    /// Events that were set aside are kept beside the record, and the bytes that they were in are still there.
    AsideKept,
    /// Some shards have given their groups, and others have not.
    BetweenParts,
    /// It is decided which journal segments go.
    TrimDecided,
    /// Old identity runs are gone, and old archive segments are not.
    RunsForgotten,
    /// A record is written, and its segment is still there.
    RecordWritten,
    /// A segment is gone, and its folder not synced.
    SegmentRemoved,
    /// What was set aside is in the store's transaction, and the offsets for people are not.
    AsideBeforeOffsets,
    /// The head with the offsets is in the store's transaction, and nothing else is.
    OffsetsBeforeAside,
    /// Changes are in the archive, and identities not in the index.
    ArchiveWritten,
    /// A manifest is written, and no commit names it.
    ManifestWritten,
    /// A new owner has taken over.
    TakenOver,
    /// What the journal has is taken in again, and not in a checkpoint.
    Replayed,
}

impl CrashPoint {
    /// All of them.
    pub const ALL: [CrashPoint; 36] = [
        CrashPoint::ChunkRead,
        CrashPoint::EntriesAppended,
        CrashPoint::EntriesSynced,
        CrashPoint::SegmentMade,
        CrashPoint::SegmentSynced,
        CrashPoint::SegmentNamed,
        CrashPoint::MidBatch,
        CrashPoint::ChunkJournaled,
        CrashPoint::WinnersIndexed,
        CrashPoint::RowsFolded,
        CrashPoint::RowsPut,
        CrashPoint::OutputsPending,
        CrashPoint::HistoryBeforeCurrent,
        CrashPoint::AnswerLost,
        CrashPoint::TickSynced,
        CrashPoint::CommitKnown,
        CrashPoint::BetweenFinals,
        CrashPoint::FileWritten,
        CrashPoint::FileSynced,
        CrashPoint::FileVerified,
        CrashPoint::FileRenamed,
        CrashPoint::CheckpointCounts,
        CrashPoint::ChunkRemoved,
        CrashPoint::CatalogWritten,
        CrashPoint::AsideKept,
        CrashPoint::BetweenParts,
        CrashPoint::TrimDecided,
        CrashPoint::RunsForgotten,
        CrashPoint::RecordWritten,
        CrashPoint::SegmentRemoved,
        CrashPoint::AsideBeforeOffsets,
        CrashPoint::OffsetsBeforeAside,
        CrashPoint::ArchiveWritten,
        CrashPoint::ManifestWritten,
        CrashPoint::TakenOver,
        CrashPoint::Replayed,
    ];
}

/// Goes on, unless this is the point that was armed.
///
/// # Errors
/// The fault that was asked for.
#[cfg(not(feature = "crash"))]
#[inline(always)]
pub fn point(_: CrashPoint) -> Result<(), crate::Fault> {
    Ok(())
}

/// How long a segment of the journal may be: what is usual.
#[cfg(not(feature = "crash"))]
#[inline(always)]
pub const fn segment_bytes(usual: u64) -> u64 {
    usual
}

#[cfg(feature = "crash")]
pub use armed::{point, segment_bytes};

/// What a test build has besides.
#[cfg(feature = "crash")]
mod armed {
    use super::CrashPoint;
    use crate::Fault;
    use std::io::{self, Write};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// What to do, as `point:occurrence:way`; the first occurrence is 1.
    const ARMED: &str = "SLACKWATER_CRASH";
    /// The file to which the name of every point is appended that is passed.
    const LOG: &str = "SLACKWATER_CRASH_LOG";
    /// Bytes of a segment of the journal.
    const SEGMENT: &str = "SLACKWATER_SEGMENT_BYTES";

    #[derive(Debug)]
    struct Trap {
        point: String,
        occurrence: u64,
        way: String,
    }

    static TRAP: OnceLock<(Option<Trap>, Option<String>)> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    fn read() -> (Option<Trap>, Option<String>) {
        let trap = std::env::var(ARMED).ok().map(|text| {
            let parts: Vec<&str> = text.split(':').collect();
            let [point, occurrence, way] = parts[..] else { panic!("{ARMED}={text}: write point:occurrence:way") };
            let occurrence = occurrence.parse().expect("an occurrence is a number");
            Trap { point: point.to_string(), occurrence, way: way.to_string() }
        });
        (trap, std::env::var(LOG).ok())
    }

    /// Goes on, unless this is the point that was armed.
    ///
    /// # Errors
    /// The fault that was asked for.
    pub fn point(point: CrashPoint) -> Result<(), Fault> {
        let (trap, log) = TRAP.get_or_init(read);
        let name = format!("{point:?}");
        if let Some(log) = log {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
            let written = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
            written.expect("the log of a test build can be written");
        }
        let Some(trap) = trap.as_ref().filter(|trap| trap.point == name) else { return Ok(()) };
        if PASSED.fetch_add(1, Ordering::SeqCst) + 1 != trap.occurrence {
            return Ok(());
        }
        match trap.way.as_str() {
            "abort" => std::process::abort(),
            "kill" => kill(),
            _ => Err(Fault::disk(&name, "pass", io::Error::other("a test asked for this fault"))),
        }
    }

    /// Dies by a signal that nobody can catch.
    fn kill() -> ! {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// How long a segment of the journal may be: what is usual, or what was asked for.
    pub fn segment_bytes(usual: u64) -> u64 {
        std::env::var(SEGMENT).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    }
}
