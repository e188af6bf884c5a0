//! Which windows cover a fact.
//!
//! Windows are half-open, `[start, end)`: a fact stamped exactly at an end belongs to the next. Bounds are i128
//! nanoseconds since the epoch, because a window around the last i64 nanosecond ends beyond it.

mod calendar;

pub use calendar::{Calendar, CalendarError};

use crate::planted::{self, Bug};

/// The span that an aggregate covers, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First nanosecond inside.
    pub start: i128,
    /// First nanosecond behind it.
    pub end: i128,
}

impl Window {
    /// Whether the window covers this time.
    #[inline]
    pub fn contains(&self, time: i64) -> bool {
        self.start <= i128::from(time) && i128::from(time) < self.end
    }
}

/// How windows are laid over time.
#[derive(Clone, Debug)]
pub enum WindowRule {
    /// Every `size` nanoseconds, counted from the epoch plus `offset`.
    Tumble {
        /// Length, more than 0.
        size: i64,
        /// Where a window starts, relative to the epoch.
        offset: i64,
    },
    /// Calendar spans in a time zone.
    Calendar(Calendar),
}

impl WindowRule {
    /// The window that covers `time`.
    #[inline]
    pub fn assign(&self, time: i64) -> Window {
        let time = if planted::is(Bug::WindowEdge) { time.saturating_sub(1) } else { time };
        match self {
            WindowRule::Tumble { size, offset } => {
                let (size, offset, time) = (i128::from(*size), i128::from(*offset), i128::from(time));
                let start = time - (time - offset).rem_euclid(size);
                Window { start, end: start + size }
            }
            WindowRule::Calendar(calendar) => calendar.assign(time),
        }
    }
}
