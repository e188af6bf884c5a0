//! Exit codes, and what they mean.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done. Refused events are in quarantine and in the summary; they do not fail a command.
    Done = 0,
    /// The result is not what it must be: a defect of slackwater.
    Wrong = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong, or does not fit the columns of a Parquet file.
    Config = 3,
    /// An input could not be read to its end; nothing was written.
    Input = 4,
    /// An output could not be written.
    Output = 5,
    /// The data directory cannot be used: in use, full, damaged, or made under another plan.
    Data = 6,
    /// Nothing can be listened to there, or the service that was asked does not answer, or refuses.
    Network = 7,
    /// A service was told twice to stop, and left out its last checkpoint.
    Cut = 8,
}

/// For `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done; refused events are in quarantine and in the summary, and do not fail a command
  1  a result is not what it must be: a defect of slackwater, please report it
  2  the command line is wrong
  3  the configuration is wrong, or does not fit the columns of a Parquet file
  4  an input could not be read to its end; nothing was written
  5  an output could not be written
  6  the data directory cannot be used: another process has it, it is full or damaged, or it was
     made under another plan
  7  nothing can be listened to there, or the service that was asked does not answer, or refuses
  8  `run` was told twice to stop, or could not within a minute: what was answered is kept, and the
     next start takes it in again";

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
