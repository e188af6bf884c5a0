//! Putting byte strings in order without comparing them in full.

use crate::crew;

/// The places of byte strings in ascending order, equal ones as they stand.
pub(crate) fn sorted<'a>(count: usize, bytes: impl Fn(usize) -> &'a [u8] + Sync) -> Vec<u32> {
    ordered(count, 1, &bytes)
}

/// The same of the strings that are made of parts of `items`, on so many threads.
pub(crate) fn sorted_parts<T: Sync>(items: &[T], threads: usize, make: impl Fn(&[T]) -> Strings + Sync) -> Vec<u32> {
    let threads = threads.min(items.len() / ALONE).max(1);
    if threads == 1 {
        let strings = make(items);
        return ordered(strings.len(), 1, &|at| strings.get(at));
    }
    let each = items.len().div_ceil(threads);
    let parts: Vec<Strings> = crew::each(items.chunks(each), make);
    ordered(items.len(), threads, &|at| parts[at / each].get(at % each))
}

fn ordered<'a>(count: usize, threads: usize, bytes: &(impl Fn(usize) -> &'a [u8] + Sync)) -> Vec<u32> {
    if count == 0 {
        return Vec::new();
    }
    let first = bytes(0);
    let shared = (1..count).fold(first.len(), |shared, at| common(&first[..shared], bytes(at)));
    // Sixteen bytes behind what all share decide nearly always, and few of their bits differ.
    let head = |at: usize| head(&bytes(at)[shared..]);
    let start = head(0);
    let bits = Bits::of((1..count).fold(0, |bits, at| bits | (head(at) ^ start)));
    let Some(bits) = bits else {
        let mut heads: Vec<(u128, u32)> = (0..count).map(|at| (head(at), at as u32)).collect();
        heads.sort_by(|(a, at), (b, bt)| a.cmp(b).then_with(|| bytes(*at as usize).cmp(bytes(*bt as usize))));
        return heads.into_iter().map(|(_, at)| at).collect();
    };
    let each = count.div_ceil(threads);
    let mut keys = vec![(0, 0); count];
    let put = |(part, keys): (usize, &mut [(u64, u32)])| {
        for (at, key) in (part * each..).zip(keys) {
            *key = (bits.of_head(head(at)), at as u32);
        }
    };
    if threads == 1 {
        put((0, &mut keys))
    } else {
        drop(crew::each(keys.chunks_mut(each).enumerate(), put))
    }
    let mut keys = by_key(keys, bits.count);
    for alike in keys.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
        alike.sort_by(|(_, at), (_, bt)| bytes(*at as usize).cmp(bytes(*bt as usize)));
    }
    keys.into_iter().map(|(_, at)| at).collect()
}

/// The bits in which heads differ, at most 64 of them.
struct Bits {
    /// Runs of them from the lowest: where one begins, its mask there, and where it goes.
    runs: Vec<(u32, u64, u32)>,
    count: u32,
}

impl Bits {
    fn of(mut differ: u128) -> Option<Bits> {
        if differ.count_ones() > 64 {
            return None;
        }
        let (mut runs, mut count, mut from) = (Vec::new(), 0, 0);
        while differ != 0 {
            let zeros = differ.trailing_zeros();
            differ >>= zeros;
            let ones = differ.trailing_ones();
            runs.push((from + zeros, u64::MAX >> (64 - ones), count));
            differ = differ.checked_shr(ones).unwrap_or(0);
            (count, from) = (count + ones, from + zeros + ones);
        }
        Some(Bits { runs, count })
    }

    /// These bits of a head, side by side.
    #[inline]
    fn of_head(&self, head: u128) -> u64 {
        self.runs.iter().fold(0, |key, (from, mask, to)| key | ((head >> from) as u64 & mask) << to)
    }
}

/// Keys of so many bits in order, equal ones as they stand: dealt out by their highest bits, so that what is compared then
/// lies near.
fn by_key(mut keys: Vec<(u64, u32)>, bits: u32) -> Vec<(u64, u32)> {
    if keys.len() < FEW || keys.is_sorted_by(|(a, _), (b, _)| a <= b) {
        keys.sort_by_key(|(key, _)| *key);
        return keys;
    }
    let (mut dealt, shift) = (vec![(0, 0); keys.len()], bits.saturating_sub(DEALT));
    let hand = |key: u64| (key >> shift) as usize;
    let mut places = vec![0; 1 << DEALT];
    keys.iter().for_each(|(key, _)| places[hand(*key)] += 1);
    let mut place = 0;
    for count in &mut places {
        place += std::mem::replace(count, place);
    }
    for pair in &keys {
        let place = &mut places[hand(pair.0)];
        dealt[*place] = *pair;
        *place += 1;
    }
    let mut from = 0;
    for to in places {
        // Places rise with each other, so equal keys stay as they stand.
        dealt[from..to].sort_unstable();
        from = to;
    }
    dealt
}

/// By how many bits keys are dealt out.
const DEALT: u32 = 11;
/// Fewer keys than these are sorted sooner by comparing them.
const FEW: usize = 1 << 9;
/// Fewer strings than these are not worth a thread of their own.
const ALONE: usize = 1 << 15;

/// Byte strings, one behind the other.
#[derive(Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    pub fn with_capacity(count: usize, bytes: usize) -> Strings {
        Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Where the next string is put before it is ended.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub fn get(&self, at: usize) -> &[u8] {
        &self.bytes[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]]
    }
}

/// How many bytes two strings begin with in common.
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The first sixteen bytes as a number, with zeros behind a shorter string: where two differ, so are the strings
/// ordered.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> u128 {
    if let Some(head) = bytes.first_chunk() {
        return u128::from_be_bytes(*head);
    }
    bytes
        .iter()
        .fold(0, |head, byte| head << 8 | u128::from(*byte))
        .checked_shl(128 - 8 * bytes.len() as u32)
        .unwrap_or(0)
}
