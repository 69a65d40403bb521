//! Where a file target may lie: below the folder of the Secretfile, in a plain file, reached by no link.

use std::path::{Path, PathBuf};

use crate::provider::{Error, ErrorKind, Result};

/// A path of the Secretfile with `/` between its parts and without `.` and empty ones.
pub(super) fn normal(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// The file that a target names, after making sure that writing it writes nothing else.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a path that leads out of the folder, by `..`, from the root or through a
/// link, for git's own folder, and for anything there that is no plain file.
pub(super) fn resolve(root: &Path, path: &str) -> Result<PathBuf> {
    let refuse = |reason: &str, help: &str| Err(Error::new(ErrorKind::Invalid, format!("`{path}` {reason}; {help}")));
    let normal = normal(path);
    let plain = |part: &str| part != ".." && !part.contains(['\\', '\0']);
    if path.starts_with('/') || normal.is_empty() || !normal.split('/').all(plain) {
        return refuse("does not lie below the Secretfile's folder", "use a relative path without `..`");
    }
    // A hook, a setting or a workflow runs programs, and the sidecar is not a place for values.
    if normal.split('/').any(is_reserved) || normal.ends_with(super::sidecar::NAME) {
        return refuse("belongs to git, to GitHub or to SecretZero itself", "use another one");
    }
    let mut resolved = root.to_path_buf();
    let mut parts = normal.split('/').peekable();
    while let Some(part) = parts.next() {
        resolved.push(part);
        let Ok(metadata) = resolved.symlink_metadata() else { continue };
        let is_last = parts.peek().is_none();
        if metadata.is_symlink() && is_last {
            return refuse("is a symbolic link", "name the file that it points to");
        }
        if metadata.is_symlink() {
            let Some(below) = below(root, &resolved) else {
                return refuse("leads out of the Secretfile's folder through a link", "use a folder of its own");
            };
            if has_reserved(&below) {
                return refuse("leads through a link to what belongs to git or to GitHub", "use a folder of its own");
            }
        }
        if is_last && metadata.is_dir() {
            return refuse("is a folder", "name a file in it");
        }
        if is_last && !metadata.is_file() {
            return refuse("is not a plain file", "name another one");
        }
    }
    Ok(resolved)
}

/// Where a link leads, below the root; `None` if it leads anywhere else.
fn below(root: &Path, link: &Path) -> Option<PathBuf> {
    let (root, target) = (root.canonicalize().ok()?, link.canonicalize().ok()?);
    Some(target.strip_prefix(root).ok()?.to_path_buf())
}

/// Whether a path leads through a folder of git's or GitHub's own.
pub(super) fn has_reserved(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_str().is_some_and(is_reserved))
}

/// Without regard to case, since a file system may have none.
fn is_reserved(part: &str) -> bool {
    [".git", ".github"].iter().any(|name| part.eq_ignore_ascii_case(name))
}
