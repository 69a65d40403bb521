//! What is said of a target that is a copy kept by the store itself: it is looked at, never written.
//!
//! Its primary tells how the copy is doing; the place itself tells whose copy it is.

use super::{Action, SecretView, Seen, TargetView};
use crate::locator::Locator;
use crate::target::{Attributes, PRIMARY_REGION, REPLICA, REPLICA_FAILED, REPLICA_MESSAGE, REPLICA_STATUS};

/// What is to be done about a copy, and why.
pub(super) fn check(view: &SecretView<'_>, target: &TargetView) -> (Action, String) {
    let primary = view.secret.targets.get(target.index).and_then(|declared| declared.replica_of);
    let primary = primary.and_then(|index| view.targets.get(index));
    let here = target.locator.as_ref().and_then(Locator::region);
    let there = primary.and_then(|primary| primary.locator.as_ref()).and_then(Locator::region);
    let (Some(primary), Some(here), Some(there)) = (primary, here, there) else {
        return (Action::ReplicaCheck, "the store keeps this copy itself".into());
    };
    if let Some(Ok(Some(standing))) = &target.copy
        && let Some(wrong) = somebody_elses(&standing.attributes, here, there)
    {
        return (Action::Held, wrong);
    }
    match &primary.seen {
        Seen::Present(seen) => state(&seen.attributes, here, there),
        Seen::Absent => {
            (Action::ReplicaCheck, format!("the store makes the copy in {here} together with its primary in {there}"))
        }
        _ => (Action::ReplicaCheck, format!("the store keeps the copy in {here} itself")),
    }
}

/// Why what stands in a region cannot be the copy.
fn somebody_elses(standing: &Attributes, here: &str, there: &str) -> Option<String> {
    match standing.get(PRIMARY_REGION).map(String::as_str) {
        Some(primary) if primary == there => None,
        Some(primary) if primary != here => Some(format!(
            "what stands in {here} is a replica of {primary}, not of {there}; remove it, or this target and `{here}` from \
             `replica_regions`"
        )),
        _ => Some(format!(
            "a secret of its own stands in {here}, so {there} cannot replicate to it; remove it, or this target and \
             `{here}` from `replica_regions`"
        )),
    }
}

/// How the copy is doing, as its primary tells.
fn state(primary: &Attributes, here: &str, there: &str) -> (Action, String) {
    let of = |attribute: &str| primary.get(&format!("{attribute}{here}")).map(String::as_str);
    match of(REPLICA_STATUS) {
        Some(REPLICA_FAILED) => {
            let why = of(REPLICA_MESSAGE).filter(|why| !why.is_empty()).unwrap_or("AWS does not say why");
            (Action::ReplicaCheck, format!("the copy in {here} failed ({why}); {there} is asked for it again"))
        }
        Some(status) => (Action::ReplicaCheck, format!("the copy in {here} is not in sync yet ({status})")),
        None if of(REPLICA).is_some() => (Action::Keep, format!("the copy in {here}, in sync with {there}")),
        None => (Action::ReplicaCheck, format!("there is no copy in {here} yet; {there} is asked for it")),
    }
}
