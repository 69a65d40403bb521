//! What becomes of places that hold no value, such as a database role or a transit key, and of those
//! that hold one and keep no mark: pure.
//!
//! A place of the first sort is compared with its declaration. As declared it is ours without further
//! ado; one that differs is ours only if the lock knows it, which is the one thing where the lock's word
//! counts. So it is for a value where no mark tells whose it is.

use jiff::Timestamp;

use super::diff::{Options, SecretView, differing, observed};
use super::standing::Standing;
use super::{Action, Next, SecretPlan, Seen, TargetView};
use crate::lockfile::LockedTarget;
use crate::mark::Generation;
use crate::target::TargetKind;

/// Whether no target of the secret holds a value.
pub(super) fn only(view: &SecretView<'_>) -> bool {
    !view.targets.is_empty() && view.targets.iter().all(|target| !target.kind.holds_value())
}

/// What the lock says of a place.
fn known<'v>(view: &SecretView<'v>, target: &TargetView) -> Option<&'v LockedTarget> {
    let mut targets = view.locked?.targets.iter();
    targets.find(|known| Some(&known.locator) == target.locator.as_ref())
}

/// The generation that the lock says a place is of. Its random id is known for the one in force only.
fn locked(view: &SecretView<'_>, target: &TargetView) -> Option<Generation> {
    let (whole, known) = (view.locked?, known(view, target)?);
    let number = known.generation.unwrap_or(whole.generation);
    let id = if number == whole.generation { whole.generation_id.clone() } else { String::new() };
    Some(Generation { number, id, created: known.created, adopted: false })
}

/// A value without a mark: ours if the lock knows the place, or a run that died had just begun there.
pub(super) fn unmarked(view: &SecretView<'_>, target: &TargetView) -> Standing {
    let begun = || view.intended.clone().filter(|_| view.locked.is_none() && view.targets.len() == 1);
    match locked(view, target).or_else(begun) {
        Some(generation) => Standing::Ours { generation, marked: true },
        None => Standing::Foreign("such a store keeps no marks, and the lock does not know what stands there".into()),
    }
}

/// The generation of a place that holds no value, if one stands there and the lock knows it.
pub(super) fn generation(view: &SecretView<'_>, target: &TargetView) -> Option<Generation> {
    observed(target).filter(|_| !target.kind.holds_value()).and_then(|_| locked(view, target))
}

/// The generation in force of a secret without any value: the lock's. Of the time it names only what
/// is possible is believed, since a rotation is due by it.
pub(super) fn in_force(view: &SecretView<'_>, now: Timestamp) -> Option<Generation> {
    let mut generations = view.targets.iter().filter(|_| only(view)).filter_map(|target| generation(view, target));
    let generation = generations.find(|generation| !generation.id.is_empty())?;
    Some(Generation { created: generation.created.min(now), ..generation })
}

/// What a place that holds no value is to us: as declared it needs no owner; one that differs is ours
/// if the lock knows it.
pub(super) fn standing(view: &SecretView<'_>, target: &TargetView) -> Option<Standing> {
    let seen = observed(target).filter(|_| !target.kind.holds_value())?;
    if let Some(generation) = locked(view, target) {
        return Some(Standing::Ours { generation, marked: true });
    }
    let changes = differing(&target.desired, &seen.attributes);
    (!changes.is_empty()).then(|| {
        let names: Vec<String> = changes.iter().map(|name| format!("`{name}`")).collect();
        Standing::Foreign(format!("it has another {} than declared, and the lock does not know it", names.join(", ")))
    })
}

/// What is to be done at a place that holds no value; a hold was looked for before.
pub(super) fn action(view: &SecretView<'_>, target: &TargetView, plan: &SecretPlan) -> (Action, String) {
    let Some(seen) = observed(target) else {
        let absent = matches!(target.seen, Seen::Absent);
        return (if absent { Action::Create } else { Action::Keep }, String::new());
    };
    if let Some(Standing::Foreign(_)) = standing(view, target) {
        return (Action::Adopt, "it is changed to what is declared".into());
    }
    if target.kind == TargetKind::TransitKey {
        if matches!(plan.next, Next::Rotate(_)) {
            return (Action::Rotate, "the key gets a new version; older ones still decrypt".into());
        }
        // The value is a generation ahead: unless the key has a new version already, it missed that rotation.
        let behind = known(view, target).filter(|known| known.version == seen.version);
        let behind = behind.and_then(|_| locked(view, target)).map(|generation| generation.number);
        if behind.zip(plan.generation.as_ref()).is_some_and(|(there, wanted)| there < wanted.number) {
            return (Action::Rotate, "its rotation was interrupted".into());
        }
    }
    (Action::Keep, String::new())
}

/// What happens to a secret without any value: nothing, or a rotation of its keys.
pub(super) fn next(view: &SecretView<'_>, plan: &SecretPlan, options: Options) -> Next {
    let due = plan.due.is_some_and(|due| due.overdue && (due.unattended || options.attended));
    let asked = options.force || (options.rotate_due && due);
    let is_key = |target: &TargetView| target.kind == TargetKind::TransitKey && observed(target).is_some();
    let ready = |target: &TargetView| target.selected && target.refused.is_none();
    let keys = view.targets.iter().any(|target| is_key(target) && ready(target));
    if !asked || !keys || view.secret.source.is_external() {
        return Next::Keep;
    }
    Next::Rotate(plan.generation.as_ref().map_or(0, |generation| generation.number).saturating_add(1))
}
