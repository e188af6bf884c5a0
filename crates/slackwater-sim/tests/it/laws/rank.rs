//! The winner among events of one identity is a join: the greatest rank, however they meet.

use super::law;
use proptest::prelude::*;
use slackwater_core::input::Head;
use slackwater_core::judge::{Change, Known, Verdict, weigh};
use slackwater_core::row::Op;
use std::cmp::Reverse;

/// Version, decoder, retraction, digest: small, so that they meet.
type Rank = (u64, u32, bool, u128);

fn ranks() -> impl Strategy<Value = Vec<Rank>> {
    let rank = (0u64..3, 0u32..3, prop::bool::weighted(0.3), 0u128..3);
    // A retraction's digest is that of its identity and version alone.
    let rank = rank.prop_map(|(v, d, retracts, digest)| (v, d, retracts, if retracts { 9 } else { digest }));
    prop::collection::vec(rank, 1..10)
}

fn head(rank: Rank) -> Head {
    let op = if rank.2 { Op::Retract } else { Op::Assert };
    Head { op, version: rank.0, time: 0, identity: 1 }
}

fn known(rank: Rank) -> Known {
    let Head { op, version, .. } = head(rank);
    Known { version, decoder: rank.1, op, digest: rank.3, place: 0 }
}

fn verdict(rank: Rank, winner: Option<Rank>) -> Verdict {
    weigh(&head(rank), rank.1, || rank.3, winner.map(known).as_ref())
}

/// The winner of events that come one by one, and what was said of each.
fn play(ranks: &[Rank]) -> (Option<Rank>, Vec<Verdict>) {
    let mut winner: Option<Rank> = None;
    let mut verdicts = Vec::new();
    for rank in ranks {
        let verdict = verdict(*rank, winner);
        if matches!(verdict, Verdict::New | Verdict::Replaces(_)) {
            winner = Some(*rank);
        }
        verdicts.push(verdict);
    }
    (winner, verdicts)
}

#[test]
fn the_winner_is_the_greatest_rank_and_no_conflict_is_silent() {
    let test = "the_winner_is_the_greatest_rank_and_no_conflict_is_silent";
    law(test, (ranks(), ranks(), any::<prop::sample::Index>()), |(a, b, turn)| {
        let all: Vec<Rank> = a.iter().chain(&b).copied().collect();
        let key = |rank: &Rank| (rank.0, rank.1, rank.2, Reverse(rank.3));
        let greatest = all.iter().copied().max_by_key(key);
        let mut turned = all.clone();
        turned.rotate_left(turn.index(all.len()));
        turned.reverse();
        // Commutative, and idempotent: everything once more changes nothing.
        let twice: Vec<Rank> = turned.iter().chain(&all).copied().collect();
        for order in [&all, &turned, &twice] {
            let (winner, verdicts) = play(order);
            prop_assert_eq!(winner, greatest);
            no_conflict_is_silent(order, &verdicts)?;
        }
        // Associative: winners of parts meet as their parts would.
        let parts = [play(&b).0.expect("not empty"), play(&a).0.expect("not empty")];
        prop_assert_eq!(play(&parts).0, greatest);
        prop_assert_eq!(verdict(parts[0], Some(parts[0])), Verdict::Duplicate);
        Ok(())
    });
}

/// Whenever contents of the highest rank differ, it is said so as often as another of them comes.
fn no_conflict_is_silent(order: &[Rank], verdicts: &[Verdict]) -> Result<(), TestCaseError> {
    for at in 0..order.len() {
        let now = (order[at].0, order[at].1, order[at].2);
        let before = &order[..at];
        let highest = before.iter().all(|rank| (rank.0, rank.1, rank.2) <= now);
        let winner = before.iter().filter(|rank| (rank.0, rank.1, rank.2) == now).map(|rank| rank.3).min();
        let wanted = match winner {
            _ if order[at].2 || !highest => continue,
            None => continue,
            Some(winner) if winner == order[at].3 => Verdict::Duplicate,
            Some(winner) if winner < order[at].3 => Verdict::ConflictLost,
            Some(_) => Verdict::Replaces(Change::Conflict),
        };
        prop_assert_eq!(verdicts[at], wanted);
    }
    Ok(())
}
