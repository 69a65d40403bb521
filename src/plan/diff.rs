//! One secret's plan from what stands at its targets: pure, and the heart of every promise.
//!
//! The generation in force is the highest that any target holds, the primary's on a tie. A value is
//! generated only when every target that can be read is confirmed absent; one that cannot be read
//! leaves the secret as it is.

mod next;

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use next::next;

use super::hold::{hold, not_built};
use super::standing::{Standing, fork_token, judge, superseded};
use super::{Action, DUE_SOON_DAYS, Due, Next, SecretPlan, Seen, TargetPlan, TargetView, configured, replica};
use crate::lockfile::{Declaration, LockedSecret};
use crate::manifest::Secret;
use crate::mark::{Generation, Mark, Owner};
use crate::provider::MarkOrder;
use crate::target::{Attributes, TargetKind};

/// How long a list may be behind what was written.
const LIST_LAG_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What a run was asked to do beside bringing things in line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Take foreign objects over, keeping their value.
    pub adopt: bool,
    /// Replace the value of foreign objects.
    pub overwrite: bool,
    /// Make a new value, due or not.
    pub force: bool,
    /// Make a new value if its rotation is due.
    pub rotate_due: bool,
    /// A person named the secrets: what is never rotated unattended may be rotated now.
    pub attended: bool,
    /// Put the value in force back where it was changed outside.
    pub heal: bool,
}

/// What is known of the declared parts of a value, beside what the lock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revision {
    /// Values were not read; the lock's hash decides.
    #[default]
    Unread,
    /// The stored value has the declared parts and the declared fields.
    Same,
    /// It has not.
    Differs,
}

/// Everything about one secret that planning needs.
#[derive(Clone)]
pub struct SecretView<'a> {
    /// Index into the manifest's secrets.
    pub index: usize,
    /// The declaration.
    pub secret: &'a Secret,
    /// Whose its objects are.
    pub owner: Owner,
    /// Its targets.
    pub targets: Vec<TargetView>,
    /// What stands at places that the lock names and the Secretfile no longer does.
    pub earlier: Vec<TargetView>,
    /// What the lock says; a hint.
    pub locked: Option<&'a LockedSecret>,
    /// The generation that a run which died had meant to write.
    pub intended: Option<Generation>,
    /// The declared parts compared with the stored value.
    pub revision: Revision,
    /// Hashes of the declaration.
    pub declaration: Declaration,
}

/// Plans one secret.
#[must_use]
pub fn plan_secret(view: &SecretView<'_>, options: Options, now: Timestamp) -> SecretPlan {
    let places = view.targets.iter().chain(&view.earlier);
    let mut standings: Vec<Option<Standing>> = places.map(|target| standing(view, target, now)).collect();
    let mut plan = blank(view);
    plan.source = source(view, &standings, plan.primary);
    plan.generation = in_force(view, &standings, plan.source, now).or_else(|| configured::in_force(view, now));
    crossed(view, &mut standings, &plan);
    for ((target, standing), seen) in plan.targets.iter_mut().zip(&standings).zip(&view.targets) {
        target.generation = generation_of(standing.as_ref()).cloned().or_else(|| configured::generation(view, seen));
        target.drifted = matches!(standing, Some(Standing::Drifted { .. }));
    }
    plan.due = due(view.secret, plan.generation.as_ref(), now);
    plan.hold = hold(view, &standings, &plan, options);
    plan.next = next(view, &standings, &mut plan, options);
    notes(view, &mut plan);
    for index in 0..plan.targets.len() {
        settle(view, standings.get(index).and_then(Option::as_ref), &mut plan, index, options);
    }
    plan
}

