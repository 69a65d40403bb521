//! The comment of a merged pull request and the job summary of a sync or rotation: what was done.

use super::comment::{count, folded, orphans};
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
    /// Most rows of one table.
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
    let environment =
        if facts.environment.is_empty() { String::new() } else { format!(" · {}", code(facts.environment)) };
    let mut out = format!("### SecretZero · {}{environment}\n\n**{}.**\n", code(facts.file), title(facts));
    out.push_str(&unfinished(facts));
    out.push_str(&unreviewed(facts));
    let done: Vec<Row<'_>> = written(facts).collect();
    if !done.is_empty() {
        out.push_str("\n| | Secret | Target | Generation |\n|:--|:--|:--|:--|\n");
        for (secret, outcome, target, _) in done.iter().take(facts.rows_max) {
            let generation = outcome.generation.as_ref().map(|g| g.number.to_string()).unwrap_or_default();
            let row = format!("{} {}", target.kind.title(), code(&target.name));
            out.push_str(&format!(
                "| ✅&nbsp;{} | {} | {row} | {generation} |\n",
                past(target.action),
                code(&secret.name)
            ));
        }
        if done.len() > facts.rows_max {
            out.push_str(&format!(
                "\n*{} more rows stand in the [job summary]({}).*\n",
                done.len() - facts.rows_max,
                facts.run_url
            ));
        }
    }
    let kept = rows(facts).filter(|(_, _, target, _)| target.action == Action::Keep).count();
    if kept > 0 {
        out.push_str(&format!("\n{} as declared already.\n", count(kept, "target")));
    }
    let left: String = rows(facts)
        .filter(|(_, _, target, _)| target.action == Action::LeftOut)
        .map(|(secret, _, target, _)| {
            format!(
                "- {} in {} {}: {}\n",
                code(&secret.name),
                target.kind.title(),
                code(&target.name),
                words(&target.why)
            )
        })
        .collect();
    if !left.is_empty() {
        out.push_str(&folded("Left out", &left));
    }
    out.push_str(&orphans(&facts.plan.orphans));
    let short = code(facts.commit.get(..7).unwrap_or(facts.commit));
    let run = if facts.run_url.is_empty() { String::new() } else { format!(" · [run]({})", facts.run_url) };
    out.push_str(&format!("\n<sub>At {short}{run} · SecretZero {}</sub>\n", env!("CARGO_PKG_VERSION")));
    out
}

fn unfinished(facts: &Facts<'_>) -> String {
    let mut lines = String::new();
    for (secret, hold) in facts.plan.held() {
        lines.push_str(&format!("> - {}: {} — {}\n", code(&secret.name), words(&hold.reason), words(&hold.help)));
    }
    for (secret, outcome) in facts.plan.secrets.iter().zip(&facts.outcome.secrets) {
        if let Some(failure) = &outcome.failure {
            lines.push_str(&format!("> - {}: {}\n", code(&secret.name), words(failure)));
        }
    }
    for (secret, _, target, done) in rows(facts) {
        if let Done::Failed(reason) = done {
            let place = format!("{} {}", target.kind.title(), code(&target.name));
            lines.push_str(&format!("> - {} in {place}: {}\n", code(&secret.name), words(reason)));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let only_review = facts.outcome.failures() == 0 && facts.plan.held().all(|(_, hold)| hold.cause == Cause::Review);
    let heading = match only_review {
        true => "Held: no plan of a merged pull request had shown this.",
        false => "Unfinished; the next run goes on with the same values.",
    };
    format!("\n> [!WARNING]\n> **{heading}**\n>\n{lines}")
}

/// What ran without a review, by name.
fn unreviewed(facts: &Facts<'_>) -> String {
    let note = facts.note.map(|note| format!(" Review: {}.", words(note))).unwrap_or_default();
    if facts.unreviewed.is_empty() {
        return if note.is_empty() { note } else { format!("\n*{}*\n", note.trim_start()) };
    }
    let mut out = format!(
        "\n> [!IMPORTANT]\n> **{} not shown by any reviewed plan.**{note} `require_plan: true` would have held this.\n>\n",
        count(facts.unreviewed.len(), "change")
    );
    for line in facts.unreviewed.iter().take(facts.rows_max) {
        out.push_str(&format!("> - {line}\n"));
    }
    out
}

const fn past(action: Action) -> &'static str {
    match action {
        Action::Overwrite => "overwritten",
        Action::Spread => "copied",
        Action::Rotate => "rotated",
        Action::Revise => "replaced",
        Action::Heal => "brought&nbsp;up&nbsp;to&nbsp;date",
        Action::Restore => "restored",
        Action::Adopt => "adopted",
        Action::Create => "created",
        _ => "metadata",
    }
}
