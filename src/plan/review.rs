//! Whether what would be done was shown to a reviewer before: pure, and the ground of `require_plan`.
//!
//! A run that did not end is gone on with, and a target that is behind is brought up to date,
//! whoever looked at what. Everything else needs an entry of a plan that was shown.

use std::collections::BTreeSet;

use super::digest::{Mode, PlanDigest, Subject, counts};
use super::{Action, Cause, Hold, Next, Plan, SecretPlan, TargetPlan};

/// What was shown, and what an earlier run had begun.
#[derive(Debug, Clone, Default)]
pub struct Approved {
    online: BTreeSet<String>,
    offline: BTreeSet<String>,
    begun: BTreeSet<String>,
}

/// A change that no plan had shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreviewed {
    /// Position of the secret in the plan.
    pub secret: usize,
    /// Position of the target in the secret's plan.
    pub target: usize,
}

impl Approved {
    /// Adds what one plan had shown.
    pub fn add(&mut self, digest: &PlanDigest) {
        let entries = match digest.mode {
            Mode::Online => &mut self.online,
            Mode::Offline => &mut self.offline,
        };
        entries.extend(digest.entries.iter().cloned());
    }

    /// Adds what an earlier run was allowed to do and did not finish.
    pub fn resume(&mut self, places: &[String]) {
        self.begun.extend(places.iter().cloned());
    }

    /// The changes of a plan that nobody was shown.
    #[must_use]
    pub fn missing(&self, plan: &Plan, subject: &Subject<'_>) -> Vec<Unreviewed> {
        let mut missing = Vec::new();
        for (position, secret) in plan.secrets.iter().enumerate() {
            for (at, target) in secret.targets.iter().enumerate() {
                let shown = !target.action.is_change()
                    || !counts(secret, target)
                    || target.action == Action::Heal
                    || (is_rest(secret, target) && self.begun.contains(&subject.place(secret, target)))
                    || self.online.contains(&subject.entry(secret, target))
                    || (target.action == Action::Rotate
                        && subject.beside_rotation(secret, target).iter().any(|entry| self.online.contains(entry)))
                    || subject.unseen(secret, target).is_some_and(|entry| self.offline.contains(&entry));
                if !shown {
                    missing.push(Unreviewed { secret: position, target: at });
                }
            }
        }
        missing
    }
}

/// Whether the stores' own marks tell that a run of ours began this change. What the lock says was
/// begun is believed only where they do: a forged one must not stand for a review.
fn is_rest(secret: &SecretPlan, target: &TargetPlan) -> bool {
    target.action == Action::Spread && secret.generation.is_some()
}

/// Holds every secret that has a change nobody was shown: a half-done secret would be a new state
/// that nobody was shown either.
pub fn hold(plan: &mut Plan, missing: &[Unreviewed]) {
    for Unreviewed { secret, target } in missing {
        let Some(secret) = plan.secrets.get_mut(*secret).filter(|secret| secret.hold.is_none()) else { continue };
        let Some(seen) = secret.targets.get(*target) else { continue };
        let (place, span) = (format!("{} `{}`", seen.kind.title(), seen.name), seen.span);
        let reason = format!("no merged pull request showed that it would {} {place}", seen.action.verb());
        for target in secret.targets.iter_mut().filter(|target| target.action.is_change()) {
            target.action = Action::Held;
            target.why.clone_from(&reason);
        }
        secret.next = Next::Keep;
        secret.hold = Some(Hold {
            reason,
            help: "open a pull request that touches the Secretfile: its plan shows it, and its merge does it".into(),
            span,
            cause: Cause::Review,
        });
    }
}
