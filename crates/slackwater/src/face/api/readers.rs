//! Connections to the store of results, for requests that read: so many at once, on threads that may wait.

use super::refusal::Refusal;
use slackwater_store::Fault;
use slackwater_store::sqlite::Sqlite;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Reads at once.
const AT_ONCE: usize = 8;
/// How long a read waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection of its own to the store.
pub type OpenStore = Arc<dyn Fn() -> Result<Sqlite, Fault> + Send + Sync>;

/// Connections that are open.
#[derive(Clone)]
pub struct Readers {
    open: OpenStore,
    idle: Arc<Mutex<Vec<Sqlite>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Readers of a store.
    pub fn new(open: OpenStore) -> Readers {
        Readers { open, idle: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads on a thread that may wait.
    ///
    /// # Errors
    /// When there are too many reads, or the store cannot be read.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Sqlite) -> Result<T, Fault> + Send + 'static,
    {
        let turn = match timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            _ => return Err(Refusal::later("busy", "too many requests read at once", Duration::from_secs(1))),
        };
        let (open, idle) = (self.open.clone(), self.idle.clone());
        let work = move || {
            let known = idle.lock().expect("nothing panics while it holds the connections").pop();
            let mut store = match known {
                Some(store) => store,
                None => open()?,
            };
            let found = read(&mut store)?;
            idle.lock().expect("nothing panics while it holds the connections").push(store);
            drop(turn);
            Ok(found)
        };
        match spawn_blocking(work).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(fault)) => Err(unreadable(&fault)),
            Err(_) => Err(Refusal::broken("store", "reading the results ended early")),
        }
    }
}

/// What the log says in full, the answer says without names of files.
fn unreadable(fault: &Fault) -> Refusal {
    tracing::error!(error = %fault, "the results cannot be read");
    Refusal::broken("store", "the results cannot be read")
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}
