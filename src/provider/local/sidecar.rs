//! `.secretzero.json`: the marks of the values in the files of one folder, since the files have no
//! room for them.
//!
//! For each value it holds the mark and an HMAC under a random key that never leaves the file; no
//! value. It is written before the file it describes. So that a write which never reached the file is
//! seen as such, what it replaced is kept beside it: whichever of the two HMACs fits tells what stands
//! in the file. If neither does, someone changed the value by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::document::{Document, names_of};
use super::io_error;
use crate::clock::Entropy;
use crate::disk::Disk;
use crate::provider::{Error, ErrorKind, Result, VersionId, WriteOptions};
use crate::secret::{Shape, Value};
use crate::target::{FileFormat, FileSettings};

/// Name of the file; one in each folder that holds a target.
pub(super) const NAME: &str = ".secretzero.json";

/// The version of a value that carries no mark of ours.
pub(super) const FOREIGN: &str = "foreign";

/// Largest sidecar in bytes: about twenty thousand values.
const BYTES_MAX: u64 = 16 << 20;

/// The format that this program writes and reads.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Content {
    format: u32,
    /// Key of the HMACs, 32 bytes in hexadecimal.
    key: String,
    /// File name, then key in that file.
    files: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// One value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Counts the values written under this key.
    version: u64,
    mark: String,
    hmac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
}

/// What stood there before the last write, in case that write never happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Previous {
    version: VersionId,
    /// None if it was foreign.
    mark: Option<String>,
    hmac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<String>>,
}

/// What stands under a key.
pub(super) enum Standing {
    /// Nothing.
    Absent,
    /// A value, or a file, that is not ours.
    Foreign(Option<Value>),
    /// A value of ours: its version, with `+changed` if it was changed by hand, and its mark.
    Ours { version: VersionId, mark: String, value: Value },
}

/// The sidecar of one folder, in memory.
pub(super) struct Sidecar {
    path: PathBuf,
    content: Content,
    /// Whether the folder had none.
    pub(super) is_new: bool,
}

