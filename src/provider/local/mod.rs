//! Local files as a store: dotenv, JSON and YAML, edited in place, with their marks in a sidecar.
//!
//! Files are private (0600) and replaced as a whole; a link, a folder, a path out of the Secretfile's
//! folder and a file that git tracks are refused, to be written and to be read. With `merge: true` every byte that is not ours
//! stays; without it a file with foreign keys counts as foreign as a whole.
//!
//! Two writes at a time: all files of a folder share one sidecar, so a folder has one writer. Whoever
//! holds its lock takes all edits that wait, so a thousand secrets in one file cost a few writes, not
//! a thousand. A call returns when its own bytes are on the disk. A call that is given up before its
//! batch began is not carried out; one given up later is. Reads take the same lock, so they never see
//! the moment between sidecar and file. Other processes are kept out by the run's own lock, not here;
//! a file that changed between a look and a write is a conflict.

mod batch;
mod document;
mod dotenv;
mod edit;
mod git;
mod index;
mod json;
mod path;
mod sidecar;
mod yaml;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

pub use self::edit::{edited, names_in, value_in};

/// Whether git tracks a file, in the work tree that it lies in; `None` where there is no work tree.
///
/// # Errors
/// [`ErrorKind::Invalid`] if there is one and what it tracks cannot be told.
pub fn tracks(file: &Path, disk: &dyn Disk) -> Result<Option<bool>> {
    let Some(folder) = file.parent() else { return Ok(None) };
    Ok(git::WorkTree::of(folder, disk)?.map(|tree| tree.tracks(file)))
}

use self::batch::{Edit, Question, Shared};
use self::sidecar::{FOREIGN, Standing};
use super::{
    Capabilities, Error, ErrorKind, Identity, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored, VersionId,
    WriteOptions,
};
use crate::clock::Entropy;
use crate::disk::Disk;
use crate::locator::Locator;
use crate::mark::Generation;
use crate::secret::{Shape, Value};
use crate::target::{Attributes, FileFormat, FileSettings, Place, TargetKind, TargetSettings};

/// Largest file that is read or written, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Largest value, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The files below one folder.
#[derive(Clone)]
pub struct LocalProvider {
    shared: Arc<Shared>,
    folders: Arc<Mutex<BTreeMap<PathBuf, Arc<Folder>>>>,
}

/// One folder with the edits that wait for it.
struct Folder {
    path: PathBuf,
    waiting: Mutex<Vec<Waiting>>,
    busy: Arc<tokio::sync::Mutex<()>>,
}

struct Waiting {
    edit: Edit,
    reply: oneshot::Sender<Result<VersionId>>,
}

impl LocalProvider {
    /// The files below `root`, the folder of the Secretfile; empty is the working folder.
    #[must_use]
    pub fn new(root: PathBuf, disk: Arc<dyn Disk>, entropy: Arc<dyn Entropy>) -> Self {
        // The folder of a bare name is empty, which the system does not take for the present one: git's
        // work tree would not be found from there.
        let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
        Self { shared: Arc::new(Shared { root, disk, entropy }), folders: Arc::default() }
    }

    fn folder(&self, settings: &FileSettings) -> Arc<Folder> {
        let path = self.shared.root.join(settings.path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Folder { path: path.clone(), waiting: Mutex::default(), busy: Arc::default() });
        folders.entry(path.clone()).or_insert_with(new).clone()
    }

