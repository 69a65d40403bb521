//! Keeps values and marks out of git: a tracked file is refused, the sidecar is made ignored.
//!
//! Git itself is not started. A tracked path is looked up in the index, whose entries hold the length
//! of their path right before it (<https://git-scm.com/docs/index-format>); version 4 of the index
//! shortens paths, so nothing is found there and the check is skipped. Ignoring is done in
//! `.git/info/exclude`, which belongs to the clone and is never committed, so that no file of the
//! user's shows a change.

use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// Largest index that is searched, in bytes; beyond it the check is skipped.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// Largest exclude file that is extended, in bytes.
const EXCLUDE_BYTES_MAX: u64 = 1 << 20;

/// What is added to the exclude file: the sidecar, and what a power cut may leave of a write.
const IGNORED: [&str; 2] = [super::sidecar::NAME, ".secretzero-*.tmp"];

/// The work tree that a folder belongs to.
pub(super) struct WorkTree {
    top: PathBuf,
    index: Vec<u8>,
    exclude: PathBuf,
}

impl WorkTree {
    /// The nearest one upwards, if there is any.
    pub(super) fn of(folder: &Path, disk: &dyn Disk) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        let top = folder.ancestors().find(|ancestor| ancestor.join(".git").exists())?;
        let text = |path: PathBuf| {
            let bytes = disk.read(&path, 4096).ok()??;
            Some(String::from_utf8(bytes).ok()?.trim().to_owned())
        };
        let dot_git = top.join(".git");
        // In a linked work tree `.git` is a file that names the folder with the index, and that
        // folder names the one that all work trees share.
        let own = match dot_git.is_dir() {
            true => dot_git,
            false => top.join(text(dot_git)?.strip_prefix("gitdir:")?.trim()),
        };
        let shared = text(own.join("commondir")).map_or_else(|| own.clone(), |path| own.join(path));
        let index = disk.read(&own.join("index"), INDEX_BYTES_MAX).ok().flatten().unwrap_or_default();
        Some(Self { top: top.to_path_buf(), index, exclude: shared.join("info/exclude") })
    }

    /// Whether git tracks a file.
    pub(super) fn tracks(&self, file: &Path) -> bool {
        let (Some(folder), Some(name)) = (file.parent().and_then(|f| f.canonicalize().ok()), file.file_name()) else {
            return false;
        };
        let path = folder.join(name);
        let Some(path) = path.strip_prefix(&self.top).ok().and_then(Path::to_str) else { return false };
        let Ok(length) = u16::try_from(path.len().min(0xFFF)) else { return false };
        let entry = [path.as_bytes(), &[0]].concat();
        let shortened = self.index.get(4..8) == Some(&[0, 0, 0, 4]);
        let starts = || self.index.windows(entry.len()).enumerate().filter(|(_, window)| *window == entry);
        // The two bytes before a path are flags, the lower twelve bits being its length.
        let flags = |at: usize| Some(u16::from_be_bytes(self.index.get(at.checked_sub(2)?..at)?.try_into().ok()?));
        !shortened && starts().any(|(at, _)| flags(at).is_some_and(|flags| flags & 0xFFF == length))
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
