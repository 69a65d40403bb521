//! `validate` and `policy`: what can be told of a Secretfile without network or credential.

use std::collections::BTreeSet;

use serde_json::json;

use super::args::Strictness;
use super::console::Tone;
use super::exit::Exit;
use super::report;
use super::session::{Depth, Session};
use super::show::{hints, plural};
use crate::connect::federation::Federation;
use crate::diagnostic::{Diagnostic, Severity, Source, quote};
use crate::manifest::{self, Loaded, Manifest};
use crate::policy;
use crate::render::estimate;

/// `secretzero validate`.
pub(super) fn validate(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let Checked { source, environments, warnings } = &complete(session)?;
    let Some(first) = environments.first() else { return Ok(Exit::Error) };
    let (manifest, unset_values) = (&first.manifest, environments.iter().flat_map(|one| &one.unset_values));
    let names: Vec<&str> = environments.iter().filter_map(|one| one.name.as_deref()).collect();
    let console = &session.console;
    let good = console.paint(Tone::Good, "✓");
    let aliases: Vec<&str> = manifest.providers.iter().map(|block| block.alias.value.as_str()).collect();
    let targets: usize = manifest.secrets.iter().map(|secret| secret.targets.len()).sum();
    if !warnings.is_empty() {
        session.findings(source, warnings);
        console.note("");
    }
    console.line(&format!("{good} Configuration is valid"));
    if !names.is_empty() {
        console.line(&format!("{good} {}: {}", plural(names.len(), "environment"), names.join(", ")));
    }
    let list = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
    console.line(&format!("{good} {} configured{list}", plural(aliases.len(), "provider")));
    console.line(&format!("{good} {} defined", plural(manifest.secrets.len(), "secret")));
    console.line(&format!("{good} {} configured", plural(targets, "target")));
    let blocks = environments.iter().flat_map(|one| &one.manifest.providers);
    // What the run logs in with instead is not missing.
    let federation = Federation::read(&session.environment, session.phase());
    let unset = blocks.flat_map(|block| block.unresolved.iter().map(move |(setting, name)| (block, setting, name)));
    let unset = unset.filter(|(block, setting, _)| !federation.spares(block, setting));
    let unset: BTreeSet<&str> = unset.map(|(_, _, name)| name.value.as_str()).collect();
    if unset.is_empty() {
        console.line(&format!("{good} All provider settings are there; `secretzero test` tries the credentials"));
    }
    not_set(session, "log in", &unset);
    let unset_values: BTreeSet<&str> = unset_values.map(String::as_str).collect();
    not_set(session, "make values", &unset_values);
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
            "environments": names,
            "unset": unset.union(&unset_values).collect::<BTreeSet<_>>(),
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

/// A Secretfile that is valid in every environment it is checked for.
struct Checked {
    source: Source,
    /// At least one.
    environments: Vec<Checking>,
    /// Of all of them.
    warnings: Vec<Diagnostic>,
}

/// A Secretfile as it reads in one environment.
struct Checking {
    /// The environment's name, if it has one.
    name: Option<String>,
    manifest: Manifest,
    /// The variables that values need and that are not set here.
    unset_values: BTreeSet<String>,
}

/// The Secretfile in the chosen environment, else in every one that it declares.
fn complete(session: &Session) -> Result<Checked, Exit> {
    let source = session.secretfile()?;
    let declared = manifest::environments(&source).into_iter().map(|one| Some(one.name.value));
    let mut names: Vec<Option<String>> = declared.collect();
    if names.is_empty() || session.environment_name().is_some() {
        names = vec![session.environment_name().map(str::to_owned)];
    }
    let (mut environments, mut findings) = (Vec::new(), Vec::new());
    for name in names {
        let (loaded, unset_values) = values(session, &source, name.as_deref())?;
        findings.push((name.clone(), loaded.diagnostics));
        environments.extend(loaded.manifest.map(|manifest| Checking { name, manifest, unset_values }));
    }
    let valid = environments.len() == findings.len();
    let warnings = joined(findings);
    if valid {
        return Ok(Checked { source, environments, warnings });
    }
    session.findings(&source, &warnings);
    Err(Exit::Invalid)
}

/// The Secretfile with complete values, or without those whose variables are not set here, and the
/// names of these: a value may be a credential, and checking needs none.
fn values(session: &Session, source: &Source, name: Option<&str>) -> Result<(Loaded, BTreeSet<String>), Exit> {
    let loaded = session.read(source, Depth::VALUES, name)?;
    // A name that is nearly one of the file's own is misspelt, not unset.
    let unset = |finding: &Diagnostic| {
        let misspelt = finding.help.as_ref().is_some_and(|help| help.starts_with("did you mean"));
        finding.code == "missing-variable" && !misspelt
    };
    let mut errors = loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).peekable();
    if errors.peek().is_some() && errors.clone().all(unset) {
        let names = errors.filter_map(|finding| finding.message.split('`').nth(1).map(str::to_owned)).collect();
        return Ok((session.read(source, Depth::NAMES, name)?, names));
    }
    Ok((loaded, BTreeSet::new()))
}

/// The findings of all environments, each once, in the order of the file. What is not found in all of
/// them says where it is.
fn joined(findings: Vec<(Option<String>, Vec<Diagnostic>)>) -> Vec<Diagnostic> {
    let all = findings.len();
    let mut joined: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for (name, findings) in findings {
        for finding in findings {
            let name = quote(name.as_deref().unwrap_or_default());
            match joined.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, names)) => names.push(name),
                None => joined.push((finding, vec![name])),
            }
        }
    }
    joined.sort_by_key(|(finding, _)| finding.span.start);
    let tell = |(mut finding, names): (Diagnostic, Vec<String>)| {
        if names.len() < all {
            let noun = if names.len() == 1 { "environment" } else { "environments" };
            finding.message = format!("{} ({noun} {})", finding.message, names.join(", "));
        }
        finding
    };
    joined.into_iter().map(tell).collect()
}

/// `secretzero policy`.
pub(super) fn policy(session: &Session, args: &Strictness) -> Result<Exit, Exit> {
    let Checked { source, environments, .. } = &complete(session)?;
    let Some(first) = environments.first() else { return Ok(Exit::Error) };
    let console = &session.console;
    let found = environments
        .iter()
        .map(|one| (one.name.clone(), policy::check(&one.manifest).into_iter().map(Diagnostic::from).collect()));
    let findings = joined(found.collect());
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let exit = if errors > 0 || (args.fail_on_warning && warnings > 0) { Exit::Policy } else { Exit::Done };
    if console.is_json() {
        console.json(&json!({
            "passed": exit == Exit::Done,
            "errors": errors,
            "warnings": warnings,
            "findings": report::findings(&source.name, &findings),
            "exit_code": exit as u8,
        }));
        return Ok(exit);
    }
    if !findings.is_empty() {
        console.line(&crate::diagnostic::render(source, &findings, console.color()));
    }
    let active = first.manifest.policies.iter().filter(|policy| policy.enabled).count();
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
