//! The comment of a pull request: what merging would do, by risk, and what a reviewer should know.

use jiff::Timestamp;

use super::fit::{Limits, fitted};
use super::{code, estimate, folded, words};
use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Manifest, Secret};
use crate::plan::{Action, Next, Plan, SecretPlan, TargetPlan};
use crate::target::TargetKind;

/// Most rows of one table of a comment; what is cut stands in the job summary.
pub const ROWS_MAX: usize = 150;

/// What a comment is made of.
pub struct Facts<'a> {
    /// Path of the Secretfile in the repository.
    pub file: &'a str,
    /// Name of the environment; empty without one.
    pub environment: &'a str,
    /// The Secretfile, if it is valid.
    pub manifest: Option<&'a Manifest>,
    /// The plan, if there is one.
    pub plan: Option<&'a Plan>,
    /// What is wrong with the file.
    pub problems: &'a [Diagnostic],
    /// What the policies say.
    pub findings: &'a [Diagnostic],
    /// Why the stores were not asked, if they were not.
    pub offline: Option<&'a str>,
    /// Where a file of the head commit is shown, without the path.
    pub blob_url: &'a str,
    /// What was planned: the head commit.
    pub head: &'a str,
    /// Into what: the base commit or branch.
    pub base: &'a str,
    /// The run that says so.
    pub run_url: &'a str,
    /// The present moment, for what is due soon.
    pub now: Timestamp,
    /// Most rows of one table and lines of one list; fewer where the whole would grow too long.
    pub rows_max: usize,
}

/// The whole comment, without the hidden marker.
#[must_use]
pub fn comment(facts: &Facts<'_>) -> String {
    fitted(facts.rows_max, facts.run_url, |limits| within(facts, limits))
}

fn within(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let mut out = String::new();
    let environment =
        if facts.environment.is_empty() { String::new() } else { format!(" · {}", code(facts.environment)) };
    out.push_str(&format!("### SecretZero · {}{environment}\n\n", code(facts.file)));
    out.push_str(&format!("{}\n", headline(facts)));
    if let Some(line) = facts.plan.zip(facts.manifest).and_then(|(plan, manifest)| estimate::estimate(plan, manifest)) {
        out.push_str(&format!("\n{line}\n"));
    }
    if let Some(why) = facts.offline {
        out.push_str(&format!("\n> [!NOTE]\n> **Planned offline.** {}\n", words(why)));
    }
    out.push_str(&problems(facts, limits));
    if let Some(plan) = facts.plan {
        out.push_str(&held(facts, limits, plan));
        out.push_str(&changes(facts, limits, plan));
    }
    out.push_str(&policy(facts, limits));
    if let Some(plan) = facts.plan {
        out.push_str(&due(facts, limits, plan));
        out.push_str(&drift(limits, plan));
        out.push_str(&rest(facts, limits, plan));
    }
    out.push_str(&footer(facts));
    out
}

/// One sentence that says it all; also the title of the check run.
#[must_use]
pub fn title(facts: &Facts<'_>) -> String {
    let errors = facts.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    if errors > 0 || facts.manifest.is_none() {
        return format!("The Secretfile has {}", count(errors.max(1), "error"));
    }
    let Some(plan) = facts.plan else { return "Checked".into() };
    let changing = plan.targets().filter(|(_, target)| target.action.is_change());
    let mut secrets: Vec<&str> = changing.map(|(secret, _)| secret.name.as_str()).collect();
    let targets = secrets.len();
    secrets.dedup();
    let held = plan.held().count();
    let what = match (targets, held) {
        (0, 0) => "Merging changes nothing".to_owned(),
        (0, held) => format!("Merging changes nothing; {} held", count(held, "secret")),
        (targets, 0) => format!("Merging changes {} of {}", count(targets, "target"), count(secrets.len(), "secret")),
        (targets, held) => format!(
            "Merging changes {} of {}; {} held",
            count(targets, "target"),
            count(secrets.len(), "secret"),
            count(held, "secret")
        ),
    };
    let broken = facts.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if broken > 0 { format!("{what}; {} broken", count(broken, "policy rule")) } else { what }
}

