//! The journal and the lock in a git ref of the repository: one commit with all intents before the
//! first write, one at the end, both by compare-and-swap on the tip.
//!
//! The journal names its holder and an expiry, so it is the lease as well. A second run waits a
//! little, then gives up; an expired lease is taken over, because the stores' own marks tell what
//! the dead run did. This program never claims more than half an hour; a lease that claims more than
//! an hour was forged or damaged, and holds nobody up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::apply::{Intent, Ledger, LedgerError, Opened};
use crate::clock::Clock;
use crate::forge::{Forge, StateError};
use crate::lockfile::{LockError, Lockfile};

/// How long a lease lasts; a run renews it with every checkpoint.
const LEASE_MINUTES: i64 = 30;

/// Longest lease that is believed.
const LEASE_MINUTES_MAX: i64 = 60;

/// How long a second run waits for the first.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the lock is saved while a run goes on.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);

/// How often a moved tip is followed.
const SWAPS_MAX: usize = 5;

/// What is kept for one Secretfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_synced: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Lease>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    intents: Vec<Intent>,
    lock: Lockfile,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    holder: String,
    run: String,
    expires: Timestamp,
}

/// Who this run is.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Run and attempt.
    pub id: String,
    /// Its page.
    pub url: String,
    /// The commit that it syncs; `None` if it does not sync.
    pub commit: Option<String>,
}

/// The ledger of one Secretfile in a ref.
pub struct RefLedger {
    forge: Arc<dyn Forge>,
    clock: Arc<dyn Clock>,
    ref_name: String,
    file: String,
    holder: Holder,
    state: Mutex<Tip>,
}

struct Tip {
    commit: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    document: Document,
    saved: Instant,
}

