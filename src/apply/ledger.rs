//! Where a run keeps its journal and its lock: what it means to do before the first write, what is
//! in force after each.
//!
//! Losing either costs nothing but requests: the stores' own marks are the truth.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::locator::Locator;
use crate::lockfile::{LOCKFILE_BYTES_MAX, LockError, Lockfile};
use crate::mark::Generation;

/// What a run means to write for one secret; never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The secret's identity.
    pub id: String,
    /// Number of the generation.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// Random id of the generation.
    #[serde(rename = "gid")]
    pub generation_id: String,
    /// When it was made.
    pub created: Timestamp,
    /// The place that is written first.
    pub primary: Option<Locator>,
}

impl Intent {
    /// Whether a run of ours can have written it; a journal may have been forged or damaged.
    #[must_use]
    pub fn is_believable(&self) -> bool {
        Generation::is_id(&self.generation_id)
    }

    /// The generation it speaks of.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation { number: self.generation, id: self.generation_id.clone(), created: self.created, adopted: false }
    }
}

/// A lock or journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another run holds it.
    #[error("another run holds {0}; wait for it to end, then run again")]
    Busy(String),
    /// The lock is unusable and must not be replaced.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The token may not write it; go on without.
    #[error("the lock in {place} cannot be saved: {reason}")]
    Forbidden {
        /// Which ref.
        place: String,
        /// What the forge said.
        reason: String,
    },
    /// The file system or the forge refused.
    #[error("{place} cannot be {what}: {reason}")]
    Failed {
        /// Which file or ref.
        place: String,
        /// `read` or `saved`.
        what: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Keeps the journal and the lock of one Secretfile in one environment.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Notes what is about to be written; nothing is written to a store before this returns. `begun`
    /// names the changes that this run was allowed to make.
    async fn begin(&self, intents: &[Intent], begun: &[String]) -> Result<(), LedgerError>;

    /// Saves the lock while the run goes on; may be skipped or put off.
    async fn checkpoint(&self, lock: &Lockfile) -> Result<(), LedgerError>;

    /// Keeps what [`Ledger::begin`] took while the run goes on, however long it is stuck somewhere;
    /// returns only when another run has it.
    async fn keep(&self) {
        std::future::pending::<()>().await;
    }

    /// Asked before each write to a store.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] if another run may be writing by now: nothing more may be written.
    async fn hold(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Saves the lock and forgets the intents; tells whether the lock changed.
    async fn finish(&self, lock: &Lockfile, rest: &Rest) -> Result<bool, LedgerError>;

    /// How a person knows it, such as `.gitsecrets.lock`.
    fn name(&self) -> String;
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest {
    /// Of the changes that it was allowed to make, those that are done.
    pub done: Vec<String>,
    /// Whether nothing was held and nothing failed.
    pub complete: bool,
}

/// What was read at the start of a run.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The lock; empty if there was none or a damaged one.
    pub lock: Lockfile,
    /// What an earlier run that did not end had meant to write.
    pub intents: Vec<Intent>,
    /// Changes that an earlier run was allowed to make and did not finish.
    pub begun: Vec<String>,
    /// The commit that the last sync brought into force, if the ledger keeps it; untrusted.
    pub last_synced: Option<String>,
    /// The last such commit whose sync left nothing undone; untrusted.
    pub last_complete: Option<String>,
    /// Why the lock was not used, if it was damaged.
    pub warning: Option<String>,
}

/// The lock as a file, the journal beside it, and the machine's own lock on their folder.
pub struct FileLedger {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _guard: Option<File>,
}

impl FileLedger {
    /// A ledger at this path.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, _guard: None }
    }

    /// Keeps every other run on this machine away until it is dropped, by a lock on the folder: no
    /// extra file is left behind, and the system lets go of it when the process dies.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] if another run holds it.
    pub fn guarded(mut self) -> Result<Self, LedgerError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let file = File::open(folder).map_err(|error| self.failed("read", &error))?;
        match file.try_lock() {
            Ok(()) => self._guard = Some(file),
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Busy(self.name())),
            // Some network file systems have no locks; the stores' own conditions still hold there.
            Err(TryLockError::Error(error)) => tracing::warn!("{} cannot be locked: {error}", folder.display()),
        }
        Ok(self)
    }

    /// Reads the lock and what an earlier run left.
    ///
    /// # Errors
    /// [`LockError::Newer`] and what the file system says.
    pub fn open(&self) -> Result<Opened, LedgerError> {
        let mut opened = Opened::default();
        let parsed = match self.disk.read(&self.path, LOCKFILE_BYTES_MAX) {
            Ok(bytes) => bytes.map(|bytes| Lockfile::parse(&bytes)).transpose(),
            // Nothing of ours is that large; it is lost as a cache, and that is all.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(LockError::Damaged(error.to_string())),
            Err(error) => return Err(self.failed("read", &error)),
        };
        match parsed {
            Ok(lock) => opened.lock = lock.unwrap_or_default(),
            Err(error @ LockError::Newer(_)) => return Err(error.into()),
            Err(error) => opened.warning = Some(format!("{}: {error}", self.name())),
        }
        let journal = self.disk.read(&self.journal_path(), LOCKFILE_BYTES_MAX);
        // A journal is a hint for tidier recovery; one that cannot be read is none.
        opened.intents = journal.ok().flatten().map(|bytes| intents(&bytes)).unwrap_or_default();
        Ok(opened)
    }

    fn journal_path(&self) -> PathBuf {
        let mut name = self.path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        name.push(".journal");
        self.path.with_file_name(name)
    }

    fn failed(&self, what: &'static str, error: &io::Error) -> LedgerError {
        LedgerError::Failed { place: self.name(), what, reason: error.to_string() }
    }
}

/// Reads a journal: one intent in each line; a torn last line is left out.
#[must_use]
pub fn intents(bytes: &[u8]) -> Vec<Intent> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).filter(Intent::is_believable).collect()
}

/// Writes a journal.
#[must_use]
pub fn journal_bytes(intents: &[Intent]) -> Vec<u8> {
    let lines = intents.iter().filter_map(|intent| serde_json::to_string(intent).ok());
    lines.flat_map(|line| (line + "\n").into_bytes()).collect()
}

#[async_trait]
impl Ledger for FileLedger {
    async fn begin(&self, intents: &[Intent], _: &[String]) -> Result<(), LedgerError> {
        let bytes = journal_bytes(intents);
        self.disk.replace(&self.journal_path(), &bytes).map_err(|error| self.failed("saved", &error))
    }

    async fn checkpoint(&self, lock: &Lockfile) -> Result<(), LedgerError> {
        self.disk.replace(&self.path, &lock.to_bytes()).map_err(|error| self.failed("saved", &error))
    }

    async fn finish(&self, lock: &Lockfile, _: &Rest) -> Result<bool, LedgerError> {
        let bytes = lock.to_bytes();
        let old = match self.disk.read(&self.path, LOCKFILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Some(Vec::new()),
            old => old.map_err(|error| self.failed("read", &error))?,
        };
        let changed = old.as_deref() != Some(&bytes) && !(old.is_none() && lock.secrets.is_empty());
        if changed {
            self.disk.replace(&self.path, &bytes).map_err(|error| self.failed("saved", &error))?;
        }
        self.disk.remove(&self.journal_path()).map_err(|error| self.failed("saved", &error))?;
        Ok(changed)
    }

    fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}