    async fn submit(&self, edit: Edit) -> Result<VersionId> {
        path::resolve(&self.shared.root, &edit.settings.path)?;
        let folder = self.folder(&edit.settings);
        let (reply, answer) = oneshot::channel();
        folder.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { edit, reply });
        // Whoever else is about to write here gets the chance to join the batch.
        tokio::task::yield_now().await;
        let busy = folder.busy.clone().lock_owned().await;
        let waiting = std::mem::take(&mut *folder.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let waiting: Vec<Waiting> = waiting.into_iter().filter(|waiting| !waiting.reply.is_closed()).collect();
        if !waiting.is_empty() {
            let shared = self.shared.clone();
            // Even if this call is given up, the batch is carried out and the lock held until then.
            let batch = tokio::task::spawn_blocking(move || {
                let (edits, replies): (Vec<Edit>, Vec<_>) = waiting.into_iter().map(|w| (w.edit, w.reply)).unzip();
                for (reply, result) in replies.into_iter().zip(shared.apply(&folder.path, &edits)) {
                    // A caller that is gone learns it from the next look.
                    let _ = reply.send(result);
                }
                drop(busy);
            });
            // If it panicked, the replies are dropped and every caller learns it below.
            let _ = batch.await;
        }
        let lost = || Error::new(ErrorKind::Indeterminate, "writing the local file was interrupted");
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// What stands at each place, in the order asked; each file is read once.
    async fn look(&self, places: &[&Place]) -> Vec<Result<Standing>> {
        let mut answers: Vec<Option<Result<Standing>>> = places.iter().map(|_| None).collect();
        let mut by_folder: BTreeMap<PathBuf, (Arc<Folder>, Vec<Question>)> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            let settings = settings(place).and_then(|settings| {
                path::resolve(&self.shared.root, &settings.path)?;
                Ok(settings)
            });
            match settings {
                Ok(settings) => {
                    let folder = self.folder(&settings);
                    let question = Question { index, settings, shape: place.shape.clone() };
                    by_folder.entry(folder.path.clone()).or_insert_with(|| (folder, vec![])).1.push(question);
                }
                Err(error) => answers[index] = Some(Err(error)),
            }
        }
        for (folder, questions) in by_folder.into_values() {
            let busy = folder.busy.clone().lock_owned().await;
            let shared = self.shared.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let looked = shared.look(&folder.path, &questions);
                drop(busy);
                looked
            });
            for (index, answer) in looked.await.unwrap_or_default() {
                answers[index] = Some(answer);
            }
        }
        let lost = || Err(Error::new(ErrorKind::Unavailable, "reading the local file was interrupted"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        (kind == TargetKind::File).then_some(Capabilities {
            conditional_create: false,
            write_token: false,
            // Sidecar and file are two writes, but whichever of them a power cut leaves, the mark that
            // is shown is the one of the value that stands there.
            mark_order: MarkOrder::WithValue,
            metadata_without_version: true,
            read_back: true,
            value_bytes_max: VALUE_BYTES_MAX,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        let account = self.shared.root.display().to_string();
        Ok(Identity { account, principal: "the user of this process".to_owned(), region: None })
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let settings = settings(place)?;
        Ok(Locator::file(&settings.path, &settings.key))
    }

    /// The format is guessed from the name, else from the text, since a locator does not tell it.
    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        let (path, key) = at.as_str().strip_prefix("file:")?.rsplit_once('#')?;
        let format = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("json") => FileFormat::Json,
            Some("yml" | "yaml") => FileFormat::Yaml,
            Some("env") => FileFormat::Dotenv,
            _ => self.shared.guess(path),
        };
        let settings = FileSettings { path: path.to_owned(), format, merge: true, key: key.to_owned() };
        Some(Place { settings: TargetSettings::File(settings), shape: shape.clone() })
    }

    fn desired(&self, _place: &Place, _generation: Option<&Generation>) -> Attributes {
        Attributes::new()
    }

    async fn observe(&self, at: &[Probe<'_>], _reading: Reading) -> Vec<Result<Option<Observed>>> {
        let places: Vec<&Place> = at.iter().map(|probe| probe.place).collect();
        let observed = |(version, mark)| Observed {
            version,
            mark,
            attributes: Attributes::new(),
            pending_deletion: false,
            managed_by: None,
            from_list: false,
        };
        let answers = self.look(&places).await.into_iter().map(|standing| {
            Ok(match standing? {
                Standing::Absent => None,
                Standing::Foreign(_) => Some(observed((FOREIGN.to_owned(), None))),
                Standing::Ours { version, mark, .. } => Some(observed((version, Some(mark)))),
            })
        });
        answers.collect()
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let answers = self.look(at).await.into_iter().zip(at).map(|(standing, place)| {
            let name = place.settings.name();
            let (value, version) = match standing? {
                Standing::Absent | Standing::Foreign(None) => {
                    return Err(Error::new(ErrorKind::NotFound, format!("`{name}` does not hold it")));
                }
                Standing::Foreign(Some(value)) => (value, FOREIGN.to_owned()),
                Standing::Ours { version, value, .. } => (value, version),
            };
            let fits = matches!(
                (&place.shape, &value),
                (Shape::Single, Value::Single(_)) | (Shape::Fields(_), Value::Fields(_))
            );
            let unfit = || {
                let message = format!("what `{name}` holds is not built like the declared value; correct it by hand");
                Error::new(ErrorKind::Invalid, message)
            };
            fits.then_some(Stored { value, version }).ok_or_else(unfit)
        });
        answers.collect()
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        let settings = settings(at)?;
        if value.to_text().len() > VALUE_BYTES_MAX {
            let message = format!("the value is larger than {VALUE_BYTES_MAX} bytes, the most that a local file takes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let (value, options) = (Some(value.clone()), options.clone());
        self.submit(Edit { settings, shape: at.shape.clone(), value, options }).await
    }

    async fn annotate(&self, at: &Place, _changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let (settings, options) = (settings(at)?, options.clone());
        self.submit(Edit { settings, shape: at.shape.clone(), value: None, options }).await
    }

    async fn restore(&self, _at: &Place) -> Result<()> {
        Ok(())
    }
}

/// The settings of a place, its path in normal form.
fn settings(place: &Place) -> Result<FileSettings> {
    let TargetSettings::File(settings) = &place.settings else {
        let message = format!("{} is not a local file", place.settings.kind().title());
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    // What starts at the root stays so, to be refused rather than taken for a relative path.
    if settings.path.starts_with('/') {
        return Ok(settings.clone());
    }
    Ok(FileSettings { path: path::normal(&settings.path), ..settings.clone() })
}

/// What the operating system refused, in terms of a store.
fn io_error(path: &Path, what: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::FileTooLarge
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what} `{}`: {error}", path.display()))
}

/// Whether git tracks a file in a folder, or it cannot be told.
#[must_use]
pub fn tracked(folder: &Path, file: &Path, disk: &dyn Disk) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Some(name) = file.file_name() else { return false };
    match git::WorkTree::of(folder, disk) {
        Ok(tree) => tree.is_some_and(|tree| tree.tracks(&folder.join(name))),
        Err(_) => true,
    }
}

/// The names in a dotenv file, each once and in their order, never a value; `None` if it is no UTF-8.
#[must_use]
pub fn dotenv_names(bytes: Vec<u8>) -> Option<Vec<String>> {
    let text = zeroize::Zeroizing::new(String::from_utf8(bytes).ok()?);
    let mut names: Vec<String> = Vec::new();
    for (name, _) in dotenv::layout(&text).members {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests;
