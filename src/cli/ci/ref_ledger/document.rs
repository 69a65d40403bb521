//! What the ref keeps for one Secretfile: the lock, and what a run that did not end leaves to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::apply::Intent;
use crate::lockfile::{LockError, Lockfile};

/// What is kept for one Secretfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_synced: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_complete: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<Lease>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) intents: Vec<Intent>,
    /// What a run was allowed to do and has not done yet.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) begun: Vec<String>,
    pub(super) lock: Lockfile,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) holder: String,
    pub(super) run: String,
    /// When it was first taken: tells two jobs of one run apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) since: Option<Timestamp>,
    pub(super) expires: Timestamp,
}

impl Lease {
    /// Whether both are one lease, however often it was renewed.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.holder, self.since) == (&other.holder, other.since)
    }
}

/// Reads what a ref holds; anybody with a right to it may have written that.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, LockError> {
    #[derive(Deserialize)]
    struct Head {
        lock: Format,
    }
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| LockError::Damaged(format!("line {}", error.line()));
    // The lock has its own format number and says so if it is newer. Only what is declared here is
    // kept in memory, whatever else the file holds.
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    crate::lockfile::supported(head.lock.format)?;
    let mut document: Document = serde_json::from_slice(bytes).map_err(damaged)?;
    document.lock.tidy();
    Ok(document)
}

/// What a ref holds for one Secretfile, as this program would write it.
///
/// # Errors
/// [`LockError`] if it cannot be read.
pub fn normal(held: &[u8]) -> Result<Vec<u8>, LockError> {
    parse(held).map(|document| bytes(&document))
}

/// The form in which it is written.
pub(super) fn bytes(document: &Document) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The lock in the order of its bytes, so that equal locks are equal documents.
pub(super) fn sorted(lock: &Lockfile) -> Lockfile {
    Lockfile::parse(&lock.to_bytes()).unwrap_or_else(|_| lock.clone())
}
