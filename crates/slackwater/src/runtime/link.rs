//! A queue between two parts, bounded in bytes: a full queue stops its writer, and so, in the end, the reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes that a queue may hold before its writer must wait, if nothing else is said.
pub(super) const BOUND: usize = 8 << 20;

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().expect("no part panics while it holds a queue")
}

/// The writing end. Dropping it closes the queue.
#[derive(Debug)]
pub(super) struct Sender<T> {
    state: Arc<Mutex<State<T>>>,
    bound: usize,
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Mutex<State<T>>>);

/// What a queue has to give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<T> {
    /// The next item.
    Item(T),
    /// Nothing yet.
    Empty,
    /// Nothing, ever again.
    Closed,
}

/// A new queue whose writer waits once it holds `bound` bytes.
pub(super) fn link<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new(State { queue: VecDeque::new(), bytes: 0, closed: false }));
    (Sender { state: state.clone(), bound }, Receiver(state))
}

impl<T> Sender<T> {
    /// Whether there is room. It stays until the one writer has used it.
    pub fn has_room(&self) -> bool {
        lock(&self.state).bytes < self.bound
    }

    /// Adds an item that holds about so many bytes. The writer has asked for room before.
    pub fn send(&self, item: T, bytes: usize) {
        let mut state = lock(&self.state);
        state.bytes += bytes;
        state.queue.push_back((item, bytes));
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        lock(&self.state).closed = true;
    }
}

impl<T> Receiver<T> {
    /// Takes the next item, if there is one.
    pub fn receive(&self) -> Received<T> {
        let mut state = lock(&self.0);
        match state.queue.pop_front() {
            Some((item, bytes)) => {
                state.bytes -= bytes;
                Received::Item(item)
            }
            None if state.closed => Received::Closed,
            None => Received::Empty,
        }
    }
}
