//! `validate` and `policy`: what can be told of a Secretfile without network or credential.

use std::collections::BTreeSet;

use serde_json::json;

use super::args::Strictness;
use super::console::Tone;
use super::exit::Exit;
use super::report;
use super::session::{Depth, Session, Workspace};
use super::show::{hints, plural};
use crate::diagnostic::{Diagnostic, Severity};
use crate::policy;
use crate::render::estimate;

/// `secretzero validate`.
pub(super) fn validate(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let (workspace, unset_values) = complete(session)?;
    let Workspace { manifest, source, warnings, .. } = &workspace;
    let console = &session.console;
    let good = console.paint(Tone::Good, "✓");
    let aliases: Vec<&str> = manifest.providers.iter().map(|block| block.alias.value.as_str()).collect();
    let targets: usize = manifest.secrets.iter().map(|secret| secret.targets.len()).sum();
    if !warnings.is_empty() {
        session.findings(source, warnings);
        console.note("");
    }
    console.line(&format!("{good} Configuration is valid"));
    let list = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
    console.line(&format!("{good} {} configured{list}", plural(aliases.len(), "provider")));
    console.line(&format!("{good} {} defined", plural(manifest.secrets.len(), "secret")));
    console.line(&format!("{good} {} configured", plural(targets, "target")));
    let unset = manifest.providers.iter().flat_map(|block| block.unresolved.values());
    let unset: BTreeSet<&str> = unset.map(|name| name.value.as_str()).collect();
    if unset.is_empty() {
        console.line(&format!("{good} All provider settings are there; `secretzero test` tries the credentials"));
    }
    not_set(session, "log in", &unset);
    not_set(session, "make values", &unset_values.iter().map(String::as_str).collect());
    if session.common.verbose > 0 {
        hints(console, manifest, None);
    }
    let warned = warnings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let exit = if args.fail_on_warning && warned > 0 { Exit::Invalid } else { Exit::Done };
    if exit != Exit::Done {
        let bad = console.paint(Tone::Bad, "✗");
        console.line(&format!("{bad} {}, and --fail-on-warning allows none", plural(warned, "warning")));
    }
    if console.is_json() {
        console.json(&json!({
            "valid": true,
            "providers": aliases,
            "secrets": manifest.secrets.len(),
            "targets": targets,
            "unset": unset.iter().copied().chain(unset_values.iter().map(String::as_str)).collect::<BTreeSet<_>>(),
            "findings": report::findings(&source.name, warnings),
            "hints": estimate::hints(manifest, None),
            "exit_code": exit as u8,
        }));
    }
    Ok(exit)
}

fn not_set(session: &Session, what: &str, names: &BTreeSet<&str>) {
    if !names.is_empty() {
        let mark = session.console.paint(Tone::Warn, "!");
        let names = names.iter().copied().collect::<Vec<_>>().join(", ");
        session.console.line(&format!("{mark} Not set here, and needed to {what}: {names}"));
    }
}

/// The Secretfile with complete values, or without those whose variables are not set here, and the
/// names of these: a value may be a credential, and checking needs none.
fn complete(session: &Session) -> Result<(Workspace, BTreeSet<String>), Exit> {
    let source = session.secretfile()?;
    let loaded = session.read(&source, Depth::VALUES)?;
    // A name that is nearly one of the file's own is misspelt, not unset.
    let unset = |finding: &Diagnostic| {
        let misspelt = finding.help.as_ref().is_some_and(|help| help.starts_with("did you mean"));
        finding.code == "missing-variable" && !misspelt
    };
    let mut errors = loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).peekable();
    if errors.peek().is_none() || !errors.clone().all(unset) {
        return session.accept(source, loaded).map(|workspace| (workspace, BTreeSet::new()));
    }
    let names = errors.filter_map(|finding| finding.message.split('`').nth(1).map(str::to_owned)).collect();
    let loaded = session.read(&source, Depth::NAMES)?;
    session.accept(source, loaded).map(|workspace| (workspace, names))
}

/// `secretzero policy`.
pub(super) fn policy(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let (workspace, _) = complete(session)?;
    let console = &session.console;
    let findings: Vec<Diagnostic> = policy::check(&workspace.manifest).into_iter().map(Diagnostic::from).collect();
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let exit = if errors > 0 || (args.fail_on_warning && warnings > 0) { Exit::Policy } else { Exit::Done };
    if console.is_json() {
        console.json(&json!({
            "passed": exit == Exit::Done,
            "errors": errors,
            "warnings": warnings,
            "findings": report::findings(&workspace.source.name, &findings),
            "exit_code": exit as u8,
        }));
        return Ok(exit);
    }
    if !findings.is_empty() {
        console.line(&crate::diagnostic::render(&workspace.source, &findings, console.color()));
    }
    let active = workspace.manifest.policies.iter().filter(|policy| policy.enabled).count();
    if active == 0 && findings.is_empty() {
        console.line(&format!("{} The Secretfile has no policies", console.paint(Tone::Good, "✓")));
        return Ok(exit);
    }
    let summary =
        format!("{} checked: {}, {}", plural(active, "policy"), plural(errors, "error"), plural(warnings, "warning"));
    let mark = if exit == Exit::Done { console.paint(Tone::Good, "✓") } else { console.paint(Tone::Bad, "✗") };
    console.line(&format!("{mark} {summary}"));
    Ok(exit)
}
