//! Applies many edits to the files of one folder with one write of the sidecar and one of each file.
//!
//! The order is what makes a power cut harmless: every edit is judged and every new text made and
//! checked before anything is written; then the sidecar; then the files. Whatever is cut off after the
//! sidecar is later seen as never written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::document::{Document, Refusal};
use super::git::WorkTree;
use super::path::resolve;
use super::sidecar::{Entry, FOREIGN, NAME, Sidecar, Standing};
use super::{FILE_BYTES_MAX, io_error};
use crate::clock::Entropy;
use crate::disk::Disk;
use crate::provider::{Error, ErrorKind, Expect, Result, VersionId, WriteOptions};
use crate::secret::{Shape, Value};
use crate::target::{FileFormat, FileSettings};

/// What all folders share.
pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// One value to write, or to mark as it stands.
pub(super) struct Edit {
    pub(super) settings: FileSettings,
    pub(super) shape: Shape,
    /// None: only mark.
    pub(super) value: Option<Value>,
    pub(super) options: WriteOptions,
}

/// A place to look at.
pub(super) struct Question {
    pub(super) index: usize,
    pub(super) settings: FileSettings,
    pub(super) shape: Shape,
}

/// A file that a batch has opened.
struct Open {
    path: PathBuf,
    format: FileFormat,
    document: Document,
    /// The file may hold nothing but ours and does.
    foreign: bool,
    changed: bool,
    /// The sidecar's entries before the batch.
    entries: BTreeMap<String, Entry>,
    /// Positions of the edits that went well so far.
    edits: Vec<usize>,
}

impl Shared {
    /// Looks at places in one folder.
    pub(super) fn look(&self, folder: &Path, questions: &[Question]) -> Vec<(usize, Result<Standing>)> {
        let (sidecar, work_tree) = match self.marks(folder) {
            Ok(marks) => marks,
            Err(error) => return questions.iter().map(|q| (q.index, Err(error.clone()))).collect(),
        };
        let mut files: BTreeMap<String, Result<Open>> = BTreeMap::new();
        let answers = questions.iter().map(|question| {
            let settings = &question.settings;
            let file =
                files.entry(settings.path.clone()).or_insert_with(|| self.open(settings, &sidecar, work_tree.as_ref()));
            let standing = match file {
                Ok(file) => file.is(settings).map(|()| file.standing(&sidecar, settings, &question.shape)),
                Err(error) => Err(error.clone()),
            };
            (question.index, standing)
        });
        answers.collect()
    }

