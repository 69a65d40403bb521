//! `validate` and `policy`: what can be told of a Secretfile without network or credential.

use serde_json::json;

use super::args::Strictness;
use super::console::Tone;
use super::exit::Exit;
use super::report;
use super::session::{Depth, Session, Workspace};
use super::show::plural;
use crate::diagnostic::{Diagnostic, Severity};
use crate::policy;

/// `secretzero validate`.
pub(super) fn validate(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let workspace = session.open(Depth::CHECK)?;
    let Workspace { manifest, source, warnings, .. } = &workspace;
    let console = &session.console;
    let good = console.paint(Tone::Good, "✓");
    let aliases: Vec<&str> = manifest.providers.iter().map(|block| block.alias.value.as_str()).collect();
    let targets: usize = manifest.secrets.iter().map(|secret| secret.targets.len()).sum();
    session.findings(source, warnings);
    console.line(&format!("{good} Configuration is valid"));
    let list = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
    console.line(&format!("{good} {} configured{list}", plural(aliases.len(), "provider")));
    console.line(&format!("{good} {} defined", plural(manifest.secrets.len(), "secret")));
    console.line(&format!("{good} {} configured", plural(targets, "target")));
    let unset = manifest.providers.iter().flat_map(|block| block.unresolved.values());
    let names: Vec<&str> = unset.map(|name| name.value.as_str()).collect();
    if names.is_empty() {
        console.line(&format!("{good} All provider settings are there; `secretzero test` tries the credentials"));
    } else {
        let mark = console.paint(Tone::Warn, "!");
        console
            .line(&format!("{mark} Not set here, so providers that need it cannot be reached: {}", names.join(", ")));
    }
    if console.is_json() {
        console.json(&json!({
            "valid": true,
            "providers": aliases,
            "secrets": manifest.secrets.len(),
            "targets": targets,
            "findings": report::findings(&source.name, warnings),
        }));
    }
    let warned = warnings.iter().any(|finding| finding.severity == Severity::Warning);
    Ok(if args.fail_on_warning && warned { Exit::Invalid } else { Exit::Done })
}

/// `secretzero policy`.
pub(super) fn policy(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let workspace = session.open(Depth::CHECK)?;
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
        }));
        return Ok(exit);
    }
    if !findings.is_empty() {
        let text = crate::diagnostic::render(&workspace.source, &findings, console.color());
        console.line(text.trim_end());
    }
    let active = workspace.manifest.policies.iter().filter(|policy| policy.enabled).count();
    let summary =
        format!("{} checked: {}, {}", plural(active, "policy"), plural(errors, "error"), plural(warnings, "warning"));
    let mark = if exit == Exit::Done { console.paint(Tone::Good, "✓") } else { console.paint(Tone::Bad, "✗") };
    console.line(&format!("{mark} {summary}"));
    Ok(exit)
}
