//! What a plan costs and how long it takes, in one line.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::manifest::Manifest;
use crate::plan::{Action, Plan, cost, duration};

/// Most names that a hint lists.
const NAMES_MAX: usize = 5;

/// `≈ $1.20 more a month (7.20 → 8.40) · about 20 s under the documented quotas`; nothing where nothing
/// changes, or the bill stays and no store counts calls. One dollar sign at most: GitHub takes what stands
/// between two for a formula.
#[must_use]
pub fn estimate(plan: &Plan, manifest: &Manifest) -> Option<String> {
    if !plan.has_changes() {
        return None;
    }
    let cost = cost::Cost::of(plan, manifest);
    let (difference, more) = cost.difference();
    let money = (difference.amount > 0).then(|| {
        let which = if more { "more" } else { "less" };
        let range = (cost.before.amount > 0).then(|| format!(" ({} → {})", cost.before.bare(), cost.after.bare()));
        format!("≈ {difference} {which} a month{}", range.unwrap_or_default())
    });
    let time = duration::documented(plan).map(|time| format!("about {} under the documented quotas", rounded(time)));
    let parts: Vec<String> = money.into_iter().chain(time).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// `20 s`, `6 min`.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", (seconds / 60.0).ceil()) }
}

/// Ways to the same for less among what a plan creates, or in the whole file without one.
#[must_use]
pub fn hints(manifest: &Manifest, plan: Option<&Plan>) -> Vec<String> {
    let created = plan.map(|plan| {
        let created = plan.targets().filter(|(_, target)| target.action == Action::Create);
        created.map(|(secret, target)| (secret.index, target.index)).collect::<BTreeSet<_>>()
    });
    let among = |secret, target| created.as_ref().is_none_or(|created| created.contains(&(secret, target)));
    let hints = cost::cheaper(manifest, among).into_iter();
    hints.map(|hint| format!("{}: {}", hint.text, listed(&hint.secrets))).collect()
}

fn listed(names: &[String]) -> String {
    let shown = names.get(..NAMES_MAX).unwrap_or(names).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
