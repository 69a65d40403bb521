//! Objects that are scheduled for deletion are taken back before anything else is done with them.
//!
//! It happens here and nowhere else, so that a plan, a held secret and one that nobody reviewed leave
//! them alone.

use super::super::values::{is_declared, is_needed, is_taken_back, read_one, revision};
use super::super::{Done, SecretOutcome};
use super::Job;
use crate::mark::Generation;
use crate::plan::{Next, Revision, TargetPlan};
use crate::provider::Result;

impl Job<'_> {
    /// Takes back what the plan says, and the former place of a value that is needed; then reads the
    /// value that could not be read before.
    pub(super) async fn restore(&mut self) {
        if self.plan.hold.is_some() {
            return;
        }
        let declared = self.plan.targets.iter().filter(|target| target.restore).map(|target| target.index);
        let mut pending: Vec<usize> = declared.collect();
        let comparable = is_declared(&self.view.secret.source) && self.plan.next == Next::Keep;
        let read = is_needed(self.plan) || comparable;
        let source = self.plan.source.filter(|_| read && is_taken_back(self.view, self.plan));
        pending.extend(source.filter(|source| !pending.contains(source)));
        for index in pending {
            if let Err(error) = self.take_back(index).await {
                self.stuck.insert(index, error);
            }
        }
        if let Some(source) = source
            && let Ok((store, place)) = self.place(source)
            && let Ok(stored) = read_one(&self.view.secret.source, store, &place).await
        {
            let declared = &self.view.secret.source;
            self.outdated = comparable && revision(declared, &stored.value, self.run.entropy) == Revision::Differs;
            self.carried = is_needed(self.plan).then_some(stored.value);
        }
    }

    /// An edited declaration is not seen before the value can be read; the next run sees it.
    pub(super) fn tell_outdated(&self, outcome: &mut SecretOutcome) {
        let restored = self.plan.targets.iter().find(|target| self.outdated && target.restore);
        if let Some(target) = restored
            && let Some(slot) = outcome.targets.get_mut(target.index)
        {
            let reason = "it is restored, and its declared value was edited meanwhile; run again to replace it";
            self.tell_failure(target, reason);
            *slot = Done::Failed(reason.into());
        }
    }

    async fn take_back(&self, index: usize) -> Result<()> {
        let (store, place) = self.place(index)?;
        store.restore(&place).await
    }

    /// A target that only had to be taken back, with what else of its metadata differs.
    pub(super) async fn taken_back(&self, target: &TargetPlan, generation: &Generation) -> Done {
        let version = target.version.clone().unwrap_or_default();
        let done = match self.place(target.index) {
            Ok(_) if target.changes.is_empty() => Ok(Done::InForce(version)),
            Ok(_) => self.annotate(target, generation).await.map(Done::InForce),
            Err(error) => Err(error),
        };
        self.told(target, done)
    }
}