fn blank(view: &SecretView<'_>) -> SecretPlan {
    let targets = view.targets.iter().map(|target| TargetPlan {
        index: target.index,
        kind: target.kind,
        provider: target.provider.clone(),
        name: target.name.clone(),
        locator: target.locator.clone(),
        span: target.span,
        action: Action::Keep,
        why: String::new(),
        changes: Vec::new(),
        version: observed(target).map(|seen| seen.version.clone()),
        generation: None,
        drifted: false,
        restore: false,
        capabilities: target.capabilities,
    });
    SecretPlan {
        index: view.index,
        name: view.secret.name.value.clone(),
        owner: view.owner.clone(),
        span: view.secret.name.span,
        primary: primary(&view.targets),
        source: None,
        generation: None,
        next: Next::Keep,
        hold: None,
        targets: targets.collect(),
        due: None,
        external: view.secret.source.is_external(),
        edited: false,
        notes: Vec::new(),
        declaration: view.declaration.clone(),
    }
}

/// The target that is written first: the declared one, else the best by kind; filters do not count.
fn primary(targets: &[TargetView]) -> Option<usize> {
    let eligible = || targets.iter().filter(|t| !matches!(t.seen, Seen::Replica | Seen::LeftOut(_) | Seen::NotBuilt));
    // What keeps no mark can neither refuse a second create nor tell whose it is.
    let rank = |target: &&TargetView| (is_unmarked(target), target.kind.primary_rank());
    eligible()
        .find(|target| target.primary)
        .or_else(|| eligible().filter(|t| t.kind.primary_rank().is_some()).min_by_key(rank))
        .map(|target| target.index)
}

pub(super) const fn observed(target: &TargetView) -> Option<&crate::provider::Observed> {
    match &target.seen {
        Seen::Present(observed) => Some(observed),
        _ => None,
    }
}

pub(super) fn is_unmarked(target: &TargetView) -> bool {
    target.capabilities.is_some_and(|can| can.mark_order == MarkOrder::Unmarked)
}

/// What the object is to us; `None` where nothing stands, or no value of ours can.
pub(super) fn standing(view: &SecretView<'_>, target: &TargetView, now: Timestamp) -> Option<Standing> {
    let seen = observed(target).filter(|_| target.kind.holds_value())?;
    let order = target.capabilities?.mark_order;
    if order == MarkOrder::Unmarked {
        return Some(configured::unmarked(view, target));
    }
    let judged = judge(&view.owner, target.locator.as_ref()?, order, seen);
    // Where the mark comes first, a list that lags looks like a write that never happened. Soon after a
    // generation was made it is taken for lag; a run that may write asks for the version itself.
    let claimed = seen.mark.as_deref().and_then(|mark| Mark::parse(mark).ok());
    let claimed = claimed.filter(|_| target.confirmed && seen.from_list && order == MarkOrder::MarkFirst);
    let soon = |created: Timestamp| created.checked_add(LIST_LAG_MAX).is_ok_and(|end| now < end);
    Some(match (judged, claimed) {
        (Standing::Ours { marked: false, .. }, Some(Mark { generation, .. })) if soon(generation.created) => {
            Standing::Ours { generation, marked: true }
        }
        (judged, _) => judged,
    })
}

pub(super) const fn generation_of(standing: Option<&Standing>) -> Option<&Generation> {
    match standing {
        Some(Standing::Ours { generation, .. } | Standing::Drifted { generation }) => Some(generation),
        _ => None,
    }
}

/// The place whose value is in force: the highest generation. On a tie one whose mark says so goes
/// before one whose write was interrupted, then the primary. A place that keeps no mark counts after
/// all others, since only the lock tells what it holds. Places that only the lock still names
/// count after the declared ones; a file among them only if none of those is ours: whoever can forge
/// a lock in the repository can put a file with a mark of its own beside it.
fn source(view: &SecretView<'_>, standings: &[Option<Standing>], primary: Option<usize>) -> Option<usize> {
    let held = standings.iter().enumerate().filter_map(|(index, standing)| match standing {
        Some(Standing::Ours { generation, .. }) => Some((index, generation)),
        _ => None,
    });
    let former_file = |index: usize| {
        index >= view.targets.len() && view.earlier.iter().any(|t| t.index == index && t.kind == TargetKind::File)
    };
    let marked = |index: usize| !view.targets.iter().chain(&view.earlier).nth(index).is_some_and(is_unmarked);
    let rank = |index, generation: &Generation| {
        let known = !generation.id.is_empty();
        (marked(index), !former_file(index), generation.number, known, Some(index) == primary, Reverse(index))
    };
    held.max_by_key(|(index, generation)| rank(*index, generation)).map(|(index, _)| index)
}

