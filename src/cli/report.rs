//! The same facts as JSON, for machines: plans, outcomes and findings; never a value.

use serde_json::{Value, json};

use crate::apply::{Done, Outcome};
use crate::diagnostic::Diagnostic;
use crate::manifest::Manifest;
use crate::plan::{Next, Plan, SecretPlan, TargetPlan, cost, duration};

/// Findings about a file.
#[must_use]
pub(super) fn findings(file: &str, findings: &[Diagnostic]) -> Value {
    findings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.code,
                "severity": finding.severity.as_str(),
                "message": finding.message,
                "help": finding.help,
                "file": file,
                "line": (finding.span.line > 0).then_some(finding.span.line),
                "column": (finding.span.line > 0).then_some(finding.span.column),
                "secret": finding.secret,
            })
        })
        .collect()
}

/// A plan.
#[must_use]
pub(super) fn plan(plan: &Plan) -> Value {
    json!({
        "changes": plan.has_changes(),
        "offline": plan.offline,
        "orphans": plan.orphans,
        "secrets": plan.secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}

fn secret(secret: &SecretPlan) -> Value {
    let next = match secret.next {
        Next::Keep => "keep",
        Next::Create(_) => "create",
        Next::Rotate(_) => "rotate",
        Next::Revise(_) => "revise",
        Next::Adopt(_) => "adopt",
    };
    json!({
        "name": secret.name,
        "generation": secret.generation.as_ref().map(|generation| generation.number),
        "next": next,
        "due": secret.due.map(|due| due.at.to_string()),
        "held": secret.hold.as_ref().map(|hold| json!({"reason": hold.reason, "help": hold.help, "line": hold.span.line})),
        "notes": secret.notes,
        "targets": secret.targets.iter().map(target).collect::<Vec<_>>(),
    })
}

fn target(target: &TargetPlan) -> Value {
    json!({
        "provider": target.provider,
        "kind": target.kind.as_str(),
        "name": target.name,
        "locator": target.locator.as_ref().map(|locator| locator.as_str()),
        "action": target.action.as_str(),
        "why": target.why,
        "changes": target.changes,
        "drifted": target.drifted,
        "line": target.span.line,
    })
}

/// What a plan costs and how long it takes.
#[must_use]
pub(super) fn estimate(plan: &Plan, manifest: &Manifest) -> Value {
    let cost = cost::Cost::of(plan, manifest);
    let (difference, more) = cost.difference();
    json!({
        "currency": cost.after.currency,
        "monthly_before": cost.before.units(),
        "monthly_after": cost.after.units(),
        "monthly_difference": if more { difference.units() } else { 0.0 - difference.units() },
        "prices_as_of": manifest.costs.prices.is_empty().then_some(cost::PRICES_AS_OF),
        "seconds": duration::documented(plan).map(|time| time.as_secs_f64()),
    })
}

/// What a run did.
#[must_use]
pub(super) fn outcome(plan: &Plan, outcome: &Outcome) -> Value {
    let secrets = plan.secrets.iter().zip(&outcome.secrets).map(|(plan, done)| {
        let targets = plan.targets.iter().zip(&done.targets).map(|(target, done)| {
            let (state, reason) = match done {
                Done::InForce(_) => ("in force", None),
                Done::Left => ("left", None),
                Done::Failed(reason) => ("failed", Some(reason)),
            };
            json!({"kind": target.kind.as_str(), "name": target.name, "state": state, "reason": reason})
        });
        json!({
            "name": plan.name,
            "generation": done.generation.as_ref().map(|generation| generation.number),
            "generated": done.generated,
            "failure": done.failure,
            "targets": targets.collect::<Vec<_>>(),
        })
    });
    json!({ "failures": outcome.failures(), "secrets": secrets.collect::<Vec<_>>() })
}
