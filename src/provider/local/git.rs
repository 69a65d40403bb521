//! Keeps values and marks out of git: a tracked file is refused, the sidecar is made ignored.
//!
//! Git itself is not started: its index is read, and one that is not understood refuses every write,
//! since a guess could put a secret into a commit. Ignoring is done in `.git/info/exclude`, which belongs
//! to the clone and is never committed, so that no file of the user's shows a change.

use std::path::{Path, PathBuf};

use super::index::Tracked;
use super::path::has_reserved;
use crate::disk::Disk;
use crate::provider::{Error, ErrorKind, Result};

/// Largest exclude file that is extended, in bytes.
const EXCLUDE_BYTES_MAX: u64 = 1 << 20;

/// What is added to the exclude file: the sidecar, and what a power cut may leave of a write.
const IGNORED: [&str; 2] = [super::sidecar::NAME, ".secretzero-*.tmp"];

/// The work tree that a folder belongs to.
pub(super) struct WorkTree {
    top: PathBuf,
    tracked: Tracked,
    exclude: PathBuf,
}

impl WorkTree {
    /// The nearest one upwards, if there is any.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is one and what it tracks cannot be told.
    pub(super) fn of(folder: &Path, disk: &dyn Disk) -> Result<Option<Self>> {
        let Ok(folder) = folder.canonicalize() else { return Ok(None) };
        let Some(top) = folder.ancestors().find(|ancestor| ancestor.join(".git").exists()) else { return Ok(None) };
        let unknown = |reason: String| {
            let message = format!(
                "what git tracks in `{}` cannot be told: {reason}; `git status` there tells whether it is sound",
                top.display()
            );
            Error::new(ErrorKind::Invalid, message)
        };
        let text = |path: PathBuf| {
            let bytes = disk.read(&path, 4096).ok()??;
            Some(String::from_utf8(bytes).ok()?.trim().to_owned())
        };
        let dot_git = top.join(".git");
        // In a linked work tree `.git` is a file that names the folder with the index, and that
        // folder names the one that all work trees share.
        let named = |path| Some(top.join(text(path)?.strip_prefix("gitdir:")?.trim()));
        let own = match dot_git.is_dir() {
            true => dot_git,
            false => named(dot_git).ok_or_else(|| unknown("`.git` names no folder".to_owned()))?,
        };
        let shared = text(own.join("commondir")).map_or_else(|| own.clone(), |path| own.join(path));
        let tracked = Tracked::read(&own, &shared, disk).map_err(|reason| unknown(format!("its index: {reason}")))?;
        Ok(Some(Self { top: top.to_path_buf(), tracked, exclude: shared.join("info/exclude") }))
    }

    /// The path of a file below the top, links in its folder resolved; folders need not be there.
    fn below(&self, file: &Path) -> Option<PathBuf> {
        let there = |folder: &Path| Some((folder.canonicalize().ok()?, file.strip_prefix(folder).ok()?.to_path_buf()));
        let (folder, rest) = file.parent()?.ancestors().find_map(there)?;
        Some(folder.join(rest).strip_prefix(&self.top).ok()?.to_path_buf())
    }

    /// Whether a file lies in a folder of git's or GitHub's own, wherever the Secretfile lies.
    pub(super) fn reserves(&self, file: &Path) -> bool {
        self.below(file).is_some_and(|path| has_reserved(&path))
    }

    /// Whether git tracks a file, without regard to case: a file system may have none.
    pub(super) fn tracks(&self, file: &Path) -> bool {
        let Some(path) = self.below(file) else { return false };
        let parts: Vec<&[u8]> = path.iter().map(std::ffi::OsStr::as_encoded_bytes).collect();
        self.tracked.has(&parts.join(&b'/'))
    }

    /// Adds the sidecar to the clone's own exclude file, unless it is there.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn ignore_sidecars(&self, disk: &dyn Disk) -> std::io::Result<()> {
        let before = disk.read(&self.exclude, EXCLUDE_BYTES_MAX)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&before);
        let missing = IGNORED.iter().filter(|pattern| !text.lines().any(|line| line.trim() == **pattern));
        let mut added: String = missing.map(|pattern| format!("{pattern}\n")).collect();
        if added.is_empty() {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            added.insert(0, '\n');
        }
        disk.append(&self.exclude, added.as_bytes())
    }
}
