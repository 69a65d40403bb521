//! A Secretfile with the files of variables that its environment uses, as a checkout or a branch has
//! them.

use std::path::{Path, PathBuf};

use super::Job;
use super::given::{Given, beside_of};
use super::planted::plain;
use super::unit::Unit;
use crate::cli::variables::{BadVarFile, Variables, parsed, plain_file, unusable, var_files};
use crate::diagnostic::{Diagnostic, Source, Spanned, quote};
use crate::forge::Forge;
use crate::manifest::{Environment, environments, variables_file};
use crate::provider::local;

/// One unit's text, ready to be resolved.
pub(super) struct Read {
    /// The Secretfile.
    pub source: Source,
    /// What the environment's files of variables hold.
    pub variables: Variables,
}

/// One unit as it stands at a commit.
pub(super) struct Standing {
    /// In the unit's own environment.
    pub read: Read,
    /// The environments that its policies are read in, with what their files of variables hold: its own,
    /// or all that the Secretfile declares if that is none of them.
    pub environments: Vec<(String, Variables)>,
}

/// A text that cannot be used, and why.
pub(super) type Unreadable = (Source, Vec<Diagnostic>);

/// Whether two files are the same but for how their lines end: a checkout may end them otherwise.
fn same_text(one: &[u8], other: &[u8]) -> bool {
    let plain = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map(|text| text.replace("\r\n", "\n"));
    one == other || matches!((plain(one), plain(other)), (Ok(one), Ok(other)) if one == other)
}

impl Read {
    /// Whether both mean the same, so that a change from one to the other touches nothing.
    pub(super) fn is(&self, other: &Self) -> bool {
        // A checkout may end its lines otherwise, and to YAML that is the same.
        let lines = |read: &Self| read.source.text.replace("\r\n", "\n");
        lines(self) == lines(other) && self.variables == other.variables
    }
}

/// The environment of a unit, if its Secretfile declares it.
fn declared(source: &Source, unit: &Unit) -> Option<Environment> {
    let name = unit.environment()?;
    environments(source).into_iter().find(|one| one.name.value == name)
}

/// What a file of variables holds that the forge gave.
fn given_variables(given: &Given, unit: &Unit, file: &Spanned<String>) -> Result<Variables, BadVarFile> {
    let path = beside_of(&unit.file, &file.value);
    let bytes = given.file(&path).ok_or_else(|| BadVarFile::missing(file))?;
    parsed(&path, bytes.to_vec())
}

impl Job<'_> {
    /// A unit as it stands in the checkout, and where.
    pub(super) fn read(&self, unit: &Unit) -> Result<(PathBuf, Read), Box<Unreadable>> {
        let (path, source) =
            self.secretfile(&unit.file).map_err(|problem| Box::new((Source::new(&unit.file, ""), vec![problem])))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut variables = Variables::new();
        let mut problems = Vec::new();
        if let Some(environment) = declared(&source, unit) {
            for file in &environment.var_files {
                let one = Environment { var_files: vec![file.clone()], ..environment.clone() };
                let read = match self.given {
                    Some(given) => given_variables(given, unit, file),
                    None => var_files(&*self.session.disk, &folder, &one),
                };
                match read {
                    Ok(more) => variables.extend(more),
                    Err(bad) if bad.file.is_none() => problems.extend(bad.findings),
                    // The finding is shown at the line that names the file.
                    Err(bad) => problems.extend(bad.findings.into_iter().map(|finding| {
                        let (line, message) = (finding.span.line, finding.message.clone());
                        let message = format!("{}, line {line}: {message}", quote(&file.value));
                        Diagnostic { message, span: file.span, ..finding }
                    })),
                }
            }
        }
        if problems.is_empty() { Ok((path, Read { source, variables })) } else { Err(Box::new((source, problems))) }
    }

    /// What is wrong with the files of variables that a change under review uses: each must be, byte for
    /// byte, what a commit that may be checked out has, since what else lies in a workspace is not the
    /// change's to show.
    pub(super) async fn strange_variables(&self, unit: &Unit, head: &str) -> Option<Box<Unreadable>> {
        let (path, source) = self.secretfile(&unit.file).ok().filter(|_| self.given.is_none())?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut problems = Vec::new();
        for file in declared(&source, unit).into_iter().flat_map(|environment| environment.var_files) {
            let bytes = match plain_file(&*self.session.disk, &folder, &file) {
                Ok(bytes) => bytes,
                Err(finding) => {
                    problems.push(finding);
                    continue;
                }
            };
            if !self.is_committed(&beside_of(&unit.file, &file.value), &bytes, head).await {
                problems.push(unusable(&file, "it is not known to be the one of the commit that is checked out"));
            }
        }
        (!problems.is_empty()).then(|| Box::new((source, problems)))
    }

    async fn is_committed(&self, path: &str, bytes: &[u8], head: &str) -> bool {
        let path = plain(Path::new(path));
        let Some(forge) = &self.forge else {
            let file = self.runner.workspace.join(path);
            return matches!(local::tracks(&file, self.session.disk.as_ref()), Ok(Some(true)));
        };
        for commit in [self.runner.sha.as_str(), head].into_iter().filter(|commit| !commit.is_empty()) {
            if matches!(forge.file_at(&path.to_string_lossy(), commit).await, Ok(Some(there)) if same_text(&there, bytes))
            {
                return true;
            }
        }
        false
    }

    /// A unit as it stands at a commit or branch; `None` if the Secretfile is not there. A file of
    /// variables that is missing or cannot be read there holds nothing.
    pub(super) async fn read_at(
        &self,
        forge: &dyn Forge,
        unit: &Unit,
        at: &str,
    ) -> Result<Option<Result<Standing, Diagnostic>>, crate::forge::Error> {
        let Some(bytes) = forge.file_at(&unit.file, at).await? else { return Ok(None) };
        let source = match Source::from_bytes("base", bytes) {
            Ok(source) => source,
            Err(problem) => return Ok(Some(Err(problem))),
        };
        let all = crate::manifest::environments(&source);
        let its_own = all.iter().find(|one| Some(one.name.value.as_str()) == unit.environment());
        let variables = match its_own {
            Some(environment) => variables_at(forge, unit, environment, at).await?,
            None => Variables::new(),
        };
        let mut environments = Vec::new();
        if its_own.is_some() || all.is_empty() {
            environments.push((unit.environment.clone(), variables.clone()));
        } else {
            for one in &all {
                environments.push((one.name.value.clone(), variables_at(forge, unit, one, at).await?));
            }
        }
        Ok(Some(Ok(Standing { read: Read { source, variables }, environments })))
    }
}

async fn variables_at(
    forge: &dyn Forge,
    unit: &Unit,
    environment: &Environment,
    at: &str,
) -> Result<Variables, crate::forge::Error> {
    let mut variables = Variables::new();
    for file in &environment.var_files {
        let path = beside_of(&unit.file, &file.value);
        let Some(bytes) = forge.file_at(&path, at).await? else { continue };
        let text = Source::from_bytes("base", bytes).ok();
        variables.extend(text.and_then(|text| variables_file(&text).ok()).unwrap_or_default());
    }
    Ok(variables)
}
