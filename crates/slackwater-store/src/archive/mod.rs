//! The log of ±facts: what was added and taken away, and at which tick, in Parquet files that any tool reads.
//!
//! A segment has changes of one source and one bucket of event time. What was true at a tick is what the changes up to
//! then sum to. Segments are never changed; several small ones become one, with the same rows.

mod change;
mod column;
mod footers;
mod press;
mod shelf;
mod volume;
mod weave;
mod window;

pub use change::{Change, Changes, OwnedChange};
pub use shelf::Shelf;
pub use volume::Segment;

use crate::disk::Disk;
use crate::fault::Fault;
use crate::order::{self, Strings};
use crate::tier;
use footers::Footers;
use press::{Press, RowsHasher};
use slackwater_core::cutoff::{Cutoffs, let_go_of};
use slackwater_core::row::{IdentityBytes, Row, digest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use volume::{Volume, selection};
use weave::{Net, time, weave};

/// The folder of the segments.
const FOLDER: &str = "archive";
/// Length of a bucket, unless set otherwise: a day, in nanoseconds.
pub const BUCKET: i64 = 86_400_000_000_000;

/// Bytes of a sort key, about.
const KEY_BYTES: usize = 48;
/// Rows from which on a segment is large enough for good: joining it with others would cost more than their number does.
const WHOLE: u64 = 2 * press::GROUP_ROWS as u64;

/// A content that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Index of its source.
    pub source: u16,
    /// Its event time in nanoseconds since the epoch.
    pub time: i64,
    /// Its identity, as [`IdentityBytes`] gives it.
    pub identity: Vec<u8>,
    /// Its content digest.
    pub digest: u128,
}

/// All changes of facts. A clone has the same segments; only one of the two may be written to.
#[derive(Clone, Debug)]
pub struct Archive {
    disk: Arc<dyn Disk>,
    /// By source.
    shelves: Vec<Shelf>,
    /// From the oldest to the newest.
    segments: Vec<Segment>,
    next: u64,
    bucket: i64,
    /// Changes of later ticks are as good as not there.
    until: u64,
    /// Facts before these are not here.
    cutoffs: Cutoffs,
    /// Of the segments in which contents were looked for.
    footers: Footers,
}

