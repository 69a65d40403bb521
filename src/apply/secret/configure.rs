//! Places that hold no value: made, changed to what is declared, and given a new key where the secret
//! is rotated. There is nothing to copy, so none waits for a primary.

use futures_util::future::join_all;

use super::super::{Done, SecretOutcome};
use super::{Job, no_answer};
use crate::mark::Generation;
use crate::plan::{Action, TargetPlan};
use crate::provider::{Expect, Result, WriteOptions};
use crate::target::ROTATION;

impl Job<'_> {
    /// Works on a secret without any value. Its generation counts the rotations of its keys.
    pub(super) async fn configure_all(&self, left: SecretOutcome, new: Option<&Generation>) -> SecretOutcome {
        let known = new.cloned().or_else(|| self.plan.generation.clone());
        let first = || Generation::new(1, self.run.clock.now(), self.run.entropy).ok();
        let Some(generation) = known.or_else(first) else { return left };
        let targets = join_all(self.plan.targets.iter().map(|target| self.without_value(target, &generation))).await;
        let known = targets.iter().any(|done| matches!(done, Done::InForce(_)));
        SecretOutcome { generation: known.then_some(generation), targets, ..left }
    }

    /// Brings one place that holds no value in line.
    pub(super) async fn configure(&self, target: &TargetPlan, generation: &Generation) -> Done {
        match target.action {
            Action::Create | Action::Metadata | Action::Adopt | Action::Rotate => {
                let done = self.configured(target, generation).await.map(Done::InForce);
                self.told(target, done)
            }
            Action::Keep => target.version.clone().map_or(Done::Left, Done::InForce),
            _ => Done::Left,
        }
    }

    async fn configured(&self, target: &TargetPlan, generation: &Generation) -> Result<String> {
        super::may_write(self.run.ledger).await?;
        let (store, place) = self.place(target.index)?;
        let locator = target.locator.as_ref().ok_or_else(no_answer)?;
        let options = WriteOptions {
            owner: self.plan.owner.clone(),
            generation: generation.clone(),
            token: self.plan.owner.write_token(locator, generation.number),
            expect: target.version.clone().map_or(Expect::Absent, Expect::Version),
            over_drift: false,
            withdrawn: false,
        };
        let rotation = (target.action == Action::Rotate).then(|| ROTATION.to_owned());
        let changed: Vec<String> = target.changes.iter().cloned().chain(rotation).collect();
        store.annotate(&place, &changed, &options).await
    }
}
