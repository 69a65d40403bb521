//! What stands in the way of every write for a secret: what nobody but a person can decide, and what
//! cannot be known now.

use super::configured;
use super::diff::{Options, SecretView, generation_of, is_unmarked};
use super::standing::Standing;
use super::{Cause, Hold, SecretPlan, Seen, TargetView};
use crate::provider::ErrorKind;

/// The first thing in the way of any write for this secret.
pub(super) fn hold(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    plan: &SecretPlan,
    options: Options,
) -> Option<Hold> {
    let mut unknown = None;
    for (target, standing) in view.targets.iter().zip(standings) {
        let configured = configured::standing(view, target);
        let standing = if target.kind.holds_value() { standing } else { &configured };
        let title = format!("{} `{}`", target.kind.title(), target.name);
        let hold =
            |cause, reason: String, help: &str| Some(Hold { reason, help: help.into(), span: target.span, cause });
        let stuck = plan.source.is_none() && plan.primary == Some(target.index);
        if let Some((reason, help)) = target.refused.as_ref().filter(|_| target.selected && stuck) {
            return hold(Cause::Invalid, reason.clone(), help);
        }
        match (&target.seen, standing) {
            (Seen::NotBuilt, _) if target.selected && plan.source.is_none() => {
                let help = "remove the target, or select others with `--provider` or `--target-type`";
                return hold(Cause::NotBuilt, not_built(target), help);
            }
            // What holds no value tells nothing of whether there is one.
            (Seen::Failed(_), _) if !target.kind.holds_value() && !configured::only(view) => {}
            (Seen::Failed(error), _) if error.kind == ErrorKind::Invalid && !target.kind.holds_value() => {
                let help = "nothing was changed; mend the Secretfile or the store, then run again";
                return hold(Cause::Invalid, error.to_string(), help);
            }
            (Seen::Failed(error), _) if plan.source.is_none() => {
                unknown = unknown.or_else(|| {
                    let help = "nothing is generated until every target can be read; mend this and run again";
                    hold(Cause::Store, format!("{title} cannot be read: {error}"), help)
                });
            }
            // Whether it holds what the others hold is known when it is read.
            (_, Some(Standing::Foreign(_))) if is_unmarked(target) && plan.source.is_some() => {}
            (_, Some(Standing::Foreign(why))) if !(options.adopt || options.overwrite || view.secret.adopt) => {
                let help = if !target.kind.holds_value() {
                    "change it to what the Secretfile says with `--adopt` or `adopt: true`, or the Secretfile to what it is"
                } else if view.secret.source.is_external() {
                    "take its value over with `--adopt` or `adopt: true`"
                } else {
                    "keep its value with `--adopt` or `adopt: true`, or replace it with `--overwrite`"
                };
                let known =
                    view.locked.is_some_and(|l| l.targets.iter().any(|t| Some(&t.locator) == target.locator.as_ref()));
                let known =
                    if known && !is_unmarked(target) { "; the lock knows it, so its mark was stripped" } else { "" };
                return hold(Cause::Decision, format!("{title} is not ours: {why}{known}"), help);
            }
            (_, Some(Standing::OtherRepository(repository))) => {
                let help = "give one of the two another `metadata.project_id`";
                return hold(Cause::Decision, format!("{title} belongs to repository {repository}"), help);
            }
            (_, Some(Standing::Managed(by))) => {
                let help = "remove the target, or end the other management first";
                return hold(Cause::Decision, format!("{title} cannot be written: {by}"), help);
            }
            _ => {}
        }
    }
    unknown
        .or_else(|| former_unknown(view, plan))
        .or_else(|| nothing_external(view, standings, plan, options))
        .or_else(|| first_but_filtered(view, standings, plan, options))
}

/// The first value of an external secret comes from nowhere but a target.
fn nothing_external(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    plan: &SecretPlan,
    options: Options,
) -> Option<Hold> {
    let ours = || standings.iter().any(|standing| generation_of(standing.as_ref()).is_some());
    if !view.secret.source.is_external() || ours() || to_adopt(view, standings, plan.primary, options).is_some() {
        return None;
    }
    let target = plan.primary.and_then(|primary| view.targets.get(primary))?;
    let place = format!("{} `{}`", target.kind.title(), target.name);
    let foreign = standings.iter().any(|standing| matches!(standing, Some(Standing::Foreign(_))));
    let (reason, help) = if foreign {
        let reason = "it is external, so there is no value to overwrite anything with".to_owned();
        (reason, "take over what stands there with `--adopt` or `adopt: true`".to_owned())
    } else {
        let adopt = if view.secret.adopt { "the next run takes it over" } else { "run again with `--adopt`" };
        let reason = "it is external, so its value is made elsewhere, and no target holds it yet".to_owned();
        (reason, format!("put it into {place} yourself, then {adopt}"))
    };
    Some(Hold { reason, help, span: target.span, cause: Cause::Decision })
}

/// A former place that cannot be read may hold the value.
fn former_unknown(view: &SecretView<'_>, plan: &SecretPlan) -> Option<Hold> {
    let former = view.earlier.iter().filter(|_| plan.source.is_none());
    let (former, error) =
        former.filter_map(|t| if let Seen::Failed(e) = &t.seen { Some((t, e)) } else { None }).next()?;
    Some(Hold {
        reason: format!("its former place, {} `{}`, cannot be read: {error}", former.kind.title(), former.name),
        help: "mend this and run again; if no value is there any more, remove that place from the lockfile".into(),
        span: former.span,
        cause: Cause::Store,
    })
}

pub(super) fn not_built(target: &TargetView) -> String {
    format!("targets of kind `{}` are not built into this version", target.kind.as_str())
}

/// The first generation starts at the primary, or at the object that is taken over; neither may be
/// written when it is filtered out.
fn first_but_filtered(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    plan: &SecretPlan,
    options: Options,
) -> Option<Hold> {
    if standings.iter().any(|standing| generation_of(standing.as_ref()).is_some()) {
        return None;
    }
    let adopted = to_adopt(view, standings, plan.primary, options);
    let (target, what) = match adopted {
        Some(index) => (view.targets.get(index)?, "it would be taken over from"),
        None => (view.targets.get(plan.primary?)?, "it is new and its primary is"),
    };
    (!target.selected).then(|| Hold {
        reason: format!("{what} {} `{}`, which is filtered out", target.kind.title(), target.name),
        help: "run once without the filter, or declare another target `primary: true`".into(),
        span: target.span,
        cause: Cause::Decision,
    })
}

/// The foreign object whose value is taken over: the primary's, else the first declared one.
pub(super) fn to_adopt(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    primary: Option<usize>,
    options: Options,
) -> Option<usize> {
    if options.overwrite || !(options.adopt || view.secret.adopt) {
        return None;
    }
    let foreign = |index: &usize| matches!(standings.get(*index), Some(Some(Standing::Foreign(_))));
    primary.filter(foreign).or_else(|| (0..view.targets.len()).find(foreign))
}
