//! Notes in the lock what is in force as each target finishes, and saves it now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Ledger;
use crate::lockfile::{LockedSecret, Lockfile};

/// How often the lock is saved while a run goes on. What a crash loses of it, the next run reads
/// from the stores' marks.
pub const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// The lock of a run, growing.
pub struct Recorder<'a> {
    ledger: &'a dyn Ledger,
    state: Mutex<State>,
}

struct State {
    lock: Lockfile,
    saved: Instant,
}

impl<'a> Recorder<'a> {
    /// Starts from what was in force before.
    #[must_use]
    pub fn new(lock: Lockfile, ledger: &'a dyn Ledger) -> Self {
        Self { ledger, state: Mutex::new(State { lock, saved: Instant::now() }) }
    }

    /// Notes a secret's entry.
    pub async fn record(&self, entry: LockedSecret) {
        let due = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.lock.put(entry);
            let due = state.saved.elapsed() >= CHECKPOINT_EVERY;
            due.then(|| {
                state.saved = Instant::now();
                state.lock.clone()
            })
        };
        if let Some(lock) = due
            && let Err(error) = self.ledger.checkpoint(&lock).await
        {
            // The end of the run saves again and tells; here the stores' marks are enough.
            tracing::debug!("checkpoint: {error}");
        }
    }

    /// The lock as it stands.
    #[must_use]
    pub fn into_lock(self) -> Lockfile {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).lock
    }
}