impl Sidecar {
    /// Reads the sidecar of a folder, or begins one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is damaged or newer than this program.
    pub(super) fn load(folder: &Path, disk: &dyn Disk, entropy: &dyn Entropy) -> Result<Self> {
        let path = folder.join(NAME);
        let Some(bytes) = disk.read_plain(&path, BYTES_MAX).map_err(|error| io_error(&path, "read", &error))? else {
            let mut key = Zeroizing::new([0_u8; 32]);
            entropy.fill(key.as_mut_slice()).map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))?;
            let key = HEXLOWER.encode(key.as_slice());
            let content = Content { format: FORMAT, key, files: BTreeMap::new() };
            return Ok(Self { path, content, is_new: true });
        };
        let invalid = |reason: &str| {
            let message = format!(
                "`{}` {reason}; restore it, or delete it: the local files beside it then count as foreign until they \
                 are adopted",
                path.display()
            );
            Error::new(ErrorKind::Invalid, message)
        };
        let content: Content = serde_json::from_slice(&bytes).map_err(|_| invalid("is damaged"))?;
        if content.format != FORMAT {
            return Err(invalid("was written by another version of SecretZero"));
        }
        Ok(Self { path, content, is_new: false })
    }

    /// Writes it as a whole.
    ///
    /// # Errors
    /// The disk's; nothing has changed then.
    pub(super) fn save(&self, disk: &dyn Disk) -> Result<()> {
        let failed = |error: std::io::Error| io_error(&self.path, "write", &error);
        let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(&self.content).map_err(|error| failed(error.into()))?);
        bytes.push(b'\n');
        disk.replace(&self.path, &bytes).map_err(failed)
    }

    /// The entries of a file, to put them back if its edit is refused.
    pub(super) fn entries(&self, file: &str) -> BTreeMap<String, Entry> {
        self.content.files.get(file).cloned().unwrap_or_default()
    }

    /// Puts the entries of a file back.
    pub(super) fn restore(&mut self, file: &str, entries: BTreeMap<String, Entry>) {
        if entries.is_empty() {
            self.content.files.remove(file);
        } else {
            self.content.files.insert(file.to_owned(), entries);
        }
    }

    /// The names of every member of a file that is ours.
    pub(super) fn names(&self, file: &str, format: FileFormat) -> std::collections::BTreeSet<String> {
        let entries = self.content.files.get(file).into_iter().flatten();
        let names = entries.flat_map(|(key, entry)| {
            let mut names = names_of(format, key, &shape(entry.fields.as_ref()));
            if let Some(previous) = entry.previous.as_ref().filter(|previous| previous.mark.is_some()) {
                names.extend(names_of(format, key, &shape(previous.fields.as_ref())));
            }
            names
        });
        names.collect()
    }

    fn entry(&self, settings: &FileSettings) -> Option<&Entry> {
        self.content.files.get(file_name(settings))?.get(&settings.key)
    }

    /// How the value that was written last is built.
    pub(super) fn former_shape(&self, settings: &FileSettings) -> Option<Shape> {
        self.entry(settings).map(|entry| shape(entry.fields.as_ref()))
    }

    /// What stands under a key of a document.
    pub(super) fn standing(&self, document: &Document, settings: &FileSettings, wanted: &Shape) -> Standing {
        let under = |shape: &Shape| document.value(&settings.key, shape);
        let Some(entry) = self.entry(settings) else {
            return under(wanted).map_or(Standing::Absent, |value| Standing::Foreign(Some(value)));
        };
        let fits = |hmac: &str, value: &Value| self.hmac(settings, value).is_some_and(|found| found.fits(hmac));
        let now = under(&shape(entry.fields.as_ref()));
        if let Some(value) = now.as_ref().filter(|value| fits(&entry.hmac, value)) {
            let (version, mark) = (entry.version.to_string(), entry.mark.clone());
            return Standing::Ours { version, mark, value: value.clone() };
        }
        if let Some(previous) = &entry.previous
            && let Some(value) = under(&shape(previous.fields.as_ref())).filter(|value| fits(&previous.hmac, value))
        {
            return match previous.mark.clone() {
                Some(mark) => Standing::Ours { version: previous.version.clone(), mark, value },
                None => Standing::Foreign(Some(value)),
            };
        }
        match now.or_else(|| under(wanted)) {
            Some(value) => {
                let version = format!("{}+changed", entry.version);
                Standing::Ours { version, mark: entry.mark.clone(), value }
            }
            None => Standing::Absent,
        }
    }

    /// Notes a value that is about to be written in place of what stands there.
    pub(super) fn record(
        &mut self,
        settings: &FileSettings,
        before: &Standing,
        value: &Value,
        options: &WriteOptions,
    ) -> Result<VersionId> {
        let last = self.entry(settings).map_or(0, |entry| entry.version);
        let (number, previous) = match before {
            Standing::Absent | Standing::Foreign(None) => (last + 1, None),
            Standing::Foreign(Some(value)) => (last + 1, Some((FOREIGN.to_owned(), None, value))),
            Standing::Ours { version, mark, value } => {
                // One more than what stands there, not than what was only meant to be written.
                let stands: u64 = version.trim_end_matches("+changed").parse().unwrap_or(last);
                (stands + 1, Some((version.clone(), Some(mark.clone()), value)))
            }
        };
        let previous = match previous {
            Some((version, mark, value)) => {
                Some(Previous { version, mark, hmac: self.hmac_text(settings, value)?, fields: fields(value) })
            }
            None => None,
        };
        self.insert(settings, number, value, previous, options)
    }

    /// Marks the value that stands there, which stays as it is.
    pub(super) fn annotate(
        &mut self,
        settings: &FileSettings,
        before: &Standing,
        options: &WriteOptions,
    ) -> Result<VersionId> {
        let last = self.entry(settings).map_or(0, |entry| entry.version);
        let (number, value) = match before {
            Standing::Absent | Standing::Foreign(None) => {
                return Err(Error::new(ErrorKind::NotFound, format!("there is no value under `{}`", settings.key)));
            }
            Standing::Foreign(Some(value)) => (last + 1, value),
            Standing::Ours { version, value, .. } => (version.parse().unwrap_or(last + 1), value),
        };
        self.insert(settings, number, value, None, options)
    }

    fn insert(
        &mut self,
        settings: &FileSettings,
        number: u64,
        value: &Value,
        previous: Option<Previous>,
        options: &WriteOptions,
    ) -> Result<VersionId> {
        let version = number.to_string();
        let mark = options.mark(&version);
        let hmac = self.hmac_text(settings, value)?;
        let entry = Entry { version: number, mark, hmac, fields: fields(value), previous };
        self.content.files.entry(file_name(settings).to_owned()).or_default().insert(settings.key.clone(), entry);
        Ok(version)
    }

    fn hmac_text(&self, settings: &FileSettings, value: &Value) -> Result<String> {
        let hmac = self.hmac(settings, value).map(|hmac| HEXLOWER.encode(&hmac.0.finalize().into_bytes()));
        hmac.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("the key in `{}` is damaged; delete the file", self.path.display()))
        })
    }

    /// Over the place and the whole value; every part with its length, fields in the order of their
    /// names.
    fn hmac(&self, settings: &FileSettings, value: &Value) -> Option<Tag> {
        let key = Zeroizing::new(HEXLOWER.decode(self.content.key.as_bytes()).ok()?);
        let mut hmac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        let mut add = |part: &[u8]| {
            hmac.update(&(part.len() as u64).to_le_bytes());
            hmac.update(part);
        };
        add(file_name(settings).as_bytes());
        add(settings.key.as_bytes());
        match value {
            Value::Single(value) => {
                add(b"single");
                add(value.expose());
            }
            Value::Fields(fields) => {
                add(b"fields");
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                for (name, value) in sorted {
                    add(name.as_bytes());
                    add(value.expose());
                }
            }
        }
        Some(Tag(hmac))
    }
}

/// An HMAC that is compared in constant time.
struct Tag(Hmac<Sha256>);

impl Tag {
    fn fits(self, text: &str) -> bool {
        HEXLOWER.decode(text.as_bytes()).is_ok_and(|bytes| self.0.verify_slice(&bytes).is_ok())
    }
}

fn file_name(settings: &FileSettings) -> &str {
    settings.path.rsplit('/').next().unwrap_or(&settings.path)
}

fn shape(fields: Option<&Vec<String>>) -> Shape {
    fields.map_or(Shape::Single, |fields| Shape::Fields(fields.clone()))
}

fn fields(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Single(_) => None,
        Value::Fields(fields) => Some(fields.iter().map(|(name, _)| name.clone()).collect()),
    }
}
