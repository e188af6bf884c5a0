//! Who waits for the disk while the instance goes on.

use super::desk::Desk;
use slackwater_store::Fault;
use slackwater_store::journal::{Synced, Syncing};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A thread that runs syncs, or none: then whoever asks waits.
pub(super) struct Syncer(Option<Sender<(Syncing, Sender<Synced>)>>);

/// A sync that was begun.
pub(super) struct Underway {
    outcome: Receiver<Synced>,
    come: Option<Synced>,
}

impl Syncer {
    /// Starts the thread, if there is a desk to wake when a sync has come back.
    pub fn start(desk: Option<Arc<Desk>>) -> Result<Syncer, Fault> {
        let Some(desk) = desk else { return Ok(Syncer(None)) };
        let (asked, asks) = channel::<(Syncing, Sender<Synced>)>();
        let run = move || {
            while let Ok((syncing, outcome)) = asks.recv() {
                // Whoever asked may have given up.
                let _ = outcome.send(syncing.run());
                desk.wake();
            }
        };
        let thread = std::thread::Builder::new().name("slackwater-sync".into()).spawn(run);
        thread.map_err(|cause| Fault::Refused(format!("no thread could be started: {cause}")))?;
        Ok(Syncer(Some(asked)))
    }

    /// Runs a sync.
    pub fn run(&self, syncing: Syncing) -> Result<Underway, Fault> {
        let (outcome, come) = channel();
        match &self.0 {
            Some(asked) => asked.send((syncing, outcome)).map_err(|_| ended())?,
            None => return Ok(Underway { outcome: come, come: Some(syncing.run()) }),
        }
        Ok(Underway { outcome: come, come: None })
    }
}

impl Underway {
    /// Whether it has come back.
    pub fn has_come(&mut self) -> bool {
        if self.come.is_none() {
            self.come = self.outcome.try_recv().ok();
        }
        self.come.is_some()
    }

    /// Its outcome.
    pub fn wait(self) -> Result<Synced, Fault> {
        match self.come {
            Some(synced) => Ok(synced),
            None => self.outcome.recv().map_err(|_| ended()),
        }
    }
}

fn ended() -> Fault {
    Fault::Refused("the thread that syncs has ended".to_string())
}
