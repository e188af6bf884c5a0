//! A segment, frame by frame, and the verdict on bytes that are no frame: a torn tail, or damage.

use crate::disk::File;
use crate::fault::Fault;
use crate::journal::file::{self, Segment};
use crate::journal::frame::{GRAIN, HEAD, Head, SECTOR, Seal, chains, check, four};

/// Bytes read ahead at once.
const AHEAD: u64 = 256 << 10;

/// What stands at the next place of a segment.
#[derive(Debug)]
pub enum Found<'a> {
    /// A frame that is right, and its body.
    Frame(Head, &'a [u8]),
    /// The segment ends.
    End,
    /// Something that is no frame.
    Bad(Bad),
}

/// Bytes that are not the frame that would have to stand there.
#[derive(Debug)]
pub struct Bad {
    /// Where it would begin.
    pub at: u64,
    /// The entry that would be in it.
    pub sequence: u64,
    /// What is wrong.
    pub what: String,
    /// Whether some of it was never written, as after a crash, and nothing behind it says otherwise.
    pub torn: bool,
    /// The next entry behind it that has a header.
    pub next: Option<u64>,
    /// Whether bytes have changed in their place: nothing is cut off, and no frame of another place stands here.
    pub changed: bool,
    /// The header, where that is right.
    head: Option<Head>,
}

impl Bad {
    /// The damage that it is where it cannot be a torn tail. `end` is the sequence behind the segment, if that is known.
    pub fn damage(self, name: &str, end: Option<u64>) -> Fault {
        let range = match self.next.or(end) {
            Some(next) => format!("entries {} to {}", self.sequence, next.saturating_sub(1).max(self.sequence)),
            None => format!("entries from {} on", self.sequence),
        };
        Fault::damaged(name, self.at, format!("{}; {range} are concerned", self.what))
    }
}

/// Reads a segment from its first frame on.
#[derive(Debug)]
pub struct Scan {
    name: String,
    file: Box<dyn File>,
    seal: Seal,
    len: u64,
    at: u64,
    sequence: u64,
    chain: u32,
    /// Behind damage, the other chain that the frame before may have.
    other: Option<u32>,
    /// Part of the file that is in memory, and where it begins.
    window: (u64, Vec<u8>),
}

impl Scan {
    /// Starts behind the header.
    pub fn new(file: Box<dyn File>, segment: &Segment, seal: Seal) -> Scan {
        Scan {
            name: segment.name(),
            file,
            seal,
            len: segment.bytes,
            at: file::HEAD as u64,
            sequence: segment.first,
            chain: segment.chain,
            other: None,
            window: (0, Vec::new()),
        }
    }

    /// Offset of the next frame.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Sequence of the next frame.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The chains that the frame before may have, the one that stands in it first.
    pub fn ends(&self) -> Vec<u32> {
        [Some(self.chain), self.other].into_iter().flatten().collect()
    }

    /// Goes to the end, for nothing between is known; the next frame would be this one.
    pub fn leave(&mut self, sequence: u64) {
        (self.at, self.sequence) = (self.len, sequence);
    }

    /// Ends reading and gives the file.
    pub fn into_file(self) -> Box<dyn File> {
        self.file
    }

