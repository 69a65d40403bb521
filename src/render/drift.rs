//! The issue about drift: which secrets and targets are not as SecretZero left them, and what to do.

use super::comment::{count, link, place, shown, who};
use super::fit::{Limits, fitted};
use super::{code, words};
use crate::manifest::Manifest;
use crate::plan::drift::{Drift, DriftKind, Finding};
use crate::plan::{Plan, SecretPlan, TargetPlan};

/// Most secrets that are named beside the advice that they share.
const NAMES_MAX: usize = 12;

/// Stands for the secret in advice that several share.
const NAMED: &str = "--secret NAME";

/// What an issue is made of.
pub struct Facts<'a> {
    /// Path of the Secretfile in the repository.
    pub file: &'a str,
    /// Name of the environment; empty without one.
    pub environment: &'a str,
    /// The Secretfile.
    pub manifest: &'a Manifest,
    /// What was looked at.
    pub plan: &'a Plan,
    /// What was found.
    pub drift: &'a Drift,
    /// The commit whose Secretfile was compared.
    pub commit: &'a str,
    /// Where a file of that commit is shown, without the path.
    pub blob_url: &'a str,
    /// The run that looked.
    pub run_url: &'a str,
    /// Most rows of one table and lines of one list; fewer where the whole would grow too long.
    pub rows_max: usize,
}

/// One sentence that says it all.
#[must_use]
pub fn headline(facts: &Facts<'_>) -> String {
    let Drift { found, unknown, .. } = facts.drift;
    let unknown = match unknown.len() {
        0 => String::new(),
        number => format!("; {} could not be looked at", count(number, "target")),
    };
    if found.is_empty() {
        return format!("No drift{unknown}");
    }
    let mut secrets: Vec<usize> = found.iter().map(|finding| finding.secret).collect();
    secrets.dedup();
    let (targets, secrets) = (count(found.len(), "target"), count(secrets.len(), "secret"));
    let are = if found.len() == 1 { "is" } else { "are" };
    format!(
        "{targets} of {secrets} {are} not as SecretZero left {them}{unknown}",
        them = if found.len() == 1 { "it" } else { "them" }
    )
}

/// The title of the issue; plain text.
#[must_use]
pub fn title(facts: &Facts<'_>) -> String {
    let environment = if facts.environment.is_empty() { String::new() } else { format!(" · {}", facts.environment) };
    format!("SecretZero: drift of {} ({}{environment})", count(facts.drift.found.len(), "target"), facts.file)
}

/// The whole issue, without the hidden marker; also the section of the job summary.
#[must_use]
pub fn body(facts: &Facts<'_>) -> String {
    fitted(facts.rows_max, facts.run_url, |limits| within(facts, limits))
}

fn within(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let mut out = format!("### SecretZero · {}{}\n\n**{}.**", code(facts.file), environment(facts), headline(facts));
    if !facts.drift.found.is_empty() {
        out.push_str(" Only metadata was read, and nothing was changed.\n");
        out.push_str(&table(facts, limits));
        out.push_str(&help(facts, limits));
    } else {
        out.push('\n');
    }
    out.push_str(&unknown(facts, limits));
    out.push_str(&footer(facts));
    out
}

/// What is said when the issue is closed.
#[must_use]
pub fn healed(facts: &Facts<'_>) -> String {
    format!("**Healed.** Every target is as SecretZero left it again.\n{}", footer(facts))
}

fn environment(facts: &Facts<'_>) -> String {
    if facts.environment.is_empty() { String::new() } else { format!(" · {}", code(facts.environment)) }
}

fn at<'a>(facts: &Facts<'a>, secret: usize, target: usize) -> Option<(&'a SecretPlan, &'a TargetPlan)> {
    let secret = facts.plan.secrets.get(secret)?;
    Some((secret, secret.targets.get(target)?))
}

/// By danger; a secret's rows of one kind stay together, as in the file.
fn sorted<'a>(facts: &Facts<'a>) -> Vec<&'a Finding> {
    let mut found: Vec<&Finding> = facts.drift.found.iter().collect();
    found.sort_by_key(|finding| finding.kind);
    found
}

fn table(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let row = |finding: &Finding| {
        let (secret, target) = at(facts, finding.secret, finding.target)?;
        let mut said = vec![words(&finding.said)];
        said.extend(facts.manifest.secrets.get(secret.index).map(who).unwrap_or_default());
        let row = format!(
            "| {} | {}, {} | {} | {} |\n",
            badge(finding.kind),
            code(&secret.name),
            link(facts.blob_url, facts.file, target.span.line),
            shown(secret, target),
            said.join("; ")
        );
        Some((finding.kind.title(), row))
    };
    let rows: Vec<_> = sorted(facts).into_iter().filter_map(row).collect();
    limits.table("| | Secret | Target | What happened |", &rows)
}

fn badge(kind: DriftKind) -> String {
    let mark = match kind {
        DriftKind::Value | DriftKind::Foreign | DriftKind::Unmarked => "🔴",
        DriftKind::OtherRepository | DriftKind::Managed | DriftKind::Missing | DriftKind::Deletion => "🟠",
        DriftKind::Metadata => "🟡",
    };
    format!("{mark}&nbsp;**{}**", kind.title().replace(' ', "&nbsp;"))
}

/// What to do, once for all secrets with the same advice.
fn help(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let mut advice: Vec<(DriftKind, String, Vec<&str>)> = Vec::new();
    for finding in sorted(facts) {
        let Some((secret, _)) = at(facts, finding.secret, finding.target) else { continue };
        let name = secret.name.as_str();
        let help = finding.help.replace(&format!("--secret {name}"), NAMED);
        match advice.iter_mut().find(|(kind, known, _)| *kind == finding.kind && *known == help) {
            Some((.., names)) if names.contains(&name) => {}
            Some((.., names)) => names.push(name),
            None => advice.push((finding.kind, help, vec![name])),
        }
    }
    let lines = advice.iter().map(|(kind, help, names)| {
        let help = match names.as_slice() {
            [name] => help.replace(NAMED, &format!("--secret {name}")),
            _ => help.clone(),
        };
        let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| code(name)).collect();
        let more = names.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}, {}: {}", shown.join(", "), kind.title(), words(&help))
    });
    let lines = limits.lines("", lines);
    format!(
        "\n#### What to do\n\n{lines}\nWhere the workflow answers comments, `/secretzero sync` and `/secretzero rotate NAME` on a pull \
         request do the same.\nA drift that is meant to stay: close this issue as not planned, and the same drift is \
         not told again.\n"
    )
}

fn unknown(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let lines = facts.drift.unknown.iter().filter_map(|one| {
        let (secret, target) = at(facts, one.secret, one.target)?;
        Some(format!("{}: {}", place(secret, target), words(&one.reason)))
    });
    let lines = limits.lines("> ", lines);
    if lines.is_empty() {
        return lines;
    }
    format!("\n> [!WARNING]\n> **Not looked at, so nobody knows:**\n>\n{lines}")
}

fn footer(facts: &Facts<'_>) -> String {
    let short = code(facts.commit.get(..7).unwrap_or(facts.commit));
    let run = if facts.run_url.is_empty() { String::new() } else { format!(" · [run]({})", facts.run_url) };
    format!(
        "\n<sub>Compared with {short}{run} · names and versions only · SecretZero {}</sub>\n",
        env!("CARGO_PKG_VERSION")
    )
}