    /// Applies edits in one folder; one answer for each, in their order.
    pub(super) fn apply(&self, folder: &Path, edits: &[Edit]) -> Vec<Result<VersionId>> {
        let (mut sidecar, work_tree) = match self.marks(folder) {
            Ok(marks) => marks,
            Err(error) => return edits.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut files: BTreeMap<String, Result<Open>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(edits.len());
        for (index, edit) in edits.iter().enumerate() {
            let path = edit.settings.path.clone();
            let file = files.entry(path).or_insert_with(|| self.open(&edit.settings, &sidecar, work_tree.as_ref()));
            answers.push(match file {
                Ok(file) => file.apply(&mut sidecar, edit).inspect(|_| file.edits.push(index)),
                Err(error) => Err(error.clone()),
            });
        }
        let mut files: Vec<(String, Open)> =
            files.into_iter().filter_map(|(path, file)| Some((path, file.ok()?))).collect();
        let texts = render(&mut files, &mut sidecar, &mut answers);
        if files.iter().all(|(_, file)| file.edits.is_empty()) {
            return answers;
        }
        if let Some(work_tree) = work_tree.filter(|_| sidecar.is_new)
            && let Err(error) = work_tree.ignore_sidecars(self.disk.as_ref())
        {
            tracing::warn!(%error, "git may offer .secretzero.json to be committed; add it to .gitignore");
        }
        let saved = sidecar.save(self.disk.as_ref());
        for ((_, file), text) in files.iter().zip(texts) {
            let written = saved.clone().and_then(|()| match text {
                Some(text) => self.replace(&file.path, &text),
                None => Ok(()),
            });
            if let Err(error) = written {
                fail(&mut answers, &file.edits, &error);
            }
        }
        answers
    }

    /// The marks of a folder, and the work tree that it belongs to: a submodule has one of its own.
    ///
    /// A sidecar that git tracks came with a commit, or goes with one. Its marks are anybody's word: a
    /// value could be committed beside it and pass for one of ours.
    fn marks(&self, folder: &Path) -> Result<(Sidecar, Option<WorkTree>)> {
        let disk = self.disk.as_ref();
        let work_tree = match WorkTree::of(folder, disk)? {
            Some(work_tree) => Some(work_tree),
            None => WorkTree::of(&self.root, disk)?,
        };
        let path = folder.join(NAME);
        if work_tree.as_ref().is_some_and(|work_tree| work_tree.tracks(&path)) {
            let path = path.strip_prefix(&self.root).unwrap_or(&path).display().to_string();
            let message = format!(
                "git tracks `{path}`, so its marks may be anybody's; run `git rm --cached {path}` if it is this \
                 machine's own, else delete it"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok((Sidecar::load(folder, disk, self.entropy.as_ref())?, work_tree))
    }

    /// What a file seems to hold. One that cannot be read now is taken for JSON, whose strict syntax
    /// turns a wrong guess into an error; as dotenv it could look empty.
    pub(super) fn guess(&self, path: &str) -> FileFormat {
        let file = resolve(&self.root, path).ok().and_then(|path| self.disk.read(&path, FILE_BYTES_MAX).ok());
        let text = file.map(|bytes| Zeroizing::new(bytes.unwrap_or_default()));
        match text.as_deref().map(|text| text.trim_ascii_start().first()) {
            None | Some(Some(b'{')) => FileFormat::Json,
            Some(_) => FileFormat::Dotenv,
        }
    }

    /// A write that failed may still have replaced the file, if only its folder could not be synced.
    fn replace(&self, path: &Path, text: &str) -> Result<()> {
        self.disk.replace(path, text.as_bytes()).map_err(|error| match io_error(path, "write", &error) {
            Error { kind: ErrorKind::Unavailable, message } => Error { kind: ErrorKind::Indeterminate, message },
            error => error,
        })
    }

    fn open(&self, settings: &FileSettings, sidecar: &Sidecar, work_tree: Option<&WorkTree>) -> Result<Open> {
        let path = resolve(&self.root, &settings.path)?;
        if work_tree.is_some_and(|work_tree| work_tree.tracks(&path)) {
            let message = format!(
                "git tracks `{0}`, so what it holds may be anybody's and a secret in it would be committed; run `git rm \
                 --cached {0}` and ignore it",
                settings.path
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if work_tree.is_some_and(|work_tree| work_tree.reserves(&path)) {
            let message = format!("`{}` belongs to git or to GitHub; use another one", settings.path);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let bytes = self.disk.read_plain(&path, FILE_BYTES_MAX).map_err(|error| io_error(&path, "read", &error))?;
        let text = String::from_utf8(bytes.unwrap_or_default()).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            refused(settings, &"it is not UTF-8 text; save it as such".to_owned())
        })?;
        let document =
            Document::parse(settings.format, Zeroizing::new(text)).map_err(|refusal| refused(settings, &refusal))?;
        let ours = sidecar.names(file_name(&path), settings.format);
        let foreign = document.names().any(|name| !ours.contains(name));
        let entries = sidecar.entries(file_name(&path));
        Ok(Open { path, format: settings.format, document, foreign, changed: false, entries, edits: Vec::new() })
    }
}

impl Open {
    /// Whether a target means the file as it was opened, for another target of the same path.
    fn is(&self, settings: &FileSettings) -> Result<()> {
        let another =
            || refused(settings, &format!("another target declares it as {}; agree on one", word(self.format)));
        (self.format == settings.format).then_some(()).ok_or_else(another)
    }

    fn standing(&self, sidecar: &Sidecar, settings: &FileSettings, shape: &Shape) -> Standing {
        let standing = sidecar.standing(&self.document, settings, shape);
        if settings.merge || !self.foreign {
            return standing;
        }
        // Writing would remove what is not ours: the whole file counts as someone else's.
        match standing {
            Standing::Absent => Standing::Foreign(None),
            Standing::Ours { value, .. } => Standing::Foreign(Some(value)),
            foreign @ Standing::Foreign(_) => foreign,
        }
    }

    fn apply(&mut self, sidecar: &mut Sidecar, edit: &Edit) -> Result<VersionId> {
        let Edit { settings, shape, value, options } = edit;
        self.is(settings)?;
        let before = self.standing(sidecar, settings, shape);
        expect(settings, &options.expect, &before)?;
        let exclusive = self.foreign && !settings.merge;
        let Some(value) = value else {
            if exclusive {
                let message = format!(
                    "`{}` holds keys that are not ours; set `merge: true` for it, or remove them",
                    settings.path
                );
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            return sidecar.annotate(settings, &before, options);
        };
        let former = sidecar.former_shape(settings).unwrap_or_else(|| shape.clone());
        let refused = |refusal: Refusal| refused(settings, &refusal);
        self.document.put(&settings.key, value, &former).map_err(refused)?;
        let version = sidecar.record(settings, &before, value, options)?;
        if exclusive {
            let names = sidecar.names(file_name(&self.path), settings.format);
            self.document.keep_only(&names).map_err(refused)?;
            self.foreign = false;
        }
        self.changed = true;
        Ok(version)
    }
}

/// The new text of every file, if it has one; a file whose text is refused is as if never edited.
fn render(
    files: &mut [(String, Open)],
    sidecar: &mut Sidecar,
    answers: &mut [Result<VersionId>],
) -> Vec<Option<Zeroizing<String>>> {
    let texts = files.iter_mut().map(|(path, file)| {
        if !file.changed {
            return None;
        }
        let fits = |text: &Zeroizing<String>| u64::try_from(text.len()).is_ok_and(|length| length <= FILE_BYTES_MAX);
        let text = file.document.render().and_then(|text| match fits(&text) {
            true => Ok(text),
            false => Err(format!("it would be larger than {FILE_BYTES_MAX} bytes; use several files")),
        });
        text.inspect_err(|refusal| {
            let error = Error::new(ErrorKind::Invalid, format!("`{path}`: {refusal}"));
            fail(answers, &file.edits, &error);
            sidecar.restore(file_name(&file.path), std::mem::take(&mut file.entries));
            file.edits.clear();
        })
        .ok()
    });
    texts.collect()
}

fn fail(answers: &mut [Result<VersionId>], edits: &[usize], error: &Error) {
    for index in edits {
        answers[*index] = Err(error.clone());
    }
}

/// Whether what stands there is what the write was planned for.
fn expect(settings: &FileSettings, expected: &Expect, found: &Standing) -> Result<()> {
    let fits = match (expected, found) {
        (Expect::Absent, Standing::Absent) => true,
        (Expect::Version(expected), Standing::Ours { version, .. }) => expected == version,
        (Expect::Version(expected), Standing::Foreign(_)) => expected == FOREIGN,
        _ => false,
    };
    let conflict = || {
        let message = format!("`{}` in `{}` changed since it was looked at; run again", settings.key, settings.path);
        Error::new(ErrorKind::Conflict, message)
    };
    fits.then_some(()).ok_or_else(conflict)
}

fn refused(settings: &FileSettings, refusal: &Refusal) -> Error {
    Error::new(ErrorKind::Invalid, format!("`{}` ({}): {refusal}", settings.path, word(settings.format)))
}

/// The word of the Secretfile.
const fn word(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Dotenv => "dotenv",
        FileFormat::Json => "json",
        FileFormat::Yaml => "yaml",
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
