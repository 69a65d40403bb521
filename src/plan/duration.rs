//! How long a plan's writes take at least, if every store allows what its vendor documents.
//!
//! Classes of calls go on side by side, so the slowest decides. Reading what stands there, and what
//! other people's jobs use of the same quotas, is not in it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Plan, TargetPlan};
use crate::limiter::{ApiClass, quota};
use crate::target::TargetKind;

/// The expected duration; `None` if no store that counts calls is written to.
#[must_use]
pub fn documented(plan: &Plan) -> Option<Duration> {
    let mut lanes: BTreeMap<(&str, &str, &str), (f64, f64)> = BTreeMap::new();
    for (_, target) in plan.targets().filter(|(_, target)| target.action.is_change()) {
        for class in calls(target) {
            let lane = lanes.entry((scope(target), class.service, class.name)).or_default();
            *lane = (lane.0 + 1.0, class.quota_per_second);
        }
    }
    let seconds = lanes.into_values().map(|(calls, per_second)| calls / per_second).max_by(f64::total_cmp)?;
    Some(Duration::from_secs_f64(seconds))
}

/// Who shares the quotas: vendor, account and region, which is the locator without the name; without a
/// locator the provider's alias stands for them.
fn scope(target: &TargetPlan) -> &str {
    let Some(locator) = target.locator.as_ref().map(|locator| locator.as_str()) else { return &target.provider };
    let mut slashes = locator.match_indices('/').map(|(at, _)| at);
    slashes.nth(3).and_then(|end| locator.get(..end)).unwrap_or(locator)
}

/// The calls that write one target, as `provider` makes them.
fn calls(target: &TargetPlan) -> Vec<&'static ApiClass> {
    let replaces = matches!(target.action, Action::Rotate | Action::Revise | Action::Heal | Action::Overwrite);
    let creates = matches!(target.action, Action::Create | Action::Spread);
    let changed = |wanted: fn(&str) -> bool| target.changes.iter().any(|change| wanted(change));
    let mut calls = Vec::new();
    match target.kind {
        TargetKind::SecretsManager if creates => calls.push(&quota::SECRET_CREATE),
        TargetKind::SecretsManager => {
            if target.restore {
                calls.push(&quota::SECRET_RESTORE);
            }
            if replaces {
                calls.push(&quota::SECRET_WRITE);
            }
            if changed(|name| matches!(name, "description" | "kms_key_id")) {
                calls.push(&quota::SECRET_WRITE);
            }
            if changed(|name| name.starts_with("replica:")) {
                calls.push(&quota::SECRET_WRITE);
            }
            calls.push(&quota::SECRET_TAG);
        }
        TargetKind::SsmParameter if creates => calls.push(&quota::PARAMETER_WRITE),
        TargetKind::SsmParameter => {
            calls.push(&quota::PARAMETER_TAG);
            if replaces || changed(|name| name != "mark" && !name.starts_with("tag:")) {
                calls.push(&quota::PARAMETER_WRITE);
            }
        }
        _ => {}
    }
    calls
}
