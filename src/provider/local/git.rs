//! Keeps values and marks out of git: a tracked file is refused, the sidecar is made ignored.
//!
//! Git itself is not started. A tracked path is looked up in the index, whose entries hold the length
//! of their path right before it (<https://git-scm.com/docs/index-format>); version 4 of the index
//! shortens paths, so there they are read one after the other. Ignoring is done in
//! `.git/info/exclude`, which belongs to the clone and is never committed, so that no file of the
//! user's shows a change.

use std::path::{Path, PathBuf};

use super::path::has_reserved;
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

    /// The path of a file below the top, links in its folder resolved.
    fn below(&self, file: &Path) -> Option<PathBuf> {
        let path = file.parent()?.canonicalize().ok()?.join(file.file_name()?);
        Some(path.strip_prefix(&self.top).ok()?.to_path_buf())
    }

    /// Whether a file lies in a folder of git's or GitHub's own, wherever the Secretfile lies.
    pub(super) fn reserves(&self, file: &Path) -> bool {
        self.below(file).is_some_and(|path| has_reserved(&path))
    }

    /// Whether git tracks a file, without regard to case: a file system may have none.
    pub(super) fn tracks(&self, file: &Path) -> bool {
        let Some(path) = self.below(file) else { return false };
        let Some(path) = path.to_str() else { return false };
        if self.index.get(4..8) == Some(&[0, 0, 0, 4]) {
            return shortened(&self.index).any(|tracked| tracked.eq_ignore_ascii_case(path.as_bytes()));
        }
        let Ok(length) = u16::try_from(path.len().min(0xFFF)) else { return false };
        let entry = [path.as_bytes(), &[0]].concat();
        let windows = self.index.windows(entry.len()).enumerate();
        let starts = windows.filter(|(_, window)| window.eq_ignore_ascii_case(&entry));
        // The two bytes before a path are flags, the lower twelve bits being its length.
        let flags = |at: usize| Some(u16::from_be_bytes(self.index.get(at.checked_sub(2)?..at)?.try_into().ok()?));
        starts.map(|(at, _)| at).any(|at| flags(at).is_some_and(|flags| flags & 0xFFF == length))
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

/// The paths of an index of version 4, in which each tells how many bytes of the one before it drops.
fn shortened(index: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    /// Times, owner, size and a SHA-1 before the flags of an entry.
    const BEFORE_FLAGS: usize = 60;
    let mut at = 12;
    let mut path: Vec<u8> = Vec::new();
    std::iter::from_fn(move || {
        let extended = index.get(at + BEFORE_FLAGS)? & 0x40 != 0;
        at += BEFORE_FLAGS + if extended { 4 } else { 2 };
        let mut dropped = 0_usize;
        for more in 0.. {
            let byte = *index.get(at)?;
            at += 1;
            let plus = usize::from(more > 0);
            dropped = dropped.checked_add(plus)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7F))?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let rest = index.get(at..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        path.truncate(path.len().checked_sub(dropped)?);
        path.extend_from_slice(rest.get(..length)?);
        at += length + 1;
        Some(path.clone())
    })
}
