//! Deliberate defects that the simulator switches on, one at a time, to see whether its checks would notice.
//!
//! Without the feature `planted` the switch is a constant and the defects are not compiled in.

use crate::number::FloatSum;

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Float sums are rounded after every term.
    FloatSumInArrivalOrder = 1,
    /// Rows come out in the order in which their keys were first seen.
    MapOrderInOutput,
    /// A fact exactly at a window's end falls into that window.
    WindowEdge,
    /// An older version replaces a newer one.
    OlderVersionWins,
    /// The same event again is added again.
    DuplicateCounted,
    /// Between contents of one version the first one stays.
    ConflictByArrival,
    /// A watermark is the largest of its origins'.
    LargestWatermark,
    /// Watermarks follow the ticks, whatever the source says.
    SealByTickTime,
    /// Watermarks move with every batch.
    WatermarkByBatch,
    /// A fact joins the session before it and never the one behind it.
    SessionByArrival,
    /// A share of a fact loses its fraction at once.
    ShareRoundedEarly,
    /// What `break_when` is asked need not be settled.
    BreakNotCertain,
    /// An idle origin moves the watermark on though others are not idle.
    IdleByMax,
    /// A fast clock moves its origin's frontier past the present.
    SkewedOrigin,
    /// What is held is decided by whether an event came before, and not by the last tick.
    HeldByLastEvent,
    /// Spans that are folded again are given what is held.
    HeldIsRefolded,
    /// An event that is let out of quarantine is received once more.
    ReleasedCountedTwice,
    /// Bytes of the journal are believed, whatever their checksum.
    CrcUnchecked,
    /// A sync that failed is tried again, and believed.
    SyncRetried,
    /// A file is renamed and its folder is not synced.
    RenameWithoutFolderSync,
    /// A commit names entries of the journal that are not synced yet.
    CommitBeforeSync,
    /// The offset is committed, and then the rows.
    OffsetBeforeState,
    /// The rows are committed, and then the offset.
    StateBeforeOffset,
    /// Some identities are left out of a checkpoint.
    DedupEvictedEarly,
    /// The journal is trimmed before the checkpoint is durable that makes it superfluous.
    TrimBeforeCheckpoint,
    /// Decisions are not journaled.
    DecisionLeftOut,
    /// A delivery is answered before it is synced.
    ReplyBeforeSync,
    /// What is replayed is judged by the clock of the replay, which stands at the epoch.
    VerdictByClock,
    /// What is replayed is judged under the guards of the configuration, and not under those of its day.
    GuardsOfTheDay,
    /// What was put away is taken for what never was.
    AwayIsEmpty,
    /// A cutoff lets go of all facts before it, however far windows reach back behind it.
    CutoffForgetsReach,
    /// A cutoff is in force before it is synced.
    CutoffBeforeSync,
    /// What is replayed is cut off as the configuration has it now, and not as it was decided.
    CutoffOfTheDay,
}

impl Bug {
    /// Every defect of what is true.
    pub const ALL: [Bug; 16] = [
        Bug::FloatSumInArrivalOrder,
        Bug::MapOrderInOutput,
        Bug::WindowEdge,
        Bug::OlderVersionWins,
        Bug::DuplicateCounted,
        Bug::ConflictByArrival,
        Bug::LargestWatermark,
        Bug::SealByTickTime,
        Bug::WatermarkByBatch,
        Bug::SessionByArrival,
        Bug::ShareRoundedEarly,
        Bug::BreakNotCertain,
        Bug::IdleByMax,
        Bug::SkewedOrigin,
        Bug::HeldByLastEvent,
        Bug::HeldIsRefolded,
    ];

    /// Every defect of what is kept: of the journal, and of what is committed beside it.
    pub const KEPT: [Bug; 17] = [
        Bug::CrcUnchecked,
        Bug::SyncRetried,
        Bug::RenameWithoutFolderSync,
        Bug::CommitBeforeSync,
        Bug::OffsetBeforeState,
        Bug::StateBeforeOffset,
        Bug::DedupEvictedEarly,
        Bug::TrimBeforeCheckpoint,
        Bug::DecisionLeftOut,
        Bug::ReplyBeforeSync,
        Bug::VerdictByClock,
        Bug::ReleasedCountedTwice,
        Bug::GuardsOfTheDay,
        Bug::AwayIsEmpty,
        Bug::CutoffForgetsReach,
        Bug::CutoffBeforeSync,
        Bug::CutoffOfTheDay,
    ];

    /// Whether a defect lies in the journal alone.
    pub fn is_of_the_journal(self) -> bool {
        matches!(self, Bug::CrcUnchecked | Bug::SyncRetried | Bug::RenameWithoutFolderSync)
    }
}

#[cfg(feature = "planted")]
static PLANTED: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Switches one defect on, in this whole process, and the one before off; none: all are off.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), core::sync::atomic::Ordering::SeqCst);
}

/// Whether this defect is switched on.
#[cfg(feature = "planted")]
#[inline]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether this defect is switched on: never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_: Bug) -> bool {
    false
}

/// The defect [`Bug::FloatSumInArrivalOrder`]: the sum so far and a term, rounded at once.
#[cold]
pub(crate) fn add_rounded(sum: &mut FloatSum, x: f64) {
    let rounded = sum.to_f64() + x;
    *sum = FloatSum::new();
    sum.add(rounded);
}
