//! Putting byte strings in order without comparing them in full.

/// The places of byte strings in ascending order, equal ones as they stand.
pub(crate) fn sorted<'a>(count: usize, bytes: impl Fn(usize) -> &'a [u8]) -> Vec<u32> {
    if count == 0 {
        return Vec::new();
    }
    let first = bytes(0);
    let shared = (1..count).fold(first.len(), |shared, at| common(&first[..shared], bytes(at)));
    // Sixteen bytes behind what all share decide nearly always, and they are compared without going to the string.
    let mut heads: Vec<(u128, u32)> = (0..count).map(|at| (head(&bytes(at)[shared..]), at as u32)).collect();
    heads.sort_by(|(a, at), (b, bt)| a.cmp(b).then_with(|| bytes(*at as usize).cmp(bytes(*bt as usize))));
    heads.into_iter().map(|(_, at)| at).collect()
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
