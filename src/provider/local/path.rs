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
    // A hook or a setting of git runs programs, and the sidecar is not a place for values.
    if normal.split('/').any(|part| part.eq_ignore_ascii_case(".git")) || normal.ends_with(super::sidecar::NAME) {
        return refuse("belongs to git or to SecretZero itself", "use another one");
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
        if metadata.is_symlink() && !stays_inside(root, &resolved) {
            return refuse("leads out of the Secretfile's folder through a link", "use a folder of its own");
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

fn stays_inside(root: &Path, link: &Path) -> bool {
    match (root.canonicalize(), link.canonicalize()) {
        (Ok(root), Ok(target)) => target.starts_with(root),
        _ => false,
    }
}
