//! When to merge what is kept in several files: so that there are few, and each byte is rewritten seldom.

/// How many of one size are merged into the next.
const FAN: usize = 8;

/// How many of the newest to merge into one, given sizes from the oldest to the newest; none when there are few enough.
///
/// Sizes fall into tiers by powers of [`FAN`]. What is older and smaller than something newer counts as large as that,
/// because only neighbours in age are merged. So a tier has fewer than [`FAN`] members, and there are as many tiers as
/// the logarithm of the whole.
pub(crate) fn due(sizes: &[u64]) -> Option<usize> {
    let (mut tier, mut members) = (0, 0);
    let mut due = None;
    for (age, size) in sizes.iter().rev().enumerate() {
        let own = tier_of(*size);
        if own > tier {
            (tier, members) = (own, 0);
        }
        members += 1;
        if members >= FAN {
            due = Some(age + 1);
        } else if due.is_some() && members == 1 {
            break;
        }
    }
    due
}

fn tier_of(size: u64) -> u32 {
    size.max(1).ilog2() / FAN.ilog2()
}
