//! Work on several threads that is done also where the machine gives no more of them.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::{Builder, scope};

/// What becomes of each of these, on a thread for each; on this one, where there is no thread for it, or only one of them.
pub fn each<I: Send, T: Send>(items: impl Iterator<Item = I>, make: impl Fn(I) -> T + Sync) -> Vec<T> {
    // A thread that does not come must not take its item with it.
    let items: Vec<Mutex<Option<I>>> = items.map(|item| Mutex::new(Some(item))).collect();
    let (items, make) = (&items, &make);
    let work = move |at: usize| make(taken(&items[at]));
    if items.len() == 1 {
        return vec![work(0)];
    }
    scope(|scope| {
        let spawn = |at| Builder::new().spawn_scoped(scope, move || work(at)).map_err(|_| at);
        let threads: Vec<_> = (0..items.len()).map(spawn).collect();
        let done = threads.into_iter().map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(at) => work(at),
        });
        done.collect()
    })
}

/// Does one thing beside another; before it, where there is no thread for it.
pub fn both<A: Send, B>(beside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    let beside = &Mutex::new(Some(beside));
    scope(|scope| match Builder::new().spawn_scoped(scope, move || taken(beside)()) {
        Ok(thread) => {
            let here = here();
            (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), here)
        }
        Err(_) => (taken(beside)(), here()),
    })
}

fn taken<T>(place: &Mutex<Option<T>>) -> T {
    let taken = place.lock().expect("nothing panics while it takes").take();
    taken.expect("each is taken once")
}
