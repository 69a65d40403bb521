//! The lockfile: what is in force, as the last run saw it.
//!
//! It is a cache that `refresh` rebuilds from the stores' own marks, and untrusted input: it names
//! versions and places, and nothing is overwritten, taken over or skipped on its word alone. It
//! holds no value and nothing derived from one. Its bytes change only when something changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::locator::Locator;
use crate::mark::Generation;

/// Default name of the lockfile, in the folder of the Secretfile.
pub const LOCKFILE_NAME: &str = ".gitsecrets.lock";

/// Largest lockfile read, in bytes: some 20,000 secrets with 3 targets.
pub const LOCKFILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Places of one secret that are believed at most; a manifest has a few.
const TARGETS_MAX: usize = 256;

/// The format that this program writes.
pub const LOCKFILE_FORMAT: u32 = 1;

/// What is in force, by secret, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockfile {
    /// [`LOCKFILE_FORMAT`].
    pub format: u32,
    /// The secrets.
    pub secrets: Vec<LockedSecret>,
}

/// One secret's generation in force and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedSecret {
    /// Its name in the Secretfile.
    pub name: String,
    /// Its identity, which a rename does not change.
    pub id: String,
    /// Number of the generation.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// Random id of the generation.
    #[serde(rename = "gid")]
    pub generation_id: String,
    /// The place that was written first.
    pub primary: Locator,
    /// Every place that holds a generation, sorted by locator.
    pub targets: Vec<LockedTarget>,
    /// Hashes of the declaration.
    pub declaration: Declaration,
}

/// One place and the version there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedTarget {
    /// Where.
    pub locator: Locator,
    /// The store's version id.
    pub version: String,
    /// The generation it holds, if that is not the one in force.
    #[serde(rename = "gen", skip_serializing_if = "Option::is_none", default)]
    pub generation: Option<u64>,
    /// When the generation was made.
    pub created: Timestamp,
}

/// Hashes of a secret's declaration as written, before variables are resolved; never of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Declaration {
    /// Over the static parts and the names of the fields: an edit makes a new generation.
    #[serde(rename = "static")]
    pub fixed: String,
    /// Over the generators' settings: an edit counts from the next rotation.
    pub generated: String,
}

impl LockedSecret {
    fn is_believable(&self) -> bool {
        let names = [&self.name, &self.id].into_iter();
        let plain = |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let versions = || self.targets.iter().map(|target| &target.version);
        names.clone().all(|text| plain(text) && !text.is_empty())
            && versions().all(|version| version.bytes().all(|b| b.is_ascii_graphic()))
            && Generation::is_id(&self.generation_id)
            && self.targets.len() <= TARGETS_MAX
    }
}

/// Whether this program reads that format of a lock.
///
/// # Errors
/// [`LockError::Newer`].
pub const fn supported(format: u32) -> Result<(), LockError> {
    if format > LOCKFILE_FORMAT { Err(LockError::Newer(format)) } else { Ok(()) }
}

/// A lockfile that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LockError {
    /// Written by a later version of this program.
    #[error("the lockfile has format {0}, which is newer than this program; update SecretZero, nothing was changed")]
    Newer(u32),
    /// Truncated, edited or no lockfile at all.
    #[error("the lockfile cannot be read ({0}); it is only a cache and is rebuilt from the stores")]
    Damaged(String),
}

impl Default for Lockfile {
    fn default() -> Self {
        Self { format: LOCKFILE_FORMAT, secrets: Vec::new() }
    }
}

impl Lockfile {
    /// Reads a lockfile.
    ///
    /// # Errors
    /// [`LockError::Newer`] must stop the run; after [`LockError::Damaged`] go on with an empty one.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let damaged = |error: serde_json::Error| LockError::Damaged(format!("line {}", error.line()));
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        supported(head.format)?;
        let mut lock: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        lock.tidy();
        Ok(lock)
    }

    /// The bytes of the file: sorted, indented, with a final newline.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sorted = self.clone();
        sorted.sort();
        // Plain structs of strings and numbers always serialise.
        let mut bytes = serde_json::to_vec_pretty(&sorted).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The entry of a secret by its identity.
    #[must_use]
    pub fn secret(&self, id: &str) -> Option<&LockedSecret> {
        self.secrets.iter().find(|secret| secret.id == id)
    }

    /// Puts an entry in place of the one with the same identity.
    pub fn put(&mut self, entry: LockedSecret) {
        match self.secrets.iter_mut().find(|secret| secret.id == entry.id) {
            Some(old) => *old = entry,
            None => self.secrets.push(entry),
        }
    }

    /// Joins what two runs wrote: for each secret the higher generation, else `self`'s entry.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.secrets {
            match self.secret(&theirs.id) {
                Some(ours) if ours.generation >= theirs.generation => {}
                _ => self.put(theirs.clone()),
            }
        }
    }

    /// Sorts, and leaves out what no run of ours can have written: the lock is untrusted, and its
    /// names and ids get into messages and marks. What is left out is only a lost cache.
    pub fn tidy(&mut self) {
        self.sort();
        let mut seen = BTreeSet::new();
        self.secrets.retain(|secret| secret.is_believable() && seen.insert(secret.id.clone()));
    }

    fn sort(&mut self) {
        self.secrets.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        for secret in &mut self.secrets {
            secret.targets.sort_by(|a, b| a.locator.cmp(&b.locator));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn secret(name: &str, generation: u64) -> LockedSecret {
        LockedSecret {
            name: name.into(),
            id: format!("id-{name}"),
            generation,
            generation_id: "g".into(),
            primary: Locator::file(".env", "B"),
            targets: ["B", "A"].map(target).to_vec(),
            declaration: Declaration::default(),
        }
    }

    fn target(key: &str) -> LockedTarget {
        LockedTarget {
            locator: Locator::file(".env", key),
            version: "1".into(),
            generation: None,
            created: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn order_of_entries_does_not_change_the_bytes() {
        let a = Lockfile { secrets: vec![secret("b", 1), secret("a", 2)], ..Lockfile::default() };
        let b = Lockfile { secrets: vec![secret("a", 2), secret("b", 1)], ..Lockfile::default() };
        assert_eq!(a.to_bytes(), b.to_bytes());
        assert_eq!(Lockfile::parse(&a.to_bytes()).unwrap().to_bytes(), a.to_bytes());
    }

    #[test]
    fn a_newer_format_stops_and_a_damaged_file_is_only_a_lost_cache() {
        assert_eq!(Lockfile::parse(br#"{"format":2,"new":[]}"#), Err(LockError::Newer(2)));
        for bytes in [&b""[..], b"{", b"[]", br#"{"format":1,"secrets":[{}]}"#, b"\xff"] {
            assert!(matches!(Lockfile::parse(bytes), Err(LockError::Damaged(_))), "{bytes:?}");
        }
    }

    #[test]
    fn merging_keeps_the_higher_generation() {
        let mut ours = Lockfile { secrets: vec![secret("a", 2), secret("b", 1)], ..Lockfile::default() };
        ours.merge(&Lockfile { secrets: vec![secret("a", 1), secret("b", 3), secret("c", 1)], ..Lockfile::default() });
        let found: Vec<_> = ours.secrets.iter().map(|s| (s.name.as_str(), s.generation)).collect();
        assert_eq!(found, [("a", 2), ("b", 3), ("c", 1)]);
    }
}