impl RefLedger {
    /// Reads the ref; with `writes`, waits for another run's lease to end.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] if the other run does not end in time.
    pub async fn open(
        forge: Arc<dyn Forge>,
        clock: Arc<dyn Clock>,
        ref_name: String,
        secretfile: &str,
        holder: Holder,
        writes: bool,
    ) -> Result<(Self, Opened), LedgerError> {
        let file = format!("{secretfile}.lock.json");
        let tip = Tip { commit: None, files: BTreeMap::new(), document: Document::default(), saved: Instant::now() };
        let ledger = Self { forge, clock, ref_name, file, holder, state: Mutex::new(tip) };
        let started = Instant::now();
        loop {
            let warning = ledger.read(&mut *ledger.state.lock().await).await?;
            let state = ledger.state.lock().await;
            let Some(other) = ledger.other(&state.document).filter(|_| writes) else {
                let opened =
                    Opened { lock: state.document.lock.clone(), intents: state.document.intents.clone(), warning };
                drop(state);
                return Ok((ledger, opened));
            };
            let busy = LedgerError::Busy(format!("the lock in {} ({})", ledger.ref_name, other.run));
            drop(state);
            if started.elapsed() >= WAIT_MAX {
                return Err(busy);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Another run's lease that is still good.
    fn other<'d>(&self, document: &'d Document) -> Option<&'d Lease> {
        let lease = document.lease.as_ref().filter(|lease| lease.holder != self.holder.id)?;
        let now = self.clock.now();
        let horizon = now.checked_add(SignedDuration::from_mins(LEASE_MINUTES_MAX)).unwrap_or(now);
        // A lease that claims more than an hour was not written by this program as it is.
        (lease.expires > now && lease.expires <= horizon).then_some(lease)
    }

    async fn read(&self, tip: &mut Tip) -> Result<Option<String>, LedgerError> {
        let state = self.forge.read_state(&self.ref_name).await.map_err(|error| {
            let (place, reason) = (self.ref_name.clone(), error.to_string());
            if error.is_forbidden() {
                LedgerError::Forbidden { place, reason }
            } else {
                LedgerError::Failed { place, what: "read", reason }
            }
        })?;
        let Some(state) = state else {
            *tip = Tip { commit: None, files: BTreeMap::new(), document: Document::default(), saved: tip.saved };
            return Ok(None);
        };
        let (document, warning) = match state.files.get(&self.file).map(|bytes| parse(bytes)) {
            None => (Document::default(), None),
            Some(Ok(document)) => (document, None),
            Some(Err(error @ LockError::Newer(_))) => return Err(error.into()),
            Some(Err(error)) => (Document::default(), Some(format!("{}: {error}", self.ref_name))),
        };
        tip.commit = Some(state.commit_sha);
        tip.files = state.files;
        tip.document = document;
        Ok(warning)
    }

    /// Writes what `change` makes of the document; follows a tip that moved.
    async fn swap(&self, message: &str, change: impl Fn(&Document) -> Document) -> Result<bool, LedgerError> {
        let mut tip = self.state.lock().await;
        for _ in 0..SWAPS_MAX {
            let document = change(&tip.document);
            if document == tip.document {
                return Ok(false);
            }
            let mut files = tip.files.clone();
            files.insert(self.file.clone(), bytes(&document));
            let message = format!("{message}: {}", self.file);
            match self.forge.write_state(&self.ref_name, tip.commit.as_deref(), &files, &message).await {
                Ok(commit) => {
                    let lock_changed = document.lock != tip.document.lock;
                    *tip = Tip { commit: Some(commit), files, document, saved: Instant::now() };
                    return Ok(lock_changed);
                }
                Err(StateError::Moved) => {
                    self.read(&mut tip).await?;
                    if let Some(other) = self.other(&tip.document) {
                        return Err(LedgerError::Busy(format!("the lock in {} ({})", self.ref_name, other.run)));
                    }
                }
                Err(StateError::Forbidden(error)) => {
                    return Err(LedgerError::Forbidden { place: self.ref_name.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(self.failed("saved", &error.to_string())),
            }
        }
        Err(self.failed("saved", "it moved each time; run again"))
    }

    fn failed(&self, what: &'static str, reason: &str) -> LedgerError {
        LedgerError::Failed { place: self.ref_name.clone(), what, reason: reason.to_owned() }
    }

    fn lease(&self) -> Lease {
        let now = self.clock.now();
        Lease {
            holder: self.holder.id.clone(),
            run: self.holder.url.clone(),
            expires: now.checked_add(SignedDuration::from_mins(LEASE_MINUTES)).unwrap_or(now),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Document, LockError> {
    #[derive(Deserialize)]
    struct Head {
        lock: serde_json::Value,
    }
    let damaged = |error: serde_json::Error| LockError::Damaged(format!("line {}", error.line()));
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    // The lock has its own format number and says so if it is newer.
    Lockfile::parse(head.lock.to_string().as_bytes())?;
    serde_json::from_slice(bytes).map_err(damaged)
}

/// What a ref holds for one Secretfile, as this program would write it.
///
/// # Errors
/// [`LockError`] if it cannot be read.
pub fn normal(held: &[u8]) -> Result<Vec<u8>, LockError> {
    parse(held).map(|document| bytes(&document))
}

fn bytes(document: &Document) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[async_trait]
impl Ledger for RefLedger {
    async fn begin(&self, intents: &[Intent]) -> Result<(), LedgerError> {
        let lease = self.lease();
        let change = |old: &Document| Document { lease: Some(lease.clone()), intents: intents.to_vec(), ..old.clone() };
        self.swap("Begin", change).await.map(|_| ())
    }

    async fn checkpoint(&self, lock: &Lockfile) -> Result<(), LedgerError> {
        if self.state.lock().await.saved.elapsed() < CHECKPOINT_EVERY {
            return Ok(());
        }
        let lease = self.lease();
        let change = |old: &Document| Document { lease: Some(lease.clone()), lock: sorted(lock), ..old.clone() };
        self.swap("Checkpoint", change).await.map(|_| ())
    }

    async fn finish(&self, lock: &Lockfile) -> Result<bool, LedgerError> {
        let change = |old: &Document| {
            let mut merged = lock.clone();
            merged.merge(&old.lock);
            Document {
                last_synced: self.holder.commit.clone().or_else(|| old.last_synced.clone()),
                lease: None,
                intents: Vec::new(),
                lock: sorted(&merged),
            }
        };
        self.swap("Finish", change).await
    }

    fn name(&self) -> String {
        self.ref_name.clone()
    }
}

/// The lock in the order of its bytes, so that equal locks are equal documents.
fn sorted(lock: &Lockfile) -> Lockfile {
    Lockfile::parse(&lock.to_bytes()).unwrap_or_else(|_| lock.clone())
}

/// No lock at all: the stores are asked each time.
pub struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn begin(&self, _: &[Intent]) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn checkpoint(&self, _: &Lockfile) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn finish(&self, _: &Lockfile) -> Result<bool, LedgerError> {
        Ok(false)
    }

    fn name(&self) -> String {
        "no lock".into()
    }
}
