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

    /// Whether any thread may drive it at no loss: what it works on is not what it keeps.
    fn is_portable(&self) -> bool {
        false
    }
}

/// A part, boxed.
pub(super) type Housed<'a, E> = Box<dyn Part<E> + 'a>;

/// Parts that do the same work side by side.
pub(super) type Stage<'a, E> = Vec<Housed<'a, E>>;

/// How long a thread that found nothing to do stays away. It bounds idling, and decides nothing.
const PAUSE: Duration = Duration::from_micros(50);

/// How often in a row a thread finds nothing to do before it takes on any of another thread's parts. Their state is in the
/// other's cache, so it is better to wait a little; but no part may depend on one thread, which may never have started.
const PATIENCE: u32 = 20;

struct Slot<'a, E> {
    /// The thread that drives it by rule.
    home: usize,
    portable: bool,
    part: Mutex<Option<Housed<'a, E>>>,
}

struct Work<'a, E> {
    slots: Vec<Slot<'a, E>>,
    left: AtomicUsize,
    failed: Mutex<Option<E>>,
    stop: AtomicBool,
}

/// Drives all parts to their end on so many threads. Stages that stand later are asked first, so that queues drain
/// before they fill. The first error stops everything and is returned.
pub(super) fn drive<E: Send>(stages: Vec<Stage<'_, E>>, threads: usize) -> Result<(), E> {
    let threads = threads.max(1);
    let mut slots = Vec::new();
    for (number, part) in stages.into_iter().flat_map(|stage| stage.into_iter().enumerate()) {
        slots.push(Slot { home: number % threads, portable: part.is_portable(), part: Mutex::new(Some(part)) });
    }
    let left = AtomicUsize::new(slots.len());
    let work = Work { slots, left, failed: Mutex::new(None), stop: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let work = &work;
        for me in 1..threads {
            // If the machine gives no more threads, the ones that run do all the work.
            let _ =
                std::thread::Builder::new().name("slackwater-fold".into()).spawn_scoped(scope, move || work.run(me));
        }
        work.run(0);
    });
    work.failed.into_inner().expect("nothing panics with this lock").map_or(Ok(()), Err)
}

/// Stops all threads when one panics: what it was driving will never be done, and nobody may wait for that.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl<E: Send> Work<'_, E> {
    /// What a thread does until all parts are done.
    fn run(&self, me: usize) {
        let _alarm = Alarm(&self.stop);
        let mut idle = 0;
        while self.left.load(Ordering::Acquire) > 0 && !self.stop.load(Ordering::Acquire) {
            let worked = self.step(|slot| slot.home == me)
                || (idle > 0 && self.step(|slot| slot.home != me && slot.portable))
                || (idle >= PATIENCE && self.step(|slot| slot.home != me));
            if worked {
                idle = 0;
            } else {
                idle += 1;
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Polls, from the end, until one of the wanted parts has done something. Behind it there may be work now, so the
    /// next step begins at the end again.
    fn step(&self, wanted: impl Fn(&Slot<'_, E>) -> bool) -> bool {
        self.slots.iter().rev().filter(|slot| wanted(slot)).any(|slot| self.poll(slot))
    }

    fn poll(&self, slot: &Slot<'_, E>) -> bool {
        // A part that another thread is driving is passed over.
        let Ok(mut held) = slot.part.try_lock() else { return false };
        let Some(part) = held.as_mut() else { return false };
        match part.poll() {
            Ok(Progress::Worked) => true,
            Ok(Progress::Waiting) => false,
            Ok(Progress::Done) => {
                *held = None;
                self.left.fetch_sub(1, Ordering::AcqRel);
                true
            }
            Err(error) => {
                self.failed.lock().expect("nothing panics with this lock").get_or_insert(error);
                self.stop.store(true, Ordering::Release);
                true
            }
        }
    }
}
