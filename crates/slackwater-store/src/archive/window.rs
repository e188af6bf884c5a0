//! Rows by tick, in bounded memory: as many ticks at once as there is room for their rows.

use super::change::{Change, Changes};
use super::shelf::Shelf;
use super::volume::{Segment, Volume};
use super::weave::weave;
use crate::fault::Fault;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use std::ops::{Range, RangeInclusive};

/// Most rows that are sorted in memory.
const ROWS: u64 = 1 << 20;
/// Pieces that a range of ticks is counted in.
const PIECES: u64 = 1 << 10;

/// Opens segments.
type Open<'a, 'v> = &'a dyn Fn(&[&Segment]) -> Result<Vec<Volume<'v>>, Fault>;

/// Gives the rows of segments of one source by tick, and of one tick first what was taken away.
pub(super) fn by_tick(
    segments: &[&Segment],
    open: Open<'_, '_>,
    visit: &mut dyn FnMut(&Change<'_>),
) -> Result<(), Fault> {
    let first = segments.iter().map(|segment| segment.ticks.0).min();
    let last = segments.iter().map(|segment| segment.ticks.1).max();
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    // The next ranges last.
    let mut ranges = vec![first..=last];
    while let Some(range) = ranges.pop() {
        let near = |segment: &&&Segment| segment.ticks.0 <= *range.end() && segment.ticks.1 >= *range.start();
        let near: Vec<&Segment> = segments.iter().filter(near).copied().collect();
        let volumes = open(&near)?;
        if near.iter().map(|segment| segment.rows).sum::<u64>() <= ROWS {
            give(&volumes, range, visit)?;
        } else if range.start() == range.end() {
            give_one(&volumes, *range.start(), visit)?;
        } else {
            let (pieces, counts) = count(&volumes, &range)?;
            give_pieces(&volumes, &pieces, &counts, &mut ranges, visit)?;
        }
    }
    Ok(())
}

/// Gives the rows of a tick, and of as many behind it as there is room for; and the last tick of those.
pub(super) fn from_tick(
    segments: &[&Segment],
    tick: u64,
    open: Open<'_, '_>,
    visit: &mut dyn FnMut(&Change<'_>),
) -> Result<u64, Fault> {
    let last = segments.iter().map(|segment| segment.ticks.1).max().unwrap_or(0);
    if last < tick {
        return Ok(u64::MAX);
    }
    let mut range = tick..=last;
    loop {
        let near = |segment: &&&Segment| segment.ticks.0 <= *range.end() && segment.ticks.1 >= *range.start();
        let near: Vec<&Segment> = segments.iter().filter(near).copied().collect();
        let volumes = open(&near)?;
        if near.iter().map(|segment| segment.rows).sum::<u64>() <= ROWS {
            give(&volumes, range.clone(), visit)?;
            return Ok(*range.end());
        }
        if range.start() == range.end() {
            give_one(&volumes, tick, visit)?;
            return Ok(tick);
        }
        let (pieces, counts) = count(&volumes, &range)?;
        let mut sum = 0;
        let fit = counts.iter().take_while(|count| {
            sum += **count;
            sum <= ROWS
        });
        if let Some(at) = fit.count().checked_sub(1) {
            give(&volumes, tick..=*pieces[at].end(), visit)?;
            return Ok(*pieces[at].end());
        }
        range = pieces[0].clone();
    }
}

/// Gives as many pieces at once as there is room for, up to the first that is too large alone; that and what is behind
/// it is left for later.
fn give_pieces(
    volumes: &[Volume<'_>],
    pieces: &[RangeInclusive<u64>],
    counts: &[u64],
    ranges: &mut Vec<RangeInclusive<u64>>,
    visit: &mut dyn FnMut(&Change<'_>),
) -> Result<(), Fault> {
    let mut at = 0;
    while at < pieces.len() {
        let (from, mut sum) = (at, 0);
        while at < pieces.len() && sum + counts[at] <= ROWS {
            sum += counts[at];
            at += 1;
        }
        if at > from {
            if sum > 0 {
                give(volumes, *pieces[from].start()..=*pieces[at - 1].end(), visit)?;
            }
            continue;
        }
        if at + 1 < pieces.len() {
            ranges.push(*pieces[at + 1].start()..=*pieces[pieces.len() - 1].end());
        }
        if pieces[at].start() == pieces[at].end() {
            give_one(volumes, *pieces[at].start(), visit)?;
        } else {
            ranges.push(pieces[at].clone());
        }
        return Ok(());
    }
    Ok(())
}

/// How many rows each piece of a range of ticks has.
fn count(volumes: &[Volume<'_>], range: &RangeInclusive<u64>) -> Result<(Vec<RangeInclusive<u64>>, Vec<u64>), Fault> {
    let (start, end) = (*range.start(), *range.end());
    let width = (end - start) / PIECES + 1;
    let pieces: Vec<RangeInclusive<u64>> = (0..=(end - start) / width)
        .map(|piece| start + piece * width..=end.min((start + piece * width).saturating_add(width - 1)))
        .collect();
    let mut counts = vec![0; pieces.len()];
    for volume in volumes {
        let column = tick_column(volume.shelf);
        for group in 0..volume.groups() {
            let mut batches = volume.read(group, Some(column), None)?;
            while let Some(batch) = batches.next()? {
                let ticks = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
                let ticks = ticks.ok_or_else(|| batches.damaged(String::from("no column of ticks")))?;
                for tick in ticks.values().iter().filter(|tick| range.contains(tick)) {
                    counts[((tick - start) / width) as usize] += 1;
                }
            }
        }
    }
    Ok((pieces, counts))
}

/// Gives the rows of a range of ticks, sorted in memory.
fn give(volumes: &[Volume<'_>], range: RangeInclusive<u64>, visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
    let (mut rows, mut order) = (Changes::new(), Vec::new());
    weave(
        volumes,
        |_, _| true,
        |change, _| {
            if range.contains(&change.tick) {
                order.push((change.tick, change.plus, rows.len()));
                rows.push(change);
            }
            Ok(())
        },
    )?;
    order.sort_unstable();
    order.into_iter().for_each(|(_, _, at)| visit(&rows.get(at)));
    Ok(())
}

/// Gives the rows of one tick, of which there may be any number.
fn give_one(volumes: &[Volume<'_>], tick: u64, visit: &mut dyn FnMut(&Change<'_>)) -> Result<(), Fault> {
    for plus in [false, true] {
        weave(
            volumes,
            |_, _| true,
            |change, _| {
                if (change.tick, change.plus) == (tick, plus) {
                    visit(change);
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn tick_column(shelf: &Shelf) -> usize {
    shelf.fields().count()
}

/// The rows of a row group whose event time is wanted, as ranges in order.
pub(super) fn rows_with(
    volume: &Volume<'_>,
    group: usize,
    column: usize,
    wanted: impl Fn(i64) -> bool,
) -> Result<Vec<Range<usize>>, Fault> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut batches = volume.read(group, Some(column), None)?;
    while let Some(batch) = batches.next()? {
        let times = batch.columns().first().and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let times = times.ok_or_else(|| batches.damaged(String::from("no column of event times")))?;
        for time in times.values() {
            if wanted(*time) {
                match ranges.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => ranges.push(at..at + 1),
                }
            }
            at += 1;
        }
    }
    Ok(ranges)
}
