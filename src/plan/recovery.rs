//! Which store and region holds which generation of each secret, and what is behind: pure, and
//! metadata alone.
//!
//! It says of every place what a disaster would leave there. What could not be looked at is told as
//! such, so that silence never passes for health.

use super::diff::{is_pending, observed};
use super::{Action, Plan, SecretPlan, SecretView, Seen, TargetPlan, TargetView};
use crate::locator::Locator;
use crate::target::{REPLICA, REPLICA_FAILED, REPLICA_MESSAGE, REPLICA_STATUS, TargetKind};

/// What stands at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Kind of place.
    pub kind: TargetKind,
    /// Name within its store.
    pub name: String,
    /// Region, vault, host or project; empty if nobody could tell.
    pub whereabouts: String,
    /// Written first, and read back from.
    pub primary: bool,
    /// The generation that stands there, if the mark tells.
    pub generation: Option<u64>,
    /// How it stands.
    pub state: State,
    /// More about the state, for a person.
    pub why: String,
    /// Line of the target, also for a copy that the store keeps of it.
    pub line: u32,
}

/// How a place stands to the generation in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds it.
    InForce,
    /// The store's own copy of another place is in sync with it.
    InSync,
    /// It holds an older value, or none for certain.
    Behind,
    /// Nothing stands there.
    Missing,
    /// The value was changed outside.
    Changed,
    /// What stands there is not ours, or not to be written.
    Foreign,
    /// The store's own copy is not in sync, or could not be made.
    OutOfSync,
    /// The store could not be asked.
    Unknown,
    /// Nobody asked.
    LeftOut,
}

impl State {
    /// The word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::InSync => "in_sync",
            Self::Behind => "behind",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Foreign => "foreign",
            Self::OutOfSync => "out_of_sync",
            Self::Unknown => "unknown",
            Self::LeftOut => "left_out",
        }
    }

    /// Whether a disaster could be survived from there.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::InForce | Self::InSync)
    }

    /// Whether somebody must do something about it.
    #[must_use]
    pub const fn is_behind(self) -> bool {
        !matches!(self, Self::InForce | Self::InSync | Self::LeftOut)
    }
}

/// Every place of one secret, the store's own copies behind the one they are of.
#[must_use]
pub fn holdings(view: &SecretView<'_>, plan: &SecretPlan) -> Vec<Holding> {
    let mut all = Vec::new();
    for (target, planned) in view.targets.iter().zip(&plan.targets) {
        all.push(holding(view, target, planned, plan));
        all.extend(copies(view, target, planned));
    }
    all
}

