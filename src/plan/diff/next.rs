//! What happens to a secret's value: nothing, or a new generation, and from where.

use super::super::configured;
use super::super::hold::to_adopt;
use super::super::standing::{self, Standing};
use super::super::{Next, SecretPlan, TargetView};
use super::{Options, Revision, SecretView, failed, generation_of, observed};
use crate::manifest::{GeneratorKind, Source};
use crate::target::TargetKind;

/// A generation number of a lock that is believed at most; one rotation each second for 30 years.
const LOCKED_NUMBER_MAX: u64 = 1_000_000_000;

pub(super) fn next(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    plan: &mut SecretPlan,
    options: Options,
) -> Next {
    if plan.hold.is_some() {
        return Next::Keep;
    }
    if configured::only(view) {
        return configured::next(view, plan, options);
    }
    // A number that any place ever held is not given again: a store may remember its token.
    let highest = standings.iter().filter_map(|standing| generation_of(standing.as_ref())).map(|g| g.number).max();
    if plan.generation.is_none() && highest.is_none() {
        return first(view, standings, plan, options);
    }
    let after = highest.unwrap_or(0).saturating_add(1);
    let external = view.secret.source.is_external();
    if let Some(index) = replaced(view, standings, plan.primary, options).filter(|_| external) {
        // The new value is what the reminder was for.
        (plan.source, plan.due) = (Some(index), None);
        return Next::Adopt(after);
    }
    if plan.generation.is_none() {
        plan.notes.push("the value was changed outside SecretZero, and no target holds the generation in force".into());
        plan.generation = standings.iter().find_map(|standing| generation_of(standing.as_ref())).cloned();
    }
    if external {
        if options.force {
            plan.notes.push("its value is made elsewhere, so no new one is made here".into());
        }
        return Next::Keep;
    }
    let ready = |target: &TargetView| target.selected && target.refused.is_none() && !failed(target);
    let primary_ready = plan.primary.and_then(|primary| view.targets.get(primary)).is_some_and(ready);
    if !primary_ready {
        return Next::Keep;
    }
    plan.edited = edited(view);
    let due = plan.due.is_some_and(|due| due.overdue && (due.unattended || options.attended));
    if options.force || (options.rotate_due && due) {
        return Next::Rotate(after);
    }
    if plan.source.is_some() && plan.edited { Next::Revise(after) } else { Next::Keep }
}

/// Whether the declared parts are not those of the value in force. A generated value has none,
/// whatever an old or forged lock says.
fn edited(view: &SecretView<'_>) -> bool {
    let declared = !matches!(&view.secret.source, Source::Single(g) if !matches!(g.kind, GeneratorKind::Static(_)));
    declared
        && match view.revision {
            Revision::Same => false,
            Revision::Differs => true,
            Revision::Unread => view.locked.is_some_and(|locked| locked.declaration.fixed != view.declaration.fixed),
        }
}

/// The place where somebody put the next value of an external secret that may be taken over: the
/// primary, else the first.
fn replaced(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    primary: Option<usize>,
    options: Options,
) -> Option<usize> {
    let new = |index: &usize| {
        let selected = view.targets.get(*index).is_some_and(|target| target.selected);
        let unmarked = || {
            // Whoever can forge a lock in the repository can put a file beside it.
            let target = view.targets.get(*index).filter(|target| target.kind != TargetKind::File)?;
            let order = target.capabilities?.mark_order;
            standing::replaced(view.locked, target.locator.as_ref()?, order, observed(target)?)
        };
        let new = match standings.get(*index) {
            Some(Some(Standing::Drifted { .. })) => true,
            Some(Some(Standing::Foreign(_))) => unmarked().is_some(),
            _ => false,
        };
        selected && new
    };
    let allowed = options.adopt || view.secret.adopt;
    let found = primary.filter(new).or_else(|| (0..view.targets.len()).find(new));
    found.filter(|_| allowed)
}

/// Nothing of ours stands anywhere: take something over, or make the first value.
fn first(view: &SecretView<'_>, standings: &[Option<Standing>], plan: &mut SecretPlan, options: Options) -> Next {
    // The lock may be forged: a number near the end would leave none for later.
    let locked = view.locked.map_or(0, |locked| locked.generation);
    let number = if locked < LOCKED_NUMBER_MAX { locked.saturating_add(1) } else { 1 };
    match to_adopt(view, standings, plan.primary, options) {
        Some(index) => {
            plan.source = Some(index);
            Next::Adopt(number)
        }
        None if plan.primary.is_some() => Next::Create(number),
        None => Next::Keep,
    }
}