fn headline(facts: &Facts<'_>) -> String {
    format!("**{}.**{}", title(facts), counts(facts).map(|counts| format!(" {counts}")).unwrap_or_default())
}

/// `2 overwrite · 1 create · 12 unchanged`.
fn counts(facts: &Facts<'_>) -> Option<String> {
    let plan = facts.plan?;
    let mut parts: Vec<String> = Action::BY_RISK
        .iter()
        .filter_map(|action| Some((action, plan.count(*action))).filter(|(_, count)| *count > 0))
        .map(|(action, count)| match action {
            Action::Metadata => format!("{count} to change in metadata"),
            action => format!("{count} to {}", action.verb()),
        })
        .collect();
    let kept = plan.count(Action::Keep);
    if kept > 0 {
        parts.push(format!("{kept} unchanged"));
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn problems(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    if facts.problems.is_empty() {
        return String::new();
    }
    let error = facts.problems.iter().any(|problem| problem.severity == Severity::Error);
    let heading = if error {
        "> [!CAUTION]\n> **Nothing can be planned until this is mended:**"
    } else {
        "> [!NOTE]\n> **Worth a look:**"
    };
    let lines = limits.lines("> ", facts.problems.iter().map(|problem| finding_line(facts, problem)));
    format!("\n{heading}\n>\n{lines}")
}

fn finding_line(facts: &Facts<'_>, finding: &Diagnostic) -> String {
    let help = finding.help.as_deref().map(|help| format!(" — {}", words(help))).unwrap_or_default();
    format!("{} {}{help}", line_link(facts, finding.span.line), words(&finding.message))
}

/// A link to a line of the Secretfile at the head commit.
fn line_link(facts: &Facts<'_>, line: u32) -> String {
    format!("{}:", link(facts.blob_url, facts.file, line))
}

/// A line of a file, as a link where it is known what to.
pub(super) fn link(blob_url: &str, file: &str, line: u32) -> String {
    if blob_url.is_empty() {
        return format!("line {line}");
    }
    let path: Vec<String> = file.split('/').map(percent).collect();
    format!("[line {line}]({blob_url}/{}#L{line})", path.join("/"))
}

/// One path segment of a URL.
fn percent(segment: &str) -> String {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    segment.bytes().map(|b| if safe(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn held(facts: &Facts<'_>, limits: Limits<'_>, plan: &Plan) -> String {
    let lines = limits.lines(
        "> ",
        plan.held().map(|(secret, hold)| {
            let link = line_link(facts, hold.span.line);
            format!("{} {link} {} — {}", code(&secret.name), words(&hold.reason), words(&hold.help))
        }),
    );
    if lines.is_empty() {
        return lines;
    }
    format!("\n> [!WARNING]\n> **Held: nothing is written for these until someone decides.**\n>\n{lines}")
}

fn changes(facts: &Facts<'_>, limits: Limits<'_>, plan: &Plan) -> String {
    let mut rows: Vec<(&SecretPlan, &TargetPlan)> =
        plan.targets().filter(|(_, t)| t.action.is_change() || t.action == Action::ReplicaCheck).collect();
    if rows.is_empty() {
        return String::new();
    }
    // By risk; a secret's rows of one risk stay together, as in the file.
    rows.sort_by_key(|(_, target)| target.action);
    let rows: Vec<_> =
        rows.iter().map(|(secret, target)| (target.action.as_str(), row(facts, secret, target))).collect();
    limits.table("| | Secret | Target | Why |", &rows)
}

fn row(facts: &Facts<'_>, secret: &SecretPlan, target: &TargetPlan) -> String {
    let mut why = Vec::new();
    if !target.why.is_empty() {
        why.push(words(&target.why));
    }
    if !target.changes.is_empty() {
        why.push(target.changes.iter().map(|change| code(change)).collect::<Vec<_>>().join(", "));
    }
    if target.action == Action::Create && matches!(secret.next, Next::Create(_)) && secret.primary == Some(target.index)
    {
        why.push("a new value is generated here first".into());
    }
    if secret.primary == Some(target.index) || secret.targets.len() == 1 {
        why.extend(people(facts, secret));
    }
    format!("| {} | {} | {} | {} |\n", badge(target.action), code(&secret.name), shown(secret, target), why.join("; "))
}

fn badge(action: Action) -> String {
    let mark = match action {
        Action::Overwrite => "🔴",
        Action::Spread | Action::Rotate | Action::Revise => "🟠",
        Action::Heal | Action::Restore | Action::Adopt => "🟡",
        Action::Create => "🟢",
        _ => "⚪",
    };
    format!("{mark}&nbsp;**{}**", action.as_str().replace(' ', "&nbsp;"))
}

fn people(facts: &Facts<'_>, secret: &SecretPlan) -> Vec<String> {
    facts.manifest.and_then(|manifest| manifest.secrets.get(secret.index)).map(who).unwrap_or_default()
}

/// Who answers for a secret and who reads it.
pub(super) fn who(declared: &Secret) -> Vec<String> {
    let list = |label: &str, names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| code(name)).collect();
        (!names.is_empty()).then(|| format!("{label} {}", names.join(", ")))
    };
    [list("owners:", &declared.owners), list("read by:", &declared.consumers)].into_iter().flatten().collect()
}

fn policy(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    if facts.findings.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&Diagnostic> = facts.findings.iter().collect();
    sorted.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.span.line));
    let number = |severity| sorted.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let mut out = format!("\n#### Policies: {}, {}\n\n", count(errors, "error"), count(warnings, "warning"));
    let line = |finding: &Diagnostic| {
        let mark = match finding.severity {
            Severity::Error => "❌",
            Severity::Warning => "⚠️",
            Severity::Info => "ℹ️",
        };
        format!("{mark} {}", finding_line(facts, finding))
    };
    let (quiet, loud): (Vec<_>, Vec<_>) = sorted.iter().partition(|finding| finding.severity == Severity::Info);
    out.push_str(&limits.long_list(loud.into_iter().map(&line).collect()));
    if !quiet.is_empty() {
        let summary = count(quiet.len(), "remark");
        out.push_str(&folded(&summary, &limits.lines("", quiet.into_iter().map(&line))));
    }
    out
}

fn due(facts: &Facts<'_>, limits: Limits<'_>, plan: &Plan) -> String {
    let mut soon: Vec<(&SecretPlan, Timestamp)> = plan
        .secrets
        .iter()
        .filter_map(|secret| secret.due.filter(|due| due.is_soon(facts.now)).map(|due| (secret, due.at)))
        .collect();
    if soon.is_empty() {
        return String::new();
    }
    soon.sort_by_key(|(_, at)| *at);
    let overdue = soon.iter().filter(|(_, at)| *at <= facts.now).count();
    let mut out = format!("\n#### Rotation: {} due within {} days", soon.len(), crate::plan::DUE_SOON_DAYS);
    out.push_str(&if overdue > 0 { format!(", {overdue} overdue\n\n") } else { "\n\n".into() });
    let line = |(secret, at): &(&SecretPlan, Timestamp)| {
        let by_hand = match secret.due {
            Some(_) if secret.external => "; it is external: put a new value there yourself",
            Some(due) if !due.unattended => "; by name only, with `secretzero rotate --secret NAME`",
            _ => "",
        };
        let when = if *at <= facts.now { "was due" } else { "due" };
        format!("{} {when} {}{by_hand}", code(&secret.name), at.strftime("%Y-%m-%d"))
    };
    out.push_str(&limits.lines("", soon.iter().map(line)));
    out
}

/// What was changed by hand before; it makes nothing pending.
fn drift(limits: Limits<'_>, plan: &Plan) -> String {
    let lines = plan
        .targets()
        .filter(|(_, target)| target.drifted && !target.action.is_change())
        .map(|(secret, target)| format!("{}: {}", place(secret, target), words(&target.why)));
    let lines = limits.lines("", lines);
    if lines.is_empty() {
        return lines;
    }
    let number = plan.targets().filter(|(_, target)| target.drifted).count();
    folded(&format!("{} changed outside SecretZero", count(number, "target")), &lines)
}

/// Everything that changes nothing, folded.
fn rest(facts: &Facts<'_>, limits: Limits<'_>, plan: &Plan) -> String {
    let notes = plan
        .secrets
        .iter()
        .flat_map(|secret| secret.notes.iter().map(move |note| format!("{}: {}", code(&secret.name), words(note))));
    let hints = facts.manifest.into_iter().flat_map(|manifest| estimate::hints(manifest, Some(plan)));
    let notes = limits.lines("", notes.chain(hints.map(|hint| words(&hint))));
    let mut out = if notes.is_empty() { notes } else { folded("Notes", &notes) };
    out.push_str(&orphans(limits, &plan.orphans));
    out.push_str(&left_out(limits, plan));
    let kept: Vec<_> = plan.targets().filter(|(_, target)| target.action == Action::Keep && !target.drifted).collect();
    if !kept.is_empty() {
        let lines = limits.lines("", kept.iter().map(|(secret, target)| listed(secret, target)));
        out.push_str(&folded(&format!("{} unchanged", count(kept.len(), "target")), &lines));
    }
    out
}

/// Secrets that the file no longer declares: told, and never pending.
pub(super) fn orphans(limits: Limits<'_>, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let lines = limits.lines("", names.iter().map(|name| code(name)));
    let body = format!("What is stored stays where it is; nothing is deleted.\n\n{lines}");
    folded(&format!("{} no longer declared", count(names.len(), "secret")), &body)
}

/// Targets that were not looked at, and why: a reason that all share is said once.
pub(super) fn left_out(limits: Limits<'_>, plan: &Plan) -> String {
    let left: Vec<_> = plan.targets().filter(|(_, target)| target.action == Action::LeftOut).collect();
    let Some((_, first)) = left.first() else { return String::new() };
    let shared = left.len() > 1 && left.iter().all(|(_, target)| target.why == first.why);
    let lines = limits.lines(
        "",
        left.iter().map(|(secret, target)| match shared {
            true => listed(secret, target),
            false => format!("{}: {}", listed(secret, target), words(&target.why)),
        }),
    );
    let body = if shared { format!("All because {}:\n\n{lines}", words(&first.why)) } else { lines };
    folded(&format!("{} left out", count(left.len(), "target")), &body)
}

/// A target as a part of a sentence.
pub(super) fn place(secret: &SecretPlan, target: &TargetPlan) -> String {
    format!("{} in {}", code(&secret.name), shown(secret, target))
}

/// A target as a reader knows it, with its provider where the secret has another of this kind and name.
pub(super) fn shown(secret: &SecretPlan, target: &TargetPlan) -> String {
    let same = |other: &&TargetPlan| other.kind == target.kind && other.name == target.name;
    let alias = match secret.targets.iter().filter(same).count() {
        0 | 1 => String::new(),
        _ => format!(" ({})", code(&target.provider)),
    };
    format!("{} {}{alias}", target.kind.title(), code(&target.name))
}

fn listed(secret: &SecretPlan, target: &TargetPlan) -> String {
    let alias = if target.kind == TargetKind::File { String::new() } else { format!(" ({})", code(&target.provider)) };
    format!("{} in {} {}{alias}", code(&secret.name), target.kind.title(), code(&target.name))
}

fn footer(facts: &Facts<'_>) -> String {
    let short = |sha: &str| code(sha.get(..7).unwrap_or(sha));
    let run = if facts.run_url.is_empty() { String::new() } else { format!(" · [run]({})", facts.run_url) };
    let base = if facts.base.is_empty() { String::new() } else { format!(" into {}", short(facts.base)) };
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "\n<sub>For {}{base}{run} · names and versions only, values are never read for a plan · SecretZero {version}</sub>\n",
        short(facts.head)
    )
}

/// `1 secret`, `2 secrets`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
