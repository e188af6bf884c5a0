//! Parts, and the threads that drive them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What a poll brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something was done; more may follow.
    Worked,
    /// Nothing to do now: no input, or no room behind.
    Waiting,
    /// Never anything more to do.
    Done,
}

/// A state machine that works in small steps and never waits.
pub(super) trait Part<E>: Send {
    /// Does one step.
    fn poll(&mut self) -> Result<Progress, E>;
}

/// How long a thread that found nothing to do stays away. It bounds idling, and decides nothing.
const PAUSE: Duration = Duration::from_micros(50);

/// Drives all parts to their end on so many threads. Parts that stand later are asked first, so that queues drain
/// before they fill. The first error stops everything and is returned.
pub(super) fn drive<E: Send>(parts: Vec<Box<dyn Part<E> + '_>>, threads: usize) -> Result<(), E> {
    let left = AtomicUsize::new(parts.len());
    let stop = AtomicBool::new(false);
    let failed = Mutex::new(None);
    let slots: Vec<_> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let work = || {
        while left.load(Ordering::Acquire) > 0 && !stop.load(Ordering::Acquire) {
            let mut worked = false;
            for slot in slots.iter().rev() {
                // A part that another thread is driving is passed over.
                let Ok(mut slot) = slot.try_lock() else { continue };
                let Some(part) = slot.as_mut() else { continue };
                match part.poll() {
                    Ok(Progress::Worked) => worked = true,
                    Ok(Progress::Waiting) => continue,
                    Ok(Progress::Done) => {
                        *slot = None;
                        left.fetch_sub(1, Ordering::AcqRel);
                        worked = true;
                    }
                    Err(error) => {
                        failed.lock().expect("nothing panics with this lock").get_or_insert(error);
                        stop.store(true, Ordering::Release);
                    }
                }
                // Behind what was just done there may be work now: ask from the end again.
                break;
            }
            if !worked {
                std::thread::sleep(PAUSE);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            // If the machine gives no more threads, the ones that run do all the work.
            let _ = std::thread::Builder::new().name("slackwater-fold".into()).spawn_scoped(scope, work);
        }
        work();
    });
    failed.into_inner().expect("nothing panics with this lock").map_or(Ok(()), Err)
}