    /// The next frame.
    ///
    /// # Errors
    /// Only what the disk says; bytes that are no frame are [`Found::Bad`].
    pub fn next(&mut self) -> Result<Found<'_>, Fault> {
        let rest = self.len.saturating_sub(self.at);
        if rest == 0 {
            return Ok(Found::End);
        }
        if rest < HEAD as u64 {
            return self.bad("the file ends inside a frame's header", HEAD, None);
        }
        let (at, seal, chain, other) = (self.at, self.seal, self.chain, self.other);
        let Some(head) = Head::decode(self.bytes(at, HEAD)?, seal) else {
            return self.bad("no header of a frame", HEAD, None);
        };
        if head.sequence != self.sequence {
            let what = format!("the frame of entry {} stands here", head.sequence);
            let (sequence, next) = (self.sequence, Some(head.sequence));
            return Ok(Found::Bad(Bad { at, sequence, what, torn: false, next, changed: false, head: None }));
        }
        let whole = head.whole();
        if rest < whole as u64 {
            return self.bad("the file ends inside a frame", whole, Some(head));
        }
        let frame = self.bytes(at, whole)?;
        let right = check(frame, &head, chain).or_else(|| check(frame, &head, other?));
        let Some((_, after)) = right else {
            return self.bad("a frame whose checksum does not fit", whole, Some(head));
        };
        self.at += whole as u64;
        self.sequence += 1;
        (self.chain, self.other) = (after, None);
        // Asked again, for what was checked is lent from the window, and the place had to move on meanwhile.
        let frame = self.bytes(at, whole)?;
        Ok(Found::Frame(head, &frame[HEAD..HEAD + head.len as usize]))
    }

    /// The verdict on bytes that should be a frame of so many bytes, or a header if that is not known.
    fn bad(&mut self, what: &str, extent: usize, head: Option<Head>) -> Result<Found<'static>, Fault> {
        let (at, sequence) = (self.at, self.sequence);
        let behind = at + head.map_or(GRAIN, |head| head.whole() as u64);
        let mut torn = self.unwritten(at, at + extent as u64)?;
        let changed = at + extent as u64 <= self.len;
        let mut next = None;
        let mut place = behind;
        while place + HEAD as u64 <= self.len {
            let seal = self.seal;
            if let Some(later) = Head::decode(self.bytes(place, HEAD)?, seal)
                && later.sequence > sequence
            {
                next = next.or(Some(later.sequence));
                torn &= later.durable < sequence;
            }
            place += GRAIN;
        }
        Ok(Found::Bad(Bad { at, sequence, what: what.to_string(), torn, next, changed, head }))
    }

    /// Goes on behind bytes that have changed, and says whether it is certain where that is. The entries between are those
    /// from the damaged one to the next.
    ///
    /// # Errors
    /// Only what the disk says.
    pub fn pass(&mut self, bad: &Bad) -> Result<bool, Fault> {
        if !bad.changed {
            return Ok(false);
        }
        let (seal, chain) = (self.seal, self.chain);
        let head = match bad.head {
            Some(head) => Some(head),
            None => Head::mended(self.bytes(bad.at, HEAD)?, seal),
        };
        if let Some(head) = head
            && head.sequence == bad.sequence
            && bad.at + head.whole() as u64 <= self.len
            && let Some((stored, found)) = chains(self.bytes(bad.at, head.whole())?, chain)
        {
            self.at += head.whole() as u64;
            self.sequence += 1;
            (self.chain, self.other) = (stored, Some(found));
            return Ok(true);
        }
        // Where the header says nothing: the next frame that is right in its place.
        let mut place = bad.at + GRAIN;
        while place + HEAD as u64 <= self.len {
            if let Some(later) = Head::decode(self.bytes(place, HEAD)?, seal)
                && later.sequence > bad.sequence
                && place + later.whole() as u64 <= self.len
            {
                let before = u32::from_le_bytes(four(self.bytes(place - 4, 4)?));
                if check(self.bytes(place, later.whole())?, &later, before).is_some() {
                    (self.at, self.sequence) = (place, later.sequence);
                    (self.chain, self.other) = (before, None);
                    return Ok(true);
                }
            }
            place += GRAIN;
        }
        Ok(false)
    }

    /// Whether the file ends before `to`, or holds only zeros in the part of some sector between `from` and `to`.
    fn unwritten(&mut self, from: u64, to: u64) -> Result<bool, Fault> {
        if to > self.len {
            return Ok(true);
        }
        let mut at = from;
        while at < to {
            let end = (at / SECTOR + 1) * SECTOR;
            let end = end.min(to);
            if self.bytes(at, (end - at) as usize)?.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = end;
        }
        Ok(false)
    }

    /// Bytes of the file, which the caller knows to be there.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], Fault> {
        let (start, window) = &mut self.window;
        if at < *start || at + len as u64 > *start + window.len() as u64 {
            let ahead = AHEAD.max(len as u64).min(self.len - at);
            window.clear();
            window.resize(ahead as usize, 0);
            *start = at;
            if let Err(cause) = self.file.read_at(at, window) {
                window.clear();
                return Err(Fault::disk(&self.name, "read", cause));
            }
        }
        let from = (at - *start) as usize;
        Ok(&window[from..from + len])
    }
}
