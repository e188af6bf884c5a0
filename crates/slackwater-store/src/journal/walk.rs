//! All segments of a journal that is found, from the first to the last: whether each is whole and reaches up to the next, and
//! what is damaged of entries that nothing needs any more.

use crate::disk::{Disk, File};
use crate::fault::Fault;
use crate::journal::file::{Begun, FOLDER, Segment, list, name, read};
use crate::journal::frame::Seal;
use crate::journal::scan::{Bad, Found, Scan};
use crate::record;
use std::collections::VecDeque;

/// What is known of a journal before it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The last entry whose effects the store has committed: up to there nothing can be torn.
    pub committed: u64,
    /// The last entry that a checkpoint covers: damage up to there is passed over.
    pub covered: u64,
}

/// Damage of a segment that is passed over, for a checkpoint covers what it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first entry of the segment.
    pub(crate) segment: u64,
    /// The damaged byte range begins here.
    pub at: u64,
    /// What is wrong.
    pub what: String,
    /// The entries that cannot be read, the first and the last; none where only the segment's header is damaged.
    pub entries: Option<(u64, u64)>,
}

impl Gap {
    /// The file.
    pub fn name(&self) -> String {
        name(self.segment)
    }

    /// The damage that it is where it cannot be passed over.
    pub fn fault(&self) -> Fault {
        let range = match self.entries {
            Some((first, last)) => format!("entries {first} to {last} are concerned"),
            None => "its entries can be read".to_string(),
        };
        Fault::damaged(&self.name(), self.at, format!("{}; {range}", self.what))
    }
}

/// What is found of the last segment.
pub struct Tail {
    pub file: Box<dyn File>,
    /// Its last entry, with its chain, and where that ends.
    pub last: (u64, u32),
    pub end: u64,
    /// From where on nothing says that it is durable.
    pub doubtful: u64,
}

/// A journal that was read through.
pub struct Walked {
    /// At least one.
    pub segments: Vec<Segment>,
    pub tail: Tail,
    /// The first entry of a segment at the end that was never used.
    pub unused: Option<u64>,
    /// Segments whose record is there already, by their first entries.
    pub left: Vec<u64>,
    pub gaps: Vec<Gap>,
}

/// Reads all segments behind the record, each of which must reach up to the next.
pub fn walk(disk: &dyn Disk, instance: &[u8; 16], record: &[record::Head], known: Known) -> Result<Walked, Fault> {
    let seal = Seal::new(instance);
    let (behind, chain) = record.last().map_or((0, seal.start()), |head| (head.last, head.after));
    let (left, firsts): (Vec<u64>, Vec<u64>) = list(disk, FOLDER)?.into_iter().partition(|first| *first <= behind);
    let (headed, unused) = headers(disk, instance, &firsts)?;
    let Some(Headed { segment, fault }) = headed.first() else {
        let what = format!("it is missing; entries from {} on are concerned", behind + 1);
        return Err(Fault::damaged(&name(behind + 1), 0, what));
    };
    if segment.first != behind + 1 {
        let what = format!("entries {} to {} are missing before it", behind + 1, segment.first - 1);
        return Err(Fault::damaged(&segment.name(), 0, what));
    }
    if fault.is_none() && segment.chain != chain {
        let what = format!("entry {behind} in the record is not the one that was before it");
        return Err(Fault::damaged(&segment.name(), 40, what));
    }
    let mut walker = Walker { disk, seal, known, chain, gaps: Vec::new() };
    let (segments, tail) = walker.all(headed, unused)?;
    Ok(Walked { segments, tail, unused, left, gaps: walker.gaps })
}

/// A segment by its header, or by what must stand in one that is damaged; its chain is not known then.
struct Headed {
    segment: Segment,
    fault: Option<Fault>,
}

/// The segments by their headers, and the first entry of one at the end that was never used.
fn headers(disk: &dyn Disk, instance: &[u8; 16], firsts: &[u64]) -> Result<(Vec<Headed>, Option<u64>), Fault> {
    let mut segments = Vec::new();
    for (number, first) in firsts.iter().enumerate() {
        let name = name(*first);
        let file = disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        match read(&*file, instance, *first)? {
            Begun::Whole(segment) => segments.push(Headed { segment, fault: None }),
            Begun::Marred { bytes, fault } => {
                let segment = Segment { first: *first, chain: 0, bytes, worn: true };
                segments.push(Headed { segment, fault: Some(fault) });
            }
            Begun::Never if number > 0 && number == firsts.len() - 1 => return Ok((segments, Some(*first))),
            Begun::Never => {
                let what = format!("the segment is empty; entries from {first} on are concerned");
                return Err(Fault::damaged(&name, 0, what));
            }
        }
    }
    Ok((segments, None))
}

struct Walker<'a> {
    disk: &'a dyn Disk,
    seal: Seal,
    known: Known,
    /// The chain before the first segment.
    chain: u32,
    gaps: Vec<Gap>,
}

/// A segment that was read through.
struct Through {
    tail: Tail,
    /// The chains that it may end with; none where that is not known.
    ends: Vec<u32>,
}

