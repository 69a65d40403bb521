//! Copies that a store makes by itself are waited for, after the lock knows what was written.

use futures_util::future::join_all;

use super::super::{Done, SecretOutcome};
use super::Job;
use crate::locator::Locator;
use crate::plan::{Seen, TargetPlan};
use crate::target::{REPLICA_STATUS, TargetSettings};

impl Job<'_> {
    /// Waits for the copies of what was written, and for those that were not in sync before. A copy
    /// that fails is told at its own target if it is declared, else at its primary.
    pub(super) async fn await_copies(&self, outcome: &mut SecretOutcome) {
        let written: Vec<&TargetPlan> = self
            .plan
            .targets
            .iter()
            .zip(&outcome.targets)
            .filter(|(t, done)| self.has_copies(t, done))
            .map(|(t, _)| t)
            .collect();
        let failed = join_all(written.iter().map(|target| self.failed_copies(target))).await;
        for (primary, region, reason) in failed.into_iter().flatten() {
            let copy = self.plan.targets.iter().find(|target| {
                let declared = self.view.secret.targets.get(target.index);
                declared.is_some_and(|declared| declared.replica_of == Some(primary.index))
                    && target.locator.as_ref().and_then(Locator::region) == region.as_deref()
            });
            let target = copy.unwrap_or(primary);
            self.tell_failure(target, &reason);
            if let Some(slot) = outcome.targets.get_mut(target.index) {
                *slot = Done::Failed(reason);
            }
        }
    }

    /// Whether the copies of a target may be under way.
    fn has_copies(&self, target: &TargetPlan, done: &Done) -> bool {
        let declared = self.view.secret.targets.get(target.index).map(|declared| &declared.settings);
        let replicated = matches!(declared, Some(TargetSettings::SecretsManager(s)) if !s.replica_regions.is_empty());
        let unsettled = match self.view.targets.get(target.index).map(|view| &view.seen) {
            Some(Seen::Present(seen)) => seen.attributes.keys().any(|name| name.starts_with(REPLICA_STATUS)),
            _ => false,
        };
        replicated && matches!(done, Done::InForce(_)) && (target.action.is_change() || unsettled)
    }

    async fn failed_copies<'t>(&self, target: &'t TargetPlan) -> Vec<(&'t TargetPlan, Option<String>, String)> {
        let waited = match self.place(target.index) {
            Ok((store, place)) => store.await_copies(&place).await,
            Err(error) => Err(error),
        };
        match waited {
            Ok(failed) => {
                let told = |(region, why)| {
                    let reason = format!("its copy in {region} {why}");
                    (target, Some(region), reason)
                };
                failed.into_iter().map(told).collect()
            }
            Err(error) => vec![(target, None, format!("its copies could not be looked at: {error}"))],
        }
    }
}
