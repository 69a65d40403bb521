//! The comment of a merged pull request and the job summary of a sync or rotation: what was done.

use super::comment::{count, left_out, orphans, place, shown};
use super::fit::{Limits, fitted};
use super::{code, words};
use crate::apply::{Done, Outcome, SecretOutcome};
use crate::plan::{Action, Cause, Plan, SecretPlan, TargetPlan};

/// What a report of a run is made of.
pub struct Facts<'a> {
    /// Path of the Secretfile in the repository.
    pub file: &'a str,
    /// Name of the environment; empty without one.
    pub environment: &'a str,
    /// `Synced` or `Rotated`.
    pub verb: &'a str,
    /// What was to be done.
    pub plan: &'a Plan,
    /// What was done.
    pub outcome: &'a Outcome,
    /// Changes that were made though no plan had shown them.
    pub unreviewed: &'a [String],
    /// What a reader should know about the review as a whole.
    pub note: Option<&'a str>,
    /// The commit that was synced.
    pub commit: &'a str,
    /// The run that did it.
    pub run_url: &'a str,
    /// Most rows of one table and lines of one list; fewer where the whole would grow too long.
    pub rows_max: usize,
}

/// One sentence that says it all; also the title of the check run.
#[must_use]
pub fn title(facts: &Facts<'_>) -> String {
    let written = written(facts).count();
    let (failed, held) = (facts.outcome.failures(), facts.plan.held().count());
    let done = match written {
        0 => "nothing to change".to_owned(),
        _ => format!("{} written", count(written, "target")),
    };
    let failed = if failed > 0 { format!("; {failed} failed") } else { String::new() };
    let held = if held > 0 { format!("; {} held", count(held, "secret")) } else { String::new() };
    format!("{}: {done}{failed}{held}", facts.verb)
}

/// One target with its secret, and what became of both.
pub type Row<'a> = (&'a SecretPlan, &'a SecretOutcome, &'a TargetPlan, &'a Done);

fn rows<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = Row<'a>> {
    facts.plan.secrets.iter().zip(&facts.outcome.secrets).flat_map(|(secret, outcome)| {
        secret.targets.iter().zip(&outcome.targets).map(move |(target, done)| (secret, outcome, target, done))
    })
}

/// The targets that were changed.
pub fn written<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = Row<'a>> {
    rows(facts).filter(|(_, _, target, done)| target.action.is_change() && matches!(done, Done::InForce(_)))
}

/// The whole report, without the hidden marker.
#[must_use]
pub fn report(facts: &Facts<'_>) -> String {
    fitted(facts.rows_max, facts.run_url, |limits| within(facts, limits))
}

fn within(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let environment =
        if facts.environment.is_empty() { String::new() } else { format!(" · {}", code(facts.environment)) };
    let mut out = format!("### SecretZero · {}{environment}\n\n**{}.**\n", code(facts.file), title(facts));
    out.push_str(&unfinished(facts, limits));
    out.push_str(&unreviewed(facts, limits));
    let mut done: Vec<Row<'_>> = written(facts).collect();
    // As in the plan: by risk, a secret's rows of one risk together.
    done.sort_by_key(|(_, _, target, _)| target.action);
    let done: Vec<_> = done.iter().map(|row| (past(row.2.action), table_row(row))).collect();
    if !done.is_empty() {
        out.push_str(&limits.table("| | Secret | Target | Generation |", &done));
    }
    let kept = rows(facts).filter(|(_, _, target, _)| target.action == Action::Keep).count();
    if kept > 0 {
        out.push_str(&format!("\n{} as declared already.\n", count(kept, "target")));
    }
    out.push_str(&left_out(limits, facts.plan));
    out.push_str(&orphans(limits, &facts.plan.orphans));
    let short = code(facts.commit.get(..7).unwrap_or(facts.commit));
    let run = if facts.run_url.is_empty() { String::new() } else { format!(" · [run]({})", facts.run_url) };
    out.push_str(&format!("\n<sub>At {short}{run} · SecretZero {}</sub>\n", env!("CARGO_PKG_VERSION")));
    out
}

fn table_row((secret, outcome, target, _): &Row<'_>) -> String {
    format!(
        "| ✅&nbsp;{} | {} | {} | {} |\n",
        past(target.action).replace(' ', "&nbsp;"),
        code(&secret.name),
        shown(secret, target),
        outcome.generation.as_ref().map(|generation| generation.number.to_string()).unwrap_or_default()
    )
}

fn unfinished(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let held = facts
        .plan
        .held()
        .map(|(secret, hold)| format!("{}: {} — {}", code(&secret.name), words(&hold.reason), words(&hold.help)));
    let secrets = facts.plan.secrets.iter().zip(&facts.outcome.secrets).filter_map(|(secret, outcome)| {
        let failure = outcome.failure.as_ref()?;
        Some(format!("{}: {}", code(&secret.name), words(failure)))
    });
    let targets = rows(facts).filter_map(|(secret, _, target, done)| match done {
        Done::Failed(reason) => Some(format!("{}: {}", place(secret, target), words(reason))),
        _ => None,
    });
    let lines = limits.lines("> ", held.chain(secrets).chain(targets));
    if lines.is_empty() {
        return lines;
    }
    let all_held_by = |cause| facts.outcome.failures() == 0 && facts.plan.held().all(|(_, hold)| hold.cause == cause);
    let heading = if all_held_by(Cause::Review) {
        "Held: no plan of a merged pull request had shown this."
    } else if all_held_by(Cause::Decision) {
        "Held: nothing is written for these until someone decides."
    } else {
        "Unfinished; the next run goes on with the same values."
    };
    format!("\n> [!WARNING]\n> **{heading}**\n>\n{lines}")
}

/// What ran without a review, by name.
fn unreviewed(facts: &Facts<'_>, limits: Limits<'_>) -> String {
    let note = facts.note.map(|note| format!(" Review: {}.", words(note))).unwrap_or_default();
    if facts.unreviewed.is_empty() {
        return if note.is_empty() { note } else { format!("\n*{}*\n", note.trim_start()) };
    }
    format!(
        "\n> [!IMPORTANT]\n> **{} not shown by any reviewed plan.**{note} `require_plan: true` would have held this.\n>\n{}",
        count(facts.unreviewed.len(), "change"),
        limits.lines("> ", facts.unreviewed.iter().cloned())
    )
}

const fn past(action: Action) -> &'static str {
    match action {
        Action::Overwrite => "overwritten",
        Action::Spread => "copied",
        Action::Rotate => "rotated",
        Action::Revise => "replaced",
        Action::Heal => "brought up to date",
        Action::Restore => "restored",
        Action::Adopt => "adopted",
        Action::Create => "created",
        _ => "metadata",
    }
}