impl Walker<'_> {
    fn all(&mut self, headed: Vec<Headed>, unused: Option<u64>) -> Result<(Vec<Segment>, Tail), Fault> {
        // Of each segment that follows, its first entry, and whether its header says what the chain before it is.
        let follow: Vec<(u64, bool)> = headed
            .iter()
            .map(|next| (next.segment.first, next.fault.is_none()))
            .chain(unused.map(|n| (n, false)))
            .collect();
        let (mut segments, mut before): (Vec<Segment>, Option<Through>) = (Vec::new(), None);
        for (number, Headed { mut segment, fault }) in headed.into_iter().enumerate() {
            let ends = before.as_ref().map_or(vec![self.chain], |before| before.ends.clone());
            match (fault, ends.first()) {
                (Some(fault), Some(chain)) => {
                    segment.chain = *chain;
                    before = Some(self.headless(&mut segment, follow.get(number + 1), fault)?);
                }
                (Some(fault), None) => return Err(fault),
                (None, Some(_)) if !ends.contains(&segment.chain) => {
                    let what = format!("entry {} is not the one that was before it", segment.first - 1);
                    return Err(Fault::damaged(&segment.name(), 40, what));
                }
                (None, _) => before = Some(self.one(&mut segment, follow.get(number + 1))?),
            }
            segments.push(segment);
        }
        let committed = self.known.committed;
        match before {
            Some(Through { tail, .. }) if tail.last.0 >= committed => Ok((segments, tail)),
            found => {
                let (last, at) = found.map_or((0, 0), |found| (found.tail.last.0, found.tail.end));
                let name = segments.last().map_or(FOLDER.to_string(), Segment::name);
                let what =
                    format!("it ends with entry {last}, and the store has committed entry {committed}: an older copy?");
                Err(Fault::damaged(&name, at, format!("{what}; entries {} to {committed} are concerned", last + 1)))
            }
        }
    }

    /// Reads a segment whose header is damaged. What the header said follows from its neighbours, but only entries that are
    /// right tell that this is the file that stood here.
    fn headless(&mut self, segment: &mut Segment, next: Option<&(u64, bool)>, fault: Fault) -> Result<Through, Fault> {
        let known = self.gaps.len();
        let through = self.one(segment, next)?;
        let lost = self.gaps[known..].iter().filter_map(|gap| gap.entries).map(|(first, last)| last + 1 - first).sum();
        let last = through.tail.last.0;
        if last > self.known.covered || last + 1 - segment.first <= lost {
            return Err(fault);
        }
        self.gaps.push(Gap {
            segment: segment.first,
            at: 0,
            what: "no header of a segment".to_string(),
            entries: None,
        });
        segment.worn = true;
        Ok(through)
    }

    /// Reads one segment, which must reach up to the next one.
    fn one(&mut self, segment: &mut Segment, next: Option<&(u64, bool)>) -> Result<Through, Fault> {
        let name = segment.name();
        let end = next.map(|(first, _)| *first);
        let file = self.disk.open(&name).map_err(|cause| Fault::disk(&name, "open", cause))?;
        let mut scan = Scan::new(file, segment, self.seal);
        // Where each entry that no later header says to be durable begins.
        let mut doubtful = VecDeque::new();
        let mut goes_on = true;
        while goes_on {
            let at = scan.at();
            match scan.next()? {
                Found::Frame(head, _) => {
                    doubtful.push_back((head.sequence, at));
                    while doubtful.front().is_some_and(|(sequence, _)| *sequence <= head.durable) {
                        doubtful.pop_front();
                    }
                }
                Found::End => break,
                Found::Bad(bad) if end.is_none() && bad.torn && bad.sequence > self.known.committed => break,
                Found::Bad(bad) => {
                    goes_on = self.pass(&mut scan, segment.first, next, bad)?;
                    segment.worn = true;
                }
            }
        }
        let (ends, reached) = match (goes_on, end) {
            (false, Some(end)) => (Vec::new(), end),
            _ => (scan.ends(), scan.sequence()),
        };
        if let Some(end) = end.filter(|end| *end != reached) {
            let what = format!("it ends with entry {}, and the next segment begins with {end}", reached - 1);
            let what = format!("{what}; entries {reached} to {} are concerned", end.max(1) - 1);
            return Err(Fault::damaged(&name, scan.at(), what));
        }
        let doubtful = doubtful.front().map_or(0, |(_, at)| *at);
        let last = (reached - 1, ends.first().copied().unwrap_or_default());
        Ok(Through { tail: Tail { last, end: scan.at(), doubtful, file: scan.into_file() }, ends })
    }

    /// Passes over damage, if all that it concerns is covered. Says whether anything follows it in its segment.
    fn pass(&mut self, scan: &mut Scan, segment: u64, next: Option<&(u64, bool)>, bad: Bad) -> Result<bool, Fault> {
        let Known { committed, covered } = self.known;
        let passed = bad.sequence <= covered && scan.pass(&bad)?;
        let behind = match next {
            _ if passed => Some(scan.sequence()),
            Some((end, true)) if bad.changed && *end > bad.sequence => Some(*end),
            _ => None,
        };
        match behind.filter(|behind| behind - 1 <= covered) {
            Some(behind) => {
                let Bad { at, sequence, what, .. } = bad;
                self.gaps.push(Gap { segment, at, what, entries: Some((sequence, behind - 1)) });
                Ok(passed)
            }
            None => {
                let committed = (bad.sequence <= committed).then_some(committed + 1);
                Err(bad.damage(&name(segment), next.map(|(end, _)| *end).or(committed)))
            }
        }
    }
}
