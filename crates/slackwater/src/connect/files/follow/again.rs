//! Files known again by what is in them.

use super::followed::{Followed, Of};
use crate::decode::Chunk;
use crate::runtime::Feed;
use crate::runtime::replay::{Resumed, known_in};
use slackwater_store::store::Offset;

/// A file from its beginning up to a place, to be held against what is known of it.
struct Again<'a> {
    followed: &'a mut Followed,
    of: Of<'a>,
    end: u64,
}

impl Feed for &mut Again<'_> {
    type Error = String;

    fn next(&mut self) -> Result<Option<Chunk>, String> {
        if self.followed.offset >= self.end {
            return Ok(None);
        }
        let Some(mut chunk) = self.followed.read_on(self.of)? else { return Ok(None) };
        if let Some(over) = chunk.end().checked_sub(self.end).filter(|over| *over > 0) {
            // What lies behind the place is read again.
            let keep = chunk.bytes.len().saturating_sub(over as usize);
            chunk.bytes.truncate(keep);
            self.followed.offset = self.end;
        }
        Ok(Some(chunk))
    }

    fn read(&self) -> u64 {
        self.followed.offset
    }
}

impl Followed {
    /// Goes on where it was left, if it is the file that was left there.
    pub fn go_on(&mut self, of: Of<'_>, known: &Offset) -> bool {
        // It is read before the rest, so that a file that is changed meanwhile is seen to be another.
        let Some(trace) = self.trace_before(known.offset) else { return false };
        let mut again = Again { followed: self, of, end: known.offset };
        // A header that does not fit is told when the file is read.
        let Ok(Some(_)) = Resumed::behind(&mut again, known) else {
            self.restart();
            return false;
        };
        let whole = self.offset == known.offset;
        self.go_on_at(known, trace);
        whole
    }

    /// Which of some places it was read to before, the furthest if it may be several. It is read once.
    pub fn is_one_of(&mut self, of: Of<'_>, known: &[Offset]) -> Option<usize> {
        let len = self.file.metadata().map_or(0, |known| known.len());
        let end = known.iter().map(|known| known.offset).filter(|offset| *offset <= len).max()?;
        let found = known_in(&mut Again { followed: self, of, end }, known);
        self.restart();
        found
    }
}
