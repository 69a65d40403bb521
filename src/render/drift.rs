//! The issue about drift: which secrets and targets are not as SecretZero left them, and what to do.

use super::comment::{count, link, who};
use super::{code, words};
use crate::manifest::Manifest;
use crate::plan::drift::{Drift, DriftKind, Finding};
use crate::plan::{Plan, SecretPlan, TargetPlan};

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
    /// Most rows of one table.
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
    let mut out = format!("### SecretZero · {}{}\n\n**{}.**", code(facts.file), environment(facts), headline(facts));
    if !facts.drift.found.is_empty() {
        out.push_str(" Only metadata was read, and nothing was changed.\n");
        out.push_str(&table(facts));
        out.push_str(&help(facts));
    } else {
        out.push('\n');
    }
    out.push_str(&unknown(facts));
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

fn table(facts: &Facts<'_>) -> String {
    let mut out = String::from("\n| | Secret | Target | What happened |\n|:--|:--|:--|:--|\n");
    let found = sorted(facts);
    for finding in found.iter().take(facts.rows_max) {
        let Some((secret, target)) = at(facts, finding.secret, finding.target) else { continue };
        let mut said = vec![words(&finding.said)];
        said.extend(facts.manifest.secrets.get(secret.index).map(who).unwrap_or_default());
        out.push_str(&format!(
            "| {} | {}, {} | {} {} | {} |\n",
            badge(finding.kind),
            code(&secret.name),
            link(facts.blob_url, facts.file, target.span.line),
            target.kind.title(),
            code(&target.name),
            said.join("; ")
        ));
    }
    if found.len() > facts.rows_max {
        let more = found.len() - facts.rows_max;
        out.push_str(&format!("\n*{more} more rows stand in the [job summary]({}).*\n", facts.run_url));
    }
    out
}

fn badge(kind: DriftKind) -> String {
    let mark = match kind {
        DriftKind::Value | DriftKind::Foreign | DriftKind::Unmarked => "🔴",
        DriftKind::OtherRepository | DriftKind::Managed | DriftKind::Missing | DriftKind::Deletion => "🟠",
        DriftKind::Metadata => "🟡",
    };
    format!("{mark}&nbsp;**{}**", kind.title().replace(' ', "&nbsp;"))
}

/// What to do, once for each secret and kind.
fn help(facts: &Facts<'_>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for finding in sorted(facts) {
        let Some((secret, _)) = at(facts, finding.secret, finding.target) else { continue };
        let line = format!("- {}, {}: {}\n", code(&secret.name), finding.kind.title(), words(&finding.help));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.truncate(facts.rows_max);
    format!(
        "\n#### What to do\n\n{}\nWhere the workflow answers comments, `/secretzero sync` and `/secretzero rotate NAME` on a pull \
         request do the same.\nA drift that is meant to stay: close this issue as not planned, and the same drift is \
         not told again.\n",
        lines.concat()
    )
}

fn unknown(facts: &Facts<'_>) -> String {
    let line = |secret: &SecretPlan, target: &TargetPlan, reason: &str| {
        format!("> - {} in {} {}: {}\n", code(&secret.name), target.kind.title(), code(&target.name), words(reason))
    };
    let lines: String = facts
        .drift
        .unknown
        .iter()
        .take(facts.rows_max)
        .filter_map(|one| at(facts, one.secret, one.target).map(|(secret, target)| line(secret, target, &one.reason)))
        .collect();
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
