//! A disk in memory whose every access may fail or be the last.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use secretzero::disk::Disk;

use super::wire::Wire;

/// The files, which outlive a run.
pub(crate) type Files = Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>;

/// One run's way to them.
pub(crate) struct SimDisk {
    pub(crate) files: Files,
    pub(crate) wire: Arc<Wire>,
}

impl Disk for SimDisk {
    fn read(&self, path: &Path, _bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        self.wire.touch(|| self.files.lock().unwrap().get(path).cloned())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.wire.touch(|| drop(self.files.lock().unwrap().insert(path.to_path_buf(), bytes.to_vec())))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.wire.touch(|| self.files.lock().unwrap().entry(path.to_path_buf()).or_default().extend_from_slice(bytes))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.wire.touch(|| drop(self.files.lock().unwrap().remove(path)))
    }
}