/// How many places somebody must do something about.
#[must_use]
pub fn behind(views: &[SecretView<'_>], plan: &Plan) -> usize {
    let secrets = views.iter().zip(&plan.secrets);
    secrets.flat_map(|(view, plan)| holdings(view, plan)).filter(|holding| holding.state.is_behind()).count()
}

fn holding(view: &SecretView<'_>, target: &TargetView, planned: &TargetPlan, plan: &SecretPlan) -> Holding {
    let (state, why) = match &target.seen {
        Seen::Replica => copy(view, target, planned),
        _ => state(target, planned, plan),
    };
    Holding {
        kind: target.kind,
        name: target.name.clone(),
        whereabouts: target.locator.as_ref().map(whereabouts).unwrap_or_default(),
        primary: plan.primary == Some(target.index),
        generation: planned.generation.as_ref().map(|generation| generation.number),
        state,
        why,
        line: planned.span.line,
    }
}

/// A target that is the store's own copy of another: its primary tells how it is doing.
fn copy(view: &SecretView<'_>, target: &TargetView, planned: &TargetPlan) -> (State, String) {
    let source = view.secret.targets.get(target.index).and_then(|declared| declared.replica_of);
    let source = source.and_then(|index| view.targets.get(index)).map(|source| &source.seen);
    match (planned.action, source) {
        (_, Some(Seen::Failed(_))) => {
            (State::Unknown, "it is a copy, and the place that it is of could not be asked".into())
        }
        (Action::Keep, _) => (State::InSync, planned.why.clone()),
        (Action::Held, _) => (State::Foreign, planned.why.clone()),
        _ => (State::OutOfSync, planned.why.clone()),
    }
}

fn state(target: &TargetView, planned: &TargetPlan, plan: &SecretPlan) -> (State, String) {
    let why = planned.why.clone();
    match &target.seen {
        Seen::LeftOut(_) | Seen::Assumed => return (State::LeftOut, why),
        Seen::NotBuilt => return (State::Unknown, "this kind of target is not built into this version".into()),
        Seen::Failed(error) => return (State::Unknown, error.to_string()),
        Seen::Replica => return (State::Unknown, why),
        Seen::Absent if target.kind.holds_value() => return (State::Missing, "nothing stands there".into()),
        Seen::Absent => return (State::Missing, "it does not exist".into()),
        Seen::Present(_) => {}
    }
    if is_pending(target) {
        return (State::Missing, "it is scheduled for deletion".into());
    }
    if planned.drifted {
        let number = planned.generation.as_ref().map_or(0, |generation| generation.number);
        return (State::Changed, format!("its value was changed outside after generation {number}"));
    }
    if !target.kind.holds_value() {
        let configured = matches!(planned.action, Action::Keep | Action::LeftOut);
        return (if configured { State::InForce } else { State::Behind }, why);
    }
    let Some(held) = &planned.generation else { return (State::Foreign, "what stands there is not ours".into()) };
    let wanted = plan.generation.as_ref();
    let same = wanted.is_some_and(|wanted| {
        let known = held.id == wanted.id || (held.id.is_empty() && plan.source == Some(target.index));
        held.number == wanted.number && known
    });
    match wanted {
        _ if same => (State::InForce, String::new()),
        Some(wanted) if held.number == wanted.number => {
            (State::Behind, format!("it does not hold the value of generation {} that is in force", wanted.number))
        }
        Some(wanted) => (State::Behind, format!("generation {} is in force", wanted.number)),
        None => (State::Behind, String::new()),
    }
}

/// The copies that the store keeps of a place by itself and that no target of their own is about.
fn copies(view: &SecretView<'_>, target: &TargetView, planned: &TargetPlan) -> Vec<Holding> {
    let told = |region: &str| {
        view.targets.iter().any(|other| {
            let of = view.secret.targets.get(other.index).and_then(|declared| declared.replica_of);
            of == Some(target.index) && other.locator.as_ref().and_then(Locator::region) == Some(region)
        })
    };
    let regions = target.desired.keys().filter_map(|name| name.strip_prefix(REPLICA)).filter(|region| !told(region));
    let seen = observed(target).map(|seen| &seen.attributes);
    let state = |region: &str| {
        let of = |attribute: &str| seen.and_then(|seen| seen.get(&format!("{attribute}{region}"))).map(String::as_str);
        match (seen, of(REPLICA_STATUS)) {
            (None, _) if matches!(target.seen, Seen::Failed(_)) => {
                (State::Unknown, "the place that it is a copy of could not be asked".to_owned())
            }
            (_, Some(REPLICA_FAILED)) => {
                let why = of(REPLICA_MESSAGE).filter(|why| !why.is_empty()).unwrap_or("the store does not say why");
                (State::OutOfSync, format!("the copy failed ({why})"))
            }
            (_, Some(status)) => (State::OutOfSync, format!("the copy is not in sync yet ({status})")),
            (_, None) if of(REPLICA).is_some() => (State::InSync, String::new()),
            (_, None) => (State::Missing, "there is no copy yet".to_owned()),
        }
    };
    let copies = regions.map(|region| {
        let (state, why) = state(region);
        Holding {
            kind: target.kind,
            name: target.name.clone(),
            whereabouts: region.to_owned(),
            primary: false,
            generation: planned.generation.as_ref().filter(|_| state.is_good()).map(|generation| generation.number),
            state,
            why,
            line: planned.span.line,
        }
    });
    copies.collect()
}

/// What a person calls the part of a locator before the name: a region, a host, a project, this machine.
fn whereabouts(at: &Locator) -> String {
    if at.is_local() {
        return "this machine".to_owned();
    }
    let region = at.region().map(str::to_owned);
    region.unwrap_or_else(|| {
        let rest = at.as_str().split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default().to_owned()
    })
}
