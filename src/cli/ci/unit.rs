//! What a job works on: each Secretfile that `files` names or matches, in each of its environments.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::Job;
use crate::cli::exit::Exit;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, plain, quote};
use crate::manifest::environments;

/// Most files and folders that a pattern looks at; a checkout of more needs plain paths.
const LOOKED_AT_MAX: usize = 200_000;

/// Most Secretfiles of one job.
const FILES_MAX: usize = 200;

/// One Secretfile in one environment: it has a comment, a check, a lock and marks of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Path from the root of the repository.
    pub file: String,
    /// Name of the environment; empty without one.
    pub environment: String,
    /// What tells its check from those of the job's other units; empty if it is the only one.
    pub label: String,
}

impl Unit {
    /// The environment, if there is one.
    pub(super) fn environment(&self) -> Option<&str> {
        (!self.environment.is_empty()).then_some(self.environment.as_str())
    }
}

fn problem(code: &'static str, message: String, help: &str) -> Diagnostic {
    let (severity, span) = (Severity::Error, Span::default());
    Diagnostic { code, severity, message, span, help: Some(help.into()), secret: None }
}

/// A path as git writes it, without `.` and empty parts; what leads out stays, to be refused.
fn straight(path: &str) -> String {
    let whole = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("{whole}{}", parts.join("/"))
}

impl Job<'_> {
    /// Everything that this job works on, in the order of `files`, matches by name.
    pub(super) fn units(&self) -> Result<Vec<Unit>, Diagnostic> {
        let mut files: Vec<String> = Vec::new();
        for pattern in &self.inputs.files {
            let found = if is_pattern(pattern) { self.matches(pattern)? } else { vec![straight(pattern)] };
            files.extend(found.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
        }
        if files.len() > FILES_MAX {
            let message = format!("`files` matches {} Secretfiles, more than {FILES_MAX}", files.len());
            return Err(problem("too-many-files", message, "split them over several jobs"));
        }
        let several = self.inputs.files.len() > 1 || self.inputs.files.iter().any(|file| is_pattern(file));
        let units: Vec<Unit> = files.iter().flat_map(|file| self.environments(file, several)).collect();
        // The change chooses paths and environments; two of one label would share a check, and the last
        // result would cover the other.
        let mut labels = BTreeSet::new();
        match units.iter().find(|unit| !labels.insert(unit.label.as_str())) {
            Some(unit) => {
                let message = format!("{} names two checks of this job", quote(&unit.label));
                Err(problem("odd-path", message, "rename one of the Secretfiles"))
            }
            None => Ok(units),
        }
    }

    /// One Secretfile in the environment that the job names, else in each that the file declares.
    fn environments(&self, file: &str, several: bool) -> Vec<Unit> {
        let named = &self.inputs.environment;
        let declared = || self.secretfile(file).map(|(_, source)| environments(&source)).unwrap_or_default();
        let declared = if named.is_empty() { declared() } else { Vec::new() };
        let unit = |environment: String, labels: &[&str]| {
            let labels: Vec<&str> = labels.iter().copied().filter(|label| !label.is_empty()).collect();
            Unit { file: file.to_owned(), environment, label: labels.join(", ") }
        };
        let path = if several { file } else { "" };
        if declared.is_empty() {
            return vec![unit(named.clone(), &[path, named])];
        }
        declared.iter().map(|one| unit(one.name.value.clone(), &[path, &one.name.value])).collect()
    }

    /// The same; what is wrong with `files` was told.
    pub(super) fn units_or_refuse(&self) -> Result<Vec<Unit>, Exit> {
        let units = self.units().map_err(|problem| {
            let help = problem.help.as_deref().unwrap_or_default();
            self.say.error(&format!("{}: {help}", problem.message));
            self.say.result("failed", Some(Exit::Error));
            Exit::Error
        })?;
        if units.is_empty() {
            self.say.notice("no Secretfile matches `files`: nothing was done");
        }
        Ok(units)
    }

    /// The files of the checkout that a pattern matches. Links are not followed, `.git` is left out.
    fn matches(&self, pattern: &str) -> Result<Vec<String>, Diagnostic> {
        let glob = matcher(pattern)?;
        let (mut found, mut folders, mut looked_at) = (Vec::new(), vec![PathBuf::new()], 0);
        while let Some(folder) = folders.pop() {
            let entries = self.session.disk.list(&self.runner.workspace.join(&folder)).unwrap_or_default();
            looked_at += entries.len();
            if looked_at > LOOKED_AT_MAX {
                let message = format!("{} looks at more than {LOOKED_AT_MAX} files", quote(pattern));
                return Err(problem("odd-pattern", message, "name the folders that hold Secretfiles"));
            }
            for entry in entries {
                let path = folder.join(&entry.name);
                match entry.is_folder {
                    true if entry.name != ".git" => folders.push(path),
                    false if glob.is_match(&path) => found.extend(path.to_str().map(str::to_owned)),
                    _ => {}
                }
            }
        }
        // The change chooses these names; none may speak to the log, the check or a terminal.
        if let Some(odd) = found.iter().find(|path| is_odd(path)) {
            let message =
                format!("{} matches a path with characters that steer or hide text: {}", quote(pattern), quote(odd));
            return Err(problem("odd-path", message, "rename it"));
        }
        found.sort();
        Ok(found)
    }

    /// The text of a Secretfile of the checkout. A link in its path is refused: a pull request could
    /// point it at a file of the runner, and a finding would quote its keys.
    pub(super) fn secretfile(&self, file: &str) -> Result<(PathBuf, Source), Diagnostic> {
        let path = self.runner.workspace.join(file);
        if let Some(given) = self.given {
            return given.source(file, path);
        }
        let mut at = self.runner.workspace.clone();
        for part in Path::new(file).components() {
            at.push(part);
            let plain = matches!(part, Component::Normal(_) | Component::CurDir);
            if !plain || at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                let message = format!("{} leads out of the checkout or through a symbolic link", quote(file));
                return Err(problem("odd-path", message, "name a plain file of the repository under `files`"));
            }
        }
        self.session.source(&path, file).map(|source| (path, source))
    }
}

/// What a pattern of `files` matches; a plain path matches itself.
pub(super) fn matcher(pattern: &str) -> Result<GlobMatcher, Diagnostic> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let help = "such as `services/*/Secretfile.yml` or `**/Secretfile.yml`";
    let told = |error: globset::Error| problem("odd-pattern", format!("{}: {}", quote(pattern), error.kind()), help);
    glob.map(|glob| glob.compile_matcher()).map_err(told)
}

/// Whether a path holds what steers a terminal, a runner's log or Markdown, or hides text.
pub(super) fn is_odd(path: &str) -> bool {
    plain(path) != path || path.contains(['\n', '`']) || ["::", "##["].iter().any(|command| path.contains(command))
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}
