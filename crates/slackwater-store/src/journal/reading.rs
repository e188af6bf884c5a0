//! Reading entries back in order, from the record and then from the journal, as if both were one.

use crate::disk::Disk;
use crate::entry::{Entry, Form};
use crate::fault::Fault;
use crate::journal::Journal;
use crate::journal::file::Segment;
use crate::journal::frame::{HEAD, Seal, unstuff};
use crate::journal::scan::{Bad, Found, Scan};
use crate::record;
use slackwater_core::codec::CodecError;
use std::sync::Arc;

/// Entries in order, each with its sequence number, as they were durable when they were asked for. After an error
/// nothing follows.
#[derive(Debug)]
pub struct Entries {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    seal: Seal,
    record: Vec<record::Head>,
    segments: Vec<Segment>,
    /// The last entry that was durable.
    last: u64,
    /// The next entry to give; none when all are given, or after an error.
    next: Option<u64>,
    file: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Record(Box<record::Reader>),
    Journal(Reader),
}

impl Journal {
    /// The durable entries from a sequence number on, in order, whether they are in the record or in the journal.
    ///
    /// # Errors
    /// A journal that has stopped, or a sequence number beyond the next one.
    pub fn read(&self, from: u64) -> Result<Entries, Fault> {
        self.alive()?;
        let (from, end) = (from.max(1), self.synced.0 + 1);
        if from > end {
            return Err(Fault::Refused(format!("entry {from} is asked for, and the next one will be {end}")));
        }
        Ok(Entries {
            disk: self.disk.clone(),
            instance: self.instance,
            seal: self.seal,
            record: self.record.clone(),
            segments: self.segments.clone(),
            last: self.synced.0,
            next: Some(from),
            file: None,
        })
    }
}

impl Entries {
    /// The file that holds an entry, opened there.
    fn source(&self, from: u64) -> Result<Source, Fault> {
        if from < self.segments[0].first {
            let number = self.record.partition_point(|head| head.last < from);
            let reader = record::Reader::open(&*self.disk, &self.instance, &self.record[number], from)?;
            return Ok(Source::Record(Box::new(reader)));
        }
        let number = self.segments.partition_point(|segment| segment.first <= from) - 1;
        let last = self.segments.get(number + 1).map_or(self.last, |next| next.first - 1);
        let segment = &self.segments[number];
        Ok(Source::Journal(Reader::open(&*self.disk, self.seal, segment, from, last)?))
    }

    fn advance(&mut self, wanted: u64) -> Result<Option<(u64, Entry)>, Fault> {
        while wanted <= self.last {
            if self.file.is_none() {
                self.file = Some(self.source(wanted)?);
            }
            let found = match self.file.as_mut().expect("just opened") {
                Source::Record(reader) => reader.next()?,
                Source::Journal(reader) => reader.next()?,
            };
            match found {
                Some((sequence, entry)) if sequence == wanted => return Ok(Some((sequence, entry))),
                Some((sequence, _)) => {
                    return Err(Fault::Refused(format!("entry {sequence} was read where {wanted} belongs")));
                }
                None => self.file = None,
            }
        }
        Ok(None)
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Entry), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let wanted = self.next.take()?;
        let found = self.advance(wanted).transpose()?;
        self.next = found.is_ok().then_some(wanted + 1);
        Some(found)
    }
}

/// The entries of one segment that are known to be in it.
#[derive(Debug)]
pub struct Reader {
    name: String,
    scan: Scan,
    from: u64,
    last: u64,
    /// Entries that are damaged and not told yet, from the first to the one behind the last.
    lost: (u64, u64),
}

impl Reader {
    /// Those from `from` to `last`.
    pub fn open(disk: &dyn Disk, seal: Seal, segment: &Segment, from: u64, last: u64) -> Result<Reader, Fault> {
        let name = segment.name();
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        let len = file.len().map_err(|cause| Fault::disk(&name, "read", cause))?;
        if len < segment.bytes {
            let what = format!("it was {} bytes long when it was opened", segment.bytes);
            return Err(Fault::damaged(&name, len, format!("{what}; entries up to {last} are concerned")));
        }
        Ok(Reader { name, scan: Scan::new(file, segment, seal), from, last, lost: (0, 0) })
    }

    /// The next one. Those before the first that is asked for may be damaged.
    pub fn next(&mut self) -> Result<Option<(u64, Entry)>, Fault> {
        match self.next_as(|kind, plain| Entry::decode(kind, Form::Journal, &plain), self.from)? {
            Next::Entry(sequence, entry) => Ok(Some((sequence, entry))),
            Next::End | Next::Lost(..) => Ok(None),
        }
    }

    /// The next one, made of its kind and its encoding; none of it where it is damaged.
    pub fn next_left<T>(
        &mut self,
        make: impl Fn(u8, Vec<u8>) -> Result<T, CodecError>,
    ) -> Result<Option<(u64, Option<T>)>, Fault> {
        if self.lost.0 >= self.lost.1 {
            match self.next_as(make, self.last + 1)? {
                Next::Entry(sequence, made) => return Ok(Some((sequence, Some(made)))),
                Next::End => return Ok(None),
                Next::Lost(first, behind) => self.lost = (first, behind),
            }
        }
        let sequence = self.lost.0;
        self.lost.0 += 1;
        Ok(Some((sequence, None)))
    }

    /// The next one, made of its kind and its encoding. Damage of entries before `needed` is no error.
    fn next_as<T>(
        &mut self,
        make: impl Fn(u8, Vec<u8>) -> Result<T, CodecError>,
        needed: u64,
    ) -> Result<Next<T>, Fault> {
        while self.scan.sequence() <= self.last {
            let at = self.scan.at();
            let (head, body) = match self.scan.next()? {
                Found::Frame(head, body) => (head, body),
                Found::Bad(bad) => match self.pass(bad, needed)? {
                    (first, behind) if behind > self.from => return Ok(Next::Lost(first.max(self.from), behind)),
                    _ => continue,
                },
                Found::End => {
                    let what = format!("it ends here; entries up to {} are concerned", self.last);
                    return Err(Fault::damaged(&self.name, at, what));
                }
            };
            if head.sequence < self.from {
                continue;
            }
            let made = unstuff(body)
                .ok_or("a body that was not stuffed".to_string())
                .and_then(|plain| make(head.kind, plain).map_err(|error| error.to_string()));
            return match made {
                Ok(made) => Ok(Next::Entry(head.sequence, made)),
                Err(what) => {
                    let what = format!("no entry in a whole frame ({what}); entry {} is concerned", head.sequence);
                    Err(Fault::damaged(&self.name, at + HEAD as u64, what))
                }
            };
        }
        Ok(Next::End)
    }

    /// Goes on behind damage, if no entry from `needed` on is concerned: the first entry that is, and the one behind the last.
    fn pass(&mut self, bad: Bad, needed: u64) -> Result<(u64, u64), Fault> {
        if !self.scan.pass(&bad)? {
            if !bad.changed {
                return Err(bad.damage(&self.name, Some(self.last + 1)));
            }
            // Nothing behind it in the segment says where it ends.
            self.scan.leave(self.last + 1);
        }
        let behind = self.scan.sequence();
        if behind > needed {
            return Err(bad.damage(&self.name, Some(behind)));
        }
        Ok((bad.sequence, behind))
    }
}

/// What a segment has next.
enum Next<T> {
    Entry(u64, T),
    /// Entries that are damaged: the first, and the one behind the last.
    Lost(u64, u64),
    End,
}
