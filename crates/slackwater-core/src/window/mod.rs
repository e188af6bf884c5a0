//! Which windows cover a fact.
//!
//! Windows are half-open, `[start, end)`: a fact stamped exactly at an end belongs to the next. Bounds are i128
//! nanoseconds since the epoch, because a window around the last i64 nanosecond ends beyond it.

mod anchor;
mod calendar;
mod hop;

pub use anchor::{Anchor, Daily};
pub use calendar::{Calendar, CalendarError};
pub use hop::Hop;

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

/// How windows are laid over time, whatever the facts. Each window is made of whole slices, which windows share.
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
    /// Windows that overlap, or leave gaps.
    Hop(Hop),
}

impl WindowRule {
    /// The slice that holds `time`; none where no window covers it.
    #[inline]
    pub fn slice(&self, time: i64) -> Option<Window> {
        let time = if planted::is(Bug::WindowEdge) { time.saturating_sub(1) } else { time };
        match self {
            WindowRule::Tumble { size, offset } => {
                let (size, offset, time) = (i128::from(*size), i128::from(*offset), i128::from(time));
                let start = time - (time - offset).rem_euclid(size);
                Some(Window { start, end: start + size })
            }
            WindowRule::Calendar(calendar) => Some(calendar.assign(time)),
            WindowRule::Hop(hop) => hop.slice(time),
        }
    }

    /// The windows that a slice is part of, in the order of their starts.
    pub fn windows(&self, slice: Window) -> impl Iterator<Item = Window> + use<> {
        let (first, slide, size) = match self {
            WindowRule::Hop(hop) => hop.over(slice),
            _ => (slice.start, slice.end - slice.start, slice.end - slice.start),
        };
        let starts = (0..).map(move |step| first + step * slide).take_while(move |start| *start <= slice.start);
        starts.map(move |start| Window { start, end: start + size })
    }

    /// The last slice of a window.
    pub fn last_slice(&self, window: Window) -> Window {
        match self {
            WindowRule::Hop(hop) => hop.last_slice(window),
            _ => window,
        }
    }

    /// The end of the last window that a slice is part of.
    pub fn last_end(&self, slice: Window) -> i128 {
        match self {
            WindowRule::Hop(hop) => hop.last_end(slice),
            _ => slice.end,
        }
    }
}
