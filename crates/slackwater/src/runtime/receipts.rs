//! Answers to named deliveries: the last so many are kept, so that what is sent again is answered as before.

use slackwater_core::judge::Counts;
use slackwater_store::Fault;
use slackwater_store::store::{Head, Receipt, Store};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many answers are kept. What is sent again later is judged again: its events are duplicates then.
const MOST: usize = 65_536;

/// The name of a delivery: source, the name itself, and the digest of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub source: u16,
    pub name: Arc<str>,
    pub digest: u128,
}

/// The answers that are kept.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// In order, without a gap.
    list: VecDeque<Receipt>,
    /// The number of each.
    numbers: BTreeMap<(u16, String), u64>,
    /// How many at the end are not committed yet.
    fresh: usize,
}

impl Receipts {
    /// Those that a store has.
    pub fn load(store: &mut dyn Store) -> Result<Self, Fault> {
        let mut receipts = Receipts::default();
        store.receipts(&mut |receipt| {
            receipts.push(receipt);
            Ok(())
        })?;
        receipts.fresh = 0;
        Ok(receipts)
    }

    /// What a delivery of this name was answered.
    pub fn of(&self, source: u16, name: &str) -> Option<&Receipt> {
        let number = self.numbers.get(&(source, name.to_string()))?;
        self.list.get((number - self.list.front()?.number) as usize)
    }

    /// Notes an answer, and lets go of the oldest where there are too many.
    pub fn put(&mut self, head: &mut Head, named: Named, counts: Counts) {
        let number = self.list.back().map_or(head.first_receipt, |last| last.number + 1);
        let Named { source, name, digest } = named;
        let receipt = Receipt { number, source, name: name.to_string(), digest, counts };
        head.put_receipt(&receipt);
        self.push(receipt);
        // One that is not committed yet is in no table to be taken from.
        while self.list.len() > MOST.max(self.fresh)
            && let Some(oldest) = self.list.pop_front()
        {
            head.drop_receipt(&oldest);
            self.numbers.remove(&(oldest.source, oldest.name));
        }
    }

    fn push(&mut self, receipt: Receipt) {
        self.numbers.insert((receipt.source, receipt.name.clone()), receipt.number);
        self.list.push_back(receipt);
        self.fresh += 1;
    }

    /// Those that the next commit brings.
    pub fn fresh(&mut self) -> &[Receipt] {
        let first = self.list.len() - self.fresh;
        &self.list.make_contiguous()[first..]
    }

    /// They are committed.
    pub fn committed(&mut self) {
        self.fresh = 0;
    }
}
