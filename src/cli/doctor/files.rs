//! The Secretfile and the workflows, as they stand on the disk.

use std::path::Path;

use super::{Look, Row, State};
use crate::cli::repository::top;
use crate::cli::session::{Depth, Session, Workspace};
use crate::cli::show::plural;
use crate::connect::lacks;
use crate::diagnostic::{Diagnostic, Severity, Spanned};
use crate::manifest::Loaded;
use crate::trust::workflows;

const SECRETFILE: &str = "Secretfile";

/// Where GitHub looks for workflows.
const WORKFLOWS: &str = ".github/workflows";

/// Most workflows that are read.
const WORKFLOWS_MAX: usize = 100;

/// Most findings of one Secretfile that are listed; `validate` lists all.
const FINDINGS_MAX: usize = 5;

/// The Secretfile, if it is valid.
pub(super) fn secretfile(session: &Session) -> (Option<Workspace>, Vec<Row>) {
    let name = session.common.file.display().to_string();
    let source = match session.source(&session.common.file, &name) {
        Ok(source) => source,
        Err(finding) => {
            return (None, wrong(&name, [&finding]));
        }
    };
    let loaded = match session.read(&source, Depth::NAMES, session.environment_name()) {
        Ok(loaded) => loaded,
        Err(_) => return (None, vec![Row::wrong(SECRETFILE, "a file of variables cannot be used", "see above")]),
    };
    let rows = found(&name, &loaded);
    let workspace = loaded.manifest.is_some().then(|| session.accept(source, loaded)).and_then(Result::ok);
    (workspace, rows)
}

/// What is wrong with a Secretfile, or what it holds.
pub(in crate::cli) fn found(name: &str, loaded: &Loaded) -> Vec<Row> {
    let errors = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    let Some(manifest) = &loaded.manifest else { return wrong(name, errors) };
    let targets: usize = manifest.secrets.iter().map(|secret| secret.targets.len()).sum();
    let counts = format!("{name}: {}, {}", plural(manifest.secrets.len(), "secret"), plural(targets, "target"));
    let mut rows = vec![Row::good(SECRETFILE, counts)];
    let metadata = &manifest.metadata;
    if metadata.project.is_none() && metadata.project_id.is_none() {
        let text = "`metadata.project` is not set, so two Secretfiles without it take each other's objects for theirs";
        rows.push(Row::warning(SECRETFILE, text, "set it before the first sync, and keep it"));
    }
    rows
}

/// The first of these findings.
pub(in crate::cli) fn wrong<'d>(name: &str, findings: impl IntoIterator<Item = &'d Diagnostic>) -> Vec<Row> {
    let one = |finding: &Diagnostic| {
        let at = if finding.span.line == 0 { String::new() } else { format!("{name}:{}: ", finding.span.line) };
        Row::wrong(SECRETFILE, format!("{at}{}", finding.message), finding.help.clone().unwrap_or_default())
    };
    findings.into_iter().take(FINDINGS_MAX).map(one).collect()
}

/// The settings of its providers that have no value in this run.
pub(super) fn lacking(look: &Look) -> Vec<Row> {
    let name = &look.workspace.source.name;
    let lacks = look.workspace.manifest.providers.iter().flat_map(|block| lacks(block, &look.federation));
    let row = |lack: Spanned<String>| {
        let text = format!("{name}:{}: {}", lack.span.line, lack.value);
        Row::warning(SECRETFILE, text, "set it in the environment of the run")
    };
    lacks.map(row).collect()
}

/// The workflows of the repository that one stands in.
pub(super) fn workflows(session: &Session) -> Vec<Row> {
    const AREA: &str = "workflows";
    let Some(top) = top().or_else(|| Path::new(".").canonicalize().ok()) else { return Vec::new() };
    let folder = top.join(WORKFLOWS);
    // What a link of a stranger's branch points at is none of the repository's, and would be quoted.
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if is_link(&top.join(".github")) || is_link(&folder) {
        return vec![Row::warning(AREA, format!("{WORKFLOWS} is a link"), "make it a folder of the repository")];
    }
    let names = session.disk.names(&folder).unwrap_or_default();
    let names = names.into_iter().filter(|name| name.ends_with(".yml") || name.ends_with(".yaml"));
    let (mut rows, mut ours) = (Vec::new(), Vec::new());
    for name in names.take(WORKFLOWS_MAX) {
        let shown = format!("{WORKFLOWS}/{name}");
        if is_link(&folder.join(&name)) {
            rows.push(Row::warning(AREA, format!("{shown} is a link and was not read"), "make it a file"));
            continue;
        }
        let checked = match session.source(&folder.join(&name), &shown) {
            Ok(source) => workflows::check(&source),
            Err(finding) => Err(finding),
        };
        match checked {
            Ok(checked) => {
                if checked.is_ours {
                    ours.push(name);
                }
                rows.extend(checked.findings.iter().map(|finding| row(AREA, &shown, finding)));
            }
            Err(finding) => rows.push(row(AREA, &shown, &finding)),
        }
    }
    let first = match ours.as_slice() {
        [] => Row::skipped(AREA, format!("none in {WORKFLOWS} runs SecretZero")),
        some => Row::good(AREA, format!("SecretZero runs in {}", some.join(", "))),
    };
    rows.insert(0, first);
    rows
}

fn row(area: &'static str, file: &str, finding: &Diagnostic) -> Row {
    let state = match finding.severity {
        Severity::Error => State::Wrong,
        Severity::Warning => State::Warning,
        Severity::Info => State::Note,
    };
    let text = format!("{file}:{}: {}", finding.span.line, finding.message);
    Row::new(area, state, text).help(finding.help.clone().unwrap_or_default())
}
