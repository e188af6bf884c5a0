//! Sliding windows: of one size, one beginning at every slide.
//!
//! Between two starts, windows end at one place at most, so each slide is cut into two slices there. A window is made of
//! whole slices, and neighbours share all but a few of them.

use super::Window;

/// Windows of `size` that start every `slide`, counted from the epoch plus an offset. All in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    slide: i64,
    size: i64,
    offset: i64,
}

impl Hop {
    /// Windows of `size` every `slide`; none unless both are more than 0.
    pub fn new(slide: i64, size: i64, offset: i64) -> Option<Hop> {
        (slide > 0 && size > 0).then_some(Hop { slide, size, offset })
    }

    /// How long a window is, in nanoseconds.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// The slice that holds `time`; none in a gap between windows that are shorter than the slide.
    #[inline]
    pub(super) fn slice(&self, time: i64) -> Option<Window> {
        let (slide, size) = (i128::from(self.slide), i128::from(self.size));
        let into = (i128::from(time) - i128::from(self.offset)).rem_euclid(slide);
        let base = i128::from(time) - into;
        let cut = size % slide;
        let slice = if cut == 0 {
            Window { start: base, end: base + slide }
        } else if into < cut {
            Window { start: base, end: base + cut }
        } else {
            Window { start: base + cut, end: base + slide }
        };
        (size > slide || into < size).then_some(slice)
    }

    /// The first start of a window over a slice, the slide, and the size.
    pub(super) fn over(&self, slice: Window) -> (i128, i128, i128) {
        let (slide, size) = (i128::from(self.slide), i128::from(self.size));
        let least = slice.end - size;
        let first = least + (i128::from(self.offset) - least).rem_euclid(slide);
        (first, slide, size)
    }

    /// The last slice of a window: behind the start of another one, and behind the end of an earlier one.
    pub(super) fn last_slice(&self, window: Window) -> Window {
        let (slide, size) = (i128::from(self.slide), i128::from(self.size));
        let cut = if size % slide == 0 { slide } else { size % slide };
        Window { start: window.end - cut, end: window.end }
    }

    /// The end of the last window over a slice.
    pub(super) fn last_end(&self, slice: Window) -> i128 {
        let (slide, size) = (i128::from(self.slide), i128::from(self.size));
        slice.start - (slice.start - i128::from(self.offset)).rem_euclid(slide) + size
    }
}