/// What two runs that crossed left where versions are tokens. A fork is healed under a token of its
/// own; a current version that is this token holds the generation in force, and only its mark is
/// missing. A version that is the token of an older generation than its mark names is a late write
/// and is healed; at the primary it may be an operator's step back, and stays drift.
fn crossed(view: &SecretView<'_>, standings: &mut [Option<Standing>], plan: &SecretPlan) {
    let Some(in_force) = &plan.generation else { return };
    for (target, standing) in view.targets.iter().zip(standings) {
        let Some(Standing::Drifted { generation }) = standing else { continue };
        let Some((at, seen)) = target.locator.as_ref().zip(observed(target)) else { continue };
        if seen.version == fork_token(&view.owner, at, in_force).to_string() {
            *standing = Some(Standing::Ours { generation: in_force.clone(), marked: false });
        } else if Some(target.index) != plan.primary
            && let Some(number) = superseded(&view.owner, at, generation, &seen.version)
        {
            let generation = Generation { number, id: String::new(), ..generation.clone() };
            *standing = Some(Standing::Ours { generation, marked: false });
        }
    }
}

/// The generation in force; an id that an interrupted write left unknown comes from another target
/// that holds the same number, else from what that run had meant to write, else from the lock.
///
/// Lock and journal are untrusted: of the time they name only what is possible is believed, since a
/// rotation is due by it.
fn in_force(
    view: &SecretView<'_>,
    standings: &[Option<Standing>],
    source: Option<usize>,
    now: Timestamp,
) -> Option<Generation> {
    let generation = generation_of(standings.get(source?)?.as_ref())?.clone();
    if !generation.id.is_empty() {
        return Some(generation);
    }
    let mut known = standings.iter().filter_map(|standing| generation_of(standing.as_ref()));
    let known = known.find(|other| other.number == generation.number && !other.id.is_empty()).cloned();
    let locked = view.locked.filter(|locked| locked.generation == generation.number).map(|locked| Generation {
        id: locked.generation_id.clone(),
        created: locked.targets.first().map_or(generation.created, |target| target.created),
        ..generation.clone()
    });
    let intended = view.intended.clone().filter(|intended| intended.number == generation.number);
    let possible = |claimed: Generation| {
        let created = Some(claimed.created).filter(|created| (generation.created..=now).contains(created));
        Generation { created: created.unwrap_or(generation.created), ..claimed }
    };
    known.or_else(|| intended.or(locked).map(possible)).or(Some(generation.clone()))
}

fn due(secret: &Secret, generation: Option<&Generation>, now: Timestamp) -> Option<Due> {
    let (period, generation) = (secret.rotation_period.as_ref()?, generation?);
    let at = generation.created.checked_add(SignedDuration::from_secs(period.value.seconds)).ok()?;
    let unattended = !secret.one_time && !generation.adopted && !secret.source.is_external();
    Some(Due { at, overdue: at <= now, unattended })
}

impl Due {
    /// Whether it is worth announcing.
    #[must_use]
    pub fn is_soon(&self, now: Timestamp) -> bool {
        now.checked_add(SignedDuration::from_hours(24 * DUE_SOON_DAYS)).is_ok_and(|horizon| self.at <= horizon)
    }
}

const fn failed(target: &TargetView) -> bool {
    matches!(target.seen, Seen::Failed(_))
}

