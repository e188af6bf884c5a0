//! What a running instance shares with those who use it, and what they may ask of it.

use super::board::Board;
use super::desk::{Declined, Desk};
use super::retrial::{Dealt, Wanted};
use slackwater_core::hold::Release;
use slackwater_core::plan::{Guards, Knobs};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// What an operator asks of a running instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Take events of a source in again.
    Resume(u16),
    /// Let the watermarks follow these knobs, and judge events under these guards, one of each source.
    Tune(Vec<Knobs>, Vec<Arc<Guards>>),
    /// Let in what is held.
    Release(Release),
    /// Judge events in quarantine again.
    Readmit(Wanted),
    /// Let events in quarantine stay there for good.
    Discard(Wanted),
}

/// Orders that wait for the instance; none once nobody carries them out any more.
pub struct Orders(Mutex<Option<VecDeque<(Order, Done)>>>);

/// What is to be done when an order was carried out, or could not be.
pub type Done = Box<dyn FnOnce(Result<Dealt, String>) + Send>;

impl Default for Orders {
    fn default() -> Self {
        Orders(Mutex::new(Some(VecDeque::new())))
    }
}

impl Orders {
    fn waiting(&self) -> MutexGuard<'_, Option<VecDeque<(Order, Done)>>> {
        self.0.lock().expect("nothing panics while it holds the orders")
    }

    /// Gives an order. It is answered in any case.
    pub fn give(&self, order: Order, done: Done) {
        let mut waiting = self.waiting();
        match &mut *waiting {
            Some(orders) => orders.push_back((order, done)),
            None => {
                drop(waiting);
                done(Err("the instance has stopped".to_string()));
            }
        }
    }

    pub(super) fn next(&self) -> Option<(Order, Done)> {
        self.waiting().as_mut()?.pop_front()
    }

    /// Refuses all that wait, and all that come.
    pub(super) fn close(&self) {
        let left = self.waiting().take();
        left.into_iter().flatten().for_each(|(_, done)| done(Err("the instance has stopped".to_string())));
    }
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Orders")
    }
}

/// What a service shares with those who use it.
#[derive(Clone, Debug)]
pub struct Front {
    /// Where deliveries are handed in.
    pub desk: Arc<Desk>,
    /// Where it shows what it has.
    pub board: Arc<Board>,
    /// Where orders are given.
    pub orders: Arc<Orders>,
}

impl Front {
    /// Takes nothing more, and declines all that waits.
    pub(super) fn end(&self, declined: Declined) {
        self.desk.close(declined.clone());
        self.orders.close();
        self.decline(&declined);
    }

    /// Declines all that waits; false where nothing did.
    pub(super) fn decline(&self, declined: &Declined) -> bool {
        let waiting = self.desk.take(usize::MAX);
        let any = !waiting.is_empty();
        waiting.into_iter().for_each(|waiting| (waiting.answer)(Err(declined.clone())));
        any
    }
}
