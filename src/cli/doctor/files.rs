//! The Secretfile and the workflows, as they stand on the disk.

use super::{Row, State};
use crate::cli::repository::top;
use crate::cli::session::{Depth, Session, Workspace};
use crate::cli::show::plural;
use crate::connect::federation::Federation;
use crate::connect::lacks;
use crate::diagnostic::{Diagnostic, Severity};
use crate::trust::workflows;

/// Where GitHub looks for workflows.
const WORKFLOWS: &str = ".github/workflows";

/// Most workflows that are read.
const WORKFLOWS_MAX: usize = 100;

/// Most findings of one Secretfile that are listed; `validate` lists all.
const FINDINGS_MAX: usize = 5;

/// The Secretfile, if it is valid.
pub(super) fn secretfile(session: &Session) -> (Option<Workspace>, Vec<Row>) {
    const AREA: &str = "Secretfile";
    let name = session.common.file.display().to_string();
    let source = match session.source(&session.common.file, &name) {
        Ok(source) => source,
        Err(finding) => {
            return (None, vec![Row::wrong(AREA, finding.message, finding.help.unwrap_or_default())]);
        }
    };
    let loaded = match session.read(&source, Depth::NAMES, session.environment_name()) {
        Ok(loaded) => loaded,
        Err(_) => return (None, vec![Row::wrong(AREA, "a file of variables cannot be used", "see above")]),
    };
    let errors: Vec<&Diagnostic> = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error).collect();
    if !errors.is_empty() {
        let shown = errors.iter().take(FINDINGS_MAX).map(|finding| {
            let text = format!("{name}:{}: {}", finding.span.line, finding.message);
            Row::wrong(AREA, text, finding.help.clone().unwrap_or_default())
        });
        return (None, shown.collect());
    }
    let Ok(workspace) = session.accept(source, loaded) else { return (None, Vec::new()) };
    let manifest = &workspace.manifest;
    let targets: usize = manifest.secrets.iter().map(|secret| secret.targets.len()).sum();
    let counts = format!("{name}: {}, {}", plural(manifest.secrets.len(), "secret"), plural(targets, "target"));
    let mut rows = vec![Row::good(AREA, counts)];
    let metadata = &manifest.metadata;
    if metadata.project.is_none() && metadata.project_id.is_none() {
        let text = "`metadata.project` is not set, so two Secretfiles without it take each other's objects for theirs";
        rows.push(Row::warning(AREA, text, "set it before the first sync, and keep it"));
    }
    let federation = Federation::read(&session.environment, session.phase());
    for lack in manifest.providers.iter().flat_map(|block| lacks(block, &federation)) {
        let text = format!("{name}:{}: {}", lack.span.line, lack.value);
        rows.push(Row::warning(AREA, text, "set it in the environment of the run"));
    }
    (Some(workspace), rows)
}

/// The workflows of the repository that one stands in.
pub(super) fn workflows(session: &Session) -> Vec<Row> {
    const AREA: &str = "workflows";
    let Some(top) = top().or_else(|| std::path::Path::new(".").canonicalize().ok()) else { return Vec::new() };
    let folder = top.join(WORKFLOWS);
    let names = session.disk.names(&folder).unwrap_or_default();
    let names = names.into_iter().filter(|name| name.ends_with(".yml") || name.ends_with(".yaml"));
    let (mut rows, mut ours) = (Vec::new(), Vec::new());
    for name in names.take(WORKFLOWS_MAX) {
        let shown = format!("{WORKFLOWS}/{name}");
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