fn notes(view: &SecretView<'_>, plan: &mut SecretPlan) {
    let edited = view.locked.is_some_and(|locked| {
        !locked.declaration.generated.is_empty() && locked.declaration.generated != view.declaration.generated
    });
    let edited = edited && !view.secret.source.is_external();
    if edited && plan.generation.is_some() && !matches!(plan.next, Next::Rotate(_) | Next::Create(_)) {
        plan.notes.push("its generator was edited; the new settings count from the next rotation".into());
    }
    for earlier in &view.earlier {
        if let Some(locator) = &earlier.locator {
            plan.notes.push(format!("its former place {locator} is no longer declared; nothing is deleted there"));
        }
    }
}

/// Why an absent target stays so when the only value there is was made by somebody else.
const NOTHING_IN_FORCE: &str = "no value of ours is left to copy: what stands at the other targets was changed outside; make a new one with `--force`";

/// Decides one target's action.
fn settle(view: &SecretView<'_>, standing: Option<&Standing>, plan: &mut SecretPlan, index: usize, options: Options) {
    let Some(target) = view.targets.get(index) else { return };
    let (action, why) = match &target.seen {
        Seen::Replica => replica::check(view, target),
        _ => taken_back(target, standing, action(view, target, standing, plan, options)),
    };
    let changes = changes(target, standing, plan, action);
    let Some(planned) = plan.targets.get_mut(index) else { return };
    planned.action = if action == Action::Keep && !changes.is_empty() { Action::Metadata } else { action };
    planned.why = why;
    planned.changes = changes;
    planned.restore = is_pending(target) && action.is_change();
}

/// Whether an object cannot be used because it is scheduled for deletion.
pub(super) fn is_pending(target: &TargetView) -> bool {
    observed(target).is_some_and(|seen| seen.pending_deletion)
}

/// What is to be done with an object that is scheduled for deletion begins with taking it back, and
/// often that is all.
fn taken_back(target: &TargetView, standing: Option<&Standing>, planned: (Action, String)) -> (Action, String) {
    if !is_pending(target) {
        return planned;
    }
    match planned {
        (Action::Keep, _) if matches!(standing, Some(Standing::Ours { .. })) => (Action::Restore, RESTORED.into()),
        (action, why) if action.is_change() && why.is_empty() => (action, RESTORED.into()),
        (action, why) if action.is_change() => (action, format!("{RESTORED}; {why}")),
        other => other,
    }
}

/// What a plan says of an object that is taken back.
const RESTORED: &str = "restored from its scheduled deletion";

fn action(
    view: &SecretView<'_>,
    target: &TargetView,
    standing: Option<&Standing>,
    plan: &SecretPlan,
    options: Options,
) -> (Action, String) {
    match &target.seen {
        Seen::LeftOut(why) => return (Action::LeftOut, why.clone()),
        Seen::NotBuilt if !target.selected => return (Action::LeftOut, "not built into this version".into()),
        Seen::NotBuilt if plan.hold.is_none() => return (Action::Held, not_built(target)),
        Seen::Assumed => return (Action::Keep, "not asked; the lock knows it".into()),
        Seen::Failed(error) if plan.hold.is_none() => return (Action::Held, error.to_string()),
        _ => {}
    }
    if let Some(hold) = &plan.hold {
        return (Action::Held, hold.reason.clone());
    }
    if !target.selected {
        return (Action::LeftOut, "filtered out".into());
    }
    if let Some((reason, _)) = &target.refused {
        return (Action::Held, reason.clone());
    }
    if !target.kind.holds_value() {
        return configured::action(view, target, plan);
    }
    match (standing, &plan.next) {
        (None | Some(Standing::Foreign(_)), Next::Keep) if plan.source.is_none() => {
            (Action::Held, NOTHING_IN_FORCE.into())
        }
        (Some(Standing::Foreign(_)), _) if options.overwrite => (Action::Overwrite, "asked for by --overwrite".into()),
        (Some(Standing::Foreign(_)), _) => (Action::Adopt, "its value is kept and marked as ours".into()),
        (None, Next::Create(_)) => (Action::Create, String::new()),
        (_, Next::Rotate(_)) => (Action::Rotate, rotate_why(plan)),
        (_, Next::Revise(_)) => (Action::Revise, "the declared value was edited".into()),
        (None, _) => (Action::Spread, copied_from(view, plan)),
        (Some(Standing::Drifted { generation }), Next::Adopt(_)) => {
            let why = format!("a new value was put there after generation {}; it is kept", generation.number);
            (Action::Adopt, why)
        }
        (Some(Standing::Ours { generation, .. }), Next::Adopt(next)) => {
            let why = format!("it holds generation {}, generation {next} is taken over", generation.number);
            (Action::Heal, why)
        }
        (Some(Standing::Drifted { generation }), Next::Keep) if options.heal && plan.source.is_some() => {
            let why = format!("its value was changed outside after generation {}", generation.number);
            (Action::Heal, why)
        }
        (Some(Standing::Drifted { generation }), _) => {
            (Action::Keep, format!("its value was changed outside after generation {}", generation.number))
        }
        (Some(Standing::Ours { generation, .. }), _) => compare(target.index, generation, plan),
        (Some(_), _) => (Action::Keep, String::new()),
    }
}