impl Archive {
    /// Opens the segments that a checkpoint names; `next` is the number of the next one, `bucket` the length of a
    /// bucket in nanoseconds, which never changes. Segments are checked when they are read.
    ///
    /// # Errors
    /// What the disk says, or where a segment has no source.
    pub fn open(
        disk: Arc<dyn Disk>,
        shelves: Vec<Shelf>,
        segments: Vec<Segment>,
        next: u64,
        bucket: i64,
    ) -> Result<Archive, Fault> {
        let made = disk.make_folder(FOLDER).and_then(|()| disk.sync_folder(""));
        made.map_err(|cause| Fault::disk(FOLDER, "make", cause))?;
        let refused =
            |segment: &Segment, what: String| Fault::Refused(format!("{}: {what}", volume::name(segment.number)));
        for segment in &segments {
            if usize::from(segment.source) >= shelves.len() {
                return Err(refused(segment, format!("it is of source {}, which there is not", segment.source)));
            }
            if segment.number >= next {
                return Err(refused(segment, format!("the next segment would be {next}, and it is there already")));
            }
        }
        if bucket <= 0 {
            return Err(Fault::Refused(format!("a bucket of {bucket} nanoseconds: it needs at least one")));
        }
        // A number that was ever given is not given again: another checkpoint may name the segment that has it.
        let there = disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))?;
        let next = there.iter().filter_map(|name| number_of(name)).fold(next, |next, number| next.max(number + 1));
        let (until, cutoffs, footers) = (u64::MAX, Cutoffs::default(), Footers::default());
        Ok(Archive { disk, shelves, segments, next, bucket, until, cutoffs, footers })
    }

    /// From here on facts and contents are those up to a tick, whatever there is of later ones.
    pub fn see_until(&mut self, tick: u64) {
        self.until = tick;
    }

    /// Lets go of the segments that lie wholly before a cutoff. Their files stay until [`Archive::forget`]. What is asked for
    /// from before it is refused from here on.
    pub fn cut_off(&mut self, cutoffs: &Cutoffs) {
        self.segments.retain(|segment| !is_cut(cutoffs, segment));
        self.cutoffs.clone_from(cutoffs);
    }

    /// From which event time on facts of a source are here, where some were let go of.
    pub fn kept_from(&self, source: u16) -> Option<i64> {
        self.cutoffs.of(source).filter(|cutoff| cutoff.lets_go()).map(|cutoff| cutoff.facts)
    }

    /// The spans of event time that have facts, with their sources, from the earliest to the latest.
    pub fn spans(&self) -> BTreeSet<(i128, i128, u16)> {
        let length = i128::from(self.bucket);
        let start = |segment: &Segment| i128::from(segment.bucket) * length;
        self.segments.iter().map(|segment| (start(segment), start(segment) + length, segment.source)).collect()
    }

    /// Refuses what is asked for of a source from before its cutoff: it is not known whether there was anything.
    fn must_have(&self, source: u16, from: i128) -> Result<(), Fault> {
        match self.kept_from(source).filter(|kept| from < i128::from(*kept)) {
            None => Ok(()),
            Some(kept) => Err(Fault::Refused(format!("{FOLDER}: {}", let_go_of(source, kept)))),
        }
    }

    /// Writes changes, in any order, as one segment for each source and bucket among them, on so many threads.
    ///
    /// # Errors
    /// What the disk says. Nothing is changed then.
    pub fn write(&mut self, changes: &Changes, threads: usize) -> Result<(), Fault> {
        let mut places: BTreeMap<(u16, i64), Vec<u32>> = BTreeMap::new();
        let mut last: Option<((u16, i64), &mut Vec<u32>)> = None;
        for (at, change) in changes.iter().enumerate() {
            let Some(shelf) = self.shelves.get(usize::from(change.source)) else {
                return Err(Fault::Refused(format!("a change of source {}, which there is not", change.source)));
            };
            let bucket = Row::new(&shelf.schema, change.content).event_time().div_euclid(self.bucket);
            let place = (change.source, bucket);
            match &mut last {
                Some((known, places)) if *known == place => places.push(at as u32),
                _ => last = None,
            }
            if last.is_none() {
                let places = places.entry(place).or_default();
                places.push(at as u32);
                last = Some((place, places));
            }
        }
        let mut written = Vec::new();
        for (at, places) in places {
            let shelf = &self.shelves[usize::from(at.0)];
            let mut press = Press::new(&*self.disk, shelf, self.next + written.len() as u64, at, places.len() as u64)?;
            press.write(changes, &sorted(shelf, changes, &places, threads), threads)?;
            written.push(press.finish()?);
        }
        self.next += written.len() as u64;
        self.segments.append(&mut written);
        Ok(())
    }

    /// Gives the facts of a source whose event time lies in `[from, to)`: as they are, or as they were at a tick. They
    /// come by bucket, and within one by sort fields, event time and identity.
    ///
    /// # Errors
    /// What the disk says, where a segment is damaged, where contents do not sum to one or none, or where facts from before a
    /// cutoff are asked for.
    pub fn facts(
        &self,
        source: u16,
        from: i128,
        to: i128,
        as_of: Option<u64>,
        visit: &mut dyn FnMut(&Change<'_>),
    ) -> Result<(), Fault> {
        let as_of = as_of.unwrap_or(u64::MAX).min(self.until);
        let inside = |times: (i64, i64)| i128::from(times.1) >= from && i128::from(times.0) < to;
        let Some(shelf) = self.shelves.get(usize::from(source)) else { return Ok(()) };
        self.must_have(source, from)?;
        let near = |segment: &&Segment| segment.source == source && inside(segment.times) && segment.ticks.0 <= as_of;
        let mut buckets: BTreeMap<i64, Vec<&Segment>> = BTreeMap::new();
        self.segments.iter().filter(near).for_each(|segment| buckets.entry(segment.bucket).or_default().push(segment));
        let column = shelf.column_of(shelf.schema.roles().event_time);
        for segments in buckets.into_values() {
            let volumes = self.volumes(segments.into_iter())?;
            let mut net = Net::default();
            let wanted = |volume: &Volume<'_>, group| volume.span(group, column).is_none_or(inside);
            weave(&volumes, wanted, |change, key| {
                let time = i128::from(Row::new(&shelf.schema, change.content).event_time());
                if change.tick <= as_of && from <= time && time < to { net.push(change, key, visit) } else { Ok(()) }
            })?;
            net.settle(visit)?;
        }
        Ok(())
    }

    fn volumes<'s>(&self, segments: impl Iterator<Item = &'s Segment>) -> Result<Vec<Volume<'_>>, Fault> {
        segments.map(|segment| Volume::open(&*self.disk, &self.shelves[usize::from(segment.source)], segment)).collect()
    }

    /// Gives contents by identity, event time and digest, where there are such: the newest that was added, even where
    /// it was taken away since.
    ///
    /// # Errors
    /// What the disk says, where a segment is damaged, or where one from before a cutoff is asked for.
    pub fn contents(&self, asks: &[Ask]) -> Result<Vec<Option<OwnedChange>>, Fault> {
        let mut found: Vec<Option<OwnedChange>> = vec![None; asks.len()];
        let mut buckets: BTreeMap<(u16, i64), Vec<usize>> = BTreeMap::new();
        for (at, ask) in asks.iter().enumerate() {
            self.must_have(ask.source, ask.time.into())?;
            buckets.entry((ask.source, ask.time.div_euclid(self.bucket))).or_default().push(at);
        }
        for ((source, bucket), places) in buckets {
            let mut times: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            places.into_iter().for_each(|at| times.entry(asks[at].time).or_default().push(at));
            for segment in self.segments.iter().filter(|s| (s.source, s.bucket) == (source, bucket)) {
                if times.range(segment.times.0..=segment.times.1).next().is_some() {
                    self.find_in(segment, asks, &times, &mut found)?;
                }
            }
        }
        Ok(found)
    }

    /// Looks for contents in one segment: first by event time alone, then at the rows that have one of those.
    fn find_in(
        &self,
        segment: &Segment,
        asks: &[Ask],
        times: &BTreeMap<i64, Vec<usize>>,
        found: &mut [Option<OwnedChange>],
    ) -> Result<(), Fault> {
        let shelf = &self.shelves[usize::from(segment.source)];
        let volume = Volume::open_again(&*self.disk, shelf, segment, &self.footers)?;
        let column = shelf.column_of(shelf.schema.roles().event_time);
        let (mut ids, mut rows) = (IdentityBytes::default(), Changes::new());
        for group in 0..volume.groups() {
            let span = volume.span(group, column);
            if span.is_some_and(|(least, most)| least > most || times.range(least..=most).next().is_none()) {
                continue;
            }
            let ranges = window::rows_with(&volume, group, column, |time| times.contains_key(&time))?;
            if ranges.is_empty() {
                continue;
            }
            let mut batches = volume.read(group, None, Some(selection(&ranges, volume.rows(group))))?;
            while batches.append(&mut rows)? {}
            for change in rows.iter().filter(|change| change.plus && change.tick <= self.until) {
                for at in times.get(&time(&volume, &change)).into_iter().flatten() {
                    let newer = found[*at].as_ref().is_none_or(|found| found.tick <= change.tick);
                    if newer && digest(change.content) == asks[*at].digest {
                        let row = Row::new(&shelf.schema, change.content);
                        let identity = ids.of(row, change.source, (change.part, change.position.offset));
                        if identity == asks[*at].identity {
                            found[*at] = Some(change.into());
                        }
                    }
                }
            }
            rows.clear();
        }
        Ok(())
    }

    /// Gives all changes of a source by tick, for a rebuild; of one tick first what was taken away, then what was
    /// added.
    ///
    /// # Errors
    /// What the disk says, or where a segment is damaged.
    pub fn changes(&self, source: u16, visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
        let segments: Vec<&Segment> = self.segments.iter().filter(|segment| segment.source == source).collect();
        window::by_tick(&segments, &|segments| self.volumes(segments.iter().copied()), visit)
    }

    /// Gives the changes of a source from a tick on, by tick, as [`Archive::changes`] does, whatever is seen otherwise: those of
    /// this tick, and of as many behind it as there is room for. Gives the last tick of which they are all.
    ///
    /// # Errors
    /// What the disk says, or where a segment is damaged.
    pub fn changes_from(&self, source: u16, tick: u64, visit: &mut dyn FnMut(&Change<'_>)) -> Result<u64, Fault> {
        let segments: Vec<&Segment> = self.segments.iter().filter(|segment| segment.source == source).collect();
        window::from_tick(&segments, tick, &|segments| self.volumes(segments.iter().copied()), visit)
    }

    /// Makes one segment of several small ones of a bucket, the same rows in the same order. False when there was
    /// nothing to do; else there may be more. Files of segments that were merged stay until [`Archive::forget`].
    ///
    /// # Errors
    /// What the disk says, or where a segment is damaged. Nothing is changed then.
    pub fn compact(&mut self) -> Result<bool, Fault> {
        let mut buckets: BTreeMap<(u16, i64), Vec<&Segment>> = BTreeMap::new();
        for segment in self.segments.iter().filter(|segment| segment.rows < WHOLE) {
            buckets.entry((segment.source, segment.bucket)).or_default().push(segment);
        }
        let due = buckets.into_values().find_map(|segments| {
            let sizes: Vec<u64> = segments.iter().map(|segment| segment.rows).collect();
            tier::due(&sizes).map(|count| segments[segments.len() - count..].to_vec())
        });
        let Some(merged) = due else { return Ok(false) };
        let segment = self.join(&merged)?;
        let gone: BTreeSet<u64> = merged.iter().map(|segment| segment.number).collect();
        self.segments.retain(|segment| !gone.contains(&segment.number));
        self.segments.push(segment);
        self.next += 1;
        Ok(true)
    }

    /// Writes the rows of several segments of one bucket as one.
    fn join(&self, segments: &[&Segment]) -> Result<Segment, Fault> {
        let Segment { source, bucket, .. } = *segments[0];
        let volumes = self.volumes(segments.iter().copied())?;
        let (shelf, rows) = (&self.shelves[usize::from(source)], segments.iter().map(|segment| segment.rows).sum());
        let mut press = Press::new(&*self.disk, shelf, self.next, (source, bucket), rows)?;
        weave(&volumes, |_, _| true, |change, _| press.push(change))?;
        press.finish()
    }

    /// The segments that hold everything, from the oldest to the newest.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Number of the next segment.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Removes the files of all segments that are not in use here and not kept for another checkpoint, and unfinished
    /// ones.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&mut self, kept: &BTreeSet<u64>) -> Result<(), Fault> {
        let live = |number: u64| kept.contains(&number) || self.segments.iter().any(|s| s.number == number);
        for name in self.disk.list(FOLDER).map_err(|cause| Fault::disk(FOLDER, "list", cause))? {
            let number = number_of(&name);
            if name.ends_with(".parquet.tmp") || number.is_some_and(|number| !live(number)) {
                let name = format!("{FOLDER}/{name}");
                self.disk.remove(&name).map_err(|cause| Fault::disk(&name, "remove", cause))?;
            }
        }
        Ok(())
    }

    /// Looks whether every segment is there and is the one that was written; and, if they are to be read through, all of each.
    ///
    /// # Errors
    /// What the disk says, or where a segment is damaged.
    pub fn look(&self, through: bool) -> Result<(), Fault> {
        for segment in &self.segments {
            for volume in self.volumes(std::iter::once(segment))? {
                if through {
                    volume.check_chunks()?;
                }
            }
        }
        Ok(())
    }

    /// Reads every byte of every segment, holds it against its digests, and the rows against theirs.
    ///
    /// # Errors
    /// What the disk says, or where a segment is damaged.
    pub fn scrub(&self) -> Result<(), Fault> {
        for segment in &self.segments {
            let volumes = self.volumes(std::iter::once(segment))?;
            let (mut hasher, mut sound) = (RowsHasher::default(), true);
            let mut before = Vec::new();
            weave(
                &volumes,
                |_, _| true,
                |change, key| {
                    sound &= before.as_slice() <= key && Row::check(&volumes[0].shelf.schema, change.content);
                    before.clear();
                    before.extend_from_slice(key);
                    hasher.push_any(change);
                    Ok(())
                },
            )?;
            if !sound || hasher.finish() != segment.rows_digest {
                let what = "its rows are not the ones that were written";
                return Err(Fault::damaged(&volume::name(segment.number), 0, what));
            }
        }
        Ok(())
    }
}

/// Whether a segment lies wholly before the cutoff of its source.
fn is_cut(cutoffs: &Cutoffs, segment: &Segment) -> bool {
    cutoffs.of(segment.source).is_some_and(|cutoff| segment.times.1 < cutoff.facts)
}

/// The number of a segment by the name of its file.
fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".parquet")?.parse().ok()
}

/// The places of changes of one shelf in the order of their keys.
fn sorted(shelf: &Shelf, changes: &Changes, places: &[u32], threads: usize) -> Vec<u32> {
    let keys = |places: &[u32]| {
        let mut keys = Strings::with_capacity(places.len(), places.len() * KEY_BYTES);
        let mut ids = IdentityBytes::default();
        for place in places {
            shelf.put_key(&changes.get(*place as usize), &mut ids, keys.room());
            keys.end();
        }
        keys
    };
    order::sorted_parts(places, threads, keys).into_iter().map(|at| places[at as usize]).collect()
}
