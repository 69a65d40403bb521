//! The variables that a run is given beside the Secretfile's own: those of `--var-file`, and those in
//! the files of the chosen environment.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::exit::Exit;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Severity, Source, Spanned, quote};
use crate::disk::Disk;
use crate::manifest::{Environment, environments, variables_file};

/// Largest file of variables, in bytes.
const VAR_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// Why the files of an environment cannot be used.
pub struct BadVarFile {
    /// The file of variables that the findings are about; `None` if that is the Secretfile.
    pub file: Option<Box<Source>>,
    /// What is wrong.
    pub findings: Vec<Diagnostic>,
}

/// What the files of one environment hold, a later file before an earlier one. `folder` is that of the
/// Secretfile.
///
/// # Errors
/// [`BadVarFile`].
pub fn var_files(disk: &dyn Disk, folder: &Path, environment: &Environment) -> Result<Variables, BadVarFile> {
    let mut variables = Variables::new();
    for file in &environment.var_files {
        let bytes = plain_file(disk, folder, file).map_err(BadVarFile::of_secretfile)?;
        variables.extend(parsed(&folder.join(&file.value).display().to_string(), bytes)?);
    }
    Ok(variables)
}

impl BadVarFile {
    /// A file that is not there.
    #[must_use]
    pub fn missing(file: &Spanned<String>) -> Self {
        Self::of_secretfile(unusable(file, MISSING))
    }

    fn of_secretfile(finding: Diagnostic) -> Self {
        Self { file: None, findings: vec![finding] }
    }
}

/// The variables in the bytes of one file.
///
/// # Errors
/// [`BadVarFile`] with findings about that file.
pub fn parsed(name: &str, bytes: Vec<u8>) -> Result<Variables, BadVarFile> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Variables::new());
    }
    let source = Source::from_bytes(name, bytes)
        .map_err(|finding| BadVarFile { file: Some(Source::new(name, "").into()), findings: vec![finding] })?;
    variables_file(&source).map_err(|findings| BadVarFile { file: Some(source.into()), findings })
}

/// The bytes of a file below the folder of the Secretfile. No link is followed: whoever makes it would
/// have what another file holds shown, in names of secrets.
///
/// # Errors
/// A finding at the place that names it.
pub fn plain_file(disk: &dyn Disk, folder: &Path, file: &Spanned<String>) -> Result<Vec<u8>, Diagnostic> {
    let mut at = folder.to_path_buf();
    for part in Path::new(&file.value).components() {
        at.push(part);
        match part {
            Component::CurDir => {}
            Component::Normal(_) if at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) => {
                return Err(unusable(file, "a symbolic link stands in its path; name the file itself"));
            }
            Component::Normal(_) => {}
            _ => return Err(unusable(file, "it leads out of the folder of the Secretfile")),
        }
    }
    let bytes = disk.read(&at, VAR_FILE_BYTES_MAX).map_err(|error| unusable(file, &error.to_string()))?;
    bytes.ok_or_else(|| unusable(file, MISSING))
}

/// Why a file cannot be used that is not there.
const MISSING: &str = "it does not exist";

/// A file of variables that cannot be used, at the place that names it.
#[must_use]
pub fn unusable(file: &Spanned<String>, reason: &str) -> Diagnostic {
    Diagnostic {
        code: "bad-var-file",
        severity: Severity::Error,
        message: format!("the file of variables {} cannot be used: {reason}", quote(&file.value)),
        span: file.span,
        help: Some("paths count from the folder of the Secretfile; each file holds one `name: value` a line".into()),
        secret: None,
    }
}

impl Session {
    /// The name given with `--environment`; an empty one counts as none.
    #[must_use]
    pub fn environment_name(&self) -> Option<&str> {
        self.common.environment.as_deref().filter(|name| !name.is_empty())
    }

    /// What `--var-file` gives.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if a file cannot be used; it was told already.
    pub(super) fn given_variables(&self) -> Result<Variables, Exit> {
        let mut variables = Variables::new();
        for path in &self.common.var_file {
            let name = path.display().to_string();
            let bytes = match self.disk.read(path, VAR_FILE_BYTES_MAX) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    let reason = format!("there is no file of variables at {name}");
                    return Err(self.fail(Exit::Invalid, &reason, "check `--var-file`"));
                }
                Err(error) => {
                    let reason = format!("{name} cannot be read: {error}");
                    return Err(self.fail(Exit::Invalid, &reason, "check `--var-file`"));
                }
            };
            variables.extend(parsed(&name, bytes).map_err(|bad| self.bad_var_file(None, &bad))?);
        }
        Ok(variables)
    }

    /// What the files of one environment of a Secretfile give; nothing for one that it does not declare.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if a file cannot be used; it was told already.
    pub(super) fn environment_variables(&self, source: &Source, name: Option<&str>) -> Result<Variables, Exit> {
        let declared = name.map(|_| environments(source)).unwrap_or_default();
        let chosen = declared.iter().find(|one| Some(one.name.value.as_str()) == name);
        let folder = self.common.file.parent().unwrap_or(Path::new(""));
        chosen.map_or_else(
            || Ok(Variables::new()),
            |one| var_files(&*self.disk, folder, one).map_err(|bad| self.bad_var_file(Some(source), &bad)),
        )
    }

    fn bad_var_file(&self, secretfile: Option<&Source>, bad: &BadVarFile) -> Exit {
        if let Some(source) = bad.file.as_deref().or(secretfile) {
            self.findings(source, &bad.findings);
        }
        Exit::Invalid
    }
}