fn compare(index: usize, generation: &Generation, plan: &SecretPlan) -> (Action, String) {
    let Some(wanted) = &plan.generation else { return (Action::Keep, String::new()) };
    if generation.number < wanted.number {
        let why = format!("it holds generation {}, generation {} is in force", generation.number, wanted.number);
        return (Action::Heal, why);
    }
    let unknown = generation.id.is_empty();
    if unknown && plan.source != Some(index) {
        return (
            Action::Heal,
            format!("a write was interrupted there, so it may not hold generation {}", wanted.number),
        );
    }
    if !unknown && generation.id != wanted.id {
        return (Action::Heal, format!("it holds another value of generation {}", wanted.number));
    }
    (Action::Keep, String::new())
}

fn rotate_why(plan: &SecretPlan) -> String {
    match plan.due {
        Some(due) if due.overdue => format!("due since {}", due.at.strftime("%Y-%m-%d")),
        _ => "asked for".into(),
    }
}

fn copied_from(view: &SecretView<'_>, plan: &SecretPlan) -> String {
    let Some(source) = plan.source else { return String::new() };
    if let Some(source) = view.targets.get(source) {
        return format!("copied from {} `{}`", source.kind.title(), source.name);
    }
    let Some(former) = view.earlier.get(source - view.targets.len()) else { return String::new() };
    let region = former.locator.as_ref().and_then(|at| at.region()).map(|region| format!(" in {region}"));
    let restored = if is_pending(former) { format!(", which is {RESTORED} first") } else { String::new() };
    let region = region.unwrap_or_default();
    format!("copied from its former place, {} `{}`{region}{restored}", former.kind.title(), former.name)
}

/// The attributes to change at an object that stays, and `mark` if the mark must be set again.
fn changes(target: &TargetView, standing: Option<&Standing>, plan: &SecretPlan, action: Action) -> Vec<String> {
    // To set metadata is to set the mark: an outsider's value must not become a generation of ours.
    let drifted = action == Action::Keep && matches!(standing, Some(Standing::Drifted { .. }));
    let untouched = drifted || matches!(action, Action::Held | Action::LeftOut);
    let Some(seen) = observed(target).filter(|_| !untouched) else { return Vec::new() };
    let mut changes = differing(&target.desired, &seen.attributes);
    let wants_mark = match standing {
        Some(Standing::Ours { marked: false, generation }) => plan
            .generation
            .as_ref()
            .is_some_and(|g| g.number == generation.number && matches!(action, Action::Keep | Action::Restore)),
        _ => false,
    };
    if wants_mark {
        changes.push("mark".into());
    }
    changes
}

/// The desired attributes that are missing or have another value; what others set does not count.
pub(super) fn differing(desired: &Attributes, seen: &Attributes) -> Vec<String> {
    desired.iter().filter(|(name, value)| seen.get(*name) != Some(value)).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
