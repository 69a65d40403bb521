//! Every file that the library reads or writes goes through here, so that a test can cut the power
//! before or after each write.

use std::io;
use std::path::Path;

/// The files of one machine.
pub trait Disk: Send + Sync {
    /// The bytes of a file, or `None` if there is none.
    ///
    /// # Errors
    /// The operating system's, and one for a file above `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a file as a whole: a temporary sibling with mode 0600, synced, then renamed.
    ///
    /// # Errors
    /// The operating system's; the old file then stands as it was.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Appends to a file (created with mode 0600) and syncs it.
    ///
    /// # Errors
    /// The operating system's; a part may have been written.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file; none there is fine.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
}
