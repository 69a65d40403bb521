//! The folder of the keys: each a private PEM under its thumbprint, and `ring.json` beside them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secretzero::disk::Disk;
use secretzero::secret::SecretValue;

use super::keys::SigningKey;
use super::{Error, Ring};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

const RING: &str = "ring.json";

/// Locked by whoever changes the keys; it holds nothing.
const LOCK: &str = "lock";

pub(super) struct Store {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Store {
    pub(super) fn new(folder: &Path, disk: Arc<dyn Disk>) -> Self {
        Self { folder: folder.to_path_buf(), disk }
    }

    /// Keeps every other process from changing the keys until what it answers is dropped.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join(LOCK);
        let held = make_folder(&self.folder).and_then(|()| {
            let file = File::options().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        });
        held.map_err(|error| unusable(&path, error))
    }

    /// The ring; empty where there is none yet.
    pub(super) fn ring(&self) -> Result<Ring, Error> {
        let path = self.folder.join(RING);
        let bytes = self.disk.read_plain(&path, FILE_BYTES_MAX).map_err(|error| unusable(&path, error))?;
        bytes.map_or_else(
            || Ok(Ring::default()),
            |bytes| {
                serde_json::from_slice(&bytes).map_err(|error| {
                    let why = format!("it is damaged ({error}); restore it, or move the folder away to begin anew");
                    unusable(&path, why)
                })
            },
        )
    }

    /// The ring was there and is no more: a volume that went, most likely, and no reason for new keys.
    pub(super) fn gone(&self) -> Error {
        unusable(&self.folder.join(RING), "it was there before; start again to begin with a new key")
    }

    pub(super) fn keep_ring(&self, ring: &Ring) -> Result<(), Error> {
        let path = self.folder.join(RING);
        let text = serde_json::to_vec_pretty(ring).map_err(|error| unusable(&path, error))?;
        self.disk.replace(&path, &text).map_err(|error| unusable(&path, error))
    }

    /// A key, which nobody else may be able to read.
    pub(super) fn key(&self, id: &str) -> Result<SigningKey, Error> {
        let path = self.pem(id)?;
        check_private(&path)?;
        let bytes = self.disk.read_plain(&path, FILE_BYTES_MAX).map_err(|error| unusable(&path, error))?;
        let pem = SecretValue::new(bytes.ok_or_else(|| unusable(&path, "there is no such file"))?);
        let key = SigningKey::from_pem(&pem)?;
        if key.id() == id { Ok(key) } else { Err(unusable(&path, "it holds another key than its name says")) }
    }

    pub(super) fn keep(&self, id: &str, pem: &SecretValue) -> Result<(), Error> {
        let path = self.pem(id)?;
        self.disk.replace(&path, pem.expose()).map_err(|error| unusable(&path, error))
    }

    pub(super) fn forget(&self, id: &str) -> Result<(), Error> {
        let path = self.pem(id)?;
        self.disk.remove(&path).map_err(|error| unusable(&path, error))
    }

    /// A thumbprint is a word; anything else in the ring would name another file.
    fn pem(&self, id: &str) -> Result<PathBuf, Error> {
        let is_word = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_word {
            Ok(self.folder.join(format!("{id}.pem")))
        } else {
            Err(unusable(&self.folder.join(RING), "it names a key that has no thumbprint's form"))
        }
    }
}

/// For its owner alone.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Keys { path: path.display().to_string(), why: why.to_string() }
}

/// Whoever can read a key can be any run.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = match std::fs::symlink_metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) => return Err(unusable(path, error)),
    };
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(unusable(path, format!("its mode is {:o}, so others may read it; `chmod 600` it", mode & 0o777))),
    }
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), Error> {
    Ok(())
}
